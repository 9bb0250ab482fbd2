/* SPDX-License-Identifier: BSD-3-Clause */
#include "resize/target_file.h"

#include <unistd.h>

/* $XDG_RUNTIME_DIR/aerostat, or /run/aerostat; NULL if it cannot be created. */
static char *make_target_folder(void)
{
	const char *runtime = g_getenv("XDG_RUNTIME_DIR");
	g_autofree char *folder = g_build_filename(runtime ? runtime : "/run", "aerostat", NULL);

	return g_mkdir_with_parents(folder, 0755) == 0 ? g_steal_pointer(&folder) : NULL;
}

void target_file_write(struct target_file *file, const hv_guest *guest, const hv_info *info,
		       uint64_t target_bytes)
{
	g_autofree char *folder = make_target_folder();
	g_autofree char *name = NULL;

	*file = (struct target_file){ 0 };
	if (!folder)
		return;
	name = g_compute_checksum_for_string(G_CHECKSUM_SHA256,
					     info->uuid ? info->uuid : guest->address, -1);
	file->path = g_strdup_printf("%s/%.32s.target", folder, name);
	file->text = g_strdup_printf("%" G_GUINT64_FORMAT " %d %" G_GINT64_FORMAT "\n",
				     target_bytes, (int)getpid(), g_get_monotonic_time());
	if (!g_file_set_contents(file->path, file->text, -1, NULL))
		g_clear_pointer(&file->path, g_free);
}

bool target_file_is_current(const struct target_file *file, uint64_t *newer_bytes)
{
	g_autofree char *text = NULL;

	if (!file->path || !g_file_get_contents(file->path, &text, NULL, NULL))
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
