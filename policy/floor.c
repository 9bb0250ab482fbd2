/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy/floor.h"

#define MIB (UINT64_C(1) << 20)

uint64_t floor_bytes(uint64_t max_bytes)
{
	uint64_t floor;

	if (max_bytes < 128 * MIB)
		floor = 8 * MIB + max_bytes / 2;
	else if (max_bytes < 512 * MIB)
		floor = 40 * MIB + max_bytes / 4;
	else if (max_bytes < 2048 * MIB)
		floor = 104 * MIB + max_bytes / 8;
	else if (max_bytes < 8192 * MIB)
		floor = 232 * MIB + max_bytes / 16;
	else
		floor = 488 * MIB + max_bytes / 32;
	return floor < max_bytes ? floor : max_bytes;
}

uint64_t headroom_bytes(uint64_t size_bytes)
{
	/* 3 %, without overflow. */
	uint64_t part = size_bytes / 100 * 3 + size_bytes % 100 * 3 / 100;

	return part > HEADROOM_MIN_BYTES ? part : HEADROOM_MIN_BYTES;
}

uint64_t estimate_available_bytes(uint64_t available_bytes, uint64_t free_bytes)
{
	return available_bytes == UINT64_MAX ? free_bytes : available_bytes;
}
