/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's thread: all that is asked of it and told to it.
 *
 * Theory of operation
 * -------------------
 * Calls of hypervisor.h block, so each guest has a thread of its own, and one that
 * is stuck holds up nobody.  The loop leaves a wish (a sample, a target) and goes on;
 * the thread does what is wished, the newest target only, and hands the answer to
 * the loop, where the callbacks run.  After reach_free() none runs any more: the thread
 * ends by itself as soon as its call has ended.
 *
 * Every number comes with the moment at which it was true.  A guest's own clock, and
 * the wall clock, are not believed: statistics are as old as the loop's monotonic clock says
 * since they were first seen to differ from the ones before.
 */
#ifndef AEROSTAT_REACH_H
#define AEROSTAT_REACH_H

#include "hypervisor/hypervisor.h"

/* How long one call may take. */
#define REACH_CALL_MS 2000
#define REACH_RELEASE_MS 8000
/* What seldom changes (hv_info, obstacles) is asked for anew after so long. */
#define REACH_INFO_US (5 * G_USEC_PER_SEC)
/* The period of statistics that a managed guest gets. */
#define REACH_PERIOD_S 1

/* What a guest told; the callback's for the time of the call. */
struct reach_sample {
	int64_t told_us;	    /* monotonic: when the answer was there */
	const GError *error;	    /* not NULL: it did not answer, and the rest is not set */
	const struct hv_info *info; /* of now or of at most REACH_INFO_US ago */
	enum hv_obstacle obstacle;
	struct hv_stats stats;
	int64_t stats_us;	    /* monotonic: when the guest answered; 0: never */
	int64_t heard_us;	    /* the same, of answers whose numbers could not be dated, too */
	uint64_t actual_then_bytes; /* its size when it answered; HV_UNSET */
	uint64_t resident_bytes;    /* hv_host_bytes(); HV_UNSET when the process is not here */
	double stall;		    /* of its process's cgroup, 0…1 */
	int before_period_s;	    /* of its statistics, when it was first asked; -1 not known */
};

struct reach_ops {
	void (*sampled)(void *data, const struct reach_sample *sample);
	/* A target was set, or (@error) could not be. */
	void (*was_set)(void *data, uint64_t target_bytes, const GError *error);
	/* The last call before the end, after reach_release(): how that went. */
	void (*released)(void *data, const GError *error);
};

struct reach;
/*
 * Takes over @guest and starts its thread.  Callbacks run in the default main context.
 * @manage: false for one that is only looked at: its statistics' period is left alone.
 */
struct reach *reach_new(hv_guest *guest, bool manage, const struct reach_ops *ops, void *data);
/* Wishes a sample; nothing when one is wished for already. */
void reach_ask(struct reach *reach);
/* Whether a sample or a target is still to come. */
bool reach_busy(const struct reach *reach);
/* Wishes a target. */
void reach_set(struct reach *reach, uint64_t target_bytes);
/* As @manage of reach_new(), from now on. */
void reach_manage(struct reach *reach, bool manage);
/*
 * Puts the guest back (put_back.h): its size unless HV_UNSET, its period unless negative.
 * Then released() is called.  Nothing else may be wished for afterwards.
 */
void reach_release(struct reach *reach, uint64_t before_bytes, int period_s);
void reach_free(struct reach *reach);

#endif
