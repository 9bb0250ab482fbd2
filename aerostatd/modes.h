/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes and sizes that people choose: through the daemon, or past it.
 *
 * A size that a person chose is what the guest is left with when the daemon ends, until it returns
 * to auto.  Its own size is another matter (managed.h), which only modes_set_own_size() changes.
 */
#ifndef AEROSTATD_MODES_H
#define AEROSTATD_MODES_H

#include "aerostatd/guests.h"

/* As manager_set_mode() for one guest; @events gets the new mode. */
bool modes_set_one(struct guests *guests, struct events *events, const char *name,
		   enum policy_mode mode, uint64_t bytes, GError **error);

/* As manager_set_mode() for all guests that have answered. */
bool modes_set_all(struct guests *guests, struct events *events, enum policy_mode mode,
		   uint64_t bytes, GError **error);

/* Sets the size that a person chose for a guest whose mode stays as it is, observe or off. */
bool modes_set_size(struct guests *guests, struct managed *guest, uint64_t bytes, GError **error);

/* As manager_set_own_size(). */
bool modes_set_own_size(struct guests *guests, struct events *events, const char *name,
			uint64_t bytes, GError **error);

/* Somebody set the size of @guest past the daemon: in mode auto it is held from now on. */
void modes_note_resize(struct guests *guests, struct events *events, struct managed *guest);

#endif
