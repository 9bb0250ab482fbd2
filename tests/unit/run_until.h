/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for what the main context does. */
#ifndef AEROSTAT_TESTS_RUN_UNTIL_H
#define AEROSTAT_TESTS_RUN_UNTIL_H

#include <glib.h>

#include "tests/hang.h"

/* Runs the default main context until @condition, or fails. */
#define RUN_UNTIL(condition)                                                                       \
	for (int64_t end_ = g_get_monotonic_time() + HANG_US; !(condition);) {                     \
		if (g_get_monotonic_time() > end_)                                                 \
			fail_msg("waited in vain for %s", #condition);                             \
		if (!g_main_context_iteration(NULL, FALSE))                                        \
			g_usleep(1000);                                                            \
	}

#endif
