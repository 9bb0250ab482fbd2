/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest can do by itself, and what the daemon asks of it beyond a size. */
#include "aerostatd/managed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define S G_USEC_PER_SEC
#define GATED (HV_CAN_REPORT | HV_CAN_RELIEVE | HV_CAN_TRIM | HV_CAN_GATE)

static struct {
	struct managed *guest;
	int64_t now_us;
	hv_info info;
	uint64_t usable_bytes, refaults, faults;
	bool relieves_early;
	unsigned int credits, trims; /* requests */
	uint64_t credit_bytes, ceiling_bytes, trim_bytes;
} scene;

void __wrap_worker_request_credit(struct worker *worker, uint64_t credit_bytes,
				  uint64_t ceiling_bytes);
void __wrap_worker_request_trim(struct worker *worker, uint64_t bytes);
void __wrap_worker_set_managed(struct worker *worker, bool manage);
void __wrap_worker_request_target(struct worker *worker, uint64_t target_bytes);

void __wrap_worker_request_credit(struct worker *worker, uint64_t credit_bytes,
				  uint64_t ceiling_bytes)
{
	(void)worker;
	scene.credits++;
	scene.credit_bytes = credit_bytes;
	scene.ceiling_bytes = ceiling_bytes;
}

void __wrap_worker_request_trim(struct worker *worker, uint64_t bytes)
{
	(void)worker;
	scene.trims++;
	scene.trim_bytes = bytes;
}

void __wrap_worker_set_managed(struct worker *worker, bool manage)
{
	(void)worker;
	(void)manage;
}

void __wrap_worker_request_target(struct worker *worker, uint64_t target_bytes)
{
	(void)worker;
	(void)target_bytes;
}

static void answer_of_size(uint64_t mib)
{
	struct worker_sample sample = {
		.info = &scene.info,
		.resident_bytes = HV_UNSET,
		.ram_bytes = HV_UNSET,
		.before_period_s = 0,
	};

	scene.info.actual_bytes = mib * MIB;
	scene.now_us += S;
	sample.answered_us = sample.info_us = sample.stats_us = sample.heard_us = scene.now_us;
	for (int i = 0; i < HV_STAT_COUNT; i++)
		sample.stats.value[i] = HV_UNSET;
	sample.stats.value[HV_STAT_USABLE] = scene.usable_bytes;
	sample.stats.value[HV_STAT_REFAULTS_FILE] = scene.refaults;
	sample.stats.value[HV_STAT_MINOR_FAULT] = ++scene.faults;
	sample.stats.relieves_early = scene.relieves_early;
	managed_take_sample(scene.guest, &sample);
	managed_update_view(scene.guest, scene.now_us, false);
}

static uint64_t abilities_of_an_answer(void)
{
	answer_of_size(1024);
	return scene.guest->seen.abilities;
}

static void set_mode(enum policy_mode mode)
{
	const struct policy_rules rules = { mode, HV_UNSET, HV_UNSET, 1 };

	managed_set_rules(scene.guest, &rules);
	managed_update_view(scene.guest, scene.now_us, false);
}

static int set_up(void **state)
{
	static char worker; /* the requests to it are replaced */
	const hv_guest found = { .address = (char *)"qmp:/run/a.qmp", .source = (char *)"qmp" };

	(void)state;
	memset(&scene, 0, sizeof(scene));
	scene.now_us = 100 * S;
	scene.usable_bytes = 300 * MIB;
	scene.refaults = HV_UNSET;
	scene.relieves_early = true;
	scene.info = (hv_info){
		.name = (char *)"alpha",
		.state = HV_STATE_RUNNING,
		.max_bytes = 1024 * MIB,
		.has_balloon = true,
		.driver = HV_DRIVER_READY,
		.abilities = GATED,
	};
	scene.guest = managed_new(1, &found, NULL);
	managed_attach_worker(scene.guest, (struct worker *)&worker);
	set_mode(POLICY_AUTO);
	answer_of_size(1024);
	return 0;
}

/* Makes the decision that it keeps its size, and carries it out. */
static void decide(uint64_t credit_bytes, uint64_t trim_bytes)
{
	const struct policy_decision decision = {
		.target_bytes = managed_present_target(scene.guest),
		.credit_bytes = credit_bytes,
		.ceiling_bytes = 800 * MIB,
		.trim_bytes = trim_bytes,
	};

	managed_take_decision(scene.guest, &decision);
	managed_send_loan(scene.guest);
	if (managed_wants_target(scene.guest))
		managed_send_target(scene.guest, decision.target_bytes, scene.now_us);
}

static void settle(uint64_t mib)
{
	for (int i = 0; i < 15; i++)
		answer_of_size(mib);
	decide(64 * MIB, 0);
	answer_of_size(mib);
}

/* It has its first target, so its gate can be closed. */
static int set_up_settled(void **state)
{
	set_up(state);
	settle(1024);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	managed_detach_worker(scene.guest);
	managed_free(scene.guest);
	return 0;
}

static void what_the_driver_acknowledged_is_shown_to_the_policy(void **state)
{
	(void)state;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_ALL);
	scene.relieves_early = false;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_ALL & ~POLICY_CAN_PULL);
	scene.info.abilities = HV_CAN_RELIEVE;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_RELIEVE);
	scene.info.driver = HV_DRIVER_ABSENT;
	assert_int_equal(abilities_of_an_answer(), 0);
}

/* QEMU's has no gate, and passes on none of its driver's features. */
static void our_driver_on_qemus_device_takes_memory_back_without_a_gate(void **state)
{
	(void)state;
	scene.info.abilities = HV_CAN_RELIEVE;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_RELIEVE | POLICY_CAN_PULL);
	/* Over libvirt. */
	scene.info.driver = HV_DRIVER_UNKNOWN;
	scene.info.abilities = 0;
	scene.info.autodeflate = 1;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_RELIEVE | POLICY_CAN_PULL);
}

static void a_guest_that_the_host_does_not_let_takes_nothing_back(void **state)
{
	(void)state;
	scene.info.abilities = HV_CAN_REPORT;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_REPORT);
}

/* Over libvirt, what the driver acknowledged is not known. */
static void linux_does_what_it_was_offered(void **state)
{
	(void)state;
	scene.relieves_early = false;
	scene.info.driver = HV_DRIVER_UNKNOWN;
	scene.info.abilities = 0;
	assert_int_equal(abilities_of_an_answer(), 0);
	scene.info.free_page_reporting = 1;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_REPORT);
	scene.info.autodeflate = 1;
	assert_int_equal(abilities_of_an_answer(), POLICY_CAN_REPORT | POLICY_CAN_RELIEVE);
	scene.usable_bytes = HV_UNSET;
	assert_int_equal(abilities_of_an_answer(), 0);
}

static void refaults_are_counted_in_bytes(void **state)
{
	(void)state;
	assert_true(scene.guest->seen.refault_bytes == POLICY_UNSET);
	scene.refaults = 3;
	answer_of_size(1024);
	assert_int_equal(scene.guest->seen.refault_bytes, 3 * 4096);
}

static void what_was_pulled_is_reported_once(void **state)
{
	(void)state;
	scene.info.autodeflate = 1;
	answer_of_size(1024);
	managed_send_target(scene.guest, 512 * MIB, scene.now_us);
	for (int i = 0; i < 5; i++)
		answer_of_size(512);
	assert_int_equal(managed_take_pulled(scene.guest), 0);
	answer_of_size(640);
	answer_of_size(640);
	assert_int_equal(managed_take_pulled(scene.guest), 128 * MIB);
	assert_int_equal(managed_take_pulled(scene.guest), 0);
	assert_int_equal(scene.guest->seen.pulled_bytes, 128 * MIB);
}

/* A person's size is no ceiling, and its driver returns to it by itself. */
static void a_held_guest_that_takes_memory_back_is_left_alone(void **state)
{
	(void)state;
	scene.info.autodeflate = 1;
	managed_set_person_mode(scene.guest, POLICY_HELD, 512 * MIB, scene.now_us);
	for (int i = 0; i < 5; i++)
		answer_of_size(512);
	for (int i = 0; i < 60; i++) {
		answer_of_size(640);
		assert_false(managed_wants_target(scene.guest));
		assert_false(managed_needs_reminder(scene.guest, scene.now_us));
	}
	assert_int_equal(managed_take_pulled(scene.guest), 128 * MIB);
	assert_int_equal(managed_mode(scene.guest), POLICY_HELD);
	assert_int_equal(scene.guest->held_bytes, 512 * MIB);
	assert_int_equal(managed_target(scene.guest), 512 * MIB);
	assert_int_equal(scene.guest->times_set, 1);
}

static void a_credit_is_renewed_each_round(void **state)
{
	(void)state;
	decide(64 * MIB, 0);
	decide(32 * MIB, 0);
	assert_int_equal(scene.credits, 2);
	assert_int_equal(scene.credit_bytes, 32 * MIB);
	assert_int_equal(scene.ceiling_bytes, 800 * MIB);
	assert_int_equal(scene.trims, 0);
}

static void a_guest_is_bounded_once_its_own_size_is_known(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		decide(64 * MIB, 0);
		assert_int_equal(scene.credits, 0);
		answer_of_size((uint64_t)(1020 - 16 * i)); /* it moves */
	}
	settle(972);
	assert_int_equal(managed_target(scene.guest), 972 * MIB);
	decide(64 * MIB, 0);
	assert_int_equal(scene.credits, 1);
	/* What it takes back does not make its size unknown again. */
	answer_of_size(988);
	decide(64 * MIB, 0);
	assert_int_equal(scene.credits, 2);
	assert_int_equal(scene.credit_bytes, 64 * MIB);
}

static void a_guest_without_a_gate_is_sent_no_credit(void **state)
{
	(void)state;
	scene.info.abilities &= ~(unsigned int)HV_CAN_GATE;
	answer_of_size(1024);
	decide(64 * MIB, 0);
	assert_int_equal(scene.credits, 0);
}

/* Once, as there is nothing to renew. */
static void the_gate_of_a_guest_that_is_left_alone_is_opened(void **state)
{
	static const enum policy_mode modes[] = { POLICY_OFF, POLICY_OBSERVE, POLICY_HELD };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		set_mode(POLICY_AUTO);
		decide(64 * MIB, 0);
		set_mode(modes[i]);
		scene.credits = 0;
		decide(64 * MIB, 16 * MIB);
		decide(64 * MIB, 16 * MIB);
		assert_int_equal(scene.credits, 1);
		assert_true(scene.credit_bytes == HV_UNSET);
		assert_int_equal(scene.trims, 0);
	}
}

static void a_policy_without_credits_opens_the_gate(void **state)
{
	(void)state;
	decide(64 * MIB, 0);
	decide(POLICY_UNSET, 0);
	assert_int_equal(scene.credits, 2);
	assert_true(scene.credit_bytes == HV_UNSET);
}

static void a_trim_is_asked_of_those_that_can(void **state)
{
	(void)state;
	decide(POLICY_UNSET, 16 * MIB);
	assert_int_equal(scene.trim_bytes, 16 * MIB);
	decide(POLICY_UNSET, MIB - 1);
	scene.info.abilities &= ~(unsigned int)HV_CAN_TRIM;
	answer_of_size(1024);
	decide(POLICY_UNSET, 16 * MIB);
	assert_int_equal(scene.trims, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SETTLED(name) cmocka_unit_test_setup_teardown(name, set_up_settled, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_driver_acknowledged_is_shown_to_the_policy),
		TEST(our_driver_on_qemus_device_takes_memory_back_without_a_gate),
		TEST(a_guest_that_the_host_does_not_let_takes_nothing_back),
		TEST(linux_does_what_it_was_offered),
		TEST(refaults_are_counted_in_bytes),
		TEST(what_was_pulled_is_reported_once),
		TEST(a_held_guest_that_takes_memory_back_is_left_alone),
		SETTLED(a_credit_is_renewed_each_round),
		TEST(a_guest_is_bounded_once_its_own_size_is_known),
		SETTLED(a_guest_without_a_gate_is_sent_no_credit),
		SETTLED(the_gate_of_a_guest_that_is_left_alone_is_opened),
		SETTLED(a_policy_without_credits_opens_the_gate),
		SETTLED(a_trim_is_asked_of_those_that_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
