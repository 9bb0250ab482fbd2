/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/qmp_loan.h"

#include "hypervisor/qmp_wire.h"

#include <string.h>

#define DEVICE_VERSION "aerostat-device"

/* Acknowledged features, as QEMU and aerostat-device call them. */
static const struct {
	const char *qemu, *device;
	enum hv_ability ability;
} features[] = {
	{ "VIRTIO_BALLOON_F_REPORTING:", "free-page-reporting", HV_CAN_REPORT },
	{ "VIRTIO_BALLOON_F_DEFLATE_ON_OOM:", "deflate-on-oom", HV_CAN_RELIEVE },
	{ NULL, "trim", HV_CAN_TRIM },
	{ NULL, "must-tell-host", HV_CAN_GATE },
};

static bool is_own_device(const struct hv_info *info)
{
	return info->version && g_str_has_prefix(info->version, DEVICE_VERSION);
}

/* The abilities that the features in @list show; the names end where those of the table do. */
static unsigned int find_features(const json_t *list, bool own)
{
	unsigned int found = 0;
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);

		for (size_t row = 0; text && row < G_N_ELEMENTS(features); row++) {
			const char *name = own ? features[row].device : features[row].qemu;

			if (name && (own ? g_str_equal(text, name) : g_str_has_prefix(text, name)))
				found |= features[row].ability;
		}
	}
	return found;
}

/* The abilities of a guest with aerostat's device, by the answer to x-query-balloon. */
static unsigned int find_device_abilities(const json_t *answer)
{
	unsigned int found = find_features(json_object_get(answer, "acknowledged"), true);

	if (!json_is_true(json_object_get(answer, "reporting")))
		found &= ~(unsigned int)HV_CAN_REPORT;
	if (!json_is_object(json_object_get(answer, "gate")))
		found &= ~(unsigned int)HV_CAN_GATE;
	return found;
}

static bool read_device_abilities(struct qmp_guest *g, int64_t deadline, struct hv_info *info,
				  GError **error)
{
	json_auto_t *answer = NULL;

	if (!qmp_execute_optional(g, deadline, "x-query-balloon", NULL, &answer, error))
		return false;
	info->abilities = find_device_abilities(answer);
	if (json_is_object(json_object_get(answer, "gate")))
		info->control = g_strdup(g->socket_path);
	return true;
}

/* Looks for the status bit "VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready". */
static enum hv_driver find_driver(const json_t *answer)
{
	const json_t *bits = json_object_get(json_object_get(answer, "status"), "statuses");
	json_t *bit;
	size_t i;

	json_array_foreach (bits, i, bit)
		if (json_is_string(bit) && strstr(json_string_value(bit), "DRIVER_OK"))
			return HV_DRIVER_READY;
	return json_is_array(bits) ? HV_DRIVER_ABSENT : HV_DRIVER_UNKNOWN;
}

bool qmp_read_driver(struct qmp_guest *g, int64_t deadline, struct hv_info *info, GError **error)
{
	const char *path = qmp_balloon_path(g);
	json_auto_t *answer = NULL;
	const json_t *acknowledged;

	info->driver = HV_DRIVER_UNKNOWN;
	if (!path)
		return true;
	if (!qmp_execute_optional(g, deadline, "x-query-virtio-status",
				  json_pack("{s:s}", "path", path), &answer, error))
		return false;
	info->driver = find_driver(answer);
	if (is_own_device(info))
		return read_device_abilities(g, deadline, info, error);
	acknowledged = json_object_get(json_object_get(answer, "guest-features"), "dev-features");
	info->abilities = find_features(acknowledged, false);
	return true;
}

/*
 * Requests
 */

struct loan_credit {
	uint64_t credit_bytes, ceiling_bytes;
};

static json_t *pack_bytes(uint64_t bytes)
{
	return bytes == HV_UNSET ? NULL : json_integer((json_int_t)MIN(bytes, (uint64_t)INT64_MAX));
}

static bool send_credit(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	const struct loan_credit *loan = arg;
	json_auto_t *answer =
		qmp_execute(g, deadline, "x-set-credit",
			    json_pack("{s:o*, s:o*}", "credit", pack_bytes(loan->credit_bytes),
				      "ceiling", pack_bytes(loan->ceiling_bytes)),
			    error);

	return answer != NULL;
}

bool qmp_credit_set(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
		    uint64_t ceiling_bytes, GError **error)
{
	struct loan_credit loan = { credit_bytes, ceiling_bytes };

	return qmp_run_session((struct qmp_guest *)guest, deadline, send_credit, &loan, error);
}

static bool send_trim(struct qmp_guest *g, int64_t deadline, void *arg, GError **error)
{
	json_auto_t *answer =
		qmp_execute(g, deadline, "x-trim",
			    json_pack("{s:o}", "value", pack_bytes(*(const uint64_t *)arg)), error);

	return answer != NULL;
}

bool qmp_trim(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error)
{
	return qmp_run_session((struct qmp_guest *)guest, deadline, send_trim, &bytes, error);
}
