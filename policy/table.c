/* SPDX-License-Identifier: BSD-3-Clause */
/* All policies.  Append only; the first is the default. */
#include <string.h>

#include "policy/policy.h"

const struct policy_ops *const policy_table[] = {
	&policy_aerostat, &policy_static,  &policy_proxmox, &policy_mom, &policy_qmemman,
	&policy_squeezed, &policy_maximum, &policy_tmo,	    NULL,
};

const struct policy_ops *policy_find(const char *name)
{
	for (size_t i = 0; policy_table[i]; i++)
		if (!strcmp(policy_table[i]->name, name))
			return policy_table[i];
	return NULL;
}
