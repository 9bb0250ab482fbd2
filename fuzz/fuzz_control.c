/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket, and the listener and the loop below it: what clients send, in
 * parts of any size, while a guest runs, events happen, and clients do not read.
 *
 * The first byte selects the size of the parts, whether the client negotiates first,
 * and whether the guest has a name; the rest is sent.  The byte 0xff, which no UTF-8
 * text contains, begins a step instead: a byte that selects it (modulo their number),
 * and its arguments.  See enum step, and fuzz/corpus/control/ for examples.
 *
 * Whatever it is, each line that comes back must be one JSON object of a known kind,
 * another client must be served, and no file descriptor may be left open.
 */
#include "control/control_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz/harness.h"

#define RAM (UINT64_C(1) << 30)
#define FILE_BYTES (UINT64_C(2) << 20)
#define FILES_GPA (UINT64_C(1) << 33) /* where no buffer that OFFER names can be */
#define CLIENTS_MAX 24
#define STEP_BYTE 0xff
#define STEPS_MAX 200
#define SENT_MAX 0x40000u /* bytes that one input may send */

enum step {
	LITERAL, /* sends the byte 0xff */
	EVENT,	 /* u8 kind: an event of the balloon */
	VMM,	 /* u8: the VMM connects, or disconnects */
	CONNECT, /* u8 count: other clients, of which the last speaks from now on */
	NEGOTIATE,
	SPEAKER,   /* u8 client: speaks from now on */
	DEAF,	   /* u8: the speaker does not read, or reads again */
	AGAIN,	   /* u8 count: sends the last part again and again */
	SHUT,	   /* the speaker closes its reading end */
	LEAVE,	   /* the speaker closes its connection */
	MEMORY,	   /* u8: the guest's RAM is known, or not */
	FEATURES,  /* u8: of a driver that acknowledges them and starts its queues */
	DRIVER_OK, /* it becomes ready */
	RESET,
	WRITE,	/* u16 offset, u8 count, bytes: written by the guest */
	OFFER,	/* u8 queue, u32 address, u16 length, u8 flags, and a kick */
	TIME,	/* timers that run are due */
	STARVE, /* a client connects while there are no file descriptors */
	BIND,	/* u8 place: another process listens there, too */
	KICK,	/* u8 queue */
	FILES,	/* u8 kind: RAM that is a memfd, one of huge pages, or an ordinary file */
	STEPS
};

struct client {
	int fd;
	bool deaf;
	char heard[CONTROL_OUT_MAX * 2];
	size_t heard_length;
};

struct rig {
	struct harness harness; /* first: the host's @data points to both */
	struct control *control;
	struct script script;
	struct guest guest;
	bool known, quit; /* the RAM is known; a client sent quit */
	size_t part;	  /* bytes that are sent at once */
	struct client clients[CLIENTS_MAX];
	unsigned int count, speaker;
	const uint8_t *said;
	size_t said_length, sent;
};

static char folder[] = "/tmp/aerostat-fuzz-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };

/*
 * The process
 */
static void note_quit(void *data)
{
	struct rig *rig = data;

	rig->quit = true;
	loop_quit(rig->harness.loop);
}

static void relay_event(void *data, enum balloon_event event)
{
	struct rig *rig = data;

	control_report_event(rig->control, event);
}

static uint64_t real_now_ns(void *data)
{
	(void)data;
	return loop_now_ns();
}

static void step_memory(struct rig *rig, bool known)
{
	if (known == rig->known)
		return;
	if (known)
		require(!balloon_add(rig->harness.balloon, 0, RAM, rig->guest.ram));
	else
		require(balloon_unmap(rig->harness.balloon, 0, RAM) == 1);
	rig->known = known;
}

/*
 * RAM of other kinds, which is only looked at: there may be no huge page behind it.  The memfd is
 * sealed when it is mapped, so that its pages cannot be released.
 */
static void step_files(struct rig *rig, unsigned int kind)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/file", folder);
	fd = kind == 2 ? open(path, O_RDWR | O_CLOEXEC)
		       : memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING |
						      (kind == 1 ? MFD_HUGETLB : 0));
	if (fd < 0)
		return;
	if (ftruncate(fd, FILE_BYTES) ||
	    balloon_map(rig->harness.balloon, FILES_GPA + kind * RAM, FILE_BYTES, fd, 0, true))
		close(fd);
	else if (kind == 0)
		require(!fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
}

static void open_rig(struct rig *rig, bool named)
{
	struct balloon_host host = harness_host(&rig->harness);
	const struct balloon_options options = {
		.features = balloon_default_features() | BALLOON_BIT(BALLOON_F_FREE_PAGE_HINT) |
			    BALLOON_BIT(BALLOON_F_PAGE_REPORTING),
	};
	const struct control_options control = {
		.transport = "none",
		.name = named ? "g\"1\n" : NULL,
		.quit = note_quit,
		.data = rig,
	};
	int fd = listener_bind(address.sun_path);

	require(fd >= 0);
	host.event = relay_event;
	host.now_ns = real_now_ns;
	harness_begin(&rig->harness, &options, &host);
	rig->known = rig->quit = false;
	rig->control = control_new(rig->harness.loop, rig->harness.balloon, fd, &control);
	require(rig->control);
	step_memory(rig, true);
	rig->count = rig->speaker = 0;
	rig->said_length = rig->sent = 0;
}

/*
 * The time
 */
static void hasten(struct loop_timer *timer)
{
	if (timer->due_ns != LOOP_NEVER)
		timer->due_ns = 0;
}

static void step_time(struct rig *rig)
{
	for (unsigned int i = 0; i < CONTROL_EVENT_KINDS; i++)
		rig->control->events.kinds[i].next_ns = 0;
	hasten(&rig->control->events.timer);
	hasten(&rig->control->samples.timer);
	hasten(&rig->control->listener.retry);
	require(!loop_round(rig->harness.loop, 1));
	require(!loop_round(rig->harness.loop, 1));
}

/*
 * The clients
 */
static int connect_client(struct rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	require(fd >= 0);
	/* The queue of a listener that has no descriptors may be full. */
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		require(errno == EAGAIN);
		step_time(rig);
	}
	return fd;
}

static void add_client(struct rig *rig)
{
	struct client *client = &rig->clients[rig->count];

	client->fd = connect_client(rig);
	client->deaf = false;
	client->heard_length = 0;
	rig->speaker = rig->count++;
	harness_rounds(&rig->harness, 1);
}

static void check_line(const char *line, size_t length)
{
	/* 2^64 - 1 does not fit into jansson's integers. */
	json_t *message = json_loadb(line, length, JSON_DECODE_INT_AS_REAL, NULL);

	require(json_is_object(message));
	require(json_object_get(message, "return") || json_object_get(message, "error") ||
		json_object_get(message, "event") || json_object_get(message, "QMP"));
	json_decref(message);
}

/* Receives what has come; false when the connection was closed. */
static bool hear(struct client *client)
{
	size_t done = 0;
	char *end;
	ssize_t n;

	while ((n = recv(client->fd, client->heard + client->heard_length,
			 sizeof(client->heard) - client->heard_length, 0)) > 0)
		client->heard_length += (size_t)n;
	while ((end = memchr(client->heard + done, '\n', client->heard_length - done))) {
		size_t length = (size_t)(end - client->heard) + 1 - done;

		check_line(client->heard + done, length);
		done += length;
	}
	client->heard_length -= done;
	memmove(client->heard, client->heard + done, client->heard_length);
	require(client->heard_length < sizeof(client->heard));
	return n < 0;
}

static void say(struct rig *rig, const uint8_t *bytes, size_t size)
{
	struct client *client = &rig->clients[rig->speaker];

	while (size && rig->sent < SENT_MAX) {
		size_t part = size < rig->part ? size : rig->part;
		ssize_t n = send(client->fd, bytes, part, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return;
		if (n < 0) {
			step_time(rig); /* a listener without descriptors goes on */
		} else {
			bytes += n;
			size -= (size_t)n;
			rig->sent += (size_t)n;
		}
		harness_rounds(&rig->harness, 1);
		if (!client->deaf && !hear(client))
			return;
	}
}

static void negotiate(struct rig *rig)
{
	static const uint8_t hello[] = "{\"execute\": \"qmp_capabilities\"}";
	size_t part = rig->part;

	rig->part = sizeof(hello);
	say(rig, hello, sizeof(hello) - 1);
	rig->part = part;
}

static void step_connect(struct rig *rig, unsigned int count, bool negotiates)
{
	while (count-- && rig->count < CLIENTS_MAX) {
		add_client(rig);
		if (negotiates)
			negotiate(rig);
	}
}

static void step_again(struct rig *rig, unsigned int count)
{
	const size_t part = rig->part;

	rig->part = rig->said_length;
	while (count-- && rig->said_length)
		say(rig, rig->said, rig->said_length);
	rig->part = part;
}

static void step_deaf(struct rig *rig, bool deaf)
{
	struct client *client = &rig->clients[rig->speaker];

	client->deaf = deaf;
	/* What did not fit into the socket comes in later rounds. */
	for (unsigned int i = 0; !deaf && i < 4 && hear(client); i++)
		harness_rounds(&rig->harness, 1);
}

/* Ends the connection of the speaker; its place is taken by the last client. */
static void step_leave(struct rig *rig)
{
	if (rig->count == 1)
		return;
	close(rig->clients[rig->speaker].fd);
	if (rig->speaker != --rig->count)
		rig->clients[rig->speaker] = rig->clients[rig->count];
	rig->speaker = 0;
}

/* The next client waits in the socket until a descriptor is free and the timer runs. */
static void step_starve(struct rig *rig)
{
	struct rlimit limit, none;
	int fd = connect_client(rig);

	require(!getrlimit(RLIMIT_NOFILE, &limit));
	none = (struct rlimit){ 0, limit.rlim_max };
	require(!setrlimit(RLIMIT_NOFILE, &none));
	harness_rounds(&rig->harness, 2);
	require(!setrlimit(RLIMIT_NOFILE, &limit));
	close(fd);
}

/* Only in the place of a stale socket can another be bound. */
static void step_bind(uint8_t place)
{
	char path[256];
	int length = snprintf(path, sizeof(path), "%s/%s", folder,
			      (const char *[]){ "control", "file", "none/x", "file/x", "loop/x",
						"stale", "", "" }[place % 8]);
	int fd;

	if (place % 8 == 6)
		path[0] = '\0';
	else if (place % 8 == 7)
		memset(path + length, 'x', sizeof(path) - 1 - (size_t)length);
	path[sizeof(path) - 1] = '\0';
	fd = listener_bind(path);
	require((fd >= 0) == (place % 8 == 5));
	if (fd < 0)
		require(listener_bind_error(fd)[0]);
	else
		close(fd); /* the file stays, and is the stale one of the next time */
	require(listener_bind_error(-(int)place)[0]);
}

/*
 * The guest
 */
static void step_features(struct rig *rig)
{
	balloon_set_features(rig->harness.balloon,
			     script_u8(&rig->script) | BALLOON_BIT(VIRTIO_F_VERSION_1));
	for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++) {
		const uint64_t ring = i * GUEST_RING_BYTES;
		const struct virtqueue_setup setup = {
			.desc = ring,
			.driver = ring + GUEST_AVAIL_OFFSET,
			.device = ring + GUEST_USED_OFFSET,
			.size = GUEST_RING_SIZE,
		};

		guest_clear_ring(&rig->guest, i);
		/* There are as many queues as the features say. */
		(void)!balloon_queue_start(rig->harness.balloon, i, &setup, NULL);
	}
}

static void step_offer(struct rig *rig)
{
	balloon_kick(rig->harness.balloon, guest_offer(&rig->guest, &rig->script));
	harness_rounds(&rig->harness, 2);
}

/*
 * The input
 */
/* Does a step of the process or the guest; false when @what is one of the clients. */
static bool process_step(struct rig *rig, enum step what)
{
	if (what == EVENT)
		control_report_event(rig->control,
				     script_u8(&rig->script) % (BALLOON_EVENT_PULL + 1));
	else if (what == VMM)
		control_set_vmm_connected(rig->control, script_u8(&rig->script) & 1);
	else if (what == MEMORY)
		step_memory(rig, script_u8(&rig->script) & 1);
	else if (what == FEATURES)
		step_features(rig);
	else if (what == DRIVER_OK)
		balloon_driver_ok(rig->harness.balloon);
	else if (what == RESET)
		balloon_reset(rig->harness.balloon);
	else if (what == WRITE)
		guest_write(&rig->guest, &rig->script);
	else if (what == OFFER)
		step_offer(rig);
	else if (what == TIME)
		step_time(rig);
	else if (what == STARVE)
		step_starve(rig);
	else if (what == BIND)
		step_bind(script_u8(&rig->script));
	else if (what == KICK)
		balloon_kick(rig->harness.balloon, script_u8(&rig->script));
	else if (what == FILES)
		step_files(rig, script_u8(&rig->script) % 3);
	else
		return false;
	return true;
}

static void client_step(struct rig *rig, enum step what)
{
	const uint8_t literal[] = { STEP_BYTE };

	if (what == LITERAL)
		say(rig, literal, sizeof(literal));
	else if (what == CONNECT) {
		uint8_t count = script_u8(&rig->script);

		step_connect(rig, count & 0x7f, count & 0x80);
	} else if (what == NEGOTIATE)
		negotiate(rig);
	else if (what == SPEAKER)
		rig->speaker = script_u8(&rig->script) % rig->count;
	else if (what == DEAF)
		step_deaf(rig, script_u8(&rig->script) & 1);
	else if (what == AGAIN)
		step_again(rig, script_u8(&rig->script));
	else if (what == SHUT)
		shutdown(rig->clients[rig->speaker].fd, SHUT_RD);
	else if (what == LEAVE)
		step_leave(rig);
}

static void step(struct rig *rig)
{
	const uint8_t *end = memchr(rig->script.at, STEP_BYTE, rig->script.left);
	size_t length = end ? (size_t)(end - rig->script.at) : rig->script.left;
	enum step what;

	if (length) {
		rig->said_length = script_bytes(&rig->script, length, &rig->said);
		say(rig, rig->said, rig->said_length);
		return;
	}
	script_u8(&rig->script);
	what = script_u8(&rig->script) % STEPS;
	if (!process_step(rig, what))
		client_step(rig, what);
	harness_rounds(&rig->harness, 1);
}

/* A client that comes now is greeted, once the listener has descriptors again. */
static void check_service(struct rig *rig)
{
	while (rig->count > 1)
		step_leave(rig);
	harness_rounds(&rig->harness, 2);
	step_time(rig);
	add_client(rig);
	harness_rounds(&rig->harness, CLIENTS_MAX);
	require(hear(&rig->clients[rig->speaker]));
}

/* The loop runs until a client sends quit. */
static void check_quit(struct rig *rig)
{
	static const char quit[] = "{\"execute\": \"qmp_capabilities\"} {\"execute\": \"quit\"}";

	if (rig->quit)
		require(!loop_run(rig->harness.loop));
	rig->quit = false;
	require(send(rig->clients[rig->speaker].fd, quit, sizeof(quit) - 1, MSG_NOSIGNAL) ==
		sizeof(quit) - 1);
	require(!loop_run(rig->harness.loop) && rig->quit);
}

static void close_rig(struct rig *rig)
{
	control_free(rig->control);
	while (rig->count)
		close(rig->clients[--rig->count].fd);
	harness_end(&rig->harness);
	require(!unlink(address.sun_path));
}

static void remove_folder(void)
{
	const char *const names[] = { "control", "file", "loop", "stale" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

/* A folder with a file and a link to itself, for the socket and for step_bind(). */
static void make_folder(void)
{
	char path[64];
	int fd;

	require(mkdtemp(folder));
	atexit(remove_folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", folder);
	snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	require(fd >= 0 && !close(fd));
	snprintf(path, sizeof(path), "%s/loop", folder);
	require(!symlink("loop", path));
}

static void begin_process(struct rig *rig)
{
	make_folder();
	rig->guest.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	require(rig->guest.ram != MAP_FAILED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig rig;
	uint8_t first = size ? data[0] : 0;
	unsigned int before = count_open_fds();

	if (!rig.guest.ram)
		begin_process(&rig);
	rig.part = (first >> 1 & 0x3f) * 37u + 1;
	rig.script = (struct script){ size ? data + 1 : data, size ? size - 1 : 0 };
	open_rig(&rig, first & 0x80);
	add_client(&rig);
	if (first & 1)
		negotiate(&rig);
	for (unsigned int i = 0; i < STEPS_MAX && rig.script.left; i++)
		step(&rig);
	check_service(&rig);
	check_quit(&rig);
	close_rig(&rig);
	require(count_open_fds() == before);
	return 0;
}
