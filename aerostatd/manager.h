/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The manager: it watches host and guests, lets the policy decide, carries that out, and can
 * explain it.
 *
 * Theory of operation
 * -------------------
 * One main loop owns everything.  Every second, and sooner if the host's PSI trigger fires or the
 * policy asks for it, there is a round (round.h): each guest's worker thread takes a sample
 * (worker.h); when all have answered, or ROUND_WAIT_US later, the policy is shown what is known,
 * each number with its age, and each target that it changes is sent to the guest's worker.  A
 * guest that does not answer is shown as unreachable and left alone until it does.
 *
 * Guests are found as they come (roster.h).  A guest is managed from its first answer on.  How it
 * was before is written to the state file before it is changed for the first time (guests.h,
 * state_file.h), so that it can be restored (restore.h) when the daemon ends, in whatever way
 * (guardian.h).
 *
 * People take precedence over the policy (modes.h): a size set by `aerostat setmem` is held until
 * `aerostat auto`.  So is one that was set past the daemon, by virsh for example, which shows in a
 * guest that moves away from its target.
 *
 * The files of this folder call only downwards in this list, and each owns its struct:
 *
 *   manager.c       life of the manager, guests that come and go
 *   round.c         samples, decisions
 *   resizing.c      sizes that people set through the API
 *   modes.c         modes and sizes that people choose
 *   cgroups.c       the memory limits above guests
 *   holders.c       who holds the memory that a guest wants
 *   reservations.c  memory for guests that are about to start
 *   recorder.c      the recording of a client
 *   guests.c        all guests, the state file's content
 *   strays.c        guests of the state file that are not managed
 *   managed.c       one guest
 *   worker.c        a guest's thread
 *   restore.c, state_file.c, identity.c, pairing.c, host.c, events.c, log.c
 *
 * Everything here is used by the thread of the default main context only.  Sizes are bytes;
 * HV_UNSET and POLICY_UNSET, which are the same number, mean that a number is unknown.
 */
#ifndef AEROSTATD_MANAGER_H
#define AEROSTATD_MANAGER_H

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
	MANAGER_ERROR_NOT_FOUND, /* no such guest or reservation */
	MANAGER_ERROR_AMBIGUOUS, /* several guests have that name */
	MANAGER_ERROR_INVALID,	 /* the input makes no sense */
	MANAGER_ERROR_REFUSED,	 /* it does, but cannot be done now */
	MANAGER_ERROR_NOT_KEPT,	 /* it could not be stored, so nothing was changed */
};

/* A decision that changed a guest's target, for `aerostat explain`. */
struct managed_past {
	int64_t time_us; /* g_get_real_time() */
	uint64_t actual_bytes, target_before_bytes;
	struct policy_decision decision;
};

/* One guest.  All files may read it; managed.c alone writes it. */
struct managed {
	uint64_t id;
	char *source, *address; /* as hv_guest's */
	bool answered;		/* at least once: all from here on is known */
	char *name;
	char *uuid;	       /* NULL if unknown */
	int libvirt_id;	       /* -1: none */
	enum hv_origin origin; /* known even of a guest that is arriving */
	pid_t pid;	       /* 0 if unknown */
	pid_t device_pid;      /* of its balloon device, if that is another process; or 0 */
	enum hv_state state;
	enum hv_driver driver;
	enum hv_obstacle obstacle;
	int autodeflate;	 /* deflate-on-oom: 1 on, 0 off, -1 unknown */
	int free_page_reporting; /* likewise */
	bool has_balloon;
	char *problem;		  /* why it cannot be used now; NULL: it can */
	bool mode_by_person;	  /* a person chose its mode, seen.rules.mode */
	uint64_t held_bytes;	  /* with POLICY_HELD: the size; HV_UNSET: whatever it has */
	uint64_t before_bytes;	  /* its size before it was managed */
	struct policy_guest seen; /* what the policy was last shown */
	struct hv_stats stats;
	struct policy_decision decision; /* the last one; before the first, its text is "" */
	char *limit_path; /* of the cgroup of decision.limit_group, printable; NULL if that is 0 */
	GQueue history;	  /* struct managed_past *, newest first, at most HISTORY_KEPT */
	uint64_t times_set, times_failed; /* targets sent and refused since it was found */
	struct managed_private *private;  /* managed.c's own */
};

/* The latest size that a person set through the API.  Unknown sizes are HV_UNSET. */
struct managed_resize {
	char *name; /* of the guest */
	bool is_running;
	uint64_t target_bytes, before_bytes, actual_bytes;
	uint64_t host_before_bytes, host_after_bytes; /* what it cost the host */
	uint64_t eased_bytes; /* the target with which a guest that stopped short was left */
	const char *reason;   /* how it ended, one word; NULL while it is running */
	char *why;	      /* in words; while it is running: what it waits for */
	char *remedy, *note;  /* NULL: none */
	char *host_text;      /* what the host got back, in words; NULL: nothing to report */
};

/* Memory promised to a guest that is about to start. */
struct reservation {
	uint64_t id;
	uint64_t bytes;
	uint64_t free_bytes; /* how much of it is free now */
	int64_t until_us;    /* g_get_monotonic_time() */
	char *note;	     /* for whom or what; may be "" */
};

/* The daemon as a whole, for reports. */
struct manager_status {
	const struct config *config;
	int64_t started_us;	       /* real time */
	const GPtrArray *guests;       /* struct managed *, sorted by name */
	const GPtrArray *reservations; /* struct reservation *, the oldest first */
	GHashTable *problems;	       /* source → text, for those that cannot be queried */
	struct events *events;
	bool recording;
	uint64_t to_restore; /* guests that are not managed any more, and not restored yet */

	/* Written by round.c. */
	struct policy_host host;
	struct policy_outcome outcome;
	uint64_t rounds;
	int64_t round_us;	       /* monotonic: the last round */
	int64_t late_us, late_max_us;  /* how late a round opened: the last, the worst */
	int64_t step_us;	       /* how long the last step of the policy took */
	bool trigger;		       /* the host has a PSI trigger */
	const struct cgroups *cgroups; /* the groups in @host; NULL: there are none */
	char *limit_problem;	       /* which memory limit could not be read, and why; or NULL */
};

struct manager_options {
	const char *config_path;	  /* NULL: the usual place */
	const struct hv_sources *sources; /* override those of the configuration; NULL: do not */
	const char *folder;		  /* of the state file; locked by the caller */
	const char *proc;		  /* host.h */
	/* Seconds that pass for the policy in one second: 1.  More in tests, so that they need
	 * not wait until a guest was calm for half a minute; 0 means 1. */
	unsigned int policy_clock;
};

struct manager;

/* Starts to manage guests.  NULL with an error if the configuration or the state file is wrong. */
struct manager *manager_new(const struct manager_options *options, GError **error);

/* The status, up to date whenever the main loop runs something else; valid until manager_free(). */
const struct manager_status *manager_get_status(const struct manager *manager);

/* A guest by name, UUID or address; NULL with an error that lists those there are. */
const struct managed *manager_find(const struct manager *manager, const char *name, GError **error);

/*
 * manager_set_mode - apply what a person wants for a guest
 * @name: NULL for all guests
 * @mode: POLICY_AUTO returns to the configuration's mode
 * @bytes: with POLICY_HELD; HV_UNSET for the size it has now
 * @force: hold it at @bytes though that is known to harm it
 */
bool manager_set_mode(struct manager *manager, const char *name, enum policy_mode mode,
		      uint64_t bytes, bool force, GError **error);

/*
 * manager_set_size - change a guest's size as `aerostat setmem` does, and hold it there
 * @force: as --force
 *
 * Returns once the guest is being asked; manager_get_resize() and events report the rest.
 */
bool manager_set_size(struct manager *manager, const char *name, uint64_t bytes, bool force,
		      GError **error);

/* The latest manager_set_size() of @guest; NULL if there was none. */
const struct managed_resize *manager_get_resize(const struct manager *manager,
						const struct managed *guest);

/* A person declares @bytes to be the guest's own size, to which it is restored. */
bool manager_set_own_size(struct manager *manager, const char *name, uint64_t bytes,
			  GError **error);

/*
 * manager_reserve - reserve memory for a guest that is about to start
 * @note: for whom or what; NULL for none
 *
 * Refused if the demand of the running guests leaves less.  The reservation counts from the next
 * round on; its free_bytes grow to its bytes as other guests shrink.  It ends after @ttl_s
 * seconds, by manager_unreserve(), or when the guest named by @note has started.
 */
const struct reservation *manager_reserve(struct manager *manager, uint64_t bytes,
					  unsigned int ttl_s, const char *note, GError **error);

/* Cancels a reservation. */
bool manager_unreserve(struct manager *manager, uint64_t id, GError **error);

/* Reads the configuration again.  If it is wrong, the one in force stays. */
bool manager_reload(struct manager *manager, GError **error);

/*
 * manager_record - record every step of the policy from now on (docs/recording.md)
 * @line: called with each line; NULL ends the recording
 *
 * The policy begins with no memory, so that a replay can decide the same; for half a minute it
 * takes nothing from any guest.  There is one recording at a time.
 */
bool manager_record(struct manager *manager,
		    void (*line)(const char *text, gsize length, void *data), void *data,
		    GError **error);

/*
 * manager_stop - restore all guests
 * @stopped: called when all attempts have ended, STOP_WAIT_US later at the latest, with the
 *           number of guests that are not restored
 */
#define STOP_WAIT_US (10 * G_USEC_PER_SEC)
void manager_stop(struct manager *manager, void (*stopped)(unsigned int missing, void *data),
		  void *data);

/* Without manager_stop() before it, no guest is restored.  @manager may be NULL. */
void manager_free(struct manager *manager);

#endif
