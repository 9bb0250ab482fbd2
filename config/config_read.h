/* SPDX-License-Identifier: BSD-3-Clause */
/* What config.c, config_read.c and config_keys.c share; nobody else's. */
#ifndef AEROSTAT_CONFIG_READ_H
#define AEROSTAT_CONFIG_READ_H

#include "config/config.h"

/* Where reading has come to. */
struct config_reader {
	struct config *config;
	unsigned int line;
	const char *group;	    /* of config_key_table; NULL before the first */
	char *title;		    /* what stands in the brackets: "guest web" */
	struct config_guest *guest; /* of the present [guest GLOB] */
	GHashTable *guests;	    /* their globs → all of them so far */
	GHashTable *said;	    /* "TITLE\nKEY" → its line */
};

/* Reads the whole of @text, which it takes apart.  On failure @reader->line is the line at fault.
 */
bool config_read(struct config_reader *reader, GString *text, GError **error);
void config_guest_free(gpointer guest);

/* Sets a CONFIG_ERROR_INVALID of the reason alone; returns false. */
bool config_wrong(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* So much of @text as fits into a line of a message, whatever it is. */
char *config_shown(const char *text);

#endif
