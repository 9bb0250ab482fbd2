/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a QEMU monitor: QMP framing, JSON, one exchange at a time.
 *
 * Functions fail as hypervisor.h says, but their texts name no guest: the
 * caller knows it and puts it in front.  @deadline is as there, too.
 */
#ifndef AEROSTAT_HYPERVISOR_QMP_WIRE_H
#define AEROSTAT_HYPERVISOR_QMP_WIRE_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* No message may be longer: 4096 vCPUs, the longest we ask for, fill a quarter. */
#define QMP_WIRE_MESSAGE_MAX (4u << 20)

/* Called for each event that arrives, within any function that reads. */
typedef bool (*qmp_event_fn)(const json_t *event, void *data, GError **error);

enum qmp_wire_state {
	QMP_WIRE_OPEN,
	QMP_WIRE_LOST,	 /* the other side closed it; a new connection may fare better */
	QMP_WIRE_BROKEN, /* the two sides disagree on what comes next */
};

struct qmp_wire {
	int fd;
	pid_t pid; /* who listens there; 0 unknown */
	enum qmp_wire_state state;
	bool greeted;
	bool ready;    /* for commands */
	char *command; /* sent and not answered yet; NULL when none */
	/* private */
	char *id; /* of that command */
	int64_t serial;
	GString *in;
	qmp_event_fn on_event;
	void *data;
};

/* Wraps the connected stream socket @fd and closes it in the end. */
struct qmp_wire *qmp_wire_new(int fd, qmp_event_fn on_event, void *data);
void qmp_wire_free(struct qmp_wire *wire);

/*
 * qmp_wire_connect - a connection to the socket @path
 *
 * Waits only when too many others wait already.  HV_ERROR_UNREACHABLE says
 * that nobody listens there.
 */
struct qmp_wire *qmp_wire_connect(const char *path, int64_t deadline, qmp_event_fn on_event,
				  void *data, GError **error);

/*
 * Who listens on @path, 0 when that cannot be found.  Slow: it is for a queue
 * so full that not even a connection can tell.
 */
pid_t qmp_listener_pid(const char *path);

/*
 * qmp_wire_negotiate - wait for QEMU's greeting and leave negotiation mode
 *
 * HV_ERROR_BUSY says that no greeting came.  May be called again after that.
 */
bool qmp_wire_negotiate(struct qmp_wire *wire, int64_t deadline, GError **error);

/*
 * qmp_wire_execute - one command and its answer
 * @arguments: taken over; may be NULL
 *
 * Returns what QEMU returned, for the caller to json_decref(), or NULL.  An
 * error that QEMU answered is HV_ERROR_NO_BALLOON, _UNSUPPORTED (no such
 * command) or _REFUSED (any other), see qmp_is_answer().
 */
json_t *qmp_wire_execute(struct qmp_wire *wire, int64_t deadline, const char *command,
			 json_t *arguments, GError **error);

/* Is @error an answer of QEMU's, rather than the lack of one? */
bool qmp_is_answer(const GError *error);

/* Reads one message outside of an exchange; HV_ERROR_TIMEOUT when none came. */
bool qmp_wire_pump(struct qmp_wire *wire, int64_t deadline, GError **error);

/* Is @number a whole one from 0 to 2^63 - 1?  Puts it into @value. */
bool qmp_parse_u64(const json_t *number, uint64_t *value);

/* The beginning of @text, on one line and harmless on a terminal; the caller frees. */
char *qmp_format_excerpt(const char *text, size_t length);

#endif
