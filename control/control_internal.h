/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the control socket share: control.c (clients and events),
 * control_commands.c (the table of commands, and QMP's own), control_qom.c (the
 * object tree and the statistics) and control_own.c (what QEMU does not have).
 */
#ifndef AEROSTAT_TRANSPORT_CONTROL_INTERNAL_H
#define AEROSTAT_TRANSPORT_CONTROL_INTERNAL_H

#include <jansson.h>

#include "control/control.h"
#include "control/control_frame.h"
#include "control/json_out.h"
#include "io/listener.h"

/* What waits for a client: of events at most half, then they are left out; with more it is
 * disconnected. */
#define CONTROL_OUT_MAX 262144
#define CONTROL_DESC_MAX 256
#define CONTROL_PARAMETERS_MAX 3
#define NS_PER_S UINT64_C(1000000000)

/* Events, control_events[] describes them. */
enum control_event_kind {
	CONTROL_BALLOON_CHANGE,
	CONTROL_X_AUDIT,
	CONTROL_X_DRIVER,
	CONTROL_X_HINTS,
	CONTROL_X_VMM,
	CONTROL_EVENT_KINDS
};

/* How often an event may be told: QEMU's rule for BALLOON_CHANGE, here for all. */
#define CONTROL_EVENT_PAUSE_NS NS_PER_S

struct control_event_state {
	bool pending;
	uint64_t next_ns; /* not before */
};

struct control_client {
	struct control *control;
	struct loop_source source;
	bool ready; /* qmp_capabilities was said */
	bool gone;  /* to be freed by the reaper, not watched any more */
	struct control_frame frame;
	size_t out_sent, out_length;
	char out[CONTROL_OUT_MAX];
};

struct control {
	struct loop *loop;
	struct balloon *balloon;
	struct control_options options;
	bool vmm_connected;
	struct listener listener;
	struct control_client *clients[CONTROL_CLIENTS_MAX];
	struct loop_timer reaper;

	struct loop_timer event_timer;
	struct control_event_state events[CONTROL_EVENT_KINDS];

	struct loop_timer poll_timer; /* asks for statistics */
	uint64_t poll_interval_s;
	uint64_t sample_arrived_ns, sample_epoch_s; /* of the sample last looked at */
};

/* One request on its way. */
struct control_call {
	struct control *control;
	struct control_client *client;
	const json_t *arguments; /* as the command's row wants them */
	struct json_out *out;	 /* for the command's one value (none: {}), once it cannot fail */
	const char *error_class;
	char desc[CONTROL_DESC_MAX];
};

/* Makes an error of a call; returns false. */
bool control_refuse(struct control_call *call, const char *error_class, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
#define control_error(call, ...) control_refuse(call, "GenericError", __VA_ARGS__)

enum control_type { CONTROL_BOOL, CONTROL_INTEGER, CONTROL_STRING, CONTROL_ARRAY, CONTROL_ANY };

struct control_parameter {
	const char *name;
	enum control_type type;
	bool optional;
};

/* One row a command. */
struct control_command {
	const char *name;
	const char *help;
	bool (*run)(struct control_call *call);
	struct control_parameter parameters[CONTROL_PARAMETERS_MAX + 1];
};
extern const struct control_command control_commands[];
extern const size_t control_command_count;

/* One row a kind of event: @data writes its members, as things are then. */
struct control_event_row {
	const char *name;
	const char *help;
	void (*data)(const struct control *control, struct json_out *out);
};
extern const struct control_event_row control_events[CONTROL_EVENT_KINDS];

/* Answers the message of @length bytes at @text. */
void control_answer(struct control_client *client, const char *text, size_t length);
/* Answers with an error what was no message. */
void control_answer_error(struct control_client *client, const char *desc);
/* {"qemu": {…}, "package": …} as member @key; NULL: as the value. */
void control_out_version(struct json_out *out, const char *key);

/* Begins and ends a message to @client; one that does not fit disconnects it. */
void control_message(struct control_client *client, struct json_out *out);
void control_message_end(struct control_client *client, struct json_out *out);

bool control_qom_list(struct control_call *call);
bool control_qom_get(struct control_call *call);
bool control_qom_set(struct control_call *call);
bool control_virtio_status(struct control_call *call);
/* Notes when the newest sample came, by the wall clock. */
void control_note_sample(struct control *control);
void control_poll_due(struct loop_timer *timer);

bool control_x_audit(struct control_call *call);
bool control_x_query_audit(struct control_call *call);
bool control_x_query_balloon(struct control_call *call);
bool control_x_query_counters(struct control_call *call);
bool control_x_hint(struct control_call *call);
bool control_x_set_reporting(struct control_call *call);
void control_out_audit(const struct control *control, struct json_out *out);
const char *control_hinting_name(const struct control *control);

#endif
