/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of commands, and the commands that have no file of their own.
 *
 * Requests are checked and run by this table, query-commands and x-help are
 * answered from it, and the man page is tested against it.  Commands have the
 * names, shapes and error classes of QEMU's.
 */
#include <stdio.h>

#include "control/control_error.h"
#include "control/control_state.h"
#include "control/control_x.h"

#define NIL_UUID "00000000-0000-0000-0000-000000000000"

static bool refuse_without_guest(struct control_call *call)
{
	return control_refuse(call, "DeviceNotActive",
			      "no guest memory is known yet: connect a VMM to the device");
}

/*
 * The balloon
 */

static bool run_balloon(struct control_call *call)
{
	json_int_t value = json_integer_value(json_object_get(call->arguments, "value"));
	struct balloon_info info;

	balloon_info(call->control->balloon, &info);
	if (!info.max_bytes)
		return refuse_without_guest(call);
	if (value <= 0)
		return control_refuse_generic(call, "Parameter 'value' expects a size above 0");
	balloon_set_target(call->control->balloon, (uint64_t)value);
	return true;
}

static bool run_query_balloon(struct control_call *call)
{
	struct balloon_info info;

	balloon_info(call->control->balloon, &info);
	if (!info.max_bytes)
		return refuse_without_guest(call);
	json_write_open(call->out, "return", '{');
	json_write_u64(call->out, "actual", info.actual_bytes);
	json_write_close(call->out, '}');
	return true;
}

static bool run_query_memory(struct control_call *call)
{
	struct balloon_info info;

	balloon_info(call->control->balloon, &info);
	json_write_open(call->out, "return", '{');
	json_write_u64(call->out, "base-memory", info.max_bytes);
	json_write_u64(call->out, "plugged-memory", 0);
	json_write_close(call->out, '}');
	return true;
}

/*
 * QMP and the process
 */

static bool run_capabilities(struct control_call *call)
{
	const json_t *enable = json_object_get(call->arguments, "enable");

	if (call->client->negotiated)
		return control_refuse(call, "CommandNotFound",
				      "Capabilities negotiation is already complete, command "
				      "ignored");
	if (json_array_size(enable))
		return control_refuse_generic(call, "no capability can be enabled here");
	call->client->negotiated = true;
	return true;
}

static bool run_query_commands(struct control_call *call)
{
	json_write_open(call->out, "return", '[');
	for (size_t i = 0; i < control_command_count; i++) {
		json_write_open(call->out, NULL, '{');
		json_write_string(call->out, "name", control_commands[i].name);
		json_write_close(call->out, '}');
	}
	json_write_close(call->out, ']');
	return true;
}

static void open_help_row(struct json_writer *out, const char *name, const char *help)
{
	json_write_open(out, NULL, '{');
	json_write_string(out, "name", name);
	json_write_string(out, "help", help);
}

static bool run_x_help(struct control_call *call)
{
	struct json_writer *out = call->out;

	json_write_open(out, "return", '{');
	json_write_open(out, "commands", '[');
	for (size_t i = 0; i < control_command_count; i++) {
		const struct control_parameter *parameter = control_commands[i].parameters;

		open_help_row(out, control_commands[i].name, control_commands[i].help);
		json_write_open(out, "arguments", '[');
		for (; parameter->name; parameter++)
			json_write_string(out, NULL, parameter->name);
		json_write_close(out, ']');
		json_write_close(out, '}');
	}
	json_write_close(out, ']');
	json_write_open(out, "events", '[');
	for (size_t i = 0; i < CONTROL_EVENT_KINDS; i++) {
		open_help_row(out, control_event_table[i].name, control_event_table[i].help);
		json_write_close(out, '}');
	}
	json_write_close(out, ']');
	json_write_close(out, '}');
	return true;
}

static bool run_query_status(struct control_call *call)
{
	bool running = call->control->vmm_connected;

	json_write_open(call->out, "return", '{');
	json_write_string(call->out, "status", running ? "running" : "prelaunch");
	json_write_bool(call->out, "running", running);
	json_write_close(call->out, '}');
	return true;
}

static bool run_query_name(struct control_call *call)
{
	json_write_open(call->out, "return", '{');
	if (call->control->options.name)
		json_write_string(call->out, "name", call->control->options.name);
	json_write_close(call->out, '}');
	return true;
}

static bool run_query_uuid(struct control_call *call)
{
	json_write_open(call->out, "return", '{');
	json_write_string(call->out, "UUID", NIL_UUID);
	json_write_close(call->out, '}');
	return true;
}

void control_write_version(struct json_writer *out, const char *key)
{
	unsigned int major = 0, minor = 0, micro = 0;

	sscanf(AEROSTAT_VERSION, "%u.%u.%u", &major, &minor, &micro);
	json_write_open(out, key, '{');
	json_write_open(out, "qemu", '{');
	json_write_u64(out, "micro", micro);
	json_write_u64(out, "minor", minor);
	json_write_u64(out, "major", major);
	json_write_close(out, '}');
	json_write_string(out, "package", "aerostat-device " AEROSTAT_VERSION);
	json_write_close(out, '}');
}

static bool run_query_version(struct control_call *call)
{
	control_write_version(call->out, "return");
	return true;
}

static bool run_quit(struct control_call *call)
{
	call->control->options.quit(call->control->options.data);
	return true;
}

bool control_command_negotiates(const struct control_command *command)
{
	return command->run == run_capabilities;
}

#define PATH                                                                                       \
	{                                                                                          \
		"path", CONTROL_STRING, false                                                      \
	}
#define PROPERTY                                                                                   \
	{                                                                                          \
		"property", CONTROL_STRING, false                                                  \
	}

const struct control_command control_commands[] = {
	{ "qmp_capabilities",
	  "leave negotiation mode; must be the first command",
	  run_capabilities,
	  { { "enable", CONTROL_ARRAY, true } } },
	{ "balloon",
	  "set the guest's target to value bytes; more than its RAM means all of its RAM",
	  run_balloon,
	  { { "value", CONTROL_INTEGER, false } } },
	{ "query-balloon", "the memory that the guest has now, in bytes", run_query_balloon, {} },
	{ "query-memory-size-summary",
	  "the guest's RAM, in bytes; 0 while it is not known",
	  run_query_memory,
	  {} },
	{ "query-status",
	  "running while a VMM is connected, otherwise prelaunch",
	  run_query_status,
	  {} },
	{ "query-name", "the guest's name, as given with --name", run_query_name, {} },
	{ "query-uuid",
	  "the nil UUID, since the device does not know the guest's",
	  run_query_uuid,
	  {} },
	{ "query-version", "the version of this program", run_query_version, {} },
	{ "query-commands", "the names of all commands", run_query_commands, {} },
	{ "qom-list",
	  "the children and properties of path; the balloon is /machine/peripheral/balloon0",
	  control_qom_list,
	  { PATH } },
	{ "qom-get",
	  "a property of the balloon, such as guest-stats",
	  control_qom_get,
	  { PATH, PROPERTY } },
	{ "qom-set",
	  "set a property of the balloon: guest-stats-polling-interval, in seconds, 0 for off",
	  control_qom_set,
	  { PATH, PROPERTY, { "value", CONTROL_ANY, false } } },
	{ "x-query-virtio-status",
	  "the virtio device at path; its status shows whether there is a driver",
	  control_qom_virtio_status,
	  { PATH } },
	{ "quit", "end the device process", run_quit, {} },
	{ "x-audit",
	  "look for pages that the guest gave away and used again; X_AUDIT reports the result",
	  control_x_audit,
	  {} },
	{ "x-query-audit", "the result of the last audit", control_x_query_audit, {} },
	{ "x-query-balloon",
	  "the state of the balloon: sizes, features, driver, memory",
	  control_x_query_balloon,
	  {} },
	{ "x-query-counters",
	  "counts of what the device did, and of what the guest did wrong",
	  control_x_query_counters,
	  {} },
	{ "x-set-credit",
	  "let the guest take credit bytes back by itself, up to a size of ceiling; none: any",
	  control_x_set_credit,
	  { { "credit", CONTROL_INTEGER, true }, { "ceiling", CONTROL_INTEGER, true } } },
	{ "x-trim",
	  "ask the guest to give up value bytes of cold page cache",
	  control_x_trim,
	  { { "value", CONTROL_INTEGER, false } } },
	{ "x-set-reporting",
	  "set whether free pages that the guest reports are released",
	  control_x_set_reporting,
	  { { "enable", CONTROL_BOOL, false } } },
	{ "x-hint",
	  "free page hinting: action is start, stop or done",
	  control_x_hint,
	  { { "action", CONTROL_STRING, false } } },
	{ "x-help", "all commands and events, with these descriptions", run_x_help, {} },
};
const size_t control_command_count = sizeof(control_commands) / sizeof(control_commands[0]);
