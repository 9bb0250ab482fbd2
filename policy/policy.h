/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy: who gives memory, who gets it, and why.
 *
 * Theory of operation
 * -------------------
 * A policy is a pure step: it is shown the host and every guest as they are
 * now, and answers with a target and a reason for each.  It reads no clock,
 * opens no file, prints nothing and allocates only for guests it has not seen
 * before; the same inputs in the same order give the same answers, bit for bit,
 * which is how a recording is replayed.  What it remembers between steps is in
 * its state, which the caller creates and frees.
 *
 * Several policies stand behind this one interface (policy_table): ours, and
 * those of others as baselines.  The daemon, the simulator and the tests drive
 * them alike.
 *
 * Guests are told apart by their id, and may come in any order; one that is
 * missing has gone, and is forgotten.
 *
 * Units: bytes, microseconds of one monotonic clock, shares as doubles of 0…1.
 * POLICY_UNSET means that a number is not known; nothing is ever guessed for
 * the caller: a policy treats what is unknown with care.
 *
 * Statistics are a guest's claims: a policy must stay within its bounds
 * whatever they say.
 */
#ifndef AEROSTAT_POLICY_H
#define AEROSTAT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_UNSET UINT64_MAX

enum policy_mode {
	POLICY_AUTO,	/* the policy sets its target */
	POLICY_OBSERVE, /* it is looked at and decided on, and left as it is */
	POLICY_HELD,	/* a person set its size: it counts with that, until it is auto again */
	POLICY_OFF,	/* it counts with its actual, and is not looked at */
};

/* What somebody configured for a guest. */
struct policy_rules {
	enum policy_mode mode;
	uint64_t min_bytes; /* never below; POLICY_UNSET: the guest's floor (floor.h) */
	uint64_t max_bytes; /* never above; POLICY_UNSET: its RAM at boot */
	double weight;	    /* > 0; 1 is usual */
};

/* One guest at one moment. */
struct policy_guest {
	uint64_t id; /* the caller's, never used again for another guest */
	struct policy_rules rules;
	uint64_t boot_bytes;	 /* RAM at boot */
	uint64_t actual_bytes;	 /* now */
	uint64_t target_bytes;	 /* the last that was set; POLICY_UNSET: nobody knows */
	uint64_t resident_bytes; /* of its process on the host (PSS); POLICY_UNSET */
	double stall;		 /* its process's cgroup: share of time stalled for memory; 0 */
	bool reachable;		 /* the last call to it was answered in time */
	bool has_driver;	 /* false: known to have none */
	uint64_t cannot_shrink;	 /* nonzero: ballooning would break it (devices, migration) */

	/*
	 * The guest's statistics; counters run since its boot, and may be POLICY_UNSET each.
	 * taken_us: when the guest answered; 0: never.  actual_then_bytes: its size then.
	 */
	int64_t taken_us;
	int64_t period_us;
	uint64_t actual_then_bytes;
	uint64_t available_bytes; /* MemAvailable */
	uint64_t free_bytes;
	uint64_t total_bytes; /* MemTotal as the guest sees it */
	uint64_t cache_bytes;
	uint64_t swap_in_bytes, swap_out_bytes; /* counters */
	uint64_t major_faults;			/* counter */
	uint64_t oom_kills;			/* counter */
	uint64_t alloc_stalls;			/* counter */
	uint64_t direct_scan_bytes;		/* counter */
	uint64_t psi_some_us, psi_full_us;	/* counters; our own driver's */
};

/* The host at one moment. */
struct policy_host {
	int64_t now_us;
	uint64_t total_bytes;	  /* MemTotal */
	uint64_t available_bytes; /* MemAvailable */
	uint64_t free_bytes;
	uint64_t cache_bytes; /* buffers and page cache */
	uint64_t swap_used_bytes;
	double pressure;	 /* PSI memory some avg10, 0…1 */
	uint64_t reserved_bytes; /* promised to guests that are about to start (admission) */
	bool critical;		 /* a PSI trigger fired since the last step */
};

/* What is configured for the host. */
struct policy_settings {
	uint64_t budget_bytes;	/* for all guests; POLICY_UNSET: worked out of the host's numbers */
	uint64_t reserve_bytes; /* the host's own; POLICY_UNSET: max(5 %, 1 GiB), less on small
				   hosts */
	double optimism;	/* 0: a grant that is not used counts as used; 1: as free */
};

/* Why, as a word for programs.  policy_reason_name() and policy_reason_help() in reasons.c. */
enum policy_reason {
	POLICY_REASON_NONE,	/* nothing to do: it has what it wants */
	POLICY_REASON_GROWS,	/* its demand rose */
	POLICY_REASON_DISTRESS, /* it is short of memory and gets first */
	POLICY_REASON_SURPLUS,	/* the host has more than is wanted */
	POLICY_REASON_IDLE,	/* it gives what it does not use, because others want */
	POLICY_REASON_SHARE,	/* less than all want is there: its share */
	POLICY_REASON_HOST,	/* the host itself is short */
	POLICY_REASON_STALE,	/* its statistics are too old to take from it */
	POLICY_REASON_CALM,	/* it would give, but was not calm for long enough */
	POLICY_REASON_REGRET,	/* it was in distress after it gave: undone, and left alone */
	POLICY_REASON_INACTIVE, /* its driver does not follow */
	POLICY_REASON_CLAIM,	/* its statistics contradict what the host sees */
	POLICY_REASON_STALLED,	/* the host stalls it: more of its own memory would not help */
	POLICY_REASON_FIXED,	/* held, observed, off, or cannot be shrunk */
	POLICY_REASON_BOUND,	/* at its min or max */
	POLICY_REASON_COUNT
};
const char *policy_reason_name(enum policy_reason reason);
const char *policy_reason_help(enum policy_reason reason);

#define POLICY_TEXT_MAX 200

/* The answer for one guest, in the order of the input. */
struct policy_decision {
	uint64_t target_bytes; /* what to set; the guest's present target where nothing changes */
	enum policy_reason reason;
	/* The numbers it rests on; POLICY_UNSET where there are none. */
	uint64_t need_bytes, demand_bytes, reserve_bytes, want_bytes, floor_bytes;
	bool pressured, critical;   /* distress, as it was judged */
	char text[POLICY_TEXT_MAX]; /* the reason in words and numbers, for people */
};

/* The answer for the host. */
struct policy_outcome {
	/*
	 * What guests may use together, use being the larger of size and target.  A step never
	 * raises Σ use above it, but for guests below their least; where Σ use is above already,
	 * memory comes back at the policy's pace.
	 */
	uint64_t budget_bytes;
	uint64_t want_bytes; /* Σ want */
	bool overcommitted;  /* less than the demand is there: guests will swap */
	int64_t again_us;    /* ask again at this time at the latest; 0: as usual */
};

struct policy_state;

/* One policy.  Append only. */
struct policy_ops {
	const char *name;
	const char *help; /* one line */
	/* NULL when out of memory. */
	struct policy_state *(*create)(const struct policy_settings *settings);
	void (*destroy)(struct policy_state *state);
	/* Settings that were reloaded. */
	void (*configure)(struct policy_state *state, const struct policy_settings *settings);
	/*
	 * One step.  @decisions has room for @count.  Returns 0, or -ENOMEM, and then decides
	 * nothing: every target is the present one.
	 */
	int (*step)(struct policy_state *state, const struct policy_host *host,
		    const struct policy_guest *guests, size_t count,
		    struct policy_decision *decisions, struct policy_outcome *outcome);
};

extern const struct policy_ops policy_aerostat; /* aerostat.c: ours */
extern const struct policy_ops policy_static;	/* baselines: baseline_*.c */
extern const struct policy_ops policy_proxmox;
extern const struct policy_ops policy_mom;
extern const struct policy_ops policy_qmemman;
extern const struct policy_ops policy_squeezed;
/* The oracle knows the future, so only the simulator has it. */

extern const struct policy_ops *const policy_table[]; /* all of these, NULL at its end */
const struct policy_ops *policy_find(const char *name);

/*
 * Admission: how much a guest of these rules that is about to start could have without
 * taking anybody below his demand, and which of it is free now.
 */
struct policy_grant {
	uint64_t possible_bytes; /* what would be free once the present guests have shrunk */
	uint64_t free_now_bytes;
};
void policy_admit(const struct policy_host *host, const struct policy_settings *settings,
		  const struct policy_guest *guests, const struct policy_decision *decisions,
		  size_t count, const struct policy_rules *newcomer, struct policy_grant *grant);

#endif
