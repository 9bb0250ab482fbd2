/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters, and what is logged of them.
 *
 * A guest can commit faults as fast as it likes, so each kind is logged only at
 * its 1st, 10th, 100th, … fault: a flood writes some twenty lines.
 */
#include <stdio.h>

#include "device/state.h"

bool fault_is_logged(uint64_t before, uint64_t after)
{
	uint64_t power = 1;

	while (power <= before && power <= UINT64_MAX / 10)
		power *= 10;
	return before < power && power <= after;
}

void balloon_faults(struct balloon *balloon, enum balloon_counter counter, uint32_t count,
		    const char *detail, uint64_t value)
{
	uint64_t before = balloon->counters[counter], after = before + count;
	char line[160];

	balloon->counters[counter] = after;
	if (!fault_is_logged(before, after))
		return;
	snprintf(line, sizeof(line), "guest: %s: %s %#llx (%llu so far)",
		 balloon_counter_table[counter].name, detail, (unsigned long long)value,
		 (unsigned long long)after);
	balloon->host.log(balloon->host.data, line);
}

void balloon_fault(struct balloon *balloon, enum balloon_counter counter, const char *detail,
		   uint64_t value)
{
	balloon_faults(balloon, counter, 1, detail, value);
}

uint64_t balloon_counter(const struct balloon *balloon, enum balloon_counter counter)
{
	if (counter == BALLOON_C_RELEASE_CALLS)
		return balloon->release.calls;
	if (counter == BALLOON_C_RELEASED_BYTES)
		return balloon->release.bytes;
	if (counter == BALLOON_C_RELEASE_FAILED)
		return balloon->release.failed;
	return balloon->counters[counter];
}
