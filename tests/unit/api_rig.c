/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/api_rig.h"

#include "tests/hang.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib/gstdio.h>

/*
 * The fake manager
 */

GQuark manager_error_quark(void)
{
	return g_quark_from_static_string("manager-error");
}

const struct manager_status *manager_get_status(const struct manager *manager)
{
	return &manager->status;
}

const struct managed *manager_find(const struct manager *manager, const char *name, GError **error)
{
	for (guint i = 0; i < manager->guests->len; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		if (!strcmp(guest->name, name) || !strcmp(guest->address, name))
			return guest;
	}
	if (!strcmp(name, "twins"))
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_AMBIGUOUS, "two are called twins");
	else
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_FOUND, "no guest '%s'", name);
	return NULL;
}

static bool fails(const struct manager *manager, GError **error)
{
	if (manager->failure < 0)
		return false;
	g_set_error(error, MANAGER_ERROR, manager->failure, "not now");
	return true;
}

bool manager_set_size(struct manager *manager, const char *name, uint64_t bytes, bool force,
		      GError **error)
{
	if (fails(manager, error))
		return false;
	g_free(manager->mode_name);
	manager->mode_name = g_strdup(name);
	manager->mode_bytes = bytes;
	manager->force = force;
	manager->resize.is_running = true;
	manager->resize.target_bytes = bytes;
	return true;
}

const struct managed_resize *manager_get_resize(const struct manager *manager,
						const struct managed *guest)
{
	(void)guest;
	return manager->resize.target_bytes == HV_UNSET ? NULL : &manager->resize;
}

bool manager_set_mode(struct manager *manager, const char *name, enum policy_mode mode,
		      uint64_t bytes, bool force, GError **error)
{
	if (fails(manager, error))
		return false;
	g_free(manager->mode_name);
	manager->mode_name = g_strdup(name);
	manager->mode = (int)mode;
	manager->mode_bytes = bytes;
	manager->force = force;
	return true;
}

bool manager_set_own_size(struct manager *manager, const char *name, uint64_t bytes, GError **error)
{
	if (fails(manager, error))
		return false;
	g_free(manager->mode_name);
	manager->mode_name = g_strdup(name);
	manager->own_bytes = bytes;
	return true;
}

const struct reservation *manager_reserve(struct manager *manager, uint64_t bytes,
					  unsigned int ttl_s, const char *note, GError **error)
{
	struct reservation *made;

	if (fails(manager, error))
		return NULL;
	manager->ttl_s = ttl_s;
	manager_add_reservation(manager, manager->reservations->len + 1, bytes);
	made = manager->reservations->pdata[manager->reservations->len - 1];
	g_free(made->note);
	made->note = g_strdup(note);
	return made;
}

bool manager_unreserve(struct manager *manager, uint64_t id, GError **error)
{
	if (fails(manager, error))
		return false;
	for (guint i = 0; i < manager->reservations->len; i++)
		if (((struct reservation *)manager->reservations->pdata[i])->id == id)
			g_ptr_array_remove_index(manager->reservations, i);
	return true;
}

bool manager_reload(struct manager *manager, GError **error)
{
	manager->reloads++;
	if (manager->failure < 0) {
		events_add(manager->status.events, EVENT_RELOAD, NULL, HV_UNSET, HV_UNSET,
			   "the file is in force");
		return true;
	}
	g_set_error(error, CONFIG_ERROR, CONFIG_ERROR_INVALID, "the file, line 3: no");
	return false;
}

bool manager_record(struct manager *manager,
		    void (*line)(const char *text, gsize length, void *data), void *data,
		    GError **error)
{
	if (line && manager->line) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED, "one is under way");
		return false;
	}
	if (manager->line)
		manager->line(NULL, 0, manager->line_data);
	manager->line = line;
	manager->line_data = data;
	manager->status.recording = line != NULL;
	if (line)
		line("{\"start\"}\n", 10, data);
	return true;
}

static void guest_free(void *data)
{
	struct managed *guest = data;

	g_queue_clear_full(&guest->history, g_free);
	g_free(guest->source);
	g_free(guest->address);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest->problem);
	g_free(guest);
}

static void reservation_free(void *data)
{
	struct reservation *reservation = data;

	g_free(reservation->note);
	g_free(reservation);
}

void manager_fill(struct manager *manager)
{
	static char *everyone[] = { (char *)"*", NULL }, *no_user[] = { NULL };

	*manager = (struct manager){
		.config = { .policy = &policy_aerostat, .readers = everyone, .writers = no_user },
		.guests = g_ptr_array_new_with_free_func(guest_free),
		.reservations = g_ptr_array_new_with_free_func(reservation_free),
		.mode = -1,
		.failure = -1,
		.resize = { .target_bytes = HV_UNSET,
			    .before_bytes = HV_UNSET,
			    .actual_bytes = HV_UNSET,
			    .host_before_bytes = HV_UNSET,
			    .host_after_bytes = HV_UNSET,
			    .eased_bytes = HV_UNSET },
	};
	manager->status = (struct manager_status){
		.config = &manager->config,
		.guests = manager->guests,
		.reservations = manager->reservations,
		.problems = g_hash_table_new(g_str_hash, g_str_equal),
		.events = events_new(),
	};
}

void manager_empty(struct manager *manager)
{
	g_ptr_array_unref(manager->guests);
	g_ptr_array_unref(manager->reservations);
	g_hash_table_unref(manager->status.problems);
	events_free(manager->status.events);
	g_free(manager->mode_name);
}

static void fill_seen(struct policy_guest *seen)
{
	*seen = (struct policy_guest){
		.rules = { POLICY_AUTO, 201 * MIB, 202 * MIB, 1.5 },
		.boot_bytes = 203 * MIB,
		.actual_bytes = 204 * MIB,
		.target_bytes = 205 * MIB,
		.resident_bytes = 206 * MIB,
		.taken_us = g_get_monotonic_time() - 1,
		.available_bytes = 207 * MIB,
		.free_bytes = 208 * MIB,
		.total_bytes = 209 * MIB,
		.cache_bytes = 210 * MIB,
		.swap_in_bytes = 211 * MIB,
		.swap_out_bytes = 212 * MIB,
		.major_faults = 213,
		.oom_kills = 214,
		.alloc_stalls = 215,
		.direct_scan_bytes = 216 * MIB,
		.psi_some_us = 2170000,
		.psi_full_us = 2180001,
	};
}

struct managed *manager_add(struct manager *manager, const char *name, const char *address)
{
	struct managed *guest = g_new0(struct managed, 1);

	*guest = (struct managed){
		.id = manager->guests->len + 1,
		.source = g_strdup("qmp"),
		.address = g_strdup(address),
		.name = g_strdup(name),
		.pid = 4711,
		.state = HV_STATE_RUNNING,
		.driver = HV_DRIVER_READY,
		.autodeflate = 1,
		.free_page_reporting = 0,
		.has_balloon = true,
		.answered = true,
		.held_bytes = HV_UNSET,
		.before_bytes = 219 * MIB,
		.decision = { .target_bytes = 205 * MIB,
			      .reason = POLICY_REASON_IDLE,
			      .need_bytes = 220 * MIB,
			      .demand_bytes = 221 * MIB,
			      .reserve_bytes = 222 * MIB,
			      .want_bytes = 223 * MIB,
			      .floor_bytes = 224 * MIB,
			      .credit_bytes = 227 * MIB,
			      .ceiling_bytes = 228 * MIB,
			      .pressured = true,
			      .text = "it is idle" },
		.times_set = 225,
		.times_failed = 226,
	};
	fill_seen(&guest->seen);
	guest->seen.abilities = POLICY_CAN_REPORT | POLICY_CAN_GATE;
	guest->seen.pulled_bytes = 229 * MIB;
	guest->stats.value[HV_STAT_TRIMMED] = 230 * MIB;
	g_ptr_array_add(manager->guests, guest);
	return guest;
}

void manager_add_reservation(struct manager *manager, uint64_t id, uint64_t bytes)
{
	struct reservation *reservation = g_new0(struct reservation, 1);

	*reservation = (struct reservation){
		.id = id,
		.bytes = bytes,
		.free_bytes = bytes / 2,
		.until_us = g_get_monotonic_time() + 100 * G_USEC_PER_SEC,
		.note = g_strdup("a test"),
	};
	g_ptr_array_add(manager->reservations, reservation);
}

/*
 * The daemon
 */

int rig_set_up(void **state)
{
	struct rig *rig = g_new0(struct rig, 1);
	g_autoptr(GError) error = NULL;

	/* Misuse that libsoup or GLib notices fails the test. */
	g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
	manager_fill(&rig->manager);
	rig->folder = g_dir_make_tmp("aerostat-api-XXXXXX", NULL);
	rig->path = g_build_filename(rig->folder, "socket", NULL);
	rig->api = api_start(&rig->manager, rig->path, &error);
	assert_null(error);
	*state = rig;
	return 0;
}

int rig_tear_down(void **state)
{
	struct rig *rig = *state;

	api_stop(rig->api);
	/* libsoup ends connections in the loop. */
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_rmdir(rig->folder);
	manager_empty(&rig->manager);
	g_free(rig->folder);
	g_free(rig->path);
	g_free(rig);
	return 0;
}

static gboolean give_up(void *data)
{
	(void)data;
	fail_msg("waited %d s in vain", HANG_S);
	return G_SOURCE_REMOVE;
}

void run_until(bool (*condition)(void *data), void *data)
{
	guint timeout = g_timeout_add_seconds(HANG_S, give_up, NULL);

	while (!condition(data))
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timeout);
}

/*
 * A client
 */

static gboolean link_read(gint fd, GIOCondition condition, void *data)
{
	struct link *link = data;
	char buffer[65536];
	ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	(void)condition;
	if (got > 0)
		g_string_append_len(link->got, buffer, got);
	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return G_SOURCE_CONTINUE;
	link->ended = true;
	link->source = 0;
	return G_SOURCE_REMOVE;
}

struct link *link_open(const char *path)
{
	struct link *link = g_new0(struct link, 1);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(link->fd, (struct sockaddr *)&address, sizeof(address)), errno);
	link->got = g_string_new(NULL);
	link->source = g_unix_fd_add(link->fd, G_IO_IN | G_IO_HUP, link_read, link);
	return link;
}

void link_close(struct link *link)
{
	if (link->source)
		g_source_remove(link->source);
	close(link->fd);
	g_string_free(link->got, TRUE);
	g_free(link);
}

void link_send(struct link *link, const char *text, size_t length)
{
	while (length && !link->ended) {
		ssize_t sent = send(link->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		text += MAX(sent, 0);
		length -= (size_t)MAX(sent, 0);
		g_main_context_iteration(NULL, FALSE);
	}
}

struct wanted {
	struct link *link;
	const char *text;
};

static bool has_come(void *data)
{
	const struct wanted *wanted = data;

	return strstr(wanted->link->got->str, wanted->text);
}

void link_wait_for(struct link *link, const char *text)
{
	run_until(has_come, &(struct wanted){ link, text });
}

static bool has_ended(void *data)
{
	return ((const struct link *)data)->ended;
}

void link_wait_for_end(struct link *link)
{
	run_until(has_ended, link);
}

struct answer ask_raw(struct rig *rig, const char *request, size_t length)
{
	struct link *link = link_open(rig->path);
	struct answer answer = { 0 };
	const char *body;

	link_send(link, request, length);
	link_wait_for_end(link);
	answer.text = g_strdup(link->got->str);
	link_close(link);
	sscanf(answer.text, "HTTP/1.%*c %u", &answer.status);
	body = strstr(answer.text, "\r\n\r\n");
	if (body)
		answer.json = json_loads(body + 4, 0, NULL);
	return answer;
}

struct answer ask(struct rig *rig, const char *method, const char *path, const char *body)
{
	g_autofree char *request = g_strdup_printf(
		"%s %s HTTP/1.1\r\nHost: aerostatd\r\nContent-Length: %zu\r\n\r\n%s", method, path,
		body ? strlen(body) : 0, body ? body : "");

	return ask_raw(rig, request, strlen(request));
}

void answer_clear(struct answer *answer)
{
	g_free(answer->text);
	json_decref(answer->json);
}

void assert_refused(struct rig *rig, const char *method, const char *path, const char *body,
		    unsigned int status, const char *code, const char *word)
{
	struct answer answer = ask(rig, method, path, body);
	const char *message = "", *said = "";

	json_unpack(answer.json, "{s:{s:s, s:s}}", "error", "code", &said, "message", &message);
	if (answer.status != status || strcmp(said, code) != 0 || !strstr(message, word))
		fail_msg("%s %s %s: %u %s and '%s' expected, not:\n%s", method, path,
			 body ? body : "", status, code, word, answer.text);
	answer_clear(&answer);
}
