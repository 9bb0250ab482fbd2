/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Progress of a wait on stderr: a bar if that is a terminal, otherwise a line every few seconds.
 */
#ifndef AEROSTAT_PROGRESS_BAR_H
#define AEROSTAT_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "resize/balloon_wait.h"

struct progress_bar {
	bool silent;
	bool terminal;
	int64_t next_us; /* not printed again before this time */
};

/* @silent: print nothing at all. */
void progress_bar_start(struct progress_bar *progress, bool silent);
/* Prints how far @wait is, for the guest (or whatever else is waited for) called @title. */
void progress_bar_update(struct progress_bar *progress, const char *title,
			 const struct balloon_wait *wait, int64_t now_us);
/* Prints a line of text about @title, which is waited for. */
void progress_bar_announce(struct progress_bar *progress, const char *title, const char *text);
/* Removes the bar, so that the next output starts on an empty line. */
void progress_bar_clear(struct progress_bar *progress);

#endif
