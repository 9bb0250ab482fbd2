/* SPDX-License-Identifier: BSD-3-Clause */
/* What is put on a screen of cells stays in its room, whatever it holds. */
#include "aerostat/top/top_cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A line as text. */
static char *line_of(struct top_cells *cells, int y)
{
	GString *text = g_string_new("");

	for (int x = 0; x < cells->width; x++)
		if (top_cell_at(cells, x, y)->ch)
			g_string_append_unichar(text, top_cell_at(cells, x, y)->ch);
	return g_string_free(text, FALSE);
}

/* @text put into @room columns from column 1 of ten. */
static void assert_put(bool utf8, int room, const char *text, const char *expected)
{
	g_autofree struct top_cells *cells = top_cells_new(10, 1, utf8);
	g_autofree char *line = NULL;
	int used = top_put(cells, 1, 0, room, TOP_NORMAL, text);

	line = line_of(cells, 0);
	assert_string_equal(line, expected);
	assert_in_range(used, 0, MAX(room, 0));
}

static void a_text_that_fits_is_put_as_it_is(void **state)
{
	(void)state;
	assert_put(true, 8, "alpha", " alpha    ");
	assert_put(true, 5, "alpha", " alpha    ");
	assert_put(true, 3, "", "          ");
}

static void a_text_too_long_shows_that_it_was_cut(void **state)
{
	(void)state;
	assert_put(true, 4, "alpha", " alp…     ");
	assert_put(false, 4, "alpha", " alp~     ");
	assert_put(true, 1, "alpha", " …        ");
	assert_put(true, 0, "alpha", "          ");
	assert_put(true, -3, "alpha", "          ");
	assert_put(true, 50, "alpha-beta-gamma", " alpha-be…");
}

static void what_would_move_the_cursor_is_shown_as_a_question_mark(void **state)
{
	(void)state;
	assert_put(true, 9, "a\x1b[1m\n", " a?[1m?   ");
	assert_put(true, 9,
		   "a\xc2\x9b"
		   "b\x7f",
		   " a?b?     ");
	assert_put(true, 9, "a\u202eb\ue000", " a?b?     ");
	assert_put(true, 9, "a\u2028b\u3000c", " a b c    ");
	assert_put(true, 9, "a\xff-\xc3x", " a?-?x    ");
}

static void an_accent_of_its_own_takes_no_column(void **state)
{
	(void)state;
	assert_put(true, 9, "e\u0301x", " ex       ");
	assert_put(false, 9, "e\u0301x", " ex       ");
}

static void a_wide_character_is_never_cut_in_half(void **state)
{
	(void)state;
	assert_put(true, 4, "漢字", " 漢字     ");
	assert_put(true, 4, "漢字漢", " 漢…      ");
	assert_put(true, 3, "漢字", " 漢…      ");
	assert_put(false, 9, "漢é", " ??       ");
}

static void a_text_at_the_right_ends_where_its_room_does(void **state)
{
	g_autofree struct top_cells *cells = top_cells_new(10, 1, true);
	g_autofree char *line = NULL;

	(void)state;
	top_put_right(cells, 2, 0, 6, TOP_NORMAL, "漢x");
	line = line_of(cells, 0);
	assert_string_equal(line, "     漢x  ");
	top_put_right(cells, 2, 0, 3, TOP_NORMAL, "12345");
	g_free(line);
	line = line_of(cells, 0);
	assert_string_equal(line, "  12…漢x  ");
}

static void nothing_is_put_outside(void **state)
{
	g_autofree struct top_cells *cells = top_cells_new(3, 2, true);

	(void)state;
	assert_null(top_cell_at(cells, 3, 0));
	assert_null(top_cell_at(cells, 0, 2));
	assert_null(top_cell_at(cells, -1, 0));
	assert_null(top_cell_at(cells, 0, -1));
	top_put(cells, 5, 0, 5, TOP_NORMAL, "x");
	top_put(cells, 0, 7, 5, TOP_NORMAL, "x");
	for (int i = 0; i < 6; i++)
		assert_int_equal(cells->cell[i].ch, ' ');
}

static void assert_lines(int room, const char *text, const char *expected)
{
	g_autofree struct top_cells *cells = top_cells_new(1, 1, true);
	g_autoptr(GString) all = g_string_new("");
	char *line;

	for (int i = 0; (line = top_next_line(cells, &text, room)); i++) {
		g_string_append_printf(all, "%s|", line);
		g_free(line);
		assert_in_range(i, 0, 100);
	}
	assert_string_equal(all->str, expected);
}

static void lines_are_cut_between_words(void **state)
{
	(void)state;
	assert_lines(9, "needs 610 MiB, 128", "needs 610|MiB, 128|");
	assert_lines(10, "needs 610 MiB", "needs 610|MiB|");
	assert_lines(13, "needs 610 MiB", "needs 610 MiB|");
	assert_lines(12, "needs 610 MiB", "needs 610|MiB|");
	assert_lines(9, "  ", "");
	assert_lines(9, "", "");
}

static void a_word_longer_than_a_line_is_cut_where_it_must(void **state)
{
	(void)state;
	assert_lines(4, "abcdefghij", "abcd|efgh|ij|");
	assert_lines(4, "a bcdefghij", "a|bcde|fghi|j|");
	assert_lines(3, "漢字漢", "漢|字|漢|");
	assert_lines(1, "漢x", "|x|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_fits_is_put_as_it_is),
		cmocka_unit_test(a_text_too_long_shows_that_it_was_cut),
		cmocka_unit_test(what_would_move_the_cursor_is_shown_as_a_question_mark),
		cmocka_unit_test(an_accent_of_its_own_takes_no_column),
		cmocka_unit_test(a_wide_character_is_never_cut_in_half),
		cmocka_unit_test(a_text_at_the_right_ends_where_its_room_does),
		cmocka_unit_test(nothing_is_put_outside),
		cmocka_unit_test(lines_are_cut_between_words),
		cmocka_unit_test(a_word_longer_than_a_line_is_cut_where_it_must),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
