/* SPDX-License-Identifier: BSD-3-Clause */
/* What /proc tells of the process that runs a guest. */
#ifndef AEROSTAT_HYPERVISOR_VMM_PROCESS_H
#define AEROSTAT_HYPERVISOR_VMM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * vmm_process_find - the QEMU of a libvirt domain, which no call of libvirt tells: the one process
 * with "-uuid @uuid" among its arguments
 * @guess: what was found last time, looked at first; 0 when there is none
 *
 * Returns 0 when there is no such process, or several, or /proc hides it.
 */
pid_t vmm_process_find(const char *uuid, pid_t guess);

/* Stopped by a signal (SIGSTOP) or a debugger: it answers nothing until SIGCONT. */
bool vmm_process_stopped(pid_t pid);

/* CPU time used, in ns, and resident memory in bytes; HV_UNSET when unknown. */
uint64_t vmm_process_cpu_ns(pid_t pid);
uint64_t vmm_process_rss_bytes(pid_t pid);
/* How much of its memory the process has locked (mlock(2)); HV_UNSET when unknown. */
uint64_t vmm_process_locked_bytes(pid_t pid);

#endif
