/* SPDX-License-Identifier: BSD-3-Clause */
/* Both baselines that do not balloon: maximum, and tmo, which trims. */
#include "tests/unit/baseline_rig.h"

static void each_guest_has_its_maximum(void **state)
{
	const struct policy_ops *both[] = { &policy_maximum, &policy_tmo };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rig rig = rig_start(both[i], 1024);

		rig_guest(&rig, 256, 2048, 700, 600);
		rig_guest(&rig, 256, 2048, 700, 600)->rules.max_bytes = 1500 * MIB;
		rig_step(&rig);
		assert_int_equal(rig_target(&rig, 0), 2048);
		assert_int_equal(rig_target(&rig, 1), 1500);
		assert_true(rig.decisions[0].credit_bytes == POLICY_UNSET);
		rig_end(&rig);
	}
}

static void maximum_leaves_others_alone(void **state)
{
	(void)state;
	rig_leaves_others_alone(&policy_maximum);
	rig_leaves_others_alone(&policy_tmo);
}

static uint64_t trim_kib(const struct rig *rig, size_t guest)
{
	return rig->decisions[guest].trim_bytes >> 10;
}

/* 0.05 % of what it holds, every 6 s. */
static void tmo_asks_for_a_little_all_the_time(void **state)
{
	struct rig rig = rig_start(&policy_tmo, 8192);

	(void)state;
	rig_guest(&rig, 256, 4096, 2000, 600)->abilities = POLICY_CAN_TRIM;
	rig_guest(&rig, 256, 4096, 2000, 600);
	rig_step(&rig);
	assert_int_equal(trim_kib(&rig, 0), 1024);
	assert_int_equal(trim_kib(&rig, 1), 0);
	rig.host.now_us += 5 * SECOND;
	rig_step(&rig);
	assert_int_equal(trim_kib(&rig, 0), 0);
	rig.host.now_us += SECOND;
	rig_step(&rig);
	assert_int_equal(trim_kib(&rig, 0), 1024);
	rig_end(&rig);
}

/* At 0.05 % of PSI half of it, at 0.1 % nothing. */
static void tmo_asks_for_less_under_pressure(void **state)
{
	struct rig rig = rig_start(&policy_tmo, 8192);
	struct policy_guest *guest = rig_guest(&rig, 256, 4096, 2000, 600);

	(void)state;
	guest->abilities = POLICY_CAN_TRIM;
	rig_step(&rig);
	for (int part = 1; part <= 2; part++) {
		rig.host.now_us += 6 * SECOND;
		guest->taken_us += 6 * SECOND;
		guest->psi_some_us += (uint64_t)part * 3000;
		rig_step(&rig);
		assert_in_range(trim_kib(&rig, 0), part == 1 ? 511 : 0, part == 1 ? 513 : 0);
	}
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_guest_has_its_maximum),
		cmocka_unit_test(maximum_leaves_others_alone),
		cmocka_unit_test(tmo_asks_for_a_little_all_the_time),
		cmocka_unit_test(tmo_asks_for_less_under_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
