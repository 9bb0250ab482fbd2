/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Standard input, output and error, of which a program that was just started may have any or none.
 *
 * Theory of operation: a descriptor below 3 that is closed at the start would be given to the
 * next file or socket that is opened, and whatever is printed would go there: a table into a
 * QEMU's monitor, a warning into a state file.  So each that is closed becomes /dev/null.
 *
 * Output that is lost is found out at the end only, since it is buffered.
 */
#ifndef AEROSTAT_STANDARD_STREAMS_H
#define AEROSTAT_STANDARD_STREAMS_H

/*
 * standard_streams_open - open those that are closed, before anything else is opened
 *
 * Returns 0, or a negative errno if /dev/null cannot be opened.
 */
int standard_streams_open(void);

/*
 * standard_streams_finish - write what standard output still holds
 *
 * Returns 0, or a negative errno if any of the output was lost; -EIO if the reason is not known any
 * more.  That a reader had enough (EPIPE) is no error.
 */
int standard_streams_finish(void);

#endif
