/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void json_out_start(struct json_out *out, char *text, size_t size)
{
	*out = (struct json_out){ .text = text, .size = size };
}

static void put(struct json_out *out, const char *text, size_t length)
{
	if (out->full || length > out->size - out->length) {
		out->full = true;
		return;
	}
	memcpy(out->text + out->length, text, length);
	out->length += length;
}

static void put_text(struct json_out *out, const char *text)
{
	put(out, text, strlen(text));
}

static void put_quoted(struct json_out *out, const char *text)
{
	put(out, "\"", 1);
	for (; *text; text++) {
		char escaped[8];

		if ((unsigned char)*text < 0x20) {
			snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned int)*text);
			put_text(out, escaped);
			continue;
		}
		if (*text == '"' || *text == '\\')
			put(out, "\\", 1);
		put(out, text, 1);
	}
	put(out, "\"", 1);
}

/* All that stands before a value. */
static void put_key(struct json_out *out, const char *key)
{
	if (out->comma)
		put_text(out, ", ");
	out->comma = true;
	if (key) {
		put_quoted(out, key);
		put_text(out, ": ");
	}
}

void out_open(struct json_out *out, const char *key, char bracket)
{
	put_key(out, key);
	put(out, &bracket, 1);
	out->comma = false;
}

void out_close(struct json_out *out, char bracket)
{
	put(out, &bracket, 1);
	out->comma = true;
}

void out_u64(struct json_out *out, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_key(out, key);
	put_text(out, digits);
}

void out_bool(struct json_out *out, const char *key, bool value)
{
	put_key(out, key);
	put_text(out, value ? "true" : "false");
}

void out_null(struct json_out *out, const char *key)
{
	put_key(out, key);
	put_text(out, "null");
}

void out_string(struct json_out *out, const char *key, const char *value)
{
	put_key(out, key);
	put_quoted(out, value);
}

void out_json(struct json_out *out, const char *key, const json_t *value)
{
	size_t room, length;

	put_key(out, key);
	if (out->full)
		return;
	room = out->size - out->length;
	length = json_dumpb(value, out->text + out->length, room, JSON_ENCODE_ANY);
	if (length == 0 || length > room)
		out->full = true;
	else
		out->length += length;
}

void out_raw(struct json_out *out, const char *text)
{
	put_text(out, text);
}
