// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page reporting, and the other two uses of it.
 *
 * The kernel allows one user of free page reporting.  Ours has two purposes.
 * With VIRTIO_BALLOON_F_REPORTING it stays registered, and reports free blocks
 * to the host.  While the balloon inflates, it harvests free blocks (harvest.c).
 *
 * The third use is release by reporting (parameter release=reporting): the pages
 * of the balloon are sent to the host as free blocks, and the inflate queue is
 * not used at all.  A device discards such a block in one call, where most
 * devices handle page numbers one by one.  It needs that feature.  The device
 * learns the size of the balloon only from `actual`, does not see which pages
 * are in the balloon, and is not notified when they leave.  So it is for
 * administrators who know their host, and not the default.
 */
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "balloon.h"

static bool report_free_pages = true;
module_param_named(reporting, report_free_pages, bool, 0444);
MODULE_PARM_DESC(reporting, "Report free pages if the host offers it (default: Y)");

static char *release = "inflate";
module_param(release, charp, 0444);
MODULE_PARM_DESC(release, "Queue that carries the pages of the balloon, inflate or reporting "
			  "(default: inflate)");

static bool can_release_by_reporting(struct virtio_balloon *vb)
{
	if (!strcmp(release, "inflate"))
		return false;
	if (strcmp(release, "reporting"))
		dev_warn(&vb->vdev->dev,
			 "release=%s: neither inflate nor reporting; using inflate\n", release);
	else if (!vb->reporting_vq.vq)
		dev_warn(&vb->vdev->dev, "release=reporting: the device has no free page "
					 "reporting; using inflate\n");
	else if (virtqueue_get_vring_size(vb->reporting_vq.vq) < 2 * VB_MAX_IN_FLIGHT)
		dev_warn(&vb->vdev->dev,
			 "release=reporting: the reporting queue is too short; using inflate\n");
	else
		return true;
	return false;
}

void vb_reporting_init(struct virtio_balloon *vb)
{
	vb->reporting.releases = can_release_by_reporting(vb);
}

bool vb_reporting_releases(struct virtio_balloon *vb)
{
	return vb->reporting.releases;
}

/*
 * When this returns the blocks go back to the allocator, so it must not return
 * before the host is done with them.
 */
static int send_report(struct virtio_balloon *vb, struct scatterlist *sg, unsigned int nents)
{
	struct vb_request *r = &vb->reporting.request;
	struct scatterlist *entry;
	unsigned int i;
	long pages = 0;
	int err;

	for_each_sg(sg, entry, nents, i)
		pages += entry->length >> PAGE_SHIFT;
	err = vb_queue_send(&vb->reporting_vq, r, sg, nents, true);
	if (err)
		return err;
	if (!vb_queue_wait_until_reset(&vb->reporting_vq, r))
		return -EIO;
	vb_count(vb, VB_COUNT_reported, pages);
	return 0;
}

static int report_to_host(struct virtio_balloon *vb, struct scatterlist *sg, unsigned int nents)
{
	struct vb_reporting *reporting = &vb->reporting;
	int err = -EAGAIN;

	WRITE_ONCE(reporting->busy, true);
	smp_mb(); /* pairs with vb_reporting_pause(): it sees @busy, or this sees @paused */
	if (!READ_ONCE(reporting->paused))
		err = send_report(vb, sg, nents);
	WRITE_ONCE(reporting->busy, false);
	wake_up_all(&vb->waits.acked);
	return err;
}

static int visit_free_blocks(struct page_reporting_dev_info *dev, struct scatterlist *sg,
			     unsigned int nents)
{
	struct virtio_balloon *vb = container_of(dev, struct virtio_balloon, reporting.dev);

	/* A pass of the kernel may run beside ours, and has to report to the host. */
	if (READ_ONCE(vb->reporting.visitor) == current)
		return vb->reporting.visit(vb, sg, nents);
	return vb->reporting.reports ? report_to_host(vb, sg, nents) : -EAGAIN;
}

static int register_reporting(struct virtio_balloon *vb)
{
	struct page_reporting_dev_info *dev = &vb->reporting.dev;

	memset(dev, 0, sizeof(*dev));
	dev->report = visit_free_blocks;
	dev->order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	/* With pages of 64 KiB the default is a block of 512 MiB: report 2 MiB there, too. */
	if (pageblock_order > 5 && PAGE_SHIFT == 16)
		dev->order = 5;
	vb_limit_reporting(dev, vb->reporting_vq.vq);
	return page_reporting_register(dev);
}

void vb_reporting_start(struct virtio_balloon *vb)
{
	vb_reporting_leave(vb); /* registering again would clear a registration in use */
	vb->reporting.request.queue = &vb->reporting_vq;
	vb->reporting.reports = false;
	if (!vb->reporting_vq.vq || !report_free_pages)
		return;
	if (virtqueue_get_vring_size(vb->reporting_vq.vq) < VB_REPORTING_RING_MIN)
		dev_warn(&vb->vdev->dev,
			 "the reporting queue is too short: free pages are not reported\n");
	else if (register_reporting(vb))
		dev_warn(&vb->vdev->dev,
			 "another module uses free page reporting: free pages are not reported\n");
	else
		vb->reporting.reports = true;
}

bool vb_reporting_is_on(struct virtio_balloon *vb)
{
	return vb->reporting.reports;
}

void vb_reporting_stop(struct virtio_balloon *vb)
{
	vb_reporting_leave(vb);
	if (vb->reporting.reports)
		page_reporting_unregister(&vb->reporting.dev);
	vb->reporting.reports = false;
	vb_request_abort(&vb->reporting.request);
}

bool vb_reporting_pause(struct virtio_balloon *vb)
{
	struct vb_reporting *reporting = &vb->reporting;

	WRITE_ONCE(reporting->paused, true);
	smp_mb(); /* pairs with report_to_host() */
	return wait_event_idle_timeout(vb->waits.acked, !READ_ONCE(reporting->busy),
				       VB_DEVICE_TIMEOUT);
}

void vb_reporting_resume(struct virtio_balloon *vb)
{
	WRITE_ONCE(vb->reporting.paused, false);
}

int vb_reporting_join(struct virtio_balloon *vb)
{
	int err;

	if (vb->reporting.joined || vb->reporting.reports)
		return 0;
	err = register_reporting(vb);
	vb->reporting.joined = !err;
	return err;
}

void vb_reporting_leave(struct virtio_balloon *vb)
{
	if (vb->reporting.joined)
		page_reporting_unregister(&vb->reporting.dev);
	vb->reporting.joined = false;
}

void vb_reporting_run_pass(struct virtio_balloon *vb, vb_visit_blocks_fn visit)
{
	vb->reporting.visit = visit;
	WRITE_ONCE(vb->reporting.visitor, current);
	vb_run_page_reporting(&vb->reporting.dev);
	WRITE_ONCE(vb->reporting.visitor, NULL);
}

bool vb_reporting_wait(struct virtio_balloon *vb, unsigned long timeout)
{
	return vb_request_wait(&vb->reporting.request, timeout);
}
