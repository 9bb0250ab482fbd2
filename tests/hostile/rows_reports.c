/* SPDX-License-Identifier: BSD-3-Clause */
/* Free page reporting and hinting. */
#include "tests/hostile/rows.h"

#include <string.h>

#define PFN "fault-pfn"

static bool report_readable(struct vm *vm)
{
	return row_buffer(vm, REPORTS, PAGES, GUEST_PAGE, 0, "fault-direction");
}

static bool report_half_readable(struct vm *vm)
{
	ring_fill(&vm->rings[REPORTS], 0, BUFFERS, 4, RING_NEXT, 1);
	ring_fill(&vm->rings[REPORTS], 1, PAGES, GUEST_PAGE, RING_WRITE, 0);
	return row_chain(vm, REPORTS, 0, "fault-direction");
}

static bool report_nowhere(struct vm *vm)
{
	return row_buffer(vm, REPORTS, GUEST_HOLE, GUEST_PAGE, RING_WRITE, PFN) &&
	       row_buffer(vm, REPORTS, GUEST_END, GUEST_PAGE, RING_WRITE, PFN) &&
	       row_buffer(vm, REPORTS, UINT64_MAX & ~(GUEST_PAGE - 1), GUEST_PAGE, RING_WRITE, PFN);
}

static bool report_ragged(struct vm *vm)
{
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	if (!row_buffer(vm, REPORTS, PAGES + 1, GUEST_PAGE, RING_WRITE, PFN) ||
	    !row_buffer(vm, REPORTS, PAGES, GUEST_PAGE - 1, RING_WRITE, PFN) ||
	    !row_buffer(vm, REPORTS, PAGES, 1, RING_WRITE, PFN))
		return false;
	EXPECT(vm, guest_allocated(&vm->guest) == before);
	return true;
}

/* All RAM, and more, in one descriptor: what is RAM is the guest's own loss. */
static bool report_past_a_region(struct vm *vm)
{
	return row_buffer(vm, REPORTS, GUEST_HOLE - GUEST_PAGE, 2 * GUEST_PAGE, RING_WRITE, PFN) &&
	       row_buffer(vm, REPORTS, GUEST_HIGH, UINT32_MAX & ~4095U, RING_WRITE, PFN);
}

static bool report_the_rings(struct vm *vm)
{
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	vm_offer(vm, REPORTS, RING_GPA(0), QUEUES * GUEST_PAGE, RING_WRITE);
	vm_kick(vm, REPORTS);
	if (!vm_wait_all_but_rings(vm, before - QUEUES * GUEST_PAGE))
		return false;
	vm_forget_rings(vm);
	return true;
}

/* With a poison the content has to stay, which it cannot when memory is released. */
static bool report_with_a_poison(struct vm *vm)
{
	uint64_t before;

	vm->poison = 0xaaaaaaaa;
	EXPECT(vm, vm_start(vm) == 0);
	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	vm_offer(vm, REPORTS, PAGES, 2 * GUEST_MIB, RING_WRITE);
	vm_kick(vm, REPORTS);
	if (!vm_settles(vm))
		return false;
	EXPECT(vm, guest_allocated(&vm->guest) == before);
	return true;
}

static bool report_what_is_ballooned(struct vm *vm)
{
	if (!vm_send_pages(vm, INFLATE, PAGES, 256))
		return false;
	vm_offer(vm, REPORTS, PAGES, 2 * GUEST_MIB, RING_WRITE);
	vm_kick(vm, REPORTS);
	return vm_settles(vm);
}

static bool hint(struct vm *vm, uint64_t gpa, uint32_t length, uint16_t flags)
{
	vm_offer(vm, HINTS, gpa, length, flags);
	vm_kick(vm, HINTS);
	return vm_settles(vm);
}

/* Ids of no round, and of rounds that the device never began. */
static bool hint_ids(struct vm *vm)
{
	static const uint32_t ids[] = { 0, 1, 2, 256, 0x80000000, UINT32_MAX };

	for (unsigned int i = 0; i < 6; i++) {
		memcpy(guest_at(&vm->guest, BUFFERS), &ids[i], sizeof(ids[i]));
		if (!hint(vm, BUFFERS, 4, 0) || !hint(vm, PAGES, 4 * GUEST_MIB, RING_WRITE))
			return false;
	}
	return true;
}

static bool hint_ragged(struct vm *vm)
{
	for (uint32_t length = 1; length < 10; length++)
		if (!hint(vm, BUFFERS, length, 0) || !hint(vm, PAGES + 1, length, RING_WRITE))
			return false;
	return hint(vm, GUEST_HOLE, 4, 0) && hint(vm, GUEST_HOLE, GUEST_PAGE, RING_WRITE) &&
	       hint(vm, GUEST_LOW, UINT32_MAX, RING_WRITE) && hint(vm, GUEST_LOW, UINT32_MAX, 0);
}

/* Late ones are no fault, but nobody may make anything of them. */
static bool hint_without_a_round(struct vm *vm)
{
	uint64_t hinted = row_counter(vm, "hinted-bytes");
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	if (!hint(vm, PAGES, 4 * GUEST_MIB, RING_WRITE))
		return false;
	EXPECT(vm, row_counter(vm, "hinted-bytes") == hinted);
	EXPECT(vm, guest_allocated(&vm->guest) == before);
	return true;
}

static bool order_hints(struct vm *vm, const char *action)
{
	json_t *answer = device_ask(vm->device, "x-hint", json_pack("{s:s}", "action", action));

	EXPECT(vm, answer);
	json_decref(answer);
	return true;
}

/* In a round: another id, nothing but holes, and pages again after its end. */
static bool hint_in_a_round(struct vm *vm)
{
	uint64_t hinted = row_counter(vm, "hinted-bytes");
	uint32_t id = 0;

	if (!order_hints(vm, "start"))
		return false;
	EXPECT(vm, vm->link->config_read(vm, 8, &id, sizeof(id)) == 0 && id >= 2);
	memcpy(guest_at(&vm->guest, BUFFERS), &id, sizeof(id));
	if (!hint(vm, BUFFERS, sizeof(id), 0) ||
	    !row_buffer(vm, HINTS, GUEST_HOLE, GUEST_PAGE, RING_WRITE, "fault-memory") ||
	    !row_buffer(vm, HINTS, PAGES, UINT32_MAX, RING_WRITE, "fault-memory"))
		return false;
	EXPECT(vm, row_counter(vm, "hinted-bytes") == hinted);
	id++;
	memcpy(guest_at(&vm->guest, BUFFERS), &id, sizeof(id));
	if (!row_buffer(vm, HINTS, BUFFERS, sizeof(id), 0, "fault-hint") ||
	    !hint(vm, PAGES, GUEST_PAGE, RING_WRITE))
		return false;
	EXPECT(vm, row_counter(vm, "hinted-bytes") == hinted);
	return order_hints(vm, "stop");
}

const struct row rows_reports[] = {
	{ "report-readable", STARTED, BOTH, report_readable },
	{ "report-half-readable", STARTED, BOTH, report_half_readable },
	{ "report-nowhere", STARTED, BOTH, report_nowhere },
	{ "report-ragged", STARTED, BOTH, report_ragged },
	{ "report-past-a-region", STARTED, BOTH, report_past_a_region },
	{ "report-the-rings", STARTED, BOTH, report_the_rings },
	{ "report-with-a-poison", ALONE, BOTH, report_with_a_poison },
	{ "report-what-is-ballooned", STARTED, BOTH, report_what_is_ballooned },
	{ "hint-ids", STARTED, BOTH, hint_ids },
	{ "hint-ragged", STARTED, BOTH, hint_ragged },
	{ "hint-without-a-round", STARTED, BOTH, hint_without_a_round },
	{ "hint-in-a-round", STARTED, BOTH, hint_in_a_round },
	{ 0 },
};
