// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compaction, and the offlining of memory, move pages of the balloon.
 *
 * The host takes the new page and gives back the old one.  Both are told at
 * once and waited for together.  When the device is late, or breaks, or the
 * driver stops meanwhile, the move counts all the same: the host may have taken
 * the new page already, so it must not go back to anybody.  Until the answers
 * are there no page moves, and none is deflated or inflated (deflate.c).
 */
#include "balloon.h"

/* Whoever needs a large block is waiting; a host that wants to be told first is waited for. */
#define PATIENCE (10 * HZ)

int migrate_init(struct balloon *b)
{
	int err;

	if (b->by_reporting)
		err = request_init(&b->moved_in, &b->reporting, 0, 1);
	else
		err = request_init(&b->moved_in, &b->inflate, 1, 0);
	return err ?: request_init(&b->moved_out, &b->deflate, 1, 0);
}

void migrate_destroy(struct balloon *b)
{
	request_destroy(&b->moved_in);
	request_destroy(&b->moved_out);
}

static int tell(struct balloon_request *r, struct page *page)
{
	int err;

	request_reset(r);
	request_put_page(r, page);
	err = request_send(r);
	return err ? -EAGAIN : 0;
}

static int swap_with_host(struct balloon *b, struct page *newpage, struct page *page)
{
	int err;

	/* The new page may have left the balloon a moment ago. */
	if (!deflate_settle(b, PATIENCE) || !request_wait(&b->moved_in, PATIENCE))
		return -EAGAIN;
	err = tell(&b->moved_in, newpage);
	if (err)
		return err;
	if (!b->by_reporting)
		tell(&b->moved_out, page);
	request_wait(&b->moved_in, PATIENCE);
	request_wait(&b->moved_out, b->must_tell ? MAX_SCHEDULE_TIMEOUT : PATIENCE);
	return 0;
}

#if !CORE_SWAPS_MIGRATED_PAGES
/* The list of the balloon has the new page instead of the old one, which is free. */
static void swap_pages(struct balloon *b, struct page *newpage, struct page *page)
{
	unsigned long flags;

	get_page(newpage);
	spin_lock_irqsave(&b->pages.pages_lock, flags);
	balloon_page_insert(&b->pages, newpage);
	b->pages.isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
	spin_unlock_irqrestore(&b->pages.pages_lock, flags);
	balloon_page_finalize(page);
	put_page(page);
}
#else
static void swap_pages(struct balloon *b, struct page *newpage, struct page *page)
{
}
#endif

int migrate_page(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		 enum migrate_mode mode)
{
	struct balloon *b = container_of(info, struct balloon, pages);
	int err = -EAGAIN;

	if (!mutex_trylock(&b->lock))
		return -EAGAIN;
	if (balloon_running(b))
		err = swap_with_host(b, newpage, page);
	if (!err) {
		if (page_zone(page) != page_zone(newpage)) {
			count_as_taken(b, page, -1);
			count_as_taken(b, newpage, 1);
		}
		count(b, COUNT_migrated, 1);
		swap_pages(b, newpage, page);
	}
	mutex_unlock(&b->lock);
	return err ?: MIGRATEPAGE_SUCCESS;
}
