/* SPDX-License-Identifier: BSD-3-Clause */
/* aerostat dominfo: show one guest's settings. */
#include <stdio.h>

#include "aerostat/daemon_text.h"
#include "aerostat/verbs.h"
#include "common/size.h"
#include "policy/floor.h"

static const char *on_off_text(int value)
{
	return value > 0 ? "on" : value == 0 ? "off" : "not known";
}

static const char *dominfo_driver_text(const hv_info *info)
{
	switch (info->driver) {
	case HV_DRIVER_READY:
		return "ready";
	case HV_DRIVER_ABSENT:
		return "none: the guest has not loaded virtio_balloon";
	case HV_DRIVER_UNKNOWN:
		break;
	}
	return "not known (to find out: aerostat dommemstat GUEST --period 1)";
}

static void print_dominfo_size(const char *key, uint64_t bytes)
{
	g_autofree char *text = NULL;

	if (bytes == HV_UNSET)
		return;
	text = size_format(bytes);
	printf("%-16s%" G_GUINT64_FORMAT " KiB (%s)\n", key, bytes / SIZE_KIB, text);
}

static void print_dominfo_line(const char *key, const char *value)
{
	if (value)
		printf("%-16s%s\n", key, value);
}

/* What it does by itself, which its device, driver and statistics show together. */
static void print_dominfo_loan(const hv_info *info, const struct hv_stats *stats)
{
	g_autofree char *abilities = format_abilities(hv_find_abilities(info, stats));

	print_dominfo_line("By itself:", *abilities ? abilities : "nothing that is known");
	print_dominfo_size("Trimmed:", stats->value[HV_STAT_TRIMMED]);
}

static void print_dominfo_text(const hv_guest *guest, const hv_info *info, uint64_t host_bytes,
			       const struct hv_stats *stats)
{

	if (info->id > 0)
		printf("%-16s%d\n", "Id:", info->id);
	else
		print_dominfo_line("Id:", "-");
	print_dominfo_line("Name:", info->name);
	print_dominfo_line("UUID:", info->uuid);
	print_dominfo_line("State:", hv_state_name(info->state));
	if (info->vcpus)
		printf("%-16s%u\n", "CPU(s):", info->vcpus);
	if (info->cpu_time_ns != HV_UNSET)
		printf("%-16s%.1fs\n", "CPU time:", (double)info->cpu_time_ns / 1e9);
	print_dominfo_size("Max memory:", info->max_bytes);
	print_dominfo_size("Used memory:", info->actual_bytes);
	if (info->config_max_bytes != info->max_bytes)
		print_dominfo_size("Next max:", info->config_max_bytes);
	print_dominfo_size("Next start:", info->config_bytes);
	print_dominfo_size("Floor:", floor_bytes(info->max_bytes));
	print_dominfo_size("Resident:", host_bytes);
	print_dominfo_line("Persistent:", info->persistent ? "yes" : "no");
	print_dominfo_line("Balloon:",
			   info->has_balloon ? "virtio"
					     : "none: its memory cannot be changed while it runs");
	if (info->has_balloon) {
		if (info->state == HV_STATE_RUNNING)
			print_dominfo_line("Driver:", dominfo_driver_text(info));
		print_dominfo_line("Deflate on OOM:", on_off_text(info->autodeflate));
		print_dominfo_line("Page reporting:", on_off_text(info->free_page_reporting));
		if (stats)
			print_dominfo_loan(info, stats);
	}
	if (info->pid)
		printf("%-16s%d\n", "PID:", (int)info->pid);
	print_dominfo_line("VMM:", info->version);
	print_dominfo_line("Via:", guest->source);
}

static json_t *abilities_json(unsigned int abilities)
{
	json_t *names = json_array();

	for (unsigned int bit = 0; bit < HV_ABILITIES; bit++)
		if (abilities & 1U << bit)
			json_array_append_new(names, json_string(hv_ability_name(bit)));
	return names;
}

static void print_dominfo_json(const hv_guest *guest, const hv_info *info, uint64_t host_bytes,
			       const struct hv_stats *stats)
{
	static const char *const drivers[] = { "unknown", "absent", "ready" };
	json_t *root = json_pack(
		"{s:s, s:o, s:s, s:o, s:i, s:s, s:i, s:i, s:o, s:o, s:o}", "name", info->name,
		"uuid", cli_json_string(info->uuid), "address", guest->address, "source",
		cli_json_string(guest->source), "id", info->id, "state", hv_state_name(info->state),
		"pid", (int)info->pid, "vcpus", (int)info->vcpus, "max_bytes",
		cli_json_bytes(info->max_bytes), "actual_bytes", cli_json_bytes(info->actual_bytes),
		"config_bytes", cli_json_bytes(info->config_bytes));

	json_object_set_new(root, "config_max_bytes", cli_json_bytes(info->config_max_bytes));
	json_object_set_new(root, "cpu_time_ns", cli_json_bytes(info->cpu_time_ns));
	json_object_set_new(root, "floor_bytes", cli_json_bytes(floor_bytes(info->max_bytes)));
	json_object_set_new(root, "host_bytes", cli_json_bytes(host_bytes));
	json_object_set_new(root, "persistent", json_boolean(info->persistent));
	json_object_set_new(root, "balloon", json_boolean(info->has_balloon));
	json_object_set_new(root, "driver", json_string(drivers[info->driver]));
	json_object_set_new(root, "deflate_on_oom", json_string(on_off_text(info->autodeflate)));
	json_object_set_new(root, "free_page_reporting",
			    json_string(on_off_text(info->free_page_reporting)));
	json_object_set_new(root, "abilities",
			    stats ? abilities_json(hv_find_abilities(info, stats)) : json_null());
	json_object_set_new(root, "trimmed_bytes",
			    cli_json_bytes(stats ? stats->value[HV_STAT_TRIMMED] : HV_UNSET));
	json_object_set_new(root, "version", cli_json_string(info->version));
	cli_print_json(root);
}

static int run_dominfo(struct context *ctx, const struct verb *verb, int argc, char **argv)
{
	g_auto(GStrv) args = NULL;
	g_autoptr(hv_guest) guest = NULL;
	g_auto(hv_info) info = { 0 };
	uint64_t host_bytes = HV_UNSET;
	struct hv_stats stats, *known = NULL;
	int code;

	if (!verb_parse(ctx, verb, NULL, argc, argv, 1, 1, &args, &code))
		return code;
	guest = context_open_guest(ctx, args[0], &info, &code);
	if (!guest)
		return code;
	if (info.pid && !hv_host_bytes(info.pid, &host_bytes, NULL))
		host_bytes = HV_UNSET;
	if (info.has_balloon && info.state == HV_STATE_RUNNING &&
	    hv_guest_stats_get(guest, hv_deadline_ms(CALL_MS), &stats, NULL))
		known = &stats;
	if (ctx->json)
		print_dominfo_json(guest, &info, host_bytes, known);
	else
		print_dominfo_text(guest, &info, host_bytes, known);
	return EXIT_DONE;
}

const struct verb verb_dominfo = {
	.name = "dominfo",
	.args = "GUEST",
	.summary = "show one guest's settings",
	.details = "Shows what virsh dominfo shows, and also whether a balloon driver is at work, "
		   "the guest's floor,\n"
		   "what of its memory costs the host now (Resident), and what the guest does by "
		   "itself.",
	.examples = "  aerostat dominfo alpha\n"
		    "  aerostat dominfo qmp:/run/vms/alpha.qmp\n"
		    "  aerostat dominfo alpha --json | jq .host_bytes\n",
	.run = run_dominfo,
};
