/* SPDX-License-Identifier: BSD-3-Clause */
#include "recording/recording_fields.h"

#include <math.h>
#include <string.h>

#include "policy/policy.h"

#define TEXT_SHOWN 60 /* bytes of a text, in an error */
#define FIELD(type, member, kind_)                                                                 \
	{                                                                                          \
		.name = #member, .kind = kind_, .offset = offsetof(type, member)                   \
	}
#define SETTINGS(member, kind) FIELD(struct policy_settings, member, kind)
#define HOST(member, kind) FIELD(struct policy_host, member, kind)
#define GUEST(member, kind) FIELD(struct policy_guest, member, kind)
#define LATER(type, member, since_, before_)                                                       \
	{                                                                                          \
		.name = #member, .kind = RECORDING_U64, .offset = offsetof(type, member),          \
		.since = since_, .before = before_                                                 \
	}
#define GUEST_LATER(member, since, before) LATER(struct policy_guest, member, since, before)
#define DECISION_LATER(member, since, before) LATER(struct policy_decision, member, since, before)
#define GROUP(member, kind) FIELD(struct policy_group, member, kind)
#define RULE(member, kind_)                                                                        \
	{                                                                                          \
		.name = #member, .kind = kind_,                                                    \
		.offset = offsetof(struct policy_guest, rules.member)                              \
	}
#define DECISION(member, kind) FIELD(struct policy_decision, member, kind)

const struct recording_field recording_settings_fields[] = {
	SETTINGS(budget_bytes, RECORDING_U64),
	SETTINGS(reserve_bytes, RECORDING_U64),
	SETTINGS(optimism, RECORDING_DOUBLE),
	{ NULL },
};

const struct recording_field recording_host_fields[] = {
	HOST(now_us, RECORDING_I64),	      HOST(total_bytes, RECORDING_U64),
	HOST(available_bytes, RECORDING_U64), HOST(free_bytes, RECORDING_U64),
	HOST(cache_bytes, RECORDING_U64),     HOST(swap_used_bytes, RECORDING_U64),
	HOST(pressure, RECORDING_DOUBLE),     HOST(reserved_bytes, RECORDING_U64),
	HOST(critical, RECORDING_BOOL),	      { NULL },
};

const struct recording_field recording_group_fields[] = {
	GROUP(parent, RECORDING_U64),
	GROUP(limit_bytes, RECORDING_U64),
	GROUP(available_bytes, RECORDING_U64),
	{ NULL },
};

const struct recording_field recording_guest_fields[] = {
	GUEST(id, RECORDING_U64),
	RULE(mode, RECORDING_MODE),
	RULE(min_bytes, RECORDING_U64),
	RULE(max_bytes, RECORDING_U64),
	RULE(weight, RECORDING_DOUBLE),
	GUEST(boot_bytes, RECORDING_U64),
	GUEST(actual_bytes, RECORDING_U64),
	GUEST(target_bytes, RECORDING_U64),
	GUEST(resident_bytes, RECORDING_U64),
	GUEST_LATER(ram_bytes, 2, POLICY_UNSET),
	GUEST_LATER(group, 2, 0),
	GUEST(stall, RECORDING_DOUBLE),
	GUEST(reachable, RECORDING_BOOL),
	GUEST(has_driver, RECORDING_BOOL),
	GUEST(cannot_shrink, RECORDING_U64),
	GUEST(taken_us, RECORDING_I64),
	GUEST(period_us, RECORDING_I64),
	GUEST(actual_then_bytes, RECORDING_U64),
	GUEST(available_bytes, RECORDING_U64),
	GUEST(free_bytes, RECORDING_U64),
	GUEST(total_bytes, RECORDING_U64),
	GUEST(cache_bytes, RECORDING_U64),
	GUEST(swap_in_bytes, RECORDING_U64),
	GUEST(swap_out_bytes, RECORDING_U64),
	GUEST(major_faults, RECORDING_U64),
	GUEST(oom_kills, RECORDING_U64),
	GUEST(alloc_stalls, RECORDING_U64),
	GUEST(direct_scan_bytes, RECORDING_U64),
	GUEST(psi_some_us, RECORDING_U64),
	GUEST(psi_full_us, RECORDING_U64),
	GUEST_LATER(abilities, 4, 0),
	GUEST_LATER(refault_bytes, 4, POLICY_UNSET),
	GUEST_LATER(pulled_bytes, 4, POLICY_UNSET),
	{ NULL },
};

const struct recording_field recording_decision_fields[] = {
	DECISION(target_bytes, RECORDING_U64),
	DECISION_LATER(credit_bytes, 4, POLICY_UNSET),
	DECISION_LATER(ceiling_bytes, 4, POLICY_UNSET),
	DECISION_LATER(trim_bytes, 4, 0),
	DECISION(reason, RECORDING_REASON),
	DECISION(need_bytes, RECORDING_U64),
	DECISION(demand_bytes, RECORDING_U64),
	DECISION(reserve_bytes, RECORDING_U64),
	DECISION(want_bytes, RECORDING_U64),
	DECISION(floor_bytes, RECORDING_U64),
	DECISION(pressured, RECORDING_BOOL),
	DECISION(critical, RECORDING_BOOL),
	DECISION_LATER(limit_group, 3, 0),
	DECISION(text, RECORDING_TEXT),
	{ NULL },
};

static const char *const mode_names[] = {
	[POLICY_AUTO] = "auto",
	[POLICY_OBSERVE] = "observe",
	[POLICY_HELD] = "held",
	[POLICY_OFF] = "off",
};

static json_t *pack_u64(uint64_t value)
{
	g_autofree char *digits = NULL;

	if (value == POLICY_UNSET)
		return json_null();
	if (value <= INT64_MAX)
		return json_integer((json_int_t)value);
	digits = g_strdup_printf("%" G_GUINT64_FORMAT, value);
	return json_string(digits);
}

static json_t *pack_double(double value)
{
	if (isnan(value))
		return json_string("nan");
	if (isinf(value))
		return json_string(value > 0 ? "inf" : "-inf");
	return json_real(value);
}

/* A text may have been cut in the middle of a UTF-8 character. */
static json_t *pack_text(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	return json_string(valid);
}

static json_t *pack_field(const struct recording_field *field, const void *data)
{
	const void *at = (const char *)data + field->offset;

	switch (field->kind) {
	case RECORDING_U64:
		return pack_u64(*(const uint64_t *)at);
	case RECORDING_I64:
		return json_integer(*(const int64_t *)at);
	case RECORDING_DOUBLE:
		return pack_double(*(const double *)at);
	case RECORDING_BOOL:
		return json_boolean(*(const bool *)at);
	case RECORDING_MODE:
		return json_string(mode_names[*(const enum policy_mode *)at]);
	case RECORDING_REASON:
		return json_string(policy_reason_name(*(const enum policy_reason *)at));
	case RECORDING_TEXT:
		return pack_text(at);
	}
	return NULL;
}

json_t *recording_pack(const struct recording_field *fields, const void *data)
{
	json_t *object = json_object();

	for (; fields->name; fields++) {
		if (json_object_set_new(object, fields->name, pack_field(fields, data))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static bool unpack_u64(const json_t *value, uint64_t *at)
{
	guint64 number;

	if (json_is_null(value))
		*at = POLICY_UNSET;
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		*at = (uint64_t)json_integer_value(value);
	else if (json_is_string(value) && g_ascii_string_to_unsigned(json_string_value(value), 10,
								     0, G_MAXUINT64, &number, NULL))
		*at = number;
	else
		return false;
	return true;
}

static bool unpack_double(const json_t *value, double *at)
{
	const char *name = json_string_value(value);

	if (json_is_number(value))
		*at = json_number_value(value);
	else if (name && !strcmp(name, "nan"))
		*at = NAN;
	else if (name && (!strcmp(name, "inf") || !strcmp(name, "-inf")))
		*at = *name == '-' ? -INFINITY : INFINITY;
	else
		return false;
	return true;
}

static bool unpack_mode(const json_t *value, enum policy_mode *at)
{
	for (size_t i = 0; i < G_N_ELEMENTS(mode_names); i++) {
		if (g_strcmp0(json_string_value(value), mode_names[i]))
			continue;
		*at = (enum policy_mode)i;
		return true;
	}
	return false;
}

static bool unpack_reason(const json_t *value, enum policy_reason *at)
{
	for (int i = 0; i < POLICY_REASON_COUNT; i++) {
		if (g_strcmp0(json_string_value(value), policy_reason_name(i)))
			continue;
		*at = i;
		return true;
	}
	return false;
}

static bool unpack_text(const json_t *value, char *at)
{
	if (!json_is_string(value))
		return false;
	g_strlcpy(at, json_string_value(value), POLICY_TEXT_MAX);
	return true;
}

static bool unpack_field(const struct recording_field *field, const json_t *value, void *data)
{
	void *at = (char *)data + field->offset;

	switch (field->kind) {
	case RECORDING_U64:
		return unpack_u64(value, at);
	case RECORDING_I64:
		*(int64_t *)at = json_integer_value(value);
		return json_is_integer(value);
	case RECORDING_DOUBLE:
		return unpack_double(value, at);
	case RECORDING_BOOL:
		*(bool *)at = json_is_true(value);
		return json_is_boolean(value);
	case RECORDING_MODE:
		return unpack_mode(value, at);
	case RECORDING_REASON:
		return unpack_reason(value, at);
	case RECORDING_TEXT:
		return unpack_text(value, at);
	}
	return false;
}

static bool is_field(const struct recording_field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (!strcmp(fields->name, name))
			return true;
	return false;
}

char *recording_unpack(const struct recording_field *fields, const json_t *object, int version,
		       void *data)
{
	const struct recording_field *field;
	const json_t *value;
	const char *name;

	if (!json_is_object(object))
		return g_strdup("is not an object");
	for (field = fields; field->name; field++) {
		value = json_object_get(object, field->name);
		if (!value && version < field->since) {
			memcpy((char *)data + field->offset, &field->before, sizeof(field->before));
			continue;
		}
		if (!value)
			return g_strdup_printf("has no '%s'", field->name);
		if (!unpack_field(field, value, data)) {
			g_autofree char *text = json_dumps(value, JSON_ENCODE_ANY);

			return g_strdup_printf("'%s' cannot be %.*s", field->name, TEXT_SHOWN,
					       text);
		}
	}
	json_object_foreach ((json_t *)object, name, value)
		if (!is_field(fields, name))
			return g_strdup_printf("has an unknown key '%.*s'", TEXT_SHOWN, name);
	return NULL;
}
