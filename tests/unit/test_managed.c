/* SPDX-License-Identifier: BSD-3-Clause */
/* What the manager makes of a guest's answers: who it is, and who set its size. */
#include "aerostatd/managed.h"
#include "policy/floor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define S G_USEC_PER_SEC
#define PID 4711

static struct managed *guest;
static int64_t now_us;
static uint64_t faults;

static int set_up(void **state)
{
	const hv_guest found = { .address = (char *)"qmp:/run/a.qmp", .source = (char *)"qmp" };

	(void)state;
	guest = managed_new(1, &found, NULL);
	now_us = 100 * S;
	faults = 1000;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	managed_free(guest);
	return 0;
}

static hv_info running(uint64_t actual_mib)
{
	return (hv_info){
		.name = (char *)"alpha",
		.uuid = (char *)"u-1",
		.state = HV_STATE_RUNNING,
		.pid = PID,
		.max_bytes = 1024 * MIB,
		.actual_bytes = actual_mib * MIB,
		.has_balloon = true,
		.autodeflate = 0,
		.driver = HV_DRIVER_READY,
	};
}

static void set_mode(enum policy_mode mode)
{
	const struct policy_rules rules = {
		.mode = mode,
		.min_bytes = HV_UNSET,
		.max_bytes = HV_UNSET,
		.weight = 1,
	};

	managed_set_rules(guest, &rules);
}

/* What would be saved of @of. */
static struct saved_guest saved_of(const struct managed *of)
{
	struct saved_guest saved;

	managed_save(of, &saved);
	return saved;
}

/* A second later it answers with @info, and with statistics @age_us old. */
static enum managed_change answers_with(const hv_info *info, int64_t age_us)
{
	struct worker_sample sample = {
		.info = info,
		.actual_then_bytes = info->actual_bytes,
		.resident_bytes = HV_UNSET,
		.before_period_s = 0,
	};

	now_us += S;
	sample.answered_us = sample.info_us = now_us;
	sample.stats_us = sample.heard_us = now_us - age_us;
	for (int i = 0; i < HV_STAT_COUNT; i++)
		sample.stats.value[i] = HV_UNSET;
	sample.stats.value[HV_STAT_MINOR_FAULT] = faults;
	return managed_take_sample(guest, &sample);
}

static enum managed_change answers(uint64_t actual_mib)
{
	hv_info info = running(actual_mib);

	return answers_with(&info, 0);
}

/* Our target is @mib, and the guest has that soon and for a while. */
static void is_set_to(uint64_t mib)
{
	managed_send_target(guest, mib * MIB, now_us);
	for (int i = 0; i < 3; i++)
		answers(mib);
}

/* It had @had MiB, our target, and then has @has for as long as it takes to be noticed. */
static enum managed_change moves(uint64_t had, uint64_t has)
{
	enum managed_change change = MANAGED_UNCHANGED;

	answers(1024);
	is_set_to(had);
	for (int i = 0; i < 12 && change == MANAGED_UNCHANGED; i++)
		change = answers(has);
	return change;
}

static void the_first_answer_says_who_it_is(void **state)
{
	(void)state;
	assert_string_equal(guest->name, "qmp:/run/a.qmp");
	assert_int_equal(answers(1024), MANAGED_FIRST_ANSWER);
	assert_string_equal(guest->name, "alpha");
	assert_true(guest->answered);
	assert_int_equal(answers(1024), MANAGED_UNCHANGED);
}

static void another_process_under_the_same_address_is_another_guest(void **state)
{
	hv_info other = running(1024);

	(void)state;
	answers(1024);
	other.pid = PID + 1;
	assert_int_equal(answers_with(&other, 0), MANAGED_REPLACED);
	assert_int_equal(guest->pid, PID);
}

static void another_uuid_under_the_same_address_is_another_guest(void **state)
{
	hv_info other = running(1024);

	(void)state;
	answers(1024);
	other.uuid = (char *)"u-2";
	assert_int_equal(answers_with(&other, 0), MANAGED_REPLACED);
}

static void a_guest_that_follows_its_target_is_not_resized(void **state)
{
	(void)state;
	answers(1024);
	managed_send_target(guest, 512 * MIB, now_us);
	for (uint64_t mib = 1000; mib >= 512; mib -= 61)
		assert_int_equal(answers(mib), MANAGED_UNCHANGED);
	for (int i = 0; i < 5; i++)
		assert_int_equal(answers(512), MANAGED_UNCHANGED);
}

static void a_guest_that_is_slow_to_follow_is_not_resized(void **state)
{
	(void)state;
	answers(1024);
	is_set_to(512);
	managed_send_target(guest, 768 * MIB, now_us);
	for (int i = 0; i < 5; i++)
		assert_int_equal(answers(512), MANAGED_UNCHANGED);
}

static void a_guest_that_leaves_its_target_was_resized(void **state)
{
	(void)state;
	assert_int_equal(moves(768, 500), MANAGED_RESIZED);
}

static void a_guest_that_grows_beyond_its_target_was_resized(void **state)
{
	(void)state;
	assert_int_equal(moves(512, 800), MANAGED_RESIZED);
}

static void a_huge_page_off_the_target_is_no_move(void **state)
{
	(void)state;
	assert_int_equal(moves(512, 515), MANAGED_UNCHANGED);
}

static void a_guest_that_deflates_on_oom_grows_by_itself(void **state)
{
	hv_info info = running(512);

	(void)state;
	answers(1024);
	managed_send_target(guest, 512 * MIB, now_us);
	info.autodeflate = 1;
	for (int i = 0; i < 3; i++)
		answers_with(&info, 0);
	info.actual_bytes = 600 * MIB;
	for (int i = 0; i < 5; i++)
		assert_int_equal(answers_with(&info, 0), MANAGED_UNCHANGED);
	info.actual_bytes = 400 * MIB;
	for (int i = 0; i < 3; i++)
		assert_int_equal(answers_with(&info, 0), MANAGED_UNCHANGED);
	assert_int_equal(answers_with(&info, 0), MANAGED_RESIZED);
}

static void a_guest_that_boots_again_is_not_resized(void **state)
{
	(void)state;
	answers(1024);
	is_set_to(512);
	answers(1024);
	faults = 10;
	for (int i = 0; i < 5; i++)
		assert_int_equal(answers(1024), MANAGED_UNCHANGED);
}

static void a_guest_without_fresh_statistics_is_not_resized(void **state)
{
	hv_info info = running(1024);

	(void)state;
	answers(1024);
	is_set_to(512);
	for (int i = 1; i < 6; i++)
		assert_int_equal(answers_with(&info, i * S + S), MANAGED_UNCHANGED);
}

static void a_guest_whose_driver_comes_back_is_not_resized(void **state)
{
	hv_info info = running(1024);

	(void)state;
	answers(1024);
	is_set_to(512);
	for (int i = 1; i < 4; i++)
		answers_with(&info, i * S);
	info.driver = HV_DRIVER_ABSENT;
	for (int i = 4; i < 8; i++)
		answers_with(&info, i * S);
	/* It is there, and has not begun to inflate. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(answers(1024), MANAGED_UNCHANGED);
	assert_int_equal(moves(512, 800), MANAGED_RESIZED);
}

static void a_guest_that_stands_still_below_its_target_is_reminded(void **state)
{
	(void)state;
	answers(512);
	managed_send_target(guest, 768 * MIB, now_us);
	answers(600);
	managed_update_view(guest, now_us, false);
	assert_false(managed_needs_reminder(guest, now_us));
	for (int i = 0; i < 5; i++)
		answers(600);
	managed_update_view(guest, now_us, false);
	assert_true(managed_needs_reminder(guest, now_us));
	set_mode(POLICY_OBSERVE);
	managed_update_view(guest, now_us, false);
	assert_false(managed_needs_reminder(guest, now_us));
	set_mode(POLICY_AUTO);
	managed_update_view(guest, now_us, false);
	managed_send_target(guest, 768 * MIB, now_us);
	assert_false(managed_needs_reminder(guest, now_us));
}

static void a_guest_that_does_not_shrink_is_not_reminded(void **state)
{
	(void)state;
	answers(1024);
	managed_send_target(guest, 512 * MIB, now_us);
	for (int i = 0; i < 7; i++)
		answers(900);
	managed_update_view(guest, now_us, false);
	assert_false(managed_needs_reminder(guest, now_us));
}

static void the_policy_sees_who_cannot_act(void **state)
{
	hv_info info = running(1024);

	(void)state;
	answers(1024);
	managed_update_view(guest, now_us, false);
	assert_true(guest->seen.reachable && guest->seen.has_driver && !guest->seen.cannot_shrink);
	managed_update_view(guest, now_us + ANSWER_US + 1, false);
	assert_false(guest->seen.reachable);

	info.state = HV_STATE_PAUSED;
	answers_with(&info, 0);
	managed_update_view(guest, now_us, false);
	assert_false(guest->seen.reachable);
	assert_string_equal(guest->problem, "it is paused, so its driver cannot act");

	info = running(1024);
	info.driver = HV_DRIVER_ABSENT;
	answers_with(&info, 0);
	managed_update_view(guest, now_us, false);
	assert_true(guest->seen.reachable);
	assert_false(guest->seen.has_driver);

	guest->obstacle = HV_OBSTACLE_DEVICES;
	managed_update_view(guest, now_us, false);
	assert_true(guest->seen.cannot_shrink);
}

static void a_guest_without_a_balloon_has_all_of_its_memory(void **state)
{
	hv_info info = running(1024);

	(void)state;
	info.has_balloon = false;
	info.actual_bytes = HV_UNSET;
	answers_with(&info, 0);
	assert_int_equal(guest->seen.actual_bytes, 1024 * MIB);
}

static void a_guest_that_claims_to_have_nothing_can_be_restored(void **state)
{
	(void)state;
	answers(0);
	assert_true(guest->seen.actual_bytes > 0);
	answers(9000);
	assert_int_equal(guest->seen.actual_bytes, 1024 * MIB);
}

static void statistics_that_cannot_be_dated_are_no_silence(void **state)
{
	const hv_info info = running(500);
	struct worker_sample sample = { .info = &info };

	(void)state;
	sample.stats.value[HV_STAT_MINOR_FAULT] = HV_UNSET;
	answers(1024);
	is_set_to(768);
	for (int i = 0; i < 5; i++) {
		now_us += S;
		sample.answered_us = sample.heard_us = sample.info_us = now_us;
		if (managed_take_sample(guest, &sample) == MANAGED_RESIZED)
			return;
	}
	fail_msg("it was not seen to be moved");
}

static void its_period_is_how_it_was_first(void **state)
{
	const hv_info info = running(1024);
	const struct worker_sample later = { .info = &info, .before_period_s = 1 };

	(void)state;
	answers(1024);
	managed_take_sample(guest, &later);
	assert_int_equal(saved_of(guest).before_period_s, 0);
}

static struct policy_decision decide_on(uint64_t mib)
{
	return (struct policy_decision){ .target_bytes = mib * MIB, .text = "because" };
}

/* It stands still for long enough to be settled, and the policy is shown that. */
static void stands_still_at(uint64_t mib)
{
	for (int i = 0; i < 4; i++)
		answers(mib);
	managed_update_view(guest, now_us, false);
}

static void what_a_person_chose_outlives_the_daemon(void **state)
{
	const hv_guest found = { .address = (char *)"qmp:/run/a.qmp", .source = (char *)"qmp" };
	struct managed *again = managed_new(2, &found, NULL);
	struct saved_guest saved;

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	managed_set_person_mode(guest, POLICY_HELD, 512 * MIB, now_us);
	saved = saved_of(guest);
	managed_init_saved(again, &saved);
	assert_int_equal(managed_mode(again), POLICY_HELD);
	assert_true(again->mode_by_person && !saved_of(again).changed);
	assert_int_equal(again->before_bytes, 1024 * MIB);
	assert_int_equal(again->held_bytes, 512 * MIB);
	assert_int_equal(saved_of(again).before_period_s, 0);
	managed_free(again);
}

static void what_the_daemon_before_did_not_change_is_as_it_is_now(void **state)
{
	const struct saved_guest saved = { .before_bytes = 700 * MIB, .mode = -1 };

	(void)state;
	answers(512);
	managed_init_saved(guest, &saved);
	assert_int_equal(guest->before_bytes, 512 * MIB);
}

static void the_size_from_before_is_that_before_the_first_change(void **state)
{
	const struct policy_decision first = decide_on(700), second = decide_on(600);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	stands_still_at(1000);
	assert_true(managed_take_decision(guest, &first));
	assert_true(managed_wants_target(guest));
	managed_send_target(guest, 700 * MIB, now_us);
	answers(700);
	managed_update_view(guest, now_us, false);
	assert_false(managed_take_decision(guest, &second));
	assert_int_equal(guest->before_bytes, 1000 * MIB);
	assert_true(saved_of(guest).changed);
}

static void a_guest_whose_size_moves_is_not_changed_for_the_first_time(void **state)
{
	const struct policy_decision first = decide_on(700);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	for (uint64_t mib = 1000; mib >= 900; mib -= 10) {
		answers(mib);
		managed_update_view(guest, now_us, false);
		assert_false(managed_take_decision(guest, &first));
		assert_false(managed_wants_target(guest));
	}
	stands_still_at(900);
	assert_true(managed_take_decision(guest, &first));
	assert_int_equal(guest->before_bytes, 900 * MIB);
}

static void a_decision_that_changes_nothing_is_not_carried_out(void **state)
{
	const struct policy_decision same = decide_on(1024), other = decide_on(700);

	(void)state;
	answers(1024);
	managed_update_view(guest, now_us, false);
	assert_false(managed_take_decision(guest, &same));
	assert_false(managed_wants_target(guest));
	set_mode(POLICY_OBSERVE);
	managed_update_view(guest, now_us, false);
	assert_false(managed_take_decision(guest, &other));
	assert_false(managed_wants_target(guest));
	assert_false(saved_of(guest).changed);
}

static void a_size_that_a_person_chose_is_not_its_own(void **state)
{
	const struct policy_decision less = decide_on(700);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	stands_still_at(1024);
	managed_take_decision(guest, &less);
	managed_send_target(guest, 700 * MIB, now_us);
	managed_set_person_mode(guest, POLICY_HELD, 800 * MIB, now_us);
	assert_int_equal(guest->before_bytes, 1024 * MIB);
	assert_int_equal(managed_target(guest), 800 * MIB);
	/* It is left at that until it returns to auto. */
	assert_false(saved_of(guest).changed);
	managed_set_person_mode(guest, POLICY_AUTO, HV_UNSET, now_us);
	assert_int_equal(managed_mode(guest), POLICY_AUTO);
	assert_int_equal(guest->before_bytes, 1024 * MIB);
	assert_true(saved_of(guest).changed);
}

static void a_guest_that_is_held_and_returned_at_once_keeps_its_own_size(void **state)
{
	const struct policy_decision less = decide_on(400);

	(void)state;
	answers(512);
	managed_init_saved(guest, NULL);
	stands_still_at(512);
	managed_set_person_mode(guest, POLICY_HELD, 300 * MIB, now_us);
	stands_still_at(300);
	managed_set_person_mode(guest, POLICY_HELD, 512 * MIB, now_us);
	managed_set_person_mode(guest, POLICY_AUTO, HV_UNSET, now_us);
	answers(496);
	managed_update_view(guest, now_us, false);
	managed_take_decision(guest, &less);
	assert_true(managed_wants_target(guest));
	assert_int_equal(guest->before_bytes, 512 * MIB);
}

static void a_person_can_declare_its_own_size(void **state)
{
	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	managed_set_own_size(guest, 600 * MIB);
	stands_still_at(1024);
	assert_int_equal(guest->before_bytes, 600 * MIB);
	assert_true(saved_of(guest).changed);
}

static void a_guest_that_may_have_been_resized_is_not_changed(void **state)
{
	const struct policy_decision more = decide_on(900);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	managed_set_own_size(guest, 1024 * MIB);
	is_set_to(768);
	answers(600);
	managed_update_view(guest, now_us, false);
	managed_take_decision(guest, &more);
	assert_false(managed_wants_target(guest));
}

static void a_guest_that_is_not_as_it_was_saved_may_be_filling_its_balloon(void **state)
{
	const struct saved_guest saved = { .before_bytes = 700 * MIB, .mode = -1 };
	const struct policy_decision less = decide_on(500);

	(void)state;
	answers(900);
	managed_init_saved(guest, &saved);
	stands_still_at(900);
	managed_take_decision(guest, &less);
	assert_false(managed_wants_target(guest));
	for (int i = 0; i < 3; i++)
		stands_still_at(900);
	managed_take_decision(guest, &less);
	assert_true(managed_wants_target(guest));
}

static void a_size_set_past_the_daemon_is_held_where_it_comes_to_rest(void **state)
{
	(void)state;
	assert_int_equal(moves(768, 500), MANAGED_RESIZED);
	managed_set_person_mode(guest, POLICY_HELD, HV_UNSET, now_us);
	answers(450);
	assert_int_equal(guest->held_bytes, HV_UNSET);
	stands_still_at(400);
	assert_int_equal(guest->held_bytes, 400 * MIB);
}

static void sizes_move_with_the_maximum(void **state)
{
	hv_info info = running(512 + 128);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	stands_still_at(1000);
	managed_send_target(guest, 512 * MIB, now_us);
	managed_set_own_size(guest, 1000 * MIB);
	answers(512);
	/* Its size is read more often than its maximum. */
	answers(512 + 128);
	info.max_bytes += 128 * MIB;
	for (int i = 0; i < 15; i++)
		assert_int_equal(answers_with(&info, 0), MANAGED_UNCHANGED);
	assert_int_equal(managed_target(guest), (512 + 128) * MIB);
	assert_int_equal(guest->before_bytes, (1000 + 128) * MIB);
	for (int i = 0; i < 15; i++)
		assert_int_equal(answers(512), MANAGED_UNCHANGED);
	assert_int_equal(managed_target(guest), 512 * MIB);
	assert_int_equal(guest->before_bytes, 1000 * MIB);
}

static void a_target_that_was_sent_while_the_maximum_moved_is_unknown(void **state)
{
	hv_info info = running(700);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	is_set_to(512);
	set_mode(POLICY_OBSERVE);
	managed_send_target(guest, 700 * MIB, now_us);
	info.max_bytes += 128 * MIB;
	answers_with(&info, 0);
	assert_int_equal(managed_target(guest), HV_UNSET);
}

static void a_target_that_would_be_too_low_is_sent_higher_or_unknown(void **state)
{
	const enum policy_mode modes[] = { POLICY_AUTO, POLICY_OBSERVE };
	const uint64_t expected[] = { HEADROOM_MIN_BYTES, HV_UNSET };
	hv_info info = running(72);

	(void)state;
	for (int i = 0; i < 2; i++) {
		answers(1024);
		set_mode(modes[i]);
		is_set_to(200);
		info.max_bytes = (1024 - 128) * MIB;
		for (int j = 0; j < 15; j++)
			assert_int_equal(answers_with(&info, 0), MANAGED_UNCHANGED);
		assert_int_equal(managed_target(guest), 72 * MIB);
		info.max_bytes = (1024 - 256) * MIB;
		answers_with(&info, 0);
		assert_int_equal(managed_target(guest), expected[i]);
		managed_send_target(guest, 1024 * MIB, now_us);
	}
}

static void a_target_is_sent_again_when_the_maximum_has_moved(void **state)
{
	hv_info info = running(512 + 128);
	uint64_t times;

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	is_set_to(512);
	times = guest->times_set;
	info.max_bytes += 128 * MIB;
	answers_with(&info, 0);
	assert_int_equal(guest->times_set, times + 1);
	assert_int_equal(managed_target(guest), (512 + 128) * MIB);
}

static void a_held_size_moves_with_the_maximum(void **state)
{
	hv_info info = running(400 + 128);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	managed_set_person_mode(guest, POLICY_HELD, 400 * MIB, now_us);
	answers(400);
	info.max_bytes += 128 * MIB;
	answers_with(&info, 0);
	assert_int_equal(guest->held_bytes, (400 + 128) * MIB);
	assert_int_equal(managed_target(guest), (400 + 128) * MIB);
}

static void what_was_saved_at_another_maximum_moves_with_it(void **state)
{
	const struct saved_guest saved = { .before_bytes = 700 * MIB,
					   .max_bytes = 896 * MIB,
					   .changed = true,
					   .mode = POLICY_HELD,
					   .held_bytes = 500 * MIB };

	(void)state;
	answers(600);
	managed_init_saved(guest, &saved);
	assert_int_equal(guest->before_bytes, 828 * MIB);
	assert_int_equal(guest->held_bytes, 628 * MIB);
}

static void a_maximum_that_comes_back_brings_its_own_size_back(void **state)
{
	hv_info small = running(100);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	managed_set_own_size(guest, 600 * MIB);
	small.max_bytes = 128 * MIB;
	answers_with(&small, 0);
	assert_int_equal(guest->before_bytes, HEADROOM_MIN_BYTES);
	answers(512);
	assert_int_equal(guest->before_bytes, 600 * MIB);
}

static void a_refused_target_is_unknown(void **state)
{
	g_autoptr(GError) error = g_error_new_literal(HV_ERROR, HV_ERROR_REFUSED, "no");

	(void)state;
	answers(1024);
	managed_send_target(guest, 700 * MIB, now_us);
	managed_note_target(guest, 600 * MIB, error);
	assert_int_equal(managed_target(guest), 700 * MIB);
	managed_note_target(guest, 700 * MIB, error);
	assert_int_equal(managed_target(guest), HV_UNSET);
	assert_int_equal(guest->times_failed, 2);
}

static void a_guest_whose_first_target_was_never_sent_is_as_it_was(void **state)
{
	const struct policy_decision first = decide_on(700);

	(void)state;
	answers(1024);
	managed_init_saved(guest, NULL);
	stands_still_at(1000);
	assert_true(managed_take_decision(guest, &first));
	assert_true(managed_forget_unset(guest));
	assert_false(saved_of(guest).changed || saved_of(guest).was_set);
}

static void a_process_that_runs_several_guests_says_nothing_of_one(void **state)
{
	(void)state;
	answers(1024);
	guest->seen.resident_bytes = 5;
	managed_update_view(guest, now_us, false);
	assert_int_equal(guest->seen.resident_bytes, 5);
	managed_update_view(guest, now_us, true);
	assert_int_equal(guest->seen.resident_bytes, HV_UNSET);
}

static void a_guest_is_called_by_name_uuid_and_address(void **state)
{
	(void)state;
	assert_true(managed_is_called(guest, "qmp:/run/a.qmp"));
	answers(1024);
	assert_true(managed_is_called(guest, "alpha"));
	assert_true(managed_is_called(guest, "u-1"));
	assert_true(managed_is_called(guest, "qmp:/run/a.qmp"));
	assert_false(managed_is_called(guest, "beta"));
}

static void a_guest_that_stops_answering_is_silent(void **state)
{
	(void)state;
	assert_false(managed_is_silent(guest, now_us));
	answers(1024);
	assert_false(managed_is_silent(guest, now_us + ANSWER_US));
	assert_true(managed_is_silent(guest, now_us + ANSWER_US + 1));
	managed_set_problem(guest, "it does not answer");
	assert_false(managed_is_silent(guest, now_us + ANSWER_US + 1));
}

static void the_newest_changes_are_remembered(void **state)
{
	const struct managed_past *newest;

	(void)state;
	answers(1024);
	for (unsigned int i = 0; i < HISTORY_KEPT + 5; i++) {
		guest->decision.target_bytes = i;
		managed_add_history(guest);
	}
	newest = g_queue_peek_head(&guest->history);
	assert_int_equal(g_queue_get_length(&guest->history), HISTORY_KEPT);
	assert_int_equal(newest->decision.target_bytes, HISTORY_KEPT + 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_answer_says_who_it_is),
		TEST(another_process_under_the_same_address_is_another_guest),
		TEST(another_uuid_under_the_same_address_is_another_guest),
		TEST(a_guest_that_follows_its_target_is_not_resized),
		TEST(a_guest_that_is_slow_to_follow_is_not_resized),
		TEST(a_guest_that_leaves_its_target_was_resized),
		TEST(a_guest_that_grows_beyond_its_target_was_resized),
		TEST(a_huge_page_off_the_target_is_no_move),
		TEST(a_guest_that_deflates_on_oom_grows_by_itself),
		TEST(a_guest_that_boots_again_is_not_resized),
		TEST(a_guest_without_fresh_statistics_is_not_resized),
		TEST(a_guest_whose_driver_comes_back_is_not_resized),
		TEST(a_guest_that_stands_still_below_its_target_is_reminded),
		TEST(a_guest_that_does_not_shrink_is_not_reminded),
		TEST(the_policy_sees_who_cannot_act),
		TEST(what_a_person_chose_outlives_the_daemon),
		TEST(what_the_daemon_before_did_not_change_is_as_it_is_now),
		TEST(a_guest_without_a_balloon_has_all_of_its_memory),
		TEST(its_period_is_how_it_was_first),
		TEST(a_guest_that_claims_to_have_nothing_can_be_restored),
		TEST(statistics_that_cannot_be_dated_are_no_silence),
		TEST(the_newest_changes_are_remembered),
		TEST(the_size_from_before_is_that_before_the_first_change),
		TEST(a_decision_that_changes_nothing_is_not_carried_out),
		TEST(a_guest_whose_size_moves_is_not_changed_for_the_first_time),
		TEST(a_size_that_a_person_chose_is_not_its_own),
		TEST(a_guest_that_is_held_and_returned_at_once_keeps_its_own_size),
		TEST(a_person_can_declare_its_own_size),
		TEST(a_guest_that_may_have_been_resized_is_not_changed),
		TEST(a_guest_that_is_not_as_it_was_saved_may_be_filling_its_balloon),
		TEST(a_size_set_past_the_daemon_is_held_where_it_comes_to_rest),
		TEST(sizes_move_with_the_maximum),
		TEST(a_target_that_was_sent_while_the_maximum_moved_is_unknown),
		TEST(a_target_that_would_be_too_low_is_sent_higher_or_unknown),
		TEST(a_target_is_sent_again_when_the_maximum_has_moved),
		TEST(a_held_size_moves_with_the_maximum),
		TEST(what_was_saved_at_another_maximum_moves_with_it),
		TEST(a_maximum_that_comes_back_brings_its_own_size_back),
		TEST(a_refused_target_is_unknown),
		TEST(a_guest_whose_first_target_was_never_sent_is_as_it_was),
		TEST(a_process_that_runs_several_guests_says_nothing_of_one),
		TEST(a_guest_is_called_by_name_uuid_and_address),
		TEST(a_guest_that_stops_answering_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
