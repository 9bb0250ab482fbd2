/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What aerostatd answers, as C structs: the schemas of docs/openapi.json.
 *
 * Theory of operation
 * -------------------
 * Whoever listens on the socket may answer anything, so no answer is an error here: each member
 * has a default, which it keeps if the JSON lacks it, or holds null or a value of another type or
 * out of range in its place.  Members that are not in the schema are ignored.
 *
 *   sizes, and what else may be unknown   HV_UNSET
 *   other numbers and times               0
 *   flags                                 false
 *   texts                                 "", never NULL
 *   lists                                 empty
 *
 * Texts are UTF-8 of at most DAEMON_TEXT_MAX bytes and end before what exceeds that.  They may
 * hold control characters: make them harmless before you show them on a terminal.  Lists have at
 * most DAEMON_LIST_MAX items; what is not an object in them is skipped.
 *
 * Each struct that a function of client.h returns owns all that it points to, and is freed as a
 * whole.  Sizes are bytes.  One table per struct, in answers.c, drives the parsing.
 */
#ifndef AEROSTAT_API_CLIENT_ANSWERS_H
#define AEROSTAT_API_CLIENT_ANSWERS_H

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypervisor/hypervisor.h"

#define DAEMON_TEXT_MAX 4096
#define DAEMON_LIST_MAX 16384

#define DAEMON_ERROR daemon_error_quark()
/* The domain of all errors of this folder. */
GQuark daemon_error_quark(void);
enum daemon_error {
	DAEMON_ERROR_ABSENT,	/* nothing listens on the socket */
	DAEMON_ERROR_DENIED,	/* 403, or the socket may not be used */
	DAEMON_ERROR_NOT_FOUND, /* 404, or several guests have the name */
	DAEMON_ERROR_INVALID,	/* 400, or a path that no socket can have */
	DAEMON_ERROR_REFUSED,	/* any other status that is not a success */
	DAEMON_ERROR_LOST,	/* no answer in time, an incomplete one, or one of something else */
};

enum daemon_mode {
	DAEMON_MODE_UNKNOWN, /* one that this client does not know */
	DAEMON_MODE_AUTO,
	DAEMON_MODE_OBSERVE,
	DAEMON_MODE_HELD,
	DAEMON_MODE_OFF,
};
/* The API's name of a mode: "auto"; "unknown" for DAEMON_MODE_UNKNOWN. */
const char *daemon_mode_name(enum daemon_mode mode);

struct daemon_host {
	uint64_t total_bytes, available_bytes, free_bytes, cache_bytes, swap_used_bytes;
	uint64_t reserved_bytes; /* of all reservations */
	double pressure;	 /* share of time in which something waited for memory, 0 to 1 */
	bool critical;
};

/* What a guest reports about itself.  Counters run since it booted. */
struct daemon_stats {
	uint64_t age_us; /* since it reported; HV_UNSET: it never has */
	uint64_t available_bytes, free_bytes, total_bytes, cache_bytes;
	uint64_t swap_in_bytes, swap_out_bytes, direct_scan_bytes;
	uint64_t major_faults, oom_kills, alloc_stalls;
	uint64_t psi_some_us, psi_full_us;
};

/* What the policy decided about a guest, and from which numbers. */
struct daemon_decision {
	uint64_t need_bytes, demand_bytes, reserve_bytes, want_bytes;
	uint64_t floor_bytes; /* HV_UNSET in a daemon_change */
	const char *reason;   /* one word of the schema "reason" */
	const char *text;     /* the reason in words and numbers; "": nothing was decided yet */
};

/* A decision that changed a guest's target. */
struct daemon_change {
	int64_t time_us; /* since the epoch */
	uint64_t actual_bytes, target_before_bytes, target_bytes;
	struct daemon_decision decision;
};

typedef struct daemon_guest {
	uint64_t id;
	const char *name, *uuid;
	const char *address; /* "qmp:PATH", or the name of a domain */
	const char *source;  /* "qmp", or the URI of a libvirt */
	const char *word;    /* a GUEST that means this one alone (guest_word.h) */
	const char *label;   /* its name; in a status followed by @word if others have that name */
	uint64_t pid;	     /* of its VMM; HV_UNSET when unknown */
	const char *state;   /* libvirt's word: "running" */
	enum hv_driver driver;
	int autodeflate;		   /* deflate-on-oom: 1 on, 0 off, -1 unknown */
	int free_page_reporting;	   /* likewise */
	unsigned int abilities;		   /* a mask of enum hv_ability */
	unsigned int gains;		   /* those that it lacks and could have, likewise */
	uint64_t gain_bytes[HV_ABILITIES]; /* by bit; what that is worth, HV_UNSET: not known */
	const char *obstacle;		   /* what prevents ballooning; "": nothing */
	const char *problem;		   /* why it does not answer; "": it does */

	enum daemon_mode mode;
	bool mode_by_person;
	uint64_t held_bytes; /* HV_UNSET unless its mode is held */
	uint64_t max_bytes;  /* RAM at boot */
	uint64_t actual_bytes, target_bytes;
	uint64_t before_bytes;		      /* its size before it was managed */
	uint64_t resident_bytes;	      /* what its RAM occupies on the host */
	uint64_t pulled_bytes;		      /* what it took back by itself */
	uint64_t trimmed_bytes;		      /* the page cache it gave up on request */
	uint64_t credit_bytes, ceiling_bytes; /* what it may take back; HV_UNSET: not bounded */
	uint64_t min_bytes, limit_bytes;      /* as configured; HV_UNSET: not configured */
	double weight;			      /* negative when unknown */

	struct daemon_stats stats;
	struct daemon_decision decision;
	const char *limit_path; /* of the cgroup whose limit leaves it least; "": not for that */
	bool pressured, critical;
	uint64_t times_set, times_failed;

	/* Only from daemon_get_guest(); otherwise "" and empty. */
	const char *reason_help;
	struct daemon_change *history; /* newest first */
	size_t history_count;

	json_t *json;	     /* the answer as it came; of a status's guest its part of that */
	GStringChunk *texts; /* NULL in a status's guest */
} daemon_guest;

/* The latest size that was set with daemon_set_size(). */
typedef struct daemon_resize {
	const char *guest;
	const char *state; /* "none", "running" or "done" */
	uint64_t target_bytes, before_bytes, actual_bytes;
	uint64_t host_before_bytes, host_after_bytes; /* what the guest cost the host */
	uint64_t eased_bytes;			      /* the target it was left with */
	const char *reason; /* how it ended, one word: "reached"; "": it has not */
	const char *why, *remedy, *note, *host; /* in words */

	json_t *json;	     /* as in a daemon_guest */
	GStringChunk *texts; /* as in a daemon_guest */
} daemon_resize;

typedef struct daemon_reservation {
	uint64_t id;
	uint64_t bytes, free_bytes; /* free_bytes of them are really free now */
	uint64_t seconds_left;
	const char *note;

	json_t *json;	     /* as in a daemon_guest */
	GStringChunk *texts; /* as in a daemon_guest */
} daemon_reservation;

/* A memory limit above some guests. */
struct daemon_limit {
	const char *path;
	uint64_t limit_bytes, budget_bytes, guests;
	bool overcommitted;
};

/* A source of guests that cannot be asked. */
struct daemon_problem {
	const char *source, *text;
};

typedef struct daemon_status {
	const char *version, *policy;
	int64_t started_us; /* since the epoch */
	uint64_t rounds;    /* 0: the host was not looked at yet */
	int64_t late_us, late_max_us, step_us;
	bool trigger, recording;
	struct daemon_host host;
	uint64_t budget_bytes, usable_bytes, want_bytes; /* of all guests together */
	uint64_t in_reserve_bytes;			 /* that the host has for all */
	bool overcommitted;
	uint64_t to_restore; /* guests that are no longer managed and still have to be restored */

	struct daemon_guest *guests; /* by name */
	size_t guest_count;
	struct daemon_reservation *reservations; /* oldest first */
	size_t reservation_count;
	struct daemon_limit *limits;
	size_t limit_count;
	struct daemon_problem *problems;
	size_t problem_count;

	json_t *json; /* the answer as it came */
	GStringChunk *texts;
} daemon_status;

/* The body of an answer that is an error. */
typedef struct daemon_failure {
	const char *code;    /* "not-found" */
	const char *message; /* "": the answer gives no reason */

	json_t *json; /* NULL if there was none */
	GStringChunk *texts;
} daemon_failure;

/* What a line of a recording holds (docs/recording.md). */
enum daemon_line {
	DAEMON_LINE_UNKNOWN, /* it is not a line of a recording */
	DAEMON_LINE_START,
	DAEMON_LINE_SETTINGS,
	DAEMON_LINE_STEP,
};

/*
 * daemon_parse_status - the status that a JSON value holds
 * @json: any value, or NULL; its reference is taken
 *
 * Never fails: what is missing or wrong has its default.  Free it with daemon_free_status().
 */
struct daemon_status *daemon_parse_status(json_t *json);
/* Frees a status with all that it points to; NULL is fine, as for each function below. */
void daemon_free_status(struct daemon_status *status);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_status, daemon_free_status)

/* The guest that a JSON value holds, as daemon_parse_status(). */
struct daemon_guest *daemon_parse_guest(json_t *json);
/* Frees a guest of daemon_parse_guest(), never one of a status. */
void daemon_free_guest(struct daemon_guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_guest, daemon_free_guest)

/* The reservation that a JSON value holds, as daemon_parse_status(). */
struct daemon_reservation *daemon_parse_reservation(json_t *json);
/* Frees a reservation of daemon_parse_reservation(), never one of a status. */
void daemon_free_reservation(struct daemon_reservation *reservation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_reservation, daemon_free_reservation)

/* The size request that a JSON value holds, as daemon_parse_status(). */
struct daemon_resize *daemon_parse_resize(json_t *json);
/* Frees a size request with all that it points to. */
void daemon_free_resize(struct daemon_resize *resize);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_resize, daemon_free_resize)

/* The error that a JSON value holds, as daemon_parse_status(). */
struct daemon_failure *daemon_parse_failure(json_t *json);
/* Frees an error with all that it points to. */
void daemon_free_failure(struct daemon_failure *failure);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(daemon_failure, daemon_free_failure)

/* The text at @key of @json, "" by default; free it with g_free(). */
char *daemon_parse_text(const json_t *json, const char *key);
/* The texts of the array at @key of @json, NULL-terminated, for g_strfreev(). */
char **daemon_parse_names(const json_t *json, const char *key);
/* What @text, a line without its end, is in a recording. */
enum daemon_line daemon_parse_line(const char *text);

#endif
