/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a QEMU monitor: QMP framing, JSON, one command at a time
 * (private to qmp*.c).
 *
 * Errors and @deadline are as in hypervisor.h, but the texts do not name the
 * guest: the caller adds its name.
 */
#ifndef AEROSTAT_HYPERVISOR_QMP_WIRE_H
#define AEROSTAT_HYPERVISOR_QMP_WIRE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The maximum length of a message.  Our longest, 4096 vCPUs, takes a quarter of it. */
#define QMP_WIRE_MESSAGE_MAX (4u << 20)

/*
 * Called for each event that arrives, by any function that reads.  Returns false
 * with an error if the event is invalid, which breaks the wire.
 */
typedef bool (*qmp_event_fn)(const json_t *event, void *data, GError **error);

enum qmp_wire_state {
	QMP_WIRE_OPEN,
	QMP_WIRE_LOST,	 /* QEMU closed it; a new connection may succeed */
	QMP_WIRE_BROKEN, /* invalid input: the position in the stream is lost */
};

struct qmp_wire {
	int fd;
	pid_t pid; /* the process that listens; 0 when unknown */
	enum qmp_wire_state state;
	bool greeted;
	bool ready;    /* for commands: negotiation is done */
	char *command; /* in flight; NULL when none is */
	/* Only qmp_wire.c uses what follows. */
	char *id; /* of the command in flight */
	int64_t serial;
	GString *in;
	qmp_event_fn on_event;
	void *data;
};

/* Takes over @fd, a connected stream socket.  @on_event may be NULL. */
struct qmp_wire *qmp_wire_new(int fd, qmp_event_fn on_event, void *data);
/* Closes the connection; does nothing with NULL. */
void qmp_wire_free(struct qmp_wire *wire);

/*
 * qmp_wire_connect - connect to the socket @path
 *
 * Returns NULL on failure; HV_ERROR_UNREACHABLE means that no process listens
 * there.  Waits only while the listener's queue is full.
 */
struct qmp_wire *qmp_wire_connect(const char *path, int64_t deadline, qmp_event_fn on_event,
				  void *data, GError **error);

/*
 * qmp_wire_negotiate - wait for QEMU's greeting and leave negotiation mode
 *
 * HV_ERROR_BUSY means that no greeting came before @deadline; it may be called
 * again then.
 */
bool qmp_wire_negotiate(struct qmp_wire *wire, int64_t deadline, GError **error);

/*
 * qmp_wire_execute - send one command and wait for its answer
 * @arguments: taken over; may be NULL
 *
 * Returns what QEMU returned, for the caller to json_decref(), or NULL.  If QEMU
 * answered with an error it is HV_ERROR_NO_BALLOON, HV_ERROR_UNSUPPORTED (no such
 * command) or HV_ERROR_REFUSED (any other); see qmp_is_answer().
 */
json_t *qmp_wire_execute(struct qmp_wire *wire, int64_t deadline, const char *command,
			 json_t *arguments, GError **error);

/* Whether QEMU answered with @error, rather than not at all. */
bool qmp_is_answer(const GError *error);

/*
 * Reads one message, normally an event, without sending a command.
 * HV_ERROR_TIMEOUT when none came before @deadline.
 */
bool qmp_wire_pump(struct qmp_wire *wire, int64_t deadline, GError **error);

/* Stores @number in @value; false if it is not a whole number from 0 to 2^63 - 1. */
bool qmp_parse_u64(const json_t *number, uint64_t *value);

/* The beginning of @text with unprintable bytes escaped, for a message; the caller frees. */
char *qmp_format_excerpt(const char *text, size_t length);

#endif
