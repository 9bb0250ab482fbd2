/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat top's picture as a whole: what stands where, the host, and what it is told. */
#include "tests/unit/top_scene.h"

#include <stdlib.h>
#include <string.h>

static void the_host_is_divided_into_guests_reserved_free_and_its_own(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	/* 60 columns for 16 GiB. */
	set_bytes(guest, "resident_bytes", 4 * SIZE_GIB);
	draw(scene);
	assert_part(
		scene, 1, 0,
		" RAM     ███████████████▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓    16 GiB");
	assert_part(scene, 2, 9,
		    "█ guests 4 GiB    ▒ reserved 1 GiB    ░ free 7 GiB    ▓ host 4 GiB");
	draw_on(scene, 78, 24);
	assert_silent(scene, "▓ host");
	set_bytes(guest, "resident_bytes", 12 * SIZE_GIB);
	draw_on(scene, 100, 24);
	assert_says(scene, "▓ host 0 B");
	json_object_del(guest, "resident_bytes");
	draw_on(scene, 100, 24);
	assert_part(scene, 2, 9,
		    "█ guests 512 MiB  ▒ reserved 1 GiB    ░ free 7 GiB    ▓ host 7.5 GiB");
}

static void the_budget_shows_what_is_given_and_wanted(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	set_bytes(guest, "actual_bytes", 3 * SIZE_GIB);
	draw(scene);
	assert_part(
		scene, 3, 0,
		" budget  ███████████████▒▒▒▒▒·························W··············    12 GiB");
	assert_part(scene, 4, 9, "█ given 3 GiB    W wanted 9 GiB    pressure 3.4 %");
	assert_int_equal(style_at(scene, 9, 3), TOP_GREEN);
	set_bytes(guest, "actual_bytes", 11 * SIZE_GIB);
	draw(scene);
	assert_int_equal(style_at(scene, 9, 3), TOP_GREEN);
	set_bytes(guest, "actual_bytes", 11 * SIZE_GIB + 1);
	set_bytes(scene->status, "want_bytes", 90 * SIZE_GIB);
	draw(scene);
	assert_int_equal(style_at(scene, 9, 3), TOP_RED);
	assert_part(scene, 3, 67, "▒W  ");
	set_bytes(guest, "actual_bytes", 99 * SIZE_GIB);
	draw(scene);
	assert_part(scene, 3, 67, "█W    12 GiB");
}

static void a_mark_in_what_is_given_leaves_no_hole(void **state)
{
	struct scene *scene = *state;
	json_t *guest = add_plain_guest(scene);

	set_bytes(guest, "actual_bytes", 3 * SIZE_GIB);
	set_bytes(scene->status, "want_bytes", SIZE_GIB);
	draw(scene);
	assert_part(scene, 3, 9, "█████W█████████▒");
	assert_int_equal(style_at(scene, 14, 3), TOP_GREEN | TOP_REVERSE);
}

static void a_host_of_unknown_figures_has_empty_bars(void **state)
{
	struct scene *scene = *state;

	json_object_del(scene->status, "host");
	json_object_set_new(scene->status, "budget_bytes", json_null());
	draw(scene);
	assert_part(scene, 1, 9, "·····");
	assert_part(scene, 3, 9, "·····");
	assert_line_ends(scene, 1, "·         ?");
	assert_line_ends(scene, 3, "·         ?");
	assert_says(scene, "no guests found yet");
	assert_silent(scene, "───");
	set_bytes(scene->status, "budget_bytes", 0);
	draw(scene);
	assert_line_ends(scene, 3, "·       0 B");
}

static void pressure_of_the_host_is_marked_when_critical(void **state)
{
	struct scene *scene = *state;
	json_t *host = json_object_get(scene->status, "host");
	g_autofree char *line = NULL;

	json_object_set_new(host, "pressure", json_real(0.31));
	draw(scene);
	assert_int_equal(style_at(scene, 44, 4), TOP_YELLOW);
	json_object_set_new(host, "critical", json_true());
	draw(scene);
	assert_part(scene, 4, 44, "pressure 31.0 % !!");
	assert_int_equal(style_at(scene, 44, 4), TOP_RED | TOP_BOLD);
}

static void overcommitment_is_told_at_any_size(void **state)
{
	struct scene *scene = *state;

	draw(scene);
	assert_silent(scene, "OVERCOMMITTED");
	json_object_set_new(scene->status, "overcommitted", json_true());
	draw_on(scene, TOP_WIDTH_MIN, TOP_HEIGHT_MIN);
	assert_int_equal(line_with(scene, " aerostat       OVERCOMMITTED  14:13:20"), 0);
	scene->view.lost_us = NOW_US - 60 * G_USEC_PER_SEC;
	draw(scene);
	assert_int_equal(line_with(scene, " OVERCOMMITTED  no answer since 14:12:20"), 0);
	draw_on(scene, 46, TOP_HEIGHT_MIN);
	assert_int_not_equal(line_with(scene, "aer"), 0);
}

static void without_an_answer_the_picture_stays_and_says_since_when(void **state)
{
	struct scene *scene = *state;

	add_plain_guest(scene);
	draw(scene);
	assert_silent(scene, "no answer since");
	scene->view.lost_us = NOW_US - G_TIME_SPAN_HOUR;
	draw(scene);
	assert_line_ends(scene, 0, "no answer since 13:13:20");
	assert_bar(scene, "██N██W████▌░░░░T░░░░░");
	scene->view.lost_us = NOW_US - G_TIME_SPAN_DAY;
	draw(scene);
	assert_line_ends(scene, 0, "no answer since 20 Sep");
}

static void a_message_takes_the_line_of_the_keys_only_where_it_must(void **state)
{
	struct scene *scene = *state;

	scene->view.message = "alpha is held";
	draw_on(scene, 80, 12);
	assert_int_equal(line_with(scene, " alpha is held"), 10);
	assert_says(scene, "q quit");
	draw_on(scene, 80, 11);
	assert_int_equal(line_with(scene, " alpha is held"), 10);
	assert_silent(scene, "q quit");
}

static void a_message_stands_before_a_problem_that_lasts(void **state)
{
	struct scene *scene = *state;

	json_array_append_new(
		json_object_get(scene->status, "problems"),
		json_pack("{s:s, s:s}", "source", "qemu:///system", "text", "denied"));
	draw(scene);
	assert_int_equal(line_with(scene, " qemu:///system: denied"), 22);
	scene->view.message = "alpha is held";
	draw(scene);
	assert_silent(scene, "denied");
	scene->view.message = NULL;
	draw_on(scene, 80, 11);
	assert_silent(scene, "denied");
	assert_says(scene, "q quit");
}

static void help_takes_the_place_of_the_guests(void **state)
{
	struct scene *scene = *state;

	add_plain_guest(scene);
	scene->choice.help = true;
	draw(scene);
	assert_says(scene, "h hold at its size    s sort");
	assert_says(scene, "Home and End select a guest.");
	assert_silent(scene, "its text");
	assert_int_equal(line_with(scene, "▸alpha"), NOT_MENTIONED);
	draw_on(scene, TOP_WIDTH_MIN, TOP_HEIGHT_MIN);
	assert_int_equal(line_with(scene, "N need  W want  T target"), 6);
	assert_silent(scene, "…");
}

static void a_terminal_too_small_is_told_what_is_needed(void **state)
{
	const int sizes[][2] = { { 39, 24 }, { 80, 7 }, { 20, 3 } };
	struct scene *scene = *state;

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
		draw_on(scene, sizes[i][0], sizes[i][1]);
		assert_says(scene, "40x8");
		assert_silent(scene, "RAM");
	}
	draw_on(scene, 40, 8);
	assert_says(scene, "RAM");
	assert_says(scene, "q quit");
	assert_int_equal(top_view_rows(20, 3), 1);
}

/* Where the words of the frame and of the columns stand. */
static char *frame_of(const struct scene *scene)
{
	const char *const words[] = { "RAM",   "budget", "guest   ", " has ",
				      " max ", "reason", "h hold" };
	GString *frame = g_string_new("");

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		int y = line_with(scene, words[i]);
		g_autofree char *line = y >= 0 ? line_of(scene, y) : g_strdup("");
		const char *at = strstr(line, words[i]);

		g_string_append_printf(frame, "%s %d %ld;", words[i], y,
				       at ? g_utf8_pointer_to_offset(line, at) : -1);
	}
	return g_string_free(frame, FALSE);
}

static void nothing_moves_whatever_the_guests_are(void **state)
{
	struct scene *scene = *state;

	for (int width = 40; width <= 130; width += 6) {
		for (int height = 8; height <= 44; height += 4) {
			g_autofree char *before = NULL;
			g_autofree char *after = NULL;
			json_t *guest;

			json_array_clear(json_object_get(scene->status, "guests"));
			add_plain_guest(scene);
			draw_on(scene, width, height);
			before = frame_of(scene);
			guest = add_guest(scene, "a漢字e\u0301\x1b[2J-and-more-of-it-without-end",
					  9999999, 1, 1, 1);
			set_bytes(guest, "max_bytes", INT64_MAX);
			set_text(guest, "reason", "a-word-that-nobody-knows");
			scene->choice.id = 2;
			draw(scene);
			after = frame_of(scene);
			assert_string_equal(before, after);
		}
	}
}

/* A value of any kind for a key that expects another. */
static json_t *any_value(GRand *rand)
{
	static const char *const texts[] = { "",
					     "\x1b[31m\n",
					     "漢字漢字漢字漢字漢字",
					     "e\u0301\u202e",
					     "critical",
					     "a reason of many words, and more of them" };

	switch (g_rand_int_range(rand, 0, 8)) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_integer(INT64_MAX - g_rand_int_range(rand, 0, 2));
	case 3:
		return json_integer(INT64_MIN + g_rand_int_range(rand, 0, 2));
	case 4:
		return json_integer((json_int_t)g_rand_int(rand) << g_rand_int_range(rand, 0, 10));
	case 5:
		return json_real(g_rand_double_range(rand, -1e300, 1e300));
	case 6:
		return json_pack("[{}]");
	default:
		return json_string(texts[g_rand_int_range(rand, 0, G_N_ELEMENTS(texts))]);
	}
}

static void spoil(json_t *object, GRand *rand)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value)
		if (!json_is_array(value) && !g_rand_int_range(rand, 0, 3))
			json_object_set_new(object, key, any_value(rand));
}

/* Wide characters are whole, and all else is one visible column. */
static void assert_sound(const struct scene *scene)
{
	for (int y = 0; y < scene->cells->height; y++) {
		for (int x = 0; x < scene->cells->width; x++) {
			const struct top_cell *cell = top_cell_at(scene->cells, x, y);
			const struct top_cell *next = top_cell_at(scene->cells, x + 1, y);

			if (!cell->ch)
				continue;
			assert_true(g_unichar_isprint(cell->ch));
			assert_int_equal(g_unichar_iswide(cell->ch), next && !next->ch);
			assert_true(scene->cells->utf8 || cell->ch < 0x7f);
		}
	}
}

static void whatever_the_daemon_answers_there_is_a_sound_picture(void **state)
{
	struct scene *scene = *state;
	const char *given = g_getenv("SEED");
	guint32 seed = given ? (guint32)strtoul(given, NULL, 10) : g_random_int();
	g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

	print_message("SEED=%u\n", seed);
	for (int i = 0; i < 2000; i++) {
		json_t *guest;

		spoil(json_object_get(scene->status, "host"), rand);
		spoil(scene->status, rand);
		json_object_set_new(scene->status, "guests", json_array());
		for (int j = g_rand_int_range(rand, 0, 12); j > 0; j--) {
			guest = add_plain_guest(scene);
			spoil(guest, rand);
		}
		add_change(scene, 1, 3);
		spoil(json_array_get(json_object_get(scene->detail, "history"), 0), rand);
		scene->view.utf8 = g_rand_boolean(rand);
		scene->choice.sort = (enum top_sort)g_rand_int_range(rand, 0, TOP_SORTS);
		scene->choice.help = !g_rand_int_range(rand, 0, 9);
		draw_on(scene, g_rand_int_range(rand, 0, 220), g_rand_int_range(rand, 0, 60));
		assert_sound(scene);
	}
}

int main(void)
{
#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)
	const struct CMUnitTest tests[] = {
		SCENE_TEST(the_host_is_divided_into_guests_reserved_free_and_its_own),
		SCENE_TEST(the_budget_shows_what_is_given_and_wanted),
		SCENE_TEST(a_mark_in_what_is_given_leaves_no_hole),
		SCENE_TEST(a_host_of_unknown_figures_has_empty_bars),
		SCENE_TEST(pressure_of_the_host_is_marked_when_critical),
		SCENE_TEST(overcommitment_is_told_at_any_size),
		SCENE_TEST(without_an_answer_the_picture_stays_and_says_since_when),
		SCENE_TEST(a_message_takes_the_line_of_the_keys_only_where_it_must),
		SCENE_TEST(a_message_stands_before_a_problem_that_lasts),
		SCENE_TEST(help_takes_the_place_of_the_guests),
		SCENE_TEST(a_terminal_too_small_is_told_what_is_needed),
		SCENE_TEST(nothing_moves_whatever_the_guests_are),
		SCENE_TEST(whatever_the_daemon_answers_there_is_a_sound_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
