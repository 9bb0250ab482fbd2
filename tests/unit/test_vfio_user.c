/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user server's protocol, message by message.  Memory: test_vfio_user_memory.c. */
#include "tests/unit/vfio_user_rig.h"

#include <errno.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER sizeof(struct vfio_user_header)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* VERSION */

static void hello_is_answered_with_no_more_than_was_asked(void **state)
{
	static const size_t sizes[] = { 4, 5, 6, 7, 8, 60, 61, 62, 63, 64, 200, 4000 };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint8_t request[4000] = { 0 }, reply[4000] = { 0 };
		struct vfio_user_rig *rig;
		int size;

		vfio_user_rig_fresh(state);
		rig = *state;
		size = vfio_user_client_call(&rig->client, VFIO_USER_VERSION, request, sizes[i],
					     NULL, 0, reply, sizeof(reply));
		assert_in_range(size, 4, sizes[i]);
		assert_memory_equal(reply, "\0\0\0\0", 4);
		if (size > 4)
			assert_int_equal(strlen((char *)reply + 4) + 1, size - 4);
		vfio_user_rig_teardown(state);
	}
}

static void limits_are_told_in_the_answer_to_hello(void **state)
{
	struct vfio_user_rig *rig = *state;
	char request[200] = { 0 }, reply[200];

	assert_true(vfio_user_client_call(&rig->client, VFIO_USER_VERSION, request, sizeof(request),
					  NULL, 0, reply, sizeof(reply)) > 0);
	assert_string_equal(reply + 4,
			    "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":4096}}");
}

static void hello_may_say_anything(void **state)
{
	static const char *const texts[] = { "", "{", "{\"capabilities\": 5}", "\xff\xfe", "[[[[" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		char request[64] = { 0 };
		struct vfio_user_rig *rig;

		vfio_user_rig_fresh(state);
		rig = *state;
		strcpy(request + 4, texts[i]);
		assert_true(vfio_user_rig_call(rig, VFIO_USER_VERSION, request,
					       4 + strlen(texts[i])) > 0);
		vfio_user_rig_assert_alive(rig);
		vfio_user_rig_teardown(state);
	}
}

static void a_newer_minor_version_is_answered_with_ours(void **state)
{
	const struct vfio_user_version ours = { 0, 7 };
	struct vfio_user_rig *rig = *state;
	struct vfio_user_version reply;

	assert_true(vfio_user_client_call(&rig->client, VFIO_USER_VERSION, &ours, sizeof(ours),
					  NULL, 0, &reply, sizeof(reply)) > 0);
	assert_int_equal(reply.major, 0);
	assert_int_equal(reply.minor, 0);
}

static void another_major_version_is_refused(void **state)
{
	const struct vfio_user_version other = { 1, 0 };
	struct vfio_user_rig *rig = *state;

	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_VERSION, &other, sizeof(other)),
			 -EINVAL);
	assert_int_equal(vfio_user_client_version(&rig->client), 0);
	vfio_user_rig_assert_alive(rig);
}

static void hello_is_said_once(void **state)
{
	struct vfio_user_rig *rig = *state;

	assert_int_equal(vfio_user_client_version(&rig->client), -EINVAL);
	vfio_user_rig_assert_alive(rig);
}

static void nothing_goes_before_hello(void **state)
{
	static const struct {
		uint16_t command;
		size_t size;
	} rows[] = {
		{ VFIO_USER_DMA_MAP, 32 },     { VFIO_USER_DMA_UNMAP, 24 },
		{ VFIO_USER_GET_INFO, 16 },    { VFIO_USER_REGION_INFO, 32 },
		{ VFIO_USER_IRQ_INFO, 16 },    { VFIO_USER_SET_IRQS, 20 },
		{ VFIO_USER_REGION_READ, 16 }, { VFIO_USER_REGION_WRITE, 16 },
		{ VFIO_USER_RESET, 0 },
	};
	const uint8_t payload[32] = { 32 };
	struct vfio_user_rig *rig = *state;

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(vfio_user_rig_call(rig, rows[i].command, payload, rows[i].size),
				 -EINVAL);
	assert_int_equal(vfio_user_client_version(&rig->client), 0);
	vfio_user_rig_assert_alive(rig);
}

/* Device, regions and interrupts */

static void the_device_has_the_regions_and_interrupts_of_pci(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct vfio_user_device_info info = { .argsz = sizeof(info) };

	assert_int_equal(vfio_user_client_call(&rig->client, VFIO_USER_GET_INFO, &info,
					       sizeof(info), NULL, 0, &info, sizeof(info)),
			 sizeof(info));
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(info.regions, 9);
	assert_int_equal(info.irqs, 5);
}

static void regions_can_be_read_and_written_and_not_mapped(void **state)
{
	static const uint64_t sizes[] = { 0x4000, 0x1000, 0, 0, 0, 0, 0, 0x1000, 0 };
	struct vfio_user_rig *rig = *state;

	for (uint32_t index = 0; index < COUNT(sizes); index++) {
		struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

		assert_int_equal(vfio_user_client_call(&rig->client, VFIO_USER_REGION_INFO, &info,
						       sizeof(info), NULL, 0, &info, sizeof(info)),
				 sizeof(info));
		assert_int_equal(info.argsz, sizeof(info));
		assert_int_equal(info.index, index);
		assert_int_equal(info.size, sizes[index]);
		assert_int_equal(info.flags, sizes[index] ? VFIO_REGION_INFO_FLAG_READ |
								    VFIO_REGION_INFO_FLAG_WRITE
							  : 0);
	}
}

static void assert_irqs(struct vfio_user_rig *rig, const uint32_t counts[VFIO_PCI_NUM_IRQS])
{
	for (uint32_t index = 0; index < VFIO_PCI_NUM_IRQS; index++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

		if (index == VFIO_PCI_ERR_IRQ_INDEX)
			continue;
		assert_int_equal(vfio_user_client_call(&rig->client, VFIO_USER_IRQ_INFO, &info,
						       sizeof(info), NULL, 0, &info, sizeof(info)),
				 sizeof(info));
		assert_int_equal(info.count, counts[index]);
		assert_int_equal(!(info.flags & VFIO_IRQ_INFO_EVENTFD), !counts[index]);
		assert_int_equal(!(info.flags & VFIO_IRQ_INFO_AUTOMASKED), index != 0);
	}
}

static void by_default_there_is_intx_alone(void **state)
{
	assert_irqs(*state, (const uint32_t[]){ 1, 0, 0, 0, 0 });
}

static void with_msix_there_is_a_vector_for_each_cause(void **state)
{
	assert_irqs(*state, (const uint32_t[]){ 1, 0, 6, 0, 0 });
}

static void error_recovery_is_denied_in_silence(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_ERR_IRQ_INDEX };

	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_IRQ_INFO, &irq, sizeof(irq)), -ENODEV);
	assert_int_equal(rig->log_lines, 0);
}

static void what_there_is_not_cannot_be_asked_for(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct vfio_region_info region = { .argsz = sizeof(region), .index = 9 };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = 5 };
	struct vfio_user_device_info info = { .argsz = sizeof(info) - 1 };

	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_REGION_INFO, &region, sizeof(region)),
			 -EINVAL);
	region = (struct vfio_region_info){ .argsz = sizeof(region) - 1 };
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_REGION_INFO, &region, sizeof(region)),
			 -EINVAL);
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_IRQ_INFO, &irq, sizeof(irq)), -EINVAL);
	irq = (struct vfio_irq_info){ .argsz = sizeof(irq) - 1 };
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_IRQ_INFO, &irq, sizeof(irq)), -EINVAL);
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_GET_INFO, &info, sizeof(info)), -EINVAL);
	vfio_user_rig_assert_alive(rig);
}

/* Framing */

static void a_command_of_a_wrong_size_is_refused_and_no_more(void **state)
{
	static const struct {
		uint16_t command;
		size_t size; /* the right one */
	} rows[] = {
		{ VFIO_USER_DMA_MAP, 32 },  { VFIO_USER_DMA_UNMAP, 24 },
		{ VFIO_USER_GET_INFO, 16 }, { VFIO_USER_REGION_INFO, 32 },
		{ VFIO_USER_IRQ_INFO, 16 }, { VFIO_USER_REGION_READ, 16 },
		{ VFIO_USER_RESET, 0 },
	};
	struct vfio_user_rig *rig = *state;
	uint8_t payload[40] = { 32 };

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t size = 0; size < sizeof(payload); size++)
			if (size != rows[i].size)
				assert_int_equal(
					vfio_user_rig_call(rig, rows[i].command, payload, size),
					-EINVAL);
	}
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_SET_IRQS, payload, 19), -EINVAL);
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_REGION_WRITE, payload, 15), -EINVAL);
	vfio_user_rig_assert_alive(rig);
}

static void an_unknown_command_is_refused_and_no_more(void **state)
{
	static const uint16_t commands[] = { 0,	 6,  11, 12, 14,  15,	  16,
					     17, 18, 19, 77, 255, 0x8001, 0xffff };
	struct vfio_user_rig *rig = *state;

	for (size_t i = 0; i < COUNT(commands); i++)
		assert_int_equal(vfio_user_rig_call(rig, commands[i], "12345678", 8), -ENOTSUP);
	vfio_user_rig_assert_alive(rig);
	assert_int_equal(rig->log_lines, 2); /* the 1st and the 10th */
}

static void a_command_may_be_as_long_as_the_longest_and_no_longer(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct vfio_user_header header = { .id = 7, .command = 99, .size = HEADER + 16 + 4096 };
	uint8_t message[HEADER + 16 + 4096] = { 0 };

	memcpy(message, &header, HEADER);
	assert_int_equal(vfio_user_client_send_raw(&rig->client, message, sizeof(message), NULL, 0),
			 0);
	assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), 0);
	assert_int_equal(header.error, ENOTSUP);
	vfio_user_rig_assert_alive(rig);

	header = (struct vfio_user_header){ .id = 8, .command = 99, .size = sizeof(message) + 1 };
	assert_int_equal(vfio_user_client_send_raw(&rig->client, &header, HEADER, NULL, 0), 0);
	assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), 0);
	assert_int_equal(header.id, 8);
	assert_int_equal(header.error, EMSGSIZE);
	assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), -ECONNRESET);
	vfio_user_rig_assert_ended(rig, "size");
}

static void a_message_shorter_than_its_header_ends_the_connection(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct vfio_user_header header = { .command = VFIO_USER_RESET, .size = HEADER - 1 };

	assert_int_equal(vfio_user_client_send_raw(&rig->client, &header, HEADER, NULL, 0), 0);
	vfio_user_rig_assert_ended(rig, "size");
}

static void a_message_may_be_cut_anywhere(void **state)
{
	struct {
		struct vfio_user_header header;
		struct vfio_user_access access;
		uint8_t data[8];
	} write = {
		.header = { .command = VFIO_USER_REGION_WRITE, .size = sizeof(write) },
		.access = { RIG_COMMON(GFSELECT), 0, sizeof(write.data) },
	};
	struct vfio_user_rig *rig = *state;

	for (size_t cut = 1; cut < sizeof(write); cut++) {
		struct vfio_user_header header;
		struct vfio_user_access reply;

		write.header.id = (uint16_t)cut;
		write.data[0] = (uint8_t)cut;
		vfio_user_client_send_raw(&rig->client, &write, cut, NULL, 0);
		vfio_user_rig_settle(rig);
		vfio_user_client_send_raw(&rig->client, (uint8_t *)&write + cut,
					  sizeof(write) - cut, NULL, 0);
		assert_int_equal(vfio_user_client_receive(&rig->client, &header, &reply, 16), 16);
		assert_int_equal(header.id, cut);
		assert_int_equal(vfio_user_client_get(&rig->client, 0, RIG_COMMON(GFSELECT), 4),
				 cut);
	}
	vfio_user_rig_assert_alive(rig);
}

static void messages_may_come_all_at_once(void **state)
{
	struct read {
		struct vfio_user_header header;
		struct vfio_user_access access;
	} reads[100];
	struct vfio_user_rig *rig = *state;

	for (uint16_t i = 0; i < COUNT(reads); i++)
		reads[i] = (struct read){
			{ .id = i, .command = VFIO_USER_REGION_READ, .size = sizeof(struct read) },
			{ i, VFIO_PCI_CONFIG_REGION_INDEX, 1 },
		};
	vfio_user_client_send_raw(&rig->client, reads, sizeof(reads), NULL, 0);
	for (uint16_t i = 0; i < COUNT(reads); i++) {
		struct vfio_user_header header;

		assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), 17);
		assert_int_equal(header.id, i);
	}
}

static void a_reply_is_not_replied_to(void **state)
{
	struct vfio_user_rig *rig = *state;

	vfio_user_client_send(&rig->client, VFIO_USER_RESET, VFIO_USER_TYPE_REPLY, NULL, 0, NULL,
			      0);
	vfio_user_rig_assert_alive(rig);
}

static void a_message_of_no_known_type_is_refused(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct vfio_user_header header;

	vfio_user_client_send(&rig->client, VFIO_USER_RESET, 2, NULL, 0, NULL, 0);
	assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0), 0);
	assert_int_equal(header.error, EINVAL);
	vfio_user_rig_assert_alive(rig);
}

static void what_is_posted_is_done_and_not_replied_to(void **state)
{
	struct vfio_user_rig *rig = *state;
	const uint32_t value = 0x1234;

	assert_int_equal(vfio_user_client_post(&rig->client, 0, RIG_COMMON(GFSELECT), &value, 4),
			 0);
	assert_int_equal(vfio_user_client_post(&rig->client, 99, 0, &value, 4), 0);
	assert_int_equal(vfio_user_client_get(&rig->client, 0, RIG_COMMON(GFSELECT), 4), 0x1234);
	vfio_user_rig_assert_alive(rig);
}

static void a_vmm_that_does_not_read_is_not_read_from(void **state)
{
	const struct vfio_user_access access = { 0, VFIO_PCI_CONFIG_REGION_INDEX, 4096 };
	struct vfio_user_rig *rig = *state;
	int first = rig->client.next_id, sent = 0, small = 4096;
	bool full = false;

	/* A short timeout of the client makes this end soon. */
	setsockopt(rig->client.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (!full && sent < 20000) {
		full = vfio_user_client_send(&rig->client, VFIO_USER_REGION_READ, 0, &access,
					     sizeof(access), NULL, 0) < 0;
		sent += !full;
	}
	assert_true(full);
	assert_int_equal(rig->closed, 0);
	for (int i = 0; i < sent; i++) {
		struct vfio_user_header header;

		assert_int_equal(vfio_user_client_receive(&rig->client, &header, NULL, 0),
				 16 + 4096);
		assert_int_equal(header.id, (uint16_t)(first + i));
	}
	vfio_user_rig_assert_alive(rig);
}

/* Regions */

static void accesses_have_to_stay_within_their_region(void **state)
{
	static const struct vfio_user_access rows[] = {
		{ 0x4000, 0, 1 },     { 0x3fff, 0, 2 },
		{ 0, 0, 4097 },	      { 0, 1, 1 },
		{ 0, 6, 1 },	      { 0, 8, 1 },
		{ 0, UINT32_MAX, 1 }, { UINT64_MAX, 0, 1 },
		{ 0, 0, UINT32_MAX }, { UINT64_MAX, 0, UINT32_MAX },
		{ 0x1000, 7, 1 },
	};
	struct vfio_user_rig *rig = *state;

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
			vfio_user_rig_call(rig, VFIO_USER_REGION_READ, &rows[i], sizeof(rows[i])),
			-EINVAL);
	vfio_user_rig_assert_alive(rig);
}

static void a_write_has_to_bring_as_much_as_it_says(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct {
		struct vfio_user_access access;
		uint8_t data[8];
	} write = { .access = { 0, 0, 4 } };

	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_REGION_WRITE, &write, 16 + 3), -EINVAL);
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_REGION_WRITE, &write, 16 + 5), -EINVAL);
	write.access.count = UINT32_MAX;
	assert_int_equal(vfio_user_rig_call(rig, VFIO_USER_REGION_WRITE, &write, 16 + 8), -EINVAL);
	vfio_user_rig_assert_alive(rig);
}

static void accesses_of_nothing_are_fine(void **state)
{
	struct vfio_user_rig *rig = *state;

	assert_int_equal(vfio_user_client_read(&rig->client, 0, 0x4000, &(uint8_t){ 0 }, 0), 0);
	assert_int_equal(vfio_user_client_write(&rig->client, 0, 0, "", 0), 0);
}

/* The device */

static void pages_can_be_inflated(void **state)
{
	struct vfio_user_rig *rig = *state;
	uint32_t *pfns = guest_at(&rig->guest, 0x10000), id, length;
	uint64_t before;

	guest_touch(&rig->guest);
	vfio_user_rig_map(rig);
	vfio_user_rig_drive(rig, VIRTIO_MSI_NO_VECTOR, VIRTIO_MSI_NO_VECTOR);
	before = guest_allocated(&rig->guest);
	for (uint32_t i = 0; i < 512; i++)
		pfns[i] = (uint32_t)(GUEST_HIGH / GUEST_PAGE) + i;
	ring_fill(&rig->ring, 0, 0x10000, 512 * 4, 0, 0);
	ring_offer(&rig->ring, 0);
	assert_int_equal(vfio_user_client_put(&rig->client, 0, RIG_NOTIFY, 0, 2), 0);
	vfio_user_rig_settle(rig);
	assert_true(ring_take(&rig->ring, &id, &length));
	assert_int_equal(length, 0);
	assert_int_equal(vfio_user_client_get(&rig->client, 0, RIG_ISR, 1), 1);
	assert_int_equal(before - guest_allocated(&rig->guest), 512 * GUEST_PAGE);
}

static void a_reset_leaves_the_memory_and_no_driver(void **state)
{
	struct vfio_user_rig *rig = *state;

	vfio_user_rig_map(rig);
	vfio_user_rig_drive(rig, VIRTIO_MSI_NO_VECTOR, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(vfio_user_client_put(&rig->client, VFIO_PCI_CONFIG_REGION_INDEX, 4, 6, 2),
			 0);
	assert_int_equal(vfio_user_client_reset(&rig->client), 0);
	assert_int_equal(vfio_user_client_get(&rig->client, 0, RIG_COMMON(STATUS), 1), 0);
	assert_int_equal(vfio_user_client_get(&rig->client, VFIO_PCI_CONFIG_REGION_INDEX, 4, 2), 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
	assert_int_equal(balloon_memory(rig->balloon)->count, 2);
	vfio_user_rig_drive(rig, VIRTIO_MSI_NO_VECTOR, VIRTIO_MSI_NO_VECTOR);
}

/* The end */

static void a_vmm_that_goes_leaves_nothing(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	vfio_user_rig_map(rig);
	vfio_user_rig_drive(rig, VIRTIO_MSI_NO_VECTOR, VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(vfio_user_client_set_irqs(&rig->client, 0x24, 0, 0, 1, NULL, &event, 1),
			 0);
	assert_int_equal(vfio_user_client_set_irqs(&rig->client, 0x14, 0, 0, 1, NULL, &event, 1),
			 0);
	close(event);
	vfio_user_client_close(&rig->client);
	vfio_user_rig_assert_ended(rig, "closed the connection");
	/* Both ends of the connection are closed, too. */
	assert_int_equal(vfio_user_rig_count_files(), rig->files - 2);
	rig->transport->ops->notify_queue(rig->transport, 0);
	rig->transport->ops->notify_config(rig->transport);
	vfio_user_rig_settle(rig);
	assert_int_equal(rig->closed, 1);
}

static void a_vmm_that_goes_within_a_message_leaves_nothing(void **state)
{
	struct vfio_user_rig *rig = *state;
	const struct vfio_user_header header = { .command = VFIO_USER_DMA_MAP, .size = 48 };

	vfio_user_client_send_raw(&rig->client, &header, HEADER, &rig->guest.fd, 1);
	vfio_user_rig_settle(rig);
	assert_int_equal(vfio_user_rig_count_files(), rig->files + 1);
	vfio_user_client_close(&rig->client);
	vfio_user_rig_assert_ended(rig, "within a message");
	assert_int_equal(vfio_user_rig_count_files(), rig->files - 2);
}

static void a_vmm_that_can_no_longer_be_answered_is_gone(void **state)
{
	const struct vfio_user_access access = { 0, VFIO_PCI_CONFIG_REGION_INDEX, 4 };
	struct vfio_user_rig *rig = *state;

	assert_int_equal(shutdown(rig->client.fd, SHUT_RD), 0);
	vfio_user_client_send(&rig->client, VFIO_USER_REGION_READ, 0, &access, sizeof(access), NULL,
			      0);
	vfio_user_rig_assert_ended(rig, "closed the connection");
}

static void nothing_is_closed_twice(void **state)
{
	struct vfio_user_rig *rig = *state;
	int files[8];

	vfio_user_client_close(&rig->client);
	vfio_user_rig_assert_ended(rig, "closed the connection");
	/* These get the descriptor numbers that have become free. */
	for (size_t i = 0; i < COUNT(files); i++)
		files[i] = dup(rig->guest.fd);
	rig->transport->ops->close(rig->transport);
	rig->transport = NULL;
	for (size_t i = 0; i < COUNT(files); i++)
		assert_int_equal(close(files[i]), 0);
}

static void a_vmm_that_goes_with_replies_unread_leaves_nothing(void **state)
{
	const struct vfio_user_access access = { 0, VFIO_PCI_CONFIG_REGION_INDEX, 4096 };
	struct vfio_user_rig *rig = *state;
	int small = 4096;

	setsockopt(rig->client.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (vfio_user_client_send(&rig->client, VFIO_USER_REGION_READ, 0, &access,
				     sizeof(access), NULL, 0) >= 0)
		;
	vfio_user_client_close(&rig->client);
	vfio_user_rig_settle(rig);
	assert_int_equal(rig->closed, 1);
}

static void a_transport_that_is_closed_tells_nobody(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct transport *transport = rig->transport;

	vfio_user_rig_map(rig);
	vfio_user_rig_drive(rig, VIRTIO_MSI_NO_VECTOR, VIRTIO_MSI_NO_VECTOR);
	rig->transport = NULL;
	transport->ops->close(transport);
	assert_int_equal(rig->closed, 0);
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
	assert_int_equal(vfio_user_rig_count_files(), rig->files - 1);
}

/* Random input */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A complete message with a known command and random content. */
static void send_random(struct vfio_user_rig *rig, uint64_t *seed)
{
	uint64_t random = next_random(seed);
	const int fds[4] = { rig->guest.fd, rig->guest.fd, rig->guest.fd, rig->guest.fd };
	uint32_t payload[16];
	size_t size = random % (sizeof(payload) + 1);

	for (size_t i = 0; i < COUNT(payload); i++)
		payload[i] = (uint32_t)(next_random(seed) >> (next_random(seed) % 64));
	vfio_user_client_send(&rig->client, random >> 8 & 15, random >> 16 & 0x1f, payload, size,
			      fds, (random >> 24) % 4);
}

static void any_commands_leave_a_server_that_works(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 0x5eed5eed5eed5eed;
	struct vfio_user_rig *rig = *state;
	uint8_t sink[4096];

	print_message("SEED=%#llx\n", (unsigned long long)seed);
	for (unsigned int i = 0; i < 5000; i++) {
		send_random(rig, &seed);
		vfio_user_rig_settle(rig);
		while (recv(rig->client.fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			;
	}
	vfio_user_rig_assert_alive(rig);
	assert_true(vfio_user_rig_count_files() <=
		    rig->files + balloon_memory(rig->balloon)->count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_is_answered_with_no_more_than_was_asked),
		FRESH(limits_are_told_in_the_answer_to_hello),
		cmocka_unit_test(hello_may_say_anything),
		FRESH(a_newer_minor_version_is_answered_with_ours),
		FRESH(another_major_version_is_refused),
		READY(hello_is_said_once),
		FRESH(nothing_goes_before_hello),
		READY(the_device_has_the_regions_and_interrupts_of_pci),
		MSIX(regions_can_be_read_and_written_and_not_mapped),
		READY(by_default_there_is_intx_alone),
		MSIX(with_msix_there_is_a_vector_for_each_cause),
		READY(error_recovery_is_denied_in_silence),
		READY(what_there_is_not_cannot_be_asked_for),
		READY(a_command_of_a_wrong_size_is_refused_and_no_more),
		READY(an_unknown_command_is_refused_and_no_more),
		READY(a_command_may_be_as_long_as_the_longest_and_no_longer),
		READY(a_message_shorter_than_its_header_ends_the_connection),
		READY(a_message_may_be_cut_anywhere),
		READY(messages_may_come_all_at_once),
		READY(a_reply_is_not_replied_to),
		READY(a_message_of_no_known_type_is_refused),
		READY(what_is_posted_is_done_and_not_replied_to),
		READY(a_vmm_that_does_not_read_is_not_read_from),
		READY(accesses_have_to_stay_within_their_region),
		READY(a_write_has_to_bring_as_much_as_it_says),
		READY(accesses_of_nothing_are_fine),
		READY(pages_can_be_inflated),
		READY(a_reset_leaves_the_memory_and_no_driver),
		READY(a_vmm_that_goes_leaves_nothing),
		READY(a_vmm_that_goes_within_a_message_leaves_nothing),
		READY(a_vmm_that_can_no_longer_be_answered_is_gone),
		READY(nothing_is_closed_twice),
		READY(a_vmm_that_goes_with_replies_unread_leaves_nothing),
		READY(a_transport_that_is_closed_tells_nobody),
		MSIX(any_commands_leave_a_server_that_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
