/* SPDX-License-Identifier: BSD-3-Clause */
#include "api_client/answers.h"

#include <string.h>

G_DEFINE_QUARK(daemon_error, daemon_error)

/* What a member holds, and which values are taken; all others leave its default. */
enum member_kind {
	MEMBER_SIZE,   /* uint64_t: an integer ≥ 0; else HV_UNSET */
	MEMBER_COUNT,  /* uint64_t: an integer ≥ 0; else 0 */
	MEMBER_TIME,   /* int64_t: an integer ≥ 0; else 0 */
	MEMBER_SHARE,  /* double: a number, brought into 0 to 1; else 0 */
	MEMBER_WEIGHT, /* double: a number ≥ 0; else -1 */
	MEMBER_FLAG,   /* bool */
	MEMBER_SWITCH, /* int: 1 for true, 0 for false; else -1 */
	MEMBER_TEXT,   /* const char *: a string; else "" */
	MEMBER_MODE,
	MEMBER_PERSON, /* bool: "person" */
	MEMBER_DRIVER,
	MEMBER_ABILITIES, /* unsigned int: a mask, from an array of names */
};

struct member {
	const char *name;
	enum member_kind kind;
	size_t offset; /* in the struct */
};

static const struct member host_members[] = {
	{ "total_bytes", MEMBER_SIZE, offsetof(struct daemon_host, total_bytes) },
	{ "available_bytes", MEMBER_SIZE, offsetof(struct daemon_host, available_bytes) },
	{ "free_bytes", MEMBER_SIZE, offsetof(struct daemon_host, free_bytes) },
	{ "cache_bytes", MEMBER_SIZE, offsetof(struct daemon_host, cache_bytes) },
	{ "swap_used_bytes", MEMBER_SIZE, offsetof(struct daemon_host, swap_used_bytes) },
	{ "reserved_bytes", MEMBER_SIZE, offsetof(struct daemon_host, reserved_bytes) },
	{ "pressure", MEMBER_SHARE, offsetof(struct daemon_host, pressure) },
	{ "critical", MEMBER_FLAG, offsetof(struct daemon_host, critical) },
};

static const struct member stats_members[] = {
	{ "age_us", MEMBER_SIZE, offsetof(struct daemon_stats, age_us) },
	{ "available_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, available_bytes) },
	{ "free_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, free_bytes) },
	{ "total_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, total_bytes) },
	{ "cache_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, cache_bytes) },
	{ "swap_in_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, swap_in_bytes) },
	{ "swap_out_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, swap_out_bytes) },
	{ "direct_scan_bytes", MEMBER_SIZE, offsetof(struct daemon_stats, direct_scan_bytes) },
	{ "major_faults", MEMBER_SIZE, offsetof(struct daemon_stats, major_faults) },
	{ "oom_kills", MEMBER_SIZE, offsetof(struct daemon_stats, oom_kills) },
	{ "alloc_stalls", MEMBER_SIZE, offsetof(struct daemon_stats, alloc_stalls) },
	{ "psi_some_us", MEMBER_SIZE, offsetof(struct daemon_stats, psi_some_us) },
	{ "psi_full_us", MEMBER_SIZE, offsetof(struct daemon_stats, psi_full_us) },
};

static const struct member decision_members[] = {
	{ "need_bytes", MEMBER_SIZE, offsetof(struct daemon_decision, need_bytes) },
	{ "demand_bytes", MEMBER_SIZE, offsetof(struct daemon_decision, demand_bytes) },
	{ "reserve_bytes", MEMBER_SIZE, offsetof(struct daemon_decision, reserve_bytes) },
	{ "want_bytes", MEMBER_SIZE, offsetof(struct daemon_decision, want_bytes) },
	{ "floor_bytes", MEMBER_SIZE, offsetof(struct daemon_decision, floor_bytes) },
	{ "reason", MEMBER_TEXT, offsetof(struct daemon_decision, reason) },
	{ "text", MEMBER_TEXT, offsetof(struct daemon_decision, text) },
};

static const struct member change_members[] = {
	{ "time_us", MEMBER_TIME, offsetof(struct daemon_change, time_us) },
	{ "actual_bytes", MEMBER_SIZE, offsetof(struct daemon_change, actual_bytes) },
	{ "target_before_bytes", MEMBER_SIZE, offsetof(struct daemon_change, target_before_bytes) },
	{ "target_bytes", MEMBER_SIZE, offsetof(struct daemon_change, target_bytes) },
};

static const struct member guest_members[] = {
	{ "id", MEMBER_COUNT, offsetof(struct daemon_guest, id) },
	{ "name", MEMBER_TEXT, offsetof(struct daemon_guest, name) },
	{ "uuid", MEMBER_TEXT, offsetof(struct daemon_guest, uuid) },
	{ "address", MEMBER_TEXT, offsetof(struct daemon_guest, address) },
	{ "source", MEMBER_TEXT, offsetof(struct daemon_guest, source) },
	{ "pid", MEMBER_SIZE, offsetof(struct daemon_guest, pid) },
	{ "state", MEMBER_TEXT, offsetof(struct daemon_guest, state) },
	{ "driver", MEMBER_DRIVER, offsetof(struct daemon_guest, driver) },
	{ "autodeflate", MEMBER_SWITCH, offsetof(struct daemon_guest, autodeflate) },
	{ "free_page_reporting", MEMBER_SWITCH,
	  offsetof(struct daemon_guest, free_page_reporting) },
	{ "abilities", MEMBER_ABILITIES, offsetof(struct daemon_guest, abilities) },
	{ "pulled_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, pulled_bytes) },
	{ "trimmed_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, trimmed_bytes) },
	{ "credit_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, credit_bytes) },
	{ "ceiling_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, ceiling_bytes) },
	{ "obstacle", MEMBER_TEXT, offsetof(struct daemon_guest, obstacle) },
	{ "problem", MEMBER_TEXT, offsetof(struct daemon_guest, problem) },
	{ "mode", MEMBER_MODE, offsetof(struct daemon_guest, mode) },
	{ "mode_by", MEMBER_PERSON, offsetof(struct daemon_guest, mode_by_person) },
	{ "held_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, held_bytes) },
	{ "max_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, max_bytes) },
	{ "actual_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, actual_bytes) },
	{ "target_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, target_bytes) },
	{ "before_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, before_bytes) },
	{ "resident_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, resident_bytes) },
	{ "min_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, min_bytes) },
	{ "limit_bytes", MEMBER_SIZE, offsetof(struct daemon_guest, limit_bytes) },
	{ "weight", MEMBER_WEIGHT, offsetof(struct daemon_guest, weight) },
	{ "pressured", MEMBER_FLAG, offsetof(struct daemon_guest, pressured) },
	{ "critical", MEMBER_FLAG, offsetof(struct daemon_guest, critical) },
	{ "times_set", MEMBER_COUNT, offsetof(struct daemon_guest, times_set) },
	{ "times_failed", MEMBER_COUNT, offsetof(struct daemon_guest, times_failed) },
	{ "limit_path", MEMBER_TEXT, offsetof(struct daemon_guest, limit_path) },
	{ "reason_help", MEMBER_TEXT, offsetof(struct daemon_guest, reason_help) },
};

static const struct member reservation_members[] = {
	{ "id", MEMBER_COUNT, offsetof(struct daemon_reservation, id) },
	{ "bytes", MEMBER_SIZE, offsetof(struct daemon_reservation, bytes) },
	{ "free_bytes", MEMBER_SIZE, offsetof(struct daemon_reservation, free_bytes) },
	{ "seconds_left", MEMBER_COUNT, offsetof(struct daemon_reservation, seconds_left) },
	{ "note", MEMBER_TEXT, offsetof(struct daemon_reservation, note) },
};

static const struct member resize_members[] = {
	{ "guest", MEMBER_TEXT, offsetof(struct daemon_resize, guest) },
	{ "state", MEMBER_TEXT, offsetof(struct daemon_resize, state) },
	{ "target_bytes", MEMBER_SIZE, offsetof(struct daemon_resize, target_bytes) },
	{ "before_bytes", MEMBER_SIZE, offsetof(struct daemon_resize, before_bytes) },
	{ "actual_bytes", MEMBER_SIZE, offsetof(struct daemon_resize, actual_bytes) },
	{ "host_before_bytes", MEMBER_SIZE, offsetof(struct daemon_resize, host_before_bytes) },
	{ "host_after_bytes", MEMBER_SIZE, offsetof(struct daemon_resize, host_after_bytes) },
	{ "eased_bytes", MEMBER_SIZE, offsetof(struct daemon_resize, eased_bytes) },
	{ "reason", MEMBER_TEXT, offsetof(struct daemon_resize, reason) },
	{ "why", MEMBER_TEXT, offsetof(struct daemon_resize, why) },
	{ "remedy", MEMBER_TEXT, offsetof(struct daemon_resize, remedy) },
	{ "note", MEMBER_TEXT, offsetof(struct daemon_resize, note) },
	{ "host", MEMBER_TEXT, offsetof(struct daemon_resize, host) },
};

static const struct member problem_members[] = {
	{ "source", MEMBER_TEXT, offsetof(struct daemon_problem, source) },
	{ "text", MEMBER_TEXT, offsetof(struct daemon_problem, text) },
};

static const struct member limit_members[] = {
	{ "path", MEMBER_TEXT, offsetof(struct daemon_limit, path) },
	{ "limit_bytes", MEMBER_SIZE, offsetof(struct daemon_limit, limit_bytes) },
	{ "budget_bytes", MEMBER_SIZE, offsetof(struct daemon_limit, budget_bytes) },
	{ "guests", MEMBER_COUNT, offsetof(struct daemon_limit, guests) },
	{ "overcommitted", MEMBER_FLAG, offsetof(struct daemon_limit, overcommitted) },
};

static const struct member status_members[] = {
	{ "version", MEMBER_TEXT, offsetof(struct daemon_status, version) },
	{ "policy", MEMBER_TEXT, offsetof(struct daemon_status, policy) },
	{ "started_us", MEMBER_TIME, offsetof(struct daemon_status, started_us) },
	{ "rounds", MEMBER_COUNT, offsetof(struct daemon_status, rounds) },
	{ "late_us", MEMBER_TIME, offsetof(struct daemon_status, late_us) },
	{ "late_max_us", MEMBER_TIME, offsetof(struct daemon_status, late_max_us) },
	{ "step_us", MEMBER_TIME, offsetof(struct daemon_status, step_us) },
	{ "trigger", MEMBER_FLAG, offsetof(struct daemon_status, trigger) },
	{ "recording", MEMBER_FLAG, offsetof(struct daemon_status, recording) },
	{ "budget_bytes", MEMBER_SIZE, offsetof(struct daemon_status, budget_bytes) },
	{ "usable_bytes", MEMBER_SIZE, offsetof(struct daemon_status, usable_bytes) },
	{ "in_reserve_bytes", MEMBER_SIZE, offsetof(struct daemon_status, in_reserve_bytes) },
	{ "want_bytes", MEMBER_SIZE, offsetof(struct daemon_status, want_bytes) },
	{ "overcommitted", MEMBER_FLAG, offsetof(struct daemon_status, overcommitted) },
	{ "to_restore", MEMBER_COUNT, offsetof(struct daemon_status, to_restore) },
};

static const struct member failure_members[] = {
	{ "code", MEMBER_TEXT, offsetof(struct daemon_failure, code) },
	{ "message", MEMBER_TEXT, offsetof(struct daemon_failure, message) },
};

static const char *const mode_names[] = {
	[DAEMON_MODE_UNKNOWN] = "unknown", [DAEMON_MODE_AUTO] = "auto",
	[DAEMON_MODE_OBSERVE] = "observe", [DAEMON_MODE_HELD] = "held",
	[DAEMON_MODE_OFF] = "off",
};

const char *daemon_mode_name(enum daemon_mode mode)
{
	return mode_names[mode];
}

static enum daemon_mode parse_mode(const json_t *value)
{
	for (size_t i = 0; i < G_N_ELEMENTS(mode_names); i++)
		if (!g_strcmp0(json_string_value(value), mode_names[i]))
			return (enum daemon_mode)i;
	return DAEMON_MODE_UNKNOWN;
}

static enum hv_driver parse_driver(const json_t *value)
{
	const char *name = json_string_value(value);

	return !g_strcmp0(name, "ready")    ? HV_DRIVER_READY
	       : !g_strcmp0(name, "absent") ? HV_DRIVER_ABSENT
					    : HV_DRIVER_UNKNOWN;
}

/* The bit of the ability called @name; HV_ABILITIES if this version knows none of that name. */
static unsigned int find_ability(const json_t *name)
{
	/* By bit.  This library is linked without hypervisor/. */
	static const char *const names[HV_ABILITIES] = { "report", "relieve", "pull", "trim",
							 "gate" };
	unsigned int bit = 0;

	while (bit < HV_ABILITIES && g_strcmp0(json_string_value(name), names[bit]))
		bit++;
	return bit;
}

static unsigned int parse_abilities(const json_t *value)
{
	unsigned int abilities = 0;
	json_t *item;
	size_t i;

	json_array_foreach (value, i, item)
		abilities |= 1U << find_ability(item);
	return abilities & ((1U << HV_ABILITIES) - 1);
}

static int64_t parse_integer(const json_t *value, int64_t otherwise)
{
	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
									: otherwise;
}

/* Cuts a text that is too long; jansson has checked that it is UTF-8. */
static char *copy_text(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t length = json_string_length(value);

	if (length > DAEMON_TEXT_MAX)
		length = (size_t)(g_utf8_find_prev_char(text, text + DAEMON_TEXT_MAX + 1) - text);
	return g_strndup(text ? text : "", length);
}

static const char *parse_text(GStringChunk *texts, const json_t *value)
{
	g_autofree char *text = copy_text(value);

	return *text ? g_string_chunk_insert(texts, text) : "";
}

static void parse_member(GStringChunk *texts, const json_t *value, enum member_kind kind, void *to)
{
	switch (kind) {
	case MEMBER_SIZE:
		/* HV_UNSET is -1 in the type of JSON's integers. */
		*(uint64_t *)to = (uint64_t)parse_integer(value, (int64_t)HV_UNSET);
		break;
	case MEMBER_COUNT:
		*(uint64_t *)to = (uint64_t)parse_integer(value, 0);
		break;
	case MEMBER_TIME:
		*(int64_t *)to = parse_integer(value, 0);
		break;
	case MEMBER_SHARE:
		*(double *)to = CLAMP(json_number_value(value), 0, 1);
		break;
	case MEMBER_WEIGHT:
		*(double *)to = json_is_number(value) && json_number_value(value) >= 0
					? json_number_value(value)
					: -1;
		break;
	case MEMBER_FLAG:
		*(bool *)to = json_is_true(value);
		break;
	case MEMBER_SWITCH:
		*(int *)to = json_is_boolean(value) ? json_is_true(value) : -1;
		break;
	case MEMBER_TEXT:
		*(const char **)to = parse_text(texts, value);
		break;
	case MEMBER_MODE:
		*(enum daemon_mode *)to = parse_mode(value);
		break;
	case MEMBER_PERSON:
		*(bool *)to = !g_strcmp0(json_string_value(value), "person");
		break;
	case MEMBER_DRIVER:
		*(enum hv_driver *)to = parse_driver(value);
		break;
	case MEMBER_ABILITIES:
		*(unsigned int *)to = parse_abilities(value);
		break;
	}
}

static void parse_members(GStringChunk *texts, const json_t *json, const struct member *members,
			  size_t count, void *to)
{
	for (size_t i = 0; i < count; i++)
		parse_member(texts, json_object_get(json, members[i].name), members[i].kind,
			     (char *)to + members[i].offset);
}
#define PARSE_MEMBERS(texts, json, members, to)                                                    \
	parse_members(texts, json, members, G_N_ELEMENTS(members), to)

/*
 * The objects of the array at @key of @json, as items of @size bytes each that @parse fills.
 * *@count receives their number; NULL without any.
 */
static void *parse_list(GStringChunk *texts, const json_t *json, const char *key, size_t size,
			void (*parse)(GStringChunk *texts, json_t *json, void *to), size_t *count)
{
	const json_t *array = json_object_get(json, key);
	size_t places = MIN(json_array_size(array), DAEMON_LIST_MAX);
	char *items = places ? g_malloc0_n(places, size) : NULL;

	*count = 0;
	for (size_t i = 0; i < places; i++) {
		json_t *one = json_array_get(array, i);

		if (json_is_object(one))
			parse(texts, one, items + size * (*count)++);
	}
	return items;
}

static void parse_change(GStringChunk *texts, json_t *json, void *to)
{
	struct daemon_change *change = to;

	PARSE_MEMBERS(texts, json, change_members, change);
	PARSE_MEMBERS(texts, json, decision_members, &change->decision);
}

/* Never the name, which another guest may have. */
static const char *find_exact_word(GStringChunk *texts, const struct daemon_guest *guest)
{
	g_autofree char *word = g_strconcat("uuid:", guest->uuid, NULL);

	if (!strcmp(guest->source, "qmp") || !*guest->uuid)
		return guest->address;
	return g_string_chunk_insert(texts, word);
}

static void parse_gains(struct daemon_guest *guest, const json_t *gains)
{
	json_t *item;
	size_t i;

	json_array_foreach (gains, i, item) {
		unsigned int bit = find_ability(json_object_get(item, "ability"));

		if (bit == HV_ABILITIES)
			continue;
		guest->gains |= 1U << bit;
		parse_member(NULL, json_object_get(item, "bytes"), MEMBER_SIZE,
			     &guest->gain_bytes[bit]);
	}
}

static void parse_guest(GStringChunk *texts, json_t *json, void *to)
{
	struct daemon_guest *guest = to;

	guest->json = json;
	PARSE_MEMBERS(texts, json, guest_members, guest);
	PARSE_MEMBERS(texts, json_object_get(json, "stats"), stats_members, &guest->stats);
	PARSE_MEMBERS(texts, json, decision_members, &guest->decision);
	parse_gains(guest, json_object_get(json, "gains"));
	guest->word = find_exact_word(texts, guest);
	guest->label = *guest->name ? guest->name : guest->address;
}

static void parse_reservation(GStringChunk *texts, json_t *json, void *to)
{
	struct daemon_reservation *reservation = to;

	reservation->json = json;
	PARSE_MEMBERS(texts, json, reservation_members, reservation);
}

static void parse_limit(GStringChunk *texts, json_t *json, void *to)
{
	PARSE_MEMBERS(texts, json, limit_members, to);
}

static void parse_problem(GStringChunk *texts, json_t *json, void *to)
{
	PARSE_MEMBERS(texts, json, problem_members, to);
}

static GStringChunk *new_texts(void)
{
	return g_string_chunk_new(1024);
}

static void free_answer(json_t *json, GStringChunk *texts)
{
	json_decref(json);
	g_string_chunk_free(texts);
}

/* Adds to the labels of guests of equal names which of them it is. */
static void tell_namesakes_apart(GStringChunk *texts, struct daemon_status *status)
{
	g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) shared = g_hash_table_new(g_str_hash, g_str_equal);

	for (size_t i = 0; i < status->guest_count; i++)
		if (!g_hash_table_add(first, (void *)status->guests[i].name))
			g_hash_table_add(shared, (void *)status->guests[i].name);
	for (size_t i = 0; i < status->guest_count; i++) {
		struct daemon_guest *guest = &status->guests[i];
		g_autofree char *label = g_strdup_printf("%s (%s)", guest->name, guest->word);

		if (g_hash_table_contains(shared, guest->name) && strcmp(guest->label, guest->word))
			guest->label = g_string_chunk_insert(texts, label);
	}
}

struct daemon_status *daemon_parse_status(json_t *json)
{
	struct daemon_status *status = g_new0(struct daemon_status, 1);
	GStringChunk *texts = new_texts();

	status->json = json;
	status->texts = texts;
	PARSE_MEMBERS(texts, json, status_members, status);
	PARSE_MEMBERS(texts, json_object_get(json, "host"), host_members, &status->host);
	status->guests = parse_list(texts, json, "guests", sizeof(struct daemon_guest), parse_guest,
				    &status->guest_count);
	status->reservations =
		parse_list(texts, json, "reservations", sizeof(struct daemon_reservation),
			   parse_reservation, &status->reservation_count);
	tell_namesakes_apart(texts, status);
	status->limits = parse_list(texts, json, "limits", sizeof(struct daemon_limit), parse_limit,
				    &status->limit_count);
	status->problems = parse_list(texts, json, "problems", sizeof(struct daemon_problem),
				      parse_problem, &status->problem_count);
	return status;
}

void daemon_free_status(struct daemon_status *status)
{
	if (!status)
		return;
	g_free(status->guests);
	g_free(status->reservations);
	g_free(status->limits);
	g_free(status->problems);
	free_answer(status->json, status->texts);
	g_free(status);
}

struct daemon_guest *daemon_parse_guest(json_t *json)
{
	struct daemon_guest *guest = g_new0(struct daemon_guest, 1);

	guest->texts = new_texts();
	parse_guest(guest->texts, json, guest);
	guest->history = parse_list(guest->texts, json, "history", sizeof(struct daemon_change),
				    parse_change, &guest->history_count);
	return guest;
}

void daemon_free_guest(struct daemon_guest *guest)
{
	if (!guest)
		return;
	g_free(guest->history);
	free_answer(guest->json, guest->texts);
	g_free(guest);
}

struct daemon_reservation *daemon_parse_reservation(json_t *json)
{
	struct daemon_reservation *reservation = g_new0(struct daemon_reservation, 1);

	reservation->texts = new_texts();
	parse_reservation(reservation->texts, json, reservation);
	return reservation;
}

void daemon_free_reservation(struct daemon_reservation *reservation)
{
	if (!reservation)
		return;
	free_answer(reservation->json, reservation->texts);
	g_free(reservation);
}

struct daemon_resize *daemon_parse_resize(json_t *json)
{
	struct daemon_resize *resize = g_new0(struct daemon_resize, 1);

	resize->texts = new_texts();
	resize->json = json;
	PARSE_MEMBERS(resize->texts, json, resize_members, resize);
	return resize;
}

void daemon_free_resize(struct daemon_resize *resize)
{
	if (!resize)
		return;
	free_answer(resize->json, resize->texts);
	g_free(resize);
}

struct daemon_failure *daemon_parse_failure(json_t *json)
{
	struct daemon_failure *failure = g_new0(struct daemon_failure, 1);

	failure->json = json;
	failure->texts = new_texts();
	PARSE_MEMBERS(failure->texts, json_object_get(json, "error"), failure_members, failure);
	return failure;
}

void daemon_free_failure(struct daemon_failure *failure)
{
	if (!failure)
		return;
	free_answer(failure->json, failure->texts);
	g_free(failure);
}

char *daemon_parse_text(const json_t *json, const char *key)
{
	return copy_text(json_object_get(json, key));
}

char **daemon_parse_names(const json_t *json, const char *key)
{
	const json_t *array = json_object_get(json, key);
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();

	for (size_t i = 0; i < MIN(json_array_size(array), DAEMON_LIST_MAX); i++)
		if (json_is_string(json_array_get(array, i))) {
			g_autofree char *name = copy_text(json_array_get(array, i));

			g_strv_builder_add(names, name);
		}
	return g_strv_builder_end(names);
}

enum daemon_line daemon_parse_line(const char *text)
{
	static const struct {
		const char *key;
		enum daemon_line line;
	} kinds[] = { { "aerostat-recording", DAEMON_LINE_START },
		      { "host", DAEMON_LINE_STEP },
		      { "settings", DAEMON_LINE_SETTINGS } };
	json_t *json = json_loads(text, 0, NULL);
	enum daemon_line line = DAEMON_LINE_UNKNOWN;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds) && line == DAEMON_LINE_UNKNOWN; i++)
		if (json_object_get(json, kinds[i].key))
			line = kinds[i].line;
	json_decref(json);
	return line;
}
