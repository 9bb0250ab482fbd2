/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP over aerostatd's Unix socket, for client.c: requests whose answers are JSON, and one whose
 * answer is lines without an end.  Errors are of DAEMON_ERROR (answers.h).
 */
#ifndef AEROSTAT_API_CLIENT_HTTP_H
#define AEROSTAT_API_CLIENT_HTTP_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct http_peer;

/* Does not connect yet.  An answer must be complete @timeout_ms after its request. */
struct http_peer *http_peer_new(const char *socket_path, unsigned int timeout_ms);
/* Closes the connection, if there is one; NULL is fine. */
void http_peer_free(struct http_peer *peer);

/*
 * http_call - one request, and its whole answer
 * @path: "/v1/status"; names in it are percent-encoded by the caller
 * @body: its reference is taken; NULL for none
 *
 * Returns the answer's JSON object, json_null() for an empty answer, or NULL with an error.  A
 * status other than success is an error, with the message of the answer.
 */
json_t *http_call(struct http_peer *peer, const char *method, const char *path, json_t *body,
		  GError **error);

/*
 * http_stream - one request, and its answer line by line
 * @end_us: g_get_monotonic_time() at which to end it; G_MAXINT64 for never
 * @line: called with each whole line, without its end
 *
 * Returns true after @line returned false, after @end_us, and after SIGINT or SIGTERM, which it
 * catches meanwhile.  Returns false with an error if the stream did not begin within 5 s, or if
 * the peer ended it; a last line without its end is dropped.
 */
bool http_stream(struct http_peer *peer, const char *method, const char *path, int64_t end_us,
		 bool (*line)(const char *text, void *data), void *data, GError **error);

#endif
