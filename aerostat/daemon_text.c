/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/daemon_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/size.h"

uint64_t answer_bytes(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return HV_UNSET;
	return (uint64_t)json_integer_value(value);
}

double answer_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

const char *answer_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

bool answer_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

char *plain_text(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *plain = g_string_new(NULL);

	for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		GUnicodeType type = g_unichar_type(c);
		bool steers = type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT ||
			      type == G_UNICODE_LINE_SEPARATOR ||
			      type == G_UNICODE_PARAGRAPH_SEPARATOR;

		g_string_append_unichar(plain, steers ? '?' : c);
	}
	return g_string_free(plain, FALSE);
}

char *size_cell(uint64_t bytes)
{
	return bytes == HV_UNSET ? g_strdup("-") : size_format(bytes);
}

char *duration_text(int64_t us)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} steps[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 } };
	int64_t seconds = us / G_USEC_PER_SEC;

	for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
		if (seconds >= 2 * steps[i].seconds)
			return g_strdup_printf("%" G_GINT64_FORMAT " %s",
					       seconds / steps[i].seconds, steps[i].unit);
	return g_strdup_printf("%" G_GINT64_FORMAT " s", seconds);
}

char *time_text(int64_t real_us)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(real_us / G_USEC_PER_SEC);

	return time ? g_date_time_format(time, "%F %T") : g_strdup("-");
}

bool stats_stale(const json_t *guest)
{
	uint64_t age = answer_bytes(json_object_get(guest, "stats"), "age_us");

	return age == HV_UNSET || age > STATS_STALE_US;
}

bool paint_wanted(void)
{
	const char *no_color = g_getenv("NO_COLOR");
	const char *terminal = g_getenv("TERM");

	return isatty(STDOUT_FILENO) && (!no_color || !*no_color) &&
	       g_strcmp0(terminal, "dumb") != 0;
}

void paint_print(bool paint, enum shade shade, int width, const char *text)
{
	static const char *const codes[] = {
		[SHADE_NONE] = "",	   [SHADE_TITLE] = "\033[1m",  [SHADE_GOOD] = "\033[32m",
		[SHADE_WARN] = "\033[33m", [SHADE_BAD] = "\033[1;31m",
	};
	int pad = MAX(abs(width) - (int)g_utf8_strlen(text, -1), 0);
	bool coloured = paint && shade != SHADE_NONE;

	printf("%*s%s%s%s%*s", width > 0 ? pad : 0, "", coloured ? codes[shade] : "", text,
	       coloured ? "\033[0m" : "", width < 0 ? pad : 0, "");
}
