/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/guardian_rig.h"

#include "aerostatd/guardian.h"
#include "aerostatd/identity.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

pid_t rig_find_guardian(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
	g_autofree char *children = NULL;

	if (!g_file_get_contents(path, &children, NULL, NULL))
		fail_msg("cannot read %s, for which the kernel needs CONFIG_PROC_CHILDREN", path);
	return (pid_t)strtol(children, NULL, 10);
}

static int be_daemon(const char *folder)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	g_autoptr(GError) error = NULL;
	struct guardian *guardian = NULL;

	if (state_folder_lock(folder, 0, &error) >= 0)
		guardian = guardian_start("/proc/self/exe", folder, &error);
	if (!guardian) {
		fprintf(stderr, "%s\n", error->message);
		return 1;
	}
	printf("%d\n", (int)rig_find_guardian(getpid()));
	fflush(stdout);
	g_main_loop_run(loop);
	return 0;
}

int guardian_rig_role(int argc, char **argv)
{
	if (argc == 3 && g_str_equal(argv[1], "--daemon"))
		return be_daemon(argv[2]);
	if (argc == 4 && g_str_equal(argv[1], "--guard") && g_str_equal(argv[2], "--folder"))
		return guardian_main(argv[3]);
	return -1;
}

int guardian_rig_setup(void **state)
{
	struct guardian_rig *rig = g_new0(struct guardian_rig, 1);

	/* A guardian whose daemon is dead is this process's child. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	rig->folder = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	rig->file = g_build_filename(rig->folder, "guests.json", NULL);
	rig->guests = g_ptr_array_new_with_free_func((GDestroyNotify)saved_guest_free);
	for (int i = 0; i < FAKES; i++)
		fake_setup((void **)&rig->fakes[i]);
	*state = rig;
	return 0;
}

static void end(pid_t pid)
{
	if (!pid)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int guardian_rig_teardown(void **state)
{
	struct guardian_rig *rig = *state;
	g_autofree char *lock = g_build_filename(rig->folder, "lock", NULL);

	end(rig->daemon);
	end(rig->guardian);
	for (int i = 0; i < FAKES; i++)
		fake_teardown((void **)&rig->fakes[i]);
	g_unlink(rig->file);
	g_unlink(lock);
	g_rmdir(rig->folder);
	g_ptr_array_unref(rig->guests);
	g_free(rig->stats);
	g_free(rig->folder);
	g_free(rig->file);
	g_free(rig);
	return 0;
}

struct saved_guest *rig_add(struct guardian_rig *rig, int which)
{
	const struct saved_guest guest = {
		.source = (char *)"qmp",
		.address = rig->fakes[which]->guest->address,
		.name = (char *)"web 1",
		.uuid = (char *)"6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		.pid = getpid(),
		.start_ticks = process_start_ticks(getpid()),
		.before_bytes = 512 * MIB,
		.before_period_s = 0,
		.changed = true,
		.mode = -1,
		.held_bytes = HV_UNSET,
	};
	struct saved_guest *added = saved_guest_copy(&guest);

	g_ptr_array_add(rig->guests, added);
	return added;
}

void rig_save(struct guardian_rig *rig)
{
	GError *error = NULL;

	if (!state_file_save(rig->folder, rig->guests, &error))
		fail_msg("%s", error->message);
}

GPtrArray *rig_load(struct guardian_rig *rig)
{
	GError *error = NULL;
	GPtrArray *guests = state_file_load(rig->folder, &error);

	if (!guests)
		fail_msg("%s", error->message);
	return guests;
}

void rig_assert_left(struct guardian_rig *rig, unsigned int count, bool changed)
{
	g_autoptr(GPtrArray) left = rig_load(rig);

	assert_int_equal(left->len, count);
	assert_int_equal(access(rig->file, F_OK), count ? 0 : -1);
	if (count)
		assert_int_equal(((struct saved_guest *)left->pdata[0])->changed, changed);
}

void rig_start_daemon(struct guardian_rig *rig)
{
	char *argv[] = { (char *)"/proc/self/exe", (char *)"--daemon", rig->folder, NULL };
	GError *error = NULL;
	FILE *output;
	int out;

	if (!g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
				      &rig->daemon, NULL, &out, NULL, &error))
		fail_msg("%s", error->message);
	output = fdopen(out, "r");
	if (fscanf(output, "%d", &rig->guardian) != 1)
		fail_msg("the daemon did not start");
	fclose(output);
}

void rig_kill_daemon(struct guardian_rig *rig)
{
	end(rig->daemon);
	rig->daemon = 0;
}

int rig_guardian_ends(struct guardian_rig *rig)
{
	int status;

	assert_int_equal(waitpid(rig->guardian, &status, 0), rig->guardian);
	rig->guardian = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool has_heard(struct fake *fake, const char *text)
{
	g_autofree char *all = heard(fake);

	return strstr(all, text);
}

void rig_wait_heard(struct fake *fake, const char *text)
{
	RUN_UNTIL(has_heard(fake, text));
}

void rig_assert_heard(struct fake *fake, const char *text)
{
	g_autofree char *all = heard(fake);

	assert_string_equal(all, text);
}

void rig_will_spare(struct guardian_rig *rig, int which, uint64_t usable_bytes)
{
	g_free(rig->stats);
	rig->stats = g_strdup_printf("\"return\": {\"stats\": {\"stat-available-memory\": "
				     "%" G_GUINT64_FORMAT "}, \"last-update\": " NOW "}",
				     usable_bytes);
	will_answer(rig->fakes[which], "qom-get " DEVICE " guest-stats", rig->stats);
}
