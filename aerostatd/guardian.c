/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostatd/guardian.h"

#include "aerostatd/keep.h"
#include "aerostatd/log.h"
#include "aerostatd/put_back.h"
#include "common/size.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISMISSED 'd'
/* A daemon that dies closes its pipe a moment before it gives up its lock. */
#define LOCK_MS 2000
#define DISMISS_MS 1000
#define POLL_MS 20
/* A guardian that lived for so long is started again at once; others ever later. */
#define PAUSE_MAX_S 60

/*
 * The daemon's side
 */

struct guardian {
	char *program, *folder;
	pid_t pid;    /* 0: it has ended */
	int ends[2];  /* of the pipe.  The reading one is kept so that a write never fails. */
	guint source; /* the watch of its end, or the timer of its next start */
	int64_t started_us;
	unsigned int pause_s;
};

/*
 * In the child, before it becomes the guardian: what ends a daemon (systemd's SIGTERM to
 * its whole group, a terminal that closes) must not end the one who cleans up behind it.
 */
static void stand_apart(void *unused)
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

static void on_end(GPid pid, int status, void *data);

static bool start(struct guardian *guardian, GError **error)
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
		    stand_apart, NULL, guardian->ends[0], -1, -1, NULL, NULL, 0, &guardian->pid,
		    NULL, NULL, NULL, error)) {
		close_pipe(guardian);
		return false;
	}
	guardian->source = g_child_watch_add(guardian->pid, on_end, guardian);
	return true;
}

static gboolean start_again(void *data)
{
	struct guardian *guardian = data;
	g_autoptr(GError) error = NULL;

	guardian->source = 0;
	if (start(guardian, &error))
		return G_SOURCE_REMOVE;
	manager_log(LOG_ERR, "no guardian, who would put guests back if this process died: %s",
		    error->message);
	guardian->source = g_timeout_add(PAUSE_MAX_S * 1000, start_again, guardian);
	return G_SOURCE_REMOVE;
}

static void on_end(GPid pid, int status, void *data)
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
	manager_log(LOG_WARNING, "the guardian (pid %d) has ended (%s); another starts in %u s",
		    (int)pid, why ? why->message : "exit code 0", guardian->pause_s);
	guardian->source = g_timeout_add(guardian->pause_s * 1000, start_again, guardian);
}

static void guardian_free(struct guardian *guardian)
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
	if (!start(guardian, error))
		g_clear_pointer(&guardian, guardian_free);
	return guardian;
}

pid_t guardian_pid(const struct guardian *guardian)
{
	return guardian->pid;
}

void guardian_dismiss(struct guardian *guardian)
{
	int64_t deadline = hv_deadline_ms(DISMISS_MS);
	const char word = DISMISSED;

	if (!guardian)
		return;
	g_clear_handle_id(&guardian->source, g_source_remove);
	if (guardian->pid && write(guardian->ends[1], &word, 1) == 1) {
		close_pipe(guardian);
		/* One that is stopped reads its dismissal when it wakes up. */
		while (waitpid(guardian->pid, NULL, WNOHANG) == 0 &&
		       g_get_monotonic_time() < deadline)
			g_usleep(POLL_MS * 1000);
	}
	guardian_free(guardian);
}

/*
 * The guardian
 */

/* Waits for the end of the daemon; false when it dismissed us before. */
static bool daemon_died(void)
{
	char word;
	ssize_t length;

	do
		length = read(STDIN_FILENO, &word, 1);
	while ((length < 0 && errno == EINTR) || (length > 0 && word != DISMISSED));
	return length <= 0;
}

int guardian_main(const char *folder)
{
	g_autoptr(GError) error = NULL;
	unsigned int missing = 0;
	int lock;

	stand_apart(NULL);
	if (!daemon_died())
		return 0;
	lock = keep_lock(folder, LOCK_MS, &error);
	if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN))
		return 0;
	if (lock >= 0) {
		manager_log(LOG_WARNING, "aerostatd has died: its guests are put back");
		missing = guardian_restore(folder, &error);
		close(lock);
	}
	if (error)
		manager_log(LOG_ERR, "guests are not put back: %s", error->message);
	return error || missing;
}

/*
 * Putting guests back
 */

enum outcome {
	OUTCOME_BACK,
	OUTCOME_GONE, /* it does not run any more, at least not in that process */
	OUTCOME_FAILED,
};

struct job {
	const struct keep_guest *guest;
	GThread *thread;
	enum outcome outcome;
	GError *error; /* with OUTCOME_FAILED */
};

static hv_guest *open_guest(const struct keep_guest *guest)
{
	if (g_str_equal(guest->source, "qmp"))
		return hv_qmp_open(guest->address +
				   (g_str_has_prefix(guest->address, "qmp:") ? 4 : 0));
	return hv_libvirt_open(guest->source, guest->uuid ? guest->uuid : guest->address);
}

static bool is_same(const struct keep_guest *guest, const struct hv_info *info)
{
	if (!keep_same_process(guest, info->pid))
		return false;
	if (guest->pid && info->pid)
		return true;
	return guest->uuid && info->uuid ? g_str_equal(guest->uuid, info->uuid)
					 : g_str_equal(guest->name, info->name);
}

static bool put_back(const struct keep_guest *guest, bool *gone, GError **error)
{
	int64_t deadline = hv_deadline_ms(GUARDIAN_RESTORE_MS);
	g_autoptr(hv_guest) reached = open_guest(guest);
	g_auto(hv_info) info = { 0 };

	if (!hv_guest_info(reached, deadline, &info, error))
		return false;
	*gone = !is_same(guest, &info);
	return *gone || put_back_guest(reached, deadline, &info, guest->before_bytes,
				       guest->before_period_s, error);
}

static void *run_job(void *data)
{
	struct job *job = data;
	bool gone;

	if (put_back(job->guest, &gone, &job->error))
		job->outcome = gone ? OUTCOME_GONE : OUTCOME_BACK;
	else if (g_error_matches(job->error, HV_ERROR, HV_ERROR_NOT_FOUND) ||
		 g_error_matches(job->error, HV_ERROR, HV_ERROR_NOT_RUNNING) ||
		 !keep_same_process(job->guest, 0))
		job->outcome = OUTCOME_GONE;
	else
		job->outcome = OUTCOME_FAILED;
	return NULL;
}

static void log_outcome(const struct job *job)
{
	g_autofree char *before = size_format(job->guest->before_bytes);
	const char *name = job->guest->name;

	switch (job->outcome) {
	case OUTCOME_BACK:
		manager_log(LOG_INFO, "%s: put back to %s", name, before);
		break;
	case OUTCOME_GONE:
		manager_log(LOG_INFO, "%s: ended meanwhile, nothing to put back", name);
		break;
	case OUTCOME_FAILED:
		manager_log(LOG_ERR, "%s: not put back to %s: %s", name, before,
			    job->error->message);
		break;
	}
}

/* Into @left goes @guest as it is to be remembered, if it is. */
static void remember(GPtrArray *left, const struct keep_guest *guest, enum outcome outcome)
{
	struct keep_guest *copy;

	if (outcome != OUTCOME_FAILED && (outcome == OUTCOME_GONE || guest->mode < 0))
		return;
	copy = keep_guest_copy(guest);
	copy->changed = guest->changed && outcome == OUTCOME_FAILED;
	g_ptr_array_add(left, copy);
}

/* All of @guests at once.  Returns how many failed. */
static unsigned int restore_all(const GPtrArray *guests, GPtrArray *left)
{
	g_autofree struct job *jobs = g_new0(struct job, guests->len);
	unsigned int failed = 0;

	for (guint i = 0; i < guests->len; i++) {
		jobs[i].guest = g_ptr_array_index(guests, i);
		if (jobs[i].guest->changed)
			jobs[i].thread = g_thread_new("restore", run_job, &jobs[i]);
	}
	for (guint i = 0; i < guests->len; i++) {
		if (jobs[i].thread) {
			g_thread_join(jobs[i].thread);
			log_outcome(&jobs[i]);
		}
		failed += jobs[i].outcome == OUTCOME_FAILED;
		remember(left, jobs[i].guest, jobs[i].outcome);
		g_clear_error(&jobs[i].error);
	}
	return failed;
}

unsigned int guardian_restore(const char *folder, GError **error)
{
	g_autoptr(GPtrArray) guests = keep_load(folder, error);
	g_autoptr(GPtrArray) left = g_ptr_array_new_with_free_func((GDestroyNotify)keep_guest_free);
	unsigned int failed;

	if (!guests)
		return 1;
	failed = restore_all(guests, left);
	return keep_save(folder, left, error) ? failed : MAX(failed, 1);
}
