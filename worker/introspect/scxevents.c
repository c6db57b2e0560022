#include "worker/introspect/scxevents.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* The per-CPU address of the counters, without a CPU's own offset; 0: they are nowhere. */
static int find(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		const struct kt_scx *scx, uint64_t *percpu)
{
	const struct kt_kbtf_member *at = &klayout->at.sched_pcpu;

	*percpu = 0;
	if (scx->sched_va && at->bytes == 8 && klayout->at.pcpu_event_stats.bytes) {
		if (kt_pagewalk_read_u64(pagewalk, scx->sched_va + at->offset, percpu))
			return -EFAULT;
		*percpu += *percpu ? klayout->at.pcpu_event_stats.offset : 0;
		return 0;
	}
	at = &klayout->at.sched_event_stats;
	if (scx->sched_va && at->bytes == 8)
		return kt_pagewalk_read_u64(pagewalk, scx->sched_va + at->offset, percpu);
	if (klayout->sym.event_stats_cpu)
		*percpu = kt_runqueue_percpu(klayout->sym.event_stats_cpu, slide);
	return 0;
}

static int add_cpu(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t stats,
		   int64_t counts[KT_KLAYOUT_EVENTS_MAX])
{
	for (size_t i = 0; i < klayout->n_events; i++) {
		uint64_t count;

		if (klayout->events[i].bytes != sizeof(count))
			continue;
		if (kt_pagewalk_read_u64(pagewalk, stats + klayout->events[i].offset, &count))
			return -EFAULT;
		/* A guest may say anything: no overflow of ours. */
		counts[i] = (int64_t)((uint64_t)counts[i] + count);
	}
	return 0;
}

int kt_scxevents_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
		      uint64_t slide, const struct kt_scx *scx, const struct kt_runqueue_cpus *cpus,
		      int64_t counts[KT_KLAYOUT_EVENTS_MAX])
{
	uint64_t percpu;

	memset(counts, 0, KT_KLAYOUT_EVENTS_MAX * sizeof(*counts));
	if (!scx->enabled || !klayout->n_events)
		return -ENOENT;
	if (find(pagewalk, klayout, slide, scx, &percpu))
		return -EFAULT;
	if (!percpu)
		return -ENOENT;
	for (uint32_t cpu = 0; cpu < cpus->n; cpu++)
		if (cpus->possible[cpu] &&
		    add_cpu(pagewalk, klayout, percpu + cpus->offset[cpu], counts))
			return -EFAULT;
	return 0;
}

const char *kt_scxevents_name(const struct kt_kbtf_named *event, char into[KT_SCXEVENTS_NAME_BYTES])
{
	const char *name = event->name;
	size_t i = 0;

	if (strncmp(name, "SCX_EV_", 7) == 0)
		name += 7;
	for (; name[i] && i + 1 < KT_SCXEVENTS_NAME_BYTES; i++)
		into[i] = (char)tolower((unsigned char)name[i]);
	into[i] = 0;
	return into;
}
