/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/progress.h"

#include <glib.h>
#include <stdio.h>
#include <unistd.h>

#include "common/size.h"

#define BAR_WIDTH 24
#define TERMINAL_INTERVAL_US 100000
#define LINE_INTERVAL_US 5000000
#define CLEAR_LINE "\r\033[K"

void progress_start(struct progress *progress, bool silent)
{
	*progress = (struct progress){ .silent = silent, .terminal = isatty(STDERR_FILENO) };
}

static void draw_bar(const char *guest, const struct await *await, double seconds)
{
	g_autofree char *actual = size_format(await->actual_bytes);
	g_autofree char *target = size_format(await->target_bytes);
	double fraction = await_fraction(await);
	char bar[BAR_WIDTH + 1];

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < (int)(fraction * BAR_WIDTH) ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, CLEAR_LINE "%s [%s] %3.0f%%  %s, going to %s  %.1f s", guest, bar,
		fraction * 100, actual, target, seconds);
	fflush(stderr);
}

static void print_line(const char *guest, const struct await *await, double seconds)
{
	g_autofree char *actual = size_format(await->actual_bytes);
	g_autofree char *target = size_format(await->target_bytes);

	fprintf(stderr, "%s: %s, going to %s, after %.0f s\n", guest, actual, target, seconds);
}

void progress_show(struct progress *progress, const char *guest, const struct await *await,
		   int64_t now_us)
{
	double seconds = (double)(now_us - await->started_us) / 1e6;

	if (progress->silent || now_us < progress->next_us)
		return;
	/* Off a terminal, quick work needs no report of its progress. */
	if (progress->terminal)
		draw_bar(guest, await, seconds);
	else if (progress->next_us)
		print_line(guest, await, seconds);
	progress->next_us = now_us + (progress->terminal ? TERMINAL_INTERVAL_US : LINE_INTERVAL_US);
}

void progress_end(struct progress *progress)
{
	if (!progress->silent && progress->terminal)
		fputs(CLEAR_LINE, stderr);
}
