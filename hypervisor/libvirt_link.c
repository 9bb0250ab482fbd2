/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * libvirt's functions block for 30 s, or forever, when QEMU or libvirtd is
 * stopped.  So each call runs in its own thread (deadline.h).  When the deadline
 * comes first, the thread is left running and owns its struct libvirt_call.
 *
 * Each guest has its own connection.  libvirtd works on at most five requests per
 * connection at a time (max_client_requests), so five stuck guests on a shared
 * connection would block all others.  Each guest has one call at a time, from
 * libvirt_call_run() to libvirt_call_free(), even if that call was given up:
 * otherwise a stuck guest would occupy libvirtd's workers one by one, and old
 * requests could overtake new ones.  A later call waits for the earlier one, up to
 * its own deadline.
 *
 * libvirt does not reconnect.  We notice a lost connection by the close callback
 * (end of file, or keepalive after about 4 s), or by a call that fails on a
 * connection that is not alive.  The call then connects again, at short intervals
 * because libvirtd may be restarting, until its deadline.  Only a guest's very
 * first connection is attempted once.
 *
 * References: the guest, each call, and each event callback registered with
 * libvirt hold one.  The callbacks belong to the connection and the connection
 * to the link, so libvirt_link_close() has to break this cycle.
 */
#include "hypervisor/libvirt_link.h"

#include "hypervisor/deadline.h"
#include "hypervisor/libvirt_loop.h"
#include "hypervisor/shortage.h"
#include "hypervisor/vmm_process.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_USER ((uid_t)-1)
#define RETRY_US 100000
#define CLOSE_US 250000 /* for libvirtd to confirm the close */
#define KEEPALIVE_INTERVAL_S 1
#define KEEPALIVE_COUNT 3

struct libvirt_link *libvirt_link_new(const char *uri, const char *address, const char *uuid)
{
	struct libvirt_link *link = g_new(struct libvirt_link, 1);

	*link = (struct libvirt_link){
		.uri = g_strdup(uri),
		.address = g_strdup(address),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.refs = 1,
		.user = NO_USER,
		.outside_bytes = HV_UNSET,
		.events = { .ids = { -1, -1 }, .queue = G_QUEUE_INIT },
	};
	if (uuid)
		g_strlcpy(link->uuid, uuid, sizeof(link->uuid));
	return link;
}

struct libvirt_link *libvirt_link_ref(struct libvirt_link *link)
{
	pthread_mutex_lock(&link->lock);
	link->refs++;
	pthread_mutex_unlock(&link->lock);
	return link;
}

void libvirt_link_unref(void *data)
{
	struct libvirt_link *link = data;
	bool last;

	pthread_mutex_lock(&link->lock);
	last = --link->refs == 0;
	pthread_mutex_unlock(&link->lock);
	if (!last)
		return;
	g_queue_clear_full(&link->events.queue, g_free);
	pthread_cond_destroy(&link->changed);
	pthread_mutex_destroy(&link->lock);
	g_free(link->denied);
	g_free(link->address);
	g_free(link->uri);
	g_free(link);
}

/* "SCHEME://HOST/…" names a host, "SCHEME:///…" does not. */
bool hv_uri_is_local(const char *uri)
{
	const char *host = strstr(uri, "://");

	return !host || host[strlen("://")] == '/';
}

/* Whether the domain was found at least once. */
static bool libvirt_link_copy_uuid(struct libvirt_link *link, char uuid[VIR_UUID_STRING_BUFLEN])
{
	pthread_mutex_lock(&link->lock);
	g_strlcpy(uuid, link->uuid, VIR_UUID_STRING_BUFLEN);
	pthread_mutex_unlock(&link->lock);
	return *uuid;
}

static uid_t libvirt_link_get_user(struct libvirt_link *link)
{
	uid_t user;

	pthread_mutex_lock(&link->lock);
	user = link->user;
	pthread_mutex_unlock(&link->lock);
	return user;
}

/* The owner of the socket in "…?socket=PATH", who runs that libvirt; NO_USER: none is named. */
static uid_t find_socket_owner(const char *uri)
{
	const char *query = strchr(uri, '?');
	g_autoptr(GHashTable) parameters =
		query ? g_uri_parse_params(query + 1, -1, "&", G_URI_PARAMS_NONE, NULL) : NULL;
	const char *path = parameters ? g_hash_table_lookup(parameters, "socket") : NULL;
	struct stat st;

	return path && !stat(path, &st) ? st.st_uid : NO_USER;
}

static uid_t find_account(const char *name)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];

	return !getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) && found ? found->pw_uid
										  : NO_USER;
}

uid_t libvirt_parse_user(const char *label)
{
	const char *digits = label + (*label == '+');
	guint64 number;
	uid_t user = *label == '+' ? NO_USER : find_account(label);

	if (user == NO_USER &&
	    g_ascii_string_to_unsigned(digits, 10, 0, NO_USER - 1, &number, NULL))
		user = (uid_t)number;
	return user;
}

void libvirt_link_set_user(struct libvirt_link *link, const char *label)
{
	uid_t user = label ? libvirt_parse_user(label) : NO_USER;

	pthread_mutex_lock(&link->lock);
	link->user = user;
	pthread_mutex_unlock(&link->lock);
}

void libvirt_link_set_outside(struct libvirt_link *link, uint64_t outside_bytes)
{
	pthread_mutex_lock(&link->lock);
	link->outside_bytes = outside_bytes;
	pthread_mutex_unlock(&link->lock);
}

uint64_t libvirt_link_outside(struct libvirt_link *link)
{
	uint64_t outside_bytes;

	pthread_mutex_lock(&link->lock);
	outside_bytes = link->outside_bytes;
	pthread_mutex_unlock(&link->lock);
	return outside_bytes;
}

/*
 * Where libvirt does not report which user runs a guest's QEMU: those who may, which are whose
 * libvirt it is, and the accounts that packages give to QEMU.  Another user's libvirt speaks for
 * that user's processes only, whatever it reports.
 */
GArray *libvirt_list_owners(const char *uri, uid_t user)
{
	static const char *const accounts[] = { "libvirt-qemu", "qemu" }; /* Debian, Fedora */
	GArray *owners = g_array_new(FALSE, FALSE, sizeof(uid_t));
	const uid_t root = 0, self = geteuid(), owner = find_socket_owner(uri);
	bool is_trusted = owner == NO_USER || owner == root || owner == self;

	if (user != NO_USER && is_trusted)
		return g_array_append_val(owners, user);
	g_array_append_val(owners, root);
	g_array_append_val(owners, self);
	if (owner != NO_USER)
		g_array_append_val(owners, owner);
	for (size_t i = 0; i < G_N_ELEMENTS(accounts); i++) {
		uid_t account = find_account(accounts[i]);

		if (account != NO_USER)
			g_array_append_val(owners, account);
	}
	return owners;
}

pid_t libvirt_link_find_pid(struct libvirt_link *link)
{
	g_autoptr(GArray) owners = libvirt_list_owners(link->uri, libvirt_link_get_user(link));
	char uuid[VIR_UUID_STRING_BUFLEN];

	link->pid = libvirt_link_copy_uuid(link, uuid) && hv_uri_is_local(link->uri)
			    ? vmm_process_find(uuid, owners, link->pid)
			    : 0;
	return link->pid;
}

/* ---- errors ---- */

static char *G_GNUC_PRINTF(2, 0)
	libvirt_link_format_error(const struct libvirt_link *link, const char *format, va_list args)
{
	g_autofree char *text = g_strdup_vprintf(format, args);

	return g_strconcat(link->address ? link->address : "", link->address ? ": " : "", text,
			   NULL);
}

bool libvirt_call_fail(struct libvirt_call *call, enum hv_error code, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = libvirt_link_format_error(call->link, format, args);
	va_end(args);
	g_clear_error(&call->error);
	call->error = g_error_new_literal(HV_ERROR, code, text);
	return false;
}

static enum hv_error convert_libvirt_error(const virError *error)
{
	static const struct {
		int libvirt;
		enum hv_error ours;
	} table[] = {
		{ VIR_ERR_NO_DOMAIN, HV_ERROR_NOT_FOUND },
		{ VIR_ERR_OPERATION_DENIED, HV_ERROR_DENIED },
		{ VIR_ERR_ACCESS_DENIED, HV_ERROR_DENIED },
		{ VIR_ERR_AUTH_FAILED, HV_ERROR_DENIED },
		{ VIR_ERR_AUTH_CANCELLED, HV_ERROR_DENIED },
		{ VIR_ERR_AUTH_UNAVAILABLE, HV_ERROR_DENIED },
		{ VIR_ERR_OPERATION_TIMEOUT, HV_ERROR_TIMEOUT },
		{ VIR_ERR_AGENT_UNRESPONSIVE, HV_ERROR_TIMEOUT },
		{ VIR_ERR_NO_SUPPORT, HV_ERROR_UNSUPPORTED },
		{ VIR_ERR_OPERATION_INVALID, HV_ERROR_REFUSED },
		{ VIR_ERR_OPERATION_UNSUPPORTED, HV_ERROR_REFUSED },
		{ VIR_ERR_ARGUMENT_UNSUPPORTED, HV_ERROR_REFUSED },
		{ VIR_ERR_CONFIG_UNSUPPORTED, HV_ERROR_REFUSED },
		{ VIR_ERR_RESOURCE_BUSY, HV_ERROR_REFUSED },
		{ VIR_ERR_INVALID_ARG, HV_ERROR_INVALID },
		{ VIR_ERR_OVERFLOW, HV_ERROR_INVALID },
		{ VIR_ERR_XML_ERROR, HV_ERROR_INVALID },
		{ VIR_ERR_XML_DETAIL, HV_ERROR_INVALID },
		{ VIR_ERR_XML_INVALID_SCHEMA, HV_ERROR_INVALID },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (table[i].libvirt == error->code)
			return table[i].ours;
	return HV_ERROR_FAILED;
}

static bool is_denied_error(const virError *error)
{
	return convert_libvirt_error(error) == HV_ERROR_DENIED ||
	       (error->code == VIR_ERR_SYSTEM_ERROR &&
		(error->int1 == EACCES || error->int1 == EPERM));
}

/* The errno of a shortage in this process, for which libvirt has no code of its own; or 0. */
static int find_libvirt_shortage(const virError *error)
{
	if (error->code == VIR_ERR_NO_MEMORY)
		return ENOMEM;
	return error->code == VIR_ERR_SYSTEM_ERROR && shortage_is_errno(error->int1) ? error->int1
										     : 0;
}

/* libvirt's last error in this thread; @text receives its text in one line. */
static virError copy_libvirt_error(char **text)
{
	const virError *last = virGetLastError();
	virError error = last ? *last : (virError){ .code = VIR_ERR_INTERNAL_ERROR };

	*text = g_strstrip(g_strdup(last && last->message ? last->message : "no reason given"));
	g_strdelimit(*text, "\n", ' ');
	error.message = *text;
	return error;
}

bool libvirt_call_fail_last_error(struct libvirt_call *call)
{
	struct libvirt_link *link = call->link;
	g_autofree char *text = NULL;
	virError error = copy_libvirt_error(&text);
	enum hv_error code = convert_libvirt_error(&error);

	if (find_libvirt_shortage(&error))
		return libvirt_call_fail(call, HV_ERROR_SHORTAGE, "%s",
					 shortage_explain(find_libvirt_shortage(&error)));
	if (code == HV_ERROR_NOT_FOUND)
		return libvirt_call_fail(call, code, "libvirt (%s) has no such guest", link->uri);
	if (code == HV_ERROR_DENIED && link->denied)
		return libvirt_call_fail(
			call, code,
			"no permission to %s: libvirt (%s) allows this user only to read (%s); "
			"run this as root or as a member of the group libvirt",
			call->asked, link->uri, link->denied);
	return libvirt_call_fail(call, code, "libvirt (%s) %s to %s: %s", link->uri,
				 code == HV_ERROR_FAILED || code == HV_ERROR_TIMEOUT ? "failed"
										     : "refused",
				 call->asked, text);
}

/* ---- the connection ---- */

static void on_libvirt_close(virConnectPtr conn, int reason, void *data)
{
	struct libvirt_link *link = data;

	(void)conn;
	(void)reason;
	pthread_mutex_lock(&link->lock);
	link->lost = true;
	link->events.active = false;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
}

static bool libvirt_link_is_lost(struct libvirt_link *link)
{
	bool lost;

	pthread_mutex_lock(&link->lock);
	lost = link->lost;
	pthread_mutex_unlock(&link->lock);
	return lost || virConnectIsAlive(link->conn) == 0;
}

/* Closes the connection, whether or not libvirtd still answers. */
static void libvirt_link_disconnect(struct libvirt_link *link)
{
	if (!link->conn)
		return;
	for (int i = 0; i < LINK_EVENT_KINDS; i++) {
		if (link->events.ids[i] >= 0)
			virConnectDomainEventDeregisterAny(link->conn, link->events.ids[i]);
		link->events.ids[i] = -1;
	}
	/* After this the close callback does not run again, so it needs no reference. */
	virConnectUnregisterCloseCallback(link->conn, on_libvirt_close);
	virConnectClose(link->conn);
	link->conn = NULL;
	g_clear_pointer(&link->denied, g_free);
	pthread_mutex_lock(&link->lock);
	link->lost = false;
	link->events.active = false;
	pthread_mutex_unlock(&link->lock);
}

/* libvirt may ask for names and passwords; there is no user to enter them. */
static int refuse_credentials(virConnectCredentialPtr credentials, unsigned int count, void *data)
{
	(void)credentials;
	(void)count;
	(void)data;
	return -1;
}

static virConnectPtr open_libvirt_uri(const char *uri, unsigned int flags)
{
	static int kinds[] = { VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE, VIR_CRED_ECHOPROMPT,
			       VIR_CRED_NOECHOPROMPT, VIR_CRED_REALM };
	virConnectAuth auth = { kinds, G_N_ELEMENTS(kinds), refuse_credentials, NULL };

	return virConnectOpenAuth(uri, &auth, flags);
}

/* Connects read-only if read-write access is denied, so that reading still works. */
static bool libvirt_link_connect(struct libvirt_call *call)
{
	struct libvirt_link *link = call->link;
	g_autofree char *text = NULL;
	int shortage;

	if (link->conn && !libvirt_link_is_lost(link))
		return true;
	libvirt_link_disconnect(link);
	shortage = libvirt_loop_start();
	if (shortage)
		return libvirt_call_fail(call, HV_ERROR_SHORTAGE, "%s", shortage_explain(shortage));
	link->conn = open_libvirt_uri(link->uri, 0);
	if (!link->conn) {
		virError error = copy_libvirt_error(&text);
		bool denied = is_denied_error(&error);

		shortage = find_libvirt_shortage(&error);
		if (shortage)
			return libvirt_call_fail(call, HV_ERROR_SHORTAGE, "%s",
						 shortage_explain(shortage));
		if (denied)
			link->conn = open_libvirt_uri(link->uri, VIR_CONNECT_RO);
		if (!link->conn)
			return libvirt_call_fail(
				call, denied ? HV_ERROR_DENIED : HV_ERROR_UNREACHABLE,
				"cannot reach libvirt (%s): %s; %s", link->uri, text,
				denied ? "run this as root or as a member of the group libvirt"
				       : "is libvirtd running?");
		link->denied = g_steal_pointer(&text);
	}
	link->connected_before = true;
	virConnectSetKeepAlive(link->conn, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
	virConnectRegisterCloseCallback(link->conn, on_libvirt_close, link, NULL);
	return true;
}

/* Whether the last look-up was answered: "there is no such domain". */
static bool was_domain_absent(void)
{
	return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
}

/*
 * Looks the domain up by UUID once that is known; before, by id, UUID or name, as virsh does.
 * A look-up that failed is not followed by another, whose "no such domain" would hide it.
 */
static virDomainPtr libvirt_link_find_domain(struct libvirt_link *link)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	virDomainPtr domain = NULL;
	bool absent = true;
	char *end;
	long id;

	if (libvirt_link_copy_uuid(link, uuid))
		return virDomainLookupByUUIDString(link->conn, uuid);

	errno = 0;
	id = strtol(link->address, &end, 10);
	if (!errno && !*end && end != link->address && id >= 0 && id <= INT_MAX) {
		domain = virDomainLookupByID(link->conn, (int)id);
		absent = domain || was_domain_absent();
	}
	if (!domain && absent && strlen(link->address) == VIR_UUID_STRING_BUFLEN - 1) {
		domain = virDomainLookupByUUIDString(link->conn, link->address);
		absent = domain || was_domain_absent() ||
			 virGetLastErrorCode() == VIR_ERR_INVALID_ARG;
	}
	if (!domain && absent)
		domain = virDomainLookupByName(link->conn, link->address);
	if (domain && virDomainGetUUIDString(domain, uuid) == 0) {
		pthread_mutex_lock(&link->lock);
		g_strlcpy(link->uuid, uuid, sizeof(link->uuid));
		pthread_mutex_unlock(&link->lock);
	}
	return domain;
}

/* ---- reading ---- */

bool libvirt_read_xml(virDomainPtr domain, unsigned int flags, struct domain_xml *xml)
{
	char *text = virDomainGetXMLDesc(domain, flags);
	bool ok = text && domain_xml_parse(text, xml, NULL);

	free(text);
	return ok;
}

/* ---- calls ---- */

/* Reserves the link for one call; false when another call had it until @deadline. */
static bool libvirt_link_reserve(struct libvirt_link *link, int64_t deadline)
{
	bool free;

	pthread_mutex_lock(&link->lock);
	while (link->busy && deadline_wait(&link->changed, &link->lock, deadline))
		;
	free = !link->busy;
	if (free)
		link->busy = true;
	pthread_mutex_unlock(&link->lock);
	return free;
}

static void libvirt_link_release(struct libvirt_link *link)
{
	bool closing;

	pthread_mutex_lock(&link->lock);
	closing = link->closing;
	if (!closing) {
		link->busy = false;
		pthread_cond_broadcast(&link->changed);
	}
	pthread_mutex_unlock(&link->lock);
	if (closing)
		libvirt_link_disconnect(link);
}

struct libvirt_call *libvirt_call_new(struct libvirt_link *link, int64_t deadline,
				      bool (*work)(struct libvirt_call *, virDomainPtr),
				      char *asked)
{
	struct libvirt_call *call = g_new0(struct libvirt_call, 1);

	call->link = libvirt_link_ref(link);
	call->deadline = deadline;
	call->work = work;
	call->asked = asked;
	return call;
}

void libvirt_call_free(void *data)
{
	struct libvirt_call *call = data;

	if (call->holds_link)
		libvirt_link_release(call->link);
	libvirt_link_unref(call->link);
	hv_info_clear(&call->answer.info);
	g_clear_pointer(&call->answer.guests, g_ptr_array_unref);
	g_clear_error(&call->error);
	g_free(call->asked);
	g_free(call->args.text);
	g_free(call->answer.text);
	g_free(call->answer.control);
	g_free(call);
}

/* Finds the domain and runs the work function on it, over the open connection. */
static bool libvirt_call_do_work(struct libvirt_call *call)
{
	virDomainPtr domain = NULL;
	bool ok;

	if (call->link->address) {
		domain = libvirt_link_find_domain(call->link);
		if (!domain)
			return libvirt_call_fail_last_error(call);
	}
	/* After the deadline no caller waits, or expects a change. */
	if (g_get_monotonic_time() >= call->deadline)
		ok = libvirt_call_fail(call, HV_ERROR_TIMEOUT, "no time left to %s", call->asked);
	else
		ok = call->work(call, domain);
	if (!ok && !call->error)
		libvirt_call_fail_last_error(call);
	if (!ok && call->needs_running && call->error->code != HV_ERROR_DENIED &&
	    virDomainIsActive(domain) == 0)
		libvirt_call_fail(call, HV_ERROR_NOT_RUNNING,
				  "the guest is not running, so libvirt (%s) cannot %s%s",
				  call->link->uri, call->asked,
				  call->changes ? "; use --config to change its next start" : "");
	if (domain)
		virDomainFree(domain);
	return ok;
}

/*
 * Makes one attempt.  Returns whether to try again: the connection was lost, or it was
 * lost earlier and cannot be made again yet.
 */
static bool libvirt_call_try(struct libvirt_call *call)
{
	struct libvirt_link *link = call->link;

	g_clear_error(&call->error);
	if (!libvirt_link_connect(call))
		return link->connected_before && (call->error->code == HV_ERROR_UNREACHABLE ||
						  call->error->code == HV_ERROR_SHORTAGE);
	if (libvirt_call_do_work(call) || !libvirt_link_is_lost(link))
		return false;
	libvirt_call_fail(call, HV_ERROR_UNREACHABLE,
			  "lost the connection to libvirt (%s) while trying to %s", link->uri,
			  call->asked);
	return true;
}

/* Returns false when there is no time for another attempt. */
static bool libvirt_call_wait_retry(struct libvirt_call *call)
{
	int64_t until = g_get_monotonic_time() + RETRY_US;
	struct libvirt_link *link = call->link;
	bool closing;

	if (until >= call->deadline)
		return false;
	pthread_mutex_lock(&link->lock);
	while (!link->closing && deadline_wait(&link->changed, &link->lock, until))
		;
	closing = link->closing;
	pthread_mutex_unlock(&link->lock);
	return !closing;
}

static void libvirt_call_thread(void *data)
{
	struct libvirt_call *call = data;

	while (libvirt_call_try(call) && libvirt_call_wait_retry(call))
		;
}

/*
 * Sets the error for a missed deadline: libvirt, or a stopped QEMU, did not answer.
 * @fate: what may become of the request, to be added to the text
 */
static void libvirt_link_set_late_error(struct libvirt_link *link, const char *asked,
					const char *fate, GError **error)
{
	const char *address = link->address ? link->address : "";
	const char *colon = link->address ? ": " : "";
	char uuid[VIR_UUID_STRING_BUFLEN];

	libvirt_link_find_pid(link);
	if (!libvirt_link_copy_uuid(link, uuid))
		g_set_error(error, HV_ERROR, HV_ERROR_UNREACHABLE,
			    "%s%slibvirt (%s) does not answer", address, colon, link->uri);
	else if (link->pid && vmm_process_stopped(link->pid))
		g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT,
			    "%s: its QEMU (process %d) is stopped, so libvirt (%s) cannot %s; "
			    "resume it "
			    "with: kill -CONT %d%s",
			    address, (int)link->pid, link->uri, asked, (int)link->pid, fate);
	else
		g_set_error(error, HV_ERROR, HV_ERROR_TIMEOUT,
			    "%s: libvirt (%s) did not answer in time when asked to %s%s", address,
			    link->uri, asked, fate);
}

static void libvirt_link_set_thread_error(struct libvirt_link *link, GError **error)
{
	shortage_set_error(error, EAGAIN);
	if (link->address)
		g_prefix_error(error, "%s: ", link->address);
}

bool libvirt_call_run(struct libvirt_call **call, GError **error)
{
	libvirt_call *taken = g_steal_pointer(call);
	struct libvirt_link *link = libvirt_link_ref(taken->link);
	g_autofree char *asked = g_strdup(taken->asked);
	const char *fate = taken->changes ? "; the request may still be applied later" : "";
	bool ok = false;

	taken->holds_link = libvirt_link_reserve(link, taken->deadline);
	if (!taken->holds_link) {
		libvirt_call_free(taken);
		libvirt_link_set_late_error(
			link, asked,
			"; an earlier request is still unanswered, so it was not asked again",
			error);
		libvirt_link_unref(link);
		return false;
	}
	switch (deadline_call(taken->deadline, libvirt_call_thread, taken, libvirt_call_free)) {
	case DEADLINE_DONE:
		ok = !taken->error;
		if (!ok)
			g_propagate_error(error, g_steal_pointer(&taken->error));
		*call = taken;
		break;
	case DEADLINE_LATE:
		libvirt_link_set_late_error(link, asked, fate, error);
		break;
	case DEADLINE_NO_THREAD:
		libvirt_link_set_thread_error(link, error);
		break;
	}
	libvirt_link_unref(link);
	return ok;
}

static void libvirt_link_disconnect_work(void *data)
{
	libvirt_link_disconnect(data);
}

void libvirt_link_close(struct libvirt_link *link)
{
	bool busy;

	pthread_mutex_lock(&link->lock);
	link->closing = true;
	busy = link->busy;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);

	/* Closing may block too.  A call that was given up closes the connection when it ends. */
	if (!busy && link->conn) {
		switch (deadline_call(g_get_monotonic_time() + CLOSE_US,
				      libvirt_link_disconnect_work, libvirt_link_ref(link),
				      libvirt_link_unref)) {
		case DEADLINE_DONE:
			libvirt_link_unref(link);
			break;
		case DEADLINE_LATE:
			break;
		case DEADLINE_NO_THREAD:
			libvirt_link_disconnect(link);
			break;
		}
	}
	libvirt_link_unref(link);
}

bool libvirt_call_fail_no_balloon(struct libvirt_call *call)
{
	return libvirt_call_fail(call, HV_ERROR_NO_BALLOON,
				 "the guest has no balloon device, so libvirt (%s) cannot %s; add "
				 "<memballoon model='virtio'/> with aerostat edit",
				 call->link->uri, call->asked);
}
