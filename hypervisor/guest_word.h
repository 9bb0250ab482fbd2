/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which guest a word of the command line, or of a request, means.
 *
 * Theory of operation
 * -------------------
 * The command and the daemon both ask here, so that a word never means one guest for setmem and
 * another for explain.  A word with a prefix has one meaning:
 *
 *   qmp:PATH    the guest behind this monitor socket
 *   uuid:UUID   the guest with this UUID
 *
 * Any other word means each guest of which it is the name, the UUID, libvirt's id, or the name of
 * the monitor socket, with or without its extension.  No meaning takes precedence: a word that
 * means two guests is refused, and the error lists them with the words that mean only one.
 *
 * Names and addresses are compared as plain_name() writes them; a word may be written either way.
 */
#ifndef AEROSTAT_HYPERVISOR_GUEST_WORD_H
#define AEROSTAT_HYPERVISOR_GUEST_WORD_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* What a guest is called. */
struct guest_names {
	const char *source;  /* "qmp", or the libvirt URI */
	const char *address; /* "qmp:PATH", or a domain's name */
	const char *name;    /* NULL: unknown */
	const char *uuid;    /* NULL: unknown or none */
	int id;		     /* libvirt's; -1: none */
};

/* Whether @word means this guest. */
bool guest_word_fits(const char *word, const struct guest_names *guest);

/* Whether @word is an address, qmp:PATH, which needs no search. */
bool guest_word_is_address(const char *word);

/* The text of an error for @word, which means each of the @count @guests; the caller frees it. */
char *guest_word_explain_ambiguity(const char *word, const struct guest_names *guests,
				   size_t count);

/*
 * guest_word_quote - @word as a shell and GOption take it for a GUEST, for hints
 *
 * Quoted if it has to be; after "-- " if it begins like an option.  The caller frees it.
 */
char *guest_word_quote(const char *word);

#endif
