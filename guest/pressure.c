// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory pressure of the system (PSI), for the host.
 *
 * Theory of operation
 * -------------------
 * The kernel does not export these figures to modules, but shows them to
 * everyone in /proc/pressure/memory.  That file is opened once, when the driver
 * starts.  /proc may not be mounted yet, and the root of a kernel thread need not
 * be that of the guest's programs, so the file is opened in a private mount of
 * proc.  The open file keeps that mount.  Without PSI the file does not exist.
 *
 * kernel_read() needs a file with ->read_iter(), and this one has only ->read().
 * That is seq_read(), which wraps a user-space address in an iterator and calls
 * seq_read_iter().  So seq_read_iter() is called here, with an iterator over a
 * kernel buffer.  The file's own buffer is allocated by the first read, in
 * vb_pressure_open(): later reads do not allocate.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mount.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "balloon.h"

/*
 * That the file is a seq_file whose text comes in one read was verified in
 * kernel/sched/psi.c of these kernels.  In newer ones, where it was not, there are
 * no figures.
 */
#define PRESSURE_VERIFIED (LINUX_VERSION_CODE < KERNEL_VERSION(7, 4, 0))

struct vb_pressure_file {
	struct file *file;
	char text[256];
};

struct pressure_opening {
	struct work_struct work;
	struct file *file;
};

/* Runs as the kernel, regardless of who loads the driver, and in which namespaces. */
static void open_pressure_work(struct work_struct *work)
{
	struct pressure_opening *opening = container_of(work, struct pressure_opening, work);
	struct file_system_type *proc = get_fs_type("proc"); /* built in: no reference to drop */
	struct vfsmount *mount;

	if (!proc)
		return;
	mount = kern_mount(proc);
	if (IS_ERR(mount))
		return;
	opening->file = file_open_root_mnt(mount, "pressure/memory", O_RDONLY, 0);
	kern_unmount(mount);
}

static struct file *open_pressure_as_kernel(void)
{
	struct pressure_opening opening = { .file = ERR_PTR(-ENOENT) };

	INIT_WORK_ONSTACK(&opening.work, open_pressure_work);
	schedule_work(&opening.work);
	flush_work(&opening.work);
	destroy_work_on_stack(&opening.work);
	return opening.file;
}

struct vb_pressure_file *vb_pressure_open(void)
{
	struct vb_pressure pressure;
	struct vb_pressure_file *p;

	if (!PRESSURE_VERIFIED)
		return NULL;
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return NULL;
	p->file = open_pressure_as_kernel();
	if (IS_ERR(p->file)) {
		kfree(p);
		return NULL;
	}
	if (!vb_pressure_read(p, &pressure)) {
		vb_pressure_close(p);
		return NULL;
	}
	return p;
}

static bool read_pressure_text(struct vb_pressure_file *p)
{
	struct kvec room = { .iov_base = p->text, .iov_len = sizeof(p->text) - 1 };
	struct iov_iter iter;
	struct kiocb iocb;
	ssize_t size;

	init_sync_kiocb(&iocb, p->file); /* at position 0, so the text is made again */
	iov_iter_kvec(&iter, ITER_DEST, &room, 1, room.iov_len);
	size = seq_read_iter(&iocb, &iter);
	if (size <= 0)
		return false;
	p->text[size] = '\0';
	return true;
}

bool vb_pressure_read(struct vb_pressure_file *p, struct vb_pressure *pressure)
{
	return read_pressure_text(p) && sscanf(p->text,
					       "some avg10=%*s avg60=%*s avg300=%*s total=%llu "
					       "full avg10=%*s avg60=%*s avg300=%*s total=%llu",
					       &pressure->some_us, &pressure->full_us) == 2;
}

void vb_pressure_close(struct vb_pressure_file *p)
{
	if (!p)
		return;
	filp_close(p->file, NULL);
	kfree(p);
}
