/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest behind a QEMU monitor, and questions to it (private to qmp*.c).
 *
 * Each operation is a work function, which asks, and a caller that has qmp_run_session()
 * see to the connection (qmp.c).
 */
#ifndef AEROSTAT_HYPERVISOR_QMP_GUEST_H
#define AEROSTAT_HYPERVISOR_QMP_GUEST_H

#include "hypervisor/hypervisor.h"
#include "hypervisor/qmp_wire.h"

struct qmp_guest {
	struct hv_guest base;
	char *path;
	struct qmp_wire *wire; /* NULL when not connected */
	char *device;	       /* QOM path of the balloon, found on this connection */
	GQueue events;	       /* struct hv_event, the oldest first */
	bool watching;	       /* event_wait() was called */
	bool seen;	       /* QEMU greeted us once */
	bool absent;	       /* nobody listened when last tried */
	bool gone;	       /* event_wait() has told so */
};

/* A part of a call that needs a connection.  It may be run several times. */
typedef bool (*qmp_work_fn)(struct qmp_guest *g, int64_t deadline, void *arg, GError **error);
bool qmp_run_session(struct qmp_guest *g, int64_t deadline, qmp_work_fn work, void *arg,
		     GError **error);

/* As qmp_wire_execute(). */
json_t *qmp_execute(struct qmp_guest *g, int64_t deadline, const char *command, json_t *arguments,
		    GError **error);
/* The same, but an error that QEMU answers is fine too: *answer is NULL then. */
bool qmp_execute_optional(struct qmp_guest *g, int64_t deadline, const char *command,
			  json_t *arguments, json_t **answer, GError **error);
/* HV_ERROR_PROTOCOL: @answer makes no sense as a @what.  Returns false. */
bool qmp_fail_bad_answer(const char *what, const json_t *answer, GError **error);

/* The balloon's size; a work function, @arg is a uint64_t. */
bool qmp_query_actual(struct qmp_guest *g, int64_t deadline, void *arg, GError **error);
bool qmp_query_max(struct qmp_guest *g, int64_t deadline, uint64_t *max_bytes, GError **error);
/* Reads property @name of the balloon, or writes @value to it. */
json_t *qmp_access_property(struct qmp_guest *g, int64_t deadline, const char *name, json_t *value,
			    GError **error);
/* A change of the persistent configuration, which there is none of. */
bool qmp_refuse_config(const struct qmp_guest *g, unsigned int scope, GError **error);

/* Of the hv_ops: statistics (qmp_stats.c) and what is in the way (qmp_obstacle.c). */
bool qmp_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
		   GError **error);
bool qmp_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
			  unsigned int scope, GError **error);
bool qmp_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		  GError **error);

#endif
