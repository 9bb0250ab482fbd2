/* SPDX-License-Identifier: BSD-3-Clause */
/* QMP guests with DIMMs, virtio-mem and storage in memory slots. */
#include "tests/unit/qmp_asserts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void hotplugged_memory_counts_into_the_maximum(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "query-memory-size-summary",
		    "\"return\": {\"base-memory\": 1073741824, \"plugged-memory\": 1048576}");
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_int_equal(info.max_bytes, 1025 * MIB);
}

#define DIMM "{\"type\": \"dimm\", \"data\": {\"id\": \"d\", \"size\": 134217728}}"
#define VIRTIO_MEM "{\"type\": \"virtio-mem\", \"data\": {\"size\": %d, \"max-size\": 1073741824}}"
#define STORAGE                                                                                    \
	"{\"type\": \"nvdimm\", \"data\": {\"size\": 2097152}}, "                                  \
	"{\"type\": \"virtio-pmem\", \"data\": {\"size\": 2097152}}, "                             \
	"{\"type\": \"not-invented-yet\", \"data\": null}"

/* A DIMM of 128 MiB, storage, and a virtio-mem device that has plugged @mib MiB. */
static void will_have_memory_devices(struct fake *fake, int mib)
{
	static char devices[512], summary[128]; /* the fake keeps no copies */

	g_snprintf(devices, sizeof(devices), "\"return\": [" DIMM ", " STORAGE ", " VIRTIO_MEM "]",
		   mib << 20);
	g_snprintf(summary, sizeof(summary),
		   "\"return\": {\"base-memory\": 1073741824, \"plugged-memory\": %d}",
		   (128 + 4 + mib) << 20);
	will_answer(fake, "query-memory-devices", devices);
	will_answer(fake, "query-memory-size-summary", summary);
}

/* QEMU's "actual" is the RAM at boot and in DIMMs minus the balloon. */
static void what_virtio_mem_has_plugged_is_no_balloon(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };
	struct hv_stats stats;

	will_have_memory_devices(fake, 256);
	will_answer(fake, "query-balloon", "\"return\": {\"actual\": 1207959552}");
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_int_equal(info.max_bytes, (1024 + 128 + 256) * MIB);
	assert_int_equal(info.actual_bytes, info.max_bytes);
	get_gives(fake, info.max_bytes);
	assert_true(hv_guest_stats_get(fake->guest, LATER, &stats, NULL));
	assert_int_equal(stats.value[HV_STAT_ACTUAL], info.max_bytes);
}

static void storage_is_no_memory(void **state)
{
	struct fake *fake = *state;
	g_auto(hv_info) info = { 0 };

	will_answer(fake, "query-memory-size-summary",
		    "\"return\": {\"base-memory\": 1073741824, \"plugged-memory\": 4194304}");
	will_answer(fake, "query-memory-devices", "\"return\": [" STORAGE "]");
	assert_true(hv_guest_info(fake->guest, LATER, &info, NULL));
	assert_int_equal(info.max_bytes, 1024 * MIB);
	assert_int_equal(info.actual_bytes, 512 * MIB);
}

static void a_target_leaves_virtio_mem_out(void **state)
{
	struct fake *fake = *state;

	will_have_memory_devices(fake, 256);
	assert_true(hv_guest_balloon_set(fake->guest, LATER, 1024 * MIB, HV_SCOPE_LIVE, NULL));
	assert_heard(fake, "balloon=805306368\n");
	set_fails(fake, 256 * MIB, HV_SCOPE_LIVE, HV_ERROR_INVALID,
		  "cannot set its memory to 262144 KiB: its virtio-mem devices have 262144 KiB");
	set_fails(fake, 1408 * MIB + 1, HV_SCOPE_LIVE, HV_ERROR_INVALID,
		  "its maximum is 1441792 KiB");
	assert_heard(fake, "balloon=805306368\n");
}

static void memory_devices_of_no_known_size_are_refused(void **state)
{
	static const char *const bad[] = {
		"\"return\": [{\"type\": \"dimm\", \"data\": 1}]",
		"\"return\": [{\"type\": \"virtio-mem\", \"data\": {\"size\": -1}}]",
		"\"return\": [{\"type\": \"virtio-mem\"}]"
	};
	struct fake *fake = *state;

	will_have_memory_devices(fake, 256);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		will_answer(fake, "query-memory-devices", bad[i]);
		get_fails(fake->guest, LATER, HV_ERROR_PROTOCOL,
			  "invalid answer to query-memory-devices");
	}
}

static void an_event_counts_virtio_mem_as_it_is_now(void **state)
{
	struct fake *fake = *state;

	hv_guest_hold(fake->guest, true);
	will_have_memory_devices(fake, 256);
	will_say_first(fake, "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 4096}}\n");
	event_gives(fake, HV_EVENT_BALLOON_CHANGE, 256 * MIB + 4096, "");
	will_have_memory_devices(fake, 320);
	will_say_first(fake, "{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\", \"data\": {}}\n");
	assert_true(hv_guest_stats_period_set(fake->guest, LATER, 1, HV_SCOPE_LIVE, NULL));
	will_say_first(fake, "{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 8192}}\n");
	event_gives(fake, HV_EVENT_BALLOON_CHANGE, 320 * MIB + 8192, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FAKE(hotplugged_memory_counts_into_the_maximum),
		WITH_FAKE(what_virtio_mem_has_plugged_is_no_balloon),
		WITH_FAKE(storage_is_no_memory),
		WITH_FAKE(a_target_leaves_virtio_mem_out),
		WITH_FAKE(memory_devices_of_no_known_size_are_refused),
		WITH_FAKE(an_event_counts_virtio_mem_as_it_is_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
