/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See loop.h for how it works.  Two points are easy to miss:
 *
 * A callback may remove and free any source while events of this round still
 * point to it, so loop_remove() clears them.  A source that a callback adds gets
 * its first event in the next round.
 *
 * A timer that a callback sets to the current time is due in the next round, not
 * in this one, so timers cannot starve the sockets.
 */
#include "io/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)

struct loop {
	int epoll_fd;
	bool quit;
	unsigned int source_count;
	struct loop_timer *timers;
	uint64_t (*step)(void *data);
	void *step_data;
	/* The events of this round; those before next_event have been dispatched. */
	struct epoll_event events[LOOP_SOURCES_MAX];
	int event_count, next_event;
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		return loop;
	free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

static int set_watched_events(struct loop *loop, int operation, struct loop_source *source,
			      uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, operation, source->fd, &event) ? -errno : 0;
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	int error;

	if (loop->source_count == LOOP_SOURCES_MAX)
		return -ENOSPC;
	error = set_watched_events(loop, EPOLL_CTL_ADD, source, events);
	if (error)
		return error;
	source->added = true;
	loop->source_count++;
	return 0;
}

int loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return set_watched_events(loop, EPOLL_CTL_MOD, source, events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (!source->added)
		return;
	set_watched_events(loop, EPOLL_CTL_DEL, source, 0);
	source->added = false;
	loop->source_count--;
	for (int i = loop->next_event; i < loop->event_count; i++)
		if (loop->events[i].data.ptr == source)
			loop->events[i].data.ptr = NULL;
}

/* The link that points to @timer, or the one at the end of the list. */
static struct loop_timer **find_timer_link(struct loop *loop, const struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	while (*link && *link != timer)
		link = &(*link)->next;
	return link;
}

void loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = find_timer_link(loop, timer);

	if (*link)
		return;
	timer->next = NULL;
	*link = timer;
}

void loop_remove_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = find_timer_link(loop, timer);

	if (*link)
		*link = timer->next;
}

void loop_set_work(struct loop *loop, uint64_t (*step)(void *data), void *data)
{
	loop->step = step;
	loop->step_data = data;
}

uint64_t loop_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct loop_timer *find_earliest_timer(const struct loop *loop)
{
	struct loop_timer *earliest = NULL;

	for (struct loop_timer *timer = loop->timers; timer; timer = timer->next)
		if (timer->due_ns != LOOP_NEVER && (!earliest || timer->due_ns < earliest->due_ns))
			earliest = timer;
	return earliest;
}

/* For epoll_wait(): -1 for ever.  Rounded up, so that timers are due after the wait. */
static int get_epoll_timeout_ms(const struct loop *loop, uint64_t wait_ns)
{
	const struct loop_timer *timer = find_earliest_timer(loop);
	uint64_t ms;

	if (timer && wait_ns) {
		uint64_t now_ns = loop_now_ns();
		uint64_t left_ns = timer->due_ns > now_ns ? timer->due_ns - now_ns : 0;

		wait_ns = left_ns < wait_ns ? left_ns : wait_ns;
	}
	if (wait_ns == LOOP_NEVER)
		return -1;
	ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0);
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void dispatch_events(struct loop *loop)
{
	while (loop->next_event < loop->event_count) {
		const struct epoll_event *event = &loop->events[loop->next_event++];
		struct loop_source *source = event->data.ptr;

		if (source)
			source->ready(source, event->events);
	}
}

static void run_due_timers(struct loop *loop)
{
	uint64_t now_ns = loop->timers ? loop_now_ns() : 0;
	struct loop_timer *timer;
	unsigned int turns = 0;

	for (timer = loop->timers; timer; timer = timer->next)
		turns++;
	/* The list is searched each time because a callback may add and remove timers. */
	while (turns-- && (timer = find_earliest_timer(loop)) && timer->due_ns <= now_ns) {
		timer->due_ns = LOOP_NEVER;
		timer->due(timer);
	}
}

int loop_round(struct loop *loop, uint64_t wait_ns)
{
	uint64_t work_ns = loop->step ? loop->step(loop->step_data) : LOOP_NEVER;
	int count;

	wait_ns = loop->quit ? 0 : work_ns < wait_ns ? work_ns : wait_ns;
	count = epoll_wait(loop->epoll_fd, loop->events, LOOP_SOURCES_MAX,
			   get_epoll_timeout_ms(loop, wait_ns));
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	loop->event_count = count;
	loop->next_event = 0;
	dispatch_events(loop);
	loop->event_count = 0;
	run_due_timers(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int error = 0;

	while (!loop->quit && !error)
		error = loop_round(loop, LOOP_NEVER);
	loop->quit = false;
	return error;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}
