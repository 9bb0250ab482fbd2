/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole device, with a driver and a host that do what the input says, and
 * 8 MiB of memory: half of it private, half a memfd.
 *
 * The input is a byte of options and then steps: a byte that selects the step
 * (modulo their number), and its arguments.  See enum step, and
 * fuzz/corpus/device/ for examples.  Besides crashes, this looks for impossible
 * numbers, and for work that does not end although nothing is requested.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/harness.h"

#define REGION_BYTES UINT64_C(0x400000)
#define REGIONS 2
#define HOLE_BYTES UINT64_C(0x200000) /* between the regions */
/* Rings and buffers are at the start of the first region; only there is written. */
#define WINDOW_BYTES 0x10000u
#define RING_BYTES 0x2000u /* queue number n has its rings at n times this */
#define DRIVER_OFFSET 0x1000
#define DEVICE_OFFSET 0x1800
#define BUFFERS_OFFSET 0xc000
#define BLOCK_PAGES 512u
#define BLOCKS 6u /* of 2 MiB, with the hole and one beyond the end */
#define STEPS_MAX 300
#define WORK_MAX 20000

/*
 * HUGE: the second region has huge pages of two blocks, as hugetlbfs of 1 GiB has of 512.
 * WANTED: the device begins with a target.
 */
enum option { POPULATE = 1, AUDIT_RELEASE = 2, SMALL_MAX = 4, LATE = 8, HUGE = 16, WANTED = 32 };

enum step {
	WRITE_BYTES,  /* u16 offset, u8 count, bytes */
	WRITE_PFNS,   /* u8 count, u16 first page, u8 step: an array of them at BUFFERS_OFFSET */
	DESCRIBE,     /* u8 queue, u8 entry, u32 address, u16 length, u16 flags, u16 next or id */
	OFFER,	      /* u8 queue, u8: the head, or packed how many entries */
	OFFER_BUFFER, /* u8 queue, u32 address, u16 length, u8 flags: a chain of one */
	FEATURES,     /* u8: the balloon's own, u8: packed, event_idx, indirect, version_1 */
	START,	      /* u8 queue, u8 size, u8: with a base, u32 base */
	STOP,	      /* u8 queue */
	DRIVER_OK,
	KICK, /* u8 queue */
	WORK, /* u8 steps */
	RESET,
	CONFIG_WRITE, /* u16 offset, u8 count, bytes */
	CONFIG_READ,  /* u32 offset, u8 count */
	TARGET,	      /* u32 pages */
	STATS,
	HINT,	   /* u8: start, stop, done */
	REPORTING, /* u8: on, off */
	AUDIT,
	TIME,  /* u16 milliseconds */
	UNMAP, /* u8 region */
	MAP,   /* u8 region */
	BIG_ENDIAN_ON,
	SEND_BLOCKS, /* u8 queue, u8 first block, u8 count: all their pages, a buffer per block */
	TOUCH,	     /* u8 page of the second block, as a guest that uses what it gave away */
	STEPS
};

struct fuzz {
	struct script script;
	struct harness harness;
	uint8_t *host[REGIONS];
	int fd; /* of the second region */
	bool huge;
	bool mapped[REGIONS];
	bool swap;
	uint16_t size[BALLOON_QUEUES_MAX];
	uint64_t offered[BALLOON_QUEUES_MAX]; /* entries of the ring */
	uint64_t counters[BALLOON_C_COUNT];
};

/*
 * The host
 */
static void hint_sink(void *data, uint64_t gpa, uint64_t size)
{
	(void)data;
	require(size > 0 && gpa + size > gpa);
}

static uint64_t region_gpa(unsigned int region)
{
	return region * (REGION_BYTES + HOLE_BYTES);
}

/* Real ones would need far more memory than a fuzzer may use. */
static void enlarge_pages(struct fuzz *fuzz)
{
	struct memory *memory = (struct memory *)balloon_memory(fuzz->harness.balloon);
	struct memory_region *region = &memory->regions[memory->count - 1];

	region->backing = MEMORY_HUGETLB;
	region->page_bytes = REGION_BYTES;
}

static void map(struct fuzz *fuzz, unsigned int region)
{
	int fd, error;

	if (fuzz->mapped[region])
		return;
	if (region == 0) {
		error = balloon_add(fuzz->harness.balloon, 0, REGION_BYTES, fuzz->host[0]);
	} else {
		fd = dup(fuzz->fd);
		require(fd >= 0);
		error = balloon_map(fuzz->harness.balloon, region_gpa(region), REGION_BYTES, fd, 0,
				    true);
		if (error)
			close(fd);
	}
	require(error == 0);
	fuzz->mapped[region] = true;
	if (region == 1 && fuzz->huge)
		enlarge_pages(fuzz);
}

static void unmap(struct fuzz *fuzz, unsigned int region)
{
	int removed = balloon_unmap(fuzz->harness.balloon, region_gpa(region), REGION_BYTES);

	require(removed == (fuzz->mapped[region] ? 1 : 0));
	fuzz->mapped[region] = false;
}

/* Checks numbers that must make sense at any time. */
static void check(struct fuzz *fuzz)
{
	struct balloon_info info;

	balloon_info(fuzz->harness.balloon, &info);
	require(info.target_bytes <= info.max_bytes);
	require(info.actual_bytes <= info.max_bytes);
	require(info.pending_bytes <= info.ballooned_bytes);
	for (unsigned int i = 0; i < BALLOON_C_COUNT; i++) {
		uint64_t count = balloon_counter(fuzz->harness.balloon, (enum balloon_counter)i);

		require(count >= fuzz->counters[i]);
		fuzz->counters[i] = count;
	}
	require(balloon_stats(fuzz->harness.balloon)->unknown_count <= BALLOON_STATS_UNKNOWN_MAX);
	require(balloon_queue_count(fuzz->harness.balloon) <= BALLOON_QUEUES_MAX);
}

/*
 * The driver
 */
static bool acknowledged(const struct fuzz *fuzz, enum balloon_feature feature)
{
	return balloon_acknowledged(fuzz->harness.balloon) & BALLOON_BIT(feature);
}

static void put(struct fuzz *fuzz, uint64_t offset, unsigned int bytes, uint64_t value)
{
	if (offset > WINDOW_BYTES - bytes)
		return;
	for (unsigned int i = 0; i < bytes; i++, value >>= 8)
		fuzz->host[0][offset + (fuzz->swap ? bytes - 1 - i : i)] = (uint8_t)value;
}

static unsigned int take_queue(struct fuzz *fuzz)
{
	return script_u8(&fuzz->script) % BALLOON_QUEUES_MAX;
}

static uint64_t ring_of(unsigned int queue)
{
	return queue * (uint64_t)RING_BYTES;
}

static void put_desc(struct fuzz *fuzz, uint64_t at, uint64_t gpa, uint32_t length,
		     unsigned int flags, unsigned int other)
{
	bool packed = acknowledged(fuzz, VIRTIO_F_RING_PACKED);

	put(fuzz, at, 8, gpa);
	put(fuzz, at + 8, 4, length);
	put(fuzz, at + (packed ? 14 : 12), 2, flags);
	put(fuzz, at + (packed ? 12 : 14), 2, other);
}

static void step_describe(struct fuzz *fuzz)
{
	unsigned int queue = take_queue(fuzz);
	uint64_t at = ring_of(queue) + 16u * script_u8(&fuzz->script);
	uint64_t gpa = script_u32(&fuzz->script);
	uint32_t length = script_u16(&fuzz->script);
	unsigned int flags = script_u16(&fuzz->script);

	put_desc(fuzz, at, gpa, length, flags, script_u16(&fuzz->script));
}

static unsigned int available_flags(const struct fuzz *fuzz, unsigned int queue, uint64_t entry)
{
	return entry / fuzz->size[queue] % 2 ? 0x8000 : 0x80;
}

static void offer_head(struct fuzz *fuzz, unsigned int queue, unsigned int head)
{
	uint64_t ring = ring_of(queue) + DRIVER_OFFSET;

	put(fuzz, ring + 4 + 2 * (fuzz->offered[queue] % fuzz->size[queue]), 2, head);
	put(fuzz, ring + 2, 2, ++fuzz->offered[queue]);
}

static void step_offer(struct fuzz *fuzz)
{
	unsigned int queue = take_queue(fuzz), what = script_u8(&fuzz->script);

	if (!fuzz->size[queue])
		return;
	if (!acknowledged(fuzz, VIRTIO_F_RING_PACKED)) {
		offer_head(fuzz, queue, what);
		return;
	}
	while (what--) {
		uint64_t entry = fuzz->offered[queue]++;
		uint64_t at = ring_of(queue) + 16 * (entry % fuzz->size[queue]) + 14;
		unsigned int flags = fuzz->host[0][at] | fuzz->host[0][at + 1] << 8;

		put(fuzz, at, 2, (flags & 0x7f7f) | available_flags(fuzz, queue, entry));
	}
}

static void offer_buffer(struct fuzz *fuzz, unsigned int queue, uint64_t gpa, uint32_t length,
			 unsigned int flags)
{
	uint64_t entry = fuzz->offered[queue];

	if (!fuzz->size[queue])
		return;
	if (acknowledged(fuzz, VIRTIO_F_RING_PACKED)) {
		put_desc(fuzz, ring_of(queue) + 16 * (entry % fuzz->size[queue]), gpa, length,
			 (flags & 0x7f) | available_flags(fuzz, queue, entry), (uint16_t)entry);
		fuzz->offered[queue]++;
		return;
	}
	put_desc(fuzz, ring_of(queue) + 16 * (entry % fuzz->size[queue]), gpa, length, flags, 0);
	offer_head(fuzz, queue, (unsigned int)(entry % fuzz->size[queue]));
}

static void step_offer_buffer(struct fuzz *fuzz)
{
	unsigned int queue = take_queue(fuzz);
	uint64_t gpa = script_u32(&fuzz->script);
	uint32_t length = script_u16(&fuzz->script);

	offer_buffer(fuzz, queue, gpa, length, script_u8(&fuzz->script) & ~1u); /* no NEXT */
}

/* Without this a fuzzer would have to find all 512 pages of a block to see one released. */
static void step_send_blocks(struct fuzz *fuzz)
{
	unsigned int queue = take_queue(fuzz), block = script_u8(&fuzz->script) % BLOCKS;

	for (unsigned int left = script_u8(&fuzz->script) % BLOCKS + 1; left > 0; left--, block++) {
		for (unsigned int i = 0; i < BLOCK_PAGES; i++)
			put(fuzz, BUFFERS_OFFSET + 4 * i, 4, block * BLOCK_PAGES + i);
		offer_buffer(fuzz, queue, BUFFERS_OFFSET, 4 * BLOCK_PAGES, 0);
		balloon_kick(fuzz->harness.balloon, queue);
		for (unsigned int i = 0; i < 4; i++)
			balloon_work(fuzz->harness.balloon);
	}
}

static void step_touch(struct fuzz *fuzz)
{
	fuzz->host[0][REGION_BYTES / 2 + script_u8(&fuzz->script) * UINT64_C(4096)] = 1;
}

static void step_write_pfns(struct fuzz *fuzz)
{
	unsigned int count = script_u8(&fuzz->script);
	uint32_t pfn = script_u16(&fuzz->script);
	uint32_t stride = script_u8(&fuzz->script);

	for (unsigned int i = 0; i < count; i++, pfn += stride)
		put(fuzz, BUFFERS_OFFSET + 4 * i, 4, pfn);
}

static void step_write_bytes(struct fuzz *fuzz)
{
	uint16_t offset = script_u16(&fuzz->script);
	const uint8_t *bytes;
	size_t count = script_bytes(&fuzz->script, script_u8(&fuzz->script), &bytes);

	if (count > WINDOW_BYTES - offset)
		count = WINDOW_BYTES - offset;
	if (count)
		memcpy(fuzz->host[0] + offset, bytes, count);
}

static void step_features(struct fuzz *fuzz)
{
	static const enum balloon_feature rest[] = { VIRTIO_F_RING_PACKED, VIRTIO_F_RING_EVENT_IDX,
						     VIRTIO_F_RING_INDIRECT_DESC,
						     VIRTIO_F_VERSION_1 };
	uint64_t features = script_u8(&fuzz->script);
	unsigned int others = script_u8(&fuzz->script);

	/* As with every transport: a driver acknowledges once, before it sets up queues. */
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		if (fuzz->size[i])
			return;
	for (unsigned int i = 0; i < 4; i++)
		if (others >> i & 1)
			features |= BALLOON_BIT(rest[i]);
	balloon_set_features(fuzz->harness.balloon, features);
}

static void step_start(struct fuzz *fuzz)
{
	unsigned int queue = take_queue(fuzz);
	struct virtqueue_setup setup = {
		.desc = ring_of(queue),
		.driver = ring_of(queue) + DRIVER_OFFSET,
		.device = ring_of(queue) + DEVICE_OFFSET,
		.size = script_u8(&fuzz->script),
	};
	bool with_base = script_u8(&fuzz->script) & 1;
	uint32_t base = script_u32(&fuzz->script);

	if (balloon_queue_start(fuzz->harness.balloon, queue, &setup, with_base ? &base : NULL))
		return;
	fuzz->size[queue] = setup.size;
	fuzz->offered[queue] = 0;
	if (with_base)
		fuzz->offered[queue] = base & 0x7fff;
	if (with_base && acknowledged(fuzz, VIRTIO_F_RING_PACKED) && !(base & 0x8000))
		fuzz->offered[queue] += setup.size;
}

static void step_stop(struct fuzz *fuzz)
{
	unsigned int queue = take_queue(fuzz);

	balloon_queue_stop(fuzz->harness.balloon, queue);
	fuzz->size[queue] = 0;
}

static void step_reset(struct fuzz *fuzz)
{
	struct balloon_info info;

	balloon_reset(fuzz->harness.balloon);
	balloon_info(fuzz->harness.balloon, &info);
	require(info.ballooned_bytes == 0 && info.pending_bytes == 0);
	require(!balloon_needs_reset(fuzz->harness.balloon) &&
		!balloon_is_driver_ok(fuzz->harness.balloon));
	memset(fuzz->size, 0, sizeof(fuzz->size));
	fuzz->swap = false;
}

static void step_big_endian(struct fuzz *fuzz)
{
	/* Only legacy drivers, which do not have VERSION_1, are big-endian. */
	if (acknowledged(fuzz, VIRTIO_F_VERSION_1) || acknowledged(fuzz, VIRTIO_F_RING_PACKED))
		return;
	fuzz->swap = true;
	balloon_set_big_endian(fuzz->harness.balloon, true);
}

static void step_config(struct fuzz *fuzz, bool write)
{
	uint32_t offset = write ? script_u16(&fuzz->script) : script_u32(&fuzz->script);
	uint8_t count = script_u8(&fuzz->script), bytes[256];
	const uint8_t *from;

	if (write) {
		count = (uint8_t)script_bytes(&fuzz->script, count, &from);
		balloon_config_write(fuzz->harness.balloon, offset, from, count);
		return;
	}
	memset(bytes, 0xa5, sizeof(bytes));
	balloon_config_read(fuzz->harness.balloon, offset, bytes, count);
	require(bytes[count] == 0xa5);
	for (unsigned int i = 0; offset >= BALLOON_CONFIG_READABLE_BYTES && i < count; i++)
		require(bytes[i] == 0);
}

static void step_hint(struct fuzz *fuzz)
{
	switch (script_u8(&fuzz->script) % 3) {
	case 0:
		balloon_hint_start(fuzz->harness.balloon);
		break;
	case 1:
		balloon_hint_stop(fuzz->harness.balloon);
		break;
	default:
		balloon_hint_done(fuzz->harness.balloon);
		break;
	}
}

/* Does a step of the driver; false when @what is not one. */
static bool driver_step(struct fuzz *fuzz, enum step what)
{
	if (what == WRITE_BYTES)
		step_write_bytes(fuzz);
	else if (what == WRITE_PFNS)
		step_write_pfns(fuzz);
	else if (what == DESCRIBE)
		step_describe(fuzz);
	else if (what == OFFER)
		step_offer(fuzz);
	else if (what == OFFER_BUFFER)
		step_offer_buffer(fuzz);
	else if (what == FEATURES)
		step_features(fuzz);
	else if (what == START)
		step_start(fuzz);
	else if (what == STOP)
		step_stop(fuzz);
	else if (what == DRIVER_OK)
		balloon_driver_ok(fuzz->harness.balloon);
	else if (what == KICK)
		balloon_kick(fuzz->harness.balloon, script_u8(&fuzz->script));
	else if (what == RESET)
		step_reset(fuzz);
	else if (what == CONFIG_WRITE || what == CONFIG_READ)
		step_config(fuzz, what == CONFIG_WRITE);
	else if (what == BIG_ENDIAN_ON)
		step_big_endian(fuzz);
	else if (what == SEND_BLOCKS)
		step_send_blocks(fuzz);
	else if (what == TOUCH)
		step_touch(fuzz);
	else
		return false;
	return true;
}

static void host_step(struct fuzz *fuzz, enum step what)
{
	if (what == WORK)
		for (unsigned int i = script_u8(&fuzz->script); i > 0; i--)
			balloon_work(fuzz->harness.balloon);
	else if (what == TARGET)
		balloon_set_target(fuzz->harness.balloon,
				   script_u32(&fuzz->script) * MEMORY_PAGE_BYTES);
	else if (what == STATS)
		balloon_request_stats(fuzz->harness.balloon);
	else if (what == HINT)
		step_hint(fuzz);
	else if (what == REPORTING)
		balloon_set_reporting(fuzz->harness.balloon, script_u8(&fuzz->script) & 1);
	else if (what == AUDIT)
		balloon_audit_start(fuzz->harness.balloon);
	else if (what == TIME)
		fuzz->harness.now_ns += script_u16(&fuzz->script) * UINT64_C(1000000);
	else if (what == UNMAP)
		unmap(fuzz, script_u8(&fuzz->script) % REGIONS);
	else if (what == MAP)
		map(fuzz, script_u8(&fuzz->script) % REGIONS);
}

static void begin(struct fuzz *fuzz)
{
	const struct balloon_host host = harness_host(&fuzz->harness);
	struct balloon_options options = { .release_delay_ns = BALLOON_RELEASE_DELAY_NS };
	uint8_t bits = script_u8(&fuzz->script);

	for (size_t i = 0; i < balloon_feature_count; i++)
		options.features |= BALLOON_BIT(balloon_features[i].bit);
	fuzz->huge = bits & HUGE;
	options.populate = bits & POPULATE;
	options.audit_release = bits & AUDIT_RELEASE;
	options.max_bytes = bits & SMALL_MAX ? REGION_BYTES / 2 : 0;
	options.target_bytes = bits & WANTED ? REGION_BYTES : 0;
	fuzz->harness.balloon = balloon_new(&options, &host);
	require(fuzz->harness.balloon);
	balloon_set_hint_sink(fuzz->harness.balloon, hint_sink, fuzz);
	for (unsigned int i = 0; i < REGIONS && !(bits & LATE); i++)
		map(fuzz, i);
}

/*
 * Without kicks and with a clock that goes on, all work ends.  (A driver whose
 * rings overlap can have the device make buffers available: its rings go first.)
 */
static void end(struct fuzz *fuzz)
{
	unsigned int steps = 0;
	uint64_t wait_ns;

	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
		balloon_queue_stop(fuzz->harness.balloon, i);
	while ((wait_ns = balloon_work(fuzz->harness.balloon)) != BALLOON_IDLE) {
		require(++steps < WORK_MAX);
		fuzz->harness.now_ns += wait_ns;
	}
	check(fuzz);
	balloon_free(fuzz->harness.balloon);
}

static void once(struct fuzz *fuzz)
{
	fuzz->host[0] = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(fuzz->host[0] != MAP_FAILED);
	fuzz->fd = memory_file(REGION_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz kept;
	struct fuzz fuzz;

	if (!kept.host[0])
		once(&kept);
	fuzz = kept;
	fuzz.script = (struct script){ data, size };
	fuzz.harness.now_ns = 1;
	memset(fuzz.host[0], 0, WINDOW_BYTES);
	begin(&fuzz);
	for (unsigned int i = 0; i < STEPS_MAX && fuzz.script.left; i++) {
		enum step what = script_u8(&fuzz.script) % STEPS;

		if (!driver_step(&fuzz, what))
			host_step(&fuzz, what);
		check(&fuzz);
	}
	end(&fuzz);
	return 0;
}
