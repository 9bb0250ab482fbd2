/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the manager share: manager.c, round.c, people.c. */
#ifndef AEROSTAT_MANAGER_PRIVATE_H
#define AEROSTAT_MANAGER_PRIVATE_H

#include "aerostatd/host.h"
#include "aerostatd/keep.h"
#include "aerostatd/managed.h"
#include "aerostatd/manager.h"
#include "aerostatd/roster.h"

struct manager {
	struct manager_status status;
	char *config_path, *folder;
	struct hv_sources override; /* of the command line; both NULL when it has none */
	struct config *config;
	struct policy_state *policy;
	struct host *host;
	struct roster *roster;
	GPtrArray *guests;	 /* struct managed *, sorted by name */
	GPtrArray *reservations; /* struct reservation * */
	GPtrArray *resumed;	 /* struct keep_guest *, of the daemon before, not met yet */
	bool keep_wanted;	 /* what is kept has changed */
	bool keep_failed;
	uint64_t next_guest, next_reservation;

	/* The round. */
	guint tick, wait, again; /* GSource ids */
	int64_t tick_us;	 /* when the next tick is due */
	uint64_t number;	 /* of the round */
	bool open;		 /* it waits for answers */
	guint waiting;		 /* how many of them */

	struct {
		void (*line)(const char *text, gsize length, void *data);
		void *data;
	} recording;

	struct {
		void (*stopped)(unsigned int missing, void *data);
		void *data;
		guint timer;
		unsigned int left;
	} stop;
};

/* round.c */
void round_start(struct manager *manager);
void round_end(struct manager *manager);
/* A round now, unless one is open. */
void round_hurry(struct manager *manager);
/* A guest has answered, or is gone: the open round need not wait for it any longer. */
void round_answered(struct manager *manager, const struct managed *guest);
/* Begins a recording's file: policy and settings. */
void round_record_start(struct manager *manager);
void round_record_settings(struct manager *manager);
void round_record_end(struct manager *manager);

/* manager.c */
bool manager_save(struct manager *manager);
/* Passes a target on. */
void manager_tell(struct manager *manager, struct managed *guest, uint64_t target_bytes);
/* A guest ended: it is forgotten, and found anew if it comes back. */
void manager_drop(struct manager *manager, struct managed *guest, const char *why);

/* people.c */
void people_moved(struct manager *manager, struct managed *guest);
/* Ends reservations whose time is over or whose guest (by its name) is there. */
void people_expire(struct manager *manager);
uint64_t people_reserved_bytes(const struct manager *manager);
void people_fill(struct manager *manager);
void reservation_free(gpointer reservation);

#endif
