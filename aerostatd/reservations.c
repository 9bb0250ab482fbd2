/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/reservations.h"

#include "aerostatd/managed.h"
#include "common/size.h"

struct reservations {
	struct events *events;
	GPtrArray *list; /* struct reservation *, the oldest first */
	uint64_t last_id;
};

static void free_reservation(gpointer data)
{
	struct reservation *reservation = data;

	g_free(reservation->note);
	g_free(reservation);
}

struct reservations *reservations_new(struct events *events)
{
	struct reservations *reservations = g_new0(struct reservations, 1);

	reservations->events = events;
	reservations->list = g_ptr_array_new_with_free_func(free_reservation);
	return reservations;
}

void reservations_free(struct reservations *reservations)
{
	g_ptr_array_unref(reservations->list);
	g_free(reservations);
}

const GPtrArray *reservations_list(const struct reservations *reservations)
{
	return reservations->list;
}

uint64_t reservations_sum_bytes(const struct reservations *reservations)
{
	uint64_t bytes = 0;

	for (guint i = 0; i < reservations->list->len; i++)
		bytes += ((struct reservation *)reservations->list->pdata[i])->bytes;
	return bytes;
}

/* What a newcomer could have, by the numbers of the last round. */
static uint64_t find_possible_bytes(const struct reservations *reservations,
				    const struct manager_status *status, const GPtrArray *guests,
				    uint64_t bytes)
{
	g_autofree struct policy_guest *seen = g_new0(struct policy_guest, guests->len);
	g_autofree struct policy_decision *decisions = g_new0(struct policy_decision, guests->len);
	struct policy_host host = status->host;
	const struct policy_rules newcomer = { .min_bytes = bytes,
					       .max_bytes = bytes,
					       .weight = 1 };
	struct policy_grant grant;
	size_t count = 0;

	for (guint i = 0; i < guests->len; i++) {
		const struct managed *guest = guests->pdata[i];

		if (!guest->answered || !*guest->decision.text)
			continue;
		seen[count] = guest->seen;
		decisions[count++] = guest->decision;
	}
	host.reserved_bytes = reservations_sum_bytes(reservations);
	policy_admit(&host, &status->config->settings, seen, decisions, count, &status->outcome,
		     &newcomer, &grant);
	return grant.possible_bytes;
}

const struct reservation *reservations_add(struct reservations *reservations,
					   const struct manager_status *status,
					   const GPtrArray *guests, uint64_t bytes,
					   unsigned int ttl_s, const char *note, GError **error)
{
	struct reservation *reservation;
	uint64_t possible_bytes;

	if (!status->rounds) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "aerostatd has just started and has no numbers yet; try again in a "
			    "second");
		return NULL;
	}
	possible_bytes = find_possible_bytes(reservations, status, guests, bytes);
	if (possible_bytes < bytes) {
		g_autofree char *asked = size_format(bytes);
		g_autofree char *most = size_format(possible_bytes);

		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "cannot reserve %s: what the running guests need, and what is in "
			    "reserve for them all, leaves %s",
			    asked, most);
		return NULL;
	}
	reservation = g_new0(struct reservation, 1);
	*reservation = (struct reservation){
		.id = ++reservations->last_id,
		.bytes = bytes,
		.until_us = g_get_monotonic_time() + (int64_t)ttl_s * G_USEC_PER_SEC,
		.note = g_strdup(note ? note : ""),
	};
	g_ptr_array_add(reservations->list, reservation);
	events_add(reservations->events, EVENT_RESERVATION, NULL, HV_UNSET, bytes,
		   "reservation %" G_GUINT64_FORMAT " was made%s%s", reservation->id,
		   *reservation->note ? " for " : "", reservation->note);
	return reservation;
}

static void end_reservation(struct reservations *reservations, guint index, const char *why)
{
	struct reservation *reservation = reservations->list->pdata[index];

	events_add(reservations->events, EVENT_RESERVATION, NULL, HV_UNSET, reservation->bytes,
		   "reservation %" G_GUINT64_FORMAT " has ended: %s", reservation->id, why);
	g_ptr_array_remove_index(reservations->list, index);
}

bool reservations_cancel(struct reservations *reservations, uint64_t id, GError **error)
{
	for (guint i = 0; i < reservations->list->len; i++) {
		if (((struct reservation *)reservations->list->pdata[i])->id != id)
			continue;
		end_reservation(reservations, i, "it was cancelled");
		return true;
	}
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_FOUND,
		    "there is no reservation %" G_GUINT64_FORMAT, id);
	return false;
}

static bool has_started(const GPtrArray *guests, const char *name)
{
	for (guint i = 0; *name && i < guests->len; i++) {
		const struct managed *guest = guests->pdata[i];

		if (guest->answered && managed_is_called(guest, name))
			return true;
	}
	return false;
}

void reservations_expire(struct reservations *reservations, const GPtrArray *guests, int64_t now_us)
{
	for (guint i = reservations->list->len; i-- > 0;) {
		const struct reservation *reservation = reservations->list->pdata[i];

		if (now_us >= reservation->until_us)
			end_reservation(reservations, i, "its time is over");
		else if (has_started(guests, reservation->note))
			end_reservation(reservations, i, "its guest has started");
	}
}

void reservations_fill(struct reservations *reservations, const GPtrArray *guests,
		       uint64_t budget_bytes)
{
	uint64_t use = 0, left;

	for (guint i = 0; i < guests->len; i++) {
		const struct managed *guest = guests->pdata[i];

		use += guest->answered ? managed_use_bytes(guest) : 0;
	}
	left = budget_bytes - MIN(budget_bytes, use);
	for (guint i = 0; i < reservations->list->len; i++) {
		struct reservation *reservation = reservations->list->pdata[i];
		bool was_full = reservation->free_bytes == reservation->bytes;

		reservation->free_bytes = MIN(left, reservation->bytes);
		left -= reservation->free_bytes;
		if (!was_full && reservation->free_bytes == reservation->bytes)
			events_add(reservations->events, EVENT_RESERVATION, NULL, HV_UNSET,
				   reservation->bytes,
				   "reservation %" G_GUINT64_FORMAT " is free now",
				   reservation->id);
	}
}
