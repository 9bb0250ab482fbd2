/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat setmem: give a guest memory, or take it, and wait until it is so. */
#include <stdio.h>

#include "aerostat/daemon.h"
#include "aerostat/resize.h"
#include "aerostat/verbs.h"
#include "common/size.h"

/* Balloon pages are 4 KiB: the guest gets at least what was asked. */
static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + 4095) / 4096 * 4096;
}

static int set_config(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t bytes,
		      bool also_live)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *size = size_format(bytes);

	if (!hv_guest_balloon_set(guest, hv_deadline_ms(CALL_MS), bytes, HV_SCOPE_CONFIG, &error))
		return cli_fail(ctx, error);
	if (also_live)
		return EXIT_DONE;
	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:s, s:i, s:I}", "guest", info->name, "outcome",
					 "done", "exit_code", EXIT_DONE, "config_bytes",
					 (json_int_t)bytes));
	else
		printf("%s: starts with %s next time\n", info->name, size);
	return EXIT_DONE;
}

static int set_live(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t bytes,
		    const struct resize_options *options)
{
	g_autoptr(GError) error = NULL;
	struct resize_result result = { 0 };
	int code;

	if (!resize_live(ctx, guest, info, bytes, options, &result, &error)) {
		resize_result_clear(&result);
		return cli_fail(ctx, error);
	}
	code = resize_report(ctx, info, &result, !options->no_wait);
	resize_result_clear(&result);
	return code;
}

/* Against the maximum of now, of the next start, or both. */
static bool check(const hv_info *info, uint64_t bytes, unsigned int scope, bool force,
		  GError **error)
{
	/* No RAM at all: a device whose VMM has not come, as it will say when it is asked. */
	if (scope & HV_SCOPE_LIVE && info->max_bytes &&
	    !resize_check(info->name, info->max_bytes, bytes, force, error))
		return false;
	return !(scope & HV_SCOPE_CONFIG) || info->config_max_bytes == HV_UNSET ||
	       resize_check(info->name, info->config_max_bytes, bytes, force, error);
}

static int apply(struct context *ctx, hv_guest *guest, const hv_info *info, uint64_t bytes,
		 unsigned int scope, const struct resize_options *options)
{
	bool running = info->state != HV_STATE_SHUTOFF;
	g_autoptr(GError) error = NULL;
	int code;

	if (scope == HV_SCOPE_CURRENT)
		scope = running ? HV_SCOPE_LIVE : HV_SCOPE_CONFIG;
	if ((scope & HV_SCOPE_LIVE) && !running)
		return cli_fail_with(ctx, EXIT_NO_GUEST,
				     "%s is not running; --config changes its next start",
				     info->name);
	if (!check(info, bytes, scope, options->force, &error))
		return cli_fail(ctx, error);
	if (scope & HV_SCOPE_CONFIG) {
		code = set_config(ctx, guest, info, bytes, scope & HV_SCOPE_LIVE);
		if (code || !(scope & HV_SCOPE_LIVE))
			return code;
	}
	return set_live(ctx, guest, info, bytes, options);
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct resize_options options = RESIZE_DEFAULTS;
	struct scope_flags flags = { 0 };
	g_autofree char *size_word = NULL, *socket = NULL;
	const GOptionEntry entries[] = { { "size", 0, 0, G_OPTION_ARG_STRING, &size_word,
					   "the size, instead of the second word", "SIZE" },
					 SCOPE_ENTRIES(flags),
					 RESIZE_ENTRIES(options),
					 SOCKET_ENTRY(socket),
					 { NULL } };
	g_auto(GStrv) words = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	unsigned int scope;
	uint64_t bytes;
	int code;

	if (!verb_parse_with_size(ctx, verb, entries, argc, argv, &size_word, &words, &bytes,
				  &code) ||
	    !scope_of_flags(ctx, verb, &flags, HV_SCOPE_LIVE, &scope, &code) ||
	    !resize_options_valid(ctx, verb, &options, &code))
		return code;
	options.socket = socket;
	guest = context_open(ctx, words[0], &info, &code);
	if (!guest)
		return code;
	return apply(ctx, guest, &info, whole_pages(bytes), scope, &options);
}

const struct verb verb_setmem = {
	.name = "setmem",
	.args = "GUEST SIZE",
	.summary = "give a running guest memory, or take it",
	.details =
		"Asks the balloon driver in the guest for SIZE, waits until the guest has it, "
		"and says what the\n"
		"host really got back. SIZE is what the guest shall have: " SIZE_FORMS ".\n"
		"Without --config it is the running guest that is changed.\n"
		"Only what the guest can give without swapping or killing is taken; --force "
		"presses on.\n"
		"A size below the guest's floor is refused without --force. A guest that stops "
		"short is left\n"
		"with what it has and a little air. An aerostatd that manages the guest holds it "
		"at that size, until\n"
		"aerostat auto GUEST.",
	.examples = "  aerostat setmem alpha 512M              # and wait\n"
		    "  aerostat setmem alpha 512M --no-wait    # as virsh does\n"
		    "  aerostat setmem alpha 1.5G --live --config\n"
		    "  aerostat setmem qmp:/run/vms/beta.qmp 524288\n"
		    "  aerostat setmem alpha 512M --json | jq .host_gain_bytes\n"
		    "Exit codes: 0 reached, 3 stopped short, 4 no driver in the guest, 5 "
		    "unreachable; all of them:\n"
		    "  aerostat help\n",
	.run = run,
};
