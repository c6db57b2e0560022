/* attempt.h - one attempt under way: what its phases share, what they tell the agent, how it ends.
 *
 * The phases (boot.h, load.h, sampling.h or shell.h, drain.h) are synchronous: they wait here, in one poll loop over the
 * agent, QEMU and the guest, with a deadline on everything (proto/patience.h). What the guest
 * says meanwhile is taken in by hearing.h. An attempt ends once: the first cause tells, and a phase
 * that finds `ending` set returns.
 */
#ifndef KT_ATTEMPT_H
#define KT_ATTEMPT_H

#include "proto/cause.h"
#include "worker/capture.h"
#include "proto/patience.h"
#include "worker/demand.h"
#include "worker/monitor.h"
#include "worker/sampling.h"
#include "worker/shell.h"
#include "worker/vm.h"

#include <signal.h>

#define KT_ATTEMPT_MOMENTS_MAX 1200 /* steps, phases, events and a few more */
#define KT_ATTEMPT_EVENTS_MAX \
	600 /* of these told by the guest: ops, and what else happened in it */
#define KT_ATTEMPT_LOGS 4 /* console, scheduler, qemu, worker */

enum kt_attempt_phase {
	KT_ATTEMPT_BOOT,
	KT_ATTEMPT_LOAD,
	KT_ATTEMPT_RUN, /* or */
	KT_ATTEMPT_SHELL,
	KT_ATTEMPT_DRAIN
};

/* Of a log only so much is passed on; a marker says when it was cut. */
struct kt_attempt_log {
	const char *stream;
	size_t passed;
	size_t dropped;
};

struct kt_attempt {
	int64_t began_ns;
	enum kt_attempt_phase phase;
	struct kt_framelink control; /* to the agent */
	struct kt_arena arena; /* what must live as long as the attempt */
	struct kt_arena guest_arena;
	const struct kt_msg_run_guest *guest; /* comes first */
	struct kt_arena start_arena;
	const struct kt_msg_run_start
		*start; /* NULL until there is a job: a spare guest waits for one */
	const struct kt_msg_job *job; /* the same; set when its phases begin */
	bool kvm;
	uint64_t cpus;
	bool has_scheduler; /* one of the job's, not the kernel's own, is there or should be */
	bool is_detached; /* the scenario took it out */
	uint64_t epoch; /* lives of schedulers before this one */

	struct kt_vm vm;
	struct kt_introspect_kernel *kernel;
	struct kt_gmem *gmem;
	struct kt_introspect *introspect;

	/* what the guest said */
	const char *kernel_release;
	const char *topology_seen; /* worker/core/topology.h */
	uint64_t guest_version;
	bool ready;
	bool done; /* guest_done since the last request */
	bool prepared; /* its clock and its random numbers are good */
	bool never_warm; /* this host lets nobody read a restored guest */
	/* Of a template to be restored from, or to be filled; the agent's, numbers only. */
	bool has_template;
	int template_state_fd;
	int template_ram_fds[KT_QEMU_NODES_MAX];
	bool load_sent; /* from here on the scheduler has a hand in what happens */
	bool run_sent;
	bool started;
	bool finished;
	struct kt_msg_guest_finished
		*outcome; /* what it said then; NULL before, or when it was too much */
	uint64_t step;
	size_t n_events; /* guest_event, those that were left out too */
	int64_t ops_took_ns; /* by its own clock */

	struct kt_capture capture;
	struct kt_sampling sampling;
	struct kt_demand demand;
	struct kt_monitor monitor;
	struct kt_shell shell;

	/* the result */
	bool ending; /* cause is final but for a panic after it */
	enum kt_cause_id cause;
	char line[KT_TEXT_BYTES_MAX];
	struct kt_buf evidence;
	struct kt_buf note;
	struct kt_msg_moment moments[KT_ATTEMPT_MOMENTS_MAX];
	size_t n_moments;
	int64_t panicked_at_ns;
	struct kt_attempt_log logs[KT_ATTEMPT_LOGS];
};

extern volatile sig_atomic_t kt_attempt_told_to_end; /* by SIGTERM */

/* control_fd: the agent's end of it speaks runner.def; closed by destroy. */
void kt_attempt_init(struct kt_attempt *attempt, int control_fd, const struct kt_vm_events *events);
void kt_attempt_destroy(struct kt_attempt *attempt); /* of a guest that was killed before */

/* ---- telling the agent ---- */

void kt_attempt_log(struct kt_attempt *attempt, const char *stream, const void *bytes, size_t len);
/* A line of the log "worker". */
__attribute__((format(printf, 2, 3))) void kt_attempt_say(struct kt_attempt *attempt,
							  const char *format, ...);
/* For the result: what was less than it should be, and changed no verdict. */
__attribute__((format(printf, 2, 3))) void kt_attempt_note(struct kt_attempt *attempt,
							   const char *format, ...);
/* For the result's timeline. The name is a literal. */
__attribute__((format(printf, 3, 4))) void kt_attempt_moment(struct kt_attempt *attempt,
							     const char *name, const char *format,
							     ...);
/* The same for what the guest told of: its texts are copied, cut and flattened; at_ns is filled in. */
void kt_attempt_event(struct kt_attempt *attempt, const struct kt_msg_moment *event);
/* left_ns: how long it usually takes; 0 when nobody knows. */
void kt_attempt_enter(struct kt_attempt *attempt, enum kt_attempt_phase phase, int64_t left_ns,
		      const char *detail);

/* ---- ending ---- */

/* The first one tells; only a kernel that dies after `finished`, or a scheduler that does not leave, has a better
 * story.
 */
__attribute__((format(printf, 3, 4))) void kt_attempt_end(struct kt_attempt *attempt,
							  enum kt_cause_id cause,
							  const char *format, ...);
/* "<what happened>; <what to do next>" */
__attribute__((format(printf, 3, 4))) void kt_attempt_end_with_advice(struct kt_attempt *attempt,
								      enum kt_cause_id cause,
								      const char *format, ...);
/* Ends the attempt when QEMU is gone, the kernel died or the channel broke. Every round of waiting looks. */
void kt_attempt_look(struct kt_attempt *attempt);
/* "while the guest booted" */
const char *kt_attempt_while_doing(const struct kt_attempt *attempt);
/* The cause when the guest breaks off: host trouble until the scenario was sent, a result afterwards. */
enum kt_cause_id kt_attempt_lost(const struct kt_attempt *attempt);

/* ---- waiting ---- */

/* Takes in what the agent said. Its end is ours (PDEATHSIG usually comes first): then this does not return. */
void kt_attempt_listen(struct kt_attempt *attempt);
/* One round: sleeps until something happens or the moment has come, then takes in all that is there. */
void kt_attempt_pump(struct kt_attempt *attempt, int64_t until_ns);
/* True when it is done; false at the deadline or when the attempt ends. */
bool kt_attempt_wait_until(struct kt_attempt *attempt,
			   bool (*done)(const struct kt_attempt *attempt), int64_t deadline_ns);
/* Queues a frame, pumping while the guest takes in what waits before it. As kt_attempt_wait_until(). */
bool kt_attempt_tell_guest(struct kt_attempt *attempt, uint32_t tag, const void *message,
			   int64_t deadline_ns);
/* The same for a request that is answered by guest_done or guest_failed, and waits for it. */
bool kt_attempt_request(struct kt_attempt *attempt, uint32_t tag, const void *message,
			int64_t deadline_ns);
bool kt_attempt_is_done(const struct kt_attempt *attempt);
/* kt_patience_ns() for this guest. */
int64_t kt_attempt_patience(const struct kt_attempt *attempt, enum kt_patience what,
			    uint64_t units);
int64_t kt_attempt_seconds(int64_t ns); /* rounded, for people */

/* Where an artifact of the job lies on this host; NULL when the agent named none. */
const char *kt_attempt_file_path(const struct kt_attempt *attempt, const struct kt_bin *digest);

#endif
