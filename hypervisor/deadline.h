/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocking calls that are given up at a deadline.
 *
 * Deadlines are absolute g_get_monotonic_time() microseconds.
 */
#ifndef AEROSTAT_HYPERVISOR_DEADLINE_H
#define AEROSTAT_HYPERVISOR_DEADLINE_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * deadline_call - run @work(@data) in a thread and wait for it until @deadline
 *
 * Returns true when the work was done in time: @data is the caller's again.
 * Returns false when it was not: @data belongs to the thread, which frees it
 * with @free_data whenever the work ends at last, and the caller must not
 * touch it.  With a deadline already past nothing is run and @data is freed.
 * The thread, and those that @work starts, get no signals.
 */
bool deadline_call(int64_t deadline, void (*work)(void *data), void *data,
		   GDestroyNotify free_data);

/* Waits for @cond; false when @deadline came first.  As any such wait it may wake for nothing. */
bool deadline_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);

#endif
