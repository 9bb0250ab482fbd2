/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts of the vfio-user server: eventfds, masks, files that are not eventfds. */
#include "tests/unit/vfio_user_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSIX_INDEX VFIO_PCI_MSIX_IRQ_INDEX
#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define FULL (UINT64_MAX - 1) /* an eventfd's counter is full */

static int event_new(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* How often the eventfd was written to. */
static uint64_t event_take(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static int set(struct vfio_user_rig *rig, uint32_t flags, uint32_t index, uint32_t start,
	       uint32_t count, const int *fds, unsigned int fd_count)
{
	return vfio_user_client_set_irqs(&rig->client, flags, index, start, count, NULL, fds,
					 fd_count);
}

static void assert_set(struct vfio_user_rig *rig, uint32_t flags, int fd)
{
	assert_int_equal(set(rig, flags, INTX, 0, 1, &fd, fd >= 0), 0);
}

static void drive(struct vfio_user_rig *rig)
{
	vfio_user_rig_map(rig);
	vfio_user_rig_drive(rig, VIRTIO_MSI_NO_VECTOR, VIRTIO_MSI_NO_VECTOR);
}

/* Causes an interrupt: sets another target than before. */
static void interrupt(struct vfio_user_rig *rig)
{
	struct balloon_info info;

	balloon_info(rig->balloon, &info);
	balloon_set_target(rig->balloon, info.target_bytes - GUEST_PAGE);
	vfio_user_rig_settle(rig);
}

static uint32_t read_isr(struct vfio_user_rig *rig)
{
	return vfio_user_client_get(&rig->client, 0, RIG_ISR, 1);
}

/* INTx */

static void intx_fires_once_and_masks_itself(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();

	drive(rig);
	assert_set(rig, EVENTFD | TRIGGER, event);
	interrupt(rig);
	interrupt(rig);
	assert_int_equal(event_take(event), 1);
	close(event);
}

static void intx_fires_again_when_it_is_unmasked_unread(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();

	drive(rig);
	assert_set(rig, EVENTFD | TRIGGER, event);
	interrupt(rig);
	assert_int_equal(event_take(event), 1);
	assert_set(rig, NONE | UNMASK, -1);
	assert_int_equal(event_take(event), 1);
	assert_int_equal(read_isr(rig), 2);
	assert_set(rig, NONE | UNMASK, -1);
	assert_int_equal(event_take(event), 0);
	interrupt(rig);
	assert_int_equal(event_take(event), 1);
	close(event);
}

static void intx_waits_for_its_eventfd(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();

	drive(rig);
	interrupt(rig);
	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_int_equal(event_take(event), 1);
	close(event);
}

static void intx_can_be_masked(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();

	drive(rig);
	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_set(rig, NONE | MASK, -1);
	interrupt(rig);
	assert_int_equal(event_take(event), 0);
	assert_set(rig, NONE | UNMASK, -1);
	assert_int_equal(event_take(event), 1);
	close(event);
}

static void intx_can_be_unmasked_through_an_eventfd(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new(), unmask = event_new();

	drive(rig);
	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_set(rig, EVENTFD | UNMASK, unmask);
	interrupt(rig);
	assert_int_equal(event_take(event), 1);
	assert_int_equal(eventfd_write(unmask, 1), 0);
	vfio_user_rig_settle(rig);
	assert_int_equal(event_take(event), 1);
	assert_int_equal(event_take(unmask), 0);
	close(event);
	close(unmask);
}

static void the_eventfd_for_unmask_can_be_taken_away(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new(), unmask = event_new();

	drive(rig);
	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_set(rig, EVENTFD | UNMASK, unmask);
	assert_set(rig, EVENTFD | UNMASK, -1);
	interrupt(rig);
	assert_int_equal(event_take(event), 1);
	assert_int_equal(eventfd_write(unmask, 1), 0);
	vfio_user_rig_settle(rig);
	assert_int_equal(event_take(event), 0);
	close(event);
	close(unmask);
}

static void nothing_is_left_of_eventfds_for_unmask(void **state)
{
	struct vfio_user_rig *rig = *state;
	int unmask = event_new();

	/* More than the loop has room for. */
	for (unsigned int i = 0; i < 2 * LOOP_SOURCES_MAX; i++) {
		assert_set(rig, EVENTFD | UNMASK, unmask);
		assert_set(rig, EVENTFD | UNMASK, -1);
	}
	close(unmask);
}

static void an_unmask_that_cannot_be_read_is_dropped(void **state)
{
	struct vfio_user_rig *rig = *state;
	struct epoll_event event = { .events = EPOLLIN };
	int inner = event_new(), other = epoll_create1(EPOLL_CLOEXEC);
	unsigned int files;

	/* Anonymous like an eventfd, but always ready, and cannot be read. */
	assert_int_equal(epoll_ctl(other, EPOLL_CTL_ADD, inner, &event), 0);
	assert_set(rig, EVENTFD | UNMASK, other);
	vfio_user_rig_settle(rig);
	files = vfio_user_rig_count_files();
	assert_int_equal(eventfd_write(inner, 1), 0);
	vfio_user_rig_settle(rig);
	assert_int_equal(vfio_user_rig_count_files(), files - 1);
	close(other);
	close(inner);
}

static void an_eventfd_may_be_replaced(void **state)
{
	struct vfio_user_rig *rig = *state;
	int first = event_new(), second = event_new();
	unsigned int files;

	drive(rig);
	files = vfio_user_rig_count_files();
	assert_set(rig, EVENTFD | TRIGGER, first);
	assert_set(rig, EVENTFD | TRIGGER, second);
	interrupt(rig);
	assert_int_equal(event_take(first), 0);
	assert_int_equal(event_take(second), 1);
	assert_int_equal(vfio_user_rig_count_files(), files + 1);
	close(first);
	close(second);
}

/* As QEMU does: flags 0x24, count 1, no file. */
static void an_eventfd_is_taken_away_by_sending_none(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();
	unsigned int files;

	drive(rig);
	files = vfio_user_rig_count_files();
	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_set(rig, EVENTFD | TRIGGER, -1);
	interrupt(rig);
	assert_int_equal(event_take(event), 0);
	assert_int_equal(vfio_user_rig_count_files(), files);
	close(event);
}

/* As QEMU does: flags 0x21, count 0. */
static void a_whole_type_is_disabled_by_a_count_of_none(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();
	unsigned int files;

	drive(rig);
	files = vfio_user_rig_count_files();
	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_set(rig, EVENTFD | UNMASK, event);
	assert_int_equal(set(rig, NONE | TRIGGER, INTX, 0, 0, NULL, 0), 0);
	interrupt(rig);
	assert_int_equal(event_take(event), 0);
	assert_int_equal(vfio_user_rig_count_files(), files);
	close(event);
}

static void the_vmm_may_fire_it_itself(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();
	const uint8_t yes = 1, no = 0;

	assert_set(rig, EVENTFD | TRIGGER, event);
	assert_set(rig, NONE | TRIGGER, -1);
	assert_int_equal(event_take(event), 1);
	assert_int_equal(
		vfio_user_client_set_irqs(&rig->client, BOOL | TRIGGER, INTX, 0, 1, &no, NULL, 0),
		0);
	assert_int_equal(event_take(event), 0);
	assert_int_equal(
		vfio_user_client_set_irqs(&rig->client, BOOL | TRIGGER, INTX, 0, 1, &yes, NULL, 0),
		0);
	assert_int_equal(event_take(event), 1);
	close(event);
}

static void a_full_eventfd_does_not_block(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = eventfd(0, EFD_CLOEXEC); /* writing would block */

	drive(rig);
	assert_int_equal(eventfd_write(event, FULL), 0);
	assert_set(rig, EVENTFD | TRIGGER, event);
	interrupt(rig);
	assert_int_equal(event_take(event), FULL);
	assert_int_equal(rig->closed, 0);
	close(event);
}

static void what_is_no_eventfd_is_refused(void **state)
{
	struct vfio_user_rig *rig = *state;
	int fds[6], pair[2], pipes[2];
	unsigned int files;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(pipes), 0);
	fds[0] = pair[0];
	fds[1] = pipes[1];
	fds[2] = pipes[0];
	fds[3] = memfd_create("no eventfd", 0);
	fds[4] = open("/dev/null", O_RDWR);
	fds[5] = open("/", O_RDONLY);
	files = vfio_user_rig_count_files();
	for (size_t i = 0; i < COUNT(fds); i++) {
		assert_int_equal(set(rig, EVENTFD | TRIGGER, INTX, 0, 1, &fds[i], 1), -EBADF);
		assert_int_equal(set(rig, EVENTFD | UNMASK, INTX, 0, 1, &fds[i], 1), -EBADF);
	}
	assert_int_equal(vfio_user_rig_count_files(), files);
	close(pair[1]);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
}

static void one_wrong_file_changes_nothing(void **state)
{
	struct vfio_user_rig *rig = *state;
	int good = event_new(), bad = memfd_create("no eventfd", 0);
	const int fds[] = { good, bad };
	unsigned int files;

	files = vfio_user_rig_count_files();
	assert_int_equal(set(rig, EVENTFD | TRIGGER, MSIX_INDEX, 0, 2, fds, 2), -EBADF);
	assert_int_equal(vfio_user_rig_count_files(), files);
	assert_int_equal(set(rig, NONE | TRIGGER, MSIX_INDEX, 0, 1, NULL, 0), 0);
	assert_int_equal(event_take(good), 0);
	close(good);
	close(bad);
}

static void orders_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		uint32_t flags, index, start, count;
		unsigned int files;
	} rows[] = {
		{ 0, INTX, 0, 1, 0 },			     /* no flags at all */
		{ TRIGGER, INTX, 0, 1, 0 },		     /* no data */
		{ NONE, INTX, 0, 1, 0 },		     /* no action */
		{ NONE | EVENTFD | TRIGGER, INTX, 0, 1, 1 }, /* two kinds of data */
		{ NONE | MASK | UNMASK, INTX, 0, 1, 0 },     /* two actions */
		{ NONE | TRIGGER | 0x40, INTX, 0, 1, 0 },    /* an unknown flag */
		{ NONE | TRIGGER, INTX, 0, 2, 0 },	     /* more lines than there are */
		{ NONE | TRIGGER, INTX, 1, 1, 0 },
		{ NONE | TRIGGER, INTX, 1, 0, 0 },
		{ NONE | TRIGGER, INTX, 2, 0, 0 },
		{ NONE | TRIGGER, INTX, UINT32_MAX, 1, 0 },
		{ NONE | TRIGGER, INTX, 1, UINT32_MAX, 0 },
		{ NONE | TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, 0 },
		{ NONE | TRIGGER, VFIO_PCI_NUM_IRQS, 0, 0, 0 },
		{ NONE | TRIGGER, UINT32_MAX, 0, 1, 0 },
		{ NONE | MASK, INTX, 0, 0, 0 }, /* nothing to do */
		{ EVENTFD | TRIGGER, INTX, 0, 0, 0 },
		{ BOOL | TRIGGER, INTX, 0, 1, 0 },	    /* no booleans */
		{ NONE | TRIGGER, INTX, 0, 1, 1 },	    /* a file that does not belong there */
		{ EVENTFD | TRIGGER, INTX, 0, 1, 2 },	    /* too many */
		{ EVENTFD | TRIGGER, MSIX_INDEX, 0, 3, 2 }, /* too few */
		{ EVENTFD | MASK, INTX, 0, 1, 1 },	    /* there is no such eventfd to watch */
		{ EVENTFD | UNMASK, MSIX_INDEX, 0, 1, 1 },
		{ NONE | TRIGGER, MSIX_INDEX, 0, 7, 0 },
		{ EVENTFD | TRIGGER, MSIX_INDEX, 5, 2, 2 },
	};
	struct vfio_user_rig *rig = *state;
	int event = event_new();
	const int fds[] = { event, event };
	unsigned int files = vfio_user_rig_count_files();

	for (size_t i = 0; i < COUNT(rows); i++) {
		int error = set(rig, rows[i].flags, rows[i].index, rows[i].start, rows[i].count,
				fds, rows[i].files);

		if (error != -EINVAL)
			fail_msg("row %zu: %d", i, error);
	}
	assert_int_equal(vfio_user_rig_count_files(), files);
	assert_int_equal(event_take(event), 0);
	assert_int_equal(rig->closed, 0);
	close(event);
}

/* MSI-X */

/* Vector 1 for the configuration, 0 for the queue; its capability is the sixth. */
static void drive_msix(struct vfio_user_rig *rig)
{
	uint32_t cap = vfio_user_client_get(&rig->client, 7, 0x34, 1);

	while (cap && vfio_user_client_get(&rig->client, 7, cap, 1) != 0x11)
		cap = vfio_user_client_get(&rig->client, 7, cap + 1, 1);
	assert_int_not_equal(cap, 0);
	assert_int_equal(vfio_user_client_put(&rig->client, 7, cap + 2, 0x8000, 2), 0);
	vfio_user_rig_map(rig);
	vfio_user_rig_drive(rig, 1, 0);
}

static void each_vector_has_its_eventfd(void **state)
{
	struct vfio_user_rig *rig = *state;
	int fds[6];

	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = event_new();
	drive_msix(rig);
	assert_int_equal(set(rig, EVENTFD | TRIGGER, MSIX_INDEX, 0, 6, fds, 6), 0);
	interrupt(rig);
	interrupt(rig);
	for (size_t i = 0; i < COUNT(fds); i++) {
		assert_int_equal(event_take(fds[i]), i == 1 ? 2 : 0);
		close(fds[i]);
	}
}

static void a_vector_waits_for_its_eventfd(void **state)
{
	struct vfio_user_rig *rig = *state;
	int event = event_new();

	drive_msix(rig);
	interrupt(rig);
	assert_int_equal(vfio_user_client_get(&rig->client, 1, 0x800, 4), 1 << 1);
	assert_int_equal(set(rig, EVENTFD | TRIGGER, MSIX_INDEX, 1, 1, &event, 1), 0);
	assert_int_equal(event_take(event), 1);
	assert_int_equal(vfio_user_client_get(&rig->client, 1, 0x800, 4), 0);
	close(event);
}

static void a_vector_can_be_masked(void **state)
{
	struct vfio_user_rig *rig = *state;
	const uint8_t second[] = { 0, 1 };
	int event = event_new();

	drive_msix(rig);
	assert_int_equal(set(rig, EVENTFD | TRIGGER, MSIX_INDEX, 1, 1, &event, 1), 0);
	assert_int_equal(vfio_user_client_set_irqs(&rig->client, BOOL | MASK, MSIX_INDEX, 0, 2,
						   second, NULL, 0),
			 0);
	interrupt(rig);
	assert_int_equal(event_take(event), 0);
	assert_int_equal(set(rig, NONE | UNMASK, MSIX_INDEX, 0, 6, NULL, 0), 0);
	assert_int_equal(event_take(event), 1);
	close(event);
}

static void msix_is_disabled_as_a_whole(void **state)
{
	struct vfio_user_rig *rig = *state;
	int fds[6];
	unsigned int files;

	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = event_new();
	files = vfio_user_rig_count_files();
	assert_int_equal(set(rig, EVENTFD | TRIGGER, MSIX_INDEX, 0, 6, fds, 6), 0);
	assert_int_equal(vfio_user_rig_count_files(), files + 6);
	assert_int_equal(set(rig, NONE | TRIGGER, VFIO_PCI_MSI_IRQ_INDEX, 0, 0, NULL, 0), 0);
	assert_int_equal(vfio_user_rig_count_files(), files + 6);
	assert_int_equal(set(rig, NONE | TRIGGER, MSIX_INDEX, 0, 0, NULL, 0), 0);
	assert_int_equal(vfio_user_rig_count_files(), files);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		READY(intx_fires_once_and_masks_itself),
		READY(intx_fires_again_when_it_is_unmasked_unread),
		READY(intx_waits_for_its_eventfd),
		READY(intx_can_be_masked),
		READY(intx_can_be_unmasked_through_an_eventfd),
		READY(the_eventfd_for_unmask_can_be_taken_away),
		READY(nothing_is_left_of_eventfds_for_unmask),
		READY(an_unmask_that_cannot_be_read_is_dropped),
		READY(an_eventfd_may_be_replaced),
		READY(an_eventfd_is_taken_away_by_sending_none),
		READY(a_whole_type_is_disabled_by_a_count_of_none),
		READY(the_vmm_may_fire_it_itself),
		READY(a_full_eventfd_does_not_block),
		READY(what_is_no_eventfd_is_refused),
		MSIX(one_wrong_file_changes_nothing),
		MSIX(orders_that_make_no_sense_are_refused),
		MSIX(each_vector_has_its_eventfd),
		MSIX(a_vector_waits_for_its_eventfd),
		MSIX(a_vector_can_be_masked),
		MSIX(msix_is_disabled_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
