/* SPDX-License-Identifier: BSD-3-Clause */
#include "resize/resize_text.h"

#include "common/size.h"
#include "policy/floor.h"

/* The share of memory taken that the host should get back; below, the text says why not. */
#define FULL_RETURN 0.98
/* Less than this may be a driver that has gone too far. */
#define TAKEN_BACK_BYTES (UINT64_C(4) << 20)
/* A rise below this may be the VMM's own memory. */
#define RISE_BYTES (UINT64_C(8) << 20)

static const char *const reason_names[RESIZE_REASONS] = {
	[RESIZE_REACHED] = "reached",	    [RESIZE_ASKED] = "asked",
	[RESIZE_IN_USE] = "in-use",	    [RESIZE_FULL] = "full",
	[RESIZE_SILENT] = "silent",	    [RESIZE_STUCK] = "stuck",
	[RESIZE_NO_DRIVER] = "no-driver",   [RESIZE_BOOTING] = "booting",
	[RESIZE_STOPPED] = "stopped",	    [RESIZE_DEADLINE] = "deadline",
	[RESIZE_SUPERSEDED] = "superseded", [RESIZE_INTERRUPTED] = "interrupted",
};

const char *resize_reason_name(enum resize_reason reason)
{
	return reason_names[reason];
}

void resize_result_clear(struct resize_result *result)
{
	g_clear_pointer(&result->why, g_free);
	g_clear_pointer(&result->remedy, g_free);
	g_clear_pointer(&result->note, g_free);
	g_clear_pointer(&result->relief, g_free);
}

bool resize_check_target(const char *name, uint64_t max_bytes, uint64_t target_bytes, bool force,
			 GError **error)
{
	g_autofree char *target = size_format(target_bytes);
	g_autofree char *max = size_format(max_bytes);
	uint64_t floor = floor_bytes(max_bytes);
	g_autofree char *least = size_format(floor);

	if (target_bytes > max_bytes) {
		g_set_error(error, HV_ERROR, HV_ERROR_INVALID,
			    "%s: %s is above its maximum of %s; aerostat setmaxmem sets the "
			    "maximum of its next start",
			    name, target, max);
		return false;
	}
	if (target_bytes < floor && !force) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "%s: %s is below its floor of %s, so it would swap, kill processes "
			    "or panic; use --force to do it anyway",
			    name, target, least);
		return false;
	}
	return true;
}

char *resize_need_text(uint64_t used_bytes)
{
	g_autofree char *used = size_format(used_bytes);

	return g_strdup_printf("the guest uses about %s that it cannot free", used);
}

/* How a guest that stopped short takes memory back, after "and "; NULL: it does not. */
static char *relief_text(const struct resize_facts *facts)
{
	const char *when = facts->relieves_early ? "takes memory back by itself before it runs out"
						 : "takes memory back when it runs out";
	g_autofree char *taken = size_format(facts->taken_back_bytes);

	if (facts->info->autodeflate <= 0)
		return NULL;
	if (facts->taken_back_bytes < TAKEN_BACK_BYTES)
		return g_strdup_printf("%s (deflate on OOM)", when);
	return g_strdup_printf("%s (deflate on OOM), %s meanwhile", when, taken);
}

static char *full_guest_text(const struct resize_facts *facts)
{
	g_autofree char *relief = relief_text(facts);
	g_autofree char *used =
		facts->used_bytes == HV_UNSET ? NULL : size_format(facts->used_bytes);
	g_autofree char *uses = used ? g_strdup_printf("uses about %s that it cannot free", used)
				     : g_strdup("is too busy to report its statistics");

	return g_strdup_printf("the guest %s%s%s", uses, relief ? ", and " : "",
			       relief ? relief : "");
}

static char *resize_why_text(enum resize_reason reason, const struct resize_facts *facts)
{
	g_autofree char *size = NULL;

	switch (reason) {
	case RESIZE_IN_USE:
		return resize_need_text(facts->used_bytes);
	case RESIZE_FULL:
		return full_guest_text(facts);
	case RESIZE_SILENT:
		return g_strdup("the guest's statistics stay the same while its balloon moves, so "
				"what it can give is not known");
	case RESIZE_STUCK:
		return g_strdup("the balloon driver does not return the guest's memory");
	case RESIZE_NO_DRIVER:
		return g_strdup("no balloon driver is at work in the guest");
	case RESIZE_BOOTING:
		return g_strdup(
			"no balloon driver has started in the guest yet; it may be booting");
	case RESIZE_STOPPED:
		return g_strdup_printf("the guest is %s, so its driver cannot run",
				       hv_state_name(facts->state));
	case RESIZE_DEADLINE:
		return g_strdup(facts->has_moved
					? "the guest was still moving at the timeout, and goes on"
					: "the guest had not moved by the timeout");
	case RESIZE_SUPERSEDED:
		size = size_format(facts->newer_bytes);
		return g_strdup_printf("another setmem has asked for %s meanwhile", size);
	case RESIZE_INTERRUPTED:
		return g_strdup(facts->is_set ? "interrupted; the target stays set"
					      : "interrupted; nothing was changed");
	case RESIZE_REACHED:
	case RESIZE_ASKED:
	case RESIZE_REASONS:
		break;
	}
	return NULL;
}

static const char *const remedies[RESIZE_REASONS] = {
	[RESIZE_IN_USE] = "free memory in the guest, or use --force: the guest will then swap, "
			  "kill processes or panic",
	[RESIZE_FULL] = "free memory in the guest, give it swap, or ask for less",
	[RESIZE_SILENT] = "find out what the guest uses, and use --force",
	[RESIZE_STUCK] = "see the guest's kernel log",
	[RESIZE_NO_DRIVER] = "load virtio_balloon in the guest, and repeat this",
	[RESIZE_BOOTING] = "repeat this when it has booted; if it has, load virtio_balloon in it",
	[RESIZE_STOPPED] = "resume the guest; its target stays set",
	[RESIZE_DEADLINE] = "wait longer with --timeout S",
	[RESIZE_SUPERSEDED] = "the latest setmem counts; repeat this one if it should",
};

void resize_explain(struct resize_result *result, enum resize_reason reason,
		    const struct resize_facts *facts)
{
	g_free(result->why);
	g_free(result->remedy);
	result->reason = reason;
	result->why = resize_why_text(reason, facts);
	result->remedy = g_strdup(reason == RESIZE_NO_DRIVER && facts->is_set
					  ? "load virtio_balloon in the guest; it will then "
					    "follow the target"
					  : remedies[reason]);
}

char *resize_relief_text(const hv_info *info, uint64_t target_bytes)
{
	g_autofree char *max = size_format(info->max_bytes);

	if (info->autodeflate <= 0 || target_bytes >= info->max_bytes)
		return NULL;
	return g_strdup_printf(
		"when it is short of memory, it may take some back by itself, up to its "
		"maximum of %s (deflate on OOM)",
		max);
}

bool resize_host_gain(const struct resize_result *result, int64_t *gain_bytes)
{
	if (result->host_before_bytes == HV_UNSET || result->host_after_bytes == HV_UNSET)
		return false;
	*gain_bytes = (int64_t)(result->host_before_bytes - result->host_after_bytes);
	return true;
}

/*
 * Why the host did not get back all that was taken; only what was measured or found.  Memory that
 * the guest had and the host had not backed cannot come back, if no more is paid for afterwards
 * than the guest has.
 */
static const char *resize_rest_text(const struct resize_result *result, uint64_t rest_bytes)
{
	uint64_t unbacked =
		result->before_bytes - MIN(result->before_bytes, result->host_before_bytes);

	if (result->obstacle != HV_OBSTACLE_NONE && result->obstacle != HV_OBSTACLE_MIGRATION)
		return hv_obstacle_text(result->obstacle);
	if (rest_bytes <= unbacked && result->host_after_bytes <= result->after_bytes)
		return "the rest was not in use";
	return "why the host did not get back the rest is not known";
}

static char *resize_gain_text(const struct resize_result *result, uint64_t taken_bytes,
			      int64_t gain_bytes)
{
	g_autofree char *taken = size_format(taken_bytes);
	g_autofree char *gain = size_format((uint64_t)MAX(gain_bytes, 0));
	g_autofree char *risen = size_format((uint64_t)MAX(-gain_bytes, 0));
	bool is_full = (double)gain_bytes >= FULL_RETURN * (double)taken_bytes;

	if (gain_bytes < -(int64_t)RISE_BYTES)
		return g_strdup_printf("got back 0 B of the %s taken, measured; its use rose by %s "
				       "meanwhile",
				       taken, risen);
	return g_strdup_printf(
		"got back %s of the %s taken, measured%s%s", gain, taken, is_full ? "" : "; ",
		is_full ? ""
			: resize_rest_text(result, (uint64_t)((int64_t)taken_bytes - gain_bytes)));
}

char *resize_host_text(const struct resize_result *result)
{
	int64_t taken = (int64_t)(result->before_bytes - result->after_bytes), gain;
	g_autofree char *given = size_format((uint64_t)MAX(-taken, 0));

	if (!taken)
		return NULL;
	if (!resize_host_gain(result, &gain))
		return g_strdup("not measured, because the guest's process cannot be read from "
				"here");
	if (taken < 0)
		return g_strdup_printf("%s more promised; it is used once the guest touches it",
				       given);
	return resize_gain_text(result, (uint64_t)taken, gain);
}

char *resize_obstacle_text(enum hv_obstacle obstacle)
{
	const char *text = hv_obstacle_text(obstacle);

	if (obstacle == HV_OBSTACLE_MIGRATION)
		return g_strdup_printf("%s; wait until that has ended", text);
	/* How much of it is on huge pages is not known, and neither how many would become whole. */
	if (obstacle == HV_OBSTACLE_HUGE_PAGES)
		return g_strdup_printf("%s; the host gets such a page back only when all of it is "
				       "in the balloon",
				       text);
	return g_strdup_printf("%s, so the host would get none of it back", text);
}

char *resize_silence_text(const struct guest_stats *stats)
{
	int64_t age_s = stats->known ? hv_stats_age_s(&stats->latest) : -1;
	g_autofree char *state = NULL;

	if (age_s < 0)
		state = g_strdup("the guest reports no statistics");
	else if (hv_stats_early(&stats->latest))
		state = g_strdup("the guest's last statistics are dated in the future");
	else if (!guest_stats_are_fresh(stats))
		state = g_strdup_printf(
			"the guest's last statistics are %" G_GINT64_FORMAT " s old", age_s);
	else
		state = g_strdup("the guest's statistics are incomplete or impossible");
	return g_strdup_printf("%s, so what it can give is not known", state);
}
