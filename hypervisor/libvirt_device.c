/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/libvirt_device.h"

#include "common/plain_text.h"
#include "hypervisor/guest_word.h"
#include "hypervisor/libvirt_events.h"
#include "hypervisor/vmm_process.h"

#define EVENT_SLICE_MS 100 /* the device's and libvirt's events are awaited in turn */

static struct libvirt_guest *to_libvirt_guest(struct hv_guest *guest)
{
	return (struct libvirt_guest *)guest;
}

struct libvirt_call *libvirt_guest_new_call(struct hv_guest *guest, int64_t deadline,
					    bool (*work)(struct libvirt_call *, virDomainPtr),
					    char *asked)
{
	return libvirt_call_new(to_libvirt_guest(guest)->link, deadline, work, asked);
}

bool libvirt_guest_has_device(const struct hv_guest *guest)
{
	return ((const struct libvirt_guest *)guest)->device;
}

void libvirt_device_update(struct libvirt_guest *guest, const char *control)
{
	g_autofree char *path = control ? plain_name(control) : NULL;
	g_autofree char *address = path ? g_strconcat("qmp:", path, NULL) : NULL;

	guest->device_known = true;
	if (guest->device && !g_strcmp0(guest->device->address, address))
		return;
	g_clear_pointer(&guest->device, hv_guest_close);
	if (path)
		guest->device = hv_qmp_open(path);
}

/* Reads the live XML, which libvirt has even if QEMU does not answer. */
static bool libvirt_device_find_work(struct libvirt_call *call, virDomainPtr domain)
{
	g_auto(domain_xml) live = { 0 };

	if (virDomainIsActive(domain) != 1)
		return true;
	if (!libvirt_read_xml(domain, 0, &live))
		return false;
	call->answer.control = g_steal_pointer(&live.control);
	return true;
}

bool libvirt_device_find(struct hv_guest *guest, int64_t deadline, const char *asked,
			 GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);

	if (!g->device_known) {
		g_autoptr(libvirt_call) call = libvirt_call_new(
			g->link, deadline, libvirt_device_find_work, g_strdup(asked));

		if (!libvirt_call_run(&call, error))
			return false;
		libvirt_device_update(g, call->answer.control);
	}
	if (g->device)
		hv_guest_hold(g->device, guest->hold);
	return true;
}

static bool check_running_work(struct libvirt_call *call, virDomainPtr domain)
{
	return virDomainIsActive(domain) == 1 ||
	       libvirt_call_fail(call, HV_ERROR_NOT_RUNNING, "the guest is not running");
}

/*
 * Turns @failed, an error of the device, into one of the guest.  When the device does
 * not answer, libvirt knows whether the guest is still running.  Returns false.
 */
static bool libvirt_device_fail(struct libvirt_guest *g, int64_t deadline, const GError *failed,
				GError **error)
{
	const char *name = g->base.address;
	g_autofree char *word = guest_word_quote(name);
	g_autoptr(libvirt_call) call = NULL;
	g_autoptr(GError) ended = NULL;

	if (failed->code != HV_ERROR_UNREACHABLE) {
		g_set_error(error, HV_ERROR, failed->code, "%s: %s", name,
			    hv_error_reason(failed, g->device->address));
		return false;
	}
	/* The next operation must look the device up again. */
	g->device_known = false;
	call = libvirt_call_new(g->link, deadline, check_running_work, g_strdup("get its state"));
	if (!libvirt_call_run(&call, &ended))
		g_propagate_error(error, g_steal_pointer(&ended));
	else
		g_set_error(error, HV_ERROR, HV_ERROR_UNREACHABLE,
			    "%s: its balloon device does not answer (%s); plug in a new one with: "
			    "aerostat adopt --replug %s",
			    name, failed->message, word);
	return false;
}

void libvirt_device_add_info(struct libvirt_guest *g, int64_t deadline, struct hv_info *info)
{
	g_auto(hv_info) device = { 0 };

	info->has_balloon = true;
	info->autodeflate = info->free_page_reporting = -1;
	if (!hv_guest_info(g->device, deadline, &device, NULL))
		return;
	info->device_pid = device.pid;
	info->actual_bytes = device.actual_bytes;
	info->autodeflate = device.autodeflate;
	info->free_page_reporting = device.free_page_reporting;
	info->driver = device.driver;
	info->abilities = device.abilities;
	info->control = g_steal_pointer(&device.control);
}

bool libvirt_device_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
				GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);
	g_autoptr(GError) failed = NULL;

	return hv_guest_balloon_get(g->device, deadline, actual_bytes, &failed) ||
	       libvirt_device_fail(g, deadline, failed, error);
}

bool libvirt_device_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
				GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);
	g_autoptr(GError) failed = NULL;

	return hv_guest_balloon_set(g->device, deadline, target_bytes, HV_SCOPE_LIVE, &failed) ||
	       libvirt_device_fail(g, deadline, failed, error);
}

bool libvirt_device_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			      GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);
	g_autoptr(GError) failed = NULL;

	if (!hv_guest_stats_get(g->device, deadline, stats, &failed))
		return libvirt_device_fail(g, deadline, failed, error);
	/* The device reported the RSS of its own process. */
	stats->value[HV_STAT_RSS] = g->link->pid ? vmm_process_rss_bytes(g->link->pid) : HV_UNSET;
	return true;
}

bool libvirt_device_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
				     GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);
	g_autoptr(GError) failed = NULL;

	return hv_guest_stats_period_set(g->device, deadline, period_s, HV_SCOPE_LIVE, &failed) ||
	       libvirt_device_fail(g, deadline, failed, error);
}

/* Makes sure that the guest has a device of aerostat's. */
static bool libvirt_device_need(struct hv_guest *guest, int64_t deadline, const char *asked,
				GError **error)
{
	if (!libvirt_device_find(guest, deadline, asked, error))
		return false;
	if (to_libvirt_guest(guest)->device)
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_UNSUPPORTED, "%s: only aerostat's device can %s",
		    guest->address, asked);
	return false;
}

bool libvirt_device_credit_set(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
			       uint64_t ceiling_bytes, GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);
	g_autoptr(GError) failed = NULL;

	return libvirt_device_need(guest, deadline, "bound what it takes back", error) &&
	       (hv_guest_credit_set(g->device, deadline, credit_bytes, ceiling_bytes, &failed) ||
		libvirt_device_fail(g, deadline, failed, error));
}

bool libvirt_device_trim(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);
	g_autoptr(GError) failed = NULL;

	return libvirt_device_need(guest, deadline, "trim its cache", error) &&
	       (hv_guest_trim(g->device, deadline, bytes, &failed) ||
		libvirt_device_fail(g, deadline, failed, error));
}

/* Only balloon changes: libvirt reports the guest's lifecycle, and why a device is silent. */
static bool libvirt_device_poll_event(struct libvirt_guest *g, int64_t deadline,
				      struct hv_event *event)
{
	return g->device && hv_guest_event_wait(g->device, deadline, event, NULL) &&
	       event->kind == HV_EVENT_BALLOON_CHANGE;
}

bool libvirt_device_wait_event(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			       GError **error)
{
	struct libvirt_guest *g = to_libvirt_guest(guest);

	for (;;) {
		int64_t slice = MIN(deadline, hv_deadline_ms(EVENT_SLICE_MS));
		g_autoptr(GError) failed = NULL;

		if (libvirt_device_poll_event(g, slice, event) ||
		    libvirt_link_wait_event(g->link, slice, event, &failed))
			return true;
		if (!g_error_matches(failed, HV_ERROR, HV_ERROR_TIMEOUT) ||
		    g_get_monotonic_time() >= deadline) {
			g_propagate_error(error, g_steal_pointer(&failed));
			return false;
		}
	}
}
