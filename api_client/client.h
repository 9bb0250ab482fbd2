/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client of aerostatd: one function per request of docs/openapi.json.
 *
 * Functions block until the answer is complete or the client's timeout is over.  Those that return
 * a pointer or a bool report failure as NULL or false with a GError of DAEMON_ERROR, whose message
 * is the daemon's own, or says how to start or reach the daemon.  It is one line without a full
 * stop, but a hostile peer may put control characters into it.
 *
 * Answers are the structs of answers.h.  A client is used by one thread at a time.
 */
#ifndef AEROSTAT_API_CLIENT_CLIENT_H
#define AEROSTAT_API_CLIENT_CLIENT_H

#include "api_client/answers.h"

/* How long to wait for an answer: a daemon that is well gives it at once. */
#define DAEMON_TIMEOUT_MS 5000

/*
 * daemon_socket_path - where aerostatd listens unless an option says otherwise
 *
 * The environment's AEROSTAT_SOCKET; without it "/run/aerostat/aerostatd.sock" for root, and for
 * others the same below XDG_RUNTIME_DIR, unless only root's is there.  Free it with g_free().
 */
char *daemon_socket_path(void);

typedef struct daemon_client daemon_client;
/*
 * daemon_client_new - a client that has not connected yet
 * @socket_path: NULL for daemon_socket_path()
 * @timeout_ms: for each whole answer, but for daemon_record()
 */
struct daemon_client *daemon_client_new(const char *socket_path, unsigned int timeout_ms);
/* Closes the connection; NULL is fine. */
void daemon_client_free(struct daemon_client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_client, daemon_client_free)

/* GET /v1/status; free it with daemon_free_status(). */
struct daemon_status *daemon_get_status(struct daemon_client *client, GError **error);

/*
 * daemon_get_guest - GET /v1/guests/NAME, one guest with its history
 * @name: its name, UUID or address, not encoded; DAEMON_ERROR_NOT_FOUND if it fits no guest or
 *        several
 *
 * Free it with daemon_free_guest().
 */
struct daemon_guest *daemon_get_guest(struct daemon_client *client, const char *name,
				      GError **error);

/*
 * daemon_set_mode - PUT /v1/guests/NAME/mode, or /v1/mode for all guests
 * @name: as for daemon_get_guest(); NULL: all guests
 * @mode: any but DAEMON_MODE_UNKNOWN
 * @bytes: with DAEMON_MODE_HELD, the size; HV_UNSET: what the guest has now
 * @force: hold it at @bytes though the daemon knows that this would harm it
 *
 * Returns the names of the guests whose mode was set, NULL-terminated; free it with g_strfreev().
 */
char **daemon_set_mode(struct daemon_client *client, const char *name, enum daemon_mode mode,
		       uint64_t bytes, bool force, GError **error);

/*
 * daemon_set_size - PUT /v1/guests/NAME/size, as `aerostat setmem` does, and hold the guest there
 * @force: as --force
 *
 * Returns when the daemon has begun; daemon_get_size() reports how far it is.  Free it with
 * daemon_free_resize().
 */
struct daemon_resize *daemon_set_size(struct daemon_client *client, const char *name,
				      uint64_t bytes, bool force, GError **error);
/* GET /v1/guests/NAME/size: the latest daemon_set_size(). */
struct daemon_resize *daemon_get_size(struct daemon_client *client, const char *name,
				      GError **error);

/*
 * daemon_set_own_size - PUT /v1/guests/NAME/own-size
 *
 * Declares the size to which the guest is restored.  Returns what daemon_set_mode() does.
 */
char **daemon_set_own_size(struct daemon_client *client, const char *name, uint64_t bytes,
			   GError **error);

/*
 * daemon_reserve - POST /v1/reservations, memory for a guest about to start
 * @ttl_s: seconds after which it ends by itself, 1 to 86400
 * @note: what for, UTF-8; NULL: nothing
 *
 * Free it with daemon_free_reservation(), which does not end it.
 */
struct daemon_reservation *daemon_reserve(struct daemon_client *client, uint64_t bytes, int ttl_s,
					  const char *note, GError **error);
/* GET /v1/reservations/ID: how much of it is free now. */
struct daemon_reservation *daemon_get_reservation(struct daemon_client *client, uint64_t id,
						  GError **error);
/* DELETE /v1/reservations/ID. */
bool daemon_end_reservation(struct daemon_client *client, uint64_t id, GError **error);

/* POST /v1/reload: the path of the file that was read, "" if there is none; free it. */
char *daemon_reload(struct daemon_client *client, GError **error);

/*
 * daemon_record - POST /v1/recording, line by line
 * @end_us: g_get_monotonic_time() at which to end it; G_MAXINT64 for never
 * @write: called with each line, without its end; returns false to end the recording
 *
 * Each line has been checked to be one of a recording (docs/recording.md), the first to be its
 * start.  Returns true after @end_us, after SIGINT or SIGTERM, which it catches meanwhile, and
 * after @write returned false; false if the daemon refused it, ended it, or sent anything else.
 */
bool daemon_record(struct daemon_client *client, int64_t end_us,
		   bool (*write)(const char *text, enum daemon_line line, void *data), void *data,
		   GError **error);

#endif
