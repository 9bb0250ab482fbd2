/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AEROSTAT_TRANSPORT_LOG_RATE_H
#define AEROSTAT_TRANSPORT_LOG_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* True for the 1st, 10th, 100th, … occurrence of what a guest or a VMM can cause at will. */
static inline bool log_rate_allows(uint64_t count)
{
	while (count && count % 10 == 0)
		count /= 10;
	return count == 1;
}

#endif
