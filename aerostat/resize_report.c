/* SPDX-License-Identifier: BSD-3-Clause */
/* Printing how a resize ended. */
#include "aerostat/resize_cli.h"

#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "common/size.h"
#include "hypervisor/guest_word.h"

static json_t *resize_seconds_json(double seconds)
{
	return seconds < 0 ? json_null() : json_real(seconds);
}

static enum exit_code resize_exit_code(enum resize_reason reason)
{
	switch (reason) {
	case RESIZE_REACHED:
	case RESIZE_ASKED:
		return EXIT_DONE;
	case RESIZE_NO_DRIVER:
	case RESIZE_BOOTING:
		return EXIT_NO_DRIVER;
	case RESIZE_INTERRUPTED:
		return EXIT_INTERRUPTED;
	case RESIZE_IN_USE:
	case RESIZE_FULL:
	case RESIZE_SILENT:
	case RESIZE_STUCK:
	case RESIZE_STOPPED:
	case RESIZE_DEADLINE:
	case RESIZE_SUPERSEDED:
	case RESIZE_REASONS:
		break;
	}
	return EXIT_SHORT;
}

static void print_resize_json(const hv_info *info, const struct resize_outcome *outcome)
{
	const struct resize_result *result = &outcome->result;
	enum exit_code code = resize_exit_code(result->reason);
	bool waited = result->reason != RESIZE_ASKED;
	int64_t gain = 0;
	json_t *root =
		json_pack("{s:s, s:s, s:i, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "guest", info->name,
			  "outcome", waited ? exit_code_name(code) : "asked", "exit_code",
			  (int)code, "waited", waited, "max_bytes", cli_json_bytes(info->max_bytes),
			  "target_bytes", cli_json_bytes(result->target_bytes), "before_bytes",
			  cli_json_bytes(result->before_bytes), "after_bytes",
			  cli_json_bytes(result->after_bytes), "host_before_bytes",
			  cli_json_bytes(result->host_before_bytes), "host_after_bytes",
			  cli_json_bytes(result->host_after_bytes));

	json_object_set_new(root, "host_gain_bytes",
			    resize_host_gain(result, &gain) ? json_integer(gain) : json_null());
	json_object_set_new(root, "eased_target_bytes", cli_json_bytes(result->eased_bytes));
	json_object_set_new(root, "held_bytes", cli_json_bytes(outcome->held_bytes));
	json_object_set_new(root, "first_move_s", resize_seconds_json(result->first_move_s));
	json_object_set_new(root, "seconds", json_real(result->seconds));
	json_object_set_new(root, "reason", cli_json_string(result->why));
	json_object_set_new(root, "remedy", cli_json_string(result->remedy));
	json_object_set_new(root, "note", cli_json_string(result->note));
	json_object_set_new(root, "relief", cli_json_string(result->relief));
	json_object_set_new(root, "reason_code", json_string(resize_reason_name(result->reason)));
	cli_print_json(root);
}

static void print_resize_text(const hv_info *info, const struct resize_result *result)
{
	g_autofree char *before = size_format(result->before_bytes);
	g_autofree char *after = size_format(result->after_bytes);
	g_autofree char *target = size_format(result->target_bytes);
	g_autofree char *host = resize_host_text(result);

	if (result->reason == RESIZE_REACHED)
		printf("%s: %s -> %s in %.1f s\n", info->name, before, after, result->seconds);
	else
		printf("%s: %s -> %s, not %s, after %.1f s\n", info->name, before, after, target,
		       result->seconds);
	if (host)
		printf("  host: %s\n", host);
	if (result->why)
		printf("  why:  %s\n", result->why);
	if (result->remedy)
		printf("  do:   %s\n", result->remedy);
	if (result->eased_bytes != HV_UNSET) {
		g_autofree char *eased = size_format(result->eased_bytes);

		printf("  eased: its target is now %s, to leave it some headroom (use "
		       "--keep-target to prevent this)\n",
		       eased);
	}
}

int resize_report(struct context *ctx, const hv_info *info, const struct resize_outcome *outcome)
{
	const struct resize_result *result = &outcome->result;
	g_autofree char *target = size_format(result->target_bytes);
	g_autofree char *held = format_size_cell(outcome->held_bytes);
	g_autofree char *undo = guest_word_quote(ctx->guest_word);

	if (ctx->json)
		print_resize_json(info, outcome);
	else if (result->reason != RESIZE_ASKED)
		print_resize_text(info, result);
	else
		printf("%s: asked for %s, without waiting for it\n", info->name, target);
	if (ctx->json)
		return resize_exit_code(result->reason);
	if (outcome->held_bytes != HV_UNSET)
		printf("  held: at %s until: aerostat auto %s\n", held, undo);
	if (result->relief)
		printf("  but:  %s\n", result->relief);
	return resize_exit_code(result->reason);
}
