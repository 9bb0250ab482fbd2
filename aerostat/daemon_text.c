/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/daemon_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/plain_text.h"
#include "common/size.h"
#include "policy/constants.h"

char *format_size_cell(uint64_t bytes)
{
	return bytes == HV_UNSET ? g_strdup("-") : size_format(bytes);
}

char *format_duration(uint64_t us)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 } };
	uint64_t seconds = us / G_USEC_PER_SEC;

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (seconds >= 2 * units[i].seconds)
			return g_strdup_printf("%" G_GUINT64_FORMAT " %s",
					       seconds / units[i].seconds, units[i].name);
	return g_strdup_printf("%" G_GUINT64_FORMAT " s", seconds);
}

char *format_local_time(int64_t real_us)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(real_us / G_USEC_PER_SEC);

	return time ? g_date_time_format(time, "%F %T") : g_strdup("-");
}

char *format_guest_name(const struct daemon_guest *guest)
{
	return plain_text(guest->label);
}

char *format_abilities(unsigned int abilities)
{
	static const struct {
		enum hv_ability ability;
		const char *text;
	} rows[] = {
		{ HV_CAN_REPORT, "returns what it frees" },
		{ HV_CAN_RELIEVE, "takes memory back instead of an OOM kill" },
		{ HV_CAN_PULL, "takes memory back before it swaps" },
		{ HV_CAN_TRIM, "gives up cache on request" },
		{ HV_CAN_GATE, "waits for credit" },
	};
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (abilities & rows[i].ability)
			g_string_append_printf(text, "%s%s", text->len ? ", " : "", rows[i].text);
	return g_string_free(text, FALSE);
}

bool are_stats_stale(const struct daemon_guest *guest)
{
	/* HV_UNSET is above any age. */
	return guest->stats.age_us > SAMPLE_AGE_MAX_US;
}

bool wants_colour(void)
{
	const char *no_color = g_getenv("NO_COLOR");
	const char *terminal = g_getenv("TERM");

	return isatty(STDOUT_FILENO) && (!no_color || !*no_color) &&
	       g_strcmp0(terminal, "dumb") != 0;
}

void print_shaded(bool colour, enum shade shade, int width, const char *text)
{
	static const char *const codes[] = {
		[SHADE_NONE] = "",
		[SHADE_TITLE] = "\033[1m",
		[SHADE_WARN] = "\033[33m",
		[SHADE_BAD] = "\033[1;31m",
	};
	int pad = MAX(abs(width) - (int)g_utf8_strlen(text, -1), 0);
	bool coloured = colour && shade != SHADE_NONE;

	printf("%*s%s%s%s%*s", width > 0 ? pad : 0, "", coloured ? codes[shade] : "", text,
	       coloured ? "\033[0m" : "", width < 0 ? pad : 0, "");
}
