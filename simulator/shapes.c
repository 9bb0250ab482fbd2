/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The shapes of traces.
 *
 * Theory of operation
 * -------------------
 * A shape is a function that fills in the guests' loads.  All are made of three functions:
 * set_base_load() sets a level for the whole time, add_ramp() adds a trapezoid of hot memory, and
 * add_burst() adds a ramp of some seconds and records it as a burst.  Most shapes end with
 * sprinkle_bursts(), which adds bursts to all guests that can balloon.  Fractions are of the RAM
 * at boot.
 */
#include "simulator/random.h"
#include "simulator/trace.h"

#define SECONDS(s) ((uint32_t)((s)*SIM_STEPS_PER_SECOND))

static uint32_t load_share(const struct trace_guest *guest, double part)
{
	return (uint32_t)(part * (double)(guest->boot_bytes >> 10));
}

static void set_base_load(struct trace *trace, uint32_t guest, double hot, double cold, double file,
			  uint32_t read_mib_s)
{
	struct trace_guest *one = &trace->guests[guest];
	struct trace_load load = {
		.hot_kib = load_share(one, hot),
		.cold_kib = load_share(one, cold),
		.file_kib = load_share(one, file),
		.read_kib = read_mib_s * 1024 / SIM_STEPS_PER_SECOND,
	};

	for (uint32_t step = 0; step < trace->steps; step++)
		one->loads[step] = load;
}

static void set_quiet_load(struct trace *trace, uint32_t guest, struct sim_random *random)
{
	double hot = sim_random_between(random, 0.06, 0.16);
	double cold = sim_random_between(random, 0.04, 0.14);
	double file = sim_random_between(random, 0.03, 0.10);

	set_base_load(trace, guest, hot, cold, file, sim_random_pick(random, 4));
}

/* Adds @part of hot memory from step @first to @last, rising and falling in @slope steps. */
static void add_ramp(struct trace *trace, uint32_t guest, uint32_t first, uint32_t last,
		     uint32_t slope, double part)
{
	struct trace_guest *one = &trace->guests[guest];
	double height = part * (double)(one->boot_bytes >> 10);
	uint32_t edge;

	for (uint32_t step = first; step <= last && step < trace->steps; step++) {
		edge = step - first < last - step ? step - first : last - step;
		one->loads[step].hot_kib +=
			(uint32_t)(edge < slope ? height * (edge + 1) / (slope + 1) : height);
	}
}

static void add_burst(struct trace *trace, uint32_t guest, uint32_t first, uint32_t last,
		      uint32_t slope, double part)
{
	add_ramp(trace, guest, first, last, slope, part);
	if (trace->burst_count < trace->burst_room && last < trace->steps)
		trace->bursts[trace->burst_count++] =
			(struct trace_burst){ .guest = guest, .first = first, .last = last };
}

/* Adds bursts of 2 to 8 s to one guest, about every @every_s seconds. */
static void add_burst_train(struct trace *trace, uint32_t guest, struct sim_random *random,
			    double every_s, double low, double high)
{
	uint32_t at = SECONDS(sim_random_between(random, 0.2, 1.2) * every_s), length;

	while (at + SECONDS(10) < trace->steps) {
		length = SECONDS(sim_random_between(random, 2, 8));
		add_burst(trace, guest, at, at + length,
			  SECONDS(sim_random_between(random, 0.3, 1.5)),
			  sim_random_between(random, low, high));
		at += length + SECONDS(5 + sim_random_between(random, 0.3, 1.7) * every_s);
	}
}

static bool can_balloon(const struct trace_guest *guest)
{
	return guest->fault != TRACE_DEAD_DRIVER;
}

static void sprinkle_bursts(struct trace *trace, struct sim_random *random)
{
	for (uint32_t i = 0; i < trace->count; i++)
		if (can_balloon(&trace->guests[i]))
			add_burst_train(trace, i, random, 60, 0.08, 0.30);
}

/* The host's other programs: a constant amount, and more of it in one phase. */
static void fill_others(struct trace *trace, struct sim_random *random)
{
	uint32_t always = (uint32_t)sim_random_between(random, 0.8, 1.6) * 1024 * 1024;
	uint32_t more = (uint32_t)(sim_random_between(random, 0, 0.8) * 1024 * 1024);
	uint32_t first = sim_random_pick(random, trace->steps);
	uint32_t last = first + SECONDS(sim_random_between(random, 10, 60));
	uint32_t slope = SECONDS(3), edge;

	for (uint32_t step = 0; step < trace->steps; step++) {
		trace->other_kib[step] = always;
		if (step < first || step > last)
			continue;
		edge = step - first < last - step ? step - first : last - step;
		trace->other_kib[step] +=
			(uint32_t)((uint64_t)more * (edge < slope ? edge : slope) / slope);
	}
}

static void fill_quiet_load(struct trace *trace, struct sim_random *random)
{
	fill_others(trace, random);
	for (uint32_t i = 0; i < trace->count; i++)
		set_quiet_load(trace, i, random);
}

static void fill_idle(struct trace *trace, struct sim_random *random)
{
	fill_quiet_load(trace, random);
	sprinkle_bursts(trace, random);
}

/* Each guest has one day, shifted against the others. */
static void fill_diurnal(struct trace *trace, struct sim_random *random)
{
	uint32_t day = trace->steps, half = day / 2, at;
	double height;

	fill_quiet_load(trace, random);
	for (uint32_t i = 0; i < trace->count; i++) {
		height = sim_random_between(random, 0.2, 0.5);
		at = (uint32_t)((uint64_t)i * day / trace->count);
		add_ramp(trace, i, at, at + half, half / 2, height);
		if (at + half > day) /* the end of the day before */
			for (uint32_t step = 0; step < at + half - day; step++)
				trace->guests[i].loads[step].hot_kib +=
					(uint32_t)((double)load_share(&trace->guests[i], height) *
						   (double)(at + half - day - step) / (double)half);
	}
	sprinkle_bursts(trace, random);
}

static void fill_phased(struct trace *trace, struct sim_random *random)
{
	uint32_t gap = trace->steps / (trace->count + 1), first;

	fill_quiet_load(trace, random);
	for (uint32_t i = 0; i < trace->count; i++) {
		first = gap * i + sim_random_pick(random, gap / 2 + 1) + SECONDS(5);
		add_ramp(trace, i, first, first + gap * 8 / 5,
			 SECONDS(sim_random_between(random, 1, 6)),
			 sim_random_between(random, 0.3, 0.6));
	}
	sprinkle_bursts(trace, random);
}

/* Compilers start and end every few seconds; the files they read stay hot during the job. */
static void add_build_job(struct trace *trace, uint32_t guest, struct sim_random *random,
			  uint32_t first, uint32_t last)
{
	struct trace_guest *one = &trace->guests[guest];
	double parallel = sim_random_between(random, 0.15, 0.45);

	for (uint32_t step = first; step < last && step < trace->steps; step++) {
		one->loads[step].file_kib += load_share(one, 0.08);
		one->loads[step].read_kib += 8 * 1024;
	}
	for (uint32_t at = first; at < last; at += SECONDS(2))
		add_ramp(trace, guest, at, at + SECONDS(sim_random_between(random, 1.5, 4)),
			 SECONDS(0.4), parallel * sim_random_between(random, 0.3, 0.8));
}

static void fill_build(struct trace *trace, struct sim_random *random)
{
	uint32_t at, length;

	fill_quiet_load(trace, random);
	for (uint32_t i = 0; i < trace->count; i++) {
		at = SECONDS(sim_random_between(random, 2, 40));
		while (at < trace->steps) {
			length = SECONDS(sim_random_between(random, 15, 40));
			add_build_job(trace, i, random, at, at + length);
			at += length + SECONDS(sim_random_between(random, 15, 60));
		}
	}
	sprinkle_bursts(trace, random);
}

static void fill_bursts(struct trace *trace, struct sim_random *random)
{
	fill_quiet_load(trace, random);
	for (uint32_t i = 0; i < trace->count; i++)
		add_burst_train(trace, i, random, 22, 0.15, 0.5);
}

/* Half of the guests use page cache; the others hold cold memory, and later need more. */
static void fill_cache(struct trace *trace, struct sim_random *random)
{
	uint32_t first;

	fill_others(trace, random);
	for (uint32_t i = 0; i < trace->count; i++) {
		if (i % 2 == 0) {
			set_base_load(trace, i, 0.08, 0.04, sim_random_between(random, 0.3, 0.5),
				      20);
			continue;
		}
		set_base_load(trace, i, 0.06, sim_random_between(random, 0.35, 0.55), 0.03, 1);
		first = trace->steps / 3 + sim_random_pick(random, trace->steps / 3);
		add_ramp(trace, i, first, first + SECONDS(40), SECONDS(3), 0.2);
	}
	sprinkle_bursts(trace, random);
}

static void fill_leak(struct trace *trace, struct sim_random *random)
{
	struct trace_guest *leaking = &trace->guests[0];
	uint32_t first = trace->steps / 10;
	double total;

	fill_quiet_load(trace, random);
	leaking->leaks = true;
	total = (double)(leaking->boot_bytes >> 10) * sim_random_between(random, 0.5, 1.1);
	for (uint32_t step = first; step < trace->steps; step++)
		leaking->loads[step].cold_kib +=
			(uint32_t)(total * (double)(step - first) / (double)(trace->steps - first));
	for (uint32_t i = 1; i < trace->count; i++)
		add_burst_train(trace, i, random, 40, 0.15, 0.4);
	sprinkle_bursts(trace, random);
}

/* The first guest gets @fault early on, while the others have ramps and bursts. */
static void fill_fault(struct trace *trace, struct sim_random *random, enum trace_fault fault)
{
	uint32_t first;

	fill_quiet_load(trace, random);
	trace->guests[0].fault = fault;
	trace->guests[0].fault_step =
		(uint32_t)(sim_random_between(random, 0.05, 0.3) * trace->steps);
	for (uint32_t i = 1; i < trace->count; i++) {
		first = sim_random_pick(random, trace->steps);
		add_ramp(trace, i, first, first + trace->steps / 4, SECONDS(4),
			 sim_random_between(random, 0.2, 0.4));
		add_burst_train(trace, i, random, 40, 0.1, 0.35);
	}
	sprinkle_bursts(trace, random);
}

static void fill_dead(struct trace *trace, struct sim_random *random)
{
	fill_fault(trace, random, TRACE_DEAD_DRIVER);
}

static void fill_frozen(struct trace *trace, struct sim_random *random)
{
	fill_fault(trace, random, TRACE_FROZEN_STATS);
}

static void fill_liar(struct trace *trace, struct sim_random *random)
{
	fill_fault(trace, random,
		   sim_random_chance(random, 0.7) ? TRACE_POOR_LIAR : TRACE_RICH_LIAR);
}

/* About every half minute all guests need more at once, as after an hourly job or a lost link. */
static void fill_herd(struct trace *trace, struct sim_random *random)
{
	uint32_t at = SECONDS(sim_random_between(random, 5, 30)), first, length;

	fill_quiet_load(trace, random);
	while (at + SECONDS(15) < trace->steps) {
		for (uint32_t i = 0; i < trace->count; i++) {
			first = at + SECONDS(sim_random_between(random, 0, 1));
			length = SECONDS(sim_random_between(random, 3, 8));
			add_burst(trace, i, first, first + length, SECONDS(0.5),
				  sim_random_between(random, 0.1, 0.4));
		}
		at += SECONDS(sim_random_between(random, 15, 45));
	}
}

const struct trace_shape trace_shapes[] = {
	{ "idle", "hardly anything happens", fill_idle },
	{ "diurnal", "each guest has its day, at its own hours", fill_diurnal },
	{ "phased", "guests start their work one after another", fill_phased },
	{ "build", "jobs of parallel compilers, and pauses", fill_build },
	{ "bursts", "much memory for a few seconds, often", fill_bursts },
	{ "cache", "page cache in use against memory that is held and not touched", fill_cache },
	{ "leak", "one guest leaks", fill_leak },
	{ "dead", "one guest's balloon driver hangs", fill_dead },
	{ "frozen", "one guest's statistics stay as they are", fill_frozen },
	{ "liar", "one guest's statistics are forged", fill_liar },
	{ "herd", "all guests burst in the same seconds", fill_herd },
	{ NULL, NULL, NULL },
};
