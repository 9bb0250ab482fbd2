/* SPDX-License-Identifier: BSD-3-Clause */
/* The wrapped functions, and what goes wrong in them; see misbehave.h. */
#include "tests/fakes/misbehave.h"

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

struct misbehaviour misbehaviour;

/* The names that the linker's --wrap uses. */
void __wrap_virtqueue_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written);
void __real_virtqueue_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written);
bool __wrap_virtqueue_should_notify(struct virtqueue *queue);
bool __real_virtqueue_should_notify(struct virtqueue *queue);
void __wrap_virtqueue_stop(struct virtqueue *queue);
void __real_virtqueue_stop(struct virtqueue *queue);
void __wrap_balloon_kick(struct balloon *balloon, unsigned int queue);
void __real_balloon_kick(struct balloon *balloon, unsigned int queue);
bool __wrap_balloon_set_features(struct balloon *balloon, uint64_t features);
bool __real_balloon_set_features(struct balloon *balloon, uint64_t features);
uint64_t __wrap_balloon_work(struct balloon *balloon);
uint64_t __real_balloon_work(struct balloon *balloon);

/* The only balloon of the process, since virtqueue_push() is not passed one. */
static struct balloon *the_balloon;

static uint64_t due_after_ms(int64_t ms)
{
	return ms == FOR_EVER ? LOOP_NEVER : loop_now_ns() + (uint64_t)ms * NS_PER_MS;
}

static struct bad_queue *bad_queue(struct balloon *balloon, unsigned int number)
{
	enum balloon_queue kind = balloon_queue_kind(balloon, number);

	return kind < BALLOON_QUEUE_KINDS ? &misbehaviour.queues[kind] : NULL;
}

/*
 * Buffers
 */

/* Puts a buffer into the used ring, whether or not it was taken from the ring. */
static void push_unasked(struct virtqueue *queue, struct virtqueue_token token, uint32_t written)
{
	misbehaviour.forgeries++;
	queue->in_flight = (uint16_t)(queue->in_flight + token.count);
	__real_virtqueue_push(queue, token, written);
}

static void push(struct bad_queue *bad, struct virtqueue *queue, struct virtqueue_token token,
		 uint32_t written)
{
	struct virtqueue_token stray = token;

	if (bad->wrong_length)
		written = UINT32_MAX;
	if (bad->strays) {
		bad->strays--;
		stray.id = (uint16_t)((token.id + queue->setup.size / 2) % queue->setup.size);
		push_unasked(queue, stray, written);
	}
	__real_virtqueue_push(queue, token, written);
	if (bad->twice) {
		bad->twice--;
		push_unasked(queue, token, written);
	}
}

static bool keeps_any(unsigned int number)
{
	for (unsigned int i = 0; i < misbehaviour.kept_count; i++)
		if (misbehaviour.kept[i].queue == number)
			return true;
	return false;
}

void __wrap_virtqueue_push(struct virtqueue *queue, struct virtqueue_token token, uint32_t written)
{
	unsigned int number = (unsigned int)(queue - the_balloon->buffers.queues);
	struct bad_queue *bad = bad_queue(the_balloon, number);

	if (!bad || misbehaviour.kept_count == HELD_TOKENS_MAX) {
		__real_virtqueue_push(queue, token, written);
	} else if (!bad->keep_ms && !keeps_any(number)) {
		push(bad, queue, token, written);
	} else {
		misbehaviour.kept[misbehaviour.kept_count++] = (struct kept_buffer){
			.queue = number,
			.token = token,
			.written = written,
			.due_ns = due_after_ms(bad->keep_ms),
		};
	}
}

bool __wrap_virtqueue_should_notify(struct virtqueue *queue)
{
	bool wanted = __real_virtqueue_should_notify(queue);
	unsigned int number = (unsigned int)(queue - the_balloon->buffers.queues);
	struct bad_queue *bad = bad_queue(the_balloon, number);

	return wanted && !(bad && bad->mute);
}

static struct kept_buffer take_out(unsigned int i)
{
	struct kept_buffer kept = misbehaviour.kept[i];

	misbehaviour.kept_count--;
	memmove(&misbehaviour.kept[i], &misbehaviour.kept[i + 1],
		(misbehaviour.kept_count - i) * sizeof(kept));
	return kept;
}

static void give(struct balloon *balloon, unsigned int i)
{
	struct kept_buffer kept = take_out(i);
	struct virtqueue *queue = &balloon->buffers.queues[kept.queue];

	push(bad_queue(balloon, kept.queue), queue, kept.token, kept.written);
	if (virtqueue_should_notify(queue))
		balloon->host.notify_queue(balloon->host.data, kept.queue);
}

/* Returns the buffers of a queue that are due at @now, perhaps the newest first. */
static void give_due(struct balloon *balloon, unsigned int number, uint64_t now)
{
	bool newest_first = bad_queue(balloon, number)->newest_first, oldest_due = false;

	for (unsigned int i = 0; i < misbehaviour.kept_count;) {
		const struct kept_buffer *kept = &misbehaviour.kept[i];

		if (kept->queue == number && kept->due_ns <= now) {
			oldest_due = true;
			if (!newest_first) {
				give(balloon, i);
				continue;
			}
		}
		i++;
	}
	for (unsigned int i = misbehaviour.kept_count; oldest_due && newest_first && i--;)
		if (misbehaviour.kept[i].queue == number) {
			give(balloon, i);
			misbehaviour.overtakings += keeps_any(number);
		}
}

/* A reset has given the driver all its buffers back. */
void __wrap_virtqueue_stop(struct virtqueue *queue)
{
	__real_virtqueue_stop(queue);
	if (!the_balloon)
		return;
	for (unsigned int i = 0; i < misbehaviour.kept_count;) {
		if (&the_balloon->buffers.queues[misbehaviour.kept[i].queue] == queue)
			take_out(i);
		else
			i++;
	}
}

unsigned int misbehave_kept(const struct balloon *balloon, enum balloon_queue kind)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < misbehaviour.kept_count; i++)
		count += balloon_queue_kind(balloon, misbehaviour.kept[i].queue) == kind;
	return count;
}

/*
 * Kicks
 */

void __wrap_balloon_kick(struct balloon *balloon, unsigned int queue)
{
	struct bad_queue *bad = bad_queue(balloon, queue);

	if (!bad || !bad->deaf_ms) {
		__real_balloon_kick(balloon, queue);
	} else if (!bad->kicked) {
		bad->kicked = true;
		bad->kick_due_ns = due_after_ms(bad->deaf_ms);
	}
}

static void hear(struct balloon *balloon, unsigned int number, uint64_t now)
{
	struct bad_queue *bad = bad_queue(balloon, number);

	if (!bad->kicked || bad->kick_due_ns > now)
		return;
	bad->kicked = false;
	__real_balloon_kick(balloon, number);
}

/*
 * The configuration and the statistics
 */

bool __wrap_balloon_set_features(struct balloon *balloon, uint64_t features)
{
	return !misbehaviour.refuse_features && __real_balloon_set_features(balloon, features);
}

static void interrupt(struct balloon *balloon)
{
	balloon->host.notify_config(balloon->host.data);
}

void misbehave_set_num_pages(struct balloon *balloon, uint32_t pages)
{
	balloon->config.num_pages = pages;
	balloon->config.target_wanted = BALLOON_UNSET;
	interrupt(balloon);
}

static void rage(struct balloon *balloon, uint64_t now)
{
	if (misbehaviour.storm_ns && misbehaviour.storm_due_ns <= now) {
		misbehaviour.storm_due_ns = now + misbehaviour.storm_ns;
		misbehaviour.interrupts++;
		interrupt(balloon);
	}
	if (misbehaviour.toggle_ns && misbehaviour.toggle_due_ns <= now) {
		misbehaviour.toggle_due_ns = now + misbehaviour.toggle_ns;
		misbehaviour.toggles++;
		misbehave_set_num_pages(balloon,
					balloon->config.num_pages ? 0 : misbehaviour.toggle_pages);
	}
	if (misbehaviour.stats_flood)
		balloon_request_stats(balloon);
}

/*
 * Time
 */

static uint64_t sooner(uint64_t due_ns, uint64_t than_ns)
{
	return due_ns < than_ns ? due_ns : than_ns;
}

static uint64_t next_due_ns(void)
{
	uint64_t due = LOOP_NEVER;

	for (unsigned int i = 0; i < misbehaviour.kept_count; i++)
		due = sooner(misbehaviour.kept[i].due_ns, due);
	for (unsigned int kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		if (misbehaviour.queues[kind].kicked)
			due = sooner(misbehaviour.queues[kind].kick_due_ns, due);
	if (misbehaviour.storm_ns)
		due = sooner(misbehaviour.storm_due_ns, due);
	if (misbehaviour.toggle_ns)
		due = sooner(misbehaviour.toggle_due_ns, due);
	return due;
}

uint64_t __wrap_balloon_work(struct balloon *balloon)
{
	uint64_t now = loop_now_ns(), wait_ns, due;

	the_balloon = balloon;
	for (unsigned int i = 0; i < balloon_queue_count(balloon); i++) {
		give_due(balloon, i, now);
		hear(balloon, i, now);
	}
	if (balloon->driver.driver_ok)
		rage(balloon, now);
	wait_ns = __real_balloon_work(balloon);
	due = next_due_ns();
	if (due == LOOP_NEVER)
		return wait_ns;
	return sooner(due > now ? due - now : 0, wait_ns);
}

/*
 * Behaving again
 */

void misbehave_return(struct balloon *balloon, enum balloon_queue kind)
{
	unsigned int number = balloon_queue_number(balloon, kind);

	if (number == BALLOON_QUEUES_MAX)
		return;
	for (unsigned int i = 0; i < misbehaviour.kept_count; i++)
		if (misbehaviour.kept[i].queue == number)
			misbehaviour.kept[i].due_ns = 0;
	misbehaviour.queues[kind].kick_due_ns = 0;
	give_due(balloon, number, LOOP_NEVER);
	hear(balloon, number, LOOP_NEVER);
}

void misbehave_heal(struct balloon *balloon)
{
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++) {
		misbehave_return(balloon, kind);
		misbehaviour.queues[kind] = (struct bad_queue){ 0 };
	}
	misbehaviour.storm_ns = misbehaviour.toggle_ns = 0;
	misbehaviour.stats_flood = misbehaviour.refuse_features = false;
}
