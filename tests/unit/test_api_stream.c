/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers without an end, and the rights of users. */
#include "tests/unit/api_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER_UID 65534

static void add_event(struct rig *rig, const char *text)
{
	events_add(rig->manager.status.events, EVENT_TARGET, "alpha", 1, HV_UNSET, "%s", text);
}

/* Opens a stream and waits for its headers.  @header is "" or ends with "\r\n". */
static struct link *begin(struct rig *rig, const char *method, const char *path, const char *header)
{
	struct link *link = link_open(rig->path);
	g_autofree char *request =
		g_strdup_printf("%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, path, header);

	link_send(link, request, strlen(request));
	link_wait_for(link, "HTTP/1.1 200 OK");
	return link;
}

static struct link *follow(struct rig *rig, const char *path)
{
	struct link *link = begin(rig, "GET", path, "");

	link_wait_for(link, ":\n\n"); /* the first comment: events are sent from now on */
	return link;
}

static void an_event_comes_as_it_happens(void **state)
{
	struct rig *rig = *state;
	struct link *link = follow(rig, "/v1/events");
	const char *data;
	json_t *json;

	assert_non_null(strstr(link->got->str, "Content-Type: text/event-stream\r\n"));
	assert_non_null(strstr(link->got->str, "Transfer-Encoding: chunked\r\n"));
	add_event(rig, "one\nline");
	link_wait_for(link, "}\n\n\r\n");
	assert_non_null(strstr(link->got->str, "\r\nid: 1\nevent: target\ndata: {"));
	data = strstr(link->got->str, "data: ");
	json = json_loads(data + 6, JSON_DISABLE_EOF_CHECK, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "text")), "one\\x0aline");
	assert_true(json_is_null(json_object_get(json, "bytes_after")));
	json_decref(json);
	link_close(link);
}

static void events_before_are_told_only_to_who_asks(void **state)
{
	struct rig *rig = *state;
	struct link *all, *later;

	add_event(rig, "first");
	add_event(rig, "second");
	all = follow(rig, "/v1/events?after=1");
	later = follow(rig, "/v1/events");
	add_event(rig, "third");
	link_wait_for(all, "third");
	link_wait_for(later, "third");
	assert_null(strstr(all->got->str, "first"));
	assert_non_null(strstr(all->got->str, "second"));
	assert_null(strstr(later->got->str, "second"));
	link_close(all);
	link_close(later);
}

static void a_browser_that_comes_back_goes_on_where_it_was(void **state)
{
	struct rig *rig = *state;
	struct link *link;

	add_event(rig, "first");
	add_event(rig, "second");
	link = begin(rig, "GET", "/v1/events?after=0", "Last-Event-ID: 1\r\n");
	link_wait_for(link, "second");
	assert_null(strstr(link->got->str, "first"));
	link_close(link);
}

static void a_number_of_the_daemon_before_begins_anew(void **state)
{
	struct rig *rig = *state;
	struct link *link;

	add_event(rig, "first");
	link = follow(rig, "/v1/events?after=700");
	link_wait_for(link, "first");
	link_close(link);
}

static void a_quiet_stream_is_kept_alive(void **state)
{
	struct rig *rig = *state;
	struct link *link;

	rig->api->streams.keep_alive_ms = 20;
	/* The deadline of requests does not end a stream. */
	rig->api->clients.request_ms = 10;
	link = follow(rig, "/v1/events");
	link_wait_for(link, "3\r\n:\n\n\r\n3\r\n:\n\n\r\n3\r\n:\n\n\r\n");
	assert_false(link->ended);
	link_close(link);
}

static void a_client_of_http_1_0_gets_no_chunks(void **state)
{
	struct rig *rig = *state;
	struct link *link = link_open(rig->path);
	const char *request = "GET /v1/events?after=0 HTTP/1.0\r\nHost: a\r\n\r\n";

	add_event(rig, "first");
	link_send(link, request, strlen(request));
	link_wait_for(link, "\r\n\r\n:\n\nid: 1\n");
	assert_null(strstr(link->got->str, "chunked"));
	link_close(link);
}

static bool no_streams(void *data)
{
	return !((struct rig *)data)->api->streams.open;
}

static void a_client_that_goes_ends_its_stream(void **state)
{
	struct rig *rig = *state;
	struct link *link = follow(rig, "/v1/events");

	assert_non_null(rig->api->streams.open);
	link_close(link);
	run_until(no_streams, rig);
	add_event(rig, "to nobody");
}

static void a_client_that_has_said_all_still_hears(void **state)
{
	struct rig *rig = *state;
	struct link *link = follow(rig, "/v1/events");

	shutdown(link->fd, SHUT_WR);
	add_event(rig, "still here");
	link_wait_for(link, "still here");
	link_close(link);
}

static bool one_stream(void *data)
{
	return g_list_length(((struct rig *)data)->api->streams.open) == 1;
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
	struct rig *rig = *state;
	struct link *slow = follow(rig, "/v1/events?after=0"), *other = follow(rig, "/v1/events");
	g_autofree char *long_text = g_strnfill(1000, 'x');

	g_source_remove(slow->source);
	slow->source = 0;
	for (int i = 0; i < 4 && g_list_length(rig->api->streams.open) == 2; i++) {
		/* More than half a MiB per lap; the other client reads all of it in time. */
		for (int n = 0; n < 700; n++)
			add_event(rig, long_text);
		add_event(rig, "a lap");
		g_string_truncate(other->got, 0);
		link_wait_for(other, "a lap");
	}
	run_until(one_stream, rig);
	add_event(rig, "still here");
	link_wait_for(other, "still here");
	link_close(slow);
	link_close(other);
}

static void a_replay_larger_than_what_may_wait_is_whole(void **state)
{
	struct rig *rig = *state;
	g_autofree char *long_text = g_strnfill(3000, 'x');
	struct link *link;

	for (int i = 0; i < EVENTS_KEPT; i++)
		add_event(rig, long_text);
	link = follow(rig, "/v1/events?after=0");
	link_wait_for(link, "id: 1000\n");
	assert_non_null(strstr(link->got->str, "id: 1\n"));
	link_close(link);
}

static void a_user_has_64_streams_at_most(void **state)
{
	struct rig *rig = *state;
	struct link *links[API_STREAMS_MAX];

	for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
		links[i] = follow(rig, "/v1/events");
	assert_refused(rig, "GET", "/v1/events", NULL, 503, "refused", "has 64 streams");
	assert_refused(rig, "POST", "/v1/recording", NULL, 503, "refused", "has 64 streams");
	assert_null(rig->manager.line);
	link_close(links[0]);
	while (g_list_length(rig->api->streams.open) == API_STREAMS_MAX)
		g_main_context_iteration(NULL, TRUE);
	links[0] = follow(rig, "/v1/events");
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
		link_close(links[i]);
}

/* A connection of another user: the kernel records who connects. */
static struct link *link_open_as(const char *path, uid_t uid)
{
	struct link *link;

	assert_return_code(seteuid(uid), errno);
	link = link_open(path);
	assert_return_code(seteuid(0), errno);
	return link;
}

static void one_user_cannot_take_the_streams_of_others(void **state)
{
	static const char request[] = "GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n";
	struct rig *rig = *state;
	g_autofree char *folder = g_path_get_dirname(rig->path);
	struct link *links[API_STREAMS_MAX], *root;

	if (geteuid())
		skip();
	assert_return_code(chmod(folder, 0755), errno);
	assert_return_code(chmod(rig->path, 0666), errno);
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++) {
		links[i] = link_open_as(rig->path, OTHER_UID);
		link_send(links[i], request, strlen(request));
		link_wait_for(links[i], ":\n\n");
	}
	root = follow(rig, "/v1/events");
	link_close(root);
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
		link_close(links[i]);
}

static void a_recording_lasts_until_its_client_goes(void **state)
{
	struct rig *rig = *state;
	struct link *link = begin(rig, "POST", "/v1/recording", "");

	link_wait_for(link, "{\"start\"}\n");
	assert_non_null(strstr(link->got->str, "Content-Type: application/x-ndjson\r\n"));
	assert_true(rig->manager.status.recording);
	rig->manager.line("{\"step\"}\n", 9, rig->manager.line_data);
	link_wait_for(link, "{\"step\"}\n");
	assert_refused(rig, "POST", "/v1/recording", NULL, 409, "refused", "one is under way");
	assert_true(rig->manager.status.recording);
	link_close(link);
	run_until(no_streams, rig);
	assert_false(rig->manager.status.recording);
}

static void a_recording_that_the_daemon_ends_is_a_whole_answer(void **state)
{
	struct rig *rig = *state;
	struct link *link = begin(rig, "POST", "/v1/recording", "");

	link_wait_for(link, "{\"start\"}\n");
	manager_record(&rig->manager, NULL, NULL, NULL);
	link_wait_for_end(link);
	assert_true(g_str_has_suffix(link->got->str, "\r\n0\r\n\r\n"));
	link_close(link);
	run_until(no_streams, rig);
}

static void a_recording_takes_no_words(void **state)
{
	struct rig *rig = *state;

	assert_refused(rig, "POST", "/v1/recording", "{\"file\":\"/x\"}", 400, "invalid", "'file'");
	assert_null(rig->manager.line);
}

static void streams_end_with_the_daemon(void **state)
{
	struct rig *rig = *state;
	struct link *events = follow(rig, "/v1/events");
	struct link *recording = begin(rig, "POST", "/v1/recording", "");

	api_stop(rig->api);
	rig->api = NULL;
	assert_false(rig->manager.status.recording);
	link_wait_for_end(events);
	link_wait_for_end(recording);
	add_event(rig, "to nobody");
	link_close(events);
	link_close(recording);
}

/*
 * Rights
 */

/* What a client with these ids may do: "r" read, "w" also change, "" nothing. */
static const char *rights(const struct api *api, uid_t uid, gid_t gid)
{
	gid_t gids[2] = { 2004002, gid };
	struct api_peer peer = { .known = true, .uid = uid };
	bool read, change;

	peer.gids = g_array_append_vals(g_array_new(FALSE, FALSE, sizeof(gid_t)), gids, 2);
	read = api_rights_allow(&api->rights, &peer, API_READ);
	change = api_rights_allow(&api->rights, &peer, API_CHANGE);
	g_array_unref(peer.gids);
	assert_true(read || !change);
	return change ? "w" : read ? "r" : "";
}

static void set_lists(struct rig *rig, char **readers, char **writers)
{
	rig->manager.config.readers = readers;
	rig->manager.config.writers = writers;
	assert_true(manager_reload(&rig->manager, NULL));
}

static void all_may_look_and_root_and_ourselves_change_unless_said(void **state)
{
	struct rig *rig = *state;

	assert_string_equal(rights(rig->api, 0, 2004001), "w");
	assert_string_equal(rights(rig->api, geteuid(), 2004001), "w");
	assert_string_equal(rights(rig->api, 2004001, 2004001), "r");
}

static void who_is_listed_may_and_nobody_else(void **state)
{
	static char *readers[] = { (char *)"2004005", (char *)"@2004006", NULL };
	static char *writers[] = { (char *)"2004007", (char *)"@2004008", NULL };
	struct rig *rig = *state;

	set_lists(rig, readers, writers);
	assert_string_equal(rights(rig->api, 2004005, 2004001), "r");
	assert_string_equal(rights(rig->api, 2004001, 2004006), "r");
	assert_string_equal(rights(rig->api, 2004007, 2004001), "w");
	assert_string_equal(rights(rig->api, 2004001, 2004008), "w");
	/* Numbers of groups do not count for users, and the other way round. */
	assert_string_equal(rights(rig->api, 2004006, 2004005), "");
	assert_string_equal(rights(rig->api, 2004008, 2004007), "");
	assert_string_equal(rights(rig->api, 0, 2004001), "w");
}

static void names_are_looked_up_and_unknown_ones_passed_over(void **state)
{
	static char *readers[] = { (char *)"no-such-user", (char *)"@root", NULL };
	static char *writers[] = { (char *)"@no-such-group", (char *)"nobody",
				   (char *)"@4296971302", (char *)"4296971302", NULL };
	struct rig *rig = *state;

	set_lists(rig, readers, writers);
	assert_string_equal(rights(rig->api, 2004001, 0), "r");
	assert_string_equal(rights(rig->api, 65534, 2004001), "w");
	/* 2^32 + 2004006 does not become 2004006. */
	assert_string_equal(rights(rig->api, 2004006, 2004006), "");
}

static void a_reload_takes_the_lists_of_the_new_file(void **state)
{
	static char *readers[] = { (char *)"2004005", NULL };
	struct rig *rig = *state;
	struct answer answer;

	rig->manager.config.readers = readers;
	assert_string_equal(rights(rig->api, 2004001, 2004001), "r");
	answer = ask(rig, "POST", "/v1/reload", NULL);
	answer_clear(&answer);
	assert_string_equal(rights(rig->api, 2004001, 2004001), "");
}

static void everyone_may_change_when_it_is_said(void **state)
{
	static char *nobody[] = { NULL }, *all[] = { (char *)"*", NULL };
	struct rig *rig = *state;

	set_lists(rig, nobody, all);
	assert_string_equal(rights(rig->api, 2004001, 2004001), "w");
	set_lists(rig, nobody, NULL);
	assert_string_equal(rights(rig->api, 2004001, 2004001), "");
}

static void whom_the_kernel_does_not_know_may_nothing(void **state)
{
	static char *all[] = { (char *)"*", NULL };
	struct rig *rig = *state;
	const struct api_peer peer = { .known = false };

	set_lists(rig, all, all);
	assert_false(api_rights_allow(&rig->api->rights, &peer, API_READ));
	assert_false(api_rights_allow(&rig->api->rights, &peer, API_CHANGE));
}

static void the_peer_is_who_connected_with_all_of_its_groups(void **state)
{
	int ends[2];
	gid_t groups[256];
	int count = getgroups(G_N_ELEMENTS(groups), groups);
	struct api_peer peer;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	api_peer_init(&peer, ends[0]);
	assert_true(peer.known);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gids->len, count + 1);
	assert_int_equal(g_array_index(peer.gids, gid_t, 0), getegid());
	for (int i = 0; i < count; i++)
		assert_int_equal(g_array_index(peer.gids, gid_t, i + 1), groups[i]);
	api_peer_clear(&peer);
	close(ends[0]);
	close(ends[1]);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(an_event_comes_as_it_happens),
		RIG_TEST(events_before_are_told_only_to_who_asks),
		RIG_TEST(a_browser_that_comes_back_goes_on_where_it_was),
		RIG_TEST(a_number_of_the_daemon_before_begins_anew),
		RIG_TEST(a_quiet_stream_is_kept_alive),
		RIG_TEST(a_client_of_http_1_0_gets_no_chunks),
		RIG_TEST(a_client_that_goes_ends_its_stream),
		RIG_TEST(a_client_that_has_said_all_still_hears),
		RIG_TEST(a_client_that_does_not_read_is_cut_off),
		RIG_TEST(a_replay_larger_than_what_may_wait_is_whole),
		RIG_TEST(a_user_has_64_streams_at_most),
		RIG_TEST(one_user_cannot_take_the_streams_of_others),
		RIG_TEST(a_recording_lasts_until_its_client_goes),
		RIG_TEST(a_recording_that_the_daemon_ends_is_a_whole_answer),
		RIG_TEST(a_recording_takes_no_words),
		RIG_TEST(streams_end_with_the_daemon),
		RIG_TEST(all_may_look_and_root_and_ourselves_change_unless_said),
		RIG_TEST(who_is_listed_may_and_nobody_else),
		RIG_TEST(names_are_looked_up_and_unknown_ones_passed_over),
		RIG_TEST(a_reload_takes_the_lists_of_the_new_file),
		RIG_TEST(everyone_may_change_when_it_is_said),
		RIG_TEST(whom_the_kernel_does_not_know_may_nothing),
		cmocka_unit_test(the_peer_is_who_connected_with_all_of_its_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
