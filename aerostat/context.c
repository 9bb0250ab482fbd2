/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where to look for guests, and how to open one.
 *
 * Theory of operation: -c and --qmp on the command line replace the sources in the
 * configuration file, which replace the default: libvirt's default URI, found as virsh finds it.
 */
#include "aerostat/cli.h"

#include <string.h>

#include "config/config.h"

/* "FILE, line 3: why" as "configuration FILE: why (line 3)", like other errors in that file. */
static GError *reword_config_error(const GError *error)
{
	bool is_named;
	const char *path = config_path(&is_named);
	const char *place = error->message + strlen(path);
	const char *why = strstr(place, ": ");

	if (error->code != CONFIG_ERROR_INVALID || !why)
		return g_error_new(error->domain, error->code, "configuration %s", error->message);
	return g_error_new(error->domain, error->code, "configuration %s%s (%.*s)", path, why,
			   (int)(why - place) - 2, place + strlen(", "));
}

bool context_load_sources(struct context *ctx, char **uris, char **globs, GError **error)
{
	g_autoptr(config_file) config = NULL;
	g_autoptr(GError) reason = NULL;

	if (uris || globs) {
		ctx->sources.libvirt_uris = uris ? g_strdupv(uris) : g_new0(char *, 1);
		ctx->sources.qmp_globs = globs ? g_strdupv(globs) : g_new0(char *, 1);
		return true;
	}
	config = config_load(NULL, &reason);
	if (!config) {
		g_propagate_error(error, reword_config_error(reason));
		return false;
	}
	if (config->sources.libvirt_uris) {
		ctx->sources = config->sources;
		config->sources = (struct hv_sources){ 0 };
	} else {
		ctx->sources = config_default_sources();
	}
	return true;
}

void context_clear(struct context *ctx)
{
	g_clear_pointer(&ctx->sources.libvirt_uris, g_strfreev);
	g_clear_pointer(&ctx->sources.qmp_globs, g_strfreev);
}

hv_guest *context_open_guest(struct context *ctx, const char *name, hv_info *info, int *code)
{
	g_autoptr(GError) error = NULL;
	hv_guest *guest = hv_find(&ctx->sources, name, hv_deadline_ms(CALL_MS), info, &error);

	ctx->guest_word = name;
	if (!guest)
		*code = cli_fail(ctx, error);
	return guest;
}
