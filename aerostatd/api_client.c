/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections and their deadlines.
 *
 * Theory of operation
 * -------------------
 * libsoup owns a connection, reads one request from it and writes the answer.  A user has at most
 * API_CLIENTS_MAX connections, so that one user cannot take those of the others, and a connection
 * that was not answered after API_REQUEST_MS is shut down.
 *
 * When other parts of the daemon have taken all descriptors, people need the API to see that.  So
 * one is kept in reserve, given up for the next client, and taken again when a client leaves.
 *
 * libsoup expects IP addresses.  Each connection is given one of its own, to which the client is
 * attached, so that a message leads to its client.  The address and the connection each hold a
 * reference to the client.
 */
#include "aerostatd/api_private.h"

#include <fcntl.h>
#include <unistd.h>

#define CLIENT_KEY "aerostat-client"

static void clear_client(void *data)
{
	struct api_client *client = data;

	g_object_unref(client->socket);
	api_peer_clear(&client->peer);
}

static void unref_client(void *data)
{
	g_rc_box_release_full(data, clear_client);
}

struct api_client *api_client_of(SoupServerMessage *msg)
{
	GSocketAddress *address = soup_server_message_get_remote_address(msg);
	struct api_client *client =
		address ? g_object_get_data(G_OBJECT(address), CLIENT_KEY) : NULL;

	return client && client->clients ? client : NULL;
}

void api_client_lift_deadline(struct api_client *client)
{
	g_clear_handle_id(&client->deadline, g_source_remove);
}

void api_clients_fill_reserve(struct api_clients *clients)
{
	if (clients->reserve < 0)
		clients->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool api_clients_use_reserve(struct api_clients *clients)
{
	if (clients->reserve < 0)
		return false;
	close(clients->reserve);
	clients->reserve = -1;
	return true;
}

/* Shut down, not closed: libsoup may be waiting on the descriptor, and lets go of it itself. */
static gboolean end_overdue_client(void *data)
{
	struct api_client *client = data;

	client->deadline = 0;
	g_socket_shutdown(client->socket, TRUE, TRUE, NULL);
	return G_SOURCE_REMOVE;
}

static void on_connection_freed(void *data, GObject *connection)
{
	struct api_client *client = data;

	(void)connection;
	api_client_lift_deadline(client);
	if (client->clients) {
		client->clients->open = g_list_remove(client->clients->open, client);
		/* At once, before another thread takes the descriptor that was closed. */
		api_clients_fill_reserve(client->clients);
	}
	client->clients = NULL;
	unref_client(client);
}

static unsigned int count_user_connections(const struct api_clients *clients, uid_t uid)
{
	unsigned int count = 0;

	for (const GList *link = clients->open; link; link = link->next)
		count += ((const struct api_client *)link->data)->peer.uid == uid;
	return count;
}

static GSocketAddress *make_client_address(struct api_client *client)
{
	g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
	GSocketAddress *address = g_inet_socket_address_new(loopback, 0);

	g_object_set_data_full(G_OBJECT(address), CLIENT_KEY, g_rc_box_acquire(client),
			       unref_client);
	return address;
}

void api_clients_add(struct api_clients *clients, SoupServer *server, GSocket *socket)
{
	g_autoptr(GSocketConnection) connection =
		g_socket_connection_factory_create_connection(socket);
	struct api_client *client = g_rc_box_new0(struct api_client);
	g_autoptr(GSocketAddress) address = make_client_address(client);

	client->socket = g_object_ref(socket);
	api_peer_init(&client->peer, g_socket_get_fd(socket));
	if (count_user_connections(clients, client->peer.uid) >= API_CLIENTS_MAX) {
		unref_client(client);
		return;
	}
	client->clients = clients;
	clients->open = g_list_prepend(clients->open, client);
	client->deadline = g_timeout_add(clients->request_ms, end_overdue_client, client);
	g_object_weak_ref(G_OBJECT(connection), on_connection_freed, client);
	soup_server_accept_iostream(server, G_IO_STREAM(connection), address, address, NULL);
}

void api_clients_clear(struct api_clients *clients)
{
	for (GList *link = clients->open; link; link = link->next)
		((struct api_client *)link->data)->clients = NULL;
	g_clear_pointer(&clients->open, g_list_free);
	api_clients_use_reserve(clients);
}
