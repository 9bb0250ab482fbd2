/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/fake_qemu.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* What QEMU 7.2 answers; a key is a command, its path and, if any, its property. */
static const char *const honest[][2] = {
	{ "qmp_capabilities", "\"return\": {}" },
	{ "query-name", "\"return\": {\"name\": \"web 1\"}" },
	{ "query-uuid", "\"return\": {\"UUID\": \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"}" },
	{ "query-status", "\"return\": {\"status\": \"running\", \"running\": true}" },
	{ "query-memory-size-summary",
	  "\"return\": {\"base-memory\": 1073741824, \"plugged-memory\": 0}" },
	{ "query-balloon", "\"return\": {\"actual\": 536870912}" },
	{ "query-cpus-fast", "\"return\": [{\"cpu-index\": 0}, {\"cpu-index\": 1}]" },
	{ "query-version", "\"return\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
			   "\"package\": \"x\"}" },
	{ "qom-list /machine/peripheral",
	  "\"return\": [{\"name\": \"type\", \"type\": \"string\"}, "
	  "{\"name\": \"b0\", \"type\": \"child<virtio-balloon-pci>\"}]" },
	{ "qom-list /machine/peripheral-anon",
	  "\"return\": [{\"name\": \"type\", \"type\": \"string\"}]" },
	{ "qom-get " DEVICE " deflate-on-oom", "\"return\": true" },
	{ "qom-get " DEVICE " free-page-reporting", "\"return\": false" },
	{ "qom-get " DEVICE " guest-stats-polling-interval", "\"return\": 2" },
	{ "qom-get " DEVICE " guest-stats",
	  "\"return\": {\"stats\": {\"stat-swap-in\": 0, \"stat-free-memory\": 104857600, "
	  "\"stat-available-memory\": 209715200, \"stat-htlb-pgfail\": " UNSET
	  ", \"stat-of-the-future\": {}}, \"last-update\": 1700000000}" },
	{ "qom-set " DEVICE " guest-stats-polling-interval", "\"return\": {}" },
	{ "balloon", "\"return\": {}" },
	{ "x-set-credit", "\"return\": {}" },
	{ "x-trim", "\"return\": {}" },
	{ "query-migrate", "\"return\": {}" },
	{ "human-monitor-command", "\"return\": \"net0: index=0,type=nic,model=virtio-net-pci\\r\\n"
				   " \\\\ hub: index=0,type=user,net=10.0.2.0\\r\\n\"" },
	{ "x-query-virtio-status " DEVICE,
	  "\"return\": {\"status\": {\"statuses\": [\"VIRTIO_CONFIG_S_ACKNOWLEDGE: Valid\", "
	  "\"VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready\"]}}" },
};

/* Holds the lock until the end of the block. */
#define LOCKED(fake) g_autoptr(GMutexLocker) locker_ = g_mutex_locker_new(&(fake)->lock)

/* The client may disconnect before everything is sent. */
static bool fake_say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static void fake_hear(struct fake *fake, const char *key, const json_t *arguments)
{
	const json_t *value = json_object_get(arguments, "value");
	g_autofree char *credit = NULL;

	if (json_is_integer(value))
		g_string_append_printf(fake->heard, "%s=%" JSON_INTEGER_FORMAT "\n", key,
				       json_integer_value(value));
	if (g_strcmp0(key, "x-set-credit"))
		return;
	credit = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);
	g_string_append_printf(fake->heard, "%s %s\n", key, credit);
}

/* Answers one line; false to drop the client. */
static bool fake_answer(struct fake *fake, int fd, const char *line)
{
	LOCKED(fake);
	json_auto_t *message = json_loads(line, 0, NULL);
	const json_t *arguments = json_object_get(message, "arguments");
	const char *command = json_string_value(json_object_get(message, "execute"));
	const char *path = json_string_value(json_object_get(arguments, "path"));
	const char *property = json_string_value(json_object_get(arguments, "property"));
	g_autofree char *key = g_strjoin(" ", command, path, property, NULL);
	g_autofree char *time_now = NULL;
	g_autoptr(GString) dated = NULL;
	g_autofree char *answer = NULL;
	gpointer known, body;

	if (fake->drops && g_str_equal(key, fake->drop_on)) {
		fake->drops--;
		return false;
	}
	fake_hear(fake, key, arguments);
	known = g_hash_table_lookup_extended(fake->answers, key, NULL, &body) ? body : REFUSED;
	if (fake->events && !fake_say(fd, fake->events))
		return false;
	g_clear_pointer(&fake->events, g_free);
	if (!known) {
		fake->held++;
		return true;
	}
	dated = g_string_new(known);
	time_now = g_strdup_printf("%" G_GINT64_FORMAT,
				   g_get_real_time() / G_USEC_PER_SEC + fake->dated);
	fake->dated += g_string_replace(dated, NOW, time_now, 0);
	answer = g_strdup_printf("{%s, \"id\": \"%s\"}\r\n", dated->str,
				 json_string_value(json_object_get(message, "id")));
	return fake_say(fd, answer);
}

static void fake_set_client(struct fake *fake, int fd)
{
	LOCKED(fake);
	fake->client = fd;
}

static void *fake_main(void *data)
{
	struct fake *fake = data;
	int fd;

	while ((fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		g_autofree char *line = NULL;
		FILE *file = fdopen(fd, "r");
		size_t size = 0;

		fake_set_client(fake, fd);
		fake_say(fd, "{\"QMP\": {}}\r\n");
		while (getline(&line, &size, file) > 0 && fake_answer(fake, fd, line))
			;
		fake_set_client(fake, -1);
		fclose(file);
	}
	return NULL;
}

int listen_at(const char *path, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

void fake_kill(struct fake *fake)
{
	if (!fake->thread)
		return;
	shutdown(fake->listener, SHUT_RDWR);
	g_mutex_lock(&fake->lock);
	if (fake->client >= 0)
		shutdown(fake->client, SHUT_RDWR);
	g_mutex_unlock(&fake->lock);
	g_thread_join(g_steal_pointer(&fake->thread));
	close(fake->listener);
}

int fake_setup(void **state)
{
	struct fake *fake = g_new0(struct fake, 1);

	fake->dir = g_dir_make_tmp("aerostat-XXXXXX", NULL);
	fake->path = g_build_filename(fake->dir, "sock.name.qmp", NULL);
	fake->listener = listen_at(fake->path, 1);
	fake->client = -1;
	fake->heard = g_string_new(NULL);
	fake->answers = g_hash_table_new(g_str_hash, g_str_equal);
	for (size_t i = 0; i < G_N_ELEMENTS(honest); i++)
		g_hash_table_insert(fake->answers, (void *)honest[i][0], (void *)honest[i][1]);
	g_mutex_init(&fake->lock);
	fake->thread = g_thread_new("fake QEMU", fake_main, fake);
	fake->guest = hv_qmp_open(fake->path);
	*state = fake;
	return 0;
}

int fake_teardown(void **state)
{
	struct fake *fake = *state;

	hv_guest_close(fake->guest);
	fake_kill(fake);
	g_unlink(fake->path);
	g_rmdir(fake->dir);
	g_hash_table_unref(fake->answers);
	g_string_free(fake->heard, TRUE);
	g_free(fake->events);
	g_free(fake->path);
	g_free(fake->dir);
	g_free(fake);
	return 0;
}

void will_answer(struct fake *fake, const char *key, const char *body)
{
	LOCKED(fake);
	g_hash_table_insert(fake->answers, (void *)key, (void *)body);
}

void will_say_first(struct fake *fake, const char *events)
{
	LOCKED(fake);
	fake->events = g_strdup(events);
}

void will_drop(struct fake *fake, const char *command, unsigned int times)
{
	LOCKED(fake);
	fake->drop_on = command;
	fake->drops = times;
}

bool is_held(struct fake *fake)
{
	LOCKED(fake);
	return fake->held;
}

char *heard(struct fake *fake)
{
	LOCKED(fake);
	return g_strdup(fake->heard->str);
}
