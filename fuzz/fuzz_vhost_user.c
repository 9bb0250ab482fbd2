/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user backend under a VMM that does what the input says, over a
 * socket pair and 4 MiB of a memfd.
 *
 * Input: steps, each a byte that says which (modulo their number) and what it
 * takes.  START makes a guest that works, so that little is needed to get deep.
 * What is looked for besides crashes: file descriptors that are left over, and
 * rounds of the loop that find no end.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/script.h"
#include "transport/transport.h"
#include "transport/vhost_user_wire.h"

#define RAM_BYTES UINT64_C(0x400000)
#define USER UINT64_C(0x7f0000000000)
#define RING_BYTES 0x1000u /* ring number n stands at n times this */
#define AVAIL_OFFSET 0x400u
#define USED_OFFSET 0x600u
#define RING_SIZE 64
#define STEPS_MAX 200
#define ROUNDS_MAX 4000
#define FDS_WATCHED 256

enum step {
	RAW,	 /* u8 count, bytes: as they are */
	MESSAGE, /* u8 request, u8 flags, u8 size, bytes, u8 count of fds, u8 kind of each */
	STATE,	 /* u8 request, u8 index, u16 num: a message with a vring state */
	EVENTFD, /* u8 request, u16 word, u8 kind */
	ADDR,	 /* u8 index, u32 offset */
	TABLE,	 /* u8 count */
	START,	 /* what QEMU does until the driver is there */
	STOP,	 /* what it does for a pause */
	KICK,	 /* u8 kinds of kick */
	MEMORY,	 /* u16 offset, u8 count, bytes: written by the guest */
	OFFER,	 /* u8 ring, u32 address, u16 length, u8 flags */
	PUMP,	 /* u8 rounds */
	TARGET,	 /* u32 pages */
	READ,	 /* what the device sent */
	RECONNECT,
	STEPS
};

enum kind { MEMORY_FD, EVENT_FD, SOCKET_FD, PIPE_FD, READ_ONLY_FD, KINDS };

struct fuzz {
	struct script script;
	struct loop *loop;
	struct balloon *balloon;
	struct transport *transport;
	int vmm; /* the VMM's end */
	int fds[KINDS], other_socket, other_pipe;
	uint8_t *ram;
	uint16_t offered[BALLOON_QUEUES_MAX];
	bool closed;
	uint64_t now_ns;
};

static void notify_queue(void *data, unsigned int queue)
{
	struct fuzz *fuzz = data;

	if (fuzz->transport)
		vhost_user_ops.notify_queue(fuzz->transport, queue);
}

static void notify_config(void *data)
{
	struct fuzz *fuzz = data;

	if (fuzz->transport)
		vhost_user_ops.notify_config(fuzz->transport);
}

static void event(void *data, enum balloon_event what)
{
	(void)data;
	require(what <= BALLOON_EVENT_DRIVER);
}

static void log_line(void *data, const char *line)
{
	(void)data;
	require(line[0] && !strchr(line, '\n'));
}

static void closed(void *data, const char *why)
{
	struct fuzz *fuzz = data;

	require(why[0] && !fuzz->closed);
	fuzz->closed = true;
}

static uint64_t clock_ns(void *data)
{
	return ((struct fuzz *)data)->now_ns;
}

static uint64_t work(void *data)
{
	return balloon_work(data);
}

static void open_transport(struct fuzz *fuzz)
{
	const struct transport_context context = {
		.loop = fuzz->loop,
		.balloon = fuzz->balloon,
		.log = log_line,
		.closed = closed,
		.data = fuzz,
	};
	int ends[2];

	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
	fuzz->vmm = ends[0];
	fuzz->closed = false;
	fuzz->transport = vhost_user_ops.open(&context, ends[1]);
	require(fuzz->transport);
}

static void close_transport(struct fuzz *fuzz)
{
	struct transport *transport = fuzz->transport;

	fuzz->transport = NULL;
	vhost_user_ops.close(transport);
	close(fuzz->vmm);
	require(balloon_memory(fuzz->balloon)->count == 0);
	require(!balloon_is_driver_ok(fuzz->balloon));
}

static void pump(struct fuzz *fuzz, unsigned int rounds)
{
	while (rounds--)
		require(!loop_round(fuzz->loop, 0));
}

/* Reads what the device answered, so that it never waits for room. */
static void read_answers(struct fuzz *fuzz)
{
	char bytes[4096];

	while (recv(fuzz->vmm, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void send_bytes(struct fuzz *fuzz, const void *bytes, size_t size, const int *fds,
		       unsigned int count)
{
	union {
		char bytes[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec piece = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(count * sizeof(int)),
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, count * sizeof(int));
	}
	if (size)
		sendmsg(fuzz->vmm, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_message(struct fuzz *fuzz, uint32_t request, const void *payload, uint32_t size,
			 const int *fds, unsigned int count)
{
	const struct vhost_user_header header = { request,
						  VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
						  size };
	uint8_t bytes[sizeof(header) + sizeof(union vhost_user_payload)];

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), payload, size);
	send_bytes(fuzz, bytes, sizeof(header) + size, fds, count);
	pump(fuzz, 2);
}

static void send_state(struct fuzz *fuzz, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state state = { index, num };

	send_message(fuzz, request, &state, sizeof(state), NULL, 0);
}

static void send_addr(struct fuzz *fuzz, uint32_t index, uint64_t offset)
{
	const uint64_t ring = USER + offset;
	const struct vhost_user_vring_addr addr = {
		.index = index,
		.desc = ring,
		.avail = ring + AVAIL_OFFSET,
		.used = ring + USED_OFFSET,
	};

	send_message(fuzz, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

static void send_u64(struct fuzz *fuzz, uint32_t request, uint64_t value, int fd)
{
	send_message(fuzz, request, &value, sizeof(value), &fd, fd >= 0);
}

static void send_table(struct fuzz *fuzz, unsigned int count)
{
	struct vhost_user_mem_table table = { .count = count };
	int fds[VHOST_USER_TABLE_MAX];

	for (unsigned int i = 0; i < count; i++) {
		uint64_t at = i * (RAM_BYTES / count) & ~UINT64_C(4095);

		table.regions[i] =
			(struct vhost_user_region){ at, RAM_BYTES / count & ~UINT64_C(4095),
						    USER + at, at };
		fds[i] = fuzz->fds[MEMORY_FD];
	}
	send_message(fuzz, VHOST_USER_SET_MEM_TABLE, &table, 8 + 32 * count, fds, count);
}

static void step_start(struct fuzz *fuzz)
{
	send_u64(fuzz, VHOST_USER_SET_PROTOCOL_FEATURES, 0xa269, -1);
	send_message(fuzz, VHOST_USER_SET_BACKEND_REQ_FD, "", 0, &fuzz->fds[SOCKET_FD], 1);
	send_u64(fuzz, VHOST_USER_SET_FEATURES,
		 balloon_offered(fuzz->balloon) | UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES,
		 -1);
	send_table(fuzz, 2);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		memset(fuzz->ram + i * RING_BYTES, 0, RING_BYTES);
		fuzz->offered[i] = 0;
		send_state(fuzz, VHOST_USER_SET_VRING_NUM, i, RING_SIZE);
		send_state(fuzz, VHOST_USER_SET_VRING_BASE, i, 0);
		send_addr(fuzz, i, i * RING_BYTES);
		send_u64(fuzz, VHOST_USER_SET_VRING_KICK, i, fuzz->fds[EVENT_FD]);
		send_u64(fuzz, VHOST_USER_SET_VRING_CALL, i, fuzz->fds[EVENT_FD]);
	}
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		send_state(fuzz, VHOST_USER_SET_VRING_ENABLE, i, 1);
	read_answers(fuzz);
}

static void step_stop(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		send_state(fuzz, VHOST_USER_SET_VRING_ENABLE, i, 0);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		send_state(fuzz, VHOST_USER_GET_VRING_BASE, i, 0);
	read_answers(fuzz);
}

static void step_raw(struct fuzz *fuzz)
{
	const uint8_t *bytes;
	size_t size = script_bytes(&fuzz->script, script_u8(&fuzz->script), &bytes);

	send_bytes(fuzz, bytes, size, NULL, 0);
}

static void step_message(struct fuzz *fuzz)
{
	struct vhost_user_header header = { .request = script_u8(&fuzz->script) };
	uint8_t bytes[sizeof(header) + UINT8_MAX];
	const uint8_t *payload;
	int fds[16];
	unsigned int count;

	header.flags = script_u8(&fuzz->script);
	header.size = (uint32_t)script_bytes(&fuzz->script, script_u8(&fuzz->script), &payload);
	memcpy(bytes, &header, sizeof(header));
	if (header.size)
		memcpy(bytes + sizeof(header), payload, header.size);
	count = script_u8(&fuzz->script) % 12;
	for (unsigned int i = 0; i < count; i++)
		fds[i] = fuzz->fds[script_u8(&fuzz->script) % KINDS];
	send_bytes(fuzz, bytes, sizeof(header) + header.size, fds, count);
}

static void step_eventfd(struct fuzz *fuzz)
{
	uint8_t request = script_u8(&fuzz->script);
	uint16_t word = script_u16(&fuzz->script);
	uint8_t kind = script_u8(&fuzz->script) % (KINDS + 1);

	send_u64(fuzz, request, word, kind < KINDS ? fuzz->fds[kind] : -1);
}

static void step_kick(struct fuzz *fuzz)
{
	const uint64_t count = script_u8(&fuzz->script);

	/* A full one refuses; it is signalled anyway. */
	(void)!write(fuzz->fds[EVENT_FD], &count, sizeof(count));
}

static void step_memory(struct fuzz *fuzz)
{
	uint16_t offset = script_u16(&fuzz->script);
	const uint8_t *bytes;
	size_t count = script_bytes(&fuzz->script, script_u8(&fuzz->script), &bytes);

	if (count)
		memcpy(fuzz->ram + offset, bytes, count);
}

static void step_offer(struct fuzz *fuzz)
{
	unsigned int index = script_u8(&fuzz->script) % BALLOON_QUEUES_MAX;
	uint8_t *ring = fuzz->ram + index * RING_BYTES;
	uint16_t slot = fuzz->offered[index]++ % RING_SIZE;
	uint64_t gpa = script_u32(&fuzz->script);
	uint32_t length = script_u16(&fuzz->script);
	uint16_t flags = script_u8(&fuzz->script);

	memcpy(ring + slot * 16, &gpa, 8);
	memcpy(ring + slot * 16 + 8, &length, 4);
	memcpy(ring + slot * 16 + 12, &flags, 2);
	memcpy(ring + AVAIL_OFFSET + 4 + 2 * slot, &slot, 2);
	memcpy(ring + AVAIL_OFFSET + 2, &fuzz->offered[index], 2);
}

static void step(struct fuzz *fuzz)
{
	switch ((enum step)(script_u8(&fuzz->script) % STEPS)) {
	case RAW:
		step_raw(fuzz);
		break;
	case MESSAGE:
		step_message(fuzz);
		break;
	case STATE: {
		uint8_t request = script_u8(&fuzz->script), index = script_u8(&fuzz->script);

		send_state(fuzz, request, index, script_u16(&fuzz->script));
		break;
	}
	case EVENTFD:
		step_eventfd(fuzz);
		break;
	case ADDR: {
		uint8_t index = script_u8(&fuzz->script);

		send_addr(fuzz, index, script_u32(&fuzz->script));
		break;
	}
	case TABLE:
		send_table(fuzz, script_u8(&fuzz->script) % (VHOST_USER_TABLE_MAX + 1));
		break;
	case START:
		step_start(fuzz);
		break;
	case STOP:
		step_stop(fuzz);
		break;
	case KICK:
		step_kick(fuzz);
		break;
	case MEMORY:
		step_memory(fuzz);
		break;
	case OFFER:
		step_offer(fuzz);
		break;
	case PUMP:
		fuzz->now_ns += BALLOON_RELEASE_DELAY_NS;
		pump(fuzz, script_u8(&fuzz->script) % 32);
		break;
	case TARGET:
		balloon_set_target(fuzz->balloon, script_u32(&fuzz->script) * UINT64_C(4096));
		break;
	case READ:
		read_answers(fuzz);
		break;
	case RECONNECT:
		close_transport(fuzz);
		open_transport(fuzz);
		break;
	case STEPS:
		break;
	}
}

/* Once the VMM is silent the device has to come to rest: no socket is ready, no work is left. */
static void settle(struct fuzz *fuzz)
{
	unsigned int rounds = 0;

	read_answers(fuzz);
	while (balloon_work(fuzz->balloon) == 0)
		require(++rounds < ROUNDS_MAX);
	pump(fuzz, 4);
}

static unsigned int open_fds(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < FDS_WATCHED; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void begin(struct fuzz *fuzz)
{
	const struct balloon_options options = {
		.features = BALLOON_BIT(BALLOON_F_MUST_TELL_HOST) |
			    BALLOON_BIT(BALLOON_F_STATS_VQ) |
			    BALLOON_BIT(BALLOON_F_FREE_PAGE_HINT) |
			    BALLOON_BIT(BALLOON_F_PAGE_REPORTING) |
			    BALLOON_BIT(VIRTIO_F_RING_INDIRECT_DESC),
		.release_delay_ns = BALLOON_RELEASE_DELAY_NS,
	};
	const struct balloon_host host = {
		.notify_queue = notify_queue,
		.notify_config = notify_config,
		.event = event,
		.log = log_line,
		.now_ns = clock_ns,
		.data = fuzz,
	};
	int sockets[2], pipes[2];

	fuzz->loop = loop_new();
	fuzz->balloon = balloon_new(&options, &host);
	require(fuzz->loop && fuzz->balloon);
	loop_set_work(fuzz->loop, work, fuzz->balloon);
	fuzz->fds[MEMORY_FD] = memfd_create("fuzz", MFD_CLOEXEC);
	require(!ftruncate(fuzz->fds[MEMORY_FD], (off_t)RAM_BYTES));
	fuzz->ram =
		mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fuzz->fds[MEMORY_FD], 0);
	require(fuzz->ram != MAP_FAILED);
	fuzz->fds[EVENT_FD] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	require(!pipe2(pipes, O_CLOEXEC));
	fuzz->fds[SOCKET_FD] = sockets[0];
	fuzz->other_socket = sockets[1];
	fuzz->fds[PIPE_FD] = pipes[0];
	fuzz->other_pipe = pipes[1];
	fuzz->fds[READ_ONLY_FD] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_transport(fuzz);
}

static void end(struct fuzz *fuzz)
{
	close_transport(fuzz);
	balloon_free(fuzz->balloon);
	loop_free(fuzz->loop);
	munmap(fuzz->ram, RAM_BYTES);
	for (unsigned int i = 0; i < KINDS; i++)
		close(fuzz->fds[i]);
	close(fuzz->other_socket);
	close(fuzz->other_pipe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { .script = { data, size }, .now_ns = 1 };
	unsigned int before = open_fds();

	begin(&fuzz);
	for (unsigned int i = 0; i < STEPS_MAX && fuzz.script.left; i++) {
		step(&fuzz);
		pump(&fuzz, 1);
	}
	settle(&fuzz);
	end(&fuzz);
	require(open_fds() == before);
	return 0;
}
