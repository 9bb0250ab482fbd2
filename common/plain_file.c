/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FIRST_ROOM 4096

static int check_kind(const struct stat *stat)
{
	if (S_ISREG(stat->st_mode) ||
	    (S_ISCHR(stat->st_mode) && stat->st_rdev == makedev(1, 3))) /* /dev/null */
		return 0;
	return S_ISDIR(stat->st_mode) ? -EISDIR : -ENOTSUP;
}

int plain_file_open(const char *path)
{
	struct stat stat;
	int fd, result;

	/* To open some devices has an effect, so that the kind is looked at before, too. */
	result = fstatat(AT_FDCWD, path, &stat, 0) ? -errno : check_kind(&stat);
	if (result)
		return result;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	result = fstat(fd, &stat) ? -errno : check_kind(&stat);
	if (!result)
		return fd;
	close(fd);
	return result;
}

/* Doubles @text, of *@room bytes.  False: there is no memory, and @text is still valid. */
static bool grow_text(char **text, size_t *room, size_t most)
{
	size_t more = *room ? *room * 2 : FIRST_ROOM;
	char *grown;

	if (more > most)
		more = most;
	grown = realloc(*text, more);
	if (!grown)
		return false;
	*text = grown;
	*room = more;
	return true;
}

/* Reads until the end, or one byte more than @max_bytes.  Returns 0 or an errno. */
static int read_all(int fd, size_t max_bytes, char **text, size_t *length)
{
	size_t room = 0;
	ssize_t n;

	*length = 0;
	for (;;) {
		/* Room for the NUL, and for the byte that is too many. */
		if (*length + 1 >= room && !grow_text(text, &room, max_bytes + 2))
			return ENOMEM;
		n = read(fd, *text + *length, room - *length - 1);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			*length += (size_t)n;
		if (n == 0 || *length > max_bytes)
			break;
	}
	(*text)[*length] = '\0';
	return *length > max_bytes ? EFBIG : 0;
}

char *plain_file_read(const char *path, size_t max_bytes, size_t *length, int *error)
{
	int fd = plain_file_open(path);
	char *text = NULL;
	size_t read_bytes;

	if (fd < 0) {
		*error = -fd;
		return NULL;
	}
	*error = read_all(fd, max_bytes, &text, &read_bytes);
	close(fd);
	if (*error) {
		free(text);
		return NULL;
	}
	if (length)
		*length = read_bytes;
	return text;
}

const char *plain_file_error_text(int error)
{
	switch (error) {
	case EISDIR:
		return "it is a folder; name a file";
	case ENOTSUP:
		return "it is a FIFO, socket or device; name a regular file";
	case EFBIG:
		return "the file is too large";
	default:
		return strerror(error);
	}
}
