/* SPDX-License-Identifier: BSD-3-Clause */
/* The program of fake_guests.h: its options, its sockets, its loop and its control socket. */
#include "tests/fakes/fake_guests.h"

#include "common/size.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define LINE_MAX_BYTES (1u << 20)
#define EVENTS_MAX 256
#define TICK_NS 200000000
#define FILES_BESIDE 64 /* of the sockets of guests, two each */

struct fakes {
	/* Options. */
	char *folder, *max_text;
	int count, seed, faulty[FAULTS];
	double rate_mib;

	uint64_t max_bytes;
	struct guest *guests;
	struct door control;
	int epoll, timer, signals;
	bool ending;
};

/* What the loop was woken by: which of these, and whose. */
enum waker { ON_LISTENER, ON_CLIENT, ON_TIMER, ON_SIGNAL };
#define OF_CONTROL UINT32_MAX

static const struct {
	const char *word, *option, *help;
} faults[FAULTS] = {
	[FAULT_STUCK] = { "stuck", "stuck", "accept and never answer" },
	[FAULT_LIAR] = { "liar", "liars", "forge their statistics" },
	[FAULT_VFIO] = { "vfio", "vfio", "have a device of the host" },
	[FAULT_FROZEN] = { "frozen", "frozen", "never update their statistics" },
	[FAULT_DEAD] = { "dead", "dead", "take targets and never move" },
	[FAULT_MIGRATING] = { "migrating", "migrating", "are being migrated" },
};

/*
 * Sockets
 */

static void watch(struct fakes *fakes, int operation, int fd, enum waker waker, uint32_t whose,
		  bool listen)
{
	struct epoll_event event = { .events = listen ? EPOLLIN : 0,
				     .data.u64 = (uint64_t)waker << 32 | whose };

	if (epoll_ctl(fakes->epoll, operation, fd, &event) < 0)
		g_error("epoll_ctl: %s", g_strerror(errno));
}

static struct door *door_of(struct fakes *fakes, uint32_t whose)
{
	return whose == OF_CONTROL ? &fakes->control : &fakes->guests[whose].door;
}

static bool is_stuck(const struct fakes *fakes, uint32_t whose)
{
	return whose != OF_CONTROL && fakes->guests[whose].faults[FAULT_STUCK];
}

static void drop_client(struct fakes *fakes, uint32_t whose)
{
	struct door *door = door_of(fakes, whose);

	if (door->client < 0)
		return;
	close(door->client);
	door->client = -1;
	if (door->listener >= 0)
		watch(fakes, EPOLL_CTL_MOD, door->listener, ON_LISTENER, whose, true);
}

/* A client that does not read is dropped. */
static void say(struct fakes *fakes, uint32_t whose, const char *text)
{
	size_t length = strlen(text);

	if (send(door_of(fakes, whose)->client, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)length)
		drop_client(fakes, whose);
}

static void greet(struct fakes *fakes, uint32_t whose)
{
	g_autofree char *greeting = NULL;

	if (whose == OF_CONTROL || fakes->guests[whose].greeted)
		return;
	greeting = qmp_greeting();
	fakes->guests[whose].greeted = true;
	say(fakes, whose, greeting);
}

static void accept_client(struct fakes *fakes, uint32_t whose)
{
	struct door *door = door_of(fakes, whose);

	door->client = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (door->client < 0)
		return;
	g_string_truncate(door->in, 0);
	watch(fakes, EPOLL_CTL_MOD, door->listener, ON_LISTENER, whose, false);
	watch(fakes, EPOLL_CTL_ADD, door->client, ON_CLIENT, whose, !is_stuck(fakes, whose));
	if (whose != OF_CONTROL)
		fakes->guests[whose].greeted = fakes->guests[whose].negotiated = false;
	if (!is_stuck(fakes, whose))
		greet(fakes, whose);
}

static void open_door(struct fakes *fakes, struct door *door, uint32_t whose, int listener)
{
	door->listener = listener;
	door->client = -1;
	watch(fakes, EPOLL_CTL_ADD, listener, ON_LISTENER, whose, true);
}

static void close_door(struct fakes *fakes, uint32_t whose)
{
	struct door *door = door_of(fakes, whose);

	drop_client(fakes, whose);
	if (door->listener < 0)
		return;
	close(door->listener);
	door->listener = -1;
	unlink(door->path);
}

/*
 * The control socket: one order a line, "ok" or what is wrong with it
 */

static const char *order_fault(struct fakes *fakes, struct guest *guest, const char *word)
{
	for (int i = 0; i < FAULTS; i++)
		if (g_str_equal(word, faults[i].word)) {
			guest->faults[i] = true;
			if (i == FAULT_STUCK && guest->door.client >= 0)
				watch(fakes, EPOLL_CTL_MOD, guest->door.client, ON_CLIENT,
				      guest->number, false);
			return NULL;
		}
	return "no such order";
}

static void order_go(struct fakes *fakes, struct guest *guest)
{
	memset(guest->faults, 0, sizeof(guest->faults));
	if (guest->door.client < 0)
		return;
	watch(fakes, EPOLL_CTL_MOD, guest->door.client, ON_CLIENT, guest->number, true);
	greet(fakes, guest->number);
}

static const char *order_burst(struct guest *guest, const char *mib)
{
	uint64_t number;

	if (!mib || !g_ascii_string_to_unsigned(mib, 10, 0, guest->max_bytes / MIB, &number, NULL))
		return "give a number of MiB up to the guest's maximum";
	guest_settle(guest, g_get_monotonic_time());
	guest->extra_bytes = number * MIB;
	return NULL;
}

/* Whoever sees that the socket is closed must find that its process has ended, however long this
 * program is not scheduled in between. */
static const char *order_vanish(struct fakes *fakes, struct guest *guest)
{
	if (guest->door.listener < 0)
		return "it has vanished already";
	if (guest->keeper) {
		kill(guest->keeper, SIGKILL);
		waitpid(guest->keeper, NULL, 0);
		guest->keeper = 0;
	}
	close_door(fakes, guest->number);
	return NULL;
}

static const char *order_appear(struct fakes *fakes, struct guest *guest)
{
	int listener;

	if (guest->door.listener >= 0)
		return "it is there already";
	guest->keeper = keeper_listen(&guest->door.path, 1, &listener, NULL);
	if (guest->keeper < 0)
		return "cannot listen";
	guest_start(guest, fakes->max_bytes, (uint64_t)fakes->seed, guest->rate,
		    g_get_monotonic_time());
	open_door(fakes, &guest->door, guest->number, listener);
	return NULL;
}

static struct guest *find_guest(struct fakes *fakes, const char *name)
{
	for (int i = 0; i < fakes->count; i++)
		if (name && g_str_equal(name, fakes->guests[i].name))
			return &fakes->guests[i];
	return NULL;
}

static const char *obey(struct fakes *fakes, const char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", 3);
	struct guest *guest = find_guest(fakes, words[0] ? words[1] : NULL);

	if (!guest)
		return "no such guest";
	if (g_str_equal(words[0], "burst"))
		return order_burst(guest, words[2]);
	if (g_str_equal(words[0], "vanish"))
		return order_vanish(fakes, guest);
	if (g_str_equal(words[0], "appear"))
		return order_appear(fakes, guest);
	if (!g_str_equal(words[0], "go"))
		return order_fault(fakes, guest, words[0]);
	order_go(fakes, guest);
	return NULL;
}

/*
 * The loop
 */

static void take_line(struct fakes *fakes, uint32_t whose, const char *line)
{
	g_autofree char *answer = NULL;

	if (whose == OF_CONTROL) {
		const char *problem = obey(fakes, line);

		answer = problem ? g_strdup_printf("error: %s\n", problem) : g_strdup("ok\n");
	} else {
		answer = qmp_answer(&fakes->guests[whose], line, g_get_monotonic_time());
	}
	say(fakes, whose, answer);
}

static void take_lines(struct fakes *fakes, uint32_t whose)
{
	struct door *door = door_of(fakes, whose);
	char *line = door->in->str, *end;

	while (door->client >= 0 && (end = strchr(line, '\n'))) {
		*end = '\0';
		take_line(fakes, whose, g_strchomp(line));
		line = end + 1;
	}
	g_string_erase(door->in, 0, line - door->in->str);
	if (door->in->len > LINE_MAX_BYTES)
		drop_client(fakes, whose);
}

static void read_client(struct fakes *fakes, uint32_t whose)
{
	struct door *door = door_of(fakes, whose);
	char chunk[16384];
	ssize_t n;

	if (door->client < 0)
		return;
	/* A stuck one reads nothing; that its client has gone it is told all the same. */
	n = is_stuck(fakes, whose) ? 0 : recv(door->client, chunk, sizeof(chunk), 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			drop_client(fakes, whose);
		return;
	}
	g_string_append_len(door->in, chunk, n);
	take_lines(fakes, whose);
}

static void tell_events(struct fakes *fakes)
{
	int64_t now_us = g_get_monotonic_time();
	uint64_t ticks;

	if (read(fakes->timer, &ticks, sizeof(ticks)) < 0)
		return;
	for (int i = 0; i < fakes->count; i++) {
		struct guest *guest = &fakes->guests[i];
		g_autofree char *event = NULL;

		if (guest->door.client >= 0 && !guest->faults[FAULT_STUCK])
			event = qmp_event(guest, now_us);
		if (event)
			say(fakes, guest->number, event);
	}
}

static void dispatch(struct fakes *fakes, const struct epoll_event *event)
{
	uint32_t whose = (uint32_t)event->data.u64;

	switch ((enum waker)(event->data.u64 >> 32)) {
	case ON_LISTENER:
		if (event->events & EPOLLIN && door_of(fakes, whose)->client < 0)
			accept_client(fakes, whose);
		break;
	case ON_CLIENT:
		read_client(fakes, whose);
		break;
	case ON_TIMER:
		tell_events(fakes);
		break;
	case ON_SIGNAL:
		fakes->ending = true;
		break;
	}
}

static void run(struct fakes *fakes)
{
	struct epoll_event events[EVENTS_MAX];

	while (!fakes->ending) {
		int count = epoll_wait(fakes->epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++)
			dispatch(fakes, &events[i]);
	}
}

static void end_door(struct fakes *fakes, uint32_t whose)
{
	struct door *door = door_of(fakes, whose);

	close_door(fakes, whose);
	g_string_free(door->in, TRUE);
	g_free(door->path);
}

static void end(struct fakes *fakes)
{
	for (int i = 0; i < fakes->count; i++)
		end_door(fakes, (uint32_t)i);
	end_door(fakes, OF_CONTROL);
	g_free(fakes->guests);
	g_free(fakes->folder);
	g_free(fakes->max_text);
}

/*
 * Beginning
 */

static bool parse_options(struct fakes *fakes, int argc, char **argv, GError **error)
{
	GOptionEntry entries[] = {
		{ "folder", 0, 0, G_OPTION_ARG_FILENAME, &fakes->folder,
		  "where the sockets are made", "DIR" },
		{ "count", 0, 0, G_OPTION_ARG_INT, &fakes->count, "how many guests", "N" },
		{ "max", 0, 0, G_OPTION_ARG_STRING, &fakes->max_text, "RAM of each (4G)", "SIZE" },
		{ "seed", 0, 0, G_OPTION_ARG_INT, &fakes->seed, "of all random numbers (1)", "S" },
		{ "rate", 0, 0, G_OPTION_ARG_DOUBLE, &fakes->rate_mib,
		  "of each balloon, MiB a second (256)", "R" },
		{ 0 },
	};
	GOptionEntry faulty[FAULTS + 1] = { 0 };
	g_autoptr(GOptionContext) context =
		g_option_context_new("- many guests behind QEMU monitors, for tests");

	for (int i = 0; i < FAULTS; i++)
		faulty[i] = (GOptionEntry){
			faults[i].option, 0,  0, G_OPTION_ARG_INT, &fakes->faulty[i],
			faults[i].help,	  "K"
		};
	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_add_main_entries(context, faulty, NULL);
	g_option_context_set_summary(
		context,
		"Of the faulty ones, K each, the first kind below begins with guest-0000.");
	g_option_context_set_description(
		context,
		"Orders to DIR/control, one a line: burst NAME MIB (demand on top of a base that "
		"stays), vanish NAME, "
		"appear NAME,\nstuck, liar, vfio, frozen, dead or migrating NAME, and go NAME, "
		"which "
		"ends all of these.");
	if (!g_option_context_parse(context, &argc, &argv, error) ||
	    (fakes->max_text && !size_parse(fakes->max_text, &fakes->max_bytes, error)))
		return false;
	if (!fakes->folder || fakes->count < 1 || fakes->count > 9999 || fakes->rate_mib < 0)
		g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
			    "give --folder=DIR and --count=N, 1 to 9999; --help tells the rest");
	return !*error;
}

/* Two sockets a guest. */
static bool allow_files(int count, GError **error)
{
	rlim_t needed = 2 * (rlim_t)count + FILES_BESIDE;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = MAX(limit.rlim_cur, MIN(needed, limit.rlim_max));
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= needed)
		return true;
	g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
		    "%d guests need %lu open files, of which %lu are allowed: ulimit -Hn", count,
		    (unsigned long)needed, (unsigned long)limit.rlim_cur);
	return false;
}

static void begin_guests(struct fakes *fakes)
{
	int64_t now_us = g_get_monotonic_time();
	int kind = 0, left = fakes->faulty[0];

	fakes->guests = g_new0(struct guest, (gsize)fakes->count);
	for (int i = 0; i < fakes->count; i++) {
		struct guest *guest = &fakes->guests[i];

		guest->number = (unsigned int)i;
		g_snprintf(guest->name, sizeof(guest->name), "guest-%04d", i);
		g_snprintf(guest->uuid, sizeof(guest->uuid), "fa4e0000-0000-4000-8000-%012d", i);
		guest->door.path = g_strdup_printf("%s/%s.qmp", fakes->folder, guest->name);
		guest->door.in = g_string_new(NULL);
		guest_start(guest, fakes->max_bytes, (uint64_t)fakes->seed,
			    fakes->rate_mib * MIB / 1e6, now_us);
		while (left <= 0 && kind < FAULTS)
			left = ++kind < FAULTS ? fakes->faulty[kind] : 0;
		if (kind < FAULTS)
			guest->faults[kind] = left-- > 0;
	}
}

static bool begin_listening(struct fakes *fakes, GError **error)
{
	unsigned int count = (unsigned int)fakes->count + 1;
	g_autofree char **paths = g_new(char *, count);
	g_autofree int *fds = g_new(int, count);

	fakes->control.path = g_build_filename(fakes->folder, "control", NULL);
	fakes->control.in = g_string_new(NULL);
	for (int i = 0; i < fakes->count; i++)
		paths[i] = fakes->guests[i].door.path;
	paths[fakes->count] = fakes->control.path;
	if (keeper_listen(paths, count, fds, error) < 0)
		return false;
	for (int i = 0; i < fakes->count; i++)
		open_door(fakes, &fakes->guests[i].door, (uint32_t)i, fds[i]);
	open_door(fakes, &fakes->control, OF_CONTROL, fds[fakes->count]);
	return true;
}

static void begin_loop(struct fakes *fakes)
{
	struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	fakes->epoll = epoll_create1(EPOLL_CLOEXEC);
	fakes->signals = signalfd(-1, &ends, SFD_CLOEXEC);
	fakes->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	timerfd_settime(fakes->timer, 0, &every, NULL);
	watch(fakes, EPOLL_CTL_ADD, fakes->signals, ON_SIGNAL, 0, true);
	watch(fakes, EPOLL_CTL_ADD, fakes->timer, ON_TIMER, 0, true);
}

int main(int argc, char **argv)
{
	struct fakes fakes = { .seed = 1, .rate_mib = 256, .max_bytes = 4096 * MIB };
	GError *error = NULL;

	if (!parse_options(&fakes, argc, argv, &error) || !allow_files(fakes.count, &error)) {
		fprintf(stderr, "error: %s\n", error->message);
		return EXIT_FAILURE;
	}
	begin_guests(&fakes);
	begin_loop(&fakes);
	if (!begin_listening(&fakes, &error)) {
		fprintf(stderr, "error: %s\n", error->message);
		return EXIT_FAILURE;
	}
	puts("ready");
	fflush(stdout);
	run(&fakes);
	end(&fakes);
	return EXIT_SUCCESS;
}
