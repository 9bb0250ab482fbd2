/* SPDX-License-Identifier: BSD-3-Clause */
/* How guests of a daemon that is gone are restored (guardian_rig.h). */
#include "tests/unit/guardian_rig.h"

#include "aerostatd/guardian.h"
#include "aerostatd/identity.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void restore_gives(struct guardian_rig *rig, unsigned int failed)
{
	GError *error = NULL;

	assert_int_equal(guardian_restore(rig->folder, &error), failed);
	if (error)
		fail_msg("%s", error->message);
}

static void no_file_is_nothing_to_do(void **state)
{
	restore_gives(*state, 0);
}

static void a_file_that_makes_no_sense_is_an_error_and_stays(void **state)
{
	struct guardian_rig *rig = *state;
	GError *error = NULL;

	assert_true(g_file_set_contents(rig->file, "{}", -1, NULL));
	assert_int_equal(guardian_restore(rig->folder, &error), 1);
	assert_non_null(strstr(error->message, rig->file));
	g_error_free(error);
	assert_int_equal(access(rig->file, F_OK), 0);
}

static void a_guest_that_was_not_changed_gets_only_its_period_back(void **state)
{
	struct guardian_rig *rig = *state;

	rig_add(rig, 0)->changed = false;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], PERIOD "=0\n");
	rig_assert_left(rig, 0, false);
}

static void a_guest_without_anything_to_restore_is_left_alone(void **state)
{
	struct guardian_rig *rig = *state;
	struct saved_guest *guest = rig_add(rig, 0);

	guest->changed = false;
	guest->before_period_s = -1;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], "");
	rig_assert_left(rig, 0, false);
}

static void an_unknown_period_is_left_alone(void **state)
{
	struct guardian_rig *rig = *state;

	rig_add(rig, 0)->before_period_s = -1;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], SIZE);
}

static void a_guest_that_refuses_its_period_has_its_size_back(void **state)
{
	struct guardian_rig *rig = *state;

	will_answer(rig->fakes[0], PERIOD, REFUSED);
	rig_add(rig, 0);
	rig_save(rig);
	restore_gives(rig, 1);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_left(rig, 1, true);
}

static void a_guest_that_refuses_its_size_has_its_period_back_and_stays(void **state)
{
	struct guardian_rig *rig = *state;

	will_answer(rig->fakes[1], "balloon", REFUSED);
	rig_add(rig, 0);
	rig_add(rig, 1);
	rig_save(rig);
	restore_gives(rig, 1);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_heard(rig->fakes[1], RESTORED);
	rig_assert_left(rig, 1, true);
	will_answer(rig->fakes[1], "balloon", "\"return\": {}");
	restore_gives(rig, 0);
	rig_assert_left(rig, 0, false);
}

static void a_guest_without_a_socket_in_a_living_process_stays(void **state)
{
	struct guardian_rig *rig = *state;

	rig_add(rig, 0);
	rig_save(rig);
	fake_kill(rig->fakes[0]);
	restore_gives(rig, 1);
	rig_assert_left(rig, 1, true);
}

static void a_guest_whose_process_and_socket_are_gone_needs_nothing(void **state)
{
	struct guardian_rig *rig = *state;

	rig_add(rig, 0)->start_ticks--;
	rig_save(rig);
	fake_kill(rig->fakes[0]);
	restore_gives(rig, 0);
	rig_assert_left(rig, 0, false);
}

static void a_guest_that_was_renamed_is_the_same(void **state)
{
	struct guardian_rig *rig = *state;
	struct saved_guest *guest = rig_add(rig, 0);

	guest->name[0]++;
	guest->uuid[0]++;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
}

static void a_guest_in_another_process_is_not_touched(void **state)
{
	struct guardian_rig *rig = *state;
	struct saved_guest *other;

	rig_add(rig, 0)->start_ticks--;
	/* That process lives, but what answers now is another one. */
	other = rig_add(rig, 1);
	other->pid = getppid();
	other->start_ticks = process_start_ticks(getppid());
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], "");
	rig_assert_heard(rig->fakes[1], "");
	rig_assert_left(rig, 0, false);
}

static void without_a_process_the_uuid_identifies_the_guest(void **state)
{
	struct guardian_rig *rig = *state;
	struct saved_guest *same = rig_add(rig, 0), *other = rig_add(rig, 1);

	same->pid = other->pid = 0;
	same->start_ticks = other->start_ticks = 0;
	g_free(same->name);
	same->name = g_strdup("renamed");
	other->uuid[0]++;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_heard(rig->fakes[1], "");
}

static void without_a_uuid_the_name_identifies_the_guest(void **state)
{
	struct guardian_rig *rig = *state;
	struct saved_guest *same = rig_add(rig, 0), *other = rig_add(rig, 1);

	same->pid = other->pid = 0;
	g_clear_pointer(&same->uuid, g_free);
	g_clear_pointer(&other->uuid, g_free);
	other->name[0]++;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_heard(rig->fakes[1], "");
}

static void what_people_set_stays_for_the_next_daemon(void **state)
{
	struct guardian_rig *rig = *state;
	struct saved_guest *held = rig_add(rig, 0), *gone = rig_add(rig, 1);
	g_autoptr(GPtrArray) left = NULL;
	const struct saved_guest *kept;

	held->mode = gone->mode = POLICY_HELD;
	held->held_bytes = gone->held_bytes = 300 * MIB;
	gone->start_ticks--;
	rig_save(rig);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
	left = rig_load(rig);
	assert_int_equal(left->len, 1);
	kept = g_ptr_array_index(left, 0);
	assert_string_equal(kept->address, held->address);
	assert_int_equal(kept->mode, POLICY_HELD);
	assert_int_equal(kept->held_bytes, 300 * MIB);
	assert_int_equal(kept->before_bytes, 512 * MIB);
	assert_false(kept->changed);
	restore_gives(rig, 0);
	rig_assert_heard(rig->fakes[0], RESTORED);
}

static void a_guest_that_was_given_more_gives_it_back_if_it_can_spare_it(void **state)
{
	struct guardian_rig *rig = *state;

	/* Of 512 MiB it uses 100. */
	rig_add(rig, 0)->before_bytes = 256 * MIB;
	rig_will_spare(rig, 0, 412 * MIB);
	rig_save(rig);
	rig_start_daemon(rig);
	rig_kill_daemon(rig);
	rig_wait_heard(rig->fakes[0], PERIOD "=0\nballoon=268435456\n");
	rig_assert_left(rig, 1, true);
	will_answer(rig->fakes[0], "query-balloon", SMALL);
	assert_int_equal(rig_guardian_ends(rig), 0);
	rig_assert_left(rig, 0, false);
}

static void a_guest_keeps_of_what_it_was_given_what_it_cannot_spare(void **state)
{
	struct guardian_rig *rig = *state;

	/* Of 512 MiB it uses 300, and 64 it needs to breathe. */
	rig_add(rig, 0)->before_bytes = 256 * MIB;
	rig_will_spare(rig, 0, 212 * MIB);
	rig_save(rig);
	rig_start_daemon(rig);
	rig_kill_daemon(rig);
	rig_wait_heard(rig->fakes[0], PERIOD "=0\nballoon=381681664\n");
	will_answer(rig->fakes[0], "query-balloon", SMALL);
	assert_int_equal(rig_guardian_ends(rig), 1);
	rig_assert_left(rig, 1, true);
}

static void a_guest_that_needs_what_it_was_given_keeps_it(void **state)
{
	struct guardian_rig *rig = *state;

	/* Of 512 MiB it uses 500; with room to breathe that is more than it has. */
	rig_add(rig, 0)->before_bytes = 256 * MIB;
	rig_will_spare(rig, 0, 12 * MIB);
	rig_save(rig);
	restore_gives(rig, 1);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_left(rig, 1, true);
}

static void from_a_guest_that_reports_nothing_nothing_is_taken(void **state)
{
	struct guardian_rig *rig = *state;

	/* Its statistics are years old, and those of the other one make no sense. */
	rig_add(rig, 0)->before_bytes = 256 * MIB;
	rig_add(rig, 1)->before_bytes = 256 * MIB;
	rig_will_spare(rig, 1, 513 * MIB);
	rig_save(rig);
	restore_gives(rig, 2);
	rig_assert_heard(rig->fakes[0], PERIOD "=0\n");
	rig_assert_heard(rig->fakes[1], PERIOD "=0\n");
	rig_assert_left(rig, 2, true);
}

static void a_guest_that_is_too_slow_is_given_up_after_ten_seconds(void **state)
{
	struct guardian_rig *rig = *state;
	int64_t started_us = g_get_monotonic_time();

	will_answer(rig->fakes[0], "query-balloon", SMALL);
	will_answer(rig->fakes[1], "balloon", NULL);
	rig_add(rig, 0);
	rig_add(rig, 1);
	rig_save(rig);
	restore_gives(rig, 2);
	rig_assert_heard(rig->fakes[0], RESTORED);
	rig_assert_left(rig, 2, true);
	assert_true(g_get_monotonic_time() - started_us >= 9 * G_USEC_PER_SEC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guardian_rig_setup, guardian_rig_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(no_file_is_nothing_to_do),
		TEST(a_file_that_makes_no_sense_is_an_error_and_stays),
		TEST(a_guest_that_was_not_changed_gets_only_its_period_back),
		TEST(a_guest_without_anything_to_restore_is_left_alone),
		TEST(an_unknown_period_is_left_alone),
		TEST(a_guest_that_refuses_its_period_has_its_size_back),
		TEST(a_guest_that_refuses_its_size_has_its_period_back_and_stays),
		TEST(a_guest_without_a_socket_in_a_living_process_stays),
		TEST(a_guest_whose_process_and_socket_are_gone_needs_nothing),
		TEST(a_guest_that_was_renamed_is_the_same),
		TEST(a_guest_in_another_process_is_not_touched),
		TEST(without_a_process_the_uuid_identifies_the_guest),
		TEST(without_a_uuid_the_name_identifies_the_guest),
		TEST(what_people_set_stays_for_the_next_daemon),
		TEST(a_guest_that_was_given_more_gives_it_back_if_it_can_spare_it),
		TEST(a_guest_keeps_of_what_it_was_given_what_it_cannot_spare),
		TEST(a_guest_that_needs_what_it_was_given_keeps_it),
		TEST(from_a_guest_that_reports_nothing_nothing_is_taken),
		TEST(a_guest_that_is_too_slow_is_given_up_after_ten_seconds),
	};
	int code = guardian_rig_role(argc, argv);

	return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
