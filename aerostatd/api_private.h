/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the API.  Each file calls only those before it in this list:
 *
 *   api_answer.c   answers and errors
 *   api_rights.c   who a client is, and what it may do
 *   api_client.c   connections and their deadlines
 *   api_stream.c   answers without an end: events and recordings
 *   api_routes.c   the table of requests, and their handlers
 *   api_socket.c   the listening socket
 *   api.c          accepts connections; starts and stops the rest
 *
 * Only the file that a struct is listed under changes it.  Everything runs in the thread of the
 * default main context.
 */
#ifndef AEROSTATD_API_PRIVATE_H
#define AEROSTATD_API_PRIVATE_H

#include "aerostatd/api.h"

#include <gio/gio.h>
#include <jansson.h>
#include <libsoup/soup.h>

/* The largest request body, in bytes. */
#define API_BODY_MAX (64 * 1024)

/*
 * api_answer.c
 */

/* Answers 200 with @text of content type @type.  Takes ownership of @text. */
void api_answer_text(SoupServerMessage *msg, const char *type, char *text);
/* Answers @status with @value as JSON.  Drops the reference to @value. */
void api_answer_json(SoupServerMessage *msg, unsigned int status, json_t *value);
/*
 * api_answer_error - answers {"error": {"code": @code, "message": …}}
 * @status: the HTTP status, 400 or above
 * @code: one of those that docs/openapi.json lists
 * @format: the message, printed by plain_text()
 */
void api_answer_error(SoupServerMessage *msg, unsigned int status, const char *code,
		      const char *format, ...) G_GNUC_PRINTF(4, 5);
/* Answers with the status and code for @error; those of other domains than MANAGER_ERROR are 409.
 */
void api_answer_gerror(SoupServerMessage *msg, const GError *error);
/* Parses a decimal number without a sign.  False, with @number unchanged, for anything else. */
bool api_parse_number(const char *text, uint64_t *number);

/*
 * api_rights.c
 */

/* After so many refused requests within one second, the others are only counted. */
#define API_REFUSALS_LOGGED 10

enum api_right { API_READ, API_CHANGE };

/* Users and groups of one key of the configuration, looked up. */
struct api_list {
	bool everyone;
	GArray *uids, *gids; /* uid_t, gid_t; NULL before the first api_rights_load() */
};

struct api_rights {
	struct api_list readers, writers;
	int64_t refused_us;   /* when the second began in which refusals are counted; 0: never */
	unsigned int refused; /* refusals in that second */
};

/* The process at the other end of a connection. */
struct api_peer {
	bool known; /* false: the kernel did not report it, and it may do nothing */
	uid_t uid;
	GArray *gids; /* gid_t: its primary group, then the supplementary ones */
};

/* Replaces the lists by [api] readers and writers of @config.  Unknown names are logged. */
void api_rights_load(struct api_rights *rights, const struct config *config);
/* Frees the lists. */
void api_rights_clear(struct api_rights *rights);
/* Whether @peer has @right.  Root, the daemon's user and writers have both. */
bool api_rights_allow(const struct api_rights *rights, const struct api_peer *peer,
		      enum api_right right);
/* Logs that @request of @peer was refused, at most API_REFUSALS_LOGGED times per second. */
void api_rights_log_refusal(struct api_rights *rights, const struct api_peer *peer,
			    const char *request);
/* Fills @peer with the user and groups that connected to socket @fd. */
void api_peer_init(struct api_peer *peer, int fd);
/* Frees what @peer holds. */
void api_peer_clear(struct api_peer *peer);

/*
 * api_client.c
 */

/* Connections per user, streams included. */
#define API_CLIENTS_MAX 128
/* A request that was not answered after so long is dropped.  Streams are exempt. */
#define API_REQUEST_MS 30000

struct api_clients {
	GList *open;		 /* struct api_client *, one per connection */
	unsigned int request_ms; /* API_REQUEST_MS; less in tests */
	int reserve;		 /* a descriptor for a client when no other is left; -1: in use */
};

/* One connection.  Reference counted: libsoup may keep it alive beyond the API. */
struct api_client {
	struct api_clients *clients; /* NULL: the connection or the API has ended */
	GSocket *socket;
	struct api_peer peer;
	guint deadline; /* the GSource that ends the connection; 0: none */
};

/*
 * api_clients_add - serves the connection @socket by @server
 *
 * Closes it instead when its user has API_CLIENTS_MAX connections already.
 */
void api_clients_add(struct api_clients *clients, SoupServer *server, GSocket *socket);
/* Takes a descriptor as the reserve, if there is none and one is left. */
void api_clients_fill_reserve(struct api_clients *clients);
/* Gives the reserve up, so that one more client can be accepted.  False: there is none. */
bool api_clients_use_reserve(struct api_clients *clients);
/* Lets go of connections that still end, which @clients need not outlive. */
void api_clients_clear(struct api_clients *clients);
/* The client that sent @msg; NULL when the API has stopped. */
struct api_client *api_client_of(SoupServerMessage *msg);
/* Lets the answer to @client take any time: it is a stream. */
void api_client_lift_deadline(struct api_client *client);

/*
 * api_stream.c
 */

/* Streams of one user at once. */
#define API_STREAMS_MAX 64
/* A client for which more bytes wait is disconnected. */
#define API_BACKLOG_MAX (1024 * 1024)
/* The same for a user's streams together; a stream with less than the minimum is spared. */
#define API_USER_BACKLOG_MAX (UINT64_C(16) * 1024 * 1024)
#define API_BACKLOG_MIN (64 * 1024)
/* The interval of comments in a stream of events. */
#define API_KEEP_ALIVE_MS 15000

struct api_streams {
	GList *open;		    /* struct api_stream * */
	unsigned int keep_alive_ms; /* API_KEEP_ALIVE_MS; less in tests */
};

/* One request, while it is handled. */
struct api_request {
	struct manager *manager;
	struct api_rights *rights;
	struct api_streams *streams;
	struct api_client *client;
	SoupServerMessage *msg;
	GHashTable *query; /* parameter → value, decoded; NULL: none */
	char *argument;	   /* the variable segment of the path, decoded; NULL: it has none */
};

/* Answers with server-sent events, until the client disconnects. */
void api_stream_events(struct api_request *request);
/* Answers with a recording (docs/recording.md), until either side ends it. */
void api_stream_recording(struct api_request *request);
/* Ends all streams. */
void api_streams_end(struct api_streams *streams);

/*
 * api_routes.c
 */

/* Answers @request, of which all but argument is filled in and the body was read. */
void api_route_request(struct api_request *request);

/*
 * api_socket.c
 */

struct api_socket {
	char *path;
	uint64_t device, inode; /* of the file that open created; 0: none */
	GSocket *listener;	/* NULL: not open */
};

/*
 * api_socket_open - listens on @path with mode 0660
 * @group: the group of the socket; NULL for the daemon's own
 *
 * Replaces a socket that nobody listens on, and no other file.  Nobody can connect before group
 * and mode are set.  Call api_socket_close() also after an error.
 */
bool api_socket_open(struct api_socket *sock, const char *path, const char *group, GError **error);
/* Changes the group; NULL for the daemon's own.  On an error it stays as it is. */
bool api_socket_set_group(const struct api_socket *sock, const char *group, GError **error);
/* Stops listening, and removes the socket unless another daemon has replaced it. */
void api_socket_close(struct api_socket *sock);

/*
 * api.c
 */

struct api {
	struct manager *manager;
	struct api_rights rights;
	struct api_clients clients;
	struct api_streams streams;
	struct api_socket socket;
	SoupServer *server;
	GSource *accepting;    /* NULL: paused after an error */
	guint resume;	       /* the GSource that ends the pause; 0: none */
	int64_t paused_us;     /* when accepting was paused last; 0: never */
	guint reload_listener; /* of events; 0: none */
};

#endif
