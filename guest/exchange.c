// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exchanges one page with the host: it takes a page, and gives back another one.
 *
 * Migration (migrate.c) does this.  The two requests are here, below deflate.c,
 * because deflations have to wait for them, too.
 */
#include "balloon.h"

int vb_exchange_init(struct virtio_balloon *vb)
{
	struct vb_exchange *x = &vb->exchange;
	int err;

	if (vb_reporting_releases(vb))
		err = vb_request_init(&x->inflate, &vb->reporting_vq, 0, 1);
	else
		err = vb_request_init(&x->inflate, &vb->inflate_vq, 1, 0);
	return err ?: vb_request_init(&x->deflate, &vb->deflate_vq, 1, 0);
}

void vb_exchange_destroy(struct virtio_balloon *vb)
{
	vb_request_destroy(&vb->exchange.inflate);
	vb_request_destroy(&vb->exchange.deflate);
}

static int send_one_page(struct vb_request *r, struct page *page)
{
	vb_request_reset(r);
	vb_request_name_page(r, page);
	return vb_request_send(r) ? -EAGAIN : 0;
}

int vb_exchange_send(struct virtio_balloon *vb, struct page *newpage, struct page *page)
{
	int err = send_one_page(&vb->exchange.inflate, newpage);

	if (err || vb_reporting_releases(vb))
		return err;
	/* A device that takes no deflation is gone: the old page is ours all the same. */
	if (!send_one_page(&vb->exchange.deflate, page) && vb->must_tell_host) {
		get_page(page);
		vb->exchange.given = page;
	}
	return 0;
}

static void drop_given_page(struct vb_exchange *x)
{
	if (x->given)
		put_page(x->given);
	x->given = NULL;
}

bool vb_exchange_wait_inflate(struct virtio_balloon *vb, unsigned long timeout)
{
	return vb_request_wait(&vb->exchange.inflate, timeout);
}

bool vb_exchange_wait_deflate(struct virtio_balloon *vb, unsigned long timeout)
{
	if (!vb_request_wait(&vb->exchange.deflate, timeout))
		return false;
	drop_given_page(&vb->exchange);
	return true;
}

void vb_exchange_reclaim(struct virtio_balloon *vb)
{
	vb_request_abort(&vb->exchange.inflate);
	vb_request_abort(&vb->exchange.deflate);
	drop_given_page(&vb->exchange);
}
