/* SPDX-License-Identifier: BSD-3-Clause */
/* Printing how a resize ended. */
#include "aerostat/resize.h"

#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "common/size.h"

/* The share of memory taken that the host should get back; below, the report says why not. */
#define FULL_RETURN 0.98

static json_t *resize_seconds_json(double seconds)
{
	return seconds < 0 ? json_null() : json_real(seconds);
}

static bool is_host_measured(const struct resize_result *result)
{
	return result->host_before_bytes != HV_UNSET && result->host_after_bytes != HV_UNSET;
}

/* What the host gained; negative if it gave. */
static int64_t host_gain_bytes(const struct resize_result *result)
{
	return (int64_t)(result->host_before_bytes - result->host_after_bytes);
}

static void print_resize_json(const hv_info *info, const struct resize_result *result, bool waited)
{
	json_t *root = json_pack(
		"{s:s, s:s, s:i, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "guest", info->name,
		"outcome", waited ? exit_code_name(result->code) : "asked", "exit_code",
		(int)result->code, "waited", waited, "max_bytes", cli_json_bytes(info->max_bytes),
		"target_bytes", cli_json_bytes(result->target_bytes), "before_bytes",
		cli_json_bytes(result->before_bytes), "after_bytes",
		cli_json_bytes(result->after_bytes), "host_before_bytes",
		cli_json_bytes(result->host_before_bytes), "host_after_bytes",
		cli_json_bytes(result->host_after_bytes));

	json_object_set_new(root, "host_gain_bytes",
			    is_host_measured(result) ? json_integer(host_gain_bytes(result))
						     : json_null());
	json_object_set_new(root, "eased_target_bytes", cli_json_bytes(result->eased_bytes));
	json_object_set_new(root, "held_bytes", cli_json_bytes(result->held_bytes));
	json_object_set_new(root, "first_move_s", resize_seconds_json(result->first_move_s));
	json_object_set_new(root, "seconds", json_real(result->seconds));
	json_object_set_new(root, "reason", cli_json_string(result->reason));
	json_object_set_new(root, "remedy", cli_json_string(result->remedy));
	cli_print_json(root);
}

static void print_host_gain(const struct resize_result *result)
{
	int64_t taken = (int64_t)(result->before_bytes - result->after_bytes);
	int64_t gain = host_gain_bytes(result);
	g_autofree char *gain_text = size_format(gain < 0 ? 0 : (uint64_t)gain);
	g_autofree char *taken_text = size_format(taken < 0 ? (uint64_t)-taken : (uint64_t)taken);

	if (!is_host_measured(result))
		printf("  host: not measured, because the guest's process cannot be read from "
		       "here\n");
	else if (taken > 0)
		printf("  host: got back %s of the %s taken, measured%s\n", gain_text, taken_text,
		       (double)gain < FULL_RETURN * (double)taken ? "; the rest was not in use"
								  : "");
	else if (taken < 0)
		printf("  host: %s more promised; it is used once the guest touches it\n",
		       taken_text);
}

static void print_hold(const hv_info *info, const struct resize_result *result)
{
	g_autofree char *held = format_size_cell(result->held_bytes);

	if (result->held_bytes != HV_UNSET)
		printf("  held: at %s until: aerostat auto %s\n", held, info->name);
}

static void print_resize_text(const hv_info *info, const struct resize_result *result)
{
	g_autofree char *before = size_format(result->before_bytes);
	g_autofree char *after = size_format(result->after_bytes);
	g_autofree char *target = size_format(result->target_bytes);

	if (result->code == EXIT_DONE)
		printf("%s: %s -> %s in %.1f s\n", info->name, before, after, result->seconds);
	else
		printf("%s: %s -> %s, not %s, after %.1f s\n", info->name, before, after, target,
		       result->seconds);
	print_host_gain(result);
	if (result->reason)
		printf("  why:  %s\n", result->reason);
	if (result->remedy)
		printf("  do:   %s\n", result->remedy);
	if (result->eased_bytes != HV_UNSET) {
		g_autofree char *eased = size_format(result->eased_bytes);

		printf("  eased: its target is now %s, to leave it some headroom (use "
		       "--keep-target to prevent this)\n",
		       eased);
	}
}

int resize_report(struct context *ctx, const hv_info *info, const struct resize_result *result,
		  bool waited)
{
	g_autofree char *target = size_format(result->target_bytes);

	if (ctx->json)
		print_resize_json(info, result, waited);
	else if (waited)
		print_resize_text(info, result);
	else
		printf("%s: asked for %s, without waiting for it\n", info->name, target);
	if (!ctx->json)
		print_hold(info, result);
	return result->code;
}
