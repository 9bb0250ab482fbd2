/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz/harness.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_ROUNDS_MAX 4000
#define FDS_WATCHED 256

/*
 * The host
 */
static void notify_queue(void *data, unsigned int queue)
{
	struct harness *harness = data;

	require(queue < balloon_queue_count(harness->balloon));
	if (harness->transport)
		harness->ops->notify_queue(harness->transport, queue);
}

static void notify_config(void *data)
{
	struct harness *harness = data;

	if (harness->transport)
		harness->ops->notify_config(harness->transport);
}

static void check_event(void *data, enum balloon_event event)
{
	(void)data;
	require(event <= BALLOON_EVENT_PULL);
}

static void check_log_line(void *data, const char *line)
{
	(void)data;
	require(line[0] && !strchr(line, '\n'));
}

static uint64_t harness_now_ns(void *data)
{
	const struct harness *harness = data;

	return harness->now_ns;
}

struct balloon_host harness_host(struct harness *harness)
{
	return (struct balloon_host){
		.notify_queue = notify_queue,
		.notify_config = notify_config,
		.event = check_event,
		.log = check_log_line,
		.now_ns = harness_now_ns,
		.data = harness,
	};
}

/*
 * The loop
 */
static uint64_t work(void *data)
{
	return balloon_work(data);
}

void harness_begin(struct harness *harness, const struct balloon_options *options,
		   const struct balloon_host *host)
{
	harness->loop = loop_new();
	harness->balloon = balloon_new(options, host);
	require(harness->loop && harness->balloon);
	loop_set_work(harness->loop, work, harness->balloon);
}

void harness_end(struct harness *harness)
{
	balloon_free(harness->balloon);
	loop_free(harness->loop);
}

void harness_rounds(struct harness *harness, unsigned int rounds)
{
	while (rounds--)
		require(!loop_round(harness->loop, 0));
}

void harness_settle(struct harness *harness)
{
	unsigned int rounds = 0;

	while (balloon_work(harness->balloon) == 0)
		require(++rounds < SETTLE_ROUNDS_MAX);
}

/*
 * The connection
 */
static void closed(void *data, const char *why)
{
	struct harness *harness = data;

	require(why[0] && !harness->closed && harness->may_close);
	harness->closed = true;
}

int harness_connect(struct harness *harness, const struct transport_ops *ops, bool msix)
{
	const struct transport_context context = {
		.loop = harness->loop,
		.balloon = harness->balloon,
		.msix = msix,
		.log = check_log_line,
		.closed = closed,
		.data = harness,
	};
	int ends[2];

	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
	harness->closed = false;
	harness->ops = ops;
	harness->transport = ops->open(&context, ends[1]);
	require(harness->transport);
	return ends[0];
}

void harness_disconnect(struct harness *harness)
{
	struct transport *transport = harness->transport;

	harness->transport = NULL;
	harness->ops->close(transport);
	require(balloon_memory(harness->balloon)->count == 0);
	require(!balloon_is_driver_ok(harness->balloon));
}

void drain_socket(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

/*
 * The guest
 */
void guest_map(struct guest *guest, int memory_fd)
{
	guest->ram = mmap(NULL, GUEST_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	require(guest->ram != MAP_FAILED);
}

void guest_unmap(struct guest *guest)
{
	munmap(guest->ram, GUEST_RAM_BYTES);
}

void guest_clear_ring(struct guest *guest, unsigned int queue)
{
	memset(guest->ram + queue * GUEST_RING_BYTES, 0, GUEST_RING_BYTES);
	guest->offered[queue] = 0;
}

void guest_write(struct guest *guest, struct script *script)
{
	uint16_t offset = script_u16(script);
	const uint8_t *bytes;
	size_t count = script_bytes(script, script_u8(script), &bytes);

	if (count)
		memcpy(guest->ram + offset, bytes, count);
}

unsigned int guest_offer(struct guest *guest, struct script *script)
{
	unsigned int queue = script_u8(script) % BALLOON_QUEUES_MAX;
	uint8_t *ring = guest->ram + queue * GUEST_RING_BYTES;
	uint16_t slot = guest->offered[queue]++ % GUEST_RING_SIZE;
	uint64_t gpa = script_u32(script);
	uint32_t length = script_u16(script);
	uint16_t flags = script_u8(script);

	memcpy(ring + slot * 16, &gpa, 8);
	memcpy(ring + slot * 16 + 8, &length, 4);
	memcpy(ring + slot * 16 + 12, &flags, 2);
	memcpy(ring + GUEST_AVAIL_OFFSET + 4 + 2 * slot, &slot, 2);
	memcpy(ring + GUEST_AVAIL_OFFSET + 2, &guest->offered[queue], 2);
	return queue;
}

/*
 * File descriptors
 */
int memory_file(uint64_t bytes)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && !ftruncate(fd, (off_t)bytes));
	return fd;
}

void signal_eventfd(int fd, uint64_t count)
{
	/* A full counter refuses; it is signalled anyway. */
	(void)!write(fd, &count, sizeof(count));
}

unsigned int count_open_fds(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < FDS_WATCHED; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}
