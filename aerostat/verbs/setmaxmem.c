/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat setmaxmem: libvirt's <memory>, the RAM at the next boot. */
#include <stdio.h>

#include "aerostat/verbs.h"
#include "common/size.h"

static void print_result(struct context *ctx, const hv_info *info, uint64_t bytes)
{
	g_autofree char *size = size_format(bytes);

	if (ctx->json)
		cli_print_json(json_pack("{s:s, s:I}", "guest", info->name, "max_bytes",
					 (json_int_t)bytes));
	else
		printf("%s: starts with at most %s next time\n", info->name, size);
}

static void warn_of_lowered_current(struct context *ctx, const hv_info *info, uint64_t bytes)
{
	g_autofree char *current = NULL;
	g_autofree char *size = NULL;

	if (info->config_bytes == HV_UNSET || info->config_bytes <= bytes)
		return;
	current = size_format(info->config_bytes);
	size = size_format(bytes);
	cli_warn(ctx, "%s: currentMemory of the next start falls with it, from %s to %s",
		 info->name, current, size);
}

static int run(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	struct scope_flags flags = { 0 };
	g_autofree char *size_word = NULL;
	const GOptionEntry entries[] = { { "size", 0, 0, G_OPTION_ARG_STRING, &size_word,
					   "the size, instead of the second word", "SIZE" },
					 SCOPE_ENTRIES(flags),
					 { NULL } };
	g_auto(GStrv) words = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	g_autoptr(GError) error = NULL;
	unsigned int scope;
	uint64_t bytes;
	int code;

	if (!verb_parse_with_size(ctx, verb, entries, argc, argv, &size_word, &words, &bytes,
				  &code) ||
	    !scope_of_flags(ctx, verb, &flags, HV_SCOPE_CURRENT, &scope, &code))
		return code;
	guest = context_open(ctx, words[0], &info, &code);
	if (!guest)
		return code;
	if (!hv_guest_max_set(guest, hv_deadline_ms(CALL_MS), bytes, scope, &error))
		return cli_fail(ctx, error);
	warn_of_lowered_current(ctx, &info, bytes);
	print_result(ctx, &info, bytes);
	return EXIT_DONE;
}

const struct verb verb_setmaxmem = {
	.name = "setmaxmem",
	.args = "GUEST SIZE",
	.summary = "set a guest's RAM at its next boot",
	.details = "Sets libvirt's <memory>: the most that the guest can ever have. It is fixed "
		   "while the guest\n"
		   "runs, so a running guest takes --config, for its next start.\n"
		   "SIZE: " SIZE_FORMS ".",
	.examples = "  aerostat setmaxmem alpha 2G --config\n"
		    "  aerostat setmaxmem alpha 2097152        # KiB; alpha is shut off\n",
	.run = run,
};
