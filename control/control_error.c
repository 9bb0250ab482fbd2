/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_error.h"

#include <stdarg.h>
#include <stdio.h>

bool control_refuse(struct control_call *call, const char *error_class, const char *format, ...)
{
	va_list arguments;

	call->error_class = error_class;
	va_start(arguments, format);
	vsnprintf(call->desc, sizeof(call->desc), format, arguments);
	va_end(arguments);
	/* The text may quote the client, and may have been cut within a UTF-8 character. */
	for (char *c = call->desc; *c; c++)
		if (*c & 0x80 || *c == 0x7f)
			*c = '?';
	return false;
}

void control_write_error(struct json_writer *out, const char *error_class, const char *desc)
{
	json_write_open(out, "error", '{');
	json_write_string(out, "class", error_class);
	json_write_string(out, "desc", desc);
	json_write_close(out, '}');
}

void control_send_error(struct control_client *client, const char *desc)
{
	struct json_writer out;

	control_message_begin(client, &out);
	json_write_open(&out, NULL, '{');
	control_write_error(&out, "GenericError", desc);
	json_write_close(&out, '}');
	control_message_end(client, &out);
}
