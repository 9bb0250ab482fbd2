/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's own numbers, and the kernel's word when it is short of memory.
 *
 * Numbers come from /proc/meminfo and /proc/pressure/memory, or from the same
 * below another folder, for tests.  Where the kernel has no PSI the pressure is 0,
 * and where it has no triggers (or lets nobody without privilege set them) the
 * pressure is polled: host_read() then calls the host critical when it sees
 * that "some" rose as much as a trigger would have fired for.
 */
#ifndef AEROSTAT_HOST_H
#define AEROSTAT_HOST_H

#include <glib.h>
#include <stdbool.h>

#include "policy/policy.h"

struct host;

/*
 * host_new - @proc: "/proc", or a folder with meminfo and pressure/memory for tests
 * @on_trigger: called from the default main context when memory stalls reach
 *              HOST_TRIGGER_STALL_US within HOST_TRIGGER_WINDOW_US (twice as much
 *              in twice the time without CAP_SYS_RESOURCE); may be NULL
 */
#define HOST_TRIGGER_STALL_US 100000
#define HOST_TRIGGER_WINDOW_US 1000000
struct host *host_new(const char *proc, void (*on_trigger)(void *data), void *data);
/* Whether a trigger could be set; otherwise why not, for a line of log. */
bool host_has_trigger(const struct host *host, const char **why_not);
/*
 * host_read - all of policy_host but reserved_bytes
 *
 * critical: a trigger fired (or polling saw the like) since the last host_read().
 * False when meminfo could not be read: then nothing is changed.
 */
bool host_read(struct host *host, struct policy_host *numbers, GError **error);
void host_free(struct host *host);

/*
 * Share of time stalled on memory (some avg10, 0…1) of the cgroup of @pid; 0 when unknown.
 * Cgroups are those of version 2, below @proc/../sys/fs/cgroup.  Any thread may call it.
 */
double host_cgroup_stall(const char *proc, pid_t pid);

#endif
