/* SPDX-License-Identifier: BSD-3-Clause */
/* What prevents ballooning, asked over QMP, against a fake QEMU (fake_qemu.h). */
#include "tests/unit/fake_qemu.h"

#include "tests/hang.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define LATER hv_deadline_ms(HANG_MS)

static void obstacle_is(struct fake *fake, enum hv_obstacle expected)
{
	enum hv_obstacle obstacle = HV_OBSTACLE_LOCKED;
	GError *error = NULL;

	if (!hv_guest_obstacle(fake->guest, LATER, &obstacle, &error))
		fail_msg("%s", error->message);
	assert_int_equal(obstacle, expected);
}

/* Makes the children of @folder a device @name and one of type @type. */
static void will_list(struct fake *fake, const char *folder, const char *name, const char *type,
		      char **body)
{
	g_free(*body);
	*body = g_strdup_printf("\"return\": [{\"name\": \"type\", \"type\": \"string\"}, "
				"{\"name\": \"%s\", \"type\": \"child<%s>\"}]",
				name, type);
	will_answer(fake, folder, *body);
}

static void nothing_is_in_the_way_of_an_ordinary_guest(void **state)
{
	obstacle_is(*state, HV_OBSTACLE_NONE);
	assert_string_equal(hv_obstacle_text(HV_OBSTACLE_NONE), "");
}

static void whoever_knows_none_of_the_questions_has_nothing_in_the_way(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, "qom-list /machine/peripheral", NO_COMMAND);
	will_answer(fake, "qom-list /machine/peripheral-anon", NO_COMMAND);
	will_answer(fake, "human-monitor-command", NO_COMMAND);
	will_answer(fake, "query-migrate", NO_COMMAND);
	obstacle_is(fake, HV_OBSTACLE_NONE);
}

static void a_device_of_the_host_is_in_the_way_wherever_it_is(void **state)
{
	static const char *const folders[] = { "qom-list /machine/peripheral",
					       "qom-list /machine/peripheral-anon" };
	static const struct {
		const char *type;
		enum hv_obstacle obstacle;
	} rows[] = {
		{ "vfio-pci", HV_OBSTACLE_DEVICES },
		{ "vfio-pci-nohotplug", HV_OBSTACLE_DEVICES },
		{ "vfio-ap", HV_OBSTACLE_DEVICES },
		{ "vhost-vdpa-device-pci", HV_OBSTACLE_DEVICES },
		{ "virtio-net-pci", HV_OBSTACLE_NONE },
		{ "vhost-user-fs-pci", HV_OBSTACLE_NONE },
	};
	struct fake *fake = *state;

	for (size_t f = 0; f < G_N_ELEMENTS(folders); f++) {
		g_autofree char *body = NULL;

		for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
			will_list(fake, folders[f], "vfio-pci", rows[i].type, &body);
			obstacle_is(fake, rows[i].obstacle);
		}
		will_answer(fake, folders[f], "\"return\": [7, {\"name\": \"x\"}, {\"type\": 3}]");
	}
}

/* A vfio-user device inhibits QEMU's balloon; without one it may be the balloon. */
static void a_vfio_user_device_is_in_the_way_of_qemus_own_balloon_alone(void **state)
{
	struct fake *fake = *state;
	g_autofree char *body = NULL;

	will_list(fake, "qom-list /machine/peripheral-anon", "aerostat0", "vfio-user-pci", &body);
	obstacle_is(fake, HV_OBSTACLE_DEVICES);
	will_answer(fake, "qom-list /machine/peripheral", "\"return\": []");
	obstacle_is(fake, HV_OBSTACLE_NONE);
}

static void a_network_by_vdpa_is_in_the_way(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, "human-monitor-command",
		    "\"return\": \"net0: index=0,type=nic,model=virtio-net-pci\\r\\n"
		    " \\\\ v0: index=0,type=vhost-vdpa,vdpadev\\r\\n\"");
	obstacle_is(fake, HV_OBSTACLE_DEVICES);
	will_answer(fake, "human-monitor-command", "\"return\": [\",type=vhost-vdpa\"]");
	obstacle_is(fake, HV_OBSTACLE_NONE);
}

static void a_migration_is_in_the_way_until_it_rests(void **state)
{
	static const struct {
		const char *answer;
		enum hv_obstacle obstacle;
	} rows[] = {
		{ "\"return\": {\"status\": \"none\"}", HV_OBSTACLE_NONE },
		{ "\"return\": {\"status\": \"setup\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"active\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"pre-switchover\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"device\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"postcopy-paused\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"cancelling\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"not invented yet\"}", HV_OBSTACLE_MIGRATION },
		{ "\"return\": {\"status\": \"cancelled\"}", HV_OBSTACLE_NONE },
		{ "\"return\": {\"status\": \"failed\"}", HV_OBSTACLE_NONE },
		{ "\"return\": {\"status\": \"completed\"}", HV_OBSTACLE_NONE },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		will_answer(fake, "query-migrate", rows[i].answer);
		obstacle_is(fake, rows[i].obstacle);
	}
}

#define LOCKED_BYTES 65536 /* below any user's RLIMIT_MEMLOCK */

/* The fake's process is this one, so memory locked here counts as QEMU's. */
static void memory_that_is_locked_for_the_better_part_is_in_the_way(void **state)
{
	struct fake *fake = *state;
	char *memory = mmap(NULL, LOCKED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	/* Not mlock(), which does nothing under sanitizers. */
	assert_int_equal(syscall(SYS_mlock, memory, LOCKED_BYTES), 0);
	will_answer(fake, "query-memory-size-summary", "\"return\": {\"base-memory\": 131072}");
	obstacle_is(fake, HV_OBSTACLE_LOCKED);
	will_answer(fake, "query-memory-size-summary", "\"return\": {\"base-memory\": 139264}");
	obstacle_is(fake, HV_OBSTACLE_NONE);
	munmap(memory, LOCKED_BYTES);
	will_answer(fake, "query-memory-size-summary", "\"return\": {\"base-memory\": 131072}");
	obstacle_is(fake, HV_OBSTACLE_NONE);
}

#define BLOCK(name, pages, total)                                                                  \
	"  " name " " pages "  0x0000000000000000 0x0000000010000000 " total "\\r\\n"

/* The sizes of pages and blocks by "info ramblock", as QEMU 7.2 prints them. */
static void huge_pages_are_in_the_way_of_qemus_own_balloon(void **state)
{
	static const struct {
		const char *blocks;
		enum hv_obstacle obstacle;
	} rows[] = {
		{ BLOCK("pc.ram", "  4 KiB", "0x0000000010000000"), HV_OBSTACLE_NONE },
		{ BLOCK("pc.ram", "  2 MiB", "0x0000000010000000"), HV_OBSTACLE_HUGE_PAGES },
		{ BLOCK("ram-node0", "1 GiB", "0x0000000040000000"), HV_OBSTACLE_HUGE_PAGES },
		{ BLOCK("n0", "4 KiB", "0x0000000040000000")
			  BLOCK("n1", "2 MiB", "0x0000000040000000"),
		  HV_OBSTACLE_HUGE_PAGES },
		{ BLOCK("pc.bios", "2 MiB", "0x0000000000040000"), HV_OBSTACLE_NONE },
		{ "nothing of that kind\\r\\n \\r\\n", HV_OBSTACLE_NONE },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *body = g_strdup_printf("\"return\": \"%s\"", rows[i].blocks);

		will_answer(fake, "human-monitor-command", body);
		obstacle_is(fake, rows[i].obstacle);
	}
}

/* aerostat-device, which QEMU has as a vfio-user device, releases them whole. */
static void huge_pages_are_in_nobodys_way_without_qemus_balloon(void **state)
{
	struct fake *fake = *state;

	will_answer(fake, "human-monitor-command",
		    "\"return\": \"" BLOCK("pc.ram", "  2 MiB", "0x0000000010000000") "\"");
	obstacle_is(fake, HV_OBSTACLE_HUGE_PAGES);
	will_answer(fake, "qom-list /machine/peripheral", "\"return\": []");
	will_answer(fake, "qom-list /machine/peripheral-anon", "\"return\": []");
	obstacle_is(fake, HV_OBSTACLE_NONE);
}

static void of_several_obstacles_the_lasting_one_is_told(void **state)
{
	struct fake *fake = *state;
	g_autofree char *body = NULL;

	will_answer(fake, "query-migrate", "\"return\": {\"status\": \"active\"}");
	will_list(fake, "qom-list /machine/peripheral-anon", "x", "vfio-pci", &body);
	obstacle_is(fake, HV_OBSTACLE_DEVICES);
}

static void an_unusable_answer_is_no_obstacle_but_an_error(void **state)
{
	static const char *const bad[] = { "\"return\": 5", "\"return\": {\"status\": 5}" };
	struct fake *fake = *state;
	enum hv_obstacle obstacle;
	GError *error = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		will_answer(fake, "query-migrate", bad[i]);
		assert_false(hv_guest_obstacle(fake->guest, LATER, &obstacle, &error));
		assert_true(g_error_matches(error, HV_ERROR, HV_ERROR_PROTOCOL));
		assert_non_null(strstr(error->message, "invalid answer to query-migrate"));
		g_clear_error(&error);
	}
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

/* QEMU punches holes into a file, which frees its pages though they are locked. */
static void a_locked_file_is_in_nobodys_way(void **state)
{
	struct fake *fake = *state;
	int fd = memfd_create("ram", MFD_CLOEXEC);
	char *memory;

	assert_int_equal(ftruncate(fd, LOCKED_BYTES), 0);
	memory = mmap(NULL, LOCKED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(syscall(SYS_mlock, memory, LOCKED_BYTES), 0);
	will_answer(fake, "query-memory-size-summary", "\"return\": {\"base-memory\": 131072}");
	obstacle_is(fake, HV_OBSTACLE_NONE);
	munmap(memory, LOCKED_BYTES);
	close(fd);
}

static void shared_memory_without_a_file_is_in_the_way_if_it_is_locked(void **state)
{
	struct fake *fake = *state;
	char *memory =
		mmap(NULL, LOCKED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(syscall(SYS_mlock, memory, LOCKED_BYTES), 0);
	will_answer(fake, "query-memory-size-summary", "\"return\": {\"base-memory\": 131072}");
	obstacle_is(fake, HV_OBSTACLE_LOCKED);
	munmap(memory, LOCKED_BYTES);
}

static void the_memory_of_a_confidential_guest_is_in_the_way(void **state)
{
	static const char key[] = "qom-get /machine confidential-guest-support";
	struct fake *fake = *state;

	will_answer(fake, key, "\"return\": \"/objects/sev0\"");
	obstacle_is(fake, HV_OBSTACLE_CONFIDENTIAL);
	will_answer(fake, key, "\"return\": \"\"");
	obstacle_is(fake, HV_OBSTACLE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FAKE(nothing_is_in_the_way_of_an_ordinary_guest),
		WITH_FAKE(whoever_knows_none_of_the_questions_has_nothing_in_the_way),
		WITH_FAKE(a_device_of_the_host_is_in_the_way_wherever_it_is),
		WITH_FAKE(a_vfio_user_device_is_in_the_way_of_qemus_own_balloon_alone),
		WITH_FAKE(a_network_by_vdpa_is_in_the_way),
		WITH_FAKE(a_migration_is_in_the_way_until_it_rests),
		WITH_FAKE(a_locked_file_is_in_nobodys_way),
		WITH_FAKE(shared_memory_without_a_file_is_in_the_way_if_it_is_locked),
		WITH_FAKE(the_memory_of_a_confidential_guest_is_in_the_way),
		WITH_FAKE(memory_that_is_locked_for_the_better_part_is_in_the_way),
		WITH_FAKE(huge_pages_are_in_the_way_of_qemus_own_balloon),
		WITH_FAKE(huge_pages_are_in_nobodys_way_without_qemus_balloon),
		WITH_FAKE(of_several_obstacles_the_lasting_one_is_told),
		WITH_FAKE(an_unusable_answer_is_no_obstacle_but_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
