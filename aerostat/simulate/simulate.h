/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of aerostat simulate. */
#ifndef AEROSTAT_SIMULATE_H
#define AEROSTAT_SIMULATE_H

#include "aerostat/cli.h"
#include "recording/recording.h"
#include "simulator/contest.h"
#include "simulator/fleet.h"

/* What the command line asks for. */
struct simulate {
	GPtrArray *policies; /* const struct policy_ops * */
	unsigned int traces, seed, guests, seconds;
	const struct trace_shape *shape; /* NULL: all shapes in turn */
	const struct fleet *fleet;
	double slack; /* as in struct trace_plan */
	bool wide;
	const char *plot_path;
	const char *record_path;
};

/* How the policies did: a score for each policy and shape. */
struct results {
	const struct simulate *asked;
	size_t shapes;
	struct score *scores; /* policies × shapes */
};

/* simulate_table.c */
/* Prints the results as a table: a row for each figure, a column for each policy. */
void results_print(const struct results *results);
/* Prints them as JSON, with the figures of each shape as well. */
void results_print_json(const struct results *results);

/*
 * simulate_plot.c: a picture of one run as SVG.  The caller appends one value per step to times,
 * available and each of guests, and sets host_bytes and sizes.
 */
struct plot_point {
	double need, target, actual; /* bytes; NAN if not known */
	double stall;		     /* share of the time since the last point, from 0 to 1 */
	bool killed;		     /* a process was killed since the last point */
};

struct plot {
	char *title;
	GArray *times;	   /* double, seconds */
	GArray *available; /* double, bytes available on the host */
	double host_bytes;
	guint count;
	double *sizes;	 /* each guest's RAM at boot */
	GArray **guests; /* struct plot_point */
};

/* An empty plot; takes ownership of @title. */
struct plot *plot_new(char *title, guint guests);
/* NULL is fine. */
void plot_free(struct plot *plot);
/* Writes the picture to the file @path; false with errno on failure. */
bool plot_write(const struct plot *plot, const char *path);
typedef struct plot plot_picture;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(plot_picture, plot_free)

/*
 * simulate_replay - show the recording @path to each policy and print what they decide
 * @policies: const struct policy_ops *; if empty, the recording's own policy is added
 *
 * simulate_replay.c.  Returns the exit code: EXIT_REFUSED if the recording cannot be read, or if
 * its own policy decides differently now.
 */
int simulate_replay(struct context *ctx, const char *path, GPtrArray *policies);

#endif
