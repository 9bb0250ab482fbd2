/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/balloon_model.h"

#define MIB_KIB INT64_C(1024)

void balloon_model_init(struct balloon_model *model, struct dice *dice, int64_t now_us)
{
	static const int64_t rates[] = { 100 * MIB_KIB, 10 * MIB_KIB, MIB_KIB / 2 };
	static const int64_t grains[] = { 4, 2 * MIB_KIB, 4 * MIB_KIB };

	*model = (struct balloon_model){
		.counts = dice_below(dice, 4),
		.deflates = !dice_below(dice, 5),
		.empties_early = dice_below(dice, 2),
		.grain_kib = grains[dice_below(dice, G_N_ELEMENTS(grains))],
		.rate_kib = rates[dice_below(dice, 8) ? dice_below(dice, 2) : 2],
		.max_kib = 1024 * MIB_KIB,
		.driver = true,
		.faults = 100000,
		.reported_faults = 100000,
		.now_us = now_us,
		.heard_us = now_us,
		.moved_us = now_us,
	};
	if (dice_below(dice, 2))
		model->asked_kib = (int64_t)dice_below(dice, 150) * 4 * MIB_KIB;
	model->balloon_kib = model->reported_kib = model->asked_kib;
}

static int64_t find_goal(const struct balloon_model *model)
{
	return model->asked_kib - model->asked_kib % model->grain_kib;
}

static void empty_balloon(struct balloon_model *model, int ticks)
{
	model->driver = false;
	model->balloon_kib = 0;
	model->absent_ticks = ticks;
	model->still_ticks = 0;
	model->refilling = false;
}

void balloon_model_boot(struct balloon_model *model, int ticks, int64_t refill_kib, bool rests)
{
	empty_balloon(model, ticks);
	if (model->empties_early)
		model->reported_kib = 0;
	model->refilling = true;
	model->refill_kib = refill_kib;
	model->rests = rests;
	model->faults = 0;
	model->paused = false;
}

void balloon_model_reload(struct balloon_model *model, int ticks)
{
	empty_balloon(model, ticks);
	model->reported_kib = 0;
}

void balloon_model_ask(struct balloon_model *model, int64_t size_kib)
{
	model->asked_kib = model->max_kib - MIN(size_kib, model->max_kib);
}

static void move_balloon(struct balloon_model *model, struct dice *dice)
{
	int64_t goal = find_goal(model), away = goal - model->balloon_kib;
	int64_t rate = model->refilling ? model->refill_kib : model->rate_kib;

	if (model->still_ticks) {
		model->still_ticks--;
		return;
	}
	model->balloon_kib += CLAMP(away, -rate, rate);
	model->refilling &= model->balloon_kib != goal;
	if (model->refilling && model->rests && !dice_below(dice, 20))
		model->still_ticks = (int)dice_between(dice, 30, 80);
	if (model->balloon_kib != model->reported_kib)
		model->moved_us = model->now_us;
	model->reported_kib = model->balloon_kib;
}

void balloon_model_tick(struct balloon_model *model, struct dice *dice)
{
	model->now_us += MODEL_TICK_US;
	if (model->paused) {
		model->moved_us = model->now_us;
		return;
	}
	model->faults += dice_below(dice, 50);
	if (model->absent_ticks && !--model->absent_ticks) {
		model->driver = true;
		model->moved_us = model->now_us;
	}
	if (!model->driver)
		return;
	move_balloon(model, dice);
	if (model->now_us - model->heard_us >= G_USEC_PER_SEC) {
		model->heard_us = model->now_us;
		model->reported_faults = model->faults;
	}
}

int64_t balloon_model_size(const struct balloon_model *model)
{
	return model->max_kib - model->reported_kib;
}

int64_t balloon_model_asked_size(const struct balloon_model *model)
{
	return model->max_kib - model->asked_kib;
}

bool balloon_model_has_arrived(const struct balloon_model *model)
{
	return model->driver && model->balloon_kib == find_goal(model);
}
