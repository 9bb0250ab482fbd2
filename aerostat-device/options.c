/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/options.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/size_core.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define RELEASE_DELAY_MAX_MS 60000
#define AUDIT_INTERVAL_S 60
#define AUDIT_INTERVAL_MAX_S 86400

const struct transport_ops *const device_protocols[] = { &vfio_user_ops, &vhost_user_ops };
const size_t device_protocol_count = LENGTH(device_protocols);

static bool set_complaint(struct device_options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool set_complaint(struct device_options *options, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(options->complaint, sizeof(options->complaint), format, arguments);
	va_end(arguments);
	return false;
}

/*
 * Values
 */

static bool parse_option_number(struct device_options *options, const char *option,
				const char *value, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(value, &end, 10);
	if (*value >= '0' && *value <= '9' && !*end && !errno && *number <= max)
		return true;
	return set_complaint(options, "%s: '%s' is not a number from 0 to %" PRIu64, option, value,
			     max);
}

static bool parse_option_size(struct device_options *options, const char *option, const char *value,
			      uint64_t *bytes)
{
	const char *unit = NULL;
	enum size_fault fault = size_read(value, bytes, &unit);

	if (fault != SIZE_OK)
		return set_complaint(options, "%s: size '%.100s' %s; write it like " SIZE_FORMS,
				     option, value, size_fault_text(fault));
	if (*bytes == 0)
		return set_complaint(options,
				     "%s: size '%.100s' is zero; a guest needs some memory", option,
				     value);
	return true;
}

static bool parse_option_fd(struct device_options *options, const char *option, const char *value,
			    int *fd)
{
	uint64_t number;

	if (!parse_option_number(options, option, value, INT32_MAX, &number))
		return false;
	*fd = (int)number;
	return true;
}

/* Sets *@index to that of @value among the @count @choices. */
static bool parse_option_choice(struct device_options *options, const char *option,
				const char *value, const char *const *choices, size_t count,
				unsigned int *index)
{
	char list[128] = "";

	for (*index = 0; *index < count; (*index)++) {
		if (!strcmp(choices[*index], value))
			return true;
		strncat(list, *index ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, choices[*index], sizeof(list) - strlen(list) - 1);
	}
	return set_complaint(options, "%s: '%.100s' is unknown; use one of %s", option, value,
			     list);
}

/*
 * Options
 */

static bool option_socket_path(struct device_options *options, const char *value)
{
	options->socket_path = value;
	return true;
}

static bool option_fd(struct device_options *options, const char *value)
{
	return parse_option_fd(options, "--fd", value, &options->fd);
}

static bool option_protocol(struct device_options *options, const char *value)
{
	const char *names[LENGTH(device_protocols)];
	unsigned int index;

	for (size_t i = 0; i < LENGTH(device_protocols); i++)
		names[i] = device_protocols[i]->name;
	if (!parse_option_choice(options, "--protocol", value, names, LENGTH(names), &index))
		return false;
	options->protocol = device_protocols[index];
	return true;
}

static bool option_control(struct device_options *options, const char *value)
{
	options->control_path = value;
	return true;
}

static bool option_control_fd(struct device_options *options, const char *value)
{
	return parse_option_fd(options, "--control-fd", value, &options->control_fd);
}

static bool option_name(struct device_options *options, const char *value)
{
	json_t *text = json_string(value);

	if (!text)
		return set_complaint(options, "--name is not valid UTF-8; choose another name");
	json_decref(text);
	options->name = value;
	return true;
}

static bool option_max(struct device_options *options, const char *value)
{
	return parse_option_size(options, "--max", value, &options->max_bytes);
}

static bool option_target(struct device_options *options, const char *value)
{
	return parse_option_size(options, "--target", value, &options->target_bytes);
}

static const struct balloon_feature_row *find_feature(const char *name, size_t length)
{
	for (size_t i = 0; i < balloon_feature_count; i++)
		if (strlen(balloon_features[i].name) == length &&
		    !strncmp(balloon_features[i].name, name, length))
			return &balloon_features[i];
	return NULL;
}

static bool refuse_unknown_feature(struct device_options *options, const char *name, size_t length)
{
	char list[256] = "";

	for (size_t i = 0; i < balloon_feature_count; i++) {
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, balloon_features[i].name, sizeof(list) - strlen(list) - 1);
	}
	return set_complaint(options, "--features: unknown feature '%.*s'; use some of %s",
			     (int)(length < 80 ? length : 80), name, list);
}

static bool option_features(struct device_options *options, const char *value)
{
	for (const char *word = value; *word;) {
		size_t length = strcspn(word, ",");
		const struct balloon_feature_row *row;

		if (*word != '+' && *word != '-')
			return set_complaint(
				options,
				"--features: '%.80s' has no sign; write +NAME to offer a "
				"feature, -NAME not to offer it",
				word);
		row = find_feature(word + 1, length - 1);
		if (!row)
			return refuse_unknown_feature(options, word + 1, length - 1);
		if (*word == '+')
			options->features |= BALLOON_BIT(row->bit);
		else
			options->features &= ~BALLOON_BIT(row->bit);
		word += length;
		word += *word == ',';
	}
	return true;
}

static bool option_msix(struct device_options *options, const char *value)
{
	(void)value;
	options->msix = true;
	return true;
}

static bool option_release_delay(struct device_options *options, const char *value)
{
	uint64_t ms;

	if (!parse_option_number(options, "--release-delay", value, RELEASE_DELAY_MAX_MS, &ms))
		return false;
	options->release_delay_ns = ms * 1000000;
	return true;
}

static bool option_populate(struct device_options *options, const char *value)
{
	(void)value;
	options->populate = true;
	return true;
}

static bool option_audit(struct device_options *options, const char *value)
{
	static const char *const choices[] = {
		[AUDIT_OFF] = "off",
		[AUDIT_REPORT] = "report",
		[AUDIT_RELEASE] = "release",
	};
	unsigned int index;

	if (!parse_option_choice(options, "--audit", value, choices, LENGTH(choices), &index))
		return false;
	options->audit = (enum audit_mode)index;
	return true;
}

static bool option_audit_interval(struct device_options *options, const char *value)
{
	if (!parse_option_number(options, "--audit-interval", value, AUDIT_INTERVAL_MAX_S,
				 &options->audit_interval_s))
		return false;
	return options->audit_interval_s ||
	       set_complaint(options,
			     "--audit-interval must not be 0; use --audit=off for no audits");
}

static bool option_keep(struct device_options *options, const char *value)
{
	(void)value;
	options->keep = true;
	return true;
}

static bool option_sandbox(struct device_options *options, const char *value)
{
	static const char *const choices[] = { "off", "on" };
	unsigned int index;

	if (!parse_option_choice(options, "--sandbox", value, choices, LENGTH(choices), &index))
		return false;
	options->sandbox = index == 1;
	return true;
}

static bool option_user(struct device_options *options, const char *value)
{
	options->user = value;
	return true;
}

static bool option_verbose(struct device_options *options, const char *value)
{
	(void)value;
	options->verbose = true;
	return true;
}

static bool option_print_capabilities(struct device_options *options, const char *value)
{
	(void)value;
	options->action = ACTION_CAPABILITIES;
	return true;
}

static bool option_version(struct device_options *options, const char *value)
{
	(void)value;
	options->action = ACTION_VERSION;
	return true;
}

static bool option_help(struct device_options *options, const char *value)
{
	(void)value;
	options->action = ACTION_HELP;
	return true;
}

const struct option_row device_options_table[] = {
	{ "--socket-path", "PATH", "listen at PATH for the VMM", option_socket_path },
	{ "--fd", "N", "serve the VMM on descriptor N, which listens or is connected", option_fd },
	{ "--protocol", "NAME", "vfio-user (the default) or vhost-user", option_protocol },
	{ "--control", "PATH", "listen at PATH for QMP clients that control the balloon",
	  option_control },
	{ "--control-fd", "N", "serve QMP clients on descriptor N, which listens",
	  option_control_fd },
	{ "--name", "NAME", "the guest's name, for query-name", option_name },
	{ "--max", "SIZE", "the guest's RAM; by default, the memory that the VMM shares",
	  option_max },
	{ "--target", "SIZE", "the guest's memory from the start; by default, all", option_target },
	{ "--features", "+X,-Y", "offer feature X, do not offer feature Y", option_features },
	{ "--msix", NULL, "vfio-user: offer MSI-X; QEMU cannot unplug the device then",
	  option_msix },
	{ "--release-delay", "MS", "how long pages wait for their huge page to fill (100)",
	  option_release_delay },
	{ "--populate", NULL, "allocate memory for pages that the guest takes back",
	  option_populate },
	{ "--audit", "MODE", "look for ballooned pages in use: off, report or release",
	  option_audit },
	{ "--audit-interval", "S", "the time between audits in seconds (60)",
	  option_audit_interval },
	{ "--keep", NULL, "keep listening after the VMM has disconnected", option_keep },
	{ "--sandbox", "MODE", "on (the default) or off", option_sandbox },
	{ "--user", "NAME", "switch to this user; needs root", option_user },
	{ "--verbose", NULL, "log more on standard error", option_verbose },
	{ "--print-capabilities", NULL, "print what this program can do, in JSON",
	  option_print_capabilities },
	{ "--version", NULL, "print the version", option_version },
	{ "--help", NULL, "print this text", option_help },
};
const size_t device_options_count = LENGTH(device_options_table);

/*
 * Parsing
 */

/* The row of @argument, "--name" or "--name=value"; NULL when there is none. */
static const struct option_row *find_option_row(const char *argument)
{
	size_t length = strcspn(argument, "=");

	for (size_t i = 0; i < device_options_count; i++)
		if (strlen(device_options_table[i].name) == length &&
		    !strncmp(device_options_table[i].name, argument, length))
			return &device_options_table[i];
	if (!strcmp(argument, "-h"))
		return find_option_row("--help");
	return strcmp(argument, "-V") ? NULL : find_option_row("--version");
}

/* Parses the option at @argv, which has @left arguments; returns how many it used, 0: error. */
static int parse_option(struct device_options *options, char *const *argv, int left)
{
	const struct option_row *row = find_option_row(argv[0]);
	const char *value = strchr(argv[0], '=');

	if (!row && argv[0][0] != '-')
		set_complaint(options, "unexpected argument '%.100s': all options begin with --",
			      argv[0]);
	else if (!row)
		set_complaint(options, "unknown option '%.100s'; --help lists all options",
			      argv[0]);
	else if (!row->argument && value)
		set_complaint(options, "%s takes no value; remove '%.100s'", row->name, value);
	else if (row->argument && !value && left < 2)
		set_complaint(options, "%s needs a value; write %s=%s", row->name, row->name,
			      row->argument);
	else if (row->argument && !value)
		return row->parse(options, argv[1]) ? 2 : 0;
	else
		return row->parse(options, value ? value + 1 : NULL);
	return 0;
}

static bool check_combinations(struct device_options *options)
{
	if (options->socket_path && options->fd >= 0)
		return set_complaint(options,
				     "--socket-path and --fd exclude each other; use one of them");
	if (options->control_path && options->control_fd >= 0)
		return set_complaint(
			options, "--control and --control-fd exclude each other; use one of them");
	if (options->max_bytes && options->target_bytes > options->max_bytes)
		return set_complaint(options,
				     "--target is above --max; a guest cannot have more than "
				     "its maximum");
	if (options->msix && options->protocol != &vfio_user_ops)
		return set_complaint(options,
				     "--msix works only with --protocol=vfio-user; remove it");
	return true;
}

bool device_options_parse(struct device_options *options, int argc, char *const argv[])
{
	*options = (struct device_options){
		.fd = -1,
		.control_fd = -1,
		.protocol = &vfio_user_ops,
		.features = balloon_default_features(),
		.release_delay_ns = BALLOON_RELEASE_DELAY_NS,
		.sandbox = true,
		.audit_interval_s = AUDIT_INTERVAL_S,
	};
	for (int i = 1; i < argc;) {
		int used = parse_option(options, argv + i, argc - i);

		if (!used)
			return false;
		i += used;
	}
	return options->action != ACTION_SERVE || check_combinations(options);
}
