/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/unix_listener.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#define SOCKET_LISTENS 0x10000ul /* __SO_ACCEPTCON in the flags of /proc/net/unix */

/* The link text "socket:[INODE]" of the socket that listens on @path; NULL when none does. */
static char *find_listener_inode(const char *path)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents("/proc/net/unix", &text, NULL, NULL))
		return NULL;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		unsigned long flags, inode;
		int name = 0;

		/* Num: RefCount Protocol Flags Type St Inode Path */
		if (sscanf(*line, "%*s %*x %*x %lx %*x %*x %lu %n", &flags, &inode, &name) == 2 &&
		    name && flags & SOCKET_LISTENS && g_str_equal(*line + name, path))
			return g_strdup_printf("socket:[%lu]", inode);
	}
	return NULL;
}

static bool has_process_socket(const char *pid, const char *inode)
{
	g_autofree char *fds = g_strdup_printf("/proc/%s/fd", pid);
	g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
	const char *fd;

	while (dir && (fd = g_dir_read_name(dir))) {
		g_autofree char *link = g_build_filename(fds, fd, NULL);
		g_autofree char *target = g_file_read_link(link, NULL);

		if (g_strcmp0(target, inode) == 0)
			return true;
	}
	return false;
}

bool unix_listener_exists(const char *path)
{
	g_autofree char *inode = find_listener_inode(path);

	return inode;
}

pid_t unix_listener_find_pid(const char *path)
{
	g_autofree char *inode = find_listener_inode(path);
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	const char *name;

	while (inode && dir && (name = g_dir_read_name(dir)))
		if (g_ascii_isdigit(*name) && has_process_socket(name, inode))
			return atoi(name);
	return 0;
}
