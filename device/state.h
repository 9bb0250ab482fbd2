/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's state, for the files of device/ only.
 *
 * Each file owns one part of struct balloon, which is named after it: only
 * that file writes to its part, the others read it or call the file's
 * functions.  Calls go downwards in this list:
 *
 * balloon.c	the device as a whole: memory, reset, the step of work
 * queues.c	which queue is worked on, and for how long
 * gate.c	how much the guest may take back by itself
 * config.c	the configuration space, and the target
 * audit.c	as named
 * inflate.c	buffers of page numbers
 * reporting.c, stats.c, hinting.c	as named
 * releases.c	which pages are released, and when
 * buffers.c	the queues, and the buffer that is being worked on
 * driver.c	what the driver negotiated, and the queue numbers that follow from it
 * faults.c	counters, and what is logged of them
 * tables.c	the names of features, statistics and counters
 *
 * The members memory, pages and release are changed by the functions of
 * memory.h, pages.h and release.h.
 */
#ifndef AEROSTAT_DEVICE_STATE_H
#define AEROSTAT_DEVICE_STATE_H

#include <endian.h>
#include <string.h>

#include "device/balloon.h"
#include "device/pages.h"
#include "device/release.h"

/* Inflate buffers that are returned together, without MUST_TELL_HOST. */
#define HELD_MAX 64

struct driver_state {
	uint64_t acknowledged;
	bool features_ok, driver_ok, needs_reset, big_endian;
};

struct buffers {
	struct virtqueue queues[BALLOON_QUEUES_MAX];
	bool kicked[BALLOON_QUEUES_MAX];
	/* The current buffer, while busy; it is read as one stream of bytes, a part per step. */
	bool busy;
	unsigned int queue;
	unsigned int segment; /* the next byte: in which segment, and where in it */
	uint32_t offset;
	struct virtqueue_chain chain;
	struct virtqueue before; /* its queue, before it was taken */
	uint32_t budget;	 /* pages that the queue's turn still allows */
};

struct inflate_state {
	/* Without MUST_TELL_HOST: inflate buffers whose pages are being released. */
	struct virtqueue_token held[HELD_MAX];
	unsigned int held_count;
};

/* In host byte order. */
struct config_space {
	uint32_t num_pages, poison;
	uint32_t trim;		 /* the latest request: a number in the upper 8 bits, and MiB */
	uint32_t actual;	 /* as it counts */
	uint32_t actual_written; /* as the driver has written it so far */
	uint64_t target_wanted;	 /* bytes; BALLOON_UNSET: none.  See config_apply_target() */
};

struct release_schedule {
	uint64_t full_since_ns;	  /* since when full blocks wait */
	uint64_t age_due_ns;	  /* when old blocks are released, and young ones become old */
	uint64_t refusals_logged; /* of release.failed */
	bool flush;		  /* everything that waits is due */
};

struct stats_state {
	struct balloon_stats sample;
	struct virtqueue_token token; /* the driver's one buffer, while it is held */
	bool held, seen;
	bool gap_logged; /* that the guest has less than the VMM shares */
};

struct hinting_state {
	enum balloon_hinting phase;
	uint32_t id;
	void (*sink)(void *data, uint64_t gpa, uint64_t size);
	void *sink_data;
};

struct reporting_state {
	bool on; /* reported pages are released */
};

struct gate_state {
	/* What was set; a credit of BALLOON_UNSET: nothing. */
	uint64_t credit_bytes, ceiling_bytes, expires_ns;
	uint64_t base_bytes;	/* the size when it was set; BALLOON_UNSET: reset since */
	uint64_t granted_bytes; /* beyond it, because a wait was over */
	/* The first deflate buffer in the ring waits. */
	bool waiting;
	uint64_t waiting_bytes, since_ns;
	unsigned int doublings; /* of the wait at the ceiling, as there was no credit since */
	uint64_t seen_bytes;	/* the size from which a pull is counted; BALLOON_UNSET: none */
};

struct audit_state {
	struct balloon_audit result;
	uint32_t next_pfn;
};

struct balloon {
	struct balloon_options options; /* these two: fixed by balloon_new() */
	struct balloon_host host;

	struct memory memory;
	struct pages pages;
	struct release release;

	uint64_t counters[BALLOON_C_COUNT]; /* faults.c */
	struct driver_state driver;
	struct buffers buffers;
	struct inflate_state inflate;
	struct config_space config;
	struct release_schedule releases;
	struct stats_state stats;
	struct hinting_state hinting;
	struct reporting_state reporting;
	struct gate_state gate;
	struct audit_state audit;
};

/* The host's clock. */
static inline uint64_t balloon_now_ns(const struct balloon *balloon)
{
	return balloon->host.now_ns(balloon->host.data);
}

/*
 * faults.c
 */

/* Adds @count to a counter. */
static inline void balloon_count(struct balloon *balloon, enum balloon_counter counter,
				 uint64_t count)
{
	balloon->counters[counter] += count;
}

/* Has a count that grew from @before to @after reached 1, 10, 100, …?  Then it is logged. */
bool fault_is_logged(uint64_t before, uint64_t after);
/*
 * Counts @count faults of one kind, and logs the 1st, 10th, 100th, … of that kind; 0 is allowed.
 * @detail and @value describe the latest one.
 */
void balloon_faults(struct balloon *balloon, enum balloon_counter counter, uint32_t count,
		    const char *detail, uint64_t value);
/* The same for a single fault. */
void balloon_fault(struct balloon *balloon, enum balloon_counter counter, const char *detail,
		   uint64_t value);

/*
 * driver.c
 */

/* Did the driver acknowledge @feature? */
static inline bool is_acknowledged(const struct balloon *balloon, enum balloon_feature feature)
{
	return balloon->driver.acknowledged & BALLOON_BIT(feature);
}

/* The byte order of rings and buffers.  VIRTIO 1 is little-endian, whatever the transport says. */
static inline bool is_big_endian(const struct balloon *balloon)
{
	return balloon->driver.big_endian && !is_acknowledged(balloon, VIRTIO_F_VERSION_1);
}

/* Converts 32 bits at @wire from the driver's byte order; called once per page number. */
static inline uint32_t driver_u32(const struct balloon *balloon, const void *wire)
{
	uint32_t value;

	memcpy(&value, wire, sizeof(value));
	return is_big_endian(balloon) ? be32toh(value) : le32toh(value);
}

/* The number of the queue for @kind, or BALLOON_QUEUES_MAX if there is none. */
unsigned int balloon_queue_number(const struct balloon *balloon, enum balloon_queue kind);
/* Sets DRIVER_OK. */
void driver_set_ok(struct balloon *balloon);
/* The ring of queue number @queue makes no sense: the device needs a reset. */
void driver_require_reset(struct balloon *balloon, unsigned int queue);
/* Forgets everything that the driver negotiated. */
void driver_reset(struct balloon *balloon);

/*
 * buffers.c
 */

/* Makes the next buffer of a queue the current one; false if there is none. */
bool buffers_pop(struct balloon *balloon, unsigned int queue);
/* Copies the next @size bytes of the current buffer, fewer at its end; returns how many, or -EFAULT
 * if one of them is not in RAM. */
int buffers_read(struct balloon *balloon, void *to, unsigned int size);
/* Moves on by @bytes, which lie within the current segment. */
void buffers_advance(struct balloon *balloon, uint32_t bytes);
/* Puts the current buffer back, of which nothing was read: it is the next one of its queue. */
void buffers_put_back(struct balloon *balloon);
/* Takes the current buffer away without returning it to the driver: the caller returns it later. */
struct virtqueue_token buffers_keep(struct balloon *balloon);
/* Returns the current buffer to the driver. */
void buffers_finish(struct balloon *balloon);
/* Returns a buffer that was kept; nothing happens if there is no queue of that number. */
void buffers_return(struct balloon *balloon, unsigned int queue, struct virtqueue_token token);
/* Is the queue started, but its ring out of RAM for now?  A buffer returned now would be lost. */
bool buffers_at_rest(const struct balloon *balloon, unsigned int queue);
/* Was the queue kicked, and can it be worked on? */
bool buffers_are_due(struct balloon *balloon, unsigned int queue);
/* Begins a queue's turn, in which @pages pages may be dealt with; kicks are suppressed. */
void buffers_begin_turn(struct balloon *balloon, unsigned int queue, uint32_t pages);
/* Takes @pages from what the turn allows. */
void buffers_spend(struct balloon *balloon, uint64_t pages);
/* The queue is empty: asks for kicks again. */
void buffers_await_kick(struct balloon *balloon, unsigned int queue);
/* Installs a queue that was started; it counts as kicked, since buffers may be there already. */
void buffers_start_queue(struct balloon *balloon, unsigned int queue,
			 const struct virtqueue *started);
/* Stops a queue; returns the base at which another process would continue. */
uint32_t buffers_stop_queue(struct balloon *balloon, unsigned int queue);
/* Looks up all rings again, after the memory map has changed. */
void buffers_relocate(struct balloon *balloon);
/* Stops all queues, and forgets the current buffer. */
void buffers_reset(struct balloon *balloon);

/*
 * releases.c
 */

/* Takes one step, which makes at most the calls for one block; false if nothing is due. */
bool releases_step(struct balloon *balloon);
/* When the next release is due, on the host's clock, or BALLOON_IDLE. */
uint64_t releases_due_ns(const struct balloon *balloon);
/* Updates the times at which releases are due, after the account was changed. */
void releases_changed(struct balloon *balloon);
/* Everything that waits is due now. */
void releases_flush(struct balloon *balloon);
/* Nothing waits any more, and what waited is not released. */
void releases_cancel(struct balloon *balloon);
/* The same for the pages of [@gpa, @gpa + @size), which is not empty. */
void releases_cancel_range(struct balloon *balloon, uint64_t gpa, uint64_t size);
/*
 * Empties the account, and cancels all releases.  Also after a deflate that cannot be read: then
 * any page may be in use again.
 */
void releases_clear_account(struct balloon *balloon);

/*
 * inflate.c; @kind is BALLOON_INFLATE or BALLOON_DEFLATE
 */

/* Is the current buffer one of page numbers?  If not, a fault is counted. */
bool inflate_check_buffer(struct balloon *balloon);
/* Takes up to 1024 page numbers out of the current buffer; at its end it is returned, or held. */
void inflate_take_part(struct balloon *balloon, enum balloon_queue kind);
/* Can one more inflate buffer be held? */
bool inflate_has_room(const struct balloon *balloon);
/* Returns the held buffers if their pages have been released; false if nothing was returned. */
bool inflate_return_held(struct balloon *balloon);
/* Returns the held buffers to queue number @queue, which stops; their pages are not released. */
void inflate_abort_held(struct balloon *balloon, unsigned int queue);
/* Forgets the held buffers. */
void inflate_reset(struct balloon *balloon);

/*
 * reporting.c
 */

/* Is the current buffer a report?  If not, a fault is counted. */
bool reporting_check_buffer(struct balloon *balloon);
/* Releases a part of the current report; at its end the buffer is returned. */
void reporting_take_part(struct balloon *balloon);

/*
 * stats.c
 */

/* Before the first sample: no value is set. */
void stats_clear_sample(struct balloon *balloon);
/* Takes the sample in the current buffer, and keeps the buffer until a new sample is wanted. */
void stats_take_buffer(struct balloon *balloon);
/* Returns the held buffer to queue number @queue, which stops. */
void stats_return_buffer(struct balloon *balloon, unsigned int queue);
/* Forgets the held buffer. */
void stats_reset(struct balloon *balloon);

/*
 * hinting.c
 */

/* Takes the hints in the current buffer, and returns it. */
void hinting_take_buffer(struct balloon *balloon);
/* A round that was running has ended; the driver sees DONE. */
void hinting_reset(struct balloon *balloon);
/* free_page_hint_cmd_id as the driver is to see it. */
uint32_t hinting_config_id(const struct balloon *balloon);

/*
 * config.c
 */

/* The guest's RAM in bytes, as options or regions say; 0 as long as it is not known. */
uint64_t config_max_bytes(const struct balloon *balloon);
/*
 * A target is given in bytes, and can become a number of pages only once the guest's RAM is
 * known.  Until DRIVER_OK it follows the memory map; then it is final, and memory that is plugged
 * later belongs to the guest.
 */
void config_apply_target(struct balloon *balloon);
/* Sets the target that options give. */
void config_init(struct balloon *balloon);
/* What the driver wrote is forgotten; the target stays. */
void config_reset(struct balloon *balloon);

/*
 * queues.c
 */

/* Takes one bounded step in the queues; false if there is nothing to do. */
bool queues_step(struct balloon *balloon);

/*
 * gate.c
 */

/* May a deflate of @bytes be acknowledged now?  If not, its wait begins, or goes on. */
bool gate_is_open(struct balloon *balloon, uint64_t bytes);
/* Does the first deflate buffer in the ring have to wait still? */
bool gate_still_waits(struct balloon *balloon);
/* When that is to be asked again, on the host's clock, or BALLOON_IDLE. */
uint64_t gate_due_ns(const struct balloon *balloon);
/* Inflations were read, or deflations were acknowledged (@deflated); notices pulls. */
void gate_note_sizes(struct balloon *balloon, bool deflated);
/* The guest's size, of which its driver claims that it is @claimed_bytes. */
uint64_t gate_bound_size(const struct balloon *balloon, uint64_t claimed_bytes);
/* No credit is set. */
void gate_init(struct balloon *balloon);
/* Nothing waits any more, and the gate is open until the credit is set again. */
void gate_reset(struct balloon *balloon);

/*
 * audit.c
 */

/* Looks at a few blocks, if an audit is running; false if none is. */
bool audit_step(struct balloon *balloon);

#endif
