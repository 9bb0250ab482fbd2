/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands: one table, by which requests are checked and run,
 * query-commands and x-help answer, and the man page is tested.
 *
 * What is asked has the names, shapes and error classes of QEMU's QMP.
 */
#include "control/control_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NIL_UUID "00000000-0000-0000-0000-000000000000"

/*
 * Errors
 */

bool control_refuse(struct control_call *call, const char *error_class, const char *format, ...)
{
	va_list arguments;

	call->error_class = error_class;
	va_start(arguments, format);
	vsnprintf(call->desc, sizeof(call->desc), format, arguments);
	va_end(arguments);
	/* It may quote the client, and have been cut within a character. */
	for (char *c = call->desc; *c; c++)
		if (*c & 0x80 || *c == 0x7f)
			*c = '?';
	return false;
}

static bool no_guest(struct control_call *call)
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
		return no_guest(call);
	if (value <= 0)
		return control_error(call, "Parameter 'value' expects a size above 0");
	balloon_set_target(call->control->balloon, (uint64_t)value);
	return true;
}

static bool run_query_balloon(struct control_call *call)
{
	struct balloon_info info;

	balloon_info(call->control->balloon, &info);
	if (!info.max_bytes)
		return no_guest(call);
	out_open(call->out, "return", '{');
	out_u64(call->out, "actual", info.actual_bytes);
	out_close(call->out, '}');
	return true;
}

static bool run_query_memory(struct control_call *call)
{
	struct balloon_info info;

	balloon_info(call->control->balloon, &info);
	out_open(call->out, "return", '{');
	out_u64(call->out, "base-memory", info.max_bytes);
	out_u64(call->out, "plugged-memory", 0);
	out_close(call->out, '}');
	return true;
}

/*
 * QMP's own
 */

static bool run_capabilities(struct control_call *call)
{
	const json_t *enable = json_object_get(call->arguments, "enable");

	if (call->client->ready)
		return control_refuse(call, "CommandNotFound",
				      "Capabilities negotiation is already complete, command "
				      "ignored");
	if (json_array_size(enable))
		return control_error(call, "no capability can be enabled here");
	call->client->ready = true;
	return true;
}

static bool run_query_commands(struct control_call *call)
{
	out_open(call->out, "return", '[');
	for (size_t i = 0; i < control_command_count; i++) {
		out_open(call->out, NULL, '{');
		out_string(call->out, "name", control_commands[i].name);
		out_close(call->out, '}');
	}
	out_close(call->out, ']');
	return true;
}

static void out_help(struct json_out *out, const char *name, const char *help)
{
	out_open(out, NULL, '{');
	out_string(out, "name", name);
	out_string(out, "help", help);
}

static bool run_help(struct control_call *call)
{
	struct json_out *out = call->out;

	out_open(out, "return", '{');
	out_open(out, "commands", '[');
	for (size_t i = 0; i < control_command_count; i++) {
		const struct control_parameter *parameter = control_commands[i].parameters;

		out_help(out, control_commands[i].name, control_commands[i].help);
		out_open(out, "arguments", '[');
		for (; parameter->name; parameter++)
			out_string(out, NULL, parameter->name);
		out_close(out, ']');
		out_close(out, '}');
	}
	out_close(out, ']');
	out_open(out, "events", '[');
	for (size_t i = 0; i < CONTROL_EVENT_KINDS; i++) {
		out_help(out, control_events[i].name, control_events[i].help);
		out_close(out, '}');
	}
	out_close(out, ']');
	out_close(out, '}');
	return true;
}

static bool run_query_status(struct control_call *call)
{
	bool running = call->control->vmm_connected;

	out_open(call->out, "return", '{');
	out_string(call->out, "status", running ? "running" : "prelaunch");
	out_bool(call->out, "running", running);
	out_close(call->out, '}');
	return true;
}

static bool run_query_name(struct control_call *call)
{
	out_open(call->out, "return", '{');
	if (call->control->options.name)
		out_string(call->out, "name", call->control->options.name);
	out_close(call->out, '}');
	return true;
}

static bool run_query_uuid(struct control_call *call)
{
	out_open(call->out, "return", '{');
	out_string(call->out, "UUID", NIL_UUID);
	out_close(call->out, '}');
	return true;
}

void control_out_version(struct json_out *out, const char *key)
{
	unsigned int major = 0, minor = 0, micro = 0;

	sscanf(AEROSTAT_VERSION, "%u.%u.%u", &major, &minor, &micro);
	out_open(out, key, '{');
	out_open(out, "qemu", '{');
	out_u64(out, "micro", micro);
	out_u64(out, "minor", minor);
	out_u64(out, "major", major);
	out_close(out, '}');
	out_string(out, "package", "aerostat-device " AEROSTAT_VERSION);
	out_close(out, '}');
}

static bool run_query_version(struct control_call *call)
{
	control_out_version(call->out, "return");
	return true;
}

static bool run_quit(struct control_call *call)
{
	call->control->options.quit(call->control->options.data);
	return true;
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
	  "leave negotiation mode; to be said first",
	  run_capabilities,
	  { { "enable", CONTROL_ARRAY, true } } },
	{ "balloon",
	  "set the guest's target to value bytes; more than its RAM means all of it",
	  run_balloon,
	  { { "value", CONTROL_INTEGER, false } } },
	{ "query-balloon", "the memory that the guest has now, in bytes", run_query_balloon, {} },
	{ "query-memory-size-summary",
	  "the guest's RAM, in bytes; 0 while it is not known",
	  run_query_memory,
	  {} },
	{ "query-status",
	  "running while a VMM is connected, prelaunch else",
	  run_query_status,
	  {} },
	{ "query-name", "the guest's name, as --name gave it", run_query_name, {} },
	{ "query-uuid", "the nil UUID: the device knows of none", run_query_uuid, {} },
	{ "query-version", "the version of this program", run_query_version, {} },
	{ "query-commands", "the names of these commands", run_query_commands, {} },
	{ "qom-list",
	  "the children and properties of path: the balloon is /machine/peripheral/balloon0",
	  control_qom_list,
	  { PATH } },
	{ "qom-get",
	  "a property of the balloon, such as guest-stats",
	  control_qom_get,
	  { PATH, PROPERTY } },
	{ "qom-set",
	  "set a property of the balloon: guest-stats-polling-interval, in seconds, 0 for never",
	  control_qom_set,
	  { PATH, PROPERTY, { "value", CONTROL_ANY, false } } },
	{ "x-query-virtio-status",
	  "the virtio device at path; its statuses tell whether there is a driver",
	  control_virtio_status,
	  { PATH } },
	{ "quit", "end the device process", run_quit, {} },
	{ "x-audit",
	  "look for pages that the guest gave away and touched again; X_AUDIT tells",
	  control_x_audit,
	  {} },
	{ "x-query-audit", "the result of the last audit", control_x_query_audit, {} },
	{ "x-query-balloon",
	  "all about the balloon: sizes, features, driver, memory",
	  control_x_query_balloon,
	  {} },
	{ "x-query-counters",
	  "what was done so far, and what the guest did wrong",
	  control_x_query_counters,
	  {} },
	{ "x-set-reporting",
	  "whether free pages that the guest reports are released",
	  control_x_set_reporting,
	  { { "enable", CONTROL_BOOL, false } } },
	{ "x-hint",
	  "free page hinting: action is start, stop or done",
	  control_x_hint,
	  { { "action", CONTROL_STRING, false } } },
	{ "x-help", "the commands and events with what they are for", run_help, {} },
};
const size_t control_command_count = sizeof(control_commands) / sizeof(control_commands[0]);

/*
 * Requests
 */

static bool is_of_type(const json_t *value, enum control_type type)
{
	switch (type) {
	case CONTROL_BOOL:
		return json_is_boolean(value);
	case CONTROL_INTEGER:
		return json_is_integer(value);
	case CONTROL_STRING:
		return json_is_string(value);
	case CONTROL_ARRAY:
		return json_is_array(value);
	case CONTROL_ANY:
		return true;
	}
	return false;
}

static const char *type_name(enum control_type type)
{
	static const char *const names[] = { "boolean", "integer", "string", "array", "any" };

	return names[type];
}

static const struct control_parameter *find_parameter(const struct control_parameter *parameters,
						      const char *name)
{
	for (; parameters->name; parameters++)
		if (!strcmp(parameters->name, name))
			return parameters;
	return NULL;
}

static bool check_arguments(struct control_call *call, const struct control_parameter *parameters)
{
	const struct control_parameter *parameter;
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)call->arguments, name, value) {
		parameter = find_parameter(parameters, name);
		if (!parameter)
			return control_error(call, "Parameter '%.80s' is unexpected", name);
		if (!is_of_type(value, parameter->type))
			return control_error(call, "Invalid parameter type for '%s', expected: %s",
					     name, type_name(parameter->type));
	}
	for (parameter = parameters; parameter->name; parameter++)
		if (!parameter->optional && !json_object_get(call->arguments, parameter->name))
			return control_error(call, "Parameter '%s' is missing", parameter->name);
	return true;
}

static const struct control_command *find_command(const char *name)
{
	for (size_t i = 0; i < control_command_count; i++)
		if (!strcmp(control_commands[i].name, name))
			return &control_commands[i];
	return NULL;
}

static bool check_request(struct control_call *call, const json_t *request)
{
	const char *name;
	json_t *value;

	if (!json_is_object(request))
		return control_error(call, "QMP input must be a JSON object");
	json_object_foreach ((json_t *)request, name, value) {
		if (strcmp(name, "execute") && strcmp(name, "arguments") && strcmp(name, "id"))
			return control_error(call, "QMP input member '%.80s' is unexpected", name);
		if (!strcmp(name, "arguments") && !json_is_object(value))
			return control_error(call,
					     "QMP input member 'arguments' must be an object");
	}
	if (!json_is_string(json_object_get(request, "execute")))
		return control_error(call, "QMP input lacks a string 'execute'");
	call->arguments = json_object_get(request, "arguments");
	return true;
}

static bool serve(struct control_call *call, const json_t *request)
{
	const struct control_command *command;
	size_t before = call->out->length;
	const char *name;

	if (!check_request(call, request))
		return false;
	name = json_string_value(json_object_get(request, "execute"));
	command = find_command(name);
	if (!call->client->ready && (!command || command->run != run_capabilities))
		return control_refuse(call, "CommandNotFound",
				      "Expecting capabilities negotiation with "
				      "'qmp_capabilities'");
	if (!command)
		return control_refuse(call, "CommandNotFound",
				      "The command %.80s has not been found; query-commands lists "
				      "those there are",
				      name);
	if (!check_arguments(call, command->parameters) || !command->run(call))
		return false;
	if (call->out->length == before) {
		out_open(call->out, "return", '{');
		out_close(call->out, '}');
	}
	return true;
}

static void out_error(struct json_out *out, const char *error_class, const char *desc)
{
	out_open(out, "error", '{');
	out_string(out, "class", error_class);
	out_string(out, "desc", desc);
	out_close(out, '}');
}

void control_answer_error(struct control_client *client, const char *desc)
{
	struct json_out out;

	control_message(client, &out);
	out_open(&out, NULL, '{');
	out_error(&out, "GenericError", desc);
	out_close(&out, '}');
	control_message_end(client, &out);
}

void control_answer(struct control_client *client, const char *text, size_t length)
{
	struct control_call call = { .control = client->control, .client = client };
	json_error_t error;
	json_t *request = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	struct json_out out;

	control_message(client, &out);
	out_open(&out, NULL, '{');
	call.out = &out;
	if (!request)
		control_error(&call, "JSON parse error, %s", error.text);
	if (!request || !serve(&call, request))
		out_error(&out, call.error_class, call.desc);
	if (json_object_get(request, "id"))
		out_json(&out, "id", json_object_get(request, "id"));
	out_close(&out, '}');
	control_message_end(client, &out);
	json_decref(request);
}
