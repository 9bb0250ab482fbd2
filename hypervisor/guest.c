/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What does not depend on the kind of guest: calls through the ops table, and names.
 *
 * Names and error texts of QEMU and libvirt enter the program here, and are made printable here
 * (common/plain_text.h), whatever kind of guest they are from.
 */
#include "hypervisor/hypervisor.h"

#include <string.h>

#include "common/plain_text.h"

/* Not G_DEFINE_QUARK(): errors are set in several threads, and its cache is not atomic. */
GQuark hv_error_quark(void)
{
	static gint cached;
	gint quark = g_atomic_int_get(&cached);

	if (!quark) {
		quark = (gint)g_quark_from_static_string("hv-error-quark");
		g_atomic_int_set(&cached, quark);
	}
	return (GQuark)quark;
}

static const char *const state_names[] = {
	[HV_STATE_UNKNOWN] = "no state", [HV_STATE_RUNNING] = "running",
	[HV_STATE_PAUSED] = "paused",	 [HV_STATE_SHUTOFF] = "shut off",
	[HV_STATE_CRASHED] = "crashed",
};

const char *hv_state_name(enum hv_state state)
{
	return state_names[state];
}

static const char *const obstacle_texts[] = {
	[HV_OBSTACLE_NONE] = "",
	[HV_OBSTACLE_DEVICES] = "a host device (VFIO) pins its memory",
	[HV_OBSTACLE_CONFIDENTIAL] = "its memory is protected from the host (a confidential guest)",
	[HV_OBSTACLE_LOCKED] = "its memory is locked",
	[HV_OBSTACLE_HUGE_PAGES] =
		"some or all of its memory is on huge pages, of which its balloon releases only "
		"parts",
	[HV_OBSTACLE_MIGRATION] = "it is being migrated or saved",
};

const char *hv_obstacle_text(enum hv_obstacle obstacle)
{
	return obstacle_texts[obstacle];
}

const char *hv_ability_name(unsigned int bit)
{
	static const char *const names[HV_ABILITIES] = { "report", "relieve", "pull", "trim",
							 "gate" };

	return names[bit];
}

void hv_info_clear(struct hv_info *info)
{
	g_clear_pointer(&info->name, g_free);
	g_clear_pointer(&info->uuid, g_free);
	g_clear_pointer(&info->control, g_free);
	g_clear_pointer(&info->version, g_free);
}

bool hv_error_is_refusal(const GError *error)
{
	return g_error_matches(error, HV_ERROR, HV_ERROR_NO_BALLOON) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_REFUSED) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_DENIED) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_UNSUPPORTED) ||
	       g_error_matches(error, HV_ERROR, HV_ERROR_INVALID);
}

const char *hv_error_reason(const GError *error, const char *address)
{
	size_t length = strlen(address);
	const char *text = error->message;

	if (g_str_has_prefix(text, address) && g_str_has_prefix(text + length, ": "))
		return text + length + strlen(": ");
	return text;
}

int64_t hv_deadline_ms(unsigned int ms)
{
	return g_get_monotonic_time() + (int64_t)ms * 1000;
}

static void set_unsupported_error(const struct hv_guest *guest, const char *what, GError **error)
{
	g_set_error(error, HV_ERROR, HV_ERROR_UNSUPPORTED,
		    "%s: %s is not possible for a guest that is reached by %s", guest->address,
		    what, guest->ops->kind);
}

void hv_propagate_error(GError **error, GError *from)
{
	char *plain = plain_text(from->message);

	g_free(from->message);
	from->message = plain;
	g_propagate_error(error, from);
}

/* Calls operation @name, or fails with HV_ERROR_UNSUPPORTED and the text @what. */
#define CALL(guest, name, what, failure, error, ...)                                               \
	({                                                                                         \
		GError *call_error = NULL;                                                         \
		__typeof__((guest)->ops->name(guest, __VA_ARGS__, NULL)) result = failure;         \
                                                                                                   \
		if ((guest)->ops->name)                                                            \
			result = (guest)->ops->name(guest, __VA_ARGS__, &call_error);              \
		else                                                                               \
			set_unsupported_error(guest, what, &call_error);                           \
		if (call_error)                                                                    \
			hv_propagate_error(error, call_error);                                     \
		result;                                                                            \
	})

static void replace_by_plain_name(char **name)
{
	g_autofree char *raw = *name;

	if (raw)
		*name = plain_name(raw);
}

bool hv_guest_info(struct hv_guest *guest, int64_t deadline, struct hv_info *info, GError **error)
{
	if (!CALL(guest, info, "asking for its settings", false, error, deadline, info))
		return false;
	replace_by_plain_name(&info->name);
	replace_by_plain_name(&info->uuid);
	replace_by_plain_name(&info->version);
	return true;
}

bool hv_guest_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			  GError **error)
{
	return CALL(guest, balloon_get, "asking for its memory", false, error, deadline,
		    actual_bytes);
}

bool hv_guest_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
			  unsigned int scope, GError **error)
{
	return CALL(guest, balloon_set, "setting its memory", false, error, deadline, target_bytes,
		    scope);
}

bool hv_guest_max_set(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
		      unsigned int scope, GError **error)
{
	return CALL(guest, max_set, "setting its maximum memory", false, error, deadline, max_bytes,
		    scope);
}

bool hv_guest_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			GError **error)
{
	stats->relieves_early = false;
	if (!CALL(guest, stats_get, "asking for statistics", false, error, deadline, stats))
		return false;
	/* A libvirt guest's own device has been asked by this function, too. */
	if (!stats->relieves_early)
		hv_stats_take_mark(stats);
	return true;
}

bool hv_guest_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
			       unsigned int scope, GError **error)
{
	return CALL(guest, stats_period_set, "setting the statistics period", false, error,
		    deadline, period_s, scope);
}

bool hv_guest_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		       GError **error)
{
	return CALL(guest, obstacle, "asking what hinders ballooning", false, error, deadline,
		    obstacle);
}

bool hv_guest_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			 GError **error)
{
	return CALL(guest, event_wait, "waiting for events", false, error, deadline, event);
}

char *hv_guest_xml_get(struct hv_guest *guest, int64_t deadline, unsigned int scope, GError **error)
{
	return CALL(guest, xml_get, "reading its XML", NULL, error, deadline, scope);
}

bool hv_guest_xml_define(struct hv_guest *guest, int64_t deadline, const char *xml, GError **error)
{
	return CALL(guest, xml_define, "editing its XML", false, error, deadline, xml);
}

bool hv_guest_start(struct hv_guest *guest, int64_t deadline, GError **error)
{
	return CALL(guest, start, "starting it", false, error, deadline);
}

char *hv_guest_monitor(struct hv_guest *guest, int64_t deadline, const char *command,
		       GError **error)
{
	return CALL(guest, monitor, "a QEMU monitor command", NULL, error, deadline, command);
}

bool hv_guest_note_get(struct hv_guest *guest, int64_t deadline, char **note, GError **error)
{
	return CALL(guest, note_get, "reading a note", false, error, deadline, note);
}

bool hv_guest_note_set(struct hv_guest *guest, int64_t deadline, const char *note, GError **error)
{
	return CALL(guest, note_set, "leaving a note", false, error, deadline, note);
}

bool hv_guest_credit_set(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
			 uint64_t ceiling_bytes, GError **error)
{
	return CALL(guest, credit_set, "bounding what it takes back", false, error, deadline,
		    credit_bytes, ceiling_bytes);
}

bool hv_guest_trim(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error)
{
	return CALL(guest, trim, "trimming its cache", false, error, deadline, bytes);
}

void hv_guest_close(struct hv_guest *guest)
{
	if (guest)
		guest->ops->close(guest);
}

void hv_guest_hold(struct hv_guest *guest, bool hold)
{
	guest->hold = hold;
}
