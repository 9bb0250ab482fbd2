/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's API: HTTP and JSON over a Unix socket.  docs/openapi.json describes it.
 *
 * The kernel reports who is at the other end of a connection (SO_PEERCRED).  Reading and changing
 * are separate rights, configured as [api] readers and writers; a request without the right is
 * answered with 403 and logged.
 *
 *   GET    /v1/status              host, guests, reservations, problems
 *   GET    /v1/guests/NAME         one guest, and why it has its size
 *   PUT    /v1/guests/NAME/mode    {"mode": "auto" | "observe" | "off" | "held", "bytes": N}
 *   PUT    /v1/mode                the same for all guests
 *   POST   /v1/reservations        {"bytes": N, "ttl_s": N, "note": "…"}
 *   GET    /v1/reservations/ID
 *   DELETE /v1/reservations/ID
 *   POST   /v1/reload
 *   GET    /v1/events?after=N      server-sent events, until the client disconnects
 *   POST   /v1/recording           lines of docs/recording.md, until the client disconnects
 *   GET    /metrics                Prometheus text
 *
 * Errors are {"error": {"code": "not-found", "message": "…"}} with the matching status.
 */
#ifndef AEROSTATD_API_H
#define AEROSTATD_API_H

#include "aerostatd/manager.h"

struct api;

/*
 * api_start - serves the API of @manager on the Unix socket @path, with mode 0660
 *
 * Replaces a socket that nobody listens on.  Follows reloads of the configuration by itself.
 * @manager must outlive the result, which is freed by api_stop().  NULL with an error when the
 * socket cannot be opened.  All functions: the thread of the default main context only.
 */
struct api *api_start(struct manager *manager, const char *path, GError **error);
/* Ends all streams and connections, removes the socket and frees @api; NULL is allowed. */
void api_stop(struct api *api);

#endif
