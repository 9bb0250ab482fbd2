/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user's rings.
 *
 * Theory of operation
 * -------------------
 * Messages change what the VMM wants of a ring (started, enabled, size and
 * addresses), and vhost_user_vring_update() makes the device follow: a ring runs
 * exactly while it is started, enabled, fully described, and its addresses are
 * in the guest's memory.  A ring whose memory is missing waits for it, since
 * memory may be remapped in steps; one that ran keeps its guest addresses
 * meanwhile, and is at rest in the device.
 *
 * Which driver do rings belong to that start after all had stopped?  After a
 * pause they go on where they stopped, and the balloon's content is still what
 * it was.  A ring that starts anywhere else is a new driver's: the guest was
 * reset, and the device has to be, too.  So is one that was waiting for that.
 */
#include "transport/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define POLL_NS UINT64_C(10000000)

static void poll_due(struct loop_timer *timer);

static struct vhost_user_vring *of_kick(struct loop_source *source)
{
	return (struct vhost_user_vring *)((char *)source -
					   offsetof(struct vhost_user_vring, kick));
}

static unsigned int number(const struct vhost_user_vring *vring)
{
	return (unsigned int)(vring - vring->vu->vrings);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_kick(struct vhost_user_vring *vring)
{
	loop_remove(vring->vu->context.loop, &vring->kick);
	close_fd(&vring->kick.fd);
}

/*
 * RWF_NOWAIT and not O_NONBLOCK, which the VMM could take off at any time.
 * Whatever cannot be read like this is no eventfd, and is not looked at again.
 */
static void kicked(struct loop_source *source, uint32_t events)
{
	struct vhost_user_vring *vring = of_kick(source);
	uint64_t count;
	struct iovec piece = { .iov_base = &count, .iov_len = sizeof(count) };
	ssize_t n = preadv2(source->fd, &piece, 1, -1, RWF_NOWAIT);

	(void)events;
	if (n == (ssize_t)sizeof(count))
		balloon_kick(vhost_user_balloon(vring->vu), number(vring));
	else if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		drop_kick(vring);
}

void vhost_user_vrings_init(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		vu->vrings[i] = (struct vhost_user_vring){
			.vu = vu,
			.kick = { .fd = -1, .ready = kicked },
			.call_fd = -1,
			.err_fd = -1,
		};
	vu->poll = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = poll_due };
	loop_add_timer(vu->context.loop, &vu->poll);
}

struct vhost_user_vring *vhost_user_vring(struct vhost_user *vu, uint64_t index)
{
	return index < BALLOON_QUEUES_MAX ? &vu->vrings[index] : NULL;
}

bool vhost_user_vrings_run(const struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (vu->vrings[i].running)
			return true;
	return false;
}

bool vhost_user_vrings_settled(const struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (vu->vrings[i].started && !vu->vrings[i].running)
			return false;
	return vhost_user_vrings_run(vu);
}

static void poll_vrings(struct vhost_user *vu)
{
	bool polled = false;

	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		if (!vu->vrings[i].running || !vu->vrings[i].polled)
			continue;
		balloon_kick(vhost_user_balloon(vu), i);
		polled = true;
	}
	vu->poll.due_ns = polled ? loop_now_ns() + POLL_NS : LOOP_NEVER;
}

static void poll_due(struct loop_timer *timer)
{
	poll_vrings((struct vhost_user *)((char *)timer - offsetof(struct vhost_user, poll)));
}

static void stop(struct vhost_user_vring *vring)
{
	if (!vring->running)
		return;
	vring->base = balloon_queue_stop(vhost_user_balloon(vring->vu), number(vring));
	vring->has_base = true;
	vring->running = false;
	vring->stopped = true;
	vring->stopped_at = vring->base;
}

static bool find(const struct vhost_user *vu, uint64_t user, uint64_t *gpa)
{
	for (unsigned int i = 0; i < vu->place_count; i++) {
		const struct vhost_user_place *place = &vu->places[i];

		if (user >= place->user && user - place->user < place->size) {
			*gpa = place->gpa + (user - place->user);
			return true;
		}
	}
	return false;
}

bool vhost_user_vring_describe(const struct vhost_user_vring *vring, struct virtqueue_setup *setup)
{
	*setup = (struct virtqueue_setup){ .size = (uint16_t)vring->num };
	return find(vring->vu, vring->desc, &setup->desc) &&
	       find(vring->vu, vring->avail, &setup->driver) &&
	       find(vring->vu, vring->used, &setup->device);
}

static bool driver_is_new(const struct vhost_user *vu)
{
	if (balloon_needs_reset(vhost_user_balloon(vu)))
		return true;
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (vu->vrings[i].stopped && vu->vrings[i].base != vu->vrings[i].stopped_at)
			return true;
	return false;
}

/* The byte order was set for the driver that comes. */
bool vhost_user_start_afresh(struct vhost_user *vu, uint64_t features)
{
	struct balloon *balloon = vhost_user_balloon(vu);

	balloon_reset(balloon);
	balloon_set_big_endian(balloon, vu->big_endian);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		vu->vrings[i].stopped = false;
	vu->features_set = balloon_set_features(balloon, features);
	return vu->features_set;
}

static int start(struct vhost_user_vring *vring)
{
	struct vhost_user *vu = vring->vu;
	struct balloon *balloon = vhost_user_balloon(vu);
	struct virtqueue_setup setup;
	int error;

	if (!vu->features_set)
		return -EPERM;
	if (!vhost_user_vring_describe(vring, &setup))
		return -EFAULT;
	if (!vhost_user_vrings_run(vu) && driver_is_new(vu))
		vhost_user_start_afresh(vu, balloon_acknowledged(balloon));
	error = balloon_queue_start(balloon, number(vring), &setup,
				    vring->has_base ? &vring->base : NULL);
	if (error)
		return error;
	vring->running = true;
	vring->setup = setup;
	if (!balloon_is_driver_ok(balloon))
		balloon_driver_ok(balloon);
	poll_vrings(vu);
	return 0;
}

int vhost_user_vring_update(struct vhost_user_vring *vring)
{
	bool wanted = vring->started && vring->enabled && vring->num && vring->has_addr;

	if (!wanted)
		stop(vring);
	return wanted && !vring->running ? start(vring) : 0;
}

static bool same_place(const struct virtqueue_setup *a, const struct virtqueue_setup *b)
{
	return a->desc == b->desc && a->driver == b->driver && a->device == b->device;
}

void vhost_user_vrings_relocate(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		struct vhost_user_vring *vring = &vu->vrings[i];
		struct virtqueue_setup setup;

		if (vring->running && vhost_user_vring_describe(vring, &setup) &&
		    !same_place(&setup, &vring->setup))
			stop(vring);
		vhost_user_vring_update(vring);
	}
}

/* Eventfds have an inode without a type; a file or a pipe could block, or be anything. */
static bool is_eventfd(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && !(st.st_mode & S_IFMT) && !fcntl(fd, F_SETFL, O_NONBLOCK);
}

int vhost_user_vring_set_kick(struct vhost_user_vring *vring, int fd)
{
	if (fd >= 0 && !is_eventfd(fd)) {
		close(fd);
		return -EBADF;
	}
	drop_kick(vring);
	vring->kick.fd = fd;
	if (fd >= 0 && loop_add(vring->vu->context.loop, &vring->kick, EPOLLIN)) {
		close_fd(&vring->kick.fd);
		return -EBADF;
	}
	vring->polled = fd < 0;
	vring->started = true;
	if (vring->running)
		poll_vrings(vring->vu);
	return vhost_user_vring_update(vring);
}

int vhost_user_vring_set_signal(int *signal_fd, int fd)
{
	if (fd >= 0 && !is_eventfd(fd)) {
		close(fd);
		return -EBADF;
	}
	close_fd(signal_fd);
	*signal_fd = fd;
	return 0;
}

/* EAGAIN is a counter that is full: whoever reads it is told anyway. */
void vhost_user_signal(int *signal_fd)
{
	const uint64_t one = 1;

	if (*signal_fd >= 0 && write(*signal_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		close_fd(signal_fd);
}

uint32_t vhost_user_vring_halt(struct vhost_user_vring *vring)
{
	stop(vring);
	vring->started = false;
	vring->polled = false;
	drop_kick(vring);
	return vring->base;
}

void vhost_user_vrings_enable(struct vhost_user *vu, bool enabled)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		vu->vrings[i].enabled = enabled;
		vhost_user_vring_update(&vu->vrings[i]);
	}
}

void vhost_user_reset(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		struct vhost_user_vring *vring = &vu->vrings[i];

		vhost_user_vring_halt(vring);
		*vring = (struct vhost_user_vring){
			.vu = vu,
			.kick = vring->kick,
			.call_fd = vring->call_fd,
			.err_fd = vring->err_fd,
		};
	}
	balloon_reset(vhost_user_balloon(vu));
	vu->features_set = false;
	vu->big_endian = false;
}

void vhost_user_vrings_close(struct vhost_user *vu)
{
	loop_remove_timer(vu->context.loop, &vu->poll);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		vhost_user_vring_halt(&vu->vrings[i]);
		close_fd(&vu->vrings[i].call_fd);
		close_fd(&vu->vrings[i].err_fd);
	}
}
