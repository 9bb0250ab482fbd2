/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device, driven as stock Linux drives it: one buffer of 256 PFNs at a time,
 * and the next one when it has been returned.
 *
 * Theory of operation
 * -------------------
 * The rings are real ones, in a few pages of guest memory behind the guest's
 * RAM.  When a buffer has been returned, the device may do what is due by then,
 * and no more: what waits to be batched still waits.  The stream comes faster than
 * any guest can send it, so more is batched than in reality.  With a rate, the
 * device's clock advances as it would with a guest of that rate, and the number of
 * calls is that of such a guest.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/play_ways.h"
#include "device/balloon.h"

#define RING_SIZE 256
#define QUEUES 2

/* Split virtqueues, VIRTIO 1.2, 2.7. */
struct desc {
	uint64_t gpa;
	uint32_t length;
	uint16_t flags, next;
};

struct queue {
	_Alignas(4096) struct desc desc[RING_SIZE];
	_Alignas(4096) struct {
		uint16_t flags, index, heads[RING_SIZE];
	} driver;
	_Alignas(4096) struct {
		uint16_t flags, index;
		struct {
			uint32_t id, length;
		} entries[RING_SIZE];
	} device;
	_Alignas(4096) uint32_t pfns[PLAY_BUFFER_PFNS];
};

/* The guest's rings and buffers, behind its RAM. */
struct rings {
	_Alignas(4096) struct queue queues[QUEUES];
};

struct driver {
	struct play *play;
	struct balloon *balloon;
	struct rings *rings;
	uint64_t rings_gpa;
	uint64_t sent_bytes, waited_ns; /* the clock, if there is a rate */
};

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void *data)
{
	const struct driver *driver = data;

	if (driver->play->rate_bytes == 0)
		return real_ns();
	return 1 + driver->waited_ns +
	       (uint64_t)((double)driver->sent_bytes / driver->play->rate_bytes * 1e9);
}

static void ignore_queue(void *data, unsigned int queue)
{
	(void)data;
	(void)queue;
}

static void ignore(void *data)
{
	(void)data;
}

static void ignore_event(void *data, enum balloon_event event)
{
	(void)data;
	(void)event;
}

static void say(void *data, const char *line)
{
	(void)data;
	fprintf(stderr, "device-play: %s\n", line);
}

static void work(struct driver *driver)
{
	while (balloon_work(driver->balloon) == 0)
		;
}

/* Does all pending work, and lets the time pass that it waits for. */
static void work_to_the_end(struct driver *driver)
{
	uint64_t wait_ns;

	while ((wait_ns = balloon_work(driver->balloon)) != BALLOON_IDLE) {
		if (driver->play->rate_bytes > 0)
			driver->waited_ns += wait_ns;
		else if (wait_ns)
			usleep((useconds_t)(wait_ns / 1000 + 1));
	}
}

/* Sends one buffer; returns whether the device returned it. */
static bool send(struct driver *driver, unsigned int number, const uint32_t *pfns, size_t count)
{
	struct queue *queue = &driver->rings->queues[number];
	uint16_t index = queue->driver.index, slot = index % RING_SIZE;
	uint64_t offset = (uint64_t)((uint8_t *)queue->pfns - (uint8_t *)driver->rings);

	memcpy(queue->pfns, pfns, count * sizeof(*pfns));
	queue->desc[slot] = (struct desc){ .gpa = driver->rings_gpa + offset,
					   .length = (uint32_t)(count * sizeof(*pfns)) };
	queue->driver.heads[slot] = slot;
	__atomic_store_n(&queue->driver.index, (uint16_t)(index + 1), __ATOMIC_RELEASE);
	balloon_kick(driver->balloon, number);
	driver->sent_bytes += count * PLAY_PAGE_BYTES;
	work(driver);
	return __atomic_load_n(&queue->device.index, __ATOMIC_ACQUIRE) == (uint16_t)(index + 1);
}

static bool send_all(struct driver *driver, unsigned int number)
{
	const struct play_stream *stream = driver->play->stream;

	for (size_t at = 0; at < stream->count; at += PLAY_BUFFER_PFNS) {
		size_t left = stream->count - at;

		if (!send(driver, number, stream->pfns + at,
			  left < PLAY_BUFFER_PFNS ? left : PLAY_BUFFER_PFNS))
			return false;
	}
	return true;
}

/* Writes `actual`, as the driver does when it has reached its target. */
static void tell_actual(struct driver *driver, size_t pages)
{
	uint32_t actual = htole32((uint32_t)pages);

	balloon_config_write(driver->balloon, 4, &actual, sizeof(actual));
}

static uint64_t gpa_of(const struct driver *driver, const void *at)
{
	return driver->rings_gpa + (uint64_t)((const uint8_t *)at - (uint8_t *)driver->rings);
}

static int add_memory(struct driver *driver)
{
	const struct backing *backing = driver->play->backing;
	int fd, error;

	driver->rings_gpa = backing->bytes;
	error = balloon_add(driver->balloon, driver->rings_gpa, sizeof(*driver->rings),
			    driver->rings);
	if (error || backing->fd < 0)
		return error ? error
			     : balloon_add(driver->balloon, 0, backing->bytes, backing->host);
	fd = dup(backing->fd);
	if (fd < 0)
		return -errno;
	error = balloon_map(driver->balloon, 0, backing->bytes, fd, 0, true);
	if (error)
		close(fd);
	return error;
}

static int start_queue(struct driver *driver, unsigned int number)
{
	struct queue *queue = &driver->rings->queues[number];
	const struct virtqueue_setup setup = {
		.desc = gpa_of(driver, queue->desc),
		.driver = gpa_of(driver, &queue->driver),
		.device = gpa_of(driver, &queue->device),
		.size = RING_SIZE,
	};

	return balloon_queue_start(driver->balloon, number, &setup, NULL);
}

static const char *start(struct driver *driver, bool must_tell)
{
	uint64_t features = BALLOON_BIT(VIRTIO_F_VERSION_1) |
			    (must_tell ? BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) : 0);
	const struct balloon_options options = {
		.features = features,
		.max_bytes = driver->play->backing->bytes,
		.release_delay_ns = BALLOON_RELEASE_DELAY_NS,
	};
	const struct balloon_host host = {
		.notify_queue = ignore_queue,
		.notify_config = ignore,
		.event = ignore_event,
		.log = say,
		.now_ns = now_ns,
		.data = driver,
	};

	driver->balloon = balloon_new(&options, &host);
	if (!driver->balloon || add_memory(driver))
		return "the device took no memory";
	if (!balloon_set_features(driver->balloon, features))
		return "the device took no features";
	for (unsigned int i = 0; i < QUEUES; i++)
		if (start_queue(driver, i))
			return "the device took no queue";
	balloon_driver_ok(driver->balloon);
	balloon_set_target(driver->balloon,
			   options.max_bytes - driver->play->stream->count * PLAY_PAGE_BYTES);
	return NULL;
}

static const char *inflate(struct driver *driver)
{
	struct play_times begin = play_times();

	if (!send_all(driver, BALLOON_INFLATE))
		return "the device returned no buffer";
	tell_actual(driver, driver->play->stream->count);
	work_to_the_end(driver);
	play_measured(driver->play, &begin);
	driver->play->calls = balloon_counter(driver->balloon, BALLOON_C_RELEASE_CALLS);
	driver->play->failed = balloon_counter(driver->balloon, BALLOON_C_RELEASE_FAILED);
	driver->play->released_bytes = balloon_counter(driver->balloon, BALLOON_C_RELEASED_BYTES);
	return NULL;
}

static const char *deflate(struct driver *driver)
{
	if (!send_all(driver, BALLOON_DEFLATE))
		return "the device returned no buffer";
	tell_actual(driver, 0);
	work_to_the_end(driver);
	return NULL;
}

/* Runs @then on an inflated device, before it is deflated. */
static const char *cycle(struct play *play, bool must_tell,
			 const char *(*then)(struct driver *driver, void *data), void *data)
{
	static struct rings rings;
	struct driver driver = { .play = play, .rings = &rings };
	const char *why;

	memset(&rings, 0, sizeof(rings));
	why = start(&driver, must_tell);
	if (!why)
		why = inflate(&driver);
	if (!why && then)
		why = then(&driver, data);
	if (!why)
		why = deflate(&driver);
	balloon_free(driver.balloon);
	return why;
}

const char *play_device(struct play *play)
{
	return cycle(play, true, NULL, NULL);
}

const char *play_device_untold(struct play *play)
{
	return cycle(play, false, NULL, NULL);
}

static struct play_audit audit(struct driver *driver)
{
	struct play_times begin = play_times();
	struct balloon_audit result;

	balloon_audit_start(driver->balloon);
	work_to_the_end(driver);
	result = balloon_audit_result(driver->balloon);
	return (struct play_audit){
		.pages = result.checked_pages,
		.resident = result.resident_pages,
		.cpu_s = play_times().cpu_s - begin.cpu_s,
	};
}

static const char *audit_twice(struct driver *driver, void *data)
{
	struct play_audit *audits = data;
	const char *why;

	audits[0] = audit(driver);
	why = backing_touch(driver->play->backing);
	audits[1] = audit(driver);
	return why;
}

const char *play_audits(struct play *play, struct play_audit *untouched, struct play_audit *touched)
{
	struct play_audit audits[2];
	const char *why = cycle(play, true, audit_twice, audits);

	*untouched = audits[0];
	*touched = audits[1];
	return why;
}
