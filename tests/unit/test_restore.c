/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a guest was restored: the rule of restore.h, row by row, and a guest that takes long. */
#include "aerostatd/restore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/size.h"
#include "policy/policy.h"

#define UNKNOWN_MIB UINT64_MAX

static uint64_t bytes(uint64_t mib)
{
	return mib == UNKNOWN_MIB ? HV_UNSET : mib * SIZE_MIB;
}

static void an_attempt_is_done_gone_or_failed(void **state)
{
	/* The guest had 512 MiB before; sizes in MiB: when the attempt began, target, at last. */
	static const struct {
		const char *what;
		enum restore_outcome outcome;
		enum process_state process;
		int found;
		bool resized, period_failed;
		uint64_t from, target, actual;
	} rows[] = {
		/* Sizes. */
		{ "it has its size", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false, 300,
		  512, 512 },
		{ "a huge page short", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false, 300,
		  512, 508 },
		{ "more than that short", RESTORE_FAILED, PROCESS_RUNNING, FOUND_SAME, true, false,
		  300, 512, 507 },
		{ "grown beyond it", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false, 300,
		  512, 600 },
		{ "it had its size already", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false,
		  512, 512, 512 },
		{ "it shrank to its size", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false,
		  900, 512, 512 },
		{ "a huge page too large", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false,
		  900, 512, 516 },
		{ "it is still shrinking", RESTORE_FAILED, PROCESS_RUNNING, FOUND_SAME, true, false,
		  900, 512, 517 },
		{ "shrunk beyond it", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true, false, 900,
		  512, 400 },
		{ "it keeps what it needs", RESTORE_FAILED, PROCESS_RUNNING, FOUND_SAME, true,
		  false, 900, 700, 700 },
		{ "its target was not taken", RESTORE_FAILED, PROCESS_RUNNING, FOUND_SAME, true,
		  false, 300, UNKNOWN_MIB, 512 },
		{ "its size cannot be read", RESTORE_FAILED, PROCESS_RUNNING, FOUND_SAME, true,
		  false, 300, 512, UNKNOWN_MIB },
		{ "its size was unknown before", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, true,
		  false, UNKNOWN_MIB, 512, 512 },
		/* Periods. */
		{ "only its period", RESTORE_DONE, PROCESS_RUNNING, FOUND_SAME, false, false, 300,
		  UNKNOWN_MIB, UNKNOWN_MIB },
		{ "its period failed", RESTORE_FAILED, PROCESS_RUNNING, FOUND_SAME, false, true,
		  300, UNKNOWN_MIB, UNKNOWN_MIB },
		{ "its size is back, its period failed", RESTORE_FAILED, PROCESS_RUNNING,
		  FOUND_SAME, true, true, 300, 512, 512 },
		/* A guest that ended is no failure, whatever came of the attempt. */
		{ "it ended in the middle", RESTORE_GONE, PROCESS_ENDED, FOUND_SAME, true, true,
		  300, 512, 400 },
		{ "it ended before", RESTORE_GONE, PROCESS_ENDED, FOUND_UNKNOWN, true, false,
		  UNKNOWN_MIB, UNKNOWN_MIB, UNKNOWN_MIB },
		{ "it ended, unchanged", RESTORE_GONE, PROCESS_ENDED, FOUND_UNKNOWN, false, false,
		  UNKNOWN_MIB, UNKNOWN_MIB, UNKNOWN_MIB },
		{ "another guest is in its place", RESTORE_GONE, PROCESS_UNKNOWN, FOUND_ANOTHER,
		  true, false, UNKNOWN_MIB, UNKNOWN_MIB, UNKNOWN_MIB },
		{ "libvirt does not run it", RESTORE_GONE, PROCESS_UNKNOWN, FOUND_NONE, true, false,
		  UNKNOWN_MIB, UNKNOWN_MIB, UNKNOWN_MIB },
		/* Without proof nothing is gone. */
		{ "libvirt does not run it, but its process is seen", RESTORE_FAILED,
		  PROCESS_RUNNING, FOUND_NONE, true, false, UNKNOWN_MIB, UNKNOWN_MIB, UNKNOWN_MIB },
		{ "no answer", RESTORE_FAILED, PROCESS_RUNNING, FOUND_UNKNOWN, true, false,
		  UNKNOWN_MIB, UNKNOWN_MIB, UNKNOWN_MIB },
		{ "no answer, and its process could not be looked at", RESTORE_FAILED,
		  PROCESS_UNKNOWN, FOUND_UNKNOWN, true, false, UNKNOWN_MIB, UNKNOWN_MIB,
		  UNKNOWN_MIB },
		{ "its process could not be looked at, but it has its size", RESTORE_DONE,
		  PROCESS_UNKNOWN, FOUND_SAME, true, false, 300, 512, 512 },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct restore_evidence evidence = {
			.process = rows[i].process,
			.found = rows[i].found,
			.period_failed = rows[i].period_failed,
			.resized = rows[i].resized,
			.saved_bytes = bytes(512),
			.from_bytes = bytes(rows[i].from),
			.target_bytes = bytes(rows[i].target),
			.actual_bytes = bytes(rows[i].actual),
		};

		if (restore_judge(&evidence) != rows[i].outcome)
			fail_msg("%s", rows[i].what);
	}
}

static void the_end_of_its_process_proves_nothing_of_a_guest_that_may_have_moved(void **state)
{
	struct restore_evidence evidence = {
		.process = PROCESS_ENDED, .may_move = true, .found = FOUND_UNKNOWN, .resized = true
	};

	(void)state;
	assert_int_equal(restore_judge(&evidence), RESTORE_FAILED);
	evidence.found = FOUND_NONE;
	assert_int_equal(restore_judge(&evidence), RESTORE_GONE);
	evidence.found = FOUND_ANOTHER;
	assert_int_equal(restore_judge(&evidence), RESTORE_GONE);
}

/*
 * A guest that does not arrive
 */

#define SHORT_MS 1000

static struct {
	uint64_t actual_bytes, step_bytes;
	unsigned int reads; /* of its size, since it was set */
} slow;

static bool read_info(hv_guest *guest, int64_t deadline, hv_info *info, GError **error)
{
	(void)guest;
	(void)deadline;
	(void)error;
	*info = (hv_info){ .state = HV_STATE_RUNNING,
			   .pid = getpid(),
			   .max_bytes = bytes(1024),
			   .actual_bytes = slow.actual_bytes };
	return true;
}

static bool set_size(hv_guest *guest, int64_t deadline, uint64_t size, unsigned int scope,
		     GError **error)
{
	(void)guest;
	(void)deadline;
	(void)scope;
	(void)error;
	assert_int_equal(size, bytes(512));
	slow.reads = 0;
	return true;
}

static bool read_size(hv_guest *guest, int64_t deadline, uint64_t *size, GError **error)
{
	(void)guest;
	(void)deadline;
	(void)error;
	*size = slow.actual_bytes += slow.step_bytes;
	slow.reads++;
	return true;
}

/* Restores it from 256 to 512 MiB in too short a time, in which its size is read more than once. */
static enum restore_outcome restore_slowly(uint64_t step_bytes)
{
	static const struct hv_ops ops = {
		.kind = "qmp", .info = read_info, .balloon_set = set_size, .balloon_get = read_size
	};
	hv_guest guest = { .ops = &ops, .address = (char *)"qmp:/a", .source = (char *)"qmp" };
	const struct saved_guest saved = { .source = guest.source,
					   .address = guest.address,
					   .name = guest.address,
					   .pid = getpid(),
					   .start_ticks = process_start_ticks(getpid()),
					   .before_bytes = bytes(512),
					   .max_bytes = bytes(1024),
					   .before_period_s = -1,
					   .changed = true,
					   .mode = -1,
					   .held_bytes = HV_UNSET };
	enum restore_outcome outcome;

	do {
		g_autoptr(GError) error = NULL;

		slow.actual_bytes = bytes(256);
		slow.step_bytes = step_bytes;
		outcome = restore_guest(&guest, &saved, hv_deadline_ms(SHORT_MS), NULL, &error);
		assert_non_null(error);
	} while (slow.reads < 3);
	return outcome;
}

static void a_guest_that_is_moving_when_the_time_is_over_is_no_failure(void **state)
{
	struct saved_guest saved = { .changed = true, .before_period_s = -1, .mode = -1 };

	(void)state;
	assert_int_equal(restore_slowly(4096), RESTORE_MOVING);
	assert_true(restore_update_entry(&saved, RESTORE_MOVING));
	assert_true(saved.changed);
}

static void a_guest_that_stands_still_on_its_way_is_a_failure(void **state)
{
	(void)state;
	assert_int_equal(restore_slowly(0), RESTORE_FAILED);
}

static void a_guest_that_goes_the_other_way_is_a_failure(void **state)
{
	(void)state;
	assert_int_equal(restore_slowly(-UINT64_C(4096)), RESTORE_FAILED);
}

static void the_file_keeps_what_is_still_needed(void **state)
{
	static const struct {
		bool changed;
		int period_s, mode;
		enum restore_outcome outcome;
		bool stays;
	} rows[] = {
		{ true, -1, -1, RESTORE_DONE, false },
		{ true, 7, -1, RESTORE_DONE, false },
		{ true, -1, -1, RESTORE_FAILED, true },
		{ true, 7, -1, RESTORE_GONE, false },
		{ false, 7, -1, RESTORE_DONE, false },
		{ false, 7, -1, RESTORE_FAILED, true },
		{ false, -1, -1, RESTORE_FAILED, false },
		{ false, MANAGED_STATS_PERIOD_S, -1, RESTORE_FAILED, false },
		{ false, -1, POLICY_HELD, RESTORE_DONE, true },
		{ false, -1, POLICY_HELD, RESTORE_FAILED, true },
		{ true, 7, POLICY_OFF, RESTORE_DONE, true },
		{ true, 7, POLICY_HELD, RESTORE_GONE, false },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct saved_guest saved = { .changed = rows[i].changed,
					     .before_period_s = rows[i].period_s,
					     .mode = rows[i].mode };

		if (restore_update_entry(&saved, rows[i].outcome) != rows[i].stays)
			fail_msg("row %zu", i);
		if (rows[i].outcome == RESTORE_DONE && restore_is_needed(&saved))
			fail_msg("row %zu is to be restored again", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_attempt_is_done_gone_or_failed),
		cmocka_unit_test(
			the_end_of_its_process_proves_nothing_of_a_guest_that_may_have_moved),
		cmocka_unit_test(a_guest_that_is_moving_when_the_time_is_over_is_no_failure),
		cmocka_unit_test(a_guest_that_stands_still_on_its_way_is_a_failure),
		cmocka_unit_test(a_guest_that_goes_the_other_way_is_a_failure),
		cmocka_unit_test(the_file_keeps_what_is_still_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
