/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys of the configuration file, and the values that each takes.
 *
 * What escapes and lists are GKeyFile says, which is shown one value at a time.  A key's
 * function is given the value alone and says what is wrong with it; the reader knows
 * where that is.
 */
#include "config/config_read.h"

#include <string.h>

#include "common/size.h"

#define WEIGHT_LEAST 0.001
#define WEIGHT_MOST 1e6

/* @raw as GLib's ini files escape it. */
static char *unescape(const char *raw, GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) reason = NULL;
	g_autofree char *value = NULL;

	g_key_file_set_value(file, "group", "key", raw);
	value = g_key_file_get_string(file, "group", "key", &reason);
	if (!reason)
		return g_steal_pointer(&value);
	config_wrong(error, "there is no such escape; write \\\\ for one backslash");
	return NULL;
}

static char **split(const char *raw, GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) reason = NULL;
	g_auto(GStrv) words = NULL;

	g_key_file_set_value(file, "group", "key", raw);
	words = g_key_file_get_string_list(file, "group", "key", NULL, &reason);
	if (reason) {
		config_wrong(error,
			     "there is no such escape; write \\\\ for one backslash and \\; for a "
			     "semicolon");
		return NULL;
	}
	for (char **word = words; *word; word++)
		if (!*g_strstrip(*word)) {
			config_wrong(error, "the list has an empty word; write it like a;b");
			return NULL;
		}
	return g_steal_pointer(&words);
}

static bool take_list(char ***list, const char *raw, GError **error)
{
	*list = split(raw, error);
	return *list != NULL;
}

static bool take_size(uint64_t *bytes, const char *raw, GError **error)
{
	g_autoptr(GError) reason = NULL;
	g_autofree char *value = unescape(raw, error);

	if (!value)
		return false;
	if (!size_parse(value, bytes, &reason))
		return config_wrong(error, "%s", reason->message);
	return *bytes || config_wrong(error, "a size of 0 is none; leave the line out");
}

/* auto is what it is unless a size is said. */
static bool take_size_or_auto(uint64_t *bytes, const char *raw, GError **error)
{
	return !strcmp(raw, "auto") || take_size(bytes, raw, error);
}

/* Decimal numbers only: no nan, nothing infinite, nothing hexadecimal. */
static bool take_number(double *number, const char *raw, double least, double most, GError **error)
{
	g_autofree char *text = config_shown(raw);
	char *end;
	double value = g_ascii_strtod(raw, &end);

	if (*end || strspn(raw, "0123456789+-.eE") < strlen(raw))
		return config_wrong(error, "'%s' is not a number; write it like 0.5", text);
	if (!(value >= least && value <= most))
		return config_wrong(error, "%s is out of range: it goes from %g to %.0f", text,
				    least, most);
	*number = value;
	return true;
}

static bool take_libvirt(struct config_reader *reader, const char *raw, GError **error)
{
	return take_list(&reader->config->sources.libvirt_uris, raw, error);
}

static bool take_qmp(struct config_reader *reader, const char *raw, GError **error)
{
	return take_list(&reader->config->sources.qmp_globs, raw, error);
}

static bool take_policy(struct config_reader *reader, const char *raw, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);
	g_autofree char *text = config_shown(raw);
	const struct policy_ops *policy = policy_find(raw);

	if (policy) {
		reader->config->policy = policy;
		return true;
	}
	for (size_t i = 0; policy_table[i]; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", policy_table[i]->name);
	return config_wrong(error, "there is no policy '%s', only %s", text, names->str);
}

static bool take_budget(struct config_reader *reader, const char *raw, GError **error)
{
	return take_size_or_auto(&reader->config->settings.budget_bytes, raw, error);
}

static bool take_reserve(struct config_reader *reader, const char *raw, GError **error)
{
	return take_size_or_auto(&reader->config->settings.reserve_bytes, raw, error);
}

static bool take_optimism(struct config_reader *reader, const char *raw, GError **error)
{
	return take_number(&reader->config->settings.optimism, raw, 0, 1, error);
}

/* A user's or a group's name; it need not exist yet. */
static bool check_name(const char *name, GError **error)
{
	g_autofree char *text = config_shown(name);

	if (!*name)
		return config_wrong(error, "a name is missing");
	if (strpbrk(name, " \t\n,:@*"))
		return config_wrong(error, "'%s' is not a name; names are separated by ;", text);
	return true;
}

static bool take_group(struct config_reader *reader, const char *raw, GError **error)
{
	if (!check_name(raw, error))
		return false;
	g_free(reader->config->group);
	reader->config->group = g_strdup(raw);
	return true;
}

static bool take_people(char ***people, const char *raw, GError **error)
{
	g_auto(GStrv) names = split(raw, error);

	if (!names)
		return false;
	for (char **name = names; *name; name++)
		if (strcmp(*name, "*") && !check_name(*name + (**name == '@'), error))
			return false;
	g_strfreev(*people);
	*people = g_steal_pointer(&names);
	return true;
}

static bool take_readers(struct config_reader *reader, const char *raw, GError **error)
{
	return take_people(&reader->config->readers, raw, error);
}

static bool take_writers(struct config_reader *reader, const char *raw, GError **error)
{
	return take_people(&reader->config->writers, raw, error);
}

static bool take_mode(struct config_reader *reader, const char *raw, GError **error)
{
	g_autofree char *text = config_shown(raw);
	int mode = config_mode_find(raw);

	if (mode < 0)
		return config_wrong(error, "there is no mode '%s', only auto, observe and off",
				    text);
	if (mode == POLICY_HELD)
		return config_wrong(error,
				    "a guest is held by aerostat setmem; write auto, observe or "
				    "off, or min and max of the same size");
	reader->guest->mode = mode;
	return true;
}

static bool take_min(struct config_reader *reader, const char *raw, GError **error)
{
	return take_size(&reader->guest->min_bytes, raw, error);
}

static bool take_max(struct config_reader *reader, const char *raw, GError **error)
{
	return take_size(&reader->guest->max_bytes, raw, error);
}

static bool take_weight(struct config_reader *reader, const char *raw, GError **error)
{
	return take_number(&reader->guest->weight, raw, WEIGHT_LEAST, WEIGHT_MOST, error);
}

const struct config_key config_key_table[] = {
	{ "discover", "libvirt", "libvirt URIs, as qemu:///system;qemu:///session", take_libvirt,
	  true },
	{ "discover", "qmp", "globs of monitor sockets, as /run/vms/*.qmp", take_qmp, true },
	{ "host", "policy", "the name of a policy, as aerostat", take_policy },
	{ "host", "budget", "a size, as 48G, or auto", take_budget },
	{ "host", "reserve", "a size, as 2G, or auto", take_reserve },
	{ "host", "optimism", "a number from 0 to 1, as 0.2", take_optimism },
	{ "api", "group", "the name of a group, as aerostat", take_group },
	{ "api", "readers", "users and @groups, as alice;@staff, or *", take_readers, true },
	{ "api", "writers", "users and @groups, as alice;@staff, or *", take_writers, true },
	{ "guest", "mode", "auto, observe or off", take_mode },
	{ "guest", "min", "a size, as 512M", take_min },
	{ "guest", "max", "a size, as 4G", take_max },
	{ "guest", "weight", "a number above 0, as 2", take_weight },
	{ NULL },
};
