/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The API of aerostatd with a fake manager, and a client for it.
 *
 * The fake has the guests and reservations that the test adds, and keeps the last request made to
 * it.  Daemon and client share one loop, which runs whenever the client waits.
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
	/* The last request. */
	char *mode_name; /* NULL: for all guests */
	int mode;	 /* -1: none was made */
	uint64_t mode_bytes, own_bytes;
	bool force;
	struct managed_resize resize; /* target_bytes is HV_UNSET before the first */
	unsigned int ttl_s;
	unsigned int reloads;
	/* The recording; NULL when there is none. */
	void (*line)(const char *text, gsize length, void *data);
	void *line_data;
	int failure; /* enum manager_error with which changes fail; -1: they succeed */
};

/* Without guests, before the first round. */
void manager_fill(struct manager *manager);
void manager_empty(struct manager *manager);
/* Adds a guest that has answered and has a decision.  All of its numbers differ. */
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

/* The answer to one request. */
struct answer {
	unsigned int status;
	char *text;   /* all of it */
	json_t *json; /* its body; NULL when it is none */
};
/* @body may be NULL. */
struct answer ask(struct rig *rig, const char *method, const char *path, const char *body);
/* Sends @request as it is. */
struct answer ask_raw(struct rig *rig, const char *request, size_t length);
void answer_clear(struct answer *answer);
/* Fails the test unless the answer is an error of @code, whose message has @word in it. */
void assert_refused(struct rig *rig, const char *method, const char *path, const char *body,
		    unsigned int status, const char *code, const char *word);

#endif
