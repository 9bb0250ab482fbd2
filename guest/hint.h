/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_HINT_H
#define GUEST_HINT_H

#include <linux/types.h>

struct virtio_balloon;
struct virtqueue;

/* Private to hint.c. */
struct vb_hint;

/**
 * vb_hint_wanted() - whether the administrator allows hinting
 *
 * Return: the parameter `hinting`.
 */
bool vb_hint_wanted(void);

/**
 * vb_hint_init() - prepare hinting
 * @vb: the balloon, which has no queues yet
 *
 * Does nothing without VIRTIO_BALLOON_F_FREE_PAGE_HINT; neither do the functions
 * below then.  May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int vb_hint_init(struct virtio_balloon *vb);

/**
 * vb_hint_pause() - free what was hinted, and offer nothing until vb_hint_resume()
 * @vb: the balloon
 *
 * Stopping and starting do not end the pause.  May sleep, until the worker is done.
 */
void vb_hint_pause(struct virtio_balloon *vb);

/**
 * vb_hint_resume() - end a pause
 * @vb: the balloon
 *
 * A round that the device still asks for goes on.
 */
void vb_hint_resume(struct virtio_balloon *vb);

/**
 * vb_hint_destroy() - undo vb_hint_init()
 * @vb: the balloon, whose hinting is stopped
 */
void vb_hint_destroy(struct virtio_balloon *vb);

/**
 * vb_hint_set_vq() - set the queue to use
 * @vb: the balloon, whose hinting is stopped
 * @vq: the queue; NULL without the feature
 */
void vb_hint_set_vq(struct virtio_balloon *vb, struct virtqueue *vq);

/**
 * vb_hint_start() - answer the device, which is new or was reset
 * @vb: the balloon, which runs
 */
void vb_hint_start(struct virtio_balloon *vb);

/**
 * vb_hint_stop() - end the current round, and free the pages that are kept
 * @vb: the balloon, which does not run any more
 *
 * The device need not have been reset.  May sleep.
 */
void vb_hint_stop(struct virtio_balloon *vb);

/**
 * vb_hint_config_changed() - the device may have asked for a round
 * @vb: the balloon
 *
 * Any context.
 */
void vb_hint_config_changed(struct virtio_balloon *vb);

/**
 * vb_hint_count() - how much is kept for a migration
 * @vb: the balloon
 *
 * Any context.
 *
 * Return: the number of pages.
 */
unsigned long vb_hint_count(struct virtio_balloon *vb);

#endif
