/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Talking to aerostatd over its socket (aerostatd/api.h).
 *
 * The socket is what --socket says (SOCKET_ENTRY), else AEROSTAT_SOCKET, else the usual place
 * of this user.  Errors are of DAEMON_ERROR; their texts are the daemon's own, or say that there is
 * none and how to start it.
 */
#ifndef AEROSTAT_CLI_DAEMON_H
#define AEROSTAT_CLI_DAEMON_H

#include "aerostat/cli.h"

/* How long a request may take that is answered at once by a daemon that is well. */
#define DAEMON_MS 5000
#define SOCKET_ENTRY(socket)                                                                       \
	{                                                                                          \
		"socket", 0, 0, G_OPTION_ARG_FILENAME, &(socket), "where aerostatd listens",       \
			"PATH"                                                                     \
	}

#define DAEMON_ERROR daemon_error_quark()
GQuark daemon_error_quark(void);
enum daemon_error {
	DAEMON_ERROR_ABSENT,	/* nobody listens: exit code 5 */
	DAEMON_ERROR_DENIED,	/* 403: exit code 1 */
	DAEMON_ERROR_NOT_FOUND, /* 404, ambiguous: exit code 6 */
	DAEMON_ERROR_INVALID,	/* 400: exit code 2 */
	DAEMON_ERROR_REFUSED,	/* 409, 5xx: exit code 1 */
	DAEMON_ERROR_LOST,	/* it went away in the middle: exit code 5 */
};

/*
 * AEROSTAT_SOCKET, else "/run/aerostat/aerostatd.sock" for root; for others the same in
 * XDG_RUNTIME_DIR, unless only root's is there.  Free it.
 */
char *daemon_socket_path(void);

typedef struct daemon daemon_link;
struct daemon;
/* Does not connect yet.  @path NULL: daemon_socket_path(). */
struct daemon *daemon_new(const char *path);
void daemon_free(struct daemon *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_link, daemon_free)

/*
 * daemon_call - one request
 * @path: "/v1/status"; names in it escaped by the caller (g_uri_escape_string)
 * @body: its reference is taken; NULL for none
 * @timeout_ms: for the whole answer
 *
 * The answer's JSON (json_null() when it has no body), or NULL with an error.
 */
json_t *daemon_call(struct daemon *daemon, const char *method, const char *path, json_t *body,
		    unsigned int timeout_ms, GError **error);
/* "/v1/guests/NAME" and @tail (NULL: nothing); free it. */
char *daemon_guest_path(const char *name, const char *tail);
/*
 * daemon_stream - an answer without an end, line by line
 *
 * Ends when @line returns false (then true is returned), or the daemon ends it or goes away
 * (false with DAEMON_ERROR_LOST), or SIGINT or SIGTERM came (true).  A last line without its
 * end is not passed on.
 */
bool daemon_stream(struct daemon *daemon, const char *method, const char *path,
		   bool (*line)(const char *text, void *data), void *data, GError **error);
/* The same, and it ends at @end_us (g_get_monotonic_time()), with true. */
bool daemon_stream_until(struct daemon *daemon, const char *method, const char *path,
			 int64_t end_us, bool (*line)(const char *text, void *data), void *data,
			 GError **error);

#endif
