/* server.h - the hands of the dispatch: one loop, one journal, two endpoints, maybe a worker of our own.
 *
 *	frame -> kt_dispatch_step -> facts, samples, logs into the open transaction
 *	end of a batch -> commit -> only now sends, judgements -> until nothing is left
 *
 * Beside them the local socket of those who ask (reception.h). Callbacks decide nothing. When a commit fails nothing was sent: the process stops and says what to
 * do; `ktcoord resume` goes on from what is on disk.
 */
#ifndef KT_SERVER_H
#define KT_SERVER_H

#include "coordinator/artifacts.h"
#include "coordinator/core/facts.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/journal.h"
#include "coordinator/plugins.h"
#include "coordinator/reception.h"
#include "coordinator/view.h"

struct kt_server_config {
	const char *state_dir;
	const char *bin_dir; /* where ktworker is */
	const char *runner; /* "qemu" or "scripted" */
	const char
		*listen; /* NULL: ipc, for the embedded worker; else as proto/net/endpoint.h says */
	const char *bulk_listen; /* NULL: beside `listen`, at any port */
	bool keys; /* CURVE also where `listen` needs none (trust.h) */
	bool embedded; /* start a worker of our own */
	uint64_t slots; /* of the embedded worker; 0: it decides */
	int64_t ttl_ns; /* of leases */
	int64_t unschedulable_ns; /* how long a cell that no host can take waits for one; 0: 10 s */
	uint64_t bandwidth; /* bytes a second, for artifacts to all hosts together; 0: no limit */
};

/* Runs the sweep to its end. All borrowed; plugins are those of the manifest; sweep is the fold of the journal, opened.
 * 0 when every cell has its end; -EINTR when a signal asked to stop (all that is finished is kept);
 * else what broke.
 */
int kt_server_run(const struct kt_server_config *config, const struct kt_matrix *matrix,
		  const struct kt_msg_manifest *manifest, struct kt_artifacts *artifacts,
		  const struct kt_plugins *plugins, struct kt_journal *journal,
		  struct kt_sweep *sweep, struct kt_view *view, struct kt_err *err);

#endif
