/* SPDX-License-Identifier: BSD-3-Clause */
/* The members of policy.h's structs in a recording: one table per struct. */
#ifndef AEROSTAT_RECORDING_FIELDS_H
#define AEROSTAT_RECORDING_FIELDS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recording_kind {
	RECORDING_U64, /* POLICY_UNSET is null */
	RECORDING_I64,
	RECORDING_DOUBLE,
	RECORDING_BOOL,
	RECORDING_MODE,
	RECORDING_REASON,
	RECORDING_TEXT, /* a char array of POLICY_TEXT_MAX */
};

struct recording_field {
	const char *name; /* NULL at the end of a table */
	enum recording_kind kind;
	size_t offset;
	int since;	 /* the first version that has it, for a RECORDING_U64; 0: all have */
	uint64_t before; /* what it is in older versions */
};

extern const struct recording_field recording_settings_fields[];
extern const struct recording_field recording_host_fields[];
extern const struct recording_field recording_guest_fields[];
extern const struct recording_field recording_group_fields[];
extern const struct recording_field recording_decision_fields[];

/* The struct @data as a JSON object, which the caller owns; NULL when out of memory. */
json_t *recording_pack(const struct recording_field *fields, const void *data);

/*
 * recording_unpack - fill in the struct @data from a JSON object
 * @version: of the recording
 *
 * Returns NULL, or what is wrong with the object, to follow its name; the caller frees it.
 */
char *recording_unpack(const struct recording_field *fields, const json_t *object, int version,
		       void *data);

#endif
