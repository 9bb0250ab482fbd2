/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds where messages end in a stream of JSON.
 *
 * Theory of operation
 * -------------------
 * QMP is a stream of JSON objects, and the client may split it into lines and
 * packets as it likes.  A message ends where its outermost bracket is closed.
 * Text that does not begin with a bracket is garbage, up to the next line or
 * opening brace.  A line break within a string ends the message, too.  So one
 * mistake costs one message, and not the connection.
 */
#ifndef AEROSTAT_CONTROL_CONTROL_FRAME_H
#define AEROSTAT_CONTROL_CONTROL_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_MESSAGE_MAX 65536
#define CONTROL_DEPTH_MAX 32

enum control_frame_result {
	CONTROL_FRAME_MORE,	/* all bytes were used, the message goes on */
	CONTROL_FRAME_MESSAGE,	/* @text holds one; its brackets need not match */
	CONTROL_FRAME_GARBAGE,	/* @text holds text that is not a message */
	CONTROL_FRAME_TOO_DEEP, /* a message with over CONTROL_DEPTH_MAX levels */
	CONTROL_FRAME_TOO_LONG, /* over CONTROL_MESSAGE_MAX; its end is unknown */
};

struct control_frame {
	size_t length;
	unsigned int depth, deepest;
	bool garbage, in_string, escaped;
	bool ended; /* @text holds the last result; the next byte begins a new message */
	char text[CONTROL_MESSAGE_MAX];
};

/*
 * control_frame_feed - scan the next bytes of the stream
 * @used: set to how many of the @count bytes at @bytes were taken
 *
 * To be called again with the rest of the bytes after any result but
 * CONTROL_FRAME_MORE.  @frame starts out as all zeros.
 */
enum control_frame_result control_frame_feed(struct control_frame *frame, const char *bytes,
					     size_t count, size_t *used);

#endif
