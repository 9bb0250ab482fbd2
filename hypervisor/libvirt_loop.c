/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * libvirt's own loop (virEventRegisterDefaultImpl()) runs the default GMainContext,
 * which belongs to the program: from a second thread it would dispatch the
 * program's own sources there.  So we register our own, on a private context.
 *
 * libvirt refers to a file descriptor or timer (a struct watch) by a number, and
 * adds, changes and removes it from any thread.  A GSource can hardly be changed,
 * so a change replaces the source.  The loop's thread frees a removed watch, never
 * the thread that removes it: that one may hold locks which the free function
 * takes, and the watch's callback may be running.
 */
#include "hypervisor/libvirt_loop.h"

#include <errno.h>
#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct watch {
	int id;
	int fd;		 /* -1: a timer */
	GSource *source; /* NULL while disarmed */
	union {
		virEventHandleCallback on_fd;
		virEventTimeoutCallback on_time;
	};
	void *opaque;
	virFreeCallback free_opaque;
};

static GMainContext *context;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *watches; /* id -> struct watch, under lock */
static int last_id;	    /* under lock */

static int to_libvirt_events(GIOCondition condition)
{
	return (condition & G_IO_IN ? VIR_EVENT_HANDLE_READABLE : 0) |
	       (condition & G_IO_OUT ? VIR_EVENT_HANDLE_WRITABLE : 0) |
	       (condition & (G_IO_ERR | G_IO_NVAL) ? VIR_EVENT_HANDLE_ERROR : 0) |
	       (condition & G_IO_HUP ? VIR_EVENT_HANDLE_HANGUP : 0);
}

static GIOCondition to_glib_condition(int events)
{
	return (events & VIR_EVENT_HANDLE_READABLE ? G_IO_IN : 0) |
	       (events & VIR_EVENT_HANDLE_WRITABLE ? G_IO_OUT : 0) |
	       (events & VIR_EVENT_HANDLE_ERROR ? G_IO_ERR : 0) |
	       (events & VIR_EVENT_HANDLE_HANGUP ? G_IO_HUP : 0);
}

static gboolean dispatch_libvirt_fd(int fd, GIOCondition condition, void *data)
{
	struct watch *watch = data;

	watch->on_fd(watch->id, fd, to_libvirt_events(condition), watch->opaque);
	return G_SOURCE_CONTINUE;
}

static gboolean dispatch_libvirt_timeout(void *data)
{
	struct watch *watch = data;

	watch->on_time(watch->id, watch->opaque);
	return G_SOURCE_CONTINUE;
}

static void libvirt_watch_disarm(struct watch *watch)
{
	if (!watch->source)
		return;
	g_source_destroy(watch->source);
	g_clear_pointer(&watch->source, g_source_unref);
}

/* @when: events of a file descriptor (0: none), or a timer's milliseconds (-1: off). */
static void libvirt_watch_arm(struct watch *watch, int when)
{
	libvirt_watch_disarm(watch);
	if (when == (watch->fd >= 0 ? 0 : -1))
		return;
	if (watch->fd >= 0) {
		watch->source = g_unix_fd_source_new(watch->fd, to_glib_condition(when));
		g_source_set_callback(watch->source, G_SOURCE_FUNC(dispatch_libvirt_fd), watch,
				      NULL);
	} else {
		watch->source = g_timeout_source_new(when);
		g_source_set_callback(watch->source, dispatch_libvirt_timeout, watch, NULL);
	}
	g_source_attach(watch->source, context);
}

static int libvirt_watch_add(struct watch *watch, int when)
{
	int id;

	pthread_mutex_lock(&lock);
	id = watch->id = ++last_id;
	g_hash_table_insert(watches, GINT_TO_POINTER(id), watch);
	libvirt_watch_arm(watch, when);
	pthread_mutex_unlock(&lock);
	return id;
}

static void libvirt_watch_update(int id, int when)
{
	struct watch *watch;

	pthread_mutex_lock(&lock);
	watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
	if (watch)
		libvirt_watch_arm(watch, when);
	pthread_mutex_unlock(&lock);
}

static gboolean libvirt_watch_free(void *data)
{
	struct watch *watch = data;

	if (watch->free_opaque)
		watch->free_opaque(watch->opaque);
	g_free(watch);
	return G_SOURCE_REMOVE;
}

static int libvirt_watch_remove(int id)
{
	struct watch *watch;
	GSource *idle;

	pthread_mutex_lock(&lock);
	watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
	if (watch) {
		g_hash_table_remove(watches, GINT_TO_POINTER(id));
		libvirt_watch_disarm(watch);
	}
	pthread_mutex_unlock(&lock);
	if (!watch)
		return -1;

	idle = g_idle_source_new();
	g_source_set_callback(idle, libvirt_watch_free, watch, NULL);
	g_source_attach(idle, context);
	g_source_unref(idle);
	return 0;
}

static int libvirt_loop_add_handle(int fd, int events, virEventHandleCallback callback,
				   void *opaque, virFreeCallback free_opaque)
{
	struct watch *watch = g_new0(struct watch, 1);

	*watch = (struct watch){ .fd = fd, .opaque = opaque, .free_opaque = free_opaque };
	watch->on_fd = callback;
	return libvirt_watch_add(watch, events);
}

static int libvirt_loop_add_timeout(int milliseconds, virEventTimeoutCallback callback,
				    void *opaque, virFreeCallback free_opaque)
{
	struct watch *watch = g_new0(struct watch, 1);

	*watch = (struct watch){ .fd = -1, .opaque = opaque, .free_opaque = free_opaque };
	watch->on_time = callback;
	return libvirt_watch_add(watch, milliseconds);
}

static void *run_libvirt_loop(void *data)
{
	for (;;)
		g_main_context_iteration(context, TRUE);
	return data;
}

/* Each call reports its own error; by default libvirt prints it, too. */
static void ignore_libvirt_error(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

/* GLib ends the process if it has no descriptor for a new context. */
static bool has_free_descriptor(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Returns 0, or an errno. */
static int libvirt_loop_init(void)
{
	g_autoptr(GThread) thread = NULL;

	if (!context && !has_free_descriptor())
		return errno;
	if (!context)
		context = g_main_context_new();
	thread = g_thread_try_new("libvirt", run_libvirt_loop, NULL, NULL);
	if (!thread)
		return EAGAIN;
	watches = g_hash_table_new(NULL, NULL);
	virSetErrorFunc(NULL, ignore_libvirt_error);
	virEventRegisterImpl(libvirt_loop_add_handle, libvirt_watch_update, libvirt_watch_remove,
			     libvirt_loop_add_timeout, libvirt_watch_update, libvirt_watch_remove);
	virInitialize();
	return 0;
}

int libvirt_loop_start(void)
{
	static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
	static bool started;
	int error = 0;

	pthread_mutex_lock(&starting);
	if (!started)
		error = libvirt_loop_init();
	started |= !error;
	pthread_mutex_unlock(&starting);
	return error;
}
