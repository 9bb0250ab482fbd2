/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_INFLATE_H
#define GUEST_INFLATE_H

#include "request.h"

struct virtio_balloon;

/**
 * struct vb_inflate - inflations
 * @requests: used in turn
 * @turn: counts the requests sent
 * @nr_in_flight: pages in the requests that are in flight
 * @alloc_order: order that is allocated next for the request being filled
 *
 * Private to inflate.c.  All calls belong to the worker, or are made while the
 * balloon is stopped.
 */
struct vb_inflate {
	struct vb_request requests[VB_MAX_IN_FLIGHT];
	unsigned int turn;
	unsigned long nr_in_flight;
	unsigned int alloc_order;
};

/**
 * vb_inflate_init() - allocate the requests
 * @vb: the balloon, whose reporting is initialised
 *
 * May sleep.  After an error, too, call vb_inflate_destroy().
 *
 * Return: 0 or -ENOMEM.
 */
int vb_inflate_init(struct virtio_balloon *vb);

/**
 * vb_inflate_destroy() - free the requests
 * @vb: the balloon
 */
void vb_inflate_destroy(struct virtio_balloon *vb);

/**
 * vb_inflate_pages() - gather pages and send one request
 * @vb: the balloon
 * @want: how many pages at most
 *
 * The pages enter the balloon when a later call, or vb_inflate_settle(), finds
 * that the host has acknowledged them.  Allocates, and takes vb->lock.  May sleep.
 *
 * Return: how many pages were sent, 0 if there are none to be had now, -EAGAIN if
 * the device has to return a request first, or -EIO if it is broken.
 */
long vb_inflate_pages(struct virtio_balloon *vb, unsigned long want);

/**
 * vb_inflate_settle() - move pages that the host has acknowledged into the balloon
 * @vb: the balloon
 *
 * Does not wait for the device.
 *
 * Return: whether nothing is in flight: all pages that were sent are in the balloon.
 */
bool vb_inflate_settle(struct virtio_balloon *vb);

/**
 * vb_inflate_in_flight() - pages that are not in the balloon yet
 * @vb: the balloon
 *
 * Return: the number of pages that were sent and have not entered it.
 */
unsigned long vb_inflate_in_flight(struct virtio_balloon *vb);

/**
 * vb_inflate_reclaim() - free pages that the host did not acknowledge
 * @vb: the balloon, whose device has been reset
 */
void vb_inflate_reclaim(struct virtio_balloon *vb);

#endif
