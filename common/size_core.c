/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * Numbers are read as decimal digits and not by strtod(), so that the locale does not matter,
 * exponents, hexadecimal numbers and "nan" are errors, and whole sizes are exact up to
 * 2^63 - 1 bytes.  Nine digits of a fraction are used, which is finer than a byte for all units
 * up to G.
 */
#include "common/size_core.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define FRACTION_SCALE UINT64_C(1000000000)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name; /* in lower case */
	uint64_t bytes;
} units[] = {
	{ "", SIZE_KIB },
	{ "b", 1 },
	{ "byte", 1 },
	{ "bytes", 1 },
	{ "k", SIZE_KIB },
	{ "kib", SIZE_KIB },
	{ "kb", 1000 },
	{ "m", SIZE_MIB },
	{ "mib", SIZE_MIB },
	{ "mb", 1000000 },
	{ "g", SIZE_GIB },
	{ "gib", SIZE_GIB },
	{ "gb", 1000000000 },
	{ "t", SIZE_GIB << 10 },
	{ "tib", SIZE_GIB << 10 },
	{ "tb", UINT64_C(1000000000000) },
	{ "p", SIZE_GIB << 20 },
	{ "pib", SIZE_GIB << 20 },
	{ "pb", UINT64_C(1000000000000000) },
	{ "e", SIZE_GIB << 30 },
	{ "eib", SIZE_GIB << 30 },
	{ "eb", UINT64_C(1000000000000000000) },
};

/* ASCII only, whatever the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_unit(const char *text, size_t length, const char *name)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];

		if (!name[i] || c != name[i])
			return false;
	}
	return !name[length];
}

/* The number of bytes of the unit at @text; 0 if it is unknown. */
static uint64_t find_size_unit(const char *text)
{
	size_t length = strlen(text);

	while (length && is_space(text[length - 1]))
		length--;
	for (size_t i = 0; i < LENGTH(units); i++)
		if (is_unit(text, length, units[i].name))
			return units[i].bytes;
	return 0;
}

static const char *skip_spaces(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

/* Reads the digits at *@p into @whole; false if the number exceeds 64 bits. */
static bool read_whole(const char **p, uint64_t *whole)
{
	*whole = 0;
	for (; is_digit(**p); (*p)++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(**p - '0'), whole))
			return false;
	return true;
}

/* Reads the digits at *@p in units of 1 / FRACTION_SCALE; ignores those after the ninth. */
static uint64_t read_fraction(const char **p)
{
	uint64_t fraction = 0;
	uint64_t place = FRACTION_SCALE / 10;

	for (; is_digit(**p); (*p)++, place /= 10)
		fraction += place * (uint64_t)(**p - '0');
	return fraction;
}

enum size_fault size_read(const char *text, uint64_t *bytes, const char **unit)
{
	const char *p = skip_spaces(text);
	uint64_t whole, fraction = 0, unit_bytes;
	unsigned __int128 total;

	if (!*p)
		return SIZE_EMPTY;
	if (*p == '-')
		return SIZE_NEGATIVE;
	if (!is_digit(*p))
		return SIZE_NO_NUMBER;
	if (!read_whole(&p, &whole))
		return SIZE_TOO_LARGE;
	if (*p == ',')
		return SIZE_COMMA;
	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return SIZE_NO_FRACTION;
		fraction = read_fraction(&p);
	}
	*unit = p = skip_spaces(p);
	unit_bytes = find_size_unit(p);
	if (!unit_bytes)
		return SIZE_UNKNOWN_UNIT;
	total = (unsigned __int128)whole * unit_bytes +
		(unsigned __int128)fraction * unit_bytes / FRACTION_SCALE;
	if (total > INT64_MAX)
		return SIZE_TOO_LARGE;
	*bytes = (uint64_t)total;
	return SIZE_OK;
}

const char *size_fault_text(enum size_fault fault)
{
	static const char *const texts[] = {
		[SIZE_OK] = "is valid",
		[SIZE_EMPTY] = "is empty",
		[SIZE_NEGATIVE] = "is negative",
		[SIZE_NO_NUMBER] = "is not a number",
		[SIZE_COMMA] = "has a comma instead of a decimal point",
		[SIZE_NO_FRACTION] = "has no digit after its decimal point",
		[SIZE_UNKNOWN_UNIT] = "has an unknown unit",
		[SIZE_TOO_LARGE] = "is out of range: it must be less than 8 EiB",
	};

	return texts[fault];
}

void size_write(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t unit = 1;
	size_t i = 0;
	uint64_t tenths;

	while (i + 1 < LENGTH(names) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	/* One decimal of GiB is too coarse below 10 GiB: use MiB unless GiB is exact. */
	if (unit == SIZE_GIB && bytes < 10 * SIZE_GIB && bytes % (SIZE_GIB / 2)) {
		unit = SIZE_MIB;
		i--;
	}
	tenths = (uint64_t)(((unsigned __int128)bytes * 10 + unit / 2) / unit);
	if (tenths % 10 == 0 || unit <= SIZE_KIB || tenths >= 1000)
		snprintf(text, SIZE_TEXT_MAX, "%" PRIu64 " %s", (tenths + 5) / 10, names[i]);
	else
		snprintf(text, SIZE_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
			 tenths % 10, names[i]);
}
