/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user server and the PCI function, with a VMM that does what the input
 * says, over a socket pair and with 4 MiB of a memfd.
 *
 * The input is steps: a byte that selects the step (modulo their number), and its
 * arguments.  START sets up a working guest, so that short inputs get deep.
 * Besides crashes, this looks for leaked file descriptors, work that does not end,
 * and a connection that is lost although its framing is correct.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <linux/virtio_pci.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/harness.h"
#include "tests/unit/vfio_user_client.h"

#define NOTIFY 0x3000u
#define STEPS_MAX 200

enum step {
	RAW,	 /* u8 count, bytes: as they are */
	MESSAGE, /* u8 command, u8 flags, u8 size, bytes, u8 count of fds, u8 kind of each */
	WRITE,	 /* u8 region, u16 offset, u8 count, bytes */
	READ,	 /* u8 region, u16 offset, u16 count */
	IRQS,	 /* u8 flags, u8 index, u8 start, u8 count, u8 kind of fds, u8 count of these */
	MAP,	 /* u8 kind of fd, u16 page, u16 pages, u16 page of the file */
	UNMAP,	 /* u16 page, u16 pages */
	START,	 /* what QEMU and Linux do until the driver is ready */
	EVENT,	 /* u8 count: written to the eventfd */
	MEMORY,	 /* u16 offset, u8 count, bytes: written by the guest */
	OFFER,	 /* u8 ring, u32 address, u16 length, u8 flags; and kicks */
	PUMP,	 /* u8 rounds */
	TARGET,	 /* u32 pages */
	REOPEN,	 /* u8: another connection, with MSI-X if it is odd */
	FLOOD,	 /* u8 count: long reads whose replies wait */
	SHUT,	 /* u8: the VMM ends the connection for reading, or for writing */
	STEPS
};

enum kind { MEMORY_FD, EVENT_FD, PIPE_FD, READ_ONLY_FD, NO_FD, KINDS };

struct fuzz {
	struct script script;
	struct harness harness; /* may_close: RAW, FLOOD or SHUT was done */
	struct vfio_user_client client;
	int fds[NO_FD], other_pipe;
	struct guest guest;
};

/* Runs one round of the loop, and reads the answers to make room for more. */
static void pump(void *data)
{
	struct fuzz *fuzz = data;

	harness_rounds(&fuzz->harness, 1);
	drain_socket(fuzz->client.fd);
}

static void open_transport(struct fuzz *fuzz, bool msix)
{
	fuzz->harness.may_close = false;
	vfio_user_client_init(&fuzz->client, harness_connect(&fuzz->harness, &vfio_user_ops, msix));
	fuzz->client.pump = pump;
	fuzz->client.data = fuzz;
}

static void close_transport(struct fuzz *fuzz)
{
	harness_disconnect(&fuzz->harness);
	vfio_user_client_close(&fuzz->client);
}

static void send_command(struct fuzz *fuzz, uint16_t command, uint32_t flags, const void *payload,
			 size_t size, const int *fds, unsigned int count)
{
	vfio_user_client_send(&fuzz->client, command, flags, payload, size, fds, count);
	pump(fuzz);
}

static void write_region(struct fuzz *fuzz, uint32_t region, uint64_t offset, const void *from,
			 uint32_t count)
{
	vfio_user_client_post(&fuzz->client, region, offset, from, count);
	pump(fuzz);
}

static void put(struct fuzz *fuzz, uint64_t offset, uint32_t value, uint32_t bytes)
{
	write_region(fuzz, 0, offset, &value, bytes);
}

static void send_map(struct fuzz *fuzz, enum kind kind, uint64_t address, uint64_t size,
		     uint64_t offset)
{
	const struct vfio_user_dma_map map = { sizeof(map), 3, offset, address, size };

	send_command(fuzz, VFIO_USER_DMA_MAP, 0, &map, sizeof(map),
		     kind == NO_FD ? NULL : &fuzz->fds[kind], kind != NO_FD);
}

static void start_queue(struct fuzz *fuzz, unsigned int queue)
{
	const uint32_t ring = queue * GUEST_RING_BYTES;

	guest_clear_ring(&fuzz->guest, queue);
	put(fuzz, VIRTIO_PCI_COMMON_Q_SELECT, queue, 2);
	put(fuzz, VIRTIO_PCI_COMMON_Q_SIZE, GUEST_RING_SIZE, 2);
	put(fuzz, VIRTIO_PCI_COMMON_Q_MSIX, queue + 1, 2);
	put(fuzz, VIRTIO_PCI_COMMON_Q_DESCLO, ring, 4);
	put(fuzz, VIRTIO_PCI_COMMON_Q_AVAILLO, ring + GUEST_AVAIL_OFFSET, 4);
	put(fuzz, VIRTIO_PCI_COMMON_Q_USEDLO, ring + GUEST_USED_OFFSET, 4);
	put(fuzz, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

static void step_start(struct fuzz *fuzz)
{
	const struct vfio_user_irq_set set = { sizeof(set), 0x24, 0, 0, 1 };
	/* The guest's rings are split ones, and it looks at no event index. */
	const uint64_t features =
		balloon_offered(fuzz->harness.balloon) &
		~(BALLOON_BIT(VIRTIO_F_RING_PACKED) | BALLOON_BIT(VIRTIO_F_RING_EVENT_IDX));

	send_command(fuzz, VFIO_USER_VERSION, 0, "\0\0\0\0{}", 7, NULL, 0);
	send_command(fuzz, VFIO_USER_SET_IRQS, 0, &set, sizeof(set), &fuzz->fds[EVENT_FD], 1);
	send_map(fuzz, MEMORY_FD, 0, GUEST_RAM_BYTES, 0);
	put(fuzz, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	for (uint32_t i = 0; i < 2; i++) {
		put(fuzz, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		put(fuzz, VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> (32 * i)), 4);
	}
	put(fuzz, VIRTIO_PCI_COMMON_STATUS, 0x0b, 1);
	for (unsigned int queue = 0; queue < BALLOON_QUEUES_MAX; queue++)
		start_queue(fuzz, queue);
	put(fuzz, VIRTIO_PCI_COMMON_STATUS, 0x0f, 1);
}

static void step_raw(struct fuzz *fuzz)
{
	const uint8_t *bytes;
	size_t size = script_bytes(&fuzz->script, script_u8(&fuzz->script), &bytes);

	fuzz->harness.may_close = true;
	vfio_user_client_send_raw(&fuzz->client, bytes, size, NULL, 0);
}

static void step_message(struct fuzz *fuzz)
{
	uint16_t command = script_u8(&fuzz->script);
	uint8_t flags = script_u8(&fuzz->script);
	const uint8_t *payload;
	size_t size = script_bytes(&fuzz->script, script_u8(&fuzz->script), &payload);
	unsigned int wanted = script_u8(&fuzz->script) % 16, count = 0;
	int fds[16];

	while (wanted--) {
		enum kind kind = script_u8(&fuzz->script) % KINDS;

		if (kind != NO_FD)
			fds[count++] = fuzz->fds[kind];
	}
	send_command(fuzz, command, flags, payload, size, fds, count);
}

static void step_write(struct fuzz *fuzz)
{
	uint8_t region = script_u8(&fuzz->script);
	uint16_t offset = script_u16(&fuzz->script);
	const uint8_t *bytes;
	size_t count = script_bytes(&fuzz->script, script_u8(&fuzz->script), &bytes);

	write_region(fuzz, region % 10, offset, bytes, (uint32_t)count);
}

static void step_read(struct fuzz *fuzz)
{
	struct vfio_user_access access = { .region = script_u8(&fuzz->script) % 10 };

	access.offset = script_u16(&fuzz->script);
	access.count = script_u16(&fuzz->script);
	send_command(fuzz, VFIO_USER_REGION_READ, 0, &access, sizeof(access), NULL, 0);
}

static void step_irqs(struct fuzz *fuzz)
{
	struct {
		struct vfio_user_irq_set set;
		uint8_t bools[8];
	} message = { .set.argsz = sizeof(message.set), .bools = { 1, 0, 1, 1, 0, 1, 1, 1 } };
	enum kind kind;
	int fds[16];
	unsigned int count;

	message.set.flags = script_u8(&fuzz->script);
	message.set.index = script_u8(&fuzz->script) % 6;
	message.set.start = script_u8(&fuzz->script) % 8;
	message.set.count = script_u8(&fuzz->script) % 8;
	kind = script_u8(&fuzz->script) % KINDS;
	count = kind == NO_FD ? 0 : script_u8(&fuzz->script) % 10;
	for (unsigned int i = 0; i < count; i++)
		fds[i] = fuzz->fds[kind];
	send_command(fuzz, VFIO_USER_SET_IRQS, 0, &message, sizeof(message), fds, count);
}

static void step_map(struct fuzz *fuzz)
{
	enum kind kind = script_u8(&fuzz->script) % KINDS;
	uint64_t page = script_u16(&fuzz->script), pages = script_u16(&fuzz->script);

	send_map(fuzz, kind, page << 12, pages << 12, (uint64_t)script_u16(&fuzz->script) << 12);
}

static void step_unmap(struct fuzz *fuzz)
{
	struct vfio_user_dma_unmap unmap = { .argsz = sizeof(unmap) };

	unmap.address = (uint64_t)script_u16(&fuzz->script) << 12;
	unmap.size = (uint64_t)script_u16(&fuzz->script) << 12;
	send_command(fuzz, VFIO_USER_DMA_UNMAP, 0, &unmap, sizeof(unmap), NULL, 0);
}

static void step_event(struct fuzz *fuzz)
{
	signal_eventfd(fuzz->fds[EVENT_FD], script_u8(&fuzz->script));
}

static void step_memory(struct fuzz *fuzz)
{
	guest_write(&fuzz->guest, &fuzz->script);
}

static void step_offer(struct fuzz *fuzz)
{
	unsigned int queue = guest_offer(&fuzz->guest, &fuzz->script);

	put(fuzz, NOTIFY + 4 * queue, queue, 2);
}

static void step_pump(struct fuzz *fuzz)
{
	fuzz->harness.now_ns += BALLOON_RELEASE_DELAY_NS;
	for (unsigned int rounds = script_u8(&fuzz->script) % 32; rounds; rounds--)
		pump(fuzz);
}

static void step_flood(struct fuzz *fuzz)
{
	const struct vfio_user_access access = { .region = VFIO_PCI_CONFIG_REGION_INDEX,
						 .count = VFIO_USER_TRANSFER_MAX };

	fuzz->harness.may_close = true;
	for (unsigned int i = script_u8(&fuzz->script); i > 0; i--) {
		vfio_user_client_send(&fuzz->client, VFIO_USER_REGION_READ, 0, &access,
				      sizeof(access), NULL, 0);
		harness_rounds(&fuzz->harness, 1);
	}
}

static void step_shut(struct fuzz *fuzz)
{
	fuzz->harness.may_close = true;
	shutdown(fuzz->client.fd, script_u8(&fuzz->script) & 1 ? SHUT_WR : SHUT_RD);
}

static void step_reopen(struct fuzz *fuzz)
{
	close_transport(fuzz);
	open_transport(fuzz, script_u8(&fuzz->script) & 1);
}

static void step_target(struct fuzz *fuzz)
{
	balloon_set_target(fuzz->harness.balloon, script_u32(&fuzz->script) * UINT64_C(4096));
}

static void step(struct fuzz *fuzz)
{
	static void (*const steps[STEPS])(struct fuzz * fuzz) = {
		[RAW] = step_raw,	[MESSAGE] = step_message, [WRITE] = step_write,
		[READ] = step_read,	[IRQS] = step_irqs,	  [MAP] = step_map,
		[UNMAP] = step_unmap,	[START] = step_start,	  [EVENT] = step_event,
		[MEMORY] = step_memory, [OFFER] = step_offer,	  [PUMP] = step_pump,
		[TARGET] = step_target, [REOPEN] = step_reopen,	  [FLOOD] = step_flood,
		[SHUT] = step_shut,
	};

	steps[script_u8(&fuzz->script) % STEPS](fuzz);
}

static void begin(struct fuzz *fuzz)
{
	const struct balloon_options options = {
		.features = balloon_default_features() | BALLOON_BIT(BALLOON_F_PAGE_REPORTING) |
			    BALLOON_BIT(VIRTIO_F_VERSION_1),
		.release_delay_ns = BALLOON_RELEASE_DELAY_NS,
	};
	const struct balloon_host host = harness_host(&fuzz->harness);
	int pipes[2];

	harness_begin(&fuzz->harness, &options, &host);
	fuzz->fds[MEMORY_FD] = memory_file(GUEST_RAM_BYTES);
	guest_map(&fuzz->guest, fuzz->fds[MEMORY_FD]);
	fuzz->fds[EVENT_FD] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(!pipe2(pipes, O_CLOEXEC));
	fuzz->fds[PIPE_FD] = pipes[1];
	fuzz->other_pipe = pipes[0];
	fuzz->fds[READ_ONLY_FD] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	open_transport(fuzz, true);
}

static void end(struct fuzz *fuzz)
{
	close_transport(fuzz);
	harness_end(&fuzz->harness);
	guest_unmap(&fuzz->guest);
	for (unsigned int i = 0; i < NO_FD; i++)
		close(fuzz->fds[i]);
	close(fuzz->other_pipe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { .script = { data, size }, .harness.now_ns = 1 };
	unsigned int before = count_open_fds();

	begin(&fuzz);
	for (unsigned int i = 0; i < STEPS_MAX && fuzz.script.left; i++)
		step(&fuzz);
	harness_settle(&fuzz.harness);
	pump(&fuzz);
	end(&fuzz);
	require(count_open_fds() == before);
	return 0;
}
