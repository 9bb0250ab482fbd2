/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What people ask of the manager: a guest's mode, and room for one about to start.
 *
 * Theory of operation
 * -------------------
 * A size that a person chose is the guest's own from then on: it is what the guest is
 * left with when the daemon ends, and what it is put back to if it is ever managed again.
 *
 * A reservation is taken out of the budget at once, so that no guest gets what is promised.
 * What of it is free is what is left of the budget before that, beyond what the guests use; the
 * oldest reservation is filled first.  It ends at its time, by being cancelled, or when a guest of
 * the name in its note is there, whose memory then counts by itself.
 */
#include "aerostatd/manager_private.h"

#include <string.h>

#include "aerostatd/log.h"
#include "common/size.h"

/*
 * Guests by name
 */

static bool is_called(const struct managed *guest, const char *name)
{
	return !g_strcmp0(guest->name, name) || !g_strcmp0(guest->uuid, name) ||
	       !strcmp(guest->address, name);
}

static char *names_of(const struct manager *manager)
{
	GString *names = g_string_new(NULL);

	for (guint i = 0; i < manager->guests->len && i < 8; i++)
		g_string_append_printf(names, "%s%s", i ? ", " : "",
				       ((struct managed *)manager->guests->pdata[i])->name);
	if (manager->guests->len > 8)
		g_string_append_printf(names, " and %u more", manager->guests->len - 8);
	return g_string_free(names, FALSE);
}

const struct managed *manager_find(const struct manager *manager, const char *name, GError **error)
{
	const struct managed *found = NULL;
	g_autofree char *names = NULL;

	for (guint i = 0; i < manager->guests->len; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		if (!is_called(guest, name))
			continue;
		if (found) {
			g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_AMBIGUOUS,
				    "'%s' is the name of several guests; use an address: %s, %s",
				    name, found->address, guest->address);
			return NULL;
		}
		found = guest;
	}
	if (found)
		return found;
	names = names_of(manager);
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_FOUND,
		    "aerostatd knows no guest '%s'; %s%s", name,
		    *names ? "there are: " : "it has found none at all", names);
	return NULL;
}

/*
 * Modes
 */

/* Whatever size it has now, or is about to get, is its own. */
static void own(struct managed *guest, uint64_t bytes)
{
	guest->before_bytes = bytes == HV_UNSET ? guest->seen.actual_bytes : bytes;
	guest->private->changed = false;
}

static void tell_mode(struct manager *manager, struct managed *guest, const char *why)
{
	g_autofree char *size = size_format(guest->held_bytes);
	bool held = managed_mode(guest) == POLICY_HELD && guest->held_bytes != HV_UNSET;

	events_add(manager->status.events, EVENT_MODE, guest->name, HV_UNSET,
		   held ? guest->held_bytes : HV_UNSET, "%s%s%s: %s",
		   config_mode_name(managed_mode(guest)), held ? " at " : "", held ? size : "",
		   why);
	manager_log(LOG_INFO, "%s: %s%s%s (%s)", guest->name, config_mode_name(managed_mode(guest)),
		    held ? " at " : "", held ? size : "", why);
}

static void set_mode(struct manager *manager, struct managed *guest, enum policy_mode mode,
		     uint64_t bytes, const char *why)
{
	struct managed_private *p = guest->private;
	bool was_held = managed_mode(guest) == POLICY_HELD;

	if (was_held)
		own(guest, guest->held_bytes);
	p->person_mode = mode == POLICY_AUTO ? -1 : (int)mode;
	guest->mode_by_person = p->person_mode >= 0;
	guest->held_bytes = mode == POLICY_HELD ? bytes : HV_UNSET;
	if (mode == POLICY_HELD) {
		own(guest, bytes);
		/* A size that is not ours to know: what it has is what counts. */
		p->target_bytes = HV_UNSET;
		if (bytes != HV_UNSET)
			manager_tell(manager, guest, bytes);
	}
	reach_manage(p->reach, managed_mode(guest) != POLICY_OFF);
	managed_show(guest, g_get_monotonic_time());
	manager->keep_wanted = true;
	tell_mode(manager, guest, why);
}

static bool check_held(const struct managed *guest, uint64_t bytes, GError **error)
{
	g_autofree char *max = size_format(guest->seen.boot_bytes);
	g_autofree char *asked = size_format(bytes);

	if (bytes == HV_UNSET || (bytes && bytes <= guest->seen.boot_bytes))
		return true;
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_INVALID,
		    "%s cannot be held at %s: its maximum is %s", guest->name, asked, max);
	return false;
}

static bool check_met(const struct managed *guest, GError **error)
{
	if (guest->met)
		return true;
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED, "%s has not answered yet: %s",
		    guest->name, guest->problem ? guest->problem : "it was just found");
	return false;
}

bool manager_set_mode(struct manager *manager, const char *name, enum policy_mode mode,
		      uint64_t bytes, GError **error)
{
	struct managed *guest;

	if (name) {
		guest = (struct managed *)manager_find(manager, name, error);
		if (!guest || !check_met(guest, error) || !check_held(guest, bytes, error))
			return false;
		set_mode(manager, guest, mode, bytes, "somebody asked for it");
		manager_save(manager);
		return true;
	}
	if (bytes != HV_UNSET) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_INVALID,
			    "all guests cannot be held at one size; name a guest");
		return false;
	}
	for (guint i = 0; i < manager->guests->len; i++) {
		guest = manager->guests->pdata[i];
		if (guest->met)
			set_mode(manager, guest, mode, HV_UNSET, "somebody asked for it, of all");
	}
	manager_save(manager);
	return true;
}

void people_moved(struct manager *manager, struct managed *guest)
{
	if (managed_mode(guest) == POLICY_AUTO)
		set_mode(manager, guest, POLICY_HELD, HV_UNSET, "somebody else set its size");
	else
		own(guest, HV_UNSET);
	manager->keep_wanted = true;
	guest->private->target_bytes = HV_UNSET;
}

/*
 * Reservations
 */

void reservation_free(gpointer data)
{
	struct reservation *reservation = data;

	g_free(reservation->note);
	g_free(reservation);
}

uint64_t people_reserved_bytes(const struct manager *manager)
{
	uint64_t bytes = 0;

	for (guint i = 0; i < manager->reservations->len; i++)
		bytes += ((struct reservation *)manager->reservations->pdata[i])->bytes;
	return bytes;
}

static uint64_t use_of(const struct managed *guest)
{
	uint64_t target = guest->private->target_bytes;

	return target == HV_UNSET ? guest->seen.actual_bytes
				  : MAX(guest->seen.actual_bytes, target);
}

/* The budget comes out of the policy less what is reserved. */
void people_fill(struct manager *manager)
{
	uint64_t budget = manager->status.outcome.budget_bytes, use = 0, left;

	if (!manager->reservations->len || budget == HV_UNSET)
		return;
	for (guint i = 0; i < manager->guests->len; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		use += guest->met ? use_of(guest) : 0;
	}
	left = budget + manager->status.host.reserved_bytes;
	left -= MIN(left, use);
	for (guint i = 0; i < manager->reservations->len; i++) {
		struct reservation *reservation = manager->reservations->pdata[i];
		bool was_full = reservation->free_bytes == reservation->bytes;

		reservation->free_bytes = MIN(left, reservation->bytes);
		left -= reservation->free_bytes;
		if (!was_full && reservation->free_bytes == reservation->bytes)
			events_add(manager->status.events, EVENT_RESERVATION, NULL, HV_UNSET,
				   reservation->bytes,
				   "reservation %" G_GUINT64_FORMAT " is free now",
				   reservation->id);
	}
}

static bool is_there(const struct manager *manager, const char *name)
{
	for (guint i = 0; i < manager->guests->len; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		if (guest->met && *name && is_called(guest, name))
			return true;
	}
	return false;
}

static void end_reservation(struct manager *manager, guint index, const char *why)
{
	struct reservation *reservation = manager->reservations->pdata[index];

	events_add(manager->status.events, EVENT_RESERVATION, NULL, HV_UNSET, reservation->bytes,
		   "reservation %" G_GUINT64_FORMAT " has ended: %s", reservation->id, why);
	g_ptr_array_remove_index(manager->reservations, index);
}

void people_expire(struct manager *manager)
{
	int64_t now_us = g_get_monotonic_time();

	for (guint i = manager->reservations->len; i-- > 0;) {
		const struct reservation *reservation = manager->reservations->pdata[i];

		if (now_us >= reservation->until_us)
			end_reservation(manager, i, "its time is over");
		else if (is_there(manager, reservation->note))
			end_reservation(manager, i, "its guest is there");
	}
}

/* What a newcomer could have, from the last round's numbers. */
static struct policy_grant possible(const struct manager *manager, uint64_t bytes)
{
	guint room = manager->guests->len;
	g_autofree struct policy_guest *seen = g_new0(struct policy_guest, room);
	g_autofree struct policy_decision *decisions = g_new0(struct policy_decision, room);
	struct policy_host host = manager->status.host;
	const struct policy_rules newcomer = { .min_bytes = bytes,
					       .max_bytes = bytes,
					       .weight = 1 };
	struct policy_grant grant;
	size_t count = 0;

	for (guint i = 0; i < room; i++) {
		const struct managed *guest = manager->guests->pdata[i];

		if (!guest->met || !*guest->decision.text)
			continue;
		seen[count] = guest->seen;
		decisions[count++] = guest->decision;
	}
	host.reserved_bytes = people_reserved_bytes(manager);
	policy_admit(&host, &manager->config->settings, seen, decisions, count, &newcomer, &grant);
	return grant;
}

const struct reservation *manager_reserve(struct manager *manager, uint64_t bytes,
					  unsigned int ttl_s, const char *note, GError **error)
{
	struct policy_grant grant;
	struct reservation *reservation;

	if (!manager->status.rounds) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "aerostatd has just started and knows too little; ask in a second");
		return NULL;
	}
	grant = possible(manager, bytes);
	if (grant.possible_bytes < bytes) {
		g_autofree char *asked = size_format(bytes);
		g_autofree char *most = size_format(grant.possible_bytes);

		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "%s cannot be reserved: what the guests cannot miss leaves %s of the "
			    "budget",
			    asked, most);
		return NULL;
	}
	reservation = g_new0(struct reservation, 1);
	*reservation = (struct reservation){
		.id = ++manager->next_reservation,
		.bytes = bytes,
		.until_us = g_get_monotonic_time() + (int64_t)ttl_s * G_USEC_PER_SEC,
		.note = g_strdup(note ? note : ""),
	};
	g_ptr_array_add(manager->reservations, reservation);
	manager->status.host.reserved_bytes = people_reserved_bytes(manager);
	events_add(manager->status.events, EVENT_RESERVATION, NULL, HV_UNSET, bytes,
		   "reservation %" G_GUINT64_FORMAT " made%s%s", reservation->id,
		   *reservation->note ? " for " : "", reservation->note);
	round_hurry(manager);
	return reservation;
}

bool manager_unreserve(struct manager *manager, uint64_t id, GError **error)
{
	for (guint i = 0; i < manager->reservations->len; i++) {
		const struct reservation *reservation = manager->reservations->pdata[i];

		if (reservation->id != id)
			continue;
		end_reservation(manager, i, "it was cancelled");
		return true;
	}
	g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_FOUND,
		    "there is no reservation %" G_GUINT64_FORMAT, id);
	return false;
}
