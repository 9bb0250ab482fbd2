/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A long random life of an honest guest: it gives pages, takes them back, uses
 * them, reports some, is interrupted by remaps, audits and resets, at any pace.
 * What is held against it after each step: not a page that the guest has was
 * altered; and whenever all is quiet, not a page that it gave away costs the host
 * memory, and the account is that of the guest.
 *
 * The seed is printed, and can be given as AEROSTAT_SEED.
 */
#include "tests/unit/device_rig.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_BYTES (24 * MIB)
#define PAGES (uint32_t)(RAM_BYTES / PAGE)
#define STEPS 400

/*
 * GIVEN and RETURNED are in a buffer that the device has not acknowledged; EARLY, too, but the
 * guest uses it already, as it may without MUST_TELL_HOST.
 */
enum owner { GUEST, GIVEN, BALLOON, RETURNED, EARLY };

struct life {
	struct device_rig *rig;
	enum owner owner[PAGES];
	bool used[PAGES]; /* by the guest: has its stamp */
};

static uint32_t below(uint32_t limit)
{
	return (uint32_t)random() % limit;
}

static bool must_tell(const struct life *life)
{
	return life->rig->options.features & BALLOON_BIT(BALLOON_F_MUST_TELL_HOST);
}

static void use(struct life *life, uint32_t page)
{
	rig_touch(life->rig, page, 1);
	life->used[page] = true;
}

/* What was acknowledged: all that was sent. */
static void acknowledged(struct life *life)
{
	for (uint32_t i = 0; i < PAGES; i++) {
		if (life->owner[i] == GIVEN)
			life->owner[i] = BALLOON;
		else if (life->owner[i] == RETURNED || life->owner[i] == EARLY)
			life->owner[i] = GUEST;
	}
}

static void check(struct life *life)
{
	for (uint32_t i = 0; i < PAGES; i++)
		if (life->used[i] && !rig_intact(life->rig, i, 1))
			fail_msg("page %u was altered", i);
}

/* Pages of one owner, in one of the patterns of real guests; how many. */
static uint32_t choose(const struct life *life, enum owner owner, uint32_t *pfns)
{
	uint32_t first = below(PAGES), most = 1 + below(below(4) ? 300 : 3000), count = 0;
	uint32_t stride = below(3) ? 1 : 1 + below(7);

	for (uint32_t i = 0; i < PAGES && count < most; i += stride) {
		uint32_t page = (first + PAGES - i) % PAGES;

		if (life->owner[page] == owner)
			pfns[count++] = page;
	}
	for (uint32_t i = 0; !below(4) && i < count; i++) {
		uint32_t other = below(count), page = pfns[i];

		pfns[i] = pfns[other];
		pfns[other] = page;
	}
	return count;
}

static void send(struct life *life, enum balloon_queue kind, const uint32_t *pfns, uint32_t count)
{
	uint32_t sent = 0;

	while (sent < count) {
		uint32_t piece = 1 + below(below(2) ? 256 : 2500);

		if (piece > count - sent)
			piece = count - sent;
		while (rig_outstanding(life->rig, kind) + 2 > life->rig->queues[kind].size)
			rig_step(life->rig);
		rig_send_pfns(life->rig, kind, pfns + sent, piece);
		sent += piece;
	}
	rig_kick(life->rig, kind);
}

static void inflate(struct life *life)
{
	static uint32_t pfns[PAGES];
	uint32_t count = choose(life, GUEST, pfns);

	for (uint32_t i = 0; i < count; i++) {
		life->owner[pfns[i]] = GIVEN;
		life->used[pfns[i]] = false;
	}
	send(life, BALLOON_INFLATE, pfns, count);
}

static void deflate(struct life *life)
{
	static uint32_t pfns[PAGES];
	uint32_t count = choose(life, BALLOON, pfns);

	for (uint32_t i = 0; i < count; i++) {
		life->owner[pfns[i]] = RETURNED;
		/* Without MUST_TELL_HOST it may use a page before it sends the deflate. */
		if (!must_tell(life) && below(2)) {
			life->owner[pfns[i]] = EARLY;
			use(life, pfns[i]);
		}
	}
	send(life, BALLOON_DEFLATE, pfns, count);
}

static void report(struct life *life)
{
	uint32_t first = below(PAGES), count = 0;

	while (first + count < PAGES && count < 600 && life->owner[first + count] == GUEST &&
	       !life->used[first + count])
		count++;
	if (!count)
		return;
	rig_send_one(life->rig, BALLOON_REPORTING, (uint64_t)first * PAGE, count * PAGE, true);
	rig_kick(life->rig, BALLOON_REPORTING);
	rig_work(life->rig);
	acknowledged(life);
}

static void quiet(struct life *life)
{
	uint64_t ballooned = 0;

	rig_settle(life->rig);
	assert_int_equal(rig_outstanding(life->rig, BALLOON_INFLATE), 0);
	assert_int_equal(rig_outstanding(life->rig, BALLOON_DEFLATE), 0);
	acknowledged(life);
	for (uint32_t i = 0; i < PAGES; i++) {
		ballooned += life->owner[i] == BALLOON;
		if (life->owner[i] == BALLOON && rig_resident(life->rig, i, 1))
			fail_msg("page %u was not released", i);
	}
	assert_int_equal(rig_info(life->rig).ballooned_bytes, ballooned * PAGE);
	assert_int_equal(rig_info(life->rig).pending_bytes, 0);
}

/* Unmapped and mapped again; what waited is dropped, so it is released first. */
static void remap(struct life *life)
{
	quiet(life);
	rig_hide(life->rig, 0);
	if (below(2))
		rig_work(life->rig);
	rig_show(life->rig, 0);
}

static void reset(struct life *life)
{
	rig_reset(life->rig);
	for (uint32_t i = 0; i < PAGES; i++)
		life->owner[i] = GUEST;
}

static void do_something(struct life *life)
{
	switch (below(20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		inflate(life);
		return;
	case 4:
	case 5:
	case 6:
		deflate(life);
		return;
	case 7:
	case 8:
		for (uint32_t i = 0, page; i < 500; i++)
			if (page = below(PAGES), life->owner[page] == GUEST)
				use(life, page);
		return;
	case 9:
		report(life);
		return;
	case 10:
		quiet(life);
		return;
	case 11:
		balloon_audit_start(life->rig->balloon);
		return;
	case 12:
		remap(life);
		return;
	case 13:
		if (!below(8))
			reset(life);
		return;
	case 14:
		rig_set_config(life->rig, RIG_ACTUAL,
			       below(2) ? rig_config(life->rig, RIG_NUM_PAGES) : below(PAGES));
		return;
	case 15:
		rig_pass(life->rig, below(300) * MS);
		return;
	case 16:
		rig_work(life->rig);
		acknowledged(life);
		return;
	default:
		for (uint32_t steps = below(5); steps; steps--)
			rig_step(life->rig);
		return;
	}
}

static void live(uint64_t features, enum rig_backing backing)
{
	const struct rig_options options = {
		.features = features | BALLOON_BIT(BALLOON_F_PAGE_REPORTING),
		.ram_bytes = RAM_BYTES,
		.backing = backing,
		.queue_size = 32,
		.audit_release = true,
	};
	struct life *life = calloc(1, sizeof(*life));

	assert_non_null(life);
	life->rig = rig_new(&options);
	for (unsigned int i = 0; i < STEPS; i++) {
		do_something(life);
		check(life);
	}
	quiet(life);
	check(life);
	assert_int_equal(rig_faults(life->rig), 0);
	assert_int_equal(rig_count(life->rig, BALLOON_C_RELEASE_FAILED), 0);
	rig_free(life->rig);
	free(life);
}

static int seed(void **state)
{
	const char *given = getenv("AEROSTAT_SEED");
	unsigned int number =
		given ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);

	(void)state;
	print_message("AEROSTAT_SEED=%u\n", number);
	srandom(number);
	return 0;
}

#define PACKED BALLOON_BIT(VIRTIO_F_RING_PACKED)
#define EVENT BALLOON_BIT(VIRTIO_F_RING_EVENT_IDX)
#define INDIRECT BALLOON_BIT(VIRTIO_F_RING_INDIRECT_DESC)

static void no_page_is_lost_with_must_tell_host(void **state)
{
	(void)state;
	live(RIG_TELL, RIG_MEMFD);
	live(RIG_TELL | EVENT, RIG_ANONYMOUS);
	live(RIG_TELL | PACKED, RIG_TMPFS);
	live(RIG_TELL | PACKED | EVENT | INDIRECT, RIG_MEMFD);
}

static void no_page_is_lost_without_must_tell_host(void **state)
{
	(void)state;
	live(RIG_MODERN, RIG_MEMFD);
	live(RIG_MODERN | EVENT | INDIRECT, RIG_ANONYMOUS);
	live(RIG_MODERN | PACKED, RIG_MEMFD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_page_is_lost_with_must_tell_host, seed),
		cmocka_unit_test_setup(no_page_is_lost_without_must_tell_host, seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
