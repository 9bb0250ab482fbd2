/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vfio_user_irq.h"

#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void close_line(struct vfio_user_line *line)
{
	if (line->fd >= 0)
		close(line->fd);
	*line = (struct vfio_user_line){ .fd = -1 };
}

static void close_unmask_eventfd(struct vfio_user_irqs *irqs)
{
	if (irqs->unmask.fd < 0)
		return;
	loop_remove(irqs->loop, &irqs->unmask);
	close(irqs->unmask.fd);
	irqs->unmask.fd = -1;
}

static void unmask_line(struct vfio_user_irqs *irqs, struct vfio_user_line *line, int vector)
{
	line->masked = false;
	irqs->retry(irqs->data, vector);
}

/* The VMM has signalled the eventfd for UNMASK. */
static void unmask_ready(struct loop_source *source, uint32_t events)
{
	struct vfio_user_irqs *irqs =
		(struct vfio_user_irqs *)((char *)source - offsetof(struct vfio_user_irqs, unmask));
	uint64_t count;
	struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };
	ssize_t length = events & EPOLLIN ? preadv2(source->fd, &iov, 1, -1, RWF_NOWAIT) : 0;

	if (length == sizeof(count))
		unmask_line(irqs, &irqs->intx, VFIO_USER_INTX);
	else if (length >= 0 || errno != EAGAIN)
		close_unmask_eventfd(
			irqs); /* else it would stay ready and wake the loop for ever */
}

void vfio_user_irqs_init(struct vfio_user_irqs *irqs, struct loop *loop, unsigned int vector_count,
			 void (*retry)(void *data, int vector), void *data)
{
	*irqs = (struct vfio_user_irqs){
		.intx = { .fd = -1 },
		.vector_count = vector_count,
		.loop = loop,
		.unmask = { .fd = -1, .ready = unmask_ready },
		.retry = retry,
		.data = data,
	};
	for (unsigned int i = 0; i < VFIO_USER_VECTORS_MAX; i++)
		irqs->vectors[i].fd = -1;
}

static void disable_lines(struct vfio_user_irqs *irqs, uint32_t index)
{
	if (index == VFIO_PCI_INTX_IRQ_INDEX) {
		close_line(&irqs->intx);
		close_unmask_eventfd(irqs);
	} else if (index == VFIO_PCI_MSIX_IRQ_INDEX) {
		for (unsigned int i = 0; i < irqs->vector_count; i++)
			close_line(&irqs->vectors[i]);
	}
}

void vfio_user_irqs_clear(struct vfio_user_irqs *irqs)
{
	disable_lines(irqs, VFIO_PCI_INTX_IRQ_INDEX);
	disable_lines(irqs, VFIO_PCI_MSIX_IRQ_INDEX);
}

unsigned int vfio_user_irqs_count(const struct vfio_user_irqs *irqs, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return 1;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return irqs->vector_count;
	}
	return 0;
}

uint32_t vfio_user_irqs_flags(uint32_t index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE;
	}
	return 0;
}

static bool is_eventfd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

static void signal_line(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };
	const uint64_t one = 1;

	/* An eventfd whose counter is full has been signalled already. */
	if (poll(&poller, 1, 0) == 1 && poller.revents & POLLOUT &&
	    write(fd, &one, sizeof(one)) < 0)
		return;
}

bool vfio_user_irqs_fire(struct vfio_user_irqs *irqs, int vector)
{
	struct vfio_user_line *line =
		vector == VFIO_USER_INTX ? &irqs->intx : &irqs->vectors[vector];

	if (line->fd < 0 || line->masked)
		return false;
	signal_line(line->fd);
	line->masked = vector == VFIO_USER_INTX;
	return true;
}

/* TRIGGER with eventfds: sets those of the lines; without: takes them away. */
static int set_line_eventfds(struct vfio_user_irqs *irqs, struct vfio_user_line *lines,
			     const struct vfio_user_irq_set *set, int *fds, unsigned int fd_count)
{
	for (unsigned int i = 0; i < fd_count; i++)
		if (!is_eventfd(fds[i]))
			return -EBADF;
	for (unsigned int i = 0; i < set->count; i++) {
		close_line(&lines[i]);
		if (fd_count) {
			lines[i].fd = fds[i];
			fds[i] = -1;
		}
	}
	/* Only when all are in place, since it may fire any of them. */
	for (unsigned int i = 0; i < fd_count; i++)
		irqs->retry(irqs->data, set->index == VFIO_PCI_INTX_IRQ_INDEX
						? VFIO_USER_INTX
						: (int)(set->start + i));
	return 0;
}

static int watch_unmask_eventfd(struct vfio_user_irqs *irqs, int *fds, unsigned int fd_count)
{
	struct loop_source next = { .fd = -1, .ready = unmask_ready };
	int error;

	if (fd_count && !is_eventfd(fds[0]))
		return -EBADF;
	close_unmask_eventfd(irqs);
	if (!fd_count)
		return 0;
	irqs->unmask = next;
	irqs->unmask.fd = fds[0];
	error = loop_add(irqs->loop, &irqs->unmask, EPOLLIN);
	if (error)
		irqs->unmask.fd = -1;
	else
		fds[0] = -1;
	return error;
}

static void apply_line_action(struct vfio_user_irqs *irqs, struct vfio_user_line *line, int vector,
			      uint32_t action)
{
	if (action == VFIO_IRQ_SET_ACTION_MASK)
		line->masked = true;
	else if (action == VFIO_IRQ_SET_ACTION_UNMASK)
		unmask_line(irqs, line, vector);
	else if (line->fd >= 0)
		signal_line(line->fd);
}

static bool has_one_bit(uint32_t flags)
{
	return flags && !(flags & (flags - 1));
}

/* True when the message is complete and within bounds. */
static bool is_valid_irq_set(const struct vfio_user_irqs *irqs, const struct vfio_user_irq_set *set,
			     size_t bool_count, unsigned int fd_count)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	unsigned int lines = vfio_user_irqs_count(irqs, set->index);

	if (set->flags != (data | action) || !has_one_bit(data) || !has_one_bit(action))
		return false;
	if (set->start > lines || set->count > lines - set->start)
		return false;
	if (fd_count && data != VFIO_IRQ_SET_DATA_EVENTFD)
		return false;
	if (data == VFIO_IRQ_SET_DATA_BOOL)
		return bool_count >= set->count;
	return data != VFIO_IRQ_SET_DATA_EVENTFD || fd_count == 0 || fd_count == set->count;
}

int vfio_user_irqs_set(struct vfio_user_irqs *irqs, const struct vfio_user_irq_set *set,
		       const uint8_t *bools, size_t bool_count, int *fds, unsigned int fd_count)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	bool intx = set->index == VFIO_PCI_INTX_IRQ_INDEX;
	struct vfio_user_line *lines = intx ? &irqs->intx : irqs->vectors;

	if (set->index >= VFIO_PCI_NUM_IRQS || !is_valid_irq_set(irqs, set, bool_count, fd_count))
		return -EINVAL;
	if (set->count == 0) {
		if (set->start || data != VFIO_IRQ_SET_DATA_NONE ||
		    action != VFIO_IRQ_SET_ACTION_TRIGGER)
			return -EINVAL;
		disable_lines(irqs, set->index);
		return 0;
	}
	if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
			return set_line_eventfds(irqs, lines + set->start, set, fds, fd_count);
		return intx && action == VFIO_IRQ_SET_ACTION_UNMASK
			       ? watch_unmask_eventfd(irqs, fds, fd_count)
			       : -EINVAL;
	}
	for (uint32_t i = 0; i < set->count; i++)
		if (data == VFIO_IRQ_SET_DATA_NONE || bools[i])
			apply_line_action(irqs, &lines[set->start + i],
					  intx ? VFIO_USER_INTX : (int)(set->start + i), action);
	return 0;
}
