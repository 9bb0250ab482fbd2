/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of aerostat simulate. */
#ifndef AEROSTAT_SIMULATE_H
#define AEROSTAT_SIMULATE_H

#include "aerostat/cli.h"
#include "recording/recording.h"
#include "simulator/contest.h"

/* What the command line asks for. */
struct simulate {
	GPtrArray *policies; /* const struct policy_ops * */
	unsigned int traces, seed, guests, seconds;
	const struct trace_shape *shape; /* NULL: all in turn */
	const char *plot_path;
	const char *record_path;
};

/* How all policies did: a score for each of them and each shape. */
struct results {
	const struct simulate *asked;
	size_t shapes;
	struct score *scores; /* policies × shapes */
};

/* simulate_table.c */
void results_print(const struct results *results);
void results_print_json(const struct results *results);

/*
 * simulate_plot.c: a picture of one run, drawn as SVG.  The values of all guests are added one
 * moment after the other.
 */
struct plot_point {
	double need, target, actual; /* bytes; NAN where not known */
	double stall;		     /* share of the time since the last point, 0…1 */
	bool killed;		     /* something was, since the last point */
};

struct plot {
	char *title;
	GArray *times;	   /* double, seconds */
	GArray *available; /* double, bytes, of the host */
	double host_bytes;
	guint count;
	double *sizes;	 /* of each guest, RAM at boot */
	GArray **guests; /* struct plot_point */
};

struct plot *plot_new(char *title, guint guests);
void plot_free(struct plot *plot);
/* With errno on failure. */
bool plot_write(const struct plot *plot, const char *path);
typedef struct plot plot_picture;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(plot_picture, plot_free)

/* simulate_replay.c: a recording, shown to each of the policies (NULL: the one it is of). */
int simulate_replay(struct context *ctx, const char *path, GPtrArray *policies);

#endif
