/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue with a driver that does what the input says, compared with the slow
 * model of the unit tests: results and every byte of guest memory must be equal.
 *
 * The input is a byte of features, a byte for the size, 4 bytes of base, and then
 * steps: a byte that selects the step (modulo their number), and its arguments.
 * See enum step, and fuzz/corpus/virtqueue/ for examples.
 */
#include <string.h>

#include "fuzz/script.h"
#include "tests/unit/slow_virtqueue.h"

/* The memory that the guest writes; tables and rings are in it, and may overlap. */
#define WINDOW_BYTES 0x2000u
#define DESC_OFFSET 0
#define DRIVER_OFFSET 0x800
#define DEVICE_OFFSET 0xc00
#define SIZE_LIMIT 128
#define STEPS_MAX 512

enum feature { PACKED = 1, INDIRECT = 2, EVENT_IDX = 4, SWAPPED = 8 };

enum step {
	WRITE_BYTES, /* u16 offset, u8 count, bytes */
	WRITE_U16,   /* u16 offset, u16 value */
	PUBLISH,     /* u8: how many entries become available, as they are */
	DESCRIBE,    /* u8 entry, u16 offset of the buffer, u16 length, u16 flags, u16 next or id */
	POP,
	PUSH, /* u8: which of the buffers taken, u16 written */
	NOTIFY,
	QUIET,
	LISTEN,
	MOVE,  /* move to another process, where nothing is in flight */
	REMAP, /* the memory is unmapped and mapped again */
	STEPS
};

struct fuzz {
	struct script script;
	struct virtqueue_setup setup;
	uint8_t *ram;
	struct memory memory;
	struct virtqueue queue;
	struct slow_device slow;
	struct virtqueue_chain chain, slow_chain;
	uint8_t before[WINDOW_BYTES], after[WINDOW_BYTES];
	struct virtqueue_token taken[SIZE_LIMIT];
	unsigned int taken_count;
};

/* Called between the model's step and the real one's: gives both the same memory. */
static void rewind_memory(struct fuzz *fuzz)
{
	memcpy(fuzz->after, fuzz->ram, WINDOW_BYTES);
	memcpy(fuzz->ram, fuzz->before, WINDOW_BYTES);
}

static void compare(struct fuzz *fuzz)
{
	require(memcmp(fuzz->ram, fuzz->after, WINDOW_BYTES) == 0);
	require(fuzz->queue.broken == fuzz->slow.broken);
	require(virtqueue_base(&fuzz->queue) == slow_device_base(&fuzz->slow));
	memcpy(fuzz->before, fuzz->ram, WINDOW_BYTES);
}

static void compare_chains(const struct virtqueue_chain *real, const struct virtqueue_chain *slow)
{
	require(real->fault == slow->fault);
	require(real->token.id == slow->token.id && real->token.count == slow->token.count);
	require(real->readable == slow->readable && real->writable == slow->writable);
	require(real->readable_bytes == slow->readable_bytes);
	require(real->writable_bytes == slow->writable_bytes);
	for (unsigned int i = 0; i < real->readable + real->writable; i++) {
		require(real->segments[i].gpa == slow->segments[i].gpa);
		require(real->segments[i].length == slow->segments[i].length);
		require(real->segments[i].length != 0);
	}
}

static void step_pop(struct fuzz *fuzz)
{
	int slow, real;

	slow = slow_device_pop(&fuzz->slow, &fuzz->slow_chain);
	rewind_memory(fuzz);
	real = virtqueue_pop(&fuzz->queue, &fuzz->memory, &fuzz->chain);
	compare(fuzz);
	require(real == slow);
	if (real <= 0)
		return;
	compare_chains(&fuzz->chain, &fuzz->slow_chain);
	require(fuzz->taken_count < fuzz->setup.size);
	fuzz->taken[fuzz->taken_count++] = fuzz->chain.token;
}

static void step_push(struct fuzz *fuzz)
{
	uint8_t which = script_u8(&fuzz->script);
	uint32_t written = script_u16(&fuzz->script);
	struct virtqueue_token token;

	if (fuzz->taken_count == 0)
		return;
	which = (uint8_t)(which % fuzz->taken_count);
	token = fuzz->taken[which];
	fuzz->taken[which] = fuzz->taken[--fuzz->taken_count];
	slow_device_push(&fuzz->slow, token, written);
	rewind_memory(fuzz);
	virtqueue_push(&fuzz->queue, token, written);
	compare(fuzz);
}

static void step_notify(struct fuzz *fuzz)
{
	bool slow = slow_device_should_notify(&fuzz->slow);

	rewind_memory(fuzz);
	require(virtqueue_should_notify(&fuzz->queue) == slow);
	compare(fuzz);
}

static void step_quiet(struct fuzz *fuzz)
{
	slow_device_quiet(&fuzz->slow);
	rewind_memory(fuzz);
	virtqueue_disable_kicks(&fuzz->queue);
	compare(fuzz);
}

static void step_listen(struct fuzz *fuzz)
{
	bool slow = slow_device_listen(&fuzz->slow);

	rewind_memory(fuzz);
	require(virtqueue_enable_kicks(&fuzz->queue) == slow);
	compare(fuzz);
}

static void start(struct fuzz *fuzz)
{
	require(virtqueue_start(&fuzz->queue, &fuzz->memory, &fuzz->setup) == 0);
	slow_device_start(&fuzz->slow, fuzz->ram, &fuzz->setup);
	fuzz->taken_count = 0;
}

static void step_move(struct fuzz *fuzz)
{
	virtqueue_stop(&fuzz->queue);
	require(virtqueue_pop(&fuzz->queue, &fuzz->memory, &fuzz->chain) == 0);
	fuzz->setup.base = virtqueue_base(&fuzz->queue);
	start(fuzz);
}

static void step_remap(struct fuzz *fuzz)
{
	require(memory_unmap(&fuzz->memory, SLOW_GPA, SLOW_BYTES) == 1);
	virtqueue_relocate(&fuzz->queue, &fuzz->memory);
	require(virtqueue_pop(&fuzz->queue, &fuzz->memory, &fuzz->chain) == 0);
	require(!virtqueue_enable_kicks(&fuzz->queue));
	require(memory_add(&fuzz->memory, SLOW_GPA, SLOW_BYTES, fuzz->ram) == 0);
	virtqueue_relocate(&fuzz->queue, &fuzz->memory);
}

/*
 * The driver
 */
static void put(struct fuzz *fuzz, uint64_t gpa, unsigned int bytes, uint64_t value)
{
	if (gpa - SLOW_GPA <= WINDOW_BYTES - bytes)
		slow_put(fuzz->ram, gpa, bytes, value, fuzz->setup.big_endian);
}

static void step_write_bytes(struct fuzz *fuzz)
{
	uint16_t offset = script_u16(&fuzz->script) % WINDOW_BYTES;
	const uint8_t *bytes;
	size_t count = script_bytes(&fuzz->script, script_u8(&fuzz->script), &bytes);

	if (count > WINDOW_BYTES - offset)
		count = WINDOW_BYTES - offset;
	if (count)
		memcpy(fuzz->ram + offset, bytes, count);
}

static void step_describe(struct fuzz *fuzz)
{
	unsigned int index = script_u8(&fuzz->script);
	uint64_t at = SLOW_GPA + DESC_OFFSET + 16 * index;

	put(fuzz, at, 8, SLOW_GPA + script_u16(&fuzz->script));
	put(fuzz, at + 8, 4, script_u16(&fuzz->script));
	put(fuzz, at + (fuzz->setup.packed ? 14 : 12), 2, script_u16(&fuzz->script));
	put(fuzz, at + (fuzz->setup.packed ? 12 : 14), 2, script_u16(&fuzz->script));
}

static void step_publish(struct fuzz *fuzz)
{
	uint64_t first = fuzz->slow.taken, ahead = script_u8(&fuzz->script);
	uint16_t size = fuzz->setup.size;

	if (!fuzz->setup.packed) {
		put(fuzz, fuzz->setup.driver + 2, 2, first + ahead);
		return;
	}
	for (uint64_t entry = first; entry < first + ahead; entry++) {
		uint64_t at = fuzz->setup.desc + 16 * (entry % size) + 14;
		uint64_t flags = slow_get(fuzz->ram, at, 2, false) & 0x7f7f;

		put(fuzz, at, 2, flags | (entry / size % 2 ? 0x8000 : 0x80));
	}
}

static void step(struct fuzz *fuzz)
{
	switch ((enum step)(script_u8(&fuzz->script) % STEPS)) {
	case WRITE_BYTES:
		step_write_bytes(fuzz);
		break;
	case WRITE_U16: {
		uint64_t gpa = SLOW_GPA + script_u16(&fuzz->script) % WINDOW_BYTES;

		put(fuzz, gpa, 2, script_u16(&fuzz->script));
		break;
	}
	case PUBLISH:
		step_publish(fuzz);
		break;
	case DESCRIBE:
		step_describe(fuzz);
		break;
	case POP:
		step_pop(fuzz);
		break;
	case PUSH:
		step_push(fuzz);
		break;
	case NOTIFY:
		step_notify(fuzz);
		break;
	case QUIET:
		step_quiet(fuzz);
		break;
	case LISTEN:
		step_listen(fuzz);
		break;
	case MOVE:
		step_move(fuzz);
		break;
	case REMAP:
		step_remap(fuzz);
		break;
	case STEPS:
		break;
	}
}

/* False when the real queue has refused this setup. */
static bool begin(struct fuzz *fuzz)
{
	uint8_t features = script_u8(&fuzz->script), size = script_u8(&fuzz->script);

	fuzz->setup = (struct virtqueue_setup){
		.desc = SLOW_GPA + DESC_OFFSET,
		.driver = SLOW_GPA + DRIVER_OFFSET,
		.device = SLOW_GPA + DEVICE_OFFSET,
		.size = size % (SIZE_LIMIT + 1),
		.packed = features & PACKED,
		.indirect = features & INDIRECT,
		.event_idx = features & EVENT_IDX,
		.big_endian = features & SWAPPED,
		.base = script_u32(&fuzz->script),
	};
	if (virtqueue_start(&fuzz->queue, &fuzz->memory, &fuzz->setup))
		return false;
	start(fuzz);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(4096) uint8_t ram[SLOW_BYTES];
	static struct fuzz fuzz;

	if (!fuzz.ram) {
		fuzz.ram = ram;
		require(memory_add(&fuzz.memory, SLOW_GPA, SLOW_BYTES, ram) == 0);
	}
	memset(ram, 0, WINDOW_BYTES);
	fuzz.script = (struct script){ data, size };
	if (!begin(&fuzz))
		return 0;
	for (unsigned int i = 0; i < STEPS_MAX && fuzz.script.left; i++) {
		memcpy(fuzz.before, ram, WINDOW_BYTES);
		step(&fuzz);
	}
	return 0;
}
