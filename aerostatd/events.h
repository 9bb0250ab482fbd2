/* SPDX-License-Identifier: BSD-3-Clause */
/* What happened, for those who listen, and the last of it for those who come later. */
#ifndef AEROSTAT_EVENTS_H
#define AEROSTAT_EVENTS_H

#include <glib.h>
#include <stdint.h>

#define EVENTS_KEPT 1000

enum event_kind {
	EVENT_GUEST_FOUND,
	EVENT_GUEST_GONE,
	EVENT_GUEST_LOST,  /* it does not answer */
	EVENT_GUEST_BACK,  /* it answers again */
	EVENT_TARGET,	   /* a guest was set to another size, and why */
	EVENT_MODE,	   /* a person, or a reload, changed a guest's mode */
	EVENT_ALARM,	   /* the host is overcommitted, or no more so; a source cannot be asked */
	EVENT_RESERVATION, /* made, granted, ended */
	EVENT_RELOAD,
	EVENT_KINDS
};
const char *event_kind_name(enum event_kind kind); /* "guest-found", … */
const char *event_kind_help(enum event_kind kind); /* one line */

struct event {
	uint64_t number; /* from 1, without a gap */
	int64_t time_us; /* g_get_real_time() */
	enum event_kind kind;
	char *guest;			    /* its name; NULL: the host's */
	char *text;			    /* for people */
	uint64_t bytes_before, bytes_after; /* TARGET: HV_UNSET when there is none */
};

typedef void (*event_fn)(const struct event *event, void *data);

struct events;
struct events *events_new(void);
void events_free(struct events *events);
/* Adds one and calls the listeners; listeners may come and go in the call. */
void events_add(struct events *events, enum event_kind kind, const char *guest,
		uint64_t bytes_before, uint64_t bytes_after, const char *format, ...)
	G_GNUC_PRINTF(6, 7);
/* Calls @fn for each that is kept with a number above @after. */
void events_replay(const struct events *events, uint64_t after, event_fn fn, void *data);
guint events_listen(struct events *events, event_fn fn, void *data);
void events_unlisten(struct events *events, guint id);
uint64_t events_count(const struct events *events, enum event_kind kind); /* since the start */

#endif
