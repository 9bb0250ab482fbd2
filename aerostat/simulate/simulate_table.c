/* SPDX-License-Identifier: BSD-3-Clause */
/* The table that compares policies, and the same as JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "aerostat/simulate/simulate.h"

#define MIB 1048576.0
#define GIB (1024 * MIB)

struct figure {
	const char *key;   /* in JSON */
	const char *title; /* in the table */
	int decimals;
	double (*value)(const struct score *score);
};

static double oom_kills(const struct score *score)
{
	return (double)score->oom_kills;
}

static double guests_lost(const struct score *score)
{
	return (double)score->guests_lost;
}

static double psi_full_s(const struct score *score)
{
	return score->full_s;
}

static double psi_some_s(const struct score *score)
{
	return score->some_s;
}

static double major_faults(const struct score *score)
{
	return (double)score->major_faults;
}

static double swap_gib(const struct score *score)
{
	return (double)score->swap_bytes / GIB;
}

static double relief_p50_s(const struct score *score)
{
	return score_relief_s(score, 50);
}

static double relief_p99_s(const struct score *score)
{
	return score_relief_s(score, 99);
}

static double unrelieved_percent(const struct score *score)
{
	return score->bursts ? 100.0 * score->unrelieved / score->bursts : 0;
}

static double host_min_mib(const struct score *score)
{
	return score->traces ? (double)score->min_available_bytes / MIB : NAN;
}

static double host_swap_mib(const struct score *score)
{
	return (double)score->host_swap_peak_bytes / MIB;
}

static double operations(const struct score *score)
{
	return (double)score->operations;
}

static double host_full_s(const struct score *score)
{
	return score->host_s;
}

static double spare_percent(const struct score *score)
{
	return 100 * score_spare(score);
}

static double pulled_gib(const struct score *score)
{
	return (double)score->pulled_bytes / GIB;
}

static double trimmed_gib(const struct score *score)
{
	return (double)score->trimmed_bytes / GIB;
}

static double unfair_percent(const struct score *score)
{
	return 100 * score_unfairness(score);
}

static const struct figure figures[] = {
	{ "oom_kills", "processes killed in guests", 0, oom_kills },
	{ "guests_lost", "guests killed by the host", 0, guests_lost },
	{ "psi_full_s", "stalled, PSI full, s", 1, psi_full_s },
	{ "host_full_s", "of that, by the host, s", 1, host_full_s },
	{ "psi_some_s", "stalled, PSI some, s", 1, psi_some_s },
	{ "major_faults", "major faults", 0, major_faults },
	{ "swap_gib", "swapped in and out, GiB", 1, swap_gib },
	{ "relief_p50_s", "burst to relief, median, s", 1, relief_p50_s },
	{ "relief_p99_s", "burst to relief, p99, s", 1, relief_p99_s },
	{ "unrelieved_percent", "bursts never relieved, %", 1, unrelieved_percent },
	{ "host_min_mib", "least available on the host, MiB", 0, host_min_mib },
	{ "host_swap_mib", "most swapped by the host, MiB", 0, host_swap_mib },
	{ "spare_percent", "spare, % of all guests' RAM", 1, spare_percent },
	{ "pulled_gib", "taken back by guests, GiB", 1, pulled_gib },
	{ "trimmed_gib", "cache trimmed, GiB", 1, trimmed_gib },
	{ "returned_gib_h", "returned, GiB·h", 2, score_returned_gib_h },
	{ "operations", "targets set", 0, operations },
	{ "unfair_percent", "unfairness, %", 2, unfair_percent },
};

static const struct policy_ops *policy_at(const struct results *results, guint i)
{
	return g_ptr_array_index(results->asked->policies, i);
}

static void sum_of(const struct results *results, guint policy, struct score *sum)
{
	score_init(sum);
	for (size_t i = 0; i < results->shapes; i++)
		score_add(sum, &results->scores[policy * results->shapes + i]);
}

static struct score *sums_of(const struct results *results)
{
	struct score *sums = g_new(struct score, results->asked->policies->len);

	for (guint i = 0; i < results->asked->policies->len; i++)
		sum_of(results, i, &sums[i]);
	return sums;
}

static void print_table_head(const struct results *results)
{
	const struct simulate *asked = results->asked;

	printf("%u trace%s of %s, %u guest%s, %u s each; seeds %u to %u; fleet %s\n\n",
	       asked->traces, asked->traces == 1 ? "" : "s",
	       asked->shape ? asked->shape->name : "all shapes in turn", asked->guests,
	       asked->guests == 1 ? "" : "s", asked->seconds, asked->seed,
	       asked->seed + asked->traces - 1, asked->fleet->name);
	printf("%-33s", "");
	for (guint i = 0; i < asked->policies->len; i++)
		printf(" %11s", policy_at(results, i)->name);
	putchar('\n');
}

/* Padded by hand: printf counts bytes, but a character may have several. */
static void print_row_title(const char *title)
{
	printf("%s%*s", title, 33 - (int)g_utf8_strlen(title, -1), "");
}

static void print_figure_row(const struct figure *figure, const struct score *sums, guint count)
{
	print_row_title(figure->title);
	for (guint i = 0; i < count; i++)
		printf(" %11.*f", figure->decimals, figure->value(&sums[i]));
	putchar('\n');
}

void results_print(const struct results *results)
{
	g_autofree struct score *sums = sums_of(results);
	guint count = results->asked->policies->len;

	print_table_head(results);
	for (size_t i = 0; i < G_N_ELEMENTS(figures); i++)
		print_figure_row(&figures[i], sums, count);
}

static json_t *json_real_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *score_json(const struct score *score)
{
	json_t *object = json_object();

	json_object_set_new(object, "traces", json_integer(score->traces));
	for (size_t i = 0; i < G_N_ELEMENTS(figures); i++) {
		double value = figures[i].value(score);

		json_object_set_new(object, figures[i].key,
				    figures[i].decimals || !isfinite(value)
					    ? json_real_or_null(value)
					    : json_integer((json_int_t)value));
	}
	return object;
}

static json_t *shapes_json(const struct results *results, guint policy)
{
	json_t *object = json_object();

	for (size_t i = 0; i < results->shapes; i++) {
		const struct score *score = &results->scores[policy * results->shapes + i];

		if (score->traces)
			json_object_set_new(object, trace_shapes[i].name, score_json(score));
	}
	return object;
}

void results_print_json(const struct results *results)
{
	const struct simulate *asked = results->asked;
	g_autofree struct score *sums = sums_of(results);
	json_t *policies = json_array();

	for (guint i = 0; i < asked->policies->len; i++) {
		json_t *one = score_json(&sums[i]);

		json_object_set_new(one, "policy", json_string(policy_at(results, i)->name));
		json_object_set_new(one, "shapes", shapes_json(results, i));
		json_array_append_new(policies, one);
	}
	cli_print_json(json_pack("{s:i, s:i, s:i, s:i, s:s, s:f, s:b, s:o}", "traces",
				 (int)asked->traces, "seed", (int)asked->seed, "guests",
				 (int)asked->guests, "seconds", (int)asked->seconds, "fleet",
				 asked->fleet->name, "slack", asked->slack, "wide",
				 (int)asked->wide, "policies", policies));
}
