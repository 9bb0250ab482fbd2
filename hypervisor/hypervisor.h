/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a guest is reached.
 *
 * Theory of operation
 * -------------------
 * A guest is reached through one ops table (struct hv_ops), of which there is
 * one implementation a kind: qmp.c speaks to a QEMU monitor socket, libvirt.c
 * to a libvirt connection.  Callers use the hv_guest_*() functions below and
 * never see which kind they hold.
 *
 * Calls block, and each takes a deadline: an absolute g_get_monotonic_time()
 * in microseconds (hv_deadline_ms() makes one).  No call returns later than a
 * few milliseconds after its deadline, whatever the guest, QEMU or libvirtd
 * does.  A call that loses its connection opens it anew and asks again, which
 * is safe because every operation here may be repeated.
 *
 * Errors: functions return false (or NULL) and fill a GError of HV_ERROR whose
 * text says which guest, what was asked and what came back, with no newline
 * and no full stop, ready to be shown behind "error: ".
 *
 * Threads: one struct hv_guest is used by one thread at a time; different
 * guests may be used by different threads.
 *
 * Sizes are bytes, always.
 */
#ifndef AEROSTAT_HYPERVISOR_HYPERVISOR_H
#define AEROSTAT_HYPERVISOR_HYPERVISOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HV_ERROR hv_error_quark()
GQuark hv_error_quark(void);

enum hv_error {
	HV_ERROR_FAILED,      /* asked and answered with an error that fits nothing below */
	HV_ERROR_NOT_FOUND,   /* no such guest */
	HV_ERROR_AMBIGUOUS,   /* the name fits several guests */
	HV_ERROR_NOT_RUNNING, /* the guest is shut off */
	HV_ERROR_UNREACHABLE, /* no socket, nobody listens, the connection was lost for good */
	HV_ERROR_TIMEOUT,     /* connected, but no answer before the deadline */
	HV_ERROR_BUSY,	      /* another client holds the monitor */
	HV_ERROR_NO_BALLOON,  /* the guest has no balloon device */
	HV_ERROR_REFUSED,     /* the hypervisor understood and will not */
	HV_ERROR_DENIED,      /* permission */
	HV_ERROR_PROTOCOL,    /* garbage, truncated or oversized replies */
	HV_ERROR_UNSUPPORTED, /* this kind of guest cannot do that (e.g. XML over QMP) */
	HV_ERROR_INVALID,     /* the caller's input is unusable */
};

enum hv_state {
	HV_STATE_UNKNOWN,
	HV_STATE_RUNNING,
	HV_STATE_PAUSED, /* paused by the host: the driver cannot act */
	HV_STATE_SHUTOFF,
	HV_STATE_CRASHED, /* the guest panicked */
};
const char *
hv_state_name(enum hv_state state); /* libvirt's words: "running", "paused", "shut off", … */

/* Is a balloon driver at work in the guest? */
enum hv_driver {
	HV_DRIVER_UNKNOWN, /* the hypervisor has no way to say */
	HV_DRIVER_ABSENT,  /* the device was never set up, or was let go */
	HV_DRIVER_READY,   /* DRIVER_OK is set */
};

/* What ballooning would break, or be broken by. */
enum hv_obstacle {
	HV_OBSTACLE_NONE,
	HV_OBSTACLE_DEVICES,   /* a device of the host (VFIO) has all of its memory pinned */
	HV_OBSTACLE_LOCKED,    /* its memory is locked: what it gives up stays allocated */
	HV_OBSTACLE_MIGRATION, /* it is being migrated or saved right now */
};
/* "" or what is in the way, for people: "a host device (VFIO) pins its memory" */
const char *hv_obstacle_text(enum hv_obstacle obstacle);

/* Which of libvirt's two settings a change is for; a bit mask. */
enum hv_scope {
	HV_SCOPE_CURRENT = 0, /* running: live; shut off: config */
	HV_SCOPE_LIVE = 1 << 0,
	HV_SCOPE_CONFIG = 1 << 1,
};

#define HV_UNSET UINT64_MAX /* "not known" in every uint64_t below */

typedef struct hv_info {
	char *name;
	char *uuid; /* NULL when unknown */
	int id;	    /* libvirt's id, -1 when none */
	enum hv_state state;
	pid_t pid;		   /* the VMM's process on this host, 0 when unknown */
	uint64_t max_bytes;	   /* RAM at boot, libvirt <memory> */
	uint64_t actual_bytes;	   /* max minus the balloon; HV_UNSET without a balloon */
	uint64_t config_max_bytes; /* persistent <memory>, for the next start; as config_bytes */
	uint64_t config_bytes;	   /* persistent currentMemory; HV_UNSET when not persistent */
	unsigned int vcpus;	   /* 0 when unknown */
	uint64_t cpu_time_ns;	   /* HV_UNSET when unknown */
	bool persistent;
	bool has_balloon;
	int autodeflate;	 /* deflate-on-oom: 1 on, 0 off, -1 unknown */
	int free_page_reporting; /* 1 on, 0 off, -1 unknown */
	enum hv_driver driver;
	char *version; /* of the VMM, e.g. "QEMU 7.2.22"; NULL when unknown, as over libvirt */
} hv_info;
void hv_info_clear(struct hv_info *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(hv_info, hv_info_clear)

/*
 * Statistics.  One table (hv_stat_table, in stats.c) names them for every
 * program; the order is the order in which they are shown.
 */
enum hv_stat {
	HV_STAT_ACTUAL,
	HV_STAT_SWAP_IN,
	HV_STAT_SWAP_OUT,
	HV_STAT_MAJOR_FAULT,
	HV_STAT_MINOR_FAULT,
	HV_STAT_UNUSED,	   /* MemFree */
	HV_STAT_AVAILABLE, /* MemTotal as the guest sees it: libvirt's odd word */
	HV_STAT_USABLE,	   /* MemAvailable */
	HV_STAT_DISK_CACHES,
	HV_STAT_HUGETLB_PGALLOC,
	HV_STAT_HUGETLB_PGFAIL,
	HV_STAT_OOM_KILLS, /* from here: QEMU >= 11 and Linux >= 6.12 only */
	HV_STAT_ALLOC_STALLS,
	HV_STAT_ASYNC_SCANS,
	HV_STAT_DIRECT_SCANS,
	HV_STAT_ASYNC_RECLAIMS,
	HV_STAT_DIRECT_RECLAIMS,
	HV_STAT_PSI_SOME, /* from here: our own driver at our own device only */
	HV_STAT_PSI_FULL,
	HV_STAT_REFAULTS_ANON,
	HV_STAT_REFAULTS_FILE,
	HV_STAT_FREE_SWAP,
	HV_STAT_RSS, /* of the VMM's process on the host */
	HV_STAT_COUNT
};

struct hv_stat_row {
	const char *name;     /* libvirt's: "swap_in" */
	const char *qmp_name; /* QEMU's or our device's: "stat-swap-in"; NULL when it has none */
	int libvirt_tag;      /* VIR_DOMAIN_MEMORY_STAT_*; -1 when it has none */
	bool is_count;	      /* a plain count; otherwise bytes (shown in KiB) */
	const char *help;
};
extern const struct hv_stat_row hv_stat_table[HV_STAT_COUNT];

struct hv_stats {
	uint64_t value[HV_STAT_COUNT]; /* bytes or counts; HV_UNSET when absent */
	int64_t last_update_s; /* host's epoch seconds when the guest last answered; 0 never */
	int64_t taken_s;       /* host's epoch seconds when this was read */
	int period_s;	       /* polling period; 0 off, -1 unknown */
};
/* Age in seconds, -1 when the guest never answered. */
int64_t hv_stats_age_s(const struct hv_stats *stats);
/* Too old to be believed: never answered, or older than max(5 s, 3 periods). */
bool hv_stats_stale(const struct hv_stats *stats);

enum hv_event_kind {
	HV_EVENT_BALLOON_CHANGE,
	HV_EVENT_LIFECYCLE,
};

struct hv_event {
	enum hv_event_kind kind;
	int64_t time_us;       /* wall clock (g_get_real_time) of its arrival here */
	uint64_t actual_bytes; /* BALLOON_CHANGE */
	char detail[64]; /* LIFECYCLE: "Started", "Suspended Paused", "Shutdown", … in virsh's words
			  */
};

typedef struct hv_guest hv_guest;

/* One implementation of each kind.  NULL = this kind cannot (HV_ERROR_UNSUPPORTED). */
struct hv_ops {
	const char *kind; /* "qmp", "libvirt" */

	bool (*info)(struct hv_guest *guest, int64_t deadline, struct hv_info *info,
		     GError **error);
	/* The balloon's actual size seen by the guest: max minus balloon. */
	bool (*balloon_get)(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			    GError **error);
	/* Asks for a new target; returns as soon as the hypervisor has taken it. */
	bool (*balloon_set)(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
			    unsigned int scope, GError **error);
	bool (*max_set)(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
			unsigned int scope, GError **error);
	bool (*stats_get)(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			  GError **error);
	bool (*stats_period_set)(struct hv_guest *guest, int64_t deadline, int period_s,
				 unsigned int scope, GError **error);
	/* What is in the way of ballooning now; the first of the list above that is. */
	bool (*obstacle)(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
			 GError **error);
	/* HV_ERROR_TIMEOUT when none came; after HV_ERROR_NOT_RUNNING or
	 * HV_ERROR_UNREACHABLE there will be no more. */
	bool (*event_wait)(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			   GError **error);
	/* The domain's XML: the persistent one (HV_SCOPE_CONFIG) or the live one. */
	char *(*xml_get)(struct hv_guest *guest, int64_t deadline, unsigned int scope,
			 GError **error);
	/* Redefines the persistent domain. */
	bool (*xml_define)(struct hv_guest *guest, int64_t deadline, const char *xml,
			   GError **error);
	/* Starts it from its persistent configuration. */
	bool (*start)(struct hv_guest *guest, int64_t deadline, GError **error);
	/*
	 * Passes one command on to the monitor of QEMU, as a JSON object, and
	 * returns QEMU's answer to it, another one, whatever that says.
	 */
	char *(*monitor)(struct hv_guest *guest, int64_t deadline, const char *command,
			 GError **error);

	void (*close)(struct hv_guest *
			      guest); /* frees; may be called while a call is stuck in its thread */
};

/* Each kind embeds this as its first member. */
struct hv_guest {
	const struct hv_ops *ops;
	char *address; /* "qmp:/run/a.sock", or "NAME" of a libvirt domain; for messages */
	char *source;  /* "qmp" or the libvirt URI */
	bool hold;     /* keep the connection between calls, see hv_guest_hold() */
};

/*
 * Wrappers over the ops table: they answer HV_ERROR_UNSUPPORTED for what a kind
 * lacks, and keep callers from reaching into the struct.
 */
bool hv_guest_info(struct hv_guest *guest, int64_t deadline, struct hv_info *info, GError **error);
bool hv_guest_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			  GError **error);
bool hv_guest_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
			  unsigned int scope, GError **error);
bool hv_guest_max_set(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
		      unsigned int scope, GError **error);
bool hv_guest_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			GError **error);
bool hv_guest_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
			       unsigned int scope, GError **error);
bool hv_guest_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		       GError **error);
bool hv_guest_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			 GError **error);
char *hv_guest_xml_get(struct hv_guest *guest, int64_t deadline, unsigned int scope,
		       GError **error);
bool hv_guest_xml_define(struct hv_guest *guest, int64_t deadline, const char *xml, GError **error);
bool hv_guest_start(struct hv_guest *guest, int64_t deadline, GError **error);
char *hv_guest_monitor(struct hv_guest *guest, int64_t deadline, const char *command,
		       GError **error);
void hv_guest_close(struct hv_guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hv_guest, hv_guest_close)

/*
 * A QEMU monitor socket serves one client at a time, so a guest that is not
 * held gives its connection up after each call and leaves the monitor to
 * others.  A daemon that samples every second holds.
 */
void hv_guest_hold(struct hv_guest *guest, bool hold);

/* @error's text without the "@address: " that it begins with, to name the guest once. */
const char *hv_error_reason(const GError *error, const char *address);

/* Now + @ms, for the deadlines above. */
int64_t hv_deadline_ms(unsigned int ms);

/* The two kinds (qmp.c, libvirt.c).  Opening does no I/O; the first call does. */
struct hv_guest *hv_qmp_open(const char *socket_path);
struct hv_guest *hv_libvirt_open(const char *uri, const char *name_uuid_or_id);

/* The libvirt behind @uri runs on this host. */
bool hv_uri_is_local(const char *uri);

/*
 * Finding guests (discover.c).  Where to look: libvirt URIs and globs of QMP
 * sockets, from the configuration and the command line.
 */
struct hv_sources {
	char **libvirt_uris; /* NULL-terminated */
	char **qmp_globs;    /* NULL-terminated */
};

/* Domains of one libvirt URI; running ones, or all with @all. */
GPtrArray *hv_libvirt_list(const char *uri, bool all, int64_t deadline, GError **error);

/*
 * hv_list - every guest of @sources
 * @problems: receives one line a source that could not be asked (char *), may be NULL
 *
 * Returns an array of struct hv_guest *, owned by the caller, each closed with
 * the array.  A source that cannot be reached is a problem, not a failure.
 */
GPtrArray *hv_list(const struct hv_sources *sources, bool all, int64_t deadline,
		   GPtrArray *problems);

/*
 * hv_find - one guest by what a person typed
 * @name: "qmp:PATH", or a libvirt name, UUID or id, or the name of a guest
 *        behind one of the configured QMP globs
 *
 * @info: receives its settings, which have to be asked for anyway; NULL if not wanted
 *
 * Fails with NOT_FOUND (naming the guests there are), AMBIGUOUS, UNREACHABLE
 * when no source at all could be asked, and, with @info, as hv_guest_info().
 */
hv_guest *hv_find(const struct hv_sources *sources, const char *name, int64_t deadline,
		  hv_info *info, GError **error);

/*
 * hv_host_bytes - what a guest's RAM costs the host now (host_memory.c)
 *
 * The private anonymous memory of process @pid plus the blocks allocated to
 * every memfd, tmpfs or hugetlbfs file it holds open.  Measured from /proc,
 * never inferred from the balloon.
 */
bool hv_host_bytes(pid_t pid, uint64_t *bytes, GError **error);

#endif
