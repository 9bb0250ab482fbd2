/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/device_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEPS_MAX 100000 /* work that takes more has no end */
#define ALLOC_ROUND (RIG_DRIVER_BYTES / 4 * 3)

/*
 * The host's calls
 */

static void notify_queue(void *data, unsigned int queue)
{
	struct device_rig *rig = data;

	assert_true(queue < balloon_queue_count(rig->balloon));
	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++)
		if (rig->queues[kind].number == queue)
			rig->queues[kind].interrupts++;
	if (rig->on_interrupt)
		rig->on_interrupt(rig, queue);
}

static void notify_config(void *data)
{
	struct device_rig *rig = data;

	rig->config_interrupts++;
}

static void event(void *data, enum balloon_event what)
{
	struct device_rig *rig = data;

	assert_true(what <= BALLOON_EVENT_PULL);
	rig->events[what]++;
}

static void log_line(void *data, const char *line)
{
	struct device_rig *rig = data;

	assert_null(strchr(line, '\n'));
	rig->logged++;
	snprintf(rig->log, sizeof(rig->log), "%s", line);
}

static uint64_t clock_ns(void *data)
{
	return ((struct device_rig *)data)->now_ns;
}

/*
 * Memory
 */

static int open_backing(enum rig_backing backing)
{
	char path[] = "/dev/shm/aerostat-XXXXXX";
	int fd;

	if (backing == RIG_MEMFD)
		return memfd_create("rig", MFD_CLOEXEC);
	if (backing == RIG_HUGETLB)
		return memfd_create("rig", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	fd = mkostemp(path, O_CLOEXEC);
	unlink(path);
	return fd;
}

void rig_map(struct device_rig *rig, uint64_t gpa, uint64_t bytes, enum rig_backing backing)
{
	struct rig_ram *ram = &rig->ram[rig->rams++];

	assert_true(rig->rams <= RIG_RAMS_MAX);
	*ram = (struct rig_ram){ .gpa = gpa, .bytes = bytes, .fd = -1, .backing = backing };
	if (backing == RIG_ANONYMOUS) {
		ram->host = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		assert_ptr_not_equal(ram->host, MAP_FAILED);
		madvise(ram->host, bytes, MADV_NOHUGEPAGE);
	} else {
		ram->fd = open_backing(backing);
		assert_true(ram->fd >= 0);
		assert_int_equal(ftruncate(ram->fd, (off_t)bytes), 0);
		ram->host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
		assert_ptr_not_equal(ram->host, MAP_FAILED);
	}
	rig_show(rig, rig->rams - 1);
}

void rig_hide(struct device_rig *rig, unsigned int ram)
{
	assert_int_equal(balloon_unmap(rig->balloon, rig->ram[ram].gpa, rig->ram[ram].bytes), 1);
}

void rig_show(struct device_rig *rig, unsigned int ram)
{
	const struct rig_ram *what = &rig->ram[ram];

	if (what->fd < 0)
		assert_int_equal(balloon_add(rig->balloon, what->gpa, what->bytes, what->host), 0);
	else
		assert_int_equal(
			balloon_map(rig->balloon, what->gpa, what->bytes, dup(what->fd), 0, true),
			0);
}

void rig_hide_driver(struct device_rig *rig)
{
	assert_int_equal(balloon_unmap(rig->balloon, RIG_DRIVER_GPA, RIG_DRIVER_BYTES), 1);
}

void rig_show_driver(struct device_rig *rig)
{
	assert_int_equal(balloon_add(rig->balloon, RIG_DRIVER_GPA, RIG_DRIVER_BYTES, rig->driver),
			 0);
}

const char *rig_no_hugetlb(uint64_t bytes)
{
	int fd = open_backing(RIG_HUGETLB);
	void *host = MAP_FAILED;

	if (fd < 0)
		return "this kernel has no huge pages of 2 MiB";
	if (ftruncate(fd, (off_t)bytes) == 0)
		host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (host == MAP_FAILED)
		return "no huge pages are reserved (/proc/sys/vm/nr_hugepages)";
	munmap(host, bytes);
	return NULL;
}

void *rig_at(const struct device_rig *rig, uint64_t gpa)
{
	for (unsigned int i = 0; i < rig->rams; i++)
		if (gpa >= rig->ram[i].gpa && gpa - rig->ram[i].gpa < rig->ram[i].bytes)
			return rig->ram[i].host + (gpa - rig->ram[i].gpa);
	assert_true(gpa >= RIG_DRIVER_GPA && gpa - RIG_DRIVER_GPA < RIG_DRIVER_BYTES);
	return rig->driver + (gpa - RIG_DRIVER_GPA);
}

static uint64_t stamp(uint32_t pfn, unsigned int word)
{
	return ((uint64_t)pfn << 16 | word) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static uint64_t *page_at(const struct device_rig *rig, uint32_t pfn)
{
	return rig_at(rig, (uint64_t)pfn * PAGE);
}

void rig_touch(struct device_rig *rig, uint32_t pfn, uint32_t count)
{
	for (; count; count--, pfn++)
		for (unsigned int word = 0; word < PAGE / 8; word += PAGE / 8 - 1)
			page_at(rig, pfn)[word] = stamp(pfn, word);
}

bool rig_intact(const struct device_rig *rig, uint32_t pfn, uint32_t count)
{
	for (; count; count--, pfn++)
		for (unsigned int word = 0; word < PAGE / 8; word += PAGE / 8 - 1)
			if (page_at(rig, pfn)[word] != stamp(pfn, word))
				return false;
	return true;
}

uint32_t rig_resident(const struct device_rig *rig, uint32_t pfn, uint32_t count)
{
	uint32_t pages = 0;

	for (; count; count--, pfn++) {
		unsigned char resident = 0;

		assert_int_equal(mincore(page_at(rig, pfn), PAGE, &resident), 0);
		pages += resident & 1;
	}
	return pages;
}

uint64_t rig_file_bytes(const struct device_rig *rig)
{
	uint64_t bytes = 0;
	struct stat st;

	for (unsigned int i = 0; i < rig->rams; i++) {
		if (rig->ram[i].fd < 0)
			continue;
		assert_int_equal(fstat(rig->ram[i].fd, &st), 0);
		bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

uint64_t rig_alloc(struct device_rig *rig, uint64_t bytes)
{
	uint64_t whole = (bytes + 63) & ~UINT64_C(63);

	assert_true(whole <= ALLOC_ROUND);
	/* The last quarter is that of the rings. */
	if (rig->brk + whole > ALLOC_ROUND)
		rig->brk = 0;
	rig->brk += whole;
	memset(rig->driver + rig->brk - whole, 0, whole);
	return RIG_DRIVER_GPA + rig->brk - whole;
}

/*
 * The rig
 */

static void fill_in(struct rig_options *options)
{
	if (!options->offered)
		options->offered = options->features;
	if (!options->ram_bytes)
		options->ram_bytes = RIG_RAM_BYTES;
	if (!options->max_bytes && !options->max_by_memory)
		options->max_bytes = options->ram_bytes;
	if (!options->release_delay_ns)
		options->release_delay_ns = RIG_DELAY_NS;
	if (!options->queue_size)
		options->queue_size = 64;
}

static struct balloon *make_balloon(struct device_rig *rig)
{
	const struct balloon_options options = {
		.features = rig->options.offered,
		.max_bytes = rig->options.max_bytes,
		.target_bytes = rig->options.target_bytes,
		.release_delay_ns = rig->options.release_delay_ns,
		.populate = rig->options.populate,
		.audit_release = rig->options.audit_release,
	};
	const struct balloon_host host = {
		.notify_queue = notify_queue,
		.notify_config = notify_config,
		.event = event,
		.log = log_line,
		.now_ns = clock_ns,
		.data = rig,
	};

	return balloon_new(&options, &host);
}

struct device_rig *rig_new(const struct rig_options *options)
{
	struct device_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->options = *options;
	fill_in(&rig->options);
	rig->now_ns = 1000 * MS;
	rig->balloon = make_balloon(rig);
	assert_non_null(rig->balloon);
	rig->driver = mmap(NULL, RIG_DRIVER_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(rig->driver, MAP_FAILED);
	rig_map(rig, 0, rig->options.ram_bytes, rig->options.backing);
	rig_show_driver(rig);
	if (!rig->options.no_driver)
		rig_start_driver(rig);
	return rig;
}

void rig_free(struct device_rig *rig)
{
	balloon_free(rig->balloon);
	for (unsigned int i = 0; i < rig->rams; i++) {
		munmap(rig->ram[i].host, rig->ram[i].bytes);
		if (rig->ram[i].fd >= 0)
			close(rig->ram[i].fd);
	}
	munmap(rig->driver, RIG_DRIVER_BYTES);
	free(rig);
}

/*
 * The driver
 */

void rig_negotiate(struct device_rig *rig)
{
	uint64_t features = rig->options.features;

	balloon_set_big_endian(rig->balloon, rig->options.big_endian);
	assert_true(balloon_set_features(rig->balloon, features));
	rig->packed = features & BALLOON_BIT(VIRTIO_F_RING_PACKED);
	rig->indirect = features & BALLOON_BIT(VIRTIO_F_RING_INDIRECT_DESC);
	rig->event_idx = features & BALLOON_BIT(VIRTIO_F_RING_EVENT_IDX);
}

static bool has_queue(const struct device_rig *rig, enum balloon_queue kind)
{
	static const uint64_t needs[BALLOON_QUEUE_KINDS] = {
		[BALLOON_STATS] = BALLOON_BIT(BALLOON_F_STATS_VQ),
		[BALLOON_FREE_PAGE] = BALLOON_BIT(BALLOON_F_FREE_PAGE_HINT),
		[BALLOON_REPORTING] = BALLOON_BIT(BALLOON_F_PAGE_REPORTING),
	};

	return (rig->options.features & needs[kind]) == needs[kind];
}

void rig_start_queues(struct device_rig *rig)
{
	unsigned int number = 0;

	for (enum balloon_queue kind = 0; kind < BALLOON_QUEUE_KINDS; kind++) {
		struct rig_queue *queue = &rig->queues[kind];
		struct virtqueue_setup setup;

		rig_ring_init(rig, kind);
		queue->number = has_queue(rig, kind) ? number++ : BALLOON_QUEUES_MAX;
		if (queue->number == BALLOON_QUEUES_MAX)
			continue;
		setup = rig_ring_setup(queue);
		assert_int_equal(balloon_queue_start(rig->balloon, queue->number, &setup, NULL), 0);
	}
}

void rig_start_driver(struct device_rig *rig)
{
	rig_negotiate(rig);
	rig_start_queues(rig);
	if (rig->options.poison)
		rig_set_config(rig, RIG_POISON, rig->options.poison);
	balloon_driver_ok(rig->balloon);
	rig_work(rig);
}

void rig_reset(struct device_rig *rig)
{
	balloon_reset(rig->balloon);
	rig_start_driver(rig);
}

bool rig_step(struct device_rig *rig)
{
	return balloon_work(rig->balloon) == 0;
}

uint64_t rig_work(struct device_rig *rig)
{
	uint64_t wait = 0;

	for (unsigned int steps = 0; wait == 0; steps++) {
		assert_true(steps < STEPS_MAX);
		wait = balloon_work(rig->balloon);
	}
	return wait;
}

void rig_pass(struct device_rig *rig, uint64_t ns)
{
	rig->now_ns += ns;
}

void rig_settle(struct device_rig *rig)
{
	uint64_t wait;

	for (unsigned int rounds = 0; (wait = rig_work(rig)) != BALLOON_IDLE; rounds++) {
		assert_true(rounds < STEPS_MAX);
		rig_pass(rig, wait);
	}
}

uint64_t rig_count(const struct device_rig *rig, enum balloon_counter counter)
{
	return balloon_counter(rig->balloon, counter);
}

uint64_t rig_faults(const struct device_rig *rig)
{
	uint64_t faults = 0;

	for (enum balloon_counter i = BALLOON_C_FAULT_CHAIN; i < BALLOON_C_COUNT; i++)
		faults += rig_count(rig, i);
	return faults;
}

struct balloon_info rig_info(const struct device_rig *rig)
{
	struct balloon_info info;

	balloon_info(rig->balloon, &info);
	return info;
}

void rig_put(struct device_rig *rig, uint64_t gpa, unsigned int bytes, uint64_t value)
{
	uint8_t *at = rig_at(rig, gpa);

	for (unsigned int i = 0; i < bytes; i++)
		at[rig->options.big_endian ? bytes - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

uint64_t rig_get(const struct device_rig *rig, uint64_t gpa, unsigned int bytes)
{
	const uint8_t *at = rig_at(rig, gpa);
	uint64_t value = 0;

	for (unsigned int i = bytes; i--;)
		value = value << 8 | at[rig->options.big_endian ? bytes - 1 - i : i];
	return value;
}

uint32_t rig_config(const struct device_rig *rig, unsigned int offset)
{
	uint8_t bytes[4];

	balloon_config_read(rig->balloon, offset, bytes, sizeof(bytes));
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

void rig_set_config(struct device_rig *rig, unsigned int offset, uint32_t value)
{
	const uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
				   (uint8_t)(value >> 24) };

	balloon_config_write(rig->balloon, offset, bytes, sizeof(bytes));
}

void rig_send_pfns(struct device_rig *rig, enum balloon_queue kind, const uint32_t *pfns,
		   uint32_t count)
{
	uint64_t gpa = rig_alloc(rig, count * 4);

	for (uint32_t i = 0; i < count; i++)
		rig_put(rig, gpa + i * 4, 4, pfns[i]);
	rig_send_one(rig, kind, gpa, count * 4, false);
}

void rig_send_range(struct device_rig *rig, enum balloon_queue kind, uint32_t pfn, uint32_t count,
		    uint32_t step)
{
	uint32_t pfns[256], sent = 0;

	assert_in_range(step, 1, 256);
	while (sent < count) {
		uint32_t piece = count - sent < step ? count - sent : step;

		for (uint32_t i = 0; i < piece; i++)
			pfns[i] = pfn + count - 1 - sent - i;
		if (rig_outstanding(rig, kind) == rig->queues[kind].size) {
			rig_kick(rig, kind);
			rig_work(rig);
		}
		rig_send_pfns(rig, kind, pfns, piece);
		sent += piece;
	}
	rig_kick(rig, kind);
}

static void tell(struct device_rig *rig, enum balloon_queue kind, uint32_t pfn, uint32_t count)
{
	rig_send_range(rig, kind, pfn, count, 256);
	rig_work(rig);
	assert_int_equal(rig_outstanding(rig, kind), 0);
}

void rig_inflate(struct device_rig *rig, uint32_t pfn, uint32_t count)
{
	tell(rig, BALLOON_INFLATE, pfn, count);
}

void rig_deflate(struct device_rig *rig, uint32_t pfn, uint32_t count)
{
	tell(rig, BALLOON_DEFLATE, pfn, count);
}
