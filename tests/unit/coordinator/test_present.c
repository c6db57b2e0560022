#include "coordinator/present.h"
#include "proto/base/log.h"
#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- lines ---- */

static const struct {
	const char *line;
	enum kt_present_kind kind; /* KIND_N: refused */
	const char *host;
	const char *what;
	bool undo;
	const char *says; /* of what is refused */
} lines[] = {
	{ "{\"ask\": \"workers\"}", KT_PRESENT_WORKERS, "", "", false, NULL },
	{ "{\"ask\":\"status\",\"later\":[]}", KT_PRESENT_KIND_N, "", "", false, "flat" },
	{ "{\"ask\":\"status\",\"later\":7}", KT_PRESENT_STATUS, "", "", false, NULL },
	{ "{\"ask\":\"status\",\"later\":\"[{\\\"[\"}", KT_PRESENT_STATUS, "", "", false, NULL },
	{ "{\"ask\":\"drain\",\"host\":\"lab3\"}", KT_PRESENT_DRAIN, "lab3", "", false, NULL },
	{ "{\"ask\":\"drain\",\"host\":\"a\",\"undo\":true}", KT_PRESENT_DRAIN, "a", "", true,
	  NULL },
	{ "{\"ask\":\"drain\",\"host\":\"a\",\"undo\":1}", KT_PRESENT_KIND_N, "", "", false,
	  "'undo' is true or false" },
	{ "{\"ask\":\"drain\"}", KT_PRESENT_KIND_N, "", "", false, "which host" },
	{ "{\"ask\":\"drain\",\"host\":7}", KT_PRESENT_KIND_N, "", "", false, "'host' is a text" },
	{ "{\"ask\":\"drain\",\"host\":\"a\\u0000b\"}", KT_PRESENT_KIND_N, "", "", false,
	  "'host' is a text" },
	{ "{\"ask\":\"cancel\"}", KT_PRESENT_CANCEL, "", "", false, NULL },
	{ "{\"ask\":\"cancel\",\"what\":\"a/b/c/d#0\"}", KT_PRESENT_CANCEL, "", "a/b/c/d#0", false,
	  NULL },
	{ "{\"ask\":\"keys_changed\"}", KT_PRESENT_KEYS_CHANGED, "", "", false, NULL },
	{ "{\"ask\":\"reboot\"}", KT_PRESENT_KIND_N, "", "", false, "'reboot'" },
	{ "{\"ask\":\"a word that is longer than any ask is\"}", KT_PRESENT_KIND_N, "", "", false,
	  "'ask' is a text" },
	{ "{}", KT_PRESENT_KIND_N, "", "", false, "''" },
	{ "[]", KT_PRESENT_KIND_N, "", "", false, "object" },
	{ "7", KT_PRESENT_KIND_N, "", "", false, "object" },
	{ "", KT_PRESENT_KIND_N, "", "", false, "JSON" },
	{ "workers", KT_PRESENT_KIND_N, "", "", false, "JSON" },
	{ "{\"ask\":\"workers\"} {\"ask\":\"workers\"}", KT_PRESENT_KIND_N, "", "", false, "flat" },
	{ "{\"ask\":\"workers\"} 7", KT_PRESENT_KIND_N, "", "", false, "JSON" },
	{ "{\"a\":{\"b\":{}}}", KT_PRESENT_KIND_N, "", "", false, "flat" },
};

Test(present, a_line_is_an_ask_or_is_refused_in_words)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct kt_present_ask ask;
		struct kt_err err = { 0 };
		int status = kt_present_parse(lines[i].line, strlen(lines[i].line), &ask, &err);

		if (lines[i].kind == KT_PRESENT_KIND_N) {
			cr_expect_eq(status, -EINVAL, "%s", lines[i].line);
			cr_expect_eq(err.fault, KT_FAULT_PEER, "%s", lines[i].line);
			cr_expect(strstr(err.text, lines[i].says), "%s: %s", lines[i].line,
				  err.text);
			continue;
		}
		cr_assert_eq(status, 0, "%s: %s", lines[i].line, err.text);
		cr_expect_eq(ask.kind, lines[i].kind, "%s", lines[i].line);
		cr_expect_str_eq(ask.host, lines[i].host, "%s", lines[i].line);
		cr_expect_str_eq(ask.what, lines[i].what, "%s", lines[i].line);
		cr_expect_eq(ask.undo, lines[i].undo, "%s", lines[i].line);
	}
}

Test(present, a_line_has_a_longest_length)
{
	char line[KT_PRESENT_LINE_BYTES_MAX + 2];
	struct kt_present_ask ask;
	struct kt_err err = { 0 };

	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"ask\":\"workers\"}", 17);
	cr_expect_eq(kt_present_parse(line, KT_PRESENT_LINE_BYTES_MAX, &ask, &err), 0, "%s",
		     err.text);
	cr_expect_eq(kt_present_parse(line, KT_PRESENT_LINE_BYTES_MAX + 1, &ask, &err), -EINVAL);
}

/* ---- the socket ---- */

struct world {
	uv_loop_t loop;
	char dir[64];
	char path[96];
	struct kt_present *present;
	bool answers; /* at once; else it is left to the test */
	struct kt_present_ask asked; /* last */
	uint64_t client; /* of it */
	size_t n_asked;
	size_t n_gone;
};

static void on_ask(void *arg, uint64_t client, const struct kt_present_ask *ask)
{
	struct world *world = arg;
	struct json_object *json = json_object_new_object();

	world->asked = *ask;
	world->client = client;
	world->n_asked++;
	json_object_object_add(json, "n", json_object_new_int((int)world->n_asked));
	if (world->answers)
		kt_present_answer(world->present, client, json, true);
	else
		json_object_put(json);
}

static void on_gone(void *arg, uint64_t client)
{
	struct world *world = arg;

	cr_expect_eq(client, world->client);
	world->n_gone++;
}

static const struct kt_present_events events = { .ask = on_ask, .gone = on_gone };

static void begin(struct world *world)
{
	struct kt_err err = { 0 };

	signal(SIGPIPE, SIG_IGN);
	kt_log_open("test", false);
	*world = (struct world){ .dir = "/tmp/kt-test-present.XXXXXX", .answers = true };
	cr_assert(mkdtemp(world->dir));
	snprintf(world->path, sizeof(world->path), "%s/s", world->dir);
	cr_assert_eq(uv_loop_init(&world->loop), 0);
	cr_assert_eq(kt_present_open(&world->loop, world->path, &events, world, &world->present,
				     &err),
		     0, "%s", err.text);
}

static void end(struct world *world)
{
	kt_present_destroy(&world->present);
	while (uv_run(&world->loop, UV_RUN_DEFAULT))
		;
	cr_assert_eq(uv_loop_close(&world->loop), 0);
	cr_assert_neq(access(world->path, F_OK), 0);
	rmdir(world->dir);
}

static int join(struct world *world)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert_geq(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void turn(struct world *world)
{
	for (int i = 0; i < 5; i++)
		uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What came, waiting for a newline for some seconds; false: the end, and nothing before it. */
static bool hear(struct world *world, int fd, char *text, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < 5000; i++) {
		ssize_t got = recv(fd, text + n, 1, 0);

		if (got == 0) {
			text[n] = 0;
			return n > 0;
		}
		if (got == 1 && (text[n] == '\n' || n + 2 == size)) {
			text[n] = 0;
			return true;
		}
		n += got == 1;
		if (got < 0) {
			uv_run(&world->loop, UV_RUN_NOWAIT);
			usleep(1000);
		}
	}
	cr_assert_fail("nothing came");
	return false;
}

Test(present, whoever_asks_is_answered_one_ask_after_the_other)
{
	struct world world;
	struct stat st;
	char text[512];
	int fd;

	begin(&world);
	cr_assert_eq(stat(world.path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	fd = join(&world);
	say(fd, "{\"ask\":\"workers\"}\n{\"ask\":\"drain\",\"host\":\"a\"}\n{\"ask\":\"st");
	cr_assert(hear(&world, fd, text, sizeof(text)));
	cr_expect_str_eq(text, "{\"n\":1,\"ask\":\"workers\",\"final\":true}");
	cr_assert(hear(&world, fd, text, sizeof(text)));
	cr_expect_str_eq(text, "{\"n\":2,\"ask\":\"drain\",\"final\":true}");
	cr_expect_str_eq(world.asked.host, "a");
	cr_expect_eq(world.asked.uid, geteuid());
	say(fd, "atus\"}\n");
	cr_assert(hear(&world, fd, text, sizeof(text)));
	cr_expect_str_eq(text, "{\"n\":3,\"ask\":\"status\",\"final\":true}");
	close(fd);
	end(&world);
}

Test(present, what_takes_time_is_answered_in_pieces_and_nothing_is_read_meanwhile)
{
	struct world world;
	char text[512];
	int fd;

	begin(&world);
	world.answers = false;
	fd = join(&world);
	say(fd, "{\"ask\":\"cancel\"}\n{\"ask\":\"status\"}\n");
	turn(&world);
	cr_assert_eq(world.n_asked, 1);
	kt_present_answer(world.present, world.client, json_object_new_object(), false);
	cr_assert(hear(&world, fd, text, sizeof(text)));
	cr_expect_str_eq(text, "{\"ask\":\"cancel\",\"final\":false}");
	turn(&world);
	cr_assert_eq(world.n_asked, 1);
	kt_present_refuse(world.present, world.client, "no \"such\" cell");
	cr_assert(hear(&world, fd, text, sizeof(text)));
	cr_expect_str_eq(text,
			 "{\"error\":\"no \\\"such\\\" cell\",\"ask\":\"cancel\",\"final\":true}");
	turn(&world);
	cr_assert_eq(world.n_asked, 2);
	/* What it does not wait for any more goes nowhere. */
	kt_present_answer(world.present, 4711, json_object_new_object(), true);
	kt_present_refuse(world.present, world.client, "done");
	kt_present_refuse(world.present, world.client, "and done");
	cr_assert(hear(&world, fd, text, sizeof(text)));
	close(fd);
	turn(&world);
	cr_expect_eq(world.n_gone, 0);
	end(&world);
}

Test(present, who_leaves_before_its_answer_is_told_of)
{
	struct world world;
	int fd;

	begin(&world);
	world.answers = false;
	fd = join(&world);
	say(fd, "{\"ask\":\"cancel\"}\n");
	turn(&world);
	close(fd);
	kt_present_answer(world.present, world.client, json_object_new_object(), false);
	kt_present_answer(world.present, world.client, json_object_new_object(), false);
	turn(&world);
	cr_expect_eq(world.n_gone, 1);
	end(&world);
}

Test(present, nonsense_gets_its_reason_and_the_end)
{
	static char endless[KT_PRESENT_LINE_BYTES_MAX + 2];
	const char *const bad[] = { "GET / HTTP/1.1\r\n", "{\"ask\":\"x\"}\n", endless };
	struct world world;
	char text[512];

	begin(&world);
	memset(endless, 'a', sizeof(endless) - 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = join(&world);

		say(fd, bad[i]);
		cr_assert(hear(&world, fd, text, sizeof(text)));
		cr_expect(strstr(text, "{\"error\":"), "%zu: %s", i, text);
		cr_expect_not(hear(&world, fd, text, sizeof(text)), "%zu: it goes on: %s", i, text);
		close(fd);
	}
	cr_expect_eq(world.n_asked, 0);
	end(&world);
}

Test(present, idle_clients_keep_nobody_out)
{
	struct world world;
	int fds[2 * KT_PRESENT_CLIENTS_MAX];
	char text[512];
	size_t n_open = 0;

	begin(&world);
	for (size_t i = 0; i < 2 * KT_PRESENT_CLIENTS_MAX; i++) {
		fds[i] = join(&world);
		turn(&world);
	}
	say(fds[2 * KT_PRESENT_CLIENTS_MAX - 1], "{\"ask\":\"status\"}\n");
	cr_assert(hear(&world, fds[2 * KT_PRESENT_CLIENTS_MAX - 1], text, sizeof(text)));
	for (size_t i = 0; i < 2 * KT_PRESENT_CLIENTS_MAX; i++) {
		n_open += recv(fds[i], text, 1, 0) < 0;
		close(fds[i]);
	}
	cr_expect_eq(n_open, KT_PRESENT_CLIENTS_MAX);
	end(&world);
}

Test(present, who_does_not_read_is_dropped)
{
	struct world world;
	char *much = malloc(1u << 20);
	int fd;

	begin(&world);
	world.answers = false;
	memset(much, 'x', (1u << 20) - 1);
	much[(1u << 20) - 1] = 0;
	fd = join(&world);
	say(fd, "{\"ask\":\"workers\"}\n");
	turn(&world);
	for (size_t i = 0; i < KT_PRESENT_UNREAD_BYTES_MAX / (1u << 20) + 2; i++) {
		struct json_object *json = json_object_new_object();

		cr_assert_eq(world.n_gone, 0, "after %zu MiB", i);
		json_object_object_add(json, "much", json_object_new_string(much));
		kt_present_answer(world.present, world.client, json, false);
		if (i < KT_PRESENT_UNREAD_BYTES_MAX / (1u << 20) - 1)
			turn(&world);
	}
	turn(&world);
	cr_expect_eq(world.n_gone, 1);
	close(fd);
	free(much);
	end(&world);
}
