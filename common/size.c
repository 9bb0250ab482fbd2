/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/size.h"

G_DEFINE_QUARK(size - error, size_error)

static int size_error_code(enum size_fault fault)
{
	if (fault == SIZE_NEGATIVE)
		return SIZE_ERROR_NEGATIVE;
	return fault == SIZE_TOO_LARGE ? SIZE_ERROR_OVERFLOW : SIZE_ERROR_MALFORMED;
}

bool size_parse(const char *text, uint64_t *bytes, GError **error)
{
	g_autofree char *stripped = g_strstrip(g_strdup(text));
	g_autofree char *shown = g_strescape(stripped, NULL);
	g_autofree char *shown_unit = g_strdup("");
	const char *unit = NULL;
	enum size_fault fault = size_read(stripped, bytes, &unit);

	if (fault == SIZE_OK)
		return true;
	if (fault == SIZE_UNKNOWN_UNIT) {
		g_autofree char *escaped = g_strescape(unit, NULL);

		g_free(shown_unit);
		shown_unit = g_strdup_printf(" '%s'", escaped);
	}
	g_set_error(error, SIZE_ERROR, size_error_code(fault), "size '%s' %s%s%s", shown,
		    size_fault_text(fault), shown_unit,
		    fault == SIZE_TOO_LARGE ? "" : "; write it like " SIZE_FORMS);
	return false;
}

uint64_t size_difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

char *size_format(uint64_t bytes)
{
	char text[SIZE_TEXT_MAX];

	size_write(bytes, text);
	return g_strdup(text);
}

char *size_format_change(int64_t bytes)
{
	g_autofree char *size = size_format(bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes);

	return g_strdup_printf("%s%s", bytes > 0 ? "+" : bytes < 0 ? "-" : "", size);
}
