/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The API of aerostatd with a manager of numbers behind it, and a client that speaks to it.
 *
 * The rig stands in for the manager: its guests and reservations are what the test puts there,
 * and what was asked of it is kept.  Daemon and client share the one loop, which runs wherever
 * the client waits.
 */
#ifndef AEROSTAT_API_RIG_H
#define AEROSTAT_API_RIG_H

#include "aerostatd/api_private.h"
#include "aerostatd/metrics.h"
#include "aerostatd/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

struct manager {
	struct config config;
	struct manager_status status;
	GPtrArray *guests, *reservations;
	/* The last that was asked. */
	char *mode_name; /* NULL: of all */
	int mode;	 /* -1: nothing was asked */
	uint64_t mode_bytes;
	unsigned int ttl_s;
	unsigned int reloads;
	/* The recording, NULL when there is none. */
	void (*line)(const char *text, gsize length, void *data);
	void *line_data;
	int failure; /* enum manager_error that a change ends with; -1: it does not fail */
};

/* With no guest, ready for a first round. */
void manager_fill(struct manager *manager);
void manager_empty(struct manager *manager);
/* A guest that has answered and was decided on; no two numbers of it are the same. */
struct managed *manager_add(struct manager *manager, const char *name, const char *address);
void manager_add_reservation(struct manager *manager, uint64_t id, uint64_t bytes);

struct rig {
	struct manager manager;
	char *folder, *path;
	struct api *api;
};
int rig_set_up(void **state); /* for cmocka */
int rig_tear_down(void **state);
/* Runs the loop until @condition(@data); fails the test after some seconds. */
void run_until(bool (*condition)(void *data), void *data);

/* A client's connection. */
struct link {
	int fd;
	guint source;
	GString *got;
	bool ended; /* the daemon closed it */
};
struct link *link_open(const char *path);
void link_close(struct link *link);
void link_send(struct link *link, const char *text, size_t length);
void link_wait_for(struct link *link, const char *text);
void link_wait_for_end(struct link *link);

/* One request and its whole answer. */
struct answer {
	unsigned int status;
	char *text;   /* all of it */
	json_t *json; /* its body; NULL when it is none */
};
/* @body may be NULL. */
struct answer ask(struct rig *rig, const char *method, const char *path, const char *body);
/* The same, sent as it is. */
struct answer ask_raw(struct rig *rig, const char *request, size_t length);
void answer_clear(struct answer *answer);
/* Fails the test unless the answer is an error of @code, whose message has @word in it. */
void assert_refused(struct rig *rig, const char *method, const char *path, const char *body,
		    unsigned int status, const char *code, const char *word);

#endif
