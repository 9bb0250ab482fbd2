/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proxmox: the automatic ballooning of Proxmox VE (pve-manager, PVE::AutoBalloon, run by
 * pvestatd; the rule is in the administration guide's "Memory" and "Dynamic Memory").
 *
 * Theory of operation
 * -------------------
 * Every 10 s it moves the host towards 80 % used memory: goal = 0.80 · MemTotal − used.  A goal
 * of up to 10 MiB is ignored.  A guest is comfortable if more than a quarter of its minimum is
 * free and its size is at least its minimum.  A positive goal goes first to guests that are
 * not comfortable, a negative goal is taken first from those that are; the rest goes to, or
 * comes from, all guests.  Within such a group, the sizes above the minimums and the goal are
 * divided by shares, desired = clamp(min + alloc · share / Σ shares, min, max).  Each guest
 * moves towards its desired size in the goal's direction only, by up to 100 MiB per round.
 *
 * Shares are the weights of our interface.  With a configured budget, the budget stands for the
 * 80 %, and the sum of the guests' sizes for what is used.
 */
#include "policy/baseline.h"

#define PERIOD (10 * BASELINE_SECOND)
#define GOAL 0.80
#define MIN_GOAL (10 * (double)BASELINE_MIB)
#define MAX_MOVE (100 * (double)BASELINE_MIB)

static double proxmox_goal_bytes(const struct policy_settings *settings,
				 const struct policy_host *host, const struct policy_guest *guests,
				 size_t count)
{
	double used = 0;

	if (settings->budget_bytes == POLICY_UNSET)
		return GOAL * (double)host->total_bytes -
		       ((double)host->total_bytes - (double)host->available_bytes);
	for (size_t i = 0; i < count; i++)
		used += (double)guests[i].actual_bytes;
	return (double)settings->budget_bytes - used;
}

static bool proxmox_is_comfortable(const struct policy_guest *guest)
{
	uint64_t min = baseline_min(guest);
	uint64_t free = guest->free_bytes != POLICY_UNSET ? guest->free_bytes : 0;

	return free > min / 4 && guest->actual_bytes >= min;
}

/* Whether the guest belongs to the group that moves first. */
static bool proxmox_goes_first(const struct policy_guest *guest, bool grow)
{
	return proxmox_is_comfortable(guest) != grow;
}

struct proxmox_round {
	const struct policy_guest *guests;
	struct policy_decision
		*decisions; /* target_bytes: what each has at this point of the round */
	size_t count;
	bool grow;
};

static bool proxmox_takes_part(const struct proxmox_round *round, size_t i, bool everyone)
{
	return baseline_steers(&round->guests[i]) && round->guests[i].rules.weight > 0 &&
	       (everyone || proxmox_goes_first(&round->guests[i], round->grow));
}

/* How many bytes guest @i moves for a desired size. */
static double proxmox_move_guest(const struct proxmox_round *round, size_t i, double desired)
{
	const struct policy_guest *guest = &round->guests[i];
	double has = (double)round->decisions[i].target_bytes;
	double was = (double)guest->actual_bytes;
	double min = (double)baseline_min(guest), max = (double)baseline_max(guest);

	desired = desired < min ? min : desired > max ? max : desired;
	if (desired > was + MAX_MOVE)
		desired = was + MAX_MOVE;
	if (desired < was - MAX_MOVE)
		desired = was - MAX_MOVE;
	return (desired > has) == round->grow ? desired - has : 0;
}

/* Divides @goal among one group, and returns what is left of it. */
static double proxmox_divide(const struct proxmox_round *round, double goal, bool everyone)
{
	double shares = 0, alloc = goal, left = goal, change, has, min;

	for (size_t i = 0; i < round->count; i++) {
		if (!proxmox_takes_part(round, i, everyone))
			continue;
		shares += round->guests[i].rules.weight;
		alloc += (double)round->decisions[i].target_bytes;
		alloc -= (double)baseline_min(&round->guests[i]);
	}
	for (size_t i = 0; i < round->count; i++) {
		if (!proxmox_takes_part(round, i, everyone))
			continue;
		min = (double)baseline_min(&round->guests[i]);
		change = proxmox_move_guest(round, i,
					    min + alloc * round->guests[i].rules.weight / shares);
		if (round->grow ? change > left : change < left)
			change = left;
		left -= change;
		has = (double)round->decisions[i].target_bytes;
		round->decisions[i].target_bytes = (uint64_t)(has + change);
	}
	return left;
}

static void proxmox_explain(const struct proxmox_round *round, double goal)
{
	const struct policy_guest *guest;
	double change;

	for (size_t i = 0; i < round->count; i++) {
		guest = &round->guests[i];
		if (!baseline_steers(guest))
			continue;
		change = (double)round->decisions[i].target_bytes - (double)guest->actual_bytes;
		baseline_set(&round->decisions[i], guest, round->decisions[i].target_bytes,
			     change == 0   ? POLICY_REASON_NONE
			     : round->grow ? POLICY_REASON_SURPLUS
					   : POLICY_REASON_HOST,
			     "the goal is %+.0f MiB, the guest is %scomfortable: %+.0f MiB",
			     goal / (double)BASELINE_MIB,
			     proxmox_is_comfortable(guest) ? "" : "not ",
			     change / (double)BASELINE_MIB);
	}
}

static int proxmox_step(struct policy_state *state, const struct policy_host *host,
			const struct policy_guest *guests, size_t count,
			struct policy_decision *decisions, struct policy_outcome *outcome)
{
	struct baseline_plain *plain = (struct baseline_plain *)state;
	struct proxmox_round round = { guests, decisions, count, false };
	double goal, left;

	baseline_keep(guests, count, decisions);
	*outcome = baseline_outcome;
	if (!baseline_due(&plain->next_us, host->now_us, PERIOD))
		return 0;
	goal = proxmox_goal_bytes(&plain->settings, host, guests, count);
	if (goal <= MIN_GOAL && goal >= -MIN_GOAL)
		return 0;
	round.grow = goal > 0;
	for (size_t i = 0; i < count; i++)
		if (baseline_steers(&guests[i]))
			decisions[i].target_bytes = guests[i].actual_bytes;
	left = proxmox_divide(&round, goal, false);
	proxmox_divide(&round, left, true);
	proxmox_explain(&round, goal);
	return 0;
}

const struct policy_ops policy_proxmox = {
	.name = "proxmox",
	.help = "Proxmox VE's: the host 80 % used, by shares, up to 100 MiB every 10 s",
	.create = baseline_plain_create,
	.destroy = baseline_plain_destroy,
	.configure = baseline_plain_configure,
	.step = proxmox_step,
};
