// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page hints (VIRTIO 5.5.6.5): for a live migration the host asks for the
 * guest's free pages, which it then need not send.
 *
 * Theory of operation
 * -------------------
 * The device asks by a new id in its configuration.  The driver repeats the id
 * (a buffer that the device reads), offers free blocks of the largest order
 * (buffers that the device would write), and ends with STOP.  It keeps the
 * blocks, for freeing them writes to them and they would have to be sent after
 * all; it has them back when the device says DONE.  A STOP of the device's ends
 * the round, but not the keeping: there may be another round.
 *
 *	free memory -> offer_block() -> h->blocks -> DONE, the shrinker, hint_stop() -> free memory
 *
 * A block may be given back at any time, even before the device has looked at
 * its hint: the host hints only at what was not written since the round began,
 * and its tracking of writes tells.  The shrinker begins with the oldest.  Hence
 * the buffers that the device returns say nothing of the blocks, and those that
 * it does not return until it is reset do no harm.
 *
 * The ring is the worker's alone.  One place in it is kept for the STOP.  The
 * device may stop reading amid a round and leave hints in the ring, even the id
 * itself, whose memory must not become another id while the device may still
 * read it.  So a round begins when the ring has room and the old id has come
 * back; QEMU takes one buffer for each kick until it has read the id that it
 * waits for, and is kicked until then.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "balloon.h"

#define HINT_ORDER MAX_PAGE_ORDER
#define HINT_PAGES (1UL << HINT_ORDER)
/* What is free, and no more: nothing is reclaimed for a hint, and no reserve is touched. */
#define HINT_GFP (__GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC)
#define POLL_MIN_US 50
#define POLL_MAX_US 500

static bool hinting = true;
module_param(hinting, bool, 0444);
MODULE_PARM_DESC(hinting,
		 "Offer free pages to the host when it asks, for its live migration (default: Y)");

struct balloon_hint {
	struct balloon *balloon;
	struct work_struct work;
	struct balloon_shrinker shrinker;

	spinlock_t lock;	 /* the blocks */
	struct list_head blocks; /* by lru, the oldest first */
	unsigned long nr_blocks;

	/* The worker's, but for the first. */
	atomic_t changed; /* the configuration is to be read */
	u32 asked;	  /* the id that was read from it */
	u32 answered;	  /* the last id that a round was begun for */
	bool id_is_out;	  /* the device has not returned it */
	__virtio32 id, stop;
};

/* Gives the oldest blocks back, @most of them; returns how many. */
static unsigned long give_blocks_back(struct balloon_hint *h, unsigned long most)
{
	unsigned long given;

	for (given = 0; given < most; given++) {
		struct page *page;

		spin_lock(&h->lock);
		page = list_first_entry_or_null(&h->blocks, struct page, lru);
		if (page) {
			list_del(&page->lru);
			h->nr_blocks--;
		}
		spin_unlock(&h->lock);
		if (!page)
			break;
		__free_pages(page, HINT_ORDER);
	}
	return given;
}

static void keep_block(struct balloon_hint *h, struct page *page)
{
	spin_lock(&h->lock);
	list_add_tail(&page->lru, &h->blocks);
	h->nr_blocks++;
	spin_unlock(&h->lock);
}

unsigned long hint_kept(struct balloon *b)
{
	return b->hint ? READ_ONCE(b->hint->nr_blocks) * HINT_PAGES : 0;
}

static unsigned long count_blocks(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct balloon_hint *h = balloon_shrinker_owner(shrinker);

	return hint_kept(h->balloon);
}

static unsigned long shrink_blocks(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct balloon_hint *h = balloon_shrinker_owner(shrinker);

	return give_blocks_back(h, DIV_ROUND_UP(sc->nr_to_scan, HINT_PAGES)) * HINT_PAGES;
}

/* The id that the device asks by now. */
static u32 asked(struct balloon_hint *h)
{
	if (atomic_xchg(&h->changed, 0))
		virtio_cread_le(h->balloon->vdev, struct virtio_balloon_config,
				free_page_hint_cmd_id, &h->asked);
	return h->asked;
}

static void take_returned(struct balloon_hint *h)
{
	unsigned int len;
	void *token;

	while ((token = virtqueue_get_buf(h->balloon->hint_vq, &len)))
		if (token == &h->id)
			h->id_is_out = false;
}

static bool goes_on(struct balloon_hint *h, u32 id)
{
	return balloon_running(h->balloon) && asked(h) == id &&
	       !virtqueue_is_broken(h->balloon->hint_vq);
}

/* Is there a place in the ring besides that for the STOP? */
static bool has_room(struct balloon_hint *h)
{
	take_returned(h);
	return h->balloon->hint_vq->num_free > 1;
}

/* Waits for the device to return what it has; false: the round is over. */
static bool wait_a_little(struct balloon_hint *h, u32 id)
{
	if (!goes_on(h, id))
		return false;
	virtqueue_notify(h->balloon->hint_vq);
	usleep_range(POLL_MIN_US, POLL_MAX_US);
	return goes_on(h, id);
}

static bool send_id(struct balloon_hint *h, __virtio32 *id)
{
	struct virtqueue *vq = h->balloon->hint_vq;
	struct scatterlist sg;

	sg_init_one(&sg, id, sizeof(*id));
	if (virtqueue_add_outbuf(vq, &sg, 1, id, GFP_KERNEL))
		return false;
	virtqueue_kick(vq);
	return true;
}

static bool begin_round(struct balloon_hint *h, u32 id)
{
	while (!has_room(h) || h->id_is_out)
		if (!wait_a_little(h, id))
			return false;
	h->id = cpu_to_virtio32(h->balloon->vdev, id);
	h->id_is_out = send_id(h, &h->id);
	return h->id_is_out;
}

/* false: the round is over, or nothing is free any more. */
static bool offer_block(struct balloon_hint *h, u32 id)
{
	struct virtqueue *vq = h->balloon->hint_vq;
	struct scatterlist sg;
	struct page *page;

	while (!has_room(h))
		if (!wait_a_little(h, id))
			return false;
	page = alloc_pages(HINT_GFP, HINT_ORDER);
	if (!page)
		return false;
	sg_init_one(&sg, page_address(page), HINT_PAGES << PAGE_SHIFT);
	if (virtqueue_add_inbuf(vq, &sg, 1, page, GFP_KERNEL)) {
		__free_pages(page, HINT_ORDER);
		return false;
	}
	keep_block(h, page);
	virtqueue_kick(vq);
	count(h->balloon, COUNT_hinted, HINT_PAGES);
	return true;
}

static void offer_round(struct balloon_hint *h, u32 id)
{
	if (!begin_round(h, id))
		return;
	h->answered = id;
	while (goes_on(h, id) && offer_block(h, id))
		cond_resched();
	take_returned(h);
	send_id(h, &h->stop);
}

static void hint_work(struct work_struct *work)
{
	struct balloon_hint *h = container_of(work, struct balloon_hint, work);
	u32 id;

	if (!balloon_running(h->balloon))
		return;
	id = asked(h);
	if (id == VIRTIO_BALLOON_CMD_ID_DONE)
		give_blocks_back(h, ULONG_MAX);
	else if (id != VIRTIO_BALLOON_CMD_ID_STOP && id != h->answered)
		offer_round(h, id);
}

void hint_config_changed(struct balloon *b)
{
	if (!b->hint)
		return;
	atomic_set(&b->hint->changed, 1);
	queue_work(b->wq, &b->hint->work);
}

bool hint_wanted(void)
{
	return hinting;
}

int hint_init(struct balloon *b)
{
	struct balloon_hint *h;
	int err;

	if (!virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		return 0;
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!h)
		return -ENOMEM;
	h->balloon = b;
	INIT_WORK(&h->work, hint_work);
	spin_lock_init(&h->lock);
	INIT_LIST_HEAD(&h->blocks);
	h->stop = cpu_to_virtio32(b->vdev, VIRTIO_BALLOON_CMD_ID_STOP);
	err = balloon_shrinker_start(&h->shrinker, count_blocks, shrink_blocks, h);
	if (err) {
		kfree(h);
		return err;
	}
	b->hint = h;
	return 0;
}

/* The device is new, or was reset: it has no buffer of ours, and ids begin anew. */
void hint_start(struct balloon *b)
{
	if (!b->hint)
		return;
	b->hint->asked = VIRTIO_BALLOON_CMD_ID_STOP;
	b->hint->answered = VIRTIO_BALLOON_CMD_ID_STOP;
	b->hint->id_is_out = false;
	hint_config_changed(b);
}

/* The blocks need not wait for the reset: see above. */
void hint_stop(struct balloon *b)
{
	if (!b->hint)
		return;
	cancel_work_sync(&b->hint->work);
	give_blocks_back(b->hint, ULONG_MAX);
}

void hint_destroy(struct balloon *b)
{
	if (!b->hint)
		return;
	balloon_shrinker_stop(&b->hint->shrinker);
	kfree(b->hint);
	b->hint = NULL;
}
