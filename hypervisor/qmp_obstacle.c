/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What prevents ballooning, asked over QMP.
 *
 * Theory of operation: the daemon asks this every few seconds, so each check is
 * limited to what takes one or two commands.
 *
 * - Devices: QEMU's balloon releases nothing while a device has the guest's
 *   memory pinned.  VFIO and vDPA devices are children of /machine with a type of
 *   their own; a vDPA back end of a network device appears only in the text of
 *   "info network".  A vfio-user device pins nothing, but inhibits QEMU's own
 *   balloon too.  Without a balloon of QEMU's, the vfio-user device may itself be
 *   the balloon (aerostat-device).
 * - Locked memory: QMP does not report -overcommit mem-lock=on, but the kernel
 *   counts the locked and pinned pages of QEMU's process (vmm_process_holds_ram()).
 * - Confidential guests: the machine has a link to the object that protects its memory (SEV, TDX).
 *   QEMU discards none of that.
 * - Huge pages: QEMU's balloon takes pages of 4 KiB, and QEMU releases a page of the backing only
 *   if its parts come one after the other, which a usual driver does by chance.  So its host
 *   frees little, and pays for pages that are touched again.  "info ramblock" has the size of
 *   the pages, wherever they come from.  aerostat-device releases huge pages whole.
 * - Migration: query-migrate reports a status in which it is not at rest.
 *
 * The control socket of aerostat-device has none of these commands, so it never
 * reports an obstacle.
 */
#include "hypervisor/qmp_obstacle.h"

#include "hypervisor/qmp_guest.h"
#include "hypervisor/vmm_process.h"

#include <string.h>
#include <unistd.h>

#define RAM_BLOCK_BYTES (UINT64_C(16) << 20) /* smaller blocks are firmware and devices */

/* Which kinds of devices were found below /machine. */
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

static bool qmp_list_devices(struct qmp_guest *g, int64_t deadline, const char *parent,
			     struct devices *devices, GError **error)
{
	json_auto_t *children = NULL;
	json_t *child;
	size_t i;

	if (!qmp_execute_optional(g, deadline, "qom-list", json_pack("{s:s}", "path", parent),
				  &children, error))
		return false;
	json_array_foreach (children, i, child) {
		const char *type = json_string_value(json_object_get(child, "type"));

		if (type)
			classify_qom_type(devices, type);
	}
	return true;
}

/* Looks for a network device with a vDPA back end. */
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

/* QEMU locks either all memory, the guest's and its own, or none. */
static bool qmp_check_locked(struct qmp_guest *g, int64_t deadline, bool *locked, GError **error)
{
	struct qmp_ram ram;

	*locked = vmm_process_holds_memory(qmp_guest_pid(g));
	if (!*locked)
		return true;
	if (!qmp_query_ram(g, deadline, &ram, error))
		return false;
	*locked = vmm_process_holds_ram(qmp_guest_pid(g), ram.max_bytes, false);
	return true;
}

static bool qmp_check_confidential(struct qmp_guest *g, int64_t deadline, bool *confidential,
				   GError **error)
{
	json_auto_t *link = NULL;

	if (!qmp_execute_optional(g, deadline, "qom-get",
				  json_pack("{s:s, s:s}", "path", "/machine", "property",
					    "confidential-guest-support"),
				  &link, error))
		return false;
	*confidential = json_string_length(link) > 0;
	return true;
}

/* The bytes in a text such as "2 MiB", at @text; 0: none are there. */
static uint64_t parse_page_size(const char *text)
{
	static const char units[] = "KMG";
	char *end;
	double number = g_ascii_strtod(text, &end);
	const char *unit = *end == ' ' && end[1] ? strchr(units, end[1]) : NULL;

	if (!unit || !(number > 0) || number > 1024)
		return 0;
	return (uint64_t)(number * (double)(UINT64_C(1024) << 10 * (unit - units)));
}

/*
 * Whether a line of "info ramblock" is about RAM on huge pages:
 * NAME  PSIZE UNIT  OFFSET  USED  TOTAL  …
 */
static bool is_huge_block(const char *line)
{
	g_auto(GStrv) words = g_strsplit_set(line, " ", -1);
	const char *fields[6];
	guint count = 0;
	g_autofree char *size = NULL;

	for (char **word = words; *word && count < G_N_ELEMENTS(fields); word++)
		if (**word)
			fields[count++] = *word;
	if (count < G_N_ELEMENTS(fields))
		return false;
	size = g_strconcat(fields[1], " ", fields[2], NULL);
	return parse_page_size(size) > (uint64_t)sysconf(_SC_PAGESIZE) &&
	       g_ascii_strtoull(fields[5], NULL, 16) >= RAM_BLOCK_BYTES;
}

static bool qmp_check_huge_pages(struct qmp_guest *g, int64_t deadline, bool *huge, GError **error)
{
	struct devices devices = { 0 };
	json_auto_t *text = NULL;
	g_auto(GStrv) lines = NULL;

	*huge = false;
	if (!qmp_execute_optional(g, deadline, "human-monitor-command",
				  json_pack("{s:s}", "command-line", "info ramblock"), &text,
				  error))
		return false;
	if (!json_is_string(text))
		return true;
	lines = g_strsplit(json_string_value(text), "\n", -1);
	for (char **line = lines; *line && !*huge; line++)
		*huge = is_huge_block(*line);
	if (!*huge)
		return true;
	if (!qmp_list_devices(g, deadline, "/machine/peripheral", &devices, error) ||
	    !qmp_list_devices(g, deadline, "/machine/peripheral-anon", &devices, error))
		return false;
	*huge = devices.balloon;
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
	/* Without a status it was never migrated. */
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
		{ HV_OBSTACLE_CONFIDENTIAL, qmp_check_confidential },
		{ HV_OBSTACLE_LOCKED, qmp_check_locked },
		{ HV_OBSTACLE_HUGE_PAGES, qmp_check_huge_pages },
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
