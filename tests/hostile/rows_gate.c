/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate: drivers that take back more than their credit. */
#include "tests/hostile/rows.h"

#include <unistd.h>

#define PULLED 16 /* buffers of a page each */
#define PFN_OF(gpa) ((uint32_t)((gpa) / GUEST_PAGE))

static bool set_target(struct vm *vm, uint64_t bytes)
{
	json_t *answer =
		device_ask(vm->device, "balloon", json_pack("{s:I}", "value", (json_int_t)bytes));

	EXPECT(vm, answer);
	json_decref(answer);
	return true;
}

/* A balloon of PULLED pages, none of which the guest may take back. */
static bool close_gate(struct vm *vm)
{
	json_t *answer;

	if (!set_target(vm, GUEST_RAM - PULLED * GUEST_PAGE) ||
	    !vm_send_pages(vm, INFLATE, PAGES, PULLED))
		return false;
	answer = device_ask(vm->device, "x-set-credit", json_pack("{s:i}", "credit", 0));
	EXPECT(vm, answer);
	json_decref(answer);
	return true;
}

/* As the next row's guest expects it, whatever became of this one. */
static bool open_gate(struct vm *vm)
{
	json_t *answer = device_ask(vm->device, "x-set-credit", NULL);

	EXPECT(vm, answer);
	json_decref(answer);
	return set_target(vm, GUEST_RAM);
}

/* Deflates each page by a buffer of its own, and waits until the device makes the first one wait.
 */
static bool pull_all(struct vm *vm)
{
	uint64_t before = row_counter(vm, "gate-waits"), end = now_ms() + HANG_NS / 1000000;
	uint64_t at = vm_write_pfns(vm, PFN_OF(PAGES), PULLED, 1);

	for (unsigned int i = 0; i < PULLED; i++)
		vm_offer(vm, DEFLATE, at + i * 4, 4, 0);
	vm_kick(vm, DEFLATE);
	while (row_counter(vm, "gate-waits") == before) {
		EXPECT(vm, now_ms() < end);
		pause_ms(1);
	}
	return true;
}

/* They all come back in the end, and those of a step together. */
static bool try_without_credit(struct vm *vm)
{
	uint64_t before = row_counter(vm, "gate-timeouts");

	if (!pull_all(vm))
		return false;
	EXPECT(vm,
	       device_number(vm->device, "x-query-balloon", "ballooned") == PULLED * GUEST_PAGE);
	if (!vm_settles(vm))
		return false;
	EXPECT(vm, row_counter(vm, "gate-timeouts") == before + 1);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	return true;
}

/* The buffer that waits is changed meanwhile: it is read when its wait is over, once. */
static bool try_to_change_the_buffer(struct vm *vm)
{
	uint64_t before = row_counter(vm, "fault-pfn");

	if (!pull_all(vm))
		return false;
	vm_write_pfns(vm, PFN_OF(GUEST_END), PULLED, 1);
	if (!vm_settles(vm))
		return false;
	EXPECT(vm, row_counter(vm, "fault-pfn") == before + PULLED);
	EXPECT(vm,
	       device_number(vm->device, "x-query-balloon", "ballooned") == PULLED * GUEST_PAGE);
	return vm_send_pages(vm, DEFLATE, PAGES, PULLED);
}

static bool try_to_reset(struct vm *vm)
{
	if (!pull_all(vm))
		return false;
	EXPECT(vm, vm->link->reset(vm) == 0);
	vm_forget_rings(vm);
	EXPECT(vm, device_number(vm->device, "x-query-balloon", "ballooned") == 0);
	return true;
}

/* The device serves all rows, so its target and gate are left as they were. */
static bool try_at_gate(struct vm *vm, bool (*trial)(struct vm *vm))
{
	bool done = close_gate(vm) && trial(vm);

	return open_gate(vm) && done;
}

static bool pull_without_credit(struct vm *vm)
{
	return try_at_gate(vm, try_without_credit);
}

static bool pull_and_change_the_buffer(struct vm *vm)
{
	return try_at_gate(vm, try_to_change_the_buffer);
}

static bool pull_and_reset(struct vm *vm)
{
	return try_at_gate(vm, try_to_reset);
}

const struct row rows_gate[] = {
	{ "gate-pull-without-credit", STARTED, BOTH, pull_without_credit },
	{ "gate-pull-and-change-the-buffer", STARTED, BOTH, pull_and_change_the_buffer },
	{ "gate-pull-and-reset", STARTED, VFIO_ONLY, pull_and_reset },
	{ 0 },
};
