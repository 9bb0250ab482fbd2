/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers that come after the world has moved on.
 *
 * A size is set through the daemon for a guest that the policy has shrunk, and one call to the
 * guest is held up: each kind of call, by the job and by the guest's worker.  Meanwhile something
 * else happens.  Then the call goes on.  Whatever the order, the daemon must know the target that
 * the guest heard last, the latest wish must win, and no guest may be left without its own size.
 */
#include "tests/unit/manager_rig.h"

#include "aerostatd/state_file.h"
#include "tests/hang.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define ASKED_BYTES (700 * MIB)
#define NEWER_BYTES (900 * MIB)
#define CONFIG "[guest *]\nmode=%s\n"

struct story {
	struct manager_rig rig;
	enum gate gate;
	enum caller caller;
	struct rigged *device;
};

static void write_state(const struct manager_rig *rig, const char *source,
			const struct rigged *guest)
{
	struct saved_guest entry = {
		.source = (char *)source,
		.address = guest->address,
		.name = guest->name,
		.uuid = guest->uuid,
		.pid = guest->pid,
		.start_ticks = process_start_ticks(guest->pid),
		.before_bytes = OWN_BYTES,
		.before_period_s = 7,
		.max_bytes = OWN_BYTES,
		.changed = true,
		.was_set = true,
		.mode = -1,
		.held_bytes = HV_UNSET,
	};
	g_autoptr(GPtrArray) entries = g_ptr_array_new();

	g_ptr_array_add(entries, &entry);
	assert_true(state_file_save(rig->folder, entries, NULL));
}

static struct managed *find_web(const struct story *story)
{
	return find_managed(&story->rig, "web");
}

static bool is_quiet(const struct story *story)
{
	const struct managed *guest = find_web(story);
	const struct managed_resize *resize =
		guest ? manager_get_resize(story->rig.manager, guest) : NULL;

	return !(guest && worker_is_busy(managed_worker(guest))) &&
	       !(resize && resize->is_running) &&
	       !manager_get_status(story->rig.manager)->to_restore;
}

static void begin_story(struct story *story, const char *mode)
{
	g_autofree char *config = g_strdup_printf(CONFIG, mode);

	manager_rig_set_up(&story->rig, config);
	story->rig.guest = rigged_new("web", "web", UUID);
	story->rig.guest->actual_bytes = SHRUNK_BYTES;
	story->rig.guest->period_s = 1;
	write_state(&story->rig, LIBVIRT, story->rig.guest);
	manager_rig_start(&story->rig);
	report_found(LIBVIRT, story->rig.guest);
	RUN_UNTIL(find_web(story) && is_quiet(story));
}

static void set_size(struct story *story, uint64_t bytes)
{
	assert_true(manager_set_size(story->rig.manager, "web", bytes, true, NULL));
}

static bool is_job_running(const struct story *story)
{
	return manager_get_resize(story->rig.manager, find_web(story))->is_running;
}

static void run_pending(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

/*
 * What happens meanwhile
 */

static void nothing_happens(struct story *story)
{
	(void)story;
}

static void a_person_chooses_auto(struct story *story)
{
	assert_true(
		manager_set_mode(story->rig.manager, "web", POLICY_AUTO, HV_UNSET, false, NULL));
}

static void a_person_chooses_off(struct story *story)
{
	assert_true(manager_set_mode(story->rig.manager, "web", POLICY_OFF, HV_UNSET, false, NULL));
}

static void a_person_holds_it(struct story *story)
{
	assert_true(
		manager_set_mode(story->rig.manager, "web", POLICY_HELD, NEWER_BYTES, true, NULL));
}

static void a_person_sets_another_size(struct story *story)
{
	set_size(story, NEWER_BYTES);
}

static void the_configuration_is_read_again(struct story *story)
{
	assert_true(manager_reload(story->rig.manager, NULL));
}

static void its_source_is_removed(struct story *story)
{
	report_gone(LIBVIRT, story->rig.guest);
}

static void it_ends(struct story *story)
{
	rigged_end(story->rig.guest);
	its_source_is_removed(story);
}

static void the_daemon_stops(struct story *story)
{
	manager_rig_stop(&story->rig);
}

static const struct {
	const char *name;
	void (*happens)(struct story *story);
	uint64_t wanted_bytes; /* which wins; 0: not one size */
} meanwhile[] = {
	{ "nothing", nothing_happens, ASKED_BYTES },
	{ "auto", a_person_chooses_auto, 0 },
	{ "off", a_person_chooses_off, 0 },
	{ "held", a_person_holds_it, NEWER_BYTES },
	{ "another size", a_person_sets_another_size, NEWER_BYTES },
	{ "reload", the_configuration_is_read_again, ASKED_BYTES },
	{ "source removed", its_source_is_removed, 0 },
	{ "its end", it_ends, 0 },
	{ "stop", the_daemon_stops, 0 },
};

/*
 * What must be right in the end
 */

/* It has its own size, or is at the size at which a person holds it and will be restored later. */
static void check_no_size_is_lost(struct story *story)
{
	g_autoptr(GPtrArray) entries = NULL;
	const struct saved_guest *entry;

	if (story->rig.manager)
		manager_rig_stop(&story->rig);
	if (story->rig.guest->ended)
		return;
	assert_int_equal(story->rig.missing, 0);
	entries = state_file_load(story->rig.folder, NULL);
	assert_true(entries->len <= 1);
	if (!entries->len) {
		assert_int_equal(story->rig.guest->actual_bytes, OWN_BYTES);
		return;
	}
	entry = entries->pdata[0];
	assert_int_equal(entry->before_bytes, OWN_BYTES);
	if (entry->mode == POLICY_OFF) /* from then on its size is none of ours */
		return;
	if (entry->was_set && !entry->changed && entry->mode < 0) { /* a person chose its size */
		assert_in_set(story->rig.guest->actual_bytes,
			      ((LargestIntegralType[]){ ASKED_BYTES, NEWER_BYTES }), 2);
		return;
	}
	if (entry->mode == POLICY_HELD)
		assert_int_equal(story->rig.guest->actual_bytes, entry->held_bytes);
	else
		assert_int_equal(story->rig.guest->actual_bytes, OWN_BYTES);
}

static void check_latest_wish_won(struct story *story, uint64_t wanted_bytes)
{
	const struct managed *guest = find_web(story);
	uint64_t heard = heard_target(story->rig.guest);

	if (!guest)
		return;
	/* What a restore sets is no target of the daemon's. */
	if (heard && (wanted_bytes || managed_target(guest) != HV_UNSET))
		assert_int_equal(managed_target(guest), heard);
	if (wanted_bytes)
		assert_int_equal(heard, wanted_bytes);
}

static void play_story(const char *mode, enum caller caller, enum gate gate, size_t what)
{
	struct story story = { .gate = gate, .caller = caller };

	print_message("%s: %s waits at %d; meanwhile: %s\n", mode,
		      caller == CALLER_WORKER ? "worker" : "job", (int)gate, meanwhile[what].name);
	begin_story(&story, mode);
	close_gate(gate, caller);
	set_size(&story, ASKED_BYTES);
	RUN_UNTIL(is_gate_reached() || !is_job_running(&story));
	meanwhile[what].happens(&story);
	run_pending();
	open_gate();
	if (story.rig.manager) {
		RUN_UNTIL(is_quiet(&story));
		check_latest_wish_won(&story, meanwhile[what].wanted_bytes);
	}
	check_no_size_is_lost(&story);
	if (!story.rig.guest->ended)
		assert_int_equal(story.rig.guest->period_s, 7);
	manager_rig_tear_down(&story.rig);
}

static void play_stories(const char *mode)
{
	for (int caller = 0; caller < CALLERS; caller++)
		for (int gate = 0; gate < GATES; gate++)
			for (size_t what = 0; what < G_N_ELEMENTS(meanwhile); what++)
				play_story(mode, (enum caller)caller, (enum gate)gate, what);
}

static void the_latest_wish_wins_however_late_answers_come(void **state)
{
	(void)state;
	play_stories("auto");
}

static void the_latest_wish_wins_for_a_guest_that_is_only_observed(void **state)
{
	(void)state;
	play_stories("observe");
}

/*
 * A guest that comes back while it is being restored
 */

static bool try_to_set_size(struct story *story)
{
	return manager_set_size(story->rig.manager, "web", NEWER_BYTES, true, NULL);
}

static bool try_to_hold(struct story *story)
{
	return manager_set_mode(story->rig.manager, "web", POLICY_HELD, NEWER_BYTES, true, NULL);
}

static bool try_to_choose_off(struct story *story)
{
	return manager_set_mode(story->rig.manager, "web", POLICY_OFF, HV_UNSET, false, NULL);
}

static bool let_nothing_happen(struct story *story)
{
	(void)story;
	return true;
}

static bool remove_its_source_again(struct story *story)
{
	report_gone(LIBVIRT, story->rig.guest);
	report_found_again(LIBVIRT, story->rig.guest);
	return true;
}

static bool let_it_end(struct story *story)
{
	it_ends(story);
	return true;
}

static bool stop_the_daemon(struct story *story)
{
	manager_rig_start_stop(&story->rig);
	return true;
}

static const struct {
	const char *name;
	bool (*try)(struct story *story); /* false: refused, and tried again afterwards */
	uint64_t wanted_bytes;
	bool is_critical; /* tried wherever the restore is, not only while it sets the size */
} after_return[] = {
	{ "nothing", let_nothing_happen, 0, false },
	{ "a size", try_to_set_size, NEWER_BYTES, true },
	{ "held", try_to_hold, NEWER_BYTES, false },
	{ "off", try_to_choose_off, 0, false },
	{ "source removed", remove_its_source_again, 0, false },
	{ "its end", let_it_end, 0, true },
	{ "stop", stop_the_daemon, 0, true },
};

/* An answer of the guest at @address is there, whether or not it counts yet. */
static bool has_returned(const struct story *story, const char *address)
{
	const GPtrArray *list = manager_get_status(story->rig.manager)->guests;

	for (guint i = 0; i < list->len; i++) {
		const struct managed *guest = list->pdata[i];

		if (!strcmp(guest->address, address) && (guest->answered || guest->problem))
			return true;
	}
	return false;
}

static void play_return(const char *mode, enum gate gate, size_t what)
{
	struct story story = { .gate = gate, .caller = CALLER_WORKER };
	bool done;

	print_message("%s: its restore waits at %d; it returns; %s\n", mode, (int)gate,
		      after_return[what].name);
	begin_story(&story, mode);
	close_gate(gate, CALLER_WORKER);
	report_gone(LIBVIRT, story.rig.guest);
	RUN_UNTIL(is_gate_reached() || !manager_get_status(story.rig.manager)->to_restore);
	report_found_again(LIBVIRT, story.rig.guest);
	RUN_UNTIL(has_returned(&story, "web"));
	done = after_return[what].try(&story);
	run_pending();
	open_gate();
	RUN_UNTIL(!is_gate_reached());
	if (after_return[what].try == stop_the_daemon) {
		manager_rig_finish_stop(&story.rig);
	} else {
		RUN_UNTIL(story.rig.guest->ended || (find_web(&story) && is_quiet(&story)));
		if (!done)
			assert_true(after_return[what].try(&story));
		RUN_UNTIL(is_quiet(&story));
		check_latest_wish_won(&story, after_return[what].wanted_bytes);
	}
	check_no_size_is_lost(&story);
	if (!story.rig.guest->ended)
		assert_int_equal(story.rig.guest->period_s, 7);
	manager_rig_tear_down(&story.rig);
}

static void a_guest_that_returns_while_it_is_restored_is_claimed_afterwards(void **state)
{
	static const enum gate gates[] = { GATE_INFO, GATE_PERIOD_SET, GATE_BALLOON_SET,
					   GATE_BALLOON_GET };

	(void)state;
	for (size_t gate = 0; gate < G_N_ELEMENTS(gates); gate++)
		for (size_t what = 0; what < G_N_ELEMENTS(after_return); what++)
			if (gates[gate] == GATE_BALLOON_SET || after_return[what].is_critical)
				play_return("auto", gates[gate], what);
	for (size_t what = 0; what < G_N_ELEMENTS(after_return); what++)
		play_return("observe", GATE_BALLOON_SET, what);
}

static void a_target_that_is_asked_for_is_sent_once(void **state)
{
	struct story story = { 0 };
	unsigned int before;

	(void)state;
	begin_story(&story, "auto");
	/* Of a held guest the policy sends none. */
	assert_true(manager_set_mode(story.rig.manager, "web", POLICY_HELD, HV_UNSET, true, NULL));
	RUN_UNTIL(is_quiet(&story));
	before = story.rig.guest->targets;
	set_size(&story, ASKED_BYTES);
	RUN_UNTIL(!is_job_running(&story) && is_quiet(&story));
	assert_int_equal(heard_target(story.rig.guest), ASKED_BYTES);
	assert_int_equal(story.rig.guest->targets, before + 1);
	manager_rig_tear_down(&story.rig);
}

static void a_guest_that_first_answers_while_the_daemon_stops_is_restored(void **state)
{
	struct story story = { 0 };
	const GPtrArray *guests;

	(void)state;
	manager_rig_set_up(&story.rig, "[guest *]\nmode=auto\n");
	story.rig.guest = rigged_new("web", "web", UUID);
	story.rig.guest->actual_bytes = SHRUNK_BYTES;
	story.rig.guest->period_s = 1;
	write_state(&story.rig, LIBVIRT, story.rig.guest);
	manager_rig_start(&story.rig);
	close_gate(GATE_BALLOON_SET, CALLER_OTHER);
	report_found(LIBVIRT, story.rig.guest);
	manager_rig_start_stop(&story.rig);
	guests = manager_get_status(story.rig.manager)->guests;
	/* It answers while it is being restored without its worker. */
	RUN_UNTIL(is_gate_reached() && !worker_is_busy(managed_worker(guests->pdata[0])));
	manager_rig_finish_stop(&story.rig);
	check_no_size_is_lost(&story);
	assert_int_equal(story.rig.guest->actual_bytes, OWN_BYTES);
	manager_rig_tear_down(&story.rig);
}

/*
 * Targets that are refused
 */

/* A guest that the daemon has not changed refuses a size that is set, with @code; the daemon ends.
 */
static void play_refusal(const char *mode, int code, bool was_changed, unsigned int restores)
{
	g_autofree char *config = g_strdup_printf(CONFIG, mode);
	struct story story = { 0 };
	unsigned int refused;

	manager_rig_set_up(&story.rig, config);
	story.rig.guest = rigged_new("web", "web", UUID);
	story.rig.guest->period_s = 7;
	if (was_changed) {
		story.rig.guest->actual_bytes = SHRUNK_BYTES;
		write_state(&story.rig, LIBVIRT, story.rig.guest);
	}
	story.rig.guest->refuses = code;
	manager_rig_start(&story.rig);
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story) && is_quiet(&story));
	set_size(&story, ASKED_BYTES);
	RUN_UNTIL(!is_job_running(&story) && is_quiet(&story));
	story.rig.guest->refuses = 0;
	refused = story.rig.guest->targets;
	assert_true(refused);
	manager_rig_stop(&story.rig);
	print_message("%s, code %d, %s before: %u targets at the end\n", mode, code,
		      was_changed ? "changed" : "not changed", story.rig.guest->targets - refused);
	assert_int_equal(story.rig.guest->targets - refused, restores);
	check_no_size_is_lost(&story);
	manager_rig_tear_down(&story.rig);
}

static void a_guest_that_refused_all_targets_is_not_restored(void **state)
{
	static const int refusals[] = { HV_ERROR_REFUSED, HV_ERROR_NO_BALLOON, HV_ERROR_DENIED };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
		play_refusal("auto", refusals[i], false, 0);
		play_refusal("observe", refusals[i], false, 0);
	}
}

static void a_guest_whose_target_may_be_set_is_restored(void **state)
{
	static const int unknown[] = { HV_ERROR_UNREACHABLE, HV_ERROR_TIMEOUT, HV_ERROR_PROTOCOL };

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++)
		play_refusal("auto", unknown[i], false, 1);
}

static void a_guest_that_was_changed_before_is_restored_though_it_refused_a_size(void **state)
{
	(void)state;
	play_refusal("auto", HV_ERROR_REFUSED, true, 1);
	play_refusal("observe", HV_ERROR_REFUSED, true, 1);
}

static void a_size_that_is_set_while_it_is_observed_is_not_its_own(void **state)
{
	struct story story = { 0 };

	(void)state;
	manager_rig_set_up(&story.rig, "[guest *]\nmode=observe\n");
	story.rig.guest = rigged_new("web", "web", UUID);
	manager_rig_start(&story.rig);
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story) && is_quiet(&story));
	set_size(&story, ASKED_BYTES);
	RUN_UNTIL(!is_job_running(&story) && is_quiet(&story));
	assert_int_equal(managed_mode(find_web(&story)), POLICY_OBSERVE);
	/* It is left at what the person chose. */
	manager_rig_stop(&story.rig);
	assert_int_equal(story.rig.guest->actual_bytes, ASKED_BYTES);
	manager_rig_start(&story.rig);
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story) && is_quiet(&story));
	assert_int_equal(find_web(&story)->before_bytes, OWN_BYTES);
	a_person_chooses_auto(&story);
	manager_rig_stop(&story.rig);
	assert_int_equal(story.rig.guest->actual_bytes, OWN_BYTES);
	manager_rig_tear_down(&story.rig);
}

static void a_guest_that_is_moving_when_the_daemon_ends_is_no_failure(void **state)
{
	g_autoptr(GPtrArray) entries = NULL;
	struct story story = { 0 };

	(void)state;
	begin_story(&story, "observe");
	story.rig.guest->creeps = true;
	manager_rig_stop(&story.rig);
	assert_int_equal(heard_target(story.rig.guest), OWN_BYTES);
	assert_int_not_equal(story.rig.guest->actual_bytes, OWN_BYTES);
	assert_int_equal(story.rig.missing, 0);
	/* It is restored again, should it have stopped. */
	entries = state_file_load(story.rig.folder, NULL);
	assert_int_equal(entries->len, 1);
	assert_true(((struct saved_guest *)entries->pdata[0])->changed);
	manager_rig_tear_down(&story.rig);
}

static void a_guest_that_stands_still_when_the_daemon_ends_is_a_failure(void **state)
{
	struct story story = { 0 };

	(void)state;
	begin_story(&story, "observe");
	story.rig.guest->refuses = HV_ERROR_TIMEOUT;
	manager_rig_stop(&story.rig);
	assert_int_equal(story.rig.missing, 1);
	manager_rig_tear_down(&story.rig);
}

static void the_period_of_a_resize_is_not_taken_for_the_guests_own(void **state)
{
	struct story story = { 0 };
	const struct manager_status *status;
	uint64_t rounds;

	(void)state;
	manager_rig_set_up(&story.rig, "[guest *]\nmode=off\n");
	story.rig.guest = rigged_new("web", "web", UUID);
	story.rig.guest->period_s = 7;
	manager_rig_start(&story.rig);
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story) && is_quiet(&story));
	set_size(&story, ASKED_BYTES);
	/* Where the resize has changed the period, and restores it later. */
	close_gate(GATE_PERIOD_SET, CALLER_OTHER);
	RUN_UNTIL(is_gate_reached());
	set_guest_period(story.rig.guest, MANAGED_STATS_PERIOD_S);
	assert_true(
		manager_set_mode(story.rig.manager, "web", POLICY_OBSERVE, HV_UNSET, false, NULL));
	status = manager_get_status(story.rig.manager);
	rounds = status->rounds;
	RUN_UNTIL(status->rounds >= rounds + 2);
	set_guest_period(story.rig.guest, 7);
	open_gate();
	RUN_UNTIL(!is_job_running(&story) && is_quiet(&story));
	/* From now on the daemon polls. */
	RUN_UNTIL(guest_period(story.rig.guest) == MANAGED_STATS_PERIOD_S && is_quiet(&story));
	manager_rig_stop(&story.rig);
	assert_int_equal(story.rig.guest->period_s, 7);
	manager_rig_tear_down(&story.rig);
}

/*
 * The control socket of a device, and the domain that has the device
 */

static void begin_device_story(struct story *story)
{
	manager_rig_set_up(&story->rig, "[guest *]\nmode=observe\n");
	story->rig.guest = rigged_new("web", "web", UUID);
	story->device = rigged_new("qmp:/run/web.ctl", "web", NULL);
	story->device->actual_bytes = story->rig.guest->actual_bytes = SHRUNK_BYTES;
	write_state(&story->rig, "qmp", story->device);
	manager_rig_start(&story->rig);
	report_found("qmp", story->device);
	RUN_UNTIL(find_managed(&story->rig, "qmp:/run/web.ctl"));
}

static void check_device_is_taken_over(struct story *story)
{
	static const char *const words[] = { "web", "7", UUID, "web.ctl", "qmp:/run/web.ctl" };
	const struct managed *web;

	RUN_UNTIL(!find_managed(&story->rig, "qmp:/run/web.ctl"));
	web = find_web(story);
	assert_non_null(web);
	assert_int_equal(manager_get_status(story->rig.manager)->guests->len, 1);
	assert_int_equal(web->before_bytes, OWN_BYTES);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		assert_ptr_equal(manager_find(story->rig.manager, words[i], NULL), web);
	check_no_size_is_lost(story);
	assert_int_equal(story->rig.guest->actual_bytes, OWN_BYTES);
	rigged_free(story->device);
	manager_rig_tear_down(&story->rig);
}

static void a_domain_takes_over_its_device_with_its_own_size(void **state)
{
	struct story story = { 0 };

	(void)state;
	begin_device_story(&story);
	story.rig.guest->device_pid = story.device->pid;
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story));
	check_device_is_taken_over(&story);
}

static void a_domain_that_gets_its_device_later_takes_it_over_too(void **state)
{
	struct story story = { 0 };

	(void)state;
	begin_device_story(&story);
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story) && is_quiet(&story));
	assert_non_null(find_managed(&story.rig, "qmp:/run/web.ctl"));
	give_device(story.rig.guest, story.device);
	check_device_is_taken_over(&story);
}

static void a_domain_claims_the_entry_of_its_device(void **state)
{
	struct story story = { 0 };

	(void)state;
	manager_rig_set_up(&story.rig, "[guest *]\nmode=observe\n");
	story.rig.guest = rigged_new("web", "web", UUID);
	story.device = rigged_new("qmp:/run/web.ctl", "web", NULL);
	story.rig.guest->actual_bytes = SHRUNK_BYTES;
	write_state(&story.rig, "qmp", story.device);
	give_device(story.rig.guest, story.device);
	story.rig.guest->fails = false;
	manager_rig_start(&story.rig);
	report_found(LIBVIRT, story.rig.guest);
	RUN_UNTIL(find_web(&story));
	assert_int_equal(manager_get_status(story.rig.manager)->to_restore, 0);
	report_found("qmp", story.device);
	RUN_UNTIL(manager_get_status(story.rig.manager)->guests->len == 1);
	check_device_is_taken_over(&story);
}

static void a_device_that_is_being_set_a_target_is_not_taken_over_yet(void **state)
{
	struct story story = { 0 };

	(void)state;
	begin_device_story(&story);
	close_gate(GATE_BALLOON_SET, CALLER_WORKER);
	managed_send_target(find_managed(&story.rig, "qmp:/run/web.ctl"), ASKED_BYTES,
			    g_get_monotonic_time());
	story.rig.guest->device_pid = story.device->pid;
	report_found_again(LIBVIRT, story.rig.guest);
	RUN_UNTIL(is_gate_reached() && manager_get_status(story.rig.manager)->guests->len == 2);
	RUN_UNTIL(has_returned(&story, "web"));
	assert_false(manager_set_size(story.rig.manager, UUID, NEWER_BYTES, true, NULL));
	assert_non_null(find_managed(&story.rig, "qmp:/run/web.ctl"));
	open_gate();
	RUN_UNTIL(find_web(&story));
	assert_int_equal(heard_target(story.device), ASKED_BYTES);
	check_device_is_taken_over(&story);
}

static void a_device_that_belongs_to_a_domain_already_is_no_guest(void **state)
{
	struct story story = { 0 };
	const struct managed *web;

	(void)state;
	begin_story(&story, "observe");
	story.device = rigged_new("qmp:/run/web.ctl", "web", NULL);
	give_device(story.rig.guest, story.device);
	RUN_UNTIL(find_web(&story)->device_pid == story.device->pid);
	report_found("qmp", story.device);
	RUN_UNTIL(manager_get_status(story.rig.manager)->guests->len == 1);
	web = find_web(&story);
	assert_ptr_equal(manager_find(story.rig.manager, "qmp:/run/web.ctl", NULL), web);
	report_gone("qmp", story.device);
	assert_null(manager_find(story.rig.manager, "qmp:/run/web.ctl", NULL));
	assert_ptr_equal(manager_find(story.rig.manager, "web", NULL), web);
	rigged_free(story.device);
	manager_rig_tear_down(&story.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_latest_wish_wins_however_late_answers_come),
		cmocka_unit_test(the_latest_wish_wins_for_a_guest_that_is_only_observed),
		cmocka_unit_test(a_guest_that_returns_while_it_is_restored_is_claimed_afterwards),
		cmocka_unit_test(a_target_that_is_asked_for_is_sent_once),
		cmocka_unit_test(a_guest_that_first_answers_while_the_daemon_stops_is_restored),
		cmocka_unit_test(a_guest_that_refused_all_targets_is_not_restored),
		cmocka_unit_test(a_guest_whose_target_may_be_set_is_restored),
		cmocka_unit_test(
			a_guest_that_was_changed_before_is_restored_though_it_refused_a_size),
		cmocka_unit_test(a_size_that_is_set_while_it_is_observed_is_not_its_own),
		cmocka_unit_test(a_guest_that_is_moving_when_the_daemon_ends_is_no_failure),
		cmocka_unit_test(a_guest_that_stands_still_when_the_daemon_ends_is_a_failure),
		cmocka_unit_test(the_period_of_a_resize_is_not_taken_for_the_guests_own),
		cmocka_unit_test(a_domain_takes_over_its_device_with_its_own_size),
		cmocka_unit_test(a_domain_claims_the_entry_of_its_device),
		cmocka_unit_test(a_device_that_is_being_set_a_target_is_not_taken_over_yet),
		cmocka_unit_test(a_domain_that_gets_its_device_later_takes_it_over_too),
		cmocka_unit_test(a_device_that_belongs_to_a_domain_already_is_no_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
