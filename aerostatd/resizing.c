/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * A job is shared by the main loop and its thread.  The thread opens the guest for itself, since
 * the worker's connection serves samples meanwhile, and runs resize_guest().  What it has to
 * report it posts to the main loop.
 *
 * It sets no target itself.  It asks the main loop, which holds the guest and has the guest's
 * worker set it, as it does with the targets of the policy, of people, and of a restore.  So a
 * guest's targets reach the hypervisor in the order in which the main loop chose them, however long
 * each takes; and once a job is cancelled, the main loop sends none for it.
 *
 * A newer request cancels the job and starts when its thread has ended.  Cancelled jobs end within
 * the time of one call to the hypervisor.
 */
#include "aerostatd/resizing.h"

#include <string.h>

#include "aerostatd/log.h"
#include "aerostatd/modes.h"
#include "common/size.h"
#include "resize/resize_text.h"

#define TIMEOUT_US (120 * G_USEC_PER_SEC)
#define STALL_US (10 * G_USEC_PER_SEC)
#define PROGRESS_US G_USEC_PER_SEC /* between two events */
#define CANCELLED_POLL_MS 50

/* One request while its thread runs. */
struct resize_job {
	gatomicrefcount refs;	/* the main loop's, the thread's, and one per posted message */
	struct resizing *owner; /* of the main loop; NULL: nobody wants to know any more */

	/* Not changed once the thread runs. */
	char *source, *address, *uuid;
	struct resize_request request;

	/* Under the lock. */
	GMutex lock;
	GCond changed;
	bool cancelled, ended;
	enum { TARGET_WANTED, TARGET_SENT, TARGET_SET, TARGET_REFUSED } target;
	GError *target_error; /* with TARGET_REFUSED */

	/* Of the thread. */
	int64_t reported_us;
};

/* A guest whose size was set, until it is forgotten. */
struct resizing {
	struct resizings *all;
	uint64_t guest_id;
	struct managed_resize shown;
	struct resize_job *job; /* NULL: none is under way */
	bool is_pending;	/* a newer request waits for the end of the job */
	struct resize_request pending;
	bool has_set;	 /* the job has set a target */
	int mode_before; /* enum policy_mode, before the job held it; -1: it did not */
	uint64_t held_before_bytes;
};

struct resizings {
	struct guests *guests;
	struct events *events;
	GPtrArray *list; /* struct resizing * */
	GPtrArray *jobs; /* struct resize_job *, whose threads may still run */
	bool stopped;
};

static struct resize_job *ref_resize_job(struct resize_job *job)
{
	g_atomic_ref_count_inc(&job->refs);
	return job;
}

static void unref_resize_job(gpointer data)
{
	struct resize_job *job = data;

	if (!g_atomic_ref_count_dec(&job->refs))
		return;
	g_free(job->source);
	g_free(job->address);
	g_free(job->uuid);
	g_clear_error(&job->target_error);
	g_mutex_clear(&job->lock);
	g_cond_clear(&job->changed);
	g_free(job);
}

static void clear_shown_resize(struct managed_resize *shown)
{
	g_free(shown->name);
	g_free(shown->why);
	g_free(shown->remedy);
	g_free(shown->note);
	g_free(shown->host_text);
	*shown = (struct managed_resize){ 0 };
}

static void cancel_resize_job(struct resize_job *job)
{
	g_mutex_lock(&job->lock);
	job->cancelled = true;
	g_cond_broadcast(&job->changed);
	g_mutex_unlock(&job->lock);
}

/*
 * Messages, from the thread to the main loop
 */

struct resize_message {
	struct resize_job *job;
	enum { MESSAGE_WAITING, MESSAGE_PROGRESS, MESSAGE_TARGET, MESSAGE_END } kind;
	char *text;	     /* WAITING; END: why the guest could not be asked, or NULL */
	const char *failure; /* END: the reason, with text */
	uint64_t before_bytes, actual_bytes, target_bytes; /* PROGRESS, TARGET */
	struct resize_result result;			   /* END, without text */
};

static void free_resize_message(gpointer data)
{
	struct resize_message *message = data;

	unref_resize_job(message->job);
	resize_result_clear(&message->result);
	g_free(message->text);
	g_free(message);
}

static struct resize_message *new_resize_message(struct resize_job *job, int kind)
{
	struct resize_message *message = g_new0(struct resize_message, 1);

	message->job = ref_resize_job(job);
	message->kind = kind;
	return message;
}

static gboolean deliver_resize_message(gpointer data);

static void post_resize_message(struct resize_message *message)
{
	g_autoptr(GSource) source = g_idle_source_new();

	g_source_set_priority(source, G_PRIORITY_DEFAULT);
	g_source_set_callback(source, deliver_resize_message, message, free_resize_message);
	g_source_attach(source, NULL);
}

/*
 * The thread
 */

static bool is_job_cancelled(void *data)
{
	struct resize_job *job = data;
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&job->lock);

	return job->cancelled;
}

static void post_job_waiting(void *data, const char *text)
{
	struct resize_message *message = new_resize_message(data, MESSAGE_WAITING);

	message->text = g_strdup(text);
	post_resize_message(message);
}

static void post_job_progress(void *data, const struct balloon_wait *wait, int64_t now_us)
{
	struct resize_job *job = data;
	struct resize_message *message;

	if (now_us - job->reported_us < PROGRESS_US)
		return;
	job->reported_us = now_us;
	message = new_resize_message(job, MESSAGE_PROGRESS);
	message->before_bytes = wait->before_bytes;
	message->actual_bytes = wait->actual_bytes;
	message->target_bytes = wait->target_bytes;
	post_resize_message(message);
}

/* Waits until the target is set, or the job is cancelled. */
static bool request_job_target(void *data, uint64_t bytes, GError **error)
{
	struct resize_job *job = data;
	struct resize_message *message = new_resize_message(job, MESSAGE_TARGET);
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&job->lock);

	job->target = TARGET_WANTED;
	message->target_bytes = bytes;
	post_resize_message(message);
	while (job->target < TARGET_SET && !job->cancelled)
		g_cond_wait(&job->changed, &job->lock);
	if (job->target == TARGET_REFUSED)
		g_propagate_error(error, g_steal_pointer(&job->target_error));
	else if (job->target == TARGET_WANTED)
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED, "the request was cancelled");
	return job->target == TARGET_SENT || job->target == TARGET_SET;
}

static const struct resize_ops job_ops = {
	.progress = post_job_progress,
	.waiting = post_job_waiting,
	.set = request_job_target,
	.is_cancelled = is_job_cancelled,
};

static hv_guest *open_job_guest(const struct resize_job *job)
{
	if (g_str_equal(job->source, "qmp"))
		return hv_qmp_open(job->address +
				   (g_str_has_prefix(job->address, "qmp:") ? strlen("qmp:") : 0));
	return hv_libvirt_open(job->source, job->uuid ? job->uuid : job->address);
}

static bool resize_job_guest(struct resize_job *job, struct resize_result *result, GError **error)
{
	g_autoptr(hv_guest) guest = open_job_guest(job);
	g_auto(hv_info) info = { 0 };

	if (!hv_guest_info(guest, hv_deadline_ms(RESIZE_CALL_MS), &info, error))
		return false;
	if (job->uuid && info.uuid && g_ascii_strcasecmp(job->uuid, info.uuid)) {
		g_set_error(error, HV_ERROR, HV_ERROR_NOT_FOUND,
			    "%s: another guest has taken its place", job->address);
		return false;
	}
	return resize_check_target(info.name, info.max_bytes, job->request.target_bytes,
				   job->request.force, error) &&
	       resize_guest(guest, &info, &job->request, &job_ops, job, result, error);
}

/* Whether nothing was changed because it must not or cannot be. */
static bool is_refusal(const GError *error)
{
	return error->domain == MANAGER_ERROR || hv_error_is_refusal(error);
}

static gpointer run_resize_job(gpointer data)
{
	struct resize_job *job = data;
	struct resize_message *message = new_resize_message(job, MESSAGE_END);
	g_autoptr(GError) error = NULL;

	if (!resize_job_guest(job, &message->result, &error)) {
		message->text = g_strdup(error->message);
		message->failure = is_refusal(error) ? "refused" : "failed";
	}
	post_resize_message(message);
	g_mutex_lock(&job->lock);
	job->ended = true;
	g_cond_broadcast(&job->changed);
	g_mutex_unlock(&job->lock);
	unref_resize_job(job);
	return NULL;
}

/*
 * The main loop
 */

static struct managed *find_resized_guest(const struct resizing *resizing)
{
	const GPtrArray *list = guests_list(resizing->all->guests);

	for (guint i = 0; i < list->len; i++)
		if (((struct managed *)list->pdata[i])->id == resizing->guest_id)
			return list->pdata[i];
	return NULL;
}

static bool start_resize_job(struct resizing *resizing, const struct resize_request *request,
			     GError **error)
{
	struct managed *guest = find_resized_guest(resizing);
	struct resize_job *job;
	GThread *thread;

	if (!guest) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_NOT_FOUND, "%s has ended",
			    resizing->shown.name);
		return false;
	}
	job = g_new0(struct resize_job, 1);
	g_atomic_ref_count_init(&job->refs);
	g_mutex_init(&job->lock);
	g_cond_init(&job->changed);
	job->source = g_strdup(guest->source);
	job->address = g_strdup(guest->address);
	job->uuid = g_strdup(guest->uuid);
	job->request = *request;
	/* The guest's worker changes and restores the period, unless the mode is off. */
	job->request.keep_period = managed_mode(guest) != POLICY_OFF;
	job->owner = resizing;
	thread = g_thread_try_new("resize", run_resize_job, ref_resize_job(job), error);
	if (!thread) {
		unref_resize_job(job);
		unref_resize_job(job);
		return false;
	}
	g_thread_unref(thread);
	managed_lend_period(guest, !job->request.keep_period);
	g_ptr_array_add(resizing->all->jobs, ref_resize_job(job));
	resizing->job = job;
	resizing->mode_before = -1;
	resizing->has_set = false;
	clear_shown_resize(&resizing->shown);
	resizing->shown = (struct managed_resize){
		.name = g_strdup(guest->name),
		.is_running = true,
		.target_bytes = request->target_bytes,
		.before_bytes = guest->seen.actual_bytes,
		.actual_bytes = guest->seen.actual_bytes,
		.host_before_bytes = HV_UNSET,
		.host_after_bytes = HV_UNSET,
		.eased_bytes = HV_UNSET,
	};
	return true;
}

static void show_job_waiting(struct resizing *resizing, const char *text)
{
	g_free(resizing->shown.why);
	resizing->shown.why = g_strdup(text);
	events_add(resizing->all->events, EVENT_RESIZE_PROGRESS, resizing->shown.name,
		   resizing->shown.before_bytes, resizing->shown.actual_bytes, "%s", text);
}

static void show_job_progress(struct resizing *resizing, const struct resize_message *message)
{
	g_autofree char *actual = size_format(message->actual_bytes);
	g_autofree char *target = size_format(message->target_bytes);

	g_clear_pointer(&resizing->shown.why, g_free);
	resizing->shown.before_bytes = message->before_bytes;
	resizing->shown.actual_bytes = message->actual_bytes;
	events_add(resizing->all->events, EVENT_RESIZE_PROGRESS, resizing->shown.name,
		   message->before_bytes, message->actual_bytes, "%s, going to %s", actual, target);
}

static void note_job_target(struct resize_job *job, int state, GError *error)
{
	g_mutex_lock(&job->lock);
	job->target = state;
	job->target_error = error;
	g_cond_broadcast(&job->changed);
	g_mutex_unlock(&job->lock);
}

/* In the modes observe and off, the guest is not held. */
static bool send_job_target(struct resizing *resizing, uint64_t bytes, GError **error)
{
	struct managed *guest = find_resized_guest(resizing);
	enum policy_mode mode;

	if (!guest || resizing->all->stopped) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED,
			    "%s is no longer managed; nothing was changed", resizing->shown.name);
		return false;
	}
	mode = managed_mode(guest);
	if (mode != POLICY_AUTO && mode != POLICY_HELD)
		return modes_set_size(resizing->all->guests, guest, bytes, error);
	if (resizing->mode_before < 0) {
		resizing->mode_before = (int)mode;
		resizing->held_before_bytes = guest->held_bytes;
	}
	return modes_set_one(resizing->all->guests, resizing->all->events, guest->address,
			     POLICY_HELD, bytes, error);
}

static void serve_job_target(struct resizing *resizing, const struct resize_message *message)
{
	GError *error = NULL;

	if (is_job_cancelled(message->job))
		return;
	if (send_job_target(resizing, message->target_bytes, &error))
		note_job_target(message->job, TARGET_SENT, NULL);
	else
		note_job_target(message->job, TARGET_REFUSED, error);
}

/* The guest is as it was before the job held it. */
static void release_job_guest(struct resizing *resizing)
{
	struct managed *guest = find_resized_guest(resizing);

	if (guest && resizing->mode_before >= 0)
		modes_set_one(resizing->all->guests, resizing->all->events, guest->address,
			      (enum policy_mode)resizing->mode_before,
			      resizing->mode_before == POLICY_HELD ? resizing->held_before_bytes
								   : HV_UNSET,
			      NULL);
}

static void show_job_end(struct resizing *resizing, struct resize_message *message)
{
	struct managed_resize *shown = &resizing->shown;
	struct resize_result *result = &message->result;

	if (!find_resized_guest(resizing)) {
		message->failure = "gone";
		g_free(message->text);
		message->text = g_strdup("the guest has ended, or is no longer managed");
	}
	if (!message->text && result->reason == RESIZE_INTERRUPTED && resizing->is_pending)
		resize_explain(
			result, RESIZE_SUPERSEDED,
			&(struct resize_facts){ .newer_bytes = resizing->pending.target_bytes });
	shown->is_running = false;
	g_free(shown->why);
	shown->reason = message->text ? message->failure : resize_reason_name(result->reason);
	shown->why = message->text ? g_strdup(message->text) : g_steal_pointer(&result->why);
	shown->remedy = g_steal_pointer(&result->remedy);
	shown->note = g_steal_pointer(&result->note);
	if (!message->text) {
		shown->before_bytes = result->before_bytes;
		shown->actual_bytes = result->after_bytes;
		shown->eased_bytes = result->eased_bytes;
		shown->host_text = resize_host_text(result);
		shown->host_before_bytes = result->host_before_bytes;
		shown->host_after_bytes = result->host_after_bytes;
	}
}

static void report_job_end(struct resizing *resizing)
{
	const struct managed_resize *shown = &resizing->shown;
	g_autofree char *target = size_format(shown->target_bytes);
	g_autofree char *actual = size_format(shown->actual_bytes);
	g_autofree char *text =
		shown->why ? g_strdup_printf("%s, not %s: %s", actual, target, shown->why)
			   : g_strdup_printf("%s", actual);

	events_add_result(resizing->all->events, EVENT_RESIZE_RESULT, shown->name, shown->reason,
			  shown->before_bytes, shown->actual_bytes, "%s", text);
	manager_log(LOG_INFO, "%s: set size: %s", shown->name, text);
}

static void finish_resize_job(struct resizing *resizing, struct resize_message *message)
{
	struct managed *guest = find_resized_guest(resizing);
	g_autoptr(GError) error = NULL;

	show_job_end(resizing, message);
	report_job_end(resizing);
	g_clear_pointer(&resizing->job, unref_resize_job);
	if (!guest) {
		g_ptr_array_remove(resizing->all->list, resizing);
		return;
	}
	managed_lend_period(guest, false);
	if (!resizing->is_pending)
		return;
	resizing->is_pending = false;
	if (!start_resize_job(resizing, &resizing->pending, &error))
		manager_log(LOG_WARNING, "%s: %s", resizing->shown.name, error->message);
}

static gboolean deliver_resize_message(gpointer data)
{
	struct resize_message *message = data;
	struct resizing *resizing = message->job->owner;

	if (!resizing)
		return G_SOURCE_REMOVE;
	switch (message->kind) {
	case MESSAGE_WAITING:
		show_job_waiting(resizing, message->text);
		break;
	case MESSAGE_PROGRESS:
		show_job_progress(resizing, message);
		break;
	case MESSAGE_TARGET:
		serve_job_target(resizing, message);
		break;
	case MESSAGE_END:
		g_ptr_array_remove(resizing->all->jobs, message->job);
		finish_resize_job(resizing, message);
		break;
	}
	return G_SOURCE_REMOVE;
}

static void free_resizing(gpointer data)
{
	struct resizing *resizing = data;

	if (resizing->job) {
		resizing->job->owner = NULL;
		cancel_resize_job(resizing->job);
		unref_resize_job(resizing->job);
	}
	clear_shown_resize(&resizing->shown);
	g_free(resizing);
}

struct resizings *resizings_new(struct guests *guests, struct events *events)
{
	struct resizings *resizings = g_new0(struct resizings, 1);

	resizings->guests = guests;
	resizings->events = events;
	resizings->list = g_ptr_array_new_with_free_func(free_resizing);
	resizings->jobs = g_ptr_array_new_with_free_func(unref_resize_job);
	return resizings;
}

void resizings_free(struct resizings *resizings)
{
	int64_t deadline = hv_deadline_ms(RESIZINGS_END_MS);

	if (!resizings)
		return;
	g_ptr_array_unref(resizings->list);
	for (guint i = 0; i < resizings->jobs->len; i++) {
		struct resize_job *job = resizings->jobs->pdata[i];
		g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&job->lock);

		while (!job->ended && g_cond_wait_until(&job->changed, &job->lock, deadline))
			;
	}
	g_ptr_array_unref(resizings->jobs);
	g_free(resizings);
}

static struct resizing *find_resizing(const struct resizings *resizings, uint64_t guest_id)
{
	for (guint i = 0; i < resizings->list->len; i++) {
		struct resizing *resizing = resizings->list->pdata[i];

		if (resizing->guest_id == guest_id)
			return resizing;
	}
	return NULL;
}

static void set_refusal(const GError *refused, GError **error)
{
	g_set_error_literal(error, MANAGER_ERROR,
			    refused->code == HV_ERROR_INVALID ? MANAGER_ERROR_INVALID
							      : MANAGER_ERROR_REFUSED,
			    refused->message);
}

bool resizings_check(const struct managed *guest, uint64_t bytes, bool force, GError **error)
{
	struct hv_stats stats = guest->stats;
	const struct resize_view view = {
		.name = guest->name,
		.max_bytes = guest->seen.boot_bytes,
		.actual_bytes = guest->seen.actual_bytes,
		.obstacle = guest->obstacle,
		.autodeflate = guest->autodeflate,
		.stats = &stats,
	};
	g_autoptr(GError) refused = NULL;

	/* A guest that no longer answers is shown with what it reported last. */
	stats.taken_s = g_get_real_time() / G_USEC_PER_SEC;
	if (resize_check_view(&view, bytes, force, &refused))
		return true;
	set_refusal(refused, error);
	return false;
}

bool resizings_start(struct resizings *resizings, struct managed *guest, uint64_t bytes, bool force,
		     GError **error)
{
	const struct resize_request request = {
		.target_bytes =
			(bytes + BALLOON_PAGE_BYTES - 1) / BALLOON_PAGE_BYTES * BALLOON_PAGE_BYTES,
		.force = force,
		.timeout_us = TIMEOUT_US,
		.stall_us = STALL_US,
	};
	struct resizing *resizing = find_resizing(resizings, guest->id);
	g_autoptr(GError) refused = NULL;

	if (resizings->stopped) {
		g_set_error(error, MANAGER_ERROR, MANAGER_ERROR_REFUSED, "aerostatd is stopping");
		return false;
	}
	if (!resize_check_target(guest->name, guest->seen.boot_bytes, bytes, force, &refused) ||
	    (bytes < guest->seen.actual_bytes &&
	     !resize_check_obstacle(guest->name, guest->obstacle, force, &refused))) {
		set_refusal(refused, error);
		return false;
	}
	if (!resizing) {
		resizing = g_new0(struct resizing, 1);
		resizing->all = resizings;
		resizing->guest_id = guest->id;
		resizing->shown.name = g_strdup(guest->name);
		g_ptr_array_add(resizings->list, resizing);
	}
	if (!resizing->job)
		return start_resize_job(resizing, &request, error);
	resizing->is_pending = true;
	resizing->pending = request;
	cancel_resize_job(resizing->job);
	return true;
}

static bool is_target_sent(struct resize_job *job)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&job->lock);

	return job->target == TARGET_SENT && !job->cancelled;
}

void resizings_note_target(struct resizings *resizings, const struct managed *guest,
			   const GError *error)
{
	struct resizing *resizing = find_resizing(resizings, guest->id);

	/* While another is under way, this reply is about one from before. */
	if (!resizing || !resizing->job || worker_is_setting(managed_worker(guest)) ||
	    !is_target_sent(resizing->job))
		return;
	if (!error) {
		resizing->has_set = true;
		note_job_target(resizing->job, TARGET_SET, NULL);
		return;
	}
	if (!resizing->has_set)
		release_job_guest(resizing);
	note_job_target(resizing->job, TARGET_REFUSED, g_error_copy(error));
}

void resizings_cancel(struct resizings *resizings, const struct managed *guest)
{
	struct resizing *resizing = find_resizing(resizings, guest->id);

	if (!resizing)
		return;
	resizing->is_pending = false;
	if (resizing->job)
		cancel_resize_job(resizing->job);
}

void resizings_forget(struct resizings *resizings, const struct managed *guest)
{
	struct resizing *resizing = find_resizing(resizings, guest->id);

	resizings_cancel(resizings, guest);
	/* A job that ends is reported, and then forgotten. */
	if (resizing && !resizing->job)
		g_ptr_array_remove(resizings->list, resizing);
}

void resizings_stop(struct resizings *resizings)
{
	resizings->stopped = true;
	for (guint i = 0; i < resizings->list->len; i++) {
		struct resizing *resizing = resizings->list->pdata[i];

		resizing->is_pending = false;
		if (resizing->job)
			cancel_resize_job(resizing->job);
	}
}

const struct managed_resize *resizings_find(const struct resizings *resizings,
					    const struct managed *guest)
{
	const struct resizing *resizing = find_resizing(resizings, guest->id);

	return resizing ? &resizing->shown : NULL;
}
