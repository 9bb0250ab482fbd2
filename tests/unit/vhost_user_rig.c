/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/vhost_user_rig.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What the device needs from outside. */

static void notify_queue(void *data, unsigned int queue)
{
	struct vmm *vmm = data;

	if (vmm->transport)
		vhost_user_ops.notify_queue(vmm->transport, queue);
}

static void notify_config(void *data)
{
	struct vmm *vmm = data;

	if (vmm->transport)
		vhost_user_ops.notify_config(vmm->transport);
}

static void event(void *data, enum balloon_event what)
{
	(void)data;
	(void)what;
}

static void log_line(void *data, const char *line)
{
	struct vmm *vmm = data;

	assert_null(strchr(line, '\n'));
	vmm->log_lines++;
}

static void closed(void *data, const char *why)
{
	struct vmm *vmm = data;

	vmm->closed++;
	snprintf(vmm->why, sizeof(vmm->why), "%s", why);
}

static uint64_t now_ns(void *data)
{
	return ((struct vmm *)data)->now_ns;
}

static uint64_t work(void *data)
{
	return balloon_work(data);
}

void vmm_pump(void *data)
{
	struct vmm *vmm = data;

	assert_int_equal(loop_round(vmm->loop, 0), 0);
}

void vmm_pass_time(struct vmm *vmm)
{
	/* Releases wait for the delay to twice the delay. */
	for (int i = 0; i < 2; i++) {
		vmm->now_ns += BALLOON_RELEASE_DELAY_NS;
		vmm_pump_much(vmm);
	}
}

void vmm_pump_much(struct vmm *vmm)
{
	for (int i = 0; i < 50; i++)
		vmm_pump(vmm);
}

void vmm_connect(struct vmm *vmm)
{
	const struct transport_context context = {
		.loop = vmm->loop,
		.balloon = vmm->balloon,
		.log = log_line,
		.closed = closed,
		.data = vmm,
	};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
			 0);
	vmm->client = (struct vhost_user_client){ ends[0], -1, vmm_pump, vmm };
	vmm->transport = vhost_user_ops.open(&context, ends[1]);
	assert_non_null(vmm->transport);
}

void vmm_disconnect(struct vmm *vmm)
{
	struct transport *transport = vmm->transport;

	vmm->transport = NULL;
	vhost_user_ops.close(transport);
	vhost_user_client_close(&vmm->client);
}

int vmm_setup(void **state)
{
	struct vmm *vmm = calloc(1, sizeof(*vmm));
	const struct balloon_options options = { .features = OFFERED,
						 .release_delay_ns = BALLOON_RELEASE_DELAY_NS };
	const struct balloon_host host = {
		.notify_queue = notify_queue,
		.notify_config = notify_config,
		.event = event,
		.log = log_line,
		.now_ns = now_ns,
		.data = vmm,
	};

	assert_non_null(vmm);
	vmm->now_ns = 1;
	vmm->loop = loop_new();
	vmm->balloon = balloon_new(&options, &host);
	loop_set_work(vmm->loop, work, vmm->balloon);
	assert_int_equal(guest_open(&vmm->guest), 0);
	for (int i = 0; i < RINGS; i++) {
		ring_init(&vmm->rings[i], &vmm->guest, RING_GPA(i));
		vmm->kicks[i] = eventfd(0, EFD_CLOEXEC);
		vmm->calls[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	vmm_connect(vmm);
	*state = vmm;
	return 0;
}

int vmm_teardown(void **state)
{
	struct vmm *vmm = *state;

	vmm_disconnect(vmm);
	for (int i = 0; i < RINGS; i++) {
		close(vmm->kicks[i]);
		close(vmm->calls[i]);
	}
	guest_close(&vmm->guest);
	balloon_free(vmm->balloon);
	loop_free(vmm->loop);
	free(vmm);
	return 0;
}

/* Correct steps. */

struct vhost_user_region vmm_region(unsigned int part)
{
	return (struct vhost_user_region){
		.gpa = part ? GUEST_HIGH : GUEST_LOW,
		.size = GUEST_PART,
		.user = USER + part * GUEST_PART,
		.fd_offset = part * GUEST_PART,
	};
}

static uint64_t user_of(uint64_t gpa)
{
	return gpa < GUEST_PART ? USER + gpa : USER + GUEST_PART + (gpa - GUEST_HIGH);
}

int vmm_send_table(struct vmm *vmm, unsigned int count)
{
	struct vhost_user_mem_table table = { .count = count };
	int fds[VHOST_USER_TABLE_MAX];
	struct vhost_user_answer answer;
	int error;

	for (unsigned int i = 0; i < count; i++) {
		table.regions[i] = vmm_region(i);
		fds[i] = vmm->guest.fd;
	}
	error = vhost_user_client_send(&vmm->client, VHOST_USER_SET_MEM_TABLE,
				       VHOST_USER_NEED_REPLY, &table, 8 + 32 * count, fds, count);
	if (!error)
		error = vhost_user_client_receive(&vmm->client, &answer);
	return error ? error : answer.payload.u64 ? -EREMOTEIO : 0;
}

int vmm_send_addr(struct vmm *vmm, unsigned int index, const struct ring *ring)
{
	const struct vhost_user_vring_addr addr = {
		.index = index,
		.desc = user_of(ring->desc),
		.avail = user_of(ring->avail),
		.used = user_of(ring->used),
	};

	return vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr),
				      -1);
}

int vmm_vring(struct vmm *vmm, enum vhost_user_request request, unsigned int index,
	      unsigned int num)
{
	return vhost_user_client_vring(&vmm->client, request, index, num);
}

void vmm_set_up_ring(struct vmm *vmm, unsigned int index, uint16_t base)
{
	struct vhost_user_client *client = &vmm->client;

	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, index, RING_SIZE), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_BASE, index, base), 0);
	assert_int_equal(vmm_send_addr(vmm, index, &vmm->rings[index]), 0);
	assert_int_equal(vhost_user_client_eventfd(client, VHOST_USER_SET_VRING_KICK, index,
						   vmm->kicks[index]),
			 0);
	assert_int_equal(vhost_user_client_eventfd(client, VHOST_USER_SET_VRING_CALL, index,
						   vmm->calls[index]),
			 0);
}

void vmm_enable_all(struct vmm *vmm, bool enabled)
{
	/* As QEMU does, for all rings, also those that were never set up. */
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, i, enabled), 0);
}

void vmm_greet(struct vmm *vmm)
{
	assert_int_equal(vhost_user_client_greet(&vmm->client), 0);
}

int vmm_set_features(struct vmm *vmm, uint64_t features)
{
	return vhost_user_client_set(&vmm->client, VHOST_USER_SET_FEATURES,
				     features | PROTOCOL_BIT);
}

void vmm_start(struct vmm *vmm)
{
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	for (unsigned int i = 0; i < RINGS; i++)
		vmm_set_up_ring(vmm, i, 0);
	vmm_enable_all(vmm, true);
}

uint32_t vmm_halt(struct vmm *vmm, unsigned int index)
{
	const struct vhost_user_vring_state state = { .index = index };
	struct vhost_user_answer answer;

	assert_int_equal(vhost_user_client_ask(&vmm->client, VHOST_USER_GET_VRING_BASE, &state,
					       sizeof(state), &answer),
			 0);
	assert_int_equal(answer.payload.state.index, index);
	return answer.payload.state.num;
}

void vmm_halt_all(struct vmm *vmm, uint32_t bases[RINGS])
{
	vmm_enable_all(vmm, false);
	for (unsigned int i = 0; i < RINGS; i++)
		bases[i] = vmm_halt(vmm, i);
}

void vmm_kick(struct vmm *vmm, unsigned int index)
{
	const uint64_t one = 1;

	assert_int_equal(write(vmm->kicks[index], &one, sizeof(one)), sizeof(one));
	vmm_pump_much(vmm);
}

/* Puts one page into the inflate or deflate ring, without a kick. */
void vmm_offer_page(struct vmm *vmm, unsigned int index, uint64_t gpa)
{
	uint32_t *pfn = guest_at(&vmm->guest, PFNS_GPA);

	*pfn = (uint32_t)(gpa / GUEST_PAGE);
	ring_fill(&vmm->rings[index], 0, PFNS_GPA, sizeof(*pfn), 0, 0);
	ring_offer(&vmm->rings[index], 0);
}

bool vmm_was_called(struct vmm *vmm, unsigned int index)
{
	uint64_t count;

	return read(vmm->calls[index], &count, sizeof(count)) == (ssize_t)sizeof(count);
}

uint64_t vmm_ballooned_pages(const struct vmm *vmm)
{
	struct balloon_info info;

	balloon_info(vmm->balloon, &info);
	return info.ballooned_bytes / GUEST_PAGE;
}

unsigned int vmm_open_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

void vmm_assert_over(struct vmm *vmm, const char *why)
{
	assert_true(vhost_user_client_is_over(&vmm->client) || vmm->closed);
	assert_int_equal(vmm->closed, 1);
	if (!strstr(vmm->why, why))
		fail_msg("it ended because \"%s\", not \"%s\"", vmm->why, why);
}
