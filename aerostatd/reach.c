/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/reach.h"

#include "aerostatd/host.h"
#include "aerostatd/pairing.h"
#include "aerostatd/put_back.h"
#include "hypervisor/domain_xml.h"
#include "hypervisor/vmm_process.h"

struct reach {
	gatomicrefcount refs; /* the loop's, the thread's, and one for each answer under way */
	const struct reach_ops *ops;
	void *data;

	/* The loop's. */
	bool asked;
	unsigned int setting;
	bool freed;

	GMutex lock; /* guards the wishes */
	GCond wished;
	bool sample_wished, target_wished, release_wished, end_wished;
	bool manage;
	uint64_t target_bytes, release_bytes;
	int release_period_s;

	/* The thread's. */
	hv_guest *guest;
	hv_info info;
	int64_t info_us; /* 0: not asked yet */
	enum hv_obstacle obstacle;
	struct pairing pairing;
	int before_period_s; /* -1: not known */
	bool period_known;   /* it was asked for, whatever came of it */
	bool period_set;
	uint64_t measured_bytes, measured_rss_bytes; /* hv_host_bytes(), and RSS then */
};

static struct reach *reach_ref(struct reach *reach)
{
	g_atomic_ref_count_inc(&reach->refs);
	return reach;
}

static void reach_unref(gpointer data)
{
	struct reach *reach = data;

	if (!g_atomic_ref_count_dec(&reach->refs))
		return;
	hv_guest_close(reach->guest);
	hv_info_clear(&reach->info);
	g_mutex_clear(&reach->lock);
	g_cond_clear(&reach->wished);
	g_free(reach);
}

/*
 * Answers, from the thread to the loop
 */

struct answer {
	struct reach *reach;
	enum { ANSWER_SAMPLE, ANSWER_SET, ANSWER_RELEASED } kind;
	GError *error;
	struct reach_sample sample;
	hv_info info; /* the sample's own */
	uint64_t target_bytes;
};

static struct answer *answer_new(struct reach *reach, int kind)
{
	struct answer *answer = g_new0(struct answer, 1);

	answer->reach = reach_ref(reach);
	answer->kind = kind;
	return answer;
}

static void answer_free(gpointer data)
{
	struct answer *answer = data;

	reach_unref(answer->reach);
	g_clear_error(&answer->error);
	hv_info_clear(&answer->info);
	g_free(answer);
}

static gboolean deliver(gpointer data)
{
	struct answer *answer = data;
	struct reach *reach = answer->reach;

	if (reach->freed)
		return G_SOURCE_REMOVE;
	switch (answer->kind) {
	case ANSWER_SAMPLE:
		reach->asked = false;
		reach->ops->sampled(reach->data, &answer->sample);
		break;
	case ANSWER_SET:
		reach->setting--;
		reach->ops->was_set(reach->data, answer->target_bytes, answer->error);
		break;
	case ANSWER_RELEASED:
		reach->ops->released(reach->data, answer->error);
		break;
	}
	return G_SOURCE_REMOVE;
}

/* Not g_main_context_invoke(), which may run it in this thread. */
static void send(struct answer *answer)
{
	g_autoptr(GSource) source = g_idle_source_new();

	g_source_set_priority(source, G_PRIORITY_DEFAULT);
	g_source_set_callback(source, deliver, answer, answer_free);
	g_source_attach(source, NULL);
}

/*
 * A sample, in the thread
 */

/* The period of a domain stands in its XML; what QEMU has is told with the statistics. */
static int period_of_domain(struct reach *reach, int64_t deadline)
{
	g_autofree char *text = hv_guest_xml_get(reach->guest, deadline, HV_SCOPE_LIVE, NULL);
	g_auto(domain_xml) domain = { 0 };

	return text && domain_xml_parse(text, &domain, NULL) ? domain.stats_period_s : -1;
}

/* Makes the guest answer every REACH_PERIOD_S, and remembers how it was before. */
static void settle_period(struct reach *reach, int64_t deadline, int period_s)
{
	if (!reach->period_known) {
		reach->before_period_s =
			period_s >= 0 ? period_s : period_of_domain(reach, deadline);
		reach->period_known = true;
	}
	if (period_s == REACH_PERIOD_S || (period_s < 0 && reach->period_set))
		return;
	reach->period_set = hv_guest_stats_period_set(reach->guest, deadline, REACH_PERIOD_S,
						      HV_SCOPE_LIVE, NULL);
}

static bool refresh_info(struct reach *reach, int64_t deadline, GError **error)
{
	g_auto(hv_info) info = { 0 };
	int64_t now = g_get_monotonic_time();

	if (reach->info_us && now - reach->info_us < REACH_INFO_US)
		return true;
	reach->info_us = 0;
	if (!hv_guest_info(reach->guest, deadline, &info, error))
		return false;
	hv_info_clear(&reach->info);
	reach->info = info;
	info = (hv_info){ 0 };
	/* Unanswered, what was in the way still may be. */
	hv_guest_obstacle(reach->guest, deadline, &reach->obstacle, NULL);
	reach->info_us = now;
	reach->measured_bytes = HV_UNSET;
	return true;
}

/* Measuring walks all of the guest's pages, so in between it moves as RSS does. */
static uint64_t resident_bytes(struct reach *reach)
{
	uint64_t rss = reach->info.pid ? vmm_process_rss_bytes(reach->info.pid) : HV_UNSET;

	if (rss == HV_UNSET)
		return HV_UNSET;
	if (reach->measured_bytes == HV_UNSET) {
		if (!hv_host_bytes(reach->info.pid, &reach->measured_bytes, NULL))
			reach->measured_bytes = HV_UNSET;
		reach->measured_rss_bytes = rss;
		return reach->measured_bytes;
	}
	if (rss >= reach->measured_rss_bytes)
		return reach->measured_bytes + (rss - reach->measured_rss_bytes);
	return reach->measured_bytes - MIN(reach->measured_bytes, reach->measured_rss_bytes - rss);
}

static bool read_stats(struct reach *reach, int64_t deadline, bool manage, GError **error)
{
	struct hv_stats stats;

	if (!reach->info.has_balloon || reach->info.state == HV_STATE_SHUTOFF)
		return true;
	if (!hv_guest_stats_get(reach->guest, deadline, &stats, error))
		return false;
	reach->info.actual_bytes = stats.value[HV_STAT_ACTUAL];
	pairing_take(&reach->pairing, &stats, g_get_monotonic_time(), reach->info.autodeflate != 0);
	if (manage)
		settle_period(reach, deadline, stats.period_s);
	return true;
}

static bool take_sample(struct reach *reach, bool manage, GError **error)
{
	int64_t deadline = hv_deadline_ms(REACH_CALL_MS);
	bool ok;

	/* One connection for all of it, and then the monitor is free for others. */
	hv_guest_hold(reach->guest, !reach->info_us);
	ok = refresh_info(reach, deadline, error);
	hv_guest_hold(reach->guest, false);
	return ok && read_stats(reach, deadline, manage, error);
}

static hv_info info_copy(const hv_info *info)
{
	hv_info copy = *info;

	copy.name = g_strdup(info->name);
	copy.uuid = g_strdup(info->uuid);
	copy.version = g_strdup(info->version);
	return copy;
}

static void answer_sample(struct reach *reach, bool manage)
{
	struct answer *answer = answer_new(reach, ANSWER_SAMPLE);
	struct reach_sample *sample = &answer->sample;

	if (!take_sample(reach, manage, &answer->error))
		reach->info_us = 0;
	sample->error = answer->error;
	sample->told_us = g_get_monotonic_time();
	if (!answer->error) {
		answer->info = info_copy(&reach->info);
		sample->info = &answer->info;
		sample->obstacle = reach->obstacle;
		sample->stats = reach->pairing.stats;
		sample->stats_us = reach->pairing.stats_us;
		sample->heard_us = reach->pairing.heard_us;
		sample->actual_then_bytes = reach->pairing.actual_then_bytes;
		sample->resident_bytes = resident_bytes(reach);
		sample->stall = reach->info.pid ? host_cgroup_stall("/proc", reach->info.pid) : 0;
		sample->before_period_s = reach->before_period_s;
	}
	send(answer);
}

static void answer_set(struct reach *reach, uint64_t target_bytes)
{
	struct answer *answer = answer_new(reach, ANSWER_SET);

	answer->target_bytes = target_bytes;
	hv_guest_balloon_set(reach->guest, hv_deadline_ms(REACH_CALL_MS), target_bytes,
			     HV_SCOPE_LIVE, &answer->error);
	send(answer);
}

static void answer_release(struct reach *reach, uint64_t before_bytes, int period_s)
{
	struct answer *answer = answer_new(reach, ANSWER_RELEASED);
	int64_t deadline = hv_deadline_ms(REACH_RELEASE_MS);
	g_auto(hv_info) info = { 0 };

	if (before_bytes == HV_UNSET) {
		if (period_s >= 0 && period_s != REACH_PERIOD_S)
			hv_guest_stats_period_set(reach->guest, deadline, period_s, HV_SCOPE_LIVE,
						  &answer->error);
	} else if (hv_guest_info(reach->guest, deadline, &info, &answer->error)) {
		put_back_guest(reach->guest, deadline, &info, before_bytes, period_s,
			       &answer->error);
	}
	send(answer);
}

/*
 * The thread
 */

enum wish { WISH_END, WISH_RELEASE, WISH_TARGET, WISH_SAMPLE };

/* Waits for the next wish; of several the one that matters most. */
static enum wish next_wish(struct reach *reach, bool *manage, uint64_t *target_bytes)
{
	g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&reach->lock);

	for (;;) {
		*manage = reach->manage;
		if (reach->release_wished) {
			reach->release_wished = false;
			return WISH_RELEASE;
		}
		if (reach->end_wished)
			return WISH_END;
		if (reach->target_wished) {
			reach->target_wished = false;
			*target_bytes = reach->target_bytes;
			return WISH_TARGET;
		}
		if (reach->sample_wished) {
			reach->sample_wished = false;
			return WISH_SAMPLE;
		}
		g_cond_wait(&reach->wished, &reach->lock);
	}
}

static gpointer work(gpointer data)
{
	struct reach *reach = data;
	uint64_t target_bytes;
	bool manage;

	for (;;) {
		switch (next_wish(reach, &manage, &target_bytes)) {
		case WISH_SAMPLE:
			answer_sample(reach, manage);
			break;
		case WISH_TARGET:
			answer_set(reach, target_bytes);
			break;
		case WISH_RELEASE:
			answer_release(reach, reach->release_bytes, reach->release_period_s);
			break;
		case WISH_END:
			reach_unref(reach);
			return NULL;
		}
	}
}

/*
 * The loop's side
 */

struct reach *reach_new(hv_guest *guest, bool manage, const struct reach_ops *ops, void *data)
{
	struct reach *reach = g_new0(struct reach, 1);

	g_atomic_ref_count_init(&reach->refs);
	g_mutex_init(&reach->lock);
	g_cond_init(&reach->wished);
	reach->ops = ops;
	reach->data = data;
	reach->manage = manage;
	reach->guest = guest;
	reach->before_period_s = -1;
	reach->measured_bytes = HV_UNSET;
	pairing_init(&reach->pairing);
	g_thread_unref(g_thread_new("guest", work, reach_ref(reach)));
	return reach;
}

void reach_ask(struct reach *reach)
{
	if (reach->asked)
		return;
	reach->asked = true;
	g_mutex_lock(&reach->lock);
	reach->sample_wished = true;
	g_cond_signal(&reach->wished);
	g_mutex_unlock(&reach->lock);
}

bool reach_busy(const struct reach *reach)
{
	return reach->asked || reach->setting;
}

void reach_set(struct reach *reach, uint64_t target_bytes)
{
	g_mutex_lock(&reach->lock);
	if (!reach->target_wished)
		reach->setting++;
	reach->target_wished = true;
	reach->target_bytes = target_bytes;
	g_cond_signal(&reach->wished);
	g_mutex_unlock(&reach->lock);
}

void reach_manage(struct reach *reach, bool manage)
{
	g_mutex_lock(&reach->lock);
	reach->manage = manage;
	g_mutex_unlock(&reach->lock);
}

void reach_release(struct reach *reach, uint64_t before_bytes, int period_s)
{
	g_mutex_lock(&reach->lock);
	if (reach->target_wished)
		reach->setting--;
	reach->target_wished = false;
	reach->release_wished = true;
	reach->release_bytes = before_bytes;
	reach->release_period_s = period_s;
	g_cond_signal(&reach->wished);
	g_mutex_unlock(&reach->lock);
}

void reach_free(struct reach *reach)
{
	if (!reach)
		return;
	reach->freed = true;
	g_mutex_lock(&reach->lock);
	reach->end_wished = true;
	g_cond_signal(&reach->wished);
	g_mutex_unlock(&reach->lock);
	reach_unref(reach);
}
