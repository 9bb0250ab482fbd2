/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The object tree, as far as tools walk it to find a balloon, and the balloon's
 * properties, of which the guest's statistics are one.
 *
 * Statistics are polled as QEMU polls them: an interval above 0 asks at once
 * and then again each time it has passed.
 */
#include "control/control_internal.h"

#include <string.h>
#include <time.h>

#define BALLOON "/machine/peripheral/balloon0"
#define BACKEND BALLOON "/virtio-backend"
#define DEVICE_TYPE "virtio-balloon-device"

/* Each object and what is below it; properties come besides. */
static const struct {
	const char *path, *child, *type;
} objects[] = {
	{ "/", "machine", "child<machine>" },
	{ "/machine", "peripheral", "child<container>" },
	{ "/machine", "peripheral-anon", "child<container>" },
	{ "/machine/peripheral", "balloon0", "child<virtio-balloon-pci>" },
	{ "/machine/peripheral-anon", NULL, NULL },
	{ BALLOON, "virtio-backend", "child<" DEVICE_TYPE ">" },
	{ BACKEND, NULL, NULL },
};
#define OBJECTS (sizeof(objects) / sizeof(objects[0]))

/*
 * Statistics
 */

void control_note_sample(struct control *control)
{
	uint64_t arrived_ns = balloon_stats(control->balloon)->arrived_ns;
	struct timespec now;
	uint64_t age_ns;

	if (arrived_ns == control->sample_arrived_ns)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ns = loop_now_ns() - arrived_ns;
	control->sample_arrived_ns = arrived_ns;
	control->sample_epoch_s =
		((uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec - age_ns) / NS_PER_S;
}

static void get_stats(const struct control *control, struct json_out *out)
{
	const struct balloon_stats *stats = balloon_stats(control->balloon);
	bool never = stats->arrived_ns == 0;

	out_open(out, "return", '{');
	out_open(out, "stats", '{');
	for (int i = 0; i < BALLOON_STATS_KNOWN; i++)
		out_u64(out, balloon_stat_table[i].name, never ? BALLOON_UNSET : stats->value[i]);
	out_close(out, '}');
	out_u64(out, "last-update", never ? 0 : control->sample_epoch_s);
	out_close(out, '}');
}

void control_poll_due(struct loop_timer *timer)
{
	struct control *control =
		(struct control *)((char *)timer - offsetof(struct control, poll_timer));

	balloon_request_stats(control->balloon);
	timer->due_ns = loop_now_ns() + control->poll_interval_s * NS_PER_S;
}

static void get_interval(const struct control *control, struct json_out *out)
{
	out_u64(out, "return", control->poll_interval_s);
}

static bool set_interval(struct control_call *call, const json_t *value)
{
	struct control *control = call->control;
	json_int_t seconds = json_integer_value(value);

	if (!json_is_integer(value))
		return control_error(call, "Invalid parameter type for "
					   "'guest-stats-polling-interval', expected: integer");
	if (seconds < 0)
		return control_error(call, "timer value must be greater than zero");
	if (seconds > UINT32_MAX)
		return control_error(call, "timer value is too big");
	if (control->poll_interval_s == (uint64_t)seconds)
		return true;
	control->poll_interval_s = (uint64_t)seconds;
	if (seconds)
		control_poll_due(&control->poll_timer);
	else
		control->poll_timer.due_ns = LOOP_NEVER;
	return true;
}

/*
 * Properties
 */

static void get_type(const struct control *control, struct json_out *out)
{
	(void)control;
	out_string(out, "return", DEVICE_TYPE);
}

static void get_deflate_on_oom(const struct control *control, struct json_out *out)
{
	out_bool(out, "return", control->options.deflate_on_oom);
}

static void get_free_page_reporting(const struct control *control, struct json_out *out)
{
	out_bool(out, "return", control->options.free_page_reporting);
}

/* Of both the PCI device and its backend, as in QEMU. */
static const struct property {
	const char *name, *type;
	void (*get)(const struct control *control, struct json_out *out);
	bool (*set)(struct control_call *call, const json_t *value);
} properties[] = {
	{ "type", "string", get_type, NULL },
	{ "guest-stats", "guest statistics", get_stats, NULL },
	{ "guest-stats-polling-interval", "int", get_interval, set_interval },
	{ "deflate-on-oom", "bool", get_deflate_on_oom, NULL },
	{ "free-page-reporting", "bool", get_free_page_reporting, NULL },
};
#define PROPERTIES (sizeof(properties) / sizeof(properties[0]))

static bool is_balloon(const char *path)
{
	return !strcmp(path, BALLOON) || !strcmp(path, BACKEND);
}

static bool no_object(struct control_call *call, const char *path)
{
	return control_refuse(call, "DeviceNotFound", "Device '%.120s' not found", path);
}

static void out_entry(struct json_out *out, const char *name, const char *type)
{
	out_open(out, NULL, '{');
	out_string(out, "name", name);
	out_string(out, "type", type);
	out_close(out, '}');
}

bool control_qom_list(struct control_call *call)
{
	const char *path = json_string_value(json_object_get(call->arguments, "path"));
	bool known = false;

	for (size_t i = 0; i < OBJECTS; i++)
		known |= !strcmp(objects[i].path, path);
	if (!known)
		return no_object(call, path);
	out_open(call->out, "return", '[');
	for (size_t i = 0; i < (is_balloon(path) ? PROPERTIES : 1); i++)
		out_entry(call->out, properties[i].name, properties[i].type);
	for (size_t i = 0; i < OBJECTS; i++)
		if (objects[i].child && !strcmp(objects[i].path, path))
			out_entry(call->out, objects[i].child, objects[i].type);
	out_close(call->out, ']');
	return true;
}

/* The property of the balloon that a call names, or NULL, refused. */
static const struct property *find_property(struct control_call *call)
{
	const char *path = json_string_value(json_object_get(call->arguments, "path"));
	const char *name = json_string_value(json_object_get(call->arguments, "property"));

	if (!is_balloon(path)) {
		no_object(call, path);
		return NULL;
	}
	for (size_t i = 0; i < PROPERTIES; i++)
		if (!strcmp(properties[i].name, name))
			return &properties[i];
	control_error(call, "Property '" DEVICE_TYPE ".%.80s' not found", name);
	return NULL;
}

bool control_qom_get(struct control_call *call)
{
	const struct property *property = find_property(call);

	if (!property)
		return false;
	property->get(call->control, call->out);
	return true;
}

bool control_qom_set(struct control_call *call)
{
	const struct property *property = find_property(call);

	if (!property)
		return false;
	if (!property->set)
		return control_error(call,
				     "Property '%s' can only be read; it is an option of the "
				     "command line",
				     property->name);
	return property->set(call, json_object_get(call->arguments, "value"));
}

/* The device status is the transport's; what it must have been follows from what was done. */
static void out_statuses(const struct balloon *balloon, struct json_out *out)
{
	bool ready = balloon_is_driver_ok(balloon);

	out_open(out, "statuses", '[');
	if (ready || balloon_acknowledged(balloon)) {
		out_string(out, NULL, "VIRTIO_CONFIG_S_ACKNOWLEDGE: the guest has seen the device");
		out_string(out, NULL, "VIRTIO_CONFIG_S_DRIVER: it has a driver for it");
		out_string(out, NULL, "VIRTIO_CONFIG_S_FEATURES_OK: features are agreed");
	}
	if (ready)
		out_string(out, NULL, "VIRTIO_CONFIG_S_DRIVER_OK: the driver is ready");
	if (balloon_needs_reset(balloon))
		out_string(out, NULL, "VIRTIO_CONFIG_S_NEEDS_RESET: the driver has to reset it");
	out_close(out, ']');
}

bool control_virtio_status(struct control_call *call)
{
	const char *path = json_string_value(json_object_get(call->arguments, "path"));
	const struct balloon *balloon = call->control->balloon;

	if (!is_balloon(path))
		return no_object(call, path);
	out_open(call->out, "return", '{');
	out_string(call->out, "name", "virtio-balloon");
	out_u64(call->out, "device-id", BALLOON_VIRTIO_ID);
	out_u64(call->out, "num-vqs", balloon_queue_count(balloon));
	out_bool(call->out, "started", balloon_is_driver_ok(balloon));
	out_bool(call->out, "broken", balloon_needs_reset(balloon));
	out_open(call->out, "status", '{');
	out_statuses(balloon, call->out);
	out_close(call->out, '}');
	out_close(call->out, '}');
	return true;
}
