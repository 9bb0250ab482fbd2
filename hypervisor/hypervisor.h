/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How to reach a guest.
 *
 * Theory of operation
 * -------------------
 * Callers hold a hv_guest and use the hv_guest_*() functions.  Each calls
 * through the guest's ops table (struct hv_ops), which has one implementation
 * per kind of guest: qmp.c for a QEMU monitor socket, libvirt.c for a domain of
 * a libvirt connection.  No caller depends on the kind.
 *
 * Opening a guest does no I/O: hv_qmp_open() and hv_libvirt_open() only store
 * where it is.  hv_find() and hv_list() find guests.
 *
 * Deadlines: each call blocks until @deadline at most, an absolute
 * g_get_monotonic_time() in microseconds; hv_deadline_ms() makes one.  A call
 * returns at most a few milliseconds later, whatever the guest, QEMU or libvirtd
 * does.  A call that loses its connection connects again and repeats the request,
 * until @deadline; every operation here may safely be repeated.
 *
 * Errors: a function that fails returns false (or NULL) and sets a GError of
 * domain HV_ERROR.  Its text names the guest, what was asked, what came back and
 * the remedy, without a newline or a full stop, to be printed after "error: ".
 *
 * Threads: a hv_guest may be used by one thread at a time.  Different guests may
 * be used by different threads.
 *
 * All sizes are in bytes.
 */
#ifndef AEROSTAT_HYPERVISOR_HYPERVISOR_H
#define AEROSTAT_HYPERVISOR_HYPERVISOR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HV_ERROR hv_error_quark()
/* The error domain of all functions here. */
GQuark hv_error_quark(void);

enum hv_error {
	HV_ERROR_FAILED,      /* an error that fits none of the codes below */
	HV_ERROR_NOT_FOUND,   /* there is no such guest */
	HV_ERROR_AMBIGUOUS,   /* several guests have this name */
	HV_ERROR_NOT_RUNNING, /* the guest is shut off */
	HV_ERROR_UNREACHABLE, /* no process listens, or the connection was lost for good */
	HV_ERROR_TIMEOUT,     /* connected, but there was no answer before the deadline */
	HV_ERROR_BUSY,	      /* another client uses the monitor */
	HV_ERROR_NO_BALLOON,  /* the guest has no balloon device */
	HV_ERROR_REFUSED,     /* QEMU or libvirt refused the request */
	HV_ERROR_DENIED,      /* this user lacks the permission */
	HV_ERROR_PROTOCOL,    /* the answer was invalid, truncated or too long */
	HV_ERROR_UNSUPPORTED, /* this kind of guest has no such operation (e.g. XML over QMP) */
	HV_ERROR_INVALID,     /* the caller's input is invalid */
	HV_ERROR_SHORTAGE,    /* this process lacks descriptors, memory or threads: nothing was
				 learned of the guest */
};

enum hv_state {
	HV_STATE_UNKNOWN,
	HV_STATE_RUNNING,
	HV_STATE_PAUSED, /* paused by the host: the driver cannot act */
	HV_STATE_SHUTOFF,
	HV_STATE_CRASHED, /* the guest panicked */
};

/* @state as virsh prints it: "running", "paused", "shut off", "crashed", "no state". */
const char *hv_state_name(enum hv_state state);

/* Whether a balloon driver is active in the guest. */
enum hv_driver {
	HV_DRIVER_UNKNOWN, /* the hypervisor does not report it */
	HV_DRIVER_ABSENT,  /* no driver has set up the device, or it has reset it */
	HV_DRIVER_READY,   /* the driver has set DRIVER_OK (VIRTIO 1.3, 2.1) */
};

/* What prevents ballooning, or would be broken by it. */
enum hv_obstacle {
	HV_OBSTACLE_NONE,
	HV_OBSTACLE_DEVICES,	  /* a host device (VFIO) pins all of the guest's memory */
	HV_OBSTACLE_CONFIDENTIAL, /* the memory is encrypted, and QEMU discards none of it */
	HV_OBSTACLE_LOCKED,	  /* the memory is locked: the host gets none of it back */
	HV_OBSTACLE_HUGE_PAGES,	  /* QEMU's balloon releases parts of huge pages, in vain */
	HV_OBSTACLE_MIGRATION,	  /* the guest is being migrated or saved */
};

/* @obstacle for people, e.g. "a host device (VFIO) pins its memory"; "" for none. */
const char *hv_obstacle_text(enum hv_obstacle obstacle);

/*
 * What the guest and its device do with memory beyond the balloon's size; a bit mask.  Only what
 * the driver is known to have acknowledged; HV_CAN_PULL it reports with its statistics
 * (hv_stats.relieves_early), not with hv_info.
 */
enum hv_ability {
	HV_CAN_REPORT = 1 << 0,	 /* it reports free pages, which the host gets at once */
	HV_CAN_RELIEVE = 1 << 1, /* it deflates instead of an OOM kill */
	HV_CAN_PULL = 1 << 2,	 /* it deflates before it has to swap (aerostat's driver) */
	HV_CAN_TRIM = 1 << 3,	 /* it gives up page cache on request: hv_guest_trim() */
	HV_CAN_GATE = 1 << 4,	 /* what it takes back is bounded: hv_guest_credit_set() */
};
#define HV_ABILITIES 5

/* The name in JSON of the ability 1 << @bit, such as "report"; @bit is below HV_ABILITIES. */
const char *hv_ability_name(unsigned int bit);

/* Which of libvirt's two configurations a change applies to; a bit mask. */
enum hv_scope {
	HV_SCOPE_CURRENT = 0,	  /* a running guest: LIVE; a guest that is shut off: CONFIG */
	HV_SCOPE_LIVE = 1 << 0,	  /* the running guest */
	HV_SCOPE_CONFIG = 1 << 1, /* the persistent configuration, for the next start */
};

/* How the guest came into its process.  A copy of a guest's metadata or name says nothing of that.
 */
enum hv_origin {
	HV_ORIGIN_UNKNOWN,
	HV_ORIGIN_BOOT,	    /* it booted there */
	HV_ORIGIN_STATE,    /* it goes on from a saved state, or was migrated there */
	HV_ORIGIN_ARRIVING, /* any of that is still under way: nothing here is about it yet */
	HV_ORIGIN_LEFT,	    /* it was migrated away, and goes on elsewhere */
};

#define HV_UNSET UINT64_MAX /* "unknown" in every uint64_t below */

/* A guest's settings. */
typedef struct hv_info {
	char *name; /* as plain_name() writes it; so are all texts here */
	char *uuid; /* NULL when unknown */
	int id;	    /* libvirt's id; -1 when it has none */
	enum hv_state state;
	enum hv_origin origin;
	pid_t pid;		   /* the VMM's process on this host, 0 when unknown */
	pid_t device_pid;	   /* its balloon device's, if that is another process; or 0 */
	uint64_t max_bytes;	   /* RAM at boot: libvirt's <memory> */
	uint64_t actual_bytes;	   /* max minus the balloon; HV_UNSET without a balloon */
	uint64_t config_max_bytes; /* persistent <memory>; HV_UNSET when not persistent */
	uint64_t config_bytes;	   /* persistent <currentMemory>; likewise */
	unsigned int vcpus;	   /* 0 when unknown */
	uint64_t cpu_time_ns;	   /* HV_UNSET when unknown */
	bool persistent;
	bool has_balloon;
	int autodeflate;	 /* deflate-on-oom: 1 on, 0 off, -1 unknown */
	int free_page_reporting; /* 1 on, 0 off, -1 unknown */
	enum hv_driver driver;
	unsigned int abilities; /* a mask of enum hv_ability */
	char *control; /* the control socket of its device, if that is one of aerostat's with a
			  gate; otherwise NULL */
	char *version; /* of the VMM, "QEMU 7.2.22"; NULL when unknown, as over libvirt */
} hv_info;

/* Frees the strings in @info. */
void hv_info_clear(struct hv_info *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(hv_info, hv_info_clear)

/*
 * The balloon's statistics, in the order in which they are shown.  hv_stat_table
 * (stats.c) has their names for all programs.  A comment here says only what the
 * name does not.
 */
enum hv_stat {
	HV_STAT_ACTUAL,
	HV_STAT_SWAP_IN,
	HV_STAT_SWAP_OUT,
	HV_STAT_MAJOR_FAULT,
	HV_STAT_MINOR_FAULT,
	HV_STAT_UNUSED,	   /* the guest's MemFree */
	HV_STAT_AVAILABLE, /* the guest's MemTotal; the name is libvirt's */
	HV_STAT_USABLE,	   /* the guest's MemAvailable */
	HV_STAT_DISK_CACHES,
	HV_STAT_HUGETLB_PGALLOC,
	HV_STAT_HUGETLB_PGFAIL,
	HV_STAT_OOM_KILLS, /* from here on: only QEMU >= 11 with Linux >= 6.12 */
	HV_STAT_ALLOC_STALLS,
	HV_STAT_ASYNC_SCANS,
	HV_STAT_DIRECT_SCANS,
	HV_STAT_ASYNC_RECLAIMS,
	HV_STAT_DIRECT_RECLAIMS,
	HV_STAT_PSI_SOME, /* from here on: only aerostat's driver with aerostat's device */
	HV_STAT_PSI_FULL,
	HV_STAT_REFAULTS_ANON,
	HV_STAT_REFAULTS_FILE,
	HV_STAT_FREE_SWAP,
	HV_STAT_ANON_MEMORY,
	HV_STAT_TRIMMED,
	HV_STAT_RSS, /* of the VMM's process, measured on the host */
	HV_STAT_COUNT
};

struct hv_stat_row {
	const char *name;     /* as in virsh dommemstat: "swap_in" */
	const char *qmp_name; /* over QMP: "stat-swap-in"; NULL when it is not there */
	int libvirt_tag;      /* VIR_DOMAIN_MEMORY_STAT_*; -1 when libvirt has none */
	bool is_count;	      /* a count; otherwise bytes, shown in KiB */
	const char *help;
};
extern const struct hv_stat_row hv_stat_table[HV_STAT_COUNT];

/* One reading of the statistics. */
struct hv_stats {
	uint64_t value[HV_STAT_COUNT]; /* HV_UNSET when absent */
	int64_t last_update_s;	       /* when the guest last sent them, Unix time; 0: never */
	int64_t taken_s;	       /* when they were read, Unix time */
	int period_s;		       /* polling period; 0 off, -1 unknown */
	bool relieves_early;	       /* its driver says so: with HV_CAN_RELIEVE, HV_CAN_PULL */
};

/*
 * hv_stats_take_mark - read what aerostat's driver has added to a statistic
 *
 * A driver that takes memory back early adds HV_RELIEF_MARK to HV_STAT_DISK_CACHES, as QEMU's
 * device passes on no feature and no statistic of its own.  Other drivers report whole pages.
 * Takes the mark out of the value, and sets @relieves_early.
 */
#define HV_RELIEF_MARK UINT64_C(0xC00)
void hv_stats_take_mark(struct hv_stats *stats);

/* What the guest is known to do by itself, by all that it reports: a mask of enum hv_ability. */
unsigned int hv_find_abilities(const struct hv_info *info, const struct hv_stats *stats);

/* Seconds from the guest's last update to the reading; -1 when there was no update. */
int64_t hv_stats_age_s(const struct hv_stats *stats);

/* Dated in the future: the clock was set back, and nobody knows how old they are. */
bool hv_stats_early(const struct hv_stats *stats);

/* Not to be used: never updated, older than 5 s and than three periods, or early. */
bool hv_stats_stale(const struct hv_stats *stats);

enum hv_event_kind {
	HV_EVENT_BALLOON_CHANGE,
	HV_EVENT_LIFECYCLE,
};

struct hv_event {
	enum hv_event_kind kind;
	int64_t time_us;       /* when it arrived here, g_get_real_time() */
	uint64_t actual_bytes; /* BALLOON_CHANGE only */
	char detail[64];       /* LIFECYCLE only, as virsh prints it: "Suspended Paused" */
};

typedef struct hv_guest hv_guest;

/*
 * struct hv_ops - one implementation per kind of guest
 *
 * The contract of each operation is at the hv_guest_*() function of its name.
 * NULL: guests of this kind have no such operation.
 */
struct hv_ops {
	const char *kind; /* "qmp" or "libvirt" */

	bool (*info)(struct hv_guest *guest, int64_t deadline, struct hv_info *info,
		     GError **error);
	bool (*balloon_get)(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			    GError **error);
	bool (*balloon_set)(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
			    unsigned int scope, GError **error);
	bool (*max_set)(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
			unsigned int scope, GError **error);
	bool (*stats_get)(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			  GError **error);
	bool (*stats_period_set)(struct hv_guest *guest, int64_t deadline, int period_s,
				 unsigned int scope, GError **error);
	bool (*obstacle)(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
			 GError **error);
	bool (*event_wait)(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			   GError **error);
	char *(*xml_get)(struct hv_guest *guest, int64_t deadline, unsigned int scope,
			 GError **error);
	bool (*xml_define)(struct hv_guest *guest, int64_t deadline, const char *xml,
			   GError **error);
	bool (*start)(struct hv_guest *guest, int64_t deadline, GError **error);
	char *(*monitor)(struct hv_guest *guest, int64_t deadline, const char *command,
			 GError **error);
	bool (*note_get)(struct hv_guest *guest, int64_t deadline, char **note, GError **error);
	bool (*note_set)(struct hv_guest *guest, int64_t deadline, const char *note,
			 GError **error);
	bool (*credit_set)(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
			   uint64_t ceiling_bytes, GError **error);
	bool (*trim)(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error);
	void (*close)(struct hv_guest *guest);
};

/* The part of a guest that all kinds share; each embeds it as its first member. */
struct hv_guest {
	const struct hv_ops *ops;
	/* Names the guest in messages: "qmp:/run/a.sock", or a domain's name; as plain_name() has
	 * it. */
	char *address;
	char *source; /* where it was found: "qmp", or the libvirt URI */
	char *uuid;   /* of a domain that was listed; NULL: not known without asking it */
	int id;	      /* libvirt's, of a domain that was listed; -1: none, or not known */
	bool hold;    /* keep the connection between calls, see hv_guest_hold() */
};

/*
 * Operations on a guest.  Where its kind has no such operation they fail with
 * HV_ERROR_UNSUPPORTED.
 */

/*
 * hv_guest_info - read the guest's settings and state
 * @info: overwritten; on success the caller frees it with hv_info_clear()
 */
bool hv_guest_info(struct hv_guest *guest, int64_t deadline, struct hv_info *info, GError **error);

/* Reads the guest's actual size: its maximum minus the balloon. */
bool hv_guest_balloon_get(struct hv_guest *guest, int64_t deadline, uint64_t *actual_bytes,
			  GError **error);

/*
 * hv_guest_balloon_set - set the balloon's target
 * @target_bytes: what the guest is to have; above 0 and at most its maximum
 * @scope: a mask of enum hv_scope
 *
 * Returns as soon as the hypervisor has accepted the target, which the guest
 * reaches later or never.  After HV_ERROR_TIMEOUT the request may still be
 * applied.
 */
bool hv_guest_balloon_set(struct hv_guest *guest, int64_t deadline, uint64_t target_bytes,
			  unsigned int scope, GError **error);

/* Sets the maximum, libvirt's <memory>, which no running guest can change. */
bool hv_guest_max_set(struct hv_guest *guest, int64_t deadline, uint64_t max_bytes,
		      unsigned int scope, GError **error);

/* Reads the balloon's statistics.  They may be old: see hv_stats_stale(). */
bool hv_guest_stats_get(struct hv_guest *guest, int64_t deadline, struct hv_stats *stats,
			GError **error);

/* Sets how often the guest is asked for statistics; 0 turns them off. */
bool hv_guest_stats_period_set(struct hv_guest *guest, int64_t deadline, int period_s,
			       unsigned int scope, GError **error);

/* Reports what prevents ballooning now: the first in enum hv_obstacle's order. */
bool hv_guest_obstacle(struct hv_guest *guest, int64_t deadline, enum hv_obstacle *obstacle,
		       GError **error);

/*
 * hv_guest_event_wait - wait for the guest's next event
 *
 * HV_ERROR_TIMEOUT means that none came before @deadline; HV_ERROR_NOT_RUNNING
 * means that no more will come, and HV_ERROR_UNREACHABLE that a later call may
 * reach the guest again.  From the first call on the guest keeps its connection.
 */
bool hv_guest_event_wait(struct hv_guest *guest, int64_t deadline, struct hv_event *event,
			 GError **error);

/*
 * hv_guest_xml_get - the domain's XML
 * @scope: HV_SCOPE_LIVE: of the running guest; HV_SCOPE_CONFIG: the persistent one,
 *         with its secrets if this user may read them; HV_SCOPE_CURRENT: of the
 *         running guest, or the persistent one if it is shut off
 *
 * The caller frees it with g_free().
 */
char *hv_guest_xml_get(struct hv_guest *guest, int64_t deadline, unsigned int scope,
		       GError **error);

/* Replaces the domain's persistent XML, after libvirt has validated @xml. */
bool hv_guest_xml_define(struct hv_guest *guest, int64_t deadline, const char *xml, GError **error);

/* Starts the guest from its persistent configuration. */
bool hv_guest_start(struct hv_guest *guest, int64_t deadline, GError **error);

/*
 * hv_guest_monitor - pass one QMP command to QEMU
 * @command: a JSON object, {"execute": …}
 *
 * Returns QEMU's answer, a JSON object that may be an error, for the caller to
 * g_free().
 */
char *hv_guest_monitor(struct hv_guest *guest, int64_t deadline, const char *command,
		       GError **error);

/*
 * hv_guest_note_get - read the note that hv_guest_note_set() has left with the guest
 * @note: on success NULL if there is none; otherwise the caller frees it with g_free()
 */
bool hv_guest_note_get(struct hv_guest *guest, int64_t deadline, char **note, GError **error);

/*
 * hv_guest_note_set - leave a note with the running guest, in place of an earlier one
 * @note: text that XML can hold; NULL removes the note
 *
 * The note goes where the guest's memory goes: it survives a reboot, a save and restore, and a
 * migration.  A guest that is shut down and started again has none.
 */
bool hv_guest_note_set(struct hv_guest *guest, int64_t deadline, const char *note, GError **error);

/*
 * hv_guest_credit_set - bound what the guest takes back from its balloon by itself (HV_CAN_GATE)
 * @credit_bytes: how much; HV_UNSET: any, as before the first credit
 * @ceiling_bytes: the size that it may reach by that; HV_UNSET: any
 *
 * Ends by itself a few seconds after the last call, so that no guest depends on the caller.
 */
bool hv_guest_credit_set(struct hv_guest *guest, int64_t deadline, uint64_t credit_bytes,
			 uint64_t ceiling_bytes, GError **error);

/* Asks the guest to give up @bytes of cold page cache, 1 MiB or more (HV_CAN_TRIM). */
bool hv_guest_trim(struct hv_guest *guest, int64_t deadline, uint64_t bytes, GError **error);

/*
 * hv_guest_close - close the connection and free the guest; NULL is allowed
 *
 * Does not wait for a call that was given up at its deadline: the thread of such
 * a call frees what it still uses.
 */
void hv_guest_close(struct hv_guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hv_guest, hv_guest_close)

/*
 * hv_guest_hold - keep the connection between calls, or stop doing so
 *
 * A QEMU monitor socket serves one client at a time, so by default a QMP guest
 * closes its connection after each call.  A program that asks every second should
 * hold it.
 */
void hv_guest_hold(struct hv_guest *guest, bool hold);

/* Whether @error, of a call that changes something, proves that nothing was changed: that was
 * refused, by QEMU, by libvirt, or before they were asked.  After other errors, such as a lost
 * connection, the change may have been made.  @error may be NULL. */
bool hv_error_is_refusal(const GError *error);

/* As g_propagate_error(), with the text made printable (common/plain_text.h). */
void hv_propagate_error(GError **error, GError *from);

/* @error's text without a leading "@address: ", for a message that already names the guest. */
const char *hv_error_reason(const GError *error, const char *address);

/* The deadline @ms milliseconds from now. */
int64_t hv_deadline_ms(unsigned int ms);

/*
 * hv_qmp_open - a guest behind a QEMU monitor socket
 * @socket_path: as plain_name() writes it, which is how addresses have it
 *
 * No I/O; see hv_guest_close().
 */
struct hv_guest *hv_qmp_open(const char *socket_path);

/*
 * hv_libvirt_open - a domain of the libvirt connection @uri
 * @name_uuid_or_id: a name as plain_name() writes it
 *
 * No I/O; see hv_guest_close().
 */
struct hv_guest *hv_libvirt_open(const char *uri, const char *name_uuid_or_id);

/* Whether @uri leads to a libvirt on this host: it names no other host. */
bool hv_uri_is_local(const char *uri);

/* Where to look for guests; from the configuration and the command line. */
struct hv_sources {
	char **libvirt_uris; /* NULL-terminated */
	char **qmp_globs;    /* globs of QEMU monitor sockets; NULL-terminated */
};

/*
 * hv_libvirt_list - the domains of one libvirt connection
 * @all: include domains that are shut off
 *
 * Returns an array of struct hv_guest *, sorted by name.  Freeing the array
 * closes the guests.
 */
GPtrArray *hv_libvirt_list(const char *uri, bool all, int64_t deadline, GError **error);

/*
 * hv_qmp_list - the guests behind the sockets that the glob @pattern matches, or whose path it is
 * @guests: receives a struct hv_guest * for each
 *
 * Returns false if a folder or a socket could not be looked at: there may be more guests than
 * were added.  A folder that does not exist is an answer, "there is none".
 */
bool hv_qmp_list(const char *pattern, GPtrArray *guests, GError **error);

/* Whether it is certain that no socket is at the QMP guest's @address ("qmp:PATH") any more. */
bool hv_qmp_is_gone(const char *address);

/*
 * hv_list - all guests of @sources
 * @all: include domains that are shut off
 * @problems: receives one line (char *) per source that did not answer; may be NULL
 *
 * Returns an array of struct hv_guest *.  Freeing the array closes the guests.
 * A source that cannot be reached does not make hv_list() fail.
 */
GPtrArray *hv_list(const struct hv_sources *sources, bool all, int64_t deadline,
		   GPtrArray *problems);

/*
 * hv_find - find the guest that the user named
 * @name: what guest_word.h says
 * @info: receives the guest's settings, which finding it reads anyway; may be NULL
 *
 * Fails with HV_ERROR_NOT_FOUND (the text lists the guests that exist),
 * HV_ERROR_AMBIGUOUS, HV_ERROR_UNREACHABLE when the guest was not found and a
 * source did not answer, or, with @info, as hv_guest_info().
 */
hv_guest *hv_find(const struct hv_sources *sources, const char *name, int64_t deadline,
		  hv_info *info, GError **error);

/*
 * hv_host_bytes - what a guest's RAM costs the host now
 * @pid: the VMM's process
 *
 * The process's private anonymous memory plus the blocks allocated to each memfd
 * and each tmpfs or hugetlbfs file that it holds open.  Measured from /proc,
 * independently of the balloon; needs permission to read /proc/PID/fd.
 */
bool hv_host_bytes(pid_t pid, uint64_t *bytes, GError **error);

/* What a guest costs the host. */
struct hv_host_cost {
	uint64_t bytes;	    /* as by hv_host_bytes() */
	uint64_t ram_bytes; /* the part of it that is the guest's RAM; HV_UNSET if not known */
};

/*
 * hv_host_cost - what a guest costs the host, and which part of that is its RAM
 * @max_bytes: the guest's RAM at boot, by whose size its memory is found in the process
 *
 * As hv_host_bytes().
 */
bool hv_host_cost(pid_t pid, uint64_t max_bytes, struct hv_host_cost *cost, GError **error);

#endif
