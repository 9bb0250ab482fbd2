/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user: rings, kicks and calls. */
#include "tests/unit/vhost_user_rig.h"
#include "transport/signal_fd.h"

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

static void files_are_neither_kicks_nor_calls(void **state)
{
	static const enum vhost_user_request requests[] = {
		VHOST_USER_SET_VRING_KICK,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_SET_VRING_ERR,
	};
	struct vmm *vmm = *state;
	int folder = open("/", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned int before;

	vmm_greet(vmm);
	before = vmm_open_fds();
	for (size_t i = 0; i < 3; i++) {
		const int fds[] = { vmm->guest.fd, folder, null };

		for (size_t j = 0; j < sizeof(fds) / sizeof(fds[0]); j++)
			assert_int_equal(
				vhost_user_client_eventfd(&vmm->client, requests[i], 0, fds[j]),
				-EREMOTEIO);
	}
	assert_int_equal(vmm_open_fds(), before);
	/* It was not made non-blocking either. */
	assert_int_equal(fcntl(null, F_GETFL) & O_NONBLOCK, 0);
	close(null);
	close(folder);
}

/* Both ends of something that carries signals; the device reads ends[0] or writes ends[1]. */
static void make_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static void make_stream(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void make_datagrams(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void (*const makers[])(int ends[2]) = { make_pipe, make_stream, make_datagrams };
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

static void kick_through(struct vmm *vmm, void (*make)(int ends[2]), unsigned int page)
{
	const uint64_t ones[20] = { 1, 1, 1 };
	int ends[2];

	make(ends);
	assert_int_equal(
		vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_KICK, 0, ends[0]), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA + page * UINT64_C(4096));
	/* More than one, as nobody reads while the device is busy. */
	assert_int_equal(write(ends[1], ones, sizeof(ones)), sizeof(ones));
	vmm_pump_much(vmm);
	assert_int_equal(ring_used_index(&vmm->rings[0]), page + 1);
	/* None of them is left, and its end is noticed: the loop does not spin. */
	close(ends[1]);
	vmm_pump_much(vmm);
	assert_int_equal(vmm->closed, 0);
	close(ends[0]);
}

static void pipes_and_sockets_are_kicks(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	for (unsigned int i = 0; i < MAKERS; i++)
		kick_through(vmm, makers[i], i);
}

static void call_through(struct vmm *vmm, void (*make)(int ends[2]), unsigned int page)
{
	uint64_t count = 0;
	int ends[2];

	make(ends);
	assert_int_equal(
		vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_CALL, 0, ends[1]), 0);
	vmm_offer_page(vmm, 0, PAGE_GPA + page * UINT64_C(4096));
	vmm_kick(vmm, 0);
	vmm_pump_much(vmm);
	assert_int_equal(read(ends[0], &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	close(ends[0]);
	close(ends[1]);
}

static void pipes_and_sockets_are_calls(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	for (unsigned int i = 0; i < MAKERS; i++)
		call_through(vmm, makers[i], i);
}

/* Its flags are the VMM's, too: without O_NONBLOCK a write to a full pipe would block for ever. */
static void a_call_that_nobody_reads_does_not_block(void **state)
{
	struct vmm *vmm = *state;
	enum signal_fd_kind kind;

	(void)vmm;
	for (unsigned int i = 0; i < MAKERS; i++) {
		int ends[2];

		makers[i](ends);
		assert_true(signal_fd_prepare(ends[1], &kind));
		assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
		for (unsigned int j = 0; j < 100000; j++)
			assert_true(signal_fd_send(ends[1], kind));
		close(ends[0]);
		/* No SIGPIPE, which would end this test. */
		assert_false(signal_fd_send(ends[1], kind));
		close(ends[1]);
	}
}

static void a_kick_that_is_not_there_does_not_block(void **state)
{
	enum signal_fd_kind kind;

	(void)state;
	for (unsigned int i = 0; i < MAKERS; i++) {
		int ends[2];

		makers[i](ends);
		assert_true(signal_fd_prepare(ends[0], &kind));
		assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
		assert_int_equal(signal_fd_receive(ends[0], kind), 0);
		close(ends[1]);
		if (makers[i] != make_datagrams)
			assert_int_equal(signal_fd_receive(ends[0], kind), -1);
		close(ends[0]);
	}
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

/*
 * Packed rings
 */

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};
enum { PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };

static struct packed_desc *packed_at(struct vmm *vmm, unsigned int index)
{
	return (struct packed_desc *)guest_at(&vmm->guest, vmm->rings[0].desc) + index;
}

/* Offers a buffer with page number @page of the inflated ones at entry @index of ring 0. */
static void offer_packed_page(struct vmm *vmm, unsigned int index, unsigned int page, bool wrap)
{
	uint32_t *pfn = guest_at(&vmm->guest, PFNS_GPA + page * sizeof(*pfn));

	*pfn = (uint32_t)(PAGE_GPA / GUEST_PAGE + page);
	*packed_at(vmm, index) = (struct packed_desc){
		.addr = PFNS_GPA + page * sizeof(*pfn),
		.len = sizeof(*pfn),
		.flags = wrap ? PACKED_AVAIL : PACKED_USED,
	};
	vmm_kick(vmm, 0);
	vmm_pump_much(vmm);
}

static bool is_packed_used(struct vmm *vmm, unsigned int index, bool wrap)
{
	uint16_t both = PACKED_AVAIL | PACKED_USED;

	return (packed_at(vmm, index)->flags & both) == (wrap ? both : 0);
}

static void start_packed(struct vmm *vmm)
{
	assert_int_equal(vmm_set_features(vmm, FEATURES | BALLOON_BIT(VIRTIO_F_RING_PACKED)), 0);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	vmm_set_up_ring(vmm, 0, 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
}

/* A base of 0 has no wrap counters, which begin at 1: User Mode Linux sends it for each ring. */
static void a_packed_ring_with_base_0_begins(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	start_packed(vmm);
	offer_packed_page(vmm, 0, 0, true);
	assert_true(is_packed_used(vmm, 0, true));
	assert_int_equal(vmm_ballooned_pages(vmm), 1);
}

/* After one lap the ring stops at index 0 with counters of 0, and goes on there. */
static void a_packed_ring_goes_on_where_its_counters_are_0(void **state)
{
	struct vmm *vmm = *state;
	uint32_t base;

	vmm_greet(vmm);
	start_packed(vmm);
	for (unsigned int i = 0; i < RING_SIZE; i++)
		offer_packed_page(vmm, i, i, true);
	assert_int_equal(vmm_ballooned_pages(vmm), RING_SIZE);
	base = vmm_halt(vmm, 0);
	assert_int_equal(base, 0);
	vmm_set_up_ring(vmm, 0, 0);
	offer_packed_page(vmm, 0, RING_SIZE, false);
	assert_true(is_packed_used(vmm, 0, false));
	assert_int_equal(vmm_ballooned_pages(vmm), RING_SIZE + 1);
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
		TEST(files_are_neither_kicks_nor_calls),
		TEST(pipes_and_sockets_are_kicks),
		TEST(pipes_and_sockets_are_calls),
		TEST(a_call_that_nobody_reads_does_not_block),
		TEST(a_kick_that_is_not_there_does_not_block),
		TEST(a_file_descriptor_and_its_flag_have_to_agree),
		TEST(a_packed_ring_with_base_0_begins),
		TEST(a_packed_ring_goes_on_where_its_counters_are_0),
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
