/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small fake QEMU in a thread of the test: a table of answers, which tests
 * change, served to one client at a time.
 */
#ifndef AEROSTAT_FAKE_QEMU_H
#define AEROSTAT_FAKE_QEMU_H

#include "hypervisor/hypervisor.h"

#define DEVICE "/machine/peripheral/b0/virtio-backend"
#define NO_DEVICE "\"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"No balloon device\"}"
#define NO_COMMAND "\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"unknown\"}"
#define REFUSED "\"error\": {\"class\": \"GenericError\", \"desc\": \"not to be had\"}"
#define NOW "@NOW@" /* in an answer: the time now, and one second more with each such answer */
#define UNSET "18446744073709551615"

struct fake {
	char *dir, *path;
	int listener;
	GThread *thread;
	struct hv_guest *guest;

	GMutex lock; /* protects what follows */
	int client;
	GHashTable *answers; /* NULL: no answer */
	GString *heard;	     /* commands that change something, with their values */
	unsigned int held;   /* commands that were not answered */
	unsigned int dated;  /* how often an answer contained NOW */
	char *events;	     /* sent before the next answer */
	const char *drop_on; /* the command at which the client is dropped ... */
	unsigned int drops;  /* ... so many times */
};

/* A setup for cmocka: a fake that answers as QEMU 7.2 does. */
int fake_setup(void **state);
/* The teardown for fake_setup(). */
int fake_teardown(void **state);

/* Ends it as SIGKILL ends QEMU: the socket file stays. */
void fake_kill(struct fake *fake);

/* Answers @key with @body, a member of the answer, from now on; NULL: does not answer. */
void will_answer(struct fake *fake, const char *key, const char *body);
/* Sends @events, lines of JSON, before the next answer. */
void will_say_first(struct fake *fake, const char *events);
/* Drops the client at @command, the next @times times. */
void will_drop(struct fake *fake, const char *command, unsigned int times);

/* The commands so far that change something; the caller frees. */
char *heard(struct fake *fake);

/* Whether a command has come that is not answered. */
bool is_held(struct fake *fake);

/* Listens on @path; returns the socket. */
int listen_at(const char *path, int backlog);

#endif
