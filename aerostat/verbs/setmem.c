/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat setmem: change a running guest's memory, and wait for it. */
#include <stdio.h>

#include "aerostat/resize_cli.h"
#include "aerostat/verbs.h"
#include "common/size.h"

/* Balloon pages are 4 KiB; rounding up gives the guest at least what was asked for. */
static uint64_t round_up_to_pages(uint64_t bytes)
{
	return (bytes + BALLOON_PAGE_BYTES - 1) / BALLOON_PAGE_BYTES * BALLOON_PAGE_BYTES;
}

static int set_next_start(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t bytes)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *size = size_format(bytes);

	if (!hv_guest_balloon_set(guest, hv_deadline_ms(CALL_MS), bytes, HV_SCOPE_CONFIG, &error))
		return cli_fail(ctx, error);
	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:s, s:i, s:I}", "guest", info->name, "outcome",
					 "done", "exit_code", EXIT_DONE, "config_bytes",
					 (json_int_t)bytes));
	else
		printf("%s: will start with %s next time\n", info->name, size);
	return EXIT_DONE;
}

/*
 * The running guest first, because only it can refuse after having been asked.  Then its next
 * start, unless nothing was changed.
 */
static int set_running_guest(struct context *ctx, hv_guest *guest, const hv_info *info,
			     uint64_t bytes, bool also_config, const struct resize_options *options)
{
	g_autoptr(GError) error = NULL;
	struct resize_outcome outcome = { 0 };
	int code;

	if (!resize_live(ctx, guest, info, bytes, options, &outcome, &error))
		code = cli_fail(ctx, error);
	else if (also_config && !hv_guest_balloon_set(guest, hv_deadline_ms(CALL_MS), bytes,
						      HV_SCOPE_CONFIG, &error))
		code = cli_fail_with(ctx, EXIT_SHORT,
				     "%s was asked for its new size, but its next start was not "
				     "changed: %s",
				     info->name, hv_error_reason(error, guest->address));
	else
		code = resize_report(ctx, info, &outcome);
	resize_outcome_clear(&outcome);
	return code;
}

/* Checks the size against the maximum now, that of the next start, or both. */
static bool check_setmem_target(const hv_info *info, uint64_t bytes, unsigned int scope, bool force,
				GError **error)
{
	/* A maximum of 0: no VMM has connected to the device, which will say so when asked. */
	if (scope & HV_SCOPE_LIVE && info->max_bytes &&
	    !resize_check_target(info->name, info->max_bytes, bytes, force, error))
		return false;
	return !(scope & HV_SCOPE_CONFIG) || info->config_max_bytes == HV_UNSET ||
	       resize_check_target(info->name, info->config_max_bytes, bytes, force, error);
}

static int apply_setmem(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t bytes,
			unsigned int scope, const struct resize_options *options)
{
	bool running = info->state != HV_STATE_SHUTOFF;
	g_autoptr(GError) error = NULL;

	if (scope == HV_SCOPE_CURRENT)
		scope = running ? HV_SCOPE_LIVE : HV_SCOPE_CONFIG;
	if ((scope & HV_SCOPE_LIVE) && !running)
		return cli_fail_with(ctx, EXIT_NO_GUEST,
				     "%s is not running; use --config to change its next start",
				     info->name);
	if (!check_setmem_target(info, bytes, scope, options->force, &error))
		return cli_fail(ctx, error);
	/* What is sure to fail for the next start must fail before the running guest is asked. */
	if (scope == HV_SCOPE_CONFIG || ((scope & HV_SCOPE_CONFIG) && !info->persistent))
		return set_next_start(ctx, guest, info, bytes);
	return set_running_guest(ctx, guest, info, bytes, scope & HV_SCOPE_CONFIG, options);
}

static int run_setmem(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct resize_options options = RESIZE_DEFAULTS;
	struct scope_flags flags = { 0 };
	g_autofree char *socket = NULL;
	GOptionContext *parser = verb_options_new(verb, NULL);
	g_auto(GStrv) args = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	unsigned int scope;
	uint64_t bytes;
	int code;

	g_option_context_add_group(parser, scope_option_group(&flags));
	g_option_context_add_group(parser, resize_option_group(&options));
	g_option_context_add_group(parser, daemon_option_group(&socket));
	if (!verb_parse_with_size(ctx, verb, parser, argc, argv, &args, &bytes, &code) ||
	    !scope_from_flags(ctx, verb, &flags, HV_SCOPE_LIVE, &scope, &code) ||
	    !resize_check_options(ctx, verb, &options, &code))
		return code;
	options.socket = socket;
	guest = context_open_guest(ctx, args[0], &info, &code);
	if (!guest)
		return code;
	return apply_setmem(ctx, guest, &info, round_up_to_pages(bytes), scope, &options);
}

const struct verb verb_setmem = {
	.name = "setmem",
	.args = "GUEST SIZE",
	.summary = "give a running guest memory, or take it",
	.details =
		"Asks the balloon driver in the guest for SIZE, waits until the guest has it, "
		"and prints what the\n"
		"host really got back. SIZE is what the guest will have: " SIZE_FORMS ".\n"
		"Without --config, the running guest is changed.\n\n"
		"setmem takes only what the guest can give without swapping or killing processes, "
		"and refuses a\n"
		"size below the guest's floor; --force overrides both. A guest that stops short of "
		"SIZE "
		"is left with\n"
		"what it has and some headroom. If an aerostatd manages the guest, it holds the "
		"guest at this size\n"
		"until aerostat auto GUEST.",
	.examples = "  aerostat setmem alpha 512M              # and wait\n"
		    "  aerostat setmem alpha 512M --no-wait    # as virsh does\n"
		    "  aerostat setmem alpha 1.5G --live --config\n"
		    "  aerostat setmem qmp:/run/vms/beta.qmp 524288\n"
		    "  aerostat setmem alpha 512M --json | jq .host_gain_bytes\n"
		    "Exit codes: 0 reached, 3 stopped short, 4 no driver in the guest, 5 "
		    "unreachable; for all of them:\n"
		    "  aerostat help\n",
	.run = run_setmem,
};
