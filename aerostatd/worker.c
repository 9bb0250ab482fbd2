/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/worker.h"

#include <errno.h>

#include "aerostatd/claims.h"
#include "aerostatd/host.h"
#include "aerostatd/log.h"
#include "aerostatd/pairing.h"
#include "hypervisor/domain_xml.h"
#include "hypervisor/shortage.h"
#include "hypervisor/vmm_process.h"

struct worker {
	gatomicrefcount refs; /* the main loop's, the thread's, and one per posted reply */
	const struct worker_ops *ops;
	void *data;

	gint cancelled; /* atomic: the restore is to end early */

	/* Of the main loop. */
	bool sampling;
	unsigned int setting;
	bool freed;

	/* The requests, under the lock. */
	GMutex lock;
	GCond requested;
	bool sample_requested, target_requested, restore_requested, end_requested;
	bool manage;
	uint64_t target_bytes;
	struct saved_guest *saved; /* of the restore request */
	int64_t restore_deadline;
	bool credit_requested;
	uint64_t credit_bytes, ceiling_bytes;
	uint64_t trim_bytes; /* 0: none is requested */
	bool note_requested, note_chosen;
	char *note; /* that it is to have; NULL: none */

	/* Of the thread. */
	hv_guest *guest;
	hv_info info;
	int64_t info_us; /* when info was read; 0: it must be read */
	enum hv_obstacle obstacle;
	struct pairing pairing;
	int found_period_s;	      /* when first asked; -1 if unknown */
	int before_period_s;	      /* the same, if it may have been changed since; or -1 */
	bool period_known;	      /* it was asked for, whether or not there was an answer */
	bool period_set;	      /* by this worker */
	bool is_bounded;	      /* a credit was set */
	struct hv_host_cost measured; /* bytes is HV_UNSET if it must be measured again */
	uint64_t measured_rss_bytes;  /* the RSS at that time */
	bool note_known;	      /* note_there is what the guest has */
	bool note_late;		      /* the last attempt to leave one failed */
	bool note_failed;	      /* that was logged */
	char *note_there;
	char *first_note; /* what it had when first asked */
};

static struct worker *ref_worker(struct worker *worker)
{
	g_atomic_ref_count_inc(&worker->refs);
	return worker;
}

static void unref_worker(gpointer data)
{
	struct worker *worker = data;

	if (!g_atomic_ref_count_dec(&worker->refs))
		return;
	hv_guest_close(worker->guest);
	hv_info_clear(&worker->info);
	saved_guest_free(worker->saved);
	g_free(worker->note);
	g_free(worker->note_there);
	g_free(worker->first_note);
	g_mutex_clear(&worker->lock);
	g_cond_clear(&worker->requested);
	g_free(worker);
}

/*
 * Replies, from the thread to the main loop
 */

struct reply {
	struct worker *worker;
	enum { REPLY_SAMPLE, REPLY_TARGET, REPLY_RESTORED } kind;
	GError *error;
	struct worker_sample sample;
	hv_info info; /* the sample's own */
	char *note;   /* likewise */
	uint64_t target_bytes;
	enum restore_outcome outcome;
};

static struct reply *new_reply(struct worker *worker, int kind)
{
	struct reply *reply = g_new0(struct reply, 1);

	reply->worker = ref_worker(worker);
	reply->kind = kind;
	return reply;
}

static void free_reply(gpointer data)
{
	struct reply *reply = data;

	unref_worker(reply->worker);
	g_clear_error(&reply->error);
	hv_info_clear(&reply->info);
	g_free(reply->note);
	g_free(reply);
}

static gboolean deliver_reply(gpointer data)
{
	struct reply *reply = data;
	struct worker *worker = reply->worker;

	if (worker->freed)
		return G_SOURCE_REMOVE;
	switch (reply->kind) {
	case REPLY_SAMPLE:
		worker->sampling = false;
		if (worker->ops->sampled)
			worker->ops->sampled(worker->data, &reply->sample);
		break;
	case REPLY_TARGET:
		worker->setting--;
		if (worker->ops->target_set)
			worker->ops->target_set(worker->data, reply->target_bytes, reply->error);
		break;
	case REPLY_RESTORED:
		worker->ops->restored(worker->data, reply->outcome, reply->error);
		break;
	}
	return G_SOURCE_REMOVE;
}

/* g_main_context_invoke() might run the callback in this thread. */
static void post_reply(struct reply *reply)
{
	g_autoptr(GSource) source = g_idle_source_new();

	g_source_set_priority(source, G_PRIORITY_DEFAULT);
	g_source_set_callback(source, deliver_reply, reply, free_reply);
	g_source_attach(source, NULL);
}

/*
 * The thread: samples
 */

/* libvirt has the period in the domain's XML; QEMU reports it with the statistics. */
static int read_domain_period(struct worker *worker, int64_t deadline)
{
	g_autofree char *text = hv_guest_xml_get(worker->guest, deadline, HV_SCOPE_LIVE, NULL);
	g_auto(domain_xml) domain = { 0 };

	return text && domain_xml_parse(text, &domain, NULL) ? domain.stats_period_s : -1;
}

/*
 * Sets the period of a managed guest's statistics, after noting the one from before.  Where that
 * was refused, there is nothing to restore.
 */
static void set_sample_period(struct worker *worker, int64_t deadline, int period_s)
{
	g_autoptr(GError) error = NULL;

	if (!worker->period_known) {
		worker->found_period_s =
			period_s >= 0 ? period_s : read_domain_period(worker, deadline);
		worker->period_known = true;
	}
	if (period_s == MANAGED_STATS_PERIOD_S || (period_s < 0 && worker->period_set)) {
		if (worker->found_period_s == period_s)
			worker->before_period_s = period_s;
		return;
	}
	worker->period_set = hv_guest_stats_period_set(
		worker->guest, deadline, MANAGED_STATS_PERIOD_S, HV_SCOPE_LIVE, &error);
	if (!hv_error_is_refusal(error))
		worker->before_period_s = worker->found_period_s;
}

static bool refresh_info(struct worker *worker, int64_t deadline, GError **error)
{
	g_auto(hv_info) info = { 0 };
	int64_t now = g_get_monotonic_time();

	if (worker->info_us && now - worker->info_us < WORKER_INFO_US &&
	    worker->info.origin != HV_ORIGIN_ARRIVING)
		return true;
	worker->info_us = 0;
	if (!hv_guest_info(worker->guest, deadline, &info, error) ||
	    !claims_check_guest(worker->guest, &info, error))
		return false;
	hv_info_clear(&worker->info);
	worker->info = info;
	info = (hv_info){ 0 };
	/* Without an answer, the last known obstacle stays. */
	hv_guest_obstacle(worker->guest, deadline, &worker->obstacle, NULL);
	worker->info_us = now;
	worker->measured.bytes = HV_UNSET;
	return true;
}

/* @bytes, measured when the RSS was @then, now that it is @now; HV_UNSET stays. */
static uint64_t follow_rss(uint64_t bytes, uint64_t then, uint64_t now)
{
	if (bytes == HV_UNSET)
		return HV_UNSET;
	return now >= then ? bytes + (now - then) : bytes - MIN(bytes, then - now);
}

/* Measuring walks all pages of the guest, so between measurements RSS is followed. */
static void measure_cost(struct worker *worker, struct worker_sample *sample)
{
	pid_t pid = worker->info.pid;
	uint64_t rss = pid ? vmm_process_rss_bytes(pid) : HV_UNSET;

	sample->resident_bytes = sample->ram_bytes = HV_UNSET;
	if (rss == HV_UNSET)
		return;
	/* The RSS of a balloon device does not follow its guest's memory. */
	if (worker->measured.bytes == HV_UNSET ||
	    (worker->info.control && !worker->info.device_pid)) {
		if (!hv_host_cost(pid, worker->info.max_bytes, &worker->measured, NULL))
			worker->measured.bytes = worker->measured.ram_bytes = HV_UNSET;
		worker->measured_rss_bytes = rss;
	}
	sample->resident_bytes =
		follow_rss(worker->measured.bytes, worker->measured_rss_bytes, rss);
	sample->ram_bytes = follow_rss(worker->measured.ram_bytes, worker->measured_rss_bytes, rss);
}

static bool read_guest_stats(struct worker *worker, int64_t deadline, bool manage, GError **error)
{
	struct hv_stats stats;

	if (!worker->info.has_balloon || worker->info.state == HV_STATE_SHUTOFF)
		return true;
	if (!hv_guest_stats_get(worker->guest, deadline, &stats, error))
		return false;
	claims_bound_stats(&stats, worker->info.max_bytes);
	worker->info.actual_bytes = stats.value[HV_STAT_ACTUAL];
	pairing_take(&worker->pairing, &stats, g_get_monotonic_time(),
		     worker->info.autodeflate != 0);
	if (manage)
		set_sample_period(worker, deadline, stats.period_s);
	return true;
}

/* A guest without notes has none. */
static bool read_first_note(struct worker *worker, int64_t deadline, GError **error)
{
	g_autoptr(GError) problem = NULL;

	if (worker->note_known || worker->info.origin == HV_ORIGIN_ARRIVING)
		return true;
	if (!hv_guest_note_get(worker->guest, deadline, &worker->first_note, &problem) &&
	    !g_error_matches(problem, HV_ERROR, HV_ERROR_UNSUPPORTED) &&
	    !g_error_matches(problem, HV_ERROR, HV_ERROR_REFUSED) &&
	    !g_error_matches(problem, HV_ERROR, HV_ERROR_DENIED)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return false;
	}
	worker->note_there = g_strdup(worker->first_note);
	worker->note_known = true;
	return true;
}

static bool take_guest_sample(struct worker *worker, bool manage, GError **error)
{
	int64_t deadline = hv_deadline_ms(WORKER_CALL_MS);
	bool ok;

	/* One connection for all of it; afterwards the monitor is free for others. */
	hv_guest_hold(worker->guest, !worker->info_us);
	ok = refresh_info(worker, deadline, error) && read_first_note(worker, deadline, error);
	hv_guest_hold(worker->guest, false);
	return ok && read_guest_stats(worker, deadline, manage, error);
}

static hv_info copy_info(const hv_info *info)
{
	hv_info copy = *info;

	copy.name = g_strdup(info->name);
	copy.uuid = g_strdup(info->uuid);
	copy.control = g_strdup(info->control);
	copy.version = g_strdup(info->version);
	return copy;
}

static void serve_sample(struct worker *worker, bool manage)
{
	struct reply *reply = new_reply(worker, REPLY_SAMPLE);
	struct worker_sample *sample = &reply->sample;

	if (!take_guest_sample(worker, manage, &reply->error))
		worker->info_us = 0;
	sample->error = reply->error;
	sample->answered_us = g_get_monotonic_time();
	if (!reply->error) {
		reply->info = copy_info(&worker->info);
		sample->info = &reply->info;
		sample->info_us = worker->info_us;
		sample->obstacle = worker->obstacle;
		sample->stats = worker->pairing.stats;
		sample->stats_us = worker->pairing.stats_us;
		sample->heard_us = worker->pairing.heard_us;
		sample->actual_then_bytes = worker->pairing.actual_then_bytes;
		measure_cost(worker, sample);
		sample->stall = worker->info.pid ? host_cgroup_stall("/proc", worker->info.pid) : 0;
		sample->before_period_s = worker->before_period_s;
		sample->note = reply->note = g_strdup(worker->first_note);
	}
	post_reply(reply);
}

static void serve_target(struct worker *worker, uint64_t target_bytes)
{
	struct reply *reply = new_reply(worker, REPLY_TARGET);

	reply->target_bytes = target_bytes;
	hv_guest_balloon_set(worker->guest, hv_deadline_ms(WORKER_CALL_MS), target_bytes,
			     HV_SCOPE_LIVE, &reply->error);
	post_reply(reply);
}

static void log_note_failure(struct worker *worker, const GError *error)
{
	if (!worker->note_failed)
		manager_log(
			LOG_WARNING,
			"%s: its own size is lost if it is saved or migrated while it is managed: "
			"%s",
			worker->guest->address, hv_error_reason(error, worker->guest->address));
	worker->note_failed = true;
}

static void serve_note(struct worker *worker)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *note = NULL;

	g_mutex_lock(&worker->lock);
	note = g_strdup(worker->note);
	g_mutex_unlock(&worker->lock);
	worker->note_late = false;
	if (worker->note_known && !g_strcmp0(note, worker->note_there))
		return;
	if (hv_guest_note_set(worker->guest, hv_deadline_ms(WORKER_CALL_MS), note, &error)) {
		g_free(worker->note_there);
		worker->note_there = g_steal_pointer(&note);
		worker->note_known = true;
		return;
	}
	if (g_error_matches(error, HV_ERROR, HV_ERROR_UNSUPPORTED))
		return;
	log_note_failure(worker, error);
	if (!g_error_matches(error, HV_ERROR, HV_ERROR_REFUSED) &&
	    !g_error_matches(error, HV_ERROR, HV_ERROR_DENIED))
		worker->note_late = true;
}

static void serve_credit(struct worker *worker)
{
	uint64_t credit_bytes, ceiling_bytes;

	g_mutex_lock(&worker->lock);
	credit_bytes = worker->credit_bytes;
	ceiling_bytes = worker->ceiling_bytes;
	g_mutex_unlock(&worker->lock);
	worker->is_bounded = credit_bytes != HV_UNSET;
	hv_guest_credit_set(worker->guest, hv_deadline_ms(WORKER_CALL_MS), credit_bytes,
			    ceiling_bytes, NULL);
}

static void serve_trim(struct worker *worker)
{
	uint64_t bytes;

	g_mutex_lock(&worker->lock);
	bytes = worker->trim_bytes;
	worker->trim_bytes = 0;
	g_mutex_unlock(&worker->lock);
	hv_guest_trim(worker->guest, hv_deadline_ms(WORKER_CALL_MS), bytes, NULL);
}

static void open_gate(struct worker *worker)
{
	if (worker->is_bounded)
		hv_guest_credit_set(worker->guest, hv_deadline_ms(WORKER_CALL_MS), HV_UNSET,
				    HV_UNSET, NULL);
	worker->is_bounded = false;
}

static void serve_restore(struct worker *worker)
{
	struct reply *reply = new_reply(worker, REPLY_RESTORED);

	open_gate(worker);
	worker->note_late = false;
	reply->outcome = restore_guest(worker->guest, worker->saved, worker->restore_deadline,
				       &worker->cancelled, &reply->error);
	post_reply(reply);
}

/*
 * The thread: requests
 */

enum request {
	REQUEST_END,
	REQUEST_RESTORE,
	REQUEST_NOTE,
	REQUEST_TARGET,
	REQUEST_CREDIT,
	REQUEST_SAMPLE,
	REQUEST_TRIM,
};

/* Waits for the next request; of several it returns the most important one. */
static enum request wait_for_request(struct worker *worker, bool *manage, uint64_t *target_bytes)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&worker->lock);

	for (;;) {
		*manage = worker->manage;
		if (worker->end_requested)
			return REQUEST_END;
		if (worker->restore_requested) {
			worker->restore_requested = false;
			return REQUEST_RESTORE;
		}
		if (worker->note_requested) {
			worker->note_requested = false;
			return REQUEST_NOTE;
		}
		if (worker->target_requested) {
			worker->target_requested = false;
			*target_bytes = worker->target_bytes;
			return REQUEST_TARGET;
		}
		if (worker->credit_requested) {
			worker->credit_requested = false;
			return REQUEST_CREDIT;
		}
		if (worker->sample_requested) {
			worker->sample_requested = false;
			return REQUEST_SAMPLE;
		}
		if (worker->trim_bytes)
			return REQUEST_TRIM;
		g_cond_wait(&worker->requested, &worker->lock);
	}
}

static gpointer serve_requests(gpointer data)
{
	struct worker *worker = data;
	uint64_t target_bytes;
	bool manage;

	for (;;) {
		switch (wait_for_request(worker, &manage, &target_bytes)) {
		case REQUEST_SAMPLE:
			serve_sample(worker, manage);
			if (worker->note_late)
				serve_note(worker);
			break;
		case REQUEST_NOTE:
			serve_note(worker);
			break;
		case REQUEST_TARGET:
			serve_target(worker, target_bytes);
			break;
		case REQUEST_CREDIT:
			serve_credit(worker);
			break;
		case REQUEST_TRIM:
			serve_trim(worker);
			break;
		case REQUEST_RESTORE:
			serve_restore(worker);
			break;
		case REQUEST_END:
			unref_worker(worker);
			return NULL;
		}
	}
}

/*
 * The main loop
 */

struct worker *worker_new(hv_guest *guest, bool manage, const struct worker_ops *ops, void *data,
			  GError **error)
{
	struct worker *worker = g_new0(struct worker, 1);
	g_autoptr(GThread) thread = NULL;

	g_atomic_ref_count_init(&worker->refs);
	g_mutex_init(&worker->lock);
	g_cond_init(&worker->requested);
	worker->ops = ops;
	worker->data = data;
	worker->manage = manage;
	worker->guest = guest;
	worker->found_period_s = worker->before_period_s = -1;
	worker->measured.bytes = HV_UNSET;
	pairing_init(&worker->pairing);
	thread = g_thread_try_new("guest", serve_requests, ref_worker(worker), NULL);
	if (thread)
		return worker;
	shortage_set_error(error, EAGAIN);
	g_prefix_error(error, "%s: ", guest->address);
	unref_worker(worker); /* the thread's */
	unref_worker(worker);
	return NULL;
}

void worker_request_sample(struct worker *worker)
{
	if (worker->sampling)
		return;
	worker->sampling = true;
	g_mutex_lock(&worker->lock);
	worker->sample_requested = true;
	g_cond_signal(&worker->requested);
	g_mutex_unlock(&worker->lock);
}

bool worker_is_busy(const struct worker *worker)
{
	return worker->sampling || worker->setting;
}

bool worker_is_setting(const struct worker *worker)
{
	return worker->setting;
}

void worker_request_target(struct worker *worker, uint64_t target_bytes)
{
	g_mutex_lock(&worker->lock);
	if (!worker->target_requested)
		worker->setting++;
	worker->target_requested = true;
	worker->target_bytes = target_bytes;
	g_cond_signal(&worker->requested);
	g_mutex_unlock(&worker->lock);
}

void worker_request_credit(struct worker *worker, uint64_t credit_bytes, uint64_t ceiling_bytes)
{
	g_mutex_lock(&worker->lock);
	worker->credit_requested = true;
	worker->credit_bytes = credit_bytes;
	worker->ceiling_bytes = ceiling_bytes;
	g_cond_signal(&worker->requested);
	g_mutex_unlock(&worker->lock);
}

void worker_request_trim(struct worker *worker, uint64_t bytes)
{
	g_mutex_lock(&worker->lock);
	worker->trim_bytes = bytes;
	g_cond_signal(&worker->requested);
	g_mutex_unlock(&worker->lock);
}

void worker_request_note(struct worker *worker, const char *note)
{
	g_mutex_lock(&worker->lock);
	if (!worker->note_chosen || g_strcmp0(note, worker->note)) {
		worker->note_chosen = true;
		g_free(worker->note);
		worker->note = g_strdup(note);
		worker->note_requested = true;
		g_cond_signal(&worker->requested);
	}
	g_mutex_unlock(&worker->lock);
}

void worker_redirect(struct worker *worker, const struct worker_ops *ops, void *data)
{
	worker->ops = ops;
	worker->data = data;
}

void worker_set_managed(struct worker *worker, bool manage)
{
	g_mutex_lock(&worker->lock);
	worker->manage = manage;
	g_mutex_unlock(&worker->lock);
}

void worker_cancel_restore(struct worker *worker)
{
	g_atomic_int_set(&worker->cancelled, true);
}

void worker_request_restore(struct worker *worker, const struct saved_guest *saved)
{
	g_atomic_int_set(&worker->cancelled, false);
	g_mutex_lock(&worker->lock);
	if (worker->target_requested)
		worker->setting--;
	worker->target_requested = false;
	/* A sample after the restore would set the statistics period again. */
	worker->sample_requested = false;
	worker->credit_requested = false;
	worker->trim_bytes = 0;
	/* A note that was left after it would say that the guest has to be restored. */
	worker->note_requested = false;
	worker->restore_requested = true;
	worker->restore_deadline = hv_deadline_ms(WORKER_RESTORE_MS);
	saved_guest_free(worker->saved);
	worker->saved = saved_guest_copy(saved);
	g_cond_signal(&worker->requested);
	g_mutex_unlock(&worker->lock);
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	worker->freed = true;
	worker_cancel_restore(worker);
	g_mutex_lock(&worker->lock);
	worker->end_requested = true;
	g_cond_signal(&worker->requested);
	g_mutex_unlock(&worker->lock);
	unref_worker(worker);
}
