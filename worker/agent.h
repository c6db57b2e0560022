/* agent.h - the shell around worker/core/duty.h: sockets, timers, signals, disk and runner.
 *
 *	coordinator <--control--> dealer --+            +-- spool (SQLite)
 *	coordinator <---bulk----> dealer --+-- agent ---+-- cache (artifacts)
 *	signals, timers -------------------+   duty     +-- runner (qemu or scripted)
 *
 * One libuv loop, one thread. Callbacks turn what happened into one input of the core; the core's
 * effects are performed in order; what that gives rise to (kept, lost, failed) waits in a queue
 * until they are through. Nothing here waits for the coordinator, so a run never does.
 *
 * Samples and results of one turn of the loop are committed to the spool together, and only then
 * offered for sending. What the spool cannot keep ends the attempt as disk_full or host_trouble.
 */
#ifndef KT_AGENT_H
#define KT_AGENT_H

#include "proto/net/endpoint.h"
#include "worker/runner.h"

#define KT_AGENT_QUEUED_BYTES_MAX \
	(1u << 20) /* on the control socket; SYNC must not wait behind it */

struct kt_agent_config { /* strings outlive the call */
	const char *endpoint;
	const struct kt_guard *guard; /* this host's key and the coordinator's; NULL: none */
	const char *worker_id;
	const char *state_dir; /* cache/ is shared; the rest is below workers/<id>/ */
	size_t slots;
	bool once; /* one sweep, then leave */
	bool embedded; /* once, and gone when the parent process is */
	const struct kt_runner_ops *runner;
	const struct kt_msg_machine *machine; /* as in HELLO */
	const char *accel_reason; /* why not KVM; empty when it is */
	const char *qemu, *ktguest; /* binaries */
	uint64_t cpus; /* of the host */
	uint64_t guest_cpus, mem_bytes; /* that all guests may have together; CPUs 0: no bound */
	uint64_t cache_bytes_max;
	uint64_t spool_bytes_max; /* 0: the disk's */
};

/* Runs until it is told to stop: by a signal (SIGINT, SIGTERM), by the end of the sweep (once), by
 * the death of the parent (embedded). *status is the program's exit status. Fails, with nothing left
 * behind, when another worker with this id runs on this state, or the state cannot be used.
 */
int kt_agent_run(const struct kt_agent_config *config, int *status, struct kt_err *err);

#endif
