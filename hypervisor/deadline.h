/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving up blocking calls at a deadline, an absolute g_get_monotonic_time() in
 * microseconds.
 */
#ifndef AEROSTAT_HYPERVISOR_DEADLINE_H
#define AEROSTAT_HYPERVISOR_DEADLINE_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum deadline_outcome {
	DEADLINE_DONE,
	DEADLINE_LATE,
	DEADLINE_NO_THREAD, /* this process could not start a thread: the work did not run */
};

/*
 * deadline_call - run @work(@data) in a thread and wait for it until @deadline
 *
 * @free_data: frees @data if the call is given up; may run in the thread
 *
 * DEADLINE_DONE: @work ended in time; the caller owns @data again.
 * DEADLINE_LATE: @data belongs to the thread, which frees it when @work ends, and the
 * caller must not use it.  With a deadline in the past @work does not run, and @data
 * is freed.
 * DEADLINE_NO_THREAD: @data is freed.
 *
 * All signals but those of program errors are blocked in the thread and in the
 * threads that @work starts.
 */
enum deadline_outcome deadline_call(int64_t deadline, void (*work)(void *data), void *data,
				    GDestroyNotify free_data);

/*
 * deadline_wait - pthread_cond_wait() with a deadline
 *
 * Returns false when @deadline came first.  May wake up spuriously.
 */
bool deadline_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline);

#endif
