/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events: what clients are sent without having asked.
 *
 * Theory of operation
 * -------------------
 * A pending event is only a mark that something changed.  A timer sends it with
 * the values of that moment: in the next round of the loop, or a pause after the
 * last event of its kind, which is a second as in QEMU.  So the last event always shows the final
 * state, and the functions that cause events, which are called from deep within the device, send
 * nothing.  Pulls are urgent: their pause is only 50 ms.
 */
#ifndef AEROSTAT_CONTROL_CONTROL_EVENTS_H
#define AEROSTAT_CONTROL_CONTROL_EVENTS_H

#include "control/control.h"
#include "io/json_writer.h"

enum control_event_kind {
	CONTROL_BALLOON_CHANGE,
	CONTROL_X_AUDIT,
	CONTROL_X_DRIVER,
	CONTROL_X_HINTS,
	CONTROL_X_PULL,
	CONTROL_X_VMM,
	CONTROL_EVENT_KINDS
};

/* One row per kind. */
struct control_event_row {
	const char *name;
	const char *help;
	/* Writes the members of "data" with their current values. */
	void (*write_data)(const struct control *control, struct json_writer *out);
	uint64_t pause_ns; /* between two of them */
};
extern const struct control_event_row control_event_table[CONTROL_EVENT_KINDS];

struct control_event_state {
	bool pending;
	uint64_t next_ns; /* when another one may be sent */
};

struct control_events {
	struct loop_timer timer;
	struct control_event_state kinds[CONTROL_EVENT_KINDS];
};

/* Prepares @control for events. */
void control_events_init(struct control *control);
/* Stops the timer. */
void control_events_free(struct control *control);

#endif
