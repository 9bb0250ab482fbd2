/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the API share: api.c, api_rights.c, api_serve.c, api_stream.c. */
#ifndef AEROSTAT_API_PRIVATE_H
#define AEROSTAT_API_PRIVATE_H

#include "aerostatd/api.h"

#include <gio/gio.h>
#include <libsoup/soup.h>

#define API_BODY_MAX (64 * 1024)
#define API_STREAMS_MAX 64
#define API_BACKLOG_MAX (1024 * 1024)
/* Connections of one user; a stream is one. */
#define API_CLIENTS_MAX 128
/* A request that is not read and answered within this is given up; a stream is not. */
#define API_REQUEST_MS 30000
#define API_KEEP_ALIVE_MS 15000
#define API_REFUSALS_LOGGED 10

enum api_right { API_READ, API_CHANGE };

/* Who may do something: a list of the configuration, looked up. */
struct api_list {
	bool everyone;
	GArray *uids, *gids; /* uid_t, gid_t */
};

struct api {
	struct manager *manager;
	SoupServer *server;
	GSocket *listener;
	GSource *accepting;	/* NULL while connections wait */
	guint resume;		/* the timeout that goes on accepting; 0 */
	char *path;		/* the socket's */
	uint64_t device, inode; /* of the socket, so that only our own is removed */
	struct api_list readers, writers;
	GList *clients; /* struct api_client * */
	GList *streams; /* struct api_stream * */
	/* API_REQUEST_MS, API_KEEP_ALIVE_MS; less in tests. */
	unsigned int request_ms, keep_alive_ms;
	int64_t refused_us;   /* when the second began in which refusals are counted */
	unsigned int refused; /* in that second */
};

/* One connection: who is at its other end, as the kernel says. */
struct api_client {
	struct api *api;
	GSocket *socket;
	bool known; /* the kernel said who */
	uid_t uid;
	GArray *gids;	/* gid_t, the process's own and its others */
	guint deadline; /* the timeout that ends it; 0: none, it is a stream */
};

/* One request, for the time of its handler. */
struct api_request {
	struct api *api;
	struct api_client *client;
	SoupServerMessage *msg;
	GHashTable *query; /* NULL: none */
	char *argument;	   /* NAME or ID of the path, decoded; NULL: it has none */
};

/* api_rights.c */
void api_list_load(struct api_list *list, char **words, const char *key);
void api_list_clear(struct api_list *list);
struct api_client *api_client_new(struct api *api, GSocket *socket);
void api_client_unref(struct api_client *client);
bool api_may(const struct api *api, const struct api_client *client, enum api_right right);
/* A line of log for a request that was refused; so many a second at most, the others as a sum. */
void api_log_refusal(struct api *api, const struct api_client *client, const char *request);

/* api.c: answers a request that was read whole. */
void api_answer(struct api *api, struct api_client *client, SoupServerMessage *msg,
		GHashTable *query);
/* The answer {"error": {"code", "message"}}. */
void api_fail(SoupServerMessage *msg, unsigned int status, const char *code, const char *format,
	      ...) G_GNUC_PRINTF(4, 5);
void api_fail_with(SoupServerMessage *msg, const GError *error);
/* A number without a sign; false for anything else. */
bool api_parse_number(const char *word, uint64_t *number);

/* api_serve.c: the client of a message. */
struct api_client *api_client_of(SoupServerMessage *msg);

/* api_stream.c: handlers whose answer has no end, and the end of all of them. */
void api_stream_events(struct api_request *request);
void api_stream_recording(struct api_request *request);
void api_stream_end_all(struct api *api);

#endif
