/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thousands of random rounds, each with a queue of another shape.  Every step
 * of the device is done twice, first by the slow one, then, on the same guest
 * memory, by the real one: results and every byte of the rings must be equal.
 *
 * AEROSTAT_SEED=NUMBER in the environment repeats a run.
 */
#include "tests/unit/slow_virtqueue.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROUNDS 2000
#define STEPS 120
#define RINGS_BYTES 0x10000 /* from SLOW_GPA on: all that a device may write */
#define BUFFERS (SLOW_GPA + 0x70000)
#define EVENT_DRIVEN_BUFFERS 300

/* A buffer on its way: offered, then taken, then given back. */
struct flight {
	uint16_t id;
	uint32_t written;
	struct slow_buffer buffer;
	struct virtqueue_token token;
};

struct sim {
	uint64_t seed, random;
	unsigned int round;
	struct virtqueue_setup setup;
	uint8_t *ram;
	struct memory memory;
	struct virtqueue queue; /* the real device, */
	struct slow_device slow;
	struct slow_driver driver; /* and the driver of both */
	struct virtqueue_chain chain, slow_chain;
	uint8_t before[RINGS_BYTES], after[RINGS_BYTES];
	/* In their order: what the device has not taken, what it has, what it has given back. */
	struct flight offered[VIRTQUEUE_SIZE_MAX], taken[VIRTQUEUE_SIZE_MAX],
		returned[VIRTQUEUE_SIZE_MAX];
	unsigned int offered_count, taken_count, returned_count;
};

#define CHECK(sim, condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("AEROSTAT_SEED=%" PRIu64 ", round %u: not %s", (sim)->seed,       \
				 (sim)->round, #condition);                                        \
	} while (0)

/* splitmix64 */
static uint64_t draw(struct sim *sim)
{
	uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned int below(struct sim *sim, unsigned int limit)
{
	return (unsigned int)(draw(sim) % limit);
}

static bool one_in(struct sim *sim, unsigned int n)
{
	return below(sim, n) == 0;
}

static int setup_sim(void **state)
{
	const char *seed = getenv("AEROSTAT_SEED");
	struct sim *sim = calloc(1, sizeof(*sim));
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	assert_non_null(sim);
	sim->seed = seed ? strtoull(seed, NULL, 0)
			 : (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	print_message("AEROSTAT_SEED=%" PRIu64 "\n", sim->seed);
	sim->ram = aligned_alloc(4096, SLOW_BYTES);
	assert_non_null(sim->ram);
	memset(sim->ram, 0, SLOW_BYTES);
	assert_int_equal(memory_add(&sim->memory, SLOW_GPA, SLOW_BYTES, sim->ram), 0);
	*state = sim;
	return 0;
}

static int teardown_sim(void **state)
{
	struct sim *sim = *state;

	memory_clear(&sim->memory);
	free(sim->ram);
	free(sim);
	return 0;
}

/*
 * The two devices, step by step
 */
static void slow_first(struct sim *sim)
{
	memcpy(sim->before, sim->ram, RINGS_BYTES);
}

static void now_the_real_one(struct sim *sim)
{
	memcpy(sim->after, sim->ram, RINGS_BYTES);
	memcpy(sim->ram, sim->before, RINGS_BYTES);
}

static void compare(struct sim *sim)
{
	CHECK(sim, memcmp(sim->ram, sim->after, RINGS_BYTES) == 0);
	CHECK(sim, sim->queue.broken == sim->slow.broken);
	CHECK(sim, virtqueue_base(&sim->queue) == slow_device_base(&sim->slow));
}

static void compare_chains(struct sim *sim)
{
	const struct virtqueue_chain *real = &sim->chain, *slow = &sim->slow_chain;

	CHECK(sim, real->fault == slow->fault);
	CHECK(sim, real->token.id == slow->token.id);
	CHECK(sim, real->token.count == slow->token.count);
	CHECK(sim, real->readable == slow->readable);
	CHECK(sim, real->writable == slow->writable);
	CHECK(sim, real->readable_bytes == slow->readable_bytes);
	CHECK(sim, real->writable_bytes == slow->writable_bytes);
	for (unsigned int i = 0; i < real->readable + real->writable; i++) {
		CHECK(sim, real->segments[i].gpa == slow->segments[i].gpa);
		CHECK(sim, real->segments[i].length == slow->segments[i].length);
	}
}

static int device_pop(struct sim *sim)
{
	int slow, real;

	slow_first(sim);
	slow = slow_device_pop(&sim->slow, &sim->slow_chain);
	now_the_real_one(sim);
	real = virtqueue_pop(&sim->queue, &sim->memory, &sim->chain);
	compare(sim);
	CHECK(sim, real == slow);
	if (real > 0)
		compare_chains(sim);
	return real;
}

static void device_push(struct sim *sim, struct virtqueue_token token, uint32_t written)
{
	slow_first(sim);
	slow_device_push(&sim->slow, token, written);
	now_the_real_one(sim);
	virtqueue_push(&sim->queue, token, written);
	compare(sim);
}

static bool device_should_notify(struct sim *sim)
{
	bool slow, real;

	slow_first(sim);
	slow = slow_device_should_notify(&sim->slow);
	now_the_real_one(sim);
	real = virtqueue_should_notify(&sim->queue);
	compare(sim);
	CHECK(sim, real == slow);
	return real;
}

static void device_quiet(struct sim *sim)
{
	slow_first(sim);
	slow_device_quiet(&sim->slow);
	now_the_real_one(sim);
	virtqueue_disable_kicks(&sim->queue);
	compare(sim);
}

static bool device_listen(struct sim *sim)
{
	bool slow, real;

	slow_first(sim);
	slow = slow_device_listen(&sim->slow);
	now_the_real_one(sim);
	real = virtqueue_enable_kicks(&sim->queue);
	compare(sim);
	CHECK(sim, real == slow);
	return real;
}

static void device_start(struct sim *sim)
{
	slow_device_start(&sim->slow, sim->ram, &sim->setup);
	CHECK(sim, virtqueue_start(&sim->queue, &sim->memory, &sim->setup) == 0);
	CHECK(sim, virtqueue_ready(&sim->queue));
	CHECK(sim, virtqueue_base(&sim->queue) == slow_device_base(&sim->slow));
}

/*
 * Rounds
 */

/* Any number of entries gone by, so that every wrap comes about. */
static void begin_somewhere(struct sim *sim)
{
	uint64_t gone = one_in(sim, 4) ? 0 : draw(sim) % 0x40000;
	bool swap = sim->setup.big_endian;

	if (one_in(sim, 4))
		gone = gone - gone % 0x10000 + 0xfff8;
	sim->driver.offered = sim->driver.collected = sim->driver.kicked = gone;
	if (!sim->setup.packed) {
		slow_put(sim->ram, sim->setup.driver + 2, 2, gone, swap);
		slow_put(sim->ram, sim->setup.device + 2, 2, gone, swap);
		sim->setup.base = (uint32_t)(gone % 0x10000);
		return;
	}
	sim->setup.base = (uint32_t)(gone % sim->setup.size);
	if (gone / sim->setup.size % 2 == 0)
		sim->setup.base |= 0x8000;
	sim->setup.base |= sim->setup.base << 16;
}

static void begin_round(struct sim *sim, unsigned int round)
{
	sim->round = round;
	sim->random = sim->seed * UINT64_C(0x9e3779b97f4a7c15) + round;
	sim->setup = (struct virtqueue_setup){
		.packed = one_in(sim, 2),
		.indirect = one_in(sim, 2),
		.event_idx = one_in(sim, 2),
	};
	sim->setup.big_endian = !sim->setup.packed && one_in(sim, 3);
	sim->setup.size = (uint16_t)(sim->setup.packed ? 1 + below(sim, one_in(sim, 8) ? 1024 : 40)
						       : 1u << below(sim, one_in(sim, 8) ? 11 : 6));
	slow_place_rings(&sim->setup);
	slow_driver_start(&sim->driver, sim->ram, &sim->setup);
	begin_somewhere(sim);
	device_start(sim);
	sim->offered_count = sim->taken_count = sim->returned_count = 0;
}

static void random_buffer(struct sim *sim, struct slow_buffer *buffer)
{
	buffer->count = 1 + below(sim, one_in(sim, 4) ? SLOW_BUFFER_SEGMENTS : 4);
	buffer->readable = one_in(sim, 3)   ? below(sim, buffer->count + 1)
			   : one_in(sim, 2) ? 0
					    : buffer->count;
	buffer->direct = buffer->count;
	if (sim->setup.indirect && one_in(sim, 2))
		buffer->direct = sim->setup.packed ? 0 : below(sim, buffer->count);
	for (unsigned int i = 0; i < buffer->count; i++)
		buffer->segments[i] = (struct virtqueue_segment){
			.gpa = one_in(sim, 8) ? draw(sim) : BUFFERS + below(sim, 0x1000),
			.length =
				one_in(sim, 6) ? 0 : (uint32_t)(draw(sim) >> below(sim, 31) >> 32),
		};
}

static void remove_at(struct flight *flights, unsigned int *count, unsigned int at)
{
	--*count;
	memmove(&flights[at], &flights[at + 1], (*count - at) * sizeof(*flights));
}

static void driver_offers(struct sim *sim)
{
	struct flight *flight = &sim->offered[sim->offered_count];
	unsigned int flying = sim->offered_count + sim->taken_count + sim->returned_count;
	int id;

	if (flying == sim->setup.size)
		return;
	random_buffer(sim, &flight->buffer);
	id = slow_driver_offer(&sim->driver, &flight->buffer);
	if (id < 0)
		return;
	flight->id = (uint16_t)id;
	sim->offered_count++;
}

/* The chain popped last is what the driver offered in @buffer. */
static void check_chain(struct sim *sim, const struct slow_buffer *buffer)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < buffer->count; i++) {
		const struct virtqueue_segment *segment = &buffer->segments[i];

		if (segment->length == 0)
			continue;
		if (sim->chain.fault == VIRTQUEUE_EMPTY)
			fail_msg("AEROSTAT_SEED=%" PRIu64 ", round %u: not empty", sim->seed,
				 sim->round);
		CHECK(sim, sim->chain.segments[at].gpa == segment->gpa);
		CHECK(sim, sim->chain.segments[at].length == segment->length);
		CHECK(sim, (at < sim->chain.readable) == (i < buffer->readable));
		at++;
	}
	CHECK(sim, sim->chain.readable + sim->chain.writable == at);
	CHECK(sim, sim->chain.fault == (at ? VIRTQUEUE_OK : VIRTQUEUE_EMPTY));
}

static bool device_takes(struct sim *sim)
{
	int result = device_pop(sim);

	CHECK(sim, result == (sim->offered_count ? 1 : 0));
	if (result == 0)
		return false;
	CHECK(sim, sim->chain.token.id == sim->offered[0].id);
	check_chain(sim, &sim->offered[0].buffer);
	sim->taken[sim->taken_count] = sim->offered[0];
	sim->taken[sim->taken_count++].token = sim->chain.token;
	remove_at(sim->offered, &sim->offered_count, 0);
	return true;
}

static void device_returns(struct sim *sim)
{
	unsigned int at;
	struct flight *flight;

	if (sim->taken_count == 0)
		return;
	at = one_in(sim, 2) ? 0 : below(sim, sim->taken_count);
	flight = &sim->taken[at];
	flight->written = one_in(sim, 2) ? 0 : (uint32_t)draw(sim);
	device_push(sim, flight->token, flight->written);
	sim->returned[sim->returned_count++] = *flight;
	remove_at(sim->taken, &sim->taken_count, at);
}

static bool driver_collects(struct sim *sim)
{
	uint32_t written = 0;
	uint16_t id = 0;
	bool got = slow_driver_collect(&sim->driver, &id, &written);

	CHECK(sim, got == (sim->returned_count > 0));
	if (!got)
		return false;
	CHECK(sim, id == sim->returned[0].id);
	CHECK(sim, written == sim->returned[0].written);
	remove_at(sim->returned, &sim->returned_count, 0);
	return true;
}

/* All that the device holds is returned, then another process is the device. */
static void device_moves(struct sim *sim)
{
	while (sim->taken_count)
		device_returns(sim);
	virtqueue_stop(&sim->queue);
	CHECK(sim, virtqueue_base(&sim->queue) == slow_device_base(&sim->slow));
	sim->setup.base = virtqueue_base(&sim->queue);
	device_start(sim);
}

static void random_step(struct sim *sim)
{
	unsigned int burst = one_in(sim, 4) ? 1 + below(sim, sim->setup.size) : 1;

	switch (below(sim, 10)) {
	case 0:
	case 1:
		while (burst--)
			driver_offers(sim);
		break;
	case 2:
		while (burst-- && driver_collects(sim))
			;
		break;
	case 3:
	case 4:
		while (burst-- && device_takes(sim))
			;
		break;
	case 5:
		while (burst--)
			device_returns(sim);
		break;
	case 6:
		device_should_notify(sim);
		break;
	case 7:
		if (one_in(sim, 2))
			device_quiet(sim);
		else
			CHECK(sim, device_listen(sim) == (sim->offered_count > 0));
		break;
	case 8:
		if (one_in(sim, 2))
			slow_driver_quiet(&sim->driver);
		else
			slow_driver_listen(&sim->driver, 1 + below(sim, sim->setup.size));
		break;
	default:
		if (one_in(sim, 8))
			device_moves(sim);
		break;
	}
}

static void both_devices_serve_a_driver_alike(void **state)
{
	struct sim *sim = *state;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		begin_round(sim, round);
		for (unsigned int step = 0; step < STEPS; step++)
			random_step(sim);
	}
}

/*
 * Each side works only when it was notified, as on a real machine.
 */
struct wakefulness {
	bool device, driver; /* awake */
	unsigned int to_offer;
};

static void device_works(struct sim *sim, struct wakefulness *wake)
{
	wake->device = false;
	device_quiet(sim);
	do {
		while (device_takes(sim))
			if (one_in(sim, 2))
				device_returns(sim);
	} while (device_listen(sim));
	while (sim->taken_count)
		device_returns(sim);
	if (device_should_notify(sim))
		wake->driver = true;
}

static void driver_works(struct sim *sim, struct wakefulness *wake)
{
	unsigned int burst = below(sim, 2 * sim->setup.size) + 1;

	wake->driver = false;
	slow_driver_quiet(&sim->driver);
	while (driver_collects(sim))
		;
	while (burst-- && wake->to_offer) {
		unsigned int before = sim->offered_count;

		driver_offers(sim);
		wake->to_offer -= sim->offered_count - before;
	}
	if (slow_driver_should_kick(&sim->driver))
		wake->device = true;
	slow_driver_listen(&sim->driver, 1);
	/* As long as nothing is on its way, nobody but itself wakes the driver. */
	if (sim->returned_count || (wake->to_offer && !sim->offered_count && !sim->taken_count))
		wake->driver = true;
}

static void no_notification_that_is_needed_is_left_out(void **state)
{
	struct sim *sim = *state;

	for (unsigned int round = 0; round < ROUNDS / 10; round++) {
		struct wakefulness wake = { .driver = true, .to_offer = EVENT_DRIVEN_BUFFERS };

		begin_round(sim, round);
		/* From a small ring the largest buffers cannot go. */
		if (sim->setup.size < SLOW_BUFFER_SEGMENTS)
			continue;
		device_listen(sim);
		while (wake.device || wake.driver) {
			if (wake.device && (!wake.driver || one_in(sim, 2)))
				device_works(sim, &wake);
			else
				driver_works(sim, &wake);
		}
		CHECK(sim, wake.to_offer == 0);
		CHECK(sim, sim->offered_count + sim->taken_count + sim->returned_count == 0);
	}
}

/*
 * A driver that keeps no rules
 */

/* Numbers that hurt: small ones, those around the size, flags, and any. */
static uint64_t nasty(struct sim *sim)
{
	switch (below(sim, 6)) {
	case 0:
		return below(sim, 8);
	case 1:
		return sim->setup.size + below(sim, 3) - 1u;
	case 2:
		return 1u << below(sim, 16) | 1u << below(sim, 16);
	case 3:
		return below(sim, sim->setup.size + 1u) * UINT64_C(16);
	case 4:
		return UINT64_MAX - below(sim, 64);
	default:
		return draw(sim);
	}
}

static void scribble(struct sim *sim)
{
	static const unsigned int widths[] = { 2, 2, 2, 4, 8 };
	const struct virtqueue_setup *setup = &sim->setup;
	const uint64_t tables = SLOW_GPA + RINGS_BYTES;
	uint64_t where[] = { setup->desc + draw(sim) % (16u * setup->size),
			     setup->driver + draw(sim) % (6 + 2u * setup->size),
			     setup->device + draw(sim) % (6 + 8u * setup->size),
			     tables + draw(sim) % 0x2000 };
	uint64_t at = where[below(sim, 4)];
	unsigned int bytes = widths[below(sim, 5)];

	slow_put(sim->ram, at - at % bytes, bytes, nasty(sim), setup->big_endian);
}

/* Makes whatever stands in the ring available. */
static void publish(struct sim *sim)
{
	const struct virtqueue_setup *setup = &sim->setup;
	uint64_t ahead = 1 + below(sim, one_in(sim, 16) ? 2u * setup->size : 2);

	if (setup->packed) {
		uint64_t first = sim->slow.taken;

		for (uint64_t entry = first; entry < first + ahead; entry++) {
			uint64_t at = setup->desc + 16 * (entry % setup->size) + 14;
			uint64_t flags = slow_get(sim->ram, at, 2, false) & 0x7f7f;

			flags |= entry / setup->size % 2 == 0 ? 0x80 : 0x8000;
			slow_put(sim->ram, at, 2, flags, false);
		}
		return;
	}
	slow_put(sim->ram, setup->driver + 2, 2, sim->slow.taken + ahead, setup->big_endian);
}

static void hostile_step(struct sim *sim)
{
	switch (below(sim, 8)) {
	case 0:
	case 1:
		scribble(sim);
		break;
	case 2:
		publish(sim);
		break;
	case 3:
		/* Something good, for a change. */
		if (sim->driver.room)
			driver_offers(sim);
		break;
	case 4:
		if (sim->taken_count) {
			unsigned int at = below(sim, sim->taken_count);

			device_push(sim, sim->taken[at].token, (uint32_t)draw(sim));
			remove_at(sim->taken, &sim->taken_count, at);
		}
		break;
	case 5:
		device_should_notify(sim);
		device_listen(sim);
		break;
	default:
		if (device_pop(sim) <= 0)
			break;
		CHECK(sim, sim->taken_count < sim->setup.size);
		sim->taken[sim->taken_count++].token = sim->chain.token;
		break;
	}
}

static void both_devices_bear_a_hostile_driver_alike(void **state)
{
	struct sim *sim = *state;
	unsigned int faults[VIRTQUEUE_FAULT_COUNT] = { 0 }, broken = 0;

	for (unsigned int round = 0; round < 2 * ROUNDS; round++) {
		begin_round(sim, round);
		for (unsigned int step = 0; step < STEPS && !sim->queue.broken; step++) {
			sim->chain.token.count = 0;
			sim->offered_count = 0;
			hostile_step(sim);
			faults[sim->chain.fault] += sim->chain.token.count != 0;
		}
		broken += sim->queue.broken;
	}
	/* Else the rounds do not reach what they are for. */
	assert_true(broken > 0 && broken < 2 * ROUNDS);
	for (unsigned int i = 0; i < VIRTQUEUE_FAULT_COUNT; i++)
		assert_true(faults[i] > 0);
}

static void both_devices_bear_random_bytes_alike(void **state)
{
	struct sim *sim = *state;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		begin_round(sim, round);
		for (uint64_t at = SLOW_GPA; at < SLOW_GPA + RINGS_BYTES; at += 8)
			slow_put(sim->ram, at, 8, draw(sim), false);
		publish(sim);
		for (unsigned int step = 0; step < 4; step++) {
			if (device_pop(sim) > 0 && one_in(sim, 2))
				device_push(sim, sim->chain.token, 0);
			device_should_notify(sim);
			device_listen(sim);
		}
	}
}

/* Words of the first page of the rings, until @stop. */
struct scribbler {
	uint8_t *ram;
	uint64_t random;
	bool stop;
};

static void *scribble_on(void *data)
{
	struct scribbler *scribbler = data;
	uint64_t x = scribbler->random | 1;

	while (!__atomic_load_n(&scribbler->stop, __ATOMIC_RELAXED)) {
		/* xorshift */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		__atomic_store_n((uint16_t *)(void *)(scribbler->ram + (x >> 8) % 0x200 * 2),
				 (uint16_t)(x >> 32 & (x & 1 ? 0xffff : 0x8083)), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_driver_that_writes_meanwhile_does_no_harm(void **state)
{
	struct sim *sim = *state;
	struct scribbler scribbler = { .ram = sim->ram, .random = sim->seed };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, scribble_on, &scribbler), 0);
	for (unsigned int round = 0; round < 20 * ROUNDS; round++) {
		struct virtqueue_setup setup = {
			.desc = SLOW_GPA,
			.driver = SLOW_GPA + 0x200,
			.device = SLOW_GPA + 0x280,
			.size = 16,
			.indirect = true,
			.event_idx = true,
			.packed = round & 1,
			.base = round & 1 ? VIRTQUEUE_BASE_PACKED : round % 0x10000,
		};

		assert_int_equal(virtqueue_start(&sim->queue, &sim->memory, &setup), 0);
		for (unsigned int i = 0; i < 16; i++) {
			if (virtqueue_pop(&sim->queue, &sim->memory, &sim->chain) > 0)
				virtqueue_push(&sim->queue, sim->chain.token, 1);
			assert_true(sim->chain.readable + sim->chain.writable <=
				    VIRTQUEUE_SEGMENTS_MAX);
			virtqueue_should_notify(&sim->queue);
			virtqueue_enable_kicks(&sim->queue);
		}
	}
	__atomic_store_n(&scribbler.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

#define SIM(test) cmocka_unit_test_setup_teardown(test, setup_sim, teardown_sim)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SIM(both_devices_serve_a_driver_alike),
		SIM(no_notification_that_is_needed_is_left_out),
		SIM(both_devices_bear_a_hostile_driver_alike),
		SIM(both_devices_bear_random_bytes_alike),
		SIM(a_driver_that_writes_meanwhile_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
