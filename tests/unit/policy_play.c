/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/policy_play.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void play_begin(struct play *play, uint64_t budget_bytes)
{
	*play = (struct play){
		.settings = world_settings(budget_bytes),
		.host = world_host(64 * GIB, 32 * GIB, 1000 * SECOND),
	};
	play->state = policy_aerostat.create(&play->settings);
	assert_non_null(play->state);
}

size_t play_add(struct play *play, uint64_t boot_bytes, uint64_t actual_bytes, uint64_t need_bytes)
{
	size_t index = play->count++;

	assert_true(index < PLAY_GUESTS);
	play->needs[index] = need_bytes;
	play->guests[index] =
		world_guest(index + 1, boot_bytes, actual_bytes, need_bytes, play->host.now_us);
	return index;
}

static void move_balloon(struct policy_guest *guest, uint64_t per_s)
{
	uint64_t target = guest->target_bytes;

	if (!per_s || guest->actual_bytes <= target || guest->actual_bytes - target < per_s)
		guest->actual_bytes = target;
	else
		guest->actual_bytes -= per_s;
}

static void follow(struct play *play, size_t i)
{
	struct policy_guest *guest = &play->guests[i];

	if (!play->dead[i])
		move_balloon(guest, play->balloon_per_s[i]);
	if (play->silent[i])
		return;
	guest->taken_us = play->host.now_us;
	guest->actual_then_bytes = guest->actual_bytes;
	if (play->frozen[i])
		return;
	guest->available_bytes =
		guest->actual_bytes > play->needs[i] ? guest->actual_bytes - play->needs[i] : 0;
	if (!play->free_only[i])
		return;
	guest->free_bytes = guest->available_bytes;
	guest->available_bytes = POLICY_UNSET;
}

void play_seconds(struct play *play, int seconds)
{
	while (seconds-- > 0) {
		play->host.now_us += SECOND;
		for (size_t i = 0; i < play->count; i++)
			follow(play, i);
		assert_int_equal(policy_aerostat.step(play->state, &play->host, play->guests,
						      play->count, play->decisions, &play->outcome),
				 0);
		for (size_t i = 0; i < play->count; i++)
			play->guests[i].target_bytes = play->decisions[i].target_bytes;
	}
}

void play_end(struct play *play)
{
	policy_aerostat.destroy(play->state);
}
