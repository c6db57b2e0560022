#include "proto/net/endpoint.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define PATH_50  "/tttttttttttttttttttttttttttttttttttttttttttttttt/"
#define PATH_107 PATH_50 PATH_50 "seventh"

Test(endpoint, only_paths_and_loopback_are_taken)
{
	static const struct {
		const char *endpoint;
		bool bind;
		bool connect;
		const char *why;
	} rows[] = {
		{ "ipc:///run/kt/sock", true, true, NULL },
		{ "ipc://sock", true, true, NULL },
		{ "ipc://" PATH_107, true, true, NULL },
		{ "ipc://" PATH_107 "x", false, false,
		  "108 bytes, a Unix socket takes at most 107" },
		{ "ipc://", false, false, "a path must follow" },
		{ "ipc://*", false, false, "a path must follow" },
		{ "ipc://@abstract", false, false, "a path must follow" },
		{ "tcp://127.0.0.1:5555", true, true, NULL },
		{ "tcp://[::1]:5555", true, true, NULL },
		{ "tcp://127.0.0.1:*", true, false, "the port" },
		{ "tcp://[::1]:*", true, false, "the port" },
		{ "tcp://127.0.0.1:0", false, false, "the port" },
		{ "tcp://127.0.0.1:65536", false, false, "the port" },
		{ "tcp://127.0.0.1:99999999999999999999", false, false, "the port" },
		{ "tcp://127.0.0.1:55x", false, false, "the port" },
		{ "tcp://127.0.0.1:", false, false, "the port" },
		{ "tcp://127.0.0.1", false, false, "only 127.0.0.1 and [::1]" },
		{ "tcp://127.0.0.10:5555", false, false, "only 127.0.0.1 and [::1]" },
		{ "tcp://0.0.0.0:5555", false, false, "nothing encrypts" },
		{ "tcp://*:5555", false, false, "only 127.0.0.1 and [::1]" },
		{ "tcp://localhost:5555", false, false, "only 127.0.0.1 and [::1]" },
		{ "tcp://192.0.2.1:5555", false, false, "only 127.0.0.1 and [::1]" },
		{ "tcp://127.0.0.1:5555;tcp://192.0.2.1:1", false, false, "the port" },
		{ "inproc://x", false, false, "expected ipc://PATH" },
		{ "", false, false, "expected ipc://PATH" },
		{ "/run/kt/sock", false, false, "expected ipc://PATH" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_err err = { 0 };

		cr_assert((kt_endpoint_check(rows[i].endpoint, true, &err) == 0) == rows[i].bind,
			  "bind %s", rows[i].endpoint);
		cr_assert((kt_endpoint_check(rows[i].endpoint, false, &err) == 0) ==
				  rows[i].connect,
			  "connect %s", rows[i].endpoint);
		if (rows[i].connect)
			continue;
		cr_assert(err.fault == KT_FAULT_INPUT);
		cr_assert(err.code == EINVAL);
		cr_assert(strstr(err.text, rows[i].why), "%s: %s", rows[i].endpoint, err.text);
	}
}
