/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The balloon: what its parts share.
 *
 * Theory of operation
 * -------------------
 * The host says how large the balloon is to be (`num_pages`).  One worker
 * (resize.c) goes there in steps: it inflates by a request of up to 4096 pages
 * (inflate.c), or deflates by one (deflate.c).
 *
 *	free memory -> [held] -> request in flight -> the balloon -> request -> free memory
 *	            harvest.c    inflate.c            mm's list      deflate.c, remerge.c
 *
 * A page is on mm's list, where compaction may move it, only once the host has
 * acknowledged it: a page that moved while its request was in flight could be
 * taken by the host after it was in use again.  For the same reason nothing is
 * inflated while the host has not read every deflation.
 *
 * Locks, outermost first:
 *	lock		deflations, migrations, and sending an inflation
 *	actual_lock	the size that was written to the device
 *	held_lock, a queue's lock, mm's
 * Memory is never allocated under them, for an allocation may end in the OOM
 * notifier or in compaction; both only try to take the lock.
 */
#ifndef GUEST_BALLOON_H
#define GUEST_BALLOON_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "counters.h"

/* The protocol counts in pages of 4 KiB, whatever this kernel's are. */
#define PFNS_PER_PAGE (1U << (PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT))
/* A whole block: 2 MiB on x86. */
#define BLOCK_PAGES (1UL << pageblock_order)
#define IN_FLIGHT 2

enum balloon_vq_index {
	VQ_INFLATE,
	VQ_DEFLATE,
	VQ_STATS,
	VQ_HINT,
	VQ_REPORTING,
};

/* A virtqueue whose buffers are requests, which any thread may send (queue.c). */
struct balloon_queue {
	struct balloon *balloon;
	struct virtqueue *vq;
	spinlock_t lock; /* the ring */
};

/* Pages the host is told of in one buffer (request.c). */
struct balloon_request {
	struct balloon_queue *queue;
	struct list_head pages; /* single pages, by their lru, that belong to it until the ack */
	unsigned int nr_pages;
	__virtio32 *pfns; /* either their numbers … */
	unsigned int nr_pfns;
	unsigned int room;	    /* … this many at most */
	struct scatterlist *blocks; /* or their memory itself (released by the reporting queue) */
	unsigned int nr_blocks;
	unsigned int room_blocks;
	bool in_flight; /* the device has it */
};

struct balloon_wakeup {
	spinlock_t lock;
	unsigned int reasons;
	bool awake;
};

enum { WAKEUP_RESIZE = 1, WAKEUP_STATS = 2 };

struct balloon_hint;
struct balloon_stats;

struct balloon {
	struct virtio_device *vdev;
	struct workqueue_struct *wq;	   /* resizing and hinting, which may wait for the host */
	struct workqueue_struct *stats_wq; /* statistics, which wait for nobody */
	struct balloon_queue inflate, deflate, reporting;
	struct virtqueue *stats_vq, *hint_vq; /* NULL without their feature */
	wait_queue_head_t acked;

	/* The balloon: pages the host has taken, and how many (mm's list may lack some). */
	struct balloon_dev_info pages;
	atomic_long_t size;

	spinlock_t running_lock;
	bool running;	     /* events of the device are heeded */
	bool hurried;	     /* nobody waits for the device any more */
	bool is_reset;	     /* the device has forgotten all that it was told */
	bool must_tell;	     /* VIRTIO_BALLOON_F_MUST_TELL_HOST */
	bool counts_as_used; /* MemTotal stays: VIRTIO_BALLOON_F_DEFLATE_ON_OOM */
	bool by_reporting;   /* the host is told by the reporting queue alone (reporting.c) */

	/* resize.c */
	struct delayed_work resize;
	unsigned long target;
	bool target_stale;
	unsigned int retry_ms;
	struct mutex actual_lock;
	u32 actual_written;
	unsigned long actual_time;
	struct balloon_wakeup wakeup;

	/* inflate.c: its requests in turn; only the worker uses them */
	struct balloon_request inflating[IN_FLIGHT];
	unsigned int inflate_turn;
	unsigned long nr_in_flight; /* pages */
	unsigned int alloc_order;

	/* Blocks that are ours, and the host does not know of (harvest.c). */
	spinlock_t held_lock;
	struct list_head held; /* by lru; page_private() is the order, the count is 1 */
	unsigned long nr_held; /* pages */

	/* harvest.c, reporting.c */
	struct page_reporting_dev_info reporting_dev;
	struct balloon_request report;
	bool reports;		    /* free pages, to the host */
	bool joined;		    /* for a harvest */
	unsigned long harvest_want; /* pages; 0: nobody is harvesting */
	bool harvest_dry;
	bool harvest_broken;

	/* deflate.c */
	struct mutex lock;
	struct balloon_request deflating[IN_FLIGHT];
	unsigned int deflate_turn;

	/* migrate.c */
	struct balloon_request moved_in, moved_out;

	/* oom.c, floor.c */
	struct notifier_block oom_nb;
	unsigned long relief_until; /* jiffies: no inflation before */
	bool relieved;
	bool at_floor;

	struct balloon_stats *stats; /* stats.c; NULL without the feature */
	struct balloon_hint *hint;   /* hint.c; NULL without the feature */
	atomic_long_t counters[NR_BALLOON_COUNTERS];
	atomic_long_t allocated[NR_PAGE_ORDERS]; /* blocks from the allocator, by order */
};

/* queue.c: 0 or a negative errno */
void queue_init(struct balloon *b, struct balloon_queue *q, struct virtqueue *vq);
void queue_acked(struct virtqueue *vq);
int queue_send(struct balloon_queue *q, struct balloon_request *r, struct scatterlist *sg,
	       unsigned int nr_sg, bool device_writes);
/* Waits until the device has returned @r; false: it is gone, we are stopping, or it is late. */
bool queue_wait(struct balloon_queue *q, struct balloon_request *r, unsigned long patience);

/* request.c */
int request_init(struct balloon_request *r, struct balloon_queue *q, unsigned int pages,
		 unsigned int blocks);
void request_destroy(struct balloon_request *r);
unsigned long request_room(const struct balloon_request *r); /* pages it still has room for */
/* Tells of one page, which stays the caller's. */
void request_put_page(struct balloon_request *r, struct page *page);
/* Tells of the pages of a block, which it splits and puts on its list. */
void request_add_block(struct balloon_request *r, struct page *page, unsigned int order);
/* Puts the numbers of the pages that are on the list already. */
void request_number_pages(struct balloon_request *r);
int request_send(struct balloon_request *r);
bool request_wait(struct balloon_request *r, unsigned long patience);
/* Forgets what it told; the list is to be empty. */
void request_reset(struct balloon_request *r);

/* resize.c */
void resize_init(struct balloon *b);
void resize_work(struct work_struct *work);
void resize_soon(struct balloon *b);
/* Writes `actual` if it is time, or @now. */
void resize_publish(struct balloon *b, bool now);

/* inflate.c, for the worker */
int inflate_init(struct balloon *b);
void inflate_destroy(struct balloon *b);
/* How many pages are on their way now (0: none to be had), or a negative errno. */
long inflate_some(struct balloon *b, unsigned long want);
/* Waits for all that is on its way; false: in vain. */
bool inflate_settle(struct balloon *b);
/* The balloon has its size: gives back what was harvested in vain. */
void inflate_end(struct balloon *b);
/* After a reset of the device: what was on its way is ours. */
void inflate_reclaim(struct balloon *b);

/* harvest.c: blocks that are free are isolated, not allocated, and so not zeroed */
void harvest_try_out(struct balloon *b);
unsigned long harvest(struct balloon *b, unsigned long want);
int harvest_from(struct balloon *b, struct scatterlist *sg, unsigned int nents);
/* Takes a block of at most @most pages off what is held. */
struct page *held_take(struct balloon *b, unsigned long most, unsigned int *order);
void held_add(struct balloon *b, struct page *page, unsigned int order);
unsigned long held_give_back(struct balloon *b);

/* reporting.c */
bool reporting_only(struct balloon *b); /* is the host to be told by this queue alone? */
void reporting_start(struct balloon *b);
void reporting_stop(struct balloon *b); /* after the device's reset */
int reporting_join(struct balloon *b);
void reporting_leave(struct balloon *b);
void reporting_run(struct balloon *b);

/* deflate.c, under the lock */
int deflate_init(struct balloon *b);
void deflate_destroy(struct balloon *b);
long deflate_some(struct balloon *b, unsigned long want, unsigned long patience);
/* Waits until the host has read every deflation; false: in vain. */
bool deflate_settle(struct balloon *b, unsigned long patience);
void deflate_reclaim(struct balloon *b);
/* Takes all pages off the balloon, told or not, and holds them. */
void deflate_into_held(struct balloon *b);

/* remerge.c: pages that are nobody's any more go back to the allocator, and into MemTotal. */
void give_back(struct balloon *b, struct list_head *pages);
void free_block(struct page *page, unsigned int order);
void count_as_taken(struct balloon *b, struct page *page, long pages);

/* migrate.c */
int migrate_init(struct balloon *b);
void migrate_destroy(struct balloon *b);
int migrate_page(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		 enum migrate_mode mode);

/* oom.c */
int oom_start(struct balloon *b);
void oom_stop(struct balloon *b);

/* floor.c: how many more pages the balloon may take. */
unsigned long floor_room(struct balloon *b);

/* stats.c: answers the device's questions from a worker of its own. */
int stats_init(struct balloon *b);   /* allocates; before the queues are there */
void stats_start(struct balloon *b); /* the queues are there: gives the device its first buffer */
void stats_stop(struct balloon *b);  /* no work is left behind; the device is about to be reset */
void stats_destroy(struct balloon *b);
void stats_asked(struct virtqueue *vq);

/* pressure.c: memory pressure of the system (PSI), totals in µs; false: this kernel has none. */
struct balloon_pressure {
	u64 some_us;
	u64 full_us;
};
struct pressure_file;
struct pressure_file *pressure_open(void);
bool pressure_read(struct pressure_file *file, struct balloon_pressure *pressure);
void pressure_close(struct pressure_file *file);

/* hint.c: free pages are offered to the host during its live migration. */
bool hint_wanted(void);
unsigned long hint_kept(struct balloon *b); /* pages */
int hint_init(struct balloon *b);
void hint_start(struct balloon *b);
void hint_stop(struct balloon *b);
void hint_destroy(struct balloon *b);
void hint_config_changed(struct balloon *b); /* may be called in any context */

/* wakeup.c: the system stays awake while there is something to do. */
void wakeup_init(struct balloon *b);
void wakeup_begin(struct balloon *b, unsigned int reason);
void wakeup_taken(struct balloon *b, unsigned int reason);
void wakeup_end(struct balloon *b);

/* counters.c */
extern const struct attribute_group *balloon_groups[];

static inline void count(struct balloon *b, enum balloon_counter counter, long n)
{
	atomic_long_add(n, &b->counters[counter]);
}

static inline bool balloon_running(struct balloon *b)
{
	return READ_ONCE(b->running);
}

#endif
