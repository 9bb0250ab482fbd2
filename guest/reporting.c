// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page reporting, and the other uses of what the kernel has for it.
 *
 * The kernel knows one client of free page reporting.  Here that serves two
 * masters: with VIRTIO_BALLOON_F_REPORTING free blocks are reported to the host
 * for good; and while the balloon grows they are harvested (harvest.c).
 *
 * Release by the reporting queue (parameter release=reporting) is a third use:
 * the pages of the balloon are told of as free blocks, and the inflate queue is
 * not used at all.  A device discards such a block in one call, where most work
 * through page numbers one by one.  It needs that feature; the device knows the
 * balloon's size only from `actual`, as it does not see which pages are in it;
 * nothing is told when they leave.  So it is for those who know their host, and
 * not the default.
 */
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "balloon.h"

static bool report_free_pages = true;
module_param_named(reporting, report_free_pages, bool, 0444);
MODULE_PARM_DESC(reporting, "Report free pages, where the host asks for it (default: Y)");

static char *release = "inflate";
module_param(release, charp, 0444);
MODULE_PARM_DESC(release,
		 "Queue that tells of the balloon's pages: inflate, reporting (default: inflate)");

bool reporting_only(struct balloon *b)
{
	if (!strcmp(release, "inflate"))
		return false;
	if (strcmp(release, "reporting"))
		dev_warn(&b->vdev->dev, "release=%s: neither inflate nor reporting\n", release);
	else if (!b->reporting.vq)
		dev_warn(&b->vdev->dev,
			 "release=reporting: the device has no free page reporting\n");
	else if (virtqueue_get_vring_size(b->reporting.vq) < 2 * IN_FLIGHT)
		dev_warn(&b->vdev->dev, "release=reporting: the device's queue is too short\n");
	else
		return true;
	return false;
}

/* The pages go back to the allocator after this: not before the host is done with them. */
static int tell_host(struct balloon *b, struct scatterlist *sg, unsigned int nents)
{
	struct scatterlist *entry;
	unsigned int i;
	long pages = 0;
	int err;

	for_each_sg(sg, entry, nents, i)
		pages += entry->length >> PAGE_SHIFT;
	err = queue_send(&b->reporting, &b->report, sg, nents, true);
	if (err)
		return err;
	if (!queue_wait(&b->reporting, &b->report, MAX_SCHEDULE_TIMEOUT)) {
		wait_event_idle(b->acked, READ_ONCE(b->is_reset));
		return -EIO;
	}
	count(b, COUNT_reported, pages);
	return 0;
}

static int report(struct page_reporting_dev_info *dev, struct scatterlist *sg, unsigned int nents)
{
	struct balloon *b = container_of(dev, struct balloon, reporting_dev);

	if (READ_ONCE(b->harvest_want))
		return harvest_from(b, sg, nents);
	return b->reports ? tell_host(b, sg, nents) : -EAGAIN;
}

static int register_client(struct balloon *b)
{
	memset(&b->reporting_dev, 0, sizeof(b->reporting_dev));
	b->reporting_dev.report = report;
	b->reporting_dev.order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	/* The same, in blocks of 2 MiB, where a page is 64 KiB. */
	if (pageblock_order > 5 && PAGE_SHIFT == 16)
		b->reporting_dev.order = 5;
	reporting_limit(&b->reporting_dev, b->reporting.vq);
	return page_reporting_register(&b->reporting_dev);
}

void reporting_start(struct balloon *b)
{
	reporting_leave(b); /* to register twice would clear what is in use */
	b->report.queue = &b->reporting;
	b->reports = false;
	if (!b->reporting.vq || !report_free_pages)
		return;
	if (virtqueue_get_vring_size(b->reporting.vq) < REPORTING_NEEDS)
		dev_warn(&b->vdev->dev, "the queue is too short to report free pages\n");
	else if (register_client(b))
		dev_warn(&b->vdev->dev, "free pages are reported to somebody else already\n");
	else
		b->reports = true;
}

void reporting_stop(struct balloon *b)
{
	reporting_leave(b);
	if (b->reports)
		page_reporting_unregister(&b->reporting_dev);
	b->reports = false;
	b->report.in_flight = false;
}

/* For a harvest; -EBUSY when somebody else is the kernel's client. */
int reporting_join(struct balloon *b)
{
	int err;

	if (b->joined || b->reports)
		return 0;
	err = register_client(b);
	b->joined = !err;
	return err;
}

void reporting_leave(struct balloon *b)
{
	if (b->joined)
		page_reporting_unregister(&b->reporting_dev);
	b->joined = false;
}

/*
 * One pass, here and now.  To have the kernel's work done elsewhere and wait for
 * it would be to wait for the host, too, if that work is reporting just now.
 * Two passes at a time do each other no harm: a block is in one list of theirs.
 */
void reporting_run(struct balloon *b)
{
	struct work_struct *work = &b->reporting_dev.work.work;

	work->func(work);
}
