/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding guests: all of them, or the one that the user named.
 *
 * Theory of operation: "qmp:PATH" is opened without a search.  For any other word
 * all domains of each libvirt URI are listed, and all QEMUs whose sockets the globs
 * match are asked for their names; guest_word.c decides which of them it means.  The
 * search succeeds with exactly one match; otherwise the error lists the guests that
 * exist, or those that match.
 */
#include "hypervisor/hypervisor.h"

#include "common/plain_text.h"
#include "hypervisor/guest_word.h"
#include "hypervisor/path_walk.h"
#include "hypervisor/shortage.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define QMP_PREFIX "qmp:"
#define PROBE_MS 1000 /* the time for one QMP socket to report the guest's name */
#define NAMES_SHOWN 8

/*
 * The deadline for the next of @parts sources, which are asked in turn: an equal
 * share of the time left, so that a source that hangs leaves time for the others.
 */
static int64_t split_deadline(int64_t deadline, guint parts)
{
	int64_t now = g_get_monotonic_time();

	return now + (deadline - now) / MAX(parts, 1);
}

enum socket_presence { SOCKET_HERE, SOCKET_GONE, SOCKET_UNKNOWN };

/* SOCKET_UNKNOWN sets errno. */
static enum socket_presence find_socket(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISSOCK(st.st_mode) ? SOCKET_HERE : SOCKET_GONE;
	return errno == ENOENT || errno == ENOTDIR ? SOCKET_GONE : SOCKET_UNKNOWN;
}

bool hv_qmp_is_gone(const char *address)
{
	g_autofree char *path = plain_name_decode(address + strlen(QMP_PREFIX));

	return find_socket(path) == SOCKET_GONE;
}

static void add_socket_guest(GPtrArray *guests, const char *path, struct path_unread *unread)
{
	g_autofree char *plain = plain_name(path);

	switch (find_socket(path)) {
	case SOCKET_HERE:
		g_ptr_array_add(guests, hv_qmp_open(plain));
		break;
	case SOCKET_GONE:
		break;
	case SOCKET_UNKNOWN:
		path_unread_note(unread, path, errno);
		break;
	}
}

static bool is_path_found(const GPtrArray *paths, const char *path)
{
	for (guint i = 0; i < paths->len; i++)
		if (!strcmp(paths->pdata[i], path))
			return true;
	return false;
}

static bool set_unread_error(const char *pattern, const struct path_unread *unread, GError **error)
{
	bool is_short = shortage_is_errno(unread->number);

	g_set_error(error, HV_ERROR,
		    is_short		       ? HV_ERROR_SHORTAGE
		    : unread->number == EACCES ? HV_ERROR_DENIED
					       : HV_ERROR_FAILED,
		    "cannot look for sockets at %s: cannot read %s: %s", pattern, unread->path,
		    is_short ? shortage_explain(unread->number) : g_strerror(unread->number));
	return false;
}

bool hv_qmp_list(const char *pattern, GPtrArray *guests, GError **error)
{
	struct path_unread unread = { 0 };
	g_autoptr(GPtrArray) paths = path_walk(pattern, &unread);
	g_autofree char *unread_path = NULL;

	for (guint i = 0; i < paths->len; i++)
		add_socket_guest(guests, paths->pdata[i], &unread);
	/* A socket's path may contain what means something else in a pattern. */
	if (*pattern == '/' && !is_path_found(paths, pattern) &&
	    find_socket(pattern) == SOCKET_HERE)
		add_socket_guest(guests, pattern, &unread);
	unread_path = unread.path;
	return !unread.path || set_unread_error(pattern, &unread, error);
}

/* Adds the guests of all @globs, and to @problems (NULL: nowhere) what could not be looked at. */
static void list_socket_globs(char **globs, GPtrArray *guests, GPtrArray *problems)
{
	for (; *globs; globs++) {
		g_autoptr(GError) error = NULL;

		if (!hv_qmp_list(*globs, guests, &error) && problems)
			g_ptr_array_add(problems, g_strdup(error->message));
	}
}

GPtrArray *hv_list(const struct hv_sources *sources, bool all, int64_t deadline,
		   GPtrArray *problems)
{
	GPtrArray *guests = g_ptr_array_new_with_free_func((GDestroyNotify)hv_guest_close);

	for (char **uri = sources->libvirt_uris; *uri; uri++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) domains = hv_libvirt_list(
			*uri, all, split_deadline(deadline, g_strv_length(uri)), &error);

		if (domains)
			g_ptr_array_extend_and_steal(guests, g_steal_pointer(&domains));
		else if (problems)
			g_ptr_array_add(problems, g_strdup(error->message));
	}
	list_socket_globs(sources->qmp_globs, guests, problems);
	return guests;
}

/* A guest that may match, and the result of reading its settings, if they were read. */
struct match {
	hv_guest *guest;
	hv_info info;
	GError *error;
	int64_t deadline; /* for reading them */
};

static struct match *guest_match_new(hv_guest *guest)
{
	struct match *match = g_new0(struct match, 1);

	match->guest = guest;
	return match;
}

static void guest_match_free(gpointer data)
{
	struct match *match = data;

	hv_guest_close(match->guest);
	hv_info_clear(&match->info);
	g_clear_error(&match->error);
	g_free(match);
}

static struct guest_names get_match_names(const struct match *match)
{
	return (struct guest_names){
		.source = match->guest->source,
		.address = match->guest->address,
		.name = match->info.name,
		.uuid = match->info.uuid ? match->info.uuid : match->guest->uuid,
		.id = match->guest->id,
	};
}

static bool is_match_for(const struct match *match, const char *word)
{
	const struct guest_names names = get_match_names(match);

	return guest_word_fits(word, &names);
}

/* Adds the domains that @word means to @matches, and each URI that fails to @problems. */
static void find_domain_matches(const struct hv_sources *sources, const char *word,
				int64_t deadline, GPtrArray *matches, GPtrArray *problems)
{
	guint others = *sources->qmp_globs ? 1 : 0;

	for (char **uri = sources->libvirt_uris; *uri; uri++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) domains = hv_libvirt_list(
			*uri, true, split_deadline(deadline, g_strv_length(uri) + others), &error);

		if (!domains)
			g_ptr_array_add(problems, g_strdup(error->message));
		while (domains && domains->len) {
			struct match *match = guest_match_new(g_ptr_array_steal_index(domains, 0));

			if (is_match_for(match, word))
				g_ptr_array_add(matches, match);
			else
				guest_match_free(match);
		}
	}
}

/* A thread: a guest's name is known only to its QEMU. */
static gpointer probe_guest(gpointer data)
{
	struct match *match = data;

	hv_guest_info(match->guest, match->deadline, &match->info, &match->error);
	return NULL;
}

/* All at once, so that guests that do not answer take PROBE_MS together. */
static void probe_guests(GPtrArray *matches, const char *word, int64_t deadline)
{
	g_autofree GThread **threads = g_new(GThread *, matches->len);
	int64_t soon = MIN(deadline, hv_deadline_ms(PROBE_MS));

	for (guint i = 0; i < matches->len; i++) {
		struct match *match = matches->pdata[i];

		match->deadline = is_match_for(match, word) ? deadline : soon;
		threads[i] = g_thread_try_new("probe", probe_guest, match, NULL);
	}
	/* Those for which no thread could be started are asked one after the other. */
	for (guint i = 0; i < matches->len; i++)
		if (threads[i])
			g_thread_join(threads[i]);
		else
			probe_guest(matches->pdata[i]);
}

/* Two globs may match one socket. */
static bool is_address_known(const GPtrArray *matches, const char *address)
{
	for (guint i = 0; i < matches->len; i++)
		if (!strcmp(((const struct match *)matches->pdata[i])->guest->address, address))
			return true;
	return false;
}

static void find_socket_matches(char **globs, const char *word, int64_t deadline,
				GPtrArray *matches, GPtrArray *problems)
{
	g_autoptr(GPtrArray) guests =
		g_ptr_array_new_with_free_func((GDestroyNotify)hv_guest_close);
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(guest_match_free);

	list_socket_globs(globs, guests, problems);
	while (guests->len) {
		g_autoptr(hv_guest) guest = g_ptr_array_steal_index(guests, 0);

		if (!is_address_known(found, guest->address))
			g_ptr_array_add(found, guest_match_new(g_steal_pointer(&guest)));
	}
	probe_guests(found, word, deadline);
	while (found->len) {
		struct match *match = g_ptr_array_steal_index(found, 0);

		if (is_match_for(match, word)) {
			g_ptr_array_add(matches, match);
			continue;
		}
		if (g_error_matches(match->error, HV_ERROR, HV_ERROR_SHORTAGE))
			g_ptr_array_add(problems, g_strdup(match->error->message));
		guest_match_free(match);
	}
}

static char *join_guest_names(GPtrArray *guests)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < guests->len && i < NAMES_SHOWN; i++) {
		const hv_guest *guest = guests->pdata[i];

		g_string_append_printf(text, "%s%s", i ? ", " : "", guest->address);
		if (strcmp(guest->source, "qmp"))
			g_string_append_printf(text, " (%s)", guest->source);
	}
	if (guests->len > NAMES_SHOWN)
		g_string_append_printf(text, " and %u more", guests->len - NAMES_SHOWN);
	return g_string_free(text, FALSE);
}

static void set_not_found_error(const struct hv_sources *sources, const char *name,
				int64_t deadline, GError **error)
{
	g_autoptr(GPtrArray) guests = hv_list(sources, true, deadline, NULL);
	g_autofree char *names = join_guest_names(guests);

	g_set_error(error, HV_ERROR, HV_ERROR_NOT_FOUND, "no guest '%s'; %s%s", name,
		    guests->len ? "there are: "
				: "no guests were found; name one by its monitor socket "
				  "(qmp:PATH), or say where to look with -c URI or --qmp GLOB",
		    names);
}

/* Returns the guest of the only match, and its settings in @info unless that is NULL. */
static hv_guest *use_guest_match(struct match *match, int64_t deadline, hv_info *info,
				 GError **error)
{
	if (info) {
		if (match->error) {
			g_propagate_error(error, g_steal_pointer(&match->error));
			return NULL;
		}
		if (!match->info.name &&
		    !hv_guest_info(match->guest, deadline, &match->info, error))
			return NULL;
		*info = match->info;
		match->info = (hv_info){ 0 };
	}
	return g_steal_pointer(&match->guest);
}

static void set_ambiguous_error(const char *word, const GPtrArray *matches, GError **error)
{
	g_autofree struct guest_names *names = g_new(struct guest_names, matches->len);
	g_autofree char *text = NULL;

	for (guint i = 0; i < matches->len; i++)
		names[i] = get_match_names(matches->pdata[i]);
	text = guest_word_explain_ambiguity(word, names, matches->len);
	g_set_error(error, HV_ERROR, HV_ERROR_AMBIGUOUS, "%s, or with -c URI", text);
}

hv_guest *hv_find(const struct hv_sources *sources, const char *name, int64_t deadline,
		  hv_info *info, GError **error)
{
	g_autoptr(GPtrArray) matches = g_ptr_array_new_with_free_func(guest_match_free);
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

	if (guest_word_is_address(name)) {
		g_ptr_array_add(matches, guest_match_new(hv_qmp_open(name + strlen(QMP_PREFIX))));
	} else {
		find_domain_matches(sources, name, deadline, matches, problems);
		find_socket_matches(sources->qmp_globs, name, deadline, matches, problems);
	}
	if (matches->len == 1)
		return use_guest_match(matches->pdata[0], deadline, info, error);
	if (matches->len > 1) {
		set_ambiguous_error(name, matches, error);
	} else if (problems->len) {
		g_autofree char *reasons = NULL;

		g_ptr_array_add(problems, NULL);
		reasons = g_strjoinv("; ", (char **)problems->pdata);
		g_set_error(error, HV_ERROR, HV_ERROR_UNREACHABLE, "cannot look for guest '%s': %s",
			    name, reasons);
	} else {
		set_not_found_error(sources, name, deadline, error);
	}
	return NULL;
}
