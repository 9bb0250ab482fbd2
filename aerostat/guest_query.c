/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat/guest_query.h"

static void guest_reply_free(gpointer data)
{
	struct guest_reply *one = data;

	hv_guest_close(one->guest);
	hv_info_clear(&one->info);
	g_clear_error(&one->error);
	g_free(one);
}

/* A thread: asks one guest. */
static gpointer query_guest(gpointer data)
{
	struct guest_reply *one = data;
	int64_t deadline = hv_deadline_ms(CALL_MS);

	if (hv_guest_info(one->guest, deadline, &one->info, &one->error) && one->has_stats)
		one->has_stats = hv_guest_stats_get(one->guest, deadline, &one->stats, NULL);
	else
		one->has_stats = false;
	return NULL;
}

static void query_all_guests(GPtrArray *all, bool with_stats)
{
	g_autofree GThread **threads = g_new(GThread *, all->len);

	for (guint i = 0; i < all->len; i++) {
		struct guest_reply *one = all->pdata[i];

		one->has_stats = with_stats;
		threads[i] = g_thread_try_new("query", query_guest, one, NULL);
	}
	/* Those for which no thread could be started are asked one after the other. */
	for (guint i = 0; i < all->len; i++)
		if (threads[i])
			g_thread_join(threads[i]);
		else
			query_guest(all->pdata[i]);
}

static GPtrArray *find_named_guests(struct context *ctx, char **names, int *code)
{
	g_autoptr(GPtrArray) guests =
		g_ptr_array_new_with_free_func((GDestroyNotify)hv_guest_close);

	for (; *names; names++) {
		g_autoptr(GError) error = NULL;
		hv_guest *guest =
			hv_find(&ctx->sources, *names, hv_deadline_ms(CALL_MS), NULL, &error);

		if (!guest) {
			*code = cli_fail(ctx, error);
			return NULL;
		}
		g_ptr_array_add(guests, guest);
	}
	return g_steal_pointer(&guests);
}

static GPtrArray *find_all_guests(struct context *ctx, bool all, int *code)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) guests =
		hv_list(&ctx->sources, all, hv_deadline_ms(CALL_MS), problems);

	if (!guests->len && problems->len) {
		*code = cli_fail_with(ctx, EXIT_UNREACHABLE, "%s", (char *)problems->pdata[0]);
		return NULL;
	}
	for (guint i = 0; i < problems->len; i++)
		cli_warn(ctx, "%s", (char *)problems->pdata[i]);
	return g_steal_pointer(&guests);
}

GPtrArray *query_guests(struct context *ctx, char **names, bool all, bool with_stats, int *code)
{
	g_autoptr(GPtrArray) guests = names && *names ? find_named_guests(ctx, names, code)
						      : find_all_guests(ctx, all, code);
	GPtrArray *gathered;

	if (!guests)
		return NULL;
	gathered = g_ptr_array_new_with_free_func(guest_reply_free);
	while (guests->len) {
		struct guest_reply *one = g_new0(struct guest_reply, 1);

		one->guest = g_ptr_array_steal_index(guests, 0);
		g_ptr_array_add(gathered, one);
	}
	query_all_guests(gathered, with_stats);
	return gathered;
}

bool has_guest_namesake(const GPtrArray *guests, const struct guest_reply *one)
{
	for (guint i = 0; i < guests->len; i++) {
		const struct guest_reply *other = guests->pdata[i];

		if (other != one && one->info.name && !g_strcmp0(other->info.name, one->info.name))
			return true;
	}
	return false;
}
