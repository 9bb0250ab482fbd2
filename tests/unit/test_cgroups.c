/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory limits above processes, in trees of files that stand for the kernel's. */
#include "aerostatd/cgroups.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aerostatd/managed.h"
#include "aerostatd/report_limits.h"

#define MIB (UINT64_C(1) << 20)
#define HOST (16384 * MIB)
#define PID 700

static char *folder; /* with proc/ and sys/fs/cgroup/ */
static struct cgroups *cgroups;
static int64_t now_us;

static void put(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void put(const char *name, const char *format, ...)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autofree char *above = g_path_get_dirname(path);
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	assert_int_equal(g_mkdir_with_parents(above, 0700), 0);
	assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void put_mib(const char *name, uint64_t mib)
{
	put(name, "%" G_GUINT64_FORMAT "\n", mib * MIB);
}

/* A name that is a folder can be opened, and not read. */
static void make_unreadable(const char *name)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	g_remove(path);
	assert_int_equal(g_mkdir(path, 0700), 0);
}

static int begin(void **state)
{
	g_autofree char *proc = NULL;

	(void)state;
	folder = g_dir_make_tmp("aerostat-cgroups-XXXXXX", NULL);
	assert_non_null(folder);
	proc = g_build_filename(folder, "proc", NULL);
	g_mkdir(proc, 0700);
	cgroups = cgroups_new(proc);
	now_us = 1000 * G_USEC_PER_SEC;
	return 0;
}

static int end(void **state)
{
	char *argv[] = { (char *)"rm", (char *)"-rf", folder, NULL };

	(void)state;
	cgroups_free(cgroups);
	g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
	g_free(folder);
	return 0;
}

/* Long enough after the last time that all are looked for again. */
static uint64_t find(pid_t pid)
{
	uint64_t number;

	now_us += CGROUPS_REFRESH_US;
	cgroups_find(cgroups, now_us, HOST, &pid, 1, &number);
	return number;
}

static const struct policy_group *group(uint64_t number)
{
	size_t count;
	const struct policy_group *list = cgroups_list(cgroups, &count);

	assert_in_range(number, 1, count);
	return &list[number - 1];
}

static size_t count_groups(void)
{
	size_t count;

	cgroups_list(cgroups, &count);
	return count;
}

static void the_limit_of_version_2_is_found_with_what_is_left(void **state)
{
	uint64_t number;

	(void)state;
	put("proc/700/cgroup", "0::/guests/one\n");
	put_mib("sys/fs/cgroup/guests/one/memory.max", 420);
	put("sys/fs/cgroup/guests/one/memory.high", "max\n");
	put_mib("sys/fs/cgroup/guests/one/memory.current", 300);
	put("sys/fs/cgroup/guests/one/memory.stat",
	    "anon 1\ninactive_file %d\nactive_file %d\nshmem 9\n", 20 << 20, 10 << 20);
	number = find(PID);
	assert_int_equal(number, 1);
	assert_int_equal(group(number)->limit_bytes, 420 * MIB);
	assert_int_equal(group(number)->available_bytes, 150 * MIB);
	assert_int_equal(group(number)->parent, 0);
	assert_string_equal(cgroups_path(cgroups, number), "/guests/one");
	assert_null(cgroups_problem(cgroups));
}

static void the_lower_of_max_and_high_counts(void **state)
{
	(void)state;
	put("proc/700/cgroup", "0::/a\n");
	put_mib("sys/fs/cgroup/a/memory.max", 900);
	put_mib("sys/fs/cgroup/a/memory.high", 700);
	assert_int_equal(group(find(PID))->limit_bytes, 700 * MIB);
	put_mib("sys/fs/cgroup/a/memory.max", 600);
	assert_int_equal(group(find(PID))->limit_bytes, 600 * MIB);
}

static void every_limit_up_to_the_mount_is_a_group(void **state)
{
	uint64_t number;

	(void)state;
	put("proc/700/cgroup", "0::/machine.slice/one.scope/emulator\n");
	put("sys/fs/cgroup/machine.slice/one.scope/emulator/cgroup.type", "threaded\n");
	put_mib("sys/fs/cgroup/machine.slice/one.scope/memory.max", 500);
	put_mib("sys/fs/cgroup/machine.slice/memory.max", 2000);
	put_mib("sys/fs/cgroup/memory.max", 3000); /* of the daemon's container */
	number = find(PID);
	assert_int_equal(count_groups(), 3);
	assert_int_equal(group(number)->limit_bytes, 500 * MIB);
	number = group(number)->parent;
	assert_int_equal(group(number)->limit_bytes, 2000 * MIB);
	number = group(number)->parent;
	assert_int_equal(group(number)->limit_bytes, 3000 * MIB);
	assert_string_equal(cgroups_path(cgroups, number), "/");
	assert_int_equal(group(number)->parent, 0);
}

static void guests_below_one_limit_are_one_group(void **state)
{
	const pid_t pids[] = { 700, 0, 701, 702 };
	uint64_t numbers[4];

	(void)state;
	put("proc/700/cgroup", "0::/s/a\n");
	put("proc/701/cgroup", "0::/s/b\n");
	put("proc/702/cgroup", "0::/t\n");
	put_mib("sys/fs/cgroup/s/memory.max", 2000);
	put_mib("sys/fs/cgroup/s/b/memory.max", 400);
	put("sys/fs/cgroup/s/a/memory.max", "max\n");
	put("sys/fs/cgroup/t/memory.max", "max\n");
	cgroups_find(cgroups, now_us, HOST, pids, 4, numbers);
	assert_int_equal(count_groups(), 2);
	assert_int_equal(group(numbers[0])->limit_bytes, 2000 * MIB);
	assert_int_equal(numbers[1], 0);
	assert_int_equal(group(numbers[2])->limit_bytes, 400 * MIB);
	assert_int_equal(group(numbers[2])->parent, numbers[0]);
	assert_int_equal(numbers[3], 0);
}

static void the_limit_of_version_1_is_found(void **state)
{
	uint64_t number;

	(void)state;
	put("proc/700/cgroup",
	    "9:cpu,cpuacct:/x\n4:blkio,memory:/machine/one\n1:name=systemd:/y\n0::/z\n");
	put_mib("sys/fs/cgroup/memory/machine/one/memory.limit_in_bytes", 800);
	put_mib("sys/fs/cgroup/memory/machine/one/memory.usage_in_bytes", 700);
	put("sys/fs/cgroup/memory/machine/one/memory.stat",
	    "inactive_file 5\ntotal_inactive_file %d\n", 50 << 20);
	put("sys/fs/cgroup/memory/machine/memory.limit_in_bytes", "9223372036854771712\n");
	put("sys/fs/cgroup/unified/z/cgroup.controllers", "\n");
	number = find(PID);
	assert_int_equal(group(number)->limit_bytes, 800 * MIB);
	assert_int_equal(group(number)->available_bytes, 150 * MIB);
	assert_int_equal(count_groups(), 1);
	assert_null(cgroups_problem(cgroups));
}

static void a_cgroup_that_does_not_charge_for_its_children_limits_only_itself(void **state)
{
	(void)state;
	put("proc/700/cgroup", "4:memory:/machine/one\n0::/\n");
	put_mib("sys/fs/cgroup/memory/machine/one/memory.limit_in_bytes", 800);
	put_mib("sys/fs/cgroup/memory/machine/memory.limit_in_bytes", 500);
	put("sys/fs/cgroup/memory/machine/memory.use_hierarchy", "0\n");
	assert_int_equal(group(find(PID))->limit_bytes, 800 * MIB);
	assert_int_equal(count_groups(), 1);
	put("sys/fs/cgroup/memory/machine/memory.use_hierarchy", "1\n");
	find(PID);
	assert_int_equal(count_groups(), 2);
}

static void a_cgroup_that_is_not_mounted_is_reported(void **state)
{
	(void)state;
	put("proc/700/cgroup", "4:memory:/machine/one\n0::/\n");
	assert_int_equal(find(PID), 0);
	assert_non_null(strstr(cgroups_problem(cgroups), "/machine/one: is not below"));
	put("proc/700/cgroup", "4:memory:/machine/one (deleted)\n0::/\n");
	find(PID);
	assert_null(cgroups_problem(cgroups));
}

static void no_limit_and_one_beyond_the_host_are_none(void **state)
{
	(void)state;
	put("proc/700/cgroup", "0::/a/b\n");
	put("sys/fs/cgroup/a/b/memory.max", "max\n");
	put_mib("sys/fs/cgroup/a/memory.max", 20000);
	assert_int_equal(find(PID), 0);
	assert_int_equal(find(4242), 0); /* no such process */
	assert_null(cgroups_problem(cgroups));
}

static void a_limit_that_cannot_be_read_stays_what_it_was(void **state)
{
	(void)state;
	put("proc/700/cgroup", "0::/a\n");
	put_mib("sys/fs/cgroup/a/memory.max", 500);
	assert_int_equal(group(find(PID))->limit_bytes, 500 * MIB);
	make_unreadable("sys/fs/cgroup/a/memory.max");
	assert_int_equal(group(find(PID))->limit_bytes, 500 * MIB);
	assert_non_null(strstr(cgroups_problem(cgroups), "a/memory.max: cannot be read"));
	make_unreadable("proc/700/cgroup");
	assert_int_equal(group(find(PID))->limit_bytes, 500 * MIB);
}

static void a_use_that_cannot_be_read_is_not_known(void **state)
{
	(void)state;
	put("proc/700/cgroup", "0::/a\n");
	put_mib("sys/fs/cgroup/a/memory.max", 500);
	assert_int_equal(group(find(PID))->available_bytes, POLICY_UNSET);
	put_mib("sys/fs/cgroup/a/memory.current", 600);
	assert_int_equal(group(find(PID))->available_bytes, 0);
}

static void what_is_beyond_the_namespace_is_reported(void **state)
{
	(void)state;
	put("proc/700/cgroup", "0::/../other\n");
	assert_int_equal(find(PID), 0);
	assert_non_null(strstr(cgroups_problem(cgroups), "outside of the daemon's"));
	put("proc/700/cgroup", "0::/\n");
	find(PID);
	assert_null(cgroups_problem(cgroups));
}

static void limits_and_memberships_are_followed(void **state)
{
	uint64_t number;
	const pid_t pid = PID;

	(void)state;
	put("proc/700/cgroup", "0::/a\n");
	put_mib("sys/fs/cgroup/a/memory.max", 500);
	put_mib("sys/fs/cgroup/b/memory.max", 900);
	assert_int_equal(group(find(PID))->limit_bytes, 500 * MIB);
	/* A known limit is read each time. */
	put_mib("sys/fs/cgroup/a/memory.max", 450);
	cgroups_find(cgroups, now_us + 1, HOST, &pid, 1, &number);
	assert_int_equal(group(number)->limit_bytes, 450 * MIB);
	put("proc/700/cgroup", "0::/b\n");
	assert_int_equal(group(find(PID))->limit_bytes, 900 * MIB);
	put("sys/fs/cgroup/b/memory.max", "max\n");
	assert_int_equal(find(PID), 0);
}

/* Three guests of 1 GiB: two below a limit that binds, one below one that does not. */
static void the_status_has_the_limits_that_bind(void **state)
{
	g_autoptr(GPtrArray) guests = g_ptr_array_new_with_free_func(managed_free);
	struct manager_status status = { .guests = guests, .cgroups = cgroups };
	const pid_t pids[] = { 700, 701, 702 };
	uint64_t numbers[3];
	g_autofree char *text = NULL;
	json_t *limits;

	(void)state;
	put("proc/700/cgroup", "0::/s\n");
	put("proc/701/cgroup", "0::/s/b\n");
	put("proc/702/cgroup", "0::/t\n");
	put("sys/fs/cgroup/s/b/memory.max", "max\n");
	put_mib("sys/fs/cgroup/s/memory.max", 1600);
	put_mib("sys/fs/cgroup/s/memory.current", 1000);
	put_mib("sys/fs/cgroup/t/memory.max", 8000);
	put_mib("sys/fs/cgroup/t/memory.current", 100);
	cgroups_find(cgroups, now_us, HOST, pids, 3, numbers);
	for (int i = 0; i < 3; i++) {
		hv_guest found = { .source = (char *)"qmp", .address = (char *)"x" };
		struct managed *guest = managed_new((uint64_t)i, &found, NULL);

		guest->answered = true;
		guest->seen = (struct policy_guest){ .boot_bytes = 1024 * MIB,
						     .actual_bytes = 1024 * MIB,
						     .ram_bytes = 480 * MIB,
						     .group = numbers[i] };
		g_ptr_array_add(guests, guest);
	}
	status.host.groups = cgroups_list(cgroups, &status.host.group_count);
	status.outcome.budget_bytes = HOST;
	limits = report_limits(&status);
	text = json_dumps(limits, JSON_COMPACT);
	/* 960 of RAM and 600 available, less a twentieth of the limit. */
	assert_string_equal(text, "[{\"path\":\"/s\",\"limit_bytes\":1677721600,\"budget_bytes\":"
				  "1551892480,\"guests\":2,\"overcommitted\":false}]");
	assert_int_equal(report_usable_bytes(&status), 1480 * MIB + 1024 * MIB);
	status.outcome.budget_bytes = 2000 * MIB;
	assert_int_equal(report_usable_bytes(&status), 2000 * MIB);
	json_decref(limits);
}

static void a_decision_for_a_limit_names_its_path(void **state)
{
	const pid_t pids[] = { 700 };
	struct managed guest = { 0 };
	struct policy_decision decision = { .text = "has 1 MiB" };
	uint64_t number;

	(void)state;
	put("proc/700/cgroup", "0::/s\n");
	put_mib("sys/fs/cgroup/s/memory.max", 1600);
	put_mib("sys/fs/cgroup/s/memory.current", 1000);
	cgroups_find(cgroups, now_us, HOST, pids, 1, &number);
	decision.limit_group = number;
	report_decision_limit(cgroups, &guest, &decision);
	assert_string_equal(decision.text, "has 1 MiB; the limit is that of /s");
	assert_string_equal(guest.limit_path, "/s");
	decision = (struct policy_decision){ .text = "has 2 MiB" };
	report_decision_limit(cgroups, &guest, &decision);
	assert_string_equal(decision.text, "has 2 MiB");
	assert_null(guest.limit_path);
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(the_limit_of_version_2_is_found_with_what_is_left),
		IN_TREE(the_lower_of_max_and_high_counts),
		IN_TREE(every_limit_up_to_the_mount_is_a_group),
		IN_TREE(guests_below_one_limit_are_one_group),
		IN_TREE(the_limit_of_version_1_is_found),
		IN_TREE(a_cgroup_that_does_not_charge_for_its_children_limits_only_itself),
		IN_TREE(a_cgroup_that_is_not_mounted_is_reported),
		IN_TREE(no_limit_and_one_beyond_the_host_are_none),
		IN_TREE(a_limit_that_cannot_be_read_stays_what_it_was),
		IN_TREE(a_use_that_cannot_be_read_is_not_known),
		IN_TREE(what_is_beyond_the_namespace_is_reported),
		IN_TREE(limits_and_memberships_are_followed),
		IN_TREE(the_status_has_the_limits_that_bind),
		IN_TREE(a_decision_for_a_limit_names_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
