/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a client is, and what it may do.
 *
 * Theory of operation
 * -------------------
 * The user and groups of a client are those that the kernel recorded when it connected; they are
 * read once, when the connection is accepted.  The names in the configuration are looked up when
 * it is loaded, not at each request, because a directory service may be slow.
 */
#include "aerostatd/api_private.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aerostatd/log.h"

#define GROUPS_MAX 65536 /* Linux's NGROUPS_MAX */

/* A user's name or number. */
static bool find_uid(const char *name, uid_t *uid)
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

/* A group's name or number. */
static bool find_gid(const char *name, gid_t *gid)
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

static bool add_list_entry(struct api_list *list, const char *entry)
{
	uid_t uid;
	gid_t gid;

	if (!strcmp(entry, "*"))
		list->everyone = true;
	else if (*entry == '@' && find_gid(entry + 1, &gid))
		g_array_append_val(list->gids, gid);
	else if (*entry != '@' && find_uid(entry, &uid))
		g_array_append_val(list->uids, uid);
	else
		return false;
	return true;
}

static void clear_rights_list(struct api_list *list)
{
	g_clear_pointer(&list->uids, g_array_unref);
	g_clear_pointer(&list->gids, g_array_unref);
	list->everyone = false;
}

/* @key: the key of the configuration that @entries are from, for the log. */
static void load_rights_list(struct api_list *list, char **entries, const char *key)
{
	clear_rights_list(list);
	list->uids = g_array_new(FALSE, FALSE, sizeof(uid_t));
	list->gids = g_array_new(FALSE, FALSE, sizeof(gid_t));
	for (char **entry = entries; entry && *entry; entry++)
		if (!add_list_entry(list, *entry))
			manager_log(LOG_WARNING, "[api] %s: ignored unknown %s '%s'", key,
				    **entry == '@' ? "group" : "user", *entry + (**entry == '@'));
}

void api_rights_load(struct api_rights *rights, const struct config *config)
{
	load_rights_list(&rights->readers, config->readers, "readers");
	load_rights_list(&rights->writers, config->writers, "writers");
}

void api_rights_clear(struct api_rights *rights)
{
	clear_rights_list(&rights->readers);
	clear_rights_list(&rights->writers);
}

/* Appends the supplementary groups of the process at the other end. */
static void add_peer_groups(GArray *gids, int fd)
{
	socklen_t length = 0;
	guint count = gids->len;

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &length) || errno != ERANGE ||
	    length > GROUPS_MAX * sizeof(gid_t))
		return;
	g_array_set_size(gids, count + length / sizeof(gid_t));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, &g_array_index(gids, gid_t, count), &length))
		length = 0;
	g_array_set_size(gids, count + length / sizeof(gid_t));
}

void api_peer_init(struct api_peer *peer, int fd)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	*peer = (struct api_peer){ .gids = g_array_new(FALSE, FALSE, sizeof(gid_t)) };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length))
		return;
	peer->known = true;
	peer->uid = credentials.uid;
	g_array_append_val(peer->gids, credentials.gid);
	add_peer_groups(peer->gids, fd);
}

void api_peer_clear(struct api_peer *peer)
{
	g_clear_pointer(&peer->gids, g_array_unref);
}

static bool has_id(const GArray *ids, uint32_t id)
{
	for (guint i = 0; i < ids->len; i++)
		if (g_array_index(ids, uint32_t, i) == id)
			return true;
	return false;
}

static bool is_peer_listed(const struct api_list *list, const struct api_peer *peer)
{
	if (list->everyone || has_id(list->uids, peer->uid))
		return true;
	for (guint i = 0; i < peer->gids->len; i++)
		if (has_id(list->gids, g_array_index(peer->gids, gid_t, i)))
			return true;
	return false;
}

bool api_rights_allow(const struct api_rights *rights, const struct api_peer *peer,
		      enum api_right right)
{
	if (!peer->known)
		return false;
	if (peer->uid == 0 || peer->uid == geteuid() || is_peer_listed(&rights->writers, peer))
		return true;
	return right == API_READ && is_peer_listed(&rights->readers, peer);
}

void api_rights_log_refusal(struct api_rights *rights, const struct api_peer *peer,
			    const char *request)
{
	int64_t now_us = g_get_monotonic_time();

	if (!rights->refused_us || now_us - rights->refused_us >= G_USEC_PER_SEC) {
		if (rights->refused > API_REFUSALS_LOGGED)
			manager_log(LOG_WARNING, "refused %u more requests within one second",
				    rights->refused - API_REFUSALS_LOGGED);
		rights->refused_us = now_us;
		rights->refused = 0;
	}
	if (rights->refused++ < API_REFUSALS_LOGGED)
		manager_log(LOG_WARNING, "refused %s from user %u", request, peer->uid);
}
