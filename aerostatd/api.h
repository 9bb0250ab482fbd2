/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's API: HTTP and JSON over a Unix socket (docs/openapi.json).
 *
 * Who asks is who the kernel says is at the other end (SO_PEERCRED).  Reading and
 * changing are rights apart, configured as [api] readers and writers; a request
 * without the right gets 403 and is logged.
 *
 *   GET    /v1/status              host, guests, reservations, problems
 *   GET    /v1/guests/NAME         one guest, and why it has the size it has
 *   PUT    /v1/guests/NAME/mode    {"mode": "auto" | "observe" | "off" | "held", "bytes": N}
 *   PUT    /v1/mode                the same, of all
 *   POST   /v1/reservations        {"bytes": N, "ttl_s": N, "note": "…"}
 *   GET    /v1/reservations/ID
 *   DELETE /v1/reservations/ID
 *   POST   /v1/reload
 *   GET    /v1/events?after=N      server-sent events, until the client goes
 *   POST   /v1/recording           lines of docs/recording.md, until the client goes
 *   GET    /metrics                Prometheus text
 *
 * Errors are {"error": {"code": "not-found", "message": "…"}}, with the fitting status.
 */
#ifndef AEROSTAT_API_H
#define AEROSTAT_API_H

#include "aerostatd/manager.h"

#include <jansson.h>

struct api;
/* Listens at @path, mode 0660; a socket that nobody listens at any more is replaced. */
struct api *api_start(struct manager *manager, const char *path, GError **error);
void api_reload(struct api *api); /* readers, writers and group, from the manager's config */
void api_stop(struct api *api);

/* report.c: the bodies; new references. */
json_t *report_status(const struct manager_status *status);
json_t *report_guest(const struct managed *guest, bool with_history);
json_t *report_reservation(const struct reservation *reservation);
json_t *report_event(const struct event *event);
/* metrics.c */
char *metrics_text(const struct manager_status *status);

#endif
