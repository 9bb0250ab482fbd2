/* SPDX-License-Identifier: BSD-3-Clause */
/* A fake guest's monitor: one table of commands, each answering as QEMU 11 does. */
#include "tests/fakes/fake_guests.h"

#include <inttypes.h>

#define VERSION                                                                                    \
	"{\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 11}, \"package\": \"fake-guests\"}"
#define BALLOON "/machine/peripheral/balloon0"
#define BACKEND BALLOON "/virtio-backend"

/* One command: its arguments, and where its answer goes. */
struct call {
	struct guest *guest;
	const json_t *arguments;
	int64_t now_us;
	GString *out;		  /* what "return" says, or ... */
	const char *class, *desc; /* ... an error */
};

static void fail(struct call *call, const char *class, const char *desc)
{
	call->class = class;
	call->desc = desc;
}

static const char *text(const struct call *call, const char *name)
{
	const char *value = json_string_value(json_object_get(call->arguments, name));

	return value ? value : "";
}

static void say_nothing(struct call *call)
{
	g_string_append(call->out, "{}");
}

static void say_name(struct call *call)
{
	g_string_append_printf(call->out, "{\"name\": \"%s\"}", call->guest->name);
}

static void say_uuid(struct call *call)
{
	g_string_append_printf(call->out, "{\"UUID\": \"%s\"}", call->guest->uuid);
}

static void say_status(struct call *call)
{
	g_string_append(call->out, "{\"status\": \"running\", \"running\": true}");
}

static void say_version(struct call *call)
{
	g_string_append(call->out, VERSION);
}

static void say_cpus(struct call *call)
{
	unsigned int count = 1 + call->guest->number % 4;

	for (unsigned int i = 0; i < count; i++)
		g_string_append_printf(call->out,
				       "%c{\"cpu-index\": %u, \"target\": \"x86_64\", "
				       "\"thread-id\": 1}",
				       i ? ',' : '[', i);
	g_string_append_c(call->out, ']');
}

static void say_memory(struct call *call)
{
	g_string_append_printf(call->out, "{\"base-memory\": %" PRIu64 ", \"plugged-memory\": 0}",
			       call->guest->max_bytes);
}

static void say_balloon(struct call *call)
{
	g_string_append_printf(call->out, "{\"actual\": %" PRIu64 "}", call->guest->actual_bytes);
}

static void set_balloon(struct call *call)
{
	const json_t *value = json_object_get(call->arguments, "value");

	if (!json_is_integer(value) || json_integer_value(value) <= 0) {
		fail(call, "GenericError", "Parameter 'target' expects a size");
		return;
	}
	call->guest->target_bytes =
		MIN((uint64_t)json_integer_value(value), call->guest->max_bytes);
	say_nothing(call);
}

static void list_objects(struct call *call)
{
	const char *path = text(call, "path");

	if (g_str_equal(path, "/machine/peripheral"))
		g_string_append(
			call->out,
			"[{\"name\": \"type\", \"type\": \"string\"}, "
			"{\"name\": \"balloon0\", \"type\": \"child<virtio-balloon-pci>\"}]");
	else if (g_str_equal(path, "/machine/peripheral-anon"))
		g_string_append_printf(call->out, "[{\"name\": \"type\", \"type\": \"string\"}%s]",
				       call->guest->faults[FAULT_VFIO]
					       ? ", {\"name\": \"device[0]\", "
						 "\"type\": \"child<vfio-pci>\"}"
					       : "");
	else
		fail(call, "DeviceNotFound", "Device not found");
}

static void say_stats(struct call *call)
{
	const struct told *told = &call->guest->told;
	const struct counters *counters = &told->counters;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "stat-swap-in", counters->swap_in_bytes },
		{ "stat-swap-out", counters->swap_out_bytes },
		{ "stat-major-faults", counters->major_faults },
		{ "stat-minor-faults", counters->minor_faults },
		{ "stat-free-memory", told->free_bytes },
		{ "stat-total-memory", told->total_bytes },
		{ "stat-available-memory", told->available_bytes },
		{ "stat-disk-caches", told->cache_bytes },
		{ "stat-htlb-pgalloc", 0 },
		{ "stat-htlb-pgfail", 0 },
		{ "stat-oom-kills", counters->oom_kills },
		{ "stat-alloc-stalls", counters->alloc_stalls },
		{ "stat-async-scans", 0 },
		{ "stat-direct-scans", counters->direct_scan_bytes },
		{ "stat-async-reclaims", 0 },
		{ "stat-direct-reclaims", counters->direct_scan_bytes / 2 },
	};

	g_string_append(call->out, "{\"stats\": {");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		g_string_append_printf(call->out, "%s\"%s\": %" PRIu64, i ? ", " : "", rows[i].name,
				       told->real_s ? rows[i].value : UINT64_MAX);
	g_string_append_printf(call->out, "}, \"last-update\": %" PRId64 "}", told->real_s);
}

static bool is_balloon(const char *path)
{
	return g_str_equal(path, BALLOON) || g_str_equal(path, BACKEND);
}

static void get_property(struct call *call)
{
	const char *name = text(call, "property");

	if (!is_balloon(text(call, "path")))
		fail(call, "DeviceNotFound", "Device not found");
	else if (g_str_equal(name, "guest-stats"))
		say_stats(call);
	else if (g_str_equal(name, "guest-stats-polling-interval"))
		g_string_append_printf(call->out, "%d", call->guest->period_s);
	else if (g_str_equal(name, "deflate-on-oom") || g_str_equal(name, "free-page-reporting"))
		g_string_append(call->out, "false");
	else
		fail(call, "GenericError", "Property not found");
}

static void set_property(struct call *call)
{
	const json_t *value = json_object_get(call->arguments, "value");

	if (!is_balloon(text(call, "path")))
		fail(call, "DeviceNotFound", "Device not found");
	else if (!g_str_equal(text(call, "property"), "guest-stats-polling-interval"))
		fail(call, "GenericError", "Property not found");
	else if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		 json_integer_value(value) > G_MAXINT)
		fail(call, "GenericError", "timer value must be greater than zero");
	else {
		guest_poll(call->guest, (int)json_integer_value(value), call->now_us);
		say_nothing(call);
	}
}

static void say_driver(struct call *call)
{
	if (!g_str_equal(text(call, "path"), BACKEND))
		fail(call, "GenericError", "Path is not a VirtIODevice");
	else
		g_string_append(call->out,
				"{\"status\": {\"statuses\": "
				"[\"VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready\"]}}");
}

static void say_migration(struct call *call)
{
	g_string_append(call->out, call->guest->faults[FAULT_MIGRATING]
					   ? "{\"status\": \"active\", \"ram\": {}}"
					   : "{}");
}

static const struct {
	const char *name;
	void (*run)(struct call *call);
} commands[] = {
	{ "query-balloon", say_balloon },
	{ "qom-get", get_property },
	{ "balloon", set_balloon },
	{ "qom-list", list_objects },
	{ "qom-set", set_property },
	{ "query-status", say_status },
	{ "query-memory-size-summary", say_memory },
	{ "query-migrate", say_migration },
	{ "query-name", say_name },
	{ "query-uuid", say_uuid },
	{ "query-cpus-fast", say_cpus },
	{ "query-version", say_version },
	{ "x-query-virtio-status", say_driver },
};

static void run_command(struct call *call, const char *name)
{
	bool negotiates = g_str_equal(name, "qmp_capabilities");

	if (negotiates && !call->guest->negotiated) {
		call->guest->negotiated = true;
		say_nothing(call);
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(commands) && call->guest->negotiated; i++)
		if (g_str_equal(name, commands[i].name)) {
			guest_move(call->guest, call->now_us);
			commands[i].run(call);
			return;
		}
	fail(call, "CommandNotFound", "The command has not been found");
}

char *qmp_greeting(void)
{
	return g_strdup("{\"QMP\": {\"version\": " VERSION ", \"capabilities\": [\"oob\"]}}\r\n");
}

char *qmp_answer(struct guest *guest, const char *line, int64_t now_us)
{
	json_auto_t *request = json_loads(line, 0, NULL);
	const char *name = json_string_value(json_object_get(request, "execute"));
	const json_t *id = json_object_get(request, "id");
	g_autofree char *id_text = id ? json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	struct call call = { .guest = guest,
			     .arguments = json_object_get(request, "arguments"),
			     .now_us = now_us,
			     .out = g_string_new("{\"return\": ") };

	if (name)
		run_command(&call, name);
	else
		fail(&call, "GenericError", "QMP input lacks member 'execute'");
	if (call.class)
		g_string_printf(call.out, "{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}",
				call.class, call.desc);
	if (id_text)
		g_string_append_printf(call.out, ", \"id\": %s", id_text);
	g_string_append(call.out, "}\r\n");
	return g_string_free(call.out, FALSE);
}

char *qmp_event(struct guest *guest, int64_t now_us)
{
	int64_t real_us = g_get_real_time();

	if (!guest->negotiated || now_us - guest->event_us < G_USEC_PER_SEC)
		return NULL;
	if (guest->actual_bytes == guest->event_bytes && guest->actual_bytes == guest->target_bytes)
		return NULL;
	guest_move(guest, now_us);
	if (guest->actual_bytes == guest->event_bytes)
		return NULL;
	guest->event_bytes = guest->actual_bytes;
	guest->event_us = now_us;
	return g_strdup_printf("{\"timestamp\": {\"seconds\": %" PRId64
			       ", \"microseconds\": %" PRId64 "}, \"event\": \"BALLOON_CHANGE\", "
			       "\"data\": {\"actual\": %" PRIu64 "}}\r\n",
			       real_us / G_USEC_PER_SEC, real_us % G_USEC_PER_SEC,
			       guest->actual_bytes);
}
