/* SPDX-License-Identifier: BSD-3-Clause */
/* What is selected, in which order, and what keys do. */
#include "aerostat/top/top_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum distress { CALM, PRESSURED, CRITICAL };

static struct daemon_guest guest(uint64_t id, const char *name, uint64_t actual, uint64_t want,
				 enum distress distress)
{
	return (struct daemon_guest){ .id = id,
				      .name = name,
				      .actual_bytes = actual,
				      .decision.want_bytes = want,
				      .pressured = distress == PRESSURED,
				      .critical = distress == CRITICAL };
}

struct world {
	struct daemon_guest guests[3];
};

static struct world some_guests(void)
{
	return (struct world){ { guest(3, "carol", 30, 90, CALM), guest(1, "alpha", 50, 60, CALM),
				 guest(2, "beta", 40, 70, CRITICAL) } };
}

static GPtrArray *order_of(struct world *world, enum top_sort sort)
{
	const struct daemon_status status = { .guests = world->guests, .guest_count = 3 };

	return top_sort_guests(&status, sort);
}

static GPtrArray *order_of_none(void)
{
	const struct daemon_status status = { 0 };

	return top_sort_guests(&status, TOP_SORT_NAME);
}

static const struct daemon_guest *guest_at(const GPtrArray *order, guint position)
{
	return order->pdata[position];
}

/* The names' first letters, in order. */
static void assert_order(struct world *world, enum top_sort sort, const char *expected)
{
	g_autoptr(GPtrArray) order = order_of(world, sort);
	g_autoptr(GString) letters = g_string_new("");

	for (guint i = 0; i < order->len; i++)
		g_string_append_c(letters, *guest_at(order, i)->name);
	assert_string_equal(letters->str, expected);
}

static void guests_are_sorted_by_what_was_chosen(void **state)
{
	struct world world = some_guests();

	(void)state;
	assert_order(&world, TOP_SORT_NAME, "abc");
	assert_order(&world, TOP_SORT_ACTUAL, "abc");
	assert_order(&world, TOP_SORT_WANT, "cba");
	assert_order(&world, TOP_SORT_PRESSURE, "bca");
}

static void critical_comes_before_pressured_and_that_before_what_is_lacked(void **state)
{
	struct world world = { { guest(1, "alpha", 0, 1000, CALM),
				 guest(2, "beta", 9, 10, PRESSURED),
				 guest(3, "carol", 10, 9, CRITICAL) } };

	(void)state;
	assert_order(&world, TOP_SORT_PRESSURE, "cba");
}

static void who_has_more_than_it_wants_lacks_nothing(void **state)
{
	struct world world = { { guest(1, "alpha", 9, 1, CALM), guest(2, "beta", 9, 10, CALM),
				 guest(3, "carol", 9, 9, CALM) } };

	(void)state;
	assert_order(&world, TOP_SORT_PRESSURE, "bac");
}

static void what_is_not_known_comes_last(void **state)
{
	struct world world = { { guest(1, "alpha", HV_UNSET, HV_UNSET, CALM),
				 guest(2, "beta", 1, 1, CALM), guest(3, "carol", 2, 2, CALM) } };

	(void)state;
	assert_order(&world, TOP_SORT_WANT, "cba");
	assert_order(&world, TOP_SORT_ACTUAL, "cba");
}

static void namesakes_keep_their_order(void **state)
{
	struct world world = { { guest(3, "twin", 1, 1, CALM), guest(1, "twin", 1, 1, CALM),
				 guest(2, "twin", 1, 1, CALM) } };

	(void)state;
	for (enum top_sort sort = 0; sort < TOP_SORTS; sort++) {
		g_autoptr(GPtrArray) order = order_of(&world, sort);

		for (guint i = 0; i < 3; i++)
			assert_int_equal(guest_at(order, i)->id, i + 1);
	}
}

static void a_selection_stays_with_its_guest(void **state)
{
	struct world world = some_guests();
	g_autoptr(GPtrArray) by_name = order_of(&world, TOP_SORT_NAME);
	g_autoptr(GPtrArray) by_want = order_of(&world, TOP_SORT_WANT);
	struct top_choice choice = { .id = 3 };

	(void)state;
	top_settle_choice(&choice, by_name, 3);
	assert_int_equal(choice.selected, 2);
	top_settle_choice(&choice, by_want, 3);
	assert_int_equal(choice.selected, 0);
	assert_int_equal(top_selected_guest(&choice, by_want)->id, 3);
}

static void the_place_of_a_guest_that_went_is_taken_by_the_next(void **state)
{
	struct world world = some_guests();
	g_autoptr(GPtrArray) order = order_of(&world, TOP_SORT_NAME);
	struct top_choice choice = { .id = 77, .selected = 1 };

	(void)state;
	top_settle_choice(&choice, order, 3);
	assert_int_equal(choice.id, 2);
	choice = (struct top_choice){ .id = 77, .selected = 9 };
	top_settle_choice(&choice, order, 3);
	assert_int_equal(choice.id, 3);
}

static void without_guests_nothing_is_selected(void **state)
{
	g_autoptr(GPtrArray) order = order_of_none();
	struct top_choice choice = { .id = 3, .selected = 2, .first = 1 };

	(void)state;
	top_settle_choice(&choice, order, 5);
	assert_null(top_selected_guest(&choice, order));
	assert_int_equal(choice.first, 0);
	for (const char *key = "jkgGhao"; *key; key++)
		assert_int_equal(top_handle_key(&choice, order, 5, *key), TOP_ACT_NONE);
	assert_null(top_selected_guest(&choice, order));
}

/* Of @count guests, which *@guests receives, to be freed. */
static GPtrArray *numbered(guint count, struct daemon_guest **guests)
{
	struct daemon_status status = { .guest_count = count };

	status.guests = *guests = g_new0(struct daemon_guest, count);
	for (guint i = 0; i < count; i++)
		(*guests)[i] = guest(i + 1, "", 0, 0, CALM);
	return top_sort_guests(&status, TOP_SORT_NAME);
}

static void the_list_scrolls_no_further_than_it_must(void **state)
{
	g_autofree struct daemon_guest *guests = NULL;
	g_autoptr(GPtrArray) order = numbered(20, &guests);
	struct top_choice choice = { 0 };
	const struct {
		int key;
		guint selected, first;
	} steps[] = { { TOP_KEY_DOWN, 1, 0 },	{ TOP_KEY_PAGE_DOWN, 6, 2 },
		      { TOP_KEY_UP, 5, 2 },	{ TOP_KEY_END, 19, 15 },
		      { TOP_KEY_DOWN, 19, 15 }, { TOP_KEY_PAGE_UP, 14, 14 },
		      { TOP_KEY_HOME, 0, 0 },	{ TOP_KEY_UP, 0, 0 },
		      { TOP_KEY_PAGE_UP, 0, 0 } };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
		assert_int_equal(top_handle_key(&choice, order, 5, steps[i].key), TOP_ACT_NONE);
		top_settle_choice(&choice, order, 5);
		assert_int_equal(choice.selected, steps[i].selected);
		assert_int_equal(choice.first, steps[i].first);
	}
}

static void a_list_that_fits_again_is_shown_from_its_beginning(void **state)
{
	g_autofree struct daemon_guest *guests = NULL;
	g_autoptr(GPtrArray) order = numbered(6, &guests);
	struct top_choice choice = { .id = 6, .first = 3 };

	(void)state;
	top_settle_choice(&choice, order, 4);
	assert_int_equal(choice.first, 2);
	top_settle_choice(&choice, order, 10);
	assert_int_equal(choice.first, 0);
	top_settle_choice(&choice, order, 0);
	assert_int_equal(choice.first, 5);
}

static void keys_ask_for_what_they_stand_for(void **state)
{
	g_autofree struct daemon_guest *guests = NULL;
	g_autoptr(GPtrArray) order = numbered(1, &guests);
	struct top_choice choice = { .id = 1 };

	(void)state;
	assert_int_equal(top_handle_key(&choice, order, 5, 'h'), TOP_ACT_HOLD);
	assert_int_equal(top_handle_key(&choice, order, 5, 'a'), TOP_ACT_AUTO);
	assert_int_equal(top_handle_key(&choice, order, 5, 'o'), TOP_ACT_OBSERVE);
	assert_int_equal(top_handle_key(&choice, order, 5, 'q'), TOP_ACT_QUIT);
	assert_int_equal(top_handle_key(&choice, order, 5, 'H'), TOP_ACT_NONE);
	assert_int_equal(top_handle_key(&choice, order, 5, '\n'), TOP_ACT_NONE);
}

static void s_goes_round_the_orders(void **state)
{
	g_autoptr(GPtrArray) order = order_of_none();
	struct top_choice choice = { 0 };

	(void)state;
	for (enum top_sort sort = 1; sort <= TOP_SORTS; sort++) {
		top_handle_key(&choice, order, 5, 's');
		assert_int_equal(choice.sort, sort % TOP_SORTS);
	}
}

static void under_help_a_key_only_ends_it(void **state)
{
	g_autofree struct daemon_guest *guests = NULL;
	g_autoptr(GPtrArray) order = numbered(2, &guests);
	struct top_choice choice = { .id = 1 };

	(void)state;
	assert_int_equal(top_handle_key(&choice, order, 5, '?'), TOP_ACT_NONE);
	assert_true(choice.help);
	assert_int_equal(top_handle_key(&choice, order, 5, 'h'), TOP_ACT_NONE);
	assert_false(choice.help);
	top_handle_key(&choice, order, 5, '?');
	assert_int_equal(top_handle_key(&choice, order, 5, 'j'), TOP_ACT_NONE);
	assert_int_equal(choice.selected, 0);
	top_handle_key(&choice, order, 5, '?');
	assert_int_equal(top_handle_key(&choice, order, 5, 'q'), TOP_ACT_QUIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guests_are_sorted_by_what_was_chosen),
		cmocka_unit_test(critical_comes_before_pressured_and_that_before_what_is_lacked),
		cmocka_unit_test(who_has_more_than_it_wants_lacks_nothing),
		cmocka_unit_test(what_is_not_known_comes_last),
		cmocka_unit_test(namesakes_keep_their_order),
		cmocka_unit_test(a_selection_stays_with_its_guest),
		cmocka_unit_test(the_place_of_a_guest_that_went_is_taken_by_the_next),
		cmocka_unit_test(without_guests_nothing_is_selected),
		cmocka_unit_test(the_list_scrolls_no_further_than_it_must),
		cmocka_unit_test(a_list_that_fits_again_is_shown_from_its_beginning),
		cmocka_unit_test(keys_ask_for_what_they_stand_for),
		cmocka_unit_test(s_goes_round_the_orders),
		cmocka_unit_test(under_help_a_key_only_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
