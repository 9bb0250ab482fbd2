/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happened: passed on to listeners, with the last events kept for those who come later.
 * In the thread of the default main context only.
 */
#ifndef AEROSTATD_EVENTS_H
#define AEROSTATD_EVENTS_H

#include <glib.h>
#include <stdint.h>

#define EVENTS_KEPT 1000

enum event_kind {
	EVENT_GUEST_FOUND,     /* a guest appeared */
	EVENT_GUEST_GONE,      /* a guest ended, or its source was removed */
	EVENT_GUEST_LOST,      /* a guest stopped answering */
	EVENT_GUEST_BACK,      /* a guest answers again */
	EVENT_TARGET,	       /* the target of a guest was changed */
	EVENT_MODE,	       /* a person changed the mode of a guest */
	EVENT_ALARM,	       /* overcommitment, or the failure of a source, began or ended */
	EVENT_RESERVATION,     /* a reservation was made, was filled or ended */
	EVENT_RESIZE_PROGRESS, /* how far a size is that a person set through the API */
	EVENT_RESIZE_RESULT,   /* how that ended */
	EVENT_RELOAD,	       /* another configuration is in force */
	EVENT_PULL,	       /* a guest took memory back by itself */
	EVENT_KINDS
};
/* The name of @kind in the API, such as "guest-found"; "unknown" for any other number. */
const char *event_kind_name(enum event_kind kind);

struct event {
	uint64_t number; /* counts from 1, without gaps */
	int64_t time_us; /* g_get_real_time() */
	enum event_kind kind;
	char *guest;			    /* its name; NULL: the event is about the host */
	char *text;			    /* for people */
	const char *reason;		    /* EVENT_RESIZE_RESULT only: one word, static */
	uint64_t bytes_before, bytes_after; /* HV_UNSET when they do not apply */
};

/* @event is valid during the call. */
typedef void (*event_fn)(const struct event *event, void *data);

struct events;
/* Without events and listeners; freed by events_free(). */
struct events *events_new(void);
/* Frees @events, but nothing of its listeners; NULL is allowed. */
void events_free(struct events *events);
/*
 * events_add - keeps an event, and calls the listeners in the order of their registration
 * @guest: the name of the guest; NULL for an event of the host
 * @bytes_before, @bytes_after: sizes; HV_UNSET when they do not apply
 * @format: the text for people
 *
 * Listeners may add and remove listeners, and add events.
 */
void events_add(struct events *events, enum event_kind kind, const char *guest,
		uint64_t bytes_before, uint64_t bytes_after, const char *format, ...)
	G_GNUC_PRINTF(6, 7);
/* As events_add(), with @reason, a static text. */
void events_add_result(struct events *events, enum event_kind kind, const char *guest,
		       const char *reason, uint64_t bytes_before, uint64_t bytes_after,
		       const char *format, ...) G_GNUC_PRINTF(7, 8);
/* Calls @fn for each event that is kept and has a number above @after, oldest first. */
void events_replay(const struct events *events, uint64_t after, event_fn fn, void *data);
/* Calls @fn for each event from now on.  Returns the id for events_unlisten(), never 0. */
guint events_listen(struct events *events, event_fn fn, void *data);
/* Removes the listener @id, which is not called again.  Unknown ids are ignored. */
void events_unlisten(struct events *events, guint id);
/* How many events of @kind there were since events_new(). */
uint64_t events_count(const struct events *events, enum event_kind kind);

#endif
