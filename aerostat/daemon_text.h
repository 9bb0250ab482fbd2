/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Showing what aerostatd said: its JSON read with care, and words, cells and colours for people.
 *
 * Names and texts are those of guests and of whoever answers on the socket: they go to a terminal
 * only through plain_text().
 */
#ifndef AEROSTAT_DAEMON_TEXT_H
#define AEROSTAT_DAEMON_TEXT_H

#include "aerostat/cli.h"

/* Members of a JSON object; what is missing or of another kind is HV_UNSET, 0, "" or false. */
uint64_t answer_bytes(const json_t *object, const char *key);
double answer_number(const json_t *object, const char *key);
const char *answer_text(const json_t *object, const char *key);
bool answer_true(const json_t *object, const char *key);

/* @text without what could steer a terminal.  The caller frees, as all texts below. */
char *plain_text(const char *text);
/* "512 MiB", or "-" for HV_UNSET. */
char *size_cell(uint64_t bytes);
/* "3 s", "17 min", "5 h", "2 d". */
char *duration_text(int64_t us);
/* "2026-11-28 04:02:55", local time. */
char *time_text(int64_t real_us);

/* Statistics older than that are not believed (policy: 5 s at a period of 1 s). */
#define STATS_STALE_US (5 * G_USEC_PER_SEC)
/* Whether @guest's statistics are too old, or were never there. */
bool stats_stale(const json_t *guest);

enum shade { SHADE_NONE, SHADE_TITLE, SHADE_GOOD, SHADE_WARN, SHADE_BAD };
/* Whether standard output is a terminal that wants colours (NO_COLOR: it does not). */
bool paint_wanted(void);
/* Prints @text in @shade if @paint, padded to @width characters; negative: to the left. */
void paint_print(bool paint, enum shade shade, int width, const char *text);

#endif
