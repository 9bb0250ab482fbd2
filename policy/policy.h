/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy decides which guests give memory, which guests get it, and why.
 *
 * Theory of operation
 * -------------------
 * A policy is a pure step function.  Its input is the host and every guest at one moment,
 * its output a target and a reason for each guest.  It reads no clock, opens no file and
 * prints nothing, and it allocates memory only for guests that are new.  The same inputs in
 * the same order give the same decisions, bit for bit; that is how a recording is replayed.
 * What a policy keeps between steps is in its state, which the caller creates and destroys.
 *
 * All policies have this one interface (policy_table): ours, and other projects' as
 * baselines.  The daemon, the simulator and the tests call all of them in the same way.
 *
 * A guest is identified by its id, and guests may come in any order.  A guest that is missing
 * in a step has ended: what was kept of it is dropped.
 *
 * Units are bytes, microseconds of one monotonic clock, and fractions as doubles, 0…1.
 * POLICY_UNSET stands for a number that is not known.  The caller guesses nothing; each
 * policy decides what to do without the number.
 *
 * A guest's size is what it may use; the host pays for what is resident.  The two differ as far
 * as the guest and its device can help themselves (enum policy_ability).  A policy that knows
 * nothing of abilities leaves the gates open: a decision's credit and ceiling are POLICY_UNSET.
 *
 * Statistics are claims of a guest.  A policy must keep to a guest's bounds whatever its
 * statistics say.
 *
 * Functions may be called from any thread; calls with the same state must not overlap.
 */
#ifndef AEROSTAT_POLICY_H
#define AEROSTAT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_UNSET UINT64_MAX

enum policy_mode {
	POLICY_AUTO,	/* the policy sets its target */
	POLICY_OBSERVE, /* decisions are made for it, but its size is not changed */
	POLICY_HELD,	/* a person set its size, and it keeps it until it is auto again */
	POLICY_OFF,	/* its size counts, nothing else about it is used */
};

/* The configuration of a guest. */
struct policy_rules {
	enum policy_mode mode;
	uint64_t min_bytes; /* its least size; POLICY_UNSET: the guest's floor (floor.h) */
	uint64_t max_bytes; /* its largest size; POLICY_UNSET: its RAM at boot */
	double weight;	    /* above 0; 1 by default */
};

/* What a guest, its driver and its device do without being asked, or when asked. */
enum policy_ability {
	POLICY_CAN_REPORT = 1 << 0,  /* what it frees is the host's at once (page reporting) */
	POLICY_CAN_RELIEVE = 1 << 1, /* its balloon deflates instead of an OOM kill */
	POLICY_CAN_PULL = 1 << 2,    /* it takes memory back before it has to swap or to stall */
	POLICY_CAN_TRIM = 1 << 3,    /* it gives up page cache on request; its size stays */
	POLICY_CAN_GATE = 1 << 4,    /* its device holds back what it takes beyond its credit */
	POLICY_CAN_ALL = (1 << 5) - 1,
};

/* One guest at one moment. */
struct policy_guest {
	uint64_t id; /* chosen by the caller, never reused for another guest */
	struct policy_rules rules;
	uint64_t abilities;	 /* enum policy_ability; only those that are known */
	uint64_t boot_bytes;	 /* RAM at boot */
	uint64_t actual_bytes;	 /* its size now */
	uint64_t target_bytes;	 /* the last target set; POLICY_UNSET: not known */
	uint64_t resident_bytes; /* its process on the host (PSS); or POLICY_UNSET */
	uint64_t ram_bytes;	 /* the part of that which is the guest's RAM; or POLICY_UNSET */
	uint64_t group;		 /* which of the host's groups it belongs to, from 1; 0: none */
	double stall;		 /* part of the time that its process's cgroup stalls for memory */
	bool reachable;		 /* it answered the last call in time */
	bool has_driver;	 /* false: it is known to have no balloon driver */
	uint64_t cannot_shrink;	 /* not 0: ballooning would break it (devices, migration) */

	/* The guest's statistics.  Counters start at its boot.  Any of them may be POLICY_UNSET. */
	int64_t taken_us;	    /* when the guest reported them; 0: never */
	int64_t period_us;	    /* how often it is asked for them */
	uint64_t actual_then_bytes; /* its size when they were taken */
	uint64_t available_bytes;   /* MemAvailable */
	uint64_t free_bytes;
	uint64_t total_bytes; /* MemTotal in the guest */
	uint64_t cache_bytes;
	uint64_t swap_in_bytes, swap_out_bytes; /* counters */
	uint64_t major_faults;			/* counter */
	uint64_t oom_kills;			/* counter */
	uint64_t alloc_stalls;			/* counter */
	uint64_t direct_scan_bytes;		/* counter */
	uint64_t psi_some_us, psi_full_us;	/* counters; only our own driver reports them */
	uint64_t refault_bytes; /* counter: page cache that was dropped and read again */
	uint64_t pulled_bytes;	/* counter: what it took back by itself, early or out of memory */
};

/*
 * Guests whose processes share a memory limit (a cgroup), at one moment.  Groups may be nested:
 * a guest of a group is also a guest of the groups that this group is in.
 */
struct policy_group {
	uint64_t parent;      /* the next larger group, from 1; 0: none.  Below its own number */
	uint64_t limit_bytes; /* what all its processes together may use */
	uint64_t available_bytes; /* what they may still use; POLICY_UNSET: not known */
};

/* The host at one moment. */
struct policy_host {
	int64_t now_us;
	uint64_t total_bytes;	  /* MemTotal */
	uint64_t available_bytes; /* MemAvailable */
	uint64_t free_bytes;
	uint64_t cache_bytes; /* buffers and page cache */
	uint64_t swap_used_bytes;
	double pressure;	 /* PSI, memory, some, avg10: 0…1 */
	uint64_t reserved_bytes; /* promised to guests that are about to start (policy_admit()) */
	bool critical;		 /* a PSI trigger fired since the last step */
	const struct policy_group *groups; /* number 1 is groups[0] */
	size_t group_count;
};

/* The configuration of the host. */
struct policy_settings {
	uint64_t budget_bytes;	/* for all guests; POLICY_UNSET: by the host's numbers */
	uint64_t reserve_bytes; /* kept for the host; POLICY_UNSET: budget_host_reserve() */
	double optimism;	/* the part of untouched guest memory that counts as free, 0…1 */
};

/* Why a target is what it is.  Append only: the names are part of the API. */
enum policy_reason {
	POLICY_REASON_NONE,	/* it has what it wants */
	POLICY_REASON_GROWS,	/* it gets what it wants */
	POLICY_REASON_DISTRESS, /* it is short of memory */
	POLICY_REASON_SURPLUS,	/* the host has more than all guests want */
	POLICY_REASON_IDLE,	/* it gives memory that it does not use */
	POLICY_REASON_SHARE,	/* the guests want more than there is */
	POLICY_REASON_HOST,	/* the host itself is short of memory */
	POLICY_REASON_STALE,	/* its statistics are too old or incomplete to shrink it */
	POLICY_REASON_CALM,	/* it has not been calm for long enough to shrink it */
	POLICY_REASON_REGRET,	/* it was short of memory after a shrink */
	POLICY_REASON_INACTIVE, /* its balloon does not follow the target */
	POLICY_REASON_CLAIM,	/* its statistics contradict what the host sees */
	POLICY_REASON_STALLED,	/* the host stalls it, so a larger size would not help */
	POLICY_REASON_FIXED,	/* it is held, observed, off, or cannot be shrunk */
	POLICY_REASON_BOUND,	/* it is at its minimum or maximum */
	POLICY_REASON_SILENT,	/* its statistics do not show what is available in it */
	POLICY_REASON_SLOW,	/* its balloon moves slowly, and is waited for */
	POLICY_REASON_DRIVER,	/* it has no balloon driver */
	POLICY_REASON_COST,	/* the host did not get back what was taken from it */
	POLICY_REASON_LIMIT,	/* a memory limit above its process leaves it no more */
	POLICY_REASON_COUNT
};

/* The name of the reason in the API and in recordings; "unknown" for any other number. */
const char *policy_reason_name(enum policy_reason reason);

/* What the reason means, in a sentence about "it", the guest. */
const char *policy_reason_help(enum policy_reason reason);

#define POLICY_TEXT_MAX 320

/* The decision for one guest. */
struct policy_decision {
	uint64_t target_bytes; /* what to set; the current target if nothing changes */
	/*
	 * The gate, if it has one (POLICY_CAN_GATE).  Until the next decision, it may take
	 * credit_bytes back by itself, and its size may reach ceiling_bytes by that.
	 * POLICY_UNSET: without bound.
	 */
	uint64_t credit_bytes, ceiling_bytes;
	uint64_t trim_bytes; /* page cache to give up now (POLICY_CAN_TRIM); 0: none */
	enum policy_reason reason;
	/* The numbers that it is based on, or POLICY_UNSET. */
	uint64_t need_bytes, demand_bytes, reserve_bytes, want_bytes, floor_bytes;
	bool pressured, critical; /* in distress; critical is the worse one */
	/* With POLICY_REASON_LIMIT the group whose limit leaves it least, from 1; otherwise 0. */
	uint64_t limit_group;
	char text[POLICY_TEXT_MAX]; /* the reason for people, with numbers */
};

/* What a step found out about the host. */
struct policy_outcome {
	/*
	 * What all guests together may use, whatever their groups may; each uses the larger of its
	 * size and its target. A step does not raise the sum above the budget, except for guests
	 * below their lower bound, and neither does it with all credits.  If the sum is above it
	 * already, memory comes back at the policy's pace.
	 */
	uint64_t budget_bytes;
	uint64_t pool_bytes; /* the part of that which is kept for guests that need more at once */
	uint64_t lent_bytes; /* what was added to it, as guests that report do not use all */
	uint64_t want_bytes; /* the sum of what all guests want */
	bool overcommitted;  /* the guests demand more than there is, so they will swap */
	/* The group that is overcommitted, from 1; 0: the host.  Only if overcommitted. */
	uint64_t short_group;
	int64_t again_us; /* when to call step again at the latest; 0: as usual */
};

struct policy_state;

/* One policy.  Append only. */
struct policy_ops {
	const char *name;
	const char *help; /* one line */
	/* Returns a new state, or NULL when out of memory. */
	struct policy_state *(*create)(const struct policy_settings *settings);
	/* Frees the state, which may be NULL. */
	void (*destroy)(struct policy_state *state);
	/* Replaces the settings, from the next step on. */
	void (*configure)(struct policy_state *state, const struct policy_settings *settings);
	/*
	 * One step.  Fills in @outcome and @count entries of @decisions, in the order of
	 * @guests.  Returns 0, or -ENOMEM; then every target is the current one.
	 */
	int (*step)(struct policy_state *state, const struct policy_host *host,
		    const struct policy_guest *guests, size_t count,
		    struct policy_decision *decisions, struct policy_outcome *outcome);
};

extern const struct policy_ops policy_aerostat; /* aerostat.c */
extern const struct policy_ops policy_static;	/* baselines: baseline_*.c */
extern const struct policy_ops policy_proxmox;
extern const struct policy_ops policy_mom;
extern const struct policy_ops policy_qmemman;
extern const struct policy_ops policy_squeezed;
extern const struct policy_ops policy_maximum;
extern const struct policy_ops policy_tmo;
/* The clairvoyant policy knows the future, so only the simulator has it. */

/* All of these, ending with NULL.  The first is the default. */
extern const struct policy_ops *const policy_table[];

/* The policy of this name, or NULL. */
const struct policy_ops *policy_find(const char *name);

/* How much memory a guest that is about to start could have. */
struct policy_grant {
	uint64_t possible_bytes; /* once the present guests have shrunk to their demand */
	uint64_t free_now_bytes; /* at once */
};

/*
 * policy_admit - how much memory there is for a guest that is about to start
 * @decisions: the last decisions, one per guest, in the order of @guests
 * @outcome: of the same step
 * @newcomer: its rules; max_bytes limits the result
 * @grant: filled in; all 0 if the budget is not known
 */
void policy_admit(const struct policy_host *host, const struct policy_settings *settings,
		  const struct policy_guest *guests, const struct policy_decision *decisions,
		  size_t count, const struct policy_outcome *outcome,
		  const struct policy_rules *newcomer, struct policy_grant *grant);

#endif
