/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to the guest's kernel: modules, disks, swap and kexec.  All of them may block, so
 * they run in the worker.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define MODULES_MAX 16
#define MODULE_PATH_MAX 128
#define COMMAND_LINE_MAX 1024

static bool load_module(const char *file, const char *params)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && !syscall(SYS_finit_module, fd, params, 0);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return ok;
}

static size_t list_modules(const char *name, char files[MODULES_MAX][MODULE_PATH_MAX])
{
	char path[128];
	FILE *list;
	size_t n = 0;

	snprintf(path, sizeof(path), "/lab/%s.modules", name);
	list = fopen(path, "re");
	if (!list)
		return 0;
	while (n < MODULES_MAX && fgets(files[n], MODULE_PATH_MAX, list)) {
		files[n][strcspn(files[n], "\n")] = '\0';
		n++;
	}
	fclose(list);
	return n;
}

bool load_modules(const char *name, const char *params)
{
	char files[MODULES_MAX][MODULE_PATH_MAX];
	size_t n = list_modules(name, files);

	if (!n)
		errno = ENOENT;
	for (size_t i = 0; i < n; i++) {
		const char *its = params && i == n - 1 ? params : NULL;

		if (load_module(files[i], its ? its : "") || (errno == EEXIST && !its))
			continue;
		fprintf(stderr, "init: cannot load %s: %m\n", files[i]);
		return false;
	}
	return n > 0;
}

void work_load(unsigned int id, char *args)
{
	char *params = args + strcspn(args, " ");

	if (*params)
		*params++ = '\0';
	if (load_modules(args, params))
		say(id, 0, "loaded %s", args);
	else
		say_errno(id, args);
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
	if (!load_modules("zram", NULL) || !write_file("/sys/block/zram0/disksize", bytes))
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

static bool load_kernel(const char *kernel, const char *initrd)
{
	int kernel_fd = open(kernel, O_RDONLY | O_CLOEXEC);
	int initrd_fd = open(initrd, O_RDONLY | O_CLOEXEC);
	char line[COMMAND_LINE_MAX];
	int error;
	bool ok;

	read_line("/proc/cmdline", line, sizeof(line));
	ok = kernel_fd >= 0 && initrd_fd >= 0 &&
	     !syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(line) + 1, line, 0);
	error = errno;
	if (kernel_fd >= 0)
		close(kernel_fd);
	if (initrd_fd >= 0)
		close(initrd_fd);
	errno = error;
	return ok;
}

void work_kexec(unsigned int id, char *args)
{
	char *kernel = strtok(args, " "), *initrd = strtok(NULL, " ");

	if (!kernel || !initrd) {
		say(id, EINVAL, "usage: kexec KERNEL INITRD");
		return;
	}
	if (!load_kernel(kernel, initrd)) {
		say_errno(id, kernel);
		return;
	}
	say(id, 0, "bye");
	tcdrain(channel);
	reboot(RB_KEXEC);
}
