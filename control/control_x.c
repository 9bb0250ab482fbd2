/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_x.h"

#include <stdio.h>
#include <string.h>

#include "control/control_error.h"
#include "control/control_state.h"

/* Writes how long ago @then_ns was, in ms; null for never (0). */
static void write_age(struct json_writer *out, const char *key, uint64_t then_ns)
{
	if (then_ns)
		json_write_u64(out, key, (loop_now_ns() - then_ns) / 1000000);
	else
		json_write_null(out, key);
}

/*
 * The audit
 */

bool control_x_audit(struct control_call *call)
{
	balloon_audit_start(call->control->balloon);
	return true;
}

void control_write_audit(const struct control *control, struct json_writer *out)
{
	struct balloon_audit audit = balloon_audit_result(control->balloon);

	json_write_bool(out, "running", audit.running);
	json_write_u64(out, "checked-pages", audit.checked_pages);
	json_write_u64(out, "resident-pages", audit.resident_pages);
	json_write_u64(out, "released-pages", audit.released_pages);
	write_age(out, "age-ms", audit.ended_ns);
}

bool control_x_query_audit(struct control_call *call)
{
	json_write_open(call->out, "return", '{');
	control_write_audit(call->control, call->out);
	json_write_close(call->out, '}');
	return true;
}

/*
 * The gate
 */

/*
 * A manager renews credits in each of its rounds, every second or two.  It need not stay connected.
 * When it has gone, or hangs, nobody waits at the gate for longer than this.
 */
#define CREDIT_LIFETIME_NS (5 * NS_PER_S)

/* The argument @key in bytes, or BALLOON_UNSET if it is absent; false, and refused, if negative. */
static bool read_bytes(struct control_call *call, const char *key, uint64_t *bytes)
{
	const json_t *value = json_object_get(call->arguments, key);

	*bytes = value ? (uint64_t)json_integer_value(value) : BALLOON_UNSET;
	if (value && json_integer_value(value) < 0)
		return control_refuse_generic(
			call, "Parameter '%s' expects a size, not less than 0", key);
	return true;
}

bool control_x_set_credit(struct control_call *call)
{
	struct balloon *balloon = call->control->balloon;
	uint64_t credit, ceiling;

	if (!read_bytes(call, "credit", &credit) || !read_bytes(call, "ceiling", &ceiling))
		return false;
	if (credit == BALLOON_UNSET)
		balloon_clear_credit(balloon);
	else
		balloon_set_credit(balloon, credit, ceiling, CREDIT_LIFETIME_NS);
	return true;
}

/* Writes @bytes as member @key; null for BALLOON_UNSET. */
static void write_bytes(struct json_writer *out, const char *key, uint64_t bytes)
{
	if (bytes == BALLOON_UNSET)
		json_write_null(out, key);
	else
		json_write_u64(out, key, bytes);
}

bool control_x_trim(struct control_call *call)
{
	json_int_t value = json_integer_value(json_object_get(call->arguments, "value"));

	if (value < 1 << 20)
		return control_refuse_generic(call,
					      "Parameter 'value' expects a size of 1 MiB or more");
	if (balloon_trim(call->control->balloon, (uint64_t)value))
		return true;
	return control_refuse_generic(
		call, "the guest cannot trim: it has no driver that acknowledged trim");
}

static void write_gate(struct json_writer *out, const struct balloon *balloon)
{
	struct balloon_gate gate = balloon_gate(balloon);

	json_write_open(out, "gate", '{');
	write_bytes(out, "credit", gate.credit_bytes);
	write_bytes(out, "ceiling", gate.ceiling_bytes);
	write_bytes(out, "allowed", gate.allowed_bytes);
	json_write_bool(out, "waiting", gate.waiting);
	json_write_close(out, '}');
}

/*
 * The balloon's state
 */

static void write_features(struct json_writer *out, const char *key, uint64_t features)
{
	json_write_open(out, key, '[');
	for (size_t i = 0; i < balloon_feature_count; i++)
		if (features & BALLOON_BIT(balloon_features[i].bit))
			json_write_string(out, NULL, balloon_features[i].name);
	json_write_close(out, ']');
}

/* Writes how much RAM there is of each backing, and in how many regions. */
static void write_memory(struct json_writer *out, const struct memory *memory)
{
	static const enum memory_backing backings[] = { MEMORY_ANONYMOUS, MEMORY_SHMEM,
							MEMORY_HUGETLB, MEMORY_FILE };

	json_write_open(out, "memory", '{');
	for (size_t i = 0; i < sizeof(backings) / sizeof(backings[0]); i++) {
		uint64_t bytes = 0;

		for (unsigned int j = 0; j < memory->count; j++)
			if (memory->regions[j].backing == backings[i])
				bytes += memory->regions[j].size;
		if (bytes)
			json_write_u64(out, memory_backing_name(backings[i]), bytes);
	}
	json_write_close(out, '}');
	json_write_u64(out, "regions", memory->count);
}

static void write_unknown_stats(struct json_writer *out, const struct balloon_stats *stats)
{
	json_write_open(out, "unknown-stats", '{');
	for (unsigned int i = 0; i < stats->unknown_count; i++) {
		char tag[8];

		snprintf(tag, sizeof(tag), "%u", (unsigned int)stats->unknown[i].tag);
		json_write_u64(out, tag, stats->unknown[i].value);
	}
	json_write_close(out, '}');
	write_age(out, "stats-age-ms", stats->arrived_ns);
}

static void write_sizes(struct json_writer *out, const struct balloon *balloon)
{
	struct balloon_info info;

	balloon_info(balloon, &info);
	json_write_u64(out, "max", info.max_bytes);
	json_write_u64(out, "target", info.target_bytes);
	json_write_u64(out, "actual", info.actual_bytes);
	json_write_u64(out, "ballooned", info.ballooned_bytes);
	json_write_u64(out, "pending", info.pending_bytes);
}

bool control_x_query_balloon(struct control_call *call)
{
	const struct control *control = call->control;
	const struct balloon *balloon = control->balloon;
	struct json_writer *out = call->out;

	json_write_open(out, "return", '{');
	write_sizes(out, balloon);
	json_write_string(out, "transport", control->options.transport);
	json_write_bool(out, "vmm-connected", control->vmm_connected);
	json_write_bool(out, "driver-ready", balloon_is_driver_ok(balloon));
	json_write_bool(out, "needs-reset", balloon_needs_reset(balloon));
	write_features(out, "offered", balloon_offered(balloon));
	write_features(out, "acknowledged", balloon_acknowledged(balloon));
	json_write_bool(out, "reporting", balloon_reporting(balloon));
	json_write_string(out, "hinting", control_hinting_name(control));
	write_gate(out, balloon);
	write_memory(out, balloon_memory(balloon));
	write_unknown_stats(out, balloon_stats(balloon));
	json_write_close(out, '}');
	return true;
}

bool control_x_query_counters(struct control_call *call)
{
	json_write_open(call->out, "return", '{');
	for (int i = 0; i < BALLOON_C_COUNT; i++)
		json_write_u64(call->out, balloon_counter_table[i].name,
			       balloon_counter(call->control->balloon, (enum balloon_counter)i));
	json_write_close(call->out, '}');
	return true;
}

/*
 * Reporting and hinting
 */

bool control_x_set_reporting(struct control_call *call)
{
	balloon_set_reporting(call->control->balloon,
			      json_is_true(json_object_get(call->arguments, "enable")));
	return true;
}

const char *control_hinting_name(const struct control *control)
{
	switch (balloon_hinting(control->balloon)) {
	case BALLOON_HINT_STOPPED:
		return "stopped";
	case BALLOON_HINT_REQUESTED:
		return "requested";
	case BALLOON_HINT_RUNNING:
		return "running";
	case BALLOON_HINT_DONE:
		return "done";
	case BALLOON_HINT_ENDED:
		return "ended";
	}
	return "stopped";
}

bool control_x_hint(struct control_call *call)
{
	static const struct {
		const char *name;
		bool (*run)(struct balloon *balloon);
	} actions[] = {
		{ "start", balloon_hint_start },
		{ "stop", balloon_hint_stop },
		{ "done", balloon_hint_done },
	};
	const char *name = json_string_value(json_object_get(call->arguments, "action"));

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, name))
			continue;
		if (actions[i].run(call->control->balloon))
			return true;
		return control_refuse_generic(
			call,
			"hinting cannot %s now: it is %s, and needs a driver that "
			"acknowledged free-page-hint",
			name, control_hinting_name(call->control));
	}
	return control_refuse_generic(
		call, "Parameter 'action' is start, stop or done, not '%.80s'", name);
}
