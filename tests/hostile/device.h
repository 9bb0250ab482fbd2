/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The aerostat-device process under attack: started as a child, asked over its
 * control socket, and looked at from outside.
 */
#ifndef AEROSTAT_TESTS_DEVICE_H
#define AEROSTAT_TESTS_DEVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEVICE_TAIL 2048

struct device {
	pid_t pid;	/* the process that was started */
	pid_t serving;	/* the same, or its child in a PID namespace */
	int log_fd;	/* its standard error */
	int control_fd; /* greeted, or -1 */
	char folder[32];
	char vmm_path[64], control_path[64];
	unsigned int log_lines;
	char tail[DEVICE_TAIL]; /* the end of its output */
	size_t tail_size;
	/* As it was when nobody had connected yet. */
	int files;
	uint64_t private_kib;
};

/* @words: further arguments, ended by NULL.  0 or -errno. */
int device_start(struct device *device, const char *program, const char *protocol,
		 char *const *words);
/* Ends it, if it lives, and removes its files. */
void device_stop(struct device *device);

/* Reads what it has written to standard error meanwhile. */
void device_read_log(struct device *device);
/* False if it has ended; then the tail has its status. */
bool device_lives(struct device *device);
/* Its open files, or -errno. */
int device_files(const struct device *device);
/*
 * The private memory that it has touched; guest memory is not part of it, and neither is a
 * sanitizer's shadow.  A page counts even if it was only read: whether such a page costs memory
 * depends on the kernel.
 */
uint64_t device_private_kib(const struct device *device);
/* Is the device, which comes from the same build as this program, one with AddressSanitizer? */
bool device_is_sanitized(void);

/*
 * A command of QMP, and what it returns: a new reference, or NULL when it is
 * refused or not answered.
 */
json_t *device_ask(struct device *device, const char *command, json_t *arguments);
bool device_needs_reset(struct device *device);
/* A member of query-balloon's or x-query-balloon's answer; UINT64_MAX when there is none. */
uint64_t device_number(struct device *device, const char *command, const char *member);

/* CLOCK_MONOTONIC, and a pause while something is waited for. */
uint64_t now_ms(void);
void pause_ms(unsigned int ms);

#endif
