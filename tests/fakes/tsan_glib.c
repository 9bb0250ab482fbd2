/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What GLib's locks and event sources order, for ThreadSanitizer; loaded with LD_PRELOAD.
 *
 * Theory of operation
 * -------------------
 * ThreadSanitizer sees an order between two threads only where it sees how it is made.  The
 * distribution's GLib is not instrumented, and its GMutex is a futex of its own, so everything that
 * a GMutex guards, and everything that one thread hands to another in a GSource, would be reported.
 *
 * The functions here take the place of GLib's, call them, and report the order: what happened
 * before an unlock is seen after the next lock of the same mutex; what happened before a callback
 * was set is seen by the callback; what happened before a reference was given up is seen by whoever
 * gives up the last.  Nothing else is hidden: an access outside the lock is still a race.
 */
#include <dlfcn.h>
#include <glib.h>
#include <sanitizer/tsan_interface.h>

#define REAL(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

void(g_mutex_lock)(GMutex *mutex)
{
	REAL(g_mutex_lock)(mutex);
	__tsan_acquire(mutex);
}

void(g_mutex_unlock)(GMutex *mutex)
{
	__tsan_release(mutex);
	REAL(g_mutex_unlock)(mutex);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
	__tsan_release(mutex);
	REAL(g_cond_wait)(cond, mutex);
	__tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
	gboolean signalled;

	__tsan_release(mutex);
	signalled = REAL(g_cond_wait_until)(cond, mutex, end_time);
	__tsan_acquire(mutex);
	return signalled;
}

void(g_atomic_ref_count_inc)(gatomicrefcount *count)
{
	REAL(g_atomic_ref_count_inc)(count);
}

gboolean(g_atomic_ref_count_dec)(gatomicrefcount *count)
{
	gboolean last;

	__tsan_release(count);
	last = REAL(g_atomic_ref_count_dec)(count);
	if (last)
		__tsan_acquire(count);
	return last;
}

struct callback {
	GSourceFunc function;
	void *data;
	GDestroyNotify notify;
};

static gboolean call_function(void *data)
{
	struct callback *callback = data;

	__tsan_acquire(callback);
	return callback->function(callback->data);
}

static void call_notify(void *data)
{
	struct callback *callback = data;

	__tsan_acquire(callback);
	if (callback->notify)
		callback->notify(callback->data);
	g_free(callback);
}

/* Only of idle sources: the functions of others may have other arguments. */
void g_source_set_callback(GSource *source, GSourceFunc function, gpointer data,
			   GDestroyNotify notify)
{
	struct callback *callback;

	if (source->source_funcs != &g_idle_funcs) {
		REAL(g_source_set_callback)(source, function, data, notify);
		return;
	}
	callback = g_new(struct callback, 1);
	*callback = (struct callback){ function, data, notify };
	__tsan_release(callback);
	REAL(g_source_set_callback)(source, call_function, callback, call_notify);
}

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
	__tsan_release(data);
	REAL(g_async_queue_push)(queue, data);
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout)
{
	void *data = REAL(g_async_queue_timeout_pop)(queue, timeout);

	if (data)
		__tsan_acquire(data);
	return data;
}
