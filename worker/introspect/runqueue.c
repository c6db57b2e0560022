#include "worker/introspect/runqueue.h"

#include "proto/base/must.h"
#include "worker/introspect/locate.h"

#include <errno.h>

void kt_runqueue_cpus(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
		      uint64_t slide, struct kt_runqueue_cpus *cpus)
{
	cpus->n = 0;
	for (uint32_t cpu = 0; cpu < KT_RUNQUEUE_CPUS_MAX; cpu++) {
		uint64_t word = 0;

		/* The mask may be shorter than ours (CONFIG_NR_CPUS): what follows it is other
		 * data, so an offset that is not there ends the search too.
		 */
		if (cpu % 64 == 0 &&
		    kt_pagewalk_read_u64(pagewalk,
					 klayout->sym.__cpu_possible_mask + slide + cpu / 8, &word))
			return;
		if (cpu % 64 == 0 && !word)
			return; /* possible CPUs are numbered without such gaps on x86 */
		for (uint32_t bit = 0; bit < 64; bit++, cpu++) {
			cpus->possible[cpu] = word >> bit & 1;
			if (!cpus->possible[cpu])
				continue;
			if (kt_pagewalk_read_u64(pagewalk,
						 klayout->sym.__per_cpu_offset + slide +
							 (uint64_t)cpu * 8,
						 &cpus->offset[cpu]))
				cpus->possible[cpu] = false;
			else
				cpus->n = cpu + 1;
		}
		cpu--;
	}
}

/* One member of this CPU's struct rq, up to 8 bytes. */
static int member(struct kt_pagewalk *pagewalk, uint64_t rq, const struct kt_kbtf_member *at,
		  uint64_t *value)
{
	*value = 0;
	return kt_pagewalk_read(pagewalk, rq + at->offset, value, at->bytes < 8 ? at->bytes : 8);
}

static int look_at(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t rq,
		   struct kt_runqueue *queue)
{
	const struct {
		const struct kt_kbtf_member *at;
		uint64_t *into;
	} rows[] = {
		{ &klayout->at.rq_nr_running, &queue->nr_running },
		{ &klayout->at.rq_clock, &queue->clock },
		{ &klayout->at.rq_scx_nr_running, &queue->scx_nr_running },
		{ &klayout->at.rq_scx_flags, &queue->scx_flags },
		{ &klayout->at.rq_scx_local_dsq_nr, &queue->local_dsq },
	};
	uint64_t curr, idle;

	*queue = (struct kt_runqueue){ 0 };
	if (member(pagewalk, rq, &klayout->at.rq_curr, &curr) ||
	    member(pagewalk, rq, &klayout->at.rq_idle, &idle))
		return -EFAULT;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].at->bytes && member(pagewalk, rq, rows[i].at, rows[i].into))
			return -EFAULT;
	queue->idle = curr == idle;
	queue->there = true;
	return 0;
}

uint64_t kt_runqueue_percpu(uint64_t symbol, uint64_t slide)
{
	return symbol + (symbol >= KT_LOCATE_WINDOW ? slide : 0);
}

int kt_runqueue_look(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		     const struct kt_runqueue_cpus *cpus, struct kt_runqueue *queues)
{
	uint64_t percpu = kt_runqueue_percpu(klayout->sym.runqueues, slide);
	bool any = false;

	for (uint32_t cpu = 0; cpu < cpus->n; cpu++) {
		queues[cpu].there = false;
		if (cpus->possible[cpu] &&
		    !look_at(pagewalk, klayout, percpu + cpus->offset[cpu], &queues[cpu]))
			any = true;
	}
	return any ? 0 : -EFAULT;
}

static struct kt_value value_of(const struct kt_klayout *klayout, uint32_t cpu,
				const struct kt_runqueue *queue, struct kt_arena *arena)
{
	const struct {
		const char *key;
		uint32_t there; /* this kernel has it */
		uint64_t number;
	} rows[] = {
		{ "nr_running", klayout->at.rq_nr_running.bytes, queue->nr_running },
		{ "clock", klayout->at.rq_clock.bytes, queue->clock },
		{ "scx_nr_running", klayout->at.rq_scx_nr_running.bytes, queue->scx_nr_running },
		{ "scx_flags", klayout->at.rq_scx_flags.bytes, queue->scx_flags },
		{ "local_dsq", klayout->at.rq_scx_local_dsq_nr.bytes, queue->local_dsq },
	};
	size_t n = sizeof(rows) / sizeof(rows[0]);
	struct kt_value map = kt_value_map(arena, n + 2);

	map.n = 0;
	map.pairs[map.n++] = (struct kt_value_pair){ "cpu", kt_value_u64(cpu) };
	map.pairs[map.n++] = (struct kt_value_pair){ "idle", kt_value_bool(queue->idle) };
	for (size_t i = 0; i < n; i++)
		if (rows[i].there)
			map.pairs[map.n++] =
				(struct kt_value_pair){ rows[i].key, kt_value_u64(rows[i].number) };
	return map;
}

int kt_runqueue_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		     struct kt_arena *arena, struct kt_value *list)
{
	KT_AUTO_FREE struct kt_runqueue_cpus *cpus = kt_must_calloc(1, sizeof(*cpus));
	KT_AUTO_FREE struct kt_runqueue *queues =
		kt_must_calloc(KT_RUNQUEUE_CPUS_MAX, sizeof(*queues));
	int status;

	kt_runqueue_cpus(pagewalk, klayout, slide, cpus);
	status = kt_runqueue_look(pagewalk, klayout, slide, cpus, queues);
	*list = kt_value_list(arena, cpus->n);
	for (uint32_t cpu = 0; cpu < cpus->n; cpu++)
		if (queues[cpu].there)
			list->items[cpu] = value_of(klayout, cpu, &queues[cpu], arena);
	return status;
}
