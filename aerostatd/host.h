/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of the host, and the kernel's notice when it stalls.
 *
 * The numbers are those of /proc/meminfo and /proc/pressure/memory.  Where the kernel has no PSI
 * the pressure is 0.  Where it has no triggers, or does not let this process set one, the
 * pressure is polled: host_read() then reports the host as critical when the stalls since the
 * last calls would have fired a trigger.
 */
#ifndef AEROSTATD_HOST_H
#define AEROSTATD_HOST_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "policy/policy.h"

/* The trigger fires when memory stalls reach this much within the window, in µs. */
#define HOST_TRIGGER_STALL_US 100000
#define HOST_TRIGGER_WINDOW_US 1000000

struct host;

/*
 * host_new - opens the host's numbers and sets a trigger, if it can
 * @proc: "/proc"; for tests a folder with meminfo and pressure/memory
 * @on_trigger: called from the default main context when the trigger fires; may be NULL.  Without
 *              CAP_SYS_RESOURCE both numbers above are doubled.
 *
 * Freed by host_free().  One thread at a time may use the result.
 */
struct host *host_new(const char *proc, void (*on_trigger)(void *data), void *data);
/* Whether there is a trigger.  @why_not (may be NULL) is NULL then, else the reason, of @host. */
bool host_has_trigger(const struct host *host, const char **why_not);
/*
 * host_read - fills in all of @numbers but reserved_bytes
 *
 * critical is whether the trigger fired, or polling saw that it would have, since the last
 * successful host_read().  False, with @numbers unchanged, when meminfo cannot be read.
 */
bool host_read(struct host *host, struct policy_host *numbers, GError **error);
/* Removes the trigger and frees @host; NULL is allowed. */
void host_free(struct host *host);

/*
 * host_cgroup_stall - how much the cgroup of a process waits for memory
 *
 * The share of time (PSI some avg10, from 0 to 1) of the version 2 cgroup of @pid below
 * @proc/../sys/fs/cgroup; 0 when it is not known.  Any thread may call it.
 */
double host_cgroup_stall(const char *proc, pid_t pid);

#endif
