/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's kernel: modules, disks and swap.  All of it may block, and runs
 * in the worker.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

bool load_modules(const char *name)
{
	char path[128], file[256];
	FILE *list;
	bool ok = true;

	snprintf(path, sizeof(path), "/lab/%s.modules", name);
	list = fopen(path, "re");
	if (!list)
		return false;
	while (ok && fgets(file, sizeof(file), list)) {
		int fd;

		file[strcspn(file, "\n")] = '\0';
		fd = open(file, O_RDONLY | O_CLOEXEC);
		ok = fd >= 0 && (!syscall(SYS_finit_module, fd, "", 0) || errno == EEXIST);
		if (!ok)
			fprintf(stderr, "init: cannot load %s: %m\n", file);
		if (fd >= 0)
			close(fd);
	}
	fclose(list);
	return ok;
}

void work_load(unsigned int id, char *name)
{
	if (load_modules(name))
		say(id, 0, "loaded %s", name);
	else
		say_errno(id, name);
}

void work_unload(unsigned int id, char *name)
{
	if (!syscall(SYS_delete_module, name, 0))
		say(id, 0, "unloaded %s", name);
	else
		say_errno(id, name);
}

int open_disk(const char *serial, char *path, size_t size)
{
	for (char letter = 'a'; letter <= 'h'; letter++) {
		char sysfs[64], found[32];

		snprintf(sysfs, sizeof(sysfs), "/sys/block/vd%c/serial", letter);
		read_line(sysfs, found, sizeof(found));
		if (!strcmp(found, serial)) {
			snprintf(path, size, "/dev/vd%c", letter);
			return open(path, O_RDWR | O_CLOEXEC);
		}
	}
	errno = ENODEV;
	return -1;
}

/* The header that mkswap(8) writes, see union swap_header in the kernel. */
static bool make_swap(int fd)
{
	static char page[PAGE];
	off_t bytes = lseek(fd, 0, SEEK_END);
	uint32_t version = 1, last_page = bytes / PAGE - 1;

	memcpy(page + 1024, &version, 4);
	memcpy(page + 1028, &last_page, 4);
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	return pwrite(fd, page, PAGE, 0) == PAGE && !fsync(fd);
}

static int open_zram(const char *mib, char *path, size_t size)
{
	char bytes[32];

	snprintf(path, size, "/dev/zram0");
	snprintf(bytes, sizeof(bytes), "%sM", mib);
	if (!load_modules("zram") || !write_file("/sys/block/zram0/disksize", bytes))
		return -1;
	return open(path, O_RDWR | O_CLOEXEC);
}

void work_swap(unsigned int id, char *args)
{
	char action[4] = "", kind[8] = "", mib[16] = "", path[32] = "/dev/zram0";
	bool zram, ok;
	int fd = -1;

	sscanf(args, "%3s %7s %15s", action, kind, mib);
	zram = !strcmp(kind, "zram");
	if (!strcmp(action, "on")) {
		fd = zram ? open_zram(mib, path, sizeof(path))
			  : open_disk("swap", path, sizeof(path));
		ok = fd >= 0 && make_swap(fd) && !swapon(path, 0);
	} else {
		if (!zram)
			fd = open_disk("swap", path, sizeof(path));
		ok = !swapoff(path);
	}
	if (ok)
		say(id, 0, "swap %s %s", action, path);
	else
		say_errno(id, path);
	if (fd >= 0)
		close(fd);
	if (ok && zram && strcmp(action, "on"))
		write_file("/sys/block/zram0/reset", "1");
}
