/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/safe_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 16
#define LOCK_WAIT_MS 5000
#define LOCK_POLL_MS 10

/* A walk along a path. */
struct walk {
	int fd;		     /* the folder that has been reached */
	char rest[PATH_MAX]; /* what is left of the path */
	unsigned int links;  /* that were followed */
};

static bool is_trusted(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

/* Continues at @fd, or where open() failed. */
static int step_to(struct walk *walk, int fd)
{
	int error = fd < 0 ? -errno : 0;

	if (fd < 0)
		return error;
	if (walk->fd >= 0)
		close(walk->fd);
	walk->fd = fd;
	return 0;
}

static int start_walk(struct walk *walk)
{
	return step_to(walk,
		       open(*walk->rest == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Moves the first component of the rest to @name; false when there is none. */
static bool take_component(struct walk *walk, char *name, size_t size)
{
	const char *from = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(from, "/");

	if (!length || length >= size)
		return false;
	memcpy(name, from, length);
	name[length] = '\0';
	memmove(walk->rest, from + length, strlen(from + length) + 1);
	return true;
}

/* Puts the target of the link @fd before the rest. */
static int follow_link(struct walk *walk, int fd)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t length = readlinkat(fd, "", target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	target[length] = '\0';
	strcpy(rest, walk->rest);
	if (snprintf(walk->rest, sizeof(walk->rest), "%s/%s", target, rest) >=
	    (int)sizeof(walk->rest))
		return -ENAMETOOLONG;
	return *target == '/' ? start_walk(walk) : 0;
}

static int open_component(const struct walk *walk, const char *name, unsigned int flags)
{
	int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT || !(flags & SAFE_FOLDER_CREATE))
		return fd;
	if (mkdirat(walk->fd, name, 0755) && errno != EEXIST)
		return -1;
	return openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int walk_component(struct walk *walk, const char *name, unsigned int flags)
{
	int fd = open_component(walk, name, flags);
	struct stat found;
	int error;

	if (fd < 0 || fstat(fd, &found)) {
		error = -errno;
	} else if (S_ISDIR(found.st_mode)) {
		return step_to(walk, fd);
	} else if (!S_ISLNK(found.st_mode)) {
		error = -ENOTDIR;
	} else {
		error = is_trusted(found.st_uid) ? follow_link(walk, fd) : -ELOOP;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

static int check_owner(int fd)
{
	struct stat found;

	if (fstat(fd, &found))
		return -errno;
	return is_trusted(found.st_uid) && !(found.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

int safe_folder_open(const char *path, unsigned int flags)
{
	struct walk walk = { .fd = -1 };
	char name[NAME_MAX + 1];
	int error;

	if (strlen(path) >= sizeof(walk.rest))
		return -ENAMETOOLONG;
	strcpy(walk.rest, path);
	error = start_walk(&walk);
	while (!error && take_component(&walk, name, sizeof(name)))
		error = walk_component(&walk, name, flags);
	if (!error && walk.rest[strspn(walk.rest, "/")])
		error = -ENAMETOOLONG;
	if (!error && flags & SAFE_FOLDER_OWN)
		error = check_owner(walk.fd);
	if (!error)
		return walk.fd;
	if (walk.fd >= 0)
		close(walk.fd);
	return error;
}

int safe_folder_lock(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int ms = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); ms += LOCK_POLL_MS) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || ms >= LOCK_WAIT_MS) {
			close(fd);
			return -1;
		}
		poll(NULL, 0, LOCK_POLL_MS);
	}
	return fd;
}

int safe_folder_of(const char *path, unsigned int flags, const char **name)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	*name = slash ? slash + 1 : path;
	if (!**name)
		return -EINVAL;
	if (*name - path >= (ptrdiff_t)sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, path, (size_t)(*name - path));
	folder[*name - path] = '\0';
	return safe_folder_open(folder, flags);
}
