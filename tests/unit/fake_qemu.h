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
#define UNSET "18446744073709551615"

struct fake {
	char *dir, *path;
	int listener;
	GThread *thread;
	struct hv_guest *guest;

	GMutex lock; /* over all below */
	int client;
	GHashTable *answers; /* NULL for no answer at all */
	GString *heard;	     /* commands that change something, with their value */
	char *events;	     /* said before the next answer */
	const char *drop_on; /* the command at which the client is dropped ... */
	unsigned int drops;  /* ... so many times */
};

/* For cmocka: makes a fake that answers as QEMU 7.2 does, and ends it. */
int fake_setup(void **state);
int fake_teardown(void **state);

/* Ends it as SIGKILL ends QEMU: the socket stays in its folder. */
void fake_kill(struct fake *fake);

/* From now on @key is answered with @body: a member of the answer, NULL for silence. */
void will_answer(struct fake *fake, const char *key, const char *body);
void will_say_first(struct fake *fake, const char *events);
void will_drop(struct fake *fake, const char *command, unsigned int times);

/* The commands so far that change something; the caller frees. */
char *heard(struct fake *fake);

/* A listening socket at @path. */
int listen_at(const char *path, int backlog);

#endif
