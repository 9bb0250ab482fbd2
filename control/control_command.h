/* SPDX-License-Identifier: BSD-3-Clause */
/* A command, the call of a command, and the table of all commands. */
#ifndef AEROSTAT_CONTROL_CONTROL_COMMAND_H
#define AEROSTAT_CONTROL_CONTROL_COMMAND_H

#include <jansson.h>

#include "control/control_client.h"

#define CONTROL_DESC_MAX 256
#define CONTROL_PARAMETERS_MAX 3

/* One request while it is being answered. */
struct control_call {
	struct control *control;
	struct control_client *client;
	const json_t *arguments; /* checked: they are what the command's row asks for */
	/* Where a command writes its member "return", as the last thing that it does: after that
	 * it must not fail.  {} is returned for a command that writes nothing. */
	struct json_writer *out;
	const char *error_class; /* of the error, see control_refuse() */
	char desc[CONTROL_DESC_MAX];
};

enum control_type { CONTROL_BOOL, CONTROL_INTEGER, CONTROL_STRING, CONTROL_ARRAY, CONTROL_ANY };

struct control_parameter {
	const char *name;
	enum control_type type;
	bool optional;
};

/* One row per command. */
struct control_command {
	const char *name;
	const char *help;
	/* Runs the command; false when it was refused by control_refuse(). */
	bool (*run)(struct control_call *call);
	struct control_parameter parameters[CONTROL_PARAMETERS_MAX + 1]; /* up to a NULL name */
};
extern const struct control_command control_commands[];
extern const size_t control_command_count;

/* True for qmp_capabilities, the one command that a client may send before it has negotiated. */
bool control_command_negotiates(const struct control_command *command);
/* Writes the program's version as query-version and the greeting show it, as member @key. */
void control_write_version(struct json_writer *out, const char *key);

#endif
