/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostile-driver - do to a device what no guest and no VMM should
 *
 *	hostile-driver [--protocol=NAME] [--only=NAME] [--list] PROGRAM [OPTIONS...]
 *
 * PROGRAM is aerostat-device, with OPTIONS in addition to those that are needed.
 * The rows of the tables in rows_*.c run one after the other against one device
 * process.  After each row:
 *
 *	the process is alive;
 *	every descriptor was returned with length 0, or the device needs a reset,
 *	or the connection was closed;
 *	once the VMM is gone, the process has as many open files as before, and
 *	not much more private memory;
 *	the process has logged little;
 *	everything works for an honest guest.
 *
 * Prints "ok PROTOCOL/NAME" or "FAILED PROTOCOL/NAME: why" for each row, and the
 * numbers of both at the end.  The exit status is 1 if any row failed.
 */
#include "tests/hostile/rows.h"

#include "io/log.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRIVATE_KIB_MAX (2 * 1024)
#define SANITIZED_KIB_MAX                                                                          \
	(16 * 1024) /* redzones, and memory that was freed and is kept from reuse */
/* So that every queue exists; otherwise the defaults. */
#define DEVICE_FEATURES "--features=+free-page-reporting"
#define WORDS_MAX 16

static const struct row *const tables[] = { rows_chains,    rows_pages,	  rows_gate,
					    rows_stats,	    rows_reports, rows_rings,
					    rows_memory,    rows_config,  rows_vfio_user,
					    rows_vhost_user };
#define TABLES_COUNT (sizeof(tables) / sizeof(tables[0]))

struct run {
	const char *program;
	const char *protocol; /* NULL: both */
	const char *only;     /* NULL: all */
	bool list;
	char *words[WORDS_MAX];
	struct device device;
	unsigned int passed, failed;
};

/* Nothing is written into buffers of these queues, so every length is 0. */
static bool lengths_are_zero(struct vm *vm)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		uint32_t id, length;

		while (ring_take(&vm->rings[i], &id, &length))
			EXPECT(vm, length == 0);
	}
	return true;
}

/* With nobody connected: has a row left anything behind? */
static bool leaves_nothing(struct vm *vm)
{
	struct device *device = vm->device;
	uint64_t deadline = now_ms() + HANG_MS;
	uint64_t kib;

	while (device_files(device) != device->files) {
		if (now_ms() > deadline || !device_lives(device))
			return vm_fail(vm, "%d files are open, and not %d as before",
				       device_files(device), device->files);
		pause_ms(1);
	}
	kib = device_private_kib(device);
	if (kib >
	    device->private_kib + (device_is_sanitized() ? SANITIZED_KIB_MAX : PRIVATE_KIB_MAX))
		return vm_fail(vm, "%" PRIu64 " KiB of private memory, after %" PRIu64, kib,
			       device->private_kib);
	return true;
}

/* A burst, and what io/log.h lets through later: lines, and before each how many were dropped. */
static bool logged_little(struct vm *vm, unsigned int lines_before, uint64_t began_ms)
{
	uint64_t seconds;
	unsigned int lines;

	device_read_log(vm->device);
	lines = vm->device->log_lines - lines_before;
	seconds = (now_ms() - began_ms) / 1000 + 1;
	if (lines > LOG_BURST + 2 * LOG_PER_S * seconds)
		return vm_fail(vm, "it logged %u lines in %" PRIu64 " seconds", lines, seconds);
	return true;
}

static bool do_row(const struct row *row, struct vm *vm)
{
	uint64_t began_ms = now_ms();
	unsigned int lines;
	int error = 0;

	device_read_log(vm->device);
	lines = vm->device->log_lines;
	if (row->stage == CONNECTED)
		error = vm->link->connect(vm);
	else if (row->stage == STARTED)
		error = vm_start(vm);
	if (error)
		return vm_fail(vm, "it did not begin: %s", strerror(-error));
	if (!row->run(vm) || !vm_settles(vm) || !lengths_are_zero(vm))
		return false;
	if (!device_lives(vm->device))
		return vm_fail(vm, "the device died");
	vm->link->close(vm);
	return leaves_nothing(vm) && logged_little(vm, lines, began_ms);
}

static bool guest_after(struct run *run, enum protocol protocol, char *failure, size_t size)
{
	struct vm vm;
	bool ok;

	if (vm_open(&vm, &run->device, protocol))
		return false;
	ok = honest_guest(&vm);
	vm_close(&vm);
	ok = ok && leaves_nothing(&vm);
	if (!ok)
		snprintf(failure, size, "the next guest: %s", vm.failure);
	return ok;
}

static bool attack(struct run *run, const struct row *row, enum protocol protocol, char *failure,
		   size_t size)
{
	struct vm vm;
	bool ok;

	if (vm_open(&vm, &run->device, protocol)) {
		snprintf(failure, size, "no memory for a guest");
		return false;
	}
	ok = do_row(row, &vm);
	vm_close(&vm);
	if (!ok)
		snprintf(failure, size, "%s", vm.failure);
	return ok && guest_after(run, protocol, failure, size);
}

static void print_failure(struct run *run, const char *protocol, const struct row *row,
			  const char *failure)
{
	run->failed++;
	device_read_log(&run->device);
	printf("FAILED %s/%s: %s\n", protocol, row->name, failure);
	printf("--- the end of its output:\n%s---\n", run->device.tail);
}

static bool start_device(struct run *run, enum protocol protocol)
{
	const char *name = vm_link(protocol)->name;
	int error = device_start(&run->device, run->program, name, run->words);

	if (!error)
		return true;
	device_read_log(&run->device);
	printf("FAILED %s/start: %s\n%s", name,
	       error == -EACCES ? "its open files cannot be counted; be root, or add --sandbox=off"
				: strerror(-error),
	       run->device.tail);
	device_stop(&run->device);
	return false;
}

/* A device that has failed once is not used for the next row. */
static bool restart_device(struct run *run, enum protocol protocol)
{
	device_stop(&run->device);
	return start_device(run, protocol);
}

static bool wanted(const struct run *run, const struct row *row, enum protocol protocol)
{
	const char *name = vm_link(protocol)->name;

	return row->protocols & BIT(protocol) && (!run->only || !strcmp(run->only, row->name)) &&
	       (!run->protocol || !strcmp(run->protocol, name));
}

static bool attack_all(struct run *run, enum protocol protocol)
{
	const char *name = vm_link(protocol)->name;

	for (size_t i = 0; i < TABLES_COUNT; i++)
		for (const struct row *row = tables[i]; row->name; row++) {
			char failure[320] = "";

			if (!wanted(run, row, protocol))
				continue;
			if (attack(run, row, protocol, failure, sizeof(failure))) {
				run->passed++;
				printf("ok %s/%s\n", name, row->name);
			} else {
				print_failure(run, name, row, failure);
				if (!restart_device(run, protocol))
					return false;
			}
			fflush(stdout);
		}
	return true;
}

static unsigned int count_wanted(const struct run *run, enum protocol protocol)
{
	unsigned int count = 0;

	for (size_t i = 0; i < TABLES_COUNT; i++)
		for (const struct row *row = tables[i]; row->name; row++)
			count += wanted(run, row, protocol);
	return count;
}

static void list_all(const struct run *run)
{
	for (enum protocol protocol = 0; protocol < PROTOCOLS; protocol++)
		for (size_t i = 0; i < TABLES_COUNT; i++)
			for (const struct row *row = tables[i]; row->name; row++)
				if (wanted(run, row, protocol))
					printf("%s/%s\n", vm_link(protocol)->name, row->name);
}

static bool parse(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "protocol", required_argument, NULL, 'p' },
		{ "only", required_argument, NULL, 'o' },
		{ "list", no_argument, NULL, 'l' },
		{ 0 },
	};
	unsigned int count = 0;
	int option;

	run->words[count++] = DEVICE_FEATURES;
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'p')
			run->protocol = optarg;
		else if (option == 'o')
			run->only = optarg;
		else if (option == 'l')
			run->list = true;
		else
			return false;
	}
	if (optind < argc)
		run->program = argv[optind++];
	while (optind < argc && count < WORDS_MAX - 1)
		run->words[count++] = argv[optind++];
	return run->program || run->list;
}

int main(int argc, char **argv)
{
	struct run run = { 0 };

	if (!parse(&run, argc, argv)) {
		fprintf(stderr,
			"usage: %s [--protocol=NAME] [--only=NAME] [--list] "
			"PROGRAM [DEVICE-OPTIONS]\n",
			argv[0]);
		return 2;
	}
	if (run.list) {
		list_all(&run);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	for (enum protocol protocol = 0; protocol < PROTOCOLS; protocol++) {
		if (!count_wanted(&run, protocol))
			continue;
		if (!start_device(&run, protocol) || !attack_all(&run, protocol)) {
			run.failed++;
			continue;
		}
		device_stop(&run.device);
	}
	printf("%u passed, %u failed\n", run.passed, run.failed);
	return run.failed || !run.passed;
}
