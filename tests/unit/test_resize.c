/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked and refused before memory is taken, how a resize ends, and what it leaves. */
#include "resize/resize.h"
#include "resize/target_file.h"
#include "tests/unit/fake_qemu.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define STATS "qom-get " DEVICE " guest-stats"
#define DRIVER "x-query-virtio-status " DEVICE
#define NO_STATS "\"return\": {\"stats\": {}, \"last-update\": 0}"
#define NO_DRIVER "\"return\": {\"status\": {\"statuses\": []}}"
#define READY                                                                                      \
	"\"return\": {\"status\": {\"statuses\": "                                                 \
	"[\"VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready\"]}}"
#define VFIO                                                                                       \
	"\"return\": [{\"name\": \"b0\", \"type\": \"child<virtio-balloon-pci>\"}, "               \
	"{\"name\": \"gpu\", \"type\": \"child<vfio-pci>\"}]"
/* 400 of its 512 MiB are available, which is all that most guests can tell about. */
#define HONEST                                                                                     \
	"\"return\": {\"stats\": {\"stat-total-memory\": 536870912, "                              \
	"\"stat-available-memory\": 419430400, \"stat-free-memory\": 104857600}, "                 \
	"\"last-update\": " NOW "}"
/* The same with the mark of a driver that takes memory back early. */
#define HONEST_AND_EARLY                                                                           \
	"\"return\": {\"stats\": {\"stat-total-memory\": 536870912, "                              \
	"\"stat-available-memory\": 419430400, \"stat-disk-caches\": 3072}, "                      \
	"\"last-update\": " NOW "}"
/* The same when its balloon has taken memory. */
#define LATER                                                                                      \
	"\"return\": {\"stats\": {\"stat-total-memory\": 469762048, "                              \
	"\"stat-available-memory\": 352321536, \"stat-free-memory\": 37748736}, "                  \
	"\"last-update\": " NOW "}"
/* The first again, one number apart. */
#define HARDLY_LATER                                                                               \
	"\"return\": {\"stats\": {\"stat-total-memory\": 536870912, "                              \
	"\"stat-available-memory\": 419430400, \"stat-free-memory\": 104853504}, "                 \
	"\"last-update\": " NOW "}"
/* A driver of Windows: free memory only. */
#define FREE_ONLY                                                                                  \
	"\"return\": {\"stats\": {\"stat-total-memory\": 536870912, "                              \
	"\"stat-free-memory\": 104857600}, \"last-update\": " NOW "}"

static int64_t age_us; /* of the guest's process */

int64_t __wrap_vmm_process_age_us(pid_t pid);
int64_t __wrap_vmm_process_age_us(pid_t pid)
{
	(void)pid;
	return age_us;
}

struct resizing {
	struct fake *fake;
	hv_info info;
	struct resize_request request;
	struct resize_result result;
	GError *error;
	GString *warnings;
	char *runtime;
	uint64_t held_bytes;	    /* what was last passed to hold() */
	const char *answer_waiting; /* the driver's status from the call of waiting() on */
	bool moves;		    /* the balloon arrives as soon as it is asked */
	const char *later;	    /* its statistics once its balloon has moved; NULL: LATER */
	bool frozen;		    /* its statistics stay the same when its balloon moves */
	bool pulls;		    /* it shrinks by some of it, and takes 64 MiB back */
	bool cancel_waiting;	    /* cancel it at the call of waiting() */
	bool cancel_holding;	    /* the same at hold() */
	bool cancel_moving;	    /* the same at progress() */
	unsigned int releases;
	bool cancelled;
	bool ends;	      /* it is killed before it is asked */
	uint64_t newer_bytes; /* set by somebody else during the wait; 0: nobody does */
	unsigned int waits;
};

static int resize_setup(void **state)
{
	struct resizing *t = g_new0(struct resizing, 1);
	void *fake;

	fake_setup(&fake);
	t->fake = fake;
	t->warnings = g_string_new(NULL);
	t->runtime = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	g_setenv("XDG_RUNTIME_DIR", t->runtime, TRUE);
	t->info = (hv_info){
		.name = (char *)"web",
		.state = HV_STATE_RUNNING,
		.max_bytes = 1024 * MIB,
		.actual_bytes = 512 * MIB,
		.has_balloon = true,
		.driver = HV_DRIVER_READY,
	};
	t->request = (struct resize_request){ .target_bytes = 400 * MIB,
					      .timeout_us = 60 * G_USEC_PER_SEC,
					      .stall_us = 60 * G_USEC_PER_SEC };
	t->moves = true;
	age_us = INT64_C(3600) * G_USEC_PER_SEC;
	will_answer(t->fake, STATS, HONEST);
	*state = t;
	return 0;
}

static int resize_cleanup(void **state)
{
	struct resizing *t = *state;
	g_autofree char *folder = g_build_filename(t->runtime, "aerostat", NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;
	void *fake = t->fake;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		g_unlink(path);
	}
	g_rmdir(folder);
	g_rmdir(t->runtime);
	resize_result_clear(&t->result);
	g_clear_error(&t->error);
	g_string_free(t->warnings, TRUE);
	fake_teardown(&fake);
	g_free(t->runtime);
	g_free(t);
	return 0;
}

/* As another setmem does. */
static void ask_for_newer(struct resizing *t)
{
	struct target_file file;

	target_file_write(&file, t->fake->guest, &t->info, t->newer_bytes);
	target_file_clear(&file);
}

static void on_release(void *data)
{
	((struct resizing *)data)->releases++;
}

static bool on_hold(void *data, uint64_t bytes, GError **error)
{
	static char answer[64];
	struct resizing *t = data;

	t->held_bytes = bytes;
	if (t->ends)
		fake_kill(t->fake);
	t->cancelled |= t->cancel_holding;
	if (t->newer_bytes && t->cancel_holding)
		ask_for_newer(t);
	(void)error;
	if (!t->moves)
		return true;
	g_snprintf(answer, sizeof(answer), "\"return\": {\"actual\": %" G_GUINT64_FORMAT "}",
		   bytes);
	will_answer(t->fake, "query-balloon", answer);
	return true;
}

static void on_warning(void *data, const char *text)
{
	struct resizing *t = data;

	g_string_append_printf(t->warnings, "%s\n", text);
}

static void on_waiting(void *data, const char *text)
{
	struct resizing *t = data;

	assert_string_equal(text, "waiting for its balloon driver; it may be booting");
	t->waits++;
	t->cancelled = t->cancel_waiting;
	if (t->answer_waiting) {
		will_answer(t->fake, DRIVER, t->answer_waiting);
		will_answer(t->fake, STATS, HONEST);
	}
}

static void on_progress(void *data, const struct balloon_wait *wait, int64_t now_us)
{
	struct resizing *t = data;

	(void)now_us;
	if (wait->actual_bytes != wait->before_bytes && !t->frozen)
		will_answer(t->fake, STATS, t->later ? t->later : LATER);
	t->cancelled |= t->cancel_moving;
	if (t->pulls && wait->actual_bytes == 512 * MIB && !wait->first_move_us)
		will_answer(t->fake, "query-balloon", "\"return\": {\"actual\": 444596224}");
	else if (t->pulls && wait->actual_bytes == 424 * MIB)
		will_answer(t->fake, "query-balloon", "\"return\": {\"actual\": 511705088}");
	if (t->newer_bytes)
		ask_for_newer(t);
}

static bool is_cancelled(void *data)
{
	return ((struct resizing *)data)->cancelled;
}

static bool resize(struct resizing *t)
{
	static const struct resize_ops ops = {
		.hold = on_hold,
		.release = on_release,
		.warn = on_warning,
		.waiting = on_waiting,
		.progress = on_progress,
		.is_cancelled = is_cancelled,
	};

	return resize_guest(t->fake->guest, &t->info, &t->request, &ops, t, &t->result, &t->error);
}

/* What it changes for the moment is as before; the fake's period is 2 s. */
static void assert_period_restored(struct resizing *t)
{
	g_autofree char *all = heard(t->fake);
	const char *last = g_strrstr(all, "guest-stats-polling-interval=");

	if (last)
		assert_true(g_str_has_prefix(last, "guest-stats-polling-interval=2"));
}

static void assert_untouched(struct resizing *t)
{
	g_autofree char *all = heard(t->fake);

	assert_null(strstr(all, "balloon="));
	assert_int_equal(t->held_bytes, 0);
	assert_period_restored(t);
}

static void assert_refused_with(struct resizing *t, const char *text)
{
	assert_false(resize(t));
	assert_int_equal(t->error->code, HV_ERROR_REFUSED);
	assert_non_null(strstr(t->error->message, text));
	assert_non_null(strstr(t->error->message, "--force"));
	assert_untouched(t);
}

static void assert_reason(struct resizing *t, enum resize_reason reason)
{
	assert_true(resize(t));
	assert_string_equal(resize_reason_name(t->result.reason), resize_reason_name(reason));
	assert_period_restored(t);
}

static void a_guest_that_can_give_it_reaches_the_target(void **state)
{
	struct resizing *t = *state;

	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->held_bytes, 400 * MIB);
	assert_int_equal(t->result.before_bytes, 512 * MIB);
	assert_int_equal(t->result.after_bytes, 400 * MIB);
	assert_null(t->result.why);
	assert_null(t->result.note);
	assert_string_equal(t->warnings->str, "");
}

static void a_guest_is_asked_for_no_more_than_it_can_give(void **state)
{
	struct resizing *t = *state;

	t->request.target_bytes = 140 * MIB;
	assert_reason(t, RESIZE_IN_USE);
	assert_int_equal(t->held_bytes, (112 + 64) * MIB);
	assert_non_null(strstr(t->result.remedy, "--force"));
}

static void free_memory_bounds_what_a_guest_without_available_gives(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS, FREE_ONLY);
	t->request.target_bytes = 300 * MIB;
	assert_reason(t, RESIZE_IN_USE);
	assert_int_equal(t->held_bytes, (512 - 100 + 64) * MIB);
}

static void a_device_that_pins_memory_is_an_obstacle(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, "qom-list /machine/peripheral", VFIO);
	assert_refused_with(t, "web: a host device (VFIO) pins its memory, so the host would get "
			       "none of it back");
}

static void an_obstacle_can_be_overridden_and_is_named(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, "qom-list /machine/peripheral", VFIO);
	t->request.force = true;
	assert_reason(t, RESIZE_REACHED);
	assert_non_null(strstr(t->warnings->str, "pins its memory"));
	assert_non_null(strstr(t->result.note, "pins its memory"));
	assert_int_equal(t->result.obstacle, HV_OBSTACLE_DEVICES);
}

static void without_waiting_obstacles_are_refused_too(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, "qom-list /machine/peripheral", VFIO);
	t->request.no_wait = true;
	assert_refused_with(t, "pins its memory");
}

static void a_guest_that_is_to_grow_has_no_obstacle(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, "qom-list /machine/peripheral", VFIO);
	will_answer(t->fake, STATS, NO_STATS);
	t->request.target_bytes = 600 * MIB;
	assert_reason(t, RESIZE_REACHED);
	assert_string_equal(t->warnings->str, "");
}

static void less_than_half_is_refused_of_a_guest_that_reports_nothing(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS, NO_STATS);
	assert_refused_with(t, "the guest reports no statistics, so what it can give is not known, "
			       "and less than half of its maximum was asked for");
}

static void less_than_half_is_refused_of_a_guest_whose_statistics_stand_still(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS,
		    "\"return\": {\"stats\": {\"stat-available-memory\": 419430400}, "
		    "\"last-update\": 1700000000}");
	assert_refused_with(t, "the guest's last statistics are ");
}

static void a_size_above_the_maximum_is_the_maximum(void **state)
{
	struct resizing *t = *state;

	t->info.actual_bytes = UINT64_C(9000000000000000000);
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->result.before_bytes, t->info.max_bytes);
}

static void statistics_of_the_future_are_none(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS,
		    "\"return\": {\"stats\": {\"stat-available-memory\": 419430400}, "
		    "\"last-update\": 9999999999}");
	assert_refused_with(t, "the guest's last statistics are dated in the future");
}

/* Of 512 MiB, 48 are taken to see whether the statistics follow. */
static void a_guest_whose_statistics_stay_the_same_keeps_what_is_left(void **state)
{
	struct resizing *t = *state;

	t->frozen = true;
	assert_reason(t, RESIZE_SILENT);
	assert_int_equal(t->result.after_bytes, 464 * MIB);
	assert_int_equal(t->held_bytes, 464 * MIB);
	assert_non_null(strstr(t->result.why, "stay the same while its balloon moves"));
	assert_non_null(strstr(t->result.remedy, "--force"));
}

static void of_a_large_guest_half_is_left_at_least_before_its_statistics_are_true(void **state)
{
	struct resizing *t = *state;

	t->frozen = true;
	t->info.max_bytes = 600 * MIB;
	t->request.target_bytes = 250 * MIB;
	assert_reason(t, RESIZE_SILENT);
	assert_int_equal(t->result.after_bytes, 300 * MIB);
	assert_int_equal(t->held_bytes, 300 * MIB);
}

static void one_number_that_changed_proves_the_statistics(void **state)
{
	struct resizing *t = *state;

	t->later = HARDLY_LATER;
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->held_bytes, 400 * MIB);
}

static void a_guest_that_falls_silent_meanwhile_keeps_what_is_left(void **state)
{
	struct resizing *t = *state;

	t->later = "\"return\": {\"stats\": {\"stat-total-memory\": 536870912, "
		   "\"stat-available-memory\": 419430400, \"stat-free-memory\": 104857600}, "
		   "\"last-update\": 1700000000}";
	assert_reason(t, RESIZE_SILENT);
	assert_int_equal(t->held_bytes, 464 * MIB);
}

static void half_of_the_maximum_needs_no_proof(void **state)
{
	struct resizing *t = *state;

	t->frozen = true;
	t->info.max_bytes = 800 * MIB;
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->held_bytes, 400 * MIB);
}

static void force_needs_no_proof(void **state)
{
	struct resizing *t = *state;

	t->frozen = true;
	t->request.force = true;
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->held_bytes, 400 * MIB);
}

static void half_is_taken_of_a_guest_that_reports_nothing_with_a_note(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS, NO_STATS);
	t->info.max_bytes = 800 * MIB;
	assert_reason(t, RESIZE_REACHED);
	assert_string_equal(t->result.note, "the guest reports no statistics, so what it can give "
					    "is not known");
	assert_non_null(strstr(t->warnings->str, "web: the guest reports no statistics"));
}

static void force_takes_more_than_half_of_a_guest_that_reports_nothing(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS, NO_STATS);
	t->request.force = true;
	assert_reason(t, RESIZE_REACHED);
	assert_non_null(t->result.note);
}

static void a_guest_that_is_booting_is_waited_for(void **state)
{
	struct resizing *t = *state;

	age_us = 5 * G_USEC_PER_SEC;
	t->info.driver = HV_DRIVER_ABSENT;
	will_answer(t->fake, STATS, NO_STATS);
	will_answer(t->fake, DRIVER, NO_DRIVER);
	t->answer_waiting = READY;
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->waits, 1);
	assert_int_equal(t->held_bytes, 400 * MIB);
}

static void a_guest_that_boots_for_too_long_is_booting_not_driverless(void **state)
{
	struct resizing *t = *state;

	age_us = 5 * G_USEC_PER_SEC;
	t->info.driver = HV_DRIVER_ABSENT;
	t->request.timeout_us = 200000;
	will_answer(t->fake, STATS, NO_STATS);
	will_answer(t->fake, DRIVER, NO_DRIVER);
	assert_reason(t, RESIZE_BOOTING);
	assert_non_null(strstr(t->result.why, "booting"));
	assert_untouched(t);
}

static void a_guest_that_was_heard_of_just_now_is_rebooting(void **state)
{
	struct resizing *t = *state;

	t->info.driver = HV_DRIVER_ABSENT;
	will_answer(t->fake, DRIVER, NO_DRIVER);
	t->answer_waiting = READY;
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->waits, 1);
}

static void a_guest_without_a_driver_is_not_asked(void **state)
{
	struct resizing *t = *state;

	t->info.driver = HV_DRIVER_ABSENT;
	will_answer(t->fake, DRIVER, NO_DRIVER);
	will_answer(t->fake, STATS, NO_STATS);
	assert_reason(t, RESIZE_NO_DRIVER);
	assert_int_equal(t->waits, 0);
	assert_string_equal(t->result.why, "no balloon driver is at work in the guest");
	assert_untouched(t);
}

static void a_wait_for_a_guest_that_boots_can_be_cancelled(void **state)
{
	struct resizing *t = *state;

	age_us = 5 * G_USEC_PER_SEC;
	t->info.driver = HV_DRIVER_ABSENT;
	will_answer(t->fake, STATS, NO_STATS);
	will_answer(t->fake, DRIVER, NO_DRIVER);
	t->cancel_waiting = true;
	assert_reason(t, RESIZE_INTERRUPTED);
	assert_string_equal(t->result.why, "interrupted; nothing was changed");
	assert_untouched(t);
}

static void a_wait_for_the_target_can_be_cancelled(void **state)
{
	struct resizing *t = *state;

	t->moves = false;
	t->cancel_moving = true;
	assert_reason(t, RESIZE_INTERRUPTED);
	assert_string_equal(t->result.why, "interrupted; the target stays set");
	assert_int_equal(t->releases, 0);
}

static void a_target_is_not_set_once_it_was_cancelled(void **state)
{
	struct resizing *t = *state;
	g_autofree char *all = NULL;

	t->cancel_holding = true;
	assert_reason(t, RESIZE_INTERRUPTED);
	assert_string_equal(t->result.why, "interrupted; nothing was changed");
	all = heard(t->fake);
	assert_null(strstr(all, "balloon="));
	assert_int_equal(t->releases, 1);
}

static void a_guest_that_a_newer_request_holds_is_not_released(void **state)
{
	struct resizing *t = *state;
	g_autofree char *all = NULL;

	t->cancel_holding = true;
	t->newer_bytes = 450 * MIB;
	assert_reason(t, RESIZE_INTERRUPTED);
	all = heard(t->fake);
	assert_null(strstr(all, "balloon="));
	assert_int_equal(t->releases, 0);
}

static void the_newer_of_two_requests_wins(void **state)
{
	struct resizing *t = *state;

	t->moves = false;
	t->newer_bytes = 450 * MIB;
	assert_reason(t, RESIZE_SUPERSEDED);
	assert_string_equal(t->result.why, "another setmem has asked for 450 MiB meanwhile");
}

static void a_guest_that_cannot_give_more_is_eased(void **state)
{
	struct resizing *t = *state;

	t->moves = false;
	t->request.stall_us = 1;
	assert_reason(t, RESIZE_FULL);
	assert_int_equal(t->result.eased_bytes, 512 * MIB);
	assert_int_equal(t->held_bytes, 512 * MIB);
}

/* Down to 424 MiB, and back to 488. */
static void a_guest_that_takes_memory_back_meanwhile_has_stopped_short(void **state)
{
	struct resizing *t = *state;

	t->moves = false;
	t->info.autodeflate = 1;
	t->pulls = true;
	t->request.stall_us = G_USEC_PER_SEC / 5;
	assert_reason(t, RESIZE_FULL);
	assert_string_equal(t->result.why,
			    "the guest uses about 152 MiB that it cannot free, and takes memory "
			    "back when it runs out (deflate on OOM), 64 MiB meanwhile");
	assert_string_equal(t->result.relief,
			    "when it is short of memory, it may take some back by itself, up to "
			    "its maximum of 1 GiB (deflate on OOM)");
}

static void a_driver_that_takes_memory_back_early_is_named(void **state)
{
	struct resizing *t = *state;

	will_answer(t->fake, STATS, HONEST_AND_EARLY);
	t->moves = false;
	t->info.autodeflate = 1;
	t->request.stall_us = 1;
	assert_reason(t, RESIZE_FULL);
	assert_non_null(strstr(t->result.why,
			       "and takes memory back by itself before it runs out (deflate"));
	assert_null(strstr(t->result.why, "meanwhile"));
}

static void what_a_guest_may_do_by_itself_is_said_where_it_may(void **state)
{
	struct resizing *t = *state;

	t->request.no_wait = true;
	for (int i = 0; i < 3; i++) {
		t->info.autodeflate = i - 1;
		assert_reason(t, RESIZE_ASKED);
		assert_int_equal(t->result.relief != NULL, i == 2);
		resize_result_clear(&t->result);
	}
	t->request.target_bytes = t->info.max_bytes;
	assert_reason(t, RESIZE_ASKED);
	assert_null(t->result.relief);
}

static void a_size_that_was_not_known_is_asked_for(void **state)
{
	struct resizing *t = *state;

	t->info.actual_bytes = HV_UNSET;
	assert_reason(t, RESIZE_REACHED);
	assert_int_equal(t->result.before_bytes, 512 * MIB);
}

static void a_guest_that_ends_meanwhile_is_lost(void **state)
{
	struct resizing *t = *state;

	t->ends = true;
	assert_false(resize(t));
	assert_int_equal(t->error->code, HV_ERROR_UNREACHABLE);
}

/*
 * What the host gained
 */

/* A guest of @before that has @after now, and what it cost the host then and now; in MiB. */
static char *host_text(uint64_t before, uint64_t after, uint64_t host_before, uint64_t host_after,
		       enum hv_obstacle obstacle)
{
	const struct resize_result result = {
		.before_bytes = before * MIB,
		.after_bytes = after * MIB,
		.host_before_bytes = host_before * MIB,
		.host_after_bytes = host_after * MIB,
		.obstacle = obstacle,
	};

	return resize_host_text(&result);
}

static void a_cause_is_named_only_if_it_was_found(void **state)
{
	static const struct {
		uint64_t before, after, host_before, host_after;
		enum hv_obstacle obstacle;
		const char *text;
	} rows[] = {
		{ 512, 256, 540, 284, 0, "got back 256 MiB of the 256 MiB taken, measured" },
		{ 512, 256, 150, 140, 0,
		  "got back 10 MiB of the 256 MiB taken, measured; the rest was not in use" },
		{ 512, 256, 540, 540, 0,
		  "got back 0 B of the 256 MiB taken, measured; why the host did not get back the "
		  "rest is not known" },
		{ 512, 256, 540, 540, HV_OBSTACLE_LOCKED,
		  "got back 0 B of the 256 MiB taken, measured; its memory is locked" },
		{ 220, 150, 234, 296, 0,
		  "got back 0 B of the 70 MiB taken, measured; its use rose by 62 MiB meanwhile" },
		{ 256, 512, 300, 300, 0,
		  "256 MiB more promised; it is used once the guest touches it" },
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text =
			host_text(rows[i].before, rows[i].after, rows[i].host_before,
				  rows[i].host_after, rows[i].obstacle);

		assert_string_equal(text, rows[i].text);
	}
	assert_null(host_text(512, 512, 600, 600, 0));
}

#define RESIZE_TEST(name) cmocka_unit_test_setup_teardown(name, resize_setup, resize_cleanup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESIZE_TEST(a_guest_that_can_give_it_reaches_the_target),
		RESIZE_TEST(a_guest_is_asked_for_no_more_than_it_can_give),
		RESIZE_TEST(free_memory_bounds_what_a_guest_without_available_gives),
		RESIZE_TEST(a_device_that_pins_memory_is_an_obstacle),
		RESIZE_TEST(an_obstacle_can_be_overridden_and_is_named),
		RESIZE_TEST(without_waiting_obstacles_are_refused_too),
		RESIZE_TEST(a_guest_that_is_to_grow_has_no_obstacle),
		RESIZE_TEST(less_than_half_is_refused_of_a_guest_that_reports_nothing),
		RESIZE_TEST(less_than_half_is_refused_of_a_guest_whose_statistics_stand_still),
		RESIZE_TEST(a_size_above_the_maximum_is_the_maximum),
		RESIZE_TEST(statistics_of_the_future_are_none),
		RESIZE_TEST(a_guest_whose_statistics_stay_the_same_keeps_what_is_left),
		RESIZE_TEST(of_a_large_guest_half_is_left_at_least_before_its_statistics_are_true),
		RESIZE_TEST(one_number_that_changed_proves_the_statistics),
		RESIZE_TEST(a_guest_that_falls_silent_meanwhile_keeps_what_is_left),
		RESIZE_TEST(half_of_the_maximum_needs_no_proof),
		RESIZE_TEST(force_needs_no_proof),
		RESIZE_TEST(half_is_taken_of_a_guest_that_reports_nothing_with_a_note),
		RESIZE_TEST(force_takes_more_than_half_of_a_guest_that_reports_nothing),
		RESIZE_TEST(a_guest_that_is_booting_is_waited_for),
		RESIZE_TEST(a_guest_that_boots_for_too_long_is_booting_not_driverless),
		RESIZE_TEST(a_guest_that_was_heard_of_just_now_is_rebooting),
		RESIZE_TEST(a_guest_without_a_driver_is_not_asked),
		RESIZE_TEST(a_wait_for_a_guest_that_boots_can_be_cancelled),
		RESIZE_TEST(a_wait_for_the_target_can_be_cancelled),
		RESIZE_TEST(a_target_is_not_set_once_it_was_cancelled),
		RESIZE_TEST(a_guest_that_a_newer_request_holds_is_not_released),
		RESIZE_TEST(the_newer_of_two_requests_wins),
		RESIZE_TEST(a_guest_that_cannot_give_more_is_eased),
		RESIZE_TEST(a_guest_that_takes_memory_back_meanwhile_has_stopped_short),
		RESIZE_TEST(a_driver_that_takes_memory_back_early_is_named),
		RESIZE_TEST(what_a_guest_may_do_by_itself_is_said_where_it_may),
		RESIZE_TEST(a_size_that_was_not_known_is_asked_for),
		RESIZE_TEST(a_guest_that_ends_meanwhile_is_lost),
		cmocka_unit_test(a_cause_is_named_only_if_it_was_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
