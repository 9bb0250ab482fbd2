/* SPDX-License-Identifier: BSD-3-Clause */
#include "config/config.h"

#include <string.h>

static const char *const mode_names[] = {
	[POLICY_AUTO] = "auto",
	[POLICY_OBSERVE] = "observe",
	[POLICY_HELD] = "held",
	[POLICY_OFF] = "off",
};

const char *config_mode_name(enum policy_mode mode)
{
	return mode_names[mode];
}

int config_mode_find(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(mode_names); i++)
		if (!strcmp(mode_names[i], name))
			return (int)i;
	return -1;
}
