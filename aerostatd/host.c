/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * A PSI trigger is a file that was written to and stays open; the kernel makes it
 * ready (POLLPRI) when stalls reach what was written.  Without CAP_SYS_RESOURCE the
 * kernel takes only windows of whole two seconds, so twice as much in twice the time is
 * tried next.  Nothing is written unless the file is one of the kernel's.
 *
 * Without a trigger host_read() compares "some total", the µs stalled since boot, with
 * what it was up to a window ago.
 */
#include "aerostatd/host.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WINDOWS_MAX 2
#define CGROUP_ROOT "../sys/fs/cgroup" /* seen from @proc */

struct host {
	char *meminfo, *pressure; /* paths */
	void (*on_trigger)(void *data);
	void *data;
	int trigger_fd;	  /* -1: none */
	guint trigger_id; /* its GSource; 0: none */
	char *why_not;	  /* why there is no trigger */
	bool fired;	  /* since the last host_read() */
	/* Without a trigger: what "some total" was, and when; before_us 0: not seen yet. */
	uint64_t before_total_us;
	int64_t before_us;
};

/*
 * The trigger
 */
static void lose_trigger(struct host *host, const char *why)
{
	if (host->trigger_fd >= 0)
		close(host->trigger_fd);
	host->trigger_fd = -1;
	host->trigger_id = 0;
	g_free(host->why_not);
	host->why_not = g_strdup_printf("%s: %s", host->pressure, why);
}

static gboolean on_pressure(int fd, GIOCondition condition, gpointer data)
{
	struct host *host = data;

	(void)fd;
	if (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) {
		lose_trigger(host, "the trigger is gone");
		return G_SOURCE_REMOVE;
	}
	host->fired = true;
	if (host->on_trigger)
		host->on_trigger(host->data);
	return G_SOURCE_CONTINUE;
}

static bool is_of_the_kernel(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
}

/* The same share of @windows times the window; 0 or an errno.  The NUL is part of it. */
static int write_trigger(int fd, int windows)
{
	g_autofree char *text = g_strdup_printf("some %d %d", windows * HOST_TRIGGER_STALL_US,
						windows * HOST_TRIGGER_WINDOW_US);

	return write(fd, text, strlen(text) + 1) < 0 ? errno : 0;
}

static void set_trigger(struct host *host)
{
	int error_number = EINVAL;

	host->trigger_fd = open(host->pressure, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (host->trigger_fd < 0) {
		lose_trigger(host, g_strerror(errno));
		return;
	}
	if (!is_of_the_kernel(host->trigger_fd)) {
		lose_trigger(host, "is not a file of the kernel's");
		return;
	}
	for (int windows = 1; error_number && windows <= WINDOWS_MAX; windows++)
		error_number = write_trigger(host->trigger_fd, windows);
	if (error_number) {
		lose_trigger(host, g_strerror(error_number));
		return;
	}
	host->trigger_id =
		g_unix_fd_add(host->trigger_fd, G_IO_PRI | G_IO_ERR | G_IO_HUP, on_pressure, host);
}

bool host_has_trigger(const struct host *host, const char **why_not)
{
	if (why_not)
		*why_not = host->why_not;
	return host->trigger_fd >= 0;
}

/*
 * Numbers
 */

/* The text behind @name, at the start of a line of @text; NULL. */
static const char *find_line(const char *text, const char *name)
{
	for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL)
		if (g_str_has_prefix(text, name))
			return text + strlen(name);
	return NULL;
}

/* "MemTotal:  123 kB" in bytes; false when there is no such line, or no number in it. */
static bool find_kib(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = find_line(text, name);
	char *end;
	guint64 kib;

	if (!at)
		return false;
	at += strspn(at, " \t");
	kib = g_ascii_strtoull(at, &end, 10);
	if (!g_ascii_isdigit(*at) || kib > UINT64_MAX / 1024)
		return false;
	*bytes = kib * 1024;
	return true;
}

/* 0 when there is none. */
static uint64_t optional_kib(const char *text, const char *name)
{
	uint64_t bytes = 0;

	find_kib(text, name, &bytes);
	return bytes;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static bool read_meminfo(const char *path, struct policy_host *numbers, GError **error)
{
	g_autofree char *text = NULL;
	const struct {
		const char *name;
		uint64_t *bytes;
	} rows[] = {
		{ "MemTotal:", &numbers->total_bytes },
		{ "MemAvailable:", &numbers->available_bytes },
		{ "MemFree:", &numbers->free_bytes },
	};

	if (!g_file_get_contents(path, &text, NULL, error))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (!find_kib(text, rows[i].name, rows[i].bytes)) {
			g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
				    "%s has no number for '%s'", path, rows[i].name);
			return false;
		}
	/* The shared memory in it is guests' RAM and the like: no cache that could be dropped. */
	numbers->cache_bytes = optional_kib(text, "Buffers:") +
			       less(optional_kib(text, "Cached:"), optional_kib(text, "Shmem:"));
	numbers->swap_used_bytes =
		less(optional_kib(text, "SwapTotal:"), optional_kib(text, "SwapFree:"));
	return true;
}

/* The number behind "@name=" in the line "some …" of a file of PSI; NULL. */
static const char *find_some(const char *text, const char *name)
{
	const char *some = find_line(text, "some ");
	const char *end = some ? some + strcspn(some, "\n") : NULL;
	const char *at = some ? strstr(some, name) : NULL;

	return at && at < end ? at + strlen(name) : NULL;
}

static double some_share(const char *text)
{
	const char *at = find_some(text, "avg10=");
	double share = at ? g_ascii_strtod(at, NULL) / 100 : 0;

	return share > 0 ? MIN(share, 1) : 0;
}

/* Whether a trigger would have fired, going by @total_us, stalled since boot. */
static bool would_fire(struct host *host, int64_t now_us, uint64_t total_us)
{
	uint64_t rise_us = less(total_us, host->before_total_us);
	int64_t elapsed_us = MAX(now_us - host->before_us, HOST_TRIGGER_WINDOW_US);
	double share = (double)rise_us / (double)elapsed_us;
	bool is_first = !host->before_us;
	bool fires = !is_first && share >= (double)HOST_TRIGGER_STALL_US / HOST_TRIGGER_WINDOW_US;

	if (is_first || fires || total_us < host->before_total_us ||
	    now_us - host->before_us >= HOST_TRIGGER_WINDOW_US) {
		host->before_us = now_us;
		host->before_total_us = total_us;
	}
	return fires;
}

/* 0 where the kernel has no PSI. */
static void read_pressure(struct host *host, struct policy_host *numbers)
{
	g_autofree char *text = NULL;
	const char *total;

	numbers->pressure = 0;
	if (!g_file_get_contents(host->pressure, &text, NULL, NULL))
		return;
	numbers->pressure = some_share(text);
	total = find_some(text, "total=");
	if (host->trigger_fd < 0 && total &&
	    would_fire(host, numbers->now_us, g_ascii_strtoull(total, NULL, 10)))
		host->fired = true;
}

bool host_read(struct host *host, struct policy_host *numbers, GError **error)
{
	struct policy_host read = *numbers;

	if (!read_meminfo(host->meminfo, &read, error))
		return false;
	read.now_us = g_get_monotonic_time();
	read_pressure(host, &read);
	read.critical = host->fired;
	host->fired = false;
	*numbers = read;
	return true;
}

struct host *host_new(const char *proc, void (*on_trigger)(void *data), void *data)
{
	struct host *host = g_new0(struct host, 1);

	host->meminfo = g_build_filename(proc, "meminfo", NULL);
	host->pressure = g_build_filename(proc, "pressure", "memory", NULL);
	host->on_trigger = on_trigger;
	host->data = data;
	set_trigger(host);
	return host;
}

void host_free(struct host *host)
{
	if (!host)
		return;
	if (host->trigger_id)
		g_source_remove(host->trigger_id);
	if (host->trigger_fd >= 0)
		close(host->trigger_fd);
	g_free(host->meminfo);
	g_free(host->pressure);
	g_free(host->why_not);
	g_free(host);
}

/*
 * The cgroup of one process
 */

/* "/machine.slice/…", of the one hierarchy that knows pressure; NULL. */
static char *cgroup_path(const char *proc, pid_t pid)
{
	g_autofree char *number = g_strdup_printf("%d", (int)pid);
	g_autofree char *file = g_build_filename(proc, number, "cgroup", NULL);
	g_autofree char *text = NULL;
	const char *path;

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return NULL;
	path = find_line(text, "0::");
	return path ? g_strndup(path, strcspn(path, "\n")) : NULL;
}

/* Whether the cgroup in @folder holds only some threads of its processes. */
static bool is_threaded(const char *folder)
{
	g_autofree char *file = g_build_filename(folder, "cgroup.type", NULL);
	g_autofree char *text = NULL;

	return g_file_get_contents(file, &text, NULL, NULL) &&
	       !strcmp(g_strstrip(text), "threaded");
}

/*
 * The folder of @path; NULL.  libvirt gives vCPUs and the rest threaded cgroups of
 * their own, which are halves of the truth: the process's is the one above them.
 */
static char *cgroup_folder(const char *proc, const char *path)
{
	/* Where there are cgroups of both versions, those of version 2 are at "unified". */
	static const char *const roots[] = { CGROUP_ROOT, CGROUP_ROOT "/unified" };

	for (size_t i = 0; i < G_N_ELEMENTS(roots); i++) {
		g_autofree char *folder = g_build_filename(proc, roots[i], path, NULL);

		if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
			continue;
		while (is_threaded(folder)) {
			char *above = g_path_get_dirname(folder);

			g_free(folder);
			folder = above;
		}
		return g_steal_pointer(&folder);
	}
	return NULL;
}

double host_cgroup_stall(const char *proc, pid_t pid)
{
	g_autofree char *path = cgroup_path(proc, pid);
	g_autofree char *folder = NULL;
	g_autofree char *file = NULL;
	g_autofree char *text = NULL;

	/* The root is no cgroup of the guest's: what stalls it is the host's own pressure. */
	if (!path || !path[0] || !strcmp(path, "/") || strstr(path, "/.."))
		return 0;
	folder = cgroup_folder(proc, path);
	if (!folder)
		return 0;
	file = g_build_filename(folder, "memory.pressure", NULL);
	return g_file_get_contents(file, &text, NULL, NULL) ? some_share(text) : 0;
}
