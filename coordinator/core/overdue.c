#include "coordinator/core/overdue.h"
#include "proto/base/clock.h"
#include "proto/job.h"
#include "proto/patience.h"
#include "proto/playtime.h"

#include <string.h>

/* Artifacts over the slowest link that anybody should use, shared with the host's other cells. */
#define FETCH_BYTES_PER_S (32 << 10)
#define FETCH_NS          (60 * KT_NS_PER_S)

/* What an attempt may go through, and how often; per unit of what patience.h says. */
struct part {
	enum kt_patience what;
	uint64_t times;
	uint64_t units;
};

static uint64_t cpus_of(const struct kt_msg_topology *topology)
{
	uint64_t cpus = topology->numa_nodes * topology->llcs * topology->cores * topology->threads;

	return cpus <= KT_GUEST_CPUS_MAX ? cpus : KT_GUEST_CPUS_MAX;
}

static uint64_t bytes_of(const struct kt_msg_job *job, uint64_t *n_files)
{
	struct kt_job_artifact list[KT_FILES_MAX];
	int n = kt_job_artifacts(job, list, NULL);
	uint64_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += list[i].bytes;
	*n_files = n > 0 ? (uint64_t)n : 0;
	return bytes;
}

int64_t kt_overdue_ns(const struct kt_msg_job *job)
{
	const struct kt_msg_scenario *scenario = job->scenario;
	uint64_t cpus = cpus_of(job->topology);
	uint64_t n_files;
	uint64_t bytes = bytes_of(job, &n_files);
	const struct part parts[] = {
		{ KT_PATIENCE_BOOT, 2, 0 }, /* a template's, which it waits for, and its own */
		{ KT_PATIENCE_RESTORE, 2, 0 },
		{ KT_PATIENCE_FILES, n_files + 1, 0 },
		{ KT_PATIENCE_FILES, 1, bytes >> 20 },
		{ KT_PATIENCE_LOAD, 1, 0 },
		{ KT_PATIENCE_START, 1, 0 },
		{ KT_PATIENCE_RUN, 1, scenario->n_steps },
		{ KT_PATIENCE_FREEZE, 2 * (scenario->samples + 1), 0 },
		{ KT_PATIENCE_STATS, scenario->samples + 1, 0 },
		{ KT_PATIENCE_PROBE, 2, 0 },
		{ KT_PATIENCE_UNLOAD, 1, 0 },
		{ KT_PATIENCE_LAST_WORDS, 1, 0 },
	};
	struct kt_playtime play =
		kt_playtime_of(scenario, kt_patience_ns(KT_PATIENCE_LOAD, false, cpus, 0),
			       kt_patience_ns(KT_PATIENCE_UNLOAD, false, cpus, 0));
	int64_t ns = FETCH_NS + (int64_t)(bytes / FETCH_BYTES_PER_S) * KT_NS_PER_S;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ns += kt_patience_ns(parts[i].what, false, cpus, parts[i].units) *
		      (int64_t)parts[i].times;
	ns = kt_clock_add_ns(ns, kt_job_stall_ns(scenario));
	ns = kt_clock_add_ns(ns, play.holds_ns);
	ns = kt_clock_add_ns(ns, play.ops_ns);
	ns = kt_clock_add_ns(ns, play.ends_ns);
	return kt_clock_add_ns(ns, ns);
}
