/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses are of one guest, and which only look like it. */
#include "aerostatd/guests.h"
#include "tests/fork_dependent.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define LIBVIRT "qemu:///system"
#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static struct {
	char *folder;
	struct guests *guests;
	pid_t qemu, device; /* processes that run */
	uint64_t next_id;
} rig;

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int set_up(void **state)
{
	(void)state;
	rig.folder = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	rig.guests = guests_new(rig.folder, NULL, NULL, NULL);
	rig.qemu = start_idle_process();
	assert_return_code(rig.qemu, errno);
	rig.device = start_idle_process();
	assert_return_code(rig.device, errno);
	return rig.guests ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	guests_free(rig.guests);
	end_process(rig.qemu);
	end_process(rig.device);
	g_rmdir(rig.folder);
	g_free(rig.folder);
	return 0;
}

static void answer(struct managed *guest, hv_info info)
{
	struct worker_sample sample = {
		.info = &info,
		.actual_then_bytes = 1024 * MIB,
		.resident_bytes = HV_UNSET,
		.before_period_s = 0,
		.answered_us = G_USEC_PER_SEC,
	};

	info.state = HV_STATE_RUNNING;
	info.max_bytes = info.actual_bytes = 1024 * MIB;
	info.has_balloon = true;
	for (int i = 0; i < HV_STAT_COUNT; i++)
		sample.stats.value[i] = HV_UNSET;
	managed_take_sample(guest, &sample);
}

/* A guest that was found at an address and has answered, but is not claimed yet. */
static struct managed *find_guest(const char *source, const char *address, hv_info info)
{
	const hv_guest found = { .source = (char *)source, .address = (char *)address, .id = -1 };
	struct managed *guest = managed_new(++rig.next_id, &found, NULL);

	guests_add(rig.guests, guest);
	answer(guest, info);
	return guest;
}

static struct managed *find_domain(pid_t device)
{
	return find_guest(LIBVIRT, "web",
			  (hv_info){ .name = (char *)"web",
				     .uuid = (char *)UUID,
				     .pid = rig.qemu,
				     .device_pid = device });
}

static struct managed *find_monitor(const char *uuid, pid_t pid)
{
	return find_guest("qmp", "qmp:/run/web.qmp",
			  (hv_info){ .name = (char *)"other", .uuid = (char *)uuid, .pid = pid });
}

/* A control socket, without UUID; a device is named after its domain. */
static struct managed *find_named_device(const char *name)
{
	return find_guest("qmp", "qmp:/run/web.ctl",
			  (hv_info){ .name = (char *)name, .pid = rig.device });
}

static struct managed *find_device(void)
{
	return find_named_device("web");
}

static struct managed *claim(struct managed *guest)
{
	guests_claim(rig.guests, guest, NULL, NULL);
	return guest;
}

static void a_domain_and_the_monitor_of_its_qemu_are_one_guest(void **state)
{
	struct managed *domain = claim(find_domain(0));

	(void)state;
	assert_ptr_equal(guests_find_same(rig.guests, find_monitor(UUID, rig.qemu)), domain);
}

static void a_monitor_and_the_domain_of_its_qemu_are_one_guest(void **state)
{
	struct managed *monitor = claim(find_monitor(UUID, rig.qemu));

	(void)state;
	assert_ptr_equal(guests_find_same(rig.guests, find_domain(0)), monitor);
}

static void a_guest_is_found_by_the_names_of_all_its_addresses(void **state)
{
	const struct guest_names domain = { LIBVIRT, "shop", "shop", UUID, 7 };
	static const char *const words[] = { "other", "web", "shop", "7", UUID };
	struct managed *monitor = claim(find_monitor(UUID, rig.qemu));

	(void)state;
	assert_true(guests_add_alias(rig.guests, monitor, &domain));
	assert_false(guests_add_alias(rig.guests, monitor, &domain));
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		assert_ptr_equal(guests_find_name(rig.guests, words[i], NULL), monitor);
	assert_null(guests_find_name(rig.guests, "8", NULL));
	assert_true(guests_remove_alias(rig.guests, LIBVIRT, "shop"));
	assert_null(guests_find_name(rig.guests, "7", NULL));
	assert_ptr_equal(guests_find_name(rig.guests, "web", NULL), monitor);
}

static void a_monitor_of_another_process_is_another_guest(void **state)
{
	(void)state;
	claim(find_domain(0));
	assert_null(guests_find_same(rig.guests, find_monitor(UUID, rig.device)));
}

static void another_uuid_in_the_same_process_is_another_guest(void **state)
{
	(void)state;
	claim(find_domain(0));
	assert_null(guests_find_same(
		rig.guests, find_monitor("00000000-9dad-11d1-80b4-00c04fd430c8", rig.qemu)));
}

static void the_control_socket_of_its_device_is_the_guest(void **state)
{
	struct managed *domain = claim(find_domain(rig.device));

	(void)state;
	assert_ptr_equal(guests_find_same(rig.guests, find_device()), domain);
}

static void a_device_of_another_guest_is_another_guest(void **state)
{
	(void)state;
	claim(find_domain(rig.qemu));
	assert_null(guests_find_same(rig.guests, find_device()));
}

static void a_device_of_another_name_behind_the_same_listener_is_another_guest(void **state)
{
	struct managed *domain = claim(find_domain(rig.device));
	struct managed *device = find_named_device("mail");

	(void)state;
	assert_null(guests_find_same(rig.guests, device));
	claim(device);
	assert_null(guests_find_device(rig.guests, domain));
}

static void a_device_that_was_found_first_gives_way(void **state)
{
	struct managed *device = claim(find_device());
	struct managed *domain = find_domain(rig.device);

	(void)state;
	assert_null(guests_find_same(rig.guests, domain));
	assert_ptr_equal(guests_find_device(rig.guests, domain), device);
	assert_null(guests_find_device(rig.guests, device));
}

static void a_device_that_a_guest_gets_later_gives_way(void **state)
{
	struct managed *domain = claim(find_domain(0));
	struct managed *device = claim(find_device());

	(void)state;
	assert_null(guests_find_device(rig.guests, domain));
	answer(domain, (hv_info){ .name = (char *)"web",
				  .uuid = (char *)UUID,
				  .pid = rig.qemu,
				  .device_pid = rig.device });
	assert_ptr_equal(guests_find_device(rig.guests, domain), device);
}

/*
 * Migration between two monitors without libvirt
 */

/* A guest that another process runs, behind a monitor of its own. */
static struct managed *find_arrived(const char *name, const char *uuid, enum hv_origin origin)
{
	return find_guest("qmp", "qmp:/run/there.qmp",
			  (hv_info){ .name = (char *)name,
				     .uuid = (char *)uuid,
				     .origin = origin,
				     .pid = rig.device });
}

static void a_guest_that_was_migrated_here_comes_from_the_guest_of_its_uuid(void **state)
{
	struct managed *source = claim(find_monitor(UUID, rig.qemu));

	(void)state;
	assert_ptr_equal(
		guests_find_source(rig.guests, find_arrived("there", UUID, HV_ORIGIN_STATE)),
		source);
}

static void without_uuids_it_comes_from_the_guest_of_its_name(void **state)
{
	struct managed *source = claim(find_monitor(NULL, rig.qemu));

	(void)state;
	assert_ptr_equal(
		guests_find_source(rig.guests, find_arrived("other", NULL, HV_ORIGIN_STATE)),
		source);
	assert_null(guests_find_source(rig.guests, find_arrived("another", NULL, HV_ORIGIN_STATE)));
	assert_null(guests_find_source(rig.guests, find_arrived("other", UUID, HV_ORIGIN_STATE)));
}

static void a_guest_that_booted_comes_from_nowhere(void **state)
{
	claim(find_monitor(UUID, rig.qemu));
	(void)state;
	assert_null(guests_find_source(rig.guests, find_arrived("other", UUID, HV_ORIGIN_BOOT)));
	assert_null(guests_find_source(rig.guests, find_arrived("other", UUID, HV_ORIGIN_UNKNOWN)));
}

static void what_is_known_of_a_guest_that_ends_is_left_to_the_one_that_arrives(void **state)
{
	const hv_guest found = { .source = (char *)"qmp", .address = (char *)"there", .id = -1 };
	const hv_info arriving = { .name = (char *)"other", .origin = HV_ORIGIN_ARRIVING };
	struct managed *source = claim(find_monitor(NULL, rig.qemu));
	struct managed *target = managed_new(++rig.next_id, &found, NULL);

	(void)state;
	managed_set_own_size(source, 512 * MIB);
	guests_add(rig.guests, target);
	guests_bequeath(rig.guests, source);
	assert_null(managed_heritage(target));
	managed_postpone(target, &arriving, "it is arriving");
	assert_false(target->answered);
	assert_non_null(target->problem);
	guests_bequeath(rig.guests, source);
	guests_remove(rig.guests, source);
	managed_free(source);
	answer(target, (hv_info){ .name = (char *)"other", .origin = HV_ORIGIN_STATE });
	assert_true(guests_claim(rig.guests, target, NULL, managed_heritage(target)));
	assert_int_equal(target->before_bytes, 512 * MIB);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_domain_and_the_monitor_of_its_qemu_are_one_guest),
		TEST(a_monitor_and_the_domain_of_its_qemu_are_one_guest),
		TEST(a_guest_is_found_by_the_names_of_all_its_addresses),
		TEST(a_monitor_of_another_process_is_another_guest),
		TEST(another_uuid_in_the_same_process_is_another_guest),
		TEST(the_control_socket_of_its_device_is_the_guest),
		TEST(a_device_of_another_guest_is_another_guest),
		TEST(a_device_of_another_name_behind_the_same_listener_is_another_guest),
		TEST(a_device_that_was_found_first_gives_way),
		TEST(a_device_that_a_guest_gets_later_gives_way),
		TEST(a_guest_that_was_migrated_here_comes_from_the_guest_of_its_uuid),
		TEST(without_uuids_it_comes_from_the_guest_of_its_name),
		TEST(a_guest_that_booted_comes_from_nowhere),
		TEST(what_is_known_of_a_guest_that_ends_is_left_to_the_one_that_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
