/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What aerostatd does: it watches host and guests, lets the policy decide, does what
 * was decided, and can say why.
 *
 * Theory of operation
 * -------------------
 * One loop.  Every second (sooner when the host's PSI trigger fires or the policy asks)
 * a round: every guest is asked for a sample by its own thread (reach.h); when all have
 * answered, or ROUND_WAIT_US later, the policy is shown what is known, each number with
 * its age, and each target that it changes is passed on to the guest's thread.  A guest that
 * does not answer is shown as not reachable, and left alone until it does.
 *
 * Guests come and go by themselves (roster.h).  A guest is managed from its first answer
 * on: how it was before is written down first (keep.h), so that it can be put back when
 * the daemon ends, in whatever way (guardian.h).
 *
 * People win over the policy: a size set by `aerostat setmem` holds until `aerostat auto`.
 * So does one set past us, by virsh for example, which is seen by a guest that moves away
 * from our target by itself.
 *
 * All of this is used by the thread of the default main context alone.  Sizes are
 * bytes; HV_UNSET and POLICY_UNSET, which are one, mean: not known.
 */
#ifndef AEROSTAT_MANAGER_H
#define AEROSTAT_MANAGER_H

#include "aerostatd/events.h"
#include "config/config.h"
#include "hypervisor/hypervisor.h"
#include "policy/policy.h"

#define ROUND_US G_USEC_PER_SEC
#define ROUND_WAIT_US (400 * 1000)
#define HISTORY_KEPT 32

#define MANAGER_ERROR manager_error_quark()
GQuark manager_error_quark(void);
enum manager_error {
	MANAGER_ERROR_NOT_FOUND, /* no such guest, reservation */
	MANAGER_ERROR_AMBIGUOUS, /* several guests of that name */
	MANAGER_ERROR_INVALID,	 /* the input makes no sense */
	MANAGER_ERROR_REFUSED,	 /* it does, but cannot be done now */
};

/* A decision that changed something, for `aerostat explain`. */
struct managed_past {
	int64_t time_us; /* g_get_real_time() */
	uint64_t actual_bytes, target_before_bytes;
	struct policy_decision decision;
};

/* One guest.  To be read by others, changed by manager.c and managed.c alone. */
struct managed {
	uint64_t id;
	char *source, *address; /* as hv_guest's */
	char *name;		/* what people call it */
	char *uuid;		/* NULL when unknown */
	pid_t pid;		/* 0 when unknown */
	enum hv_state state;
	enum hv_driver driver;
	enum hv_obstacle obstacle;
	int autodeflate; /* -1 unknown */
	bool has_balloon;
	bool met;		  /* it has answered once: all but the first line is known */
	char *problem;		  /* why it does not answer; NULL: it does */
	bool mode_by_person;	  /* rules.mode of @seen was chosen by a person */
	uint64_t held_bytes;	  /* POLICY_HELD: the size */
	uint64_t before_bytes;	  /* its size before it was managed */
	struct policy_guest seen; /* what the policy was shown last */
	struct hv_stats stats;
	struct policy_decision decision; /* the last; text "" before the first */
	GQueue history; /* struct managed_past *, the newest first, at most HISTORY_KEPT */
	uint64_t times_set, times_failed; /* targets since it was found */
	struct managed_private *private;
};

/* Memory promised to a guest that is about to start. */
struct reservation {
	uint64_t id;
	uint64_t bytes;
	uint64_t free_bytes; /* of it really free now */
	int64_t until_us;    /* g_get_monotonic_time() */
	char *note;	     /* who asked, what for; "" */
};

struct manager_status {
	const struct config *config;
	struct policy_host host;
	struct policy_outcome outcome;
	uint64_t rounds;
	int64_t started_us;	       /* real time */
	int64_t round_us;	       /* monotonic: the last round */
	int64_t late_us, late_max_us;  /* how late rounds began: the last, the worst */
	int64_t step_us;	       /* what the last policy step took */
	bool trigger;		       /* the host has a PSI trigger */
	const GPtrArray *guests;       /* struct managed *, sorted by name */
	const GPtrArray *reservations; /* struct reservation *, the oldest first */
	GHashTable *problems;	       /* source → text, of those that cannot be asked */
	struct events *events;
	bool recording;
};

struct manager_options {
	const char *config_path;	  /* NULL: the usual place */
	const struct hv_sources *sources; /* in place of those of the file; NULL */
	const char *folder;		  /* keep.h; locked by the caller */
	const char *proc;		  /* host.h */
};

struct manager;
struct manager *manager_new(const struct manager_options *options, GError **error);
const struct manager_status *manager_status(const struct manager *manager);
/* A guest by name, UUID or address; NULL with an error that lists those there are. */
const struct managed *manager_find(const struct manager *manager, const char *name, GError **error);
/*
 * manager_set_mode - what a person wants of a guest
 * @name: NULL for all guests
 * @mode: POLICY_AUTO takes back what a person said, so that the file's mode applies
 * @bytes: with POLICY_HELD; HV_UNSET for the size it has now
 */
bool manager_set_mode(struct manager *manager, const char *name, enum policy_mode mode,
		      uint64_t bytes, GError **error);
/*
 * manager_reserve - room for a guest about to start
 *
 * Refused when the present guests' demand leaves less.  The reservation counts
 * from the next round on; its free_bytes grow to bytes as others shrink.  It ends at its
 * time, or by manager_unreserve().
 */
const struct reservation *manager_reserve(struct manager *manager, uint64_t bytes,
					  unsigned int ttl_s, const char *note, GError **error);
bool manager_unreserve(struct manager *manager, uint64_t id, GError **error);
/* Reads the file again; refused whole when it is wrong. */
bool manager_reload(struct manager *manager, GError **error);
/*
 * manager_record - every step from now on, as lines of docs/recording.md
 *
 * The policy begins anew, so that a replay can decide the same: nobody is taken from for
 * half a minute.  One recording at a time.  NULL @line ends it.
 */
bool manager_record(struct manager *manager,
		    void (*line)(const char *text, gsize length, void *data), void *data,
		    GError **error);
/*
 * manager_stop - puts every guest back; @stopped is called when all are, or
 * STOP_WAIT_US later with the number of those that are not.
 */
#define STOP_WAIT_US (10 * G_USEC_PER_SEC)
void manager_stop(struct manager *manager, void (*stopped)(unsigned int missing, void *data),
		  void *data);
void manager_free(struct manager *manager);

#endif
