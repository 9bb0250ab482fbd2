/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat setmaxmem: set libvirt's <memory>, the RAM at the next boot. */
#include <stdio.h>

#include "aerostat/verbs.h"
#include "common/size.h"

static void print_new_maximum(struct context *ctx, const hv_info *info, uint64_t bytes)
{
	g_autofree char *size = size_format(bytes);

	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:I}", "guest", info->name, "max_bytes",
					 (json_int_t)bytes));
	else
		printf("%s: will start with at most %s next time\n", info->name, size);
}

static void warn_of_lowered_current(struct context *ctx, const hv_info *info, uint64_t bytes)
{
	g_autofree char *current = NULL;
	g_autofree char *size = NULL;

	if (info->config_bytes == HV_UNSET || info->config_bytes <= bytes)
		return;
	current = size_format(info->config_bytes);
	size = size_format(bytes);
	cli_warn(ctx, "%s: this also lowers currentMemory at the next start, from %s to %s",
		 info->name, current, size);
}

static int run_setmaxmem(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct scope_flags flags = { 0 };
	GOptionContext *options = verb_options_new(verb, NULL);
	g_auto(GStrv) args = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	g_autoptr(GError) error = NULL;
	unsigned int scope;
	uint64_t bytes;
	int code;

	g_option_context_add_group(options, scope_option_group(&flags));
	if (!verb_parse_with_size(ctx, verb, options, argc, argv, &args, &bytes, &code) ||
	    !scope_from_flags(ctx, verb, &flags, HV_SCOPE_CURRENT, &scope, &code))
		return code;
	guest = context_open_guest(ctx, args[0], &info, &code);
	if (!guest)
		return code;
	if (!hv_guest_max_set(guest, hv_deadline_ms(CALL_MS), bytes, scope, &error))
		return cli_fail(ctx, error);
	warn_of_lowered_current(ctx, &info, bytes);
	print_new_maximum(ctx, &info, bytes);
	return EXIT_DONE;
}

const struct verb verb_setmaxmem = {
	.name = "setmaxmem",
	.args = "GUEST SIZE",
	.summary = "set a guest's RAM at its next boot",
	.details = "Sets libvirt's <memory>, the most that the guest can ever have. It is fixed "
		   "while the guest runs,\n"
		   "so for a running guest --config is needed, which applies at its next start.\n"
		   "SIZE: " SIZE_FORMS ".",
	.examples = "  aerostat setmaxmem alpha 2G --config\n"
		    "  aerostat setmaxmem alpha 2097152        # KiB; alpha is shut off\n",
	.run = run_setmaxmem,
};
