/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vhost_user_messages.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/log_rate.h"
#include "transport/vhost_user.h"

#define BIT(number) (UINT64_C(1) << (number))
#define PROTOCOL_FEATURES                                                                          \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                    \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_CROSS_ENDIAN) |        \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIG) | BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |             \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

static int set_u64_answer(struct vhost_user_message *message, uint64_t value)
{
	message->payload.u64 = value;
	message->header.size = sizeof(message->payload.u64);
	return 0;
}

static int take_message_fd(struct vhost_user_message *message)
{
	int fd = message->fd_count ? message->fds[0] : -1;

	if (fd >= 0)
		message->fds[0] = -1;
	return fd;
}

/*
 * Features and the connection
 */

static int handle_get_features(struct vhost_user *vu, struct vhost_user_message *message)
{
	return set_u64_answer(message, balloon_offered(vhost_user_balloon(vu)) |
					       BIT(VHOST_USER_F_PROTOCOL_FEATURES));
}

static int handle_set_features(struct vhost_user *vu, struct vhost_user_message *message)
{
	uint64_t bit = BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	uint64_t features = message->payload.u64 & ~bit;
	bool has_enable = message->payload.u64 & bit;

	if (vu->vrings.features_set && features == balloon_acknowledged(vhost_user_balloon(vu)))
		return 0;
	if (vhost_user_any_vring_runs(vu))
		return -EBUSY;
	/* A new driver. */
	if (!vhost_user_begin_driver(vu, features))
		return -EINVAL;
	/* Without SET_VRING_ENABLE, rings are enabled from the start. */
	vhost_user_vrings_enable(vu, !has_enable);
	return 0;
}

static int handle_get_protocol_features(struct vhost_user *vu, struct vhost_user_message *message)
{
	(void)vu;
	return set_u64_answer(message, PROTOCOL_FEATURES);
}

static int handle_set_protocol_features(struct vhost_user *vu, struct vhost_user_message *message)
{
	if (message->payload.u64 & ~PROTOCOL_FEATURES)
		return -EINVAL;
	vu->protocol_features = message->payload.u64;
	return 0;
}

static int handle_get_queue_num(struct vhost_user *vu, struct vhost_user_message *message)
{
	(void)vu;
	return set_u64_answer(message, BALLOON_QUEUES_MAX);
}

/* Begins a session; there is nothing to do. */
static int handle_set_owner(struct vhost_user *vu, struct vhost_user_message *message)
{
	(void)vu;
	(void)message;
	return 0;
}

/* Deprecated; the specification allows ignoring it or disabling all rings. */
static int handle_reset_owner(struct vhost_user *vu, struct vhost_user_message *message)
{
	(void)message;
	vhost_user_vrings_enable(vu, false);
	return 0;
}

static int handle_reset_device(struct vhost_user *vu, struct vhost_user_message *message)
{
	(void)message;
	vhost_user_reset(vu);
	return 0;
}

static bool is_unix_stream(int fd)
{
	int domain = 0, type = 0;
	socklen_t length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length))
		return false;
	return domain == AF_UNIX && type == SOCK_STREAM;
}

static int handle_set_backend_req_fd(struct vhost_user *vu, struct vhost_user_message *message)
{
	if (!is_unix_stream(message->fds[0]))
		return -EBADF;
	if (vu->backend_fd >= 0)
		close(vu->backend_fd);
	vu->backend_fd = take_message_fd(message);
	return 0;
}

/*
 * Memory
 */

/* Adds a region and takes its file descriptor, number @fd of the message. */
static int add_region(struct vhost_user *vu, const struct vhost_user_region *region,
		      struct vhost_user_message *message, unsigned int fd)
{
	int error = vhost_user_memory_add(vu, region, message->fds[fd]);

	if (!error)
		message->fds[fd] = -1;
	return error;
}

/* Maps all regions or none: with only a part of its memory, a guest could not be served. */
static int handle_set_mem_table(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_mem_table *table = &message->payload.table;
	int error = 0;

	/* User Mode Linux sends the whole table, however many regions are in it. */
	if (table->count > VHOST_USER_TABLE_MAX || table->count != message->fd_count ||
	    message->header.size < offsetof(struct vhost_user_mem_table, regions) +
					   table->count * sizeof(table->regions[0]))
		return -EBADMSG;
	vhost_user_memory_clear(vu);
	for (unsigned int i = 0; i < table->count && !error; i++)
		error = add_region(vu, &table->regions[i], message, i);
	if (error)
		vhost_user_memory_clear(vu);
	vhost_user_vrings_relocate(vu);
	return error;
}

static int handle_get_max_mem_slots(struct vhost_user *vu, struct vhost_user_message *message)
{
	(void)vu;
	return set_u64_answer(message, MEMORY_REGIONS_MAX);
}

static int handle_add_mem_reg(struct vhost_user *vu, struct vhost_user_message *message)
{
	int error = add_region(vu, &message->payload.region.region, message, 0);

	if (!error)
		vhost_user_vrings_relocate(vu);
	return error;
}

static int handle_remove_mem_reg(struct vhost_user *vu, struct vhost_user_message *message)
{
	if (!vhost_user_memory_remove(vu, &message->payload.region.region))
		return -ENOENT;
	vhost_user_vrings_relocate(vu);
	return 0;
}

/*
 * Rings
 */

static int handle_set_vring_num(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	struct vhost_user_vring *vring = vhost_user_find_vring(vu, state->index);

	if (!vring || !state->num || state->num > VIRTQUEUE_SIZE_MAX)
		return -EINVAL;
	if (vring->running && vring->num != state->num)
		return -EBUSY;
	vring->num = state->num;
	return vhost_user_vring_update(vring);
}

static int handle_set_vring_addr(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_vring_addr *addr = &message->payload.addr;
	struct vhost_user_vring *vring = vhost_user_find_vring(vu, addr->index);
	struct virtqueue_setup setup;
	int error;

	/* The only flag asks for logging of dirty pages, which is not offered. */
	if (!vring || addr->flags)
		return -EINVAL;
	if (vring->has_addr && vring->desc == addr->desc && vring->used == addr->used &&
	    vring->avail == addr->avail)
		return 0;
	vring->has_addr = false;
	vhost_user_vring_update(vring);
	vring->desc = addr->desc;
	vring->used = addr->used;
	vring->avail = addr->avail;
	vring->has_addr = true;
	error = vhost_user_vring_update(vring);
	return error || vhost_user_vring_describe(vring, &setup) ? error : -EFAULT;
}

static int handle_set_vring_base(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	struct vhost_user_vring *vring = vhost_user_find_vring(vu, state->index);

	if (!vring)
		return -EINVAL;
	if (vring->running)
		return -EBUSY;
	vring->base = state->num;
	vring->has_base = true;
	return 0;
}

static int handle_get_vring_base(struct vhost_user *vu, struct vhost_user_message *message)
{
	struct vhost_user_vring *vring = vhost_user_find_vring(vu, message->payload.state.index);

	if (!vring)
		return -EINVAL;
	message->payload.state.num = vhost_user_vring_stop(vring);
	return 0;
}

/*
 * The ring that SET_VRING_KICK, _CALL or _ERR names, and the message's file descriptor, or -1, in
 * *@fd.  NULL when the message is malformed.
 */
static struct vhost_user_vring *find_vring_of_fd(struct vhost_user *vu,
						 struct vhost_user_message *message, int *fd)
{
	uint64_t word = message->payload.u64;
	bool has_fd = !(word & VHOST_USER_VRING_NO_FD);
	struct vhost_user_vring *vring =
		vhost_user_find_vring(vu, word & VHOST_USER_VRING_INDEX_MASK);

	if (!vring || word & ~(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NO_FD) ||
	    has_fd != (message->fd_count == 1))
		return NULL;
	*fd = take_message_fd(message);
	return vring;
}

static int handle_set_vring_kick(struct vhost_user *vu, struct vhost_user_message *message)
{
	int fd;
	struct vhost_user_vring *vring = find_vring_of_fd(vu, message, &fd);

	return vring ? vhost_user_vring_set_kick(vring, fd) : -EINVAL;
}

static int handle_set_vring_call(struct vhost_user *vu, struct vhost_user_message *message)
{
	int fd;
	struct vhost_user_vring *vring = find_vring_of_fd(vu, message, &fd);

	return vring ? vhost_user_vring_set_signal(&vring->call, fd) : -EINVAL;
}

static int handle_set_vring_err(struct vhost_user *vu, struct vhost_user_message *message)
{
	int fd;
	struct vhost_user_vring *vring = find_vring_of_fd(vu, message, &fd);

	return vring ? vhost_user_vring_set_signal(&vring->err, fd) : -EINVAL;
}

static int handle_set_vring_enable(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	struct vhost_user_vring *vring = vhost_user_find_vring(vu, state->index);

	if (!vring || state->num > 1)
		return -EINVAL;
	vring->enabled = state->num;
	return vhost_user_vring_update(vring);
}

/* All rings of the device have the same byte order. */
static int handle_set_vring_endian(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	struct balloon *balloon = vhost_user_balloon(vu);

	if (!vhost_user_find_vring(vu, state->index) || state->num > 1)
		return -EINVAL;
	if (state->num && balloon_acknowledged(balloon) & BALLOON_BIT(VIRTIO_F_VERSION_1))
		return -EINVAL;
	if (vhost_user_any_vring_runs(vu))
		return -EBUSY;
	vu->vrings.big_endian = state->num;
	balloon_set_big_endian(balloon, vu->vrings.big_endian);
	return 0;
}

/*
 * Configuration space
 */

static bool is_config_complete(const struct vhost_user_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;

	return config->size == message->header.size - VHOST_USER_CONFIG_HEADER &&
	       config->size <= VHOST_USER_CONFIG_MAX;
}

static int handle_get_config(struct vhost_user *vu, struct vhost_user_message *message)
{
	struct vhost_user_config *config = &message->payload.config;

	if (!is_config_complete(message))
		return -EBADMSG;
	balloon_config_read(vhost_user_balloon(vu), config->offset, config->bytes, config->size);
	return 0;
}

/* QEMU sends more than the device has; bytes after its end are ignored. */
static int handle_set_config(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;
	uint32_t size = config->size;

	if (!is_config_complete(message))
		return -EBADMSG;
	if (config->flags != VHOST_USER_CONFIG_GUEST &&
	    config->flags != VHOST_USER_CONFIG_MIGRATION)
		return -EINVAL;
	if (config->offset < BALLOON_CONFIG_BYTES && size > BALLOON_CONFIG_BYTES - config->offset)
		size = BALLOON_CONFIG_BYTES - config->offset;
	balloon_config_write(vhost_user_balloon(vu), config->offset, config->bytes, size);
	return 0;
}

/*
 * The table
 */

#define ANSWERED 1U	/* has an answer of its own */
#define GUEST_CAUSED 2U /* fails if the guest's driver does something wrong */

static const struct request {
	const char *name;
	int (*handle)(struct vhost_user *vu, struct vhost_user_message *message);
	uint16_t least_size, most_size;
	uint8_t least_fds, most_fds;
	unsigned int flags;
} requests[VHOST_USER_REQUESTS] = {
#define NOTHING 0, 0
#define U64 8, 8
#define ANY_U64 0, 8 /* which some VMMs leave out, and others fill with anything */
#define STATE sizeof(struct vhost_user_vring_state), sizeof(struct vhost_user_vring_state)
#define ADDR sizeof(struct vhost_user_vring_addr), sizeof(struct vhost_user_vring_addr)
#define TABLE offsetof(struct vhost_user_mem_table, regions), sizeof(struct vhost_user_mem_table)
#define REGION sizeof(struct vhost_user_mem_reg), sizeof(struct vhost_user_mem_reg)
#define CONFIG VHOST_USER_CONFIG_HEADER, sizeof(struct vhost_user_config)
#define ROW(request, function, size, fds_least, fds_most, what)                                    \
	[VHOST_USER_##request] = { #request, function, size, fds_least, fds_most, what }
	ROW(GET_FEATURES, handle_get_features, NOTHING, 0, 0, ANSWERED),
	ROW(SET_FEATURES, handle_set_features, U64, 0, 0, GUEST_CAUSED),
	ROW(SET_OWNER, handle_set_owner, NOTHING, 0, 0, 0),
	ROW(RESET_OWNER, handle_reset_owner, NOTHING, 0, 0, 0),
	ROW(SET_MEM_TABLE, handle_set_mem_table, TABLE, 0, VHOST_USER_TABLE_MAX, 0),
	ROW(SET_VRING_NUM, handle_set_vring_num, STATE, 0, 0, GUEST_CAUSED),
	ROW(SET_VRING_ADDR, handle_set_vring_addr, ADDR, 0, 0, GUEST_CAUSED),
	ROW(SET_VRING_BASE, handle_set_vring_base, STATE, 0, 0, 0),
	ROW(GET_VRING_BASE, handle_get_vring_base, STATE, 0, 0, ANSWERED),
	ROW(SET_VRING_KICK, handle_set_vring_kick, U64, 0, 1, GUEST_CAUSED),
	ROW(SET_VRING_CALL, handle_set_vring_call, U64, 0, 1, 0),
	ROW(SET_VRING_ERR, handle_set_vring_err, U64, 0, 1, 0),
	ROW(GET_PROTOCOL_FEATURES, handle_get_protocol_features, NOTHING, 0, 0, ANSWERED),
	ROW(SET_PROTOCOL_FEATURES, handle_set_protocol_features, U64, 0, 0, 0),
	ROW(GET_QUEUE_NUM, handle_get_queue_num, NOTHING, 0, 0, ANSWERED),
	ROW(SET_VRING_ENABLE, handle_set_vring_enable, STATE, 0, 0, GUEST_CAUSED),
	ROW(SET_BACKEND_REQ_FD, handle_set_backend_req_fd, ANY_U64, 1, 1, 0),
	ROW(SET_VRING_ENDIAN, handle_set_vring_endian, STATE, 0, 0, 0),
	ROW(GET_CONFIG, handle_get_config, CONFIG, 0, 0, ANSWERED),
	ROW(SET_CONFIG, handle_set_config, CONFIG, 0, 0, GUEST_CAUSED),
	ROW(RESET_DEVICE, handle_reset_device, NOTHING, 0, 0, 0),
	ROW(GET_MAX_MEM_SLOTS, handle_get_max_mem_slots, NOTHING, 0, 0, ANSWERED),
	ROW(ADD_MEM_REG, handle_add_mem_reg, REGION, 1, 1, 0),
	ROW(REM_MEM_REG, handle_remove_mem_reg, REGION, 0, 1, 0),
};

static const struct request *find_request(uint32_t number)
{
	return number < VHOST_USER_REQUESTS && requests[number].handle ? &requests[number] : NULL;
}

static void log_refused_message(struct vhost_user *vu, const char *name, int error)
{
	char line[160];

	if (!log_rate_allows(++vu->refused))
		return;
	snprintf(line, sizeof(line), "vhost-user: %s failed: %s (%llu such failures so far)", name,
		 strerror(-error), (unsigned long long)vu->refused);
	vu->context.log(vu->context.data, line);
}

static void send_acknowledgement(struct vhost_user *vu, struct vhost_user_message *message,
				 int error)
{
	set_u64_answer(message, error ? 1 : 0);
	vhost_user_reply(vu, message);
}

/* Answers a request that failed with @error, or ends the connection. */
static void refuse_message(struct vhost_user *vu, const struct request *request,
			   struct vhost_user_message *message, bool acknowledged, int error)
{
	char unknown[32];
	const char *name = request ? request->name : unknown;

	snprintf(unknown, sizeof(unknown), "request %u", message->header.request);
	if (message->header.request == VHOST_USER_GET_CONFIG) {
		message->header.size = 0;
		vhost_user_reply(vu, message);
	} else if (acknowledged) {
		send_acknowledgement(vu, message, error);
	} else if (!request || !(request->flags & GUEST_CAUSED)) {
		vhost_user_end(vu, "%s failed: %s", name, strerror(-error));
		return;
	}
	log_refused_message(vu, name, error);
}

void vhost_user_handle_message(struct vhost_user *vu, struct vhost_user_message *message)
{
	const struct request *request = find_request(message->header.request);
	bool answered = request && request->flags & ANSWERED;
	bool acknowledged = !answered && message->header.flags & VHOST_USER_NEED_REPLY;
	int error;

	if (!request)
		error = -ENOSYS;
	else if (message->header.size < request->least_size ||
		 message->header.size > request->most_size ||
		 message->fd_count < request->least_fds || message->fd_count > request->most_fds)
		error = -EBADMSG;
	else
		error = request->handle(vu, message);
	/* Before the answer, so that they are closed once the VMM has received it. */
	vhost_user_close_fds(message);
	/* Only now, since the message may be the SET_PROTOCOL_FEATURES that enables it. */
	if (!(vu->protocol_features & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)))
		acknowledged = false;

	if (error)
		refuse_message(vu, request, message, acknowledged, error);
	else if (answered)
		vhost_user_reply(vu, message);
	else if (acknowledged)
		send_acknowledgement(vu, message, 0);
}
