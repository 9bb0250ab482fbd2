/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many guests behind many QEMU monitors in one process: what load tests and liars need.
 *
 * Theory of operation
 * -------------------
 * fake_guests.c is the program: options, sockets, the loop and the control socket.
 * fake_guests_qmp.c answers as QEMU 11 does.  fake_guests_model.c is the memory of one guest: a
 * demand that waves and bursts, a balloon that moves at its rate, and statistics that follow
 * from both.  fake_guests_keeper.c has the sockets listened to by somebody else.
 *
 * Nothing happens to a guest between two questions: it is moved on to the present when
 * it is asked, from the same random numbers whenever that is.  Only BALLOON_CHANGE is told
 * unasked, by a timer.
 *
 * Who the peer of a monitor is, the kernel says: the process that listened.  For all guests that is
 * one keeper, a child with hardly any memory and few files.  So what a daemon measures of "QEMU"
 * (PSS, host bytes, CPU time, locks) is the keeper's, the same for all guests, and means nothing.
 * A guest that vanished and appears again has a keeper of its own: another process.
 */
#ifndef AEROSTAT_FAKE_GUESTS_H
#define AEROSTAT_FAKE_GUESTS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "simulator/random.h"

/* What is wrong with a guest; each has a word on the command line and on the control socket. */
enum fault {
	FAULT_STUCK,
	FAULT_LIAR,
	FAULT_VFIO,
	FAULT_FROZEN,
	FAULT_DEAD,
	FAULT_MIGRATING,
	FAULTS,
};
/* How a liar lies: the number of the guest tells, modulo these. */
enum lie {
	LIE_IDLE,     /* it needs nothing at all */
	LIE_GREEDY,   /* nothing is left, it swaps and kills without end */
	LIE_NONSENSE, /* more is available than there is, and counters run backwards */
	LIES,
};

struct counters {
	uint64_t swap_in_bytes, swap_out_bytes, major_faults, minor_faults, oom_kills;
	uint64_t alloc_stalls, direct_scan_bytes;
};

/* What the guest last answered, as QEMU keeps it. */
struct told {
	int64_t real_s; /* 0: never */
	uint64_t free_bytes, total_bytes, available_bytes, cache_bytes;
	struct counters counters;
};

/* A socket that serves one client at a time; others wait unserved. */
struct door {
	char *path;
	int listener, client; /* -1: none */
	GString *in;	      /* of the client's, not yet a line */
};

struct guest {
	unsigned int number;
	char name[16], uuid[40];
	bool faults[FAULTS];
	struct sim_random random;

	/* The model.  Times are monotonic, in us. */
	uint64_t max_bytes, actual_bytes, target_bytes;
	double rate; /* of the balloon, bytes a us */
	int64_t moved_us;
	double base, wave[2], phase[2], period_us[2]; /* demand: shares of max */
	int64_t burst_us, burst_end_us;
	uint64_t burst_bytes, extra_bytes; /* of itself; asked for at the control socket */
	uint64_t swapped_bytes, cache_bytes, cache_limit_bytes;
	struct counters counters;
	struct told told;
	int64_t polled_us;
	int period_s;

	/* The monitor. */
	struct door door;
	pid_t keeper; /* its own; 0: that of all */
	bool greeted, negotiated;
	uint64_t event_bytes; /* what BALLOON_CHANGE said last */
	int64_t event_us;
};

/* Model.  A guest as it is when it has just started, from its seed. */
void guest_start(struct guest *guest, uint64_t max_bytes, uint64_t seed, double rate,
		 int64_t now_us);
/* On to @now_us: demand, balloon and statistics. */
void guest_move(struct guest *guest, int64_t now_us);
uint64_t guest_demand(const struct guest *guest, int64_t now_us);
/* From now on its demand is its base, without waves and bursts, and extra_bytes on top. */
void guest_settle(struct guest *guest, int64_t now_us);
/* 0 switches them off; QEMU asks at once otherwise. */
void guest_poll(struct guest *guest, int period_s, int64_t now_us);

/* QMP.  What to send: first of all, for one line of a client's, ... */
char *qmp_greeting(void);
char *qmp_answer(struct guest *guest, const char *line, int64_t now_us);
/* ... and unasked: a BALLOON_CHANGE that is due, or NULL. */
char *qmp_event(struct guest *guest, int64_t now_us);

/*
 * keeper_listen - has a process of its own listen at each of @paths
 *
 * Fills @fds.  The process lives until it is killed, or this one ends.
 */
pid_t keeper_listen(char *const *paths, unsigned int count, int *fds, GError **error);

#endif
