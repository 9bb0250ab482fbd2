/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat list: all guests and their memory. */
#include <stdio.h>
#include <string.h>

#include "aerostat/guest_query.h"
#include "aerostat/verbs.h"
#include "common/plain_text.h"
#include "common/size.h"

static char *list_size_cell(uint64_t bytes)
{
	return bytes == HV_UNSET ? g_strdup("-") : size_format(bytes);
}

static const char *list_driver_cell(const hv_info *info)
{
	if (!info->has_balloon)
		return "no balloon";
	switch (info->driver) {
	case HV_DRIVER_READY:
		return "ready";
	case HV_DRIVER_ABSENT:
		return "no driver";
	case HV_DRIVER_UNKNOWN:
		break;
	}
	return info->state == HV_STATE_RUNNING ? "not known" : "-";
}

static const char *list_guest_name(const struct guest_reply *one)
{
	return one->error ? one->guest->address : one->info.name;
}

/* Where it was found; of guests of equal names also which of them it is. */
static char *list_via_cell(const struct guest_reply *one, bool has_namesake)
{
	g_autofree char *source = plain_text(one->guest->source);

	if (!has_namesake)
		return g_steal_pointer(&source);
	if (!strcmp(one->guest->source, "qmp"))
		return g_strdup(one->guest->address);
	return g_strdup_printf("%s uuid:%s", source, one->info.uuid);
}

static void print_list_row(const struct guest_reply *one, int name_width, bool has_namesake)
{
	const hv_info *info = &one->info;
	g_autofree char *id = info->id > 0 ? g_strdup_printf("%d", info->id) : g_strdup("-");
	g_autofree char *max = list_size_cell(info->max_bytes);
	g_autofree char *actual = list_size_cell(info->actual_bytes);
	g_autofree char *via = list_via_cell(one, has_namesake);

	if (one->error)
		printf(" %-4s  %-*s  no answer: %s\n", "-", name_width, list_guest_name(one),
		       hv_error_reason(one->error, list_guest_name(one)));
	else
		printf(" %-4s  %-*s  %-9s  %10s  %10s  %-10s  %s\n", id, name_width, info->name,
		       hv_state_name(info->state), max, actual, list_driver_cell(info), via);
}

static void print_list_table(const GPtrArray *guests)
{
	int name_width = 4;

	for (guint i = 0; i < guests->len; i++)
		name_width =
			MAX(name_width, (int)g_utf8_strlen(list_guest_name(guests->pdata[i]), -1));
	printf(" %-4s  %-*s  %-9s  %10s  %10s  %-10s  %s\n", "Id", name_width, "Name", "State",
	       "Max", "Current", "Driver", "Via");
	for (guint i = 0; i < guests->len; i++)
		print_list_row(guests->pdata[i], name_width,
			       has_guest_namesake(guests, guests->pdata[i]));
}

static json_t *list_row_json(const struct guest_reply *one)
{
	const hv_info *info = &one->info;

	if (one->error)
		return json_pack("{s:s, s:o, s:s}", "address", one->guest->address, "source",
				 cli_json_string(one->guest->source), "error", one->error->message);
	return json_pack("{s:s, s:o, s:s, s:o, s:i, s:s, s:o, s:o, s:b, s:s}", "name", info->name,
			 "uuid", cli_json_string(info->uuid), "address", one->guest->address,
			 "source", cli_json_string(one->guest->source), "id", info->id, "state",
			 hv_state_name(info->state), "max_bytes", cli_json_bytes(info->max_bytes),
			 "actual_bytes", cli_json_bytes(info->actual_bytes), "balloon",
			 info->has_balloon, "driver", list_driver_cell(info));
}

static void print_list_json(const GPtrArray *guests)
{
	json_t *rows = json_array();

	for (guint i = 0; i < guests->len; i++)
		json_array_append_new(rows, list_row_json(guests->pdata[i]));
	cli_print_json(rows);
}

static void drop_running_guests(GPtrArray *guests)
{
	for (guint i = guests->len; i-- > 0;) {
		const struct guest_reply *one = guests->pdata[i];

		if (one->error || one->info.state != HV_STATE_SHUTOFF)
			g_ptr_array_remove_index(guests, i);
	}
}

static int run_list(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	gboolean all = FALSE, inactive = FALSE, names_only = FALSE, uuids_only = FALSE;
	const GOptionEntry entries[] = { { "all", 'a', 0, G_OPTION_ARG_NONE, &all,
					   "include guests that are shut off", NULL },
					 { "inactive", 0, 0, G_OPTION_ARG_NONE, &inactive,
					   "list only guests that are shut off", NULL },
					 { "name", 0, 0, G_OPTION_ARG_NONE, &names_only,
					   "print only the names, for scripts", NULL },
					 { "uuid", 0, 0, G_OPTION_ARG_NONE, &uuids_only,
					   "print only the UUIDs, for scripts", NULL },
					 { NULL } };
	g_autoptr(GPtrArray) guests = NULL;
	g_auto(GStrv) args = NULL;
	int code;

	if (!verb_parse(ctx, verb, entries, argc, argv, 0, 0, &args, &code))
		return code;
	guests = query_guests(ctx, NULL, all || inactive, false, &code);
	if (!guests)
		return code;
	if (inactive)
		drop_running_guests(guests);
	if (ctx->json) {
		print_list_json(guests);
	} else if (names_only || uuids_only) {
		for (guint i = 0; i < guests->len; i++) {
			const struct guest_reply *one = guests->pdata[i];

			puts(uuids_only && one->info.uuid ? one->info.uuid : list_guest_name(one));
		}
	} else {
		print_list_table(guests);
	}
	return EXIT_DONE;
}

const struct verb verb_list = {
	.name = "list",
	.args = "",
	.summary = "list guests and their memory",
	.details = "Lists the running guests of every source: the libvirt connections and QMP "
		   "sockets given by\n"
		   "-c URI, --qmp GLOB or the configuration. Max is the RAM at boot, Current what "
		   "the guest has now,\n"
		   "Driver whether a balloon driver is at work in it.",
	.examples = "  aerostat list --all\n"
		    "  aerostat -c qemu:///session --qmp '/run/vms/*.qmp' list\n"
		    "  aerostat list --json | jq -r '.[].name'\n",
	.run = run_list,
};
