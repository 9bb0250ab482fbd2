/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's answers as structs: whole ones, and those of a peer that is not the daemon. */
#include "api_client/client.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/hang.h"

#define MIB (INT64_C(1) << 20)

/* JSON with ' for ". */
static json_t *json_of(const char *text)
{
	g_autofree char *quoted = g_strdelimit(g_strdup(text), "'", '"');
	json_error_t error;
	json_t *json = json_loads(quoted, JSON_DECODE_ANY, &error);

	if (!json)
		fail_msg("%s: %s", error.text, quoted);
	return json;
}

static const char whole_guest[] =
	"{'id': 7, 'name': 'alpha', 'uuid': '0-1', 'address': 'qmp:/a', 'source': 'qmp',"
	" 'pid': 4711, 'state': 'running', 'driver': 'ready', 'autodeflate': false,"
	" 'free_page_reporting': true, 'abilities': ['relieve', 'gate', 'more'],"
	" 'gains': [{'ability': 'report', 'bytes': 3}, {'ability': 'more', 'bytes': 4},"
	" {'ability': 'pull', 'bytes': null}, 7],"
	" 'pulled_bytes': 5, 'trimmed_bytes': 6, 'credit_bytes': 8, 'ceiling_bytes': 9,"
	" 'obstacle': 'pinned', 'problem': 'no socket', 'mode': 'held', 'mode_by': 'person',"
	" 'held_bytes': 10, 'max_bytes': 11, 'actual_bytes': 12, 'target_bytes': 13,"
	" 'before_bytes': 14, 'resident_bytes': 15, 'min_bytes': 16, 'limit_bytes': 17,"
	" 'weight': 1.5, 'stats': {'age_us': 20, 'available_bytes': 21, 'free_bytes': 22,"
	" 'total_bytes': 23, 'cache_bytes': 24, 'swap_in_bytes': 25, 'swap_out_bytes': 26,"
	" 'major_faults': 27, 'oom_kills': 28, 'alloc_stalls': 29, 'direct_scan_bytes': 30,"
	" 'psi_some_us': 31, 'psi_full_us': 32}, 'need_bytes': 40, 'demand_bytes': 41,"
	" 'reserve_bytes': 42, 'want_bytes': 43, 'floor_bytes': 44, 'pressured': true,"
	" 'critical': true, 'reason': 'idle', 'text': 'why', 'times_set': 50,"
	" 'times_failed': 51, 'limit_path': '/s', 'reason_help': 'help',"
	" 'history': [{'time_us': 60, 'actual_bytes': 61, 'target_before_bytes': 62, "
	"'target_bytes': 63,"
	" 'reason': 'grows', 'text': 'more', 'need_bytes': 64, 'demand_bytes': 65,"
	" 'reserve_bytes': 66, 'want_bytes': 67}]}";

static void a_whole_guest_is_read(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json_of(whole_guest));

	(void)state;
	assert_int_equal(guest->id, 7);
	assert_string_equal(guest->name, "alpha");
	assert_string_equal(guest->uuid, "0-1");
	assert_string_equal(guest->address, "qmp:/a");
	assert_string_equal(guest->source, "qmp");
	assert_int_equal(guest->pid, 4711);
	assert_string_equal(guest->state, "running");
	assert_int_equal(guest->driver, HV_DRIVER_READY);
	assert_int_equal(guest->autodeflate, 0);
	assert_int_equal(guest->free_page_reporting, 1);
	assert_int_equal(guest->abilities, HV_CAN_RELIEVE | HV_CAN_GATE);
	assert_int_equal(guest->gains, HV_CAN_REPORT | HV_CAN_PULL);
	assert_int_equal(guest->gain_bytes[0], 3);
	assert_true(guest->gain_bytes[2] == HV_UNSET);
	assert_int_equal(guest->pulled_bytes, 5);
	assert_int_equal(guest->trimmed_bytes, 6);
	assert_int_equal(guest->credit_bytes, 8);
	assert_int_equal(guest->ceiling_bytes, 9);
	assert_string_equal(guest->obstacle, "pinned");
	assert_string_equal(guest->problem, "no socket");
	assert_int_equal(guest->mode, DAEMON_MODE_HELD);
	assert_true(guest->mode_by_person);
	assert_int_equal(guest->held_bytes, 10);
	assert_int_equal(guest->max_bytes, 11);
	assert_int_equal(guest->actual_bytes, 12);
	assert_int_equal(guest->target_bytes, 13);
	assert_int_equal(guest->before_bytes, 14);
	assert_int_equal(guest->resident_bytes, 15);
	assert_int_equal(guest->min_bytes, 16);
	assert_int_equal(guest->limit_bytes, 17);
	assert_true(guest->weight == 1.5);
	assert_true(guest->pressured && guest->critical);
	assert_int_equal(guest->times_set, 50);
	assert_int_equal(guest->times_failed, 51);
	assert_string_equal(guest->limit_path, "/s");
	assert_string_equal(guest->reason_help, "help");
}

static void a_whole_guest_has_statistics_decision_and_history(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json_of(whole_guest));
	const struct daemon_stats stats = { .age_us = 20,
					    .available_bytes = 21,
					    .free_bytes = 22,
					    .total_bytes = 23,
					    .cache_bytes = 24,
					    .swap_in_bytes = 25,
					    .swap_out_bytes = 26,
					    .major_faults = 27,
					    .oom_kills = 28,
					    .alloc_stalls = 29,
					    .direct_scan_bytes = 30,
					    .psi_some_us = 31,
					    .psi_full_us = 32 };
	const struct daemon_decision *decision = &guest->decision;
	const struct daemon_change *change = guest->history;

	(void)state;
	assert_memory_equal(&guest->stats, &stats, sizeof(stats));
	assert_int_equal(decision->need_bytes, 40);
	assert_int_equal(decision->demand_bytes, 41);
	assert_int_equal(decision->reserve_bytes, 42);
	assert_int_equal(decision->want_bytes, 43);
	assert_int_equal(decision->floor_bytes, 44);
	assert_string_equal(decision->reason, "idle");
	assert_string_equal(decision->text, "why");
	assert_int_equal(guest->history_count, 1);
	assert_int_equal(change->time_us, 60);
	assert_int_equal(change->actual_bytes, 61);
	assert_int_equal(change->target_before_bytes, 62);
	assert_int_equal(change->target_bytes, 63);
	assert_string_equal(change->decision.reason, "grows");
	assert_string_equal(change->decision.text, "more");
	assert_int_equal(change->decision.need_bytes, 64);
	assert_int_equal(change->decision.demand_bytes, 65);
	assert_int_equal(change->decision.reserve_bytes, 66);
	assert_int_equal(change->decision.want_bytes, 67);
	assert_int_equal(change->decision.floor_bytes, HV_UNSET);
}

static void a_whole_status_is_read(void **state)
{
	json_t *json = json_of(
		"{'version': '1', 'policy': 'p', 'started_us': 1, 'rounds': 2, 'late_us': 3,"
		" 'late_max_us': 4, 'step_us': 5, 'trigger': true, 'recording': true,"
		" 'host': {'total_bytes': 10, 'available_bytes': 11, 'free_bytes': 12,"
		" 'cache_bytes': 13, 'swap_used_bytes': 14, 'pressure': 0.25,"
		" 'reserved_bytes': 15, 'critical': true}, 'budget_bytes': 20, 'usable_bytes': 19,"
		" 'in_reserve_bytes': 18,"
		" 'limits': [{'path': '/a', 'limit_bytes': 30, 'budget_bytes': 31, 'guests': 2,"
		" 'overcommitted': true}], 'want_bytes': 21,"
		" 'overcommitted': true, 'guests': [{'name': 'a'}, {'name': 'b'}],"
		" 'reservations': [{'id': 30, 'bytes': 31, 'free_bytes': 32,"
		" 'seconds_left': 33, 'note': 'db'}],"
		" 'problems': [{'source': 'qemu:///system', 'text': 'denied'}]}");
	g_autoptr(daemon_status) status = daemon_parse_status(json);
	const struct daemon_host host = { .total_bytes = 10,
					  .available_bytes = 11,
					  .free_bytes = 12,
					  .cache_bytes = 13,
					  .swap_used_bytes = 14,
					  .reserved_bytes = 15 };

	(void)state;
	assert_string_equal(status->version, "1");
	assert_string_equal(status->policy, "p");
	assert_int_equal(status->started_us, 1);
	assert_int_equal(status->rounds, 2);
	assert_int_equal(status->late_us, 3);
	assert_int_equal(status->late_max_us, 4);
	assert_int_equal(status->step_us, 5);
	assert_true(status->trigger && status->recording && status->overcommitted);
	assert_memory_equal(&status->host, &host, offsetof(struct daemon_host, pressure));
	assert_true(status->host.pressure == 0.25 && status->host.critical);
	assert_int_equal(status->budget_bytes, 20);
	assert_int_equal(status->usable_bytes, 19);
	assert_int_equal(status->in_reserve_bytes, 18);
	assert_int_equal(status->want_bytes, 21);
	assert_int_equal(status->limit_count, 1);
	assert_string_equal(status->limits[0].path, "/a");
	assert_int_equal(status->limits[0].limit_bytes, 30);
	assert_int_equal(status->limits[0].budget_bytes, 31);
	assert_int_equal(status->limits[0].guests, 2);
	assert_true(status->limits[0].overcommitted);
	assert_int_equal(status->guest_count, 2);
	assert_string_equal(status->guests[1].name, "b");
	assert_ptr_equal(status->guests[1].json,
			 json_array_get(json_object_get(json, "guests"), 1));
	assert_int_equal(status->reservation_count, 1);
	assert_int_equal(status->reservations[0].id, 30);
	assert_int_equal(status->reservations[0].bytes, 31);
	assert_int_equal(status->reservations[0].free_bytes, 32);
	assert_int_equal(status->reservations[0].seconds_left, 33);
	assert_string_equal(status->reservations[0].note, "db");
	assert_int_equal(status->problem_count, 1);
	assert_string_equal(status->problems[0].source, "qemu:///system");
	assert_string_equal(status->problems[0].text, "denied");
	assert_ptr_equal(status->json, json);
}

static void errors_are_read(void **state)
{
	g_autoptr(daemon_failure) failure = daemon_parse_failure(
		json_of("{'error': {'code': 'not-found', 'message': 'no guest'}}"));

	(void)state;
	assert_string_equal(failure->code, "not-found");
	assert_string_equal(failure->message, "no guest");
}

static void assert_default_guest(const struct daemon_guest *guest)
{
	const struct daemon_decision *decision = &guest->decision;
	const uint64_t sizes[] = { guest->pid,
				   guest->held_bytes,
				   guest->max_bytes,
				   guest->actual_bytes,
				   guest->target_bytes,
				   guest->before_bytes,
				   guest->resident_bytes,
				   guest->min_bytes,
				   guest->limit_bytes,
				   decision->need_bytes,
				   decision->demand_bytes,
				   decision->reserve_bytes,
				   decision->want_bytes,
				   decision->floor_bytes,
				   guest->stats.age_us,
				   guest->stats.psi_full_us };
	const char *const texts[] = { guest->name,	guest->uuid,	   guest->address,
				      guest->source,	guest->state,	   guest->obstacle,
				      guest->problem,	guest->limit_path, guest->reason_help,
				      decision->reason, decision->text };

	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
		assert_int_equal(sizes[i], HV_UNSET);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		assert_string_equal(texts[i], "");
	assert_int_equal(guest->id, 0);
	assert_int_equal(guest->times_set, 0);
	assert_int_equal(guest->driver, HV_DRIVER_UNKNOWN);
	assert_int_equal(guest->autodeflate, -1);
	assert_int_equal(guest->mode, DAEMON_MODE_UNKNOWN);
	assert_false(guest->mode_by_person || guest->pressured || guest->critical);
	assert_true(guest->weight < 0);
	assert_int_equal(guest->history_count, 0);
}

static void assert_default_status(const struct daemon_status *status)
{
	assert_string_equal(status->policy, "");
	assert_int_equal(status->rounds, 0);
	assert_int_equal(status->started_us, 0);
	assert_int_equal(status->host.total_bytes, HV_UNSET);
	assert_true(status->host.pressure == 0);
	assert_false(status->host.critical || status->overcommitted || status->recording);
	assert_int_equal(status->budget_bytes, HV_UNSET);
	assert_int_equal(status->guest_count, 0);
	assert_int_equal(status->reservation_count, 0);
	assert_int_equal(status->problem_count, 0);
}

static void what_is_missing_has_its_default(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json_of("{}"));
	g_autoptr(daemon_status) status = daemon_parse_status(json_of("{'guests': [{}]}"));
	g_autoptr(daemon_reservation) reservation = daemon_parse_reservation(json_of("{}"));

	(void)state;
	assert_default_guest(guest);
	assert_int_equal(status->guest_count, 1);
	assert_default_guest(&status->guests[0]);
	assert_int_equal(reservation->id, 0);
	assert_int_equal(reservation->bytes, HV_UNSET);
	assert_string_equal(reservation->note, "");
}

/* Whatever each member of the whole guest is replaced by, nothing but its default is left. */
static void what_has_another_type_has_its_default(void **state)
{
	static const char *const wrong[] = {
		"null", "[]", "{}", "[{}]", "-1", "-9.5", "{'a': 'b'}"
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		json_t *json = json_of(whole_guest);
		json_t *value;
		const char *key;
		g_autoptr(daemon_guest) guest = NULL;

		json_object_foreach (json, key, value)
			json_object_set_new(json, key, json_of(wrong[i]));
		/* A history of an empty object is right. */
		json_object_del(json, "history");
		guest = daemon_parse_guest(json);
		assert_default_guest(guest);
	}
}

static void each_kind_takes_only_its_own(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json_of(
		"{'name': 5, 'mode': true, 'mode_by': 'file', 'actual_bytes': 12.0,"
		" 'max_bytes': '12', 'target_bytes': true, 'critical': 1, 'pressured': 'true',"
		" 'weight': '1', 'autodeflate': 1, 'driver': ['ready'], 'times_set': 3.0,"
		" 'stats': [1], 'history': {'time_us': 1}, 'problem': 0, 'state': {'a': 1}}"));

	(void)state;
	assert_default_guest(guest);
}

static void a_status_that_is_anything_else_is_empty(void **state)
{
	static const char *const wrong[] = {
		"null",
		"7",
		"'text'",
		"[]",
		"{'guests': 7, 'reservations': {}, 'problems': 'x'}",
		"{'guests': [1, null, 'x', []], 'problems': [[]], 'reservations': [true]}"
	};
	g_autoptr(daemon_status) none = daemon_parse_status(NULL);

	(void)state;
	assert_default_status(none);
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(daemon_status) status = daemon_parse_status(json_of(wrong[i]));

		assert_default_status(status);
	}
}

static void what_is_not_an_object_in_a_list_is_skipped(void **state)
{
	g_autoptr(daemon_status) status =
		daemon_parse_status(json_of("{'guests': [1, {'name': 'a'}, null, {'name': 'b'}]}"));

	(void)state;
	assert_int_equal(status->guest_count, 2);
	assert_string_equal(status->guests[0].name, "a");
	assert_string_equal(status->guests[1].name, "b");
}

static void members_that_are_not_known_are_ignored(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(
		json_of("{'name': 'alpha', 'colour': 'red', 'mode': 'frozen', 'new': {'id': 9}}"));

	(void)state;
	assert_string_equal(guest->name, "alpha");
	assert_int_equal(guest->id, 0);
	assert_int_equal(guest->mode, DAEMON_MODE_UNKNOWN);
}

static void enormous_numbers_are_taken_or_unknown(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(
		json_of("{'actual_bytes': 9223372036854775807, 'id': 9223372036854775807,"
			" 'max_bytes': -9223372036854775808, 'weight': 1e300,"
			" 'target_bytes': 1e18}"));
	g_autoptr(daemon_status) status = daemon_parse_status(
		json_of("{'host': {'pressure': 1e300}, 'late_us': 9223372036854775807}"));
	g_autoptr(daemon_status) negative =
		daemon_parse_status(json_of("{'host': {'pressure': -1e300}}"));

	(void)state;
	assert_int_equal(guest->actual_bytes, INT64_MAX);
	assert_int_equal(guest->id, INT64_MAX);
	assert_int_equal(guest->max_bytes, HV_UNSET);
	assert_int_equal(guest->target_bytes, HV_UNSET);
	assert_true(guest->weight == 1e300);
	assert_true(status->host.pressure == 1);
	assert_int_equal(status->late_us, INT64_MAX);
	assert_true(negative->host.pressure == 0);
}

static json_t *guest_named(const char *name)
{
	return json_pack("{s:s}", "name", name);
}

static void a_text_is_cut_between_characters(void **state)
{
	g_autofree char *fits = g_strnfill(DAEMON_TEXT_MAX, 'x');
	g_autofree char *longer = g_strnfill(DAEMON_TEXT_MAX + 1, 'x');
	g_autofree char *half = g_strnfill(DAEMON_TEXT_MAX + 8, 'x');
	g_autoptr(daemon_guest) fitting = daemon_parse_guest(guest_named(fits));
	g_autoptr(daemon_guest) cut = daemon_parse_guest(guest_named(longer));
	g_autoptr(daemon_guest) apart = NULL;

	(void)state;
	assert_int_equal(strlen(fitting->name), DAEMON_TEXT_MAX);
	assert_int_equal(strlen(cut->name), DAEMON_TEXT_MAX);
	/* Three bytes, of which one would fit. */
	memcpy(half + DAEMON_TEXT_MAX - 1, "漢", 3);
	apart = daemon_parse_guest(guest_named(half));
	assert_int_equal(strlen(apart->name), DAEMON_TEXT_MAX - 1);
	assert_true(g_utf8_validate(apart->name, -1, NULL));
}

static void control_characters_are_left_to_who_shows_them(void **state)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(guest_named("a\033[2J\nb\u202e"));

	(void)state;
	assert_string_equal(guest->name, "a\033[2J\nb\u202e");
}

static void a_list_has_an_end(void **state)
{
	json_t *guests = json_array();
	g_autoptr(daemon_status) status = NULL;

	(void)state;
	for (int i = 0; i < DAEMON_LIST_MAX + 10; i++)
		json_array_append_new(guests, json_object());
	status = daemon_parse_status(json_pack("{s:o}", "guests", guests));
	assert_int_equal(status->guest_count, DAEMON_LIST_MAX);
}

static void names_are_the_texts_of_a_list(void **state)
{
	json_t *json = json_of("{'guests': ['a', 1, null, '', 'b'], 'file': '/x', 'none': null}");
	g_auto(GStrv) names = daemon_parse_names(json, "guests");
	g_auto(GStrv) none = daemon_parse_names(json, "file");
	g_autofree char *file = daemon_parse_text(json, "file");
	g_autofree char *null = daemon_parse_text(json, "none");

	(void)state;
	assert_int_equal(g_strv_length(names), 3);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "");
	assert_string_equal(names[2], "b");
	assert_int_equal(g_strv_length(none), 0);
	assert_string_equal(file, "/x");
	assert_string_equal(null, "");
	json_decref(json);
}

static void lines_of_a_recording_are_told_apart(void **state)
{
	const struct {
		const char *text;
		enum daemon_line line;
	} lines[] = { { "{\"aerostat-recording\": 1, \"settings\": {}}", DAEMON_LINE_START },
		      { "{\"settings\": {}}", DAEMON_LINE_SETTINGS },
		      { "{\"host\": {}, \"guests\": []}", DAEMON_LINE_STEP },
		      { "{}", DAEMON_LINE_UNKNOWN },
		      { "[\"host\"]", DAEMON_LINE_UNKNOWN },
		      { "", DAEMON_LINE_UNKNOWN },
		      { "{\"host\": {}", DAEMON_LINE_UNKNOWN } };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		assert_int_equal(daemon_parse_line(lines[i].text), lines[i].line);
}

/* @from without its owner's pointers, which differ between any two answers. */
#define IMAGE_OF(from)                                                                             \
	({                                                                                         \
		g_autofree typeof(*(from)) *copy = g_memdup2(from, sizeof(*(from)));               \
                                                                                                   \
		copy->json = NULL;                                                                 \
		copy->texts = NULL;                                                                \
		g_bytes_new(copy, sizeof(*copy));                                                  \
	})

static GBytes *status_image(json_t *json)
{
	g_autoptr(daemon_status) status = daemon_parse_status(json);

	return IMAGE_OF(status);
}

static GBytes *host_image(json_t *json)
{
	return status_image(json_pack("{s:o}", "host", json));
}

static GBytes *guest_image(json_t *json)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json);

	return IMAGE_OF(guest);
}

static GBytes *stats_image(json_t *json)
{
	return guest_image(json_pack("{s:o}", "stats", json));
}

static GBytes *change_image(json_t *json)
{
	g_autoptr(daemon_guest) guest = daemon_parse_guest(json_pack("{s:[o]}", "history", json));

	return g_bytes_new(guest->history, sizeof(*guest->history));
}

static GBytes *reservation_image(json_t *json)
{
	g_autoptr(daemon_reservation) reservation = daemon_parse_reservation(json);

	return IMAGE_OF(reservation);
}

static GBytes *resize_image(json_t *json)
{
	g_autoptr(daemon_resize) resize = daemon_parse_resize(json);

	return IMAGE_OF(resize);
}

/* The schema itself, where @property only refers to it. */
static json_t *resolve(json_t *schemas, json_t *property)
{
	json_t *all = json_object_get(property, "allOf");
	const char *reference;

	property = all ? json_array_get(all, 0) : property;
	reference = json_string_value(json_object_get(property, "$ref"));
	return reference ? json_object_get(schemas, strrchr(reference, '/') + 1) : property;
}

/* Values of the schema, of which one at least is no member's default. */
static json_t *samples_of(json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type"));
	json_t *names = json_object_get(schema, "enum");
	json_t *several = json_object_get(json_object_get(schema, "items"), "enum");

	if (several)
		return json_pack("[O]", several);
	if (names)
		return json_incref(names);
	if (!strcmp(type, "string"))
		return json_pack("[s]", "text");
	if (!strcmp(type, "boolean"))
		return json_pack("[b]", 1);
	if (!strcmp(type, "array") || !strcmp(type, "object"))
		return json_pack("[[{s:s}], {s:i, s:i}]", "ability", "pull", "age_us", 1,
				 "total_bytes", 1);
	return json_pack("[i]", 1);
}

static void every_member_of_the_schemas_is_read(void **state)
{
	static const struct {
		const char *schema;
		GBytes *(*image)(json_t *json); /* takes the reference */
	} rows[] = { { "status", status_image }, { "host", host_image },
		     { "guest", guest_image },	 { "stats", stats_image },
		     { "past", change_image },	 { "reservation", reservation_image },
		     { "resize", resize_image } };
	json_t *document = json_load_file(OPENAPI, 0, NULL);
	json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");

	(void)state;
	assert_non_null(schemas);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		json_t *members =
			json_object_get(json_object_get(schemas, rows[i].schema), "properties");
		g_autoptr(GBytes) plain = rows[i].image(json_object());
		json_t *property;
		const char *name;

		assert_true(json_object_size(members) > 0);
		json_object_foreach (members, name, property) {
			json_t *samples = samples_of(resolve(schemas, property));
			bool read = false;

			for (size_t k = 0; k < json_array_size(samples); k++) {
				g_autoptr(GBytes) image = rows[i].image(
					json_pack("{s:O}", name, json_array_get(samples, k)));

				read = read || !g_bytes_equal(image, plain);
			}
			if (!read)
				fail_msg("%s of schema %s is not read", name, rows[i].schema);
			json_decref(samples);
		}
	}
	json_decref(document);
}

static void each_mode_has_the_name_of_the_api(void **state)
{
	const enum daemon_mode modes[] = { DAEMON_MODE_AUTO, DAEMON_MODE_OBSERVE, DAEMON_MODE_HELD,
					   DAEMON_MODE_OFF };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		g_autoptr(daemon_guest) guest =
			daemon_parse_guest(json_pack("{s:s}", "mode", daemon_mode_name(modes[i])));

		assert_int_equal(guest->mode, modes[i]);
	}
}

static void without_a_socket_the_daemon_is_absent(void **state)
{
	g_autoptr(daemon_client) client = daemon_client_new("/nonexistent/socket", 1000);
	g_autoptr(GError) error = NULL;

	(void)state;
	assert_null(daemon_get_status(client, &error));
	assert_true(g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_ABSENT));
}

#define ANSWER                                                                                     \
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"               \
	"Connection: close\r\n\r\n{}"

/* Lets the queue of @listener stay full for a moment, then takes each client and answers. */
static void serve_late(int listener)
{
	char request[4096];

	g_usleep(200000);
	for (;;) {
		int client = accept(listener, NULL, NULL);

		if (client < 0 || (recv(client, request, sizeof(request), 0) > 0 &&
				   send(client, ANSWER, strlen(ANSWER), MSG_NOSIGNAL) < 0))
			_exit(1);
		close(client);
	}
}

static void fill_queue(const struct sockaddr_un *address)
{
	int fd;

	do {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_return_code(fd, errno);
	} while (!connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
		 !shutdown(fd, SHUT_WR));
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

static void a_daemon_to_which_many_connect_is_waited_for(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_autofree char *folder = g_dir_make_tmp("api-client-XXXXXX", NULL);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_autoptr(daemon_client) client = NULL;
	g_autoptr(daemon_status) status = NULL;
	g_autoptr(GError) error = NULL;
	pid_t pid;

	(void)state;
	g_snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", folder);
	assert_return_code(bind(listener, (struct sockaddr *)&address, sizeof(address)), errno);
	assert_return_code(listen(listener, 0), errno);
	fill_queue(&address);
	pid = fork();
	if (!pid)
		serve_late(listener);
	close(listener);
	client = daemon_client_new(address.sun_path, HANG_US / 1000);
	status = daemon_get_status(client, &error);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(address.sun_path);
	rmdir(folder);
	assert_null(error);
	assert_non_null(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_guest_is_read),
		cmocka_unit_test(a_whole_guest_has_statistics_decision_and_history),
		cmocka_unit_test(a_whole_status_is_read),
		cmocka_unit_test(errors_are_read),
		cmocka_unit_test(what_is_missing_has_its_default),
		cmocka_unit_test(what_has_another_type_has_its_default),
		cmocka_unit_test(each_kind_takes_only_its_own),
		cmocka_unit_test(a_status_that_is_anything_else_is_empty),
		cmocka_unit_test(what_is_not_an_object_in_a_list_is_skipped),
		cmocka_unit_test(members_that_are_not_known_are_ignored),
		cmocka_unit_test(enormous_numbers_are_taken_or_unknown),
		cmocka_unit_test(a_text_is_cut_between_characters),
		cmocka_unit_test(control_characters_are_left_to_who_shows_them),
		cmocka_unit_test(a_list_has_an_end),
		cmocka_unit_test(names_are_the_texts_of_a_list),
		cmocka_unit_test(lines_of_a_recording_are_told_apart),
		cmocka_unit_test(every_member_of_the_schemas_is_read),
		cmocka_unit_test(each_mode_has_the_name_of_the_api),
		cmocka_unit_test(without_a_socket_the_daemon_is_absent),
		cmocka_unit_test(a_daemon_to_which_many_connect_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
