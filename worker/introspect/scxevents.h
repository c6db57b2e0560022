/* scxevents.h - the kernel's own counters of sched_ext events, summed over CPUs (struct scx_event_stats).
 *
 *	since 7.0	scx_root->pcpu->event_stats, per CPU
 *	6.16 .. 6.19	scx_root->event_stats_cpu, per CPU
 *	6.15		event_stats_cpu, a per-CPU variable of the kernel
 *
 * Each scheduler that is enabled counts from 0 (before 6.16: they go on from the one before it).
 */
#ifndef KT_SCXEVENTS_H
#define KT_SCXEVENTS_H

#include "worker/introspect/runqueue.h"
#include "worker/introspect/scx.h"

#define KT_SCXEVENTS_NAME_BYTES 64

/* counts[i] of klayout->events[i]. -ENOENT: this kernel counts none, or no scheduler is enabled; -EFAULT. */
int kt_scxevents_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
		      uint64_t slide, const struct kt_scx *scx, const struct kt_runqueue_cpus *cpus,
		      int64_t counts[KT_KLAYOUT_EVENTS_MAX]);

/* "SCX_EV_SELECT_CPU_FALLBACK" -> "select_cpu_fallback"; returns into. */
const char *kt_scxevents_name(const struct kt_kbtf_named *event,
			      char into[KT_SCXEVENTS_NAME_BYTES]);

#endif
