/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/gains.h"

/* What is resident of the guest's RAM although the guest does not use it. */
static uint64_t find_idle_bytes(const struct policy_guest *seen)
{
	uint64_t resident =
		seen->ram_bytes == POLICY_UNSET ? seen->resident_bytes : seen->ram_bytes;
	uint64_t used;

	if (resident == POLICY_UNSET || seen->free_bytes == POLICY_UNSET || !seen->taken_us)
		return POLICY_UNSET;
	used = seen->actual_then_bytes - MIN(seen->actual_then_bytes, seen->free_bytes);
	return resident - MIN(resident, used);
}

static bool is_helped(const struct managed *guest)
{
	return guest->answered && !guest->problem && guest->has_balloon &&
	       guest->driver != HV_DRIVER_ABSENT && guest->seen.rules.mode != POLICY_OFF;
}

bool gains_find(const struct managed *guest, enum policy_ability ability, uint64_t *bytes)
{
	const struct policy_guest *seen = &guest->seen;

	*bytes = POLICY_UNSET;
	if (!is_helped(guest) || seen->abilities & ability)
		return false;
	switch (ability) {
	case POLICY_CAN_REPORT:
		*bytes = find_idle_bytes(seen);
		return guest->free_page_reporting == 0;
	case POLICY_CAN_RELIEVE:
		*bytes = seen->boot_bytes - MIN(seen->boot_bytes, seen->actual_bytes);
		return guest->autodeflate == 0;
	case POLICY_CAN_PULL:
	case POLICY_CAN_GATE:
		return true;
	case POLICY_CAN_TRIM:
	case POLICY_CAN_ALL:
		break;
	}
	return false;
}
