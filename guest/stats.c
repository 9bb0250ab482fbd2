// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics: what the guest reports to the host about its memory (VIRTIO
 * 5.5.6.3).
 *
 * Theory of operation
 * -------------------
 * The driver has one buffer, which the device holds.  The device returns it to
 * ask for a new sample, and the driver sends the sample in the same buffer.  The
 * worker that takes samples waits for nothing and allocates nothing, so that the
 * host keeps getting statistics from a guest that is short of memory, which is
 * when they matter.  Its workqueue has a rescuer thread, and all memory that it
 * needs is allocated when the driver starts.
 *
 * The standard tags are followed by those of private_stats.h, which other devices
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
		 "Also report memory pressure, refaults and free swap to the host (default: Y)");

/**
 * struct vb_stats - statistics
 * @vb: the balloon
 * @vq: the queue
 * @wq: for @work only; has a rescuer, so that a guest short of memory can report
 *	that
 * @work: sends a sample
 * @pressure_file: where memory pressure is read, or NULL if this kernel has none
 * @pressure: what was read last
 * @was_sent: the device has had the buffer since its reset
 * @events: scratch space
 * @nr: entries of @sample that are filled
 * @sample: the buffer
 *
 * All but @wq and @work belong to @work, or to main.c while the balloon is
 * stopped.
 */
struct vb_stats {
	struct virtio_balloon *vb;
	struct virtqueue *vq;
	struct workqueue_struct *wq;
	struct work_struct work;
	struct vb_pressure_file *pressure_file;
	struct vb_pressure pressure;
	bool was_sent;
	unsigned long events[NR_VM_EVENT_ITEMS];
	unsigned int nr;
	struct virtio_balloon_stat sample[STANDARD_S_NR + PRIVATE_S_NR];
};

static u64 pages_to_bytes(unsigned long pages)
{
	return (u64)pages << PAGE_SHIFT;
}

static void append_stat(struct vb_stats *s, u16 tag, u64 value)
{
	struct virtio_device *vdev = s->vb->vdev;

	if (WARN_ON_ONCE(s->nr == ARRAY_SIZE(s->sample)))
		return;
	s->sample[s->nr].tag = cpu_to_virtio16(vdev, tag);
	s->sample[s->nr].val = cpu_to_virtio64(vdev, value);
	s->nr++;
}

static void append_stat_pages(struct vb_stats *s, u16 tag, unsigned long pages)
{
	append_stat(s, tag, pages_to_bytes(pages));
}

#ifdef CONFIG_VM_EVENT_COUNTERS
static unsigned long sum_alloc_stalls(const unsigned long *events)
{
	unsigned long sum = 0;

	/* One for each zone, in the order of the zones. */
	for (unsigned int zone = 0; zone < MAX_NR_ZONES; zone++)
		sum += events[ALLOCSTALL_NORMAL - ZONE_NORMAL + zone];
	return sum;
}

static void append_event_stats(struct vb_stats *s)
{
	unsigned long *events = s->events;

	all_vm_events(events);
	append_stat_pages(s, VIRTIO_BALLOON_S_SWAP_IN, events[PSWPIN]);
	append_stat_pages(s, VIRTIO_BALLOON_S_SWAP_OUT, events[PSWPOUT]);
	append_stat(s, VIRTIO_BALLOON_S_MAJFLT, events[PGMAJFAULT]);
	append_stat(s, VIRTIO_BALLOON_S_MINFLT, events[PGFAULT]);
	append_stat(s, VIRTIO_BALLOON_S_OOM_KILL, events[OOM_KILL]);
	append_stat(s, VIRTIO_BALLOON_S_ALLOC_STALL, sum_alloc_stalls(events));
	append_stat_pages(s, VIRTIO_BALLOON_S_ASYNC_SCAN, vb_reclaim_stat(events, PGSCAN_KSWAPD));
	append_stat_pages(s, VIRTIO_BALLOON_S_DIRECT_SCAN, vb_reclaim_stat(events, PGSCAN_DIRECT));
	append_stat_pages(s, VIRTIO_BALLOON_S_ASYNC_RECLAIM,
			  vb_reclaim_stat(events, PGSTEAL_KSWAPD));
	append_stat_pages(s, VIRTIO_BALLOON_S_DIRECT_RECLAIM,
			  vb_reclaim_stat(events, PGSTEAL_DIRECT));
#ifdef CONFIG_HUGETLB_PAGE
	append_stat(s, VIRTIO_BALLOON_S_HTLB_PGALLOC, events[HTLB_BUDDY_PGALLOC]);
	append_stat(s, VIRTIO_BALLOON_S_HTLB_PGFAIL, events[HTLB_BUDDY_PGALLOC_FAIL]);
#endif
}
#else
static void append_event_stats(struct vb_stats *s)
{
}
#endif

static void append_memory_stats(struct vb_stats *s)
{
	struct sysinfo info;

	si_meminfo(&info);
	append_stat_pages(s, VIRTIO_BALLOON_S_MEMFREE, info.freeram);
	append_stat_pages(s, VIRTIO_BALLOON_S_MEMTOT, info.totalram);
	append_stat_pages(s, VIRTIO_BALLOON_S_AVAIL, si_mem_available());
	append_stat(s, VIRTIO_BALLOON_S_CACHES,
		    pages_to_bytes(global_node_page_state(NR_FILE_PAGES)) +
			    (vb_relief_is_on(s->vb) ? PRIVATE_RELIEF_MARK : 0));
}

static void append_private_stats(struct vb_stats *s)
{
	/* All samples must have the same tags (5.5.6.3): what cannot be read keeps its value. */
	if (s->pressure_file) {
		vb_pressure_read(s->pressure_file, &s->pressure);
		append_stat(s, PRIVATE_S_PSI_SOME, s->pressure.some_us);
		append_stat(s, PRIVATE_S_PSI_FULL, s->pressure.full_us);
	}
	append_stat(s, PRIVATE_S_REFAULT_ANON, global_node_page_state(WORKINGSET_REFAULT_ANON));
	append_stat(s, PRIVATE_S_REFAULT_FILE, global_node_page_state(WORKINGSET_REFAULT_FILE));
	append_stat_pages(s, PRIVATE_S_FREE_SWAP, max(get_nr_swap_pages(), 0L));
	append_stat_pages(s, PRIVATE_S_ANON, global_node_page_state(NR_ANON_MAPPED));
	if (vb_trim_wanted(s->vb))
		append_stat_pages(s, PRIVATE_S_TRIMMED, vb_trim_count(s->vb));
}

static void send_stats_sample(struct vb_stats *s)
{
	struct virtio_balloon *vb = s->vb;
	struct scatterlist sg;

	s->nr = 0;
	append_event_stats(s);
	append_memory_stats(s);
	if (extra_stats)
		append_private_stats(s);
	sg_init_one(&sg, s->sample, sizeof(s->sample[0]) * s->nr);
	if (virtqueue_add_outbuf(s->vq, &sg, 1, s, GFP_NOWAIT)) {
		dev_warn_once(&vb->vdev->dev,
			      "the statistics buffer cannot be queued: no more statistics\n");
		return;
	}
	s->was_sent = true;
	virtqueue_kick(s->vq);
	vb_count(vb, VB_COUNT_stats_sent, 1);
}

static void answer_stats_work(struct work_struct *work)
{
	struct vb_stats *s = container_of(work, struct vb_stats, work);
	unsigned int len;

	vb_wakeup_claim(s->vb, VB_WAKEUP_STATS);
	/* From the first sample on the buffer may be used only after the device returned it. */
	if (!s->was_sent || virtqueue_get_buf(s->vq, &len))
		send_stats_sample(s);
	vb_wakeup_end(s->vb);
}

static void queue_stats_work(struct virtio_balloon *vb)
{
	vb_wakeup_begin(vb, VB_WAKEUP_STATS);
	queue_work(vb->stats->wq, &vb->stats->work);
}

void vb_stats_interrupt(struct virtqueue *vq)
{
	vb_call_if_running(vq->vdev->priv, queue_stats_work);
}

int vb_stats_init(struct virtio_balloon *vb)
{
	struct vb_stats *s;

	if (!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_STATS_VQ))
		return 0;
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->wq = alloc_workqueue("virtio_balloon_stats", WQ_FREEZABLE | WQ_UNBOUND | WQ_MEM_RECLAIM,
				0);
	if (!s->wq) {
		kfree(s);
		return -ENOMEM;
	}
	s->vb = vb;
	INIT_WORK(&s->work, answer_stats_work);
	s->pressure_file = vb_pressure_open();
	vb->stats = s;
	return 0;
}

void vb_stats_destroy(struct virtio_balloon *vb)
{
	if (!vb->stats)
		return;
	destroy_workqueue(vb->stats->wq);
	vb_pressure_close(vb->stats->pressure_file);
	kfree(vb->stats);
	vb->stats = NULL;
}

void vb_stats_set_vq(struct virtio_balloon *vb, struct virtqueue *vq)
{
	if (vb->stats)
		vb->stats->vq = vq;
}

/* The worker sends the first sample, too, so that only it uses the ring. */
void vb_stats_start(struct virtio_balloon *vb)
{
	if (!vb->stats)
		return;
	vb->stats->was_sent = false;
	queue_work(vb->stats->wq, &vb->stats->work);
}

void vb_stats_stop(struct virtio_balloon *vb)
{
	if (!vb->stats)
		return;
	cancel_work_sync(&vb->stats->work);
	vb_wakeup_claim(vb, VB_WAKEUP_STATS);
	vb_wakeup_end(vb);
}
