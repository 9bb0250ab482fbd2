/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_SELFTEST_H
#define GUEST_SELFTEST_H

struct virtio_balloon;

/**
 * vb_selftest_harvest() - harvest one block, and free it again
 * @vb: the balloon, whose device is not ready yet
 *
 * If the block is not as expected, harvesting is disabled.  If there is no free
 * block, nothing is known, and harvesting stays enabled.  May sleep.
 */
void vb_selftest_harvest(struct virtio_balloon *vb);

#endif
