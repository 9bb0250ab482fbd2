/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of keys, and a parser for each type of value.
 *
 * Lists and escape sequences are GKeyFile's own: a value that may have them is put into a
 * GKeyFile by itself and read back.  A parser sees its value alone and says what is wrong with it;
 * config_read.c adds key and line.
 */
#include "config/config_private.h"

#include <string.h>

#include "common/size.h"

static bool parse_config_list(const struct config_key *key, const char *raw, void *place,
			      GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) reason = NULL;
	g_auto(GStrv) entries = NULL;
	char ***list = place;

	(void)key;
	g_key_file_set_value(file, "group", "key", raw);
	entries = g_key_file_get_string_list(file, "group", "key", NULL, &reason);
	if (reason)
		return config_set_error(error,
					"unknown escape sequence; write \\\\ for a backslash and "
					"\\; for a semicolon");
	for (char **entry = entries; *entry; entry++)
		if (!*g_strstrip(*entry))
			return config_set_error(error,
						"the list has an empty entry; write it like a;b");
	g_strfreev(*list);
	*list = g_steal_pointer(&entries);
	return true;
}

static bool parse_config_size(const struct config_key *key, const char *raw, void *place,
			      GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) reason = NULL;
	g_autofree char *value = NULL;
	uint64_t *bytes = place;

	(void)key;
	g_key_file_set_value(file, "group", "key", raw);
	value = g_key_file_get_string(file, "group", "key", &reason);
	if (reason)
		return config_set_error(error,
					"unknown escape sequence; write \\\\ for a backslash");
	if (!size_parse(value, bytes, &reason))
		return config_set_error(error, "%s", reason->message);
	return *bytes || config_set_error(error, "the size is 0; remove the line instead");
}

static bool parse_config_size_or_auto(const struct config_key *key, const char *raw, void *place,
				      GError **error)
{
	/* The default is auto, and a key is set only once. */
	return !strcmp(raw, "auto") || parse_config_size(key, raw, place, error);
}

/* Decimal only: strtod() also takes nan, inf and hexadecimal numbers. */
static bool parse_config_number(const struct config_key *key, const char *raw, void *place,
				GError **error)
{
	g_autofree char *text = config_excerpt(raw);
	char *end;
	double value = g_ascii_strtod(raw, &end);

	if (*end || strspn(raw, "0123456789+-.eE") < strlen(raw))
		return config_set_error(error, "'%s' is not a number; write it like 0.5", text);
	if (!(value >= key->least && value <= key->most))
		return config_set_error(error, "%s is out of range; use a number from %g to %.0f",
					text, key->least, key->most);
	*(double *)place = value;
	return true;
}

static bool parse_config_policy(const struct config_key *key, const char *raw, void *place,
				GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);
	g_autofree char *text = config_excerpt(raw);
	const struct policy_ops *policy = policy_find(raw);

	(void)key;
	if (policy) {
		*(const struct policy_ops **)place = policy;
		return true;
	}
	for (size_t i = 0; policy_table[i]; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "", policy_table[i]->name);
	return config_set_error(error, "unknown policy '%s'; use one of %s", text, names->str);
}

/* The name of a user or a group, which need not exist yet. */
static bool check_account_name(const char *name, GError **error)
{
	g_autofree char *text = config_excerpt(name);

	if (!*name)
		return config_set_error(error, "a name is missing");
	if (strpbrk(name, " \t\n,:@*"))
		return config_set_error(error, "'%s' is not a name; separate names by ;", text);
	return true;
}

static bool parse_config_group(const struct config_key *key, const char *raw, void *place,
			       GError **error)
{
	char **group = place;

	(void)key;
	if (!check_account_name(raw, error))
		return false;
	g_free(*group);
	*group = g_strdup(raw);
	return true;
}

/* A list of users and @groups, or *. */
static bool parse_config_accounts(const struct config_key *key, const char *raw, void *place,
				  GError **error)
{
	g_auto(GStrv) names = NULL;
	char ***accounts = place;

	if (!parse_config_list(key, raw, &names, error))
		return false;
	for (char **name = names; *name; name++)
		if (strcmp(*name, "*") && !check_account_name(*name + (**name == '@'), error))
			return false;
	g_strfreev(*accounts);
	*accounts = g_steal_pointer(&names);
	return true;
}

static bool parse_config_mode(const struct config_key *key, const char *raw, void *place,
			      GError **error)
{
	g_autofree char *text = config_excerpt(raw);
	int mode = config_mode_find(raw);

	if (mode < 0)
		return config_set_error(error, "unknown mode '%s'; use %s", text, key->values);
	if (mode == POLICY_HELD)
		return config_set_error(error,
					"only aerostat setmem can hold a guest; use %s, or set min "
					"and max to the same size",
					key->values);
	*(int *)place = mode;
	return true;
}

#define OF_CONFIG(field) offsetof(struct config, field)
#define OF_GUEST(field) offsetof(struct config_guest, field)

const struct config_key config_key_table[] = {
	{ "discover", "libvirt", "libvirt URIs, such as qemu:///system;qemu:///session",
	  parse_config_list, OF_CONFIG(sources.libvirt_uris), .may_be_empty = true },
	{ "discover", "qmp", "globs of monitor sockets, such as /run/vms/*.qmp", parse_config_list,
	  OF_CONFIG(sources.qmp_globs), .may_be_empty = true },
	{ "host", "policy", "the name of a policy, such as aerostat", parse_config_policy,
	  OF_CONFIG(policy) },
	{ "host", "budget", "a size, such as 48G, or auto", parse_config_size_or_auto,
	  OF_CONFIG(settings.budget_bytes) },
	{ "host", "reserve", "a size, such as 2G, or auto", parse_config_size_or_auto,
	  OF_CONFIG(settings.reserve_bytes) },
	{ "host", "optimism", "a number from 0 to 1, such as 0.2", parse_config_number,
	  OF_CONFIG(settings.optimism), .least = 0, .most = 1 },
	{ "api", "group", "the name of a group, such as aerostat", parse_config_group,
	  OF_CONFIG(group) },
	{ "api", "readers", "users and @groups, such as alice;@staff, or *", parse_config_accounts,
	  OF_CONFIG(readers), .may_be_empty = true },
	{ "api", "writers", "users and @groups, such as alice;@staff, or *", parse_config_accounts,
	  OF_CONFIG(writers), .may_be_empty = true },
	{ "guest", "mode", "auto, observe or off", parse_config_mode, OF_GUEST(mode) },
	{ "guest", "min", "a size, such as 512M", parse_config_size, OF_GUEST(min_bytes) },
	{ "guest", "max", "a size, such as 4G", parse_config_size, OF_GUEST(max_bytes) },
	{ "guest", "weight", "a number above 0, such as 2", parse_config_number, OF_GUEST(weight),
	  .least = 0.001, .most = 1e6 },
	{ NULL },
};
