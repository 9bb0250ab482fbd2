/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a number is read as decimal digits, not through
 * strtod(), so that no locale, exponent, hexadecimal or "nan" slips in and
 * whole sizes stay exact up to 2^63 - 1 bytes.  A fraction is read to nine
 * digits, which is finer than a byte for all units up to G.
 */
#include "size.h"

#include <inttypes.h>
#include <string.h>

G_DEFINE_QUARK(size - error, size_error)

#define FRACTION_SCALE UINT64_C(1000000000)

static const struct {
	const char *name;
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

static const uint64_t *find_unit(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (!g_ascii_strcasecmp(name, units[i].name))
			return &units[i].bytes;
	return NULL;
}

static bool malformed(const char *text, const char *why, GError **error)
{
	g_autofree char *shown = g_strescape(text, NULL);

	g_set_error(error, SIZE_ERROR, SIZE_ERROR_MALFORMED, "size '%s' %s; write it like %s",
		    shown, why, SIZE_FORMS);
	return false;
}

static bool overflow(const char *text, GError **error)
{
	g_set_error(error, SIZE_ERROR, SIZE_ERROR_OVERFLOW,
		    "size '%s' is out of range: the most is 8 EiB less a byte", text);
	return false;
}

/* Digits at *@p into @whole; false when they exceed 64 bits. */
static bool read_whole(const char **p, uint64_t *whole)
{
	*whole = 0;
	for (; g_ascii_isdigit(**p); (*p)++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(**p - '0'), whole))
			return false;
	return true;
}

/* Digits at *@p as parts of FRACTION_SCALE; those past the ninth are dropped. */
static uint64_t read_fraction(const char **p)
{
	uint64_t fraction = 0;
	uint64_t place = FRACTION_SCALE / 10;

	for (; g_ascii_isdigit(**p); (*p)++, place /= 10)
		fraction += place * (uint64_t)(**p - '0');
	return fraction;
}

bool size_parse(const char *text, uint64_t *bytes, GError **error)
{
	g_autofree char *word = g_strstrip(g_strdup(text));
	const char *p = word;
	const uint64_t *unit;
	uint64_t whole, fraction = 0;
	unsigned __int128 total;

	if (!*p)
		return malformed(word, "is empty", error);
	if (*p == '-') {
		g_set_error(error, SIZE_ERROR, SIZE_ERROR_NEGATIVE,
			    "size '%s' is negative; write it like %s", word, SIZE_FORMS);
		return false;
	}
	if (!g_ascii_isdigit(*p))
		return malformed(word, "is not a number", error);
	if (!read_whole(&p, &whole))
		return overflow(word, error);
	if (*p == ',')
		return malformed(word, "has a comma where a point belongs", error);
	if (*p == '.') {
		p++;
		if (!g_ascii_isdigit(*p))
			return malformed(word, "has no digit after its point", error);
		fraction = read_fraction(&p);
	}
	while (g_ascii_isspace(*p))
		p++;
	unit = find_unit(p);
	if (!unit) {
		g_autofree char *why = g_strdup_printf("has an unknown unit '%s'", p);
		return malformed(word, why, error);
	}
	total = (unsigned __int128)whole * *unit +
		(unsigned __int128)fraction * *unit / FRACTION_SCALE;
	if (total > INT64_MAX)
		return overflow(word, error);
	*bytes = (uint64_t)total;
	return true;
}

char *size_format(uint64_t bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t unit = 1;
	size_t i = 0;
	uint64_t tenths;

	while (i + 1 < G_N_ELEMENTS(names) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	/* 1.3 GiB hides 70 MiB, too much here: below 10 GiB speak in MiB unless it is exact. */
	if (unit == SIZE_GIB && bytes < 10 * SIZE_GIB && bytes % (SIZE_GIB / 2)) {
		unit = SIZE_MIB;
		i--;
	}
	tenths = (uint64_t)(((unsigned __int128)bytes * 10 + unit / 2) / unit);
	if (tenths % 10 == 0 || unit <= SIZE_KIB || tenths >= 1000)
		return g_strdup_printf("%" PRIu64 " %s", (tenths + 5) / 10, names[i]);
	return g_strdup_printf("%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, names[i]);
}

char *size_format_change(int64_t bytes)
{
	g_autofree char *size = size_format(bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes);

	return g_strdup_printf("%s%s", bytes > 0 ? "+" : bytes < 0 ? "-" : "", size);
}
