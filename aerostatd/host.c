/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * A PSI trigger is an open file to which a threshold was written; the kernel makes it ready
 * (POLLPRI) when stalls reach the threshold.  Without CAP_SYS_RESOURCE the kernel accepts only
 * windows that are multiples of 2 s, so the same share of twice the window is tried next.
 * Nothing is written unless the file belongs to a file system of the kernel.
 *
 * Without a trigger host_read() compares "some total", the µs stalled since boot, with its value
 * of up to one window before.
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
#define CGROUP_ROOT "../sys/fs/cgroup" /* relative to @proc */

struct host {
	char *meminfo, *pressure; /* paths */
	void (*on_trigger)(void *data);
	void *data;
	int trigger_fd;	  /* -1: none */
	guint trigger_id; /* its GSource; 0: none */
	char *why_not;	  /* why there is no trigger */
	bool fired;	  /* the trigger, since the last host_read() */
	/* Without a trigger: "some total" at before_us, which is 0 before the first reading. */
	uint64_t before_total_us;
	int64_t before_us;
};

/*
 * The trigger
 */
static void drop_trigger(struct host *host, const char *why)
{
	if (host->trigger_fd >= 0)
		close(host->trigger_fd);
	host->trigger_fd = -1;
	host->trigger_id = 0;
	g_free(host->why_not);
	host->why_not = g_strdup_printf("%s: %s", host->pressure, why);
}

static gboolean on_host_pressure(int fd, GIOCondition condition, gpointer data)
{
	struct host *host = data;

	(void)fd;
	if (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) {
		drop_trigger(host, "the kernel removed the trigger");
		return G_SOURCE_REMOVE;
	}
	host->fired = true;
	if (host->on_trigger)
		host->on_trigger(host->data);
	return G_SOURCE_CONTINUE;
}

static bool is_kernel_file(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
}

/* Sets the trigger's share for a window of @windows times the usual one.  0 or an errno. */
static int write_psi_trigger(int fd, int windows)
{
	g_autofree char *text = g_strdup_printf("some %d %d", windows * HOST_TRIGGER_STALL_US,
						windows * HOST_TRIGGER_WINDOW_US);

	/* With the NUL, as the kernel's documentation has it. */
	return write(fd, text, strlen(text) + 1) < 0 ? errno : 0;
}

static void open_psi_trigger(struct host *host)
{
	int error_number = EINVAL;

	host->trigger_fd = open(host->pressure, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (host->trigger_fd < 0) {
		drop_trigger(host, g_strerror(errno));
		return;
	}
	if (!is_kernel_file(host->trigger_fd)) {
		drop_trigger(host, "not a file of the kernel");
		return;
	}
	for (int windows = 1; error_number && windows <= WINDOWS_MAX; windows++)
		error_number = write_psi_trigger(host->trigger_fd, windows);
	if (error_number) {
		drop_trigger(host, g_strerror(error_number));
		return;
	}
	host->trigger_id = g_unix_fd_add(host->trigger_fd, G_IO_PRI | G_IO_ERR | G_IO_HUP,
					 on_host_pressure, host);
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

/* What follows @name at the start of a line of @text; NULL when no line starts with it. */
static const char *find_line_value(const char *text, const char *name)
{
	for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL)
		if (g_str_has_prefix(text, name))
			return text + strlen(name);
	return NULL;
}

/* The number of a line such as "MemTotal:  123 kB" in bytes.  False when there is none. */
static bool parse_kib(const char *text, const char *name, uint64_t *bytes)
{
	const char *at = find_line_value(text, name);
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

/* The same, and 0 when there is none. */
static uint64_t parse_optional_kib(const char *text, const char *name)
{
	uint64_t bytes = 0;

	parse_kib(text, name, &bytes);
	return bytes;
}

static uint64_t subtract_or_zero(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static bool read_host_meminfo(const char *path, struct policy_host *numbers, GError **error)
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
		if (!parse_kib(text, rows[i].name, rows[i].bytes)) {
			g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
				    "%s has no number in its line '%s'", path, rows[i].name);
			return false;
		}
	/* Cached includes shared memory, such as guests' RAM, which cannot be dropped. */
	numbers->cache_bytes = parse_optional_kib(text, "Buffers:") +
			       subtract_or_zero(parse_optional_kib(text, "Cached:"),
						parse_optional_kib(text, "Shmem:"));
	numbers->swap_used_bytes = subtract_or_zero(parse_optional_kib(text, "SwapTotal:"),
						    parse_optional_kib(text, "SwapFree:"));
	return true;
}

/* What follows @name in the line "some …" of a PSI file; NULL when there is none. */
static const char *find_psi_some(const char *text, const char *name)
{
	const char *some = find_line_value(text, "some ");
	const char *end = some ? some + strcspn(some, "\n") : NULL;
	const char *at = some ? strstr(some, name) : NULL;

	return at && at < end ? at + strlen(name) : NULL;
}

static double parse_psi_share(const char *text)
{
	const char *at = find_psi_some(text, "avg10=");
	double share = at ? g_ascii_strtod(at, NULL) / 100 : 0;

	return share > 0 ? MIN(share, 1) : 0;
}

/* Whether a trigger would have fired, given @total_us stalled since boot. */
static bool would_trigger_fire(struct host *host, int64_t now_us, uint64_t total_us)
{
	uint64_t rise_us = subtract_or_zero(total_us, host->before_total_us);
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

/* The pressure is 0 where the kernel has no PSI. */
static void read_host_pressure(struct host *host, struct policy_host *numbers)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;
	const char *total;

	if (!g_file_get_contents(host->pressure, &text, NULL, &error)) {
		/* Could not look: the last number stays. */
		if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_MFILE) &&
		    !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NFILE) &&
		    !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM))
			numbers->pressure = 0;
		return;
	}
	numbers->pressure = parse_psi_share(text);
	total = find_psi_some(text, "total=");
	if (host->trigger_fd < 0 && total &&
	    would_trigger_fire(host, numbers->now_us, g_ascii_strtoull(total, NULL, 10)))
		host->fired = true;
}

bool host_read(struct host *host, struct policy_host *numbers, GError **error)
{
	struct policy_host read = *numbers;

	if (!read_host_meminfo(host->meminfo, &read, error))
		return false;
	read.now_us = g_get_monotonic_time();
	read_host_pressure(host, &read);
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
	open_psi_trigger(host);
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

/* The path of the process in the cgroup v2 hierarchy: "/machine.slice/…"; NULL: none. */
static char *read_cgroup_path(const char *proc, pid_t pid)
{
	g_autofree char *number = g_strdup_printf("%d", (int)pid);
	g_autofree char *file = g_build_filename(proc, number, "cgroup", NULL);
	g_autofree char *text = NULL;
	const char *path;

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return NULL;
	path = find_line_value(text, "0::");
	return path ? g_strndup(path, strcspn(path, "\n")) : NULL;
}

/* Whether the cgroup in @folder may hold some threads of a process only. */
static bool is_threaded_cgroup(const char *folder)
{
	g_autofree char *file = g_build_filename(folder, "cgroup.type", NULL);
	g_autofree char *text = NULL;

	return g_file_get_contents(file, &text, NULL, NULL) &&
	       !strcmp(g_strstrip(text), "threaded");
}

/*
 * The folder of the cgroup @path; NULL when there is none.  libvirt puts the threads of a QEMU
 * into threaded cgroups, each of which has a part of its stalls; the whole process is the first
 * one above that is not threaded.
 */
static char *find_cgroup_folder(const char *proc, const char *path)
{
	/* In systemd's hybrid mode version 2 is mounted at "unified". */
	static const char *const roots[] = { CGROUP_ROOT, CGROUP_ROOT "/unified" };

	for (size_t i = 0; i < G_N_ELEMENTS(roots); i++) {
		g_autofree char *folder = g_build_filename(proc, roots[i], path, NULL);

		if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
			continue;
		while (is_threaded_cgroup(folder)) {
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
	g_autofree char *path = read_cgroup_path(proc, pid);
	g_autofree char *folder = NULL;
	g_autofree char *file = NULL;
	g_autofree char *text = NULL;

	/* In the root cgroup the stalls are those of the whole host, not of the guest. */
	if (!path || !path[0] || !strcmp(path, "/") || strstr(path, "/.."))
		return 0;
	folder = find_cgroup_folder(proc, path);
	if (!folder)
		return 0;
	file = g_build_filename(folder, "memory.pressure", NULL);
	return g_file_get_contents(file, &text, NULL, NULL) ? parse_psi_share(text) : 0;
}
