/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes JSON into a buffer of fixed size, without allocating memory.
 *
 * jansson cannot do this job: QEMU sends 2^64 - 1 for "not known", which does not
 * fit into jansson's integers.
 *
 * The writer adds commas and escapes strings; the caller keeps brackets balanced.
 * Text that does not fit sets @full and is dropped, so it is enough to check
 * @full once, at the end.
 *
 * In all functions @key is the name of an object's member; it is NULL in arrays
 * and for the outermost value.
 */
#ifndef AEROSTAT_IO_JSON_WRITER_H
#define AEROSTAT_IO_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
	char *text; /* not NUL-terminated */
	size_t size, length;
	bool needs_comma; /* before the next value */
	bool full;
};

/* Starts with an empty text in the @size bytes at @text, which the caller owns. */
void json_writer_init(struct json_writer *writer, char *text, size_t size);

/* Opens an object or an array: @bracket is '{' or '['. */
void json_write_open(struct json_writer *writer, const char *key, char bracket);
/* Closes it again: @bracket is '}' or ']'. */
void json_write_close(struct json_writer *writer, char bracket);
/* Writes an unsigned integer, up to 2^64 - 1. */
void json_write_u64(struct json_writer *writer, const char *key, uint64_t value);
/* Writes true or false. */
void json_write_bool(struct json_writer *writer, const char *key, bool value);
/* Writes null. */
void json_write_null(struct json_writer *writer, const char *key);
/* Writes a string, which must be UTF-8; it is quoted and escaped here. */
void json_write_string(struct json_writer *writer, const char *key, const char *value);
/* Writes a value that is JSON text already. */
void json_write_encoded(struct json_writer *writer, const char *key, const char *json);
/* Appends @text as it is, with no comma before it: white space between values. */
void json_write_space(struct json_writer *writer, const char *text);

#endif
