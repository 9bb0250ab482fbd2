/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/replug.h"

#include "hypervisor/guest_word.h"

#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PERIPHERAL "/machine/peripheral" /* the parent of all devices with an id */
#define POLL_MS 50

/* Executes one QMP command.  Takes over @arguments. */
static json_t *replug_execute(hv_guest *guest, int64_t deadline, const char *command,
			      json_t *arguments, GError **error)
{
	json_auto_t *request = json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
	char *text = json_dumps(request, JSON_COMPACT);
	g_autofree char *answer = hv_guest_monitor(guest, deadline, text, error);
	json_auto_t *root = answer ? json_loads(answer, 0, NULL) : NULL;
	json_t *value = json_object_get(root, "return");
	const char *reason =
		json_string_value(json_object_get(json_object_get(root, "error"), "desc"));

	free(text);
	if (answer && !value)
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED, "%s: QEMU refused %s: %s",
			    guest->address, command, reason ? reason : "no reason given");
	return json_incref(value);
}

static bool replug_find_device(hv_guest *guest, int64_t deadline, const char *id, bool *plugged,
			       GError **error)
{
	json_auto_t *children = replug_execute(guest, deadline, "qom-list",
					       json_pack("{s:s}", "path", PERIPHERAL), error);
	json_t *child;
	size_t i;

	if (!children)
		return false;
	*plugged = false;
	json_array_foreach (children, i, child)
		if (!g_strcmp0(json_string_value(json_object_get(child, "name")), id))
			*plugged = true;
	return true;
}

static bool replug_wait_unplugged(hv_guest *guest, int64_t deadline, const char *id, GError **error)
{
	g_autofree char *word = NULL;
	bool plugged = true;

	for (;;) {
		if (!replug_find_device(guest, deadline, id, &plugged, error))
			return false;
		if (!plugged)
			return true;
		if (g_get_monotonic_time() >= deadline)
			break;
		poll(NULL, 0, POLL_MS);
	}
	word = guest_word_quote(guest->address);
	g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT,
		    "%s: the guest has not released its balloon device yet; if it still does, plug "
		    "in a new one with: aerostat adopt --replug %s",
		    guest->address, word);
	return false;
}

bool replug_unplug(hv_guest *guest, int64_t deadline, const char *device, GError **error)
{
	json_auto_t *root = json_loads(device, 0, NULL);
	const char *id = json_string_value(json_object_get(root, "id"));
	json_auto_t *answer = NULL;
	bool plugged;

	if (!replug_find_device(guest, deadline, id, &plugged, error))
		return false;
	if (!plugged)
		return true;
	answer = replug_execute(guest, deadline, "device_del", json_pack("{s:s}", "id", id), error);
	return answer && replug_wait_unplugged(guest, deadline, id, error);
}

bool replug_plug(hv_guest *guest, int64_t deadline, const char *device, GError **error)
{
	json_auto_t *answer =
		replug_execute(guest, deadline, "device_add", json_loads(device, 0, NULL), error);

	return answer;
}
