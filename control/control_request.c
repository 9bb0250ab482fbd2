/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/control_error.h"

static bool has_type(const json_t *value, enum control_type type)
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

static const char *get_type_name(enum control_type type)
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
			return control_refuse_generic(call, "Parameter '%.80s' is unexpected",
						      name);
		if (!has_type(value, parameter->type))
			return control_refuse_generic(
				call, "Invalid parameter type for '%s', expected: %s", name,
				get_type_name(parameter->type));
	}
	for (parameter = parameters; parameter->name; parameter++)
		if (!parameter->optional && !json_object_get(call->arguments, parameter->name))
			return control_refuse_generic(call, "Parameter '%s' is missing",
						      parameter->name);
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
		return control_refuse_generic(call, "QMP input must be a JSON object");
	json_object_foreach ((json_t *)request, name, value) {
		if (strcmp(name, "execute") && strcmp(name, "arguments") && strcmp(name, "id"))
			return control_refuse_generic(
				call, "QMP input member '%.80s' is unexpected", name);
		if (!strcmp(name, "arguments") && !json_is_object(value))
			return control_refuse_generic(
				call, "QMP input member 'arguments' must be an object");
	}
	if (!json_is_string(json_object_get(request, "execute")))
		return control_refuse_generic(call, "QMP input lacks a string 'execute'");
	call->arguments = json_object_get(request, "arguments");
	return true;
}

/* Runs the command of @request, which writes its answer; false when it was refused. */
static bool run_request(struct control_call *call, const json_t *request)
{
	const struct control_command *command;
	size_t before = call->out->length;
	const char *name;

	if (!check_request(call, request))
		return false;
	name = json_string_value(json_object_get(request, "execute"));
	command = find_command(name);
	if (!call->client->negotiated && (!command || !control_command_negotiates(command)))
		return control_refuse(call, "CommandNotFound",
				      "Expecting capabilities negotiation with "
				      "'qmp_capabilities'");
	if (!command)
		return control_refuse(call, "CommandNotFound",
				      "The command %.80s has not been found; query-commands lists "
				      "all commands",
				      name);
	if (!check_arguments(call, command->parameters) || !command->run(call))
		return false;
	if (call->out->length == before) {
		json_write_open(call->out, "return", '{');
		json_write_close(call->out, '}');
	}
	return true;
}

/* A request's "id" may be any value and is sent back with the answer. */
static void write_id(struct json_writer *out, const json_t *id)
{
	char *text;

	if (!id)
		return;
	text = json_dumps(id, JSON_ENCODE_ANY);
	if (text)
		json_write_encoded(out, "id", text);
	else
		out->full = true;
	free(text);
}

/*
 * Parses a request; NULL with errno, which is ENOMEM or, with @wrong set, EINVAL.  Without memory,
 * jansson describes nothing, calls a string that it cannot copy invalid, or leaves a byte out.
 */
static json_t *parse_request(const char *text, size_t length, json_error_t *wrong)
{
	json_t *request;

	errno = 0;
	request = json_loadb(text, length, JSON_REJECT_DUPLICATES, wrong);
	if (errno != ENOMEM && (request || *wrong->text)) {
		errno = EINVAL;
		return request;
	}
	json_decref(request);
	errno = ENOMEM;
	return NULL;
}

void control_answer_request(struct control_client *client, const char *text, size_t length)
{
	struct control_call call = { .control = client->control, .client = client };
	json_error_t error;
	json_t *request = parse_request(text, length, &error);
	bool is_short = !request && errno == ENOMEM;
	struct json_writer out;

	control_message_begin(client, &out);
	json_write_open(&out, NULL, '{');
	call.out = &out;
	/* Without memory, jansson describes nothing, or calls a string that it cannot copy invalid.
	 */
	if (is_short)
		control_refuse_generic(&call, "out of memory");
	else if (!request)
		control_refuse_generic(&call, "JSON parse error, %s", error.text);
	if (!request || !run_request(&call, request))
		control_write_error(&out, call.error_class, call.desc);
	write_id(&out, json_object_get(request, "id"));
	json_write_close(&out, '}');
	control_message_end(client, &out);
	json_decref(request);
}
