/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a guest has several names, and the daemon may have found it in another way
 * than this command did.  So the daemon is asked by UUID, address and name, the most specific
 * first, and its answer counts only if UUID, process, or source and address show that it is about
 * this guest.
 */
#include "aerostat/hold.h"

#include <unistd.h>

#include "api_client/client.h"

/* A daemon that is well answers at once; one that hangs must not delay the user for long. */
#define HOLD_MS 2000

static bool is_same_guest(const struct daemon_guest *answer, const hv_guest *guest,
			  const hv_info *info)
{
	if (info->uuid && !g_ascii_strcasecmp(answer->uuid, info->uuid))
		return true;
	if (info->pid && answer->pid == (uint64_t)info->pid)
		return true;
	return g_str_equal(answer->address, guest->address) &&
	       g_str_equal(answer->source, guest->source);
}

static void warn_not_held(const struct hold *hold, const GError *error)
{
	cli_warn(hold->ctx, "aerostatd may set %s to another size: %s", hold->name, error->message);
}

/* False when the daemon need not be asked by another key. */
static bool ask_by_key(struct hold *hold, const char *key, const hv_guest *guest,
		       const hv_info *info)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(daemon_guest) answer = daemon_get_guest(hold->daemon, key, &error);

	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND) ||
	    (answer && !is_same_guest(answer, guest, info)))
		return true;
	if (error && !g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_ABSENT))
		warn_not_held(hold, error);
	/* In the other modes the daemon does not set its size. */
	if (answer && (answer->mode == DAEMON_MODE_AUTO || answer->mode == DAEMON_MODE_HELD)) {
		hold->key = g_strdup(key);
		hold->was_held = answer->mode == DAEMON_MODE_HELD;
		hold->held_before_bytes = answer->held_bytes;
	}
	return false;
}

void hold_prepare(struct hold *hold, struct context *ctx, const char *socket, const hv_guest *guest,
		  const hv_info *info)
{
	const char *const keys[] = { info->uuid, guest->address, info->name };
	g_autofree char *path = socket ? g_strdup(socket) : daemon_socket_path();

	*hold = (struct hold){ .ctx = ctx, .name = info->name, .bytes = HV_UNSET };
	if (access(path, F_OK))
		return;
	hold->daemon = daemon_client_new(path, HOLD_MS);
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
		if (keys[i] && *keys[i] && !ask_by_key(hold, keys[i], guest, info))
			break;
}

/* Forced, because the guest was asked what it can give, or the user has forced it. */
void hold_at(struct hold *hold, uint64_t bytes)
{
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) names = NULL;

	if (!hold->key)
		return;
	names = daemon_set_mode(hold->daemon, hold->key, DAEMON_MODE_HELD, bytes, true, &error);
	if (names)
		hold->bytes = bytes;
	else
		warn_not_held(hold, error);
}

void hold_undo(struct hold *hold)
{
	if (hold->bytes == HV_UNSET)
		return;
	g_strfreev(hold->was_held ? daemon_set_mode(hold->daemon, hold->key, DAEMON_MODE_HELD,
						    hold->held_before_bytes, true, NULL)
				  : daemon_set_mode(hold->daemon, hold->key, DAEMON_MODE_AUTO,
						    HV_UNSET, false, NULL));
	hold->bytes = HV_UNSET;
}

void hold_clear(struct hold *hold)
{
	g_clear_pointer(&hold->daemon, daemon_client_free);
	g_clear_pointer(&hold->key, g_free);
}
