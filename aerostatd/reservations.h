/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reservations: memory promised to guests that are about to start.
 *
 * Theory of operation
 * -------------------
 * A reservation is taken out of the budget at once, so that no guest is given what is promised.
 * How much of it is free is what the guests leave of the budget, the oldest reservation first.  A
 * reservation ends at its time, when it is cancelled, or when a guest whose name is its note has
 * started, whose memory then counts by itself.
 */
#ifndef AEROSTATD_RESERVATIONS_H
#define AEROSTATD_RESERVATIONS_H

#include "aerostatd/manager.h"

struct reservations;

/* What happens to reservations is added to @events. */
struct reservations *reservations_new(struct events *events);
/* Frees them; no event is added. */
void reservations_free(struct reservations *reservations);

/* struct reservation *, the oldest first. */
const GPtrArray *reservations_list(const struct reservations *reservations);

/* The sum of all reservations. */
uint64_t reservations_sum_bytes(const struct reservations *reservations);

/*
 * reservations_add - reserve @bytes for @ttl_s seconds
 * @status: host and configuration, as of the last round
 * @guests: struct managed *, as of the last round
 * @note: NULL for none
 *
 * NULL with MANAGER_ERROR_REFUSED if the demand of @guests leaves less.
 */
const struct reservation *reservations_add(struct reservations *reservations,
					   const struct manager_status *status,
					   const GPtrArray *guests, uint64_t bytes,
					   unsigned int ttl_s, const char *note, GError **error);

/* Ends one; false with MANAGER_ERROR_NOT_FOUND if there is none with this id. */
bool reservations_cancel(struct reservations *reservations, uint64_t id, GError **error);

/* Ends those whose time is over, or whose guest is one of @guests. */
void reservations_expire(struct reservations *reservations, const GPtrArray *guests,
			 int64_t now_us);

/* Updates how much of each is free: @budget_bytes, less what @guests use, is divided. */
void reservations_fill(struct reservations *reservations, const GPtrArray *guests,
		       uint64_t budget_bytes);

#endif
