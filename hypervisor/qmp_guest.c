/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * Each operation is a session: connect, negotiate, send commands, close.
 * qmp_run_session() makes one out of a work function.  A guest that is held, or
 * whose events are awaited, keeps its connection.  When the connection is lost,
 * the session connects again and repeats the work, until the deadline.  When no
 * process listens any more, the session fails at once.  Whether QEMU has ended is
 * another question, which only its process answers.
 *
 * A monitor that sends no greeting is either in use by another client, or its
 * QEMU is stopped; the state of QEMU's process tells which.  A held guest keeps
 * such a connection, and with it its place in QEMU's queue.
 *
 * Events arrive in between the answers to commands, since QEMU serves one
 * connection only.  They wait in a bounded queue for qmp_event_wait().
 */
#include "hypervisor/qmp_guest.h"

#include "common/plain_text.h"
#include "hypervisor/process_state.h"
#include "hypervisor/qmp_wire.h"
#include "hypervisor/unix_listener.h"
#include "hypervisor/vmm_process.h"

#include <poll.h>
#include <string.h>

#define EVENTS_MAX 64
#define RETRY_FIRST_MS 5
#define RETRY_MAX_MS 160

/* ---- events ---- */

static const struct {
	const char *event;
	const char *detail; /* as virsh prints it */
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
	if (g_str_equal(name, "MEMORY_DEVICE_SIZE_CHANGE"))
		g->outside_known = false;
	for (size_t i = 0; i < G_N_ELEMENTS(lifecycle); i++)
		if (g_str_equal(name, lifecycle[i].event))
			qmp_push_event(g, HV_EVENT_LIFECYCLE, 0, lifecycle[i].detail);
	return true;
}

/* ---- sessions ---- */

static void qmp_close_session(struct qmp_guest *g)
{
	g_clear_pointer(&g->wire, qmp_wire_free);
	g_clear_pointer(&g->balloon_path, g_free);
}

static bool qmp_open_session(struct qmp_guest *g, int64_t deadline, GError **error)
{
	if (!g->wire) {
		g->wire = qmp_wire_connect(g->socket_path, deadline, qmp_handle_event, g, error);
		g->absent = !g->wire && g_error_matches(*error, HV_ERROR, HV_ERROR_UNREACHABLE);
		if (!g->wire)
			return false;
		g->outside_known = false; /* events were missed meanwhile */
	}
	if (!qmp_wire_negotiate(g->wire, deadline, error))
		return false;
	if (!g->greeted_once || g->pid != g->wire->pid || !g->start_ticks) {
		g->pid = g->wire->pid;
		g->start_ticks = process_start_ticks(g->pid);
	}
	g->greeted_once = true;
	return true;
}

/* @failed for people: with the guest's name, the state of QEMU, and the remedy. */
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
	pid = !late ? 0 : g->wire ? g->wire->pid : unix_listener_find_pid(g->socket_path);
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
		/*
		 * The last attempt needs some time: it should report why the
		 * connection failed, not a timeout.
		 */
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

/* ---- questions ---- */

bool qmp_fail_bad_answer(const char *what, const json_t *answer, GError **error)
{
	g_autofree char *text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
	g_autofree char *excerpt = qmp_format_excerpt(text, strlen(text));

	g_set_error(error, HV_ERROR, HV_ERROR_PROTOCOL, "QEMU sent an invalid %s: %s", what,
		    excerpt);
	return false;
}

/* Of the memory devices in @list, stores what is RAM; the rest (NVDIMM, pmem, SGX) is storage. */
static bool qmp_parse_memory_devices(const json_t *list, uint64_t *dimm_bytes,
				     uint64_t *outside_bytes, GError **error)
{
	json_t *device;
	size_t i;

	*dimm_bytes = *outside_bytes = 0;
	json_array_foreach (list, i, device) {
		const char *type = json_string_value(json_object_get(device, "type"));
		uint64_t *sum = !g_strcmp0(type, "dimm")	 ? dimm_bytes
				: !g_strcmp0(type, "virtio-mem") ? outside_bytes
								 : NULL;
		uint64_t bytes;

		if (!sum)
			continue;
		if (!qmp_parse_u64(json_object_get(json_object_get(device, "data"), "size"),
				   &bytes))
			return qmp_fail_bad_answer("answer to query-memory-devices", list, error);
		*sum += bytes;
	}
	return true;
}

bool qmp_query_ram(struct qmp_guest *g, int64_t deadline, struct qmp_ram *ram, GError **error)
{
	json_auto_t *answer = qmp_execute(g, deadline, "query-memory-size-summary", NULL, error);
	const json_t *plugged = json_object_get(answer, "plugged-memory");
	json_auto_t *devices = NULL;
	uint64_t base_bytes, plugged_bytes = 0;

	if (!answer)
		return false;
	if (!qmp_parse_u64(json_object_get(answer, "base-memory"), &base_bytes) ||
	    (plugged && !qmp_parse_u64(plugged, &plugged_bytes)))
		return qmp_fail_bad_answer("answer to query-memory-size-summary", answer, error);
	*ram = (struct qmp_ram){ 0 };
	/* The plugged memory is that of all memory devices, whatever they are. */
	if (plugged_bytes &&
	    !qmp_execute_optional(g, deadline, "query-memory-devices", NULL, &devices, error))
		return false;
	if (devices &&
	    !qmp_parse_memory_devices(devices, &plugged_bytes, &ram->outside_bytes, error))
		return false;
	ram->max_bytes = base_bytes + plugged_bytes + ram->outside_bytes;
	g->outside_bytes = ram->outside_bytes;
	g->outside_known = true;
	return true;
}

bool qmp_query_actual(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	json_auto_t *answer = NULL;
	struct qmp_ram ram;
	uint64_t *actual_bytes = arg;

	if (!qmp_query_ram(g, deadline, &ram, error))
		return false;
	answer = qmp_execute(g, deadline, "query-balloon", NULL, error);
	if (!answer)
		return false;
	if (!qmp_parse_u64(json_object_get(answer, "actual"), actual_bytes))
		return qmp_fail_bad_answer("answer to query-balloon", answer, error);
	*actual_bytes += ram.outside_bytes;
	return true;
}

/* Looks for a balloon among the children of the QOM object @parent. */
static bool qmp_find_balloon_in(struct qmp_guest *g, int64_t deadline, const char *parent,
				GError **error)
{
	json_auto_t *children = NULL;
	json_t *child;
	size_t i;

	if (!qmp_execute_optional(g, deadline, "qom-list", json_pack("{s:s}", "path", parent),
				  &children, error))
		return false;
	json_array_foreach (children, i, child) {
		const char *name = json_string_value(json_object_get(child, "name"));
		const char *type = json_string_value(json_object_get(child, "type"));

		if (!name || !type || g->balloon_path ||
		    !g_str_has_prefix(type, "child<virtio-balloon"))
			continue;
		/* A PCI or CCW proxy holds the device itself as a child. */
		g->balloon_path = g_strconcat(
			parent, "/", name,
			g_str_equal(type, "child<virtio-balloon-device>") ? "" : "/virtio-backend",
			NULL);
	}
	return true;
}

static bool qmp_find_balloon(struct qmp_guest *g, int64_t deadline, GError **error)
{
	if (!qmp_find_balloon_in(g, deadline, "/machine/peripheral", error) ||
	    (!g->balloon_path &&
	     !qmp_find_balloon_in(g, deadline, "/machine/peripheral-anon", error)))
		return false;
	if (g->balloon_path)
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_NO_BALLOON, "the guest has no virtio-balloon device");
	return false;
}

json_t *qmp_access_property(struct qmp_guest *g, int64_t deadline, const char *name, json_t *value,
			    GError **error)
{
	for (;;) {
		g_autoptr(GError) failed = NULL;
		bool known = g->balloon_path;
		json_t *answer;

		if (!known && !qmp_find_balloon(g, deadline, error))
			return NULL;
		answer = qmp_execute(g, deadline, value ? "qom-set" : "qom-get",
				     json_pack("{s:s, s:s, s:O*}", "path", g->balloon_path,
					       "property", name, "value", value),
				     &failed);
		/* A device found earlier may have been unplugged, and another plugged in. */
		if (known && qmp_is_answer(failed)) {
			g_clear_pointer(&g->balloon_path, g_free);
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

/* ---- waiting for events ---- */

static bool qmp_receive_event(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	struct qmp_ram ram;

	(void)arg;
	if (!g->outside_known && !qmp_query_ram(g, deadline, &ram, error))
		return false;
	/* At least once: with a deadline of now, an event that has arrived is still found. */
	while (g_queue_is_empty(&g->events)) {
		if (!qmp_wire_pump(g->wire, deadline, error))
			return false;
		if (g_get_monotonic_time() >= deadline)
			break;
	}
	if (!g_queue_is_empty(&g->events))
		return true;
	g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT, "no event within the time allowed");
	return false;
}

/* The state of the process that greeted us. */
static enum process_state qmp_find_process_state(const struct qmp_guest *g)
{
	return process_find_state(g->pid, g->start_ticks);
}

/*
 * A socket on which nobody listens proves nothing: QEMU may run without it, or be about to end.
 * So it is tried until the deadline, unless QEMU's process has ended.
 */
static bool qmp_wait_for_event(struct qmp_guest *g, int64_t deadline, GError **error)
{
	for (;;) {
		g_autoptr(GError) failed = NULL;

		if (qmp_run_session(g, deadline, qmp_receive_event, NULL, &failed))
			return true;
		if (!g->absent || !g->greeted_once || g_get_monotonic_time() >= deadline ||
		    qmp_find_process_state(g) == PROCESS_ENDED) {
			g_propagate_error(error, g_steal_pointer(&failed));
			return false;
		}
		poll(NULL, 0, RETRY_MAX_MS);
	}
}

bool qmp_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
		    GError **error)
{
	struct qmp_guest *g = (struct qmp_guest *)guest;
	g_autofree struct hv_event *next = NULL;
	g_autoptr(GError) failed = NULL;

	if (g->end_known) {
		g_set_error(error, HV_ERROR, HV_ERROR_NOT_RUNNING, "%s: QEMU has ended",
			    guest->address);
		return false;
	}
	g->watching = true;
	if (g_queue_is_empty(&g->events) && !qmp_wait_for_event(g, deadline, &failed)) {
		if (!g->absent || qmp_find_process_state(g) != PROCESS_ENDED) {
			g_propagate_error(error, g_steal_pointer(&failed));
			return false;
		}
		g->end_known = true;
		qmp_push_event(g, HV_EVENT_LIFECYCLE, 0, "Stopped");
	}
	next = g_queue_pop_head(&g->events);
	*event = *next;
	if (event->kind == HV_EVENT_BALLOON_CHANGE)
		event->actual_bytes += g->outside_bytes;
	return true;
}

/* ---- opening and closing ---- */

struct qmp_guest *qmp_guest_new(const struct hv_ops *ops, const char *socket_path)
{
	struct qmp_guest *g = g_new0(struct qmp_guest, 1);
	g_autofree char *plain = NULL;

	g->base.ops = ops;
	g->base.source = g_strdup("qmp");
	g->base.id = -1;
	g->socket_path = plain_name_decode(socket_path);
	plain = plain_name(g->socket_path);
	g->base.address = g_strconcat("qmp:", plain, NULL);
	g_queue_init(&g->events);
	return g;
}

pid_t qmp_guest_pid(const struct qmp_guest *g)
{
	return g->wire->pid;
}

const char *qmp_balloon_path(const struct qmp_guest *g)
{
	return g->balloon_path;
}

void qmp_close(struct hv_guest *guest)
{
	struct qmp_guest *g = (struct qmp_guest *)guest;

	qmp_close_session(g);
	g_queue_clear_full(&g->events, g_free);
	g_free(g->socket_path);
	g_free(guest->address);
	g_free(guest->source);
	g_free(g);
}
