/* plugin.h - a verdict plug-in runs in a process of its own, and whatever it does there is only said.
 *
 *	ktcoord -- series file (assertions/seriesfile.h) --> stdin   ktcoord again (pluginhost.h)
 *	        <- one frame (plugin.def) -------------- fd 3         rlimits, no privileges, seccomp
 *	        <- what it prints ---------------- stdout, stderr     dlopen(fd 4), the function, the end
 *
 * A plug-in that crashes, hangs, says nonsense or wants more than it may have did not judge: the cell is
 * Inconclusive, with one sentence of kind Plugin (kt_plugin_tell) that says what happened and what to do. It is
 * never the scheduler's failure, and no reason to run the guest again: `ktcoord judge` judges the series again.
 *
 * All in the caller's loop; nothing blocks but kt_plugin_check() and kt_plugin_run(), which have a loop of their own.
 */
#ifndef KT_PLUGIN_H
#define KT_PLUGIN_H

#include "assertions/verdict.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/schema.h"

#include <uv.h>

#include "proto/schema_structs.h"
#include "coordinator/plugin.def"

#define KT_MESSAGE(tag_, name_, direction_) KT_TAG_##name_ = (tag_),
enum kt_tag_plugin {
#include "coordinator/plugin.def"
};
extern const struct kt_family kt_plugin_family;

#define KT_PLUGIN_BYTES_MAX      (64u << 20) /* of the shared library */
#define KT_PLUGIN_PRINTED_MAX    512 /* bytes kept of what it prints: the last ones */
#define KT_PLUGIN_SAID_BYTES_MAX KT_FRAME_BYTES_MAX
#define KT_PLUGIN_MEMORY_BYTES   (1ull << 30) /* address space, beside what the series takes */

struct kt_plugin_ask {
	const char *name; /* as messages call it: the path in the matrix */
	int fd; /* the library (kt_plugin_copy) */
	int64_t deadline_ns; /* a span */
};

/* How it ended; name, in words for "plugin x.so: ..." */
#define KT_PLUGIN_ENDS(X)                                       \
	X(JUDGED, "has judged")                                 \
	X(REFUSED, "was not called")                            \
	X(GAVE_UP, "gave up")                                   \
	X(CRASHED, "crashed")                                   \
	X(LATE, "came to no end")                               \
	X(NONSENSE, "ended without a verdict that can be read") \
	X(UNSTARTED, "could not be started")

enum kt_plugin_end {
#define X(id_, words_) KT_PLUGIN_##id_,
	KT_PLUGIN_ENDS(X)
#undef X
};

struct kt_plugin_result {
	enum kt_plugin_end end;
	const char *text; /* one line: what happened; empty when it has judged */
	const struct kt_msg_verdict *verdict; /* what it said; NULL: nothing */
	const char *printed; /* what it printed, one line; may be empty */
};

/* The library's bytes in memory that nobody can change any more: a descriptor, owned by the caller. from is read from
 * its start. Fault INPUT: too large.
 */
int kt_plugin_copy(int from, int *fd, struct kt_err *err);

struct kt_plugin_process;

/* Called once, from the loop; the result lives for the call. */
typedef void kt_plugin_done_fn(void *arg, const struct kt_plugin_result *result);

/* *series (a file's bytes) is taken. The answer always comes by done(), never from within this call. */
struct kt_plugin_process *kt_plugin_start(uv_loop_t *loop, const struct kt_plugin_ask *ask,
					  struct kt_buf *series, kt_plugin_done_fn *done,
					  void *arg);
/* Before its end: kills it, done() is not called. The loop must run until its handles are closed. */
void kt_plugin_cancel(struct kt_plugin_process **process_p);

/* Waits for the end. Also says it (kt_plugin_tell). */
void kt_plugin_run(const struct kt_plugin_ask *ask, struct kt_buf *series,
		   struct kt_verdict *verdict);
/* Whether it can be loaded and has the function; runs its constructors, in the same jail. -EINVAL with fault INPUT. */
int kt_plugin_check(const struct kt_plugin_ask *ask, struct kt_err *err);

/* What it said, or what became of it. */
void kt_plugin_tell(const struct kt_plugin_ask *ask, const struct kt_plugin_result *result,
		    struct kt_verdict *verdict);

#endif
