/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks, and whether they may.
 *
 * A client is who the kernel says connected: its user and all of its groups, taken once, when
 * the connection is accepted.  Names of the configuration are looked up when that is read, not
 * at each request, because a directory service may take its time.
 */
#include "aerostatd/api_private.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aerostatd/log.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of Linux */

static bool find_user(const char *name, uid_t *uid)
{
	const struct passwd *user = getpwnam(name);
	uint64_t number;

	if (user)
		*uid = user->pw_uid;
	else if (api_parse_number(name, &number) && number < UINT32_MAX)
		*uid = (uid_t)number;
	else
		return false;
	return true;
}

static bool find_group(const char *name, gid_t *gid)
{
	const struct group *group = getgrnam(name);
	uint64_t number;

	if (group)
		*gid = group->gr_gid;
	else if (api_parse_number(name, &number) && number < UINT32_MAX)
		*gid = (gid_t)number;
	else
		return false;
	return true;
}

static bool add_word(struct api_list *list, const char *word)
{
	uid_t uid;
	gid_t gid;

	if (!strcmp(word, "*"))
		list->everyone = true;
	else if (*word == '@' && find_group(word + 1, &gid))
		g_array_append_val(list->gids, gid);
	else if (*word != '@' && find_user(word, &uid))
		g_array_append_val(list->uids, uid);
	else
		return false;
	return true;
}

void api_list_load(struct api_list *list, char **words, const char *key)
{
	api_list_clear(list);
	list->uids = g_array_new(FALSE, FALSE, sizeof(uid_t));
	list->gids = g_array_new(FALSE, FALSE, sizeof(gid_t));
	for (char **word = words; word && *word; word++)
		if (!add_word(list, *word))
			manager_log(LOG_WARNING, "[api] %s: there is no %s '%s', it is passed over",
				    key, **word == '@' ? "group" : "user", *word + (**word == '@'));
}

void api_list_clear(struct api_list *list)
{
	g_clear_pointer(&list->uids, g_array_unref);
	g_clear_pointer(&list->gids, g_array_unref);
	list->everyone = false;
}

/* All other groups of the process at the other end. */
static void add_groups(GArray *gids, int fd)
{
	socklen_t length = 0;
	guint own = gids->len;

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &length) || errno != ERANGE ||
	    length > GROUPS_MAX * sizeof(gid_t))
		return;
	g_array_set_size(gids, own + length / sizeof(gid_t));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, &g_array_index(gids, gid_t, own), &length))
		length = 0;
	g_array_set_size(gids, own + length / sizeof(gid_t));
}

struct api_client *api_client_new(struct api *api, GSocket *socket)
{
	struct api_client *client = g_rc_box_new0(struct api_client);
	struct ucred peer;
	socklen_t length = sizeof(peer);

	client->api = api;
	client->socket = g_object_ref(socket);
	client->gids = g_array_new(FALSE, FALSE, sizeof(gid_t));
	if (!getsockopt(g_socket_get_fd(socket), SOL_SOCKET, SO_PEERCRED, &peer, &length)) {
		client->known = true;
		client->uid = peer.uid;
		g_array_append_val(client->gids, peer.gid);
		add_groups(client->gids, g_socket_get_fd(socket));
	}
	return client;
}

static void client_clear(void *data)
{
	struct api_client *client = data;

	g_object_unref(client->socket);
	g_array_unref(client->gids);
}

void api_client_unref(struct api_client *client)
{
	g_rc_box_release_full(client, client_clear);
}

static bool has_id(const GArray *ids, uint32_t id)
{
	for (guint i = 0; i < ids->len; i++)
		if (g_array_index(ids, uint32_t, i) == id)
			return true;
	return false;
}

static bool is_listed(const struct api_list *list, const struct api_client *client)
{
	if (list->everyone || has_id(list->uids, client->uid))
		return true;
	for (guint i = 0; i < client->gids->len; i++)
		if (has_id(list->gids, g_array_index(client->gids, gid_t, i)))
			return true;
	return false;
}

bool api_may(const struct api *api, const struct api_client *client, enum api_right right)
{
	if (!client->known)
		return false;
	if (client->uid == 0 || client->uid == geteuid() || is_listed(&api->writers, client))
		return true;
	return right == API_READ && is_listed(&api->readers, client);
}

void api_log_refusal(struct api *api, const struct api_client *client, const char *request)
{
	int64_t now_us = g_get_monotonic_time();

	if (!api->refused_us || now_us - api->refused_us >= G_USEC_PER_SEC) {
		if (api->refused > API_REFUSALS_LOGGED)
			manager_log(LOG_WARNING, "%u more requests were refused in a second",
				    api->refused - API_REFUSALS_LOGGED);
		api->refused_us = now_us;
		api->refused = 0;
	}
	if (api->refused++ < API_REFUSALS_LOGGED)
		manager_log(LOG_WARNING, "user %u may not %s", client->uid, request);
}
