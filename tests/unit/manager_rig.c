/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/manager_rig.h"

#include "aerostatd/roster.h"
#include "tests/fork_dependent.h"
#include "tests/hang.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct handle {
	hv_guest base;
	struct rigged *guest;
	enum caller caller;
};

static struct {
	GMutex lock;
	GCond opened;
	bool closed;
	unsigned int waiting;
	enum gate gate;
	enum caller caller;
	int64_t now_s; /* of statistics; later with each answer */

	const struct roster_ops *roster_ops;
	void *roster_data;
	struct rigged *opened_guest;
} world;

/*
 * Guests
 */

/* Passes the gate, and locks the world. */
static struct rigged *enter_guest(struct hv_guest *base, enum gate gate, GError **error)
{
	struct handle *handle = (struct handle *)base;

	g_mutex_lock(&world.lock);
	world.waiting++;
	while (world.closed && world.gate == gate && world.caller == handle->caller)
		g_cond_wait(&world.opened, &world.lock);
	world.waiting--;
	if (!handle->guest->ended)
		return handle->guest;
	g_mutex_unlock(&world.lock);
	g_set_error(error, HV_ERROR, HV_ERROR_NOT_RUNNING, "%s: it is shut off", base->address);
	return NULL;
}

static bool leave_guest(void)
{
	g_mutex_unlock(&world.lock);
	return true;
}

static bool read_info(struct hv_guest *base, int64_t deadline, struct hv_info *info, GError **error)
{
	struct rigged *guest = enter_guest(base, GATE_INFO, error);

	(void)deadline;
	if (!guest)
		return false;
	*info = (struct hv_info){
		.name = g_strdup(guest->name),
		.uuid = g_strdup(guest->uuid),
		.id = guest->uuid ? 7 : -1,
		.state = HV_STATE_RUNNING,
		.pid = guest->pid,
		.device_pid = guest->device_pid,
		.max_bytes = OWN_BYTES,
		.actual_bytes = guest->actual_bytes,
		.has_balloon = true,
		.driver = HV_DRIVER_READY,
	};
	return leave_guest();
}

static bool get_balloon(struct hv_guest *base, int64_t deadline, uint64_t *bytes, GError **error)
{
	struct rigged *guest = enter_guest(base, GATE_BALLOON_GET, error);

	(void)deadline;
	if (!guest)
		return false;
	if (guest->creeps && guest->actual_bytes < guest->heard_bytes)
		guest->actual_bytes += 4096;
	*bytes = guest->actual_bytes;
	return leave_guest();
}

static bool set_balloon(struct hv_guest *base, int64_t deadline, uint64_t bytes, unsigned int scope,
			GError **error)
{
	struct rigged *guest = enter_guest(base, GATE_BALLOON_SET, error);

	(void)deadline;
	(void)scope;
	if (!guest)
		return false;
	guest->targets++;
	if (!guest->refuses) {
		guest->heard_bytes = bytes;
		if (!guest->creeps)
			guest->actual_bytes = bytes;
		return leave_guest();
	}
	g_set_error(error, HV_ERROR, guest->refuses, "%s: refused", base->address);
	g_mutex_unlock(&world.lock);
	return false;
}

static bool get_stats(struct hv_guest *base, int64_t deadline, struct hv_stats *stats,
		      GError **error)
{
	struct rigged *guest = enter_guest(base, GATE_STATS_GET, error);

	(void)deadline;
	if (!guest)
		return false;
	if (guest->fails) {
		guest->fails = false;
		g_mutex_unlock(&world.lock);
		g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT, "%s: no answer", base->address);
		return false;
	}
	world.now_s = MAX(world.now_s + 1, g_get_real_time() / G_USEC_PER_SEC);
	*stats = (struct hv_stats){ .period_s = guest->period_s,
				    .last_update_s = world.now_s,
				    .taken_s = world.now_s };
	for (int i = 0; i < HV_STAT_COUNT; i++)
		stats->value[i] = HV_UNSET;
	stats->value[HV_STAT_ACTUAL] = guest->actual_bytes;
	stats->value[HV_STAT_AVAILABLE] = guest->actual_bytes;
	stats->value[HV_STAT_USABLE] = stats->value[HV_STAT_UNUSED] =
		guest->actual_bytes - 200 * MIB;
	return leave_guest();
}

static bool set_period(struct hv_guest *base, int64_t deadline, int period_s, unsigned int scope,
		       GError **error)
{
	struct rigged *guest = enter_guest(base, GATE_PERIOD_SET, error);

	(void)deadline;
	(void)scope;
	if (!guest)
		return false;
	guest->period_s = period_s;
	return leave_guest();
}

static bool find_obstacle(struct hv_guest *base, int64_t deadline, enum hv_obstacle *obstacle,
			  GError **error)
{
	struct rigged *guest = enter_guest(base, GATE_OBSTACLE, error);

	(void)deadline;
	if (!guest)
		return false;
	*obstacle = HV_OBSTACLE_NONE;
	return leave_guest();
}

static void close_handle(struct hv_guest *base)
{
	g_free(base->address);
	g_free(base->source);
	g_free(base->uuid);
	g_free(base);
}

static const struct hv_ops ops = {
	.kind = "libvirt",
	.info = read_info,
	.balloon_get = get_balloon,
	.balloon_set = set_balloon,
	.stats_get = get_stats,
	.stats_period_set = set_period,
	.obstacle = find_obstacle,
	.close = close_handle,
};

static hv_guest *open_rigged(const char *source, struct rigged *guest, enum caller caller)
{
	struct handle *handle = g_new0(struct handle, 1);

	handle->base = (hv_guest){ .ops = &ops,
				   .address = g_strdup(guest->address),
				   .source = g_strdup(source),
				   .uuid = g_strdup(guest->uuid),
				   .id = guest->uuid ? 7 : -1 };
	handle->guest = guest;
	handle->caller = caller;
	return &handle->base;
}

hv_guest *__wrap_hv_libvirt_open(const char *uri, const char *name);
hv_guest *__wrap_hv_libvirt_open(const char *uri, const char *name)
{
	(void)name;
	return open_rigged(uri, world.opened_guest, CALLER_OTHER);
}

struct rigged *rigged_new(const char *address, const char *name, const char *uuid)
{
	struct rigged *guest = g_new0(struct rigged, 1);

	*guest = (struct rigged){ .address = g_strdup(address),
				  .name = g_strdup(name),
				  .uuid = g_strdup(uuid),
				  .pid = start_idle_process(),
				  .actual_bytes = OWN_BYTES };
	assert_return_code(guest->pid, errno);
	return guest;
}

void rigged_end(struct rigged *guest)
{
	g_mutex_lock(&world.lock);
	guest->ended = true;
	g_mutex_unlock(&world.lock);
	kill(guest->pid, SIGKILL);
	waitpid(guest->pid, NULL, 0);
}

void rigged_free(struct rigged *guest)
{
	if (!guest)
		return;
	if (!guest->ended)
		rigged_end(guest);
	g_free(guest->address);
	g_free(guest->name);
	g_free(guest->uuid);
	g_free(guest);
}

void give_device(struct rigged *guest, const struct rigged *device)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	guest->device_pid = device->pid;
	guest->fails = true;
}

uint64_t heard_target(struct rigged *guest)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	return guest->heard_bytes;
}

int guest_period(struct rigged *guest)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	return guest->period_s;
}

void set_guest_period(struct rigged *guest, int period_s)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	guest->period_s = period_s;
}

void close_gate(enum gate gate, enum caller caller)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	world.closed = true;
	world.gate = gate;
	world.caller = caller;
}

void open_gate(void)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	world.closed = false;
	g_cond_broadcast(&world.opened);
}

bool is_gate_reached(void)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&world.lock);

	return world.waiting;
}

/*
 * The roster
 */

struct roster *__wrap_roster_new(const struct hv_sources *sources, const struct roster_ops *ops,
				 void *data, GError **error);
struct roster *__wrap_roster_new(const struct hv_sources *sources,
				 const struct roster_ops *callbacks, void *data, GError **error)
{
	(void)sources;
	(void)error;
	world.roster_ops = callbacks;
	world.roster_data = data;
	return (struct roster *)&world;
}

void __wrap_roster_set_sources(struct roster *roster, const struct hv_sources *sources);
void __wrap_roster_set_sources(struct roster *roster, const struct hv_sources *sources)
{
	(void)roster;
	(void)sources;
}

void __wrap_roster_refresh(struct roster *roster);
void __wrap_roster_refresh(struct roster *roster)
{
	(void)roster;
}

void __wrap_roster_forget(struct roster *roster, const char *source, const char *address);
void __wrap_roster_forget(struct roster *roster, const char *source, const char *address)
{
	(void)roster;
	(void)source;
	(void)address;
}

void __wrap_roster_free(struct roster *roster);
void __wrap_roster_free(struct roster *roster)
{
	(void)roster;
	world.roster_ops = NULL;
}

void report_found(const char *source, struct rigged *guest)
{
	world.roster_ops->found(world.roster_data, open_rigged(source, guest, CALLER_WORKER));
}

void report_found_again(const char *source, struct rigged *guest)
{
	world.roster_ops->found(world.roster_data, open_rigged(source, guest, CALLER_OTHER));
}

void report_gone(const char *source, const struct rigged *guest)
{
	world.roster_ops->gone(world.roster_data, source, guest->address);
}

/*
 * The manager
 */

void manager_rig_set_up(struct manager_rig *rig, const char *config)
{
	*rig = (struct manager_rig){ .folder = g_dir_make_tmp("aerostat-XXXXXX", NULL) };
	/* Where setmem looks for another setmem: not that of another run of this test. */
	g_setenv("XDG_RUNTIME_DIR", rig->folder, TRUE);
	rig->config = g_build_filename(rig->folder, "aerostat.conf", NULL);
	assert_true(g_file_set_contents(rig->config, config, -1, NULL));
}

void manager_rig_start(struct manager_rig *rig)
{
	const struct manager_options options = {
		.config_path = rig->config,
		.folder = rig->folder,
		.proc = "/proc",
	};

	world.opened_guest = rig->guest;
	rig->manager = manager_new(&options, NULL);
	assert_non_null(rig->manager);
}

static void note_stopped(unsigned int missing, void *data)
{
	struct manager_rig *rig = data;

	rig->missing = missing;
}

void manager_rig_start_stop(struct manager_rig *rig)
{
	rig->missing = G_MAXUINT;
	manager_stop(rig->manager, note_stopped, rig);
}

void manager_rig_stop(struct manager_rig *rig)
{
	manager_rig_start_stop(rig);
	manager_rig_finish_stop(rig);
}

void manager_rig_finish_stop(struct manager_rig *rig)
{
	open_gate();
	RUN_UNTIL(rig->missing != G_MAXUINT);
	g_clear_pointer(&rig->manager, manager_free);
}

/* What a size that was set leaves behind. */
static void remove_target_files(const struct manager_rig *rig)
{
	g_autofree char *folder = g_build_filename(rig->folder, "aerostat", NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		g_unlink(path);
	}
	g_rmdir(folder);
}

static void remove_file(const struct manager_rig *rig, const char *name)
{
	g_autofree char *path = g_build_filename(rig->folder, name, NULL);

	g_unlink(path);
}

void manager_rig_tear_down(struct manager_rig *rig)
{
	open_gate();
	if (rig->manager)
		manager_rig_stop(rig);
	rigged_free(rig->guest);
	remove_file(rig, "aerostat.conf");
	remove_file(rig, "guests.json");
	remove_target_files(rig);
	g_rmdir(rig->folder);
	g_free(rig->config);
	g_free(rig->folder);
}

struct managed *find_managed(const struct manager_rig *rig, const char *address)
{
	const GPtrArray *list = manager_get_status(rig->manager)->guests;

	for (guint i = 0; i < list->len; i++) {
		struct managed *guest = list->pdata[i];

		if (guest->answered && !strcmp(guest->address, address))
			return guest;
	}
	return NULL;
}
