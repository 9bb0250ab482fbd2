/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/control_qom.h"

#include <string.h>
#include <time.h>

#include "control/control_error.h"
#include "control/control_state.h"

#define BALLOON "/machine/peripheral/balloon0"
#define BACKEND BALLOON "/virtio-backend"
#define DEVICE_TYPE "virtio-balloon-device"

/* One row per object and child; objects without children have one row, too. */
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

void control_date_sample(struct control *control)
{
	uint64_t arrived_ns = balloon_stats(control->balloon)->arrived_ns;
	struct timespec now;
	uint64_t age_ns;

	if (arrived_ns == control->samples.arrived_ns)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	age_ns = loop_now_ns() - arrived_ns;
	control->samples.arrived_ns = arrived_ns;
	control->samples.epoch_s =
		((uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec - age_ns) / NS_PER_S;
}

static void write_guest_stats(const struct control *control, struct json_writer *out)
{
	const struct balloon_stats *stats = balloon_stats(control->balloon);
	bool never = stats->arrived_ns == 0;

	json_write_open(out, "return", '{');
	json_write_open(out, "stats", '{');
	for (int i = 0; i < BALLOON_STATS_KNOWN; i++)
		json_write_u64(out, balloon_stat_table[i].name,
			       never ? BALLOON_UNSET : stats->value[i]);
	json_write_close(out, '}');
	json_write_u64(out, "last-update", never ? 0 : control->samples.epoch_s);
	json_write_close(out, '}');
}

static void sampling_due(struct loop_timer *timer)
{
	struct control *control =
		(struct control *)((char *)timer - offsetof(struct control, samples.timer));

	balloon_request_stats(control->balloon);
	timer->due_ns = loop_now_ns() + control->samples.interval_s * NS_PER_S;
}

static void write_polling_interval(const struct control *control, struct json_writer *out)
{
	json_write_u64(out, "return", control->samples.interval_s);
}

static bool set_polling_interval(struct control_call *call, const json_t *value)
{
	struct control *control = call->control;
	json_int_t seconds = json_integer_value(value);

	if (!json_is_integer(value))
		return control_refuse_generic(call,
					      "Invalid parameter type for "
					      "'guest-stats-polling-interval', expected: integer");
	if (seconds < 0)
		return control_refuse_generic(call, "timer value must be greater than zero");
	if (seconds > UINT32_MAX)
		return control_refuse_generic(call, "timer value is too big");
	if (control->samples.interval_s == (uint64_t)seconds)
		return true;
	control->samples.interval_s = (uint64_t)seconds;
	if (seconds)
		sampling_due(&control->samples.timer);
	else
		control->samples.timer.due_ns = LOOP_NEVER;
	return true;
}

void control_sampling_init(struct control *control)
{
	control->samples.timer = (struct loop_timer){ .due_ns = LOOP_NEVER, .due = sampling_due };
	loop_add_timer(control->loop, &control->samples.timer);
}

void control_sampling_free(struct control *control)
{
	loop_remove_timer(control->loop, &control->samples.timer);
}

/*
 * Properties
 */

static void write_qom_type(const struct control *control, struct json_writer *out)
{
	(void)control;
	json_write_string(out, "return", DEVICE_TYPE);
}

static void write_deflate_on_oom_property(const struct control *control, struct json_writer *out)
{
	json_write_bool(out, "return", control->options.deflate_on_oom);
}

static void write_free_page_reporting_property(const struct control *control,
					       struct json_writer *out)
{
	json_write_bool(out, "return", control->options.free_page_reporting);
}

/* Properties of both the PCI device and its virtio device, as in QEMU. */
static const struct property {
	const char *name, *type;
	void (*write)(const struct control *control, struct json_writer *out);
	bool (*set)(struct control_call *call, const json_t *value);
} properties[] = {
	{ "type", "string", write_qom_type, NULL },
	{ "guest-stats", "guest statistics", write_guest_stats, NULL },
	{ "guest-stats-polling-interval", "int", write_polling_interval, set_polling_interval },
	{ "deflate-on-oom", "bool", write_deflate_on_oom_property, NULL },
	{ "free-page-reporting", "bool", write_free_page_reporting_property, NULL },
};
#define PROPERTIES (sizeof(properties) / sizeof(properties[0]))

static bool is_balloon(const char *path)
{
	return !strcmp(path, BALLOON) || !strcmp(path, BACKEND);
}

static bool refuse_unknown_object(struct control_call *call, const char *path)
{
	return control_refuse(call, "DeviceNotFound", "Device '%.120s' not found", path);
}

static void write_qom_entry(struct json_writer *out, const char *name, const char *type)
{
	json_write_open(out, NULL, '{');
	json_write_string(out, "name", name);
	json_write_string(out, "type", type);
	json_write_close(out, '}');
}

bool control_qom_list(struct control_call *call)
{
	const char *path = json_string_value(json_object_get(call->arguments, "path"));
	bool known = false;

	for (size_t i = 0; i < OBJECTS; i++)
		known |= !strcmp(objects[i].path, path);
	if (!known)
		return refuse_unknown_object(call, path);
	json_write_open(call->out, "return", '[');
	for (size_t i = 0; i < (is_balloon(path) ? PROPERTIES : 1); i++)
		write_qom_entry(call->out, properties[i].name, properties[i].type);
	for (size_t i = 0; i < OBJECTS; i++)
		if (objects[i].child && !strcmp(objects[i].path, path))
			write_qom_entry(call->out, objects[i].child, objects[i].type);
	json_write_close(call->out, ']');
	return true;
}

/* The property of the balloon that a call names; NULL when the call was refused. */
static const struct property *find_property(struct control_call *call)
{
	const char *path = json_string_value(json_object_get(call->arguments, "path"));
	const char *name = json_string_value(json_object_get(call->arguments, "property"));

	if (!is_balloon(path)) {
		refuse_unknown_object(call, path);
		return NULL;
	}
	for (size_t i = 0; i < PROPERTIES; i++)
		if (!strcmp(properties[i].name, name))
			return &properties[i];
	control_refuse_generic(call, "Property '" DEVICE_TYPE ".%.80s' not found", name);
	return NULL;
}

bool control_qom_get(struct control_call *call)
{
	const struct property *property = find_property(call);

	if (!property)
		return false;
	property->write(call->control, call->out);
	return true;
}

bool control_qom_set(struct control_call *call)
{
	const struct property *property = find_property(call);

	if (!property)
		return false;
	if (!property->set)
		return control_refuse_generic(call, "Property '%s' is read-only", property->name);
	return property->set(call, json_object_get(call->arguments, "value"));
}

/* Only the transport knows the device status, so it is inferred from what the driver did. */
static void write_virtio_status(const struct balloon *balloon, struct json_writer *out)
{
	bool ready = balloon_is_driver_ok(balloon);

	json_write_open(out, "statuses", '[');
	if (ready || balloon_acknowledged(balloon)) {
		json_write_string(out, NULL,
				  "VIRTIO_CONFIG_S_ACKNOWLEDGE: the guest has seen the device");
		json_write_string(out, NULL, "VIRTIO_CONFIG_S_DRIVER: it has a driver for it");
		json_write_string(out, NULL, "VIRTIO_CONFIG_S_FEATURES_OK: features are agreed");
	}
	if (ready)
		json_write_string(out, NULL, "VIRTIO_CONFIG_S_DRIVER_OK: the driver is ready");
	if (balloon_needs_reset(balloon))
		json_write_string(out, NULL,
				  "VIRTIO_CONFIG_S_NEEDS_RESET: the driver has to reset it");
	json_write_close(out, ']');
}

bool control_qom_virtio_status(struct control_call *call)
{
	const char *path = json_string_value(json_object_get(call->arguments, "path"));
	const struct balloon *balloon = call->control->balloon;

	if (!is_balloon(path))
		return refuse_unknown_object(call, path);
	json_write_open(call->out, "return", '{');
	json_write_string(call->out, "name", "virtio-balloon");
	json_write_u64(call->out, "device-id", BALLOON_VIRTIO_ID);
	json_write_u64(call->out, "num-vqs", balloon_queue_count(balloon));
	json_write_bool(call->out, "started", balloon_is_driver_ok(balloon));
	json_write_bool(call->out, "broken", balloon_needs_reset(balloon));
	json_write_open(call->out, "status", '{');
	write_virtio_status(balloon, call->out);
	json_write_close(call->out, '}');
	json_write_close(call->out, '}');
	return true;
}
