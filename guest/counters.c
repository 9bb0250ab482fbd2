// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/bus/virtio/devices/virtioN/balloon/: one file a counter, as the table in
 * counters.h has them, and three that show a state.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "balloon.h"

static struct balloon *balloon_of(struct device *dev)
{
	return dev_to_virtio(dev)->priv;
}

#define BALLOON_COUNTER_FILE(name, text)                                                           \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		return sysfs_emit(buf, "%ld\n",                                                    \
				  atomic_long_read(&balloon_of(dev)->counters[COUNT_##name]));     \
	}                                                                                          \
	static DEVICE_ATTR_RO(name);

BALLOON_COUNTERS(BALLOON_COUNTER_FILE)

/* Pages in the balloon that the host has acknowledged. */
static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&balloon_of(dev)->size));
}
static DEVICE_ATTR_RO(size);

/* Pages isolated for it that the host has not been told of. */
static ssize_t held_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(balloon_of(dev)->nr_held));
}
static DEVICE_ATTR_RO(held);

/* Blocks from the allocator: those of order 0, of order 1, and so on. */
static ssize_t allocated_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct balloon *b = balloon_of(dev);
	int length = 0;

	for (unsigned int order = 0; order < NR_PAGE_ORDERS; order++)
		length += sysfs_emit_at(buf, length, "%s%ld", order ? " " : "",
					atomic_long_read(&b->allocated[order]));
	return length + sysfs_emit_at(buf, length, "\n");
}
static DEVICE_ATTR_RO(allocated);

#define BALLOON_COUNTER_ATTR(name, text) &dev_attr_##name.attr,

static struct attribute *attributes[] = {
	&dev_attr_size.attr,
	&dev_attr_held.attr,
	&dev_attr_allocated.attr,
	BALLOON_COUNTERS(BALLOON_COUNTER_ATTR) NULL,
};

static const struct attribute_group group = {
	.name = "balloon",
	.attrs = attributes,
};

const struct attribute_group *balloon_groups[] = { &group, NULL };
