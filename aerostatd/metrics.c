/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metrics, in Prometheus' text format 0.0.4.
 *
 * Theory of operation
 * -------------------
 * One table of what is one number of the host or of each guest, in the order in which they
 * are shown; what needs labels of its own (versions, modes, kinds, sources) has a function
 * instead.  All samples of a metric stand together below its HELP and TYPE, as the format asks
 * for.  Units are base units (bytes, seconds, ratios).  What is not known is left out, because a
 * number in its place would be drawn.
 *
 * Two series with the same labels would make Prometheus refuse the whole answer.  A guest is
 * labelled by its name and source, and by its address besides when another one there has the
 * same name; source and address together are never the same twice.
 */
#include "aerostatd/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum unit {
	BYTES,	     /* uint64_t, POLICY_UNSET: not known */
	COUNT,	     /* uint64_t, the same */
	MICRO_COUNT, /* uint64_t of microseconds, the same; shown as seconds */
	MICROS,	     /* int64_t of microseconds; shown as seconds */
	SINCE,	     /* int64_t, a moment of the monotonic clock; shown as seconds since */
	RATIO,	     /* double */
	FLAG,	     /* bool */
};

struct text {
	GString *out;
	const struct manager_status *status;
	GHashTable *names; /* "SOURCE\nNAME" of guests → how many */
	int64_t now_us;
};

enum scope {
	OF_HOST,	/* @offset is of struct manager_status */
	OF_FIRST_ROUND, /* the same, but not known before there was a round */
	OF_GUEST,	/* of struct managed, not known before it has answered once */
	OF_STATS,	/* the same, not known before it has told its statistics */
	OF_DECISION,	/* the same, not known before it was decided on */
	OF_FUNCTION,
};

struct metric {
	const char *name;
	const char *help;
	enum scope scope;
	enum unit unit;
	size_t offset;
	void (*show)(struct text *text, const char *name); /* OF_FUNCTION */
};

static void show_build(struct text *text, const char *name);
static void show_counts(struct text *text, const char *name);
static void show_reserved(struct text *text, const char *name);
static void show_problems(struct text *text, const char *name);
static void show_events(struct text *text, const char *name);
static void show_reachable(struct text *text, const char *name);
static void show_driver(struct text *text, const char *name);
static void show_mode(struct text *text, const char *name);

#define HOST(unit, field) OF_HOST, unit, offsetof(struct manager_status, field), NULL
#define ROUND(unit, field) OF_FIRST_ROUND, unit, offsetof(struct manager_status, field), NULL
#define GUEST(unit, field) OF_GUEST, unit, offsetof(struct managed, field), NULL
#define STATS(unit, field) OF_STATS, unit, offsetof(struct managed, seen.field), NULL
#define DECISION(unit, field) OF_DECISION, unit, offsetof(struct managed, decision.field), NULL
#define FUNCTION(show) OF_FUNCTION, COUNT, 0, show

/* clang-format off */
/* A counter's name ends in _total, and no other's. */
static const struct metric metric_table[] = {
	{ "aerostat_build_info", "Version and policy of the daemon; always 1.",
	  FUNCTION(show_build) },
	{ "aerostat_start_time_seconds", "When the daemon started, since the epoch.",
	  HOST(MICROS, started_us) },
	{ "aerostat_rounds_total", "Rounds of sampling and deciding.", HOST(COUNT, rounds) },
	{ "aerostat_round_late_seconds", "How late the last round began.", HOST(MICROS, late_us) },
	{ "aerostat_round_late_max_seconds", "How late a round began at worst since the start.",
	  HOST(MICROS, late_max_us) },
	{ "aerostat_policy_step_seconds", "What the last step of the policy took.",
	  HOST(MICROS, step_us) },
	{ "aerostat_recording", "Whether a recording is being made.", HOST(FLAG, recording) },
	{ "aerostat_events_total", "Events since the start, by kind.", FUNCTION(show_events) },
	{ "aerostat_source_problem", "A source of guests that cannot be asked; 1 while it cannot.",
	  FUNCTION(show_problems) },
	{ "aerostat_host_total_bytes", "RAM of the host.", ROUND(BYTES, host.total_bytes) },
	{ "aerostat_host_available_bytes", "MemAvailable of the host.",
	  ROUND(BYTES, host.available_bytes) },
	{ "aerostat_host_free_bytes", "MemFree of the host.", ROUND(BYTES, host.free_bytes) },
	{ "aerostat_host_cache_bytes", "Buffers and page cache of the host.",
	  ROUND(BYTES, host.cache_bytes) },
	{ "aerostat_host_swap_used_bytes", "Swap in use on the host.",
	  ROUND(BYTES, host.swap_used_bytes) },
	{ "aerostat_host_pressure_ratio",
	  "Share of time in which something on the host waited for memory (PSI some avg10).",
	  ROUND(RATIO, host.pressure) },
	{ "aerostat_host_critical", "Whether memory stalls of the host called for a round at once.",
	  ROUND(FLAG, host.critical) },
	{ "aerostat_host_trigger", "Whether the kernel tells of memory stalls by itself.",
	  HOST(FLAG, trigger) },
	{ "aerostat_host_budget_bytes", "What all guests may use together.",
	  ROUND(BYTES, outcome.budget_bytes) },
	{ "aerostat_host_want_bytes", "What all guests want together.",
	  ROUND(BYTES, outcome.want_bytes) },
	{ "aerostat_host_overcommitted", "Whether there is less than the guests' demand.",
	  ROUND(FLAG, outcome.overcommitted) },
	{ "aerostat_host_reserved_bytes", "Memory promised to guests about to start.",
	  FUNCTION(show_reserved) },
	{ "aerostat_host_guests", "Guests, by mode.", FUNCTION(show_counts) },
	{ "aerostat_guest_reachable", "Whether the guest answers.", FUNCTION(show_reachable) },
	{ "aerostat_guest_driver_ready", "Whether a balloon driver is at work in the guest.",
	  FUNCTION(show_driver) },
	{ "aerostat_guest_mode", "The guest's mode: 1 for the one that it has.",
	  FUNCTION(show_mode) },
	{ "aerostat_guest_max_bytes", "RAM of the guest at boot.", GUEST(BYTES, seen.boot_bytes) },
	{ "aerostat_guest_actual_bytes", "What the guest has now.",
	  GUEST(BYTES, seen.actual_bytes) },
	{ "aerostat_guest_target_bytes", "What it was last set to.",
	  GUEST(BYTES, seen.target_bytes) },
	{ "aerostat_guest_before_bytes", "What it had before it was managed.",
	  GUEST(BYTES, before_bytes) },
	{ "aerostat_guest_resident_bytes", "What the guest's RAM costs the host.",
	  GUEST(BYTES, seen.resident_bytes) },
	{ "aerostat_guest_min_bytes", "The least that it was configured to have.",
	  GUEST(BYTES, seen.rules.min_bytes) },
	{ "aerostat_guest_limit_bytes", "The most that it was configured to have.",
	  GUEST(BYTES, seen.rules.max_bytes) },
	{ "aerostat_guest_weight", "Its weight where guests share what is there.",
	  GUEST(RATIO, seen.rules.weight) },
	{ "aerostat_guest_need_bytes", "What it uses, as the policy judges.",
	  DECISION(BYTES, need_bytes) },
	{ "aerostat_guest_demand_bytes", "Its need and what it needed lately.",
	  DECISION(BYTES, demand_bytes) },
	{ "aerostat_guest_reserve_bytes", "What it is to have beyond its demand.",
	  DECISION(BYTES, reserve_bytes) },
	{ "aerostat_guest_want_bytes", "What it would be given if there was enough.",
	  DECISION(BYTES, want_bytes) },
	{ "aerostat_guest_floor_bytes", "The least that it is left with.",
	  DECISION(BYTES, floor_bytes) },
	{ "aerostat_guest_pressured", "Whether it is short of memory.",
	  DECISION(FLAG, pressured) },
	{ "aerostat_guest_critical", "Whether it is about to kill or to stand still.",
	  DECISION(FLAG, critical) },
	{ "aerostat_guest_targets_set_total", "Targets that were set.", GUEST(COUNT, times_set) },
	{ "aerostat_guest_targets_failed_total", "Targets that could not be set.",
	  GUEST(COUNT, times_failed) },
	{ "aerostat_guest_stats_age_seconds", "How old the guest's statistics are.",
	  STATS(SINCE, taken_us) },
	{ "aerostat_guest_stats_available_bytes", "MemAvailable of the guest, as it claims.",
	  STATS(BYTES, available_bytes) },
	{ "aerostat_guest_stats_free_bytes", "MemFree of the guest, as it claims.",
	  STATS(BYTES, free_bytes) },
	{ "aerostat_guest_stats_total_bytes", "MemTotal of the guest, as it claims.",
	  STATS(BYTES, total_bytes) },
	{ "aerostat_guest_stats_cache_bytes", "Page cache of the guest, as it claims.",
	  STATS(BYTES, cache_bytes) },
	{ "aerostat_guest_swap_in_bytes_total", "Swapped in by the guest, as it claims.",
	  STATS(BYTES, swap_in_bytes) },
	{ "aerostat_guest_swap_out_bytes_total", "Swapped out by the guest, as it claims.",
	  STATS(BYTES, swap_out_bytes) },
	{ "aerostat_guest_major_faults_total", "Major faults in the guest, as it claims.",
	  STATS(COUNT, major_faults) },
	{ "aerostat_guest_oom_kills_total", "OOM kills in the guest, as it claims.",
	  STATS(COUNT, oom_kills) },
	{ "aerostat_guest_alloc_stalls_total", "Stalled allocations in the guest, as it claims.",
	  STATS(COUNT, alloc_stalls) },
	{ "aerostat_guest_direct_scan_bytes_total",
	  "Scanned in direct reclaim by the guest, as it claims.",
	  STATS(BYTES, direct_scan_bytes) },
	{ "aerostat_guest_psi_some_seconds_total",
	  "Time in which something in the guest waited for memory, as it claims.",
	  STATS(MICRO_COUNT, psi_some_us) },
	{ "aerostat_guest_psi_full_seconds_total",
	  "Time in which all of the guest waited for memory, as it claims.",
	  STATS(MICRO_COUNT, psi_full_us) },
};
/* clang-format on */

/* LABEL="VALUE", with what the format would take for its own escaped. */
static void label(GString *out, const char *name, const char *value)
{
	g_autofree char *valid = g_utf8_make_valid(value ? value : "", -1);

	g_string_append_printf(out, "%s=\"", name);
	for (const char *c = valid; *c; c++) {
		if (*c == '\n')
			g_string_append(out, "\\n");
		else if (*c == '\\' || *c == '"')
			g_string_append_printf(out, "\\%c", *c);
		else
			g_string_append_c(out, *c);
	}
	g_string_append_c(out, '"');
}

static const char *name_of(const struct managed *guest)
{
	return guest->name ? guest->name : guest->address;
}

/* What two guests of one source must not have in common to be told apart by it alone. */
static char *name_key(const struct managed *guest)
{
	g_autofree char *key = g_strconcat(guest->source, "\n", name_of(guest), NULL);

	return g_utf8_make_valid(key, -1);
}

/* NAME{guest="…",source="…", left open for another label. */
static void begin_guest(struct text *text, const char *name, const struct managed *guest)
{
	g_autofree char *key = name_key(guest);

	g_string_append_printf(text->out, "%s{", name);
	label(text->out, "guest", name_of(guest));
	g_string_append_c(text->out, ',');
	label(text->out, "source", guest->source);
	if (GPOINTER_TO_UINT(g_hash_table_lookup(text->names, key)) > 1) {
		g_string_append_c(text->out, ',');
		label(text->out, "address", guest->address);
	}
}

static void seconds(GString *value, uint64_t us)
{
	g_string_printf(value, "%" PRIu64 ".%06" PRIu64, us / G_USEC_PER_SEC, us % G_USEC_PER_SEC);
}

static bool value_of_count(GString *value, uint64_t number, bool micros)
{
	if (number == POLICY_UNSET)
		return false;
	if (micros)
		seconds(value, number);
	else
		g_string_printf(value, "%" PRIu64, number);
	return true;
}

static bool value_of_time(GString *value, int64_t us)
{
	seconds(value, (uint64_t)MAX(us, 0));
	return true;
}

/* As the C locale writes it, with as many digits as it takes. */
static bool value_of_double(GString *value, double number)
{
	char digits[G_ASCII_DTOSTR_BUF_SIZE];

	g_string_assign(value, g_ascii_dtostr(digits, sizeof(digits), number));
	return isfinite(number);
}

/* The number at @place in words; false when it is not known. */
static bool value_of(const struct text *text, GString *value, enum unit unit, const void *place)
{
	switch (unit) {
	case BYTES:
	case COUNT:
		return value_of_count(value, *(const uint64_t *)place, false);
	case MICRO_COUNT:
		return value_of_count(value, *(const uint64_t *)place, true);
	case MICROS:
		return value_of_time(value, *(const int64_t *)place);
	case SINCE:
		return value_of_time(value, text->now_us - *(const int64_t *)place);
	case RATIO:
		return value_of_double(value, *(const double *)place);
	case FLAG:
		g_string_assign(value, *(const bool *)place ? "1" : "0");
		return true;
	}
	return false;
}

static bool guest_knows(const struct managed *guest, enum scope scope)
{
	if (!guest->answered)
		return false;
	if (scope == OF_STATS)
		return guest->seen.taken_us;
	return scope == OF_GUEST || *guest->decision.text;
}

static void show_guests(struct text *text, const struct metric *metric)
{
	g_autoptr(GString) value = g_string_new(NULL);
	const GPtrArray *guests = text->status->guests;

	for (guint i = 0; i < guests->len; i++) {
		const struct managed *guest = guests->pdata[i];

		if (!guest_knows(guest, metric->scope) ||
		    !value_of(text, value, metric->unit, (const char *)guest + metric->offset))
			continue;
		begin_guest(text, metric->name, guest);
		g_string_append_printf(text->out, "} %s\n", value->str);
	}
}

static void show_host(struct text *text, const struct metric *metric)
{
	g_autoptr(GString) value = g_string_new(NULL);

	if (metric->scope == OF_FIRST_ROUND && !text->status->rounds)
		return;
	if (value_of(text, value, metric->unit, (const char *)text->status + metric->offset))
		g_string_append_printf(text->out, "%s %s\n", metric->name, value->str);
}

static void show_build(struct text *text, const char *name)
{
	g_string_append_printf(text->out, "%s{", name);
	label(text->out, "version", AEROSTAT_VERSION);
	g_string_append_c(text->out, ',');
	label(text->out, "policy", text->status->config->policy->name);
	g_string_append(text->out, "} 1\n");
}

/* The sum of the promises themselves: the host's number is only that of the last round. */
static void show_reserved(struct text *text, const char *name)
{
	const GPtrArray *reservations = text->status->reservations;
	uint64_t bytes = 0;

	for (guint i = 0; i < reservations->len; i++)
		bytes += ((const struct reservation *)reservations->pdata[i])->bytes;
	g_string_append_printf(text->out, "%s %" PRIu64 "\n", name, bytes);
}

static void show_problems(struct text *text, const char *name)
{
	g_autoptr(GList) sources =
		g_list_sort(g_hash_table_get_keys(text->status->problems), (GCompareFunc)strcmp);

	for (const GList *link = sources; link; link = link->next) {
		g_string_append_printf(text->out, "%s{", name);
		label(text->out, "source", link->data);
		g_string_append(text->out, "} 1\n");
	}
}

static void show_events(struct text *text, const char *name)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		g_string_append_printf(text->out, "%s{kind=\"%s\"} %" PRIu64 "\n", name,
				       event_kind_name(kind),
				       events_count(text->status->events, kind));
}

static void show_counts(struct text *text, const char *name)
{
	const GPtrArray *guests = text->status->guests;

	for (int mode = POLICY_AUTO; mode <= POLICY_OFF; mode++) {
		unsigned int count = 0;

		for (guint i = 0; i < guests->len; i++)
			count += (int)((const struct managed *)guests->pdata[i])->seen.rules.mode ==
				 mode;
		g_string_append_printf(text->out, "%s{mode=\"%s\"} %u\n", name,
				       config_mode_name(mode), count);
	}
}

static void show_reachable(struct text *text, const char *name)
{
	for (guint i = 0; i < text->status->guests->len; i++) {
		const struct managed *guest = text->status->guests->pdata[i];

		begin_guest(text, name, guest);
		g_string_append_printf(text->out, "} %d\n", guest->answered && !guest->problem);
	}
}

static void show_driver(struct text *text, const char *name)
{
	for (guint i = 0; i < text->status->guests->len; i++) {
		const struct managed *guest = text->status->guests->pdata[i];

		if (!guest->answered || guest->driver == HV_DRIVER_UNKNOWN)
			continue;
		begin_guest(text, name, guest);
		g_string_append_printf(text->out, "} %d\n", guest->driver == HV_DRIVER_READY);
	}
}

static void show_mode(struct text *text, const char *name)
{
	for (guint i = 0; i < text->status->guests->len; i++) {
		const struct managed *guest = text->status->guests->pdata[i];

		for (int mode = POLICY_AUTO; mode <= POLICY_OFF; mode++) {
			begin_guest(text, name, guest);
			g_string_append_printf(text->out, ",mode=\"%s\"} %d\n",
					       config_mode_name(mode),
					       (int)guest->seen.rules.mode == mode);
		}
	}
}

static void show(struct text *text, const struct metric *metric)
{
	bool counter = g_str_has_suffix(metric->name, "_total");

	g_string_append_printf(text->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
			       metric->help, metric->name, counter ? "counter" : "gauge");
	if (metric->scope == OF_FUNCTION)
		metric->show(text, metric->name);
	else if (metric->scope == OF_HOST || metric->scope == OF_FIRST_ROUND)
		show_host(text, metric);
	else
		show_guests(text, metric);
}

static GHashTable *count_names(const GPtrArray *guests)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < guests->len; i++) {
		char *key = name_key(guests->pdata[i]);
		guint count = GPOINTER_TO_UINT(g_hash_table_lookup(names, key));

		g_hash_table_insert(names, key, GUINT_TO_POINTER(count + 1));
	}
	return names;
}

char *metrics_text(const struct manager_status *status)
{
	g_autoptr(GHashTable) names = count_names(status->guests);
	struct text text = {
		.out = g_string_new(NULL),
		.status = status,
		.names = names,
		.now_us = g_get_monotonic_time(),
	};

	for (size_t i = 0; i < G_N_ELEMENTS(metric_table); i++)
		show(&text, &metric_table[i]);
	return g_string_free(text.out, FALSE);
}
