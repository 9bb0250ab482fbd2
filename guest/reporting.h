/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_REPORTING_H
#define GUEST_REPORTING_H

#include <linux/page_reporting.h>

#include "request.h"

struct virtio_balloon;

/* Called with free blocks that are isolated; returns as page_reporting_dev_info.report does. */
typedef int (*vb_visit_blocks_fn)(struct virtio_balloon *vb, struct scatterlist *sg,
				  unsigned int nents);

/**
 * struct vb_reporting - our registration with the kernel's free page reporting
 * @dev: the registration
 * @request: the report that is in flight; only one is at a time
 * @visit: gets the blocks of the worker's own passes, instead of the host
 * @visitor: the worker while it is in such a pass, or NULL; also read by the
 *	kernel's passes
 * @busy: a report to the host is in progress
 * @paused: no report may begin: the system is about to sleep
 * @reports: registered for good, to report free pages to the host
 * @joined: registered for passes of our own only
 * @releases: the reporting queue carries the pages of the balloon, too; constant
 *	after vb_reporting_init()
 *
 * Private to reporting.c.  @reports and @joined belong to the worker while the
 * balloon runs, and to main.c while it starts and stops.
 */
struct vb_reporting {
	struct page_reporting_dev_info dev;
	struct vb_request request;
	vb_visit_blocks_fn visit;
	struct task_struct *visitor;
	bool busy;
	bool paused;
	bool reports;
	bool joined;
	bool releases;
};

/**
 * vb_reporting_init() - decide whether the reporting queue carries the balloon
 * @vb: the balloon, with its queues
 *
 * The parameter `release` requests it.  Logs a warning if the device cannot do it.
 */
void vb_reporting_init(struct virtio_balloon *vb);

/**
 * vb_reporting_releases() - whether the reporting queue carries the balloon
 * @vb: the balloon
 *
 * Any context.
 *
 * Return: true if inflations go to the reporting queue, and deflations to none.
 */
bool vb_reporting_releases(struct virtio_balloon *vb);

/**
 * vb_reporting_start() - report free pages to the host, if it asks for that
 * @vb: the balloon, whose device is not ready yet
 *
 * May sleep.
 */
void vb_reporting_start(struct virtio_balloon *vb);

/**
 * vb_reporting_is_on() - whether free pages are reported to the host
 * @vb: the balloon
 *
 * For the worker.
 *
 * Return: true from vb_reporting_start() to vb_reporting_stop(), if the host asks for it.
 */
bool vb_reporting_is_on(struct virtio_balloon *vb);

/**
 * vb_reporting_stop() - report no more free pages
 * @vb: the balloon, whose device has been reset
 *
 * May sleep until a report in progress has ended.
 */
void vb_reporting_stop(struct virtio_balloon *vb);

/**
 * vb_reporting_pause() - report nothing until vb_reporting_resume()
 * @vb: the balloon, which runs
 *
 * The system freezes the work that reports before it suspends its devices, and
 * fails to sleep if a report waits for a silent device then.  May sleep for
 * VB_DEVICE_TIMEOUT.
 *
 * Return: false if a report is in progress still: only the device's reset ends it.
 */
bool vb_reporting_pause(struct virtio_balloon *vb);

/**
 * vb_reporting_resume() - undo vb_reporting_pause()
 * @vb: the balloon
 */
void vb_reporting_resume(struct virtio_balloon *vb);

/**
 * vb_reporting_join() - register for passes of our own
 * @vb: the balloon
 *
 * Does nothing if we are registered.  May sleep.
 *
 * Return: 0, or -EBUSY if another module uses free page reporting.
 */
int vb_reporting_join(struct virtio_balloon *vb);

/**
 * vb_reporting_leave() - undo vb_reporting_join()
 * @vb: the balloon
 *
 * May sleep until a pass in progress has ended.
 */
void vb_reporting_leave(struct virtio_balloon *vb);

/**
 * vb_reporting_run_pass() - go through the free blocks once
 * @vb: the balloon, which has joined
 * @visit: gets them, instead of the host
 *
 * May sleep.  For one thread at a time.
 */
void vb_reporting_run_pass(struct virtio_balloon *vb, vb_visit_blocks_fn visit);

/**
 * vb_reporting_wait() - wait until no report is in flight
 * @vb: the balloon
 * @timeout: VB_DEVICE_TIMEOUT; or 0, not to wait
 *
 * Return: see vb_queue_wait().
 */
bool vb_reporting_wait(struct virtio_balloon *vb, unsigned long timeout);

#endif
