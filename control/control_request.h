/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests: checked against the table of commands, then run. */
#ifndef AEROSTAT_CONTROL_CONTROL_REQUEST_H
#define AEROSTAT_CONTROL_CONTROL_REQUEST_H

#include "control/control_client.h"

/* Parses the message of @length bytes at @text, runs its command and sends the answer, or an
 * error. */
void control_answer_request(struct control_client *client, const char *text, size_t length);

#endif
