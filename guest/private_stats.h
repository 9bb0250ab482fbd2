/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics beyond those of VIRTIO 5.5.6.3, in a range of tags that this
 * project uses.  A device ignores tags that it does not know.  docs/device.md
 * describes them, and device/tables.c is how our device reads them.
 */
#ifndef GUEST_PRIVATE_STATS_H
#define GUEST_PRIVATE_STATS_H

#define PRIVATE_S_PSI_SOME 0xAE00     /* µs since boot in which some task waited for memory */
#define PRIVATE_S_PSI_FULL 0xAE01     /* µs since boot in which all tasks did */
#define PRIVATE_S_REFAULT_ANON 0xAE02 /* pages that were swapped out and soon needed again */
#define PRIVATE_S_REFAULT_FILE 0xAE03 /* pages that were dropped from the cache and soon needed */
#define PRIVATE_S_FREE_SWAP 0xAE04    /* bytes */
#define PRIVATE_S_ANON 0xAE05	      /* bytes of memory of processes */
#define PRIVATE_S_TRIMMED 0xAE06      /* bytes of cache given up on request, since it was loaded */
#define PRIVATE_S_NR 7

/*
 * Added to VIRTIO_BALLOON_S_CACHES by a driver that takes memory back early.  QEMU's device passes
 * on no tag and no feature that it does not know, so this is how the host learns of it there.
 * Other drivers report whole pages, and libvirt shows whole KiB.
 */
#define PRIVATE_RELIEF_MARK 0xC00

#endif
