/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests reached through a QEMU monitor socket (QMP): the operations that are
 * not in qmp_stats.c, qmp_obstacle.c or qmp_loan.c, as work functions of qmp_guest.h.
 *
 * A control socket of aerostat-device is such a guest too.  It knows only some
 * of the commands, so those that QEMU may lack or refuse are optional.
 *
 * No thread and no connection that is not held outlives a call.
 */
#include "hypervisor/qmp_guest.h"
#include "hypervisor/qmp_loan.h"
#include "hypervisor/qmp_obstacle.h"
#include "hypervisor/qmp_stats.h"
#include "hypervisor/qmp_wire.h"
#include "hypervisor/vmm_process.h"

#include <inttypes.h>
#include <string.h>

/* ---- the balloon ---- */

static bool qmp_set_target(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	const uint64_t target_bytes = *(const uint64_t *)arg;
	json_auto_t *answer = NULL;
	struct qmp_ram ram;

	if (!qmp_query_ram(g, deadline, &ram, error))
		return false;
	if (target_bytes > ram.max_bytes) {
		/* QEMU would silently lower it to the maximum. */
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "cannot set its memory to %" PRIu64 " KiB: its maximum is %" PRIu64
			    " KiB",
			    (target_bytes - 1) / 1024 + 1, ram.max_bytes / 1024);
		return false;
	}
	if (target_bytes <= ram.outside_bytes) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "cannot set its memory to %" PRIu64 " KiB: its virtio-mem devices have "
			    "%" PRIu64 " KiB, which a balloon does not count; lower their "
			    "requested-size first",
			    target_bytes / 1024, ram.outside_bytes / 1024);
		return false;
	}
	answer = qmp_execute(
		g, deadline, "balloon",
		json_pack("{s:I}", "value", (json_int_t)(target_bytes - ram.outside_bytes)), error);
	return answer != NULL;
}

static bool qmp_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			    GError **error)
{
	return qmp_run_session((struct qmp_guest *)guest, deadline, qmp_query_actual, actual_bytes,
			       error);
}

static bool qmp_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
			    unsigned int scope, GError **error)
{
	struct qmp_guest *g = (struct qmp_guest *)guest;

	if (qmp_refuse_config(g, scope, error))
		return false;
	if (target_bytes == 0) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "%s: cannot set its memory to 0: a guest needs some memory",
			    guest->address);
		return false;
	}
	return qmp_run_session(g, deadline, qmp_set_target, &target_bytes, error);
}

static bool qmp_max_set(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
			unsigned int scope, GError **error)
{
	(void)deadline;
	(void)max_bytes;
	if (qmp_refuse_config((struct qmp_guest *)guest, scope, error))
		return false;
	g_set_error(error, HV_ERROR, HV_ERROR_UNSUPPORTED,
		    "%s: the maximum memory of a running guest cannot be changed; change QEMU's "
		    "option -m and restart the guest",
		    guest->address);
	return false;
}

/* ---- settings ---- */

static const struct {
	const char *status; /* RunState in QEMU's qapi/run-state.json */
	enum hv_state state;
} run_states[] = {
	{ "running", HV_STATE_RUNNING },	{ "shutdown", HV_STATE_SHUTOFF },
	{ "guest-panicked", HV_STATE_CRASHED }, { "paused", HV_STATE_PAUSED },
	{ "suspended", HV_STATE_PAUSED },	{ "prelaunch", HV_STATE_PAUSED },
	{ "inmigrate", HV_STATE_PAUSED },	{ "postmigrate", HV_STATE_PAUSED },
	{ "finish-migrate", HV_STATE_PAUSED },	{ "restore-vm", HV_STATE_PAUSED },
	{ "save-vm", HV_STATE_PAUSED },		{ "watchdog", HV_STATE_PAUSED },
	{ "io-error", HV_STATE_PAUSED },	{ "internal-error", HV_STATE_PAUSED },
	{ "debug", HV_STATE_PAUSED },		{ "colo", HV_STATE_PAUSED },
};

/* Where the status @status is that of a migration, that; otherwise what the process shows. */
static enum hv_origin qmp_find_origin(const char *status, pid_t pid)
{
	if (g_str_equal(status, "inmigrate"))
		return HV_ORIGIN_ARRIVING;
	if (g_str_equal(status, "postmigrate"))
		return HV_ORIGIN_LEFT;
	return vmm_process_find_origin(pid);
}

static bool qmp_read_state(struct qmp_guest *g, int64_t deadline, struct hv_info *info,
			   GError **error)
{
	json_auto_t *answer = qmp_execute(g, deadline, "query-status", NULL, error);
	const char *status = json_string_value(json_object_get(answer, "status"));

	if (!answer)
		return false;
	if (!status)
		return qmp_fail_bad_answer("answer to query-status", answer, error);
	info->origin = qmp_find_origin(status, info->pid);
	info->state = HV_STATE_UNKNOWN;
	for (size_t i = 0; i < G_N_ELEMENTS(run_states); i++)
		if (g_str_equal(status, run_states[i].status))
			info->state = run_states[i].state;
	return true;
}

/* A string member of a command's answer; NULL when QEMU does not have it. */
static bool qmp_read_string(struct qmp_guest *g, int64_t deadline, const char *command,
			    const char *member, char **value, GError **error)
{
	json_auto_t *answer = NULL;
	const json_t *string;

	if (!qmp_execute_optional(g, deadline, command, NULL, &answer, error))
		return false;
	string = json_object_get(answer, member);
	if (string && !json_is_string(string))
		return qmp_fail_bad_answer(member, answer, error);
	*value = g_strdup(json_string_value(string));
	return true;
}

/* The socket's file name without its suffix. */
static char *qmp_format_socket_name(const char *path)
{
	char *name = g_path_get_basename(path);
	char *dot = strrchr(name, '.');

	if (dot && dot != name)
		*dot = '\0';
	return name;
}

static bool qmp_read_identity(struct qmp_guest *g, int64_t deadline, struct hv_info *info,
			      GError **error)
{
	if (!qmp_read_string(g, deadline, "query-name", "name", &info->name, error) ||
	    !qmp_read_string(g, deadline, "query-uuid", "UUID", &info->uuid, error))
		return false;
	if (!info->name || !*info->name) {
		g_free(info->name);
		info->name = qmp_format_socket_name(g->socket_path);
	}
	if (g_strcmp0(info->uuid, "00000000-0000-0000-0000-000000000000") == 0)
		g_clear_pointer(&info->uuid, g_free);
	return true;
}

/* "QEMU 7.2.22", or the package name that aerostat-device reports. */
static char *qmp_format_version(json_t *version)
{
	const char *package = json_string_value(json_object_get(version, "package"));
	double major, minor, micro;

	if (package && g_str_has_prefix(package, "aerostat-device"))
		return g_strdup(package);
	if (json_unpack(version, "{s:{s:F, s:F, s:F}}", "qemu", "major", &major, "minor", &minor,
			"micro", &micro) < 0)
		return NULL;
	return g_strdup_printf("QEMU %.0f.%.0f.%.0f", major, minor, micro);
}

static bool qmp_read_machine(struct qmp_guest *g, int64_t deadline, struct hv_info *info,
			     GError **error)
{
	json_auto_t *cpus = NULL, *version = NULL;
	struct qmp_ram ram;

	if (!qmp_read_state(g, deadline, info, error) || !qmp_query_ram(g, deadline, &ram, error) ||
	    !qmp_execute_optional(g, deadline, "query-cpus-fast", NULL, &cpus, error) ||
	    !qmp_execute_optional(g, deadline, "query-version", NULL, &version, error))
		return false;
	info->max_bytes = ram.max_bytes;
	info->vcpus = (unsigned int)json_array_size(cpus);
	info->version = qmp_format_version(version);
	return true;
}

/* Sets @flag to 1, 0, or -1 when the device has no such property. */
static bool qmp_read_flag(struct qmp_guest *g, int64_t deadline, const char *name, int *flag,
			  GError **error)
{
	g_autoptr(GError) failed = NULL;
	json_auto_t *answer = qmp_access_property(g, deadline, name, NULL, &failed);

	*flag = json_is_boolean(answer) ? json_is_true(answer) : -1;
	if (answer || qmp_is_answer(failed))
		return true;
	g_propagate_error(error, g_steal_pointer(&failed));
	return false;
}

static bool qmp_read_balloon(struct qmp_guest *g, int64_t deadline, struct hv_info *info,
			     GError **error)
{
	g_autoptr(GError) failed = NULL;

	info->has_balloon = qmp_query_actual(g, deadline, &info->actual_bytes, &failed);
	if (g_error_matches(failed, HV_ERROR, HV_ERROR_NO_BALLOON))
		return true;
	if (failed) {
		g_propagate_error(error, g_steal_pointer(&failed));
		return false;
	}
	return qmp_read_flag(g, deadline, "deflate-on-oom", &info->autodeflate, error) &&
	       qmp_read_flag(g, deadline, "free-page-reporting", &info->free_page_reporting,
			     error) &&
	       qmp_read_driver(g, deadline, info, error);
}

static bool qmp_read_info(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	struct hv_info *info = arg;

	hv_info_clear(info);
	*info = (struct hv_info){
		.id = -1,
		.pid = qmp_guest_pid(g),
		.actual_bytes = HV_UNSET,
		.config_max_bytes = HV_UNSET,
		.config_bytes = HV_UNSET,
		.cpu_time_ns = vmm_process_cpu_ns(qmp_guest_pid(g)),
		.autodeflate = -1,
		.free_page_reporting = -1,
	};
	return qmp_read_identity(g, deadline, info, error) &&
	       qmp_read_machine(g, deadline, info, error) &&
	       qmp_read_balloon(g, deadline, info, error);
}

static bool qmp_info(struct hv_guest *guest, int64_t deadline, struct hv_info *info, GError **error)
{
	*info = (struct hv_info){ 0 };
	if (qmp_run_session((struct qmp_guest *)guest, deadline, qmp_read_info, info, error))
		return true;
	hv_info_clear(info);
	return false;
}

/*
 * Waiting for events
 */

static const struct hv_ops qmp_ops = {
	.kind = "qmp",
	.info = qmp_info,
	.balloon_get = qmp_balloon_get,
	.balloon_set = qmp_balloon_set,
	.max_set = qmp_max_set,
	.stats_get = qmp_stats_get,
	.stats_period_set = qmp_stats_period_set,
	.obstacle = qmp_obstacle,
	.event_wait = qmp_event_wait,
	.credit_set = qmp_credit_set,
	.trim = qmp_trim,
	.close = qmp_close,
};

struct hv_guest *hv_qmp_open(const char *socket_path)
{
	return &qmp_guest_new(&qmp_ops, socket_path)->base;
}
