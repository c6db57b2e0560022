/* subprocess.h - runs one program to its end: an argv array, no shell, a deadline.
 *
 * The program runs in its own process group, with LC_ALL=C and /dev/null as its input, and dies with
 * us. Blocks; `tick` is called about every 500 ms and after each status line, so that a caller can
 * show that something goes on.
 */
#ifndef KT_SUBPROCESS_H
#define KT_SUBPROCESS_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdint.h>

#define KT_SUBPROCESS_OUT_BYTES_MAX (1u << 20) /* kept of stdout; more is dropped (out.full) */
#define KT_SUBPROCESS_ERR_BYTES_MAX (64u << 10) /* kept of stderr */
#define KT_SUBPROCESS_STATUS_FD     3 /* in the program: what is written here comes line by line */

struct kt_subprocess_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *cwd; /* NULL: ours */
	int64_t deadline_ns; /* a span; then the process group is killed */
	void (*tick)(void *arg,
		     const char *status_line); /* NULL line: only time went by; may be NULL */
	void *arg;
};

struct kt_subprocess_result {
	int exit_status; /* 0..255, or 128 + signal as a shell says it */
	struct kt_buf out; /* stdout */
	struct kt_buf err; /* stderr */
};

#define KT_AUTO_SUBPROCESS KT_AUTO(kt_subprocess_release) struct kt_subprocess_result

/* 0 when the program ended by itself, whatever its exit status. Fault HOST when it could not be
 * started (ENOENT: it is not installed) or had no end within the deadline (ETIMEDOUT).
 */
int kt_subprocess_run(const struct kt_subprocess_spec *spec, struct kt_subprocess_result *result,
		      struct kt_err *err);
/* The last lines that say why, "E:" lines first, joined with "; ". */
void kt_subprocess_reason(const struct kt_subprocess_result *result, char *text, size_t bytes);
void kt_subprocess_release(
	struct kt_subprocess_result *result); /* frees the bytes, not the struct */

#endif
