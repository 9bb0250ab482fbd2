/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds memory in the guest.
 *
 * Theory of operation
 * -------------------
 * anon: a child process with a pattern in its pages, the OOM killer's first choice.
 * tmpfs: a file written by the worker, with no process to kill.
 * cache: clean page cache of a pattern that was written to the scratch disk.
 *
 * The slots are taken and freed under a lock.  Only the main thread handles holds
 * of kind anon, and only the worker handles those of files.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024 * 1024ULL)
#define PAGE_WORDS (PAGE / sizeof(uint64_t))

enum hold_kind {
	HOLD_NONE, /* a free slot */
	HOLD_NEW,  /* taken, being filled */
	HOLD_ANON,
	HOLD_TMPFS,
	HOLD_CACHE,
};

struct hold {
	char name[32];
	enum hold_kind kind;
	uint64_t bytes;
	int fd;		    /* anon: socket to the holder; else the file */
	uint64_t offset;    /* cache: where on the scratch disk */
	pid_t pid;	    /* anon: 0 once it is dead */
	int wait_status;    /* anon: how it died */
	unsigned int asked; /* anon: the request that waits for an answer, 0 none */
};

/* The result of one pass over held memory; filling an anon hold is a pass over new pages. */
struct pass {
	uint64_t ms;
	uint64_t bad_pages;
};

static struct hold holds[HOLDS];
static pthread_mutex_t holds_lock = PTHREAD_MUTEX_INITIALIZER;

/* The pattern in held memory: no two words are equal, and it cannot be compressed. */

static uint64_t pattern(uint64_t page, unsigned int word)
{
	uint64_t z = (page * PAGE_WORDS + word + 1) * 0x9e3779b97f4a7c15ULL;

	return (z ^ z >> 32) * 0xd6e8feb86659fd93ULL;
}

static void fill_page(uint64_t *words, uint64_t page)
{
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		words[i] = pattern(page, i);
}

static bool check_page(const uint64_t *words, uint64_t page, unsigned int step)
{
	for (unsigned int i = 0; i < PAGE_WORDS; i += step)
		if (words[i] != pattern(page, i))
			return false;
	return true;
}

/* Touches a page of new memory, and returns whether 8 of its words are zero. */
static bool take_page(uint64_t *words)
{
	bool zero = true;

	*(volatile uint64_t *)words = 0; /* otherwise reads see the kernel's shared zero page */
	for (unsigned int i = 1; i < PAGE_WORDS; i += PAGE_WORDS / 8)
		zero = zero && !words[i];
	return zero;
}

/* A quick pass checks 8 words per page, a full one checks all. */
static unsigned int pass_step(const char *how)
{
	return strcmp(how, "full") ? PAGE_WORDS / 8 : 1;
}

static struct hold *find_hold(const char *name)
{
	struct hold *found = NULL;

	pthread_mutex_lock(&holds_lock);
	for (int i = 0; i < HOLDS && !found; i++)
		if (holds[i].kind && !strcmp(holds[i].name, name))
			found = &holds[i];
	pthread_mutex_unlock(&holds_lock);
	return found;
}

/* Takes a free slot for a new hold; NULL with errno if that is not possible. */
static struct hold *take_hold(const char *name)
{
	struct hold *hold = NULL;

	errno = EEXIST;
	if (find_hold(name))
		return NULL;
	errno = ENOSPC;
	pthread_mutex_lock(&holds_lock);
	for (int i = 0; i < HOLDS && !hold; i++)
		if (!holds[i].kind)
			hold = &holds[i];
	if (hold) {
		*hold = (struct hold){ .kind = HOLD_NEW };
		snprintf(hold->name, sizeof(hold->name), "%s", name);
	}
	pthread_mutex_unlock(&holds_lock);
	return hold;
}

static void set_hold(struct hold *hold, enum hold_kind kind)
{
	pthread_mutex_lock(&holds_lock);
	hold->kind = kind;
	pthread_mutex_unlock(&holds_lock);
}

/* Runs an anon holder: fills the memory, then makes one pass per byte received. */
static _Noreturn void be_holder(int fd, uint64_t bytes)
{
	uint64_t pages = bytes / PAGE;
	struct pass pass = { 0 };
	int64_t start = now_ms();
	uint64_t *memory;
	char how;

	write_file("/proc/self/oom_score_adj", "1000");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		_exit(1);
	for (uint64_t p = 0; p < pages; p++) {
		pass.bad_pages += !take_page(memory + p * PAGE_WORDS);
		fill_page(memory + p * PAGE_WORDS, p);
	}
	do {
		pass.ms = now_ms() - start;
		write_all(fd, &pass, sizeof(pass));
		if (read(fd, &how, 1) != 1)
			_exit(0);
		pass.bad_pages = 0;
		start = now_ms();
		for (uint64_t p = 0; p < pages; p++)
			pass.bad_pages += !check_page(memory + p * PAGE_WORDS, p, how);
	} while (true);
}

static void hold_anon(unsigned int id, struct hold *hold, uint64_t bytes)
{
	int ends[2] = { -1, -1 };

	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		hold->pid = fork();
	else
		hold->pid = -1;
	if (!hold->pid)
		be_holder(ends[1], bytes);
	if (hold->pid < 0) {
		say_errno(id, "hold");
		close(ends[0]);
		set_hold(hold, HOLD_NONE);
	} else {
		hold->fd = ends[0];
		hold->bytes = bytes;
		hold->asked = id;
		set_hold(hold, HOLD_ANON);
	}
	close(ends[1]);
}

static void say_pass(unsigned int id, const struct hold *hold, const struct pass *pass)
{
	say(id, 0, "alive=1 mib=%llu ms=%llu bad_pages=%llu",
	    (unsigned long long)(hold->bytes / MIB), (unsigned long long)pass->ms,
	    (unsigned long long)pass->bad_pages);
}

static void say_dead(unsigned int id, const struct hold *hold)
{
	say(id, 0, "alive=0 mib=%llu signal=%d", (unsigned long long)(hold->bytes / MIB),
	    WIFSIGNALED(hold->wait_status) ? WTERMSIG(hold->wait_status) : 0);
}

/* A holder wrote the result of a pass, or is dying, which hold_reaped() handles. */
static void holder_event(struct hold *hold)
{
	struct pass pass;

	if (read(hold->fd, &pass, sizeof(pass)) == sizeof(pass)) {
		say_pass(hold->asked, hold, &pass);
		hold->asked = 0;
	} else {
		close(hold->fd);
		hold->fd = -1;
	}
}

bool hold_reaped(pid_t pid, int wait_status)
{
	for (int i = 0; i < HOLDS; i++) {
		struct hold *hold = &holds[i];

		if (hold->kind != HOLD_ANON || hold->pid != pid)
			continue;
		if (hold->fd >= 0)
			close(hold->fd);
		hold->pid = 0;
		hold->wait_status = wait_status;
		if (hold->asked)
			say_dead(hold->asked, hold);
		hold->asked = 0;
		return true;
	}
	return false;
}

/* The offset for the next cache hold, behind all others. */
static uint64_t scratch_end(void)
{
	uint64_t end = 0;

	for (int i = 0; i < HOLDS; i++)
		if (holds[i].kind == HOLD_CACHE && holds[i].offset + holds[i].bytes > end)
			end = holds[i].offset + holds[i].bytes;
	return end;
}

static int open_held_file(const char *name, enum hold_kind kind)
{
	char path[64];

	if (kind == HOLD_CACHE)
		return open_disk("scratch", path, sizeof(path));
	snprintf(path, sizeof(path), "/hold/%s", name);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static uint64_t block[64 * 1024 / sizeof(uint64_t)]; /* the worker's */

static bool fill_file(int fd, uint64_t offset, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block); i += PAGE)
			fill_page(&block[i / 8], (at + i) / PAGE);
		if (pwrite(fd, block, sizeof(block), offset + at) != sizeof(block))
			return false;
	}
	return !fsync(fd);
}

/* "NAME MIB KIND" */
static void work_hold_file(unsigned int id, char *args)
{
	char name[32], word[8];
	struct pass pass = { 0 };
	int64_t start = now_ms();
	enum hold_kind kind;
	struct hold *hold;
	unsigned long long mib;

	sscanf(args, "%31s %llu %7s", name, &mib, word);
	kind = strcmp(word, "cache") ? HOLD_TMPFS : HOLD_CACHE;
	hold = take_hold(name);
	if (!hold) {
		say_errno(id, name);
		return;
	}
	hold->bytes = mib * MIB;
	hold->offset = kind == HOLD_CACHE ? scratch_end() : 0;
	hold->fd = open_held_file(name, kind);
	if (hold->fd < 0 || !fill_file(hold->fd, hold->offset, hold->bytes)) {
		say_errno(id, name);
		if (kind == HOLD_TMPFS)
			ftruncate(hold->fd, 0);
		close(hold->fd);
		set_hold(hold, HOLD_NONE);
		return;
	}
	set_hold(hold, kind);
	pass.ms = now_ms() - start;
	say_pass(id, hold, &pass);
}

/* "NAME HOW" */
static void work_touch_file(unsigned int id, char *args)
{
	char *name = strtok(args, " "), *how = strtok(NULL, " ");
	struct hold *hold = find_hold(name);
	struct pass pass = { 0 };
	int64_t start = now_ms();

	if (!hold) {
		say(id, ENOENT, "nothing is held as %s", name);
		return;
	}
	for (uint64_t at = 0; at < hold->bytes; at += sizeof(block)) {
		if (pread(hold->fd, block, sizeof(block), hold->offset + at) != sizeof(block)) {
			say_errno(id, name);
			return;
		}
		for (size_t i = 0; i < sizeof(block); i += PAGE)
			pass.bad_pages +=
				!check_page(&block[i / 8], (at + i) / PAGE, pass_step(how));
	}
	pass.ms = now_ms() - start;
	say_pass(id, hold, &pass);
}

static void work_release_file(unsigned int id, char *name)
{
	struct hold *hold = find_hold(name);
	char path[64];

	if (!hold) {
		say(id, ENOENT, "nothing is held as %s", name);
		return;
	}
	if (hold->kind == HOLD_CACHE) {
		posix_fadvise(hold->fd, hold->offset, hold->bytes, POSIX_FADV_DONTNEED);
	} else {
		snprintf(path, sizeof(path), "/hold/%s", name);
		unlink(path);
	}
	close(hold->fd);
	set_hold(hold, HOLD_NONE);
	say(id, 0, "released %s", name);
}

void do_hold(unsigned int id, char *args)
{
	char name[32], kind[8] = "";
	unsigned long long mib;
	struct hold *hold;

	if (sscanf(args, "%31s %llu %7s", name, &mib, kind) != 3 || !mib) {
		say(id, EINVAL, "usage: hold NAME MIB anon|cache|tmpfs");
		return;
	}
	if (!strcmp(kind, "cache") || !strcmp(kind, "tmpfs")) {
		defer(id, work_hold_file, args);
		return;
	}
	hold = take_hold(name);
	if (hold)
		hold_anon(id, hold, mib * MIB);
	else
		say_errno(id, name);
}

void do_touch(unsigned int id, char *args)
{
	char name[32] = "", how[8] = "quick", line[48];
	struct hold *hold;
	char step;

	sscanf(args, "%31s %7s", name, how);
	hold = find_hold(name);
	if (hold && hold->kind == HOLD_ANON) {
		step = pass_step(how);
		if (hold->asked) {
			say(id, EBUSY, "%s is being touched already", name);
		} else if (!hold->pid) {
			say_dead(id, hold);
		} else {
			hold->asked = id;
			write_all(hold->fd, &step, 1);
		}
		return;
	}
	snprintf(line, sizeof(line), "%s %s", name, how);
	defer(id, work_touch_file, line);
}

void do_release(unsigned int id, char *name)
{
	struct hold *hold = find_hold(name);

	if (!hold || hold->kind != HOLD_ANON) {
		defer(id, work_release_file, name);
		return;
	}
	if (hold->pid) {
		kill(hold->pid, SIGKILL);
		waitpid(hold->pid, NULL, 0);
		if (hold->fd >= 0)
			close(hold->fd);
	}
	if (hold->asked)
		say(hold->asked, ECANCELED, "%s was released", name);
	set_hold(hold, HOLD_NONE);
	say(id, 0, "released %s", name);
}

void hold_poll(struct pollfd *fds)
{
	for (int i = 0; i < HOLDS; i++) {
		bool holder = holds[i].kind == HOLD_ANON && holds[i].pid;

		fds[i] = (struct pollfd){ .fd = holder ? holds[i].fd : -1, .events = POLLIN };
	}
}

void hold_events(const struct pollfd *fds)
{
	for (int i = 0; i < HOLDS; i++)
		if (fds[i].revents)
			holder_event(&holds[i]);
}
