/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A simulated guest with a balloon, in virtual time, for tests of who set its size.
 *
 * It does what QEMU and Linux do: the hypervisor keeps a target as an amount of balloon, which a
 * boot and memory hotplug leave alone; the driver fills or empties the balloon at its own pace; a
 * boot, a reload of the driver and a suspend empty it; the size that is reported is the one that
 * the driver last wrote.
 */
#ifndef TESTS_UNIT_BALLOON_MODEL_H
#define TESTS_UNIT_BALLOON_MODEL_H

#include <glib.h>
#include <stdbool.h>

#include "tests/unit/policy_world.h"

#define MODEL_TICK_US (G_USEC_PER_SEC / 10)

struct balloon_model {
	/* What kind of guest it is. */
	bool counts;	    /* it reports counters */
	bool deflates;	    /* deflate-on-oom */
	bool empties_early; /* a boot shows as an empty balloon before the driver is loaded */
	int64_t grain_kib;  /* it rounds its balloon to this */
	int64_t rate_kib;   /* per tick */

	int64_t max_kib, asked_kib, balloon_kib; /* the last two are amounts of balloon */
	int64_t reported_kib;			 /* the balloon that the driver last reported */
	bool paused, driver, refilling, rests;
	int64_t refill_kib;	       /* per tick, while it refills after a boot */
	int absent_ticks, still_ticks; /* until the driver is back; until it moves on */
	uint64_t faults, reported_faults;
	int64_t now_us, heard_us;
	int64_t moved_us; /* when it last moved, or could not */
};

/* A guest of a random kind that stands still; @dice decides. */
void balloon_model_init(struct balloon_model *model, struct dice *dice, int64_t now_us);

/* A tenth of a second passes. */
void balloon_model_tick(struct balloon_model *model, struct dice *dice);

/* It boots: no driver for @ticks, then it fills its balloon by @refill_kib per tick; with @rests it
 * pauses for 3 to 8 s every now and then.  A pause of the guest of less than 2 s, which cannot be
 * seen, may come on top, and the daemon waits 10 s. */
void balloon_model_boot(struct balloon_model *model, int ticks, int64_t refill_kib, bool rests);

/* The driver is unloaded and loaded again @ticks later. */
void balloon_model_reload(struct balloon_model *model, int ticks);

/* The hypervisor is asked for a size. */
void balloon_model_ask(struct balloon_model *model, int64_t size_kib);

/* The size that the hypervisor reports, and the one that was asked for. */
int64_t balloon_model_size(const struct balloon_model *model);
int64_t balloon_model_asked_size(const struct balloon_model *model);

/* Whether it has the size that was asked for. */
bool balloon_model_has_arrived(const struct balloon_model *model);

#endif
