// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/bus/virtio/devices/virtioN/balloon/: one file per counter of the table
 * in counters.h, and three files that show a state.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "balloon.h"

static struct virtio_balloon *dev_to_balloon(struct device *dev)
{
	return dev_to_virtio(dev)->priv;
}

#define VB_COUNTER_FILE(name, text)                                                                \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		return sysfs_emit(buf, "%ld\n",                                                    \
				  vb_read_counter(dev_to_balloon(dev), VB_COUNT_##name));          \
	}                                                                                          \
	static DEVICE_ATTR_RO(name);

VB_COUNTERS(VB_COUNTER_FILE)

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", vb_pages_count(dev_to_balloon(dev)));
}
static DEVICE_ATTR_RO(size);

static ssize_t held_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", vb_held_count(dev_to_balloon(dev)));
}
static DEVICE_ATTR_RO(held);

/* One number per order, beginning with order 0. */
static ssize_t allocated_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct virtio_balloon *vb = dev_to_balloon(dev);
	int length = 0;

	for (unsigned int order = 0; order < NR_PAGE_ORDERS; order++)
		length += sysfs_emit_at(buf, length, "%s%ld", order ? " " : "",
					atomic_long_read(&vb->counters.allocated[order]));
	return length + sysfs_emit_at(buf, length, "\n");
}
static DEVICE_ATTR_RO(allocated);

#define VB_COUNTER_ATTR(name, text) &dev_attr_##name.attr,

static struct attribute *vb_attributes[] = {
	&dev_attr_size.attr,
	&dev_attr_held.attr,
	&dev_attr_allocated.attr,
	VB_COUNTERS(VB_COUNTER_ATTR) NULL,
};

static const struct attribute_group vb_attribute_group = {
	.name = "balloon",
	.attrs = vb_attributes,
};

const struct attribute_group *vb_attribute_groups[] = { &vb_attribute_group, NULL };
