/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server side of vfio-user (QEMU's docs/interop/vfio-user.rst), version 0.0.
 *
 * Theory of operation
 * -------------------
 * A message is a header of 16 bytes, which contains the message's size, and the
 * payload of the command.  It is read into one buffer, and never beyond its end:
 * file descriptors arrive with the bytes that they were sent with, so those that
 * came within a message belong to it.  Each is owned from the moment it is
 * received; those that a command does not keep are closed after it.
 *
 * A message may be cut anywhere; the rest is waited for.  The connection survives
 * whatever is wrong with a command, which is reported in the reply.  Only a size
 * smaller than a header or larger than any command needs ends the connection,
 * since then the start of the next message is unknown.
 *
 * Replies go into a bounded buffer and from there into the socket.  While the
 * largest reply would not fit, no more commands are read, so a VMM that does not
 * read its replies stops only its own device.  QEMU expects to read the header of
 * a reply in one piece, which it is if the socket's buffer is empty enough.
 *
 * What the client says about its capabilities in VERSION does not matter: it is
 * sent no file descriptors, no commands, and no more data than it asked for.  So
 * its JSON is not parsed.
 *
 * A table holds the commands with their sizes, file descriptors and handlers.
 * The PCI function itself is in virtio_pci.c, its interrupts in vfio_user_irq.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/log_rate.h"
#include "transport/transport.h"
#include "transport/vfio_user_irq.h"
#include "transport/vfio_user_wire.h"
#include "transport/virtio_pci.h"

_Static_assert(VIRTIO_PCI_VECTORS <= VFIO_USER_VECTORS_MAX, "there is a line for each vector");
_Static_assert(VIRTIO_PCI_INTX == VFIO_USER_INTX, "vectors are passed on unchanged");

#define HEADER_BYTES sizeof(struct vfio_user_header)
#define PAYLOAD_MAX (sizeof(struct vfio_user_access) + VFIO_USER_TRANSFER_MAX)
#define MESSAGE_MAX (HEADER_BYTES + PAYLOAD_MAX)
#define OUT_MAX (8 * MESSAGE_MAX)
#define COMMANDS_PER_TURN 16
/* QEMU reads 4096 bytes of configuration space; those after the first 256 are 0. */
#define CONFIG_REGION_BYTES 4096

struct message {
	struct vfio_user_header header;
	_Alignas(8) uint8_t payload[PAYLOAD_MAX];
};
_Static_assert(sizeof(struct message) == MESSAGE_MAX, "it is received in place");

struct vfio_user {
	struct transport transport;
	struct transport_context context;
	struct loop_source source;
	uint32_t watched; /* EPOLLIN, EPOLLOUT */
	bool negotiated;
	bool ended; /* the socket is closed, the device reset */

	struct virtio_pci pci;
	struct vfio_user_irqs irqs;

	/* The command that is being received or executed. */
	struct message command;
	size_t received;
	int fds[VFIO_USER_FDS_MAX];
	unsigned int fd_count;
	bool fds_lost; /* more came than fit */

	/* The reply to it, and the replies that do not fit into the socket yet. */
	struct message reply;
	uint8_t out[OUT_MAX];
	size_t out_bytes;

	uint64_t refused; /* commands */
	bool warned_of_memory;
};

static void vfio_user_log(const struct vfio_user *vfu, const char *line)
{
	vfu->context.log(vfu->context.data, line);
}

static void close_command_fds(struct vfio_user *vfu)
{
	for (unsigned int i = 0; i < vfu->fd_count; i++)
		if (vfu->fds[i] >= 0)
			close(vfu->fds[i]);
	vfu->fd_count = 0;
	vfu->fds_lost = false;
}

/* Drops all that belongs to the VMM: its files, its memory, the state of its guest's device. */
static void disconnect_vmm(struct vfio_user *vfu)
{
	if (vfu->ended)
		return;
	vfu->ended = true;
	loop_remove(vfu->context.loop, &vfu->source);
	close(vfu->source.fd);
	close_command_fds(vfu);
	vfio_user_irqs_clear(&vfu->irqs);
	virtio_pci_reset(&vfu->pci);
	balloon_unmap_all(vfu->context.balloon);
}

static void end_connection(struct vfio_user *vfu, const char *why)
{
	disconnect_vmm(vfu);
	vfu->context.closed(vfu->context.data, why);
}

/*
 * The handlers of commands.  Each reads the command's payload of @size bytes,
 * writes the reply's payload, and returns its size, or -errno for an error reply.
 */

static int handle_version(struct vfio_user *vfu, size_t size)
{
	static const char *const texts[] = {
		"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":4096}}",
		"{}",
	};
	struct vfio_user_version version;

	_Static_assert(VFIO_USER_FDS_MAX == 8 && VFIO_USER_TRANSFER_MAX == 4096,
		       "as the text says");
	memcpy(&version, vfu->command.payload, sizeof(version));
	if (vfu->negotiated || version.major != 0)
		return -EINVAL;
	vfu->negotiated = true;
	version.minor = 0;
	memcpy(vfu->reply.payload, &version, sizeof(version));
	/* QEMU does not accept a reply that is longer than its request. */
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t bytes = strlen(texts[i]) + 1;

		if (sizeof(version) + bytes <= size) {
			memcpy(vfu->reply.payload + sizeof(version), texts[i], bytes);
			return (int)(sizeof(version) + bytes);
		}
	}
	return sizeof(version);
}

static bool overlaps_memory(const struct memory *memory, uint64_t address, uint64_t size)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->regions[i];

		if (address < region->gpa + region->size && region->gpa < address + size)
			return true;
	}
	return false;
}

static int handle_dma_map(struct vfio_user *vfu, size_t size)
{
	struct vfio_user_dma_map map;
	int error;

	(void)size;
	memcpy(&map, vfu->command.payload, sizeof(map));
	if (!(map.flags & VFIO_DMA_MAP_FLAG_READ))
		return -EINVAL;
	/* Without a file it is ROM, or memory that this process cannot access. */
	if (vfu->fd_count == 0) {
		if (map.flags & VFIO_DMA_MAP_FLAG_WRITE && !vfu->warned_of_memory) {
			vfu->warned_of_memory = true;
			vfio_user_log(vfu, "some guest memory is not backed by a file and cannot "
					   "be ballooned: "
					   "give the guest memory-backend-memfd with share=on");
		}
		return 0;
	}
	if (overlaps_memory(balloon_memory(vfu->context.balloon), map.address, map.size))
		return -EEXIST;
	error = balloon_map(vfu->context.balloon, map.address, map.size, vfu->fds[0], map.offset,
			    map.flags & VFIO_DMA_MAP_FLAG_WRITE);
	if (!error)
		vfu->fds[0] = -1;
	return error;
}

static int handle_dma_unmap(struct vfio_user *vfu, size_t size)
{
	struct vfio_user_dma_unmap unmap;
	int result = 0;

	(void)size;
	memcpy(&unmap, vfu->command.payload, sizeof(unmap));
	if (unmap.flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL)
		return -ENOTSUP;
	if (unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (unmap.address || unmap.size)
			return -EINVAL;
		balloon_unmap_all(vfu->context.balloon);
	} else {
		/* There may be no such region: those without a file were not mapped. */
		result = balloon_unmap(vfu->context.balloon, unmap.address, unmap.size);
	}
	memcpy(vfu->reply.payload, &unmap, sizeof(unmap));
	return result < 0 ? result : (int)sizeof(unmap);
}

static int handle_get_info(struct vfio_user *vfu, size_t size)
{
	struct vfio_user_device_info info;

	(void)size;
	memcpy(&info, vfu->command.payload, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info = (struct vfio_user_device_info){
		.argsz = sizeof(info),
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.regions = VFIO_PCI_NUM_REGIONS,
		.irqs = VFIO_PCI_NUM_IRQS,
	};
	memcpy(vfu->reply.payload, &info, sizeof(info));
	return sizeof(info);
}

static uint32_t get_region_bytes(const struct vfio_user *vfu, uint32_t region)
{
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return CONFIG_REGION_BYTES;
	return region <= VFIO_PCI_BAR5_REGION_INDEX ? virtio_pci_bar_bytes(&vfu->pci, region) : 0;
}

static int handle_region_info(struct vfio_user *vfu, size_t size)
{
	struct vfio_region_info info;

	(void)size;
	memcpy(&info, vfu->command.payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info = (struct vfio_region_info){
		.argsz = sizeof(info),
		.index = info.index,
		.size = get_region_bytes(vfu, info.index),
	};
	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	memcpy(vfu->reply.payload, &info, sizeof(info));
	return sizeof(info);
}

static int handle_irq_info(struct vfio_user *vfu, size_t size)
{
	struct vfio_irq_info info;

	(void)size;
	memcpy(&info, vfu->command.payload, sizeof(info));
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	/* As Linux does for a device that is not PCI Express; QEMU warns about a count of 0. */
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX)
		return -ENODEV;
	info = (struct vfio_irq_info){
		.argsz = sizeof(info),
		.index = info.index,
		.count = vfio_user_irqs_count(&vfu->irqs, info.index),
	};
	if (info.count)
		info.flags = vfio_user_irqs_flags(info.index);
	memcpy(vfu->reply.payload, &info, sizeof(info));
	return sizeof(info);
}

static int handle_set_irqs(struct vfio_user *vfu, size_t size)
{
	struct vfio_user_irq_set set;

	memcpy(&set, vfu->command.payload, sizeof(set));
	return vfio_user_irqs_set(&vfu->irqs, &set, vfu->command.payload + sizeof(set),
				  size - sizeof(set), vfu->fds, vfu->fd_count);
}

/* True when an access stays within its region and is not too large. */
static bool is_within_region(const struct vfio_user *vfu, const struct vfio_user_access *access)
{
	uint32_t bytes = get_region_bytes(vfu, access->region);

	return access->count <= VFIO_USER_TRANSFER_MAX && access->offset <= bytes &&
	       access->count <= bytes - access->offset;
}

static int handle_region_read(struct vfio_user *vfu, size_t size)
{
	uint8_t *data = vfu->reply.payload + sizeof(struct vfio_user_access);
	struct vfio_user_access access;

	(void)size;
	memcpy(&access, vfu->command.payload, sizeof(access));
	if (!is_within_region(vfu, &access))
		return -EINVAL;
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX)
		virtio_pci_config_read(&vfu->pci, access.offset, data, access.count);
	else
		virtio_pci_bar_read(&vfu->pci, access.region, access.offset, data, access.count);
	memcpy(vfu->reply.payload, &access, sizeof(access));
	return (int)(sizeof(access) + access.count);
}

static int handle_region_write(struct vfio_user *vfu, size_t size)
{
	const uint8_t *data = vfu->command.payload + sizeof(struct vfio_user_access);
	struct vfio_user_access access;

	memcpy(&access, vfu->command.payload, sizeof(access));
	if (access.count != size - sizeof(access) || !is_within_region(vfu, &access))
		return -EINVAL;
	if (access.region == VFIO_PCI_CONFIG_REGION_INDEX)
		virtio_pci_config_write(&vfu->pci, access.offset, data, access.count);
	else
		virtio_pci_bar_write(&vfu->pci, access.region, access.offset, data, access.count);
	memcpy(vfu->reply.payload, &access, sizeof(access));
	return sizeof(access);
}

static int handle_reset(struct vfio_user *vfu, size_t size)
{
	(void)size;
	virtio_pci_reset(&vfu->pci);
	return 0;
}

static const struct command {
	int (*run)(struct vfio_user *vfu, size_t size);
	size_t least, most; /* bytes of payload */
	unsigned int fds_most;
} commands[] = {
	[VFIO_USER_VERSION] = { handle_version, sizeof(struct vfio_user_version), PAYLOAD_MAX, 0 },
	[VFIO_USER_DMA_MAP] = { handle_dma_map, sizeof(struct vfio_user_dma_map),
				sizeof(struct vfio_user_dma_map), 1 },
	[VFIO_USER_DMA_UNMAP] = { handle_dma_unmap, sizeof(struct vfio_user_dma_unmap),
				  sizeof(struct vfio_user_dma_unmap), 0 },
	[VFIO_USER_GET_INFO] = { handle_get_info, sizeof(struct vfio_user_device_info),
				 sizeof(struct vfio_user_device_info), 0 },
	[VFIO_USER_REGION_INFO] = { handle_region_info, sizeof(struct vfio_region_info),
				    sizeof(struct vfio_region_info), 0 },
	[VFIO_USER_IRQ_INFO] = { handle_irq_info, sizeof(struct vfio_irq_info),
				 sizeof(struct vfio_irq_info), 0 },
	[VFIO_USER_SET_IRQS] = { handle_set_irqs, sizeof(struct vfio_user_irq_set),
				 sizeof(struct vfio_user_irq_set) + VFIO_USER_VECTORS_MAX,
				 VFIO_USER_FDS_MAX },
	[VFIO_USER_REGION_READ] = { handle_region_read, sizeof(struct vfio_user_access),
				    sizeof(struct vfio_user_access), 0 },
	[VFIO_USER_REGION_WRITE] = { handle_region_write, sizeof(struct vfio_user_access),
				     PAYLOAD_MAX, 0 },
	[VFIO_USER_RESET] = { handle_reset, 0, 0, 0 },
};

/* Checks the received command against the table and handles it; returns as the handlers do. */
static int execute_command(struct vfio_user *vfu)
{
	const struct vfio_user_header *header = &vfu->command.header;
	size_t size = header->size - HEADER_BYTES;
	const struct command *command;

	if ((header->flags & VFIO_USER_TYPE_MASK) != VFIO_USER_TYPE_COMMAND)
		return -EINVAL;
	if (header->command >= sizeof(commands) / sizeof(*commands) ||
	    !commands[header->command].run)
		return -ENOTSUP;
	command = &commands[header->command];
	if (!vfu->negotiated && header->command != VFIO_USER_VERSION)
		return -EINVAL;
	if (size < command->least || size > command->most)
		return -EINVAL;
	if (vfu->fds_lost || vfu->fd_count > command->fds_most)
		return -EINVAL;
	return command->run(vfu, size);
}

static void log_refused_command(struct vfio_user *vfu, int error)
{
	char line[128];

	if (!log_rate_allows(++vfu->refused))
		return;
	snprintf(line, sizeof(line),
		 "vfio-user: command %u of %u bytes failed: %s (%" PRIu64 " such failures so far)",
		 (unsigned int)vfu->command.header.command, (unsigned int)vfu->command.header.size,
		 strerror(error), vfu->refused);
	vfio_user_log(vfu, line);
}

/* Sends what the socket takes without blocking.  False when the connection is gone. */
static bool flush_replies(struct vfio_user *vfu)
{
	while (vfu->out_bytes) {
		ssize_t sent =
			send(vfu->source.fd, vfu->out, vfu->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN;
		vfu->out_bytes -= (size_t)sent;
		memmove(vfu->out, vfu->out + sent, vfu->out_bytes);
	}
	return true;
}

static bool has_reply_room(const struct vfio_user *vfu)
{
	return vfu->out_bytes + MESSAGE_MAX <= OUT_MAX;
}

/* Replies to the received command with @result bytes of payload, or with the error -@result. */
static void queue_reply(struct vfio_user *vfu, int result)
{
	struct vfio_user_header *header = &vfu->reply.header;
	size_t size = HEADER_BYTES + (result > 0 ? (size_t)result : 0);

	if (result < 0 && result != -ENODEV) /* the answer to a question, see IRQ_INFO */
		log_refused_command(vfu, -result);
	/* Replies, which are refused as commands, are not replied to either. */
	if (vfu->command.header.flags & VFIO_USER_NO_REPLY ||
	    (vfu->command.header.flags & VFIO_USER_TYPE_MASK) == VFIO_USER_TYPE_REPLY)
		return;
	*header = (struct vfio_user_header){
		.id = vfu->command.header.id,
		.command = vfu->command.header.command,
		.size = (uint32_t)size,
		.flags = VFIO_USER_TYPE_REPLY | (result < 0 ? VFIO_USER_ERROR : 0),
		.error = result < 0 ? (uint32_t)-result : 0,
	};
	memcpy(vfu->out + vfu->out_bytes, &vfu->reply, size);
	vfu->out_bytes += size;
}

/* Takes over the file descriptors that came with received bytes. */
static void collect_command_fds(struct vfio_user *vfu, struct msghdr *from)
{
	if (from->msg_flags & MSG_CTRUNC)
		vfu->fds_lost = true;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(from); cmsg; cmsg = CMSG_NXTHDR(from, cmsg)) {
		const unsigned char *data = CMSG_DATA(cmsg);
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
			if (vfu->fd_count < VFIO_USER_FDS_MAX) {
				vfu->fds[vfu->fd_count++] = fd;
			} else {
				vfu->fds_lost = true;
				close(fd);
			}
		}
	}
}

/* Receives up to @size bytes of the command; returns how many, 0 for none now, or -errno. */
static ssize_t receive_bytes(struct vfio_user *vfu, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VFIO_USER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (char *)&vfu->command + vfu->received, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	do {
		n = recvmsg(vfu->source.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	collect_command_fds(vfu, &message);
	vfu->transport.heard |= n > 0;
	return n ? n : -ECONNRESET;
}

/* Receives the command: 1 when it is complete, 0 when not yet, or -errno; -EPROTO: bad size. */
static int receive_command(struct vfio_user *vfu)
{
	for (;;) {
		size_t want = HEADER_BYTES;
		ssize_t n;

		if (vfu->received >= HEADER_BYTES) {
			want = vfu->command.header.size;
			if (want < HEADER_BYTES || want > MESSAGE_MAX)
				return -EPROTO;
			if (vfu->received == want)
				return 1;
		}
		n = receive_bytes(vfu, want - vfu->received);
		if (n <= 0)
			return (int)n;
		vfu->received += (size_t)n;
	}
}

static const char *explain_end(const struct vfio_user *vfu, int error)
{
	if (error == -EPROTO)
		return "a message of an impossible size";
	if (error != -ECONNRESET)
		return strerror(-error);
	return vfu->received ? "the VMM closed the connection within a message"
			     : "the VMM closed the connection";
}

/* Receives a command and executes it.  False when there is none for now. */
static bool serve_command(struct vfio_user *vfu)
{
	int result = receive_command(vfu);

	if (result == 0)
		return false;
	if (result < 0) {
		if (result == -EPROTO)
			queue_reply(vfu, -EMSGSIZE);
		flush_replies(vfu);
		end_connection(vfu, explain_end(vfu, result));
		return false;
	}
	queue_reply(vfu, execute_command(vfu));
	close_command_fds(vfu);
	vfu->received = 0;
	return true;
}

static void update_watched_events(struct vfio_user *vfu)
{
	uint32_t events = (has_reply_room(vfu) ? EPOLLIN : 0) | (vfu->out_bytes ? EPOLLOUT : 0);

	if (events != vfu->watched && loop_change(vfu->context.loop, &vfu->source, events) == 0)
		vfu->watched = events;
}

static void vfio_user_socket_ready(struct loop_source *source, uint32_t events)
{
	struct vfio_user *vfu =
		(struct vfio_user *)((char *)source - offsetof(struct vfio_user, source));

	for (unsigned int i = 0; i < COMMANDS_PER_TURN && has_reply_room(vfu) && serve_command(vfu);
	     i++)
		;
	if (vfu->ended)
		return;
	/* A VMM that is gone will not read the replies that wait for room. */
	if (!flush_replies(vfu) || (events & (EPOLLHUP | EPOLLERR) && !has_reply_room(vfu)))
		end_connection(vfu, "the VMM closed the connection");
	else
		update_watched_events(vfu);
}

static bool vfio_user_interrupt(void *data, int vector)
{
	struct vfio_user *vfu = data;

	return vfio_user_irqs_fire(&vfu->irqs, vector);
}

static void vfio_user_log_line(void *data, const char *line)
{
	vfio_user_log(data, line);
}

static void vfio_user_retry_interrupt(void *data, int vector)
{
	struct vfio_user *vfu = data;

	virtio_pci_retry_interrupt(&vfu->pci, vector);
}

static struct transport *vfio_user_open(const struct transport_context *context, int fd)
{
	struct vfio_user *vfu = calloc(1, sizeof(*vfu));
	struct virtio_pci_host host = { .interrupt = vfio_user_interrupt,
					.log = vfio_user_log_line,
					.data = vfu };

	if (!vfu)
		return NULL;
	vfu->transport.ops = &vfio_user_ops;
	vfu->context = *context;
	vfu->source = (struct loop_source){ .fd = fd, .ready = vfio_user_socket_ready };
	vfu->watched = EPOLLIN;
	virtio_pci_init(&vfu->pci, context->balloon, context->msix, &host);
	vfio_user_irqs_init(&vfu->irqs, context->loop, vfu->pci.vectors, vfio_user_retry_interrupt,
			    vfu);
	if (loop_add(context->loop, &vfu->source, vfu->watched)) {
		free(vfu);
		return NULL;
	}
	return &vfu->transport;
}

static void vfio_user_notify_queue(struct transport *transport, unsigned int queue)
{
	virtio_pci_notify_queue(&((struct vfio_user *)transport)->pci, queue);
}

static void vfio_user_notify_config(struct transport *transport)
{
	virtio_pci_notify_config(&((struct vfio_user *)transport)->pci);
}

static void vfio_user_close(struct transport *transport)
{
	struct vfio_user *vfu = (struct vfio_user *)transport;

	disconnect_vmm(vfu);
	free(vfu);
}

const struct transport_ops vfio_user_ops = {
	.name = "vfio-user",
	.open = vfio_user_open,
	.notify_queue = vfio_user_notify_queue,
	.notify_config = vfio_user_notify_config,
	.close = vfio_user_close,
};
