/* SPDX-License-Identifier: BSD-3-Clause */
/* A bar on a terminal, a line now and then elsewhere; always on stderr. */
#ifndef AEROSTAT_PROGRESS_H
#define AEROSTAT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "aerostat/await.h"

struct progress {
	bool silent;
	bool terminal;
	int64_t next_us; /* not shown again before */
};

void progress_start(struct progress *progress, bool silent);
void progress_show(struct progress *progress, const char *guest, const struct await *await,
		   int64_t now_us);
/* Leaves the line clean for what comes next. */
void progress_end(struct progress *progress);

#endif
