/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_frame.h"

static bool is_json_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void begin_message(struct control_frame *frame)
{
	frame->length = 0;
	frame->depth = frame->deepest = 0;
	frame->garbage = frame->in_string = frame->escaped = frame->ended = false;
}

static void scan_string(struct control_frame *frame, char c)
{
	if (frame->escaped)
		frame->escaped = false;
	else if (c == '\\')
		frame->escaped = true;
	else if (c == '"')
		frame->in_string = false;
}

static void scan_structure(struct control_frame *frame, char c)
{
	if (c == '"') {
		frame->in_string = true;
	} else if (c == '{' || c == '[') {
		frame->depth++;
		if (frame->depth > frame->deepest)
			frame->deepest = frame->depth;
	} else if (c == '}' || c == ']') {
		frame->depth--;
	}
}

static enum control_frame_result end_message(struct control_frame *frame)
{
	frame->ended = true;
	if (frame->garbage)
		return CONTROL_FRAME_GARBAGE;
	return frame->deepest > CONTROL_DEPTH_MAX ? CONTROL_FRAME_TOO_DEEP : CONTROL_FRAME_MESSAGE;
}

/* Takes @c into the message; true when that ends it. */
static bool scan_byte(struct control_frame *frame, char c)
{
	if (frame->length == 0)
		frame->garbage = c != '{' && c != '[';
	frame->text[frame->length++] = c;
	if (frame->garbage)
		return false;
	if (frame->in_string)
		scan_string(frame, c);
	else
		scan_structure(frame, c);
	return frame->depth == 0;
}

/* True when the message has ended before @c, which is not part of it. */
static bool ends_before(const struct control_frame *frame, char c)
{
	if (frame->garbage)
		return c == '\n' || c == '{';
	return frame->in_string && c == '\n';
}

enum control_frame_result control_frame_feed(struct control_frame *frame, const char *bytes,
					     size_t count, size_t *used)
{
	*used = 0;
	if (frame->ended)
		begin_message(frame);
	for (; *used < count; (*used)++) {
		char c = bytes[*used];

		if (frame->length == 0 && is_json_space(c))
			continue;
		if (frame->length && ends_before(frame, c))
			return end_message(frame);
		if (frame->length == sizeof(frame->text)) {
			frame->ended = true;
			return CONTROL_FRAME_TOO_LONG;
		}
		if (scan_byte(frame, c)) {
			(*used)++;
			return end_message(frame);
		}
	}
	return CONTROL_FRAME_MORE;
}
