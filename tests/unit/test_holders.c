/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a guest that gets less than it wants names who has the rest. */
#include "aerostatd/holders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "aerostatd/managed.h"

#define MIB (UINT64_C(1) << 20)
#define GUESTS 4

static struct managed *guests[GUESTS];

static int make_guests(void **state)
{
	static const struct {
		const char *name;
		uint64_t mib;
	} rows[GUESTS] = { { "alpha", 300 }, { "beta", 600 }, { "delta", 100 }, { "gamma", 500 } };

	(void)state;
	for (size_t i = 0; i < GUESTS; i++) {
		hv_guest found = { .source = (char *)"qmp", .address = (char *)rows[i].name };

		guests[i] = managed_new(i + 1, &found, NULL);
		guests[i]->seen.actual_bytes = rows[i].mib * MIB;
	}
	return 0;
}

static int free_guests(void **state)
{
	(void)state;
	for (size_t i = 0; i < GUESTS; i++)
		managed_free(guests[i]);
	return 0;
}

/* What is said of guest @i, of @count guests, that has half of the 900 MiB it wants. */
static char *describe(size_t i, size_t count, enum policy_reason reason)
{
	struct holders holders = holders_find(guests, count);
	struct policy_decision decision = { .reason = reason,
					    .target_bytes = 450 * MIB,
					    .want_bytes = 900 * MIB,
					    .text = "the budget is used" };

	holders_append(&holders, guests[i], &decision);
	return g_strdup(decision.text);
}

static void expect(size_t i, size_t count, enum policy_reason reason, const char *text)
{
	g_autofree char *said = describe(i, count, reason);

	assert_string_equal(said, text);
}

static void the_two_largest_others_are_named(void **state)
{
	(void)state;
	expect(0, GUESTS, POLICY_REASON_SHARE,
	       "the budget is used; beta holds 600 MiB, gamma 500 MiB");
	expect(1, GUESTS, POLICY_REASON_LIMIT,
	       "the budget is used; gamma holds 500 MiB, alpha 300 MiB");
	expect(3, GUESTS, POLICY_REASON_SHARE,
	       "the budget is used; beta holds 600 MiB, alpha 300 MiB");
}

static void a_guest_that_is_alone_has_nobody_to_name(void **state)
{
	(void)state;
	expect(0, 1, POLICY_REASON_SHARE, "the budget is used");
	expect(0, 2, POLICY_REASON_SHARE, "the budget is used; beta holds 600 MiB");
}

static void other_reasons_name_nobody(void **state)
{
	(void)state;
	expect(0, GUESTS, POLICY_REASON_STALE, "the budget is used");
	expect(0, GUESTS, POLICY_REASON_GROWS, "the budget is used");
}

static void a_guest_that_may_grow_counts_with_its_target(void **state)
{
	(void)state;
	managed_send_target(guests[2], 2000 * MIB, 1);
	expect(0, GUESTS, POLICY_REASON_SHARE,
	       "the budget is used; delta holds 2000 MiB, beta 600 MiB");
}

static void long_names_are_cut(void **state)
{
	g_autofree char *name = g_strnfill(1000, 'x');
	g_autofree char *said = NULL;

	(void)state;
	g_free(guests[1]->name);
	guests[1]->name = g_steal_pointer(&name);
	said = describe(0, GUESTS, POLICY_REASON_SHARE);
	assert_true(strlen(said) < 150);
	assert_non_null(strstr(said, "x holds 600 MiB, gamma 500 MiB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_two_largest_others_are_named, make_guests,
						free_guests),
		cmocka_unit_test_setup_teardown(a_guest_that_is_alone_has_nobody_to_name,
						make_guests, free_guests),
		cmocka_unit_test_setup_teardown(other_reasons_name_nobody, make_guests,
						free_guests),
		cmocka_unit_test_setup_teardown(a_guest_that_may_grow_counts_with_its_target,
						make_guests, free_guests),
		cmocka_unit_test_setup_teardown(long_names_are_cut, make_guests, free_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
