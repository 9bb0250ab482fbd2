/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fuzzers hold the device in: a host that checks what the device tells
 * it, with a clock that stands until it is moved; a connection between a
 * transport and its VMM; and the guest of that VMM, 4 MiB of a memfd, whose
 * driver has its rings, split ones, at known places.
 *
 * What must not be ends the run, by require().
 */
#ifndef AEROSTAT_FUZZ_HARNESS_H
#define AEROSTAT_FUZZ_HARNESS_H

#include "fuzz/script.h"
#include "transport/transport.h"

struct harness {
	struct loop *loop;
	struct balloon *balloon;
	uint64_t now_ns; /* the host's clock */
	const struct transport_ops *ops;
	struct transport *transport; /* NULL when it is not connected */
	bool may_close, closed;	     /* may the transport end the connection, and has it? */
};

/* Its data is @harness; calls may be replaced. */
struct balloon_host harness_host(struct harness *harness);
/* A loop, and a device that has its turns in it. */
void harness_begin(struct harness *harness, const struct balloon_options *options,
		   const struct balloon_host *host);
void harness_end(struct harness *harness);
void harness_rounds(struct harness *harness, unsigned int rounds);
/* When nothing is asked for any more, the device has to come to rest. */
void harness_settle(struct harness *harness);

/* The VMM's end of the connection, non-blocking, the caller's to close. */
int harness_connect(struct harness *harness, const struct transport_ops *ops, bool msix);
void harness_disconnect(struct harness *harness);
/* Drops what has come, so that its sender has room again. */
void drain_socket(int fd);

#define GUEST_RAM_BYTES UINT64_C(0x400000)
#define GUEST_RING_BYTES 0x1000u /* queue number n has its ring at n times this */
#define GUEST_RING_SIZE 64
#define GUEST_AVAIL_OFFSET 0x400u
#define GUEST_USED_OFFSET 0x600u

struct guest {
	uint8_t *ram;
	uint16_t offered[BALLOON_QUEUES_MAX];
};

void guest_map(struct guest *guest, int memory_fd);
void guest_unmap(struct guest *guest);
void guest_clear_ring(struct guest *guest, unsigned int queue);
/* u16 offset, u8 count, bytes */
void guest_write(struct guest *guest, struct script *script);
/* u8 queue, u32 address, u16 length, u8 flags: a chain of one.  The queue's number. */
unsigned int guest_offer(struct guest *guest, struct script *script);

/* File descriptors. */
int memory_file(uint64_t bytes);
void signal_eventfd(int fd, uint64_t count);
unsigned int count_open_fds(void);

#endif
