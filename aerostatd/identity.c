/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/identity.h"

#include <string.h>

bool identity_matches(const struct identity *guest, const struct hv_info *info)
{
	enum process_state process = process_find_state(guest->pid, guest->start_ticks);
	bool both_pids = guest->pid && info->pid;

	if (process == PROCESS_ENDED || (both_pids && guest->pid != info->pid))
		return false;
	if (both_pids && process == PROCESS_RUNNING)
		return true;
	if (guest->uuid && info->uuid)
		return !strcmp(guest->uuid, info->uuid);
	return both_pids || !guest->name || !info->name || !strcmp(guest->name, info->name);
}

/* Whether both are known and differ. */
static bool texts_contradict(const char *a, const char *b)
{
	return a && b && strcmp(a, b);
}

bool identity_is_same(const struct identity *a, const struct identity *b)
{
	bool both_processes = a->pid && a->start_ticks && b->pid && b->start_ticks;

	if (texts_contradict(a->uuid, b->uuid))
		return false;
	if (!both_processes)
		return a->uuid && b->uuid && !(a->pid && b->pid && a->pid != b->pid);
	if (a->pid != b->pid || a->start_ticks != b->start_ticks)
		return false;
	return (a->uuid && b->uuid) || !texts_contradict(a->name, b->name);
}
