/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that QEMU does not have: the audit, counters, all about the balloon. */
#include "control/control_internal.h"

#include <stdio.h>
#include <string.h>

/* How long ago @then_ns was, in ms; null for never. */
static void out_age(struct json_out *out, const char *key, uint64_t then_ns)
{
	if (then_ns)
		out_u64(out, key, (loop_now_ns() - then_ns) / 1000000);
	else
		out_null(out, key);
}

/*
 * The audit
 */

bool control_x_audit(struct control_call *call)
{
	balloon_audit_start(call->control->balloon);
	return true;
}

void control_out_audit(const struct control *control, struct json_out *out)
{
	struct balloon_audit audit = balloon_audit_result(control->balloon);

	out_bool(out, "running", audit.running);
	out_u64(out, "checked-pages", audit.checked_pages);
	out_u64(out, "resident-pages", audit.resident_pages);
	out_u64(out, "released-pages", audit.released_pages);
	out_age(out, "age-ms", audit.ended_ns);
}

bool control_x_query_audit(struct control_call *call)
{
	out_open(call->out, "return", '{');
	control_out_audit(call->control, call->out);
	out_close(call->out, '}');
	return true;
}

/*
 * All about the balloon
 */

static void out_features(struct json_out *out, const char *key, uint64_t features)
{
	out_open(out, key, '[');
	for (size_t i = 0; i < balloon_feature_count; i++)
		if (features & BALLOON_BIT(balloon_features[i].bit))
			out_string(out, NULL, balloon_features[i].name);
	out_close(out, ']');
}

/* RAM by its backing. */
static void out_memory(struct json_out *out, const struct memory *memory)
{
	static const enum memory_backing backings[] = { MEMORY_ANONYMOUS, MEMORY_SHMEM,
							MEMORY_HUGETLB, MEMORY_FILE };

	out_open(out, "memory", '{');
	for (size_t i = 0; i < sizeof(backings) / sizeof(backings[0]); i++) {
		uint64_t bytes = 0;

		for (unsigned int j = 0; j < memory->count; j++)
			if (memory->regions[j].backing == backings[i])
				bytes += memory->regions[j].size;
		if (bytes)
			out_u64(out, memory_backing_name(backings[i]), bytes);
	}
	out_close(out, '}');
	out_u64(out, "regions", memory->count);
}

static void out_unknown_stats(struct json_out *out, const struct balloon_stats *stats)
{
	out_open(out, "unknown-stats", '{');
	for (unsigned int i = 0; i < stats->unknown_count; i++) {
		char tag[8];

		snprintf(tag, sizeof(tag), "%u", (unsigned int)stats->unknown[i].tag);
		out_u64(out, tag, stats->unknown[i].value);
	}
	out_close(out, '}');
	out_age(out, "stats-age-ms", stats->arrived_ns);
}

static void out_sizes(struct json_out *out, const struct balloon *balloon)
{
	struct balloon_info info;

	balloon_info(balloon, &info);
	out_u64(out, "max", info.max_bytes);
	out_u64(out, "target", info.target_bytes);
	out_u64(out, "actual", info.actual_bytes);
	out_u64(out, "ballooned", info.ballooned_bytes);
	out_u64(out, "pending", info.pending_bytes);
}

bool control_x_query_balloon(struct control_call *call)
{
	const struct control *control = call->control;
	const struct balloon *balloon = control->balloon;
	struct json_out *out = call->out;

	out_open(out, "return", '{');
	out_sizes(out, balloon);
	out_string(out, "transport", control->options.transport);
	out_bool(out, "vmm-connected", control->vmm_connected);
	out_bool(out, "driver-ready", balloon_is_driver_ok(balloon));
	out_bool(out, "needs-reset", balloon_needs_reset(balloon));
	out_features(out, "offered", balloon_offered(balloon));
	out_features(out, "acknowledged", balloon_acknowledged(balloon));
	out_bool(out, "reporting", balloon_reporting(balloon));
	out_string(out, "hinting", control_hinting_name(control));
	out_memory(out, balloon_memory(balloon));
	out_unknown_stats(out, balloon_stats(balloon));
	out_close(out, '}');
	return true;
}

bool control_x_query_counters(struct control_call *call)
{
	out_open(call->out, "return", '{');
	for (int i = 0; i < BALLOON_C_COUNT; i++)
		out_u64(call->out, balloon_counter_table[i].name,
			balloon_counter(call->control->balloon, (enum balloon_counter)i));
	out_close(call->out, '}');
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
		return control_error(call,
				     "hinting cannot %s now: it is %s, and needs a driver that "
				     "acknowledged free-page-hint",
				     name, control_hinting_name(call->control));
	}
	return control_error(call, "Parameter 'action' is start, stop or done, not '%.80s'", name);
}
