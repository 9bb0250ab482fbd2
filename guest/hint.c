// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page hinting (VIRTIO 5.5.6.5): during a live migration the host asks for
 * the guest's free pages, which it then need not send.
 *
 * Theory of operation
 * -------------------
 * The device starts a round by a new id in its configuration.  The driver repeats
 * the id (a buffer that the device reads), offers free blocks of the largest
 * order (buffers that the device may write), and ends with STOP.  It keeps the
 * blocks, because freeing them would write to them, and they would have to be
 * sent after all.  When the device sets DONE, they are freed.  When it sets STOP,
 * the round ends, but the blocks are kept: another round may follow.
 *
 *	free memory -> offer_free_block() -> h->blocks -> DONE, shrinker, vb_hint_stop() -> free
 *memory
 *
 * A block may be freed at any time, even before the device has looked at its
 * hint: the host skips only pages that were not written since the round began,
 * which it knows from its dirty log.  The shrinker begins with the oldest block.
 * Hence the buffers that the device returns say nothing about the blocks, and
 * those that it does not return before its reset do no harm.
 *
 * Only the worker uses the ring.  One entry is reserved for STOP.  The device may
 * stop reading in the middle of a round and leave hints in the ring, even the
 * id, whose memory must not change while the device may still read it.  So a
 * round begins when the ring has room and the old id has come back.  QEMU takes
 * one buffer per kick until it has read the id that it waits for, and is kicked
 * until then.  While the ring has no room the worker looks again and again, each
 * time as new work, so that the system can be suspended although the device
 * returns nothing.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "balloon.h"

#define HINT_ORDER MAX_PAGE_ORDER
#define HINT_PAGES (1UL << HINT_ORDER)
/* Only what is free: nothing is reclaimed for a hint, and no reserve is used. */
#define HINT_GFP (__GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC)
#define POLL_MIN_US 50
#define POLL_MAX_US 500

static bool hinting = true;
module_param(hinting, bool, 0444);
MODULE_PARM_DESC(hinting, "Offer free pages to the host for its live migration (default: Y)");

/**
 * struct vb_hint - hinting
 * @vb: the balloon
 * @vq: the queue
 * @work: answers the device
 * @shrinker: frees @blocks when memory is short
 * @lock: protects @blocks and @nr_blocks; process context only
 * @blocks: by their lru, the oldest first
 * @nr_blocks: how many there are
 * @paused: nothing is offered; written by main.c
 * @changed: the configuration has to be read; set in any context
 * @asked: the id that was read from it
 * @answered: the last id for which a round was begun
 * @offering: a round was begun and not ended: STOP has to be sent
 * @id_in_flight: the device has not returned @id
 * @id: the buffer of the id
 * @stop: the buffer of STOP
 *
 * All but @lock, @blocks, @nr_blocks, @paused and @changed belong to @work, or to main.c
 * while the balloon is stopped.
 */
struct vb_hint {
	struct virtio_balloon *vb;
	struct virtqueue *vq;
	struct work_struct work;
	struct vb_shrinker shrinker;

	spinlock_t lock;
	struct list_head blocks;
	unsigned long nr_blocks;

	bool paused;
	atomic_t changed;
	u32 asked;
	u32 answered;
	bool offering;
	bool id_in_flight;
	__virtio32 id, stop;
};

/* Frees up to @max blocks, the oldest first; returns how many. */
static unsigned long free_hinted_blocks(struct vb_hint *h, unsigned long max)
{
	unsigned long given;

	for (given = 0; given < max; given++) {
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

static void keep_hinted_block(struct vb_hint *h, struct page *page)
{
	spin_lock(&h->lock);
	list_add_tail(&page->lru, &h->blocks);
	h->nr_blocks++;
	spin_unlock(&h->lock);
}

unsigned long vb_hint_count(struct virtio_balloon *vb)
{
	return vb->hint ? READ_ONCE(vb->hint->nr_blocks) * HINT_PAGES : 0;
}

static unsigned long count_hinted_blocks(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct vb_hint *h = vb_shrinker_owner(shrinker);

	return vb_hint_count(h->vb);
}

static unsigned long shrink_hinted_blocks(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct vb_hint *h = vb_shrinker_owner(shrinker);

	return free_hinted_blocks(h, DIV_ROUND_UP(sc->nr_to_scan, HINT_PAGES)) * HINT_PAGES;
}

/* The id that the device has set now. */
static u32 read_asked_id(struct vb_hint *h)
{
	if (atomic_xchg(&h->changed, 0))
		virtio_cread_le(h->vb->vdev, struct virtio_balloon_config, free_page_hint_cmd_id,
				&h->asked);
	return h->asked;
}

static void collect_hints(struct vb_hint *h)
{
	unsigned int len;
	void *token;

	while ((token = virtqueue_get_buf(h->vq, &len)))
		if (token == &h->id)
			h->id_in_flight = false;
}

static bool may_offer(struct vb_hint *h)
{
	return vb_is_running(h->vb) && !READ_ONCE(h->paused);
}

static bool is_round_current(struct vb_hint *h, u32 id)
{
	return may_offer(h) && read_asked_id(h) == id && !virtqueue_is_broken(h->vq);
}

/* Whether the ring has an entry besides the one for STOP. */
static bool has_room_for_hint(struct vb_hint *h)
{
	collect_hints(h);
	return h->vq->num_free > 1;
}

static bool send_hint_id(struct vb_hint *h, __virtio32 *id)
{
	struct virtqueue *vq = h->vq;
	struct scatterlist sg;

	sg_init_one(&sg, id, sizeof(*id));
	if (virtqueue_add_outbuf(vq, &sg, 1, id, GFP_KERNEL))
		return false;
	virtqueue_kick(vq);
	return true;
}

/* Returns 0, -EAGAIN if the ring has no room yet or the old id is not back, or another error. */
static int begin_hint_round(struct vb_hint *h, u32 id)
{
	if (virtqueue_get_vring_size(h->vq) < 2)
		return -ENOSPC; /* for ever */
	if (!has_room_for_hint(h) || h->id_in_flight)
		return -EAGAIN;
	h->id = cpu_to_virtio32(h->vb->vdev, id);
	h->id_in_flight = send_hint_id(h, &h->id);
	if (!h->id_in_flight)
		return -EIO;
	h->answered = id;
	h->offering = true;
	return 0;
}

static void end_hint_round(struct vb_hint *h)
{
	collect_hints(h);
	send_hint_id(h, &h->stop);
	h->offering = false;
}

/* Returns 0, -EAGAIN if the ring has no room, or another error if the round is to end. */
static int offer_free_block(struct vb_hint *h)
{
	struct virtqueue *vq = h->vq;
	struct scatterlist sg;
	struct page *page;

	if (!has_room_for_hint(h))
		return -EAGAIN;
	page = alloc_pages(HINT_GFP, HINT_ORDER);
	if (!page)
		return -ENOMEM;
	sg_init_one(&sg, page_address(page), HINT_PAGES << PAGE_SHIFT);
	if (virtqueue_add_inbuf(vq, &sg, 1, page, GFP_KERNEL)) {
		__free_pages(page, HINT_ORDER);
		return -EIO;
	}
	keep_hinted_block(h, page);
	virtqueue_kick(vq);
	vb_count(h->vb, VB_COUNT_hinted, HINT_PAGES);
	return 0;
}

/* Returns -EAGAIN if the device has to return buffers before the round can go on. */
static int offer_free_blocks(struct vb_hint *h, u32 id)
{
	int err = h->offering ? 0 : begin_hint_round(h, id);

	if (!h->offering)
		return err;
	while (!err && is_round_current(h, id)) {
		err = offer_free_block(h);
		cond_resched();
	}
	if (err != -EAGAIN)
		end_hint_round(h);
	return err;
}

static void queue_hint_work(struct virtio_balloon *vb)
{
	queue_work(vb->wq, &vb->hint->work);
}

static void poll_hint_ring(struct vb_hint *h, u32 id)
{
	if (!is_round_current(h, id))
		return;
	virtqueue_notify(h->vq);
	usleep_range(POLL_MIN_US, POLL_MAX_US);
	vb_call_if_running(h->vb, queue_hint_work);
}

static void hint_free_pages_work(struct work_struct *work)
{
	struct vb_hint *h = container_of(work, struct vb_hint, work);
	u32 id;

	if (!may_offer(h))
		return;
	id = read_asked_id(h);
	if (h->offering && id != h->answered)
		end_hint_round(h);
	if (id == VIRTIO_BALLOON_CMD_ID_DONE)
		free_hinted_blocks(h, ULONG_MAX);
	else if (id != VIRTIO_BALLOON_CMD_ID_STOP && (h->offering || id != h->answered) &&
		 offer_free_blocks(h, id) == -EAGAIN)
		poll_hint_ring(h, id);
}

void vb_hint_config_changed(struct virtio_balloon *vb)
{
	if (!vb->hint)
		return;
	atomic_set(&vb->hint->changed, 1);
	queue_hint_work(vb);
}

void vb_hint_set_vq(struct virtio_balloon *vb, struct virtqueue *vq)
{
	if (vb->hint)
		vb->hint->vq = vq;
}

bool vb_hint_wanted(void)
{
	return hinting;
}

int vb_hint_init(struct virtio_balloon *vb)
{
	struct vb_hint *h;
	int err;

	if (!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		return 0;
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!h)
		return -ENOMEM;
	h->vb = vb;
	INIT_WORK(&h->work, hint_free_pages_work);
	spin_lock_init(&h->lock);
	INIT_LIST_HEAD(&h->blocks);
	h->stop = cpu_to_virtio32(vb->vdev, VIRTIO_BALLOON_CMD_ID_STOP);
	err = vb_shrinker_register(&h->shrinker, count_hinted_blocks, shrink_hinted_blocks, h);
	if (err) {
		kfree(h);
		return err;
	}
	vb->hint = h;
	return 0;
}

/* The device has no buffer of ours, and its ids begin again. */
void vb_hint_start(struct virtio_balloon *vb)
{
	if (!vb->hint)
		return;
	vb->hint->asked = VIRTIO_BALLOON_CMD_ID_STOP;
	vb->hint->answered = VIRTIO_BALLOON_CMD_ID_STOP;
	vb->hint->offering = false;
	vb->hint->id_in_flight = false;
	vb_hint_config_changed(vb);
}

void vb_hint_stop(struct virtio_balloon *vb)
{
	if (!vb->hint)
		return;
	cancel_work_sync(&vb->hint->work);
	free_hinted_blocks(vb->hint, ULONG_MAX);
}

void vb_hint_pause(struct virtio_balloon *vb)
{
	if (!vb->hint)
		return;
	WRITE_ONCE(vb->hint->paused, true);
	vb_hint_stop(vb);
}

void vb_hint_resume(struct virtio_balloon *vb)
{
	if (!vb->hint)
		return;
	WRITE_ONCE(vb->hint->paused, false);
	vb_call_if_running(vb, vb_hint_config_changed);
}

void vb_hint_destroy(struct virtio_balloon *vb)
{
	if (!vb->hint)
		return;
	vb_shrinker_unregister(&vb->hint->shrinker);
	kfree(vb->hint);
	vb->hint = NULL;
}
