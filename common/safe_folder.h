/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Folders in which this process creates files and sockets.
 *
 * Theory of operation
 * -------------------
 * A program that runs as root, or for one of several users, must not write where
 * another user wants it to.  Two things lead it there: a symbolic link, and a
 * variable such as XDG_RUNTIME_DIR that sudo or su has kept.  So a path is walked
 * component by component.  A symbolic link is followed only if root or this user
 * made it, and a folder that nobody chose on purpose must belong to root or this
 * user and be writable by nobody else.  Files are then opened relative to the
 * folder's descriptor, with O_NOFOLLOW.
 */
#ifndef AEROSTAT_COMMON_SAFE_FOLDER_H
#define AEROSTAT_COMMON_SAFE_FOLDER_H

enum safe_folder_flags {
	SAFE_FOLDER_CREATE = 1, /* make the components that do not exist, with mode 0755 */
	SAFE_FOLDER_OWN = 2,	/* it must be ours, or root's, and writable by nobody else */
};

/*
 * safe_folder_open - open the folder at @path
 *
 * Returns an O_PATH descriptor; or -ELOOP when a symbolic link of another user is
 * on the way, -EPERM when the folder is another user's (SAFE_FOLDER_OWN), or what
 * the system reported.
 */
int safe_folder_open(const char *path, unsigned int flags);

/*
 * safe_folder_of - open the folder that contains the file at @path
 * @name: set to the file's name in it, which points into @path
 *
 * As safe_folder_open(); -EINVAL when @path names no file.
 */
int safe_folder_of(const char *path, unsigned int flags, const char **name);

/*
 * safe_folder_lock - lock a folder while a listening socket is created in it
 * @folder: an open folder
 *
 * Between bind() and listen() a socket refuses connections, as one does that a dead process left
 * behind.  So the lock is held from the look at what is there to listen(), or two programs that
 * start at the same time remove each other's sockets.  Anybody who may read the folder can hold
 * it, so it is waited for no longer than 5 s.
 *
 * Returns a descriptor, which holds the lock until it is closed; -1: the folder cannot be read, or
 * is locked for too long.
 */
int safe_folder_lock(int folder);

#endif
