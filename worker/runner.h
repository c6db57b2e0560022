/* runner.h - what runs an attempt: the real one (qemu) and its headless second (scripted).
 *
 * A runner turns a job into phases, samples, logs and exactly one result. The agent owns the runner;
 * a run belongs to the runner until its `ended` was called, after which the pointer is dead. All
 * callbacks come from the agent's libuv loop, never from inside start() or cancel(). Nothing blocks.
 */
#ifndef KT_RUNNER_H
#define KT_RUNNER_H

#include "proto/schema.h"

#include <uv.h>

struct kt_runner; /* an open runner */
struct kt_run; /* one attempt under way */

/* Where the agent keeps things. The struct is borrowed for open() only; its strings outlive the runner. */
struct kt_runner_config {
	const char *cache_dir; /* for what is derived from a kernel */
	const char *accel; /* "kvm" or "tcg", as proven by worker/kvmproof.h */
	const char *qemu; /* binary */
	const char *ktguest; /* binary */
	const char *cpu_model; /* of this host */
	size_t slots;
	bool single; /* there will be one run: nothing is made ready for a next one */
	uint64_t mem_bytes; /* for guests */
	uint64_t cache_bytes_max; /* of cache_dir */
};

/* Borrowed by the callee for the length of the call. */
struct kt_run_events {
	void (*phase)(void *arg, const struct kt_msg_run_phase *phase);
	void (*sample)(void *arg, const void *body, size_t len); /* an encoded struct sample */
	void (*log)(void *arg, const char *stream, const void *bytes, size_t len);
	void (*ended)(void *arg, const struct kt_msg_result *result);
	/* Of start_shell only; else NULL. run_printed, run_took, run_told, run_shell_ended. */
	void (*shell)(void *arg, uint32_t tag, const void *frame);
};

struct kt_runner_ops {
	const char *name; /* "qemu" or "scripted" */
	int (*open)(uv_loop_t *loop, const struct kt_runner_config *config,
		    struct kt_runner **runner, struct kt_err *err);
	/* files: one local path per artifact that the job names, in the order of
	 * kt_job_artifacts(): kernel first, then the scheduler's files. job and files are borrowed
	 * for the call only.
	 */
	int (*start)(struct kt_runner *runner, const struct kt_msg_job *job,
		     const struct kt_msg_local_file *files, size_t n_files,
		     const struct kt_run_events *events, void *arg, struct kt_run **run,
		     struct kt_err *err);
	/* The same, with a program that somebody types to in place of the job's scenario (worker/shell.h). NULL:
	 * this runner has no guest to look at.
	 */
	int (*start_shell)(struct kt_runner *runner, const struct kt_msg_job *job,
			   const struct kt_msg_shell *shell, const struct kt_msg_local_file *files,
			   size_t n_files, const struct kt_run_events *events, void *arg,
			   struct kt_run **run, struct kt_err *err);
	/* To the shell, once its phase has begun: run_typed, run_window, run_showed. */
	void (*tell_shell)(struct kt_run *run, uint32_t tag, const void *message);
	/* The guest dies; `ended` follows with cause "cancelled". */
	void (*cancel)(struct kt_run *run, const char *reason);
	/* Ends every run without further callbacks; returns when their guests are gone. */
	void (*destroy)(struct kt_runner **runner_p);
};

extern const struct kt_runner_ops kt_runner_qemu;
extern const struct kt_runner_ops kt_runner_scripted;

#endif
