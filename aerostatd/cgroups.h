/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory limits (cgroups) above the guests' processes, for the policy's groups.
 *
 * A process may use no more than the least of the limits of its cgroup and of all cgroups above
 * it.  The kernel kills at memory.max (version 2) and memory.limit_in_bytes (version 1), and
 * stalls at memory.high.  Each cgroup that has a limit below the host's memory, and a guest's
 * process in it or below it, is a group.
 *
 * Swap does not count: a guest that the host swaps is not helped by a larger size.
 */
#ifndef AEROSTATD_CGROUPS_H
#define AEROSTATD_CGROUPS_H

#include <glib.h>
#include <sys/types.h>

#include "policy/policy.h"

struct cgroups;

/* @proc: "/proc"; for tests a folder that stands for it, beside a folder sys/fs/cgroup. */
struct cgroups *cgroups_new(const char *proc);

/* @cgroups may be NULL. */
void cgroups_free(struct cgroups *cgroups);

/*
 * cgroups_find - find the groups of some processes
 * @now_us: monotonic
 * @host_bytes: the host's memory: a limit that is not below that is none
 * @pids: the processes; 0 for one that is not known
 * @numbers: filled in: the innermost group of each process, from 1; 0: it is in none
 *
 * Limits and what is available below them are read each time.  A process that moves to another
 * cgroup, and a limit that is new, are seen within CGROUPS_REFRESH_US.
 */
#define CGROUPS_REFRESH_US (2 * G_USEC_PER_SEC)
void cgroups_find(struct cgroups *cgroups, int64_t now_us, uint64_t host_bytes, const pid_t *pids,
		  size_t count, uint64_t *numbers);

/* The groups that were found last; valid until the next cgroups_find(). */
const struct policy_group *cgroups_list(const struct cgroups *cgroups, size_t *count);

/* The path of group @number for people: "/machine.slice". */
const char *cgroups_path(const struct cgroups *cgroups, uint64_t number);

/* What could not be read, in words for people; NULL: nothing.  A limit that was known before
 * counts until it can be read again. */
const char *cgroups_problem(const struct cgroups *cgroups);

#endif
