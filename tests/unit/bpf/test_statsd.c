#include "bpf/statsd.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static uint64_t read_cell(size_t index)
{
	return index ? UINT64_MAX : 7;
}

static const struct kt_statsd_counter counters[] = {
	{ "nr_a", "the first", read_cell },
	{ "nr_b", "the second", read_cell },
};
static const struct kt_statsd_source source = { "test", counters, 2 };

#define STATS "{\"errno\":0,\"args\":{\"resp\":{\"nr_a\":7,\"nr_b\":18446744073709551615}}}\n"

Test(statsd, requests_are_answered_and_nonsense_gets_an_errno)
{
	static const struct {
		const char *line;
		const char *begins; /* of the answer */
	} cases[] = {
		{ "{\"req\":\"stats\",\"args\":{\"target\":\"top\"}}", STATS },
		{ "{\"req\":\"stats\"}", STATS },
		{ "{\"req\":\"stats_meta\"}", "{\"errno\":0," },
		{ "{\"req\":\"stats\",\"args\":{\"target\":\"cpu\"}}", "{\"errno\":2," },
		{ "{\"req\":\"stats\",\"args\":[]}", "{\"errno\":22," },
		{ "{\"req\":5}", "{\"errno\":22," },
		{ "{\"req\":\"reboot\"}", "{\"errno\":38," },
		{ "{}", "{\"errno\":22," },
		{ "[]", "{\"errno\":22," },
		{ "null", "{\"errno\":22," },
		{ "5", "{\"errno\":22," },
		{ "{\"req\":\"stats\"", "{\"errno\":22," },
		{ "{\"req\":\"stats\"}{", "{\"errno\":22," },
		{ "", "{\"errno\":22," },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "{\"errno\":22," },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KT_AUTO_BUF out = { 0 };

		kt_statsd_answer(&source, cases[i].line, strlen(cases[i].line), &out);
		cr_assert_eq(strncmp(kt_buf_text(&out), cases[i].begins, strlen(cases[i].begins)),
			     0, "%s -> %s", cases[i].line, kt_buf_text(&out));
		cr_assert_eq(out.data[out.len - 1], '\n');
		cr_assert_eq(strchr(kt_buf_text(&out), '\n'), (char *)out.data + out.len - 1);
	}
}

static int call(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

Test(statsd, several_clients_are_served_and_a_flood_is_dropped)
{
	KT_AUTO(kt_statsd_destroy) struct kt_statsd *statsd = NULL;
	char folder[] = "/tmp/test_statsd_XXXXXX";
	char path[64];
	char got[256] = "";
	static char flood[65536];
	struct pollfd fds[1 + KT_STATSD_CLIENTS_MAX];
	int one;
	int two;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/deep/stats", folder);
	cr_assert_eq(kt_statsd_open(path, &source, &statsd), 0);
	one = call(path);
	two = call(path);
	kt_statsd_serve(statsd);
	cr_assert_eq(kt_statsd_fds(statsd, fds), 3);
	cr_assert_gt(write(one, "{\"req\":\"st", 10), 0);
	cr_assert_gt(write(two, "{\"req\":\"stats\"}\n", 16), 0);
	kt_statsd_serve(statsd);
	cr_assert_eq(read(two, got, sizeof(got)), (ssize_t)strlen(STATS));
	cr_assert_eq(write(one, "ats\"}\n", 6), 6);
	kt_statsd_serve(statsd);
	cr_assert_eq(read(one, got, sizeof(got)), (ssize_t)strlen(STATS));

	memset(flood, 'x', sizeof(flood));
	for (size_t sent = 0; sent <= KT_STATS_BYTES_MAX; sent += sizeof(flood)) {
		send(two, flood, sizeof(flood), MSG_NOSIGNAL);
		kt_statsd_serve(statsd);
	}
	cr_assert_eq(kt_statsd_fds(statsd, fds), 2);
	close(one);
	close(two);
	kt_statsd_serve(statsd);
	cr_assert_eq(kt_statsd_fds(statsd, fds), 1);
	kt_statsd_destroy(&statsd);
	cr_assert_neq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/deep", folder);
	rmdir(path);
	rmdir(folder);
}
