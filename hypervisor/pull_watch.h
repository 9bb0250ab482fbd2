/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to the control socket of aerostat's device on which nothing is asked: it waits for
 * the event X_PULL, by which the device reports at once that the guest takes memory back by itself.
 *
 * Theory of operation
 * -------------------
 * Other calls of this floor block, and belong to the thread of one guest.  A pull has to be noticed
 * while that thread waits for something else, so this connection belongs to the main loop, and
 * nothing here blocks: connecting to a socket of the UNIX domain does not wait, and what is sent is
 * one line.  Lines are read into a buffer of fixed size; a peer that sends a longer one, or closes,
 * ends the watch.
 *
 * A watch keeps a descriptor, and what asks the guests needs others.  So none is opened once half
 * of this process's descriptors are in use: without a watch, a pull is only noticed later.
 *
 * All functions are for the thread of the default main context.
 */
#ifndef AEROSTAT_HYPERVISOR_PULL_WATCH_H
#define AEROSTAT_HYPERVISOR_PULL_WATCH_H

#include <stdbool.h>

struct pull_watch;

/*
 * pull_watch_new - wait for pulls at the control socket @path
 * @pulled: called with @data for each of them
 *
 * NULL if nobody listens there now, or descriptors are scarce.
 */
struct pull_watch *pull_watch_new(const char *path, void (*pulled)(void *data), void *data);

/* Whether the connection is still there; if not, a new watch is needed. */
bool pull_watch_is_open(const struct pull_watch *watch);

/* @watch may be NULL. */
void pull_watch_free(struct pull_watch *watch);

#endif
