/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_MIGRATE_H
#define GUEST_MIGRATE_H

#include <linux/migrate_mode.h>

struct balloon_dev_info;
struct page;

/**
 * vb_migrate_page() - mm's callback: move a page of the balloon
 * @info: mm's list of the balloon's pages
 * @newpage: the page to take instead
 * @page: the page to give up, which mm has isolated
 * @mode: how patient mm is; not used
 *
 * Only tries to take vb->lock.  May sleep until the device answers, but does not
 * allocate.
 *
 * Return: MIGRATEPAGE_SUCCESS, or -EAGAIN if the page stays where it is.
 */
int vb_migrate_page(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		    enum migrate_mode mode);

#endif
