/* SPDX-License-Identifier: BSD-3-Clause */
/* What guests do with memory beyond their balloon's size, as QEMU and aerostat-device report it. */
#include "tests/hang.h"
#include "tests/unit/fake_qemu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define LATER (g_get_monotonic_time() + HANG_US)
#define STATUS "x-query-virtio-status " DEVICE
#define READY "\"status\": {\"statuses\": [\"VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready\"]}"
#define FEATURES(list) "\"return\": {" READY ", \"guest-features\": {\"dev-features\": [" list "]}}"
#define REPORTS "\"VIRTIO_BALLOON_F_REPORTING: Page reporting VQ enabled\""
#define RELIEVES "\"VIRTIO_BALLOON_F_DEFLATE_ON_OOM: Deflate balloon on OOM\""
#define TELLS "\"VIRTIO_BALLOON_F_MUST_TELL_HOST: Tell host before reclaiming pages\""
#define OWN                                                                                        \
	"\"return\": {\"qemu\": {\"micro\": 3, \"minor\": 2, \"major\": 1}, "                      \
	"\"package\": \"aerostat-device 1.2.3\"}"
#define BALLOON(acknowledged, reporting, gate)                                                     \
	"\"return\": {\"acknowledged\": [" acknowledged "], \"reporting\": " reporting gate "}"
#define GATE ", \"gate\": {\"credit\": null, \"waiting\": false}"

static unsigned int abilities_of(struct fake *fake)
{
	g_auto(hv_info) info = { 0 };

	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	return info.abilities;
}

static void what_qemus_driver_acknowledged_is_an_ability(void **state)
{
	static const struct {
		const char *answer;
		unsigned int abilities;
	} rows[] = {
		{ FEATURES(REPORTS ", " RELIEVES ", " TELLS), HV_CAN_REPORT | HV_CAN_RELIEVE },
		{ FEATURES(REPORTS), HV_CAN_REPORT },
		{ FEATURES(TELLS), 0 },
		{ FEATURES("7, null, \"trim\", \"VIRTIO_BALLOON_F_REPORTING\""), 0 },
		{ "\"return\": {" READY "}", 0 },
		{ "\"return\": {\"guest-features\": 1}", 0 },
		{ NO_COMMAND, 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		will_answer(*state, STATUS, rows[i].answer);
		assert_int_equal(abilities_of(*state), rows[i].abilities);
	}
}

static void our_devices_gate_and_driver_are_known(void **state)
{
	static const struct {
		const char *answer;
		unsigned int abilities;
	} rows[] = {
		{ BALLOON("\"must-tell-host\", \"deflate-on-oom\", \"free-page-reporting\", "
			  "\"trim\"",
			  "true", GATE),
		  HV_CAN_REPORT | HV_CAN_RELIEVE | HV_CAN_TRIM | HV_CAN_GATE },
		/* The kernel's own driver. */
		{ BALLOON("\"must-tell-host\", \"deflate-on-oom\"", "true", GATE),
		  HV_CAN_RELIEVE | HV_CAN_GATE },
		/* Ours, which may not deflate by itself. */
		{ BALLOON("\"must-tell-host\", \"trim\"", "true", GATE),
		  HV_CAN_TRIM | HV_CAN_GATE },
		/* What is reported is not released. */
		{ BALLOON("\"free-page-reporting\"", "false", GATE), 0 },
		/* A device of before there were gates. */
		{ BALLOON("\"must-tell-host\", \"free-page-reporting\"", "true", ""),
		  HV_CAN_REPORT },
		{ NO_COMMAND, 0 },
	};

	will_answer(*state, "query-version", OWN);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		will_answer(*state, "x-query-balloon", rows[i].answer);
		assert_int_equal(abilities_of(*state), rows[i].abilities);
	}
}

/* The mark is no part of what is cached. */
static void a_driver_that_takes_memory_back_early_marks_its_statistics(void **state)
{
	static const struct {
		uint64_t reported, cached;
		bool relieves_early;
	} rows[] = {
		{ 7 * MIB, 7 * MIB, false },
		{ 7 * MIB + HV_RELIEF_MARK, 7 * MIB, true },
		{ HV_RELIEF_MARK, 0, true },
		{ 0, 0, false },
		{ 7 * MIB + 1024, 7 * MIB + 1024, false },
		{ UINT64_MAX, HV_UNSET, false },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *answer = g_strdup_printf(
			"\"return\": {\"stats\": {\"stat-disk-caches\": %" G_GUINT64_FORMAT
			"}, \"last-update\": 7}",
			rows[i].reported);
		struct hv_stats stats;

		will_answer(*state, "qom-get " DEVICE " guest-stats", answer);
		assert_true(
			hv_guest_stats_get(((struct fake *)*state)->guest, LATER, &stats, NULL));
		assert_int_equal(stats.value[HV_STAT_DISK_CACHES], rows[i].cached);
		assert_int_equal(stats.relieves_early, rows[i].relieves_early);
	}
}

static void only_a_device_with_a_gate_reports_pulls(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "query-version", OWN);
	will_answer(fake, "x-query-balloon", BALLOON("", "true", ""));
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_null(info.control);
	hv_info_clear(&info);
	will_answer(fake, "x-query-balloon", BALLOON("", "true", GATE));
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_string_equal(info.control, fake->path);
}

static void credit_and_trim_are_passed_on(void **state)
{
	struct fake *fake = *state;
	g_autofree char *all = NULL;

	assert_true(hv_guest_credit_set(fake->guest, LATER, 64 * MIB, 512 * MIB, NULL));
	assert_true(hv_guest_credit_set(fake->guest, LATER, 0, HV_UNSET, NULL));
	assert_true(hv_guest_credit_set(fake->guest, LATER, HV_UNSET, HV_UNSET, NULL));
	assert_true(hv_guest_trim(fake->guest, LATER, 32 * MIB, NULL));
	all = heard(fake);
	assert_string_equal(all, "x-set-credit {\"ceiling\":536870912,\"credit\":67108864}\n"
				 "x-set-credit {\"credit\":0}\n"
				 "x-set-credit {}\n"
				 "x-trim=33554432\n");
}

static void a_guest_that_cannot_trim_refuses(void **state)
{
	struct fake *fake = *state;
	g_autoptr(GError) error = NULL;

	will_answer(fake, "x-trim", NO_COMMAND);
	assert_false(hv_guest_trim(fake->guest, LATER, 32 * MIB, &error));
	assert_non_null(error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_qemus_driver_acknowledged_is_an_ability),
		TEST(our_devices_gate_and_driver_are_known),
		TEST(a_driver_that_takes_memory_back_early_marks_its_statistics),
		TEST(only_a_device_with_a_gate_reports_pulls),
		TEST(credit_and_trim_are_passed_on),
		TEST(a_guest_that_cannot_trim_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
