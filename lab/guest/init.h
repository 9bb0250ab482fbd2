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

/* Leaves a request to the worker, which takes one after the other. */
void defer(unsigned int id, void (*work)(unsigned int id, char *args), const char *args);
void *worker(void *unused);

/* system.c */

/*
 * /lab/NAME.modules lists the files of NAME, what it needs first.  @params are the
 * last one's, which must not be there already; with NULL it may.
 */
bool load_modules(const char *name, const char *params);
/* Opens the virtio disk with this serial; its device path is put into @path. */
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
/* A child has ended; false when it was no holder. */
bool hold_reaped(pid_t pid, int wait_status);

/* run.c; the arrays of struct pollfd have RUNS entries */
void do_run(unsigned int id, char *args); /* "TIMEOUT_MS COMMAND" */
void run_poll(struct pollfd *fds);
void run_events(const struct pollfd *fds);
void run_reaped(pid_t pid, int wait_status);
/* Kills commands that are past their time; returns ms until the next one is, or -1. */
int run_deadlines(void);

#endif
