/* SPDX-License-Identifier: BSD-3-Clause */
/* The fields of policy.h's structs as a recording has them: one table each. */
#ifndef AEROSTAT_RECORDING_FIELDS_H
#define AEROSTAT_RECORDING_FIELDS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum recording_kind {
	RECORDING_U64, /* POLICY_UNSET is null */
	RECORDING_I64,
	RECORDING_DOUBLE,
	RECORDING_BOOL,
	RECORDING_MODE,
	RECORDING_REASON,
	RECORDING_TEXT, /* of POLICY_TEXT_MAX */
};

struct recording_field {
	const char *name; /* NULL at the end of a table */
	enum recording_kind kind;
	size_t offset;
};

extern const struct recording_field recording_settings_fields[];
extern const struct recording_field recording_host_fields[];
extern const struct recording_field recording_guest_fields[];
extern const struct recording_field recording_decision_fields[];

size_t recording_kind_size(enum recording_kind kind);

/* @data as an object; NULL when out of memory. */
json_t *recording_pack(const struct recording_field *fields, const void *data);

/* The other way; what is wrong with @object otherwise, freed by the caller, or NULL. */
char *recording_unpack(const struct recording_field *fields, const json_t *object, void *data);

#endif
