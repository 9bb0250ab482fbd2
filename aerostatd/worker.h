/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's worker: the thread that makes all calls to one guest.
 *
 * Theory of operation
 * -------------------
 * Calls of hypervisor.h block, so each guest has a thread of its own, and one that is stuck
 * delays no other.  The main loop leaves a request (a sample, a target) and goes on.  The thread
 * serves it, of several targets only the newest, and posts the reply to the main loop, where the
 * callbacks run.  After worker_free() none runs any more; the thread ends by itself as soon as
 * its call has returned.
 *
 * Every number comes with the time at which it was true.  Neither the guest's clock nor the wall
 * clock is trusted: the age of statistics is measured on the host's monotonic clock, from the
 * moment when they were first seen to differ from the ones before.
 *
 * All functions are for the thread of the default main context.
 */
#ifndef AEROSTATD_WORKER_H
#define AEROSTATD_WORKER_H

#include "aerostatd/restore.h"
#include "aerostatd/state_file.h"
#include "hypervisor/hypervisor.h"

/* How long the calls for one request may take. */
#define WORKER_CALL_MS 2000
#define WORKER_RESTORE_MS 8000
/* What seldom changes (hv_info, obstacles) is read again after this time. */
#define WORKER_INFO_US (5 * G_USEC_PER_SEC)

/* What a guest answered; valid during the callback. */
struct worker_sample {
	int64_t answered_us;	    /* monotonic: when the answer arrived */
	const GError *error;	    /* set: it did not answer, and the rest is not set */
	const struct hv_info *info; /* read now, or at most WORKER_INFO_US ago */
	int64_t info_us;	    /* monotonic: when it was read, except for the size */
	enum hv_obstacle obstacle;
	struct hv_stats stats;
	int64_t stats_us; /* monotonic: when the statistics were true; 0: there are none */
	int64_t heard_us; /* the same, including statistics that could not be dated */
	uint64_t actual_then_bytes; /* its size at stats_us; HV_UNSET */
	uint64_t resident_bytes;    /* hv_host_cost(); HV_UNSET if its process is not here */
	uint64_t ram_bytes;	    /* the part of it that is the guest's RAM; HV_UNSET */
	double stall;		    /* of its process's cgroup, 0…1 */
	int before_period_s; /* of its statistics before it was set; -1: unknown, or not set */
	const char *note;    /* what it had when first asked, hv_guest_note_get(); or NULL */
};

struct worker_ops {
	void (*sampled)(void *data, const struct worker_sample *sample);
	/* The hypervisor took a target, or with @error did not. */
	void (*target_set)(void *data, uint64_t target_bytes, const GError *error);
	/* The reply to worker_request_restore(); @error is set with RESTORE_FAILED and
	 * RESTORE_MOVING. */
	void (*restored)(void *data, enum restore_outcome outcome, const GError *error);
};

struct worker;

/*
 * worker_new - start the thread of a guest
 * @guest: owned by the worker from now on, and closed if there is none
 * @manage: see worker_set_managed()
 * @ops: called in the default main context with @data
 */
struct worker *worker_new(hv_guest *guest, bool manage, const struct worker_ops *ops, void *data,
			  GError **error);

/* Requests a sample, unless one is requested already. */
void worker_request_sample(struct worker *worker);

/* Requests a target; one that was requested before and not yet set is replaced. */
void worker_request_target(struct worker *worker, uint64_t target_bytes);

/* Requests a credit, hv_guest_credit_set(), in place of one that is not yet set.  There is no
 * reply: the gate opens by itself soon after credits fail. */
void worker_request_credit(struct worker *worker, uint64_t credit_bytes, uint64_t ceiling_bytes);

/* Requests a trim, hv_guest_trim(), in place of one that was not yet asked for.  No reply. */
void worker_request_trim(struct worker *worker, uint64_t bytes);

/*
 * worker_request_restore - restore the guest as it was saved (restore.h)
 * @saved: copied
 *
 * Whatever was requested before and is not yet served is dropped, and until the reply no other
 * request may follow.  The gate is opened first, if this worker has bounded the guest.
 * worker_free() cancels the request.
 */
void worker_request_restore(struct worker *worker, const struct saved_guest *saved);

/* Ends the restore early: the reply comes as soon as the call in flight has returned. */
void worker_cancel_restore(struct worker *worker);

/*
 * worker_request_note - leave a note with the guest, hv_guest_note_set()
 * @note: NULL for none; copied
 *
 * Served before a target that is requested later.  There is no reply: a note that cannot be left is
 * logged once per guest, and tried again with the next sample unless it was refused.
 */
void worker_request_note(struct worker *worker, const char *note);

/* From now on replies go to @ops with @data.  Those of @ops that are NULL are dropped. */
void worker_redirect(struct worker *worker, const struct worker_ops *ops, void *data);

/* Whether the reply to a sample or a target is still to come. */
bool worker_is_busy(const struct worker *worker);

/* Whether the reply to a target is still to come. */
bool worker_is_setting(const struct worker *worker);

/* Whether samples set the guest's statistics period to MANAGED_STATS_PERIOD_S. */
void worker_set_managed(struct worker *worker, bool manage);

/* @worker may be NULL. */
void worker_free(struct worker *worker);

#endif
