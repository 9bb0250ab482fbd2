/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fuzzers run the device in: a host that checks the device's calls and
 * whose clock only moves when it is told to; a connection between a transport and
 * its VMM; and the guest of that VMM, 4 MiB of a memfd, whose driver has split
 * rings at fixed addresses.
 *
 * A condition that does not hold ends the run: see require().
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
	bool may_close, closed;	     /* the transport may end the connection, and has ended it */
};

/* A host whose @data is @harness; its calls may be replaced. */
struct balloon_host harness_host(struct harness *harness);
/* Creates a loop and a device that is run by it. */
void harness_begin(struct harness *harness, const struct balloon_options *options,
		   const struct balloon_host *host);
void harness_end(struct harness *harness);
void harness_rounds(struct harness *harness, unsigned int rounds);
/* Checks that the device comes to rest when nothing is requested. */
void harness_settle(struct harness *harness);

/* Connects a VMM; returns its end, which is non-blocking and the caller's to close. */
int harness_connect(struct harness *harness, const struct transport_ops *ops, bool msix);
void harness_disconnect(struct harness *harness);
/* Drops what has come, to make room for its sender. */
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
