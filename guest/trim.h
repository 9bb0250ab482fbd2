/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_TRIM_H
#define GUEST_TRIM_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct file;
struct virtio_balloon;
struct virtio_device;

/**
 * struct vb_trim - giving up page cache on request
 * @work: one step
 * @file: where the kernel is asked to reclaim, or NULL before the first time
 * @asked: the request that was read last
 * @left: MiB of it that are still to be given up
 * @trimmed: pages given up since the driver was loaded
 *
 * Private to trim.c.  All but @work and @trimmed belong to @work.
 */
struct vb_trim {
	struct work_struct work;
	struct file *file;
	u32 asked;
	u32 left;
	unsigned long trimmed;
};

/**
 * vb_trim_validate() - refuse the private feature if it is another device's
 * @vdev: the device, before its features are final
 */
void vb_trim_validate(struct virtio_device *vdev);

/**
 * vb_trim_init() - initialise, once per device
 * @vb: the balloon
 */
void vb_trim_init(struct virtio_balloon *vb);

/**
 * vb_trim_config_changed() - the device may have asked for a trim
 * @vb: the balloon, which runs
 *
 * Any context.
 */
void vb_trim_config_changed(struct virtio_balloon *vb);

/**
 * vb_trim_stop() - wait for the current step, and do no more
 * @vb: the balloon, which does not run any more
 *
 * May sleep.
 */
void vb_trim_stop(struct virtio_balloon *vb);

/**
 * vb_trim_wanted() - whether the feature was negotiated
 * @vb: the balloon
 *
 * Return: true if the device may ask for trims.
 */
bool vb_trim_wanted(struct virtio_balloon *vb);

/**
 * vb_trim_count() - how much was given up on request
 * @vb: the balloon
 *
 * Return: the number of pages.
 */
unsigned long vb_trim_count(struct virtio_balloon *vb);

#endif
