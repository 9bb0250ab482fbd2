/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a guest has several names, and the daemon may have found it in another
 * way than we did.  So it is asked by what tells guests apart best, UUID, address, name, in that
 * order, and an answer is taken for this guest's only if UUID, process, or source and address say
 * so.
 */
#include "aerostat/hold.h"

#include <unistd.h>

#include "aerostat/daemon.h"
#include "aerostat/daemon_text.h"
#include "common/size.h"

/* A daemon that is well answers at once; one that hangs must not hold up a person for long. */
#define HOLD_MS 2000

static bool same_guest(const json_t *answer, const hv_guest *guest, const hv_info *info)
{
	if (info->uuid && !g_ascii_strcasecmp(answer_text(answer, "uuid"), info->uuid))
		return true;
	if (info->pid && (pid_t)answer_number(answer, "pid") == info->pid)
		return true;
	return g_str_equal(answer_text(answer, "address"), guest->address) &&
	       g_str_equal(answer_text(answer, "source"), guest->source);
}

/* Whether the daemon sets the size of a guest in that mode. */
static bool sets_size(const json_t *answer)
{
	return g_str_equal(answer_text(answer, "mode"), "auto") ||
	       g_str_equal(answer_text(answer, "mode"), "held");
}

static json_t *held_body(uint64_t bytes)
{
	json_t *body = json_pack("{s:s}", "mode", "held");

	if (bytes != HV_UNSET)
		json_object_set_new(body, "bytes", cli_json_bytes(bytes));
	return body;
}

static void keep(struct hold *hold, const char *word, const json_t *answer)
{
	if (!sets_size(answer))
		return;
	hold->path = daemon_guest_path(word, "/mode");
	if (g_str_equal(answer_text(answer, "mode"), "held"))
		hold->before = held_body(answer_bytes(answer, "held_bytes"));
}

static void warn(const struct hold *hold, const GError *error)
{
	cli_warn(hold->ctx, "aerostatd was not told, and may set %s to another size: %s",
		 hold->name, error->message);
}

/* False when the daemon need not be asked by another word. */
static bool ask_by(struct hold *hold, const char *word, const hv_guest *guest, const hv_info *info)
{
	g_autofree char *path = daemon_guest_path(word, NULL);
	g_autoptr(GError) error = NULL;
	json_t *answer = daemon_call(hold->daemon, "GET", path, NULL, HOLD_MS, &error);
	bool found = answer && same_guest(answer, guest, info);

	if (found)
		keep(hold, word, answer);
	json_decref(answer);
	if (!error)
		return !found;
	if (g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_NOT_FOUND))
		return true;
	if (!g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_ABSENT))
		warn(hold, error);
	return false;
}

void hold_look(struct hold *hold, struct context *ctx, const char *socket, const hv_guest *guest,
	       const hv_info *info)
{
	const char *const words[] = { info->uuid, guest->address, info->name };
	g_autofree char *path = socket ? g_strdup(socket) : daemon_socket_path();

	*hold = (struct hold){ .ctx = ctx, .name = info->name, .bytes = HV_UNSET };
	if (access(path, F_OK))
		return;
	hold->daemon = daemon_new(path);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (words[i] && *words[i] && !ask_by(hold, words[i], guest, info))
			break;
}

void hold_at(struct hold *hold, uint64_t bytes)
{
	g_autoptr(GError) error = NULL;
	json_t *answer;

	if (!hold->path)
		return;
	answer = daemon_call(hold->daemon, "PUT", hold->path, held_body(bytes), HOLD_MS, &error);
	if (answer)
		hold->bytes = bytes;
	else
		warn(hold, error);
	json_decref(answer);
}

void hold_undo(struct hold *hold)
{
	json_t *body;

	if (hold->bytes == HV_UNSET)
		return;
	body = hold->before ? json_incref(hold->before) : json_pack("{s:s}", "mode", "auto");
	json_decref(daemon_call(hold->daemon, "PUT", hold->path, body, HOLD_MS, NULL));
	hold->bytes = HV_UNSET;
}

void hold_clear(struct hold *hold)
{
	g_clear_pointer(&hold->daemon, daemon_free);
	g_clear_pointer(&hold->path, g_free);
	g_clear_pointer(&hold->before, json_decref);
}
