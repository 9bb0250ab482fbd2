/* SPDX-License-Identifier: BSD-3-Clause */
/* QMP guests against a fake QEMU (fake_qemu.h). */
#include "tests/unit/qmp_asserts.h"

#include "tests/fork_dependent.h"
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void opening_does_no_io_and_names_the_guest(void **state)
{
	g_autoptr(hv_guest) guest = hv_qmp_open("/nowhere/at.all");

	(void)state;
	assert_string_equal(guest->address, "qmp:/nowhere/at.all");
	assert_string_equal(guest->source, "qmp");
	assert_string_equal(guest->ops->kind, "qmp");
	get_fails(guest, LATER, HV_ERROR_UNREACHABLE, "qmp:/nowhere/at.all: no such socket");
}

static void info_has_everything(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_string_equal(info.name, "web 1");
	assert_string_equal(info.uuid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	assert_int_equal(info.id, -1);
	assert_int_equal(info.state, HV_STATE_RUNNING);
	assert_int_equal(info.pid, getpid());
	assert_int_equal(info.max_bytes, 1024 * MIB);
	assert_int_equal(info.actual_bytes, 512 * MIB);
	assert_true(info.config_bytes == HV_UNSET);
	assert_int_equal(info.vcpus, 2);
	assert_true(info.cpu_time_ns != HV_UNSET);
	assert_false(info.persistent);
	assert_true(info.has_balloon);
	assert_int_equal(info.autodeflate, 1);
	assert_int_equal(info.free_page_reporting, 0);
	assert_int_equal(info.driver, HV_DRIVER_READY);
	assert_string_equal(info.version, "QEMU 7.2.22");
}

static void info_knows_a_device_of_our_own(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "query-version",
		    "\"return\": {\"qemu\": {\"micro\": 3, \"minor\": 2, \"major\": 1}, "
		    "\"package\": \"aerostat-device 1.2.3\"}");
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_string_equal(info.version, "aerostat-device 1.2.3");
}

static void info_makes_do_with_an_old_or_nameless_qemu(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "query-name", "\"return\": {}");
	will_answer(fake, "query-uuid",
		    "\"return\": {\"UUID\": \"00000000-0000-0000-0000-000000000000\"}");
	will_answer(fake, "query-version", NO_COMMAND);
	will_answer(fake, "query-cpus-fast", NO_COMMAND);
	will_answer(fake, "x-query-virtio-status " DEVICE, NO_COMMAND);
	will_answer(fake, "qom-get " DEVICE " free-page-reporting", REFUSED);
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_string_equal(info.name, "sock.name");
	assert_null(info.uuid);
	assert_null(info.version);
	assert_int_equal(info.vcpus, 0);
	assert_int_equal(info.driver, HV_DRIVER_UNKNOWN);
	assert_int_equal(info.autodeflate, 1);
	assert_int_equal(info.free_page_reporting, -1);
}

static void info_of_a_guest_without_balloon_succeeds(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "query-balloon", NO_DEVICE);
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_false(info.has_balloon);
	assert_true(info.actual_bytes == HV_UNSET);
	assert_int_equal(info.autodeflate, -1);
}

static void a_driver_that_let_go_is_absent(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "x-query-virtio-status " DEVICE,
		    "\"return\": {\"status\": {\"statuses\": []}}");
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_int_equal(info.driver, HV_DRIVER_ABSENT);
}

static void every_run_state_has_its_meaning(void **state)
{
	static const struct {
		const char *answer;
		enum hv_state state;
	} rows[] = {
		{ "\"return\": {\"status\": \"paused\"}", HV_STATE_PAUSED },
		{ "\"return\": {\"status\": \"io-error\"}", HV_STATE_PAUSED },
		{ "\"return\": {\"status\": \"shutdown\"}", HV_STATE_SHUTOFF },
		{ "\"return\": {\"status\": \"guest-panicked\"}", HV_STATE_CRASHED },
		{ "\"return\": {\"status\": \"not invented yet\"}", HV_STATE_UNKNOWN },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(hv_info) info = { 0 };

		will_answer(fake, "query-status", rows[i].answer);
		assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
		assert_int_equal(info.state, rows[i].state);
	}
}

static void info_refuses_answers_of_the_wrong_type(void **state)
{
	/* Each is queried before those above it, so the effects add up. */
	static const char *const rows[][3] = {
		{ "query-balloon", "\"return\": []", "invalid answer to query-balloon: []" },
		{ "query-memory-size-summary", "\"return\": {\"base-memory\": \"1G\"}",
		  "invalid answer to query-memory-size-summary: {\"base-memory\":\"1G\"}" },
		{ "query-memory-size-summary",
		  "\"return\": {\"base-memory\": 1, \"plugged-memory\": -1}",
		  "\"plugged-memory\":-1" },
		{ "query-status", "\"return\": {\"status\": 1}", "{\"status\":1" },
		{ "query-status", "\"return\": 1", "invalid answer to query-status: 1" },
		{ "query-uuid", "\"return\": {\"UUID\": []}", "invalid UUID" },
		{ "query-name", "\"return\": {\"name\": 5}", "invalid name" },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct hv_info info;
		GError *error = NULL;

		will_answer(fake, rows[i][0], rows[i][1]);
		assert_false(hv_guest_info(fake->guest, LATER, &info, &error));
		assert_error(&error, HV_ERROR_PROTOCOL, rows[i][2]);
	}
}

static void actual_must_be_a_size(void **state)
{
	static const char *const bad[] = { "-1", "1.5", "9223372036854775808", "\"1G\"", "null" };
	struct fake *fake = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *body = g_strdup_printf("\"return\": {\"actual\": %s}", bad[i]);

		will_answer(fake, "query-balloon", body);
		get_fails(fake->guest, LATER, HV_ERROR_PROTOCOL, "invalid answer to query-balloon");
	}
}

static void a_target_is_sent_in_bytes(void **state)
{
	struct fake *fake = *state;

	assert_true(hv_guest_balloon_set(fake->guest, LATER, 256 * MIB, HV_SCOPE_LIVE, NULL));
	assert_heard(fake, "balloon=268435456\n");
}

static void unusable_targets_change_nothing(void **state)
{
	struct fake *fake = *state;

	set_fails(fake, 0, HV_SCOPE_CURRENT, HV_ERROR_INVALID, "cannot set its memory to 0");
	set_fails(fake, 1024 * MIB + 1, HV_SCOPE_CURRENT, HV_ERROR_INVALID,
		  "cannot set its memory to 1048577 KiB: its maximum is 1048576 KiB");
	set_fails(fake, MIB, HV_SCOPE_CONFIG, HV_ERROR_UNSUPPORTED, "no persistent configuration");
	set_fails(fake, MIB, HV_SCOPE_CONFIG | HV_SCOPE_LIVE, HV_ERROR_UNSUPPORTED,
		  "no persistent configuration");
	assert_heard(fake, "");
}

static void a_missing_balloon_comes_with_its_remedy(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, "balloon", NO_DEVICE);
	set_fails(fake, MIB, HV_SCOPE_LIVE, HV_ERROR_NO_BALLOON,
		  "start QEMU with -device virtio-balloon-pci");
}

static void the_maximum_cannot_be_changed(void **state)
{
	struct fake *fake = *state;
	GError *error = NULL;

	assert_false(hv_guest_max_set(fake->guest, LATER, MIB, HV_SCOPE_LIVE, &error));
	assert_error(&error, HV_ERROR_UNSUPPORTED,
		     "the maximum memory of a running guest cannot be changed");
	assert_false(hv_guest_max_set(fake->guest, LATER, MIB, HV_SCOPE_CONFIG, &error));
	assert_error(&error, HV_ERROR_UNSUPPORTED, "no persistent configuration");
}

static void a_change_that_was_sent_may_still_happen(void **state)
{
	struct fake *fake = *state;
	GError *error = NULL;

	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	will_answer(fake, "balloon", NULL);
	assert_false(hv_guest_balloon_set(fake->guest, SOON, MIB, HV_SCOPE_LIVE, &error));
	assert_error(&error, HV_ERROR_TIMEOUT, "the change may still be made when QEMU resumes");
	hv_guest_hold(fake->guest, false);
	get_fails(fake->guest, SOON, HV_ERROR_TIMEOUT, "the change may still be made");
	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	will_answer(fake, "query-balloon", NULL);
	assert_false(hv_guest_balloon_get(fake->guest, SOON, &(uint64_t){ 0 }, &error));
	assert_null(strstr(error->message, "may still"));
	assert_error(&error, HV_ERROR_TIMEOUT, "the answer to query-balloon");
}

static void stats_are_read_and_unset_ones_left_out(void **state)
{
	struct fake *fake = *state;
	struct hv_stats stats;

	assert_true(hv_guest_stats_get(fake->guest, LATER, &stats, NULL));
	assert_int_equal(stats.value[HV_STAT_ACTUAL], 512 * MIB);
	assert_int_equal(stats.value[HV_STAT_SWAP_IN], 0);
	assert_int_equal(stats.value[HV_STAT_UNUSED], 100 * MIB);
	assert_int_equal(stats.value[HV_STAT_USABLE], 200 * MIB);
	assert_true(stats.value[HV_STAT_HUGETLB_PGFAIL] == HV_UNSET);
	assert_true(stats.value[HV_STAT_OOM_KILLS] == HV_UNSET);
	assert_true(stats.value[HV_STAT_PSI_SOME] == HV_UNSET);
	assert_true(stats.value[HV_STAT_RSS] > 0 && stats.value[HV_STAT_RSS] != HV_UNSET);
	assert_int_equal(stats.last_update_s, 1700000000);
	assert_true(stats.taken_s > stats.last_update_s);
	assert_int_equal(stats.period_s, 2);
}

static void private_stats_are_read_where_there_are_some(void **state)
{
	struct fake *fake = *state;
	struct hv_stats stats;

	will_answer(fake, "qom-get " DEVICE " guest-stats",
		    "\"return\": {\"stats\": {\"psi-some-us\": 7, \"psi-full-us\": 3, "
		    "\"refaults-anon\": 5, \"free-swap\": 1048576, "
		    "\"refaults-file\": 18446744073709551615}, \"last-update\": 1}");
	assert_true(hv_guest_stats_get(fake->guest, LATER, &stats, NULL));
	assert_int_equal(stats.value[HV_STAT_PSI_SOME], 7);
	assert_int_equal(stats.value[HV_STAT_PSI_FULL], 3);
	assert_int_equal(stats.value[HV_STAT_REFAULTS_ANON], 5);
	assert_true(stats.value[HV_STAT_REFAULTS_FILE] == HV_UNSET);
	assert_int_equal(stats.value[HV_STAT_FREE_SWAP], MIB);
}

static void stats_of_the_wrong_type_are_refused(void **state)
{
	static const char *const bad[] = {
		"5",
		"{\"stats\": [], \"last-update\": 0}",
		"{\"stats\": {}}",
		"{\"stats\": {}, \"last-update\": -1}",
		"{\"stats\": {}, \"last-update\": \"now\"}",
		"{\"stats\": {\"stat-swap-in\": -1}, \"last-update\": 0}",
		"{\"stats\": {\"stat-swap-in\": \"many\"}, \"last-update\": 0}",
		"{\"stats\": {\"stat-swap-in\": 0.5}, \"last-update\": 0}",
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *body = g_strconcat("\"return\": ", bad[i], NULL);
		struct hv_stats stats;
		GError *error = NULL;

		will_answer(fake, "qom-get " DEVICE " guest-stats", body);
		assert_false(hv_guest_stats_get(fake->guest, LATER, &stats, &error));
		assert_error(&error, HV_ERROR_PROTOCOL, "invalid");
	}
}

static void the_period_is_set_and_never_negative(void **state)
{
	struct fake *fake = *state;
	GError *error = NULL;

	assert_true(hv_guest_stats_period_set(fake->guest, LATER, 5, HV_SCOPE_LIVE, NULL));
	assert_heard(fake, "qom-set " DEVICE " guest-stats-polling-interval=5\n");
	assert_false(hv_guest_stats_period_set(fake->guest, LATER, -1, HV_SCOPE_LIVE, &error));
	assert_error(&error, HV_ERROR_INVALID, "-1 s is negative");
	assert_false(hv_guest_stats_period_set(fake->guest, LATER, 1, HV_SCOPE_CONFIG, &error));
	assert_error(&error, HV_ERROR_UNSUPPORTED, "no persistent configuration");
}

static void balloons_without_an_id_or_a_bus_are_found(void **state)
{
	struct fake *fake = *state;
	struct hv_stats stats;

	will_answer(fake, "qom-list /machine/peripheral", "\"return\": []");
	will_answer(fake, "qom-list /machine/peripheral-anon",
		    "\"return\": [7, {\"name\": \"device[0]\", \"type\": \"child<e1000>\"}, "
		    "{\"name\": \"device[1]\", \"type\": \"child<virtio-balloon-device>\"}]");
	will_answer(fake, "qom-get /machine/peripheral-anon/device[1] guest-stats-polling-interval",
		    "\"return\": 7");
	will_answer(fake, "qom-get /machine/peripheral-anon/device[1] guest-stats",
		    "\"return\": {\"stats\": {}, \"last-update\": 0}");
	assert_true(hv_guest_stats_get(fake->guest, LATER, &stats, NULL));
	assert_int_equal(stats.period_s, 7);
	assert_int_equal(hv_stats_age_s(&stats), -1);
}

static void a_balloon_that_was_replaced_is_found_again(void **state)
{
	struct fake *fake = *state;
	struct hv_stats stats;

	hv_guest_hold(fake->guest, true);
	assert_true(hv_guest_stats_get(fake->guest, LATER, &stats, NULL));
	will_answer(fake, "qom-get " DEVICE " guest-stats-polling-interval", REFUSED);
	will_answer(fake, "qom-list /machine/peripheral",
		    "\"return\": [{\"name\": \"b1\", "
		    "\"type\": \"child<virtio-balloon-pci-non-transitional>\"}]");
	will_answer(fake,
		    "qom-get /machine/peripheral/b1/virtio-backend guest-stats-polling-interval",
		    "\"return\": 9");
	will_answer(fake, "qom-get /machine/peripheral/b1/virtio-backend guest-stats",
		    "\"return\": {\"stats\": {}, \"last-update\": 0}");
	assert_true(hv_guest_stats_get(fake->guest, LATER, &stats, NULL));
	assert_int_equal(stats.period_s, 9);
}

static void a_guest_that_is_not_held_leaves_the_monitor(void **state)
{
	struct fake *fake = *state;
	g_autoptr(hv_guest) other = hv_qmp_open(fake->path);
	uint64_t actual_bytes;

	get_gives(fake, 512 * MIB);
	assert_true(hv_guest_balloon_get(other, LATER, &actual_bytes, NULL));
	get_gives(fake, 512 * MIB);
}

static void a_held_monitor_is_busy_for_others_until_let_go(void **state)
{
	struct fake *fake = *state;
	g_autoptr(hv_guest) other = hv_qmp_open(fake->path);
	uint64_t actual_bytes;

	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	get_fails(other, SOON, HV_ERROR_BUSY, "another program holds the monitor");
	hv_guest_hold(fake->guest, false);
	get_gives(fake, 512 * MIB);
	assert_true(hv_guest_balloon_get(other, LATER, &actual_bytes, NULL));
}

static void a_lost_connection_is_opened_again(void **state)
{
	struct fake *fake = *state;

	will_drop(fake, "query-balloon", 3);
	get_gives(fake, 512 * MIB);
	will_drop(fake, "qmp_capabilities", 2);
	get_gives(fake, 512 * MIB);
	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	will_drop(fake, "query-balloon", 1);
	get_gives(fake, 512 * MIB);
}

static void a_connection_that_is_always_lost_is_unreachable(void **state)
{
	struct fake *fake = *state;

	GError *error = NULL;

	will_drop(fake, "query-balloon", 1000000);
	/* Again where the fake had no CPU time to drop the last attempt within the deadline. */
	do {
		g_clear_error(&error);
		assert_false(hv_guest_balloon_get(fake->guest, SOON, &(uint64_t){ 0 }, &error));
	} while (g_error_matches(error, HV_ERROR, HV_ERROR_TIMEOUT));
	assert_error(&error, HV_ERROR_UNREACHABLE, "before QEMU sent the answer");
}

static void a_dead_qemu_is_told_at_once(void **state)
{
	struct fake *fake = *state;

	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	fake_kill(fake);
	get_fails(fake->guest, LATER, HV_ERROR_UNREACHABLE, "no process listens on the socket");
	g_unlink(fake->path);
	get_fails(fake->guest, LATER, HV_ERROR_UNREACHABLE, "no such socket");
}

static void events_arrive_in_order_in_virsh_words(void **state)
{
	struct fake *fake = *state;

	hv_guest_hold(fake->guest, true);
	will_say_first(fake, "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 4096}}\n"
			     "{\"event\": \"RTC_CHANGE\", \"data\": {}}\n"
			     "{\"event\": \"STOP\"}\n{\"event\": \"RESUME\"}\n"
			     "{\"event\": \"GUEST_PANICKED\"}\n{\"event\": \"SHUTDOWN\"}\n");
	get_gives(fake, 512 * MIB);
	event_gives(fake, HV_EVENT_BALLOON_CHANGE, 4096, "");
	event_gives(fake, HV_EVENT_LIFECYCLE, 0, "Suspended Paused");
	event_gives(fake, HV_EVENT_LIFECYCLE, 0, "Resumed Unpaused");
	event_gives(fake, HV_EVENT_LIFECYCLE, 0, "Crashed Panicked");
	event_gives(fake, HV_EVENT_LIFECYCLE, 0, "Shutdown Finished");
	event_fails(fake, SOON, HV_ERROR_TIMEOUT, "");
}

static void only_the_newest_events_are_kept(void **state)
{
	struct fake *fake = *state;
	GString *flood = g_string_new(NULL);

	for (int i = 0; i < 1000; i++)
		g_string_append_printf(
			flood, "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": %d}}\n", i);
	hv_guest_hold(fake->guest, true);
	will_say_first(fake, flood->str);
	g_string_free(flood, TRUE);
	get_gives(fake, 512 * MIB);
	for (unsigned int i = 1000 - 64; i < 1000; i++)
		event_gives(fake, HV_EVENT_BALLOON_CHANGE, i, "");
	event_fails(fake, SOON, HV_ERROR_TIMEOUT, "");
}

static void a_lying_event_is_refused(void **state)
{
	struct fake *fake = *state;

	will_say_first(fake, "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": -4096}}\n");
	get_fails(fake->guest, LATER, HV_ERROR_PROTOCOL, "invalid BALLOON_CHANGE");
}

/* A fake QEMU in a process of its own, at @path of the parent's @fake; returns its number. */
static pid_t start_fake_process(struct fake *fake, char **path)
{
	int ready[2];
	char byte;
	pid_t pid;

	*path = g_build_filename(fake->dir, "process", NULL);
	assert_int_equal(pipe(ready), 0);
	pid = fork_dependent();
	if (pid == 0) {
		void *child = NULL;

		fake_setup(&child);
		/* Its folder is given up at once, so that nothing is left when it is killed. */
		if (g_rename(((struct fake *)child)->path, *path) ||
		    g_rmdir(((struct fake *)child)->dir) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void watch_fake_process(struct fake *fake, const char *path)
{
	hv_guest_close(fake->guest);
	fake->guest = hv_qmp_open(path);
	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	event_fails(fake, SOON, HV_ERROR_TIMEOUT, "next event");
}

static void the_end_of_qemu_is_an_event_once(void **state)
{
	struct fake *fake = *state;
	g_autofree char *path = NULL;
	pid_t pid = start_fake_process(fake, &path);

	watch_fake_process(fake, path);
	kill(pid, SIGKILL);
	event_gives(fake, HV_EVENT_LIFECYCLE, 0, "Stopped");
	event_fails(fake, LATER, HV_ERROR_NOT_RUNNING, "QEMU has ended");
	event_fails(fake, LATER, HV_ERROR_NOT_RUNNING, "QEMU has ended");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	g_unlink(path);
}

static void a_monitor_that_is_gone_is_not_the_end_of_qemu(void **state)
{
	struct fake *fake = *state;

	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	event_fails(fake, SOON, HV_ERROR_TIMEOUT, "next event");
	/* The process that served it is this one, which goes on. */
	fake_kill(fake);
	event_fails(fake, SOON, HV_ERROR_UNREACHABLE, "no process listens");
	event_fails(fake, SOON, HV_ERROR_UNREACHABLE, "no process listens");
	g_unlink(fake->path);
	event_fails(fake, SOON, HV_ERROR_UNREACHABLE, "no such socket");
}

static void a_monitor_that_comes_back_has_events_again(void **state)
{
	struct fake *fake = *state;
	g_autofree char *away = g_strconcat(fake->path, ".away", NULL);

	hv_guest_hold(fake->guest, true);
	get_gives(fake, 512 * MIB);
	event_fails(fake, SOON, HV_ERROR_TIMEOUT, "next event");
	will_drop(fake, "query-balloon", 1);
	assert_return_code(g_rename(fake->path, away), 0);
	get_fails(fake->guest, LATER, HV_ERROR_UNREACHABLE, "no such socket");
	event_fails(fake, SOON, HV_ERROR_UNREACHABLE, "no such socket");
	assert_return_code(g_rename(away, fake->path), 0);
	will_say_first(fake, "{\"event\": \"RESUME\"}\n");
	get_gives(fake, 512 * MIB);
	event_gives(fake, HV_EVENT_LIFECYCLE, 0, "Resumed Unpaused");
}

static void events_of_a_qemu_never_seen_are_unreachable(void **state)
{
	struct fake *fake = *state;

	fake_kill(fake);
	event_fails(fake, LATER, HV_ERROR_UNREACHABLE, "no process listens");
}

/* A process that listens and is then stopped, as a QEMU may be. */
static pid_t stopped_listener(const char *path)
{
	pid_t pid = fork_dependent();
	int status;

	if (pid == 0) {
		listen_at(path, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static void a_stopped_qemu_is_told_from_a_busy_one(void **state)
{
	struct fake *fake = *state;
	g_autofree char *path = g_build_filename(fake->dir, "stopped", NULL);
	pid_t pid = stopped_listener(path);
	g_autofree char *text =
		g_strdup_printf("its QEMU (process %d) is stopped; resume it with: kill -CONT %d",
				(int)pid, (int)pid);
	g_autoptr(hv_guest) guest = hv_qmp_open(path);

	get_fails(guest, SOON, HV_ERROR_TIMEOUT, text);
	/* The queue holds one client: the next has no connection to read the pid from. */
	get_fails(guest, SOON, HV_ERROR_TIMEOUT, text);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	get_fails(guest, LATER, HV_ERROR_UNREACHABLE, "no process listens");
	g_unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_does_no_io_and_names_the_guest),
		WITH_FAKE(info_has_everything),
		WITH_FAKE(info_knows_a_device_of_our_own),
		WITH_FAKE(info_makes_do_with_an_old_or_nameless_qemu),
		WITH_FAKE(info_of_a_guest_without_balloon_succeeds),
		WITH_FAKE(a_driver_that_let_go_is_absent),
		WITH_FAKE(every_run_state_has_its_meaning),
		WITH_FAKE(info_refuses_answers_of_the_wrong_type),
		WITH_FAKE(actual_must_be_a_size),
		WITH_FAKE(a_target_is_sent_in_bytes),
		WITH_FAKE(unusable_targets_change_nothing),
		WITH_FAKE(a_missing_balloon_comes_with_its_remedy),
		WITH_FAKE(the_maximum_cannot_be_changed),
		WITH_FAKE(a_change_that_was_sent_may_still_happen),
		WITH_FAKE(stats_are_read_and_unset_ones_left_out),
		WITH_FAKE(private_stats_are_read_where_there_are_some),
		WITH_FAKE(stats_of_the_wrong_type_are_refused),
		WITH_FAKE(the_period_is_set_and_never_negative),
		WITH_FAKE(balloons_without_an_id_or_a_bus_are_found),
		WITH_FAKE(a_balloon_that_was_replaced_is_found_again),
		WITH_FAKE(a_guest_that_is_not_held_leaves_the_monitor),
		WITH_FAKE(a_held_monitor_is_busy_for_others_until_let_go),
		WITH_FAKE(a_lost_connection_is_opened_again),
		WITH_FAKE(a_connection_that_is_always_lost_is_unreachable),
		WITH_FAKE(a_dead_qemu_is_told_at_once),
		WITH_FAKE(events_arrive_in_order_in_virsh_words),
		WITH_FAKE(only_the_newest_events_are_kept),
		WITH_FAKE(a_lying_event_is_refused),
		WITH_FAKE(the_end_of_qemu_is_an_event_once),
		WITH_FAKE(a_monitor_that_is_gone_is_not_the_end_of_qemu),
		WITH_FAKE(a_monitor_that_comes_back_has_events_again),
		WITH_FAKE(events_of_a_qemu_never_seen_are_unreachable),
		WITH_FAKE(a_stopped_qemu_is_told_from_a_busy_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
