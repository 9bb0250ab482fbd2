/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of exit codes. */
#include "aerostat/cli.h"

#include "api_client/client.h"
#include "common/size.h"

const struct exit_code_row exit_code_table[] = {
	{ EXIT_DONE, "done", "done; setmem: the target was reached" },
	{ EXIT_REFUSED, "refused",
	  "refused or failed, and nothing was changed; or the output was lost" },
	{ EXIT_USAGE, "usage", "the command line is wrong; nothing was done" },
	{ EXIT_SHORT, "stopped-short",
	  "setmem: the guest stopped short of the target; reserve: not all was free in time" },
	{ EXIT_NO_DRIVER, "no-driver", "the guest has no balloon device, or no driver for it" },
	{ EXIT_UNREACHABLE, "unreachable",
	  "no connection, no answer in time, no aerostatd, or the guest ended meanwhile" },
	{ EXIT_NO_GUEST, "no-guest",
	  "no such guest, several of that name, or the guest is not running" },
	{ EXIT_INTERRUPTED, "interrupted",
	  "interrupted by Ctrl-C or a signal; what was requested stays in effect" },
};
const size_t exit_code_count = G_N_ELEMENTS(exit_code_table);

const char *exit_code_name(enum exit_code code)
{
	for (size_t i = 0; i < exit_code_count; i++)
		if (exit_code_table[i].code == code)
			return exit_code_table[i].name;
	g_return_val_if_reached("unknown");
}

static enum exit_code code_of_daemon_error(enum daemon_error error)
{
	switch (error) {
	case DAEMON_ERROR_ABSENT:
	case DAEMON_ERROR_LOST:
		return EXIT_UNREACHABLE;
	case DAEMON_ERROR_NOT_FOUND:
		return EXIT_NO_GUEST;
	case DAEMON_ERROR_INVALID:
		return EXIT_USAGE;
	case DAEMON_ERROR_DENIED:
	case DAEMON_ERROR_REFUSED:
		return EXIT_REFUSED;
	}
	return EXIT_REFUSED;
}

enum exit_code exit_code_of(const GError *error)
{
	if (error->domain == DAEMON_ERROR)
		return code_of_daemon_error((enum daemon_error)error->code);
	if (error->domain == G_OPTION_ERROR || error->domain == SIZE_ERROR)
		return EXIT_USAGE;
	if (error->domain != HV_ERROR)
		return EXIT_REFUSED;
	switch ((enum hv_error)error->code) {
	case HV_ERROR_NOT_FOUND:
	case HV_ERROR_AMBIGUOUS:
	case HV_ERROR_NOT_RUNNING:
		return EXIT_NO_GUEST;
	case HV_ERROR_UNREACHABLE:
	case HV_ERROR_TIMEOUT:
	case HV_ERROR_BUSY:
	case HV_ERROR_PROTOCOL:
		return EXIT_UNREACHABLE;
	case HV_ERROR_NO_BALLOON:
		return EXIT_NO_DRIVER;
	case HV_ERROR_FAILED:
	case HV_ERROR_REFUSED:
	case HV_ERROR_DENIED:
	case HV_ERROR_UNSUPPORTED:
	case HV_ERROR_INVALID:
	case HV_ERROR_SHORTAGE:
		return EXIT_REFUSED;
	}
	return EXIT_REFUSED;
}
