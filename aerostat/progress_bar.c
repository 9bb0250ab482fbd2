/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/progress_bar.h"

#include <glib.h>
#include <stdio.h>
#include <unistd.h>

#include "common/size.h"

#define BAR_WIDTH 24
#define TERMINAL_INTERVAL_US 100000
#define LINE_INTERVAL_US 5000000
#define CLEAR_LINE "\r\033[K"

void progress_bar_start(struct progress_bar *progress, bool silent)
{
	*progress = (struct progress_bar){ .silent = silent, .terminal = isatty(STDERR_FILENO) };
}

static void draw_progress_bar(const char *title, const struct balloon_wait *wait, double seconds)
{
	g_autofree char *actual = size_format(wait->actual_bytes);
	g_autofree char *target = size_format(wait->target_bytes);
	double fraction = balloon_wait_fraction(wait);
	char bar[BAR_WIDTH + 1];

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < (int)(fraction * BAR_WIDTH) ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, CLEAR_LINE "%s [%s] %3.0f%%  %s, going to %s  %.1f s", title, bar,
		fraction * 100, actual, target, seconds);
	fflush(stderr);
}

static void print_progress_line(const char *title, const struct balloon_wait *wait, double seconds)
{
	g_autofree char *actual = size_format(wait->actual_bytes);
	g_autofree char *target = size_format(wait->target_bytes);

	fprintf(stderr, "%s: %s, going to %s, after %.0f s\n", title, actual, target, seconds);
}

void progress_bar_update(struct progress_bar *progress, const char *title,
			 const struct balloon_wait *wait, int64_t now_us)
{
	double seconds = (double)(now_us - wait->started_us) / 1e6;

	if (progress->silent || now_us < progress->next_us)
		return;
	/* Without a terminal nothing is printed for a wait that is over soon. */
	if (progress->terminal)
		draw_progress_bar(title, wait, seconds);
	else if (progress->next_us)
		print_progress_line(title, wait, seconds);
	progress->next_us = now_us + (progress->terminal ? TERMINAL_INTERVAL_US : LINE_INTERVAL_US);
}

void progress_bar_announce(struct progress_bar *progress, const char *title, const char *text)
{
	if (!progress->silent)
		fprintf(stderr, "%s%s: %s\n", progress->terminal ? CLEAR_LINE : "", title, text);
}

void progress_bar_clear(struct progress_bar *progress)
{
	if (!progress->silent && progress->terminal)
		fputs(CLEAR_LINE, stderr);
}
