/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is not known is null.  So is a number above INT64_MAX, which jansson's integers cannot
 * hold: only a forged statistic is that large.  Texts come from outside and may be any bytes:
 * see common/plain_text.h.
 */
#include "aerostatd/report.h"

#include <string.h>

#include "aerostatd/gains.h"
#include "aerostatd/report_limits.h"
#include "common/plain_text.h"

static json_t *report_number(uint64_t value)
{
	return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

static json_t *report_text(const char *text)
{
	g_autofree char *valid = text ? plain_text(text) : NULL;

	return valid ? json_string(valid) : json_null();
}

/* A uint64_t at @offset of the struct that a table is about. */
struct field {
	const char *name;
	size_t offset;
};

static void set_number_fields(json_t *object, const struct field *fields, size_t count,
			      const void *from, bool known)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)from + fields[i].offset, sizeof(value));
		json_object_set_new(object, fields[i].name,
				    known ? report_number(value) : json_null());
	}
}

/* The numbers of a decision, in a guest and in its history. */
static const struct field decision_fields[] = {
	{ "need_bytes", offsetof(struct policy_decision, need_bytes) },
	{ "demand_bytes", offsetof(struct policy_decision, demand_bytes) },
	{ "reserve_bytes", offsetof(struct policy_decision, reserve_bytes) },
	{ "want_bytes", offsetof(struct policy_decision, want_bytes) },
	/* From here on not in the history. */
	{ "floor_bytes", offsetof(struct policy_decision, floor_bytes) },
	{ "credit_bytes", offsetof(struct policy_decision, credit_bytes) },
	{ "ceiling_bytes", offsetof(struct policy_decision, ceiling_bytes) },
};
#define HISTORY_FIELDS (G_N_ELEMENTS(decision_fields) - 3)

static const struct field stats_fields[] = {
	{ "available_bytes", offsetof(struct policy_guest, available_bytes) },
	{ "free_bytes", offsetof(struct policy_guest, free_bytes) },
	{ "total_bytes", offsetof(struct policy_guest, total_bytes) },
	{ "cache_bytes", offsetof(struct policy_guest, cache_bytes) },
	{ "swap_in_bytes", offsetof(struct policy_guest, swap_in_bytes) },
	{ "swap_out_bytes", offsetof(struct policy_guest, swap_out_bytes) },
	{ "major_faults", offsetof(struct policy_guest, major_faults) },
	{ "oom_kills", offsetof(struct policy_guest, oom_kills) },
	{ "alloc_stalls", offsetof(struct policy_guest, alloc_stalls) },
	{ "direct_scan_bytes", offsetof(struct policy_guest, direct_scan_bytes) },
	{ "psi_some_us", offsetof(struct policy_guest, psi_some_us) },
	{ "psi_full_us", offsetof(struct policy_guest, psi_full_us) },
};

static const struct field size_fields[] = {
	{ "max_bytes", offsetof(struct managed, seen.boot_bytes) },
	{ "actual_bytes", offsetof(struct managed, seen.actual_bytes) },
	{ "target_bytes", offsetof(struct managed, seen.target_bytes) },
	{ "before_bytes", offsetof(struct managed, before_bytes) },
	{ "resident_bytes", offsetof(struct managed, seen.resident_bytes) },
	{ "min_bytes", offsetof(struct managed, seen.rules.min_bytes) },
	{ "limit_bytes", offsetof(struct managed, seen.rules.max_bytes) },
	{ "pulled_bytes", offsetof(struct managed, seen.pulled_bytes) },
	{ "trimmed_bytes", offsetof(struct managed, stats.value[HV_STAT_TRIMMED]) },
};

static const struct field host_fields[] = {
	{ "total_bytes", offsetof(struct policy_host, total_bytes) },
	{ "available_bytes", offsetof(struct policy_host, available_bytes) },
	{ "free_bytes", offsetof(struct policy_host, free_bytes) },
	{ "cache_bytes", offsetof(struct policy_host, cache_bytes) },
	{ "swap_used_bytes", offsetof(struct policy_host, swap_used_bytes) },
	{ "reserved_bytes", offsetof(struct policy_host, reserved_bytes) },
};

static json_t *report_guest_stats(const struct managed *guest)
{
	const struct policy_guest *seen = &guest->seen;
	bool known = guest->answered && seen->taken_us;
	json_t *stats = json_object();
	int64_t age_us = g_get_monotonic_time() - seen->taken_us;

	json_object_set_new(stats, "age_us", known ? json_integer(MAX(age_us, 0)) : json_null());
	set_number_fields(stats, stats_fields, G_N_ELEMENTS(stats_fields), seen, known);
	return stats;
}

static void set_decision_fields(json_t *object, const struct policy_decision *decision,
				size_t numbers)
{
	/* The text is empty before the first decision. */
	set_number_fields(object, decision_fields, numbers, decision, *decision->text);
	json_object_set_new(object, "reason", report_text(policy_reason_name(decision->reason)));
	json_object_set_new(object, "text", report_text(decision->text));
}

static json_t *report_past_decision(const struct managed_past *past)
{
	json_t *object = json_pack("{s:I, s:o, s:o, s:o}", "time_us", (json_int_t)past->time_us,
				   "actual_bytes", report_number(past->actual_bytes),
				   "target_before_bytes", report_number(past->target_before_bytes),
				   "target_bytes", report_number(past->decision.target_bytes));

	set_decision_fields(object, &past->decision, HISTORY_FIELDS);
	return object;
}

static json_t *report_guest_history(const struct managed *guest)
{
	json_t *history = json_array();

	for (const GList *link = guest->history.head; link; link = link->next)
		json_array_append_new(history, report_past_decision(link->data));
	return history;
}

static const char *get_driver_name(enum hv_driver driver)
{
	switch (driver) {
	case HV_DRIVER_READY:
		return "ready";
	case HV_DRIVER_ABSENT:
		return "absent";
	case HV_DRIVER_UNKNOWN:
		break;
	}
	return "unknown";
}

json_t *report_guest_name(const struct managed *guest)
{
	return report_text(guest->name ? guest->name : guest->address);
}

static json_t *report_abilities(uint64_t abilities)
{
	json_t *names = json_array();

	for (unsigned int bit = 0; bit < HV_ABILITIES; bit++)
		if (abilities & UINT64_C(1) << bit)
			json_array_append_new(names, json_string(hv_ability_name(bit)));
	return names;
}

static json_t *report_gains(const struct managed *guest)
{
	json_t *gains = json_array();

	for (unsigned int bit = 0; bit < HV_ABILITIES; bit++) {
		uint64_t bytes;

		if (gains_find(guest, (enum policy_ability)(1U << bit), &bytes))
			json_array_append_new(gains, json_pack("{s:s, s:o}", "ability",
							       hv_ability_name(bit), "bytes",
							       report_number(bytes)));
	}
	return gains;
}

static json_t *report_switch(int value)
{
	return value < 0 ? json_null() : json_boolean(value);
}

static json_t *report_guest_identity(const struct managed *guest)
{
	const char *obstacle = hv_obstacle_text(guest->obstacle);

	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "id",
			 (json_int_t)guest->id, "name", report_guest_name(guest), "uuid",
			 report_text(guest->uuid), "address", report_text(guest->address), "source",
			 report_text(guest->source), "pid",
			 guest->pid ? json_integer(guest->pid) : json_null(), "state",
			 report_text(hv_state_name(guest->state)), "driver",
			 get_driver_name(guest->driver), "autodeflate",
			 report_switch(guest->autodeflate), "obstacle",
			 *obstacle ? report_text(obstacle) : json_null(), "problem",
			 report_text(guest->problem));
}

static void set_guest_rules(json_t *object, const struct managed *guest)
{
	const struct policy_rules *rules = &guest->seen.rules;
	bool held = rules->mode == POLICY_HELD;

	json_object_set_new(object, "mode", report_text(config_mode_name(rules->mode)));
	json_object_set_new(object, "mode_by",
			    json_string(guest->mode_by_person ? "person" : "file"));
	json_object_set_new(object, "held_bytes",
			    held ? report_number(guest->held_bytes) : json_null());
	json_object_set_new(object, "weight",
			    guest->answered ? json_real(rules->weight) : json_null());
}

json_t *report_guest(const struct managed *guest, bool with_history)
{
	json_t *object = report_guest_identity(guest);

	set_guest_rules(object, guest);
	set_number_fields(object, size_fields, G_N_ELEMENTS(size_fields), guest, guest->answered);
	json_object_set_new(object, "free_page_reporting",
			    report_switch(guest->free_page_reporting));
	json_object_set_new(object, "abilities", report_abilities(guest->seen.abilities));
	json_object_set_new(object, "gains", report_gains(guest));
	json_object_set_new(object, "stats", report_guest_stats(guest));
	set_decision_fields(object, &guest->decision, G_N_ELEMENTS(decision_fields));
	json_object_set_new(object, "limit_path", report_text(guest->limit_path));
	json_object_set_new(object, "pressured", json_boolean(guest->decision.pressured));
	json_object_set_new(object, "critical", json_boolean(guest->decision.critical));
	json_object_set_new(object, "times_set", report_number(guest->times_set));
	json_object_set_new(object, "times_failed", report_number(guest->times_failed));
	if (with_history) {
		json_object_set_new(object, "reason_help",
				    report_text(policy_reason_help(guest->decision.reason)));
		json_object_set_new(object, "history", report_guest_history(guest));
	}
	return object;
}

json_t *report_reservation(const struct reservation *reservation)
{
	int64_t left_us = MAX(reservation->until_us - g_get_monotonic_time(), 0);

	return json_pack("{s:I, s:o, s:o, s:I, s:o}", "id", (json_int_t)reservation->id, "bytes",
			 report_number(reservation->bytes), "free_bytes",
			 report_number(reservation->free_bytes), "seconds_left",
			 (json_int_t)((left_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC), "note",
			 report_text(reservation->note ? reservation->note : ""));
}

json_t *report_event(const struct event *event)
{
	return json_pack("{s:I, s:I, s:s, s:o, s:o, s:s?, s:o, s:o}", "number",
			 (json_int_t)event->number, "time_us", (json_int_t)event->time_us, "kind",
			 event_kind_name(event->kind), "guest", report_text(event->guest), "text",
			 report_text(event->text), "reason", event->reason, "bytes_before",
			 report_number(event->bytes_before), "bytes_after",
			 report_number(event->bytes_after));
}

json_t *report_resize(const struct managed *guest, const struct managed_resize *resize)
{
	static const struct managed_resize none = {
		.target_bytes = HV_UNSET,
		.before_bytes = HV_UNSET,
		.actual_bytes = HV_UNSET,
		.host_before_bytes = HV_UNSET,
		.host_after_bytes = HV_UNSET,
		.eased_bytes = HV_UNSET,
	};
	const struct managed_resize *shown = resize ? resize : &none;
	const char *state = !resize ? "none" : shown->is_running ? "running" : "done";

	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:o, s:o, s:o, s:o}",
			 "guest", report_guest_name(guest), "state", state, "target_bytes",
			 report_number(shown->target_bytes), "before_bytes",
			 report_number(shown->before_bytes), "actual_bytes",
			 report_number(shown->actual_bytes), "host_before_bytes",
			 report_number(shown->host_before_bytes), "host_after_bytes",
			 report_number(shown->host_after_bytes), "eased_bytes",
			 report_number(shown->eased_bytes), "reason", shown->reason, "why",
			 report_text(shown->why), "remedy", report_text(shown->remedy), "note",
			 report_text(shown->note), "host", report_text(shown->host_text));
}

static json_t *report_host_numbers(const struct manager_status *status)
{
	json_t *host = json_object();

	set_number_fields(host, host_fields, G_N_ELEMENTS(host_fields), &status->host,
			  status->rounds);
	json_object_set_new(host, "pressure", json_real(status->host.pressure));
	json_object_set_new(host, "critical", json_boolean(status->host.critical));
	return host;
}

/* Sorted, so that two answers can be compared. */
static json_t *report_source_problems(const struct manager_status *status)
{
	GHashTable *problems = status->problems;
	g_autoptr(GList) sources =
		g_list_sort(g_hash_table_get_keys(problems), (GCompareFunc)strcmp);
	json_t *array = json_array();

	for (const GList *link = sources; link; link = link->next)
		json_array_append_new(
			array, json_pack("{s:o, s:o}", "source", report_text(link->data), "text",
					 report_text(g_hash_table_lookup(problems, link->data))));
	if (status->limit_problem)
		json_array_append_new(array, json_pack("{s:s, s:o}", "source", "memory limits",
						       "text", report_text(status->limit_problem)));
	return array;
}

static void set_status_lists(json_t *object, const struct manager_status *status)
{
	json_t *guests = json_array(), *reservations = json_array();

	for (guint i = 0; i < status->guests->len; i++)
		json_array_append_new(guests, report_guest(status->guests->pdata[i], false));
	for (guint i = 0; i < status->reservations->len; i++)
		json_array_append_new(reservations,
				      report_reservation(status->reservations->pdata[i]));
	json_object_set_new(object, "guests", guests);
	json_object_set_new(object, "reservations", reservations);
	json_object_set_new(object, "limits", report_limits(status));
	json_object_set_new(object, "problems", report_source_problems(status));
}

json_t *report_status(const struct manager_status *status)
{
	const struct policy_outcome *outcome = &status->outcome;
	bool decided = status->rounds;
	json_t *object = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o, s:o, s:o, s:o, s:b}", "version",
		AEROSTAT_VERSION, "policy", status->config->policy->name, "started_us",
		(json_int_t)status->started_us, "rounds", (json_int_t)status->rounds, "late_us",
		(json_int_t)status->late_us, "late_max_us", (json_int_t)status->late_max_us,
		"step_us", (json_int_t)status->step_us, "trigger", status->trigger, "recording",
		status->recording, "host", report_host_numbers(status), "budget_bytes",
		decided ? report_number(outcome->budget_bytes) : json_null(), "usable_bytes",
		decided ? report_number(report_usable_bytes(status)) : json_null(), "want_bytes",
		decided ? report_number(outcome->want_bytes) : json_null(), "overcommitted",
		outcome->overcommitted);

	json_object_set_new(object, "in_reserve_bytes",
			    decided ? report_number(report_reserve_bytes(status)) : json_null());
	json_object_set_new(object, "to_restore", report_number(status->to_restore));
	set_status_lists(object, status);
	return object;
}
