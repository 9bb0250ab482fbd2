/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where guests are looked for, and how one is opened.
 *
 * Theory of operation: what the command line says (-c, --qmp) replaces what
 * the configuration file says, which replaces the default: libvirt's own
 * default URI, as virsh finds it.
 */
#include "cli.h"

#include <unistd.h>

#define CONFIG_GROUP "discover"

static char *config_path(bool *required)
{
	const char *path = g_getenv("AEROSTAT_CONFIG");

	*required = path != NULL;
	return g_strdup(path ? path : "/etc/aerostat/aerostat.conf");
}

/* A key that nobody reads is a misspelt one. */
static bool read_group(GKeyFile *file, char ***uris, char ***globs, GError **error)
{
	g_auto(GStrv) keys = g_key_file_get_keys(file, CONFIG_GROUP, NULL, NULL);

	for (char **key = keys; key && *key; key++) {
		char ***list = g_str_equal(*key, "libvirt") ? uris
			       : g_str_equal(*key, "qmp")   ? globs
							    : NULL;

		if (!list) {
			g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_KEY_NOT_FOUND,
				    "[" CONFIG_GROUP "] has no key '%s', only libvirt and qmp",
				    *key);
			return false;
		}
		*list = g_key_file_get_string_list(file, CONFIG_GROUP, *key, NULL, error);
		if (!*list)
			return false;
	}
	return true;
}

static bool load_config(char ***uris, char ***globs, GError **error)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) reason = NULL;
	g_autofree char *text = NULL;
	gsize length;
	bool required;
	g_autofree char *path = config_path(&required);

	/* Not g_key_file_load_from_file(), which will not have /dev/null. */
	if (!g_file_get_contents(path, &text, &length, &reason)) {
		if (!required && g_error_matches(reason, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			return true;
	} else if (g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, &reason) &&
		   read_group(file, uris, globs, &reason)) {
		return true;
	}
	g_propagate_prefixed_error(error, g_steal_pointer(&reason), "configuration %s: ", path);
	return false;
}

/* virsh's rule: its environment variables, else system for root and session for others. */
static char *default_uri(void)
{
	const char *uri = g_getenv("VIRSH_DEFAULT_CONNECT_URI");

	if (!uri || !*uri)
		uri = g_getenv("LIBVIRT_DEFAULT_URI");
	if (!uri || !*uri)
		uri = geteuid() == 0 ? "qemu:///system" : "qemu:///session";
	return g_strdup(uri);
}

bool context_load_sources(struct context *ctx, char **uris, char **globs, GError **error)
{
	g_auto(GStrv) config_uris = NULL;
	g_auto(GStrv) config_globs = NULL;

	if (!uris && !globs) {
		if (!load_config(&config_uris, &config_globs, error))
			return false;
		uris = config_uris;
		globs = config_globs;
	}
	ctx->sources.libvirt_uris = uris ? g_strdupv(uris) : g_new0(char *, 2);
	ctx->sources.qmp_globs = globs ? g_strdupv(globs) : g_new0(char *, 1);
	if (!uris && !globs)
		ctx->sources.libvirt_uris[0] = default_uri();
	return true;
}

void context_clear(struct context *ctx)
{
	g_clear_pointer(&ctx->sources.libvirt_uris, g_strfreev);
	g_clear_pointer(&ctx->sources.qmp_globs, g_strfreev);
}

hv_guest *context_open(struct context *ctx, const char *name, hv_info *info, int *code)
{
	g_autoptr(GError) error = NULL;
	hv_guest *guest = hv_find(&ctx->sources, name, hv_deadline_ms(CALL_MS), info, &error);

	if (!guest)
		*code = cli_fail(ctx, error);
	return guest;
}
