/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of a libvirt domain.
 *
 * Theory of operation
 * -------------------
 * Two callbacks, run by the loop's thread (libvirt_loop.c), put what happens
 * into the link's bounded queue; libvirt_link_wait_event() takes it out.  They are
 * registered by the first wait, and by the first after the connection was lost.
 * Whether the guest runs is asked after that, so that no stop is missed in
 * between, and again when it has stopped.
 *
 * Waiting itself needs no call, so that a stuck QEMU's events are waited for
 * as well as any other's.
 */
#include "hypervisor/libvirt_link.h"

#include "hypervisor/deadline.h"

#define EVENTS_MAX 64

/*
 * Adds @event, after which the guest does not run if @stopped.  Of balloon
 * changes not yet taken only the newest is kept, and of too many events the
 * newest.
 */
static void queue_libvirt_event(struct libvirt_link *link, struct hv_event *event, bool stopped)
{
	const struct hv_event *last;

	event->time_us = g_get_real_time();
	pthread_mutex_lock(&link->lock);
	last = g_queue_peek_tail(&link->events);
	if (last && last->kind == HV_EVENT_BALLOON_CHANGE && event->kind == HV_EVENT_BALLOON_CHANGE)
		g_free(g_queue_pop_tail(&link->events));
	else if (link->events.length == EVENTS_MAX)
		g_free(g_queue_pop_head(&link->events));
	g_queue_push_tail(&link->events, event);
	if (stopped)
		link->listening = false;
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

/* virsh's words. */
#define DETAILS_MAX 10
static const struct {
	const char *event;
	const char *details[DETAILS_MAX];
} lifecycle_words[] = {
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
	bool known = kind >= 0 && kind < (int)G_N_ELEMENTS(lifecycle_words);
	const char *word = known ? lifecycle_words[kind].event : "Unknown";
	const char *more = known && detail >= 0 && detail < DETAILS_MAX
				   ? lifecycle_words[kind].details[detail]
				   : NULL;

	(void)conn;
	(void)domain;
	event->kind = HV_EVENT_LIFECYCLE;
	g_snprintf(event->detail, sizeof(event->detail), "%s%s%s", word, more ? " " : "",
		   more ? more : "");
	queue_libvirt_event(data, event, kind == VIR_DOMAIN_EVENT_STOPPED);
	return 0;
}

/* Takes the oldest event. */
static bool take_libvirt_event(struct libvirt_link *link, struct hv_event *event)
{
	g_autofree struct hv_event *first = g_queue_pop_head(&link->events);

	if (first)
		*event = *first;
	return first;
}

static bool register_libvirt_event(struct libvirt_link *link, virDomainPtr domain, int slot,
				   int kind, virConnectDomainEventGenericCallback callback)
{
	if (link->event_ids[slot] >= 0)
		return true;
	link->event_ids[slot] = virConnectDomainEventRegisterAny(
		link->conn, domain, kind, callback, libvirt_link_ref(link), libvirt_link_unref);
	if (link->event_ids[slot] < 0)
		libvirt_link_unref(link);
	return link->event_ids[slot] >= 0;
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
		link->listening = !link->lost;
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
		link, deadline, libvirt_events_register_work, g_strdup("tell what happens to it"));
	g_autoptr(GError) problem = NULL;
	bool found_before;

	pthread_mutex_lock(&link->lock);
	found_before = *link->uuid;
	pthread_mutex_unlock(&link->lock);
	if (libvirt_call_run(&call, &problem))
		return true;
	/* A transient guest vanishes when it stops. */
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
		while (link->listening && !link->events.length && in_time)
			in_time = deadline_wait(&link->changed, &link->lock, deadline);
		taken = take_libvirt_event(link, event);
		listening = link->listening;
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
