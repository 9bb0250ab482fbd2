/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_OOM_H
#define GUEST_OOM_H

#include <linux/notifier.h>

struct virtio_balloon;

/**
 * struct vb_oom - relief when the guest is out of memory
 * @nb: called before the kernel kills
 *
 * Private to oom.c.
 */
struct vb_oom {
	struct notifier_block nb;
};

/**
 * vb_oom_register() - deflate when the guest is out of memory
 * @vb: the balloon
 *
 * Does nothing without VIRTIO_BALLOON_F_DEFLATE_ON_OOM.  May sleep.
 *
 * Return: 0 or a negative errno.
 */
int vb_oom_register(struct virtio_balloon *vb);

/**
 * vb_oom_unregister() - undo vb_oom_register()
 * @vb: the balloon
 *
 * May sleep until a relief in progress has ended.
 */
void vb_oom_unregister(struct virtio_balloon *vb);

#endif
