/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/guardian.h"

#include "aerostatd/log.h"
#include "aerostatd/restore.h"
#include "aerostatd/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISMISS_BYTE 'd'
/* The pipe of a daemon that dies is closed a moment before its lock is released. */
#define LOCK_WAIT_MS 2000
#define DISMISS_WAIT_MS 1000
#define POLL_MS 20
/* The longest pause before a guardian is started again.  The pause doubles each time, and is
 * reset by a guardian that lived for longer than this. */
#define PAUSE_MAX_S 60

/*
 * In the daemon
 */

struct guardian {
	char *program, *folder;
	pid_t pid;    /* 0: it has ended */
	int ends[2];  /* of the pipe; the reading end is kept so that a write never fails */
	guint source; /* the child watch, or the timer of the next start */
	int64_t started_us;
	unsigned int pause_s;
};

/*
 * In the child, before it becomes the guardian.  What ends the daemon (systemd's SIGTERM to its
 * whole group, a terminal that closes) must not end the process that cleans up after it.
 */
static void detach_from_daemon(void *unused)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };

	(void)unused;
	setsid();
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		signal(signals[i], SIG_IGN);
}

static void close_pipe(struct guardian *guardian)
{
	for (int i = 0; i < 2; i++)
		if (guardian->ends[i] >= 0)
			close(guardian->ends[i]);
	guardian->ends[0] = guardian->ends[1] = -1;
}

static void on_guardian_exit(GPid pid, int status, void *data);

static bool start_process(struct guardian *guardian, GError **error)
{
	const char *const argv[] = { guardian->program, "aerostatd",	  "--guard",
				     "--folder",	guardian->folder, NULL };

	if (pipe2(guardian->ends, O_CLOEXEC) < 0) {
		g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno),
			    "cannot make a pipe: %s", g_strerror(errno));
		return false;
	}
	guardian->started_us = g_get_monotonic_time();
	if (!g_spawn_async_with_pipes_and_fds(
		    NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_FILE_AND_ARGV_ZERO,
		    detach_from_daemon, NULL, guardian->ends[0], -1, -1, NULL, NULL, 0,
		    &guardian->pid, NULL, NULL, NULL, error)) {
		close_pipe(guardian);
		return false;
	}
	guardian->source = g_child_watch_add(guardian->pid, on_guardian_exit, guardian);
	return true;
}

static gboolean restart_process(void *data)
{
	struct guardian *guardian = data;
	g_autoptr(GError) error = NULL;

	guardian->source = 0;
	if (start_process(guardian, &error))
		return G_SOURCE_REMOVE;
	manager_log(LOG_ERR,
		    "no guardian, so guests would not be restored if this process died: %s",
		    error->message);
	guardian->source = g_timeout_add(PAUSE_MAX_S * 1000, restart_process, guardian);
	return G_SOURCE_REMOVE;
}

static void on_guardian_exit(GPid pid, int status, void *data)
{
	struct guardian *guardian = data;
	int64_t lived_us = g_get_monotonic_time() - guardian->started_us;
	g_autoptr(GError) why = NULL;

	guardian->pid = 0;
	close_pipe(guardian);
	if (lived_us >= PAUSE_MAX_S * G_USEC_PER_SEC)
		guardian->pause_s = 0;
	else
		guardian->pause_s = CLAMP(2 * guardian->pause_s, 1, PAUSE_MAX_S);
	g_spawn_check_wait_status(status, &why);
	manager_log(LOG_WARNING, "the guardian (pid %d) has ended (%s); starting another in %u s",
		    (int)pid, why ? why->message : "exit code 0", guardian->pause_s);
	guardian->source = g_timeout_add(guardian->pause_s * 1000, restart_process, guardian);
}

static void free_guardian(struct guardian *guardian)
{
	close_pipe(guardian);
	g_free(guardian->program);
	g_free(guardian->folder);
	g_free(guardian);
}

struct guardian *guardian_start(const char *program, const char *folder, GError **error)
{
	struct guardian *guardian = g_new0(struct guardian, 1);

	guardian->program = g_strdup(program);
	guardian->folder = g_strdup(folder);
	guardian->ends[0] = guardian->ends[1] = -1;
	if (!start_process(guardian, error))
		g_clear_pointer(&guardian, free_guardian);
	return guardian;
}

void guardian_dismiss(struct guardian *guardian)
{
	int64_t deadline = hv_deadline_ms(DISMISS_WAIT_MS);
	const char byte = DISMISS_BYTE;

	if (!guardian)
		return;
	g_clear_handle_id(&guardian->source, g_source_remove);
	if (guardian->pid && write(guardian->ends[1], &byte, 1) == 1) {
		close_pipe(guardian);
		/* One that is stopped (SIGSTOP) reads the byte later. */
		while (waitpid(guardian->pid, NULL, WNOHANG) == 0 &&
		       g_get_monotonic_time() < deadline)
			g_usleep(POLL_MS * 1000);
	}
	free_guardian(guardian);
}

/*
 * In the guardian
 */

/* Waits until the daemon dies; false if it dismissed us first. */
static bool wait_for_daemon_death(void)
{
	char byte;
	ssize_t length;

	do
		length = read(STDIN_FILENO, &byte, 1);
	while ((length < 0 && errno == EINTR) || (length > 0 && byte != DISMISS_BYTE));
	return length <= 0;
}

int guardian_main(const char *folder)
{
	g_autoptr(GError) error = NULL;
	unsigned int missing = 0;
	int lock;

	detach_from_daemon(NULL);
	if (!wait_for_daemon_death())
		return 0;
	lock = state_folder_lock(folder, LOCK_WAIT_MS, &error);
	if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN))
		return 0;
	if (lock >= 0) {
		manager_log(LOG_WARNING, "aerostatd has died; restoring its guests");
		missing = guardian_restore(folder, &error);
		close(lock);
	}
	if (error)
		manager_log(LOG_ERR, "guests are not restored: %s", error->message);
	return error || missing;
}

/*
 * Restoring guests
 */

struct restore_job {
	const struct saved_guest *guest;
	bool needed;
	GThread *thread; /* NULL: none is needed, or none could be started */
	enum restore_outcome outcome;
	GError *error; /* with RESTORE_FAILED */
};

static void *restore_one(void *data)
{
	struct restore_job *job = data;
	const struct saved_guest *saved = job->guest;
	g_autoptr(hv_guest) guest = restore_open_guest(saved);

	job->outcome =
		restore_guest(guest, saved, hv_deadline_ms(GUARDIAN_RESTORE_MS), NULL, &job->error);
	return NULL;
}

/* Restores @guests, all at once.  The entries that the file still needs are added to @left. */
static unsigned int restore_guests(const GPtrArray *guests, GPtrArray *left)
{
	g_autofree struct restore_job *jobs = g_new0(struct restore_job, guests->len);
	struct saved_guest *entry;
	unsigned int failed = 0;

	for (guint i = 0; i < guests->len; i++) {
		jobs[i].guest = g_ptr_array_index(guests, i);
		jobs[i].needed = restore_is_needed(jobs[i].guest);
		if (jobs[i].needed)
			jobs[i].thread = g_thread_try_new("restore", restore_one, &jobs[i], NULL);
	}
	for (guint i = 0; i < guests->len; i++) {
		if (jobs[i].thread)
			g_thread_join(jobs[i].thread);
		else if (jobs[i].needed)
			restore_one(&jobs[i]); /* no thread could be started */
		if (jobs[i].needed) {
			restore_log_outcome(jobs[i].guest, jobs[i].outcome, jobs[i].error);
		}
		failed += jobs[i].outcome == RESTORE_FAILED;
		entry = saved_guest_copy(jobs[i].guest);
		if (restore_update_entry(entry, jobs[i].outcome))
			g_ptr_array_add(left, entry);
		else
			saved_guest_free(entry);
		g_clear_error(&jobs[i].error);
	}
	return failed;
}

unsigned int guardian_restore(const char *folder, GError **error)
{
	g_autoptr(GPtrArray) guests = state_file_load(folder, error);
	g_autoptr(GPtrArray) left =
		g_ptr_array_new_with_free_func((GDestroyNotify)saved_guest_free);
	unsigned int failed;

	if (!guests)
		return 1;
	failed = restore_guests(guests, left);
	return state_file_save(folder, left, error) ? failed : MAX(failed, 1);
}
