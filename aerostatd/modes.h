/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes and sizes that people choose: through the daemon, or past it.
 *
 * A size that a person chose becomes the size from before: the guest is left with it when the
 * daemon ends, and it is restored to it if the policy changes it later.
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

/* Somebody set the size of @guest past the daemon: in mode auto it is held from now on. */
void modes_note_resize(struct guests *guests, struct events *events, struct managed *guest);

#endif
