/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces, contests, the clairvoyant policy and scores. */
#include "simulator/contest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "simulator/clairvoyant.h"
#include "simulator/fleet.h"

#define MIB (UINT64_C(1) << 20)
#define SEED 42

static struct trace *make(const char *shape, uint64_t seed)
{
	struct trace *trace = trace_new(&(struct trace_plan){
		.shape = trace_shape_find(shape), .seed = seed, .guests = 5, .seconds = 120 });

	assert_non_null(trace);
	return trace;
}

static bool same_loads(const struct trace *a, const struct trace *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (memcmp(a->guests[i].loads, b->guests[i].loads,
			   a->steps * sizeof(struct trace_load)))
			return false;
	return a->host_bytes == b->host_bytes;
}

static void a_seed_makes_one_trace(void **state)
{
	(void)state;
	for (const struct trace_shape *shape = trace_shapes; shape->name; shape++) {
		struct trace *a = make(shape->name, SEED);
		struct trace *b = make(shape->name, SEED);
		struct trace *other = make(shape->name, SEED + 1);

		assert_true(same_loads(a, b));
		assert_false(same_loads(a, other));
		trace_free(a);
		trace_free(b);
		trace_free(other);
	}
}

/* The host has room for what the guests were booted with? Never; for their peak? About. */
static void a_trace_is_tight_and_possible(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		const char *shape = trace_shapes[seed % 10].name;
		struct trace *trace = make(shape, seed);
		uint64_t boot = 0, start = 0;

		for (uint32_t i = 0; i < trace->count; i++) {
			boot += trace->guests[i].boot_bytes;
			start += trace->guests[i].start_bytes;
			for (uint32_t step = 0; step < trace->steps; step++)
				assert_true(trace_need(&trace->guests[i], step) <=
					    trace->guests[i].boot_bytes);
		}
		assert_true(trace->budget_bytes < boot);
		assert_true(trace->host_bytes > trace->budget_bytes);
		assert_true((double)start <= 1.06 * (double)trace->budget_bytes);
		trace_free(trace);
	}
}

static void bursts_are_seconds_of_much_more(void **state)
{
	struct trace *trace = make("bursts", SEED);

	(void)state;
	assert_true(trace->burst_count > 10);
	for (uint32_t i = 0; i < trace->burst_count; i++) {
		const struct trace_burst *burst = &trace->bursts[i];
		const struct trace_guest *guest = &trace->guests[burst->guest];

		assert_in_range(burst->last - burst->first, 20, 80);
		assert_true(burst->need_bytes >
			    trace_need(guest, burst->first - 1) + guest->boot_bytes / 10);
	}
	trace_free(trace);
}

static struct trace *make_wide(uint64_t seed, double slack)
{
	struct trace *trace =
		trace_new(&(struct trace_plan){ .shape = &trace_shapes[seed % TRACE_PLAIN_SHAPES],
						.seed = seed,
						.guests = 20,
						.seconds = 120,
						.slack = slack,
						.wide = true });

	assert_non_null(trace);
	return trace;
}

/* At some moment all guests are in a burst, which hardly happens by chance. */
static void guests_of_a_herd_burst_together(void **state)
{
	struct trace *trace = make("herd", SEED);
	uint32_t most = 0;

	(void)state;
	for (uint32_t step = 0; step < trace->steps; step++) {
		uint32_t bursting = 0;

		for (uint32_t i = 0; i < trace->burst_count; i++)
			bursting += step >= trace->bursts[i].first && step <= trace->bursts[i].last;
		most = bursting > most ? bursting : most;
	}
	assert_int_equal(most, trace->count);
	trace_free(trace);
}

static void a_slack_changes_the_host_and_not_the_guests(void **state)
{
	struct trace *dense = make_wide(SEED, 0.8), *roomy = make_wide(SEED, 1.6);

	(void)state;
	assert_int_equal(roomy->budget_bytes / MIB, 2 * dense->budget_bytes / MIB);
	assert_true(roomy->host_bytes > dense->host_bytes);
	for (uint32_t i = 0; i < dense->count; i++)
		assert_memory_equal(dense->guests[i].loads, roomy->guests[i].loads,
				    dense->steps * sizeof(struct trace_load));
	trace_free(dense);
	trace_free(roomy);
}

static void guests_of_a_wide_trace_come_and_go(void **state)
{
	uint32_t late = 0, early = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct trace *trace = make_wide(seed, 0);

		for (uint32_t i = 0; i < trace->count; i++) {
			const struct trace_guest *guest = &trace->guests[i];

			late += guest->first_step > 0;
			early += guest->end_step < trace->steps;
			assert_true(guest->first_step < guest->end_step);
			if (guest->first_step)
				assert_int_equal(trace_need(guest, guest->first_step - 1), 0);
			assert_in_range(guest->boot_bytes, 512 * MIB, 65536 * MIB);
		}
		trace_free(trace);
	}
	assert_in_range(late, 30, 100);
	assert_in_range(early, 30, 100);
}

static void every_shape_has_its_fault(void **state)
{
	static const struct {
		const char *shape;
		enum trace_fault fault;
	} rows[] = { { "idle", TRACE_HEALTHY },
		     { "dead", TRACE_DEAD_DRIVER },
		     { "frozen", TRACE_FROZEN_STATS } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct trace *trace = make(rows[i].shape, SEED);

		assert_int_equal(trace->guests[0].fault, rows[i].fault);
		trace_free(trace);
	}
	struct trace *liar = make("liar", SEED);
	struct trace *leak = make("leak", SEED);

	assert_true(liar->guests[0].fault == TRACE_POOR_LIAR ||
		    liar->guests[0].fault == TRACE_RICH_LIAR);
	assert_true(leak->guests[0].leaks);
	trace_free(liar);
	trace_free(leak);
}

static struct score contest(const struct trace *trace, const struct policy_ops *policy)
{
	struct score score;

	score_init(&score);
	assert_int_equal(contest_run(trace, policy, &score, NULL), 0);
	return score;
}

static void a_seed_gives_one_score(void **state)
{
	struct trace *trace = make("build", SEED);

	(void)state;
	for (size_t i = 0; contest_policy(i); i++) {
		struct score a = contest(trace, contest_policy(i));
		struct score b = contest(trace, contest_policy(i));

		assert_memory_equal(&a, &b, sizeof(a));
	}
	trace_free(trace);
}

static void check_balance(void *data, const struct contest_view *view)
{
	unsigned int *asked = data;

	assert_true(world_balanced(view->world));
	for (size_t i = 0; i < view->count; i++)
		assert_true(view->guests[i].actual_bytes <= view->guests[i].boot_bytes);
	++*asked;
}

static void check_contentment(void *data, const struct contest_view *view)
{
	(void)data;
	for (size_t i = 0; i < view->count; i++) {
		const struct policy_decision *decision = &view->decisions[i];
		uint64_t target = decision->target_bytes, want = decision->want_bytes;
		uint64_t apart = target > want ? target - want : want - target;

		if (decision->reason == POLICY_REASON_NONE && apart > 32 * MIB &&
		    apart > target / 100)
			fail_msg("has %llu MiB and wants %llu: %s",
				 (unsigned long long)(target / MIB),
				 (unsigned long long)(want / MIB), decision->text);
	}
}

static void no_guest_has_what_it_wants_while_it_has_not(void **state)
{
	const struct contest_watch watch = { .decided = check_contentment };

	(void)state;
	for (uint64_t seed = SEED; seed < SEED + 40; seed++) {
		struct trace *trace = make(trace_shapes[seed % 10].name, seed);
		struct score score;

		score_init(&score);
		assert_int_equal(contest_run(trace, &policy_aerostat, &score, &watch), 0);
		trace_free(trace);
	}
}

static void check_cost(void *data, const struct contest_view *view)
{
	(void)data;
	for (size_t i = 0; i < view->count; i++)
		if (view->decisions[i].reason == POLICY_REASON_COST)
			fail_msg("guest %zu: %s", i, view->decisions[i].text);
}

/* Every simulated host gets back what is taken, whatever the guests do meanwhile. */
static void no_taking_is_found_in_vain_where_all_memory_comes_back(void **state)
{
	const struct contest_watch watch = { .decided = check_cost };

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct trace *trace =
			trace_new(&(struct trace_plan){ .shape = &trace_shapes[seed % 10],
							.seed = seed,
							.guests = 6,
							.seconds = 240 });
		struct score score;

		score_init(&score);
		assert_int_equal(contest_run(trace, &policy_aerostat, &score, &watch), 0);
		trace_free(trace);
	}
}

static void check_open_gates(void *data, const struct contest_view *view)
{
	(void)data;
	for (size_t i = 0; i < view->count; i++) {
		if (view->guests[i].abilities & POLICY_CAN_GATE)
			continue;
		assert_int_equal(view->decisions[i].credit_bytes, POLICY_UNSET);
		assert_int_equal(view->decisions[i].ceiling_bytes, POLICY_UNSET);
	}
}

static void check_presence(void *data, const struct contest_view *view)
{
	uint32_t *least = data, running = 0;

	assert_true(world_balanced(view->world));
	for (uint32_t i = 0; i < view->world->trace->count; i++)
		running += view->world->guests[i].running;
	assert_int_equal(view->count, running);
	for (size_t i = 0; i < view->count; i++)
		assert_int_equal(view->guests[i].id, view->world->seen[i] + 1);
	*least = running < *least ? running : *least;
}

static void a_policy_sees_the_guests_that_run(void **state)
{
	struct trace *trace = make_wide(SEED, 1);

	(void)state;
	for (size_t i = 0; contest_policy(i); i++) {
		uint32_t least = trace->count;
		const struct contest_watch watch = { check_presence, &least };
		struct score score;

		score_init(&score);
		assert_int_equal(contest_run(trace, contest_policy(i), &score, &watch), 0);
		assert_true(least < trace->count);
	}
	trace_free(trace);
}

static struct score contest_of_fleet(const char *fleet, const struct policy_ops *policy)
{
	struct score sum;

	score_init(&sum);
	for (uint64_t seed = SEED; seed < SEED + 10; seed++) {
		struct trace *trace = make("bursts", seed);
		struct score score;

		fleet_equip(fleet_find(fleet), trace);
		score = contest(trace, policy);
		score_add(&sum, &score);
		trace_free(trace);
	}
	return sum;
}

static void each_ability_of_a_fleet_is_worth_something(void **state)
{
	struct score drawn = contest_of_fleet("drawn", &policy_static);
	struct score reporting = contest_of_fleet("reporting", &policy_static);
	struct score stock = contest_of_fleet("stock", &policy_static);
	struct score ours = contest_of_fleet("ours", &policy_static);

	(void)state;
	assert_true(score_spare(&reporting) > score_spare(&drawn) + 0.05);
	assert_true(drawn.oom_kills > 0);
	assert_int_equal(stock.oom_kills, 0);
	assert_true(ours.full_s < stock.full_s / 4);
	assert_true(ours.pulled_bytes > stock.pulled_bytes);
}

static void only_guests_that_can_be_trimmed_are_trimmed(void **state)
{
	(void)state;
	assert_int_equal(contest_of_fleet("stock", &policy_tmo).trimmed_bytes, 0);
	assert_true(contest_of_fleet("ours", &policy_tmo).trimmed_bytes > 0);
	assert_int_equal(contest_of_fleet("ours", &policy_maximum).trimmed_bytes, 0);
}

static void no_policy_bounds_a_guest_that_has_no_gate(void **state)
{
	const struct contest_watch watch = { .decided = check_open_gates };
	struct trace *trace = make("bursts", SEED);

	(void)state;
	for (size_t i = 0; contest_policy(i); i++) {
		struct score score;

		score_init(&score);
		assert_int_equal(contest_run(trace, contest_policy(i), &score, &watch), 0);
	}
	trace_free(trace);
}

static void no_policy_creates_or_loses_memory(void **state)
{
	(void)state;
	for (const struct trace_shape *shape = trace_shapes; shape->name; shape++) {
		struct trace *trace = make(shape->name, SEED);

		for (size_t i = 0; contest_policy(i); i++) {
			struct score score;
			unsigned int asked = 0;

			score_init(&score);
			assert_int_equal(
				contest_run(trace, contest_policy(i), &score,
					    &(struct contest_watch){ check_balance, &asked }),
				0);
			assert_true(asked >= 120);
		}
		trace_free(trace);
	}
}

static void the_clairvoyant_needs_no_kill_where_there_is_room(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct trace *trace = make("bursts", seed);
		struct score clairvoyant, other;

		trace->budget_bytes += 512 * MIB;
		trace->host_bytes += 512 * MIB;
		clairvoyant = contest(trace, &policy_clairvoyant);
		other = contest(trace, &policy_static);
		assert_int_equal(clairvoyant.oom_kills, 0);
		assert_int_equal(clairvoyant.guests_lost, 0);
		assert_true(clairvoyant.full_s <= other.full_s + 1);
		assert_true(score_returned_gib_h(&clairvoyant) > score_returned_gib_h(&other));
		trace_free(trace);
	}
}

/* The first guest's driver hangs, and it has ended; the second and third must still move. */
static void a_clairvoyant_moves_the_guests_that_run(void **state)
{
	struct trace *trace = make("dead", SEED);
	struct policy_state *clairvoyant = clairvoyant_create(trace);
	struct policy_host host = { .now_us = 100 * SIM_STEP_US };
	struct policy_guest guests[2] = { { 0 } };
	struct policy_decision decisions[2];
	struct policy_outcome outcome;

	(void)state;
	trace->guests[0].fault_step = 0;
	trace->budget_bytes = trace->guests[1].boot_bytes + trace->guests[2].boot_bytes;
	for (uint64_t i = 0; i < 2; i++)
		guests[i] = (struct policy_guest){ .id = i + 2,
						   .boot_bytes = trace->guests[i + 1].boot_bytes,
						   .actual_bytes = trace->guests[i + 1].boot_bytes,
						   .target_bytes = 1 };
	assert_int_equal(
		policy_clairvoyant.step(clairvoyant, &host, guests, 2, decisions, &outcome), 0);
	assert_false(outcome.overcommitted);
	for (int i = 0; i < 2; i++)
		assert_int_equal(decisions[i].target_bytes, decisions[i].need_bytes);
	policy_clairvoyant.destroy(clairvoyant);
	trace_free(trace);
}

static void a_clairvoyant_without_a_trace_changes_nothing(void **state)
{
	struct policy_state *clairvoyant = policy_clairvoyant.create(&contest_settings);
	struct policy_host host = { .now_us = 1 };
	struct policy_guest guest = { .id = 9, .target_bytes = 77 };
	struct policy_decision decision;
	struct policy_outcome outcome;

	(void)state;
	assert_int_equal(
		policy_clairvoyant.step(clairvoyant, &host, &guest, 1, &decision, &outcome), 0);
	assert_int_equal(decision.target_bytes, 77);
	policy_clairvoyant.destroy(clairvoyant);
}

static void assert_fair(const double weights[3], const double needs[3], double budget,
			const double expected[3])
{
	double got[3] = { needs[0], needs[1], needs[2] };

	score_fair(weights, got, 3, budget);
	for (int i = 0; i < 3; i++)
		assert_true(got[i] > expected[i] - 1e-6 && got[i] < expected[i] + 1e-6);
}

static void fair_is_weighted_max_min(void **state)
{
	const double weights[] = { 1, 1, 2 };

	(void)state;
	assert_fair(weights, (double[]){ 100, 500, 500 }, 700, (double[]){ 100, 200, 400 });
	assert_fair(weights, (double[]){ 100, 500, 300 }, 700, (double[]){ 100, 300, 300 });
	assert_fair(weights, (double[]){ 100, 500, 300 }, 1000, (double[]){ 100, 500, 300 });
	assert_fair(weights, (double[]){ 900, 900, 900 }, 400, (double[]){ 100, 100, 200 });
}

static void scores_add_up(void **state)
{
	struct trace *first = make("bursts", SEED);
	struct trace *second = make("bursts", SEED + 1);
	struct score a = contest(first, &policy_static), b = contest(second, &policy_static), sum;

	(void)state;
	score_init(&sum);
	score_add(&sum, &a);
	score_add(&sum, &b);
	assert_int_equal(sum.traces, 2);
	assert_int_equal(sum.bursts, first->burst_count + second->burst_count);
	assert_int_equal(sum.oom_kills, a.oom_kills + b.oom_kills);
	assert_true(sum.returned_byte_s == a.returned_byte_s + b.returned_byte_s);
	assert_true(sum.min_available_bytes <= a.min_available_bytes);
	assert_true(sum.min_available_bytes <= b.min_available_bytes);
	trace_free(first);
	trace_free(second);
}

static void relief_is_read_off_the_bins(void **state)
{
	struct score score;

	(void)state;
	score_init(&score);
	assert_true(score_relief_s(&score, 50) == 0);
	score.bursts = 100;
	score.relief[0] = 60;
	score.relief[12] = 39;
	score.relief[50] = 1;
	assert_true(score_relief_s(&score, 50) == 0);
	assert_true(score_relief_s(&score, 99) > 1.19 && score_relief_s(&score, 99) < 1.21);
	assert_true(score_relief_s(&score, 100) > 4.99);
}

/* What a guest gets that has more than it ever needs, and what one that never gets it. */
static void relief_is_none_or_the_whole_burst(void **state)
{
	struct trace *trace = make("bursts", SEED);
	uint32_t lengths = 0;
	struct score score;

	(void)state;
	for (uint32_t i = 0; i < trace->burst_count; i++)
		trace->bursts[i].need_bytes = 1;
	score = contest(trace, &policy_static);
	assert_int_equal(score.relief[0], trace->burst_count);
	assert_int_equal(score.unrelieved, 0);
	for (uint32_t i = 0; i < trace->burst_count; i++) {
		trace->bursts[i].need_bytes = UINT64_MAX;
		lengths += trace->bursts[i].last + 1 - trace->bursts[i].first == 30;
	}
	score = contest(trace, &policy_static);
	assert_int_equal(score.unrelieved, trace->burst_count);
	assert_int_equal(score.relief[30], lengths);
	trace_free(trace);
}

static void names_find_policies(void **state)
{
	const struct policy_ops *last = NULL;

	(void)state;
	assert_ptr_equal(contest_find("clairvoyant"), &policy_clairvoyant);
	assert_ptr_equal(contest_find("static"), &policy_static);
	assert_null(contest_find("party"));
	for (size_t i = 0; contest_policy(i); i++)
		last = contest_policy(i);
	assert_ptr_equal(last, &policy_clairvoyant);
	assert_null(trace_shape_find("party"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_makes_one_trace),
		cmocka_unit_test(a_trace_is_tight_and_possible),
		cmocka_unit_test(bursts_are_seconds_of_much_more),
		cmocka_unit_test(guests_of_a_herd_burst_together),
		cmocka_unit_test(a_slack_changes_the_host_and_not_the_guests),
		cmocka_unit_test(guests_of_a_wide_trace_come_and_go),
		cmocka_unit_test(every_shape_has_its_fault),
		cmocka_unit_test(a_seed_gives_one_score),
		cmocka_unit_test(no_guest_has_what_it_wants_while_it_has_not),
		cmocka_unit_test(no_taking_is_found_in_vain_where_all_memory_comes_back),
		cmocka_unit_test(a_policy_sees_the_guests_that_run),
		cmocka_unit_test(each_ability_of_a_fleet_is_worth_something),
		cmocka_unit_test(only_guests_that_can_be_trimmed_are_trimmed),
		cmocka_unit_test(no_policy_bounds_a_guest_that_has_no_gate),
		cmocka_unit_test(no_policy_creates_or_loses_memory),
		cmocka_unit_test(the_clairvoyant_needs_no_kill_where_there_is_room),
		cmocka_unit_test(a_clairvoyant_moves_the_guests_that_run),
		cmocka_unit_test(a_clairvoyant_without_a_trace_changes_nothing),
		cmocka_unit_test(fair_is_weighted_max_min),
		cmocka_unit_test(scores_add_up),
		cmocka_unit_test(relief_is_read_off_the_bins),
		cmocka_unit_test(relief_is_none_or_the_whole_burst),
		cmocka_unit_test(names_find_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
