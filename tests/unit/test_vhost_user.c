/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user: negotiation, framing, file descriptors, memory. */
#include "tests/unit/vhost_user_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Negotiation
 */

static void features_are_the_devices_and_the_protocols(void **state)
{
	struct vmm *vmm = *state;
	uint64_t value;

	assert_int_equal(vhost_user_client_get(&vmm->client, VHOST_USER_GET_FEATURES, &value), 0);
	assert_int_equal(value, OFFERED | PROTOCOL_BIT);
	assert_int_equal(
		vhost_user_client_get(&vmm->client, VHOST_USER_GET_PROTOCOL_FEATURES, &value), 0);
	assert_int_equal(value, BIT(0) | BIT(3) | BIT(5) | BIT(6) | BIT(9) | BIT(13) | BIT(15));
	assert_int_equal(vhost_user_client_get(&vmm->client, VHOST_USER_GET_QUEUE_NUM, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(vhost_user_client_get(&vmm->client, VHOST_USER_GET_MAX_MEM_SLOTS, &value),
			 0);
	assert_int_equal(value, MEMORY_REGIONS_MAX);
}

static void the_device_acknowledges_what_the_driver_chose(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(balloon_acknowledged(vmm->balloon), FEATURES);
	assert_int_equal(vmm_set_features(vmm, BIT(40)), -EREMOTEIO);
	assert_int_equal(balloon_acknowledged(vmm->balloon), 0);
	assert_int_equal(vmm->closed, 0);
}

static void features_stay_while_rings_run(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(vmm_set_features(vmm, FEATURES), 0);
	assert_int_equal(vmm_set_features(vmm, OFFERED), -EREMOTEIO);
	assert_int_equal(balloon_acknowledged(vmm->balloon), FEATURES);
	assert_true(balloon_is_driver_ok(vmm->balloon));
}

static void protocol_features_that_were_not_offered_end_it(void **state)
{
	struct vmm *vmm = *state;
	uint64_t value = BIT(1);

	vhost_user_client_send(&vmm->client, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &value, 8, NULL,
			       0);
	vmm_assert_over(vmm, "SET_PROTOCOL_FEATURES failed");
}

static void acknowledgements_have_to_be_negotiated(void **state)
{
	struct vmm *vmm = *state;
	uint64_t value;

	/* Asked for, but not negotiated: the next message is the answer to the second request. */
	assert_int_equal(vhost_user_client_send(&vmm->client, VHOST_USER_SET_OWNER,
						VHOST_USER_NEED_REPLY, NULL, 0, NULL, 0),
			 0);
	assert_int_equal(vhost_user_client_get(&vmm->client, VHOST_USER_GET_QUEUE_NUM, &value), 0);
	vmm_greet(vmm);
	/* Negotiated, but not asked for. */
	assert_int_equal(
		vhost_user_client_send(&vmm->client, VHOST_USER_SET_OWNER, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(vhost_user_client_get(&vmm->client, VHOST_USER_GET_QUEUE_NUM, &value), 0);
}

/*
 * Framing
 */

static void a_message_may_be_cut_at_any_byte(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_answer message = {
		.header = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
			    8 + 32 },
		.payload.table = { .count = 1, .regions = { vmm_region(0) } },
	};
	char bytes[12 + 8 + 32];

	vmm_greet(vmm);
	memcpy(bytes, &message.header, 12);
	memcpy(bytes + 12, &message.payload, 40);
	for (size_t cut = 1; cut < sizeof(bytes); cut++) {
		struct vhost_user_answer answer;

		balloon_unmap_all(vmm->balloon);
		assert_int_equal(
			vhost_user_client_write(&vmm->client, bytes, cut, &vmm->guest.fd, 1), 0);
		vmm_pump_much(vmm);
		assert_int_equal(balloon_memory(vmm->balloon)->count, 0);
		assert_int_equal(vhost_user_client_write(&vmm->client, bytes + cut,
							 sizeof(bytes) - cut, NULL, 0),
				 0);
		assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
		assert_int_equal(answer.payload.u64, 0);
		assert_int_equal(balloon_memory(vmm->balloon)->count, 1);
	}
}

static void many_messages_may_come_at_once(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_answer answer;
	struct vhost_user_header headers[100];

	for (size_t i = 0; i < 100; i++)
		headers[i] = (struct vhost_user_header){ VHOST_USER_GET_QUEUE_NUM,
							 VHOST_USER_VERSION, 0 };
	assert_int_equal(vhost_user_client_write(&vmm->client, headers, sizeof(headers), NULL, 0),
			 0);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
		assert_int_equal(answer.payload.u64, 5);
	}
}

static void what_is_not_the_protocol_ends_it(void **state)
{
	static const struct {
		struct vhost_user_header header;
		const char *why;
	} rows[] = {
		{ { VHOST_USER_GET_FEATURES, 0, 0 }, "another protocol" },
		{ { VHOST_USER_GET_FEATURES, 2, 0 }, "another protocol" },
		{ { VHOST_USER_GET_FEATURES, 5, 0 }, "another protocol" },
		{ { VHOST_USER_GET_FEATURES, 1, 4096 }, "a message of 4096 bytes" },
		{ { VHOST_USER_GET_FEATURES, 1, UINT32_MAX }, "a message of 4294967295 bytes" },
		{ { 0, 1, 0 }, "request 0 failed" },
		{ { 35, 1, 0 }, "request 35 failed" },
		{ { 39, 1, 0 }, "request 39 failed" },
		{ { UINT32_MAX, 1, 0 }, "request 4294967295 failed" },
		{ { VHOST_USER_GET_FEATURES, 1, 8 }, "GET_FEATURES failed" },
		{ { VHOST_USER_ADD_MEM_REG, 1, 0 }, "ADD_MEM_REG failed" },
		{ { VHOST_USER_SET_VRING_BASE, 1, 4 }, "SET_VRING_BASE failed" },
	};
	struct vmm *vmm = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct vhost_user_header *header = &rows[i].header;
		char bytes[64] = { 0 };

		memcpy(bytes, header, sizeof(*header));
		vhost_user_client_write(&vmm->client, bytes,
					sizeof(*header) + (header->size < 32 ? header->size : 32),
					NULL, 0);
		vmm_assert_over(vmm, rows[i].why);
		vmm_disconnect(vmm);
		vmm->closed = 0;
		vmm_connect(vmm);
	}
}

static void a_refusal_is_told_where_the_vmm_asks(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vhost_user_client_tell(&vmm->client, 99, NULL, 0, -1), -EREMOTEIO);
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_SET_VRING_BASE, "1234", 4, -1),
		-EREMOTEIO);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_BASE, BALLOON_QUEUES_MAX, 0),
			 -EREMOTEIO);
	assert_int_equal(vmm->closed, 0);
}

static void refusals_are_logged_at_a_bounded_rate(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_NUM, 0, 0), -EREMOTEIO);
	assert_int_equal(vmm->log_lines, 4);
}

static void a_guests_mistake_does_not_cost_the_connection(void **state)
{
	const struct vhost_user_vring_state state_of_0 = { .index = 0, .num = 77777 };
	struct vmm *vmm = *state;
	uint64_t value;

	assert_int_equal(vhost_user_client_send(&vmm->client, VHOST_USER_SET_VRING_NUM, 0,
						&state_of_0, sizeof(state_of_0), NULL, 0),
			 0);
	assert_int_equal(vhost_user_client_get(&vmm->client, VHOST_USER_GET_QUEUE_NUM, &value), 0);
	assert_int_equal(vmm->closed, 0);
}

static void a_vmm_that_does_not_read_only_stops_itself(void **state)
{
	const struct vhost_user_header ask = { VHOST_USER_GET_QUEUE_NUM, VHOST_USER_VERSION, 0 };
	struct vmm *vmm = *state;
	struct vhost_user_answer answer;
	unsigned int sent = 0;

	vmm->client.pump = NULL;
	do
		while (send(vmm->client.fd, &ask, sizeof(ask), MSG_DONTWAIT) == sizeof(ask))
			sent++;
	while (vmm_pump_much(vmm),
	       send(vmm->client.fd, &ask, sizeof(ask), MSG_DONTWAIT) > 0 && ++sent);
	vmm->client.pump = vmm_pump;
	assert_true(sent > 100);
	assert_int_equal(vmm->closed, 0);
	while (sent--)
		assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
}

static void a_reply_that_waits_goes_when_there_is_room(void **state)
{
	const struct vhost_user_header ask = { VHOST_USER_GET_QUEUE_NUM, VHOST_USER_VERSION, 0 };
	const int answer_bytes = sizeof(ask) + sizeof(uint64_t);
	struct vmm *vmm = *state;
	struct vhost_user_answer answer;
	int sent = 0, there;

	/* One at a time, until one has been read but its answer does not fit. */
	do {
		assert_int_equal(send(vmm->client.fd, &ask, sizeof(ask), 0), sizeof(ask));
		sent++;
		vmm_pump(vmm);
		vmm_pump(vmm);
		assert_int_equal(ioctl(vmm->client.fd, FIONREAD, &there), 0);
	} while (there == sent * answer_bytes);
	while (sent--)
		assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
}

static void a_hang_up_is_told_once(void **state)
{
	struct vmm *vmm = *state;

	shutdown(vmm->client.fd, SHUT_RDWR);
	vmm_pump_much(vmm);
	assert_int_equal(vmm->closed, 1);
	assert_string_equal(vmm->why, "the VMM closed the connection");
}

static void a_hang_up_within_a_message_is_named(void **state)
{
	struct vmm *vmm = *state;

	assert_int_equal(vhost_user_client_write(&vmm->client, "\1\0\0\0\1", 5, NULL, 0), 0);
	shutdown(vmm->client.fd, SHUT_WR);
	vmm_pump_much(vmm);
	assert_string_equal(vmm->why, "the VMM closed the connection within a message");
}

/*
 * File descriptors
 */

static void file_descriptors_nobody_wants_are_closed(void **state)
{
	struct vmm *vmm = *state;
	unsigned int before;
	int fds[VHOST_USER_TABLE_MAX];

	vmm_greet(vmm);
	for (int i = 0; i < VHOST_USER_TABLE_MAX; i++)
		fds[i] = vmm->guest.fd;
	before = vmm_open_fds();
	for (unsigned int request = 1; request < 64; request++) {
		struct vhost_user_answer answer;

		if (request == VHOST_USER_GET_CONFIG)
			continue;
		/* A payload that no request has; requests with an answer of their own end the
		 * connection. */
		if (vhost_user_client_send(&vmm->client, request, VHOST_USER_NEED_REPLY, "x", 1,
					   fds, VHOST_USER_TABLE_MAX) ||
		    vhost_user_client_receive(&vmm->client, &answer)) {
			vmm_disconnect(vmm);
			vmm->closed = 0;
			vmm_connect(vmm);
			vmm_greet(vmm);
		}
		assert_int_equal(vmm_open_fds(), before);
	}
}

static void a_message_has_the_file_descriptors_it_needs(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_reg low = { .region = vmm_region(0) };

	vmm_greet(vmm);
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), -1),
		-EREMOTEIO);
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, -1),
		-EREMOTEIO);
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_SET_OWNER, NULL, 0, vmm->guest.fd),
		-EREMOTEIO);
}

static void more_file_descriptors_than_a_message_has_end_it(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_table table = { .count = 1, .regions = { vmm_region(0) } };
	unsigned int before = vmm_open_fds();
	int fds[40];

	for (int i = 0; i < 40; i++)
		fds[i] = vmm->guest.fd;
	assert_int_equal(vhost_user_client_send(&vmm->client, VHOST_USER_SET_MEM_TABLE, 0, &table,
						8 + 32, fds, 40),
			 0);
	vmm_assert_over(vmm, "more than 8 file descriptors");
	vmm_disconnect(vmm);
	assert_int_equal(vmm_open_fds(), before - 2);
	vmm_connect(vmm);
}

static void file_descriptors_that_come_in_pieces_are_counted_together(void **state)
{
	const struct vhost_user_header header = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION,
						  200 };
	struct vmm *vmm = *state;
	unsigned int before = vmm_open_fds();

	for (size_t i = 0; i < sizeof(header); i++)
		vhost_user_client_write(&vmm->client, (const char *)&header + i, 1, &vmm->guest.fd,
					1);
	vmm_assert_over(vmm, "more than 8 file descriptors");
	vmm_disconnect(vmm);
	assert_int_equal(vmm_open_fds(), before - 2);
	vmm_connect(vmm);
}

static void the_end_closes_everything(void **state)
{
	struct vmm *vmm = *state;
	unsigned int before = vmm_open_fds();

	vmm_greet(vmm);
	vmm_start(vmm);
	for (unsigned int i = 0; i < RINGS; i++)
		assert_int_equal(vhost_user_client_eventfd(&vmm->client, VHOST_USER_SET_VRING_ERR,
							   i, vmm->calls[i]),
				 0);
	vmm_offer_page(vmm, 0, PAGE_GPA);
	vmm_kick(vmm, 0);
	/* And within a message with a file descriptor. */
	vhost_user_client_write(&vmm->client, "\5", 1, &vmm->guest.fd, 1);
	vmm_pump_much(vmm);
	vmm_disconnect(vmm);
	assert_int_equal(vmm_open_fds(), before - 2);
	assert_int_equal(balloon_memory(vmm->balloon)->count, 0);
	assert_int_equal(vmm_ballooned_pages(vmm), 0);
	assert_false(balloon_is_driver_ok(vmm->balloon));
	vmm_connect(vmm);
}

/*
 * Memory
 */

static void a_table_is_the_guests_memory(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	assert_int_equal(balloon_memory(vmm->balloon)->count, GUEST_PARTS);
	strcpy(guest_at(&vmm->guest, GUEST_HIGH), "here");
	assert_string_equal(memory_at(balloon_memory(vmm->balloon), GUEST_HIGH, 5, false), "here");
	assert_int_equal(vmm_send_table(vmm, 1), 0);
	assert_int_equal(balloon_memory(vmm->balloon)->count, 1);
}

static void a_table_may_have_eight_regions(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_table table = { .count = VHOST_USER_TABLE_MAX };
	struct vhost_user_answer answer;
	int fds[VHOST_USER_TABLE_MAX];

	for (unsigned int i = 0; i < VHOST_USER_TABLE_MAX; i++) {
		table.regions[i] = (struct vhost_user_region){
			.gpa = i * GUEST_MIB,
			.size = GUEST_MIB,
			.user = USER + i * GUEST_MIB,
			.fd_offset = i * GUEST_MIB,
		};
		fds[i] = vmm->guest.fd;
	}
	vmm_greet(vmm);
	assert_int_equal(vhost_user_client_send(&vmm->client, VHOST_USER_SET_MEM_TABLE,
						VHOST_USER_NEED_REPLY, &table, sizeof(table), fds,
						VHOST_USER_TABLE_MAX),
			 0);
	assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
	assert_int_equal(answer.payload.u64, 0);
	assert_int_equal(balloon_memory(vmm->balloon)->count, VHOST_USER_TABLE_MAX);
}

static void a_bad_table_leaves_no_memory(void **state)
{
	struct vmm *vmm = *state;
	unsigned int before;

	vmm_greet(vmm);
	before = vmm_open_fds();
	for (int what = 0; what < 5; what++) {
		struct vhost_user_mem_table table = { .count = 2,
						      .regions = { vmm_region(0), vmm_region(1) } };
		int fds[] = { vmm->guest.fd, vmm->guest.fd };
		struct vhost_user_answer answer;

		assert_int_equal(vmm_send_table(vmm, 1), 0);
		if (what == 0)
			table.regions[1].gpa = GUEST_PART / 2;
		if (what == 1)
			table.regions[1].size = 0;
		if (what == 2)
			table.regions[1].user = UINT64_MAX - GUEST_MIB;
		if (what == 3)
			table.regions[1].fd_offset = GUEST_RAM;
		if (what == 4)
			fds[1] = vmm->kicks[0];
		assert_int_equal(vhost_user_client_send(&vmm->client, VHOST_USER_SET_MEM_TABLE,
							VHOST_USER_NEED_REPLY, &table, 8 + 64, fds,
							2),
				 0);
		assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
		assert_int_equal(answer.payload.u64, 1);
		assert_int_equal(balloon_memory(vmm->balloon)->count, 0);
		assert_int_equal(vmm_open_fds(), before);
	}
}

/* As User Mode Linux does. */
static void a_table_may_be_longer_than_its_regions(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_table table = { .count = 1, .regions = { vmm_region(0) } };

	vmm_greet(vmm);
	table.regions[1].gpa = UINT64_MAX; /* not counted, and not looked at */
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_MEM_TABLE, &table,
						sizeof(table), vmm->guest.fd),
			 0);
	assert_int_equal(balloon_memory(vmm->balloon)->count, 1);
	/* A shorter one is still refused. */
	table.count = 2;
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_MEM_TABLE, &table,
						8 + 32, vmm->guest.fd),
			 -EREMOTEIO);
}

static void a_table_and_its_file_descriptors_have_to_agree(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_table table = { .count = 2, .regions = { vmm_region(0) } };
	const int fds[] = { vmm->guest.fd, vmm->guest.fd };
	struct vhost_user_answer answer;

	vmm_greet(vmm);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_MEM_TABLE, &table,
						8 + 64, vmm->guest.fd),
			 -EREMOTEIO);
	table.count = 1;
	assert_int_equal(vhost_user_client_send(&vmm->client, VHOST_USER_SET_MEM_TABLE,
						VHOST_USER_NEED_REPLY, &table, 8 + 32, fds, 2),
			 0);
	assert_int_equal(vhost_user_client_receive(&vmm->client, &answer), 0);
	assert_int_equal(answer.payload.u64, 1);
	table.count = UINT32_MAX;
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_MEM_TABLE, &table,
						8 + 32, vmm->guest.fd),
			 -EREMOTEIO);
}

static void regions_come_and_go_one_by_one(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_mem_reg low = { .region = vmm_region(0) },
				  high = { .region = vmm_region(1) };
	struct vhost_user_mem_reg other = low;
	int fd = vmm->guest.fd;

	vmm_greet(vmm);
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), fd),
		0);
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_ADD_MEM_REG, &high,
						sizeof(high), fd),
			 0);
	assert_int_equal(balloon_memory(vmm->balloon)->count, 2);
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_ADD_MEM_REG, &low, sizeof(low), fd),
		-EREMOTEIO);
	other.region.user += GUEST_PAGE;
	assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_REM_MEM_REG, &other,
						sizeof(other), -1),
			 -EREMOTEIO);
	/* Older QEMUs send a file descriptor, too. */
	assert_int_equal(
		vhost_user_client_tell(&vmm->client, VHOST_USER_REM_MEM_REG, &low, sizeof(low), fd),
		0);
	assert_int_equal(balloon_memory(vmm->balloon)->count, 1);
	assert_int_equal(balloon_memory(vmm->balloon)->regions[0].gpa, GUEST_HIGH);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, vmm_setup, vmm_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(features_are_the_devices_and_the_protocols),
		TEST(the_device_acknowledges_what_the_driver_chose),
		TEST(features_stay_while_rings_run),
		TEST(protocol_features_that_were_not_offered_end_it),
		TEST(acknowledgements_have_to_be_negotiated),
		TEST(a_message_may_be_cut_at_any_byte),
		TEST(many_messages_may_come_at_once),
		TEST(what_is_not_the_protocol_ends_it),
		TEST(a_refusal_is_told_where_the_vmm_asks),
		TEST(refusals_are_logged_at_a_bounded_rate),
		TEST(a_guests_mistake_does_not_cost_the_connection),
		TEST(a_vmm_that_does_not_read_only_stops_itself),
		TEST(a_reply_that_waits_goes_when_there_is_room),
		TEST(a_hang_up_is_told_once),
		TEST(a_hang_up_within_a_message_is_named),
		TEST(file_descriptors_nobody_wants_are_closed),
		TEST(a_message_has_the_file_descriptors_it_needs),
		TEST(more_file_descriptors_than_a_message_has_end_it),
		TEST(file_descriptors_that_come_in_pieces_are_counted_together),
		TEST(the_end_closes_everything),
		TEST(a_table_is_the_guests_memory),
		TEST(a_table_may_have_eight_regions),
		TEST(a_bad_table_leaves_no_memory),
		TEST(a_table_may_be_longer_than_its_regions),
		TEST(a_table_and_its_file_descriptors_have_to_agree),
		TEST(regions_come_and_go_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
