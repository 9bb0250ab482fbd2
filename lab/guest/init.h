/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAB_INIT_H
#define LAB_INIT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096
#define HOLDS 8
#define RUNS 4

/* channel.c */
extern int channel;

int64_t now_ms(void);
bool write_all(int fd, const void *data, size_t length);
bool write_file(const char *path, const char *text);
/* The first line of a small file, or "". */
void read_line(const char *path, char *line, size_t size);

void answer(unsigned int id, int status, const void *data, size_t length);
void say(unsigned int id, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void say_errno(unsigned int id, const char *what);
void say_hello(unsigned int id);

/* Queues a request for the worker, which handles one after the other. */
void defer(unsigned int id, void (*work)(unsigned int id, char *args), const char *args);
void *worker(void *unused);

/* system.c */

/*
 * Loads the files that /lab/NAME.modules lists, dependencies first.  @params are for
 * the last one, which must not be loaded already unless @params is NULL.
 */
bool load_modules(const char *name, const char *params);
/* Opens the virtio disk with this serial, and stores its device path in @path. */
int open_disk(const char *serial, char *path, size_t size);
void work_load(unsigned int id, char *args); /* "NAME [PARAMETERS]" */
void work_unload(unsigned int id, char *name);
/* "on disk", "on zram MIB", "off disk", "off zram" */
void work_swap(unsigned int id, char *args);
/* "KERNEL INITRD": boots that, with this kernel's command line. */
void work_kexec(unsigned int id, char *args);

/* hold.c; the arrays of struct pollfd have HOLDS entries */
void do_hold(unsigned int id, char *args);    /* "NAME MIB KIND" */
void do_touch(unsigned int id, char *args);   /* "NAME quick|full" */
void do_release(unsigned int id, char *args); /* "NAME" */
void hold_poll(struct pollfd *fds);
void hold_events(const struct pollfd *fds);
/* Handles the end of a child; returns false if it was not a holder. */
bool hold_reaped(pid_t pid, int wait_status);

/* run.c; the arrays of struct pollfd have RUNS entries */
void do_run(unsigned int id, char *args); /* "TIMEOUT_MS COMMAND" */
void run_poll(struct pollfd *fds);
void run_events(const struct pollfd *fds);
void run_reaped(pid_t pid, int wait_status);
/* Kills commands that are past their deadline; returns the ms to the next deadline, or -1. */
int run_deadlines(void);

#endif
