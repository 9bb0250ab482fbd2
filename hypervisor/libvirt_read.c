/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a guest's size and statistics come from virDomainMemoryStats(), which asks
 * QEMU; virDomainGetInfo() returns only the size of the last event.  The statistics include the
 * balloon's size even if the guest sends none.
 */
#include "hypervisor/libvirt_read.h"

#include "hypervisor/domain_xml.h"
#include "hypervisor/libvirt_device.h"
#include "hypervisor/vmm_process.h"

static void store_domain_stat(struct hv_stats *stats, const virDomainMemoryStatStruct *raw)
{
	if (raw->tag == VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE)
		stats->last_update_s = (int64_t)raw->val;
	for (int i = 0; i < HV_STAT_COUNT; i++) {
		const struct hv_stat_row *row = &hv_stat_table[i];

		if (row->libvirt_tag == raw->tag)
			stats->value[i] = row->is_count ? raw->val : raw->val * 1024;
	}
}

/* Asks QEMU.  A guest without a balloon has statistics too: those of its process. */
static bool read_domain_stats(virDomainPtr domain, struct hv_stats *stats)
{
	virDomainMemoryStatStruct raw[VIR_DOMAIN_MEMORY_STAT_NR];
	int count = virDomainMemoryStats(domain, raw, G_N_ELEMENTS(raw), 0);

	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats->value[i] = HV_UNSET;
	stats->last_update_s = 0;
	stats->taken_s = g_get_real_time() / G_USEC_PER_SEC;
	stats->period_s = -1;
	for (int i = 0; i < count; i++)
		store_domain_stat(stats, &raw[i]);
	return count >= 0;
}

/* For statistics without a size: there is no balloon, or QEMU is about to end. */
static bool libvirt_call_fail_no_size(struct libvirt_call *call, virDomainPtr domain)
{
	g_auto(domain_xml) live = { 0 };

	if (libvirt_read_xml(domain, 0, &live) && !domain_xml_has_balloon(&live))
		return libvirt_call_fail_no_balloon(call);
	return libvirt_call_fail(call, HV_ERROR_UNREACHABLE,
				 "libvirt (%s) got no answer from QEMU when asked to %s",
				 call->link->uri, call->asked);
}

static enum hv_state convert_domain_state(int state)
{
	static const enum hv_state table[] = {
		[VIR_DOMAIN_NOSTATE] = HV_STATE_UNKNOWN,
		[VIR_DOMAIN_RUNNING] = HV_STATE_RUNNING,
		[VIR_DOMAIN_BLOCKED] = HV_STATE_RUNNING,
		[VIR_DOMAIN_PAUSED] = HV_STATE_PAUSED,
		[VIR_DOMAIN_SHUTDOWN] = HV_STATE_RUNNING,
		[VIR_DOMAIN_SHUTOFF] = HV_STATE_SHUTOFF,
		[VIR_DOMAIN_CRASHED] = HV_STATE_CRASHED,
		[VIR_DOMAIN_PMSUSPENDED] = HV_STATE_PAUSED,
	};

	return state >= 0 && state < (int)G_N_ELEMENTS(table) ? table[state] : HV_STATE_UNKNOWN;
}

/*
 * What libvirt itself knows; libvirt_info() adds what the process shows.  A domain that was paused
 * and resumed has lost the reason.
 */
static enum hv_origin read_domain_origin(virDomainPtr domain)
{
	int state, reason;

	if (virDomainGetState(domain, &state, &reason, 0) < 0)
		return HV_ORIGIN_UNKNOWN;
	if (state == VIR_DOMAIN_PAUSED &&
	    (reason == VIR_DOMAIN_PAUSED_STARTING_UP || reason == VIR_DOMAIN_PAUSED_MIGRATION))
		return HV_ORIGIN_ARRIVING;
	if (state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_BOOTED)
		return HV_ORIGIN_BOOT;
	return HV_ORIGIN_UNKNOWN;
}

/* As read_domain_stats(), for the domain whose XML is @live. */
static bool read_domain_size(struct libvirt_call *call, virDomainPtr domain,
			     const struct domain_xml *live)
{
	uint64_t *actual_bytes = &call->answer.stats.value[HV_STAT_ACTUAL];

	if (!read_domain_stats(domain, &call->answer.stats))
		return false;
	call->answer.stats.period_s = live->stats_period_s;
	libvirt_link_set_outside(call->link, live->outside_bytes);
	/* libvirt passes QEMU's figure on, which does not count virtio-mem devices. */
	if (*actual_bytes != HV_UNSET)
		*actual_bytes += live->outside_bytes;
	return true;
}

static bool read_domain_balloon(struct libvirt_call *call, virDomainPtr domain,
				const struct domain_xml *live)
{
	struct hv_info *info = &call->answer.info;

	if (!read_domain_size(call, domain, live))
		return false;
	info->actual_bytes = call->answer.stats.value[HV_STAT_ACTUAL];
	if (!hv_stats_stale(&call->answer.stats))
		info->driver = HV_DRIVER_READY;
	return true;
}

static bool libvirt_info_work(struct libvirt_call *call, virDomainPtr domain)
{
	g_auto(domain_xml) live = { 0 };
	g_auto(domain_xml) config = { 0 };
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct hv_info *info = &call->answer.info;
	virDomainInfo raw;

	if (virDomainGetInfo(domain, &raw) < 0 || virDomainGetUUIDString(domain, uuid) < 0 ||
	    !libvirt_read_xml(domain, 0, &live))
		return false;
	libvirt_link_set_user(call->link, live.user);
	hv_info_clear(info);
	*info = (struct hv_info){
		.name = g_strdup(virDomainGetName(domain)),
		.uuid = g_strdup(uuid),
		.id = (int)virDomainGetID(domain),
		.state = convert_domain_state(raw.state),
		.origin = read_domain_origin(domain),
		.max_bytes = (uint64_t)raw.maxMem * 1024,
		.actual_bytes = HV_UNSET,
		.config_max_bytes = HV_UNSET,
		.config_bytes = HV_UNSET,
		.vcpus = raw.nrVirtCpu,
		.cpu_time_ns = raw.cpuTime,
		.persistent = virDomainIsPersistent(domain) == 1,
		.has_balloon = domain_xml_has_balloon(&live),
		/* In libvirt the default of both is off. */
		.autodeflate = live.autodeflate > 0,
		.free_page_reporting = live.free_page_reporting > 0,
	};
	if (info->persistent && libvirt_read_xml(domain, VIR_DOMAIN_XML_INACTIVE, &config)) {
		info->config_max_bytes = config.memory_bytes;
		info->config_bytes = config.current_bytes;
	}
	if (info->id >= 0 && domain_xml_ram_bytes(&live) != HV_UNSET)
		info->max_bytes = domain_xml_ram_bytes(&live);
	if (info->id >= 0)
		call->answer.control = g_steal_pointer(&live.control);
	return info->id < 0 || !info->has_balloon || read_domain_balloon(call, domain, &live);
}

/* What both libvirt and the process say: a guest that was restored may have rebooted since. */
static enum hv_origin confirm_origin(enum hv_origin known, pid_t pid)
{
	enum hv_origin shown = vmm_process_find_origin(pid);

	if (known == HV_ORIGIN_ARRIVING)
		return known;
	return known == HV_ORIGIN_BOOT || shown == HV_ORIGIN_STATE ? shown : HV_ORIGIN_UNKNOWN;
}

bool libvirt_info(struct hv_guest *guest, int64_t deadline, struct hv_info *info, GError **error)
{
	struct libvirt_guest *g = (struct libvirt_guest *)guest;
	struct libvirt_link *link = g->link;
	g_autoptr(libvirt_call) call = libvirt_guest_new_call(guest, deadline, libvirt_info_work,
							      g_strdup("get its settings"));

	if (!libvirt_call_run(&call, error))
		return false;
	*info = call->answer.info;
	call->answer.info = (struct hv_info){ 0 };
	if (info->id >= 0)
		info->pid = libvirt_link_find_pid(link);
	info->origin = confirm_origin(info->origin, info->pid);
	libvirt_device_update(g, call->answer.control);
	if (g->device)
		libvirt_device_add_info(g, deadline, info);
	return true;
}

static bool libvirt_stats_get_work(struct libvirt_call *call, virDomainPtr domain)
{
	g_auto(domain_xml) live = { 0 };

	return libvirt_read_xml(domain, 0, &live) && read_domain_size(call, domain, &live) &&
	       (call->answer.stats.value[HV_STAT_ACTUAL] != HV_UNSET ||
		libvirt_call_fail_no_size(call, domain));
}

/* Without the XML, as a size is asked for many times a second; a guest with virtio-mem needs it. */
static bool libvirt_balloon_get_work(struct libvirt_call *call, virDomainPtr domain)
{
	if (libvirt_link_outside(call->link) != 0)
		return libvirt_stats_get_work(call, domain);
	return read_domain_stats(domain, &call->answer.stats) &&
	       (call->answer.stats.value[HV_STAT_ACTUAL] != HV_UNSET ||
		libvirt_call_fail_no_size(call, domain));
}

/* Runs @work, which fills in the answer's statistics. */
static bool ask_for_stats(struct hv_guest *guest, int64_t deadline,
			  bool (*work)(struct libvirt_call *, virDomainPtr), const char *asked,
			  struct hv_stats *stats, GError **error)
{
	g_autoptr(libvirt_call) call =
		libvirt_guest_new_call(guest, deadline, work, g_strdup(asked));

	call->needs_running = true;
	if (!libvirt_call_run(&call, error))
		return false;
	*stats = call->answer.stats;
	return true;
}

bool libvirt_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			 GError **error)
{
	static const char asked[] = "get its memory size";
	struct hv_stats stats;

	if (!libvirt_device_find(guest, deadline, asked, error))
		return false;
	if (libvirt_guest_has_device(guest))
		return libvirt_device_balloon_get(guest, deadline, actual_bytes, error);
	if (!ask_for_stats(guest, deadline, libvirt_balloon_get_work, asked, &stats, error))
		return false;
	*actual_bytes = stats.value[HV_STAT_ACTUAL];
	return true;
}

bool libvirt_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
		       GError **error)
{
	static const char asked[] = "get its statistics";

	if (!libvirt_device_find(guest, deadline, asked, error))
		return false;
	if (libvirt_guest_has_device(guest))
		return libvirt_device_stats_get(guest, deadline, stats, error);
	return ask_for_stats(guest, deadline, libvirt_stats_get_work, asked, stats, error);
}

/* ---- obstacles ---- */

/* Whether a job copies the guest's memory; a backup, for one, copies only disks. */
static bool is_migration_job(int operation)
{
	switch (operation) {
	case VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
	case VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
	case VIR_DOMAIN_JOB_OPERATION_SAVE:
	case VIR_DOMAIN_JOB_OPERATION_RESTORE:
	case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT:
	case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT:
	case VIR_DOMAIN_JOB_OPERATION_DUMP:
		return true;
	default:
		return false;
	}
}

static bool read_domain_migration(virDomainPtr domain, bool *migrating)
{
	int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN, type, count = 0;
	virTypedParameterPtr params = NULL;

	/* A libvirt driver that does not support jobs has none. */
	if (virDomainGetJobStats(domain, &type, &params, &count, 0) < 0)
		return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
	virTypedParamsGetInt(params, count, VIR_DOMAIN_JOB_OPERATION, &operation);
	virTypedParamsFree(params, count);
	*migrating = type != VIR_DOMAIN_JOB_NONE && is_migration_job(operation);
	return true;
}

static bool libvirt_obstacle_work(struct libvirt_call *call, virDomainPtr domain)
{
	g_auto(domain_xml) live = { 0 };
	bool migrating = false;

	if (!libvirt_read_xml(domain, 0, &live))
		return false;
	if (live.host_devices)
		call->answer.obstacle = HV_OBSTACLE_DEVICES;
	else if (live.confidential)
		call->answer.obstacle = HV_OBSTACLE_CONFIDENTIAL;
	else if (vmm_process_holds_ram(call->args.pid, domain_xml_ram_bytes(&live), live.locked))
		call->answer.obstacle = HV_OBSTACLE_LOCKED;
	else if (live.huge_pages && domain_xml_has_balloon(&live))
		call->answer.obstacle = HV_OBSTACLE_HUGE_PAGES;
	else if (!read_domain_migration(domain, &migrating))
		return false;
	else
		call->answer.obstacle = migrating ? HV_OBSTACLE_MIGRATION : HV_OBSTACLE_NONE;
	return true;
}

bool libvirt_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		      GError **error)
{
	g_autoptr(libvirt_call) call = libvirt_guest_new_call(
		guest, deadline, libvirt_obstacle_work, g_strdup("check what prevents ballooning"));

	call->needs_running = true;
	call->args.pid = libvirt_link_find_pid(call->link);
	if (!libvirt_call_run(&call, error))
		return false;
	*obstacle = call->answer.obstacle;
	return true;
}
