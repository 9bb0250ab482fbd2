// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trim: the guest gives up cold page cache when the host asks for it.
 *
 * Theory of operation
 * -------------------
 * A balloon takes what the guest can spare; page cache that nobody reads has to be
 * reclaimed first.  A trim does only that.  The balloon's size does not change, and
 * what becomes free is the host's by free page reporting.
 *
 * VIRTIO has no command for this.  Our device has a private one, which other devices
 * and drivers do not know: a feature bit that VIRTIO does not use, and a field behind
 * its configuration (private_trim.h).  Feature bits have no private range, so the
 * field is preceded by a magic number, without which the bit is not accepted.
 *
 * The kernel does not export a function that reclaims.  But it reclaims what is
 * written to memory.reclaim of the root cgroup, in the order of its LRU lists.  The
 * file is opened in a private mount of cgroup2, as the guest may have none.  With
 * "swappiness=0" only the cache is reclaimed.  Kernels before 6.9 do not know that
 * word, and would swap: there a guest that can swap is not trimmed.
 *
 * A step asks for 16 MiB, so that the driver can stop between any two.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mount.h>

#include "balloon.h"
#include "private_trim.h"

#define STEP_MIB 16

static bool trim = true;
module_param(trim, bool, 0644);
MODULE_PARM_DESC(trim, "Give up cold page cache when the host asks for it (default: Y)");

struct private_config {
	__le32 magic;
	__le32 trim;
};

static void read_private_config(struct virtio_device *vdev, struct private_config *config)
{
	vdev->config->get(vdev, PRIVATE_CONFIG_OFFSET, &config->magic, sizeof(config->magic));
	vdev->config->get(vdev, PRIVATE_CONFIG_OFFSET + sizeof(config->magic), &config->trim,
			  sizeof(config->trim));
}

void vb_trim_validate(struct virtio_device *vdev)
{
	struct private_config config;

	if (!virtio_has_feature(vdev, PRIVATE_F_TRIM))
		return;
	read_private_config(vdev, &config);
	if (config.magic != cpu_to_le32(PRIVATE_CONFIG_MAGIC))
		__virtio_clear_bit(vdev, PRIVATE_F_TRIM);
}

static struct file *open_root_reclaim(void)
{
	struct file_system_type *cgroup2 = get_fs_type("cgroup2"); /* built in */
	struct vfsmount *mount;
	struct file *file;

	if (!cgroup2)
		return ERR_PTR(-ENODEV);
	mount = kern_mount(cgroup2);
	if (IS_ERR(mount))
		return ERR_CAST(mount);
	file = file_open_root_mnt(mount, "memory.reclaim", O_WRONLY, 0);
	kern_unmount(mount);
	return file;
}

static unsigned long get_cache_pages(void)
{
	return global_node_page_state(NR_INACTIVE_FILE) + global_node_page_state(NR_ACTIVE_FILE);
}

static int write_request(struct file *file, unsigned int mib, const char *how)
{
	char text[48];
	loff_t position = 0;
	ssize_t done;

	snprintf(text, sizeof(text), "%uM%s", mib, how);
	done = kernel_write(file, text, strlen(text), &position);
	return done < 0 ? done : 0;
}

/* Returns the number of pages of cache that are gone; an estimate, as the guest goes on. */
static unsigned long reclaim_cache(struct file *file, unsigned int mib)
{
	unsigned long before = get_cache_pages(), after;
	int err = write_request(file, mib, " swappiness=0");

	if (err == -EINVAL && get_nr_swap_pages() <= 0)
		write_request(file, mib, "");
	after = get_cache_pages();
	return before > after ? before - after : 0;
}

static void read_request(struct virtio_balloon *vb)
{
	struct private_config config;
	u32 asked;

	read_private_config(vb->vdev, &config);
	asked = le32_to_cpu(config.trim);
	if (asked == vb->trim.asked)
		return;
	vb->trim.asked = asked;
	vb->trim.left = trim ? asked & PRIVATE_TRIM_MIB : 0;
}

static void queue_trim_work(struct virtio_balloon *vb)
{
	queue_work(vb->wq, &vb->trim.work);
}

static void trim_cache_work(struct work_struct *work)
{
	struct virtio_balloon *vb = container_of(work, struct virtio_balloon, trim.work);
	struct vb_trim *t = &vb->trim;
	unsigned int mib;
	unsigned long pages;

	read_request(vb);
	if (!t->left)
		return;
	if (!t->file)
		t->file = open_root_reclaim();
	if (IS_ERR(t->file))
		return;
	mib = min(t->left, (u32)STEP_MIB);
	pages = reclaim_cache(t->file, mib);
	WRITE_ONCE(t->trimmed, t->trimmed + pages);
	vb_count(vb, VB_COUNT_trimmed, pages);
	/* What brought next to nothing is not worth another step. */
	t->left = pages >> (20 - PAGE_SHIFT) >= mib / 4 ? t->left - mib : 0;
	if (t->left)
		vb_call_if_running(vb, queue_trim_work);
}

void vb_trim_init(struct virtio_balloon *vb)
{
	INIT_WORK(&vb->trim.work, trim_cache_work);
}

void vb_trim_config_changed(struct virtio_balloon *vb)
{
	if (vb_trim_wanted(vb))
		queue_trim_work(vb);
}

void vb_trim_stop(struct virtio_balloon *vb)
{
	cancel_work_sync(&vb->trim.work);
	if (!IS_ERR_OR_NULL(vb->trim.file))
		filp_close(vb->trim.file, NULL);
	vb->trim.file = NULL;
	vb->trim.asked = 0;
	vb->trim.left = 0;
}

bool vb_trim_wanted(struct virtio_balloon *vb)
{
	return virtio_has_feature(vb->vdev, PRIVATE_F_TRIM);
}

unsigned long vb_trim_count(struct virtio_balloon *vb)
{
	return READ_ONCE(vb->trim.trimmed);
}
