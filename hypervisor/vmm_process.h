/* SPDX-License-Identifier: BSD-3-Clause */
/* The QEMU process of a libvirt domain, found in /proc: libvirt has no call that tells it. */
#ifndef AEROSTAT_VMM_PROCESS_H
#define AEROSTAT_VMM_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * vmm_process_find - the one process with "-uuid @uuid" among its arguments
 * @guess: what was found last time, looked at first; 0 when there is none
 *
 * Returns 0 when there is no such process, or several, or /proc hides it.
 */
pid_t vmm_process_find(const char *uuid, pid_t guess);

/* Stopped by a signal (SIGSTOP) or a debugger: it answers nothing until SIGCONT. */
bool vmm_process_stopped(pid_t pid);

#endif
