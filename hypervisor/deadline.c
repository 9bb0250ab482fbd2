/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * Each call has its own thread and its own struct job.  The job's state, under
 * its lock, decides who frees the job: if the caller has given up (JOB_ABANDONED),
 * the thread frees it with the data when the work ends; otherwise the caller frees
 * it and keeps the data.
 *
 * The locks are pthread's, since ThreadSanitizer does not see GLib's futexes.
 */
#include "hypervisor/deadline.h"

#include <signal.h>
#include <time.h>

struct job {
	void (*work)(void *data);
	void *data;
	GDestroyNotify free_data;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { JOB_RUNNING, JOB_DONE, JOB_ABANDONED } state;
};

static void deadline_job_free(struct job *job)
{
	pthread_cond_destroy(&job->changed);
	pthread_mutex_destroy(&job->lock);
	g_free(job);
}

/*
 * Signals are for the program's own threads, and a lost peer (SIGPIPE) must not end
 * the program.  Signals of program errors stay: blocking them is undefined.
 */
static void block_job_signals(void)
{
	sigset_t most;

	sigfillset(&most);
	sigdelset(&most, SIGSEGV);
	sigdelset(&most, SIGBUS);
	sigdelset(&most, SIGFPE);
	sigdelset(&most, SIGILL);
	pthread_sigmask(SIG_SETMASK, &most, NULL);
}

static void *run_deadline_job(void *arg)
{
	struct job *job = arg;
	bool abandoned;

	block_job_signals();
	job->work(job->data);

	pthread_mutex_lock(&job->lock);
	abandoned = job->state == JOB_ABANDONED;
	job->state = JOB_DONE;
	pthread_cond_signal(&job->changed);
	pthread_mutex_unlock(&job->lock);
	if (abandoned) {
		job->free_data(job->data);
		deadline_job_free(job);
	}
	return NULL;
}

bool deadline_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline)
{
	struct timespec until = {
		.tv_sec = deadline / G_USEC_PER_SEC,
		.tv_nsec = deadline % G_USEC_PER_SEC * 1000,
	};

	return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &until) == 0;
}

enum deadline_outcome deadline_call(int64_t deadline, void (*work)(void *data), void *data,
				    GDestroyNotify free_data)
{
	g_autoptr(GThread) thread = NULL;
	struct job *job;
	bool done;

	if (g_get_monotonic_time() >= deadline) {
		free_data(data);
		return DEADLINE_LATE;
	}
	job = g_new(struct job, 1);
	*job = (struct job){
		.work = work,
		.data = data,
		.free_data = free_data,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	thread = g_thread_try_new("deadline", run_deadline_job, job, NULL);
	if (!thread) {
		deadline_job_free(job);
		free_data(data);
		return DEADLINE_NO_THREAD;
	}

	pthread_mutex_lock(&job->lock);
	while (job->state == JOB_RUNNING && deadline_wait(&job->changed, &job->lock, deadline))
		;
	done = job->state == JOB_DONE;
	if (!done)
		job->state = JOB_ABANDONED;
	pthread_mutex_unlock(&job->lock);
	if (done)
		deadline_job_free(job);
	return done ? DEADLINE_DONE : DEADLINE_LATE;
}
