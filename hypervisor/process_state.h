/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a process has ended: yes, no, or "could not look". */
#ifndef AEROSTAT_HYPERVISOR_PROCESS_STATE_H
#define AEROSTAT_HYPERVISOR_PROCESS_STATE_H

#include <stdint.h>
#include <sys/types.h>

enum process_state {
	PROCESS_UNKNOWN, /* its number or start time is not known, or /proc cannot be read */
	PROCESS_RUNNING,
	PROCESS_ENDED, /* proven: nobody has that number, or a process that started later has */
};

/* When process @pid started, in clock ticks since boot; 0 if that is unknown or it has ended. */
uint64_t process_start_ticks(pid_t pid);

/*
 * process_find_state - whether a process is still running
 * @pid: 0 if unknown
 * @start_ticks: what process_start_ticks() returned for it earlier
 */
enum process_state process_find_state(pid_t pid, uint64_t start_ticks);

#endif
