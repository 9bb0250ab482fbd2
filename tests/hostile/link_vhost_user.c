/* SPDX-License-Identifier: BSD-3-Clause */
/* The VM over vhost-user, in the order of QEMU's messages. */
#include "tests/hostile/links.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The device serves one VMM at a time, and may not have seen yet that the last one left. */
static int connect_vhost(struct vm *vm)
{
	uint64_t deadline = now_ms() + HANG_MS;
	int error = -ECONNRESET;

	while (error == -ECONNRESET && now_ms() < deadline) {
		int fd = vm_dial(vm);

		if (fd < 0)
			return fd;
		vm->vhost = (struct vhost_user_client){ .fd = fd, .backend_fd = -1 };
		error = vhost_user_client_greet(&vm->vhost);
		if (!error)
			return 0;
		vhost_user_client_close(&vm->vhost);
		pause_ms(1);
	}
	return error;
}

static void close_vhost(struct vm *vm)
{
	vhost_user_client_close(&vm->vhost);
}

static bool is_over_vhost(struct vm *vm)
{
	struct pollfd hung_up = { .fd = vm->vhost.fd, .events = POLLRDHUP };

	return vm->vhost.fd < 0 || poll(&hung_up, 1, 0) > 0;
}

static struct vhost_user_mem_reg region_of(uint64_t gpa, uint64_t size, uint64_t offset)
{
	return (struct vhost_user_mem_reg){
		.region = { .gpa = gpa,
			    .size = size,
			    .user = VHOST_USER_BASE + gpa,
			    .fd_offset = offset },
	};
}

static int map_vhost(struct vm *vm, uint64_t gpa, uint64_t size, int fd, uint64_t offset)
{
	const struct vhost_user_mem_reg region = region_of(gpa, size, offset);

	return vhost_user_client_tell(&vm->vhost, VHOST_USER_ADD_MEM_REG, &region, sizeof(region),
				      fd);
}

static int unmap_vhost(struct vm *vm, uint64_t gpa, uint64_t size)
{
	const struct vhost_user_mem_reg region = region_of(gpa, size, 0);

	return vhost_user_client_tell(&vm->vhost, VHOST_USER_REM_MEM_REG, &region, sizeof(region),
				      -1);
}

static int begin_vhost(struct vm *vm, uint64_t features)
{
	return vhost_user_client_set(&vm->vhost, VHOST_USER_SET_FEATURES,
				     features | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
}

static int set_up_queue_vhost(struct vm *vm, unsigned int queue, const struct ring *ring)
{
	const struct vhost_user_vring_addr addr = {
		.index = queue,
		.desc = VHOST_USER_BASE + ring->desc,
		.avail = VHOST_USER_BASE + ring->avail,
		.used = VHOST_USER_BASE + ring->used,
	};
	struct vhost_user_client *client = &vm->vhost;
	int error = vhost_user_client_vring(client, VHOST_USER_SET_VRING_NUM, queue, ring->size);

	if (!error)
		error = vhost_user_client_vring(client, VHOST_USER_SET_VRING_BASE, queue, 0);
	if (!error)
		error = vhost_user_client_tell(client, VHOST_USER_SET_VRING_ADDR, &addr,
					       sizeof(addr), -1);
	if (!error)
		error = vhost_user_client_eventfd(client, VHOST_USER_SET_VRING_KICK, queue,
						  vm->kicks[queue]);
	if (!error)
		error = vhost_user_client_eventfd(client, VHOST_USER_SET_VRING_CALL, queue,
						  vm->calls[queue]);
	return error;
}

static int driver_ok_vhost(struct vm *vm)
{
	int error = 0;

	for (unsigned int i = 0; i < QUEUES && !error; i++)
		error = vhost_user_client_vring(&vm->vhost, VHOST_USER_SET_VRING_ENABLE, i, 1);
	return error;
}

static int kick_vhost(struct vm *vm, unsigned int queue)
{
	const uint64_t one = 1;

	if (queue >= QUEUES)
		return -EINVAL;
	return write(vm->kicks[queue], &one, sizeof(one)) < 0 ? -errno : 0;
}

static int config_read_vhost(struct vm *vm, unsigned int offset, void *to, unsigned int size)
{
	const struct vhost_user_config config = { .offset = offset, .size = size };
	struct vhost_user_answer answer;
	int error;

	if (size > sizeof(config.bytes))
		return -EINVAL;
	error = vhost_user_client_ask(&vm->vhost, VHOST_USER_GET_CONFIG, &config,
				      VHOST_USER_CONFIG_HEADER + size, &answer);
	if (!error && answer.header.size != VHOST_USER_CONFIG_HEADER + size)
		error = -EREMOTEIO;
	if (!error)
		memcpy(to, answer.payload.config.bytes, size);
	return error;
}

static int config_write_vhost(struct vm *vm, unsigned int offset, const void *from,
			      unsigned int size)
{
	struct vhost_user_config config = { .offset = offset, .size = size };

	if (size > sizeof(config.bytes))
		return -EINVAL;
	memcpy(config.bytes, from, size);
	return vhost_user_client_tell(&vm->vhost, VHOST_USER_SET_CONFIG, &config,
				      VHOST_USER_CONFIG_HEADER + size, -1);
}

static int reset_vhost(struct vm *vm)
{
	return vhost_user_client_tell(&vm->vhost, VHOST_USER_RESET_DEVICE, NULL, 0, -1);
}

const struct link link_vhost_user = {
	.name = "vhost-user",
	.connect = connect_vhost,
	.close = close_vhost,
	.is_over = is_over_vhost,
	.map = map_vhost,
	.unmap = unmap_vhost,
	.begin = begin_vhost,
	.set_up_queue = set_up_queue_vhost,
	.driver_ok = driver_ok_vhost,
	.kick = kick_vhost,
	.config_read = config_read_vhost,
	.config_write = config_write_vhost,
	.reset = reset_vhost,
};
