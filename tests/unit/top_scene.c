/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/top_scene.h"

#include <string.h>

int scene_set_up(void **state)
{
	struct scene *scene = g_new0(struct scene, 1);

	g_setenv("TZ", "UTC", TRUE);
	scene->status = json_pack(
		"{s:s, s:{s:I, s:I, s:I, s:f, s:b}, s:I, s:I, s:b, s:[], s:[]}", "policy",
		"aerostat", "host", "total_bytes", (json_int_t)(16 * SIZE_GIB), "available_bytes",
		(json_int_t)(8 * SIZE_GIB), "reserved_bytes", (json_int_t)SIZE_GIB, "pressure",
		0.034, "critical", 0, "budget_bytes", (json_int_t)(12 * SIZE_GIB), "want_bytes",
		(json_int_t)(9 * SIZE_GIB), "overcommitted", 0, "guests", "problems");
	scene->view = (struct top_view){
		.now_us = NOW_US, .width = 80, .height = 24, .utf8 = true, .choice = &scene->choice
	};
	*state = scene;
	return 0;
}

int scene_tear_down(void **state)
{
	struct scene *scene = *state;

	json_decref(scene->status);
	json_decref(scene->detail);
	daemon_free_status(scene->parsed_status);
	daemon_free_guest(scene->parsed_detail);
	g_clear_pointer(&scene->order, g_ptr_array_unref);
	g_free(scene->cells);
	g_free(scene);
	return 0;
}

/* A guest of 1024 MiB; its sizes in MiB. */
json_t *add_guest(struct scene *scene, const char *name, json_int_t actual, json_int_t need,
		  json_int_t want, json_int_t target)
{
	json_t *guests = json_object_get(scene->status, "guests");
	json_int_t mib = SIZE_MIB;
	json_t *guest = json_pack(
		"{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:{s:i}, s:s, s:s}", "id",
		(int)json_array_size(guests) + 1, "name", name, "state", "running", "driver",
		"ready", "mode", "auto", "mode_by", "file", "max_bytes", 1024 * mib, "actual_bytes",
		actual * mib, "need_bytes", need * mib, "want_bytes", want * mib, "target_bytes",
		target * mib, "stats", "age_us", 900000, "reason", "calm", "text", "its text");

	json_array_append_new(guests, guest);
	return guest;
}

json_t *add_plain_guest(struct scene *scene)
{
	return add_guest(scene, "alpha", 512, 128, 256, 768);
}

void set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

void set_bytes(json_t *object, const char *key, uint64_t bytes)
{
	json_object_set_new(object, key, json_integer((json_int_t)bytes));
}

void set_age(json_t *guest, json_int_t seconds)
{
	json_object_set_new(json_object_get(guest, "stats"), "age_us",
			    json_integer(seconds * G_USEC_PER_SEC));
}

void draw(struct scene *scene)
{
	struct top_view *view = &scene->view;

	g_free(scene->cells);
	g_clear_pointer(&scene->order, g_ptr_array_unref);
	daemon_free_status(scene->parsed_status);
	scene->parsed_status = daemon_parse_status(json_incref(scene->status));
	daemon_free_guest(scene->parsed_detail);
	scene->parsed_detail =
		scene->detail ? daemon_parse_guest(json_incref(scene->detail)) : NULL;
	scene->order = top_sort_guests(scene->parsed_status, scene->choice.sort);
	top_settle_choice(&scene->choice, scene->order, top_view_rows(view->width, view->height));
	view->status = scene->parsed_status;
	view->detail = scene->parsed_detail;
	view->order = scene->order;
	scene->cells = top_view_draw(view);
}

void draw_on(struct scene *scene, int width, int height)
{
	scene->view.width = width;
	scene->view.height = height;
	draw(scene);
}

char *line_of(const struct scene *scene, int y)
{
	GString *text = g_string_new("");

	for (int x = 0; x < scene->cells->width; x++)
		if (top_cell_at(scene->cells, x, y)->ch)
			g_string_append_unichar(text, top_cell_at(scene->cells, x, y)->ch);
	return g_string_free(text, FALSE);
}

/* The first line that holds @words; NOT_MENTIONED. */
int line_with(const struct scene *scene, const char *words)
{
	for (int y = 0; y < scene->cells->height; y++) {
		g_autofree char *line = line_of(scene, y);

		if (strstr(line, words))
			return y;
	}
	return NOT_MENTIONED;
}

void assert_says(const struct scene *scene, const char *words)
{
	if (line_with(scene, words) != NOT_MENTIONED)
		return;
	for (int y = 0; y < scene->cells->height; y++) {
		g_autofree char *line = line_of(scene, y);

		print_message("|%s|\n", line);
	}
	fail_msg("'%s' is not there", words);
}

void assert_silent(const struct scene *scene, const char *words)
{
	assert_int_equal(line_with(scene, words), NOT_MENTIONED);
}

void assert_line_ends(const struct scene *scene, int y, const char *end)
{
	g_autofree char *line = line_of(scene, y);

	if (!g_str_has_suffix(g_strchomp(line), end))
		fail_msg("'%s' does not end with '%s'", line, end);
}

static char *part_of(const struct scene *scene, int y, int x, int columns)
{
	g_autofree char *line = line_of(scene, y);

	return g_utf8_substring(line, x, x + columns);
}

void assert_part(const struct scene *scene, int y, int x, const char *expected)
{
	g_autofree char *part = part_of(scene, y, x, (int)g_utf8_strlen(expected, -1));

	assert_string_equal(part, expected);
}

void assert_bar(const struct scene *scene, const char *expected)
{
	assert_int_equal(g_utf8_strlen(expected, -1), BAR_WIDTH);
	assert_part(scene, FIRST_GUEST_Y, BAR_X, expected);
}

uint8_t style_at(const struct scene *scene, int x, int y)
{
	return top_cell_at(scene->cells, x, y)->style;
}

void add_change(struct scene *scene, json_int_t id, int count)
{
	json_t *history = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(history,
				      json_pack("{s:I, s:I, s:I, s:s, s:s}", "time_us",
						(json_int_t)(NOW_US - i * 60 * G_USEC_PER_SEC),
						"target_before_bytes", (json_int_t)(SIZE_GIB),
						"target_bytes", (json_int_t)(512 * SIZE_MIB),
						"reason", "idle", "text", "why so"));
	json_decref(scene->detail);
	scene->detail = json_pack("{s:I, s:o}", "id", id, "history", history);
}
