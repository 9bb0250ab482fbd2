/* SPDX-License-Identifier: BSD-3-Clause */
#include "resize/resize_text.h"

#include "common/size.h"
#include "policy/floor.h"

/* The share of memory taken that the host should get back; below, the text says why not. */
#define FULL_RETURN 0.98

static const char *const reason_names[RESIZE_REASONS] = {
	[RESIZE_REACHED] = "reached",	    [RESIZE_ASKED] = "asked",
	[RESIZE_IN_USE] = "in-use",	    [RESIZE_FULL] = "full",
	[RESIZE_STUCK] = "stuck",	    [RESIZE_NO_DRIVER] = "no-driver",
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

static char *full_guest_text(const struct resize_facts *facts)
{
	bool deflates = facts->info->autodeflate > 0;
	g_autofree char *used =
		facts->used_bytes == HV_UNSET ? NULL : size_format(facts->used_bytes);
	g_autofree char *uses = used ? g_strdup_printf("uses about %s that it cannot free", used)
				     : g_strdup("is too busy to report its statistics");

	return g_strdup_printf(
		"the guest %s%s", uses,
		deflates ? ", and takes memory back when it runs out (deflate on OOM)" : "");
}

static char *resize_why_text(enum resize_reason reason, const struct resize_facts *facts)
{
	g_autofree char *size = NULL;

	switch (reason) {
	case RESIZE_IN_USE:
		size = size_format(facts->used_bytes);
		return g_strdup_printf("the guest uses about %s that it cannot free", size);
	case RESIZE_FULL:
		return full_guest_text(facts);
	case RESIZE_STUCK:
		return g_strdup("the balloon driver does not return the guest's memory");
	case RESIZE_NO_DRIVER:
		return g_strdup("no balloon driver is at work in the guest");
	case RESIZE_STOPPED:
		return g_strdup_printf("the guest is %s, so its driver cannot run",
				       hv_state_name(facts->state));
	case RESIZE_DEADLINE:
		return g_strdup("the guest was still moving at the timeout, and goes on");
	case RESIZE_SUPERSEDED:
		size = size_format(facts->newer_bytes);
		return g_strdup_printf("another setmem has asked for %s meanwhile", size);
	case RESIZE_INTERRUPTED:
		return g_strdup("interrupted; the target stays set");
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
	[RESIZE_STUCK] = "see the guest's kernel log",
	[RESIZE_NO_DRIVER] = "load virtio_balloon in the guest; it will then follow the target",
	[RESIZE_STOPPED] = "resume the guest; its target stays set",
	[RESIZE_DEADLINE] = "wait longer with --timeout S",
	[RESIZE_SUPERSEDED] = "the latest setmem counts; repeat this one if it should",
};

void resize_explain(struct resize_result *result, enum resize_reason reason,
		    const struct resize_facts *facts)
{
	resize_result_clear(result);
	result->reason = reason;
	result->why = resize_why_text(reason, facts);
	result->remedy = g_strdup(remedies[reason]);
}

bool resize_host_gain(const struct resize_result *result, int64_t *gain_bytes)
{
	if (result->host_before_bytes == HV_UNSET || result->host_after_bytes == HV_UNSET)
		return false;
	*gain_bytes = (int64_t)(result->host_before_bytes - result->host_after_bytes);
	return true;
}

char *resize_host_text(const struct resize_result *result)
{
	int64_t taken = (int64_t)(result->before_bytes - result->after_bytes), gain;
	g_autofree char *taken_text = size_format(taken < 0 ? (uint64_t)-taken : (uint64_t)taken);
	g_autofree char *gain_text = NULL;

	if (!resize_host_gain(result, &gain))
		return g_strdup("not measured, because the guest's process cannot be read from "
				"here");
	gain_text = size_format(gain < 0 ? 0 : (uint64_t)gain);
	if (taken > 0)
		return g_strdup_printf(
			"got back %s of the %s taken, measured%s", gain_text, taken_text,
			(double)gain < FULL_RETURN * (double)taken ? "; the rest was not in use"
								   : "");
	if (taken < 0)
		return g_strdup_printf("%s more promised; it is used once the guest touches it",
				       taken_text);
	return NULL;
}
