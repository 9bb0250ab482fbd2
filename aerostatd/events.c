/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * A queue of the last EVENTS_KEPT events, and an array of listeners.  Listeners may come and go,
 * and add events, while an event is passed on.  One that goes leaves an empty place, which the
 * outermost events_add() removes; one that comes is not called for the event in progress, because
 * its replay contains that.
 */
#include "aerostatd/events.h"

static const char *const kind_names[EVENT_KINDS] = {
	[EVENT_GUEST_FOUND] = "guest-found",
	[EVENT_GUEST_GONE] = "guest-gone",
	[EVENT_GUEST_LOST] = "guest-lost",
	[EVENT_GUEST_BACK] = "guest-back",
	[EVENT_TARGET] = "target",
	[EVENT_MODE] = "mode",
	[EVENT_ALARM] = "alarm",
	[EVENT_RESERVATION] = "reservation",
	[EVENT_RESIZE_PROGRESS] = "resize-progress",
	[EVENT_RESIZE_RESULT] = "resize-result",
	[EVENT_RELOAD] = "reload",
	[EVENT_PULL] = "pull",
};

struct listener {
	guint id;
	event_fn fn; /* NULL: removed */
	void *data;
};

struct events {
	GQueue kept; /* struct event *, oldest first */
	uint64_t last_number;
	uint64_t counts[EVENT_KINDS];
	GArray *listeners;
	guint last_id;
	unsigned int depth; /* of nested events_add() */
};

const char *event_kind_name(enum event_kind kind)
{
	return (unsigned int)kind < EVENT_KINDS ? kind_names[kind] : "unknown";
}

static void free_event(void *data)
{
	struct event *event = data;

	g_free(event->guest);
	g_free(event->text);
	g_free(event);
}

struct events *events_new(void)
{
	struct events *events = g_new0(struct events, 1);

	g_queue_init(&events->kept);
	events->listeners = g_array_new(FALSE, FALSE, sizeof(struct listener));
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	g_queue_clear_full(&events->kept, free_event);
	g_array_unref(events->listeners);
	g_free(events);
}

static void remove_empty_listeners(GArray *listeners)
{
	for (guint i = listeners->len; i-- > 0;)
		if (!g_array_index(listeners, struct listener, i).fn)
			g_array_remove_index(listeners, i);
}

static void call_listeners(struct events *events, const struct event *event)
{
	guint count = events->listeners->len;

	events->depth++;
	for (guint i = 0; i < count; i++) {
		/* A copy: the array may move while the listener adds another. */
		struct listener listener = g_array_index(events->listeners, struct listener, i);

		if (listener.fn)
			listener.fn(event, listener.data);
	}
	if (--events->depth == 0)
		remove_empty_listeners(events->listeners);
}

/* Takes ownership of the texts in @content. */
static void keep_event(struct events *events, const struct event *content)
{
	struct event *event = g_new(struct event, 1);

	*event = *content;
	event->number = ++events->last_number;
	event->time_us = g_get_real_time();
	events->counts[event->kind]++;
	g_queue_push_tail(&events->kept, event);
	call_listeners(events, event);
	/* Outer calls still pass on their event, so only the outermost one frees old ones. */
	while (!events->depth && g_queue_get_length(&events->kept) > EVENTS_KEPT)
		free_event(g_queue_pop_head(&events->kept));
}

static void keep_event_text(struct events *events, struct event *event, const char *format,
			    va_list args)
{
	event->text = g_strdup_vprintf(format, args);
	keep_event(events, event);
}

void events_add(struct events *events, enum event_kind kind, const char *guest,
		uint64_t bytes_before, uint64_t bytes_after, const char *format, ...)
{
	struct event event = { .kind = kind,
			       .guest = g_strdup(guest),
			       .bytes_before = bytes_before,
			       .bytes_after = bytes_after };
	va_list args;

	va_start(args, format);
	keep_event_text(events, &event, format, args);
	va_end(args);
}

void events_add_result(struct events *events, enum event_kind kind, const char *guest,
		       const char *reason, uint64_t bytes_before, uint64_t bytes_after,
		       const char *format, ...)
{
	struct event event = { .kind = kind,
			       .guest = g_strdup(guest),
			       .reason = reason,
			       .bytes_before = bytes_before,
			       .bytes_after = bytes_after };
	va_list args;

	va_start(args, format);
	keep_event_text(events, &event, format, args);
	va_end(args);
}

void events_replay(const struct events *events, uint64_t after, event_fn fn, void *data)
{
	for (const GList *link = events->kept.head; link; link = link->next) {
		const struct event *event = link->data;

		if (event->number > after)
			fn(event, data);
	}
}

guint events_listen(struct events *events, event_fn fn, void *data)
{
	struct listener listener = { .id = ++events->last_id, .fn = fn, .data = data };

	g_array_append_val(events->listeners, listener);
	return listener.id;
}

void events_unlisten(struct events *events, guint id)
{
	for (guint i = 0; i < events->listeners->len; i++) {
		struct listener *listener = &g_array_index(events->listeners, struct listener, i);

		if (listener->id == id)
			listener->fn = NULL;
	}
	if (!events->depth)
		remove_empty_listeners(events->listeners);
}

uint64_t events_count(const struct events *events, enum event_kind kind)
{
	return events->counts[kind];
}
