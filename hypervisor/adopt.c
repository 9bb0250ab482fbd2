/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/adopt.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/safe_folder.h"

#define EMULATORS "/aerostat/emulators"
#define SOCKET_SUFFIX ".sock"
#define CONTROL_SUFFIX ".qmp"

void adopt_dirs_clear(struct adopt_dirs *dirs)
{
	g_clear_pointer(&dirs->emulators, g_free);
	g_clear_pointer(&dirs->sockets, g_free);
}

/* "qemu:///system?socket=…" and the like; all other URIs are a user's own. */
static bool is_system_uri(const char *uri)
{
	g_autofree char *plain = g_strndup(uri, strcspn(uri, "?"));

	return g_str_has_suffix(plain, "/system");
}

void adopt_dirs_find(const char *uri, struct adopt_dirs *dirs)
{
	bool system = is_system_uri(uri);
	const char *data = system ? "/var/lib" : g_get_user_data_dir();
	const char *runtime = system ? "/run" : g_get_user_runtime_dir();

	dirs->emulators = g_strconcat(data, EMULATORS, NULL);
	dirs->sockets = g_build_filename(runtime, "aerostat", NULL);
}

char *adopt_format_link(const struct adopt_dirs *dirs, const char *emulator)
{
	return g_strconcat(dirs->emulators, emulator, NULL);
}

const char *adopt_parse_link(const char *link)
{
	const char *end = strstr(link, EMULATORS "/");

	return end ? end + strlen(EMULATORS) : NULL;
}

static bool set_path_error(GError **error, const char *what, const char *path)
{
	int code = errno == EACCES || errno == EPERM ? HV_ERROR_DENIED : HV_ERROR_FAILED;

	g_set_error(error, HV_ERROR, code, "cannot %s %s: %s", what, path, g_strerror(errno));
	return false;
}

bool adopt_make_link(const char *link, const char *launcher, bool *made, GError **error)
{
	g_autofree char *target = g_file_read_link(link, NULL);
	const char *name;
	int folder;

	*made = false;
	if (!g_strcmp0(target, launcher))
		return true;
	folder = safe_folder_of(link, SAFE_FOLDER_CREATE, &name);
	if (folder < 0) {
		errno = -folder;
		return set_path_error(error, "use the directory of", link);
	}
	/* The link points to a launcher that was installed elsewhere. */
	if (target && unlinkat(folder, name, 0) < 0)
		set_path_error(error, "replace", link);
	else if (symlinkat(launcher, folder, name) < 0)
		set_path_error(error, "create the link", link);
	else
		*made = true;
	close(folder);
	return *made;
}

char *adopt_format_socket(const struct adopt_dirs *dirs, const char *name, GError **error)
{
	g_autofree char *path = g_strconcat(dirs->sockets, "/", name, SOCKET_SUFFIX, NULL);

	if (strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return g_steal_pointer(&path);
	g_set_error(
		error, HV_ERROR, HV_ERROR_REFUSED,
		"the path of its device's socket would be too long (%s); give the guest a shorter "
		"name",
		path);
	return NULL;
}

char *adopt_format_control(const char *socket)
{
	size_t length = strlen(socket);

	if (g_str_has_suffix(socket, SOCKET_SUFFIX))
		length -= strlen(SOCKET_SUFFIX);
	return g_strdup_printf("%.*s%s", (int)length, socket, CONTROL_SUFFIX);
}

char *adopt_find_program(const char *name, GError **error)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *folder = g_path_get_dirname(self ? self : "");
	g_autofree char *beside = g_build_filename(folder, name, NULL);
	g_autofree char *installed = g_build_filename(AEROSTAT_BINDIR, name, NULL);
	g_autofree char *on_path = NULL;

	if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
		return g_steal_pointer(&beside);
	if (g_file_test(installed, G_FILE_TEST_IS_EXECUTABLE))
		return g_steal_pointer(&installed);
	on_path = g_find_program_in_path(name);
	if (!on_path)
		g_set_error(error, HV_ERROR, HV_ERROR_FAILED,
			    "%s is neither in %s nor in %s nor on PATH; install it", name, folder,
			    AEROSTAT_BINDIR);
	return g_steal_pointer(&on_path);
}

/* The first line that @program prints; NULL when it cannot be run or fails.  @more may be NULL. */
static char *read_program_output(const char *program, const char *option, const char *more,
				 GError **error)
{
	const char *argv[] = { program, option, more, NULL };
	g_autofree char *out = NULL;
	int status;

	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &out,
			  NULL, &status, error) ||
	    !g_spawn_check_wait_status(status, error))
		return NULL;
	out[strcspn(out, "\n")] = '\0';
	return g_steal_pointer(&out);
}

bool adopt_check_emulator(const char *emulator, GError **error)
{
	g_autoptr(GError) failed = NULL;
	g_autofree char *version = read_program_output(emulator, "--version", NULL, &failed);
	g_autofree char *device = NULL;

	if (!version) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "the emulator %s cannot be run: %s; name another with --emulator PATH",
			    emulator, failed->message);
		return false;
	}
	device = read_program_output(emulator, "-device", "vfio-user-pci,help", NULL);
	/* Before QEMU 8 an unknown device is reported on stderr, but with success. */
	if (device && *device)
		return true;
	g_set_error(
		error, HV_ERROR, HV_ERROR_REFUSED,
		"the emulator %s (%s) has no vfio-user-pci, which aerostat's device needs; name "
		"a QEMU 10.1 or newer with --emulator PATH",
		emulator, version);
	return false;
}
