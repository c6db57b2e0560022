/* looks.h - what many looks at a guest's run queues come to: monitor_report of proto/job.def (semantics.md section 6).
 *
 *	imbalance	the highest nr_running of a CPU / the lowest or 1
 *	dsq_depth	tasks in the local DSQ of the CPU that has most
 *	stuck		looks in a row at which a CPU's clock was what it had been at the look before, though the CPU was
 *			not idle at both and the host ran it in between
 *	fallback	select_cpu_fallback events per second, all CPUs together
 *	keep_last	dispatch_keep_last events, likewise
 *
 * Of each is kept how high it went, and what KT_LOOKS_IN_A_ROW looks in a row did not fall below: any limit can be held
 * against that later (assertions/checks_monitor.h). A look without a value begins anew.
 *
 * Was a vCPU run? Its thread's CPU time says so, when it has a thread of its own (KVM): it used KT_LOOKS_RAN_NS between
 * two looks. Under TCG all vCPUs take turns in one thread, each for KT_LOOKS_TURN_NS at most when others want to run
 * (QEMU's TCG_KICK_PERIOD): one had its turn for certain once the thread used so much for each of them since its
 * clock last moved.
 *
 * A counter's rise counts when the scheduler is still the same at the next look: one that is taken out is bypassed first,
 * and that is nobody's error.
 *
 * Memory that no kernel has set up shows as a local DSQ of more than KT_LOOKS_DSQ_MAX tasks (that look is invalid), or
 * as clocks that are all the same, on all CPUs and at all looks. Pure.
 */
#ifndef KT_LOOKS_H
#define KT_LOOKS_H

#include "proto/schema.h"

#define KT_LOOKS_EVERY_NS (100 * KT_NS_PER_MS)
#define KT_LOOKS_IN_A_ROW 5
#define KT_LOOKS_RAN_NS   (10 * KT_NS_PER_MS)
#define KT_LOOKS_TURN_NS  (100 * KT_NS_PER_MS)
#define KT_LOOKS_DSQ_MAX  10000
#define KT_LOOKS_CPUS_MAX KT_GUEST_CPUS_MAX
#define KT_LOOKS_EVENTS   32

struct kt_looks_cpu {
	bool there;
	bool idle; /* the idle task runs, and nothing else could */
	uint64_t nr_running;
	uint64_t clock;
	uint64_t local_dsq;
	int64_t ran_ns; /* CPU time of its thread so far, or of that of all; as has_ran says */
};

/* How ran_ns was come by. */
enum kt_looks_ran {
	KT_LOOKS_RAN_UNKNOWN,
	KT_LOOKS_RAN_OWN, /* of the vCPU's own thread */
	KT_LOOKS_RAN_SHARED, /* of the thread that runs all of them */
};

struct kt_looks_look {
	int64_t at_ns; /* workload time */
	bool enabled; /* a sched_ext scheduler */
	uint64_t life; /* which one */
	enum kt_looks_ran ran;
	size_t n_cpus;
	struct kt_looks_cpu cpus[KT_LOOKS_CPUS_MAX];
	bool has_events;
	int64_t events[KT_LOOKS_EVENTS];
};

enum kt_looks_measure {
	KT_LOOKS_IMBALANCE,
	KT_LOOKS_DSQ_DEPTH,
	KT_LOOKS_STUCK,
	KT_LOOKS_FALLBACK,
	KT_LOOKS_KEEP_LAST,
	KT_LOOKS_MEASURES
};

struct kt_looks_row { /* the values in a row of one measure */
	struct kt_msg_monitor_measure sum;
	size_t n; /* without a look that had none */
	double last[KT_LOOKS_IN_A_ROW];
};

struct kt_looks {
	const char *names[KT_LOOKS_EVENTS]; /* of the counters; the caller's */
	size_t n_events;
	uint64_t n;
	uint64_t n_invalid;
	uint64_t n_enabled;
	struct kt_looks_row rows[KT_LOOKS_MEASURES];
	int64_t counted[KT_LOOKS_EVENTS];
	int64_t pending
		[KT_LOOKS_EVENTS]; /* since the look before the last: counts once its life goes on */
	bool counts; /* its counters could be read once */
	enum kt_looks_ran ran; /* of the last look that knew */
	uint64_t first_clock;
	size_t n_clocks; /* seen; none yet differed from the first */
	bool clocks_differ;
	/* Of each CPU, as of the last look. */
	struct {
		uint64_t still; /* looks in a row */
		int64_t ran_ns; /* when its clock was seen to move */
	} cpus[KT_LOOKS_CPUS_MAX];
	bool has_last;
	struct kt_looks_look last;
};

/* names: of the counters that looks will have, n of them; borrowed as long as kt_looks is used. */
void kt_looks_init(struct kt_looks *looks, const char *const *names, size_t n);

/* In the order in which they were made. */
void kt_looks_add(struct kt_looks *looks, const struct kt_looks_look *look);

/* Lists live in the arena, names are borrowed. error: why there is no more of it; "" when nothing was wrong. */
void kt_looks_report(const struct kt_looks *looks, const char *error, struct kt_arena *arena,
		     struct kt_msg_monitor_report *report);

#endif
