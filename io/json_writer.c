/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/json_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void json_writer_init(struct json_writer *writer, char *text, size_t size)
{
	*writer = (struct json_writer){ .text = text, .size = size };
}

static void append_bytes(struct json_writer *writer, const char *text, size_t length)
{
	if (writer->full || length > writer->size - writer->length) {
		writer->full = true;
		return;
	}
	memcpy(writer->text + writer->length, text, length);
	writer->length += length;
}

void json_write_space(struct json_writer *writer, const char *text)
{
	append_bytes(writer, text, strlen(text));
}

static void append_quoted(struct json_writer *writer, const char *text)
{
	append_bytes(writer, "\"", 1);
	for (; *text; text++) {
		char escaped[8];

		if ((unsigned char)*text < 0x20) {
			snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned int)*text);
			append_bytes(writer, escaped, strlen(escaped));
			continue;
		}
		if (*text == '"' || *text == '\\')
			append_bytes(writer, "\\", 1);
		append_bytes(writer, text, 1);
	}
	append_bytes(writer, "\"", 1);
}

/* Writes what stands before a value: a comma, and the member's name. */
static void append_key(struct json_writer *writer, const char *key)
{
	if (writer->needs_comma)
		append_bytes(writer, ", ", 2);
	writer->needs_comma = true;
	if (key) {
		append_quoted(writer, key);
		append_bytes(writer, ": ", 2);
	}
}

void json_write_open(struct json_writer *writer, const char *key, char bracket)
{
	append_key(writer, key);
	append_bytes(writer, &bracket, 1);
	writer->needs_comma = false;
}

void json_write_close(struct json_writer *writer, char bracket)
{
	append_bytes(writer, &bracket, 1);
	writer->needs_comma = true;
}

void json_write_encoded(struct json_writer *writer, const char *key, const char *json)
{
	append_key(writer, key);
	append_bytes(writer, json, strlen(json));
}

void json_write_u64(struct json_writer *writer, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	json_write_encoded(writer, key, digits);
}

void json_write_bool(struct json_writer *writer, const char *key, bool value)
{
	json_write_encoded(writer, key, value ? "true" : "false");
}

void json_write_null(struct json_writer *writer, const char *key)
{
	json_write_encoded(writer, key, "null");
}

void json_write_string(struct json_writer *writer, const char *key, const char *value)
{
	append_key(writer, key);
	append_quoted(writer, value);
}
