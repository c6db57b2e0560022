/* Against a real socket in a temporary folder, with a server that the test plays by hand. */
#include "worker/guest/gstats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/test_gstats_XXXXXX";
static char path[64];
static int listener;
static struct kt_gstats stats;
static char seen[4096]; /* what came to the sink: "id:body" or "id!error", one per line */

static void sink(void *arg, const struct kt_msg_guest_stats_answer *answer)
{
	size_t at = strlen(seen);

	if (*answer->error)
		snprintf(seen + at, sizeof(seen) - at, "%d!%s\n", (int)answer->id, answer->error);
	else
		snprintf(seen + at, sizeof(seen) - at, "%d:%.*s\n", (int)answer->id,
			 (int)answer->body.len, (const char *)answer->body.data);
	(void)arg;
}

static void open_server(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 4), 0);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/stats", folder);
	kt_gstats_init(&stats, path);
}

static void teardown(void)
{
	kt_gstats_close(&stats, "closed", "", sink, NULL);
	kt_buf_destroy(&stats.in);
	unlink(path);
	rmdir(folder);
}

static void ask(uint64_t id, int64_t deadline_ns, int64_t now_ns)
{
	kt_gstats_ask(&stats,
		      &(struct kt_msg_guest_stats){ .id = id,
						    .body = { (const uint8_t *)"{}", 2 },
						    .deadline_ns = deadline_ns },
		      now_ns, sink, NULL);
}

static void step(int64_t now_ns)
{
	kt_gstats_step(&stats, now_ns, sink, NULL);
}

static void say(int fd, const char *text)
{
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void hear(int fd, const char *wanted)
{
	char got[64] = "";

	cr_assert_gt(read(fd, got, sizeof(got) - 1), 0);
	cr_assert_str_eq(got, wanted);
}

Test(gstats, answers_come_in_order_over_one_kept_connection, .init = setup, .fini = teardown)
{
	int fd;

	open_server();
	ask(1, 1000, 0);
	ask(2, 1000, 0);
	fd = accept(listener, NULL, NULL);
	hear(fd, "{}\n"); /* the second waits: one is in flight */
	say(fd, "one");
	step(1);
	cr_assert_str_eq(seen, "");
	say(fd, "!\n");
	step(2);
	cr_assert_str_eq(seen, "1:one!\n");
	hear(fd, "{}\n");
	say(fd, "two\n");
	step(3);
	cr_assert_str_eq(seen, "1:one!\n2:two\n");
	close(fd);
}

Test(gstats, a_late_answer_is_never_taken_for_the_next_one, .init = setup, .fini = teardown)
{
	int first;
	int second;

	open_server();
	ask(1, 1000, 0);
	first = accept(listener, NULL, NULL);
	step(1000);
	cr_assert_str_eq(seen, "1!deadline\n");
	send(first, "late\n", 5, MSG_NOSIGNAL);
	ask(2, 1000, 1001);
	second = accept(listener, NULL, NULL);
	hear(second, "{}\n");
	say(second, "right\n");
	step(1002);
	cr_assert_str_eq(seen, "1!deadline\n2:right\n");
	close(first);
	close(second);
}

Test(gstats, words_that_nobody_asked_for_end_the_connection, .init = setup, .fini = teardown)
{
	int first;
	int second;

	open_server();
	ask(1, 1000, 0);
	first = accept(listener, NULL, NULL);
	say(first, "one\nmore\n");
	step(1);
	ask(2, 1000, 2);
	second = accept(listener, NULL, NULL);
	hear(second, "{}\n");
	say(second, "two\n");
	step(3);
	cr_assert_str_eq(seen, "1:one\n2:two\n");
	close(first);
	close(second);
}

Test(gstats, every_failure_has_its_name, .init = setup, .fini = teardown)
{
	static char many[8192];
	int fd;

	ask(1, 1000, 0);
	cr_assert_str_eq(seen, "1!no_socket\n");
	kt_gstats_expect(&stats, 0); /* just loaded: it may still come */
	ask(2, 1000, 0);
	cr_assert_str_eq(seen, "1!no_socket\n");
	step(1000);
	cr_assert_str_eq(seen, "1!no_socket\n2!deadline\n");
	open_server();
	seen[0] = 0;
	ask(3, 1000, 0);
	fd = accept(listener, NULL, NULL);
	close(fd);
	step(1);
	cr_assert_str_eq(seen, "3!closed\n");
	seen[0] = 0;
	ask(4, 1000, 0);
	fd = accept(listener, NULL, NULL);
	memset(many, 'x', sizeof(many));
	for (size_t sent = 0; sent <= KT_STATS_BYTES_MAX && !seen[0]; sent += sizeof(many)) {
		cr_assert_eq(send(fd, many, sizeof(many), MSG_NOSIGNAL), (ssize_t)sizeof(many));
		step(2);
	}
	cr_assert_str_eq(seen, "4!too_large\n");
	close(fd);
}
