/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits.
 *
 * Theory of operation
 * -------------------
 * The host is the outermost of the limits that a guest is under.  The others are those of
 * groups: guests whose processes share a memory limit (a cgroup), which the kernel enforces by
 * killing one of them.  A group may be inside another.
 *
 * Each limit has a budget (budget.c).  The budgets are divided from the innermost to the
 * outermost.  What a group's division leaves a guest is the most that any further division may
 * give it, so the guests of a group never get more than its budget, and what they cannot have is
 * there for the others.  A group whose guests may all have their maximum needs no division.
 *
 * The limit that binds a guest is the one whose guests are worst off.  By that are judged its
 * pace, and whether others of it have memory to give.
 */
#include "policy/limit.h"

#include "policy/constants.h"
#include "policy/numbers.h"

void limit_fill_all(struct round *round, struct budget host)
{
	for (uint64_t n = 0; n < round->limit_count; n++)
		round->limits[n] = (struct limit){
			.parent = n ? budget_group_parent(round->host, n) : 0,
		};
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t held;

		view->group = budget_group_number(round->host, view->guest);
		held = view->group ? budget_held_bytes(view->guest) : 0;
		FOR_EACH_LIMIT (n, view, round)
			round->limits[n].held = saturating_add(round->limits[n].held, held);
	}
	round->limits[0].budget = host;
	for (uint64_t n = 1; n < round->limit_count; n++)
		round->limits[n].budget.bytes =
			budget_group_bytes(&round->host->groups[n - 1], round->limits[n].held);
}

static void sum_use(struct round *round)
{
	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];
		uint64_t use = view_used_bytes(view, view->current);

		FOR_EACH_LIMIT (n, view, round) {
			struct limit *limit = &round->limits[n];

			limit->use = saturating_add(limit->use, use);
			limit->high = saturating_add(limit->high, view->share->high);
		}
	}
}

/* Without the host's numbers its budget is not known, so every guest keeps its size. */
static void keep_present_sizes(struct round *round)
{
	round->limits[0].budget = (struct budget){ .bytes = round->limits[0].use };
	for (size_t k = 0; k < round->count; k++) {
		struct share *share = &round->shares[k];
		uint64_t keep = clamp_u64(share->have, share->low, share->high);

		share->low = share->demand = share->want = share->high = keep;
	}
}

/* Copies the shares of a limit's guests to round->grants; returns how many. */
static size_t gather_shares(struct round *round, uint64_t limit, uint64_t *demand)
{
	size_t count = 0;

	*demand = 0;
	for (size_t k = 0; k < round->count; k++) {
		if (!view_is_inside(&round->views[k], round, limit))
			continue;
		round->grants[count++] = round->shares[k];
		*demand = saturating_add(*demand, round->shares[k].demand);
	}
	return count;
}

/*
 * If the guests' demand exceeds the budget, first ignore what they used a while ago and no
 * longer use, and then add half of the host's reserve to the budget.
 */
static size_t stretch_budget(struct round *round, uint64_t number)
{
	struct budget *budget = &round->limits[number].budget;
	uint64_t demand, given;
	size_t count = gather_shares(round, number, &demand);

	if (demand <= budget->bytes)
		return count;
	for (size_t k = 0; k < round->count; k++)
		if (view_is_inside(&round->views[k], round, number))
			view_forget_peaks(&round->views[k]);
	count = gather_shares(round, number, &demand);
	given = min_u64(saturating_sub(demand, budget->bytes), budget->spare);
	budget->bytes += given;
	budget->spare -= given;
	return count;
}

/* The most that one guest of the limit may want at once, which is the size of its pool. */
static uint64_t largest_burst(const struct round *round, uint64_t limit)
{
	uint64_t pool = 0;

	for (size_t k = 0; k < round->count; k++) {
		const struct view *view = &round->views[k];

		if (view->movable && view_is_inside(view, round, limit))
			pool = max_u64(pool, min_u64(view->burst, view->high - view->want));
	}
	return pool;
}

/* No division further out may give the guest more. */
static void cap_share(struct share *share, uint64_t most)
{
	share->high = max_u64(min_u64(share->high, most), share->low);
	share->want = min_u64(share->want, share->high);
	share->demand = min_u64(share->demand, share->high);
	share->have = min_u64(share->have, share->high);
}

static void divide_limit(struct round *round, uint64_t number)
{
	struct limit *limit = &round->limits[number];
	size_t count = stretch_budget(round, number), next = 0;
	uint64_t kept;

	/* The pool is there to be used: it comes back at the usual pace. */
	kept = number ? 0 : min_u64(round->pool, limit->budget.spare);
	limit->over_budget = limit->use > saturating_add(limit->budget.bytes, kept);
	limit->situation = divide_budget(round->grants, count, limit->budget.bytes,
					 largest_burst(round, number));
	for (size_t k = 0; k < round->count; k++) {
		struct view *view = &round->views[k];
		uint64_t ideal;

		if (!view_is_inside(view, round, number))
			continue;
		ideal = round->grants[next++].ideal;
		if (view->movable)
			ideal = max_u64(round_down(ideal, ROUND_BYTES), view->share->low);
		if (view->calls_back)
			ideal = min_u64(ideal, view->share->want);
		view->ideal = view->share->ideal = ideal;
		if (number)
			cap_share(view->share, ideal);
	}
}

static bool is_worse(const struct limit *a, const struct limit *b)
{
	if (a->situation != b->situation)
		return a->situation > b->situation;
	return a->over_budget && !b->over_budget;
}

static void choose_binding_limit(struct view *view, const struct round *round)
{
	view->binding = &round->limits[0];
	FOR_EACH_LIMIT (n, view, round)
		if (is_worse(&round->limits[n], view->binding))
			view->binding = &round->limits[n];
	view->history->situation = view->binding->situation;
}

void limit_divide_all(struct round *round)
{
	sum_use(round);
	for (uint64_t n = round->limit_count; n-- > 1;)
		if (round->limits[n].high > round->limits[n].budget.bytes)
			divide_limit(round, n);
	for (size_t k = 0; k < round->count; k++)
		round->views[k].cap = round->shares[k].high;
	if (round->limits[0].budget.bytes == POLICY_UNSET)
		keep_present_sizes(round);
	divide_limit(round, 0);
	for (size_t k = 0; k < round->count; k++)
		choose_binding_limit(&round->views[k], round);
}
