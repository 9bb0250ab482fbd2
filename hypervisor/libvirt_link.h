/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's own connection to libvirt, and calls over it that end at their
 * deadline (private to libvirt*.c).
 *
 * An operation (struct hv_ops) is split in two: a work function, which calls
 * libvirt in the thread of a struct libvirt_call, and a caller, which fills in
 * the call's arguments and uses its answer.
 */
#ifndef AEROSTAT_HYPERVISOR_LIBVIRT_LINK_H
#define AEROSTAT_HYPERVISOR_LIBVIRT_LINK_H

#include "hypervisor/domain_xml.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

#define LINK_EVENT_KINDS 2

struct libvirt_link {
	char *uri;
	char *address; /* the guest as the user named it; NULL: the link is for the URI itself */

	/* Used only by the thread that uses the guest. */
	pid_t pid; /* the last result of libvirt_link_find_pid() */

	/* Used only by the thread of the current call. */
	virConnectPtr conn; /* NULL when not connected */
	char *denied;	    /* why the connection is read-only; NULL when it is not */
	bool connected_before;

	pthread_mutex_t lock; /* protects what follows, except events.ids */
	pthread_cond_t changed;
	int refs;
	bool busy;			   /* there is a call, which may have been given up */
	bool closing;			   /* the guest was closed: the last user disconnects */
	bool lost;			   /* libvirt reported that the connection broke */
	char uuid[VIR_UUID_STRING_BUFLEN]; /* "" until the domain was found */
	uid_t user;			   /* who runs its QEMU; (uid_t)-1: not known */
	uint64_t outside_bytes;		   /* as in struct domain_xml; HV_UNSET: it was not read */

	struct {
		int ids[LINK_EVENT_KINDS]; /* libvirt's, -1 when not registered; as conn above */
		bool active;		   /* registered, and the connection is not lost */
		GQueue queue;		   /* struct hv_event *, oldest first */
	} events;
};

/* One call.  Each work function uses those arguments and answers that it needs. */
typedef struct libvirt_call {
	struct libvirt_link *link;
	int64_t deadline;
	bool holds_link;

	/*
	 * The work, run in the call's thread.  @domain is NULL for a link without
	 * a guest.  On failure returns false with either @error or libvirt's last
	 * error set.
	 */
	bool (*work)(struct libvirt_call *call, virDomainPtr domain);
	char *asked;  /* for error messages: "set its memory to 512 MiB" */
	bool changes; /* it asks for a change, which may still be made after the deadline */
	bool needs_running;

	/* Set by the caller before libvirt_call_run(). */
	struct {
		unsigned int scope; /* enum hv_scope, or libvirt's flags for a list */
		uint64_t bytes;
		int period_s;
		pid_t pid;  /* of QEMU; 0: not known */
		char *text; /* XML, or a monitor command */
	} args;

	/* Set by the work function. */
	struct {
		char *text;    /* XML, or the answer to a monitor command */
		char *control; /* control socket of aerostat's device; NULL when it has none */
		struct hv_info info;
		struct hv_stats stats;
		enum hv_obstacle obstacle;
		GPtrArray *guests; /* struct hv_guest * */
	} answer;

	GError *error;
} libvirt_call;

/*
 * libvirt_link_new - a link that is not connected yet
 * @address: the guest's name, UUID or id; NULL for a link to @uri itself
 * @uuid: of the domain, if known; otherwise NULL
 *
 * The caller holds one reference and gives it up with libvirt_link_close().
 */
struct libvirt_link *libvirt_link_new(const char *uri, const char *address, const char *uuid);

/* Takes a reference; returns @link. */
struct libvirt_link *libvirt_link_ref(struct libvirt_link *link);

/* Drops a reference; the last one frees the link.  @link is a struct libvirt_link *. */
void libvirt_link_unref(void *link);

/*
 * Closes the connection, or leaves that to a call that was given up and is still
 * running.  Drops the caller's reference.
 */
void libvirt_link_close(struct libvirt_link *link);

/* The user in a DAC label: "+1000", "1000" or a name.  (uid_t)-1: there is no such user. */
uid_t libvirt_parse_user(const char *label);

/* Remembers who runs the guest's QEMU, by its DAC label; NULL: libvirt reports none. */
void libvirt_link_set_user(struct libvirt_link *link, const char *label);

/* Remembers what the guest's virtio-mem devices have plugged, which libvirt's events leave out. */
void libvirt_link_set_outside(struct libvirt_link *link, uint64_t outside_bytes);

/* What was remembered; HV_UNSET: nothing. */
uint64_t libvirt_link_outside(struct libvirt_link *link);

/*
 * The users whose processes may be a QEMU of @uri: @user, or if that is (uid_t)-1 those whom
 * libvirt usually runs QEMU as.  The caller frees the array.
 */
GArray *libvirt_list_owners(const char *uri, uid_t user);

/*
 * The process of the guest's QEMU on this host; 0 when it is unknown.  For the
 * thread that uses the guest.
 */
pid_t libvirt_link_find_pid(struct libvirt_link *link);

/*
 * libvirt_call_new - prepare a call
 * @asked: for error messages, see struct libvirt_call; taken over
 */
struct libvirt_call *libvirt_call_new(struct libvirt_link *link, int64_t deadline,
				      bool (*work)(struct libvirt_call *, virDomainPtr),
				      char *asked);

/* Frees a call, a struct libvirt_call *, and lets the link's next call run. */
void libvirt_call_free(void *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(libvirt_call, libvirt_call_free)

/*
 * libvirt_call_run - run the call's work in a thread, connecting first if necessary
 * @call: when the deadline comes first, *@call becomes NULL: the thread frees it
 *
 * Waits until the link's earlier call, if any, is freed.
 */
bool libvirt_call_run(struct libvirt_call **call, GError **error);

/*
 * libvirt_read_xml - read and parse the XML of @domain
 * @flags: VIR_DOMAIN_XML_*
 *
 * For work functions.  On failure @xml is unchanged.
 */
bool libvirt_read_xml(virDomainPtr domain, unsigned int flags, struct domain_xml *xml);

/* For work functions: sets the call's error, after the guest's name.  Returns false. */
bool libvirt_call_fail(struct libvirt_call *call, enum hv_error code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/* As libvirt_call_fail(), with libvirt's last error in this thread. */
bool libvirt_call_fail_last_error(struct libvirt_call *call);

/* As libvirt_call_fail(), for a guest without a balloon device. */
bool libvirt_call_fail_no_balloon(struct libvirt_call *call);

#endif
