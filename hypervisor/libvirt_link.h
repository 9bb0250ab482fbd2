/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's own connection to libvirt, and calls over it that end at their
 * deadline (private to libvirt*.c).
 */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_LINK_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_LINK_H

#include "hypervisor/hypervisor.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

#define LINK_EVENT_KINDS 2

struct libvirt_link {
	char *uri;
	char *address; /* the guest as its user named it; NULL: no guest, the URI itself */

	/* The thread that uses the guest. */
	pid_t pid; /* what was found last, see vmm_process_find() */

	/* The thread of the one call there is. */
	virConnectPtr conn; /* NULL: not connected */
	char *denied;	    /* why the connection is for reading only; NULL when it is not */
	bool connected_before;
	int event_ids[LINK_EVENT_KINDS]; /* libvirt's, -1 while not registered */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	int refs;
	bool busy;			   /* there is a call, waited for or given up */
	bool closing;			   /* the guest was closed: whoever is last disconnects */
	bool lost;			   /* libvirt said that the connection broke */
	bool listening;			   /* events are registered, over a connection not lost */
	char uuid[VIR_UUID_STRING_BUFLEN]; /* "" until the guest was found once */
	GQueue events;			   /* struct hv_event *, oldest first */
};

/* One call: what it asks and what came back.  Each work uses what it needs. */
typedef struct libvirt_call {
	struct libvirt_link *link;
	int64_t deadline;
	bool holds_link;

	/*
	 * The work, in the call's thread.  @domain is NULL for a link without
	 * a guest.  Returns false with either @error or libvirt's last error
	 * set.
	 */
	bool (*work)(struct libvirt_call *call, virDomainPtr domain);
	char *asked;  /* "set its memory to 512 MiB"; for messages */
	bool changes; /* it asks for a change, which may happen after the deadline */
	bool needs_running;

	unsigned int scope;
	uint64_t bytes; /* the target asked for, or the actual size told */
	int period_s;
	char *xml;     /* asked for or told; or a monitor command, and its answer */
	char *control; /* of the running guest's own device of ours, see libvirt_device.h */
	struct hv_info info;
	struct hv_stats stats;
	enum hv_obstacle obstacle;
	GPtrArray *guests; /* struct hv_guest * */

	GError *error;
} libvirt_call;

/* @address may be NULL; @uuid too, or it is what finds the domain. */
struct libvirt_link *libvirt_link_new(const char *uri, const char *address, const char *uuid);
struct libvirt_link *libvirt_link_ref(struct libvirt_link *link);
void libvirt_link_unref(void *link);

/* Ends the connection, now or when a call that was given up ends; drops the caller's reference. */
void libvirt_link_close(struct libvirt_link *link);

/* The URI leads to this host: the guest's process can be found here. */
bool libvirt_link_is_local(const struct libvirt_link *link);

struct libvirt_call *libvirt_call_new(struct libvirt_link *link, int64_t deadline,
				      bool (*work)(struct libvirt_call *, virDomainPtr),
				      char *asked);
void libvirt_call_free(void *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(libvirt_call, libvirt_call_free)

/*
 * libvirt_call_run - do the call's work in a thread, connecting first if need be
 *
 * Returns true when it succeeded.  At the deadline the thread keeps the call
 * and *@call becomes NULL.  The next call waits until this one is freed.
 */
bool libvirt_call_run(struct libvirt_call **call, GError **error);

/* As hv_ops.event_wait (libvirt_events.c). */
bool libvirt_link_wait_event(struct libvirt_link *link, int64_t deadline, struct hv_event *event,
			     GError **error);

/* For the works: sets the call's error, the guest's name in front; returns false. */
bool libvirt_call_fail(struct libvirt_call *call, enum hv_error code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/* The same, from libvirt's last error in this thread. */
bool libvirt_call_fail_last_error(struct libvirt_call *call);

#endif
