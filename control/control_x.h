/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands that QEMU does not have; their names begin with "x-".
 *
 * The bool functions are rows of control_commands[]: see struct control_command.
 */
#ifndef AEROSTAT_CONTROL_CONTROL_X_H
#define AEROSTAT_CONTROL_CONTROL_X_H

#include "control/control_command.h"

/* x-audit: starts an audit. */
bool control_x_audit(struct control_call *call);
/* x-query-audit: the result of the last one. */
bool control_x_query_audit(struct control_call *call);
/* x-query-balloon: sizes, features, driver, memory. */
bool control_x_query_balloon(struct control_call *call);
/* x-query-counters: all counters of the balloon. */
bool control_x_query_counters(struct control_call *call);
/* x-hint: starts, stops or completes a round of free page hinting. */
bool control_x_hint(struct control_call *call);
/* x-set-reporting: whether reported pages are released. */
bool control_x_set_reporting(struct control_call *call);

/* x-trim: asks the guest to give up page cache. */
bool control_x_trim(struct control_call *call);
/* x-set-credit: how much the guest may take back by itself; without a credit, anything. */
bool control_x_set_credit(struct control_call *call);

/* Writes the members of x-query-audit's answer and of X_AUDIT. */
void control_write_audit(const struct control *control, struct json_writer *out);
/* The state of free page hinting, as x-query-balloon and X_HINTS name it. */
const char *control_hinting_name(const struct control *control);

#endif
