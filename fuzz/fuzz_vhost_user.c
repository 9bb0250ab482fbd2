/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user backend, with a VMM that does what the input says, over a socket
 * pair and with 4 MiB of a memfd.
 *
 * The input is steps: a byte that selects the step (modulo their number), and its
 * arguments.  START sets up a working guest, so that short inputs get deep.
 * Besides crashes, this looks for leaked file descriptors, and for rounds of the
 * loop that do not end.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/harness.h"
#include "transport/vhost_user_wire.h"

#define USER UINT64_C(0x7f0000000000)
#define STEPS_MAX 200

enum step {
	RAW,	 /* u8 count, bytes: as they are */
	MESSAGE, /* u8 request, u8 flags, u8 size, bytes, u8 count of fds, u8 kind of each */
	STATE,	 /* u8 request, u8 index, u16 num: a message with a vring state */
	EVENTFD, /* u8 request, u16 word, u8 kind */
	ADDR,	 /* u8 index, u32 offset */
	TABLE,	 /* u8 count */
	START,	 /* what QEMU does until the driver is ready */
	STOP,	 /* what QEMU does for a pause */
	KICK,	 /* u8 kinds of kick */
	MEMORY,	 /* u16 offset, u8 count, bytes: written by the guest */
	OFFER,	 /* u8 ring, u32 address, u16 length, u8 flags */
	PUMP,	 /* u8 rounds */
	TARGET,	 /* u32 pages */
	READ,	 /* what the device sent */
	RECONNECT,
	FLOOD, /* u8 count: requests whose replies are not read */
	SHUT,  /* u8: the VMM ends the connection for reading, for writing, or the other socket */
	STEPS
};

/* PIPE_FD is the end that can be read, PIPE_END_FD the other. */
enum kind { MEMORY_FD, EVENT_FD, SOCKET_FD, PIPE_FD, READ_ONLY_FD, PIPE_END_FD, KINDS };

struct fuzz {
	struct script script;
	struct harness harness;
	int vmm; /* the VMM's end */
	int fds[KINDS], other_socket;
	int kicks[BALLOON_QUEUES_MAX]; /* START's: reading an eventfd empties it for all */
	struct guest guest;
};

static void open_transport(struct fuzz *fuzz)
{
	fuzz->vmm = harness_connect(&fuzz->harness, &vhost_user_ops, false);
}

static void close_transport(struct fuzz *fuzz)
{
	harness_disconnect(&fuzz->harness);
	close(fuzz->vmm);
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
	harness_rounds(&fuzz->harness, 2);
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
		.avail = ring + GUEST_AVAIL_OFFSET,
		.used = ring + GUEST_USED_OFFSET,
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
		uint64_t at = i * (GUEST_RAM_BYTES / count) & ~UINT64_C(4095);

		table.regions[i] =
			(struct vhost_user_region){ at, GUEST_RAM_BYTES / count & ~UINT64_C(4095),
						    USER + at, at };
		fds[i] = fuzz->fds[MEMORY_FD];
	}
	send_message(fuzz, VHOST_USER_SET_MEM_TABLE, &table, 8 + 32 * count, fds, count);
}

static void step_start(struct fuzz *fuzz)
{
	const uint64_t features = balloon_offered(fuzz->harness.balloon) |
				  UINT64_C(1) << VHOST_USER_F_PROTOCOL_FEATURES;

	send_u64(fuzz, VHOST_USER_SET_PROTOCOL_FEATURES, 0xa269, -1);
	send_message(fuzz, VHOST_USER_SET_BACKEND_REQ_FD, "", 0, &fuzz->fds[SOCKET_FD], 1);
	send_u64(fuzz, VHOST_USER_SET_FEATURES, features, -1);
	send_table(fuzz, 2);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		guest_clear_ring(&fuzz->guest, i);
		send_state(fuzz, VHOST_USER_SET_VRING_NUM, i, GUEST_RING_SIZE);
		send_state(fuzz, VHOST_USER_SET_VRING_BASE, i, 0);
		send_addr(fuzz, i, i * GUEST_RING_BYTES);
		send_u64(fuzz, VHOST_USER_SET_VRING_KICK, i, fuzz->kicks[i]);
		send_u64(fuzz, VHOST_USER_SET_VRING_CALL, i, fuzz->fds[EVENT_FD]);
	}
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		send_state(fuzz, VHOST_USER_SET_VRING_ENABLE, i, 1);
	drain_socket(fuzz->vmm);
}

static void step_stop(struct fuzz *fuzz)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		send_state(fuzz, VHOST_USER_SET_VRING_ENABLE, i, 0);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		send_state(fuzz, VHOST_USER_GET_VRING_BASE, i, 0);
	drain_socket(fuzz->vmm);
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

/* All kicks of an input fit into the pipe and the socket. */
static void step_kick(struct fuzz *fuzz, uint8_t count)
{
	const uint64_t one = 1;

	signal_eventfd(fuzz->fds[EVENT_FD], count);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		signal_eventfd(fuzz->kicks[i], count);
	require(write(fuzz->fds[PIPE_END_FD], &one, sizeof(one)) > 0 || errno == EAGAIN);
	send(fuzz->other_socket, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
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
		step_kick(fuzz, script_u8(&fuzz->script));
		break;
	case MEMORY:
		guest_write(&fuzz->guest, &fuzz->script);
		break;
	case OFFER:
		guest_offer(&fuzz->guest, &fuzz->script);
		break;
	case PUMP:
		fuzz->harness.now_ns += BALLOON_RELEASE_DELAY_NS;
		harness_rounds(&fuzz->harness, script_u8(&fuzz->script) % 32);
		break;
	case TARGET:
		balloon_set_target(fuzz->harness.balloon,
				   script_u32(&fuzz->script) * UINT64_C(4096));
		break;
	case READ:
		drain_socket(fuzz->vmm);
		break;
	case RECONNECT:
		close_transport(fuzz);
		open_transport(fuzz);
		break;
	case FLOOD:
		for (unsigned int i = script_u8(&fuzz->script); i > 0; i--)
			send_message(fuzz, VHOST_USER_GET_QUEUE_NUM, "", 0, NULL, 0);
		break;
	case SHUT: {
		uint8_t which = script_u8(&fuzz->script);

		shutdown(which & 2 ? fuzz->other_socket : fuzz->vmm, which & 1 ? SHUT_WR : SHUT_RD);
		break;
	}
	case STEPS:
		break;
	}
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
	const struct balloon_host host = harness_host(&fuzz->harness);
	int sockets[2], pipes[2];

	harness_begin(&fuzz->harness, &options, &host);
	fuzz->fds[MEMORY_FD] = memory_file(GUEST_RAM_BYTES);
	guest_map(&fuzz->guest, fuzz->fds[MEMORY_FD]);
	fuzz->fds[EVENT_FD] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		fuzz->kicks[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	require(!pipe2(pipes, O_CLOEXEC));
	fuzz->fds[SOCKET_FD] = sockets[0];
	fuzz->other_socket = sockets[1];
	fuzz->fds[PIPE_FD] = pipes[0];
	fuzz->fds[PIPE_END_FD] = pipes[1];
	fuzz->fds[READ_ONLY_FD] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_transport(fuzz);
}

static void end(struct fuzz *fuzz)
{
	close_transport(fuzz);
	harness_end(&fuzz->harness);
	guest_unmap(&fuzz->guest);
	for (unsigned int i = 0; i < KINDS; i++)
		close(fuzz->fds[i]);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		close(fuzz->kicks[i]);
	close(fuzz->other_socket);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { .script = { data, size },
			     .harness = { .now_ns = 1, .may_close = true } };
	unsigned int before = count_open_fds();

	begin(&fuzz);
	for (unsigned int i = 0; i < STEPS_MAX && fuzz.script.left; i++) {
		step(&fuzz);
		harness_rounds(&fuzz.harness, 1);
	}
	drain_socket(fuzz.vmm);
	harness_settle(&fuzz.harness);
	harness_rounds(&fuzz.harness, 4);
	end(&fuzz);
	require(count_open_fds() == before);
	return 0;
}
