/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket, and the connections made to it.
 *
 * Theory of operation
 * -------------------
 * libsoup reads and writes HTTP; connections are accepted here, because its own listener stops
 * for good when accept() fails once, as it does when descriptors run out, and cannot be
 * bounded.  A user has API_CLIENTS_MAX connections at most, so that none takes those of the
 * others away, and one that has not been answered in API_REQUEST_MS is ended.  A connection
 * carries one request.
 *
 * libsoup wants addresses of IP.  Each connection gets one, and the client is tied to it, so
 * that a message leads to its client.
 *
 * Nobody can connect before the socket has its group and mode: it listens only then.
 */
#include "aerostatd/api_private.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gio/gunixsocketaddress.h>

#include "aerostatd/log.h"

#define SOCKET_MODE 0660
#define BACKLOG 256
#define CLIENT_KEY "aerostat-client"

/* Where a new connection was refused by the kernel, it is tried again after this. */
#define RESUME_S 1

static void accept_later(struct api *api, const GError *error);

struct api_client *api_client_of(SoupServerMessage *msg)
{
	GSocketAddress *address = soup_server_message_get_remote_address(msg);

	return address ? g_object_get_data(G_OBJECT(address), CLIENT_KEY) : NULL;
}

/*
 * Its other end sees the connection end; libsoup then lets go of it by itself.  Not closed,
 * because libsoup may be waiting on the descriptor.
 */
static gboolean client_overdue(void *data)
{
	struct api_client *client = data;

	client->deadline = 0;
	g_socket_shutdown(client->socket, TRUE, TRUE, NULL);
	return G_SOURCE_REMOVE;
}

/* The connection is no more. */
static void client_gone(void *data, GObject *connection)
{
	struct api_client *client = data;

	(void)connection;
	if (client->deadline)
		g_source_remove(client->deadline);
	client->deadline = 0;
	if (client->api)
		client->api->clients = g_list_remove(client->api->clients, client);
	client->api = NULL;
	api_client_unref(client);
}

static unsigned int connections_of(const struct api *api, uid_t uid)
{
	unsigned int count = 0;

	for (const GList *link = api->clients; link; link = link->next)
		count += ((const struct api_client *)link->data)->uid == uid;
	return count;
}

static GSocketAddress *address_for(struct api_client *client)
{
	g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
	GSocketAddress *address = g_inet_socket_address_new(loopback, 0);

	g_object_set_data_full(G_OBJECT(address), CLIENT_KEY, g_rc_box_acquire(client),
			       (GDestroyNotify)api_client_unref);
	return address;
}

static void serve(struct api *api, GSocket *socket)
{
	g_autoptr(GSocketConnection) connection =
		g_socket_connection_factory_create_connection(socket);
	struct api_client *client = api_client_new(api, socket);
	g_autoptr(GSocketAddress) address = address_for(client);

	if (connections_of(api, client->uid) >= API_CLIENTS_MAX) {
		api_client_unref(client);
		return;
	}
	api->clients = g_list_prepend(api->clients, client);
	client->deadline = g_timeout_add(api->request_ms, client_overdue, client);
	g_object_weak_ref(G_OBJECT(connection), client_gone, client);
	soup_server_accept_iostream(api->server, G_IO_STREAM(connection), address, address, NULL);
}

static gboolean on_connection(GSocket *listener, GIOCondition condition, void *data)
{
	struct api *api = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GSocket) socket = g_socket_accept(listener, NULL, &error);

	(void)condition;
	if (socket)
		serve(api, socket);
	else if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
		accept_later(api, error);
	return api->accepting ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void accept_now(struct api *api)
{
	api->accepting = g_socket_create_source(api->listener, G_IO_IN, NULL);
	g_source_set_callback(api->accepting, G_SOURCE_FUNC(on_connection), api, NULL);
	g_source_attach(api->accepting, NULL);
}

static gboolean resume(void *data)
{
	struct api *api = data;

	api->resume = 0;
	accept_now(api);
	return G_SOURCE_REMOVE;
}

/* What waits would wake the loop again and again. */
static void accept_later(struct api *api, const GError *error)
{
	manager_log(LOG_WARNING, "connections have to wait: %s", error->message);
	g_clear_pointer(&api->accepting, g_source_unref);
	api->resume = g_timeout_add_seconds(RESUME_S, resume, api);
}

/* A body of which more has come than is taken: it is read to its end, and not kept. */
static void refuse_body(SoupServerMessage *msg)
{
	SoupMessageBody *body = soup_server_message_get_request_body(msg);

	soup_message_body_set_accumulate(body, FALSE);
	soup_message_body_truncate(body);
	api_fail(msg, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "invalid",
		 "the body is larger than %d bytes", API_BODY_MAX);
}

static void on_headers(SoupServerMessage *msg, void *data)
{
	SoupMessageHeaders *asked = soup_server_message_get_request_headers(msg);
	SoupMessageHeaders *answer = soup_server_message_get_response_headers(msg);

	(void)data;
	soup_message_headers_replace(answer, "Connection", "close");
	soup_message_headers_replace(answer, "Cache-Control", "no-store");
	/* libsoup would serve parts of any answer, as many as are asked for. */
	soup_message_headers_remove(asked, "Range");
	if (soup_message_headers_get_content_length(asked) > API_BODY_MAX)
		refuse_body(msg);
}

static void on_chunk(SoupServerMessage *msg, GBytes *chunk, void *data)
{
	SoupMessageBody *body = soup_server_message_get_request_body(msg);

	(void)chunk;
	(void)data;
	if (!soup_server_message_get_status(msg) && body->length > API_BODY_MAX)
		refuse_body(msg);
}

static void on_started(SoupServer *server, SoupServerMessage *msg, void *data)
{
	(void)server;
	g_signal_connect(msg, "got-headers", G_CALLBACK(on_headers), data);
	g_signal_connect(msg, "got-chunk", G_CALLBACK(on_chunk), data);
}

static void on_request(SoupServer *server, SoupServerMessage *msg, const char *path,
		       GHashTable *query, void *data)
{
	struct api_client *client = api_client_of(msg);

	(void)server;
	(void)path;
	if (client && client->api)
		api_answer(data, client, msg, query);
	else
		api_fail(msg, SOUP_STATUS_FORBIDDEN, "denied", "nobody knows who asks");
}

static bool fail(GError **error, const char *path, const char *what)
{
	int reason = errno;

	g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(reason), "cannot %s %s: %s", what,
		    path, g_strerror(reason));
	return false;
}

static bool fill_address(const char *path, struct sockaddr_un *address, GError **error)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof(address->sun_path)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
			    "a socket's path has 1 to %zu bytes, which '%s' has not",
			    sizeof(address->sun_path) - 1, path);
		return false;
	}
	strcpy(address->sun_path, path);
	return true;
}

/* Removes a socket that nobody listens at; true when nothing is in the way any more. */
static bool clear_way(const struct sockaddr_un *address, GError **error)
{
	const char *path = address->sun_path;
	struct stat found;
	int fd, ret, reason;

	if (lstat(path, &found))
		return errno == ENOENT || fail(error, path, "listen at");
	if (!S_ISSOCK(found.st_mode)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
			    "%s is there and is no socket: move it away, or name another", path);
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(error, path, "look who listens at");
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	reason = ret ? errno : 0;
	close(fd);
	if (reason == ECONNREFUSED)
		return !unlink(path) || errno == ENOENT || fail(error, path, "remove the old");
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
		    "another daemon listens at %s: stop it, or use another socket", path);
	return false;
}

/* Gives the socket the group of the configuration, or of the daemon. */
static bool set_group(struct api *api, GError **error)
{
	const char *name = manager_status(api->manager)->config->group;
	const struct group *group = name ? getgrnam(name) : NULL;

	if (name && !group) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
			    "[api] group: there is no group '%s'", name);
		return false;
	}
	if (lchown(api->path, (uid_t)-1, group ? group->gr_gid : getegid()))
		return fail(error, api->path, "set the group of");
	return true;
}

/* Bound, of the right group and mode, and listening. */
static bool listen_at(struct api *api, int fd, GError **error)
{
	struct stat made;

	if (lstat(api->path, &made))
		return fail(error, api->path, "listen at");
	api->device = made.st_dev;
	api->inode = made.st_ino;
	if (!set_group(api, error))
		return false;
	if (chmod(api->path, SOCKET_MODE))
		return fail(error, api->path, "set the mode of");
	if (listen(fd, BACKLOG))
		return fail(error, api->path, "listen at");
	api->listener = g_socket_new_from_fd(fd, error);
	return api->listener;
}

static bool open_socket(struct api *api, GError **error)
{
	struct sockaddr_un address;
	int fd;

	if (!fill_address(api->path, &address, error) || !clear_way(&address, error))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(error, api->path, "listen at");
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address))) {
		fail(error, api->path, "listen at");
		close(fd);
		return false;
	}
	if (listen_at(api, fd, error))
		return true;
	close(fd);
	return false;
}

static void load_lists(struct api *api)
{
	static char *everyone[] = { (char *)"*", NULL };
	const struct config *config = manager_status(api->manager)->config;

	api_list_load(&api->readers, config->readers ? config->readers : everyone, "readers");
	api_list_load(&api->writers, config->writers, "writers");
}

/* Ours, and not one that another daemon has put in its place since. */
static void remove_socket(const struct api *api)
{
	struct stat found;

	if (api->inode && !lstat(api->path, &found) && found.st_dev == api->device &&
	    found.st_ino == api->inode)
		unlink(api->path);
}

struct api *api_start(struct manager *manager, const char *path, GError **error)
{
	struct api *api = g_new0(struct api, 1);

	api->manager = manager;
	api->path = g_strdup(path);
	api->request_ms = API_REQUEST_MS;
	api->keep_alive_ms = API_KEEP_ALIVE_MS;
	api->server = soup_server_new("raw-paths", TRUE, NULL);
	if (!open_socket(api, error)) {
		api_stop(api);
		return NULL;
	}
	load_lists(api);
	soup_server_add_handler(api->server, NULL, on_request, api, NULL);
	g_signal_connect(api->server, "request-started", G_CALLBACK(on_started), api);
	accept_now(api);
	return api;
}

void api_reload(struct api *api)
{
	g_autoptr(GError) error = NULL;

	load_lists(api);
	if (!set_group(api, &error))
		manager_log(LOG_WARNING, "%s, the socket keeps the one it has", error->message);
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	if (api->resume)
		g_source_remove(api->resume);
	if (api->accepting)
		g_source_destroy(api->accepting);
	g_clear_pointer(&api->accepting, g_source_unref);
	api_stream_end_all(api);
	remove_socket(api);
	soup_server_disconnect(api->server);
	/* Whoever is left has no API any more. */
	for (GList *link = api->clients; link; link = link->next)
		((struct api_client *)link->data)->api = NULL;
	g_list_free(api->clients);
	g_object_unref(api->server);
	g_clear_object(&api->listener);
	api_list_clear(&api->readers);
	api_list_clear(&api->writers);
	g_free(api->path);
	g_free(api);
}
