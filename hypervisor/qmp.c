/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests reached by the monitor socket (QMP) of a QEMU.
 *
 * Theory of operation
 * -------------------
 * Every call is a session: connect, greet, ask, close; qmp_run_session() makes one out of
 * a work function.  A guest that is held, or whose events are waited for, keeps
 * its connection.  When a connection is lost, qmp_run_session() opens another and does the
 * work from its beginning, until the deadline; when nobody listens any more,
 * QEMU is gone and that is said at once.
 *
 * A monitor that does not greet is either held by another program or part of
 * a QEMU that is stopped; the state of its process tells which.  A held
 * guest keeps such a connection, and with it its place in QEMU's queue.
 *
 * Events that arrive on any exchange wait in a short queue for event_wait().
 * Commands and events share one connection, since QEMU serves only one.
 *
 * Nothing here outlives a call: closing a guest needs no thread to be waited
 * for, and nobody else may be using it then.
 */
#include "hypervisor/qmp_guest.h"
#include "hypervisor/vmm_process.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define RETRY_FIRST_MS 5
#define RETRY_MAX_MS 160

/*
 * Events
 */

static const struct {
	const char *event;
	const char *detail; /* virsh's words */
} lifecycle[] = {
	{ "SHUTDOWN", "Shutdown Finished" },
	{ "STOP", "Suspended Paused" },
	{ "RESUME", "Resumed Unpaused" },
	{ "RESET", "Rebooted" },
	{ "SUSPEND", "PMSuspended Memory" },
	{ "SUSPEND_DISK", "PMSuspended Disk" },
	{ "WAKEUP", "Started Event wakeup" },
	{ "GUEST_PANICKED", "Crashed Panicked" },
	{ "GUEST_CRASHLOADED", "Crashed Crashloaded" },
};

static void qmp_push_event(struct qmp_guest *g, enum hv_event_kind kind, uint64_t actual_bytes,
			   const char *detail)
{
	struct hv_event *event = g_new0(struct hv_event, 1);

	event->kind = kind;
	event->time_us = g_get_real_time();
	event->actual_bytes = actual_bytes;
	g_strlcpy(event->detail, detail, sizeof(event->detail));
	g_queue_push_tail(&g->events, event);
	if (g_queue_get_length(&g->events) > EVENTS_MAX)
		g_free(g_queue_pop_head(&g->events));
}

bool qmp_fail_bad_answer(const char *what, const json_t *answer, GError **error)
{
	g_autofree char *text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
	g_autofree char *excerpt = qmp_format_excerpt(text, strlen(text));

	g_set_error(error, HV_ERROR, HV_ERROR_PROTOCOL, "QEMU sent an invalid %s: %s", what,
		    excerpt);
	return false;
}

static bool qmp_handle_event(const json_t *message, void *data, GError **error)
{
	const char *name = json_string_value(json_object_get(message, "event"));
	const json_t *details = json_object_get(message, "data");
	struct qmp_guest *g = data;
	uint64_t actual_bytes;

	if (g_str_equal(name, "BALLOON_CHANGE")) {
		if (!qmp_parse_u64(json_object_get(details, "actual"), &actual_bytes))
			return qmp_fail_bad_answer(name, message, error);
		qmp_push_event(g, HV_EVENT_BALLOON_CHANGE, actual_bytes, "");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(lifecycle); i++)
		if (g_str_equal(name, lifecycle[i].event))
			qmp_push_event(g, HV_EVENT_LIFECYCLE, 0, lifecycle[i].detail);
	return true;
}

/*
 * Sessions
 */

static void qmp_close_session(struct qmp_guest *g)
{
	g_clear_pointer(&g->wire, qmp_wire_free);
	g_clear_pointer(&g->device, g_free);
}

static bool qmp_open_session(struct qmp_guest *g, int64_t deadline, GError **error)
{
	if (!g->wire) {
		g->wire = qmp_wire_connect(g->path, deadline, qmp_handle_event, g, error);
		g->absent = !g->wire && g_error_matches(*error, HV_ERROR, HV_ERROR_UNREACHABLE);
		if (!g->wire)
			return false;
	}
	if (!qmp_wire_negotiate(g->wire, deadline, error))
		return false;
	g->seen = true;
	return true;
}

/* @failed in words for a person: whose it is, the state of QEMU, and what helps. */
static GError *qmp_explain_failure(const struct qmp_guest *g, const GError *failed)
{
	bool late = failed->code == HV_ERROR_TIMEOUT || failed->code == HV_ERROR_BUSY;
	const char *command = late && g->wire ? g->wire->command : NULL;
	g_autofree char *stopped = NULL;
	const char *remedy = "";
	int code = failed->code;
	pid_t pid;

	if (code == HV_ERROR_NO_BALLOON)
		remedy = "; start QEMU with -device virtio-balloon-pci";
	if (g_strcmp0(command, "balloon") == 0 || g_strcmp0(command, "qom-set") == 0)
		remedy = "; the change may still be made when QEMU resumes";
	pid = !late ? 0 : g->wire ? g->wire->pid : qmp_listener_pid(g->path);
	if (vmm_process_stopped(pid)) {
		code = HV_ERROR_TIMEOUT;
		stopped = g_strdup_printf("its QEMU (process %d) is stopped; resume it with: kill "
					  "-CONT %d",
					  (int)pid, (int)pid);
	}
	return g_error_new(HV_ERROR, code, "%s: %s%s", g->base.address,
			   stopped ? stopped : failed->message, remedy);
}

bool qmp_run_session(struct qmp_guest *g, int64_t deadline, qmp_work_fn work, void *arg,
		     GError **error)
{
	unsigned int pause_ms = 0;

	for (;;) {
		g_autoptr(GError) failed = NULL;
		bool ok = qmp_open_session(g, deadline, &failed) && work(g, deadline, arg, &failed);
		bool lost = g->wire && g->wire->state == QMP_WIRE_LOST;
		/* Leave the last attempt some time, or it would end as a timeout. */
		bool again =
			!ok && lost && deadline - g_get_monotonic_time() > 2000 * (int64_t)pause_ms;

		if (!ok && !again)
			g_propagate_error(error, qmp_explain_failure(g, failed));
		if (g->wire && (g->wire->state != QMP_WIRE_OPEN || !(g->base.hold || g->watching)))
			qmp_close_session(g);
		if (!again)
			return ok;
		poll(NULL, 0, (int)pause_ms);
		pause_ms = CLAMP(2 * pause_ms, RETRY_FIRST_MS, RETRY_MAX_MS);
	}
}

json_t *qmp_execute(struct qmp_guest *g, int64_t deadline, const char *command, json_t *arguments,
		    GError **error)
{
	return qmp_wire_execute(g->wire, deadline, command, arguments, error);
}

/* As qmp_execute(), but an error that QEMU answers is fine too: *answer is NULL then. */
bool qmp_execute_optional(struct qmp_guest *g, int64_t deadline, const char *command,
			  json_t *arguments, json_t **answer, GError **error)
{
	g_autoptr(GError) failed = NULL;

	*answer = qmp_execute(g, deadline, command, arguments, &failed);
	if (*answer || qmp_is_answer(failed))
		return true;
	g_propagate_error(error, g_steal_pointer(&failed));
	return false;
}

/*
 * The balloon
 */

bool qmp_query_actual(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	json_auto_t *answer = qmp_execute(g, deadline, "query-balloon", NULL, error);

	if (!answer)
		return false;
	return qmp_parse_u64(json_object_get(answer, "actual"), arg) ||
	       qmp_fail_bad_answer("answer to query-balloon", answer, error);
}

bool qmp_query_max(struct qmp_guest *g, int64_t deadline, uint64_t *max_bytes, GError **error)
{
	json_auto_t *answer = qmp_execute(g, deadline, "query-memory-size-summary", NULL, error);
	const json_t *plugged = json_object_get(answer, "plugged-memory");
	uint64_t base_bytes, plugged_bytes = 0;

	if (!answer)
		return false;
	if (!qmp_parse_u64(json_object_get(answer, "base-memory"), &base_bytes) ||
	    (plugged && !qmp_parse_u64(plugged, &plugged_bytes)))
		return qmp_fail_bad_answer("answer to query-memory-size-summary", answer, error);
	*max_bytes = base_bytes + plugged_bytes;
	return true;
}

/* Looks for a balloon among the children of @folder. */
static bool qmp_find_balloon_in(struct qmp_guest *g, int64_t deadline, const char *folder,
				GError **error)
{
	json_auto_t *children = NULL;
	json_t *child;
	size_t i;

	if (!qmp_execute_optional(g, deadline, "qom-list", json_pack("{s:s}", "path", folder),
				  &children, error))
		return false;
	json_array_foreach (children, i, child) {
		const char *name = json_string_value(json_object_get(child, "name"));
		const char *type = json_string_value(json_object_get(child, "type"));

		if (!name || !type || g->device || !g_str_has_prefix(type, "child<virtio-balloon"))
			continue;
		/* The device is inside of its PCI or CCW proxy, if it has one. */
		g->device = g_strconcat(
			folder, "/", name,
			g_str_equal(type, "child<virtio-balloon-device>") ? "" : "/virtio-backend",
			NULL);
	}
	return true;
}

static bool qmp_find_balloon(struct qmp_guest *g, int64_t deadline, GError **error)
{
	if (!qmp_find_balloon_in(g, deadline, "/machine/peripheral", error) ||
	    (!g->device && !qmp_find_balloon_in(g, deadline, "/machine/peripheral-anon", error)))
		return false;
	if (g->device)
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_NO_BALLOON, "the guest has no virtio-balloon device");
	return false;
}

/* Reads property @name of the balloon, or writes @value to it. */
json_t *qmp_access_property(struct qmp_guest *g, int64_t deadline, const char *name, json_t *value,
			    GError **error)
{
	for (;;) {
		g_autoptr(GError) failed = NULL;
		bool known = g->device;
		json_t *answer;

		if (!known && !qmp_find_balloon(g, deadline, error))
			return NULL;
		answer = qmp_execute(g, deadline, value ? "qom-set" : "qom-get",
				     json_pack("{s:s, s:s, s:O*}", "path", g->device, "property",
					       name, "value", value),
				     &failed);
		/* A device that was known may have been unplugged and another plugged. */
		if (known && qmp_is_answer(failed)) {
			g_clear_pointer(&g->device, g_free);
			continue;
		}
		if (!answer)
			g_propagate_error(error, g_steal_pointer(&failed));
		return answer;
	}
}

bool qmp_refuse_config(const struct qmp_guest *g, unsigned int scope, GError **error)
{
	if (!(scope & HV_SCOPE_CONFIG))
		return false;
	g_set_error(error, HV_ERROR, HV_ERROR_UNSUPPORTED,
		    "%s: a QMP guest has no persistent configuration; leave out --config",
		    g->base.address);
	return true;
}

static bool qmp_set_target(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	const uint64_t target_bytes = *(const uint64_t *)arg;
	json_auto_t *answer = NULL;
	uint64_t max_bytes;

	if (!qmp_query_max(g, deadline, &max_bytes, error))
		return false;
	if (target_bytes > max_bytes) {
		/* QEMU would take it for the maximum without a word. */
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "cannot set its memory to %" PRIu64 " KiB: its maximum is %" PRIu64
			    " KiB",
			    (target_bytes - 1) / 1024 + 1, max_bytes / 1024);
		return false;
	}
	answer = qmp_execute(g, deadline, "balloon",
			     json_pack("{s:I}", "value", (json_int_t)target_bytes), error);
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

/*
 * What a guest is
 */

static const struct {
	const char *word;
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

static bool qmp_read_state(struct qmp_guest *g, int64_t deadline, enum hv_state *state,
			   GError **error)
{
	json_auto_t *answer = qmp_execute(g, deadline, "query-status", NULL, error);
	const char *word = json_string_value(json_object_get(answer, "status"));

	if (!answer)
		return false;
	if (!word)
		return qmp_fail_bad_answer("answer to query-status", answer, error);
	*state = HV_STATE_UNKNOWN;
	for (size_t i = 0; i < G_N_ELEMENTS(run_states); i++)
		if (g_str_equal(word, run_states[i].word))
			*state = run_states[i].state;
	return true;
}

/* A string member of a command's answer; NULL when QEMU has none to tell. */
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

/* The name of the socket without its suffix. */
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
		info->name = qmp_format_socket_name(g->path);
	}
	if (g_strcmp0(info->uuid, "00000000-0000-0000-0000-000000000000") == 0)
		g_clear_pointer(&info->uuid, g_free);
	return true;
}

/* "QEMU 7.2.22", or what a device of our own says in the package's name. */
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

	if (!qmp_read_state(g, deadline, &info->state, error) ||
	    !qmp_query_max(g, deadline, &info->max_bytes, error) ||
	    !qmp_execute_optional(g, deadline, "query-cpus-fast", NULL, &cpus, error) ||
	    !qmp_execute_optional(g, deadline, "query-version", NULL, &version, error))
		return false;
	info->vcpus = (unsigned int)json_array_size(cpus);
	info->version = qmp_format_version(version);
	return true;
}

/* 1, 0, or -1 when the device has no such property. */
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

/* The driver has set DRIVER_OK: "VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready". */
static bool qmp_read_driver(struct qmp_guest *g, int64_t deadline, enum hv_driver *driver,
			    GError **error)
{
	json_auto_t *answer = NULL;
	const json_t *bits;
	json_t *bit;
	size_t i;

	*driver = HV_DRIVER_UNKNOWN;
	if (!g->device)
		return true;
	if (!qmp_execute_optional(g, deadline, "x-query-virtio-status",
				  json_pack("{s:s}", "path", g->device), &answer, error))
		return false;
	bits = json_object_get(json_object_get(answer, "status"), "statuses");
	if (json_is_array(bits))
		*driver = HV_DRIVER_ABSENT;
	json_array_foreach (bits, i, bit)
		if (json_is_string(bit) && strstr(json_string_value(bit), "DRIVER_OK"))
			*driver = HV_DRIVER_READY;
	return true;
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
	       qmp_read_driver(g, deadline, &info->driver, error);
}

static bool qmp_read_info(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	struct hv_info *info = arg;

	hv_info_clear(info);
	*info = (struct hv_info){
		.id = -1,
		.pid = g->wire->pid,
		.actual_bytes = HV_UNSET,
		.config_max_bytes = HV_UNSET,
		.config_bytes = HV_UNSET,
		.cpu_time_ns = vmm_process_cpu_ns(g->wire->pid),
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

static bool qmp_receive_event(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	(void)arg;
	/* At least once, so that a deadline of now asks for what is there already. */
	do {
		if (!qmp_wire_pump(g->wire, deadline, error))
			return false;
		if (!g_queue_is_empty(&g->events))
			return true;
	} while (g_get_monotonic_time() < deadline);
	g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT, "no event within the time allowed");
	return false;
}

static bool qmp_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			   GError **error)
{
	struct qmp_guest *g = (struct qmp_guest *)guest;
	g_autofree struct hv_event *next = NULL;
	g_autoptr(GError) failed = NULL;

	if (g->gone) {
		g_set_error(error, HV_ERROR, HV_ERROR_NOT_RUNNING, "%s: QEMU has ended",
			    guest->address);
		return false;
	}
	g->watching = true;
	if (g_queue_is_empty(&g->events) &&
	    !qmp_run_session(g, deadline, qmp_receive_event, NULL, &failed)) {
		if (!g->absent || !g->seen) {
			g_propagate_error(error, g_steal_pointer(&failed));
			return false;
		}
		g->gone = true;
		qmp_push_event(g, HV_EVENT_LIFECYCLE, 0, "Stopped");
	}
	next = g_queue_pop_head(&g->events);
	*event = *next;
	return true;
}

static void qmp_close(struct hv_guest *guest)
{
	struct qmp_guest *g = (struct qmp_guest *)guest;

	qmp_close_session(g);
	g_queue_clear_full(&g->events, g_free);
	g_free(g->path);
	g_free(guest->address);
	g_free(guest->source);
	g_free(g);
}

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
	.close = qmp_close,
};

struct hv_guest *hv_qmp_open(const char *socket_path)
{
	struct qmp_guest *g = g_new0(struct qmp_guest, 1);

	g->base.ops = &qmp_ops;
	g->base.address = g_strconcat("qmp:", socket_path, NULL);
	g->base.source = g_strdup("qmp");
	g->path = g_strdup(socket_path);
	g_queue_init(&g->events);
	return &g->base;
}
