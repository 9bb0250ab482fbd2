/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests reached through libvirt.
 *
 * Theory of operation
 * -------------------
 * Each operation is a pair of functions: libvirt_NAME_work() calls libvirt, in the
 * thread of a call that may be given up (libvirt_link.c), and libvirt_NAME() fills
 * in the call's arguments and uses its answer.  What only reads is in libvirt_read.c.
 *
 * If a running guest has aerostat's own balloon device, what concerns the balloon
 * is asked of the device (libvirt_device.c).
 *
 * When libvirt refuses a change we find the reason in the guest's state, because
 * libvirt has few error codes and translates its texts.
 */
#include "hypervisor/libvirt_device.h"
#include "hypervisor/libvirt_events.h"
#include "hypervisor/libvirt_read.h"

#include "common/plain_text.h"
#include "common/size.h"
#include "hypervisor/domain_xml.h"
#include "hypervisor/xml_tree.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

G_STATIC_ASSERT(HV_SCOPE_CURRENT == (int)VIR_DOMAIN_AFFECT_CURRENT);
G_STATIC_ASSERT(HV_SCOPE_LIVE == (int)VIR_DOMAIN_AFFECT_LIVE);
G_STATIC_ASSERT(HV_SCOPE_CONFIG == (int)VIR_DOMAIN_AFFECT_CONFIG);

static struct libvirt_link *libvirt_guest_link(struct hv_guest *guest)
{
	return ((struct libvirt_guest *)guest)->link;
}

/* ---- changing ---- */

/* What a change applies to, with HV_SCOPE_CURRENT resolved as libvirt does. */
struct effect {
	bool live;
	bool config;
};

static struct effect resolve_scope(struct libvirt_call *call, virDomainPtr domain)
{
	bool active = virDomainIsActive(domain) == 1;

	return (struct effect){
		.live = active && call->args.scope != HV_SCOPE_CONFIG,
		.config = call->args.scope & HV_SCOPE_CONFIG || (!active && !call->args.scope),
	};
}

/* Sets the error if --config was asked of a guest without a persistent configuration. */
static bool check_transient(struct libvirt_call *call, virDomainPtr domain)
{
	if (!(call->args.scope & HV_SCOPE_CONFIG) || virDomainIsPersistent(domain) != 0)
		return false;
	libvirt_call_fail(
		call, HV_ERROR_REFUSED,
		"the guest is transient, so libvirt (%s) cannot %s at its next start; leave out "
		"--config",
		call->link->uri, call->asked);
	return true;
}

static bool check_above_max(struct libvirt_call *call, uint64_t max_bytes)
{
	g_autofree char *max = NULL;

	if (max_bytes == HV_UNSET || call->args.bytes <= max_bytes)
		return false;
	max = size_format(max_bytes);
	libvirt_call_fail(
		call, HV_ERROR_REFUSED,
		"libvirt (%s) refused to %s: the guest's maximum is %s; raise it with setmaxmem "
		"while the guest is shut off, or with setmaxmem --config for its next start",
		call->link->uri, call->asked, max);
	return true;
}

/* Sets libvirt's error, or a better one if @explain finds the reason; returns false. */
static bool libvirt_call_explain_failure(struct libvirt_call *call, virDomainPtr domain,
					 void (*explain)(struct libvirt_call *, virDomainPtr))
{
	libvirt_call_fail_last_error(call);
	if (call->error->code != HV_ERROR_DENIED)
		explain(call, domain);
	return false;
}

static void explain_balloon_set_failure(struct libvirt_call *call, virDomainPtr domain)
{
	struct effect effect = resolve_scope(call, domain);
	g_auto(domain_xml) live = { 0 };
	g_auto(domain_xml) config = { 0 };

	if (check_transient(call, domain))
		return;
	if (effect.live && libvirt_read_xml(domain, 0, &live)) {
		if (!domain_xml_has_balloon(&live)) {
			libvirt_call_fail_no_balloon(call);
			return;
		}
		if (check_above_max(call, domain_xml_ram_bytes(&live)))
			return;
	}
	if (effect.config && libvirt_read_xml(domain, VIR_DOMAIN_XML_INACTIVE, &config))
		check_above_max(call, config.memory_bytes);
}

/* For a target that is at most what virtio-mem devices have plugged.  Returns false. */
static bool libvirt_call_fail_outside(struct libvirt_call *call, uint64_t outside_bytes)
{
	g_autofree char *outside = size_format(outside_bytes);

	return libvirt_call_fail(call, HV_ERROR_REFUSED,
				 "libvirt (%s) cannot %s: the guest's virtio-mem devices have %s, "
				 "which a balloon does not count; lower their requested size first",
				 call->link->uri, call->asked, outside);
}

/*
 * Sets the size of a running guest with memory devices that are no DIMMs.  libvirt passes a size
 * on to QEMU, which does not count those and lowers a size that is too large.
 */
static bool set_size_beside(struct libvirt_call *call, virDomainPtr domain,
			    const struct domain_xml *live)
{
	struct effect effect = resolve_scope(call, domain);

	if (check_above_max(call, domain_xml_ram_bytes(live)))
		return false;
	if (call->args.bytes <= live->outside_bytes)
		return libvirt_call_fail_outside(call, live->outside_bytes);
	return (!effect.config || virDomainSetMemoryFlags(domain, call->args.bytes / 1024,
							  VIR_DOMAIN_AFFECT_CONFIG) == 0) &&
	       virDomainSetMemoryFlags(domain, (call->args.bytes - live->outside_bytes) / 1024,
				       VIR_DOMAIN_AFFECT_LIVE) == 0;
}

static bool libvirt_balloon_set_work(struct libvirt_call *call, virDomainPtr domain)
{
	g_auto(domain_xml) live = { 0 };

	if (resolve_scope(call, domain).live && libvirt_read_xml(domain, 0, &live) &&
	    live.beside_bytes) {
		if (set_size_beside(call, domain, &live))
			return true;
		if (call->error)
			return false;
	} else if (virDomainSetMemoryFlags(domain, call->args.bytes / 1024, call->args.scope) ==
		   0) {
		return true;
	}
	return libvirt_call_explain_failure(call, domain, explain_balloon_set_failure);
}

/* Runs a call that changes something, and frees it. */
static bool libvirt_call_run_change(struct libvirt_call *call, unsigned int scope, GError **error)
{
	g_autoptr(libvirt_call) running = call;

	call->args.scope = scope;
	call->changes = true;
	call->needs_running = scope & HV_SCOPE_LIVE;
	return libvirt_call_run(&running, error);
}

static bool libvirt_domain_memory_set(struct hv_guest *guest, int64_t deadline,
				      uint64_t target_bytes, unsigned int scope, GError **error)
{
	g_autofree char *size = size_format(target_bytes);
	struct libvirt_call *call =
		libvirt_guest_new_call(guest, deadline, libvirt_balloon_set_work,
				       g_strdup_printf("set its memory to %s", size));

	call->args.bytes = target_bytes;
	return libvirt_call_run_change(call, scope, error);
}

static bool libvirt_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
				unsigned int scope, GError **error)
{
	g_autofree char *size = size_format(target_bytes);
	g_autofree char *asked = g_strdup_printf("set its memory to %s", size);

	if (scope != HV_SCOPE_CONFIG && !libvirt_device_find(guest, deadline, asked, error))
		return false;
	if (scope == HV_SCOPE_CONFIG || !libvirt_guest_has_device(guest))
		return libvirt_domain_memory_set(guest, deadline, target_bytes, scope, error);
	/* The persistent configuration is libvirt's in any case. */
	return (!(scope & HV_SCOPE_CONFIG) ||
		libvirt_domain_memory_set(guest, deadline, target_bytes, HV_SCOPE_CONFIG, error)) &&
	       libvirt_device_balloon_set(guest, deadline, target_bytes, error);
}

static void explain_max_set_failure(struct libvirt_call *call, virDomainPtr domain)
{
	if (!check_transient(call, domain) && resolve_scope(call, domain).live)
		libvirt_call_fail(
			call, HV_ERROR_REFUSED,
			"libvirt (%s) cannot %s while the guest is running; shut it down first, "
			"or use --config to change its next start",
			call->link->uri, call->asked);
}

static bool libvirt_max_set_work(struct libvirt_call *call, virDomainPtr domain)
{
	return virDomainSetMemoryFlags(domain, call->args.bytes / 1024,
				       call->args.scope | VIR_DOMAIN_MEM_MAXIMUM) == 0 ||
	       libvirt_call_explain_failure(call, domain, explain_max_set_failure);
}

static bool libvirt_max_set(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
			    unsigned int scope, GError **error)
{
	g_autofree char *size = size_format(max_bytes);
	struct libvirt_call *call =
		libvirt_guest_new_call(guest, deadline, libvirt_max_set_work,
				       g_strdup_printf("set its maximum memory to %s", size));

	call->args.bytes = max_bytes;
	return libvirt_call_run_change(call, scope, error);
}

static void libvirt_call_fail_adopted(struct libvirt_call *call)
{
	libvirt_call_fail(
		call, HV_ERROR_REFUSED,
		"the guest has aerostat's balloon device, so libvirt (%s) cannot %s for its next "
		"start; set it while the guest is running, without --config",
		call->link->uri, call->asked);
}

static void explain_period_set_failure(struct libvirt_call *call, virDomainPtr domain)
{
	unsigned int flags = resolve_scope(call, domain).live ? 0 : VIR_DOMAIN_XML_INACTIVE;
	g_auto(domain_xml) xml = { 0 };

	if (check_transient(call, domain) || !libvirt_read_xml(domain, flags, &xml) ||
	    domain_xml_has_balloon(&xml))
		return;
	if (xml.control)
		libvirt_call_fail_adopted(call);
	else
		libvirt_call_fail_no_balloon(call);
}

static bool libvirt_stats_period_set_work(struct libvirt_call *call, virDomainPtr domain)
{
	return virDomainSetMemoryStatsPeriod(domain, call->args.period_s, call->args.scope) == 0 ||
	       libvirt_call_explain_failure(call, domain, explain_period_set_failure);
}

static bool libvirt_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
				     unsigned int scope, GError **error)
{
	g_autofree char *asked = g_strdup_printf("set its statistics period to %d s", period_s);
	struct libvirt_call *call;

	if (period_s < 0) {
		g_set_error(
			error, HV_ERROR, HV_ERROR_INVALID,
			"%s: the statistics period of %d s is negative; use 0 for no statistics",
			guest->address, period_s);
		return false;
	}
	if (!(scope & HV_SCOPE_CONFIG) && !libvirt_device_find(guest, deadline, asked, error))
		return false;
	if (!(scope & HV_SCOPE_CONFIG) && libvirt_guest_has_device(guest))
		return libvirt_device_stats_period_set(guest, deadline, period_s, error);
	call = libvirt_guest_new_call(guest, deadline, libvirt_stats_period_set_work,
				      g_steal_pointer(&asked));
	call->args.period_s = period_s;
	return libvirt_call_run_change(call, scope, error);
}

/* ---- XML ---- */

static bool libvirt_xml_get_work(struct libvirt_call *call, virDomainPtr domain)
{
	unsigned int flags = 0;
	char *text;

	if (check_transient(call, domain) ||
	    (call->args.scope & HV_SCOPE_LIVE && virDomainIsActive(domain) != 1))
		return false;
	/* With its secrets: they would be lost if this XML was defined again. */
	if (call->args.scope & HV_SCOPE_CONFIG)
		flags = VIR_DOMAIN_XML_INACTIVE | (call->link->denied ? 0 : VIR_DOMAIN_XML_SECURE);
	text = virDomainGetXMLDesc(domain, flags);
	call->answer.text = g_strdup(text);
	free(text);
	return call->answer.text;
}

static char *libvirt_xml_get(struct hv_guest *guest, int64_t deadline, unsigned int scope,
			     GError **error)
{
	g_autoptr(libvirt_call) call = libvirt_guest_new_call(guest, deadline, libvirt_xml_get_work,
							      g_strdup("read its XML"));

	call->args.scope = scope;
	call->needs_running = scope & HV_SCOPE_LIVE;
	return libvirt_call_run(&call, error) ? g_steal_pointer(&call->answer.text) : NULL;
}

static bool libvirt_xml_define_work(struct libvirt_call *call, virDomainPtr domain)
{
	virDomainPtr defined = virDomainDefineXMLFlags(virDomainGetConnect(domain), call->args.text,
						       VIR_DOMAIN_DEFINE_VALIDATE);

	if (defined)
		virDomainFree(defined);
	return defined;
}

static bool libvirt_xml_define(struct hv_guest *guest, int64_t deadline, const char *xml,
			       GError **error)
{
	struct libvirt_call *call = libvirt_guest_new_call(guest, deadline, libvirt_xml_define_work,
							   g_strdup("define its new XML"));

	call->args.text = g_strdup(xml);
	return libvirt_call_run_change(call, HV_SCOPE_CURRENT, error);
}

/* ---- starting, and QEMU's monitor ---- */

static bool libvirt_start_work(struct libvirt_call *call, virDomainPtr domain)
{
	(void)call;
	return virDomainCreate(domain) == 0;
}

static bool libvirt_start(struct hv_guest *guest, int64_t deadline, GError **error)
{
	struct libvirt_call *call =
		libvirt_guest_new_call(guest, deadline, libvirt_start_work, g_strdup("start it"));

	((struct libvirt_guest *)guest)->device_known = false;
	return libvirt_call_run_change(call, HV_SCOPE_CURRENT, error);
}

static bool libvirt_monitor_work(struct libvirt_call *call, virDomainPtr domain)
{
	char *answer = NULL;

	if (virDomainQemuMonitorCommand(domain, call->args.text, &answer,
					VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT) < 0)
		return false;
	call->answer.text = g_strdup(answer);
	free(answer);
	return true;
}

static char *libvirt_monitor(struct hv_guest *guest, int64_t deadline, const char *command,
			     GError **error)
{
	g_autoptr(libvirt_call) call = libvirt_guest_new_call(
		guest, deadline, libvirt_monitor_work, g_strdup("pass a command to its QEMU"));

	call->args.text = g_strdup(command);
	call->needs_running = true;
	return libvirt_call_run(&call, error) ? g_steal_pointer(&call->answer.text) : NULL;
}

/* ---- the note ---- */

/*
 * The note is an element of its own namespace in the live <metadata>, of which libvirt keeps one
 * per namespace.  libvirt puts it into save images and sends it along with a migration.
 */
#define NOTE_NAMESPACE "urn:aerostat:daemon"
#define NOTE_PREFIX "aerostat"
#define NOTE_ELEMENT "kept"

/* The text of the element @xml; NULL if that makes no sense. */
static char *read_note_text(const char *xml)
{
	g_autofree char *text = g_strconcat("<domain>", xml, "</domain>", NULL);
	g_autofree char *problem = NULL;
	g_autoptr(xmlDoc) doc = xml_tree_read(text, &problem);

	return doc ? xml_content(xmlDocGetRootElement(doc)) : NULL;
}

static bool libvirt_note_get_work(struct libvirt_call *call, virDomainPtr domain)
{
	char *xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, NOTE_NAMESPACE,
					 VIR_DOMAIN_AFFECT_LIVE);

	if (!xml)
		return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA;
	call->answer.text = read_note_text(xml);
	free(xml);
	return true;
}

static bool libvirt_note_get(struct hv_guest *guest, int64_t deadline, char **note, GError **error)
{
	g_autoptr(libvirt_call) call = libvirt_guest_new_call(
		guest, deadline, libvirt_note_get_work, g_strdup("read its metadata"));

	call->needs_running = true;
	if (!libvirt_call_run(&call, error))
		return false;
	*note = g_steal_pointer(&call->answer.text);
	return true;
}

static bool libvirt_note_set_work(struct libvirt_call *call, virDomainPtr domain)
{
	return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, call->args.text,
				    NOTE_PREFIX, NOTE_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE) == 0;
}

static bool libvirt_note_set(struct hv_guest *guest, int64_t deadline, const char *note,
			     GError **error)
{
	struct libvirt_call *call = libvirt_guest_new_call(guest, deadline, libvirt_note_set_work,
							   g_strdup("change its metadata"));

	if (note)
		call->args.text =
			g_markup_printf_escaped("<" NOTE_ELEMENT ">%s</" NOTE_ELEMENT ">", note);
	return libvirt_call_run_change(call, HV_SCOPE_LIVE, error);
}

/* ---- events, opening, listing ---- */

static bool libvirt_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			       GError **error)
{
	/* If that is not known now, libvirt's events are awaited; the next call asks again. */
	if (libvirt_device_find(guest, deadline, "report its events", NULL) &&
	    libvirt_guest_has_device(guest))
		return libvirt_device_wait_event(guest, deadline, event, error);
	return libvirt_link_wait_event(libvirt_guest_link(guest), deadline, event, error);
}

static void libvirt_close(struct hv_guest *guest)
{
	hv_guest_close(((struct libvirt_guest *)guest)->device);
	libvirt_link_close(libvirt_guest_link(guest));
	g_free(guest->address);
	g_free(guest->source);
	g_free(guest->uuid);
	g_free(guest);
}

static const struct hv_ops libvirt_ops = {
	.kind = "libvirt",
	.info = libvirt_info,
	.balloon_get = libvirt_balloon_get,
	.balloon_set = libvirt_balloon_set,
	.max_set = libvirt_max_set,
	.stats_get = libvirt_stats_get,
	.stats_period_set = libvirt_stats_period_set,
	.obstacle = libvirt_obstacle,
	.event_wait = libvirt_event_wait,
	.xml_get = libvirt_xml_get,
	.xml_define = libvirt_xml_define,
	.start = libvirt_start,
	.monitor = libvirt_monitor,
	.note_get = libvirt_note_get,
	.note_set = libvirt_note_set,
	.credit_set = libvirt_device_credit_set,
	.trim = libvirt_device_trim,
	.close = libvirt_close,
};

static struct hv_guest *libvirt_guest_new(const char *uri, const char *name, const char *uuid,
					  int id)
{
	struct libvirt_guest *guest = g_new0(struct libvirt_guest, 1);

	guest->base.ops = &libvirt_ops;
	guest->base.address = plain_name(name);
	guest->base.source = g_strdup(uri);
	guest->base.uuid = g_strdup(uuid);
	guest->base.id = id;
	guest->link = libvirt_link_new(uri, name, uuid);
	return &guest->base;
}

struct hv_guest *hv_libvirt_open(const char *uri, const char *name_uuid_or_id)
{
	g_autofree char *name = plain_name_decode(name_uuid_or_id);

	return libvirt_guest_new(uri, name, NULL, -1);
}

static int compare_guest_addresses(const void *a, const void *b)
{
	const struct hv_guest *const *left = a, *const *right = b;

	return strcmp((*left)->address, (*right)->address);
}

static bool libvirt_list_work(struct libvirt_call *call, virDomainPtr no_domain)
{
	struct libvirt_link *link = call->link;
	char uuid[VIR_UUID_STRING_BUFLEN];
	virDomainPtr *domains;
	int count = virConnectListAllDomains(link->conn, &domains, call->args.scope);

	(void)no_domain;
	if (count < 0)
		return false;
	call->answer.guests = g_ptr_array_new_with_free_func((GDestroyNotify)hv_guest_close);
	for (int i = 0; i < count; i++) {
		if (virDomainGetUUIDString(domains[i], uuid) == 0)
			g_ptr_array_add(call->answer.guests,
					libvirt_guest_new(link->uri, virDomainGetName(domains[i]),
							  uuid, (int)virDomainGetID(domains[i])));
		virDomainFree(domains[i]);
	}
	free(domains);
	g_ptr_array_sort(call->answer.guests, compare_guest_addresses);
	return true;
}

GPtrArray *hv_libvirt_list(const char *uri, bool all, int64_t deadline, GError **error)
{
	struct libvirt_link *link = libvirt_link_new(uri, NULL, NULL);
	libvirt_call *call =
		libvirt_call_new(link, deadline, libvirt_list_work, g_strdup("list its guests"));
	GPtrArray *guests = NULL;

	call->args.scope = all ? 0 : VIR_CONNECT_LIST_DOMAINS_ACTIVE;
	if (libvirt_call_run(&call, error))
		guests = g_steal_pointer(&call->answer.guests);
	g_clear_pointer(&call, libvirt_call_free);
	libvirt_link_close(link);
	return guests;
}
