/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/hostile/device.h"

#include "tests/hang.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define WORDS_MAX 32
#define PAGEMAP_SWAPPED 62 /* bit 63: present; 62: swapped out */
#define USER_END (UINT64_C(1) << 47)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#endif

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void pause_ms(unsigned int ms)
{
	poll(NULL, 0, (int)ms);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (fd < 0 || !connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static json_t *read_line(struct device *device)
{
	char line[ANSWER_MAX];

	for (size_t size = 0; size < sizeof(line);) {
		struct pollfd ready = { .fd = device->control_fd, .events = POLLIN };

		if (poll(&ready, 1, HANG_MS) <= 0 || read(device->control_fd, line + size, 1) != 1)
			return NULL;
		if (line[size++] == '\n')
			/* 2^64 - 1 stands for unset, which jansson's integers cannot hold. */
			return json_loadb(line, size, JSON_DECODE_INT_AS_REAL, NULL);
	}
	return NULL;
}

/* The next line that is no event. */
static json_t *read_answer(struct device *device)
{
	json_t *line;

	while ((line = read_line(device)) && json_object_get(line, "event"))
		json_decref(line);
	return line;
}

json_t *device_ask(struct device *device, const char *command, json_t *arguments)
{
	json_t *message, *answer, *result;
	char *text;
	bool sent;

	if (device->control_fd < 0) {
		json_decref(arguments);
		return NULL;
	}
	message = json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
	text = json_dumps(message, JSON_COMPACT);
	sent = dprintf(device->control_fd, "%s\n", text) > 0;
	free(text);
	json_decref(message);
	answer = sent ? read_answer(device) : NULL;
	result = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	return result;
}

uint64_t device_number(struct device *device, const char *command, const char *member)
{
	json_t *answer = device_ask(device, command, NULL);
	const json_t *number = json_object_get(answer, member);
	uint64_t value = json_is_number(number) ? (uint64_t)json_number_value(number) : UINT64_MAX;

	json_decref(answer);
	return value;
}

bool device_needs_reset(struct device *device)
{
	json_t *answer = device_ask(device, "x-query-balloon", NULL);
	bool needs = json_is_true(json_object_get(answer, "needs-reset"));

	json_decref(answer);
	return needs;
}

static bool greet(struct device *device)
{
	json_t *greeting, *answer;

	device->control_fd = connect_to(device->control_path);
	if (device->control_fd < 0)
		return false;
	greeting = read_answer(device);
	answer = device_ask(device, "qmp_capabilities", NULL);
	json_decref(greeting);
	json_decref(answer);
	return greeting && answer;
}

static void run_child(const struct device *device, int log_end, const char *program,
		      const char *protocol, char *const *words)
{
	char socket_path[80], control[80], kind[40];
	char *arguments[WORDS_MAX] = { (char *)program, socket_path, control, kind, "--keep" };
	unsigned int count = 5;

	snprintf(socket_path, sizeof(socket_path), "--socket-path=%s", device->vmm_path);
	snprintf(control, sizeof(control), "--control=%s", device->control_path);
	snprintf(kind, sizeof(kind), "--protocol=%s", protocol);
	while (*words && count < WORDS_MAX - 1)
		arguments[count++] = *words++;
	/* Nothing of this is left behind when the tests are killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Its memory is counted: the kernel must not put huge pages where it touched a page. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	/* Memory that ASan keeps for finding late uses would look like a leak. */
	setenv("ASAN_OPTIONS", "quarantine_size_mb=1:detect_leaks=1", 1);
	setenv("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1", 1);
	dup2(log_end, STDERR_FILENO);
	execv(program, arguments);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* The device is a child of the process that was started where it may have a PID namespace. */
static pid_t find_serving(pid_t pid)
{
	char path[64];
	FILE *children;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	children = fopen(path, "re");
	if (!children)
		return pid;
	if (fscanf(children, "%d", &child) != 1)
		child = pid;
	fclose(children);
	return child;
}

int device_start(struct device *device, const char *program, const char *protocol,
		 char *const *words)
{
	uint64_t deadline = now_ms() + HANG_MS;
	int log_ends[2];

	*device = (struct device){ .control_fd = -1, .folder = "/tmp/hostile-XXXXXX" };
	if (!mkdtemp(device->folder) || pipe2(log_ends, O_CLOEXEC))
		return -errno;
	snprintf(device->vmm_path, sizeof(device->vmm_path), "%s/vmm", device->folder);
	snprintf(device->control_path, sizeof(device->control_path), "%s/qmp", device->folder);
	fcntl(log_ends[0], F_SETFL, O_NONBLOCK);
	device->log_fd = log_ends[0];
	device->pid = fork();
	if (device->pid == 0)
		run_child(device, log_ends[1], program, protocol, words);
	close(log_ends[1]);
	while (!greet(device)) {
		if (!device_lives(device) || now_ms() > deadline)
			return -ECHILD;
		pause_ms(5);
	}
	device->serving = find_serving(device->pid);
	device->files = device_files(device);
	device->private_kib = device_private_kib(device);
	return device->files < 0 ? device->files : 0;
}

void device_stop(struct device *device)
{
	if (device->control_fd >= 0)
		close(device->control_fd);
	if (device->pid > 0) {
		kill(device->pid, SIGKILL);
		waitpid(device->pid, NULL, 0);
	}
	close(device->log_fd);
	unlink(device->vmm_path);
	unlink(device->control_path);
	rmdir(device->folder);
	device->pid = 0;
}

/* Keeps the end of its output. */
static void keep(struct device *device, const char *text, size_t size)
{
	size_t room = sizeof(device->tail) - 1;

	if (size > room) {
		text += size - room;
		size = room;
	}
	if (device->tail_size + size > room) {
		size_t cut = device->tail_size + size - room;

		device->tail_size -= cut;
		memmove(device->tail, device->tail + cut, device->tail_size);
	}
	memcpy(device->tail + device->tail_size, text, size);
	device->tail_size += size;
	device->tail[device->tail_size] = '\0';
}

void device_read_log(struct device *device)
{
	char text[4096];
	ssize_t n;

	while ((n = read(device->log_fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			device->log_lines += text[i] == '\n';
		keep(device, text, (size_t)n);
	}
}

bool device_lives(struct device *device)
{
	char text[80];
	int status;

	if (device->pid <= 0)
		return false;
	if (waitpid(device->pid, &status, WNOHANG) != device->pid)
		return true;
	device_read_log(device);
	snprintf(text, sizeof(text), "(it ended: %s %d)\n",
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	keep(device, text, strlen(text));
	device->pid = 0;
	return false;
}

int device_files(const struct device *device)
{
	char path[40];
	DIR *folder;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", device->serving);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

bool device_is_sanitized(void)
{
#ifdef SANITIZED
	return true;
#else
	return false;
#endif
}

/* What AddressSanitizer keeps about each byte, here as in the device: it is not the device's. */
static bool is_shadow(uint64_t address)
{
#ifdef SANITIZED
	size_t scale, offset;

	__asan_get_shadow_mapping(&scale, &offset);
	return address >= offset && address < offset + (USER_END >> scale);
#else
	(void)address;
	return false;
#endif
}

/* How many pages of [@from, @to) are there, or have been swapped out. */
static uint64_t count_pages(int pagemap, uint64_t from, uint64_t to)
{
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t entries[4096], count = 0;
	ssize_t size;

	for (uint64_t page = from / page_bytes; page < to / page_bytes;
	     page += (uint64_t)size / sizeof(entries[0])) {
		uint64_t left = (to / page_bytes - page) * sizeof(entries[0]);

		size = pread(pagemap, entries, left < sizeof(entries) ? left : sizeof(entries),
			     (off_t)(page * sizeof(entries[0])));
		if (size < (ssize_t)sizeof(entries[0]))
			break;
		for (size_t i = 0; i < (size_t)size / sizeof(entries[0]); i++)
			count += entries[i] >> PAGEMAP_SWAPPED != 0;
	}
	return count;
}

uint64_t device_private_kib(const struct device *device)
{
	char path[40], line[512];
	uint64_t pages = 0;
	FILE *maps;
	int pagemap;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", device->serving);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", device->serving);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long long from, to, inode;
		char rights[5];

		if (sscanf(line, "%llx-%llx %4s %*x %*s %llu", &from, &to, rights, &inode) == 4 &&
		    !inode && !strncmp(rights, "rw-p", 4) && !is_shadow(from))
			pages += count_pages(pagemap, from, to);
	}
	if (maps)
		fclose(maps);
	if (pagemap >= 0)
		close(pagemap);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}
