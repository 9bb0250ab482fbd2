/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/plain_text.h"

#include <stdbool.h>
#include <string.h>

#define ESCAPE_LENGTH 4 /* of \xNN */

static bool is_lower_hex_digit(char c)
{
	return g_ascii_isdigit(c) || (c >= 'a' && c <= 'f');
}

static bool is_byte_escape(const char *text)
{
	return text[0] == '\\' && text[1] == 'x' && is_lower_hex_digit(text[2]) &&
	       is_lower_hex_digit(text[3]);
}

static bool is_printable_character(gunichar c)
{
	switch ((int)g_unichar_type(c)) {
	case G_UNICODE_CONTROL:
	case G_UNICODE_FORMAT:
	case G_UNICODE_LINE_SEPARATOR:
	case G_UNICODE_PARAGRAPH_SEPARATOR:
	case G_UNICODE_SURROGATE:
		return false;
	default:
		return true;
	}
}

/* The bytes of @text's first character if it is printable; otherwise 0. */
static size_t measure_printable(const char *text)
{
	gunichar c = g_utf8_get_char_validated(text, -1);

	if (c == (gunichar)-1 || c == (gunichar)-2 || !is_printable_character(c))
		return 0;
	return (size_t)(g_utf8_next_char(text) - text);
}

static char *escape_text(const char *text, bool with_backslashes)
{
	GString *plain = g_string_new(NULL);

	while (*text) {
		size_t length = measure_printable(text);

		if (with_backslashes && is_byte_escape(text))
			length = 0;
		if (length)
			g_string_append_len(plain, text, (gssize)length);
		else
			g_string_append_printf(plain, "\\x%02x", (unsigned char)*text);
		text += MAX(length, 1);
	}
	return g_string_free(plain, FALSE);
}

char *plain_text(const char *text)
{
	return escape_text(text, false);
}

char *plain_name(const char *name)
{
	return escape_text(name, true);
}

char *plain_name_decode(const char *text)
{
	GString *name = g_string_new(NULL);

	while (*text) {
		if (is_byte_escape(text) && strncmp(text, "\\x00", ESCAPE_LENGTH) != 0) {
			g_string_append_c(name, (char)(g_ascii_xdigit_value(text[2]) * 16 +
						       g_ascii_xdigit_value(text[3])));
			text += ESCAPE_LENGTH;
		} else {
			g_string_append_c(name, *text++);
		}
	}
	return g_string_free(name, FALSE);
}
