/* SPDX-License-Identifier: BSD-3-Clause */
/* What is selected, in which order, and what keys do. */
#include "aerostat/top/top_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "aerostat/top/top_read.h"

static json_t *guest(json_int_t id, const char *name, json_int_t actual, json_int_t want,
		     const char *distress)
{
	json_t *made = json_pack("{s:I, s:s, s:I, s:I}", "id", id, "name", name, "actual_bytes",
				 actual, "want_bytes", want);

	if (distress)
		json_object_set_new(made, distress, json_true());
	return made;
}

static json_t *status_of(json_t *first, json_t *second, json_t *third)
{
	return json_pack("{s:[o,o,o]}", "guests", first, second, third);
}

static json_t *some_status(void)
{
	return status_of(guest(3, "carol", 30, 90, NULL), guest(1, "alpha", 50, 60, NULL),
			 guest(2, "beta", 40, 70, "critical"));
}

/* The names' first letters, in order. */
static void assert_order(const json_t *status, enum top_sort sort, const char *expected)
{
	g_autoptr(GPtrArray) order = top_order(status, sort);
	g_autoptr(GString) letters = g_string_new("");

	for (guint i = 0; i < order->len; i++)
		g_string_append_c(letters, *top_text(order->pdata[i], "name"));
	assert_string_equal(letters->str, expected);
}

static void guests_are_sorted_by_what_was_chosen(void **state)
{
	json_t *status = some_status();

	(void)state;
	assert_order(status, TOP_SORT_NAME, "abc");
	assert_order(status, TOP_SORT_ACTUAL, "abc");
	assert_order(status, TOP_SORT_WANT, "cba");
	assert_order(status, TOP_SORT_PRESSURE, "bca");
	json_decref(status);
}

static void critical_comes_before_pressured_and_that_before_what_is_lacked(void **state)
{
	json_t *status =
		status_of(guest(1, "alpha", 0, 1000, NULL), guest(2, "beta", 9, 10, "pressured"),
			  guest(3, "carol", 10, 9, "critical"));

	(void)state;
	assert_order(status, TOP_SORT_PRESSURE, "cba");
	json_decref(status);
}

static void who_has_more_than_it_wants_lacks_nothing(void **state)
{
	json_t *status = status_of(guest(1, "alpha", 9, 1, NULL), guest(2, "beta", 9, 10, NULL),
				   guest(3, "carol", 9, 9, NULL));

	(void)state;
	assert_order(status, TOP_SORT_PRESSURE, "bac");
	json_decref(status);
}

static void what_is_not_known_comes_last(void **state)
{
	json_t *status =
		status_of(json_pack("{s:i, s:s, s:n}", "id", 1, "name", "alpha", "want_bytes"),
			  guest(2, "beta", 1, 1, NULL), guest(3, "carol", 2, 2, NULL));

	(void)state;
	assert_order(status, TOP_SORT_WANT, "cba");
	assert_order(status, TOP_SORT_ACTUAL, "cba");
	json_decref(status);
}

static void namesakes_keep_their_order(void **state)
{
	json_t *status = status_of(guest(3, "twin", 1, 1, NULL), guest(1, "twin", 1, 1, NULL),
				   guest(2, "twin", 1, 1, NULL));

	(void)state;
	for (enum top_sort sort = 0; sort < TOP_SORTS; sort++) {
		g_autoptr(GPtrArray) order = top_order(status, sort);

		for (guint i = 0; i < 3; i++)
			assert_int_equal(top_id(order->pdata[i]), i + 1);
	}
	json_decref(status);
}

static void a_selection_stays_with_its_guest(void **state)
{
	json_t *status = some_status();
	g_autoptr(GPtrArray) by_name = top_order(status, TOP_SORT_NAME);
	g_autoptr(GPtrArray) by_want = top_order(status, TOP_SORT_WANT);
	struct top_choice choice = { .id = 3 };

	(void)state;
	top_settle(&choice, by_name, 3);
	assert_int_equal(choice.selected, 2);
	top_settle(&choice, by_want, 3);
	assert_int_equal(choice.selected, 0);
	assert_int_equal(top_id(top_selected(&choice, by_want)), 3);
	json_decref(status);
}

static void the_place_of_a_guest_that_went_is_taken_by_the_next(void **state)
{
	json_t *status = some_status();
	g_autoptr(GPtrArray) order = top_order(status, TOP_SORT_NAME);
	struct top_choice choice = { .id = 77, .selected = 1 };

	(void)state;
	top_settle(&choice, order, 3);
	assert_int_equal(choice.id, 2);
	choice = (struct top_choice){ .id = 77, .selected = 9 };
	top_settle(&choice, order, 3);
	assert_int_equal(choice.id, 3);
	json_decref(status);
}

static void without_guests_nothing_is_selected(void **state)
{
	g_autoptr(GPtrArray) order = top_order(NULL, TOP_SORT_NAME);
	struct top_choice choice = { .id = 3, .selected = 2, .first = 1 };

	(void)state;
	top_settle(&choice, order, 5);
	assert_null(top_selected(&choice, order));
	assert_int_equal(choice.first, 0);
	for (const char *key = "jkgGhao"; *key; key++)
		assert_int_equal(top_key(&choice, order, 5, *key), TOP_ACT_NONE);
	assert_null(top_selected(&choice, order));
}

static GPtrArray *numbered(guint count, json_t **status)
{
	json_t *guests = json_array();

	for (guint i = 0; i < count; i++)
		json_array_append_new(guests, json_pack("{s:i}", "id", (int)i + 1));
	*status = json_pack("{s:o}", "guests", guests);
	return top_order(*status, TOP_SORT_NAME);
}

static void the_list_scrolls_no_further_than_it_must(void **state)
{
	json_t *status;
	g_autoptr(GPtrArray) order = numbered(20, &status);
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
		assert_int_equal(top_key(&choice, order, 5, steps[i].key), TOP_ACT_NONE);
		top_settle(&choice, order, 5);
		assert_int_equal(choice.selected, steps[i].selected);
		assert_int_equal(choice.first, steps[i].first);
	}
	json_decref(status);
}

static void a_list_that_fits_again_is_shown_from_its_beginning(void **state)
{
	json_t *status;
	g_autoptr(GPtrArray) order = numbered(6, &status);
	struct top_choice choice = { .id = 6, .first = 3 };

	(void)state;
	top_settle(&choice, order, 4);
	assert_int_equal(choice.first, 2);
	top_settle(&choice, order, 10);
	assert_int_equal(choice.first, 0);
	top_settle(&choice, order, 0);
	assert_int_equal(choice.first, 5);
	json_decref(status);
}

static void keys_ask_for_what_they_stand_for(void **state)
{
	json_t *status;
	g_autoptr(GPtrArray) order = numbered(1, &status);
	struct top_choice choice = { .id = 1 };

	(void)state;
	assert_int_equal(top_key(&choice, order, 5, 'h'), TOP_ACT_HOLD);
	assert_int_equal(top_key(&choice, order, 5, 'a'), TOP_ACT_AUTO);
	assert_int_equal(top_key(&choice, order, 5, 'o'), TOP_ACT_OBSERVE);
	assert_int_equal(top_key(&choice, order, 5, 'q'), TOP_ACT_QUIT);
	assert_int_equal(top_key(&choice, order, 5, 'H'), TOP_ACT_NONE);
	assert_int_equal(top_key(&choice, order, 5, '\n'), TOP_ACT_NONE);
	json_decref(status);
}

static void s_goes_round_the_orders(void **state)
{
	g_autoptr(GPtrArray) order = top_order(NULL, TOP_SORT_NAME);
	struct top_choice choice = { 0 };

	(void)state;
	for (enum top_sort sort = 1; sort <= TOP_SORTS; sort++) {
		top_key(&choice, order, 5, 's');
		assert_int_equal(choice.sort, sort % TOP_SORTS);
	}
}

static void under_help_a_key_only_ends_it(void **state)
{
	json_t *status;
	g_autoptr(GPtrArray) order = numbered(2, &status);
	struct top_choice choice = { .id = 1 };

	(void)state;
	assert_int_equal(top_key(&choice, order, 5, '?'), TOP_ACT_NONE);
	assert_true(choice.help);
	assert_int_equal(top_key(&choice, order, 5, 'h'), TOP_ACT_NONE);
	assert_false(choice.help);
	top_key(&choice, order, 5, '?');
	assert_int_equal(top_key(&choice, order, 5, 'j'), TOP_ACT_NONE);
	assert_int_equal(choice.selected, 0);
	top_key(&choice, order, 5, '?');
	assert_int_equal(top_key(&choice, order, 5, 'q'), TOP_ACT_QUIT);
	json_decref(status);
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
