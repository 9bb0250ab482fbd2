/* SPDX-License-Identifier: BSD-3-Clause */
/* The file as a whole, its defaults, and the rules that follow from it for a guest. */
#include "config/config_private.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "common/plain_file.h"

#define FILE_MAX (1 << 20) /* bytes */

/* NULL with an error, and the errno in @error_number. */
static GString *read_config_file(const char *path, int *error_number, GError **error)
{
	size_t length;
	g_autofree char *text = plain_file_read(path, FILE_MAX, &length, error_number);

	if (text)
		return g_string_new_len(text, (gssize)length);
	if (*error_number == EFBIG)
		g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_FILE,
			    "%s: the file is larger than 1 MiB", path);
	else
		g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_FILE, "%s: cannot be read: %s", path,
			    plain_file_error_text(*error_number));
	return NULL;
}

const char *config_path(bool *is_named)
{
	const char *path = g_getenv("AEROSTAT_CONFIG");

	*is_named = path && *path;
	return *is_named ? path : CONFIG_PATH;
}

/* A configuration of defaults. */
static struct config *make_default_config(const char *path)
{
	struct config *config = g_new0(struct config, 1);

	config->path = g_strdup(path);
	config->policy = policy_table[0];
	config->settings.budget_bytes = POLICY_UNSET;
	config->settings.reserve_bytes = POLICY_UNSET;
	config->readers = g_strsplit("*", ";", -1);
	config->writers = g_new0(char *, 1);
	config->guests = g_ptr_array_new_with_free_func(config_guest_free);
	return config;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	g_free(config->path);
	g_strfreev(config->sources.libvirt_uris);
	g_strfreev(config->sources.qmp_globs);
	g_free(config->group);
	g_strfreev(config->readers);
	g_strfreev(config->writers);
	g_ptr_array_unref(config->guests);
	g_free(config);
}

/* A file that sets one kind of source has none of the other. */
static void complete_sources(struct hv_sources *sources)
{
	if (!sources->libvirt_uris && !sources->qmp_globs)
		return;
	if (!sources->libvirt_uris)
		sources->libvirt_uris = g_new0(char *, 1);
	if (!sources->qmp_globs)
		sources->qmp_globs = g_new0(char *, 1);
}

struct config *config_load(const char *path, GError **error)
{
	g_autoptr(config_file) config = NULL;
	g_autoptr(GString) text = NULL;
	g_autoptr(GError) reason = NULL;
	bool is_named = true;
	unsigned int line;
	int error_number;

	if (!path)
		path = config_path(&is_named);
	config = make_default_config(path);
	text = read_config_file(path, &error_number, &reason);
	if (!text && !is_named && error_number == ENOENT)
		return g_steal_pointer(&config);
	if (text && config_read(config, text, &line, &reason)) {
		complete_sources(&config->sources);
		return g_steal_pointer(&config);
	}
	if (text)
		g_prefix_error(&reason, "%s, line %u: ", path, line);
	g_propagate_error(error, g_steal_pointer(&reason));
	return NULL;
}

/*
 * What follows from it
 */

struct hv_sources config_default_sources(void)
{
	struct hv_sources sources = {
		.libvirt_uris = g_new0(char *, 2),
		.qmp_globs = g_new0(char *, 1),
	};
	const char *uri = g_getenv("VIRSH_DEFAULT_CONNECT_URI");

	if (!uri || !*uri)
		uri = g_getenv("LIBVIRT_DEFAULT_URI");
	if (!uri || !*uri)
		uri = geteuid() == 0 ? "qemu:///system" : "qemu:///session";
	sources.libvirt_uris[0] = g_strdup(uri);
	return sources;
}

/*
 * The name of a guest may contain what a glob means otherwise, so the name itself always matches.
 */
static bool is_guest_matched(const struct config_guest *guest, const char *name)
{
	return !strcmp(guest->glob, name) || !fnmatch(guest->glob, name, 0);
}

/* Overrides @rules by what @guest sets. */
static void apply_guest_group(struct policy_rules *rules, const struct config_guest *guest)
{
	if (guest->mode >= 0)
		rules->mode = (enum policy_mode)guest->mode;
	if (guest->weight > 0)
		rules->weight = guest->weight;
	if (guest->min_bytes != POLICY_UNSET)
		rules->min_bytes = guest->min_bytes;
	if (guest->max_bytes != POLICY_UNSET)
		rules->max_bytes = guest->max_bytes;
	if (rules->min_bytes == POLICY_UNSET || rules->min_bytes <= rules->max_bytes)
		return;
	if (guest->max_bytes != POLICY_UNSET)
		rules->min_bytes = rules->max_bytes;
	else
		rules->max_bytes = rules->min_bytes;
}

struct policy_rules config_rules(const struct config *config, const char *name)
{
	struct policy_rules rules = {
		.mode = POLICY_AUTO,
		.min_bytes = POLICY_UNSET,
		.max_bytes = POLICY_UNSET,
		.weight = 1,
	};

	for (guint i = 0; i < config->guests->len; i++) {
		const struct config_guest *guest = config->guests->pdata[i];

		if (is_guest_matched(guest, name))
			apply_guest_group(&rules, guest);
	}
	return rules;
}
