/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metrics, in Prometheus' text format 0.0.4.
 *
 * Theory of operation
 * -------------------
 * One table, in the order of the output.  A row is one number of the host or of each guest, or a
 * function for a metric with labels of its own (versions, modes, kinds, sources).  All samples of
 * a metric follow its HELP and TYPE, as the format requires.  Units are base units: bytes,
 * seconds and ratios.  A number that is not known has no sample, because any value in its place
 * would be drawn.
 *
 * Prometheus refuses the whole answer when two samples have the same labels.  The labels of a
 * guest are its name and source, and its address when another guest of its source has the same
 * name.  No two guests have the same source and address.
 */
#include "aerostatd/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "common/plain_text.h"

enum unit {
	BYTES,	     /* uint64_t; POLICY_UNSET: not known */
	COUNT,	     /* uint64_t; POLICY_UNSET: not known */
	MICRO_COUNT, /* uint64_t in microseconds, written in seconds; POLICY_UNSET: not known */
	MICROS,	     /* int64_t in microseconds, written in seconds */
	SINCE,	     /* int64_t, a time of the monotonic clock; written as the seconds since */
	RATIO,	     /* double */
	FLAG,	     /* bool */
};

struct text {
	GString *out;
	const struct manager_status *status;
	GHashTable *names; /* "SOURCE\nNAME" → number of guests */
	int64_t now_us;
};

enum scope {
	OF_HOST,	/* offset is in struct manager_status */
	OF_FIRST_ROUND, /* the same; not known before the first round */
	OF_GUEST,	/* offset is in struct managed; not known before the guest answered */
	OF_STATS,	/* the same; not known before the guest reported statistics */
	OF_DECISION,	/* the same; not known before the first decision */
	OF_FUNCTION,	/* written by a function */
};

struct metric {
	const char *name;
	const char *help;
	enum scope scope;
	enum unit unit;
	size_t offset;
	void (*write)(struct text *text, const char *name); /* OF_FUNCTION */
};

static void write_build_info(struct text *text, const char *name);
static void write_mode_counts(struct text *text, const char *name);
static void write_reserved_bytes(struct text *text, const char *name);
static void write_source_problems(struct text *text, const char *name);
static void write_event_counts(struct text *text, const char *name);
static void write_guest_reachable(struct text *text, const char *name);
static void write_guest_driver(struct text *text, const char *name);
static void write_guest_mode(struct text *text, const char *name);

#define HOST(unit, field) OF_HOST, unit, offsetof(struct manager_status, field), NULL
#define ROUND(unit, field) OF_FIRST_ROUND, unit, offsetof(struct manager_status, field), NULL
#define GUEST(unit, field) OF_GUEST, unit, offsetof(struct managed, field), NULL
#define STATS(unit, field) OF_STATS, unit, offsetof(struct managed, seen.field), NULL
#define DECISION(unit, field) OF_DECISION, unit, offsetof(struct managed, decision.field), NULL
#define FUNCTION(write) OF_FUNCTION, COUNT, 0, write

/* clang-format off */
/* The names that end in _total are those of counters; the others are gauges. */
static const struct metric metric_table[] = {
	{ "aerostat_build_info", "Version and policy of the daemon. Always 1.",
	  FUNCTION(write_build_info) },
	{ "aerostat_start_time_seconds", "When the daemon started, in seconds since the epoch.",
	  HOST(MICROS, started_us) },
	{ "aerostat_rounds_total", "Rounds of sampling all guests and deciding.", HOST(COUNT, rounds) },
	{ "aerostat_round_late_seconds", "How late the last round started.", HOST(MICROS, late_us) },
	{ "aerostat_round_late_max_seconds", "How late a round started at most since the daemon started.",
	  HOST(MICROS, late_max_us) },
	{ "aerostat_policy_step_seconds", "Duration of the last step of the policy.",
	  HOST(MICROS, step_us) },
	{ "aerostat_recording", "Whether a recording is in progress.", HOST(FLAG, recording) },
	{ "aerostat_events_total", "Events since the daemon started, by kind.", FUNCTION(write_event_counts) },
	{ "aerostat_source_problem", "Sources of guests that cannot be queried. 1 while that is so.",
	  FUNCTION(write_source_problems) },
	{ "aerostat_host_total_bytes", "RAM of the host.", ROUND(BYTES, host.total_bytes) },
	{ "aerostat_host_available_bytes", "MemAvailable of the host.",
	  ROUND(BYTES, host.available_bytes) },
	{ "aerostat_host_free_bytes", "MemFree of the host.", ROUND(BYTES, host.free_bytes) },
	{ "aerostat_host_cache_bytes", "Buffers and page cache of the host.",
	  ROUND(BYTES, host.cache_bytes) },
	{ "aerostat_host_swap_used_bytes", "Swap in use on the host.",
	  ROUND(BYTES, host.swap_used_bytes) },
	{ "aerostat_host_pressure_ratio",
	  "Share of time in which some task on the host waited for memory (PSI some avg10).",
	  ROUND(RATIO, host.pressure) },
	{ "aerostat_host_critical", "Whether memory stalls of the host started the last round early.",
	  ROUND(FLAG, host.critical) },
	{ "aerostat_host_trigger", "Whether the kernel notifies the daemon of memory stalls (PSI trigger).",
	  HOST(FLAG, trigger) },
	{ "aerostat_host_budget_bytes", "Memory that all guests together may use.",
	  ROUND(BYTES, outcome.budget_bytes) },
	{ "aerostat_host_want_bytes", "Memory that all guests together want.",
	  ROUND(BYTES, outcome.want_bytes) },
	{ "aerostat_host_overcommitted", "Whether the guests' demand exceeds the budget.",
	  ROUND(FLAG, outcome.overcommitted) },
	{ "aerostat_host_reserved_bytes", "Memory reserved for guests about to start.",
	  FUNCTION(write_reserved_bytes) },
	{ "aerostat_host_guests", "Number of guests, by mode.", FUNCTION(write_mode_counts) },
	{ "aerostat_host_guests_to_restore",
	  "Guests that are no longer managed and still have to be restored.",
	  HOST(COUNT, to_restore) },
	{ "aerostat_guest_reachable", "Whether the guest answers.", FUNCTION(write_guest_reachable) },
	{ "aerostat_guest_driver_ready", "Whether a balloon driver is active in the guest.",
	  FUNCTION(write_guest_driver) },
	{ "aerostat_guest_mode", "Mode of the guest. 1 for the current mode, 0 for the others.",
	  FUNCTION(write_guest_mode) },
	{ "aerostat_guest_max_bytes", "RAM of the guest at boot.", GUEST(BYTES, seen.boot_bytes) },
	{ "aerostat_guest_actual_bytes", "Current size of the guest.",
	  GUEST(BYTES, seen.actual_bytes) },
	{ "aerostat_guest_target_bytes", "Last target that was set for the guest.",
	  GUEST(BYTES, seen.target_bytes) },
	{ "aerostat_guest_before_bytes", "Size of the guest before it was managed.",
	  GUEST(BYTES, before_bytes) },
	{ "aerostat_guest_resident_bytes", "Host memory that the guest's RAM uses.",
	  GUEST(BYTES, seen.resident_bytes) },
	{ "aerostat_guest_pulled_bytes_total",
	  "Memory that the guest took back by itself since it was found.",
	  GUEST(BYTES, seen.pulled_bytes) },
	{ "aerostat_guest_trimmed_bytes_total",
	  "Page cache that the guest gave up on request, reported by the guest.",
	  GUEST(BYTES, stats.value[HV_STAT_TRIMMED]) },
	{ "aerostat_guest_credit_bytes", "Memory that the guest may take back by itself now.",
	  DECISION(BYTES, credit_bytes) },
	{ "aerostat_guest_ceiling_bytes", "Size that the guest may reach by taking memory back.",
	  DECISION(BYTES, ceiling_bytes) },
	{ "aerostat_guest_min_bytes", "Configured minimum of the guest.",
	  GUEST(BYTES, seen.rules.min_bytes) },
	{ "aerostat_guest_limit_bytes", "Configured maximum of the guest.",
	  GUEST(BYTES, seen.rules.max_bytes) },
	{ "aerostat_guest_weight", "Weight of the guest when guests share scarce memory.",
	  GUEST(RATIO, seen.rules.weight) },
	{ "aerostat_guest_need_bytes", "Memory that the guest uses, as estimated by the policy.",
	  DECISION(BYTES, need_bytes) },
	{ "aerostat_guest_demand_bytes", "Need of the guest, including its recent needs.",
	  DECISION(BYTES, demand_bytes) },
	{ "aerostat_guest_reserve_bytes", "Memory that the guest should have beyond its demand.",
	  DECISION(BYTES, reserve_bytes) },
	{ "aerostat_guest_want_bytes", "Size that the guest would be given if there were enough memory.",
	  DECISION(BYTES, want_bytes) },
	{ "aerostat_guest_floor_bytes", "Size below which the policy does not shrink the guest.",
	  DECISION(BYTES, floor_bytes) },
	{ "aerostat_guest_pressured", "Whether the guest is short of memory.",
	  DECISION(FLAG, pressured) },
	{ "aerostat_guest_critical", "Whether the guest is about to kill processes or to stall.",
	  DECISION(FLAG, critical) },
	{ "aerostat_guest_targets_set_total", "Targets set for the guest.", GUEST(COUNT, times_set) },
	{ "aerostat_guest_targets_failed_total", "Targets that could not be set for the guest.",
	  GUEST(COUNT, times_failed) },
	{ "aerostat_guest_stats_age_seconds", "Age of the guest's statistics.",
	  STATS(SINCE, taken_us) },
	{ "aerostat_guest_stats_available_bytes", "MemAvailable reported by the guest.",
	  STATS(BYTES, available_bytes) },
	{ "aerostat_guest_stats_free_bytes", "MemFree reported by the guest.",
	  STATS(BYTES, free_bytes) },
	{ "aerostat_guest_stats_total_bytes", "MemTotal reported by the guest.",
	  STATS(BYTES, total_bytes) },
	{ "aerostat_guest_stats_cache_bytes", "Page cache reported by the guest.",
	  STATS(BYTES, cache_bytes) },
	{ "aerostat_guest_swap_in_bytes_total", "Memory swapped in, reported by the guest.",
	  STATS(BYTES, swap_in_bytes) },
	{ "aerostat_guest_swap_out_bytes_total", "Memory swapped out, reported by the guest.",
	  STATS(BYTES, swap_out_bytes) },
	{ "aerostat_guest_major_faults_total", "Major page faults, reported by the guest.",
	  STATS(COUNT, major_faults) },
	{ "aerostat_guest_oom_kills_total", "OOM kills, reported by the guest.",
	  STATS(COUNT, oom_kills) },
	{ "aerostat_guest_alloc_stalls_total", "Stalled allocations, reported by the guest.",
	  STATS(COUNT, alloc_stalls) },
	{ "aerostat_guest_direct_scan_bytes_total",
	  "Memory scanned in direct reclaim, reported by the guest.",
	  STATS(BYTES, direct_scan_bytes) },
	{ "aerostat_guest_psi_some_seconds_total",
	  "Time in which some task waited for memory, reported by the guest.",
	  STATS(MICRO_COUNT, psi_some_us) },
	{ "aerostat_guest_psi_full_seconds_total",
	  "Time in which all tasks waited for memory, reported by the guest.",
	  STATS(MICRO_COUNT, psi_full_us) },
};
/* clang-format on */

/* Appends LABEL="VALUE", with VALUE escaped. */
static void append_label(GString *out, const char *name, const char *value)
{
	g_autofree char *valid = plain_text(value ? value : "");

	g_string_append_printf(out, "%s=\"", name);
	for (const char *c = valid; *c; c++) {
		if (*c == '\\' || *c == '"')
			g_string_append_printf(out, "\\%c", *c);
		else
			g_string_append_c(out, *c);
	}
	g_string_append_c(out, '"');
}

static const char *get_guest_label(const struct managed *guest)
{
	return guest->name ? guest->name : guest->address;
}

/* Two guests with the same key need their addresses as labels, too. */
static char *make_name_key(const struct managed *guest)
{
	g_autofree char *source = plain_text(guest->source);
	g_autofree char *label = plain_text(get_guest_label(guest));

	return g_strconcat(source, "\n", label, NULL);
}

/* Appends NAME{guest="…",source="…", open for another label. */
static void begin_guest_sample(struct text *text, const char *name, const struct managed *guest)
{
	g_autofree char *key = make_name_key(guest);

	g_string_append_printf(text->out, "%s{", name);
	append_label(text->out, "guest", get_guest_label(guest));
	g_string_append_c(text->out, ',');
	append_label(text->out, "source", guest->source);
	if (GPOINTER_TO_UINT(g_hash_table_lookup(text->names, key)) > 1) {
		g_string_append_c(text->out, ',');
		append_label(text->out, "address", guest->address);
	}
}

static void write_seconds(GString *value, uint64_t us)
{
	g_string_printf(value, "%" PRIu64 ".%06" PRIu64, us / G_USEC_PER_SEC, us % G_USEC_PER_SEC);
}

static bool write_count_value(GString *value, uint64_t number, bool micros)
{
	if (number == POLICY_UNSET)
		return false;
	if (micros)
		write_seconds(value, number);
	else
		g_string_printf(value, "%" PRIu64, number);
	return true;
}

static bool write_time_value(GString *value, int64_t us)
{
	write_seconds(value, (uint64_t)MAX(us, 0));
	return true;
}

/* In the C locale, with as many digits as needed to read the same number back. */
static bool write_ratio_value(GString *value, double number)
{
	char digits[G_ASCII_DTOSTR_BUF_SIZE];

	g_string_assign(value, g_ascii_dtostr(digits, sizeof(digits), number));
	return isfinite(number);
}

/* Writes the number at @place to @value.  False when it is not known. */
static bool write_metric_value(const struct text *text, GString *value, enum unit unit,
			       const void *place)
{
	switch (unit) {
	case BYTES:
	case COUNT:
		return write_count_value(value, *(const uint64_t *)place, false);
	case MICRO_COUNT:
		return write_count_value(value, *(const uint64_t *)place, true);
	case MICROS:
		return write_time_value(value, *(const int64_t *)place);
	case SINCE:
		return write_time_value(value, text->now_us - *(const int64_t *)place);
	case RATIO:
		return write_ratio_value(value, *(const double *)place);
	case FLAG:
		g_string_assign(value, *(const bool *)place ? "1" : "0");
		return true;
	}
	return false;
}

static bool is_guest_metric_known(const struct managed *guest, enum scope scope)
{
	if (!guest->answered)
		return false;
	if (scope == OF_STATS)
		return guest->seen.taken_us;
	return scope == OF_GUEST || *guest->decision.text;
}

static void write_guest_metric(struct text *text, const struct metric *metric)
{
	g_autoptr(GString) value = g_string_new(NULL);
	const GPtrArray *guests = text->status->guests;

	for (guint i = 0; i < guests->len; i++) {
		const struct managed *guest = guests->pdata[i];

		if (!is_guest_metric_known(guest, metric->scope) ||
		    !write_metric_value(text, value, metric->unit,
					(const char *)guest + metric->offset))
			continue;
		begin_guest_sample(text, metric->name, guest);
		g_string_append_printf(text->out, "} %s\n", value->str);
	}
}

static void write_host_metric(struct text *text, const struct metric *metric)
{
	g_autoptr(GString) value = g_string_new(NULL);

	if (metric->scope == OF_FIRST_ROUND && !text->status->rounds)
		return;
	if (write_metric_value(text, value, metric->unit,
			       (const char *)text->status + metric->offset))
		g_string_append_printf(text->out, "%s %s\n", metric->name, value->str);
}

static void write_build_info(struct text *text, const char *name)
{
	g_string_append_printf(text->out, "%s{", name);
	append_label(text->out, "version", AEROSTAT_VERSION);
	g_string_append_c(text->out, ',');
	append_label(text->out, "policy", text->status->config->policy->name);
	g_string_append(text->out, "} 1\n");
}

/* The sum of the reservations, as host.reserved_bytes is that of the last round. */
static void write_reserved_bytes(struct text *text, const char *name)
{
	const GPtrArray *reservations = text->status->reservations;
	uint64_t bytes = 0;

	for (guint i = 0; i < reservations->len; i++)
		bytes += ((const struct reservation *)reservations->pdata[i])->bytes;
	g_string_append_printf(text->out, "%s %" PRIu64 "\n", name, bytes);
}

static void write_source_problems(struct text *text, const char *name)
{
	g_autoptr(GList) sources =
		g_list_sort(g_hash_table_get_keys(text->status->problems), (GCompareFunc)strcmp);

	for (const GList *link = sources; link; link = link->next) {
		g_string_append_printf(text->out, "%s{", name);
		append_label(text->out, "source", link->data);
		g_string_append(text->out, "} 1\n");
	}
}

static void write_event_counts(struct text *text, const char *name)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		g_string_append_printf(text->out, "%s{kind=\"%s\"} %" PRIu64 "\n", name,
				       event_kind_name(kind),
				       events_count(text->status->events, kind));
}

static void write_mode_counts(struct text *text, const char *name)
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

static void write_guest_reachable(struct text *text, const char *name)
{
	for (guint i = 0; i < text->status->guests->len; i++) {
		const struct managed *guest = text->status->guests->pdata[i];

		begin_guest_sample(text, name, guest);
		g_string_append_printf(text->out, "} %d\n", guest->answered && !guest->problem);
	}
}

static void write_guest_driver(struct text *text, const char *name)
{
	for (guint i = 0; i < text->status->guests->len; i++) {
		const struct managed *guest = text->status->guests->pdata[i];

		if (!guest->answered || guest->driver == HV_DRIVER_UNKNOWN)
			continue;
		begin_guest_sample(text, name, guest);
		g_string_append_printf(text->out, "} %d\n", guest->driver == HV_DRIVER_READY);
	}
}

static void write_guest_mode(struct text *text, const char *name)
{
	for (guint i = 0; i < text->status->guests->len; i++) {
		const struct managed *guest = text->status->guests->pdata[i];

		for (int mode = POLICY_AUTO; mode <= POLICY_OFF; mode++) {
			begin_guest_sample(text, name, guest);
			g_string_append_printf(text->out, ",mode=\"%s\"} %d\n",
					       config_mode_name(mode),
					       (int)guest->seen.rules.mode == mode);
		}
	}
}

static void write_metric(struct text *text, const struct metric *metric)
{
	bool counter = g_str_has_suffix(metric->name, "_total");

	g_string_append_printf(text->out, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
			       metric->help, metric->name, counter ? "counter" : "gauge");
	if (metric->scope == OF_FUNCTION)
		metric->write(text, metric->name);
	else if (metric->scope == OF_HOST || metric->scope == OF_FIRST_ROUND)
		write_host_metric(text, metric);
	else
		write_guest_metric(text, metric);
}

static GHashTable *count_guest_names(const GPtrArray *guests)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < guests->len; i++) {
		char *key = make_name_key(guests->pdata[i]);
		guint count = GPOINTER_TO_UINT(g_hash_table_lookup(names, key));

		g_hash_table_insert(names, key, GUINT_TO_POINTER(count + 1));
	}
	return names;
}

char *metrics_text(const struct manager_status *status)
{
	g_autoptr(GHashTable) names = count_guest_names(status->guests);
	struct text text = {
		.out = g_string_new(NULL),
		.status = status,
		.names = names,
		.now_us = g_get_monotonic_time(),
	};

	for (size_t i = 0; i < G_N_ELEMENTS(metric_table); i++)
		write_metric(&text, &metric_table[i]);
	return g_string_free(text.out, FALSE);
}
