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

static bool complain(struct device_options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool complain(struct device_options *options, const char *format, ...)
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

static bool read_number(struct device_options *options, const char *option, const char *value,
			uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(value, &end, 10);
	if (*value >= '0' && *value <= '9' && !*end && !errno && *number <= max)
		return true;
	return complain(options, "%s '%s' is not a number from 0 to %" PRIu64, option, value, max);
}

static bool read_size(struct device_options *options, const char *option, const char *value,
		      uint64_t *bytes)
{
	const char *unit = NULL;
	enum size_fault fault = size_read(value, bytes, &unit);

	if (fault != SIZE_OK)
		return complain(options, "%s: size '%.100s' %s; write it like " SIZE_FORMS, option,
				value, size_fault_text(fault));
	if (*bytes == 0)
		return complain(options, "%s: size '%.100s' is zero; a guest needs some", option,
				value);
	return true;
}

static bool read_fd(struct device_options *options, const char *option, const char *value, int *fd)
{
	uint64_t number;

	if (!read_number(options, option, value, INT32_MAX, &number))
		return false;
	*fd = (int)number;
	return true;
}

/* The index of @value among @words. */
static bool read_word(struct device_options *options, const char *option, const char *value,
		      const char *const *words, size_t count, unsigned int *index)
{
	char list[128] = "";

	for (*index = 0; *index < count; (*index)++) {
		if (!strcmp(words[*index], value))
			return true;
		strncat(list, *index ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, words[*index], sizeof(list) - strlen(list) - 1);
	}
	return complain(options, "%s '%.100s' is not known; it is one of %s", option, value, list);
}

/*
 * Options
 */

static bool take_socket_path(struct device_options *options, const char *value)
{
	options->socket_path = value;
	return true;
}

static bool take_fd(struct device_options *options, const char *value)
{
	return read_fd(options, "--fd", value, &options->fd);
}

static bool take_protocol(struct device_options *options, const char *value)
{
	const char *names[LENGTH(device_protocols)];
	unsigned int index;

	for (size_t i = 0; i < LENGTH(device_protocols); i++)
		names[i] = device_protocols[i]->name;
	if (!read_word(options, "--protocol", value, names, LENGTH(names), &index))
		return false;
	options->protocol = device_protocols[index];
	return true;
}

static bool take_control(struct device_options *options, const char *value)
{
	options->control_path = value;
	return true;
}

static bool take_control_fd(struct device_options *options, const char *value)
{
	return read_fd(options, "--control-fd", value, &options->control_fd);
}

static bool take_name(struct device_options *options, const char *value)
{
	json_t *text = json_string(value);

	if (!text)
		return complain(options, "--name is not UTF-8, which QMP needs; choose another");
	json_decref(text);
	options->name = value;
	return true;
}

static bool take_max(struct device_options *options, const char *value)
{
	return read_size(options, "--max", value, &options->max_bytes);
}

static bool take_target(struct device_options *options, const char *value)
{
	return read_size(options, "--target", value, &options->target_bytes);
}

static const struct balloon_feature_row *find_feature(const char *name, size_t length)
{
	for (size_t i = 0; i < balloon_feature_count; i++)
		if (strlen(balloon_features[i].name) == length &&
		    !strncmp(balloon_features[i].name, name, length))
			return &balloon_features[i];
	return NULL;
}

static bool no_feature(struct device_options *options, const char *name, size_t length)
{
	char list[256] = "";

	for (size_t i = 0; i < balloon_feature_count; i++) {
		strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
		strncat(list, balloon_features[i].name, sizeof(list) - strlen(list) - 1);
	}
	return complain(options, "--features: there is no feature '%.*s', only %s",
			(int)(length < 80 ? length : 80), name, list);
}

static bool take_features(struct device_options *options, const char *value)
{
	for (const char *word = value; *word;) {
		size_t length = strcspn(word, ",");
		const struct balloon_feature_row *row;

		if (*word != '+' && *word != '-')
			return complain(options,
					"--features: '%.80s' does not say whether; write +NAME to "
					"offer a feature and -NAME not to",
					word);
		row = find_feature(word + 1, length - 1);
		if (!row)
			return no_feature(options, word + 1, length - 1);
		if (*word == '+')
			options->features |= BALLOON_BIT(row->bit);
		else
			options->features &= ~BALLOON_BIT(row->bit);
		word += length;
		word += *word == ',';
	}
	return true;
}

static bool take_msix(struct device_options *options, const char *value)
{
	(void)value;
	options->msix = true;
	return true;
}

static bool take_release_delay(struct device_options *options, const char *value)
{
	uint64_t ms;

	if (!read_number(options, "--release-delay", value, RELEASE_DELAY_MAX_MS, &ms))
		return false;
	options->release_delay_ns = ms * 1000000;
	return true;
}

static bool take_populate(struct device_options *options, const char *value)
{
	(void)value;
	options->populate = true;
	return true;
}

static bool take_audit(struct device_options *options, const char *value)
{
	static const char *const words[] = {
		[AUDIT_OFF] = "off",
		[AUDIT_REPORT] = "report",
		[AUDIT_RELEASE] = "release",
	};
	unsigned int index;

	if (!read_word(options, "--audit", value, words, LENGTH(words), &index))
		return false;
	options->audit = (enum audit_mode)index;
	return true;
}

static bool take_audit_interval(struct device_options *options, const char *value)
{
	if (!read_number(options, "--audit-interval", value, AUDIT_INTERVAL_MAX_S,
			 &options->audit_interval_s))
		return false;
	return options->audit_interval_s ||
	       complain(options, "--audit-interval is 0 seconds; --audit=off does without");
}

static bool take_keep(struct device_options *options, const char *value)
{
	(void)value;
	options->keep = true;
	return true;
}

static bool take_sandbox(struct device_options *options, const char *value)
{
	static const char *const words[] = { "off", "on" };
	unsigned int index;

	if (!read_word(options, "--sandbox", value, words, LENGTH(words), &index))
		return false;
	options->sandbox = index == 1;
	return true;
}

static bool take_user(struct device_options *options, const char *value)
{
	options->user = value;
	return true;
}

static bool take_verbose(struct device_options *options, const char *value)
{
	(void)value;
	options->verbose = true;
	return true;
}

static bool take_capabilities(struct device_options *options, const char *value)
{
	(void)value;
	options->order = ORDER_CAPABILITIES;
	return true;
}

static bool take_version(struct device_options *options, const char *value)
{
	(void)value;
	options->order = ORDER_VERSION;
	return true;
}

static bool take_help(struct device_options *options, const char *value)
{
	(void)value;
	options->order = ORDER_HELP;
	return true;
}

const struct option_row device_options_table[] = {
	{ "--socket-path", "PATH", "listen at PATH for the VMM", take_socket_path },
	{ "--fd", "N", "the same with descriptor N, which listens or is connected", take_fd },
	{ "--protocol", "NAME", "vfio-user (the default) or vhost-user", take_protocol },
	{ "--control", "PATH", "listen at PATH for those who steer the balloon, in QMP",
	  take_control },
	{ "--control-fd", "N", "the same with descriptor N, which listens", take_control_fd },
	{ "--name", "NAME", "the guest's name, told on the control socket", take_name },
	{ "--max", "SIZE", "the guest's RAM; without it, as the VMM's memory says", take_max },
	{ "--target", "SIZE", "what the guest is to have from the start", take_target },
	{ "--features", "+X,-Y", "offer feature X, do not offer Y", take_features },
	{ "--msix", NULL, "vfio-user: offer MSI-X; QEMU cannot unplug such a device", take_msix },
	{ "--release-delay", "MS", "how long pages wait for their huge page to fill (100)",
	  take_release_delay },
	{ "--populate", NULL, "allocate the memory of pages that the guest takes back",
	  take_populate },
	{ "--audit", "MODE",
	  "look for pages that were given away and touched: off, report, release", take_audit },
	{ "--audit-interval", "S", "how often (60)", take_audit_interval },
	{ "--keep", NULL, "go on listening after the VMM has left", take_keep },
	{ "--sandbox", "MODE", "on (the default) or off", take_sandbox },
	{ "--user", "NAME", "become this user; needs root", take_user },
	{ "--verbose", NULL, "tell more on standard error", take_verbose },
	{ "--print-capabilities", NULL, "print in JSON what this program can do",
	  take_capabilities },
	{ "--version", NULL, "print the version", take_version },
	{ "--help", NULL, "print this text", take_help },
};
const size_t device_options_count = LENGTH(device_options_table);

/*
 * Parsing
 */

/* The row of @word, "--name" or "--name=value". */
static const struct option_row *find_row(const char *word)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < device_options_count; i++)
		if (strlen(device_options_table[i].name) == length &&
		    !strncmp(device_options_table[i].name, word, length))
			return &device_options_table[i];
	if (!strcmp(word, "-h"))
		return find_row("--help");
	return strcmp(word, "-V") ? NULL : find_row("--version");
}

/* Takes the option at @argv, of at most @left words; how many it was, 0 for a complaint. */
static int take_option(struct device_options *options, char *const *argv, int left)
{
	const struct option_row *row = find_row(argv[0]);
	const char *value = strchr(argv[0], '=');

	if (!row && argv[0][0] != '-')
		complain(options, "'%.100s' is one word too many: every option begins with --",
			 argv[0]);
	else if (!row)
		complain(options, "there is no option '%.100s'; --help lists those there are",
			 argv[0]);
	else if (!row->argument && value)
		complain(options, "%s takes no value, such as '%.100s'", row->name, value + 1);
	else if (row->argument && !value && left < 2)
		complain(options, "%s needs %s; write %s=%s", row->name, row->argument, row->name,
			 row->argument);
	else if (row->argument && !value)
		return row->take(options, argv[1]) ? 2 : 0;
	else
		return row->take(options, value ? value + 1 : NULL);
	return 0;
}

static bool check_together(struct device_options *options)
{
	if (options->socket_path && options->fd >= 0)
		return complain(options, "--socket-path and --fd exclude each other; say one");
	if (options->control_path && options->control_fd >= 0)
		return complain(options, "--control and --control-fd exclude each other; say one");
	if (options->max_bytes && options->target_bytes > options->max_bytes)
		return complain(options, "--target is above --max; a guest cannot have more than "
					 "its maximum");
	if (options->msix && options->protocol != &vfio_user_ops)
		return complain(options, "--msix is for --protocol=vfio-user; leave it out");
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
		int words = take_option(options, argv + i, argc - i);

		if (!words)
			return false;
		i += words;
	}
	return options->order != ORDER_SERVE || check_together(options);
}
