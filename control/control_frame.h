/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a message ends in a stream of JSON.
 *
 * Theory of operation
 * -------------------
 * QMP is a stream of JSON objects, in packets and lines as it pleases the
 * client.  A message ends where its outermost bracket closes.  What begins
 * with no bracket is garbage until the next line or opening brace, and a line
 * that ends within a string ends its message, too; so one slip costs one
 * message and not the connection.
 */
#ifndef AEROSTAT_TRANSPORT_CONTROL_FRAME_H
#define AEROSTAT_TRANSPORT_CONTROL_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_MESSAGE_MAX 65536
#define CONTROL_DEPTH_MAX 32

enum control_frame_result {
	CONTROL_FRAME_MORE,	/* all was used, and no message has ended */
	CONTROL_FRAME_MESSAGE,	/* @text holds one, in brackets that may not match */
	CONTROL_FRAME_GARBAGE,	/* @text holds what no message begins with */
	CONTROL_FRAME_TOO_DEEP, /* a message, of more than CONTROL_DEPTH_MAX levels */
	CONTROL_FRAME_TOO_LONG, /* over CONTROL_MESSAGE_MAX: where it ends is not known */
};

struct control_frame {
	size_t length;
	unsigned int depth, deepest;
	bool garbage, in_string, escaped;
	bool ended; /* @text is the last result's; the next byte begins another */
	char text[CONTROL_MESSAGE_MAX];
};

/* Goes on with the @count bytes at @bytes, of which *@used are used. */
enum control_frame_result control_frame_feed(struct control_frame *frame, const char *bytes,
					     size_t count, size_t *used);

#endif
