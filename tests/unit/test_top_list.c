/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat top's guests: their bars and figures, and the one selected in full. */
#include "tests/unit/top_scene.h"

#include <stdio.h>
#include <string.h>

static void a_bar_shows_what_a_guest_has_and_its_balloon(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	for (size_t i = 0; i < 3; i++)
		json_object_del(
			guest, ((const char *[]){ "need_bytes", "want_bytes", "target_bytes" })[i]);
	draw(scene);
	assert_bar(scene, "██████████▌░░░░░░░░░░");
	set_bytes(guest, "actual_bytes", 1024 * SIZE_MIB);
	draw(scene);
	assert_bar(scene, "█████████████████████");
	set_bytes(guest, "actual_bytes", 0);
	draw(scene);
	assert_bar(scene, "░░░░░░░░░░░░░░░░░░░░░");
	/* A column is 48.8 MiB. */
	set_bytes(guest, "actual_bytes", 120 * SIZE_MIB);
	draw(scene);
	assert_bar(scene, "██▌░░░░░░░░░░░░░░░░░░");
	scene->view.utf8 = false;
	draw(scene);
	assert_bar(scene, "###..................");
	set_bytes(guest, "actual_bytes", 108 * SIZE_MIB);
	draw(scene);
	assert_bar(scene, "##...................");
}

static void marks_stand_at_need_want_and_target(void **state)
{
	struct scene *scene = *state;

	add_plain_guest(scene);
	draw(scene);
	assert_bar(scene, "██N██W████▌░░░░T░░░░░");
	assert_int_equal(style_at(scene, BAR_X + 2, FIRST_GUEST_Y), TOP_GREEN | TOP_REVERSE);
	assert_int_equal(style_at(scene, BAR_X + 15, FIRST_GUEST_Y), TOP_BOLD);
}

static void of_marks_in_one_place_the_target_is_seen_then_the_want(void **state)
{
	struct scene *scene = *state;

	add_guest(scene, "alpha", 512, 256, 256, 256);
	draw(scene);
	assert_bar(scene, "█████T████▌░░░░░░░░░░");
	json_array_clear(json_object_get(scene->status, "guests"));
	add_guest(scene, "alpha", 512, 256, 256, 512);
	draw(scene);
	assert_bar(scene, "█████W████T░░░░░░░░░░");
	assert_int_equal(style_at(scene, BAR_X + 10, FIRST_GUEST_Y), TOP_BOLD);
}

static void what_is_beyond_the_maximum_is_marked_at_the_end(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_guest(scene, "alpha", 512, 128, 999999, 512);

	draw(scene);
	assert_bar(scene, "██N███████T░░░░░░░░░W");
	set_bytes(guest, "actual_bytes", INT64_MAX);
	set_bytes(guest, "target_bytes", INT64_MAX);
	draw(scene);
	assert_bar(scene, "██N█████████████████T");
}

static void sizes_that_are_not_known_are_said_so(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	json_object_set_new(guest, "actual_bytes", json_null());
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, BAR_X, "size unknown ");
	assert_line_ends(scene, FIRST_GUEST_Y, "?     1 GiB    0 s no balloon");
	set_bytes(guest, "actual_bytes", SIZE_MIB);
	set_bytes(guest, "max_bytes", 0);
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, BAR_X, "size unknown ");
}

static void pressure_has_a_colour_and_a_mark(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha             █");
	assert_int_equal(style_at(scene, BAR_X, FIRST_GUEST_Y), TOP_GREEN);
	json_object_set_new(guest, "pressured", json_true());
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha          !  █");
	assert_int_equal(style_at(scene, BAR_X, FIRST_GUEST_Y), TOP_YELLOW);
	json_object_set_new(guest, "critical", json_true());
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha          !! █");
	assert_int_equal(style_at(scene, BAR_X, FIRST_GUEST_Y), TOP_RED);
}

static void old_statistics_are_marked(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	set_age(guest, 5);
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha             █");
	assert_silent(scene, "stale");
	set_age(guest, 17);
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha          ?  █");
	assert_says(scene, "17 s calm");
	assert_says(scene, "statistics 17 s old, stale");
	json_object_set_new(json_object_get(guest, "stats"), "age_us", json_null());
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha          ?  █");
	assert_says(scene, "none calm");
	assert_says(scene, "no statistics");
	set_age(guest, 1);
	set_text(guest, "reason", "stale");
	draw(scene);
	assert_part(scene, FIRST_GUEST_Y, 0, "▸alpha          ?  █");
}

static void ages_are_told_in_the_unit_that_fits(void **state)
{
	const struct {
		json_int_t seconds;
		const char *words;
	} ages[] = { { 0, " 0 s " },	   { 99, " 99 s " },  { 100, " 1 min " },
		     { 5999, " 99 min " }, { 6000, " 1 h " }, { 360000, " 4 d " } };
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	for (size_t i = 0; i < G_N_ELEMENTS(ages); i++) {
		set_age(guest, ages[i].seconds);
		draw(scene);
		assert_says(scene, ages[i].words);
	}
}

static void a_hold_says_who_set_it(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	set_text(guest, "mode", "held");
	set_bytes(guest, "held_bytes", 512 * SIZE_MIB);
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "held/file");
	assert_says(scene, "held at 512 MiB by the configuration");
	json_object_set_new(guest, "held_bytes", json_null());
	draw(scene);
	assert_says(scene, "held by the configuration");
	set_bytes(guest, "held_bytes", 512 * SIZE_MIB);
	set_text(guest, "mode_by", "person");
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "held/user");
	assert_says(scene, "held at 512 MiB by a user");
	set_text(guest, "mode", "observe");
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "observe");
	assert_says(scene, "observe by a user");
}

static void a_wide_terminal_has_mode_reason_and_want_apart(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	set_text(guest, "mode", "held");
	draw_on(scene, 100, 24);
	assert_line_ends(scene, FIRST_GUEST_Y, "held/file   calm");
	assert_silent(scene, "256 MiB    0 s");
	draw_on(scene, 116, 24);
	assert_line_ends(scene, FIRST_GUEST_Y, "1 GiB   256 MiB    0 s held/file   calm");
}

static void what_keeps_a_guest_from_taking_part_is_its_reason(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	set_text(guest, "mode", "observe");
	set_text(guest, "driver", "absent");
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "no driver");
	set_text(guest, "driver", "ready");
	set_text(guest, "state", "unknown");
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "observe");
	set_text(guest, "state", "shut off");
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "shut off");
	set_text(guest, "problem", "no answer within 1 s");
	draw(scene);
	assert_line_ends(scene, FIRST_GUEST_Y, "no answer");
	assert_says(scene, "does not answer: no answer within 1 s");
	assert_silent(scene, "its text");
	json_object_set_new(guest, "problem", json_null());
	set_text(guest, "obstacle", "a device pins its memory");
	draw(scene);
	assert_says(scene, " a device pins its memory; its text");
}

static void the_one_selected_is_marked_and_always_in_the_list(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 30; i++) {
		char name[24];

		snprintf(name, sizeof(name), "guest-%02d", i);
		add_guest(scene, name, 512, 1, 1, 1);
	}
	for (int i = 1; i <= 30; i++) {
		char marked[32];

		scene->choice.id = i;
		draw(scene);
		snprintf(marked, sizeof(marked), "▸guest-%02d ", i - 1);
		assert_in_range(line_with(scene, marked), FIRST_GUEST_Y,
				FIRST_GUEST_Y + top_view_rows(80, 24) - 1);
	}
	assert_says(scene, "30 guests");
	json_array_clear(json_object_get(scene->status, "guests"));
	add_plain_guest(scene);
	draw(scene);
	assert_says(scene, " 1 guest · policy aerostat ");
}

static void the_heading_marks_the_column_that_sorts(void **state)
{
	struct scene *scene = *state;

	draw(scene);
	assert_part(scene, 6, 1, "guest ");
	assert_int_equal(style_at(scene, 1, 6), TOP_BOLD);
	scene->choice.sort = TOP_SORT_ACTUAL;
	draw(scene);
	assert_int_equal(style_at(scene, 1, 6), TOP_DIM);
	assert_part(scene, 6, 47, "has ");
	assert_int_equal(style_at(scene, 47, 6), TOP_BOLD);
	assert_says(scene, "s sort: actual");
}

/* Of 194 letters, in words of twelve. */
static char *long_reason(void)
{
	GString *text = g_string_new("");

	for (int i = 0; i < 15; i++)
		g_string_append_printf(text, "%sword-%02d-long", i ? " " : "", i);
	return g_string_free(text, FALSE);
}

static void the_reason_is_there_in_full(void **state)
{
	const int sizes[][2] = { { 80, 24 }, { 100, 24 }, { 60, 24 },
				 { 52, 24 }, { 200, 40 }, { 80, 40 } };
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);
	g_autofree char *reason = long_reason();

	set_text(guest, "text", reason);
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		draw_on(scene, sizes[i][0], sizes[i][1]);
		for (int word = 0; word < 15; word++) {
			g_autofree char *words = g_strdup_printf("word-%02d-long", word);

			assert_says(scene, words);
		}
	}
	draw_on(scene, TOP_WIDTH_MIN, TOP_HEIGHT_MIN);
	assert_int_equal(line_with(scene, " word-00-long word-01-long word-02-lon…"), 6);
}

static void the_last_changes_of_the_one_selected_are_listed(void **state)
{
	struct scene *scene = *state;

	add_plain_guest(scene);
	draw(scene);
	assert_silent(scene, "no changes so far");
	add_change(scene, 1, 9);
	draw(scene);
	assert_int_equal(line_with(scene, " 14:13:20     1 GiB →   512 MiB  idle      why so"), 20);
	assert_says(scene, "14:12:20");
	assert_silent(scene, "14:11:20");
	add_change(scene, 2, 9);
	draw(scene);
	assert_silent(scene, "why so");
	add_change(scene, 1, 0);
	draw(scene);
	assert_says(scene, "no changes so far");
	draw_on(scene, 80, 12);
	assert_silent(scene, "no changes so far");
}

static void what_has_no_room_whole_is_left_out(void **state)
{
	struct scene *scene = *state;

	add_plain_guest(scene);
	draw(scene);
	assert_line_ends(scene, 14,
			 " N need 128 MiB   W want 256 MiB   T target 768 MiB   floor ?");
	assert_line_ends(scene, 13,
			 "─ running ─ statistics 0 s old ────────────────────────────────");
	draw_on(scene, 46, 24);
	assert_line_ends(scene, 14, " N need 128 MiB   W want 256 MiB");
	assert_line_ends(scene, 13, "─── alpha ─ auto ─ running ───────────────────");
}

int main(void)
{
#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)
	const struct CMUnitTest tests[] = {
		SCENE_TEST(a_bar_shows_what_a_guest_has_and_its_balloon),
		SCENE_TEST(marks_stand_at_need_want_and_target),
		SCENE_TEST(of_marks_in_one_place_the_target_is_seen_then_the_want),
		SCENE_TEST(what_is_beyond_the_maximum_is_marked_at_the_end),
		SCENE_TEST(sizes_that_are_not_known_are_said_so),
		SCENE_TEST(pressure_has_a_colour_and_a_mark),
		SCENE_TEST(old_statistics_are_marked),
		SCENE_TEST(ages_are_told_in_the_unit_that_fits),
		SCENE_TEST(a_hold_says_who_set_it),
		SCENE_TEST(a_wide_terminal_has_mode_reason_and_want_apart),
		SCENE_TEST(what_keeps_a_guest_from_taking_part_is_its_reason),
		SCENE_TEST(the_one_selected_is_marked_and_always_in_the_list),
		SCENE_TEST(the_heading_marks_the_column_that_sorts),
		SCENE_TEST(the_reason_is_there_in_full),
		SCENE_TEST(the_last_changes_of_the_one_selected_are_listed),
		SCENE_TEST(what_has_no_room_whole_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
