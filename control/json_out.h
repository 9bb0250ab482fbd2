/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes JSON into a buffer of fixed size, with no allocation.
 *
 * Written here and not left to jansson because QEMU says 2^64 - 1 for "not
 * known", an integer that jansson cannot hold.  What does not fit sets @full
 * and is left out; look at it once, at the end.
 */
#ifndef AEROSTAT_TRANSPORT_JSON_OUT_H
#define AEROSTAT_TRANSPORT_JSON_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_out {
	char *text; /* no NUL at its end */
	size_t size, length;
	bool comma; /* what comes next has one before it */
	bool full;
};

void json_out_start(struct json_out *out, char *text, size_t size);

/* @key names a member of an object; NULL in arrays and for the outermost value. */
void out_open(struct json_out *out, const char *key, char bracket); /* '{' or '[' */
void out_close(struct json_out *out, char bracket);		    /* '}' or ']' */
void out_u64(struct json_out *out, const char *key, uint64_t value);
void out_bool(struct json_out *out, const char *key, bool value);
void out_null(struct json_out *out, const char *key);
/* @value is UTF-8. */
void out_string(struct json_out *out, const char *key, const char *value);
void out_json(struct json_out *out, const char *key, const json_t *value);
/* As it is, between values: white space. */
void out_raw(struct json_out *out, const char *text);

#endif
