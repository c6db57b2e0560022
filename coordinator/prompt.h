/* prompt.h - `ktcoord shell`: the very same guest as a cell gets, with a program in it that somebody types to.
 *
 *	kernel, scheduler, topology (or a stored cell's job), busybox -> artifacts -> order -> `ktworker shell`
 *
 * The guest has no userland, so a shell brings one: a static busybox, whose applets are installed below
 * KT_PROMPT_APPLETS by the first words that run in the guest. Nothing runs through a shell of the host's.
 * The process that holds the terminal is ktworker's (worker/shellmain.h); this one waits for it, and puts the
 * terminal right when it was killed. The lock of the state folder is not needed: artifacts and kernels are kept
 * by content.
 */
#ifndef KT_PROMPT_H
#define KT_PROMPT_H

#include "coordinator/artifacts.h"

#define KT_PROMPT_APPLETS  "/kt/busybox"
#define KT_PROMPT_WITH_MAX 16 /* programs beside it */

struct kt_prompt {
	const char *state_dir;
	const char *bin_dir; /* where our own programs are */
	const char *memory; /* "512M": at least so much; NULL */
	const char *
		exec; /* for the guest's sh -c; NULL: whatever standard input brings, a prompt on a terminal */
	const char *const *with; /* programs that come along */
	size_t n_with; /* at most KT_PROMPT_WITH_MAX */
	bool cold; /* a guest of its own is booted */
	bool verbose; /* its logs, on standard error */
	void (*progress)(void *arg, const char *line);
	void *arg;
};

/* What the user asks for when it is no stored cell; each NULL has a default. */
struct kt_prompt_guest {
	const char *kernel; /* as kt_kernels_find(); newest of sid */
	const char *scheduler; /* program and arguments (words.h), or "eevdf" */
	const char *topology; /* "1n1l2c1t" */
};

/* A job whose scenario is nothing. Its files are artifacts; it lives in the arena. */
int kt_prompt_job(const struct kt_prompt *prompt, const struct kt_prompt_guest *guest,
		  struct kt_artifacts *artifacts, struct kt_arena *arena, struct kt_msg_job *job,
		  struct kt_err *err);
/* A stored cell's: its artifacts must be here, by their digests. */
int kt_prompt_again(const struct kt_msg_job *job, struct kt_artifacts *artifacts,
		    struct kt_err *err);

/* Opens the shell in the job's guest and blocks until it is over. Returns the exit status for our own; < 0 and err
 * when it did not come so far.
 */
int kt_prompt_run(const struct kt_prompt *prompt, const struct kt_msg_job *job,
		  struct kt_artifacts *artifacts, struct kt_arena *arena, struct kt_err *err);

#endif
