/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Restoring one guest: its size and its statistics period become what they were before it was
 * managed.  Everything that does so uses this: the end of the daemon, a source that a reload
 * removed, the guardian after a crash, and "aerostatd --restore".
 *
 * The rule
 * --------
 * An attempt ends in one of four ways:
 *
 * DONE    The guest answers and is the guest that was saved, the hypervisor has taken its saved
 *         size as its target, and its size is within ARRIVED_BYTES of that, or beyond it in the
 *         direction in which it had to move.  Its statistics period was set, too.  A size that is
 *         near but not equal counts only once it stands still.
 * GONE    There is nothing to restore any more, and that is proven: the process that ran the
 *         guest has ended, another guest answers at its address, or the hypervisor says that no
 *         such guest is running and the process cannot be seen.  The end of its process proves
 *         nothing of a guest of libvirt, which may have been saved, until libvirt answers.
 * MOVING  The hypervisor has taken its saved size as its target, and the guest is still coming
 *         closer to that when the time is over.
 * FAILED  Everything else: the guest does not answer, it refuses, it stands still on its way, it
 *         needs more than its saved size now, or it could not be determined whether it is still
 *         running.
 *
 * A guest that was saved by libvirt, and runs again in another process, is still the guest that was
 * saved here: its note (state_file.h) proves it, and says what to restore.
 *
 * A guest that has ended is no failure, and neither is one that is moving.  A guest that failed or
 * is moving stays in the state file, so that the next daemon or the next --restore tries again.
 */
#ifndef AEROSTATD_RESTORE_H
#define AEROSTATD_RESTORE_H

#include "aerostatd/identity.h"
#include "aerostatd/state_file.h"
#include "hypervisor/hypervisor.h"

/* A size within this much of its target has arrived: drivers may work in huge pages. */
#define ARRIVED_BYTES (UINT64_C(4) << 20)

/* The statistics period that the daemon gives a guest while it manages it. */
#define MANAGED_STATS_PERIOD_S 1

enum restore_outcome {
	RESTORE_DONE,
	RESTORE_GONE,
	RESTORE_MOVING,
	RESTORE_FAILED,
};

/* What an attempt found out. */
struct restore_evidence {
	enum process_state process; /* of the process that ran the guest when it was saved */
	bool may_move;		    /* it may run in another process by now */
	enum {
		FOUND_UNKNOWN, /* no answer, or one that says nothing */
		FOUND_SAME,
		FOUND_ANOTHER, /* another guest answers */
		FOUND_NONE,    /* the hypervisor says that no such guest is running */
	} found;
	bool period_failed;    /* its statistics period had to be set, and could not be */
	bool resized;	       /* the daemon had changed its size, so that all below counts */
	uint64_t saved_bytes;  /* its size before it was managed */
	uint64_t from_bytes;   /* its size when the attempt began */
	uint64_t target_bytes; /* what the hypervisor took as its target; HV_UNSET: nothing */
	uint64_t actual_bytes; /* its size at last; HV_UNSET: unknown */
	bool moving;	       /* when the time was over, it was still coming closer */
};
/* Applies the rule above. */
enum restore_outcome restore_judge(const struct restore_evidence *evidence);

/*
 * restore_guest - restore one guest and wait until it has its size
 * @guest: used by no other thread meanwhile
 * @saved: how it was; its size is restored if @saved->changed, its period if it is known
 * @deadline: g_get_monotonic_time(); the call may take a second longer
 * @cancelled: the attempt fails as soon as this is set, by another thread; may be NULL
 * @error: with RESTORE_FAILED and RESTORE_MOVING the reason, otherwise left alone
 *
 * A guest that had less before gives back only what it reports that it can spare, and nothing
 * if its statistics are too old; taking more would kill processes in it.
 */
enum restore_outcome restore_guest(hv_guest *guest, const struct saved_guest *saved,
				   int64_t deadline, const gint *cancelled, GError **error);

/* Opens the guest of an entry where it was seen last, without I/O. */
hv_guest *restore_open_guest(const struct saved_guest *saved);

/*
 * restore_make_note - the note that a guest with this entry is to have (hv_guest_note_set())
 *
 * NULL: none, as restore_entry_counts() says no.
 */
char *restore_make_note(const struct saved_guest *saved);

/* Whether there is anything to restore: a size that the daemon has changed, or a statistics period
 * that was not the daemon's own. */
bool restore_is_needed(const struct saved_guest *saved);

/* Whether the state file needs an entry: something has to be restored, or a person chose its mode,
 * or its own size is known. */
bool restore_entry_counts(const struct saved_guest *saved);

/*
 * restore_update_entry - change an entry of the state file according to an outcome
 *
 * Returns whether the file still needs it, restore_entry_counts(): to try again, or because a
 * person chose a mode or the size of a guest that still runs.
 */
bool restore_update_entry(struct saved_guest *saved, enum restore_outcome outcome);

/* Logs the outcome for one guest. */
void restore_log_outcome(const struct saved_guest *saved, enum restore_outcome outcome,
			 const GError *error);

#endif
