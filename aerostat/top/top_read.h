/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of the daemon's answers, whatever is missing or of another kind. */
#ifndef AEROSTAT_TOP_READ_H
#define AEROSTAT_TOP_READ_H

#include "hypervisor/hypervisor.h"

#include <jansson.h>

/* HV_UNSET when it is null, missing or negative. */
static inline uint64_t top_bytes(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;

	return number < 0 ? HV_UNSET : (uint64_t)number;
}

/* "" when it is null or missing. */
static inline const char *top_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static inline bool top_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static inline json_int_t top_id(const json_t *guest)
{
	return json_integer_value(json_object_get(guest, "id"));
}

/* The sum of what is known of both, which stays below HV_UNSET. */
static inline uint64_t top_sum(uint64_t a, uint64_t b)
{
	a = a == HV_UNSET ? 0 : a;
	b = b == HV_UNSET ? 0 : b;
	return a > INT64_MAX - MIN(b, INT64_MAX) ? INT64_MAX : a + b;
}

#endif
