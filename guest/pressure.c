// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory pressure of the system (PSI), for the host.
 *
 * Theory of operation
 * -------------------
 * The kernel does not export its figures to modules, but it shows them to all
 * in /proc/pressure/memory.  That file is opened once, when the driver starts:
 * in a mount of proc that nobody else sees, for there may be no /proc yet, and
 * a kernel thread's root need not be that of the guest's programs.  The file
 * keeps that mount until it is closed.  Without PSI there is no such file.
 *
 * kernel_read() wants a file that has ->read_iter(), and this one has not: its
 * ->read() is seq_read(), which wraps an address of user space in an iterator
 * and calls seq_read_iter().  So that is called here, with an iterator over a
 * buffer of the kernel's.  The file's own buffer is allocated by the first read,
 * in pressure_open(): no later one allocates, whatever the state of memory.
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
 * That the file is a seq_file, all of whose text comes with one read, was read in
 * these kernels' kernel/sched/psi.c; a newer one goes without, until somebody has.
 */
#define PRESSURE_WAS_READ_HERE (LINUX_VERSION_CODE < KERNEL_VERSION(7, 4, 0))

struct pressure_file {
	struct file *file;
	char text[256];
};

struct opening {
	struct work_struct work;
	struct file *file;
};

/* As the kernel itself, whatever the rights and the namespaces of who loads the driver. */
static void open_work(struct work_struct *work)
{
	struct opening *opening = container_of(work, struct opening, work);
	struct file_system_type *proc = get_fs_type("proc"); /* no module: nothing to put */
	struct vfsmount *mount;

	if (!proc)
		return;
	mount = kern_mount(proc);
	if (IS_ERR(mount))
		return;
	opening->file = file_open_root_mnt(mount, "pressure/memory", O_RDONLY, 0);
	kern_unmount(mount);
}

static struct file *open_as_kernel(void)
{
	struct opening opening = { .file = ERR_PTR(-ENOENT) };

	INIT_WORK_ONSTACK(&opening.work, open_work);
	schedule_work(&opening.work);
	flush_work(&opening.work);
	destroy_work_on_stack(&opening.work);
	return opening.file;
}

struct pressure_file *pressure_open(void)
{
	struct balloon_pressure pressure;
	struct pressure_file *p;

	if (!PRESSURE_WAS_READ_HERE)
		return NULL;
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return NULL;
	p->file = open_as_kernel();
	if (IS_ERR(p->file)) {
		kfree(p);
		return NULL;
	}
	if (!pressure_read(p, &pressure)) {
		pressure_close(p);
		return NULL;
	}
	return p;
}

static bool read_text(struct pressure_file *p)
{
	struct kvec room = { .iov_base = p->text, .iov_len = sizeof(p->text) - 1 };
	struct iov_iter iter;
	struct kiocb iocb;
	ssize_t size;

	init_sync_kiocb(&iocb, p->file); /* at the beginning of the file, and so afresh */
	iov_iter_kvec(&iter, ITER_DEST, &room, 1, room.iov_len);
	size = seq_read_iter(&iocb, &iter);
	if (size <= 0)
		return false;
	p->text[size] = '\0';
	return true;
}

bool pressure_read(struct pressure_file *p, struct balloon_pressure *pressure)
{
	return p && read_text(p) &&
	       sscanf(p->text,
		      "some avg10=%*s avg60=%*s avg300=%*s total=%llu "
		      "full avg10=%*s avg60=%*s avg300=%*s total=%llu",
		      &pressure->some_us, &pressure->full_us) == 2;
}

void pressure_close(struct pressure_file *p)
{
	if (!p)
		return;
	filp_close(p->file, NULL);
	kfree(p);
}
