/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of vhost-user that no VMM sends. */
#include "tests/hostile/links.h"
#include "tests/hostile/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define REQUESTS 64
#define FDS 40

/* A request as an honest VMM would send it; returns its size. */
static size_t sample(struct vm *vm, uint32_t request, uint8_t bytes[], int *fd)
{
	struct vhost_user_answer message = {
		.header = { .request = request,
			    .flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
			    .size = 8 },
	};
	const struct vhost_user_region region = { .size = GUEST_PART, .user = VHOST_USER_BASE };

	*fd = -1;
	switch (request) {
	case VHOST_USER_SET_MEM_TABLE:
		message.payload.table.count = 1;
		message.payload.table.regions[0] = region;
		message.header.size = 8 + sizeof(region);
		*fd = vm->guest.fd;
		break;
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_REM_MEM_REG:
		message.payload.region.region = region;
		message.header.size = sizeof(message.payload.region);
		*fd = request == VHOST_USER_ADD_MEM_REG ? vm->guest.fd : -1;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		message.header.size = sizeof(message.payload.addr);
		break;
	case VHOST_USER_SET_VRING_KICK:
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		*fd = vm->kicks[0];
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		message.header.size = 0;
		*fd = vm->kicks[0];
		break;
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_SET_CONFIG:
		message.payload.config.size = 16;
		message.header.size = VHOST_USER_CONFIG_HEADER + 16;
		break;
	default:
		break;
	}
	memcpy(bytes, &message, sizeof(message.header) + message.header.size);
	return sizeof(message.header) + message.header.size;
}

/* Each message is cut at each of its bytes, and then the VMM is gone. */
static bool cut_messages(struct vm *vm)
{
	static const uint32_t requests[] = {
		VHOST_USER_SET_FEATURES,   VHOST_USER_SET_MEM_TABLE, VHOST_USER_SET_VRING_ADDR,
		VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_CONFIG,    VHOST_USER_ADD_MEM_REG,
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		uint8_t bytes[sizeof(struct vhost_user_answer)];
		int fd;
		size_t size = sample(vm, requests[i], bytes, &fd);

		for (size_t cut = 1; cut < size; cut++) {
			EXPECT(vm, vm->link->connect(vm) == 0);
			EXPECT(vm,
			       vhost_user_client_write(&vm->vhost, bytes, cut, &fd, fd >= 0) == 0);
			vm->link->close(vm);
		}
	}
	return true;
}

/* A byte at a time, each with a file descriptor. */
static bool trickling_file_descriptors(struct vm *vm)
{
	uint8_t bytes[sizeof(struct vhost_user_answer)];
	int fd;
	size_t size = sample(vm, VHOST_USER_SET_MEM_TABLE, bytes, &fd);

	for (size_t i = 0; i < size; i++)
		if (vhost_user_client_write(&vm->vhost, bytes + i, 1, &fd, 1))
			break;
	EXPECT(vm, vhost_user_client_is_over(&vm->vhost));
	return true;
}

static bool reconnect(struct vm *vm)
{
	if (!vm->link->is_over(vm))
		return true;
	vm->link->close(vm);
	EXPECT(vm, vm->link->connect(vm) == 0);
	return true;
}

/* Whatever the answer, what came with it is closed. */
static bool any_request(struct vm *vm, uint32_t request, uint32_t flags, uint32_t size,
			const int *fds, unsigned int count)
{
	static const uint8_t zeros[sizeof(union vhost_user_payload)];
	uint64_t queues;

	vhost_user_client_send(&vm->vhost, request, flags, zeros, size, fds, count);
	/* Answers that nobody waits for are in the way of the one that is asked for. */
	vhost_user_client_get(&vm->vhost, VHOST_USER_GET_QUEUE_NUM, &queues);
	vm->link->close(vm);
	EXPECT(vm, vm->link->connect(vm) == 0);
	return true;
}

static bool unknown_requests(struct vm *vm)
{
	static const uint32_t requests[] = { 0,	 6,  7,	 19, 20, 22,  26,    27,
					     28, 29, 30, 31, 32, 33,  35,    39,
					     40, 41, 42, 43, 44, 255, 65535, UINT32_MAX };

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		EXPECT(vm, vhost_user_client_tell(&vm->vhost, requests[i], NULL, 0, vm->guest.fd) ==
				   -EREMOTEIO);
		if (!any_request(vm, requests[i], 0, 8, NULL, 0))
			return false;
	}
	return true;
}

static bool wrong_sizes(struct vm *vm)
{
	static const uint32_t sizes[] = { 0, 1, 4, 7, 8, 9, 16, 40, 100, 272 };

	for (uint32_t request = 1; request < REQUESTS; request++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			if (!any_request(vm, request, VHOST_USER_NEED_REPLY, sizes[i], NULL, 0))
				return false;
	return true;
}

static bool oversized(struct vm *vm)
{
	static const uint32_t sizes[] = { 273, 4096, 0x7fffffff, 0x80000000, UINT32_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct vhost_user_header header = { VHOST_USER_SET_MEM_TABLE,
							  VHOST_USER_VERSION, sizes[i] };

		EXPECT(vm,
		       vhost_user_client_write(&vm->vhost, &header, sizeof(header), NULL, 0) == 0);
		EXPECT(vm, vhost_user_client_is_over(&vm->vhost));
		if (!reconnect(vm))
			return false;
	}
	return true;
}

static bool file_descriptors_everywhere(struct vm *vm)
{
	int fds[FDS];

	for (unsigned int i = 0; i < FDS; i++)
		fds[i] = i % 2 ? vm->guest.fd : vm->kicks[0];
	for (uint32_t request = 1; request < REQUESTS; request++)
		if (!any_request(vm, request, VHOST_USER_NEED_REPLY, 8, fds, 1) ||
		    !any_request(vm, request, VHOST_USER_NEED_REPLY, 0, fds, 8) ||
		    !any_request(vm, request, 0, 8, fds, FDS))
			return false;
	return true;
}

static bool wrong_kicks(struct vm *vm)
{
	int files[3];
	int before = device_files(vm->device);

	files[0] = vm->guest.fd;
	files[1] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	files[2] = open("/", O_RDONLY | O_CLOEXEC);
	for (uint32_t request = VHOST_USER_SET_VRING_KICK; request <= VHOST_USER_SET_VRING_ERR;
	     request++)
		for (unsigned int i = 0; i < 3; i++)
			EXPECT(vm, vhost_user_client_eventfd(&vm->vhost, request, 0, files[i]) ==
					   -EREMOTEIO);
	close(files[1]);
	close(files[2]);
	return row_files(vm, before) && vm_send_pages(vm, INFLATE, PAGES, 16);
}

/* Full pipes and sockets that block, the wrong ends, and ones that nobody holds the other end of.
 */
static bool pipes_as_kicks(struct vm *vm)
{
	char flood[4096] = "";
	int pipes[2], sockets[2], gone[2];

	EXPECT(vm, !pipe2(pipes, O_CLOEXEC | O_NONBLOCK) && !pipe2(gone, O_CLOEXEC));
	EXPECT(vm, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets));
	while (write(pipes[1], flood, sizeof(flood)) > 0)
		;
	while (write(sockets[1], flood, sizeof(flood)) > 0)
		;
	close(gone[0]);
	EXPECT(vm, !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_CALL, 0, pipes[1]));
	EXPECT(vm, !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_ERR, 0, sockets[1]));
	EXPECT(vm, !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_CALL, 1, gone[1]));
	/* Of the flood each byte is a kick; the device works on, and closes it at its end. */
	EXPECT(vm,
	       !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_KICK, 1, sockets[0]));
	/* The device has the same files: without this flag a write could block. */
	EXPECT(vm, !fcntl(pipes[1], F_SETFL, 0) && !fcntl(sockets[1], F_SETFL, 0));
	vm_offer(vm, INFLATE, vm_write_pfns(vm, PAGES / GUEST_PAGE, 16, 1), 64, 0);
	vm_kick(vm, INFLATE);
	if (!vm_settles(vm))
		return false;
	EXPECT(vm, !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_CALL, 0, pipes[0]));
	vm_offer(vm, DEFLATE, BUFFERS, 64, 0);
	vm_kick(vm, DEFLATE);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	vm_forget_rings(vm);
	close(pipes[0]);
	close(pipes[1]);
	close(sockets[0]);
	close(sockets[1]);
	close(gone[1]);
	return true;
}

/* Eventfds that always can be read, or never be written, and ones that block. */
static bool tricky_kicks(struct vm *vm)
{
	const uint64_t most = UINT64_MAX - 1;
	const struct itimerspec often = { { 0, 1000 }, { 0, 1000 } };
	int semaphore = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	int full = eventfd(0, EFD_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	EXPECT(vm, write(semaphore, &most, sizeof(most)) == sizeof(most));
	EXPECT(vm, write(full, &most, sizeof(most)) == sizeof(most));
	EXPECT(vm, !timerfd_settime(timer, 0, &often, NULL));
	EXPECT(vm, !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_KICK, 0, semaphore));
	EXPECT(vm, !vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_CALL, 0, full));
	vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_KICK, 1, timer);
	vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_CALL, 1, timer);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	vm_offer(vm, INFLATE, vm_write_pfns(vm, PAGES / GUEST_PAGE, 16, 1), 64, 0);
	if (!vm_settles(vm))
		return false;
	vm_offer(vm, DEFLATE, BUFFERS, 64, 0);
	vm_kick(vm, DEFLATE);
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	vm_forget_rings(vm);
	close(semaphore);
	close(full);
	close(timer);
	return true;
}

static bool rings_that_are_not(struct vm *vm)
{
	static const uint32_t indices[] = { 5, 6, 255, 256, 65536, UINT32_MAX };
	static const uint32_t requests[] = { VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					     VHOST_USER_SET_VRING_ENABLE,
					     VHOST_USER_SET_VRING_ENDIAN };

	for (unsigned int i = 0; i < 6; i++) {
		for (unsigned int j = 0; j < 4; j++)
			EXPECT(vm, vhost_user_client_vring(&vm->vhost, requests[j], indices[i],
							   1) == -EREMOTEIO);
		if (i < 3)
			EXPECT(vm,
			       vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_KICK,
							 indices[i], vm->kicks[0]) == -EREMOTEIO);
	}
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

/* A base that was never handed out, and one that is outside the ring. */
static bool bases(struct vm *vm)
{
	static const uint32_t values[] = { 1, 63, 65535, 65536, UINT32_MAX };

	for (unsigned int i = 0; i < 5; i++) {
		const struct vhost_user_vring_state state = { .index = INFLATE };
		struct vhost_user_answer answer;

		EXPECT(vm, !vhost_user_client_ask(&vm->vhost, VHOST_USER_GET_VRING_BASE, &state,
						  sizeof(state), &answer));
		vhost_user_client_vring(&vm->vhost, VHOST_USER_SET_VRING_BASE, INFLATE, values[i]);
		vhost_user_client_eventfd(&vm->vhost, VHOST_USER_SET_VRING_KICK, INFLATE,
					  vm->kicks[INFLATE]);
		vm_kick(vm, INFLATE);
		EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
		EXPECT(vm, !vm->link->is_over(vm));
	}
	vm_forget_rings(vm);
	return true;
}

static bool channel_that_is_full(struct vm *vm)
{
	for (unsigned int i = 0; i < 3000; i++)
		json_decref(device_ask(vm->device, "balloon",
				       json_pack("{s:I}", "value",
						 (json_int_t)(GUEST_RAM - i % 100 * GUEST_PAGE))));
	json_decref(device_ask(vm->device, "balloon",
			       json_pack("{s:I}", "value", (json_int_t)GUEST_RAM)));
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool never_reads(struct vm *vm)
{
	const struct vhost_user_header ask = { VHOST_USER_GET_QUEUE_NUM, VHOST_USER_VERSION, 0 };

	for (unsigned int i = 0; i < 100000; i++)
		if (send(vm->vhost.fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	return true;
}

static bool flood_of_refusals(struct vm *vm)
{
	const struct vhost_user_vring_state state = { .index = 0, .num = 0 };

	for (unsigned int i = 0; i < 20000; i++)
		EXPECT(vm, !vhost_user_client_send(&vm->vhost, VHOST_USER_SET_VRING_NUM, 0, &state,
						   sizeof(state), NULL, 0));
	EXPECT(vm, !vm->link->is_over(vm));
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

/* Asks, and reads until the answer comes; whatever else was answered is skipped. */
static bool is_served(struct vm *vm)
{
	struct vhost_user_answer answer = { 0 };

	if (vhost_user_client_send(&vm->vhost, VHOST_USER_GET_QUEUE_NUM, 0, NULL, 0, NULL, 0))
		return false;
	while (answer.header.request != VHOST_USER_GET_QUEUE_NUM)
		if (vhost_user_client_receive(&vm->vhost, &answer))
			return false;
	return true;
}

/* Requests that are known, in any order, with numbers that are likely to mean something. */
static bool random_requests(struct vm *vm)
{
	uint32_t state = 20240229;

	for (unsigned int i = 0; i < 5000; i++) {
		uint32_t request = row_random(&state) % VHOST_USER_REQUESTS;
		union vhost_user_payload payload = { 0 };
		uint32_t words[sizeof(payload) / 4];
		uint8_t bytes[sizeof(struct vhost_user_answer)];
		int fd;
		uint32_t size = (uint32_t)(sample(vm, request, bytes, &fd) -
					   sizeof(struct vhost_user_header));

		memcpy(words, bytes + sizeof(struct vhost_user_header), size);
		for (uint32_t at = 0; at < size / 4; at++)
			if (row_random(&state) % 4 == 0)
				words[at] = row_random(&state) % 8;
		vhost_user_client_send(&vm->vhost, request, VHOST_USER_NEED_REPLY, words, size, &fd,
				       fd >= 0 && row_random(&state) % 8);
		if (is_served(vm))
			continue;
		vm->link->close(vm);
		EXPECT(vm, vm->link->connect(vm) == 0);
	}
	vm_forget_rings(vm);
	return true;
}

const struct row rows_vhost_user[] = {
	{ "vhost-user-cut-messages", ALONE, VHOST_ONLY, cut_messages },
	{ "vhost-user-trickling-fds", CONNECTED, VHOST_ONLY, trickling_file_descriptors },
	{ "vhost-user-unknown-requests", CONNECTED, VHOST_ONLY, unknown_requests },
	{ "vhost-user-wrong-sizes", CONNECTED, VHOST_ONLY, wrong_sizes },
	{ "vhost-user-oversized", CONNECTED, VHOST_ONLY, oversized },
	{ "vhost-user-fds-everywhere", CONNECTED, VHOST_ONLY, file_descriptors_everywhere },
	{ "vhost-user-wrong-kicks", STARTED, VHOST_ONLY, wrong_kicks },
	{ "vhost-user-pipes-as-kicks", STARTED, VHOST_ONLY, pipes_as_kicks },
	{ "vhost-user-tricky-kicks", STARTED, VHOST_ONLY, tricky_kicks },
	{ "vhost-user-rings-that-are-not", STARTED, VHOST_ONLY, rings_that_are_not },
	{ "vhost-user-bases", STARTED, VHOST_ONLY, bases },
	{ "vhost-user-channel-full", STARTED, VHOST_ONLY, channel_that_is_full },
	{ "vhost-user-never-reads", STARTED, VHOST_ONLY, never_reads },
	{ "vhost-user-flood-of-refusals", STARTED, VHOST_ONLY, flood_of_refusals },
	{ "vhost-user-random-requests", STARTED, VHOST_ONLY, random_requests },
	{ 0 },
};
