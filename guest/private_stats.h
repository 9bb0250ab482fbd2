/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics beyond those of VIRTIO 5.5.6.3, in a range of tags of this
 * project's own.  A device ignores tags that it does not know; docs/device.md
 * says what these mean, and device/tables.c is how ours reads them.
 */
#ifndef GUEST_PRIVATE_STATS_H
#define GUEST_PRIVATE_STATS_H

#define PRIVATE_S_PSI_SOME 0xAE00     /* µs that some task waited for memory, since boot */
#define PRIVATE_S_PSI_FULL 0xAE01     /* µs that all tasks did */
#define PRIVATE_S_REFAULT_ANON 0xAE02 /* pages swapped out, and needed again soon */
#define PRIVATE_S_REFAULT_FILE 0xAE03 /* pages of file cache dropped, and needed again soon */
#define PRIVATE_S_FREE_SWAP 0xAE04    /* bytes */
#define PRIVATE_S_NR 5

#endif
