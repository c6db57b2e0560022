#include "worker/qmp.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
	const char *line;
	enum kt_qmp_kind kind;
	uint64_t id;
	const char *word;
	const char *text;
	int64_t at_us;
} lines[] = {
	{ "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}}}",
	  KT_QMP_GREETING, 0, "7.2.22", "", 0 },
	{ "{\"return\": {}, \"id\": 4}", KT_QMP_RETURN, 4, "", "", 0 },
	{ "{\"return\": {\"status\": \"paused\"}, \"id\": 5}", KT_QMP_RETURN, 5, "paused", "", 0 },
	{ "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\nway\"}, \"id\": 6}",
	  KT_QMP_ERROR, 6, "GenericError", "no way", 0 },
	{ "{\"timestamp\": {\"seconds\": 17, \"microseconds\": 5}, \"event\": \"STOP\"}",
	  KT_QMP_EVENT, 0, "STOP", "", 17000005 },
	{ "{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"event\": \"SHUTDOWN\","
	  "\"data\": {\"reason\": \"guest-reset\"}}",
	  KT_QMP_EVENT, 0, "SHUTDOWN", "guest-reset", 0 },
};

Test(qmp, each_kind_of_line_is_told_apart)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct kt_qmp_line line;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_qmp_parse(lines[i].line, strlen(lines[i].line), &line, &err), 0,
			     "%s: %s", lines[i].line, err.text);
		cr_assert_eq(line.kind, lines[i].kind, "%s", lines[i].line);
		cr_assert_eq(line.id, lines[i].id, "%s", lines[i].line);
		cr_assert_str_eq(line.word, lines[i].word);
		cr_assert_str_eq(line.text, lines[i].text);
		cr_assert_eq(line.at_us, lines[i].at_us, "%s", lines[i].line);
	}
}

Test(qmp, what_is_no_line_is_refused)
{
	static const char *const bad[] = { "", "{", "7", "[]", "{}", "{\"id\": 1}", "null" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kt_qmp_line line;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_qmp_parse(bad[i], strlen(bad[i]), &line, &err), -EPROTO, "%s",
			     bad[i]);
	}
}

static void make(struct kt_qmp *qmp, int *qemu)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	kt_qmp_init(qmp, ends[0]);
	*qemu = ends[1];
}

static void say(int qemu, const char *text)
{
	cr_assert_eq(write(qemu, text, strlen(text)), (ssize_t)strlen(text));
}

static int64_t in_ms(int64_t ms)
{
	return kt_clock_now_ns() + ms * KT_NS_PER_MS;
}

Test(qmp, silence_ends_at_the_deadline)
{
	struct kt_qmp qmp;
	struct kt_err err = { 0 };
	int64_t began_ns = kt_clock_now_ns();
	int qemu;

	make(&qmp, &qemu);
	cr_assert_eq(kt_qmp_call(&qmp, "stop", in_ms(50), &err), -ETIMEDOUT);
	cr_assert_geq(kt_clock_now_ns() - began_ns, 50 * KT_NS_PER_MS);
	close(qemu);
	cr_assert_eq(kt_qmp_call(&qmp, "stop", in_ms(1000), &err), -EPIPE);
	kt_qmp_destroy(&qmp);
}

Test(qmp, an_answer_that_comes_too_late_is_not_taken_for_the_next_one)
{
	struct kt_qmp qmp;
	struct kt_err err = { 0 };
	int qemu;

	make(&qmp, &qemu);
	cr_assert_eq(kt_qmp_call(&qmp, "stop", in_ms(10), &err), -ETIMEDOUT);
	say(qemu, "{\"return\": {}, \"id\": 1}\r\n");
	cr_assert_eq(kt_qmp_call(&qmp, "cont", in_ms(50), &err), -ETIMEDOUT);
	say(qemu, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 3}\r\n");
	cr_assert_eq(kt_qmp_call(&qmp, "cont", in_ms(1000), &err), -EIO);
	close(qemu);
	kt_qmp_destroy(&qmp);
}

Test(qmp, a_descriptor_travels_with_its_command)
{
	const struct kt_qmp_command command = { .name = "getfd",
						.arguments = "{\"fdname\":\"state\"}",
						.has_fd = true,
						.fd = STDERR_FILENO };
	static const char expected[] =
		"{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"},\"id\":1}\n";
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char line[256] = "";
	struct iovec part = { line, sizeof(line) - 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	struct kt_qmp qmp;
	uint64_t id;
	int qemu;
	int fd;

	make(&qmp, &qemu);
	cr_assert_eq(kt_qmp_send(&qmp, &command, &id, NULL), 0);
	cr_assert_eq(recvmsg(qemu, &message, 0), (ssize_t)strlen(expected));
	cr_assert_str_eq(line, expected);
	cr_assert_eq(control.head.cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	cr_assert_geq(fd, 0);
	close(fd);
	close(qemu);
	kt_qmp_destroy(&qmp);
}

Test(qmp, a_line_without_end_is_refused)
{
	static char flood[4096];
	struct kt_qmp qmp;
	struct kt_err err = { 0 };
	int rc = 0;
	int qemu;

	memset(flood, 'x', sizeof(flood));
	make(&qmp, &qemu);
	for (int i = 0; i < 100 && rc == 0; i++) {
		cr_assert_eq(write(qemu, flood, sizeof(flood)), (ssize_t)sizeof(flood));
		rc = kt_qmp_fill(&qmp, &err);
	}
	cr_assert_eq(rc, -EPROTO);
	close(qemu);
	kt_qmp_destroy(&qmp);
}
