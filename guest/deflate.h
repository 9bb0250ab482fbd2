/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_DEFLATE_H
#define GUEST_DEFLATE_H

#include "request.h"

struct virtio_balloon;

/**
 * struct vb_deflate - deflations
 * @requests: used in turn.  With VIRTIO_BALLOON_F_MUST_TELL_HOST they keep their
 *	pages until the host has acknowledged them.
 * @turn: counts the requests sent
 *
 * Private to deflate.c.  All calls but init and destroy are made under vb->lock,
 * or while the balloon is stopped.
 */
struct vb_deflate {
	struct vb_request requests[VB_MAX_IN_FLIGHT];
	unsigned int turn;
};

/**
 * vb_deflate_init() - allocate the requests
 * @vb: the balloon
 *
 * May sleep.  After an error, too, call vb_deflate_destroy().
 *
 * Return: 0 or -ENOMEM.
 */
int vb_deflate_init(struct virtio_balloon *vb);

/**
 * vb_deflate_destroy() - free the requests
 * @vb: the balloon
 */
void vb_deflate_destroy(struct virtio_balloon *vb);

/**
 * vb_deflate_pages() - take pages out of the balloon, by one request
 * @vb: the balloon
 * @want: how many pages at most
 * @timeout: for the device to return an earlier request: VB_DEVICE_TIMEOUT, or 0
 *
 * May sleep, but does not allocate.  Under vb->lock.
 *
 * Return: how many pages left the balloon (0 if compaction has isolated all that
 * there are), or -EAGAIN if the device has not returned that request.
 */
long vb_deflate_pages(struct virtio_balloon *vb, unsigned long want, unsigned long timeout);

/**
 * vb_deflate_wait() - wait until the host has read every deflation
 * @vb: the balloon
 * @timeout: for each request: VB_DEVICE_TIMEOUT; or 0, not to wait
 *
 * Frees pages that waited for the host.  May sleep.  Under vb->lock.
 *
 * Return: false if there is one that it has not read.
 */
bool vb_deflate_wait(struct virtio_balloon *vb, unsigned long timeout);

/**
 * vb_deflate_reclaim() - free pages that the host did not acknowledge
 * @vb: the balloon, whose device has been reset
 *
 * Under vb->lock.
 */
void vb_deflate_reclaim(struct virtio_balloon *vb);

/**
 * vb_deflate_to_held() - take everything out of the balloon, and hold it
 * @vb: the balloon, which is stopped
 *
 * The host is not notified.  Waits for compaction to put back what it has
 * isolated.
 */
void vb_deflate_to_held(struct virtio_balloon *vb);

#endif
