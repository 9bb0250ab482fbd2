/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/claim.h"

#include <unistd.h>

/* $XDG_RUNTIME_DIR/aerostat, or /run/aerostat for root. */
static char *claim_folder(void)
{
	const char *runtime = g_getenv("XDG_RUNTIME_DIR");
	g_autofree char *folder = g_build_filename(runtime ? runtime : "/run", "aerostat", NULL);

	return g_mkdir_with_parents(folder, 0755) == 0 ? g_steal_pointer(&folder) : NULL;
}

void claim_take(struct claim *claim, const hv_guest *guest, const hv_info *info,
		uint64_t target_bytes)
{
	g_autofree char *folder = claim_folder();
	g_autofree char *file = NULL;

	*claim = (struct claim){ 0 };
	if (!folder)
		return;
	file = g_compute_checksum_for_string(G_CHECKSUM_SHA256,
					     info->uuid ? info->uuid : guest->address, -1);
	claim->path = g_strdup_printf("%s/%.32s.target", folder, file);
	claim->text = g_strdup_printf("%" G_GUINT64_FORMAT " %d %" G_GINT64_FORMAT "\n",
				      target_bytes, (int)getpid(), g_get_monotonic_time());
	if (!g_file_set_contents(claim->path, claim->text, -1, NULL))
		g_clear_pointer(&claim->path, g_free);
}

bool claim_stands(const struct claim *claim, uint64_t *newer_bytes)
{
	g_autofree char *text = NULL;

	if (!claim->path || !g_file_get_contents(claim->path, &text, NULL, NULL))
		return true;
	if (g_str_equal(text, claim->text))
		return true;
	*newer_bytes = g_ascii_strtoull(text, NULL, 10);
	return false;
}

void claim_clear(struct claim *claim)
{
	g_clear_pointer(&claim->path, g_free);
	g_clear_pointer(&claim->text, g_free);
}
