/* SPDX-License-Identifier: BSD-3-Clause */
/* The VM over vfio-user: virtio over PCI, as transport/virtio_pci_registers.c lays it out. */
#include "tests/hostile/links.h"

#include <errno.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static int put(struct vm *vm, uint64_t offset, uint64_t value, unsigned int bytes)
{
	return vfio_user_client_put(&vm->vfio, 0, offset, (uint32_t)value, bytes);
}

static int put_u64(struct vm *vm, uint64_t offset, uint64_t value)
{
	int error = put(vm, offset, value, 4);

	return error ? error : put(vm, offset + 4, value >> 32, 4);
}

/* The device serves one VMM at a time, and may not have seen yet that the last one left. */
static int connect_vfio(struct vm *vm)
{
	uint64_t deadline = now_ms() + HANG_MS;
	int error = -ECONNRESET;

	while (error == -ECONNRESET && now_ms() < deadline) {
		int fd = vm_dial(vm);

		if (fd < 0)
			return fd;
		vfio_user_client_init(&vm->vfio, fd);
		error = vfio_user_client_version(&vm->vfio);
		if (!error)
			return 0;
		vfio_user_client_close(&vm->vfio);
		pause_ms(1);
	}
	return error;
}

static void close_vfio(struct vm *vm)
{
	vfio_user_client_close(&vm->vfio);
}

static bool is_over_vfio(struct vm *vm)
{
	struct pollfd hung_up = { .fd = vm->vfio.fd, .events = POLLRDHUP };

	return vm->vfio.fd < 0 || poll(&hung_up, 1, 0) > 0;
}

static int map_vfio(struct vm *vm, uint64_t gpa, uint64_t size, int fd, uint64_t offset)
{
	return vfio_user_client_dma_map(&vm->vfio, gpa, size, fd, offset, true);
}

static int unmap_vfio(struct vm *vm, uint64_t gpa, uint64_t size)
{
	return vfio_user_client_dma_unmap(&vm->vfio, gpa, size);
}

static int begin_vfio(struct vm *vm, uint64_t features)
{
	static const uint32_t used = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	int error = vfio_user_client_set_irqs(&vm->vfio, used, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL,
					      &vm->calls[0], 1);

	if (!error)
		error = put(vm, VFIO_COMMON(STATUS), 1, 1);
	if (!error)
		error = put(vm, VFIO_COMMON(STATUS), 3, 1);
	for (unsigned int i = 0; i < 2 && !error; i++) {
		error = put(vm, VFIO_COMMON(GFSELECT), i, 4);
		if (!error)
			error = put(vm, VFIO_COMMON(GF), features >> (32 * i), 4);
	}
	if (!error)
		error = put(vm, VFIO_COMMON(STATUS), 0x0b, 1);
	if (!error && !(vfio_user_client_get(&vm->vfio, 0, VFIO_COMMON(STATUS), 1) & 8))
		error = -EINVAL;
	return error;
}

static int set_up_queue_vfio(struct vm *vm, unsigned int queue, const struct ring *ring)
{
	int error = put(vm, VFIO_COMMON(Q_SELECT), queue, 2);

	if (!error)
		error = put(vm, VFIO_COMMON(Q_SIZE), ring->size, 2);
	if (!error)
		error = put_u64(vm, VFIO_COMMON(Q_DESCLO), ring->desc);
	if (!error)
		error = put_u64(vm, VFIO_COMMON(Q_AVAILLO), ring->avail);
	if (!error)
		error = put_u64(vm, VFIO_COMMON(Q_USEDLO), ring->used);
	return error ? error : put(vm, VFIO_COMMON(Q_ENABLE), 1, 2);
}

static int driver_ok_vfio(struct vm *vm)
{
	return put(vm, VFIO_COMMON(STATUS), 0x0f, 1);
}

static int kick_vfio(struct vm *vm, unsigned int queue)
{
	const uint16_t number = (uint16_t)queue;

	return vfio_user_client_post(&vm->vfio, 0, VFIO_NOTIFY + 4 * queue, &number,
				     sizeof(number));
}

static int config_read_vfio(struct vm *vm, unsigned int offset, void *to, unsigned int size)
{
	return vfio_user_client_read(&vm->vfio, 0, VFIO_CONFIG + offset, to, size);
}

static int config_write_vfio(struct vm *vm, unsigned int offset, const void *from,
			     unsigned int size)
{
	return vfio_user_client_write(&vm->vfio, 0, VFIO_CONFIG + offset, from, size);
}

static int reset_vfio(struct vm *vm)
{
	return put(vm, VFIO_COMMON(STATUS), 0, 1);
}

const struct link link_vfio_user = {
	.name = "vfio-user",
	.connect = connect_vfio,
	.close = close_vfio,
	.is_over = is_over_vfio,
	.map = map_vfio,
	.unmap = unmap_vfio,
	.begin = begin_vfio,
	.set_up_queue = set_up_queue_vfio,
	.driver_ok = driver_ok_vfio,
	.kick = kick_vfio,
	.config_read = config_read_vfio,
	.config_write = config_write_vfio,
	.reset = reset_vfio,
};
