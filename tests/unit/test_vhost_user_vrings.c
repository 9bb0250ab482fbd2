/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user: rings, kicks and calls. */
#include "tests/unit/vhost_user_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LEGACY (FEATURES & ~BALLOON_BIT(VIRTIO_F_VERSION_1))

/*
 * Rings
 */

static void a_page_is_inflated_and_the_driver_told(void **state)
{
	struct vmm *vmm = *state;
	uint32_t id, len;
	uint64_t before;

	vmm_greet(vmm);
	vmm_start(vmm);
	guest_touch(&vmm->guest);
	before = guest_allocated(&vmm->guest);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	assert_false(vmm_was_called(vmm, 0));
	vmm_kick(vmm, 0);
	assert_true(vmm_was_called(vmm, 0));
	assert_true(ring_take(&vmm->rings[0], &id, &len));
	assert_int_equal(len, 0);
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
	vmm_pass_time(vmm);
	assert_int_equal(guest_allocated(&vmm->guest), before - GUEST_PAGE);
}

static void a_ring_waits_to_be_enabled(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	vmm_set_up_ring(vmm, 0, 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_false(balloon_is_driver_ok(vmm->balloon));
	assert_int_equal(ring_used_index(&vmm->rings[0]), 0);
	/* The kick came before, and no other will come. */
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	vmm_pump_much(vmm);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
}

static void without_the_protocols_bit_rings_are_enabled(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vhost_user_client_set(&vmm->client, VHOST_USER_SET_FEATURES, FEATURES), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	vmm_set_up_ring(vmm, 0, 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
}

static void a_disabled_ring_rests_and_goes_on(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA + GUEST_PAGE);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	vmm_pump_much(vmm);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 2);
	assert_int_equal(vmm_ballooned_pages(vmm), 2);
}

static void a_stopped_ring_tells_where_it_stopped(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	for (unsigned int i = 0; i < 3; i++) {
		vmm_offer_page(vmm, 0, PAGE_GPA + i * GUEST_PAGE);
		vmm_kick(vmm, 0);
	}
	assert_int_equal(vmm_halt(vmm, 0), 3);
	assert_int_equal(vmm_halt(vmm, 0), 3);
	/* It is still enabled, but does not run without a new kick. */
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA + 3 * GUEST_PAGE);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 3);
}

static void after_a_pause_the_balloon_is_what_it_was(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bases[RINGS];

	vmm_greet(vmm);
	vmm_start(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	vmm_halt_all(vmm, bases);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	for (unsigned int i = 0; i < RINGS; i++)
		vmm_set_up_ring(vmm, i, (uint16_t)bases[i]);
	vmm_enable_all(vmm, true);
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
	vmm_offer_page(vmm, 1, PAGE_GPA);
	vmm_kick(vmm, 1);
	assert_int_equal(vmm_ballooned_pages(vmm), 0);
	assert_int_equal(balloon_counter(vmm->balloon, BALLOON_C_FAULT_DEFLATE_NEVER), 0);
}

static void a_guest_that_was_reset_has_an_empty_balloon(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bases[RINGS];

	vmm_greet(vmm);
	vmm_start(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	vmm_halt_all(vmm, bases);
	for (unsigned int i = 0; i < RINGS; i++)
		ring_init(&vmm->rings[i], &vmm->guest, RING_GPA(i));
	vmm_start(vmm);
	assert_int_equal(vmm_ballooned_pages(vmm), 0);
	assert_true(balloon_is_driver_ok(vmm->balloon));
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
	assert_int_equal(balloon_counter(vmm->balloon, BALLOON_C_FAULT_INFLATE_TWICE), 0);
}

/* It may be a reset, and the pages may belong to the next kernel. */
static void nothing_is_released_once_the_rings_have_stopped(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bases[RINGS];
	uint64_t before;

	vmm_greet(vmm);
	vmm_start(vmm);
	guest_touch(&vmm->guest);
	before = guest_allocated(&vmm->guest);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
	vmm_halt_all(vmm, bases);
	vmm_pass_time(vmm);
	assert_int_equal(guest_allocated(&vmm->guest), before);
}

static void reset_device_forgets_the_driver(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_RESET_DEVICE, NULL, 0, -1),
			 0);
	assert_false(balloon_is_driver_ok(vmm->balloon));
	assert_int_equal(vmm_ballooned_pages(vmm), 0);
	for (unsigned int i = 0; i < RINGS; i++)
		ring_init(&vmm->rings[i], &vmm->guest, RING_GPA(i));
	vmm_start(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
}

static void reset_owner_disables_the_rings(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_RESET_OWNER, NULL, 0, -1),
			 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 0);
}

static void a_ring_outside_of_memory_waits_for_it(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, 0, RING_SIZE), 0);
	assert_int_equal(vmm_send_addr(vmm, 0, &vmm->rings[0]), -EREMOTEIO);
	assert_int_equal(vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_KICK, 0,
						   vmm->kicks[0]),
			 0);
	vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_false(balloon_is_driver_ok(vmm->balloon));
	vmm_offer_page(vmm, 0, PAGE_GPA);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	vmm_pump_much(vmm);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
}

static void a_ring_rests_while_its_memory_is_away(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(vmm_send_table(vmm, 0), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	vmm_pump_much(vmm);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
}

static void a_ring_follows_its_memory(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_table table = { .count = 1, .regions = { vmm_region(0) } };

	vmm_greet(vmm);
	vmm_start(vmm);
	/* The VMM's memory moves in the guest: its first half begins at 64 MiB. */
	table.regions[0].gpa = GUEST_HIGH;
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_MEM_TABLE, &table,
						8 + 32, vmm->guest.fd),
			 0);
	*(uint32_t *)guest_at(&vmm->guest, PFNS_GPA) = PAGE_GPA / GUEST_PAGE;
	ring_fill(&vmm->rings[0], 0, GUEST_HIGH + PFNS_GPA, 4, 0, 0);
	ring_offer(&vmm->rings[0], 0);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
}

static void another_address_moves_a_running_ring(void **state)
{
	struct vmm *vmm = *state;
	struct ring other;

	vmm_greet(vmm);
	vmm_start(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	ring_init(&other, &vmm->guest, RING_GPA(8));
	memcpy(guest_at(&vmm->guest, RING_GPA(8)), guest_at(&vmm->guest, RING_GPA(0)), GUEST_PAGE);
	other.offered = vmm->rings[0].offered;
	vmm->rings[0] = other;
	assert_int_equal(vmm_send_addr(vmm, 0, &other), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA + GUEST_PAGE);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&other), 2);
	assert_int_equal(vmm_ballooned_pages(vmm), 2);
}

static void an_address_that_is_nowhere_stops_a_running_ring(void **state)
{
	/* Behind the last region. */
	const struct vhost_user_vring_addr nowhere = {
		.desc = USER + GUEST_RAM,
		.avail = USER + GUEST_RAM + 4096,
		.used = USER + GUEST_RAM + 8192,
	};
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_ADDR, &nowhere,
						sizeof(nowhere), -1),
			 -EREMOTEIO);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 0);
}

static void silly_rings_are_refused(void **state)
{
	static const uint32_t sizes[] = { 0, 2048, 65536, UINT32_MAX };
	const struct vhost_user_vring_addr logged = {
		.flags = 1, .desc = USER, .avail = USER + 4096, .used = USER + 8192
	};
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, 0, sizes[i]), -EREMOTEIO);
	vmm_start(vmm);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_ADDR, &logged,
						sizeof(logged), -1),
			 -EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, 0, RING_SIZE / 2), -EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_BASE, 0, 7), -EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 2), -EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, BALLOON_QUEUES_MAX, 1),
			 -EREMOTEIO);
}

static void a_size_that_is_no_power_of_two_does_not_start(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	vmm_set_up_ring(vmm, 0, 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, 0, 33), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1), -EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, 0, RING_SIZE), 0);
	assert_true(balloon_is_driver_ok(vmm->balloon));
}

/* A big-endian guest's ring, with one big-endian PFN in it. */
static void start_big_endian(struct vmm *vmm)
{
	ring_init(&vmm->rings[0], &vmm->guest, RING_GPA(0));
	*(uint32_t *)guest_at(&vmm->guest, PFNS_GPA) = __builtin_bswap32(PAGE_GPA / GUEST_PAGE);
	ring_fill(&vmm->rings[0], 0, __builtin_bswap64(PFNS_GPA), __builtin_bswap32(4), 0, 0);
	((uint16_t *)guest_at(&vmm->guest, vmm->rings[0].avail))[1] = __builtin_bswap16(1);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENDIAN, 0, 1), 0);
	vmm_set_up_ring(vmm, 0, 0);
	vmm_enable_all(vmm, true);
	vmm_pump_much(vmm);
}

static void byte_order_is_set_while_rings_rest(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENDIAN, 0, 1), -EREMOTEIO);
	assert_int_equal(vmm_set_features(vmm, LEGACY), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENDIAN, 0, 2), -EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENDIAN, 0, 0), 0);
	start_big_endian(vmm);
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENDIAN, 0, 0), -EREMOTEIO);
}

static void byte_order_outlasts_the_reset_that_a_new_driver_implies(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_set_features(vmm, LEGACY), 0);
	start_big_endian(vmm);
	assert_int_equal(vmm_halt(vmm, 0), 1);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENDIAN, 0, 0), 0);
	start_big_endian(vmm);
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
	assert_int_equal(balloon_counter(vmm->balloon, BALLOON_C_FAULT_INFLATE_TWICE), 0);
}

/*
 * Kicks and calls
 */

static void only_eventfds_are_kicks_and_calls(void **state)
{
	static const enum vhost_user_request requests[] = {
		VHOST_USER_SET_VRING_KICK,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_VRING_ERR,
	};
	struct vmm *vmm = *state;
	int pipes[2], folder = open("/", O_RDONLY | O_CLOEXEC);
	unsigned int before;

	vmm_greet(vmm);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	before = vmm_open_fds();
	for (size_t i = 0; i < 3; i++) {
		const int fds[] = { vmm->guest.fd, pipes[0], pipes[1], folder, vmm->client.fd };

		for (size_t j = 0; j < sizeof(fds) / sizeof(fds[0]); j++)
			assert_int_equal(
				vhost_user_client_eventfd(&vmm->client, requests[i], 0, fds[j]),
				-EREMOTEIO);
	}
	assert_int_equal(vmm_open_fds(), before);
	/* The pipes were not made non-blocking either. */
	assert_int_equal(fcntl(pipes[0], F_GETFL) & O_NONBLOCK, 0);
	close(pipes[0]);
	close(pipes[1]);
	close(folder);
}

static void a_file_descriptor_and_its_flag_have_to_agree(void **state)
{
	struct vmm *vmm = *state;
	uint64_t word = VHOST_USER_VRING_NO_FD;

	vmm_greet(vmm);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_CALL, &word, 8,
						vmm->calls[0]),
			 -EREMOTEIO);
	word = 0;
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_CALL, &word, 8, -1),
		-EREMOTEIO);
	word = 0x1000 | VHOST_USER_VRING_NO_FD;
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_CALL, &word, 8, -1),
		-EREMOTEIO);
	assert_int_equal(vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_CALL, 5, -1),
			 -EREMOTEIO);
}

static void a_ring_without_kicks_is_polled(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_KICK, 0, -1),
			 0);
	vmm_pump_much(vmm);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	while (ring_used_index(&vmm->rings[0]) == 0)
		assert_int_equal(loop_round(vmm->loop, LOOP_NEVER), 0);
}

/* Both rings get the same kick in one round, and only one can read it. */
static void a_kick_that_another_reader_took_does_not_block(void **state)
{
	const uint64_t one = 1;
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_KICK, 1,
						   vmm->kicks[0]),
			 0);
	assert_int_equal(fcntl(vmm->kicks[0], F_SETFL, 0), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	assert_int_equal(write(vmm->kicks[0], &one, sizeof(one)), sizeof(one));
	vmm_pump_much(vmm);
	assert_int_equal(fcntl(vmm->kicks[0], F_GETFL) & O_NONBLOCK, 0);
}

/* An epoll instance looks like an eventfd, until it is read. */
static void a_kick_that_cannot_be_read_is_dropped(void **state)
{
	struct vmm *vmm = *state;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	const uint64_t one = 1;
	unsigned int before;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, vmm->kicks[1], &event), 0);
	assert_int_equal(
		vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_KICK, 0, epoll), 0);
	assert_int_equal(vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_KICK, 1, -1),
			 0);
	before = vmm_open_fds();
	assert_int_equal(write(vmm->kicks[1], &one, sizeof(one)), sizeof(one));
	vmm_pump_much(vmm);
	assert_int_equal(vmm_open_fds(), before - 1);
	close(epoll);
}

static void a_call_that_blocks_does_not(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	struct vmm *vmm = *state;
	int call = eventfd(0, EFD_CLOEXEC);

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(write(call, &most, sizeof(most)), sizeof(most));
	assert_int_equal(
		vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_CALL, 0, call), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
	close(call);
}

static void a_call_that_is_full_is_no_trouble(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	struct vmm *vmm = *state;
	uint64_t count;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(write(vmm->calls[0], &most, sizeof(most)), sizeof(most));
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
	assert_int_equal(read(vmm->calls[0], &count, sizeof(count)), sizeof(count));
	vmm_offer_page(vmm, 0, PAGE_GPA + GUEST_PAGE);
	vmm_kick(vmm, 0);
	assert_true(vmm_was_called(vmm, 0));
}

static void a_ring_that_makes_no_sense_signals_the_error(void **state)
{
	struct vmm *vmm = *state;
	int error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(
		vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_ERR, 0, error_fd), 0);
	ring_offer(&vmm->rings[0], RING_SIZE);
	vmm_kick(vmm, 0);
	assert_true(balloon_needs_reset(vmm->balloon));
	assert_int_equal(read(error_fd, &count, sizeof(count)), sizeof(count));
	close(error_fd);
}

static void a_broken_device_works_after_the_driver_is_back(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bases[RINGS];

	vmm_greet(vmm);
	vmm_start(vmm);
	ring_offer(&vmm->rings[0], RING_SIZE);
	vmm_kick(vmm, 0);
	assert_true(balloon_needs_reset(vmm->balloon));
	vmm_halt_all(vmm, bases);
	for (unsigned int i = 0; i < RINGS; i++)
		ring_init(&vmm->rings[i], &vmm->guest, RING_GPA(i));
	vmm_start(vmm);
	assert_false(balloon_needs_reset(vmm->balloon));
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	assert_int_equal(ring_used_index(&vmm->rings[0]), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, vmm_setup, vmm_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_page_is_inflated_and_the_driver_told),
		TEST(a_ring_waits_to_be_enabled),
		TEST(without_the_protocols_bit_rings_are_enabled),
		TEST(a_disabled_ring_rests_and_goes_on),
		TEST(a_stopped_ring_tells_where_it_stopped),
		TEST(after_a_pause_the_balloon_is_what_it_was),
		TEST(a_guest_that_was_reset_has_an_empty_balloon),
		TEST(nothing_is_released_once_the_rings_have_stopped),
		TEST(reset_device_forgets_the_driver),
		TEST(reset_owner_disables_the_rings),
		TEST(a_ring_outside_of_memory_waits_for_it),
		TEST(a_ring_rests_while_its_memory_is_away),
		TEST(a_ring_follows_its_memory),
		TEST(another_address_moves_a_running_ring),
		TEST(an_address_that_is_nowhere_stops_a_running_ring),
		TEST(silly_rings_are_refused),
		TEST(a_size_that_is_no_power_of_two_does_not_start),
		TEST(byte_order_is_set_while_rings_rest),
		TEST(byte_order_outlasts_the_reset_that_a_new_driver_implies),
		TEST(only_eventfds_are_kicks_and_calls),
		TEST(a_file_descriptor_and_its_flag_have_to_agree),
		TEST(a_ring_without_kicks_is_polled),
		TEST(a_kick_that_another_reader_took_does_not_block),
		TEST(a_kick_that_cannot_be_read_is_dropped),
		TEST(a_call_that_blocks_does_not),
		TEST(a_call_that_is_full_is_no_trouble),
		TEST(a_ring_that_makes_no_sense_signals_the_error),
		TEST(a_broken_device_works_after_the_driver_is_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
