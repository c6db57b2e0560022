#include "proto/net/endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define PATH_50  "/tttttttttttttttttttttttttttttttttttttttttttttttt/"
#define PATH_107 PATH_50 PATH_50 "seventh"

enum { NEVER, KEYS, ALWAYS }; /* when it is taken */

Test(endpoint, beyond_paths_and_loopback_nothing_is_taken_without_keys)
{
	static const struct {
		const char *endpoint;
		int bind;
		int connect;
		const char *why; /* what the last refusal of the four says */
	} rows[] = {
		{ "ipc:///run/kt/sock", ALWAYS, ALWAYS, NULL },
		{ "ipc://sock", ALWAYS, ALWAYS, NULL },
		{ "ipc://" PATH_107, ALWAYS, ALWAYS, NULL },
		{ "ipc://" PATH_107 "x", NEVER, NEVER,
		  "108 bytes, a Unix socket takes at most 107" },
		{ "ipc://", NEVER, NEVER, "a path must follow" },
		{ "ipc://*", NEVER, NEVER, "a path must follow" },
		{ "ipc://@abstract", NEVER, NEVER, "a path must follow" },
		{ "tcp://127.0.0.1:5555", ALWAYS, ALWAYS, NULL },
		{ "tcp://[::1]:5555", ALWAYS, ALWAYS, NULL },
		{ "tcp://127.0.0.1:*", ALWAYS, NEVER, "the port" },
		{ "tcp://[::1]:*", ALWAYS, NEVER, "the port" },
		{ "tcp://127.0.0.1:0", NEVER, NEVER, "the port" },
		{ "tcp://127.0.0.1:65536", NEVER, NEVER, "the port" },
		{ "tcp://127.0.0.1:99999999999999999999", NEVER, NEVER, "the port" },
		{ "tcp://127.0.0.1:55x", NEVER, NEVER, "the port" },
		{ "tcp://127.0.0.1:", NEVER, NEVER, "the port" },
		{ "tcp://127.0.0.1", NEVER, NEVER, "expected ipc://PATH or tcp://HOST:PORT" },
		{ "tcp://:5555", NEVER, NEVER, "expected ipc://PATH or tcp://HOST:PORT" },
		{ "tcp://127.0.0.10:5555", KEYS, KEYS, "without keys only 127.0.0.1 and [::1]" },
		{ "tcp://0.0.0.0:5555", KEYS, KEYS, "nothing would encrypt" },
		{ "tcp://*:5555", KEYS, NEVER, "name the other machine" },
		{ "tcp://*:*", KEYS, NEVER, "name the other machine" },
		{ "tcp://localhost:5555", NEVER, KEYS, "without keys only" },
		{ "tcp://lab-3.example.org:5555", NEVER, KEYS, "without keys only" },
		{ "tcp://192.0.2.1:5555", KEYS, KEYS, "without keys only" },
		{ "tcp://192.0.2.1:*", KEYS, NEVER, "the port" },
		{ "tcp://[fe80::1%eth0]:5555", KEYS, KEYS, "without keys only" },
		{ "tcp://[2001:db8::7]:5555", KEYS, KEYS, "without keys only" },
		{ "tcp://2001:db8::7:5555", NEVER, NEVER, "IPv6 stands in brackets" },
		{ "tcp://[2001:db8::7:5555", NEVER, NEVER, "IPv6 stands in brackets" },
		{ "tcp://[]:5555", NEVER, NEVER, "is no address" },
		{ "tcp://[:5555", NEVER, NEVER, "is no address" },
		{ "tcp://192.0.2.256:5555", NEVER, NEVER, "is no address" },
		{ "tcp://192.0.2:5555", NEVER, NEVER, "is no address" },
		{ "tcp://a b:5555", NEVER, NEVER, "is no address" },
		{ "tcp://eth0;192.0.2.1:5555", NEVER, NEVER, "is no address" },
		{ "tcp://127.0.0.1:5555;tcp://192.0.2.1:1", NEVER, NEVER, "is no address" },
		{ "inproc://x", NEVER, NEVER, "expected ipc://PATH" },
		{ "", NEVER, NEVER, "expected ipc://PATH" },
		{ "/run/kt/sock", NEVER, NEVER, "expected ipc://PATH" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_err last = { 0 };

		for (int k = 3; k >= 0; k--) {
			bool is_bind = k & 1;
			bool has_keys = k & 2;
			int when = is_bind ? rows[i].bind : rows[i].connect;
			struct kt_err err = { 0 };
			int status = kt_endpoint_check(rows[i].endpoint, is_bind, has_keys, &err);

			cr_assert((status == 0) == (when == ALWAYS || (when == KEYS && has_keys)),
				  "%s bind=%d keys=%d: %s", rows[i].endpoint, is_bind, has_keys,
				  err.text);
			if (status < 0)
				last = err;
		}
		if (!rows[i].why)
			continue;
		cr_assert(last.fault == KT_FAULT_INPUT);
		cr_assert(last.code == EINVAL);
		cr_assert(strstr(last.text, rows[i].why), "%s: %s", rows[i].endpoint, last.text);
	}
}

Test(endpoint, the_second_endpoint_is_found_beside_the_first)
{
	static const struct {
		const char *host_of, *port_of, *beside;
	} rows[] = {
		{ "tcp://lab:7400", "tcp://0.0.0.0:41234", "tcp://lab:41234" },
		{ "tcp://[fe80::1]:7400", "tcp://[::]:41234", "tcp://[fe80::1]:41234" },
		{ "tcp://0.0.0.0:7400", "tcp://127.0.0.1:*", "tcp://0.0.0.0:*" },
		{ "ipc:///run/kt", "tcp://127.0.0.1:*", NULL },
		{ "tcp://lab:7400", "ipc:///run/kt", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *beside = kt_endpoint_beside(rows[i].host_of, rows[i].port_of);

		cr_assert((beside == NULL) == (rows[i].beside == NULL));
		cr_assert(!beside || strcmp(beside, rows[i].beside) == 0, "%s", beside);
		free(beside);
	}
	cr_assert(kt_endpoint_is_local("ipc://x") && kt_endpoint_is_local("tcp://[::1]:1"));
	cr_assert(!kt_endpoint_is_local("tcp://localhost:1") && !kt_endpoint_is_local("tcp://*:1"));
}

/* Its heartbeats abort the process at a bad moment (endpoint.c): the kernel's keepalive stands in for them. */
Test(endpoint, zeromq_beats_no_heart_and_tcp_watches_over_connections)
{
	static const int types[] = { ZMQ_ROUTER, ZMQ_DEALER };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct kt_err err = { 0 };
		zsock_t *socket = NULL;

		cr_assert(kt_endpoint_socket(types[i], "tcp://127.0.0.1:5555", 1024, NULL, &socket,
					     &err) == 0);
		cr_assert(zsock_heartbeat_ivl(socket) == 0);
		cr_assert(zsock_tcp_keepalive(socket) == 1);
		cr_assert(zsock_tcp_keepalive_idle(socket) > 0 &&
			  zsock_tcp_keepalive_idle(socket) <= 10);
		cr_assert(zsock_tcp_maxrt(socket) > 0 && zsock_tcp_maxrt(socket) <= 15000);
		zsock_destroy(&socket);
	}
}
