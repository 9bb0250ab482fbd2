/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The JSON bodies of the API's answers (docs/openapi.json).  Each function returns a new
 * reference, and must be called in the thread of the manager.
 */
#ifndef AEROSTATD_REPORT_H
#define AEROSTATD_REPORT_H

#include <jansson.h>

#include "aerostatd/manager.h"

/* The schema "status". */
json_t *report_status(const struct manager_status *status);
/* The schema "guest"; @with_history adds history and reason_help. */
json_t *report_guest(const struct managed *guest, bool with_history);
/* The name of @guest; its address as long as its name is not known. */
json_t *report_guest_name(const struct managed *guest);
/* The schema "reservation". */
json_t *report_reservation(const struct reservation *reservation);
/* The schema "resize"; @resize is the latest request, NULL if there was none. */
json_t *report_resize(const struct managed *guest, const struct managed_resize *resize);
/* The schema "event". */
json_t *report_event(const struct event *event);

#endif
