/* klayout.h - everything we know about one kernel: symbols and offsets, resolved once, in two tables.
 *
 * A new fact about the kernel is one row. MUST rows make the image unusable when missing; MAY rows are 0
 * (symbols) or absent (members) when this kernel does not have them.
 */
#ifndef KT_KLAYOUT_H
#define KT_KLAYOUT_H

#include "worker/introspect/kallsyms.h"
#include "worker/introspect/kbtf.h"

/* symbol, need */
#define KT_KLAYOUT_SYMBOLS(X)                                                     \
	X(linux_banner, MUST) /* where the kernel is */                           \
	X(init_top_pgt, MUST) /* its page tables */                               \
	X(system_state, MUST) /* how far it has come */                           \
	X(map_idr, MUST) /* all BPF maps, by id */                                \
	X(__per_cpu_offset, MUST)                                                 \
	X(__cpu_possible_mask, MUST)                                              \
	X(runqueues, MUST)                                                        \
	X(scx_root, MAY) /* the enabled scheduler, since 6.16 */                  \
	X(scx_ops, MAY) /* its ops, 6.12 .. 6.15 */                               \
	X(scx_enable_state_var, MAY)                                              \
	X(scx_ops_enable_state_var, MAY) /* the same, 6.12 .. 6.15 */             \
	X(scx_watchdog_timeout, MAY) /* jiffies, before 7.1 */                    \
	X(scx_watchdog_interval, MAY) /* jiffies between two checks, since 7.1 */ \
	X(scx_watchdog_timestamp, MAY) /* jiffies of the last check */            \
	X(event_stats_cpu, MAY) /* of sched_ext, per CPU, 6.15 */                 \
	X(jiffies_64, MUST)                                                       \
	X(clocksource_jiffies, MAY) /* its mult and shift say how long a jiffy is: HZ */

/* name, path, need */
#define KT_KLAYOUT_MEMBERS(X)                                          \
	X(idr_base, "idr.idr_base", MUST)                              \
	X(idr_head, "idr.idr_rt.xa_head", MUST)                        \
	X(node_shift, "xa_node.shift", MUST)                           \
	X(node_slots, "xa_node.slots", MUST)                           \
	X(map_type, "bpf_map.map_type", MUST)                          \
	X(map_key_size, "bpf_map.key_size", MUST)                      \
	X(map_value_size, "bpf_map.value_size", MUST)                  \
	X(map_max_entries, "bpf_map.max_entries", MUST)                \
	X(map_id, "bpf_map.id", MUST)                                  \
	X(map_btf, "bpf_map.btf", MUST)                                \
	X(map_value_type, "bpf_map.btf_value_type_id", MUST)           \
	X(map_vmlinux_type, "bpf_map.btf_vmlinux_value_type_id", MUST) \
	X(map_name, "bpf_map.name", MUST)                              \
	X(array_elem_size, "bpf_array.elem_size", MUST)                \
	X(array_value, "bpf_array.value", MUST)                        \
	X(array_pptrs, "bpf_array.pptrs", MUST)                        \
	X(btf_data, "btf.data", MUST)                                  \
	X(btf_data_size, "btf.data_size", MUST)                        \
	X(btf_id, "btf.id", MUST)                                      \
	X(struct_ops_data, "bpf_struct_ops_map.kvalue", MUST)          \
	X(rq_nr_running, "rq.nr_running", MUST)                        \
	X(rq_clock, "rq.clock", MUST)                                  \
	X(rq_curr, "rq.curr", MUST)                                    \
	X(rq_idle, "rq.idle", MUST)                                    \
	X(rq_scx_nr_running, "rq.scx.nr_running", MAY)                 \
	X(rq_scx_flags, "rq.scx.flags", MAY)                           \
	X(rq_scx_local_dsq_nr, "rq.scx.local_dsq.nr", MAY)             \
	X(sched_ops, "scx_sched.ops", MAY)                             \
	X(sched_watchdog, "scx_sched.watchdog_timeout", MAY)           \
	X(sched_event_stats, "scx_sched.event_stats_cpu", MAY)         \
	X(sched_pcpu, "scx_sched.pcpu", MAY)                           \
	X(pcpu_event_stats, "scx_sched_pcpu.event_stats", MAY)         \
	X(ops_name, "sched_ext_ops.name", MAY)                         \
	X(ops_after_calls, "sched_ext_ops.dispatch_max_batch", MAY)    \
	X(clocksource_mult, "clocksource.mult", MUST)                  \
	X(clocksource_shift, "clocksource.shift", MUST)

#define KT_KLAYOUT_EVENTS_MAX 32 /* counters of struct scx_event_stats; 13 in 7.2 */

struct kt_klayout {
	struct btf *btf; /* owned */
#define X(name_, need_) uint64_t name_; /* link-time address, 0: none */
	struct {
		KT_KLAYOUT_SYMBOLS(X)
	} sym;
#undef X
#define X(name_, path_, need_) struct kt_kbtf_member name_; /* bytes == elements == 0: none */
	struct {
		KT_KLAYOUT_MEMBERS(X)
	} at;
#undef X
	struct kt_kbtf_named events[KT_KLAYOUT_EVENTS_MAX]; /* of struct scx_event_stats */
	size_t n_events; /* 0: this kernel counts none */
	uint32_t map_bytes; /* sizeof(struct bpf_map) */
	uint32_t node_bytes; /* sizeof(struct xa_node) */
	uint32_t map_type_enum; /* BTF ids of bpf_map_type and scx_enable_state; 0: none */
	uint32_t scx_state_enum;
	uint32_t hz; /* ticks per second; 0 when it cannot be told */
};

/* Fault INPUT, naming the first symbol or member that is missing. The struct is the caller's. */
int kt_klayout_open(const struct kt_vmlinux *vmlinux, struct kt_klayout *klayout,
		    struct kt_err *err);
void kt_klayout_destroy(struct kt_klayout *klayout);

#endif
