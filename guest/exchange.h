/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_EXCHANGE_H
#define GUEST_EXCHANGE_H

#include "request.h"

struct page;
struct virtio_balloon;

/**
 * struct vb_exchange - requests that exchange one page for another
 * @inflate: names the page that the host takes
 * @deflate: names the page that it gives back
 * @given: that page, with a reference, until the host has acknowledged it; NULL
 *	without VIRTIO_BALLOON_F_MUST_TELL_HOST
 *
 * Private to exchange.c.  All calls but init and destroy are made under
 * vb->lock, or while the balloon is stopped.
 */
struct vb_exchange {
	struct vb_request inflate;
	struct vb_request deflate;
	struct page *given;
};

/**
 * vb_exchange_init() - allocate the requests
 * @vb: the balloon, whose reporting is initialised
 *
 * May sleep.  After an error, too, call vb_exchange_destroy().
 *
 * Return: 0 or -ENOMEM.
 */
int vb_exchange_init(struct virtio_balloon *vb);

/**
 * vb_exchange_destroy() - free the requests
 * @vb: the balloon
 */
void vb_exchange_destroy(struct virtio_balloon *vb);

/**
 * vb_exchange_send() - name both pages to the host
 * @vb: the balloon
 * @newpage: the page that the host takes
 * @page: the page that it gives back
 *
 * The requests of the exchange before must be back.  If the host has to be told
 * before @page is used, a reference keeps it until then.  Does not sleep.
 *
 * Return: 0, or -EAGAIN if the host does not know of @newpage.
 */
int vb_exchange_send(struct virtio_balloon *vb, struct page *newpage, struct page *page);

/**
 * vb_exchange_wait_inflate() - wait until the host has taken the new page
 * @vb: the balloon
 * @timeout: VB_DEVICE_TIMEOUT; or 0, not to wait
 *
 * Return: see vb_queue_wait().
 */
bool vb_exchange_wait_inflate(struct virtio_balloon *vb, unsigned long timeout);

/**
 * vb_exchange_wait_deflate() - wait until the host has given back the old page
 * @vb: the balloon
 * @timeout: VB_DEVICE_TIMEOUT; or 0, not to wait
 *
 * Drops the reference that vb_exchange_send() may have taken.
 *
 * Return: see vb_queue_wait().
 */
bool vb_exchange_wait_deflate(struct virtio_balloon *vb, unsigned long timeout);

/**
 * vb_exchange_reclaim() - give up requests that the device did not return
 * @vb: the balloon, whose device has been reset
 */
void vb_exchange_reclaim(struct virtio_balloon *vb);

#endif
