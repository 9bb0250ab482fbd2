/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The traditional memory balloon device (VIRTIO 1.2, 5.5; device id 5).
 *
 * Theory of operation
 * -------------------
 * A plain state machine: its host calls it with what happened (memory came, the
 * driver acknowledged features, a queue was kicked) and then lets it work, a
 * bounded step at a time:
 *
 *	balloon_kick(balloon, queue);
 *	wait_ns = balloon_work(balloon);	// until wait_ns is not 0
 *
 * It has no thread, no clock, no file and no socket of its own; what it needs
 * from outside is in struct balloon_host.  No step takes longer than a few
 * milliseconds, so that a host with one thread never answers its VMM late.
 *
 * An inflated page is marked in the account (pages.h) and its buffer returned
 * at once; the memory behind it is released a little later, in whole 2 MiB
 * blocks where they become complete, the rest after release_delay_ns.  Before
 * a deflate is acknowledged the releases that still wait for its pages are
 * cancelled.  That is legal only with MUST_TELL_HOST: without it the driver
 * may use a page before it says so, and buffers are returned only after their
 * pages are released.
 *
 * What a guest says is checked and counted, never believed.  A wrong buffer is
 * returned with length 0; a ring that makes no sense breaks the device until
 * the driver resets it (DEVICE_NEEDS_RESET).  No allocation depends on a
 * guest: balloon_map() makes those that its RAM needs.
 */
#ifndef AEROSTAT_DEVICE_BALLOON_H
#define AEROSTAT_DEVICE_BALLOON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/memory.h"
#include "device/virtqueue.h"

#define BALLOON_VIRTIO_ID 5
#define BALLOON_CONFIG_BYTES 16
#define BALLOON_QUEUES_MAX 5
#define BALLOON_QUEUE_SIZE 256	 /* what a transport offers for each queue */
#define BALLOON_UNSET UINT64_MAX /* "not known" in every uint64_t below */

/* Feature bits, VIRTIO 5.5.3 and 6; balloon_features[] names them. */
enum balloon_feature {
	BALLOON_F_MUST_TELL_HOST = 0,
	BALLOON_F_STATS_VQ = 1,
	BALLOON_F_DEFLATE_ON_OOM = 2,
	BALLOON_F_FREE_PAGE_HINT = 3,
	BALLOON_F_PAGE_POISON = 4,
	BALLOON_F_PAGE_REPORTING = 5,
	VIRTIO_F_RING_INDIRECT_DESC = 28,
	VIRTIO_F_RING_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_RING_PACKED = 34,
};
#define BALLOON_BIT(feature) (UINT64_C(1) << (feature))

/* One row a feature: the table that options, capabilities, documents and tests read. */
struct balloon_feature_row {
	enum balloon_feature bit;
	const char *name; /* "deflate-on-oom" */
	bool by_default;
	const char *help;
};
extern const struct balloon_feature_row balloon_features[];
extern const size_t balloon_feature_count;
uint64_t balloon_default_features(void);

/* What queues are for.  Their numbers are dense over what was acknowledged. */
enum balloon_queue {
	BALLOON_INFLATE,
	BALLOON_DEFLATE,
	BALLOON_STATS,
	BALLOON_FREE_PAGE,
	BALLOON_REPORTING,
	BALLOON_QUEUE_KINDS
};

/*
 * Statistics: those of VIRTIO 5.5.6.3, a row's number being its tag, by the names
 * that QEMU has for them ("stat-swap-in"); then those of our own driver, whose
 * tags begin at BALLOON_STATS_PRIVATE.
 */
#define BALLOON_STATS_STANDARD 16
#define BALLOON_STATS_KNOWN 21
#define BALLOON_STATS_UNKNOWN_MAX 16
#define BALLOON_STATS_PRIVATE 0xae00
struct balloon_stat_row {
	uint16_t tag;
	const char *name;
	const char *help;
};
extern const struct balloon_stat_row balloon_stat_table[BALLOON_STATS_KNOWN];

struct balloon_stats {
	uint64_t value[BALLOON_STATS_KNOWN]; /* by row; BALLOON_UNSET when absent */
	struct {
		uint16_t tag;
		uint64_t value;
	} unknown[BALLOON_STATS_UNKNOWN_MAX]; /* tags that this device does not know */
	unsigned int unknown_count;
	uint64_t arrived_ns; /* by the host's clock; 0: never */
};

/* Counters, one table; they only grow, and outlive a reset of the device. */
enum balloon_counter {
	BALLOON_C_INFLATED_PAGES,
	BALLOON_C_DEFLATED_PAGES,
	BALLOON_C_RELEASE_CALLS,
	BALLOON_C_RELEASED_BYTES,
	BALLOON_C_RELEASE_CANCELLED_PAGES,
	BALLOON_C_RELEASE_FAILED,
	BALLOON_C_POPULATED_BYTES,
	BALLOON_C_REPORTED_BYTES,
	BALLOON_C_HINTED_BYTES,
	BALLOON_C_STATS_RECEIVED,
	BALLOON_C_AUDITS,
	BALLOON_C_AUDIT_RESIDENT_PAGES,
	BALLOON_C_RESETS,
	/* Faults, from here on: what the guest did wrong, and was answered with length 0. */
	BALLOON_C_FAULT_CHAIN,	       /* struct virtqueue_chain's faults */
	BALLOON_C_FAULT_DIRECTION,     /* a writable inflate buffer, a readable report, … */
	BALLOON_C_FAULT_LENGTH,	       /* ragged, or more than a buffer may hold */
	BALLOON_C_FAULT_MEMORY,	       /* a buffer that is not in RAM */
	BALLOON_C_FAULT_PFN,	       /* a page that is not in RAM */
	BALLOON_C_FAULT_INFLATE_TWICE, /* a page that is in the balloon already */
	BALLOON_C_FAULT_DEFLATE_NEVER, /* a page that is not in the balloon */
	BALLOON_C_FAULT_STATS,	       /* a second buffer while one is held */
	BALLOON_C_FAULT_HINT,	       /* hints out of order or of another round */
	BALLOON_C_FAULT_CONFIG,	       /* a write to what only the device may write */
	BALLOON_C_FAULT_RING,	       /* a ring that makes no sense: DEVICE_NEEDS_RESET */
	BALLOON_C_COUNT
};
struct balloon_counter_row {
	const char *name; /* "inflated-pages" */
	const char *help;
};
extern const struct balloon_counter_row balloon_counter_table[BALLOON_C_COUNT];

enum balloon_event {
	BALLOON_EVENT_ACTUAL, /* the driver wrote another size */
	BALLOON_EVENT_STATS,  /* a fresh sample arrived */
	BALLOON_EVENT_AUDIT,  /* an audit ended: balloon_audit_result() */
	BALLOON_EVENT_HINTS,  /* a round of hinting ended */
	BALLOON_EVENT_DRIVER, /* DRIVER_OK was set, or the device was reset */
};

/* What the device needs from outside.  @data goes to every call. */
struct balloon_host {
	/* Used buffers, of which the driver wants to be told: interrupt for queue number @queue. */
	void (*notify_queue)(void *data, unsigned int queue);
	/* The configuration changed, or needs_reset did: configuration interrupt. */
	void (*notify_config)(void *data);
	void (*event)(void *data, enum balloon_event event);
	/* One line without newline; each kind of fault is told at 1, 10, 100, … of it. */
	void (*log)(void *data, const char *line);
	uint64_t (*now_ns)(void *data); /* CLOCK_MONOTONIC */
	void *data;
};

struct balloon_options {
	uint64_t features;  /* offered, a mask of BALLOON_BIT(); VERSION_1 absent: legacy drivers */
	uint64_t max_bytes; /* the guest's RAM; 0: as memory_ram_bytes() says */
	uint64_t target_bytes;	   /* from the start; 0: max */
	uint64_t release_delay_ns; /* how long incomplete blocks wait, at least; at most twice that
				    */
	bool populate;	    /* allocate the host memory of deflated pages before they are used */
	bool audit_release; /* an audit releases what it finds */
};
#define BALLOON_RELEASE_DELAY_NS UINT64_C(100000000)

struct balloon;

/* NULL when memory is short. */
struct balloon *balloon_new(const struct balloon_options *options, const struct balloon_host *host);
void balloon_free(struct balloon *balloon);

/*
 * Memory.  As memory_map(), memory_add() and memory_unmap() say.  When the account
 * of pages cannot be had, these cannot be ballooned, which is logged.  Every queue
 * is looked up again, and releases that wait for an unmapped page are dropped.
 */
int balloon_map(struct balloon *balloon, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
		bool writable);
int balloon_add(struct balloon *balloon, uint64_t gpa, uint64_t size, void *host);
int balloon_unmap(struct balloon *balloon, uint64_t gpa, uint64_t size);
void balloon_unmap_all(struct balloon *balloon);
const struct memory *balloon_memory(const struct balloon *balloon);

/*
 * The driver's side, as the transport relays it.
 */
uint64_t balloon_offered(const struct balloon *balloon);
/*
 * FEATURES_OK: false when @features has a bit that was not offered or lacks one
 * that is needed, or would change them behind DRIVER_OK; then nothing is changed.
 * PAGE_REPORTING and the others gate their queues by this.
 */
bool balloon_set_features(struct balloon *balloon, uint64_t features);
uint64_t balloon_acknowledged(const struct balloon *balloon);
/* A legacy driver of a big-endian guest: its rings and buffers are big-endian.  Means nothing to a
 * driver that acknowledges VERSION_1. */
void balloon_set_big_endian(struct balloon *balloon, bool big_endian);

/* How many queues there are now: before features are acknowledged, all that are offered. */
unsigned int balloon_queue_count(const struct balloon *balloon);
/* What queue number @queue is for, or BALLOON_QUEUE_KINDS. */
enum balloon_queue balloon_queue_kind(const struct balloon *balloon, unsigned int queue);
/* As virtqueue_start(); packed, indirect, event_idx and big_endian are filled in here.  @base:
 * NULL for a new queue.  Of a queue that is running, buffers in hand are returned first. */
int balloon_queue_start(struct balloon *balloon, unsigned int queue,
			const struct virtqueue_setup *setup, const uint32_t *base);
/* Stops it and tells where another process would begin; buffers in hand are dealt with and returned
 * first.  As long as the inflate queue rests nothing of the balloon is released: its driver may be
 * gone, and its guest have all pages again. */
uint32_t balloon_queue_stop(struct balloon *balloon, unsigned int queue);

/* DRIVER_OK: from now on queues are worked on. */
void balloon_driver_ok(struct balloon *balloon);
bool balloon_is_driver_ok(const struct balloon *balloon);
/* DEVICE_NEEDS_RESET has to be shown in the device status. */
bool balloon_needs_reset(const struct balloon *balloon);
/*
 * Device reset: features, queues, the balloon's content and all that waits are
 * forgotten, the guest owns its pages again.  Target, statistics and counters stay.
 */
void balloon_reset(struct balloon *balloon);

/* Configuration space.  Reads outside give 0, writes outside or to what is not the driver's are
 * counted and ignored; any offset and length will do. */
void balloon_config_read(const struct balloon *balloon, unsigned int offset, void *to,
			 unsigned int size);
void balloon_config_write(struct balloon *balloon, unsigned int offset, const void *from,
			  unsigned int size);

/* The driver kicked queue number @queue; any number will do. */
void balloon_kick(struct balloon *balloon, unsigned int queue);

/*
 * balloon_work - one bounded step of what there is to do
 *
 * Returns nanoseconds until it wants to be called again: 0 for at once,
 * BALLOON_IDLE for not before something happens.
 */
#define BALLOON_IDLE UINT64_MAX
uint64_t balloon_work(struct balloon *balloon);

/*
 * The host's side.
 */

/* max(0, …) and up to the guest's RAM; larger is clamped.  Tells the driver. */
void balloon_set_target(struct balloon *balloon, uint64_t target_bytes);

struct balloon_info {
	uint64_t max_bytes; /* 0 as long as no memory is known */
	uint64_t target_bytes;
	uint64_t actual_bytes;	  /* max minus what the driver says that the balloon holds */
	uint64_t ballooned_bytes; /* by the device's own account */
	uint64_t pending_bytes;	  /* of these, those that wait for their release */
};
void balloon_info(const struct balloon *balloon, struct balloon_info *info);
uint64_t balloon_counter(const struct balloon *balloon, enum balloon_counter counter);

/* The newest sample (see arrived_ns), and asking for another; false: none can be had now. */
const struct balloon_stats *balloon_stats(const struct balloon *balloon);
bool balloon_request_stats(struct balloon *balloon);

/*
 * Free page hinting: a round is asked for, ended early, and declared done when
 * nobody needs its hints any more (migration).  Hints are counted, and handed
 * to balloon_set_hint_sink()'s function; nothing is discarded here, since that is
 * safe only for pages that were not written since, which write tracking knows.
 * False: the feature was not acknowledged, or the order is not possible now.
 */
enum balloon_hinting {
	BALLOON_HINT_STOPPED,
	BALLOON_HINT_REQUESTED, /* the driver has not begun */
	BALLOON_HINT_RUNNING,
	BALLOON_HINT_ENDED, /* by the driver, which waits for DONE */
	BALLOON_HINT_DONE,
};
bool balloon_hint_start(struct balloon *balloon);
bool balloon_hint_stop(struct balloon *balloon);
bool balloon_hint_done(struct balloon *balloon);
enum balloon_hinting balloon_hinting(const struct balloon *balloon);
void balloon_set_hint_sink(struct balloon *balloon,
			   void (*sink)(void *data, uint64_t gpa, uint64_t size), void *data);

/* Whether reported pages are released; the feature stays acknowledged. */
void balloon_set_reporting(struct balloon *balloon, bool on);
bool balloon_reporting(const struct balloon *balloon);

/*
 * The audit: pages that are in the balloon and released, and yet resident on
 * the host again, because the guest touched what it had given away.  Runs in
 * steps of balloon_work(); BALLOON_EVENT_AUDIT tells the end.
 */
struct balloon_audit {
	uint64_t checked_pages, resident_pages, released_pages;
	uint64_t ended_ns; /* 0: never */
	bool running;
};
void balloon_audit_start(struct balloon *balloon);
struct balloon_audit balloon_audit_result(const struct balloon *balloon);

#endif
