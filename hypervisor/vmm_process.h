/* SPDX-License-Identifier: BSD-3-Clause */
/* What /proc shows of the process that runs a guest. */
#ifndef AEROSTAT_HYPERVISOR_VMM_PROCESS_H
#define AEROSTAT_HYPERVISOR_VMM_PROCESS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hypervisor/hypervisor.h"

/*
 * vmm_process_find - find the QEMU process of a libvirt domain
 * @uuid: of the domain
 * @owners: the users (uid_t) who may run it
 * @guess: the process found last time, which is checked first; 0 when there is none
 *
 * libvirt does not report the process, so this looks for the only one with
 * "-uuid UUID" and "-name guest=…" among its arguments.  Any user can start a process
 * with such arguments, so processes of users not in @owners are not even read.
 * Returns 0 when there is no such process, or several, or /proc hides it.
 */
pid_t vmm_process_find(const char *uuid, const GArray *owners, pid_t guess);

/*
 * vmm_process_find_origin - how the guest of a QEMU process came there
 * @pid: found by vmm_process_find(), or a monitor's peer; 0 when unknown
 *
 * HV_ORIGIN_STATE if QEMU was started with -incoming or -loadvm, HV_ORIGIN_BOOT if with neither.
 */
enum hv_origin vmm_process_find_origin(pid_t pid);

/* Whether a signal (SIGSTOP) or a debugger has stopped it, so that it does not answer. */
bool vmm_process_stopped(pid_t pid);

/* The CPU time it has used, in ns; HV_UNSET when unknown. */
uint64_t vmm_process_cpu_ns(pid_t pid);

/* How long ago it was started, in us; negative when unknown. */
int64_t vmm_process_age_us(pid_t pid);

/* Its address space, mapped or reserved; HV_UNSET when unknown. */
uint64_t vmm_process_address_bytes(pid_t pid);

/* Its resident memory; HV_UNSET when unknown. */
uint64_t vmm_process_rss_bytes(pid_t pid);

/* Whether it has locked or pinned anything at all. */
bool vmm_process_holds_memory(pid_t pid);

/*
 * vmm_process_holds_ram - whether the guest's RAM stays in memory when QEMU discards it
 * @ram_bytes: of the guest
 * @presumed: what is returned if /proc hides it
 *
 * RAM is held if at least half as much of the process's memory is locked (mlock(2)) or pinned for
 * devices.  Locked files do not count: QEMU punches holes into a file, which frees its pages
 * whoever has locked them.
 */
bool vmm_process_holds_ram(pid_t pid, uint64_t ram_bytes, bool presumed);

#endif
