/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_STATS_H
#define GUEST_STATS_H

struct virtio_balloon;
struct virtqueue;

/* Private to stats.c. */
struct vb_stats;

/**
 * vb_stats_init() - prepare statistics
 * @vb: the balloon, which has no queues yet
 *
 * Allocates everything that a sample needs.  Does nothing without
 * VIRTIO_BALLOON_F_STATS_VQ; neither do the functions below then.  May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int vb_stats_init(struct virtio_balloon *vb);

/**
 * vb_stats_destroy() - undo vb_stats_init()
 * @vb: the balloon, whose statistics are stopped
 */
void vb_stats_destroy(struct virtio_balloon *vb);

/**
 * vb_stats_set_vq() - set the queue to use
 * @vb: the balloon, whose statistics are stopped
 * @vq: the queue; NULL without the feature
 */
void vb_stats_set_vq(struct virtio_balloon *vb, struct virtqueue *vq);

/**
 * vb_stats_start() - give the device its first sample
 * @vb: the balloon, which runs
 */
void vb_stats_start(struct virtio_balloon *vb);

/**
 * vb_stats_stop() - wait for the current sample, and send no more
 * @vb: the balloon, which does not run any more
 *
 * The device must be reset before the next start.  May sleep.
 */
void vb_stats_stop(struct virtio_balloon *vb);

/**
 * vb_stats_interrupt() - virtqueue callback: the device asks for a sample
 * @vq: the queue
 *
 * Hard interrupt context.
 */
void vb_stats_interrupt(struct virtqueue *vq);

#endif
