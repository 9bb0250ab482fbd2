/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user: the configuration space, and the notices of its changes. */
#include "tests/unit/vhost_user_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Configuration space
 */

static int send_config(struct vmm *vmm, uint32_t request, uint32_t offset, uint32_t size,
		       uint32_t flags, uint32_t payload, const void *bytes,
		       struct vhost_user_answer *answer)
{
	struct vhost_user_config config = { .offset = offset, .size = size, .flags = flags };
	int error;

	if (bytes)
		memcpy(config.bytes, bytes, size);
	error = vhost_user_client_send(&vmm->client, request, VHOST_USER_NEED_REPLY, &config,
				       payload, NULL, 0);
	return error ? error : vhost_user_client_receive(&vmm->client, answer);
}

static void the_configuration_is_read(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_answer answer;
	uint32_t fields[4];

	vmm_greet(vmm);
	assert_int_equal(vmm_send_table(vmm, GUEST_PARTS), 0);
	balloon_set_target(vmm->balloon, GUEST_RAM - 5 * GUEST_PAGE);
	assert_int_equal(send_config(vmm, VHOST_USER_GET_CONFIG, 0, 16, 0, 12 + 16, NULL, &answer),
			 0);
	assert_int_equal(answer.header.size, 12 + 16);
	assert_int_equal(answer.payload.config.size, 16);
	memcpy(fields, answer.payload.config.bytes, sizeof(fields));
	assert_int_equal(fields[0], 5);
	/* Bytes behind its end read as zero. */
	assert_int_equal(
		send_config(vmm, VHOST_USER_GET_CONFIG, 8, 256, 0, 12 + 256, NULL, &answer), 0);
	assert_int_equal(answer.header.size, 12 + 256);
}

static void a_read_of_another_size_than_it_says_fails(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_answer answer;

	vmm_greet(vmm);
	assert_int_equal(send_config(vmm, VHOST_USER_GET_CONFIG, 0, 16, 0, 12 + 15, NULL, &answer),
			 0);
	assert_int_equal(answer.header.size, 0);
	assert_int_equal(
		send_config(vmm, VHOST_USER_GET_CONFIG, 0, UINT32_MAX, 0, 12, NULL, &answer), 0);
	assert_int_equal(answer.header.size, 0);
	assert_int_equal(vmm->closed, 0);
}

static void the_whole_configuration_is_written_for_one_field(void **state)
{
	struct vmm *vmm = *state;
	/* num_pages is stale; actual is written by the driver. */
	const uint32_t fields[4] = { 99, 3, 7, 0 };
	struct vhost_user_answer answer;
	struct balloon_info info;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(
		send_config(vmm, VHOST_USER_SET_CONFIG, 0, 16, 0, 12 + 16, fields, &answer), 0);
	assert_int_equal(answer.payload.u64, 0);
	balloon_info(vmm->balloon, &info);
	assert_int_equal(info.actual_bytes, GUEST_RAM - 3 * GUEST_PAGE);
	assert_int_equal(info.target_bytes, GUEST_RAM);
	assert_int_equal(balloon_counter(vmm->balloon, BALLOON_C_FAULT_CONFIG), 0);
}

static void a_configuration_longer_than_ours_is_written(void **state)
{
	struct vmm *vmm = *state;
	const uint32_t fields[64] = { 0, 3 };
	struct vhost_user_answer answer;
	struct balloon_info info;

	vmm_greet(vmm);
	vmm_start(vmm);
	assert_int_equal(
		send_config(vmm, VHOST_USER_SET_CONFIG, 0, 256, 1, 12 + 256, fields, &answer), 0);
	assert_int_equal(answer.payload.u64, 0);
	balloon_info(vmm->balloon, &info);
	assert_int_equal(info.actual_bytes, GUEST_RAM - 3 * GUEST_PAGE);
}

static void a_write_of_another_size_than_it_says_is_refused(void **state)
{
	struct vmm *vmm = *state;
	struct vhost_user_answer answer;

	vmm_greet(vmm);
	assert_int_equal(send_config(vmm, VHOST_USER_SET_CONFIG, 0, 200, 0, 12 + 16, NULL, &answer),
			 0);
	assert_int_equal(answer.payload.u64, 1);
	assert_int_equal(send_config(vmm, VHOST_USER_SET_CONFIG, 0, 16, 2, 12 + 16, NULL, &answer),
			 0);
	assert_int_equal(answer.payload.u64, 1);
	assert_int_equal(balloon_counter(vmm->balloon, BALLOON_C_FAULT_CONFIG), 0);
}

static void a_change_is_told_only_while_the_rings_run(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bases[RINGS];

	vmm_greet(vmm);
	balloon_set_target(vmm->balloon, GUEST_RAM / 2);
	vmm_start(vmm);
	vhost_user_client_config_changes(&vmm->client);
	balloon_set_target(vmm->balloon, GUEST_RAM / 4);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 1);
	vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 0);

	vmm_halt_all(vmm, bases);
	balloon_set_target(vmm->balloon, GUEST_RAM / 2);
	balloon_set_target(vmm->balloon, GUEST_RAM / 3);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 0);

	for (unsigned int i = 0; i < RINGS; i++)
		vmm_set_up_ring(vmm, i, (uint16_t)bases[i]);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 1, 1), 0);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 0);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 2, 1), 0);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 1);
}

static void nobody_is_told_from_the_first_ring_that_is_disabled(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	vhost_user_client_config_changes(&vmm->client);
	assert_int_equal(vmm_vring(vmm, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	balloon_set_target(vmm->balloon, GUEST_RAM / 4);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 0);
}

static void a_vmm_that_does_not_hear_is_no_trouble(void **state)
{
	struct vmm *vmm = *state;

	vmm_greet(vmm);
	vmm_start(vmm);
	for (unsigned int i = 0; i < 10000; i++)
		balloon_set_target(vmm->balloon, GUEST_RAM - (1 + i % 2) * GUEST_PAGE);
	assert_true(vhost_user_client_config_changes(&vmm->client) > 10);
	balloon_set_target(vmm->balloon, GUEST_RAM / 4);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 1);
	/* And one that has been closed. */
	shutdown(vmm->client.backend_fd, SHUT_RDWR);
	balloon_set_target(vmm->balloon, GUEST_RAM / 2);
	balloon_set_target(vmm->balloon, GUEST_RAM / 4);
	assert_int_equal(vmm->closed, 0);
}

static void only_a_socket_takes_our_requests(void **state)
{
	struct vmm *vmm = *state;
	int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int fds[] = { vmm->guest.fd, vmm->kicks[0], datagrams };

	vmm_greet(vmm);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(vhost_user_client_tell(&vmm->client, VHOST_USER_SET_BACKEND_REQ_FD,
							NULL, 0, fds[i]),
				 -EREMOTEIO);
	vmm_start(vmm);
	vhost_user_client_config_changes(&vmm->client);
	balloon_set_target(vmm->balloon, GUEST_RAM / 4);
	assert_int_equal(vhost_user_client_config_changes(&vmm->client), 1);
	close(datagrams);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, vmm_setup, vmm_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_configuration_is_read),
		TEST(a_read_of_another_size_than_it_says_fails),
		TEST(the_whole_configuration_is_written_for_one_field),
		TEST(a_configuration_longer_than_ours_is_written),
		TEST(a_write_of_another_size_than_it_says_is_refused),
		TEST(a_change_is_told_only_while_the_rings_run),
		TEST(nobody_is_told_from_the_first_ring_that_is_disabled),
		TEST(a_vmm_that_does_not_hear_is_no_trouble),
		TEST(only_a_socket_takes_our_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
