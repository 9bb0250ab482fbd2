/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device under a small, honest driver, all in the test's own process.
 *
 * The rig is the VMM (memory, clock, the calls of struct balloon_host, which it
 * records) and the guest: RAM at address 0, and apart from it the driver's own
 * memory, where rings and buffers stand.  The driver speaks both ring formats,
 * with event indices and indirect tables when they are acknowledged; it kicks
 * when the device asks for it, and holds every returned buffer against what it
 * sent.  A test asks for wrong chains with struct rig_chain.
 *
 *	struct device_rig *rig = rig_new(&(struct rig_options){ .features = RIG_TELL });
 *	rig_touch(rig, 0, 512);
 *	rig_inflate(rig, 0, 512);
 *	rig_settle(rig);
 *	assert_int_equal(rig_resident(rig, 0, 512), 0);
 *	rig_free(rig);
 *
 * A test includes nothing else for cmocka.
 */
#ifndef AEROSTAT_TESTS_DEVICE_RIG_H
#define AEROSTAT_TESTS_DEVICE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/balloon.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)
#define MS UINT64_C(1000000)
#define BLOCK 512u /* pages of 2 MiB */
#define PAGE 4096u

#define RIG_MODERN BALLOON_BIT(VIRTIO_F_VERSION_1)
#define RIG_TELL (RIG_MODERN | BALLOON_BIT(BALLOON_F_MUST_TELL_HOST))
#define RIG_RAM_BYTES (64 * MIB)
#define RIG_DELAY_NS (100 * MS)
#define RIG_DRIVER_GPA (UINT64_C(1) << 40)
#define RIG_DRIVER_BYTES (64 * MIB)
#define RIG_NOWHERE (UINT64_C(1) << 39) /* neither RAM nor the driver's */
#define RIG_SEGMENTS_MAX 64
#define RIG_QUEUE_SIZE_MAX 256

enum rig_backing { RIG_ANONYMOUS, RIG_MEMFD, RIG_TMPFS, RIG_HUGETLB };

struct rig_options {
	uint64_t features;	   /* that the driver acknowledges */
	uint64_t offered;	   /* 0: the same */
	uint64_t ram_bytes;	   /* 0: RIG_RAM_BYTES */
	uint64_t max_bytes;	   /* 0: ram_bytes */
	uint64_t target_bytes;	   /* 0: max */
	uint64_t release_delay_ns; /* 0: RIG_DELAY_NS */
	enum rig_backing backing;
	uint16_t queue_size; /* 0: 64 */
	uint32_t poison;     /* written before DRIVER_OK, unless 0 */
	bool big_endian, populate, audit_release;
	bool max_by_memory; /* the sum of the regions, with the driver's memory */
	bool no_driver;	    /* the test calls rig_start_driver() itself */
};

struct rig_buffer {
	bool sent;
	uint16_t entries;	       /* of the ring */
	uint16_t at[RIG_SEGMENTS_MAX]; /* split: its descriptors */
};

struct rig_queue {
	unsigned int number; /* BALLOON_QUEUES_MAX: there is none */
	uint16_t size;
	uint64_t desc, driver, device;
	uint16_t next_avail, next_used, kicked_at;
	bool avail_wrap, used_wrap;	/* packed */
	bool taken[RIG_QUEUE_SIZE_MAX]; /* split: descriptors in use */
	struct rig_buffer buffers[RIG_QUEUE_SIZE_MAX];
	unsigned int sent, returned, kicks, interrupts;
};

struct rig_ram {
	uint64_t gpa, bytes;
	uint8_t *host; /* as the guest sees it */
	int fd;
	enum rig_backing backing;
};

#define RIG_RAMS_MAX 8

struct device_rig {
	struct rig_options options;
	struct balloon *balloon;
	uint64_t now_ns;
	uint8_t *driver; /* the driver's memory */
	uint64_t brk;	 /* what it has used of it */
	struct rig_ram ram[RIG_RAMS_MAX];
	unsigned int rams;
	struct rig_queue queues[BALLOON_QUEUE_KINDS];
	bool packed, indirect, event_idx;

	/* What the device called. */
	unsigned int events[BALLOON_EVENT_PULL + 1];
	unsigned int config_interrupts, logged;
	char log[256]; /* the last line */
	/* Called from within notify_queue(): used entries are visible, not yet collected. */
	void (*on_interrupt)(struct device_rig *rig, unsigned int queue);
	void *on_interrupt_data;
};

struct device_rig *rig_new(const struct rig_options *options);
void rig_free(struct device_rig *rig);

/*
 * The VMM
 */
void rig_map(struct device_rig *rig, uint64_t gpa, uint64_t bytes, enum rig_backing backing);
/* Takes it from the device, or gives it back; the guest's pages stay what they are. */
void rig_hide(struct device_rig *rig, unsigned int ram);
void rig_show(struct device_rig *rig, unsigned int ram);
/* The driver's own memory. */
void rig_hide_driver(struct device_rig *rig);
void rig_show_driver(struct device_rig *rig);
/* Why hugetlb memory cannot be had here, or NULL. */
const char *rig_no_hugetlb(uint64_t bytes);

/* One step; false when the device has nothing to do now. */
bool rig_step(struct device_rig *rig);
/* Steps until it has nothing to do now; returns how long it wants to wait. */
uint64_t rig_work(struct device_rig *rig);
void rig_pass(struct device_rig *rig, uint64_t ns);
/* Works, and lets time go by, until the device waits for nothing. */
void rig_settle(struct device_rig *rig);
uint64_t rig_count(const struct device_rig *rig, enum balloon_counter counter);
uint64_t rig_faults(const struct device_rig *rig);
struct balloon_info rig_info(const struct device_rig *rig);

/*
 * The guest
 */

/* Features, queues, poison, DRIVER_OK. */
void rig_start_driver(struct device_rig *rig);
/* The parts of that, for tests of what comes between. */
void rig_negotiate(struct device_rig *rig);
void rig_start_queues(struct device_rig *rig);
/* Resets the device; the driver starts again and has forgotten everything. */
void rig_reset(struct device_rig *rig);

/* Memory as the guest sees it; of RAM, or of the driver's. */
void *rig_at(const struct device_rig *rig, uint64_t gpa);
/* Fills each page with a pattern of its own; checks whether pages still have it. */
void rig_touch(struct device_rig *rig, uint32_t pfn, uint32_t count);
bool rig_intact(const struct device_rig *rig, uint32_t pfn, uint32_t count);
/* How many of these pages cost the host memory. */
uint32_t rig_resident(const struct device_rig *rig, uint32_t pfn, uint32_t count);
/* What all files of the guest's RAM hold, by their blocks. */
uint64_t rig_file_bytes(const struct device_rig *rig);
/* The driver's memory, zeroed; comes round again after 48 MiB. */
uint64_t rig_alloc(struct device_rig *rig, uint64_t bytes);

struct rig_segment {
	uint64_t gpa;
	uint32_t length;
	bool writable;
};

struct rig_chain {
	struct rig_segment segments[RIG_SEGMENTS_MAX];
	unsigned int count;
	bool loop; /* the last descriptor leads back to the first */
};

/* Makes a chain available; no kick. */
void rig_send(struct device_rig *rig, enum balloon_queue kind, const struct rig_chain *chain);
void rig_send_one(struct device_rig *rig, enum balloon_queue kind, uint64_t gpa, uint32_t length,
		  bool writable);
/* Tells the device, if it asked for that. */
void rig_kick(struct device_rig *rig, enum balloon_queue kind);
/* Takes what was returned; how many buffers. */
unsigned int rig_collect(struct device_rig *rig, enum balloon_queue kind);
/* How many buffers the device has. */
unsigned int rig_outstanding(struct device_rig *rig, enum balloon_queue kind);

/* A buffer of page numbers, sent, with no kick. */
void rig_send_pfns(struct device_rig *rig, enum balloon_queue kind, const uint32_t *pfns,
		   uint32_t count);
/* [@pfn, @pfn + @count) downwards in buffers of 256, as Linux sends them; @step < 256 for other
 * sizes.  Kicked, not worked on. */
void rig_send_range(struct device_rig *rig, enum balloon_queue kind, uint32_t pfn, uint32_t count,
		    uint32_t step);
/* The same, and waits for the acknowledgement. */
void rig_inflate(struct device_rig *rig, uint32_t pfn, uint32_t count);
void rig_deflate(struct device_rig *rig, uint32_t pfn, uint32_t count);

/* Numbers in the driver's byte order. */
void rig_put(struct device_rig *rig, uint64_t gpa, unsigned int bytes, uint64_t value);
uint64_t rig_get(const struct device_rig *rig, uint64_t gpa, unsigned int bytes);

/* A field of the configuration, always little-endian. */
uint32_t rig_config(const struct device_rig *rig, unsigned int offset);
void rig_set_config(struct device_rig *rig, unsigned int offset, uint32_t value);
#define RIG_NUM_PAGES 0
#define RIG_ACTUAL 4
#define RIG_HINT_ID 8
#define RIG_POISON 12

/* device_rig_ring.c, for device_rig.c: a queue of the rig's at the start, and its setup. */
void rig_ring_init(struct device_rig *rig, enum balloon_queue kind);
struct virtqueue_setup rig_ring_setup(const struct rig_queue *queue);

#endif
