/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors in QMP's form: {"error": {"class": …, "desc": …}}. */
#ifndef AEROSTAT_CONTROL_CONTROL_ERROR_H
#define AEROSTAT_CONTROL_CONTROL_ERROR_H

#include "control/control_command.h"

/* Refuses a call: records the error to answer it with.  Always false. */
bool control_refuse(struct control_call *call, const char *error_class, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with the class that QEMU gives to most errors. */
#define control_refuse_generic(call, ...) control_refuse(call, "GenericError", __VA_ARGS__)

/* Writes the member "error" of an answer. */
void control_write_error(struct json_writer *out, const char *error_class, const char *desc);
/* Answers @client with an error that belongs to no request. */
void control_send_error(struct control_client *client, const char *desc);

#endif
