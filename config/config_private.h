/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of config/ share.  Each calls only those before it in this list:
 * config_error.c, config_mode.c, config_keys.c, config_read.c, config.c.
 */
#ifndef AEROSTAT_CONFIG_PRIVATE_H
#define AEROSTAT_CONFIG_PRIVATE_H

#include "config/config.h"

/*
 * config_error.c
 */

/* Sets a CONFIG_ERROR_INVALID with the reason alone, to which the place is added.  Returns false.
 */
bool config_set_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/*
 * The start of @text for use in a message, to be freed: at most 60 bytes and "…", without control
 * characters.
 */
char *config_excerpt(const char *text);

/*
 * config_keys.c
 */

struct config_key {
	const char *group; /* "guest" stands for every [guest GLOB] */
	const char *key;
	const char *values; /* what it takes, for messages: "a size, such as 512M" */
	/*
	 * Parses @raw, the text behind "=", into @place, which is at @offset of a struct
	 * config_guest in the group "guest" and of the struct config in others.  False with an
	 * error of config_set_error().
	 */
	bool (*parse)(const struct config_key *key, const char *raw, void *place, GError **error);
	size_t offset;
	double least, most; /* of a number */
	bool may_be_empty;  /* it is a list */
};
/* The keys of a group stand together; a row without a group is the end. */
extern const struct config_key config_key_table[];

/*
 * config_read.c
 */

/*
 * config_read - parses @text into @config, which has its defaults so far
 * @line: when it fails, the line of the error, from 1
 *
 * Changes @text.  False with an error of config_set_error().
 */
bool config_read(struct config *config, GString *text, unsigned int *line, GError **error);
/* Frees a struct config_guest. */
void config_guest_free(void *guest);

#endif
