/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/config_private.h"

#define EXCERPT_MAX 60 /* bytes */

G_DEFINE_QUARK(config - error, config_error)

bool config_set_error(GError **error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_propagate_error(
		error, g_error_new_valist(CONFIG_ERROR, CONFIG_ERROR_INVALID, format, arguments));
	va_end(arguments);
	return false;
}

char *config_excerpt(const char *text)
{
	const char *end = text;
	char *copy;

	while (*end && g_utf8_next_char(end) - text <= EXCERPT_MAX)
		end = g_utf8_next_char(end);
	copy = g_strdup_printf("%.*s%s", (int)(end - text), text, *end ? "…" : "");
	for (char *c = copy; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	return copy;
}
