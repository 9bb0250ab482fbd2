/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A shortage that is not there, for the program that loads this library with LD_PRELOAD.
 *
 * Theory of operation
 * -------------------
 * FAKE_SHORTAGE=CLASS:FIRST:COUNT makes the calls of one class fail from the FIRST-th on, COUNT
 * of them, as they do when the process is short of something:
 *
 *   open    open(), openat(), opendir(), and what glob() opens: EMFILE
 *   socket  socket(), accept(), pipe2(), eventfd(): EMFILE; connect(): ENOBUFS
 *   thread  fork(), pthread_create(): EAGAIN
 *   memory  malloc(), calloc(), realloc(): ENOMEM
 *   disk    write() to a file, fsync(): ENOSPC; rename(): EIO
 *
 * Calls are counted from the start of the program, in all threads together; what libc does for
 * itself is not counted.  Each failure is reported on standard error.  FAKE_SHORTAGE_COUNTS=PATH
 * has the number of calls of each class written to PATH at the end.
 *
 * Both variables are removed from the environment, so that children are spared.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum shortage { SHORT_OPEN, SHORT_SOCKET, SHORT_THREAD, SHORT_MEMORY, SHORT_DISK, SHORTAGES };

static const char *const class_names[] = { "open", "socket", "thread", "memory", "disk" };

static atomic_ulong calls[SHORTAGES];
static struct {
	bool ready;
	int shortage; /* -1: none */
	unsigned long first, count;
	char counts_path[512];
} plan = { .shortage = -1 };

#define REAL(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

__attribute__((constructor)) static void read_plan(void)
{
	const char *text = getenv("FAKE_SHORTAGE"), *path = getenv("FAKE_SHORTAGE_COUNTS");
	char name[16];

	if (text && sscanf(text, "%15[a-z]:%lu:%lu", name, &plan.first, &plan.count) == 3)
		for (int i = 0; i < SHORTAGES; i++)
			if (!strcmp(name, class_names[i]))
				plan.shortage = i;
	snprintf(plan.counts_path, sizeof(plan.counts_path), "%s", path ? path : "");
	unsetenv("FAKE_SHORTAGE");
	unsetenv("FAKE_SHORTAGE_COUNTS");
	plan.ready = true;
}

__attribute__((destructor)) static void write_counts(void)
{
	char text[256];
	int length = 0, fd;

	if (!*plan.counts_path)
		return;
	plan.shortage = -1;
	for (int i = 0; i < SHORTAGES; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "%s %lu\n",
				   class_names[i], atomic_load(&calls[i]));
	fd = REAL(open)(plan.counts_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0) {
		(void)!REAL(write)(fd, text, (size_t)length);
		close(fd);
	}
}

/* Counts one call.  True, with errno @number, if it is to fail. */
static bool fail_call(enum shortage shortage, const char *function, int number)
{
	unsigned long call;
	char line[128];
	int length;

	if (!plan.ready)
		return false;
	call = atomic_fetch_add(&calls[shortage], 1) + 1;
	if ((int)shortage != plan.shortage || call < plan.first || call - plan.first >= plan.count)
		return false;
	length = snprintf(line, sizeof(line), "fake shortage: %s %lu, %s()\n",
			  class_names[shortage], call, function);
	(void)!REAL(write)(STDERR_FILENO, line, (size_t)length);
	errno = number;
	return true;
}

/*
 * Files
 */

#define DEFINE_OPEN(function)                                                                      \
	int function(const char *path, int flags, ...)                                             \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list arguments;                                                                 \
                                                                                                   \
		va_start(arguments, flags);                                                        \
		if (flags & (O_CREAT | O_TMPFILE))                                                 \
			mode = va_arg(arguments, mode_t);                                          \
		va_end(arguments);                                                                 \
		return fail_call(SHORT_OPEN, #function, EMFILE)                                    \
			       ? -1                                                                \
			       : REAL(function)(path, flags, mode);                                \
	}
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(function)                                                                    \
	int function(int folder, const char *path, int flags, ...)                                 \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
		va_list arguments;                                                                 \
                                                                                                   \
		va_start(arguments, flags);                                                        \
		if (flags & (O_CREAT | O_TMPFILE))                                                 \
			mode = va_arg(arguments, mode_t);                                          \
		va_end(arguments);                                                                 \
		return fail_call(SHORT_OPEN, #function, EMFILE)                                    \
			       ? -1                                                                \
			       : REAL(function)(folder, path, flags, mode);                        \
	}
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

DIR *opendir(const char *path)
{
	return fail_call(SHORT_OPEN, "opendir", EMFILE) ? NULL : REAL(opendir)(path);
}

static void *open_glob_folder(const char *path)
{
	return opendir(path);
}

static void close_glob_folder(void *folder)
{
	closedir(folder);
}

static struct dirent64 *read_glob_folder(void *folder)
{
	return readdir64(folder);
}

int glob64(const char *restrict pattern, int flags, int (*on_error)(const char *path, int number),
	   glob64_t *restrict found)
{
	found->gl_opendir = open_glob_folder;
	found->gl_closedir = close_glob_folder;
	found->gl_readdir = read_glob_folder;
	found->gl_stat = stat64;
	found->gl_lstat = lstat64;
	return REAL(glob64)(pattern, flags | GLOB_ALTDIRFUNC, on_error, found);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	struct stat st;
	bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd != STDERR_FILENO;

	return is_file && fail_call(SHORT_DISK, "write", ENOSPC) ? -1
								 : REAL(write)(fd, bytes, length);
}

int fsync(int fd)
{
	return fail_call(SHORT_DISK, "fsync", ENOSPC) ? -1 : REAL(fsync)(fd);
}

int rename(const char *from, const char *to)
{
	return fail_call(SHORT_DISK, "rename", EIO) ? -1 : REAL(rename)(from, to);
}

/*
 * Descriptors
 */

int socket(int domain, int type, int protocol)
{
	return fail_call(SHORT_SOCKET, "socket", EMFILE) ? -1
							 : REAL(socket)(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return fail_call(SHORT_SOCKET, "connect", ENOBUFS) ? -1
							   : REAL(connect)(fd, address, length);
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
	return fail_call(SHORT_SOCKET, "accept", EMFILE) ? -1 : REAL(accept)(fd, address, length);
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags)
{
	return fail_call(SHORT_SOCKET, "accept4", EMFILE)
		       ? -1
		       : REAL(accept4)(fd, address, length, flags);
}

int pipe2(int fds[2], int flags)
{
	return fail_call(SHORT_SOCKET, "pipe2", EMFILE) ? -1 : REAL(pipe2)(fds, flags);
}

int eventfd(unsigned int value, int flags)
{
	return fail_call(SHORT_SOCKET, "eventfd", EMFILE) ? -1 : REAL(eventfd)(value, flags);
}

/*
 * Processes and threads
 */

pid_t fork(void)
{
	return fail_call(SHORT_THREAD, "fork", EAGAIN) ? -1 : REAL(fork)();
}

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
		   void *(*start)(void *data), void *restrict data)
{
	return fail_call(SHORT_THREAD, "pthread_create", EAGAIN)
		       ? EAGAIN
		       : REAL(pthread_create)(thread, attributes, start, data);
}

/*
 * Memory
 */

void *malloc(size_t size)
{
	return fail_call(SHORT_MEMORY, "malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fail_call(SHORT_MEMORY, "calloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fail_call(SHORT_MEMORY, "realloc", ENOMEM) ? NULL : __libc_realloc(old, size);
}
