/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "policy/budget.h"
#include "policy/floor.h"

#define BAND (32 * MIB)
#define BAND_PULLS 7	     /* of the size, for guests that take memory back by themselves */
#define LEFT_FREE (32 * MIB) /* what Linux never gives to programs */

uint64_t dice_roll(struct dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t dice_below(struct dice *dice, uint64_t limit)
{
	return limit ? dice_roll(dice) % limit : 0;
}

uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high)
{
	return low + dice_below(dice, high - low + 1);
}

uint64_t dice_seed(void)
{
	const char *given = getenv("AEROSTAT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

	print_message("AEROSTAT_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct policy_guest world_guest(uint64_t id, uint64_t boot_bytes, uint64_t actual_bytes,
				uint64_t need_bytes, int64_t now_us)
{
	return (struct policy_guest){
		.id = id,
		.rules = { .mode = POLICY_AUTO,
			   .min_bytes = POLICY_UNSET,
			   .max_bytes = POLICY_UNSET,
			   .weight = 1 },
		.boot_bytes = boot_bytes,
		.actual_bytes = actual_bytes,
		.target_bytes = actual_bytes,
		.resident_bytes = POLICY_UNSET,
		.ram_bytes = POLICY_UNSET,
		.reachable = true,
		.has_driver = true,
		.taken_us = now_us,
		.period_us = SECOND,
		.actual_then_bytes = actual_bytes,
		.available_bytes = actual_bytes - need_bytes,
		.free_bytes = POLICY_UNSET,
		.total_bytes = POLICY_UNSET,
		.cache_bytes = POLICY_UNSET,
	};
}

struct policy_host world_host(uint64_t total_bytes, uint64_t available_bytes, int64_t now_us)
{
	return (struct policy_host){
		.now_us = now_us,
		.total_bytes = total_bytes,
		.available_bytes = available_bytes,
		.free_bytes = available_bytes,
	};
}

struct policy_settings world_settings(uint64_t budget_bytes)
{
	return (struct policy_settings){
		.budget_bytes = budget_bytes,
		.reserve_bytes = POLICY_UNSET,
	};
}

static void make_rules(struct policy_rules *rules, struct dice *dice, uint64_t boot)
{
	if (!dice_below(dice, 3))
		rules->min_bytes = dice_below(dice, boot * 3 / 4);
	if (!dice_below(dice, 4))
		rules->max_bytes = dice_between(dice, boot / 4, boot + boot / 4);
	rules->weight = 1 + (double)dice_below(dice, 40) / 10;
}

/* The oddities that a world of any guests has, and a steady one has not. */
static void make_odd(struct policy_guest *guest, struct inhabitant *inhabitant, struct dice *dice)
{
	static const enum policy_mode modes[] = { POLICY_OBSERVE, POLICY_HELD, POLICY_OFF };

	if (!dice_below(dice, 2))
		inhabitant->habit = dice_below(dice, HABITS);
	if (!dice_below(dice, 10))
		guest->rules.mode = modes[dice_below(dice, 3)];
	guest->has_driver = dice_below(dice, 20);
	guest->reachable = dice_below(dice, 20);
	guest->cannot_shrink = !dice_below(dice, 20);
	if (!dice_below(dice, 10))
		guest->target_bytes = POLICY_UNSET;
	if (!dice_below(dice, 20))
		guest->rules.weight = dice_below(dice, 2) ? 0 : 1e300;
}

static void make_guest(struct world *world, size_t i, bool steady)
{
	struct dice *dice = &world->dice;
	struct inhabitant *inhabitant = &world->inhabitants[i];
	uint64_t boot = dice_between(dice, 200, 4096) * MIB;
	uint64_t actual = dice_between(dice, boot / 2, boot);
	struct policy_guest *guest = &world->guests[i];

	*inhabitant = (struct inhabitant){
		.need = dice_between(dice, 60 * MIB, boot * 3 / 4),
		.balloon_per_s = dice_between(dice, 64, 1024) * MIB,
		.steady = steady || !dice_below(dice, 2),
	};
	inhabitant->need = min_of(inhabitant->need, actual - LEFT_FREE);
	*guest = world_guest(dice_roll(dice), boot, actual, inhabitant->need, world->host.now_us);
	make_rules(&guest->rules, dice, boot);
	if (dice_below(dice, 4))
		guest->resident_bytes = dice_between(dice, inhabitant->need, actual);
	if (dice_below(dice, 2))
		guest->abilities = dice_below(dice, POLICY_CAN_ALL + 1);
	/* Without a gate, nothing can be had from a guest that takes back what it gives. */
	if (steady && guest->abilities & POLICY_CAN_PULL)
		guest->abilities |= POLICY_CAN_GATE;
	if (!steady)
		make_odd(guest, inhabitant, dice);
}

void world_make(struct world *world, uint64_t seed, bool steady)
{
	struct dice *dice = &world->dice;
	uint64_t actual = 0;

	*world = (struct world){ .dice = { seed }, .steady = steady };
	world->host = world_host(0, 0, (int64_t)dice_between(dice, 1, 1000) * SECOND);
	world->count = dice_between(dice, 1, WORLD_GUESTS);
	for (size_t i = 0; i < world->count; i++) {
		make_guest(world, i, steady);
		actual += world->guests[i].actual_bytes;
	}
	world->own_bytes = dice_between(dice, 200, 2000) * MIB;
	world->host.total_bytes = actual / 2 + dice_below(dice, actual) + 2 * world->own_bytes;
	world->settings = world_settings(POLICY_UNSET);
	if (!dice_below(dice, 2))
		world->settings.budget_bytes = dice_between(dice, actual / 4, actual * 3 / 2);
	if (!dice_below(dice, 4))
		world->settings.optimism = (double)dice_below(dice, 11) / 10;
}

static void change_need(struct world *world, size_t i)
{
	struct inhabitant *inhabitant = &world->inhabitants[i];
	struct dice *dice = &world->dice;

	if (inhabitant->steady || dice_below(dice, 8))
		return;
	if (!dice_below(dice, 6))
		inhabitant->need = dice_between(dice, 40 * MIB, world->guests[i].boot_bytes);
	else
		inhabitant->need =
			max_of(40 * MIB, inhabitant->need * dice_between(dice, 90, 111) / 100);
}

static void move_balloon(struct world *world, size_t i)
{
	struct policy_guest *guest = &world->guests[i];
	const struct inhabitant *inhabitant = &world->inhabitants[i];
	uint64_t target = world_present(guest);

	if (inhabitant->habit == HABIT_DEAD || !guest->has_driver)
		return;
	if (target >= guest->actual_bytes)
		guest->actual_bytes = target;
	else
		guest->actual_bytes -=
			min_of(guest->actual_bytes - target, inhabitant->balloon_per_s);
	if (guest->resident_bytes != POLICY_UNSET)
		guest->resident_bytes = min_of(guest->resident_bytes, guest->actual_bytes);
}

/* What does not fit is taken back from the balloon, as far as that is allowed. */
static void pull(struct world *world, size_t i)
{
	struct policy_guest *guest = &world->guests[i];
	struct inhabitant *inhabitant = &world->inhabitants[i];
	uint64_t want = min_of(inhabitant->need + LEFT_FREE, guest->boot_bytes), bytes;

	if (!(guest->abilities & POLICY_CAN_PULL) || !guest->has_driver ||
	    inhabitant->habit == HABIT_DEAD || want <= guest->actual_bytes)
		return;
	bytes = want - guest->actual_bytes;
	if (guest->abilities & POLICY_CAN_GATE)
		bytes = min_of(bytes, inhabitant->may_pull);
	inhabitant->may_pull -= min_of(bytes, inhabitant->may_pull);
	guest->actual_bytes += bytes;
	guest->pulled_bytes += bytes;
}

/* What does not fit is swapped out, and read back when it does. */
static void swap(struct world *world, size_t i)
{
	struct policy_guest *guest = &world->guests[i];
	struct inhabitant *inhabitant = &world->inhabitants[i];
	uint64_t room = guest->actual_bytes > LEFT_FREE ? guest->actual_bytes - LEFT_FREE : 0;
	uint64_t misfit = inhabitant->need > room ? inhabitant->need - room : 0;

	if (misfit > inhabitant->swapped)
		guest->swap_out_bytes += misfit - inhabitant->swapped;
	else
		guest->swap_in_bytes += inhabitant->swapped - misfit;
	inhabitant->swapped = misfit;
	if (guest->resident_bytes == POLICY_UNSET)
		return;
	if (guest->abilities & POLICY_CAN_REPORT)
		guest->resident_bytes = inhabitant->need - misfit;
	guest->resident_bytes = max_of(guest->resident_bytes, inhabitant->need - misfit);
}

static uint64_t any_number(struct dice *dice, uint64_t usual)
{
	const uint64_t numbers[] = { 0,
				     1,
				     usual,
				     usual / 2,
				     2 * usual,
				     UINT64_MAX - 1,
				     UINT64_MAX,
				     UINT64_C(1) << 63,
				     dice_roll(dice) };

	return numbers[dice_below(dice, sizeof(numbers) / sizeof(*numbers))];
}

static void lie(struct policy_guest *guest, struct dice *dice, int64_t now_us)
{
	uint64_t usual = guest->boot_bytes;

	guest->available_bytes = any_number(dice, usual);
	guest->actual_then_bytes = any_number(dice, usual);
	guest->free_bytes = any_number(dice, usual);
	guest->total_bytes = any_number(dice, usual);
	guest->swap_in_bytes = any_number(dice, usual);
	guest->swap_out_bytes = any_number(dice, usual);
	guest->major_faults = any_number(dice, 1000);
	guest->oom_kills = any_number(dice, 10);
	guest->alloc_stalls = any_number(dice, 1000);
	guest->direct_scan_bytes = any_number(dice, usual);
	guest->psi_some_us = any_number(dice, (uint64_t)SECOND);
	if (!dice_below(dice, 10))
		guest->taken_us = (int64_t)any_number(dice, (uint64_t)now_us);
	if (!dice_below(dice, 10))
		guest->period_us = (int64_t)any_number(dice, (uint64_t)SECOND);
}

static void answer(struct world *world, size_t i)
{
	struct policy_guest *guest = &world->guests[i];
	const struct inhabitant *inhabitant = &world->inhabitants[i];
	struct dice *dice = &world->dice;

	if (inhabitant->habit == HABIT_ABSENT)
		guest->taken_us = 0;
	if (inhabitant->habit == HABIT_ABSENT || inhabitant->habit == HABIT_FROZEN)
		return;
	if (!inhabitant->steady && !dice_below(dice, 4))
		return; /* late */
	guest->taken_us = world->host.now_us;
	guest->actual_then_bytes = guest->actual_bytes;
	guest->available_bytes = guest->actual_bytes - (inhabitant->need - inhabitant->swapped);
	if (inhabitant->habit == HABIT_RESETS && !dice_below(dice, 30))
		guest->swap_in_bytes = guest->swap_out_bytes = 0;
	if (inhabitant->habit == HABIT_LIAR)
		lie(guest, dice, world->host.now_us);
}

static void live_host(struct world *world)
{
	struct policy_host *host = &world->host;
	struct dice *dice = &world->dice;
	uint64_t used = world->own_bytes;

	for (size_t i = 0; i < world->count; i++) {
		const struct policy_guest *guest = &world->guests[i];

		used += guest->resident_bytes == POLICY_UNSET ? guest->actual_bytes
							      : guest->resident_bytes;
	}
	host->available_bytes = host->total_bytes > used ? host->total_bytes - used : 0;
	if (world->steady)
		return;
	host->pressure = dice_below(dice, 20) ? 0 : (double)dice_below(dice, 100) / 100;
	host->critical = !dice_below(dice, 100);
	host->reserved_bytes = dice_below(dice, 10) ? 0 : dice_below(dice, 512) * MIB;
}

void world_live(struct world *world)
{
	world->host.now_us +=
		world->steady ? SECOND : (int64_t)dice_between(&world->dice, 100000, 2000000);
	for (size_t i = 0; i < world->count; i++) {
		change_need(world, i);
		move_balloon(world, i);
		pull(world, i);
		swap(world, i);
		answer(world, i);
	}
	live_host(world);
}

void world_ask(struct world *world, struct policy_state *state)
{
	assert_int_equal(policy_aerostat.step(state, &world->host, world->guests, world->count,
					      world->decisions, &world->outcome),
			 0);
}

void world_apply(struct world *world)
{
	for (size_t i = 0; i < world->count; i++) {
		const struct policy_decision *decision = &world->decisions[i];

		world->inhabitants[i].may_pull = decision->credit_bytes;
		if (world_movable(&world->guests[i]))
			world->guests[i].target_bytes = decision->target_bytes;
	}
}

bool world_movable(const struct policy_guest *guest)
{
	return guest->rules.mode == POLICY_AUTO && guest->reachable && guest->has_driver &&
	       !guest->cannot_shrink;
}

uint64_t world_present(const struct policy_guest *guest)
{
	return guest->target_bytes == POLICY_UNSET ? guest->actual_bytes : guest->target_bytes;
}

uint64_t world_use(const struct policy_guest *guest, uint64_t target)
{
	if (guest->rules.mode == POLICY_OFF || !guest->has_driver)
		return guest->actual_bytes;
	return max_of(guest->actual_bytes, target);
}

uint64_t world_high(const struct policy_guest *guest)
{
	return max_of(min_of(guest->rules.max_bytes, guest->boot_bytes),
		      floor_bytes(guest->boot_bytes));
}

uint64_t world_low(const struct policy_guest *guest)
{
	uint64_t min = guest->rules.min_bytes == POLICY_UNSET ? 0 : guest->rules.min_bytes;

	return min_of(max_of(min, floor_bytes(guest->boot_bytes)), world_high(guest));
}

static void check_bounds(const struct world *world, size_t i)
{
	const struct policy_guest *guest = &world->guests[i];
	uint64_t target = world->decisions[i].target_bytes, present = world_present(guest);

	if (!world_movable(guest)) {
		assert_int_equal(target, present);
		return;
	}
	assert_true(target >= world_low(guest));
	assert_true(target <= max_of(world_high(guest), present));
	assert_true(world->decisions[i].text[0]);
}

/* Old, absent, or against what the host sees: by a judgement of the test's own. */
static bool doubtful(const struct world *world, const struct policy_guest *guest)
{
	if (guest->taken_us <= 0 || guest->taken_us > world->host.now_us)
		return true;
	if (world->host.now_us - guest->taken_us > 5 * SECOND && guest->period_us <= SECOND)
		return true;
	if (guest->available_bytes == POLICY_UNSET && guest->free_bytes == POLICY_UNSET)
		return true;
	if (guest->actual_then_bytes == POLICY_UNSET)
		return true;
	if (guest->available_bytes == POLICY_UNSET)
		return false; /* free memory stands for it */
	return guest->available_bytes > guest->boot_bytes * 2 + 64 * MIB &&
	       guest->available_bytes > guest->actual_then_bytes &&
	       guest->available_bytes - guest->actual_then_bytes > guest->boot_bytes + 64 * MIB;
}

/* It may not be taken from, or its share is above what it has. */
static bool may_not_give(enum policy_reason reason, bool moved)
{
	if (reason == POLICY_REASON_STALLED || reason == POLICY_REASON_SHARE)
		return !moved;
	return reason == POLICY_REASON_FIXED || reason == POLICY_REASON_STALE ||
	       reason == POLICY_REASON_CLAIM || reason == POLICY_REASON_INACTIVE ||
	       reason == POLICY_REASON_SILENT || reason == POLICY_REASON_SLOW ||
	       reason == POLICY_REASON_DRIVER || reason == POLICY_REASON_COST ||
	       reason == POLICY_REASON_REGRET;
}

/* A change of the guest's target that may be too small to be made. */
static uint64_t band(const struct policy_guest *guest, uint64_t target)
{
	bool pulls = guest->abilities & POLICY_CAN_PULL;

	return max_of(BAND, max_of(world_present(guest), target) / (pulls ? BAND_PULLS : 100));
}

static bool comfortable(const struct world *world, size_t i)
{
	const struct policy_decision *decision = &world->decisions[i];
	bool moved = decision->target_bytes != world_present(&world->guests[i]);

	if (may_not_give(decision->reason, moved))
		return false;
	return world_movable(&world->guests[i]) && !decision->pressured &&
	       decision->want_bytes != POLICY_UNSET &&
	       decision->target_bytes > decision->want_bytes + decision->want_bytes / 50 + BAND &&
	       decision->target_bytes > decision->want_bytes + band(&world->guests[i], 0);
}

static void check_shrinks(const struct world *world)
{
	bool any_comfortable = false;

	for (size_t i = 0; i < world->count; i++)
		any_comfortable |= comfortable(world, i);
	for (size_t i = 0; i < world->count; i++) {
		const struct policy_guest *guest = &world->guests[i];

		if (world->decisions[i].target_bytes >= world_present(guest))
			continue;
		assert_false(doubtful(world, guest));
		if (world_present(guest) <= world_high(guest))
			assert_false(world->decisions[i].pressured && any_comfortable);
	}
}

/* More is in use than the budget only where it was before, or for the guests' least. */
static void check_budget(const struct world *world)
{
	uint64_t before = 0, after = 0, raised = 0;

	for (size_t i = 0; i < world->count; i++) {
		const struct policy_guest *guest = &world->guests[i];
		uint64_t target = world->decisions[i].target_bytes;
		uint64_t old = world_use(guest, world_present(guest));

		before += old;
		after += world_use(guest, target);
		if (world_movable(guest) && world_present(guest) < world_low(guest))
			raised += max_of(old, world_low(guest)) - old;
	}
	assert_true(after <= max_of(before, world->outcome.budget_bytes) + raised);
}

/* What the guest is promised in the host's memory: all that it uses, or may use without asking. */
static uint64_t promised_to(const struct policy_guest *guest, uint64_t use)
{
	bool reports = guest->abilities & POLICY_CAN_REPORT && guest->rules.mode != POLICY_OFF;
	uint64_t actual = min_of(guest->actual_bytes, guest->boot_bytes);

	if (!reports || guest->resident_bytes == POLICY_UNSET)
		return use;
	return use - (actual - min_of(guest->resident_bytes, actual));
}

/* No memory is promised twice: to a guest and another's credit, or beyond what there is. */
static void check_loan(const struct world *world)
{
	struct budget budget =
		budget_compute(&world->host, &world->settings, world->guests, world->count);
	uint64_t before = 0, after = 0;

	for (size_t i = 0; i < world->count; i++) {
		const struct policy_guest *guest = &world->guests[i];
		const struct policy_decision *decision = &world->decisions[i];
		uint64_t credit =
			decision->credit_bytes == POLICY_UNSET ? 0 : decision->credit_bytes;
		uint64_t target = world_movable(guest)
					  ? max_of(decision->target_bytes, world_low(guest))
					  : decision->target_bytes;

		before += promised_to(guest, world_use(guest, world_present(guest)));
		if (world_movable(guest) && world_present(guest) < world_low(guest))
			before += world_low(guest) - world_present(guest);
		after += promised_to(guest, world_use(guest, target)) + credit;
		assert_true(credit == 0 || guest->abilities & POLICY_CAN_GATE);
		assert_true(credit == 0 ||
			    world_use(guest, target) + credit <=
				    min_of(decision->ceiling_bytes, world_high(guest)));
	}
	assert_true(budget.bytes == POLICY_UNSET ||
		    after <= max_of(before, budget.bytes + budget.spare));
}

/* "It has what it wants" is true, or nearly. */
static void check_reasons(const struct world *world)
{
	for (size_t i = 0; i < world->count; i++) {
		const struct policy_decision *decision = &world->decisions[i];
		uint64_t target = decision->target_bytes, want = decision->want_bytes;

		if (decision->reason != POLICY_REASON_NONE)
			continue;
		assert_int_not_equal(want, POLICY_UNSET);
		assert_true(max_of(target, want) - min_of(target, want) <=
			    band(&world->guests[i], target));
	}
}

static bool is_in_group(const struct world *world, size_t i, uint64_t group)
{
	for (uint64_t g = world->guests[i].group; g; g = world->host.groups[g - 1].parent)
		if (g == group)
			return true;
	return false;
}

void world_check_group(const struct world *world, uint64_t group)
{
	uint64_t before = 0, after = 0, raised = 0, held = 0, budget;

	for (size_t i = 0; i < world->count; i++) {
		const struct policy_guest *guest = &world->guests[i];
		uint64_t old = world_use(guest, world_present(guest));

		if (!is_in_group(world, i, group))
			continue;
		held += budget_held_bytes(guest);
		before += old;
		after += world_use(guest, world->decisions[i].target_bytes);
		if (world_movable(guest) && world_present(guest) < world_low(guest))
			raised += max_of(old, world_low(guest)) - old;
	}
	budget = budget_group_bytes(&world->host.groups[group - 1], held);
	assert_true(after <= max_of(before, budget) + raised);
}

void world_check(const struct world *world)
{
	check_reasons(world);
	for (size_t i = 0; i < world->count; i++)
		check_bounds(world, i);
	/* What a guest of another group could give is of no use to a group. */
	if (!world->host.group_count)
		check_shrinks(world);
	check_budget(world);
	check_loan(world);
}
