/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver as a whole: struct virtio_balloon, which each of its files holds a part of.
 *
 * Theory of operation
 * -------------------
 * The host sets the size of the balloon (`num_pages`).  One worker (resize.c)
 * moves towards it in steps: it inflates by a request of up to 4096 pages
 * (inflate.c), or deflates by one (deflate.c).
 *
 *	free memory -> [held] -> request in flight -> the balloon -> request -> free memory
 *	            harvest.c    inflate.c            pages.c        deflate.c, remerge.c
 *
 * A page enters the balloon, where compaction may move it, only after the host
 * has acknowledged it.  If a page moved while its request was in flight, it
 * could be in use again when the host takes it.  For the same reason nothing is
 * inflated until the host has read every deflation.
 *
 * Layers
 * ------
 * Files call only files below them; Kbuild lists them from the bottom.
 *
 *	main				the life of a device
 *	oom, relief, migrate, counters	called by the kernel
 *	resize, selftest		the worker, and a test before it starts
 *	inflate
 *	harvest, floor			where memory comes from, and how much
 *	deflate, stats, hint
 *	exchange, held, trim
 *	reporting, remerge		the ways to the host and to the allocator
 *	request, pages, wakeup, pressure, running
 *	queue
 *
 * Each file has a struct for its state, embedded below, which other files use
 * only through the functions in that file's header.  The header says who may
 * touch what under which lock.
 *
 * Locks, outermost first:
 *	vb->lock		deflations, migrations, and sending an inflation
 *	vb->resize.actual_lock	the size that was written to the device
 *	vb->running.lock	whether events may start work; taken in hard interrupts
 *	all others		of one struct each; none of ours is taken under them
 * mm takes its own locks under vb->lock.  Nothing is allocated under any of
 * these: an allocation may call the OOM notifier or start compaction, which
 * take vb->lock, by mutex_trylock().
 *
 * No wait for the device is longer than a second (queue.c), so a device that never
 * answers keeps nobody from stopping the driver, nor the system from sleeping.
 */
#ifndef GUEST_BALLOON_H
#define GUEST_BALLOON_H

#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "counters.h"
#include "deflate.h"
#include "exchange.h"
#include "floor.h"
#include "harvest.h"
#include "held.h"
#include "hint.h"
#include "inflate.h"
#include "migrate.h"
#include "oom.h"
#include "pages.h"
#include "pressure.h"
#include "queue.h"
#include "relief.h"
#include "remerge.h"
#include "reporting.h"
#include "request.h"
#include "resize.h"
#include "running.h"
#include "selftest.h"
#include "stats.h"
#include "trim.h"
#include "wakeup.h"

enum vb_vq_index {
	VB_VQ_INFLATE,
	VB_VQ_DEFLATE,
	VB_VQ_STATS,
	VB_VQ_HINT,
	VB_VQ_REPORTING,
};

/**
 * struct virtio_balloon - one balloon device
 * @vdev: the device
 * @wq: for resizing and hinting; freezable, so nothing on it waits for the device
 * @has_queues: the virtqueues exist; main.c's
 * @left_before_sleep: the driver stopped before devices are suspended; main.c's
 * @sleep_nb: calls us before the system sleeps and when it is awake
 * @must_tell_host: VIRTIO_BALLOON_F_MUST_TELL_HOST was negotiated: a page may
 *	be used again only after the host has acknowledged its deflation
 * @deflate_on_oom: VIRTIO_BALLOON_F_DEFLATE_ON_OOM was negotiated: ballooned
 *	pages stay in MemTotal
 * @inflate_vq: the queue of inflations
 * @deflate_vq: the queue of deflations
 * @reporting_vq: the queue of free page reporting; without the feature its
 *	virtqueue is NULL
 * @lock: serialises deflations, migrations, and sending an inflation.  The
 *	OOM notifier and migration only try to take it.
 *
 * The members up to @reporting_vq are set by main.c before the device is ready,
 * and do not change while it is.  Each of the others is the state of the file
 * of its name, and is described there.
 */
struct virtio_balloon {
	struct virtio_device *vdev;
	struct workqueue_struct *wq;
	bool has_queues;
	bool left_before_sleep;
	struct notifier_block sleep_nb;
	bool must_tell_host;
	bool deflate_on_oom;
	struct vb_queue inflate_vq;
	struct vb_queue deflate_vq;
	struct vb_queue reporting_vq;

	struct mutex lock;

	/* private: the state of each file */
	struct vb_running running;
	struct vb_waits waits; /* queue.c */
	struct vb_wakeup wakeup;
	struct vb_pages pages;
	struct vb_held held;
	struct vb_exchange exchange;
	struct vb_reporting reporting;
	struct vb_deflate deflate;
	struct vb_harvest harvest;
	struct vb_floor floor;
	struct vb_inflate inflate;
	struct vb_resize resize;
	struct vb_oom oom;
	struct vb_relief relief;
	struct vb_trim trim;
	struct vb_stats *stats; /* NULL without the feature */
	struct vb_hint *hint;	/* NULL without the feature */
	struct vb_counters counters;
};

/**
 * vb_count() - add to a counter
 * @vb: the balloon
 * @counter: which one
 * @n: how much to add
 *
 * Any context.
 */
static inline void vb_count(struct virtio_balloon *vb, enum vb_counter counter, long n)
{
	atomic_long_add(n, &vb->counters.value[counter]);
}

/**
 * vb_count_allocated() - count a block that came from the allocator
 * @vb: the balloon
 * @order: the order of the block
 *
 * Any context.
 */
static inline void vb_count_allocated(struct virtio_balloon *vb, unsigned int order)
{
	atomic_long_inc(&vb->counters.allocated[order]);
}

/**
 * vb_read_counter() - the value of a counter
 * @vb: the balloon
 * @counter: which one
 *
 * Any context.
 *
 * Return: the sum of all that was added.
 */
static inline long vb_read_counter(struct virtio_balloon *vb, enum vb_counter counter)
{
	return atomic_long_read(&vb->counters.value[counter]);
}

#endif
