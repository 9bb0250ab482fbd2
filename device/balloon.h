/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The traditional memory balloon device (VIRTIO 1.2, 5.5; device id 5).
 *
 * Theory of operation
 * -------------------
 * A plain state machine.  Its host calls it when something happened (memory was
 * added, the driver acknowledged features, a queue was kicked), and then lets it
 * work, one bounded step at a time:
 *
 *	balloon_kick(balloon, queue);
 *	wait_ns = balloon_work(balloon);	// until wait_ns is not 0
 *
 * It has no thread, no clock, no file and no socket of its own; what it needs
 * from outside is in struct balloon_host.  No step takes longer than a few
 * milliseconds, so that a host with one thread always answers its VMM in time.
 * All functions are called by one thread.  From within a function of struct
 * balloon_host only those may be called that take a const device.
 *
 * An inflated page is marked in the account (pages.h) and its buffer is returned
 * at once.  The memory is released a little later: blocks of 2 MiB that have
 * become complete as a whole, the rest after release_delay_ns.  Before a deflate
 * is acknowledged, releases that still wait for its pages are cancelled.  This is
 * legal only with MUST_TELL_HOST.  Without it the driver may use a page before it
 * sends the deflate, so buffers are returned only after their pages are released.
 *
 * What a guest sends is checked and counted, never trusted.  A wrong buffer is
 * returned with length 0; a ring that makes no sense stops the device until the
 * driver resets it (DEVICE_NEEDS_RESET).  No allocation depends on a guest:
 * balloon_map() and balloon_add() allocate what its RAM needs.
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
/* What is read with the private feature BALLOON_F_TRIM: a magic number, and the latest request. */
#define BALLOON_PRIVATE_OFFSET 64
#define BALLOON_PRIVATE_MAGIC UINT32_C(0x4f524541) /* "AERO" */
#define BALLOON_CONFIG_READABLE_BYTES 72
#define BALLOON_TRIM_MAX_MIB UINT32_C(0xffffff)
#define BALLOON_QUEUES_MAX 5
#define BALLOON_QUEUE_SIZE 256	 /* what a transport offers for each queue */
#define BALLOON_UNSET UINT64_MAX /* "not known", in every uint64_t below */

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
	BALLOON_F_TRIM = 62, /* private: docs/device.md */
};
#define BALLOON_BIT(feature) (UINT64_C(1) << (feature))

/* One row per feature, for options, capabilities, documents and tests. */
struct balloon_feature_row {
	enum balloon_feature bit;
	const char *name; /* "deflate-on-oom" */
	bool by_default;
	const char *help;
};
extern const struct balloon_feature_row balloon_features[];
extern const size_t balloon_feature_count;
/* The features that are offered by default, as a mask of BALLOON_BIT(). */
uint64_t balloon_default_features(void);

/* What queues are for.  They are numbered densely over the features that were acknowledged. */
enum balloon_queue {
	BALLOON_INFLATE,
	BALLOON_DEFLATE,
	BALLOON_STATS,
	BALLOON_FREE_PAGE,
	BALLOON_REPORTING,
	BALLOON_QUEUE_KINDS
};

/*
 * Statistics.  First those of VIRTIO 5.5.6.3, where the number of a row is its tag, by
 * the names that QEMU uses ("stat-swap-in"); then those of our own driver, whose tags
 * begin at BALLOON_STATS_PRIVATE.
 */
#define BALLOON_STATS_STANDARD 16
#define BALLOON_STATS_KNOWN 23
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

/* Counters.  They only grow, and a reset of the device does not clear them. */
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
	BALLOON_C_TRIMS,
	BALLOON_C_PULLED_PAGES,
	BALLOON_C_GATE_WAITS,
	BALLOON_C_GATE_TIMEOUTS,
	BALLOON_C_RESETS,
	/* From here on, faults: what the guest did wrong. */
	BALLOON_C_FAULT_CHAIN,	       /* enum virtqueue_fault */
	BALLOON_C_FAULT_DIRECTION,     /* a writable inflate buffer, a readable report, … */
	BALLOON_C_FAULT_LENGTH,	       /* not a whole number of entries, or too long */
	BALLOON_C_FAULT_MEMORY,	       /* a buffer that is not in RAM */
	BALLOON_C_FAULT_PFN,	       /* a page that is not in RAM */
	BALLOON_C_FAULT_INFLATE_TWICE, /* a page that is in the balloon already */
	BALLOON_C_FAULT_DEFLATE_NEVER, /* a page that is not in the balloon */
	BALLOON_C_FAULT_STATS,	       /* a second buffer while one is held */
	BALLOON_C_FAULT_HINT,	       /* hints out of order or of another round */
	BALLOON_C_FAULT_CONFIG,	       /* a write to what only the device may write */
	BALLOON_C_FAULT_RING,	       /* a ring that makes no sense: needs a reset */
	BALLOON_C_COUNT
};
struct balloon_counter_row {
	const char *name; /* "inflated-pages" */
	const char *help;
};
extern const struct balloon_counter_row balloon_counter_table[BALLOON_C_COUNT];

enum balloon_event {
	BALLOON_EVENT_ACTUAL, /* the driver wrote a new size */
	BALLOON_EVENT_STATS,  /* a new sample arrived */
	BALLOON_EVENT_AUDIT,  /* an audit ended: balloon_audit_result() */
	BALLOON_EVENT_HINTS,  /* a round of hinting ended */
	BALLOON_EVENT_DRIVER, /* DRIVER_OK was set, or the device was reset */
	BALLOON_EVENT_PULL,   /* the guest took memory back by itself, or waits for it */
};

/* What the device needs from outside.  @data is passed to every function. */
struct balloon_host {
	/* The driver wants an interrupt for used buffers of queue number @queue. */
	void (*notify_queue)(void *data, unsigned int queue);
	/* The driver wants a configuration interrupt: the configuration or needs_reset changed. */
	void (*notify_config)(void *data);
	/* Something that the host's side may want to know. */
	void (*event)(void *data, enum balloon_event event);
	/* Logs a line, which has no newline; each kind of fault is logged at 1, 10, 100, … */
	void (*log)(void *data, const char *line);
	/* CLOCK_MONOTONIC, in nanoseconds. */
	uint64_t (*now_ns)(void *data);
	void *data;
};

struct balloon_options {
	uint64_t features;  /* offered, a mask of BALLOON_BIT(); VERSION_1 absent: legacy drivers */
	uint64_t max_bytes; /* the guest's RAM; 0: memory_ram_bytes() */
	uint64_t target_bytes; /* at the start; 0: max */
	/* How long blocks that are not complete wait: at least this, at most twice this. */
	uint64_t release_delay_ns;
	bool populate;	    /* allocate the memory of deflated pages before the guest uses them */
	bool audit_release; /* an audit releases what it finds */
};
#define BALLOON_RELEASE_DELAY_NS UINT64_C(100000000)

struct balloon;

/* Copies @options and @host; NULL if there is not enough memory. */
struct balloon *balloon_new(const struct balloon_options *options, const struct balloon_host *host);
/* Also unmaps the guest's memory; NULL is allowed. */
void balloon_free(struct balloon *balloon);

/*
 * Memory
 */

/*
 * balloon_map - add a region of RAM that is in a file
 *
 * Arguments, ownership of @fd and errors as memory_map().  If the account of its pages cannot be
 * allocated, this is logged, and these pages cannot be ballooned.
 */
int balloon_map(struct balloon *balloon, uint64_t gpa, uint64_t size, int fd, uint64_t fd_offset,
		bool writable);
/* Adds a region of RAM that the caller has mapped at @host: memory_add(), and as balloon_map(). */
int balloon_add(struct balloon *balloon, uint64_t gpa, uint64_t size, void *host);
/*
 * Removes the regions in [@gpa, @gpa + @size), with the result of memory_unmap().  Their pages stay
 * in the account, and those that wait for their release are not released.
 */
int balloon_unmap(struct balloon *balloon, uint64_t gpa, uint64_t size);
/* Removes all regions, as balloon_unmap(). */
void balloon_unmap_all(struct balloon *balloon);
/* The regions as they are now; valid as long as the device. */
const struct memory *balloon_memory(const struct balloon *balloon);

/*
 * The driver's side, as the transport relays it
 */

/* The features that the device offers. */
uint64_t balloon_offered(const struct balloon *balloon);
/*
 * balloon_set_features - the driver acknowledges @features (FEATURES_OK)
 *
 * False, with nothing changed, if @features has a bit that was not offered, lacks one that another
 * needs, or differs from what was acknowledged before DRIVER_OK.
 */
bool balloon_set_features(struct balloon *balloon, uint64_t features);
/* The features that the driver acknowledged. */
uint64_t balloon_acknowledged(const struct balloon *balloon);
/* Whether rings and buffers are big-endian, as those of a legacy driver in a big-endian guest.  It
 * has no effect on a driver that acknowledges VERSION_1. */
void balloon_set_big_endian(struct balloon *balloon, bool big_endian);

/* How many queues there are; before features are acknowledged, as many as are offered. */
unsigned int balloon_queue_count(const struct balloon *balloon);
/* What queue number @queue is for, or BALLOON_QUEUE_KINDS if there is no such queue. */
enum balloon_queue balloon_queue_kind(const struct balloon *balloon, unsigned int queue);
/*
 * balloon_queue_start - start serving queue number @queue
 * @setup: its addresses and size; features and byte order are filled in here
 * @base: where to continue, as in struct virtqueue_setup, or NULL for a new queue
 *
 * A queue that is running is stopped first.  0, or -EINVAL, with nothing changed, if there is no
 * such queue, or as virtqueue_start().
 */
int balloon_queue_start(struct balloon *balloon, unsigned int queue,
			const struct virtqueue_setup *setup, const uint32_t *base);
/*
 * balloon_queue_stop - stop serving queue number @queue
 *
 * Buffers that the device has are dealt with and returned first.  Returns the base at which
 * another process would continue, 0 for a queue that was not started.  While the inflate queue is
 * stopped, nothing of the balloon is released: its driver may be gone, and its guest may own all
 * pages again.
 */
uint32_t balloon_queue_stop(struct balloon *balloon, unsigned int queue);

/* DRIVER_OK: from now on queues are worked on. */
void balloon_driver_ok(struct balloon *balloon);
/* Has DRIVER_OK been set since the last reset? */
bool balloon_is_driver_ok(const struct balloon *balloon);
/* Must the device status show DEVICE_NEEDS_RESET? */
bool balloon_needs_reset(const struct balloon *balloon);
/*
 * balloon_reset - reset the device
 *
 * Features, queues, the content of the balloon and all pending releases are forgotten: the guest
 * owns its pages again.  Target, statistics and counters stay.
 */
void balloon_reset(struct balloon *balloon);

/* Copies [@offset, @offset + @size) of the configuration space; what is outside it reads as 0. */
void balloon_config_read(const struct balloon *balloon, unsigned int offset, void *to,
			 unsigned int size);
/* The driver writes to the configuration space.  A write that leaves it, or reaches no field of the
 * driver's, is counted and has no effect. */
void balloon_config_write(struct balloon *balloon, unsigned int offset, const void *from,
			  unsigned int size);

/* The driver kicked queue number @queue; any number is allowed. */
void balloon_kick(struct balloon *balloon, unsigned int queue);

#define BALLOON_IDLE UINT64_MAX
/*
 * balloon_work - take one bounded step
 *
 * Returns after how many nanoseconds it wants to be called again: 0 for at once, BALLOON_IDLE for
 * not before another function was called.
 */
uint64_t balloon_work(struct balloon *balloon);

/*
 * The host's side
 */

/* How much RAM the guest is to keep; what exceeds its RAM is cut down to it.  Notifies the driver.
 */
void balloon_set_target(struct balloon *balloon, uint64_t target_bytes);

struct balloon_info {
	uint64_t max_bytes; /* 0 as long as no memory is known */
	uint64_t target_bytes;
	uint64_t actual_bytes;	  /* max minus what the driver says is in the balloon; with a
				   * credit at most what it has by the device's account */
	uint64_t ballooned_bytes; /* in the balloon by the device's own account */
	uint64_t pending_bytes;	  /* of these, what waits for its release */
};
/* The sizes as they are now. */
void balloon_info(const struct balloon *balloon, struct balloon_info *info);
/* The value of a counter. */
uint64_t balloon_counter(const struct balloon *balloon, enum balloon_counter counter);

/* The latest sample; arrived_ns says from when it is.  Valid until the next balloon_work(). */
const struct balloon_stats *balloon_stats(const struct balloon *balloon);
/* Asks the driver for a new sample; false if that is not possible now. */
bool balloon_request_stats(struct balloon *balloon);

/*
 * Free page hinting.  Hints are counted and passed to the hint sink.  Nothing is discarded here:
 * that is safe only for pages that were not written since, which write tracking knows.
 */
enum balloon_hinting {
	BALLOON_HINT_STOPPED,
	BALLOON_HINT_REQUESTED, /* the driver has not begun */
	BALLOON_HINT_RUNNING,
	BALLOON_HINT_ENDED, /* by the driver, which waits for DONE */
	BALLOON_HINT_DONE,
};
/* Asks the driver for a round of hints; false without the feature or DRIVER_OK, or in a round. */
bool balloon_hint_start(struct balloon *balloon);
/* Ends a round early; false if there is none. */
bool balloon_hint_stop(struct balloon *balloon);
/* Nobody needs the hints any more, as after a migration: the driver takes its pages back.  False
 * without the feature or DRIVER_OK, or if they are done already. */
bool balloon_hint_done(struct balloon *balloon);
/* In which phase of a round the device is. */
enum balloon_hinting balloon_hinting(const struct balloon *balloon);
/* @sink is called by balloon_work() for each hint, with @data; NULL: hints are only counted. */
void balloon_set_hint_sink(struct balloon *balloon,
			   void (*sink)(void *data, uint64_t gpa, uint64_t size), void *data);

/* Whether reported pages are released (at the start: yes); the feature stays acknowledged. */
void balloon_set_reporting(struct balloon *balloon, bool on);
/* Are reported pages released? */
bool balloon_reporting(const struct balloon *balloon);

/*
 * balloon_trim - ask the driver to give up @bytes of cold page cache
 *
 * False without BALLOON_F_TRIM, or before DRIVER_OK.  The statistics show what it gave up.
 */
bool balloon_trim(struct balloon *balloon, uint64_t bytes);

/*
 * The gate bounds what the guest takes back without being asked: see gate.c.  It exists where the
 * driver acknowledged MUST_TELL_HOST.
 */

/*
 * balloon_set_credit - let the guest take @credit_bytes back by itself
 * @ceiling_bytes: the size that it may reach by that; BALLOON_UNSET: all of its RAM
 * @lifetime_ns: until the credit is set again; after that the gate is open
 *
 * Counts from the guest's target, or from its size now if that is more.
 */
void balloon_set_credit(struct balloon *balloon, uint64_t credit_bytes, uint64_t ceiling_bytes,
			uint64_t lifetime_ns);
/* Opens the gate: the guest may take back what it likes, as before the first credit. */
void balloon_clear_credit(struct balloon *balloon);

struct balloon_gate {
	uint64_t credit_bytes, ceiling_bytes; /* BALLOON_UNSET: the gate is open */
	uint64_t allowed_bytes;		      /* how large it may become by itself */
	uint64_t size_bytes;		      /* its size, by the device's account */
	bool waiting;			      /* a deflation waits to be acknowledged */
};
/* The gate as it is now. */
struct balloon_gate balloon_gate(const struct balloon *balloon);

/*
 * The audit finds pages that are in the balloon and were released, and are resident on the host
 * all the same, because the guest touched what it had given up.
 */
struct balloon_audit {
	uint64_t checked_pages, resident_pages, released_pages;
	uint64_t ended_ns; /* 0: never */
	bool running;
};
/* Starts an audit, in place of one that is running.  balloon_work() carries it out, and
 * BALLOON_EVENT_AUDIT reports its end. */
void balloon_audit_start(struct balloon *balloon);
/* The result of the latest audit, as far as it has got. */
struct balloon_audit balloon_audit_result(const struct balloon *balloon);

#endif
