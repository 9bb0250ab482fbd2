/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest behind a QEMU monitor: its connection, its events, and the questions
 * that several operations ask (private to qmp*.c).
 *
 * An operation (struct hv_ops) is split in two: a work function, which sends
 * commands, and a caller, which passes the work function to
 * qmp_run_session().  Errors of a work function do not name the guest;
 * qmp_run_session() adds its name.
 *
 * @deadline is everywhere as in hypervisor.h.
 */
#ifndef AEROSTAT_HYPERVISOR_QMP_GUEST_H
#define AEROSTAT_HYPERVISOR_QMP_GUEST_H

#include "hypervisor/hypervisor.h"

#include <jansson.h>

struct qmp_guest {
	struct hv_guest base;
	char *socket_path;

	/* Only qmp_guest.c uses what follows. */
	struct qmp_wire *wire; /* NULL when not connected */
	char *balloon_path;    /* QOM path of the balloon; NULL until it was looked up */
	bool greeted_once;     /* QEMU has greeted us, on this connection or an earlier one */
	bool absent;	       /* no process listened at the last attempt to connect */
	pid_t pid;	       /* the process that greeted us last; 0 if unknown */
	uint64_t start_ticks;  /* its start; 0 if unknown */

	uint64_t outside_bytes; /* as in struct qmp_ram, when it was asked last */
	bool outside_known;	/* and nothing has changed it since */

	GQueue events;	/* struct hv_event, oldest first */
	bool watching;	/* qmp_event_wait() was called: keep the connection */
	bool end_known; /* qmp_event_wait() has reported that QEMU ended */
};

/* A guest without a connection; @ops are those of its kind. */
struct qmp_guest *qmp_guest_new(const struct hv_ops *ops, const char *socket_path);
/* Closes its connection and frees it; implements hv_ops.close. */
void qmp_close(struct hv_guest *guest);

/* The part of an operation that needs a connection.  It may run several times. */
typedef bool (*qmp_work_fn)(struct qmp_guest *g, int64_t deadline, void *arg, GError **error);

/*
 * qmp_run_session - run @work with a connection
 * @arg: passed on to @work
 *
 * Connects if necessary.  When the connection is lost, connects again and runs
 * @work from its beginning, until @deadline.  Afterwards the connection is
 * closed, unless the guest is held or its events are awaited.
 */
bool qmp_run_session(struct qmp_guest *g, int64_t deadline, qmp_work_fn work, void *arg,
		     GError **error);

/* The process that listens on the monitor's socket; 0 when unknown.  For work functions. */
pid_t qmp_guest_pid(const struct qmp_guest *g);

/* Sends one command and returns its answer, as qmp_wire_execute() does.  For work functions. */
json_t *qmp_execute(struct qmp_guest *g, int64_t deadline, const char *command, json_t *arguments,
		    GError **error);

/*
 * qmp_execute_optional - as qmp_execute(), for a command that QEMU may refuse
 * @answer: receives the answer, for the caller to json_decref(); NULL when QEMU
 *          answered with an error
 *
 * Returns false only when QEMU gave no answer.
 */
bool qmp_execute_optional(struct qmp_guest *g, int64_t deadline, const char *command,
			  json_t *arguments, json_t **answer, GError **error);

/* Sets HV_ERROR_PROTOCOL: @answer is not a valid @what.  Returns false. */
bool qmp_fail_bad_answer(const char *what, const json_t *answer, GError **error);

/*
 * The guest's RAM.  QEMU computes the size of a balloon's guest from the RAM at boot and the DIMMs
 * only; its commands about the balloon know nothing of virtio-mem.
 */
struct qmp_ram {
	uint64_t max_bytes;	/* at boot, in DIMMs and plugged by virtio-mem devices */
	uint64_t outside_bytes; /* the part that virtio-mem devices have plugged */
};

/* Reads the guest's RAM.  For work functions. */
bool qmp_query_ram(struct qmp_guest *g, int64_t deadline, struct qmp_ram *ram, GError **error);

/*
 * Stores the guest's actual size in bytes in @arg, a uint64_t: its maximum minus the balloon.  A
 * work function.
 */
bool qmp_query_actual(struct qmp_guest *g, int64_t deadline, void *arg, GError **error);

/*
 * The QOM path of the balloon device, if qmp_access_property() has found it on
 * this connection; otherwise NULL.  Valid until the next command.
 */
const char *qmp_balloon_path(const struct qmp_guest *g);

/*
 * qmp_access_property - read a property of the balloon device, or set it
 * @name: the property's name in QEMU
 * @value: NULL to read; otherwise the value to set, still the caller's
 *
 * Returns the property's value, or QEMU's empty answer to a change, for the
 * caller to json_decref(); NULL on an error, which is HV_ERROR_NO_BALLOON when
 * the guest has no balloon.  For work functions.
 */
json_t *qmp_access_property(struct qmp_guest *g, int64_t deadline, const char *name, json_t *value,
			    GError **error);

/*
 * Returns true, with HV_ERROR_UNSUPPORTED, when @scope includes the persistent
 * configuration: a QMP guest has none.
 */
bool qmp_refuse_config(const struct qmp_guest *g, unsigned int scope, GError **error);

/* Implements hv_ops.event_wait. */
bool qmp_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
		    GError **error);

#endif
