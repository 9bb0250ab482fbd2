/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is in the way of ballooning, over QMP.
 *
 * Theory of operation: asked every few seconds of each guest, so of each obstacle only what
 * tells at once.
 *
 * - Devices: QEMU's balloon releases nothing while a device has the memory of the guest pinned.
 *   VFIO and vDPA devices stand below /machine with a type of their own, and vDPA behind a network
 *   device only in the list of back ends, which is text for people.  A vfio-user device
 *   has nothing pinned, but stops QEMU's own balloon all the same; where QEMU has none
 *   the vfio-user device may well be the balloon (aerostat-device).
 * - Locks: QEMU does not tell of -overcommit mem-lock=on, the kernel does.
 * - Migration: a status that is not one of those in which it rests.
 *
 * Our own device's control socket knows none of these commands: nothing is in the way.
 */
#include "hypervisor/qmp_guest.h"
#include "hypervisor/vmm_process.h"

#include <string.h>

/* What of interest stands below /machine. */
struct devices {
	bool pinning, vfio_user, balloon;
};

static void classify_qom_type(struct devices *devices, const char *type)
{
	if (g_str_has_prefix(type, "child<vfio-user-"))
		devices->vfio_user = true;
	else if (g_str_has_prefix(type, "child<vfio-") ||
		 g_str_has_prefix(type, "child<vhost-vdpa-"))
		devices->pinning = true;
	else if (g_str_has_prefix(type, "child<virtio-balloon"))
		devices->balloon = true;
}

static bool qmp_list_devices(struct qmp_guest *g, int64_t deadline, const char *folder,
			     struct devices *devices, GError **error)
{
	json_auto_t *children = NULL;
	json_t *child;
	size_t i;

	if (!qmp_execute_optional(g, deadline, "qom-list", json_pack("{s:s}", "path", folder),
				  &children, error))
		return false;
	json_array_foreach (children, i, child) {
		const char *type = json_string_value(json_object_get(child, "type"));

		if (type)
			classify_qom_type(devices, type);
	}
	return true;
}

/* A network device's back end that is vDPA. */
static bool qmp_find_vdpa_net(struct qmp_guest *g, int64_t deadline, bool *found, GError **error)
{
	json_auto_t *text = NULL;

	if (!qmp_execute_optional(g, deadline, "human-monitor-command",
				  json_pack("{s:s}", "command-line", "info network"), &text, error))
		return false;
	*found = json_is_string(text) && strstr(json_string_value(text), ",type=vhost-vdpa");
	return true;
}

static bool qmp_find_pinning_device(struct qmp_guest *g, int64_t deadline, bool *found,
				    GError **error)
{
	struct devices devices = { 0 };

	if (!qmp_list_devices(g, deadline, "/machine/peripheral", &devices, error) ||
	    !qmp_list_devices(g, deadline, "/machine/peripheral-anon", &devices, error))
		return false;
	*found = devices.pinning || (devices.vfio_user && devices.balloon);
	return *found || qmp_find_vdpa_net(g, deadline, found, error);
}

/* All of the guest's memory, and of QEMU's, is locked or none is. */
static bool qmp_check_locked(struct qmp_guest *g, int64_t deadline, bool *locked, GError **error)
{
	uint64_t locked_bytes = vmm_process_locked_bytes(g->wire->pid);
	uint64_t max_bytes;

	*locked = false;
	if (locked_bytes == 0 || locked_bytes == HV_UNSET)
		return true;
	if (!qmp_query_max(g, deadline, &max_bytes, error))
		return false;
	*locked = locked_bytes >= max_bytes / 2;
	return true;
}

static bool qmp_check_migrating(struct qmp_guest *g, int64_t deadline, bool *migrating,
				GError **error)
{
	static const char *const at_rest[] = { "none", "completed", "failed", "cancelled", NULL };
	json_auto_t *answer = NULL;
	const json_t *status;

	if (!qmp_execute_optional(g, deadline, "query-migrate", NULL, &answer, error))
		return false;
	/* No status: it was never migrated. */
	status = json_object_get(answer, "status");
	if (answer && (!json_is_object(answer) || (status && !json_is_string(status))))
		return qmp_fail_bad_answer("answer to query-migrate", answer, error);
	*migrating = status && !g_strv_contains(at_rest, json_string_value(status));
	return true;
}

static bool qmp_find_obstacle(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	static const struct {
		enum hv_obstacle obstacle;
		bool (*is_there)(struct qmp_guest *, int64_t, bool *, GError **);
	} checks[] = {
		{ HV_OBSTACLE_DEVICES, qmp_find_pinning_device },
		{ HV_OBSTACLE_LOCKED, qmp_check_locked },
		{ HV_OBSTACLE_MIGRATION, qmp_check_migrating },
	};
	enum hv_obstacle *obstacle = arg;
	bool found = false;

	*obstacle = HV_OBSTACLE_NONE;
	for (size_t i = 0; i < G_N_ELEMENTS(checks) && !found; i++) {
		if (!checks[i].is_there(g, deadline, &found, error))
			return false;
		if (found)
			*obstacle = checks[i].obstacle;
	}
	return true;
}

bool qmp_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		  GError **error)
{
	return qmp_run_session((struct qmp_guest *)guest, deadline, qmp_find_obstacle, obstacle,
			       error);
}
