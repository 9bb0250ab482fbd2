/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Showing what aerostatd answered to people: texts, table cells and colours.
 *
 * Names and texts come from guests and from whoever listens on the socket, so they go to a
 * terminal only through plain_text().
 */
#ifndef AEROSTAT_DAEMON_TEXT_H
#define AEROSTAT_DAEMON_TEXT_H

#include "api_client/answers.h"

/* "512 MiB", or "-" for HV_UNSET; free it. */
char *format_size_cell(uint64_t bytes);
/* "3 s", "17 min", "5 h", "2 d", rounded down; free it. */
char *format_duration(uint64_t us);
/* Microseconds since the epoch as "2026-11-28 04:02:55", local time; free it. */
char *format_local_time(int64_t real_us);
/* What a guest is called (its label), printable; free it. */
char *format_guest_name(const struct daemon_guest *guest);

/* Whether a guest's statistics are too old for the policy (SAMPLE_AGE_MAX_US), or never came. */
bool are_stats_stale(const struct daemon_guest *guest);

enum shade { SHADE_NONE, SHADE_TITLE, SHADE_WARN, SHADE_BAD };
/* Whether standard output is a terminal that shows colours, and NO_COLOR is not set. */
bool wants_colour(void);
/*
 * print_shaded - print @text on standard output
 * @colour: of wants_colour(); without it @shade has no effect
 * @width: characters to pad it to: on the left, or on the right if negative
 */
void print_shaded(bool colour, enum shade shade, int width, const char *text);

/* What a guest with these @abilities (enum hv_ability) does by itself, in words; "": nothing. */
char *format_abilities(unsigned int abilities);

#endif
