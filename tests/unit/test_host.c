/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's numbers from a folder of files, and its PSI trigger: the kernel's end of
 * it is a socket here, whose urgent data makes it ready in the same way (POLLPRI).
 */
#include "aerostatd/host.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MEMINFO                                                                                    \
	"MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    500 kB\n"              \
	"Buffers:          10 kB\nCached:          300 kB\nSwapCached:        7 kB\n"              \
	"SwapTotal:        90 kB\nSwapFree:         30 kB\nShmem:            40 kB\n"

struct rig {
	char *root, *proc;
	/* The kernel's end of the trigger. */
	int kernel_fd;	  /* -1: the file is what is in the folder */
	int taken_fd;	  /* what the code under test was given */
	int refused;	  /* how many writes are refused */
	char written[64]; /* the last */
	int64_t now_us;	  /* what the clock says; 0: the real one */
	unsigned int calls;
};
static struct rig *rig;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
gint64 __real_g_get_monotonic_time(void);
gint64 __wrap_g_get_monotonic_time(void);

int __wrap_open64(const char *path, int flags, ...)
{
	int ends[2];

	if (rig->kernel_fd != -2 || !g_str_has_suffix(path, "/pressure/memory"))
		return __real_open64(path, flags);
	assert_int_equal(flags, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	rig->kernel_fd = ends[0];
	rig->taken_fd = ends[1];
	return ends[1];
}

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	if (fd != rig->taken_fd)
		return __real_fstatfs64(fd, fs);
	fs->f_type = PROC_SUPER_MAGIC;
	return 0;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
	if (fd != rig->taken_fd)
		return __real_write(fd, bytes, count);
	assert_in_range(count, 1, sizeof(rig->written));
	assert_int_equal(((const char *)bytes)[count - 1], '\0');
	memcpy(rig->written, bytes, count);
	if (!rig->refused)
		return (ssize_t)count;
	rig->refused--;
	errno = EINVAL;
	return -1;
}

gint64 __wrap_g_get_monotonic_time(void)
{
	return rig->now_us ? rig->now_us : __real_g_get_monotonic_time();
}

static void put(const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(rig->root, name, NULL);
	g_autofree char *folder = g_path_get_dirname(path);

	assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
	assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void put_pressure(const char *avg10, uint64_t total_us)
{
	g_autofree char *text =
		g_strdup_printf("some avg10=%s avg60=9.00 avg300=9.00 total=%" G_GUINT64_FORMAT "\n"
				"full avg10=8.00 avg60=8.00 avg300=8.00 total=800000000\n",
				avg10, total_us);

	put("proc/pressure/memory", text);
}

static int setup(void **state)
{
	(void)state;
	rig = g_new0(struct rig, 1);
	rig->root = g_dir_make_tmp("test_host.XXXXXX", NULL);
	rig->proc = g_build_filename(rig->root, "proc", NULL);
	rig->kernel_fd = rig->taken_fd = -1;
	put("proc/meminfo", MEMINFO);
	put_pressure("12.50", 1000);
	return 0;
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
	const char *name;

	while (folder && (name = g_dir_read_name(folder))) {
		g_autofree char *below = g_build_filename(path, name, NULL);

		remove_tree(below);
	}
	g_remove(path);
}

static int teardown(void **state)
{
	(void)state;
	if (rig->kernel_fd >= 0)
		close(rig->kernel_fd);
	remove_tree(rig->root);
	g_free(rig->root);
	g_free(rig->proc);
	g_free(rig);
	return 0;
}

static void count_call(void *data)
{
	assert_ptr_equal(data, rig);
	rig->calls++;
}

/* A host whose trigger's other end is rig->kernel_fd. */
static struct host *host_with_trigger(void)
{
	rig->kernel_fd = -2;
	return host_new(rig->proc, count_call, rig);
}

static bool reads_critical(struct host *host)
{
	struct policy_host numbers = { 0 };
	g_autoptr(GError) error = NULL;

	if (!host_read(host, &numbers, &error))
		fail_msg("%s", error->message);
	return numbers.critical;
}

static double reads_pressure(struct host *host)
{
	struct policy_host numbers = { .pressure = 7 };

	assert_true(host_read(host, &numbers, NULL));
	return numbers.pressure;
}

/*
 * Numbers
 */
static void the_hosts_numbers_are_read(void **state)
{
	struct host *host = host_new(rig->proc, NULL, NULL);
	struct policy_host numbers = { .reserved_bytes = 77 };

	(void)state;
	rig->now_us = 123456;
	assert_true(host_read(host, &numbers, NULL));
	assert_true(numbers.now_us == 123456);
	assert_true(numbers.total_bytes == 1000 * KIB);
	assert_true(numbers.free_bytes == 200 * KIB);
	assert_true(numbers.available_bytes == 500 * KIB);
	assert_true(numbers.swap_used_bytes == 60 * KIB);
	assert_true(numbers.pressure == 0.125);
	assert_true(numbers.reserved_bytes == 77);
	assert_false(numbers.critical);
	host_free(host);
}

static void shared_memory_is_no_cache(void **state)
{
	struct host *host = host_new(rig->proc, NULL, NULL);
	struct policy_host numbers = { 0 };

	(void)state;
	assert_true(host_read(host, &numbers, NULL));
	assert_true(numbers.cache_bytes == (10 + 300 - 40) * KIB);
	put("proc/meminfo", "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 2 kB\nCached: 3 kB\n"
			    "Shmem: 4 kB\nSwapFree: 1 kB\n");
	assert_true(host_read(host, &numbers, NULL));
	assert_true(numbers.cache_bytes == 0);
	assert_true(numbers.swap_used_bytes == 0);
	host_free(host);
}

static void a_meminfo_that_makes_no_sense_changes_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"MemTotal: 9 kB\nMemFree: 1 kB\n",
		"MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: much\n",
		"MemTotal: 9 kB\nMemFree: -1 kB\nMemAvailable: 1 kB\n",
		"MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 18014398509481984 kB\n",
		"MemTotal: 9 kB\nMemFree: 1 kB\nxMemAvailable: 1 kB\n",
	};
	struct host *host = host_new(rig->proc, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		const struct policy_host before = { .total_bytes = 5, .pressure = 3 };
		struct policy_host numbers = before;
		g_autoptr(GError) error = NULL;

		put("proc/meminfo", texts[i]);
		assert_false(host_read(host, &numbers, &error));
		assert_non_null(strstr(error->message, rig->proc));
		assert_memory_equal(&numbers, &before, sizeof(before));
	}
	host_free(host);
}

static void pressure_is_a_share_whatever_the_file_says(void **state)
{
	struct host *host = host_new(rig->proc, NULL, NULL);

	(void)state;
	put_pressure("250.00", 1000);
	assert_true(reads_pressure(host) == 1);
	put_pressure("-3.00", 1000);
	assert_true(reads_pressure(host) == 0);
	put_pressure("nan", 1000);
	assert_true(reads_pressure(host) == 0);
	put("proc/pressure/memory", "full avg10=50.00 total=1\n");
	assert_true(reads_pressure(host) == 0);
	put("proc/pressure/memory", "some\nfull avg10=50.00 total=1\n");
	assert_true(reads_pressure(host) == 0);
	put("proc/pressure/memory", "some total=1\nfull avg10=50.00 total=1\n");
	assert_true(reads_pressure(host) == 0);
	host_free(host);
}

static void without_psi_there_is_no_pressure(void **state)
{
	g_autofree char *file = g_build_filename(rig->proc, "pressure", "memory", NULL);
	const char *why_not;
	struct host *host;

	(void)state;
	g_unlink(file);
	host = host_new(rig->proc, NULL, NULL);
	assert_true(reads_pressure(host) == 0);
	assert_false(reads_critical(host));
	assert_false(host_has_trigger(host, &why_not));
	assert_non_null(strstr(why_not, "No such file"));
	host_free(host);
}

/*
 * The trigger
 */
static void nothing_is_written_to_a_file_that_is_not_the_kernels(void **state)
{
	g_autofree char *file = g_build_filename(rig->proc, "pressure", "memory", NULL);
	g_autofree char *before = NULL;
	g_autofree char *after = NULL;
	const char *why_not;
	struct host *host;

	(void)state;
	g_file_get_contents(file, &before, NULL, NULL);
	host = host_new(rig->proc, NULL, NULL);
	assert_false(host_has_trigger(host, &why_not));
	assert_non_null(strstr(why_not, "not a file of the kernel"));
	g_file_get_contents(file, &after, NULL, NULL);
	assert_string_equal(before, after);
	host_free(host);
}

static void a_trigger_that_fires_is_told_at_once_and_makes_the_next_read_critical(void **state)
{
	struct host *host = host_with_trigger();
	const char *why_not = "";

	(void)state;
	assert_true(host_has_trigger(host, &why_not));
	assert_null(why_not);
	assert_string_equal(rig->written, "some 100000 1000000");
	assert_false(g_main_context_iteration(NULL, FALSE));
	assert_false(reads_critical(host));
	assert_int_equal(send(rig->kernel_fd, "!", 1, MSG_OOB), 1);
	assert_true(g_main_context_iteration(NULL, TRUE));
	assert_int_equal(rig->calls, 1);
	assert_true(reads_critical(host));
	assert_false(reads_critical(host));
	host_free(host);
}

static void a_failed_read_keeps_what_the_trigger_said(void **state)
{
	struct host *host = host_with_trigger();
	struct policy_host numbers;

	(void)state;
	assert_int_equal(send(rig->kernel_fd, "!", 1, MSG_OOB), 1);
	assert_true(g_main_context_iteration(NULL, TRUE));
	put("proc/meminfo", "");
	assert_false(host_read(host, &numbers, NULL));
	put("proc/meminfo", MEMINFO);
	assert_true(reads_critical(host));
	host_free(host);
}

static void nobody_need_listen_to_the_trigger(void **state)
{
	struct host *host;

	(void)state;
	rig->kernel_fd = -2;
	host = host_new(rig->proc, NULL, NULL);
	assert_int_equal(send(rig->kernel_fd, "!", 1, MSG_OOB), 1);
	assert_true(g_main_context_iteration(NULL, TRUE));
	assert_true(reads_critical(host));
	host_free(host);
}

static void without_privilege_the_same_share_of_two_seconds_is_tried(void **state)
{
	struct host *host;

	(void)state;
	rig->refused = 1;
	host = host_with_trigger();
	assert_true(host_has_trigger(host, NULL));
	assert_string_equal(rig->written, "some 200000 2000000");
	host_free(host);
}

static void a_trigger_that_is_refused_is_explained(void **state)
{
	const char *why_not;
	struct host *host;

	(void)state;
	rig->refused = 2;
	host = host_with_trigger();
	assert_false(host_has_trigger(host, &why_not));
	assert_non_null(strstr(why_not, "/pressure/memory: Invalid argument"));
	assert_int_equal(recv(rig->kernel_fd, rig->written, 1, 0), 0);
	host_free(host);
}

static void a_trigger_that_goes_away_leaves_polling(void **state)
{
	struct host *host = host_with_trigger();
	const char *why_not;

	(void)state;
	close(rig->kernel_fd);
	rig->kernel_fd = -1;
	assert_true(g_main_context_iteration(NULL, TRUE));
	assert_int_equal(rig->calls, 0);
	assert_false(host_has_trigger(host, &why_not));
	assert_non_null(strstr(why_not, "the kernel removed the trigger"));
	assert_false(reads_critical(host));
	put_pressure("0.00", 60000000);
	assert_true(reads_critical(host));
	host_free(host);
}

static void the_end_of_the_host_is_the_end_of_the_trigger(void **state)
{
	struct host *host = host_with_trigger();
	char byte;

	(void)state;
	assert_int_equal(send(rig->kernel_fd, "!", 1, MSG_OOB), 1);
	host_free(host);
	assert_false(g_main_context_iteration(NULL, FALSE));
	assert_int_equal(rig->calls, 0);
	assert_true(recv(rig->kernel_fd, &byte, 1, 0) <= 0);
}

static void the_trigger_alone_decides_where_there_is_one(void **state)
{
	struct host *host = host_with_trigger();

	(void)state;
	assert_false(reads_critical(host));
	put_pressure("0.00", 60000000);
	assert_false(reads_critical(host));
	host_free(host);
}

/*
 * Polling
 */
struct poll_step {
	int64_t after_us;
	uint64_t total_us;
	bool critical;
};

static void poll_steps(const struct poll_step *steps, size_t count)
{
	struct host *host = host_new(rig->proc, NULL, NULL);

	rig->now_us = 5000000;
	for (size_t i = 0; i < count; i++) {
		rig->now_us += steps[i].after_us;
		put_pressure("0.00", steps[i].total_us);
		if (reads_critical(host) != steps[i].critical)
			fail_msg("step %zu is not as expected", i);
	}
	host_free(host);
}
#define POLL(...)                                                                                  \
	poll_steps((const struct poll_step[]){ __VA_ARGS__ },                                      \
		   G_N_ELEMENTS(((const struct poll_step[]){ __VA_ARGS__ })))

static void polling_is_critical_when_a_trigger_would_have_fired(void **state)
{
	(void)state;
	POLL({ 0, 900000000, false }, { 1000000, 900099999, false }, { 1000000, 900199999, true },
	     { 1000000, 900199999, false });
}

static void polling_sums_up_within_a_window(void **state)
{
	(void)state;
	POLL({ 0, 50, false }, { 200000, 40050, false }, { 200000, 80050, false },
	     { 200000, 100049, false }, { 200000, 100050, true }, { 200000, 199999, false },
	     { 200000, 200050, true });
}

static void polling_forgets_what_is_older_than_a_window(void **state)
{
	(void)state;
	POLL({ 0, 0, false }, { 1000000, 90000, false }, { 500000, 130000, false },
	     { 500000, 180000, false });
}

static void polling_seldom_wants_the_same_share(void **state)
{
	(void)state;
	POLL({ 0, 0, false }, { 10000000, 999999, false }, { 10000000, 1999999, true });
}

static void polling_begins_anew_when_the_counter_does(void **state)
{
	(void)state;
	POLL({ 0, 5000000, false }, { 100000, 10, false }, { 100000, 100009, false },
	     { 100000, 100010, true });
}

/*
 * Cgroups
 */
static void a_cgroups_stall_is_its_share_of_time(void **state)
{
	(void)state;
	put("proc/42/cgroup", "4:memory:/old\n0::/machine.slice/vm.scope\n");
	put("sys/fs/cgroup/machine.slice/vm.scope/memory.pressure",
	    "some avg10=25.00 avg60=1.00 avg300=1.00 total=5\nfull avg10=9.00 total=1\n");
	assert_true(host_cgroup_stall(rig->proc, 42) == 0.25);
}

static void beside_cgroups_of_version_1_those_of_version_2_are_unified(void **state)
{
	(void)state;
	put("proc/42/cgroup", "0::/vm\n");
	put("sys/fs/cgroup/unified/vm/memory.pressure", "some avg10=50.00 total=5\n");
	assert_true(host_cgroup_stall(rig->proc, 42) == 0.5);
}

static void of_threaded_cgroups_the_process_is_asked_for(void **state)
{
	(void)state;
	put("proc/42/cgroup", "0::/vm.scope/libvirt/emulator\n");
	put("sys/fs/cgroup/vm.scope/libvirt/emulator/cgroup.type", "threaded\n");
	put("sys/fs/cgroup/vm.scope/libvirt/emulator/memory.pressure", "some avg10=1.00 total=5\n");
	put("sys/fs/cgroup/vm.scope/libvirt/cgroup.type", "domain threaded\n");
	put("sys/fs/cgroup/vm.scope/libvirt/memory.pressure", "some avg10=75.00 total=5\n");
	assert_true(host_cgroup_stall(rig->proc, 42) == 0.75);
}

static void an_unknown_cgroup_is_not_stalled(void **state)
{
	static const char *const groups[] = { "0::/\n",		"0::\n", "0::/../vm\n",
					      "4:memory:/vm\n", "",	 "0::/gone\n" };

	(void)state;
	put("sys/fs/cgroup/memory.pressure", "some avg10=50.00 total=5\n");
	put("sys/fs/cgroup/vm/memory.pressure", "some avg10=50.00 total=5\n");
	put("sys/fs/vm/memory.pressure", "some avg10=50.00 total=5\n");
	assert_true(host_cgroup_stall(rig->proc, 42) == 0);
	for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
		put("proc/42/cgroup", groups[i]);
		assert_true(host_cgroup_stall(rig->proc, 42) == 0);
	}
	put("proc/42/cgroup", "0::/vm\n");
	put("sys/fs/cgroup/vm/memory.pressure", "");
	assert_true(host_cgroup_stall(rig->proc, 42) == 0);
}

static void the_real_host_is_read(void **state)
{
	struct host *host = host_new("/proc", NULL, NULL);
	struct policy_host numbers = { 0 };
	const char *why_not;

	(void)state;
	assert_true(host_has_trigger(host, &why_not) == !why_not);
	print_message("trigger: %s\n", why_not ? why_not : "set");
	assert_true(host_read(host, &numbers, NULL));
	assert_in_range(numbers.available_bytes, 1, numbers.total_bytes);
	assert_in_range(numbers.free_bytes, 1, numbers.total_bytes);
	assert_true(host_cgroup_stall("/proc", getpid()) <= 1);
	host_free(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_hosts_numbers_are_read),
		TEST(shared_memory_is_no_cache),
		TEST(a_meminfo_that_makes_no_sense_changes_nothing),
		TEST(pressure_is_a_share_whatever_the_file_says),
		TEST(without_psi_there_is_no_pressure),
		TEST(nothing_is_written_to_a_file_that_is_not_the_kernels),
		TEST(a_trigger_that_fires_is_told_at_once_and_makes_the_next_read_critical),
		TEST(a_failed_read_keeps_what_the_trigger_said),
		TEST(nobody_need_listen_to_the_trigger),
		TEST(without_privilege_the_same_share_of_two_seconds_is_tried),
		TEST(a_trigger_that_is_refused_is_explained),
		TEST(a_trigger_that_goes_away_leaves_polling),
		TEST(the_end_of_the_host_is_the_end_of_the_trigger),
		TEST(the_trigger_alone_decides_where_there_is_one),
		TEST(polling_is_critical_when_a_trigger_would_have_fired),
		TEST(polling_sums_up_within_a_window),
		TEST(polling_forgets_what_is_older_than_a_window),
		TEST(polling_seldom_wants_the_same_share),
		TEST(polling_begins_anew_when_the_counter_does),
		TEST(a_cgroups_stall_is_its_share_of_time),
		TEST(beside_cgroups_of_version_1_those_of_version_2_are_unified),
		TEST(of_threaded_cgroups_the_process_is_asked_for),
		TEST(an_unknown_cgroup_is_not_stalled),
		TEST(the_real_host_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
