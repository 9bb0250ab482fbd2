/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's state, for the files of device/ alone.
 *
 * balloon.c	the device: memory, features, queues, reset, and the step of work
 * config.c	its configuration space
 * queues.c	what each queue's buffers mean
 * releases.c	what waits for its release, and when it goes
 * stats.c, hinting.c, audit.c	as named
 * tables.c	the names of features, statistics and counters
 */
#ifndef AEROSTAT_DEVICE_STATE_H
#define AEROSTAT_DEVICE_STATE_H

#include "device/balloon.h"
#include "device/pages.h"
#include "device/release.h"

/* Inflate buffers that are returned together, without MUST_TELL_HOST. */
#define HELD_MAX 64

/* The chain that is being worked on; it is read as one stream of bytes, a piece a step. */
struct hand {
	bool busy;
	unsigned int queue;
	unsigned int segment; /* the next byte: in which segment, and where in it */
	uint32_t offset;
	struct virtqueue_chain chain;
};

struct balloon {
	struct balloon_options options;
	struct balloon_host host;

	struct memory memory;
	struct pages pages;
	struct release release;
	uint64_t counters[BALLOON_C_COUNT];

	/* What the driver set up. */
	uint64_t acknowledged;
	bool features_ok, driver_ok, needs_reset, big_endian;
	struct virtqueue queues[BALLOON_QUEUES_MAX];
	bool kicked[BALLOON_QUEUES_MAX];
	struct hand hand;
	uint32_t budget; /* pages that the queue at work may still deal with in this step */
	/* Without MUST_TELL_HOST: inflate buffers whose pages are being released. */
	struct virtqueue_token held[HELD_MAX];
	unsigned int held_count;

	/* Configuration space, in host byte order. */
	uint32_t num_pages, poison;
	uint32_t actual;	 /* as it counts */
	uint32_t actual_written; /* as the driver has written it so far */
	uint64_t target_wanted;	 /* BALLOON_UNSET: nothing; see settle_target() */

	/* Releases. */
	uint64_t full_since_ns; /* since when full blocks wait */
	uint64_t age_due_ns;	/* when old blocks go, and young ones become old */
	bool flush;		/* all that waits is due */
	uint64_t refusals_told; /* of release.failed */

	struct balloon_stats stats;
	struct virtqueue_token stats_token; /* the driver's one buffer, while it is held */
	bool stats_held, stats_seen;

	enum balloon_hinting hinting;
	uint32_t hint_id;
	void (*hint_sink)(void *data, uint64_t gpa, uint64_t size);
	void *hint_sink_data;
	bool reporting;

	struct balloon_audit audit;
	uint32_t audit_pfn; /* the next page to look at */
};

static inline bool acknowledged(const struct balloon *balloon, enum balloon_feature feature)
{
	return balloon->acknowledged & BALLOON_BIT(feature);
}

/* VIRTIO 1 is little-endian, whatever the transport says. */
static inline bool is_big_endian(const struct balloon *balloon)
{
	return balloon->big_endian && !acknowledged(balloon, VIRTIO_F_VERSION_1);
}

static inline uint64_t now_ns(const struct balloon *balloon)
{
	return balloon->host.now_ns(balloon->host.data);
}

static inline uint32_t pages_of(uint64_t bytes)
{
	return (uint32_t)(bytes / MEMORY_PAGE_BYTES);
}

/* From the driver's byte order. */
uint32_t balloon_u32(const struct balloon *balloon, const void *wire);

/* balloon.c */
/* Counts a fault and tells of the 1st, 10th, 100th, … of its kind; @detail is about this one. */
void balloon_fault(struct balloon *balloon, enum balloon_counter counter, const char *detail,
		   uint64_t value);
/* The same for @count of them at once; none is fine. */
void balloon_faults(struct balloon *balloon, enum balloon_counter counter, uint32_t count,
		    const char *detail, uint64_t value);
uint64_t balloon_max_bytes(const struct balloon *balloon);
/*
 * Nothing is in the balloon any more, as far as is known, and nothing will be released: after a
 * deflate that could not be read any page may be in use again.
 */
void balloon_forget_account(struct balloon *balloon);
void balloon_return(struct balloon *balloon, unsigned int queue, struct virtqueue_token token);
/* The number of the queue for @kind, or BALLOON_QUEUES_MAX. */
unsigned int balloon_queue_number(const struct balloon *balloon, enum balloon_queue kind);

/* queues.c: a bounded piece of the queues' work; false when nothing is left. */
bool queues_step(struct balloon *balloon);
/* The next @size bytes of the chain in hand, fewer at its end; -EFAULT when one is not in RAM. */
int hand_read(struct balloon *balloon, void *to, unsigned int size);
/* Finishes the chain in hand, should it be of number @queue, and returns it. */
void queues_finish(struct balloon *balloon, unsigned int queue);

/* releases.c */
bool releases_step(struct balloon *balloon);
uint64_t releases_due_ns(const struct balloon *balloon); /* absolute, or BALLOON_IDLE */
/* Nothing waits any more, and what waited is not released. */
void releases_cancel(struct balloon *balloon);
/* Looks after the clocks of releases, after the account was changed. */
void releases_changed(struct balloon *balloon);

/* stats.c: the chain in hand; true when it is to be returned now. */
bool stats_take(struct balloon *balloon);
void stats_forget_buffer(struct balloon *balloon);

/* hinting.c: the chain in hand. */
void hinting_take(struct balloon *balloon);
void hinting_reset(struct balloon *balloon);
/* free_page_hint_cmd_id as the driver is to see it. */
uint32_t hinting_config_id(const struct balloon *balloon);

/* audit.c */
bool audit_step(struct balloon *balloon);

#endif
