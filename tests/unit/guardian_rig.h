/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two fake QEMUs, a folder with a state file, and a "daemon" to kill: the test's own program in
 * another role, which locks the folder, starts a guardian and waits.  The guardian is the
 * test's own program, too.
 */
#ifndef AEROSTAT_GUARDIAN_RIG_H
#define AEROSTAT_GUARDIAN_RIG_H

#include "aerostatd/state_file.h"
#include "tests/unit/fake_qemu.h"
#include "tests/unit/run_until.h"

#define FAKES 2
#define MIB (UINT64_C(1) << 20)

/* What a fake of rig_add() hears when it is restored, and what it may answer as its size. */
#define PERIOD "qom-set " DEVICE " guest-stats-polling-interval"
#define SIZE "balloon=536870912\n"
#define RESTORED PERIOD "=0\n" SIZE
#define SMALL "\"return\": {\"actual\": 268435456}"
#define LARGE "\"return\": {\"actual\": 1073741824}"

struct guardian_rig {
	char *folder, *file;
	GPtrArray *guests; /* struct saved_guest * */
	struct fake *fakes[FAKES];
	pid_t daemon, guardian;
	char *stats; /* what a fake answers */
};

/* For main(): the exit code of another role than the test's; -1 when it is the test. */
int guardian_rig_role(int argc, char **argv);
int guardian_rig_setup(void **state);
int guardian_rig_teardown(void **state);

/* Adds fake number @which as a guest that had 512 MiB and a period of 0, and was changed. */
struct saved_guest *rig_add(struct guardian_rig *rig, int which);
/* Writes the file. */
void rig_save(struct guardian_rig *rig);
/* The guests of the file. */
GPtrArray *rig_load(struct guardian_rig *rig);
/* The file has @count guests, of which the first has to be restored or not. */
void rig_assert_left(struct guardian_rig *rig, unsigned int count, bool changed);

void rig_start_daemon(struct guardian_rig *rig);
/* With SIGKILL. */
void rig_kill_daemon(struct guardian_rig *rig);
/* The guardian that process @pid has started, its only child; 0 if there is none. */
pid_t rig_find_guardian(pid_t pid);
/* Waits for the end of the guardian of a dead daemon.  Its exit code; above 128: a signal. */
int rig_guardian_ends(struct guardian_rig *rig);

/* Waits until the fake has heard @text. */
void rig_wait_heard(struct fake *fake, const char *text);
void rig_assert_heard(struct fake *fake, const char *text);
/* The guest reports, just now, that it could spare @usable_bytes. */
void rig_will_spare(struct guardian_rig *rig, int which, uint64_t usable_bytes);

#endif
