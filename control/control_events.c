/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_events.h"

#include <time.h>

#include "control/control_state.h"
#include "control/control_x.h"

/* QEMU limits BALLOON_CHANGE to one event per second; here that applies to most events. */
#define EVENT_PAUSE_NS NS_PER_S
#define PULL_PAUSE_NS (NS_PER_S / 20)

static void write_actual(const struct control *control, struct json_writer *out)
{
	struct balloon_info info;

	balloon_info(control->balloon, &info);
	json_write_u64(out, "actual", info.actual_bytes);
}

static void write_driver_state(const struct control *control, struct json_writer *out)
{
	json_write_bool(out, "ready", balloon_is_driver_ok(control->balloon));
}

static void write_hinting_state(const struct control *control, struct json_writer *out)
{
	json_write_string(out, "state", control_hinting_name(control));
}

static void write_vmm_state(const struct control *control, struct json_writer *out)
{
	json_write_bool(out, "connected", control->vmm_connected);
}

static void write_pull(const struct control *control, struct json_writer *out)
{
	struct balloon_gate gate = balloon_gate(control->balloon);

	json_write_u64(out, "size", gate.size_bytes);
	json_write_bool(out, "waiting", gate.waiting);
}

const struct control_event_row control_event_table[CONTROL_EVENT_KINDS] = {
	[CONTROL_BALLOON_CHANGE] = { "BALLOON_CHANGE", "the guest's size changed", write_actual,
				     EVENT_PAUSE_NS },
	[CONTROL_X_AUDIT] = { "X_AUDIT", "an audit ended; with its result", control_write_audit,
			      EVENT_PAUSE_NS },
	[CONTROL_X_DRIVER] = { "X_DRIVER", "the driver became ready, or the device was reset",
			       write_driver_state, EVENT_PAUSE_NS },
	[CONTROL_X_HINTS] = { "X_HINTS", "a round of free page hinting ended", write_hinting_state,
			      EVENT_PAUSE_NS },
	[CONTROL_X_PULL] = { "X_PULL",
			     "the guest took memory back by itself, or waits for it at the gate",
			     write_pull, PULL_PAUSE_NS },
	[CONTROL_X_VMM] = { "X_VMM", "the VMM connected or disconnected", write_vmm_state,
			    EVENT_PAUSE_NS },
};

static void send_event(struct control_client *client, const struct control_event_row *row)
{
	struct timespec now;
	struct json_writer out;

	/* Half of the buffer is kept for answers. */
	if (client->out_length - client->out_sent > CONTROL_OUT_MAX / 2)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	control_message_begin(client, &out);
	json_write_open(&out, NULL, '{');
	json_write_open(&out, "timestamp", '{');
	json_write_u64(&out, "seconds", (uint64_t)now.tv_sec);
	json_write_u64(&out, "microseconds", (uint64_t)now.tv_nsec / 1000);
	json_write_close(&out, '}');
	json_write_string(&out, "event", row->name);
	json_write_open(&out, "data", '{');
	row->write_data(client->control, &out);
	json_write_close(&out, '}');
	json_write_close(&out, '}');
	control_message_end(client, &out);
}

static void set_event_timer(struct control_events *events)
{
	uint64_t due_ns = LOOP_NEVER;

	for (int i = 0; i < CONTROL_EVENT_KINDS; i++)
		if (events->kinds[i].pending && events->kinds[i].next_ns < due_ns)
			due_ns = events->kinds[i].next_ns;
	events->timer.due_ns = due_ns;
}

static void event_timer_due(struct loop_timer *timer)
{
	struct control *control =
		(struct control *)((char *)timer - offsetof(struct control, events.timer));
	uint64_t now_ns = loop_now_ns();

	for (int kind = 0; kind < CONTROL_EVENT_KINDS; kind++) {
		struct control_event_state *event = &control->events.kinds[kind];

		if (!event->pending || event->next_ns > now_ns)
			continue;
		event->pending = false;
		event->next_ns = now_ns + control_event_table[kind].pause_ns;
		for (unsigned int slot = 0; slot < CONTROL_CLIENTS_MAX; slot++) {
			struct control_client *client = control_client_for_events(control, slot);

			if (client)
				send_event(client, &control_event_table[kind]);
		}
	}
	set_event_timer(&control->events);
}

static void mark_event(struct control *control, enum control_event_kind kind)
{
	bool has_client = false;

	for (unsigned int slot = 0; slot < CONTROL_CLIENTS_MAX; slot++)
		has_client |= control_client_for_events(control, slot) != NULL;
	/* Without a client the process need not wake up. */
	control->events.kinds[kind].pending = has_client;
	set_event_timer(&control->events);
}

void control_report_event(struct control *control, enum balloon_event event)
{
	switch (event) {
	case BALLOON_EVENT_ACTUAL:
		mark_event(control, CONTROL_BALLOON_CHANGE);
		break;
	case BALLOON_EVENT_STATS:
		control_date_sample(control);
		break;
	case BALLOON_EVENT_AUDIT:
		mark_event(control, CONTROL_X_AUDIT);
		break;
	case BALLOON_EVENT_HINTS:
		mark_event(control, CONTROL_X_HINTS);
		break;
	case BALLOON_EVENT_DRIVER:
		mark_event(control, CONTROL_X_DRIVER);
		break;
	case BALLOON_EVENT_PULL:
		mark_event(control, CONTROL_X_PULL);
		break;
	}
}

void control_set_vmm_connected(struct control *control, bool connected)
{
	control->vmm_connected = connected;
	mark_event(control, CONTROL_X_VMM);
}

void control_events_init(struct control *control)
{
	control->events.timer = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = event_timer_due };
	loop_add_timer(control->loop, &control->events.timer);
}

void control_events_free(struct control *control)
{
	loop_remove_timer(control->loop, &control->events.timer);
}
