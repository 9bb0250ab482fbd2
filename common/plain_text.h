/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text from outside, made safe to print and to put into JSON.
 *
 * Theory of operation
 * -------------------
 * Guests, QEMU, libvirt and file names may send any bytes: terminal controls, invalid UTF-8,
 * characters that change the direction of a line.  Each such byte is written as \xNN.
 *
 * A name is escaped once, where it enters the program (hypervisor/guest.c), by plain_name(): from
 * then on the escaped text is the guest's name, in tables, JSON, logs, metrics and on the command
 * line.  Everything else that is printed passes plain_text() on its way out, which leaves text
 * that was escaped before as it is.  So nothing has to know whether a text was escaped already.
 *
 * Escaped are: control characters (C0, DEL, C1), format characters (bidirectional overrides and
 * isolates, zero-width characters), line and paragraph separators, and bytes that are not UTF-8.
 */
#ifndef AEROSTAT_PLAIN_TEXT_H
#define AEROSTAT_PLAIN_TEXT_H

#include <glib.h>

/* @text in one printable line of UTF-8; what is printable already stays as it is.  Free it. */
char *plain_text(const char *text);

/*
 * plain_name - a name in one printable line of UTF-8
 *
 * As plain_text(), but a backslash that reads as the beginning of an escape is escaped, too.  So
 * two different names never become the same.  Free it.
 */
char *plain_name(const char *name);

/* The name that plain_name() made @text of: each \xNN (two lowercase digits) as a byte.  Free it.
 */
char *plain_name_decode(const char *text);

#endif
