/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulator/fleet.h"

#include <string.h>

#define STOCK (POLICY_CAN_REPORT | POLICY_CAN_RELIEVE)
#define OURS POLICY_CAN_ALL
#define UNGATED (POLICY_CAN_ALL & ~POLICY_CAN_GATE)

const struct fleet fleets[] = {
	{ .name = "drawn",
	  .help = "as drawn: half of the guests deflate on OOM, none reports free pages",
	  .drawn = true },
	{ .name = "reporting",
	  .help = "as drawn, and all report free pages",
	  .drawn = true,
	  .abilities = { POLICY_CAN_REPORT, POLICY_CAN_REPORT } },
	{ .name = "stock",
	  .help = "the kernel's driver and QEMU's device; all report and deflate on OOM",
	  .abilities = { STOCK, STOCK } },
	{ .name = "half",
	  .help = "every other guest has our driver and device, the others have stock parts",
	  .abilities = { OURS, STOCK },
	  .own_driver = { true, false } },
	{ .name = "ours",
	  .help = "our driver and our device: they also pull, trim and are gated",
	  .abilities = { OURS, OURS },
	  .own_driver = { true, true } },
	{ .name = "ungated",
	  .help = "our driver with QEMU's device, which has no gate",
	  .abilities = { UNGATED, UNGATED },
	  .own_driver = { true, true } },
	{ .name = NULL },
};

const struct fleet *fleet_find(const char *name)
{
	for (const struct fleet *fleet = fleets; fleet->name; fleet++)
		if (!strcmp(fleet->name, name))
			return fleet;
	return NULL;
}

void fleet_equip(const struct fleet *fleet, struct trace *trace)
{
	for (uint32_t i = 0; i < trace->count; i++) {
		struct trace_guest *guest = &trace->guests[i];

		if (fleet->drawn) {
			guest->abilities |= fleet->abilities[i % 2];
			continue;
		}
		guest->abilities = fleet->abilities[i % 2];
		guest->own_driver = fleet->own_driver[i % 2];
	}
}
