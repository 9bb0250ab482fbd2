/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory over vfio-user, and what happens to file descriptors. */
#include "tests/unit/vfio_user_rig.h"

#include <errno.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define HEADER sizeof(struct vfio_user_header)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Memory */

static void memory_comes_and_goes(void **state)
{
	struct vfio_user_rig *rig = *state;

	vfio_user_rig_map(rig);
	assert_int_equal(balloon_memory(rig->balloon)->count, 2);
	assert_int_equal(vfio_user_client_dma_unmap(&rig->client, GUEST_HIGH, GUEST_PART), 0);
	assert_int_equal(balloon_memory(rig->balloon)->count, 1);
	assert_true(balloon_memory(rig->balloon)->regions[0].writable);
	assert_int_equal(vfio_user_rig_count_files(), rig->files + 1);
}

static void memory_that_is_not_writable_is_not_written_to(void **state)
{
	struct vfio_user_rig *rig = *state;

	assert_int_equal(
		vfio_user_client_dma_map(&rig->client, 0, GUEST_PART, rig->guest.fd, 0, false), 0);
	assert_false(balloon_memory(rig->balloon)->regions[0].writable);
}

static void memory_that_is_not_readable_is_refused(void **state)
{
	struct vfio_user_rig *rig = *state;
	const struct vfio_user_dma_map map = { .argsz = sizeof(map), .flags = 2, .size = 4096 };

	assert_int_equal(vfio_user_client_call(&rig->client, VFIO_USER_DMA_MAP, &map, sizeof(map),
					       &rig->guest.fd, 1, NULL, 0),
			 -EINVAL);
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
}

static void memory_without_a_file_is_acknowledged_and_forgotten(void **state)
{
	struct vfio_user_rig *rig = *state;

	assert_int_equal(vfio_user_client_dma_map(&rig->client, 0xfffc0000, 0x40000, -1, 0, false),
			 0);
	assert_int_equal(rig->log_lines, 0);
	assert_int_equal(vfio_user_client_dma_map(&rig->client, 0, 0x40000, -1, 0, true), 0);
	assert_int_equal(vfio_user_client_dma_map(&rig->client, 0, 0x40000, -1, 0, true), 0);
	assert_int_equal(rig->log_lines, 1);
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
	assert_int_equal(vfio_user_client_dma_unmap(&rig->client, 0xfffc0000, 0x40000), 0);
}

static void memory_over_memory_is_refused(void **state)
{
	static const uint64_t rows[][2] = { { GUEST_LOW, GUEST_PART },
					    { GUEST_LOW + GUEST_PART - 4096, 8192 },
					    { GUEST_HIGH - 4096, 8192 } };
	struct vfio_user_rig *rig = *state;
	unsigned int files;

	vfio_user_rig_map(rig);
	files = vfio_user_rig_count_files();
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(vfio_user_client_dma_map(&rig->client, rows[i][0], rows[i][1],
							  rig->guest.fd, 0, true),
				 -EEXIST);
	assert_int_equal(vfio_user_rig_count_files(), files);
	assert_int_equal(balloon_memory(rig->balloon)->count, 2);
}

static void memory_that_cannot_be_is_refused(void **state)
{
	static const uint64_t rows[][3] = {
		/* address, size, offset */
		{ 0, 0, 0 },
		{ 0, 4097, 0 },
		{ 1, 4096, 0 },
		{ 0, 4096, 1 },
		{ 0, GUEST_RAM + 4096, 0 },
		{ 0, 4096, GUEST_RAM },
		{ UINT64_MAX - 4095, 8192, 0 },
	};
	struct vfio_user_rig *rig = *state;

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_true(vfio_user_client_dma_map(&rig->client, rows[i][0], rows[i][1],
						     rig->guest.fd, rows[i][2], true) < 0);
	assert_int_equal(vfio_user_rig_count_files(), rig->files);
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
	vfio_user_rig_assert_alive(rig);
}

static void half_a_region_cannot_be_unmapped(void **state)
{
	struct vfio_user_rig *rig = *state;

	vfio_user_rig_map(rig);
	assert_int_equal(vfio_user_client_dma_unmap(&rig->client, GUEST_LOW, 4096), -EINVAL);
	assert_int_equal(balloon_memory(rig->balloon)->count, 2);
}

static void all_can_be_unmapped_at_once(void **state)
{
	struct vfio_user_dma_unmap unmap = { .argsz = sizeof(unmap),
					     .flags = VFIO_DMA_UNMAP_FLAG_ALL,
					     .size = 4096 };
	struct vfio_user_rig *rig = *state;

	vfio_user_rig_map(rig);
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap)),
			 -EINVAL);
	unmap.size = 0;
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap)),
			 sizeof(unmap));
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
	assert_int_equal(vfio_user_rig_count_files(), rig->files);
}

static void dirty_pages_are_not_tracked(void **state)
{
	struct vfio_user_dma_unmap unmap = { .argsz = sizeof(unmap),
					     .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
					     .size = GUEST_PART };
	struct vfio_user_rig *rig = *state;

	vfio_user_rig_map(rig);
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap)),
			 -ENOTSUP);
	assert_int_equal(balloon_memory(rig->balloon)->count, 2);
}

/* File descriptors */

static void files_that_no_command_wants_are_closed(void **state)
{
	static const struct {
		uint16_t command;
		size_t size;
	} rows[] = {
		{ VFIO_USER_VERSION, 4 },
		{ VFIO_USER_DMA_UNMAP, 24 },
		{ VFIO_USER_GET_INFO, 16 },
		{ VFIO_USER_REGION_INFO, 32 },
		{ VFIO_USER_IRQ_INFO, 16 },
		{ VFIO_USER_REGION_READ, 16 },
		{ VFIO_USER_REGION_WRITE, 16 },
		{ VFIO_USER_RESET, 0 },
		{ 99, 8 },
	};
	struct vfio_user_rig *rig = *state;
	const int fds[] = { rig->guest.fd, rig->guest.fd };
	const uint8_t payload[32] = { 32 };

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_true(vfio_user_client_call(&rig->client, rows[i].command, payload,
						  rows[i].size, fds, 2, NULL, 0) < 0);
	assert_int_equal(vfio_user_rig_count_files(), rig->files);
	vfio_user_rig_assert_alive(rig);
}

static void memory_is_one_file(void **state)
{
	struct vfio_user_rig *rig = *state;
	const int fds[] = { rig->guest.fd, rig->guest.fd };
	const struct vfio_user_dma_map map = { .argsz = sizeof(map), .flags = 3, .size = 4096 };

	assert_int_equal(vfio_user_client_call(&rig->client, VFIO_USER_DMA_MAP, &map, sizeof(map),
					       fds, 2, NULL, 0),
			 -EINVAL);
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
	assert_int_equal(vfio_user_rig_count_files(), rig->files);
}

static void too_many_files_are_closed_and_refused(void **state)
{
	static const unsigned int counts[] = { 9, 10, 64, 253 };
	struct vfio_user_rig *rig = *state;
	int fds[253];

	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = rig->guest.fd;
	for (size_t i = 0; i < COUNT(counts); i++) {
		assert_int_equal(vfio_user_client_call(&rig->client, VFIO_USER_RESET, NULL, 0, fds,
						       counts[i], NULL, 0),
				 -EINVAL);
		assert_int_equal(vfio_user_rig_count_files(), rig->files);
	}
	vfio_user_rig_assert_alive(rig);
}

/* Otherwise the memory would be treated as memory without a file. */
static void a_file_that_was_lost_is_an_error(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct rlimit limit, none;
	int error;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ 3, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = vfio_user_client_dma_map(&rig->client, 0, GUEST_PART, rig->guest.fd, 0, true);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(error, -EINVAL);
	assert_int_equal(
		vfio_user_client_dma_map(&rig->client, 0, GUEST_PART, rig->guest.fd, 0, true), 0);
}

static void files_may_come_with_any_byte_of_a_message(void **state)
{
	const struct vfio_user_dma_map map = { sizeof(map), 3, 0, 0, GUEST_PART };
	struct vfio_user_header header = { .command = VFIO_USER_DMA_MAP,
					   .size = HEADER + sizeof(map) };
	uint8_t message[HEADER + sizeof(map)];
	struct vfio_user_rig *rig = *state;

	memcpy(message, &header, HEADER);
	memcpy(message + HEADER, &map, sizeof(map));
	for (size_t at = 0; at < sizeof(message); at++) {
		vfio_user_client_send_raw(&rig->client, message, at, NULL, 0);
		vfio_user_client_send_raw(&rig->client, message + at, sizeof(message) - at,
					  &rig->guest.fd, 1);
		assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), 0);
		assert_int_equal(header.flags, VFIO_USER_TYPE_REPLY);
		assert_int_equal(vfio_user_client_dma_unmap(&rig->client, 0, GUEST_PART), 0);
		assert_int_equal(vfio_user_rig_count_files(), rig->files);
	}
}

static void files_of_the_next_message_are_not_this_ones(void **state)
{
	const struct vfio_user_dma_map map = { sizeof(map), 3, 0, 0, GUEST_PART };
	struct vfio_user_header header;
	struct vfio_user_rig *rig = *state;

	vfio_user_client_send(&rig->client, VFIO_USER_RESET, 0, NULL, 0, NULL, 0);
	vfio_user_client_send(&rig->client, VFIO_USER_DMA_MAP, 0, &map, sizeof(map), &rig->guest.fd,
			      1);
	vfio_user_client_send(&rig->client, VFIO_USER_RESET, 0, NULL, 0, NULL, 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), 0);
		assert_int_equal(header.flags, VFIO_USER_TYPE_REPLY);
	}
	assert_int_equal(balloon_memory(rig->balloon)->count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		READY(memory_comes_and_goes),
		READY(memory_that_is_not_writable_is_not_written_to),
		READY(memory_that_is_not_readable_is_refused),
		READY(memory_without_a_file_is_acknowledged_and_forgotten),
		READY(memory_over_memory_is_refused),
		READY(memory_that_cannot_be_is_refused),
		READY(half_a_region_cannot_be_unmapped),
		READY(all_can_be_unmapped_at_once),
		READY(dirty_pages_are_not_tracked),
		READY(files_that_no_command_wants_are_closed),
		READY(memory_is_one_file),
		READY(too_many_files_are_closed_and_refused),
		READY(a_file_that_was_lost_is_an_error),
		READY(files_may_come_with_any_byte_of_a_message),
		READY(files_of_the_next_message_are_not_this_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
