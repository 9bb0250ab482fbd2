/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_REQUEST_H
#define GUEST_REQUEST_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/types.h>
#include <linux/virtio_balloon.h>

#include "queue.h"

/* The protocol counts pages of 4 KiB, whatever the size of this kernel's pages. */
#define VB_PFNS_PER_PAGE (1U << (PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT))
/* A whole block: 2 MiB on x86. */
#define VB_BLOCK_PAGES (1UL << pageblock_order)
/* Inflations, and deflations, that may be in flight at the same time. */
#define VB_MAX_IN_FLIGHT 2

/**
 * struct vb_request - pages that one buffer names to the host
 * @queue: where it is sent
 * @pages: single pages, linked by their lru, that belong to the request until
 *	it is acknowledged
 * @nr_pages: pages that it names; not all of them need be on @pages
 * @pfns: page numbers, or NULL if the request names blocks
 * @nr_pfns: how many of @pfns are filled
 * @max_pfns: how many there is room for
 * @blocks: blocks of memory, or NULL if the request names page numbers
 * @nr_blocks: how many of @blocks are filled
 * @max_blocks: how many there is room for
 * @in_flight: the device has it; cleared by queue.c
 *
 * The owner may use @pages and @nr_pages while the request is not in flight.  The
 * rest is private to request.c and queue.c.  The owner serialises all calls.
 */
struct vb_request {
	struct vb_queue *queue;
	struct list_head pages;
	unsigned int nr_pages;
	__virtio32 *pfns;
	unsigned int nr_pfns;
	unsigned int max_pfns;
	struct scatterlist *blocks;
	unsigned int nr_blocks;
	unsigned int max_blocks;
	bool in_flight;
};

/**
 * vb_request_init() - allocate the buffer of a request
 * @r: the request
 * @q: the queue that it is for
 * @pages: how many pages it may name by number, or 0
 * @blocks: how many blocks it may name, if @pages is 0
 *
 * May sleep.  After an error, too, call vb_request_destroy().
 *
 * Return: 0 or -ENOMEM.
 */
int vb_request_init(struct vb_request *r, struct vb_queue *q, unsigned int pages,
		    unsigned int blocks);

/**
 * vb_request_destroy() - free the buffer of a request
 * @r: the request, without pages and not in flight; or all zeroes
 */
void vb_request_destroy(struct vb_request *r);

/**
 * vb_request_room() - how much more a request can name
 * @r: the request
 *
 * Return: the number of pages.
 */
unsigned long vb_request_room(const struct vb_request *r);

/**
 * vb_request_name_page() - name one page, which stays the caller's
 * @r: the request, with room for it
 * @page: the page
 */
void vb_request_name_page(struct vb_request *r, struct page *page);

/**
 * vb_request_add_block() - split a block and make its pages part of a request
 * @r: the request, with room for them
 * @page: the first page of the block, whose count is 1
 * @order: the order of the block
 *
 * All pages of a block are in one request and in order, so that the device can
 * see that the block is whole.
 */
void vb_request_add_block(struct vb_request *r, struct page *page, unsigned int order);

/**
 * vb_request_name_list() - name all pages that are on the request's list
 * @r: the request, of the kind that names page numbers
 */
void vb_request_name_list(struct vb_request *r);

/**
 * vb_request_send() - give a request to the device
 * @r: the request, which names something and is not in flight
 *
 * Does not sleep or allocate.
 *
 * Return: 0, -ENOSPC if the ring is full, or -EIO if the device is broken.
 */
int vb_request_send(struct vb_request *r);

/**
 * vb_request_wait() - wait until a request is not in flight
 * @r: the request
 * @timeout: VB_DEVICE_TIMEOUT; or 0, not to wait
 *
 * Return: see vb_queue_wait().
 */
bool vb_request_wait(struct vb_request *r, unsigned long timeout);

/**
 * vb_request_reset() - make a request name nothing
 * @r: the request, not in flight, with an empty list
 */
void vb_request_reset(struct vb_request *r);

/**
 * vb_request_abort() - the device, which was reset, does not have it any more
 * @r: the request
 */
void vb_request_abort(struct vb_request *r);

#endif
