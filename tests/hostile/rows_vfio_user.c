/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages of vfio-user that no VMM sends, and registers that no guest touches. */
#include "tests/hostile/links.h"
#include "tests/hostile/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMANDS 24
#define FDS 40
#define REGIONS 12
#define BAR0_BYTES 0x4000
#define NEVER UINT64_C(0x100000000)

struct text {
	struct vfio_user_header header;
	struct vfio_user_version version;
	char text[200];
};

/* Sends VERSION with @size bytes of text; returns the reply, or that the device hung up. */
static int say_version(struct vm *vm, uint16_t major, const char *text, size_t size)
{
	struct text message = { .version = { major, 0 } };
	int fd = vm_dial(vm), length;

	if (fd < 0)
		return fd;
	vfio_user_client_init(&vm->vfio, fd);
	memcpy(message.text, text, size);
	length = vfio_user_client_call(&vm->vfio, VFIO_USER_VERSION, &message.version,
				       sizeof(message.version) + size, NULL, 0, message.text,
				       sizeof(message.text));
	vfio_user_client_close(&vm->vfio);
	return length;
}

static bool garbage_json(struct vm *vm)
{
	static const char *const texts[] = {
		"",
		"{",
		"}",
		"null",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
		"{\"capabilities\": 5}",
		"{\"capabilities\": {\"max_msg_fds\": -1, \"max_data_xfer_size\": 1e999}}",
		"{\"capabilities\": {\"max_msg_fds\": 99999999999999999999999}}",
		"{\"a\": \"\\ud800\"}",
		"\xff\xfe\xfd",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		/* With its NUL, and without. */
		EXPECT(vm, say_version(vm, 0, texts[i], strlen(texts[i]) + 1) != -ETIMEDOUT);
		EXPECT(vm, say_version(vm, 0, texts[i], strlen(texts[i])) != -ETIMEDOUT);
		EXPECT(vm, say_version(vm, 0xffff, texts[i], strlen(texts[i]) + 1) != -ETIMEDOUT);
	}
	return true;
}

static bool version_twice(struct vm *vm)
{
	EXPECT(vm, vfio_user_client_version(&vm->vfio) != -ETIMEDOUT);
	return true;
}

static bool commands_before_version(struct vm *vm)
{
	for (uint16_t command = 2; command < COMMANDS; command++) {
		uint8_t zeros[64] = { 0 };
		int fd = vm_dial(vm);

		EXPECT(vm, fd >= 0);
		vfio_user_client_init(&vm->vfio, fd);
		EXPECT(vm, vfio_user_client_call(&vm->vfio, command, zeros, sizeof(zeros),
						 &vm->guest.fd, 1, zeros, sizeof(zeros)) < 0);
		vfio_user_client_close(&vm->vfio);
	}
	return true;
}

/* A map of memory and a write to a register, cut at each byte; then the VMM is gone. */
static bool cut_messages(struct vm *vm)
{
	const struct {
		struct vfio_user_header header;
		struct vfio_user_dma_map map;
	} map = {
		{ .id = 1, .command = VFIO_USER_DMA_MAP, .size = sizeof(map) },
		{ sizeof(map.map), 3, 0, GUEST_LOW, GUEST_PART },
	};
	const struct {
		struct vfio_user_header header;
		struct vfio_user_access access;
		uint32_t value;
	} write = {
		{ .id = 2,
		  .command = VFIO_USER_REGION_WRITE,
		  .size = sizeof(write.header) + sizeof(write.access) + 4 },
		{ VFIO_COMMON(STATUS), 0, 4 },
		UINT32_MAX,
	};

	for (size_t cut = 1; cut < sizeof(map); cut++) {
		EXPECT(vm, vm->link->connect(vm) == 0);
		EXPECT(vm, !vfio_user_client_send_raw(&vm->vfio, &map, cut, &vm->guest.fd, 1));
		vm->link->close(vm);
	}
	for (size_t cut = 1; cut < write.header.size; cut++) {
		EXPECT(vm, vm->link->connect(vm) == 0);
		EXPECT(vm, !vfio_user_client_send_raw(&vm->vfio, &write, cut, NULL, 0));
		vm->link->close(vm);
	}
	return true;
}

static bool trickling_file_descriptors(struct vm *vm)
{
	const struct vfio_user_header header = { .command = VFIO_USER_DMA_MAP, .size = 200 };
	const uint8_t zeros[184] = { 0 };

	for (size_t i = 0; i < sizeof(header); i++)
		vfio_user_client_send_raw(&vm->vfio, (const char *)&header + i, 1, &vm->guest.fd,
					  1);
	for (size_t i = 0; i < sizeof(zeros); i++)
		if (vfio_user_client_send_raw(&vm->vfio, zeros + i, 1, &vm->guest.fd, 1))
			break;
	return true;
}

static bool reconnect(struct vm *vm)
{
	vm->link->close(vm);
	EXPECT(vm, vm->link->connect(vm) == 0);
	return true;
}

static bool sizes_of_messages(struct vm *vm)
{
	static const uint32_t sizes[] = {
		0, 1, 15, 5000, 65536, 0x7fffffff, 0x80000000, UINT32_MAX
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct vfio_user_header header = { .command = VFIO_USER_DMA_MAP,
							 .size = sizes[i] };
		struct vfio_user_header reply;

		EXPECT(vm, !vfio_user_client_send_raw(&vm->vfio, &header, sizeof(header), NULL, 0));
		/* It may say so before it hangs up. */
		EXPECT(vm,
		       vfio_user_client_receive(&vm->vfio, &reply, NULL, 0) == -ECONNRESET ||
			       vfio_user_client_receive(&vm->vfio, &reply, NULL, 0) == -ECONNRESET);
		if (!reconnect(vm))
			return false;
	}
	return true;
}

static bool wrong_sizes(struct vm *vm)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 16, 19, 20, 31, 33, 64, 100, 4000 };
	const uint8_t zeros[4000] = { 0 };
	uint8_t reply[4000];

	for (uint16_t command = 0; command < COMMANDS; command++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			EXPECT(vm, vfio_user_client_call(&vm->vfio, command, zeros, sizes[i], NULL,
							 0, reply, sizeof(reply)) != -ETIMEDOUT);
			if (vm->link->is_over(vm) && !reconnect(vm))
				return false;
		}
	return true;
}

static bool unknown_commands(struct vm *vm)
{
	static const uint16_t commands[] = { 0, 6, 11, 12, 14, 15, 16, 17, 18, 19, 255, 65535 };
	uint8_t bytes[32] = { 0 };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		EXPECT(vm, vfio_user_client_call(&vm->vfio, commands[i], bytes, sizeof(bytes),
						 &vm->guest.fd, 1, bytes, sizeof(bytes)) < 0);
	EXPECT(vm, !vm->link->is_over(vm));
	return true;
}

static bool replies_to_nothing(struct vm *vm)
{
	uint8_t bytes[16] = { 0 };

	for (uint32_t flags = 1; flags < 64; flags++) {
		vfio_user_client_send(&vm->vfio, VFIO_USER_GET_INFO, flags, bytes, sizeof(bytes),
				      NULL, 0);
		if (!reconnect(vm))
			return false;
	}
	return true;
}

static bool file_descriptors_everywhere(struct vm *vm)
{
	const uint8_t zeros[64] = { 0 };
	uint8_t reply[64];
	int fds[FDS];

	for (unsigned int i = 0; i < FDS; i++)
		fds[i] = i % 2 ? vm->guest.fd : vm->kicks[0];
	for (uint16_t command = 1; command < COMMANDS; command++)
		for (unsigned int count = 1; count <= FDS; count += 13) {
			vfio_user_client_call(&vm->vfio, command, zeros, 32, fds, count, reply,
					      sizeof(reply));
			if (!reconnect(vm))
				return false;
		}
	return true;
}

static bool accesses_everywhere(struct vm *vm)
{
	static const uint64_t offsets[] = { 0,	   1,	       255,	      4095,
					    4096,  0x3fff,     0x4000,	      0xffffffff,
					    NEVER, UINT64_MAX, UINT64_MAX - 3 };
	static const uint32_t counts[] = { 0, 1, 3, 4, 8, 4096 };
	uint8_t bytes[4096] = { 0 };

	for (uint32_t region = 0; region < REGIONS; region++)
		for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
			for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
				EXPECT(vm, vfio_user_client_read(&vm->vfio, region, offsets[i],
								 bytes, counts[j]) != -ETIMEDOUT);
				EXPECT(vm, vfio_user_client_write(&vm->vfio, region, offsets[i],
								  bytes, counts[j]) != -ETIMEDOUT);
			}
	EXPECT(vm, vfio_user_client_read(&vm->vfio, UINT32_MAX, 0, bytes, 4) < 0);
	EXPECT(vm, !vm->link->is_over(vm));
	return true;
}

/* A count that is not what comes with it. */
static bool counts_that_lie(struct vm *vm)
{
	static const uint32_t counts[] = { 0, 3, 5, 4096, 4097, 0x7fffffff, UINT32_MAX };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct {
			struct vfio_user_access access;
			uint8_t data[4];
		} message = { .access = { VFIO_COMMON(STATUS), 0, counts[i] } };

		EXPECT(vm, vfio_user_client_call(&vm->vfio, VFIO_USER_REGION_WRITE, &message,
						 sizeof(message.access) + 4, NULL, 0, &message,
						 sizeof(message)) != -ETIMEDOUT);
		if (!reconnect(vm))
			return false;
		message.access.count = counts[i];
		EXPECT(vm, vfio_user_client_call(&vm->vfio, VFIO_USER_REGION_READ, &message,
						 sizeof(message.access), NULL, 0, &message,
						 sizeof(message)) != -ETIMEDOUT);
		if (!reconnect(vm))
			return false;
	}
	return true;
}

/* Every register of BAR 0 and of configuration space, with every kind of value. */
static bool random_registers(struct vm *vm)
{
	uint32_t state = 20240229;

	for (unsigned int i = 0; i < 8000; i++) {
		uint32_t value = row_random(&state);
		uint32_t region = row_random(&state) % 4 ? 0 : VFIO_PCI_CONFIG_REGION_INDEX;
		uint32_t window = row_random(&state) % 2 ? 0x40 : BAR0_BYTES;
		uint32_t count = 1U << row_random(&state) % 4;
		uint8_t bytes[8];

		for (unsigned int at = 0; at < 8; at++)
			bytes[at] = (uint8_t)(row_random(&state) % 4 ? value % 16 : value >> at);
		EXPECT(vm, vfio_user_client_write(&vm->vfio, region, row_random(&state) % window,
						  bytes, count) != -ETIMEDOUT);
		EXPECT(vm, !vm->link->is_over(vm));
	}
	vm_forget_rings(vm);
	return true;
}

static bool kicks_of_no_queue(struct vm *vm)
{
	for (unsigned int queue = 0; queue < 1024; queue++)
		vm_kick(vm, queue);
	for (uint32_t value = 0; value < 0x10000; value += 0x101)
		vfio_user_client_post(&vm->vfio, 0, VFIO_NOTIFY, &value, 2);
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool queues_that_are_not(struct vm *vm)
{
	for (unsigned int queue = QUEUES; queue < 70000; queue += 3001) {
		struct ring ring = vm->rings[INFLATE];

		vm->link->set_up_queue(vm, queue, &ring);
	}
	return vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool interrupts(struct vm *vm)
{
	uint32_t state = 42;
	int files = device_files(vm->device);

	for (unsigned int i = 0; i < 3000; i++) {
		static const uint32_t numbers[] = { 0, 1, 2, 5, 6, 7, 64, 0x7fffffff, UINT32_MAX };
		const uint8_t bools[64] = { 1, 0, 1 };
		uint32_t count = numbers[row_random(&state) % 9];
		bool with_bools = count <= 64 && row_random(&state) % 2;

		vfio_user_client_set_irqs(
			&vm->vfio, row_random(&state) % 64, numbers[row_random(&state) % 9],
			numbers[row_random(&state) % 9], count, with_bools ? bools : NULL,
			vm->calls, row_random(&state) % QUEUES);
		EXPECT(vm, !vm->link->is_over(vm));
	}
	/* At most one for each interrupt that there is. */
	return row_files(vm, files + 10) && vm_send_pages(vm, INFLATE, PAGES, 16);
}

static bool wrong_interrupts(struct vm *vm)
{
	int folder = open("/", O_RDONLY | O_CLOEXEC), pipes[2];

	EXPECT(vm, folder >= 0 && !pipe2(pipes, O_CLOEXEC));
	const int files[] = { folder, pipes[0], pipes[1], vm->guest.fd, vm->vfio.fd };

	for (unsigned int i = 0; i < 5; i++) {
		vfio_user_client_set_irqs(&vm->vfio,
					  VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
					  VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, &files[i], 1);
		/* Enough for a pipe to be full. */
		for (unsigned int j = 0; j < 300; j++)
			if (!vm_send_pages(vm, j % 2 ? DEFLATE : INFLATE, PAGES, 1))
				return false;
	}
	close(folder);
	close(pipes[0]);
	close(pipes[1]);
	return true;
}

static bool never_reads(struct vm *vm)
{
	const struct vfio_user_access access = { 0, VFIO_PCI_CONFIG_REGION_INDEX, 256 };
	struct {
		struct vfio_user_header header;
		struct vfio_user_access access;
	} ask = { { .command = VFIO_USER_REGION_READ, .size = sizeof(ask) }, access };

	for (unsigned int i = 0; i < 100000; i++)
		if (send(vm->vfio.fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	EXPECT(vm, device_number(vm->device, "query-balloon", "actual") != UINT64_MAX);
	return true;
}

static bool random_bytes(struct vm *vm)
{
	uint32_t state = 7;

	for (unsigned int i = 0; i < 500; i++) {
		struct {
			struct vfio_user_header header;
			uint8_t payload[64];
		} message;

		for (size_t at = 0; at < sizeof(message); at++)
			((uint8_t *)&message)[at] = (uint8_t)row_random(&state);
		if (row_random(&state) % 4) {
			message.header.command %= COMMANDS;
			message.header.flags = 0;
			message.header.size = 16 + row_random(&state) % 65;
		}
		vfio_user_client_send_raw(&vm->vfio, &message, sizeof(message), &vm->guest.fd,
					  row_random(&state) % 2);
		if (!reconnect(vm))
			return false;
	}
	return true;
}

const struct row rows_vfio_user[] = {
	{ "vfio-user-garbage-json", ALONE, VFIO_ONLY, garbage_json },
	{ "vfio-user-version-twice", CONNECTED, VFIO_ONLY, version_twice },
	{ "vfio-user-commands-before-version", ALONE, VFIO_ONLY, commands_before_version },
	{ "vfio-user-cut-messages", ALONE, VFIO_ONLY, cut_messages },
	{ "vfio-user-trickling-fds", CONNECTED, VFIO_ONLY, trickling_file_descriptors },
	{ "vfio-user-sizes-that-make-no-sense", CONNECTED, VFIO_ONLY, sizes_of_messages },
	{ "vfio-user-wrong-sizes", CONNECTED, VFIO_ONLY, wrong_sizes },
	{ "vfio-user-unknown-commands", CONNECTED, VFIO_ONLY, unknown_commands },
	{ "vfio-user-replies-to-nothing", CONNECTED, VFIO_ONLY, replies_to_nothing },
	{ "vfio-user-fds-everywhere", CONNECTED, VFIO_ONLY, file_descriptors_everywhere },
	{ "vfio-user-accesses-everywhere", STARTED, VFIO_ONLY, accesses_everywhere },
	{ "vfio-user-counts-that-lie", CONNECTED, VFIO_ONLY, counts_that_lie },
	{ "vfio-user-random-registers", STARTED, VFIO_ONLY, random_registers },
	{ "vfio-user-kicks-of-no-queue", STARTED, VFIO_ONLY, kicks_of_no_queue },
	{ "vfio-user-queues-that-are-not", STARTED, VFIO_ONLY, queues_that_are_not },
	{ "vfio-user-interrupts", STARTED, VFIO_ONLY, interrupts },
	{ "vfio-user-wrong-interrupts", STARTED, VFIO_ONLY, wrong_interrupts },
	{ "vfio-user-never-reads", STARTED, VFIO_ONLY, never_reads },
	{ "vfio-user-random-bytes", CONNECTED, VFIO_ONLY, random_bytes },
	{ 0 },
};
