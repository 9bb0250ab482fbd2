/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A control socket with real connections and a real device, but without a guest:
 * a few lines here play its driver.  Both ends run in one thread, so waiting for
 * an answer means running the loop.
 */
#ifndef AEROSTAT_CONTROL_RIG_H
#define AEROSTAT_CONTROL_RIG_H

#include "control/control_state.h"

#define RAM (UINT64_C(64) << 20)
#define ROUNDS 5000

struct rig {
	struct loop *loop;
	struct balloon *balloon;
	struct control *control;
	char dir[32], path[64];
	uint8_t *ram;
	int fd; /* a client that has been greeted and has negotiated */
	unsigned int quits;
	char line[CONTROL_OUT_MAX];
};

/* For cmocka: a rig whose guest has RAM, or has none. */
int control_rig_setup(void **state);
int control_rig_setup_bare(void **state);
int control_rig_teardown(void **state);
#define WITH_RAM(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, control_rig_setup, control_rig_teardown)
#define BARE(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, control_rig_setup_bare, control_rig_teardown)

/* Clients.  The line that was received last is in rig->line. */
int connect_to(struct rig *rig);
int connect_ready(struct rig *rig); /* has been greeted, and has negotiated */
void say(int fd, const char *text);
void say_bytes(int fd, const char *text, size_t length);
void hear(struct rig *rig, int fd);
/* True when a few rounds of the loop bring no byte. */
bool hears_nothing(struct rig *rig, int fd);
bool hung_up(struct rig *rig, int fd);

/* Check the line that was received last, as JSON, or a part of its text. */
void expect_json(const struct rig *rig, const char *expected);
void expect_part(const struct rig *rig, const char *part);
/* Send @request and check the answer. */
void ask(struct rig *rig, const char *request, const char *expected);
void ask_part(struct rig *rig, const char *request, const char *part);

/* The driver. */
void driver_says_balloon_holds(struct rig *rig, uint32_t pages);
/* A driver with only the statistics queue sends sample number @index: free memory. */
void driver_gives_stats(struct rig *rig, uint16_t index, uint64_t free_bytes);
/* How many statistics buffers the device has returned. */
uint16_t stats_returned(const struct rig *rig);

#endif
