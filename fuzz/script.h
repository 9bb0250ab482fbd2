/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fuzzers share: an input as a script, from whose front numbers are taken,
 * little-endian, and 0 after its end; require(), which ends the run and prints the
 * condition that does not hold; and the function that libFuzzer calls.
 */
#ifndef AEROSTAT_FUZZ_SCRIPT_H
#define AEROSTAT_FUZZ_SCRIPT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const uint8_t *at;
	size_t left;
};

/* Takes at most @size bytes; returns their number, and where they are. */
static inline size_t script_bytes(struct script *script, size_t size, const uint8_t **bytes)
{
	if (size > script->left)
		size = script->left;
	*bytes = script->at;
	script->at += size;
	script->left -= size;
	return size;
}

static inline uint64_t script_number(struct script *script, size_t size)
{
	const uint8_t *bytes;
	uint64_t value = 0;

	for (size_t i = script_bytes(script, size, &bytes); i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}

static inline uint8_t script_u8(struct script *script)
{
	return (uint8_t)script_number(script, 1);
}

static inline uint16_t script_u16(struct script *script)
{
	return (uint16_t)script_number(script, 2);
}

static inline uint32_t script_u32(struct script *script)
{
	return (uint32_t)script_number(script, 4);
}

static inline uint64_t script_u64(struct script *script)
{
	return script_number(script, 8);
}

#endif
