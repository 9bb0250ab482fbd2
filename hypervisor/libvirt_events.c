/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * Two callbacks, run by the loop's thread (libvirt_loop.c), put events into the
 * link's bounded queue, from which libvirt_link_wait_event() takes them.  The first
 * wait registers the callbacks, and so does the first wait after the connection
 * was lost or the guest stopped.  Only after that does it ask whether the guest is
 * running, so that it misses no stop in between.
 *
 * The wait itself makes no libvirt call, so it works for a stuck QEMU too.
 */
#include "hypervisor/libvirt_events.h"

#include "hypervisor/deadline.h"

#define EVENTS_MAX 64

/*
 * Adds @event; @stopped: it says that the guest stopped.  Of consecutive balloon
 * changes only the last is kept.  When the queue is full, the oldest event is
 * dropped.
 */
static void queue_libvirt_event(struct libvirt_link *link, struct hv_event *event, bool stopped)
{
	const struct hv_event *last;

	event->time_us = g_get_real_time();
	pthread_mutex_lock(&link->lock);
	last = g_queue_peek_tail(&link->events.queue);
	if (last && last->kind == HV_EVENT_BALLOON_CHANGE && event->kind == HV_EVENT_BALLOON_CHANGE)
		g_free(g_queue_pop_tail(&link->events.queue));
	else if (link->events.queue.length == EVENTS_MAX)
		g_free(g_queue_pop_head(&link->events.queue));
	g_queue_push_tail(&link->events.queue, event);
	if (stopped)
		link->events.active = false;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
}

static void on_libvirt_balloon_change(virConnectPtr conn, virDomainPtr domain,
				      unsigned long long actual_kib, void *data)
{
	struct hv_event *event = g_new0(struct hv_event, 1);

	(void)conn;
	(void)domain;
	event->kind = HV_EVENT_BALLOON_CHANGE;
	event->actual_bytes = actual_kib * 1024;
	queue_libvirt_event(data, event, false);
}

/* Names as virsh prints them. */
#define DETAILS_MAX 10
static const struct {
	const char *event;
	const char *details[DETAILS_MAX];
} lifecycle_names[] = {
	[VIR_DOMAIN_EVENT_DEFINED] = { "Defined", { "Added", "Updated", "Renamed", "Snapshot" } },
	[VIR_DOMAIN_EVENT_UNDEFINED] = { "Undefined", { "Removed", "Renamed" } },
	[VIR_DOMAIN_EVENT_STARTED] = { "Started",
				       { "Booted", "Migrated", "Restored", "Snapshot",
					 "Event wakeup" } },
	[VIR_DOMAIN_EVENT_SUSPENDED] = { "Suspended",
					 { "Paused", "Migrated", "I/O Error", "Watchdog",
					   "Restored", "Snapshot", "API error", "Post-copy",
					   "Post-copy Error" } },
	[VIR_DOMAIN_EVENT_RESUMED] = { "Resumed",
				       { "Unpaused", "Migrated", "Snapshot", "Post-copy",
					 "Post-copy Error" } },
	[VIR_DOMAIN_EVENT_STOPPED] = { "Stopped",
				       { "Shutdown", "Destroyed", "Crashed", "Migrated", "Saved",
					 "Failed", "Snapshot" } },
	[VIR_DOMAIN_EVENT_SHUTDOWN] = { "Shutdown",
					{ "Finished", "Finished after guest request",
					  "Finished after host request" } },
	[VIR_DOMAIN_EVENT_PMSUSPENDED] = { "PMSuspended", { "Memory", "Disk" } },
	[VIR_DOMAIN_EVENT_CRASHED] = { "Crashed", { "Panicked", "Crashloaded" } },
};

static int on_libvirt_lifecycle(virConnectPtr conn, virDomainPtr domain, int kind, int detail,
				void *data)
{
	struct hv_event *event = g_new0(struct hv_event, 1);
	bool known = kind >= 0 && kind < (int)G_N_ELEMENTS(lifecycle_names);
	const char *name = known ? lifecycle_names[kind].event : "Unknown";
	const char *more = known && detail >= 0 && detail < DETAILS_MAX
				   ? lifecycle_names[kind].details[detail]
				   : NULL;

	(void)conn;
	(void)domain;
	event->kind = HV_EVENT_LIFECYCLE;
	g_snprintf(event->detail, sizeof(event->detail), "%s%s%s", name, more ? " " : "",
		   more ? more : "");
	queue_libvirt_event(data, event, kind == VIR_DOMAIN_EVENT_STOPPED);
	return 0;
}

/* Takes the oldest event; called with the lock held. */
static bool take_libvirt_event(struct libvirt_link *link, struct hv_event *event)
{
	g_autofree struct hv_event *first = g_queue_pop_head(&link->events.queue);

	if (first)
		*event = *first;
	if (first && event->kind == HV_EVENT_BALLOON_CHANGE && link->outside_bytes != HV_UNSET)
		event->actual_bytes += link->outside_bytes;
	return first;
}

static bool register_libvirt_event(struct libvirt_link *link, virDomainPtr domain, int slot,
				   int kind, virConnectDomainEventGenericCallback callback)
{
	if (link->events.ids[slot] >= 0)
		return true;
	link->events.ids[slot] = virConnectDomainEventRegisterAny(
		link->conn, domain, kind, callback, libvirt_link_ref(link), libvirt_link_unref);
	if (link->events.ids[slot] < 0)
		libvirt_link_unref(link);
	return link->events.ids[slot] >= 0;
}

static bool libvirt_events_register_work(struct libvirt_call *call, virDomainPtr domain)
{
	struct libvirt_link *link = call->link;

	if (!register_libvirt_event(link, domain, 0, VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
				    VIR_DOMAIN_EVENT_CALLBACK(on_libvirt_balloon_change)) ||
	    !register_libvirt_event(link, domain, 1, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
				    VIR_DOMAIN_EVENT_CALLBACK(on_libvirt_lifecycle)))
		return false;
	switch (virDomainIsActive(domain)) {
	case 1:
		pthread_mutex_lock(&link->lock);
		link->events.active = !link->lost;
		pthread_mutex_unlock(&link->lock);
		return true;
	case 0:
		return libvirt_call_fail(call, HV_ERROR_NOT_RUNNING,
					 "the guest is not running, so it has no events");
	default:
		return false;
	}
}

static bool libvirt_events_register(struct libvirt_link *link, int64_t deadline, GError **error)
{
	g_autoptr(libvirt_call) call = libvirt_call_new(
		link, deadline, libvirt_events_register_work, g_strdup("report its events"));
	g_autoptr(GError) problem = NULL;
	bool found_before;

	pthread_mutex_lock(&link->lock);
	found_before = *link->uuid;
	pthread_mutex_unlock(&link->lock);
	if (libvirt_call_run(&call, &problem))
		return true;
	/* A transient guest ceases to exist when it stops. */
	if (found_before && problem->code == HV_ERROR_NOT_FOUND)
		g_set_error(error, HV_ERROR, HV_ERROR_NOT_RUNNING,
			    "%s: the guest no longer exists, so it has no more events",
			    link->address);
	else
		g_propagate_error(error, g_steal_pointer(&problem));
	return false;
}

bool libvirt_link_wait_event(struct libvirt_link *link, int64_t deadline, struct hv_event *event,
			     GError **error)
{
	bool taken, listening, in_time = true;

	do {
		pthread_mutex_lock(&link->lock);
		while (link->events.active && !link->events.queue.length && in_time)
			in_time = deadline_wait(&link->changed, &link->lock, deadline);
		taken = take_libvirt_event(link, event);
		listening = link->events.active;
		pthread_mutex_unlock(&link->lock);
		if (taken)
			return true;
		if (!in_time) {
			g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT,
				    "%s: no event within the time allowed", link->address);
			return false;
		}
	} while (listening || libvirt_events_register(link, deadline, error));
	return false;
}
