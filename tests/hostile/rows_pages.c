/* SPDX-License-Identifier: BSD-3-Clause */
/* The inflate and deflate queues: buffers and page numbers. */
#include "tests/hostile/rows.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY "fault-memory"
#define PFN "fault-pfn"
#define LENGTH "fault-length"
#define DIRECTION "fault-direction"
#define FLOODS 50
#define PFN_OF(gpa) ((uint32_t)((gpa) / GUEST_PAGE))

static bool buffer_in_a_hole(struct vm *vm)
{
	return row_buffer(vm, INFLATE, GUEST_HOLE, 4, 0, MEMORY) &&
	       row_buffer(vm, DEFLATE, GUEST_HOLE, 4, 0, MEMORY);
}

static bool buffer_past_a_region(struct vm *vm)
{
	memset(guest_at(&vm->guest, GUEST_HOLE - GUEST_PAGE), 0xff, GUEST_PAGE);
	return row_buffer(vm, INFLATE, GUEST_HOLE - 8, GUEST_PAGE, 0, MEMORY);
}

static bool buffer_wraps(struct vm *vm)
{
	return row_buffer(vm, INFLATE, UINT64_MAX - 3, 8, 0, MEMORY);
}

/* The buffers below are 1 GiB and more: what is looked at is bounded. */
static bool buffer_of_1_gib(struct vm *vm)
{
	return row_buffer(vm, INFLATE, GUEST_LOW, 1U << 30, 0, LENGTH) &&
	       row_buffer(vm, DEFLATE, GUEST_LOW, 1U << 30, 0, LENGTH);
}

static bool buffer_of_4_gib(struct vm *vm)
{
	return row_buffer(vm, INFLATE, GUEST_LOW, UINT32_MAX, 0, LENGTH) &&
	       row_buffer(vm, INFLATE, GUEST_LOW, UINT32_MAX & ~3U, 0, LENGTH);
}

static bool chain_of_2_gib(struct vm *vm)
{
	for (unsigned int i = 0; i < RING_SIZE; i++)
		ring_fill(&vm->rings[INFLATE], i, GUEST_HIGH, (uint32_t)GUEST_PART,
			  i + 1 < RING_SIZE ? RING_NEXT : 0, (uint16_t)(i + 1));
	return row_chain(vm, INFLATE, 0, LENGTH);
}

static bool oversize_of_one_page(struct vm *vm)
{
	vm_write_pfns(vm, PFN_OF(PAGES), GUEST_MIB, 0);
	return row_buffer(vm, INFLATE, BUFFERS, 4 * GUEST_MIB, 0, LENGTH);
}

static bool buffers_ragged(struct vm *vm)
{
	static const uint32_t lengths[] = { 1, 2, 3, 5, 1023 };

	vm_write_pfns(vm, PFN_OF(PAGES), 256, 1);
	for (unsigned int i = 0; i < 5; i++)
		if (!row_buffer(vm, INFLATE, BUFFERS, lengths[i], 0, LENGTH) ||
		    !row_buffer(vm, DEFLATE, BUFFERS, lengths[i], 0, LENGTH))
			return false;
	return true;
}

static bool buffer_cut_within_a_pfn(struct vm *vm)
{
	vm_write_pfns(vm, PFN_OF(PAGES), 4, 1);
	ring_fill(&vm->rings[INFLATE], 0, BUFFERS, 3, RING_NEXT, 1);
	ring_fill(&vm->rings[INFLATE], 1, BUFFERS + 3, 4, 0, 0);
	return row_chain(vm, INFLATE, 0, LENGTH);
}

static bool inflate_writable(struct vm *vm)
{
	vm_write_pfns(vm, PFN_OF(PAGES), 16, 1);
	return row_buffer(vm, INFLATE, BUFFERS, 64, RING_WRITE, DIRECTION);
}

static bool deflate_writable(struct vm *vm)
{
	return row_buffer(vm, DEFLATE, BUFFERS, 64, RING_WRITE, DIRECTION);
}

static bool inflate_half_writable(struct vm *vm)
{
	vm_write_pfns(vm, PFN_OF(PAGES), 16, 1);
	ring_fill(&vm->rings[INFLATE], 0, BUFFERS, 32, RING_NEXT, 1);
	ring_fill(&vm->rings[INFLATE], 1, BUFFERS + 32, 32, RING_WRITE, 0);
	return row_chain(vm, INFLATE, 0, DIRECTION);
}

/* None of these pages is RAM, and nothing may be released for them. */
static bool wrong_pages(struct vm *vm, const uint32_t *pfns, unsigned int count)
{
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	if (!row_pfns(vm, INFLATE, pfns, count, PFN) || !row_pfns(vm, DEFLATE, pfns, count, PFN))
		return false;
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	EXPECT(vm, guest_allocated(&vm->guest) == before);
	return true;
}

static bool pages_in_the_hole(struct vm *vm)
{
	const uint32_t pfns[] = { PFN_OF(GUEST_HOLE), PFN_OF(GUEST_HIGH) - 1,
				  PFN_OF(GUEST_HOLE) + 100 };

	return wrong_pages(vm, pfns, 3);
}

static bool pages_beyond_ram(struct vm *vm)
{
	const uint32_t pfns[] = { PFN_OF(GUEST_END), PFN_OF(GUEST_END) + 1, 0x10000000, UINT32_MAX,
				  UINT32_MAX - 1 };

	return wrong_pages(vm, pfns, 5);
}

/* Widened as a signed number, or shifted before it is widened, they would be something else. */
static bool pages_with_a_sign(struct vm *vm)
{
	const uint32_t pfns[] = { 0x80000000,
				  0x80000000 + PFN_OF(PAGES),
				  0x00100000,
				  0x00100000 + PFN_OF(PAGES),
				  0xfff00000 + PFN_OF(PAGES),
				  0xffffffff - PFN_OF(PAGES) };

	return wrong_pages(vm, pfns, 6);
}

/* Read-only memory comes with a file as RAM does, but nobody may take it away. */
static bool pages_of_rom(struct vm *vm)
{
	const uint64_t gpa = UINT64_C(0xfffc0000), size = 0x40000;
	const uint32_t pfns[] = { PFN_OF(gpa), PFN_OF(gpa) + 1, PFN_OF(gpa) + 63 };
	int rom = memfd_create("rom", MFD_CLOEXEC);
	struct stat st;
	bool ok;

	for (uint64_t at = 0; at < size; at += GUEST_PAGE)
		EXPECT(vm, pwrite(rom, "rom", 3, (off_t)(at + GUEST_PAGE - 3)) == 3);
	EXPECT(vm, vfio_user_client_dma_map(&vm->vfio, gpa, size, rom, 0, false) >= 0);
	ok = row_pfns(vm, INFLATE, pfns, 3, PFN);
	EXPECT(vm, !fstat(rom, &st) && (uint64_t)st.st_blocks * 512 == size);
	close(rom);
	return ok;
}

static bool inflate_twice(struct vm *vm)
{
	const uint32_t pfn = PFN_OF(PAGES);

	if (!vm_send_pages(vm, INFLATE, PAGES, 1) ||
	    !row_pfns(vm, INFLATE, &pfn, 1, "fault-inflate-twice"))
		return false;
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == GUEST_PAGE);
	return true;
}

static bool inflate_twice_in_a_buffer(struct vm *vm)
{
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	vm_write_pfns(vm, PFN_OF(PAGES), 256, 0);
	if (!row_buffer(vm, INFLATE, BUFFERS, 1024, 0, "fault-inflate-twice"))
		return false;
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == GUEST_PAGE);
	return vm_wait_allocated(vm, before - GUEST_PAGE);
}

static bool deflate_never(struct vm *vm)
{
	const uint32_t pfn = PFN_OF(PAGES);

	return row_pfns(vm, DEFLATE, &pfn, 1, "fault-deflate-never");
}

static bool deflate_twice(struct vm *vm)
{
	const uint32_t pfn = PFN_OF(PAGES);

	return vm_send_pages(vm, INFLATE, PAGES, 1) && vm_send_pages(vm, DEFLATE, PAGES, 1) &&
	       row_pfns(vm, DEFLATE, &pfn, 1, "fault-deflate-never");
}

/* Whoever has a page back when both are returned keeps what he writes then. */
static bool inflate_and_deflate_at_once(struct vm *vm)
{
	uint64_t before;

	for (unsigned int i = 0; i < 100; i++) {
		uint64_t gpa = PAGES + i * GUEST_PAGE;
		uint64_t at = vm_write_pfns(vm, PFN_OF(gpa), 1, 1);

		vm_offer(vm, INFLATE, at, 4, 0);
		vm_offer(vm, DEFLATE, at, 4, 0);
		vm_kick(vm, i % 2 ? INFLATE : DEFLATE);
		vm_kick(vm, i % 2 ? DEFLATE : INFLATE);
		if (!vm_settles(vm))
			return false;
		/* Taken in the wrong order, it is in the balloon; then it is not the guest's yet.
		 */
		if (device_number(vm->device, "x-query-balloon", "ballooned") &&
		    !vm_send_pages(vm, DEFLATE, gpa, 1))
			return false;
		memcpy(guest_at(&vm->guest, gpa), &i, sizeof(i));
	}
	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	if (!vm_send_pages(vm, INFLATE, GUEST_HIGH, 1) ||
	    !vm_wait_allocated(vm, before - GUEST_PAGE))
		return false;
	for (unsigned int i = 0; i < 100; i++)
		EXPECT(vm, !memcmp(guest_at(&vm->guest, PAGES + i * GUEST_PAGE), &i, sizeof(i)));
	return true;
}

/* The device finds zeros where the rings were, and nothing to do. */
static bool inflate_the_rings(struct vm *vm)
{
	uint64_t at = vm_write_pfns(vm, PFN_OF(RING_GPA(0)), QUEUES, 1);
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	vm_offer(vm, INFLATE, at, QUEUES * 4, 0);
	vm_kick(vm, INFLATE);
	if (!vm_wait_all_but_rings(vm, before - QUEUES * GUEST_PAGE))
		return false;
	vm_kick(vm, INFLATE);
	vm_kick(vm, DEFLATE);
	vm_forget_rings(vm);
	return true;
}

static bool inflate_all_ram(struct vm *vm)
{
	const unsigned int pages = GUEST_PART / GUEST_PAGE;
	uint64_t at;

	guest_touch(&vm->guest);
	at = vm_write_pfns(vm, 0, pages, 1);
	vm_offer(vm, INFLATE, at, pages * 4, 0);
	vm_kick(vm, INFLATE);
	/* Its rings are among them, so all that can be expected is that memory is released. */
	if (!vm_wait_all_but_rings(vm, GUEST_RAM - GUEST_PART))
		return false;
	vm_forget_rings(vm);
	return true;
}

static bool inflate_the_buffer(struct vm *vm)
{
	uint64_t before;

	guest_touch(&vm->guest);
	before = guest_allocated(&vm->guest);
	return vm_send_pages(vm, INFLATE, BUFFERS, 1) && vm_wait_allocated(vm, before - GUEST_PAGE);
}

/* As many mistakes as there can be: the log has to stay short, and others have to be served. */
static bool flood_of_mistakes(struct vm *vm)
{
	uint64_t at = vm_write_pfns(vm, PFN_OF(GUEST_HOLE), 1024, 1);
	uint64_t before = row_counter(vm, PFN);

	for (unsigned int i = 0; i < FLOODS; i++) {
		for (unsigned int j = 0; j < RING_SIZE; j++)
			vm_offer(vm, INFLATE, at, 4096, 0);
		vm_kick(vm, INFLATE);
		if (i % 10 == 0)
			EXPECT(vm,
			       device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
		if (!vm_settles(vm))
			return false;
	}
	EXPECT(vm, row_counter(vm, PFN) == before + FLOODS * RING_SIZE * 1024);
	return true;
}

const struct row rows_pages[] = {
	{ "buffer-in-a-hole", STARTED, BOTH, buffer_in_a_hole },
	{ "buffer-past-a-region", STARTED, BOTH, buffer_past_a_region },
	{ "buffer-wraps", STARTED, BOTH, buffer_wraps },
	{ "buffer-of-1-gib", STARTED, BOTH, buffer_of_1_gib },
	{ "buffer-of-4-gib", STARTED, BOTH, buffer_of_4_gib },
	{ "buffer-chain-of-2-gib", STARTED, BOTH, chain_of_2_gib },
	{ "buffer-oversize-of-one-page", STARTED, BOTH, oversize_of_one_page },
	{ "buffer-ragged", STARTED, BOTH, buffers_ragged },
	{ "buffer-cut-within-a-pfn", STARTED, BOTH, buffer_cut_within_a_pfn },
	{ "inflate-writable", STARTED, BOTH, inflate_writable },
	{ "inflate-half-writable", STARTED, BOTH, inflate_half_writable },
	{ "deflate-writable", STARTED, BOTH, deflate_writable },
	{ "pfn-in-the-hole", STARTED, BOTH, pages_in_the_hole },
	{ "pfn-beyond-ram", STARTED, BOTH, pages_beyond_ram },
	{ "pfn-with-a-sign", STARTED, BOTH, pages_with_a_sign },
	{ "pfn-of-rom", STARTED, VFIO_ONLY, pages_of_rom },
	{ "inflate-twice", STARTED, BOTH, inflate_twice },
	{ "inflate-twice-in-a-buffer", STARTED, BOTH, inflate_twice_in_a_buffer },
	{ "deflate-never", STARTED, BOTH, deflate_never },
	{ "deflate-twice", STARTED, BOTH, deflate_twice },
	{ "inflate-and-deflate-at-once", STARTED, BOTH, inflate_and_deflate_at_once },
	{ "inflate-the-rings", STARTED, BOTH, inflate_the_rings },
	{ "inflate-all-ram", STARTED, BOTH, inflate_all_ram },
	{ "inflate-the-buffer", STARTED, BOTH, inflate_the_buffer },
	{ "inflate-flood-of-mistakes", STARTED, BOTH, flood_of_mistakes },
	{ 0 },
};
