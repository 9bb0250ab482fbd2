/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vhost_user_vrings.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "transport/vhost_user.h"

#define POLL_NS UINT64_C(10000000)

static void poll_due(struct loop_timer *timer);

static struct vhost_user_vring *get_kicked_vring(struct loop_source *source)
{
	return (struct vhost_user_vring *)((char *)source -
					   offsetof(struct vhost_user_vring, kick));
}

static unsigned int get_vring_number(const struct vhost_user_vring *vring)
{
	return (unsigned int)(vring - vring->vu->vrings.vring);
}

static void close_vring_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_kick(struct vhost_user_vring *vring)
{
	loop_remove(vring->vu->context.loop, &vring->kick);
	close_vring_fd(&vring->kick.fd);
}

static void kick_ready(struct loop_source *source, uint32_t events)
{
	struct vhost_user_vring *vring = get_kicked_vring(source);
	int bytes = signal_fd_receive(source->fd, vring->kick_kind);

	(void)events;
	if (bytes > 0)
		balloon_kick(vhost_user_balloon(vring->vu), get_vring_number(vring));
	else if (bytes < 0)
		close_kick(vring);
}

void vhost_user_vrings_init(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		vu->vrings.vring[i] = (struct vhost_user_vring){
			.vu = vu,
			.kick = { .fd = -1, .ready = kick_ready },
			.call = { .fd = -1 },
			.err = { .fd = -1 },
		};
	vu->vrings.poll = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = poll_due };
	loop_add_timer(vu->context.loop, &vu->vrings.poll);
}

struct vhost_user_vring *vhost_user_find_vring(struct vhost_user *vu, uint64_t index)
{
	return index < BALLOON_QUEUES_MAX ? &vu->vrings.vring[index] : NULL;
}

bool vhost_user_any_vring_runs(const struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (vu->vrings.vring[i].running)
			return true;
	return false;
}

bool vhost_user_all_vrings_run(const struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (vu->vrings.vring[i].started && !vu->vrings.vring[i].running)
			return false;
	return vhost_user_any_vring_runs(vu);
}

static void poll_vrings(struct vhost_user *vu)
{
	bool polled = false;

	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		if (!vu->vrings.vring[i].running || !vu->vrings.vring[i].polled)
			continue;
		balloon_kick(vhost_user_balloon(vu), i);
		polled = true;
	}
	vu->vrings.poll.due_ns = polled ? loop_now_ns() + POLL_NS : LOOP_NEVER;
}

static void poll_due(struct loop_timer *timer)
{
	poll_vrings(
		(struct vhost_user *)((char *)timer - offsetof(struct vhost_user, vrings.poll)));
}

static void stop_vring(struct vhost_user_vring *vring)
{
	if (!vring->running)
		return;
	vring->base = balloon_queue_stop(vhost_user_balloon(vring->vu), get_vring_number(vring));
	vring->has_base = true;
	vring->running = false;
	vring->stopped = true;
	vring->stopped_at = vring->base;
}

bool vhost_user_vring_describe(const struct vhost_user_vring *vring, struct virtqueue_setup *setup)
{
	const struct vhost_user_memory *memory = &vring->vu->memory;

	*setup = (struct virtqueue_setup){ .size = (uint16_t)vring->num };
	return vhost_user_memory_translate(memory, vring->desc, &setup->desc) &&
	       vhost_user_memory_translate(memory, vring->avail, &setup->driver) &&
	       vhost_user_memory_translate(memory, vring->used, &setup->device);
}

static bool is_new_driver(const struct vhost_user *vu)
{
	if (balloon_needs_reset(vhost_user_balloon(vu)))
		return true;
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (vu->vrings.vring[i].stopped &&
		    vu->vrings.vring[i].base != vu->vrings.vring[i].stopped_at)
			return true;
	return false;
}

/* The reset must not undo the byte order, which was set for this driver. */
bool vhost_user_begin_driver(struct vhost_user *vu, uint64_t features)
{
	struct balloon *balloon = vhost_user_balloon(vu);

	balloon_reset(balloon);
	balloon_set_big_endian(balloon, vu->vrings.big_endian);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		vu->vrings.vring[i].stopped = false;
	vu->vrings.features_set = balloon_set_features(balloon, features);
	return vu->vrings.features_set;
}

/*
 * Where the ring continues, or NULL where a new ring begins.  Some VMMs (User Mode Linux) set the
 * base of each new ring to 0.  In a packed ring that would mean wrap counters of 0, but they begin
 * at 1.  It is right only for a ring that has run and stopped there.
 */
static const uint32_t *get_vring_base(const struct vhost_user_vring *vring)
{
	bool packed = balloon_acknowledged(vhost_user_balloon(vring->vu)) &
		      BALLOON_BIT(VIRTIO_F_RING_PACKED);

	if (!vring->has_base || (packed && !vring->base && !vring->stopped))
		return NULL;
	return &vring->base;
}

static int start_vring(struct vhost_user_vring *vring)
{
	struct vhost_user *vu = vring->vu;
	struct balloon *balloon = vhost_user_balloon(vu);
	struct virtqueue_setup setup;
	int error;

	if (!vu->vrings.features_set)
		return -EPERM;
	if (!vhost_user_vring_describe(vring, &setup))
		return -EFAULT;
	if (!vhost_user_any_vring_runs(vu) && is_new_driver(vu))
		vhost_user_begin_driver(vu, balloon_acknowledged(balloon));
	error = balloon_queue_start(balloon, get_vring_number(vring), &setup,
				    get_vring_base(vring));
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
		stop_vring(vring);
	return wanted && !vring->running ? start_vring(vring) : 0;
}

static bool is_same_setup(const struct virtqueue_setup *a, const struct virtqueue_setup *b)
{
	return a->desc == b->desc && a->driver == b->driver && a->device == b->device;
}

void vhost_user_vrings_relocate(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		struct vhost_user_vring *vring = &vu->vrings.vring[i];
		struct virtqueue_setup setup;

		if (vring->running && vhost_user_vring_describe(vring, &setup) &&
		    !is_same_setup(&setup, &vring->setup))
			stop_vring(vring);
		vhost_user_vring_update(vring);
	}
}

int vhost_user_vring_set_kick(struct vhost_user_vring *vring, int fd)
{
	enum signal_fd_kind kind = SIGNAL_FD_EVENTFD;

	if (fd >= 0 && !signal_fd_prepare(fd, &kind)) {
		close(fd);
		return -EBADF;
	}
	close_kick(vring);
	vring->kick.fd = fd;
	vring->kick_kind = kind;
	if (fd >= 0 && loop_add(vring->vu->context.loop, &vring->kick, EPOLLIN)) {
		close_vring_fd(&vring->kick.fd);
		return -EBADF;
	}
	vring->polled = fd < 0;
	vring->started = true;
	if (vring->running)
		poll_vrings(vring->vu);
	return vhost_user_vring_update(vring);
}

int vhost_user_vring_set_signal(struct vhost_user_signal *signal, int fd)
{
	enum signal_fd_kind kind = SIGNAL_FD_EVENTFD;

	if (fd >= 0 && !signal_fd_prepare(fd, &kind)) {
		close(fd);
		return -EBADF;
	}
	close_vring_fd(&signal->fd);
	*signal = (struct vhost_user_signal){ .fd = fd, .kind = kind };
	return 0;
}

void vhost_user_vring_signal(struct vhost_user_signal *signal)
{
	if (signal->fd >= 0 && !signal_fd_send(signal->fd, signal->kind))
		close_vring_fd(&signal->fd);
}

uint32_t vhost_user_vring_stop(struct vhost_user_vring *vring)
{
	stop_vring(vring);
	vring->started = false;
	vring->polled = false;
	close_kick(vring);
	return vring->base;
}

void vhost_user_vrings_enable(struct vhost_user *vu, bool enabled)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		vu->vrings.vring[i].enabled = enabled;
		vhost_user_vring_update(&vu->vrings.vring[i]);
	}
}

void vhost_user_reset(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		struct vhost_user_vring *vring = &vu->vrings.vring[i];

		vhost_user_vring_stop(vring);
		*vring = (struct vhost_user_vring){
			.vu = vu,
			.kick = vring->kick,
			.kick_kind = vring->kick_kind,
			.call = vring->call,
			.err = vring->err,
		};
	}
	balloon_reset(vhost_user_balloon(vu));
	vu->vrings.features_set = false;
	vu->vrings.big_endian = false;
}

void vhost_user_vrings_close(struct vhost_user *vu)
{
	loop_remove_timer(vu->context.loop, &vu->vrings.poll);
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		vhost_user_vring_stop(&vu->vrings.vring[i]);
		close_vring_fd(&vu->vrings.vring[i].call.fd);
		close_vring_fd(&vu->vrings.vring[i].err.fd);
	}
}
