// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics: what the guest tells the host of its memory (VIRTIO 5.5.6.3).
 *
 * Theory of operation
 * -------------------
 * The driver has one buffer, which the device holds.  Returning it asks for a
 * fresh sample, which goes back in the same buffer.  The sample is taken by a
 * worker that waits for nobody and allocates nothing, so that the host keeps
 * seeing a guest that is short of memory, which is when it needs to look: the
 * workqueue has a thread in reserve, and all room is there from the start.
 *
 * After the standard tags come those of private_stats.h, which other devices
 * ignore.
 */
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "balloon.h"
#include "private_stats.h"

#define STANDARD_S_NR 16

static bool extra_stats = true;
module_param(extra_stats, bool, 0444);
MODULE_PARM_DESC(extra_stats,
		 "Tell the host of memory pressure, refaults and free swap, too (default: Y)");

struct balloon_stats {
	struct balloon *balloon;
	struct work_struct work;
	struct pressure_file *pressure_file; /* NULL: this kernel has none */
	struct balloon_pressure pressure;
	bool is_told; /* the device has had the buffer before */
	unsigned long events[NR_VM_EVENT_ITEMS];
	unsigned int nr;
	struct virtio_balloon_stat sample[STANDARD_S_NR + PRIVATE_S_NR];
};

static u64 to_bytes(unsigned long pages)
{
	return (u64)pages << PAGE_SHIFT;
}

static void put(struct balloon_stats *s, u16 tag, u64 value)
{
	struct virtio_device *vdev = s->balloon->vdev;

	if (WARN_ON_ONCE(s->nr == ARRAY_SIZE(s->sample)))
		return;
	s->sample[s->nr].tag = cpu_to_virtio16(vdev, tag);
	s->sample[s->nr].val = cpu_to_virtio64(vdev, value);
	s->nr++;
}

#ifdef CONFIG_VM_EVENT_COUNTERS
static unsigned long alloc_stalls(const unsigned long *events)
{
	unsigned long sum = 0;

	/* One for each zone, in the order of the zones. */
	for (unsigned int zone = 0; zone < MAX_NR_ZONES; zone++)
		sum += events[ALLOCSTALL_NORMAL - ZONE_NORMAL + zone];
	return sum;
}

static void put_events(struct balloon_stats *s)
{
	unsigned long *events = s->events;

	all_vm_events(events);
	put(s, VIRTIO_BALLOON_S_SWAP_IN, to_bytes(events[PSWPIN]));
	put(s, VIRTIO_BALLOON_S_SWAP_OUT, to_bytes(events[PSWPOUT]));
	put(s, VIRTIO_BALLOON_S_MAJFLT, events[PGMAJFAULT]);
	put(s, VIRTIO_BALLOON_S_MINFLT, events[PGFAULT]);
	put(s, VIRTIO_BALLOON_S_OOM_KILL, events[OOM_KILL]);
	put(s, VIRTIO_BALLOON_S_ALLOC_STALL, alloc_stalls(events));
	put(s, VIRTIO_BALLOON_S_ASYNC_SCAN, to_bytes(reclaim_count(events, PGSCAN_KSWAPD)));
	put(s, VIRTIO_BALLOON_S_DIRECT_SCAN, to_bytes(reclaim_count(events, PGSCAN_DIRECT)));
	put(s, VIRTIO_BALLOON_S_ASYNC_RECLAIM, to_bytes(reclaim_count(events, PGSTEAL_KSWAPD)));
	put(s, VIRTIO_BALLOON_S_DIRECT_RECLAIM, to_bytes(reclaim_count(events, PGSTEAL_DIRECT)));
#ifdef CONFIG_HUGETLB_PAGE
	put(s, VIRTIO_BALLOON_S_HTLB_PGALLOC, events[HTLB_BUDDY_PGALLOC]);
	put(s, VIRTIO_BALLOON_S_HTLB_PGFAIL, events[HTLB_BUDDY_PGALLOC_FAIL]);
#endif
}
#else
static void put_events(struct balloon_stats *s)
{
}
#endif

static void put_memory(struct balloon_stats *s)
{
	struct sysinfo info;

	si_meminfo(&info);
	put(s, VIRTIO_BALLOON_S_MEMFREE, to_bytes(info.freeram));
	put(s, VIRTIO_BALLOON_S_MEMTOT, to_bytes(info.totalram));
	put(s, VIRTIO_BALLOON_S_AVAIL, to_bytes(si_mem_available()));
	put(s, VIRTIO_BALLOON_S_CACHES, to_bytes(global_node_page_state(NR_FILE_PAGES)));
}

static void put_private(struct balloon_stats *s)
{
	/* All buffers have the same tags (5.5.6.3): what cannot be read keeps its last value. */
	if (s->pressure_file) {
		pressure_read(s->pressure_file, &s->pressure);
		put(s, PRIVATE_S_PSI_SOME, s->pressure.some_us);
		put(s, PRIVATE_S_PSI_FULL, s->pressure.full_us);
	}
	put(s, PRIVATE_S_REFAULT_ANON, global_node_page_state(WORKINGSET_REFAULT_ANON));
	put(s, PRIVATE_S_REFAULT_FILE, global_node_page_state(WORKINGSET_REFAULT_FILE));
	put(s, PRIVATE_S_FREE_SWAP, to_bytes(max(get_nr_swap_pages(), 0L)));
}

static void take_sample(struct balloon_stats *s)
{
	s->nr = 0;
	put_events(s);
	put_memory(s);
	if (extra_stats)
		put_private(s);
}

static void send_sample(struct balloon_stats *s)
{
	struct balloon *b = s->balloon;
	struct scatterlist sg;

	take_sample(s);
	sg_init_one(&sg, s->sample, sizeof(s->sample[0]) * s->nr);
	if (virtqueue_add_outbuf(b->stats_vq, &sg, 1, s, GFP_NOWAIT)) {
		dev_warn_once(&b->vdev->dev, "the queue takes no statistics\n");
		return;
	}
	s->is_told = true;
	virtqueue_kick(b->stats_vq);
	count(b, COUNT_stats_sent, 1);
}

static void stats_work(struct work_struct *work)
{
	struct balloon_stats *s = container_of(work, struct balloon_stats, work);
	unsigned int len;

	wakeup_taken(s->balloon, WAKEUP_STATS);
	/* The buffer is the device's from the first sample until it has returned it. */
	if (!s->is_told || virtqueue_get_buf(s->balloon->stats_vq, &len))
		send_sample(s);
	wakeup_end(s->balloon);
}

/* The device has returned the buffer.  In hard-irq context. */
void stats_asked(struct virtqueue *vq)
{
	struct balloon *b = vq->vdev->priv;
	unsigned long flags;

	spin_lock_irqsave(&b->running_lock, flags);
	if (b->running) {
		wakeup_begin(b, WAKEUP_STATS);
		queue_work(b->stats_wq, &b->stats->work);
	}
	spin_unlock_irqrestore(&b->running_lock, flags);
}

int stats_init(struct balloon *b)
{
	struct balloon_stats *s;

	if (!virtio_has_feature(b->vdev, VIRTIO_BALLOON_F_STATS_VQ))
		return 0;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->balloon = b;
	INIT_WORK(&s->work, stats_work);
	s->pressure_file = pressure_open();
	b->stats = s;
	return 0;
}

/* The first sample is the worker's, too: nobody else touches the ring. */
void stats_start(struct balloon *b)
{
	if (!b->stats)
		return;
	b->stats->is_told = false;
	queue_work(b->stats_wq, &b->stats->work);
}

void stats_stop(struct balloon *b)
{
	if (!b->stats)
		return;
	cancel_work_sync(&b->stats->work);
	wakeup_taken(b, WAKEUP_STATS);
	wakeup_end(b);
}

void stats_destroy(struct balloon *b)
{
	if (!b->stats)
		return;
	pressure_close(b->stats->pressure_file);
	kfree(b->stats);
	b->stats = NULL;
}
