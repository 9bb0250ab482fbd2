/* SPDX-License-Identifier: BSD-3-Clause */
#include "resize/target_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/plain_file.h"
#include "common/safe_folder.h"
#include "hypervisor/shortage.h"

#define TEXT_MAX 100 /* bytes */

/*
 * $XDG_RUNTIME_DIR/aerostat, or /run/aerostat; NULL if neither can be used.  sudo may have kept
 * another user's XDG_RUNTIME_DIR, in which root must not write.  A shortage is no reason to use
 * the second one, where others may have asked for sizes of other guests of the same UUID.
 */
static char *make_target_folder(int *fd)
{
	const char *runtime = g_getenv("XDG_RUNTIME_DIR");
	const char *const candidates[] = { runtime ? runtime : "", "/run" };

	for (size_t i = 0; i < G_N_ELEMENTS(candidates); i++) {
		g_autofree char *folder = g_build_filename(candidates[i], "aerostat", NULL);

		if (*candidates[i] != '/')
			continue;
		*fd = safe_folder_open(candidates[i], SAFE_FOLDER_OWN);
		if (*fd >= 0) {
			close(*fd);
			*fd = safe_folder_open(folder, SAFE_FOLDER_CREATE | SAFE_FOLDER_OWN);
		}
		if (*fd >= 0)
			return g_steal_pointer(&folder);
		if (shortage_is_errno(-*fd))
			return NULL;
	}
	return NULL;
}

/* Replaces the file @name in @folder, so that a reader sees all of the old or the new text. */
static bool replace_file(int folder, const char *name, const char *text)
{
	g_autofree char *draft = g_strdup_printf("%s.%d", name, (int)getpid());
	int fd = openat(folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	ok = ok && renameat(folder, draft, folder, name) == 0;
	if (!ok)
		unlinkat(folder, draft, 0);
	return ok;
}

void target_file_write(struct target_file *file, const hv_guest *guest, const hv_info *info,
		       uint64_t target_bytes)
{
	int fd;
	g_autofree char *folder = make_target_folder(&fd);
	g_autofree char *sum = NULL;
	g_autofree char *name = NULL;

	*file = (struct target_file){ 0 };
	if (!folder)
		return;
	sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256,
					    info->uuid ? info->uuid : guest->address, -1);
	name = g_strdup_printf("%.32s.target", sum);
	file->path = g_build_filename(folder, name, NULL);
	file->text = g_strdup_printf("%" G_GUINT64_FORMAT " %d %" G_GINT64_FORMAT "\n",
				     target_bytes, (int)getpid(), g_get_monotonic_time());
	if (!replace_file(fd, name, file->text))
		g_clear_pointer(&file->path, g_free);
	close(fd);
}

bool target_file_is_current(const struct target_file *file, uint64_t *newer_bytes)
{
	g_autofree char *text = NULL;
	int reason;

	if (file->path)
		text = plain_file_read(file->path, TEXT_MAX, NULL, &reason);
	if (!text)
		return true;
	if (g_str_equal(text, file->text))
		return true;
	*newer_bytes = g_ascii_strtoull(text, NULL, 10);
	return false;
}

void target_file_clear(struct target_file *file)
{
	g_clear_pointer(&file->path, g_free);
	g_clear_pointer(&file->text, g_free);
}
