/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/vfio_user_rig.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FILES_MAX 1024

unsigned int vfio_user_rig_count_files(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < FILES_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void take_queue(void *data, unsigned int queue)
{
	struct vfio_user_rig *rig = data;

	if (rig->transport)
		rig->transport->ops->notify_queue(rig->transport, queue);
}

static void take_config(void *data)
{
	struct vfio_user_rig *rig = data;

	if (rig->transport)
		rig->transport->ops->notify_config(rig->transport);
}

static void take_event(void *data, enum balloon_event event)
{
	(void)data;
	(void)event;
}

static void take_line(void *data, const char *line)
{
	assert_null(strchr(line, '\n'));
	((struct vfio_user_rig *)data)->log_lines++;
}

static uint64_t tell_time(void *data)
{
	return ((struct vfio_user_rig *)data)->now_ns;
}

static void take_closed(void *data, const char *why)
{
	struct vfio_user_rig *rig = data;

	rig->closed++;
	snprintf(rig->why, sizeof(rig->why), "%s", why);
}

static uint64_t step(void *data)
{
	return balloon_work(data);
}

static void pump(void *data)
{
	struct vfio_user_rig *rig = data;

	rig->now_ns += RIG_ROUND_NS;
	assert_int_equal(loop_round(rig->loop, 0), 0);
}

void vfio_user_rig_settle(struct vfio_user_rig *rig)
{
	for (unsigned int i = 0; i < 64; i++)
		pump(rig);
}

static void open_balloon(struct vfio_user_rig *rig)
{
	const struct balloon_options options = { .features = RIG_FEATURES, .release_delay_ns = 1 };
	const struct balloon_host host = {
		.notify_queue = take_queue,
		.notify_config = take_config,
		.event = take_event,
		.log = take_line,
		.now_ns = tell_time,
		.data = rig,
	};

	rig->balloon = balloon_new(&options, &host);
	assert_non_null(rig->balloon);
	loop_set_work(rig->loop, step, rig->balloon);
}

static void open_rig(void **state, bool msix)
{
	struct vfio_user_rig *rig = calloc(1, sizeof(*rig));
	struct transport_context context = {
		.msix = msix, .log = take_line, .closed = take_closed, .data = rig
	};
	int fds[2];

	assert_non_null(rig);
	assert_int_equal(guest_open(&rig->guest), 0);
	rig->loop = loop_new();
	assert_non_null(rig->loop);
	open_balloon(rig);
	context.loop = rig->loop;
	context.balloon = rig->balloon;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	rig->transport = vfio_user_ops.open(&context, fds[0]);
	assert_non_null(rig->transport);
	vfio_user_client_init(&rig->client, fds[1]);
	rig->client.pump = pump;
	rig->client.data = rig;
	rig->files = vfio_user_rig_count_files();
	*state = rig;
}

int vfio_user_rig_fresh(void **state)
{
	open_rig(state, false);
	return 0;
}

int vfio_user_rig_ready(void **state)
{
	open_rig(state, false);
	assert_int_equal(vfio_user_client_version(&((struct vfio_user_rig *)*state)->client), 0);
	return 0;
}

int vfio_user_rig_ready_msix(void **state)
{
	open_rig(state, true);
	assert_int_equal(vfio_user_client_version(&((struct vfio_user_rig *)*state)->client), 0);
	return 0;
}

int vfio_user_rig_teardown(void **state)
{
	struct vfio_user_rig *rig = *state;

	vfio_user_client_close(&rig->client);
	if (rig->transport)
		rig->transport->ops->close(rig->transport);
	balloon_free(rig->balloon);
	loop_free(rig->loop);
	guest_close(&rig->guest);
	free(rig);
	return 0;
}

void vfio_user_rig_map(struct vfio_user_rig *rig)
{
	assert_int_equal(vfio_user_client_dma_map(&rig->client, GUEST_LOW, GUEST_PART,
						  rig->guest.fd, 0, true),
			 0);
	assert_int_equal(vfio_user_client_dma_map(&rig->client, GUEST_HIGH, GUEST_PART,
						  rig->guest.fd, GUEST_PART, true),
			 0);
}

static void put(struct vfio_user_rig *rig, uint64_t offset, uint64_t value, unsigned int bytes)
{
	assert_int_equal(vfio_user_client_put(&rig->client, 0, offset, (uint32_t)value, bytes), 0);
}

void vfio_user_rig_drive(struct vfio_user_rig *rig, uint16_t config, uint16_t queue)
{
	put(rig, RIG_COMMON(STATUS), 0, 1);
	put(rig, RIG_COMMON(STATUS), 3, 1);
	for (unsigned int i = 0; i < 2; i++) {
		put(rig, RIG_COMMON(GFSELECT), i, 4);
		put(rig, RIG_COMMON(GF), RIG_FEATURES >> (32 * i), 4);
	}
	put(rig, RIG_COMMON(STATUS), 0x0b, 1);
	put(rig, RIG_COMMON(MSIX), config, 2);
	ring_init(&rig->ring, &rig->guest, 0);
	put(rig, RIG_COMMON(Q_SELECT), 0, 2);
	put(rig, RIG_COMMON(Q_MSIX), queue, 2);
	put(rig, RIG_COMMON(Q_SIZE), rig->ring.size, 2);
	put(rig, RIG_COMMON(Q_DESCLO), rig->ring.desc, 4);
	put(rig, RIG_COMMON(Q_AVAILLO), rig->ring.avail, 4);
	put(rig, RIG_COMMON(Q_USEDLO), rig->ring.used, 4);
	put(rig, RIG_COMMON(Q_ENABLE), 1, 2);
	put(rig, RIG_COMMON(STATUS), 0x0f, 1);
	assert_int_equal(vfio_user_client_get(&rig->client, 0, RIG_COMMON(STATUS), 1), 0x0f);
}

int vfio_user_rig_call(struct vfio_user_rig *rig, uint16_t command, const void *payload,
		       size_t size)
{
	return vfio_user_client_call(&rig->client, command, payload, size, NULL, 0, NULL, 0);
}

void vfio_user_rig_assert_alive(struct vfio_user_rig *rig)
{
	assert_int_equal(rig->closed, 0);
	assert_int_equal(vfio_user_client_get(&rig->client, VFIO_PCI_CONFIG_REGION_INDEX, 0, 4),
			 0x10451af4);
}

void vfio_user_rig_assert_ended(struct vfio_user_rig *rig, const char *part)
{
	vfio_user_rig_settle(rig);
	assert_int_equal(rig->closed, 1);
	if (!strstr(rig->why, part))
		fail_msg("\"%s\" does not say \"%s\"", rig->why, part);
	assert_int_equal(balloon_memory(rig->balloon)->count, 0);
	assert_false(balloon_is_driver_ok(rig->balloon));
}
