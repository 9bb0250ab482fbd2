/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole manager in the test's process, and guests of an ops table of the test's own.
 *
 * The roster is replaced (--wrap), so that the test decides what is found and what is gone.  A
 * guest answers at once, except where a gate is closed: there each caller waits until it opens.
 */
#ifndef AEROSTAT_MANAGER_RIG_H
#define AEROSTAT_MANAGER_RIG_H

#include "aerostatd/guests.h"
#include "aerostatd/manager.h"

#include "tests/unit/run_until.h"

#define MIB (UINT64_C(1) << 20)
#define OWN_BYTES (1024 * MIB)
#define SHRUNK_BYTES (512 * MIB)
#define LIBVIRT "fake:///system"

/* The operations of a guest, as gates. */
enum gate {
	GATE_INFO,
	GATE_BALLOON_GET,
	GATE_BALLOON_SET,
	GATE_STATS_GET,
	GATE_PERIOD_SET,
	GATE_OBSTACLE,
	GATES
};

/* Who calls: the guest's worker, or whoever has opened it for itself. */
enum caller { CALLER_WORKER, CALLER_OTHER, CALLERS };

/* A guest, however many handles there are on it; all below the rig's lock. */
struct rigged {
	char *address, *name, *uuid;
	pid_t pid, device_pid; /* processes that run; 0: none */
	bool ended;
	uint64_t actual_bytes;
	uint64_t heard_bytes; /* the last target; 0: none yet */
	unsigned int targets; /* how many it was set */
	int period_s;
	bool creeps; /* moves a page towards its target whenever its size is read */
	int refuses; /* the enum hv_error of each target; 0 (HV_ERROR_FAILED): it takes them */
	bool fails;  /* its next statistics cannot be read, so all is read again */
};

struct manager_rig {
	struct manager *manager; /* NULL: not started, or ended */
	char *folder, *config;
	struct rigged *guest; /* that hv_libvirt_open() opens */
	unsigned int missing; /* after manager_rig_stop() */
};

/* Starts no manager yet; @config is the configuration's text. */
void manager_rig_set_up(struct manager_rig *rig, const char *config);
/* Ends the manager if it still runs, and all guests. */
void manager_rig_tear_down(struct manager_rig *rig);
void manager_rig_start(struct manager_rig *rig);
/* Stops it as SIGTERM does, and frees it; opens the gate meanwhile. */
void manager_rig_stop(struct manager_rig *rig);
/* The same in two steps, of which the second opens the gate. */
void manager_rig_start_stop(struct manager_rig *rig);
void manager_rig_finish_stop(struct manager_rig *rig);

/* A guest at @address of its own size, in a process of its own. */
struct rigged *rigged_new(const char *address, const char *name, const char *uuid);
/* Ends its process, and frees it. */
void rigged_free(struct rigged *guest);
/* Ends its process. */
void rigged_end(struct rigged *guest);
/* The process of @device is the device of @guest from now on, which reads all again. */
void give_device(struct rigged *guest, const struct rigged *device);

/* What the roster would report. */
void report_found(const char *source, struct rigged *guest);
/* The same, with its gates those of CALLER_OTHER. */
void report_found_again(const char *source, struct rigged *guest);
void report_gone(const char *source, const struct rigged *guest);
/* The managed guest at an address, if it has answered; or NULL. */
struct managed *find_managed(const struct manager_rig *rig, const char *address);

/* Each call of @gate by @caller waits from now on, until open_gate(). */
void close_gate(enum gate gate, enum caller caller);
void open_gate(void);
/* Whether somebody waits there, or is still in the call. */
bool is_gate_reached(void);

/* Its statistics period, and as if somebody else had set it. */
int guest_period(struct rigged *guest);
void set_guest_period(struct rigged *guest, int period_s);

/* The last target that @guest has heard; 0: none. */
uint64_t heard_target(struct rigged *guest);

#endif
