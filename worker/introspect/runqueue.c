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

static int read_cpu(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t rq,
		    uint32_t cpu, struct kt_arena *arena, struct kt_value *value)
{
	const struct {
		const char *key;
		const struct kt_kbtf_member *at;
	} rows[] = {
		{ "nr_running", &klayout->at.rq_nr_running },
		{ "clock", &klayout->at.rq_clock },
		{ "scx_nr_running", &klayout->at.rq_scx_nr_running },
		{ "scx_flags", &klayout->at.rq_scx_flags },
		{ "local_dsq", &klayout->at.rq_scx_local_dsq_nr },
	};
	size_t n = sizeof(rows) / sizeof(rows[0]);
	struct kt_value map = kt_value_map(arena, n + 2);
	uint64_t curr, idle, number;

	if (member(pagewalk, rq, &klayout->at.rq_curr, &curr) ||
	    member(pagewalk, rq, &klayout->at.rq_idle, &idle))
		return -EFAULT;
	map.n = 0;
	map.pairs[map.n++] = (struct kt_value_pair){ "cpu", kt_value_u64(cpu) };
	map.pairs[map.n++] = (struct kt_value_pair){ "idle", kt_value_bool(curr == idle) };
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].at->bytes)
			continue;
		if (member(pagewalk, rq, rows[i].at, &number))
			return -EFAULT;
		map.pairs[map.n++] = (struct kt_value_pair){ rows[i].key, kt_value_u64(number) };
	}
	*value = map;
	return 0;
}

int kt_runqueue_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		     struct kt_arena *arena, struct kt_value *list)
{
	KT_AUTO_FREE struct kt_runqueue_cpus *cpus = kt_must_calloc(1, sizeof(*cpus));
	uint64_t symbol = klayout->sym.runqueues;
	bool any = false;

	if (symbol >= KT_LOCATE_WINDOW)
		symbol += slide;
	kt_runqueue_cpus(pagewalk, klayout, slide, cpus);
	*list = kt_value_list(arena, cpus->n);
	for (uint32_t cpu = 0; cpu < cpus->n; cpu++) {
		if (cpus->possible[cpu] && !read_cpu(pagewalk, klayout, symbol + cpus->offset[cpu],
						     cpu, arena, &list->items[cpu]))
			any = true;
	}
	return any ? 0 : -EFAULT;
}
