/* layer: proto/net */
/* The ceiling of tests/bench/fleet: a bare ROUTER/DEALER loop with credit, in two processes like coordinator and workers.
 * A round trip is 1000 bytes each way that nobody looks at; nothing is decoded, decided or written to a disk.
 *
 *	bench_bare [--dealers N] [--credit N] [--seconds N] [--plain]
 *
 * CURVE unless --plain; no ZAP: whoever has a key is let in.
 */
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define BODY        1000
#define DEALERS_MAX 10000

struct bare {
	size_t n_dealers, credit;
	int64_t seconds;
	bool plain;
	char server_public[41], server_secret[41];
	char endpoint[128];
};

static int events_of(void *socket)
{
	size_t n = sizeof(int);
	int events = 0;

	while (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &n) < 0)
		kt_must(errno == EINTR);
	return events;
}

static int take(void *socket, void *bytes, size_t size)
{
	int n;

	do
		n = zmq_recv(socket, bytes, size, ZMQ_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

static void serve(const struct bare *bare, int ready)
{
	struct kt_err err = { 0 };
	uint8_t routing[256];
	uint8_t bytes[BODY];
	zsock_t *sock;
	void *socket;
	int on = 1;
	int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	kt_must(kt_endpoint_socket(ZMQ_ROUTER, bare->endpoint, 1 << 20, NULL, &sock, &err) == 0);
	socket = zsock_resolve(sock);
	if (!bare->plain) {
		kt_must(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof(on)) == 0);
		kt_must(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, bare->server_secret, 41) == 0);
	}
	kt_must(zmq_bind(socket, bare->endpoint) == 0);
	kt_must(write(ready, "", 1) == 1);
	for (;;) {
		zmq_pollitem_t item = { socket, 0, ZMQ_POLLIN, 0 };

		zmq_poll(&item, 1, -1);
		while ((n = take(socket, routing, sizeof(routing))) >= 0) {
			take(socket, bytes, sizeof(bytes));
			/* Credit keeps every pipe far below its limit; who is gone is nobody's loss here. */
			if (zmq_send(socket, routing, (size_t)n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
				zmq_send(socket, bytes, BODY, ZMQ_DONTWAIT);
		}
	}
}

static void *dealer(const struct bare *bare)
{
	struct kt_err err = { 0 };
	char public[41];
	char secret[41];
	zsock_t *sock;
	void *socket;

	kt_must(kt_endpoint_socket(ZMQ_DEALER, bare->endpoint, 1 << 20, NULL, &sock, &err) == 0);
	socket = zsock_resolve(sock);
	if (!bare->plain) {
		kt_must(zmq_curve_keypair(public, secret) == 0);
		kt_must(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, bare->server_public, 41) == 0);
		kt_must(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, 41) == 0);
		kt_must(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 41) == 0);
	}
	kt_must(zmq_connect(socket, bare->endpoint) == 0);
	return socket;
}

/* Everything that is there, each answered by the next question: until nothing is left, the fd being edge-triggered. */
static uint64_t turn(void *socket, const uint8_t *body, size_t credit, bool *began)
{
	uint8_t bytes[BODY];
	uint64_t n = 0;
	int events;

	while ((events = events_of(socket)) & (*began ? ZMQ_POLLIN : ZMQ_POLLOUT)) {
		for (size_t i = 0; !*began && i < credit; i++)
			kt_must(zmq_send(socket, body, BODY, 0) == BODY);
		*began = true;
		while (take(socket, bytes, sizeof(bytes)) >= 0) {
			n++;
			kt_must(zmq_send(socket, body, BODY, 0) == BODY);
		}
	}
	return n;
}

/* The first second is for connecting and warming up. */
static double ask(const struct bare *bare, uint64_t *n_all)
{
	static uint8_t body[BODY];
	static void *dealers[DEALERS_MAX];
	static bool began[DEALERS_MAX];
	struct epoll_event events[256];
	int64_t from_ns = kt_clock_now_ns() + KT_NS_PER_S;
	int64_t until_ns = from_ns + bare->seconds * KT_NS_PER_S;
	uint64_t n_done = 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (size_t i = 0; i < bare->n_dealers; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };
		size_t n = sizeof(int);
		int fd;

		dealers[i] = dealer(bare);
		kt_must(zmq_getsockopt(dealers[i], ZMQ_FD, &fd, &n) == 0);
		kt_must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	}
	for (int64_t now_ns = 0; now_ns < until_ns; now_ns = kt_clock_now_ns()) {
		int n = epoll_wait(epoll, events, 256, 100);

		for (int i = 0; i < n; i++) {
			uint64_t which = events[i].data.u64;
			uint64_t done = turn(dealers[which], body, bare->credit, &began[which]);

			*n_all += done;
			n_done += now_ns >= from_ns ? done : 0;
		}
	}
	return (double)n_done / (double)bare->seconds;
}

static double cpu_seconds(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int read_options(struct bare *bare, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dealers", required_argument, NULL, 'd' },
		{ "credit", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "plain", no_argument, NULL, 'p' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			bare->n_dealers = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			bare->credit = strtoull(optarg, NULL, 10);
			break;
		case 's':
			bare->seconds = strtoll(optarg, NULL, 10);
			break;
		case 'p':
			bare->plain = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return bare->n_dealers < 1 || bare->n_dealers > DEALERS_MAX || bare->credit < 1 ||
			       bare->credit > 32 || bare->seconds < 1
		       ? -EINVAL
		       : 0;
}

int main(int argc, char **argv)
{
	struct bare bare = { .n_dealers = 16, .credit = 4, .seconds = 3 };
	struct rlimit limit;
	char dir[] = "/tmp/kt-bench-bare-XXXXXX";
	char path[64];
	int ready[2];
	uint64_t n_all = 0;
	double rate;
	double cpu_s;
	char byte;
	pid_t pid;

	if (read_options(&bare, argc, argv) < 0) {
		fputs("usage: bench_bare [--dealers N] [--credit 1..32] [--seconds N] [--plain]\n",
		      stderr);
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	kt_must(zmq_curve_keypair(bare.server_public, bare.server_secret) == 0);
	kt_must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(bare.endpoint, sizeof(bare.endpoint), "ipc://%s", path);
	kt_must(pipe(ready) == 0);
	pid = fork();
	kt_must(pid >= 0);
	if (pid == 0)
		serve(&bare, ready[1]);
	kt_must(read(ready[0], &byte, 1) == 1);
	rate = ask(&bare, &n_all);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cpu_s = cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN);
	unlink(path);
	rmdir(dir);
	printf("{\"bench\": \"bare\", \"dealers\": %zu, \"credit\": %zu, \"bytes\": %d, "
	       "\"curve\": %s, \"value\": %.0f, \"unit\": \"round trips/s\", "
	       "\"cpu_us_each\": %.1f}\n",
	       bare.n_dealers, bare.credit, BODY, bare.plain ? "false" : "true", rate,
	       n_all ? cpu_s / (double)n_all * 1e6 : 0);
	fflush(stdout);
	_exit(0); /* thousands of sockets need not be closed one by one */
}
