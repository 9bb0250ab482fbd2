/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/hostile/links.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ASK_EVERY 64 /* turns of waiting, then the device is asked whether it wants its reset */

bool vm_fail(struct vm *vm, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(vm->failure, sizeof(vm->failure), format, arguments);
	va_end(arguments);
	return false;
}

int vm_dial(struct vm *vm)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	strncpy(address.sun_path, vm->device->vmm_path, sizeof(address.sun_path) - 1);
	if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -ECONNRESET;
}

const struct link *vm_link(enum protocol protocol)
{
	return protocol == VFIO_USER ? &link_vfio_user : &link_vhost_user;
}

int vm_open(struct vm *vm, struct device *device, enum protocol protocol)
{
	int error;

	*vm = (struct vm){
		.link = vm_link(protocol),
		.device = device,
		.protocol = protocol,
		.features = VM_FEATURES,
		.vfio.fd = -1,
		.vhost = { .fd = -1, .backend_fd = -1 },
	};
	error = guest_open(&vm->guest);
	if (error)
		return error;
	for (unsigned int i = 0; i < QUEUES; i++) {
		vm->kicks[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		vm->calls[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ring_init(&vm->rings[i], &vm->guest, RING_GPA(i));
	}
	return 0;
}

void vm_close(struct vm *vm)
{
	vm->link->close(vm);
	for (unsigned int i = 0; i < QUEUES; i++) {
		close(vm->kicks[i]);
		close(vm->calls[i]);
	}
	guest_close(&vm->guest);
}

int vm_map_all(struct vm *vm)
{
	int error = vm->link->map(vm, GUEST_LOW, GUEST_PART, vm->guest.fd, 0);

	return error ? error : vm->link->map(vm, GUEST_HIGH, GUEST_PART, vm->guest.fd, GUEST_PART);
}

int vm_start(struct vm *vm)
{
	int error = vm->link->connect(vm);

	if (!error)
		error = vm_map_all(vm);
	if (!error)
		error = vm->link->begin(vm, vm->features);
	if (!error && vm->poison)
		error = vm->link->config_write(vm, 12, &vm->poison, sizeof(vm->poison));
	for (unsigned int i = 0; i < QUEUES && !error; i++)
		error = vm->link->set_up_queue(vm, i, &vm->rings[i]);
	return error ? error : vm->link->driver_ok(vm);
}

void vm_kick(struct vm *vm, unsigned int queue)
{
	vm->link->kick(vm, queue);
}

void vm_offer(struct vm *vm, unsigned int queue, uint64_t gpa, uint32_t length, uint16_t flags)
{
	struct ring *ring = &vm->rings[queue];
	uint16_t slot = ring->offered % ring->size;

	ring_fill(ring, slot, gpa, length, flags, 0);
	ring_offer(ring, slot);
}

uint64_t vm_write_pfns(struct vm *vm, uint32_t first, unsigned int count, int stride)
{
	uint32_t *pfns = guest_at(&vm->guest, BUFFERS);

	for (unsigned int i = 0; i < count; i++)
		pfns[i] = first + (uint32_t)((int)i * stride);
	return BUFFERS;
}

bool vm_send_pages(struct vm *vm, unsigned int queue, uint64_t gpa, unsigned int count)
{
	uint64_t at = vm_write_pfns(vm, (uint32_t)(gpa / GUEST_PAGE), count, 1);

	vm_offer(vm, queue, at, count * 4, 0);
	vm_kick(vm, queue);
	return vm_settles(vm);
}

static bool all_returned(const struct vm *vm)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		const struct ring *ring = &vm->rings[i];
		uint16_t out = (uint16_t)(ring->offered - ring_used_index(ring));

		if (out > (i == STATS))
			return false;
	}
	return true;
}

bool vm_settles(struct vm *vm)
{
	uint64_t deadline = now_ms() + HANG_MS;

	for (unsigned int turn = 1; now_ms() < deadline; turn++) {
		if (all_returned(vm))
			return true;
		if (!device_lives(vm->device))
			return vm_fail(vm, "the device died");
		if (turn % ASK_EVERY == 0 &&
		    (vm->link->is_over(vm) || device_needs_reset(vm->device)))
			return true;
		pause_ms(turn < ASK_EVERY ? 0 : 1);
	}
	return vm_fail(vm, "a buffer was not returned");
}

void vm_forget_rings(struct vm *vm)
{
	for (unsigned int i = 0; i < QUEUES; i++)
		vm->rings[i].offered = vm->rings[i].taken = ring_used_index(&vm->rings[i]);
}

static bool wait_allocated(struct vm *vm, uint64_t least, uint64_t most)
{
	uint64_t deadline = now_ms() + HANG_MS;
	uint64_t bytes;

	while (bytes = guest_allocated(&vm->guest), bytes < least || bytes > most) {
		if (now_ms() > deadline || !device_lives(vm->device))
			return vm_fail(vm, "the host has %llu bytes for the guest, not %llu",
				       (unsigned long long)bytes, (unsigned long long)least);
		pause_ms(1);
	}
	return true;
}

bool vm_wait_allocated(struct vm *vm, uint64_t bytes)
{
	return wait_allocated(vm, bytes, bytes);
}

bool vm_wait_all_but_rings(struct vm *vm, uint64_t bytes)
{
	return wait_allocated(vm, bytes, bytes + QUEUES * GUEST_PAGE);
}
