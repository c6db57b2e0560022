#include "worker/core/looks.h"
#include "proto/base/must.h"

#include <string.h>

static const char *const names[KT_LOOKS_MEASURES] = {
	[KT_LOOKS_IMBALANCE] = "imbalance", [KT_LOOKS_DSQ_DEPTH] = "dsq_depth",
	[KT_LOOKS_STUCK] = "stuck",         [KT_LOOKS_FALLBACK] = "fallback",
	[KT_LOOKS_KEEP_LAST] = "keep_last",
};

/* The counters whose rates are measures. */
static const struct {
	enum kt_looks_measure measure;
	const char *event;
} rates[] = {
	{ KT_LOOKS_FALLBACK, "select_cpu_fallback" },
	{ KT_LOOKS_KEEP_LAST, "dispatch_keep_last" },
};

void kt_looks_init(struct kt_looks *looks, const char *const *events, size_t n)
{
	kt_must(n <= KT_LOOKS_EVENTS);
	*looks = (struct kt_looks){ .n_events = n };
	for (size_t i = 0; i < n; i++)
		looks->names[i] = events[i];
}

/* ---- values in a row ---- */

static double least_of(const struct kt_looks_row *row)
{
	double least = row->last[0];

	for (size_t i = 1; i < KT_LOOKS_IN_A_ROW; i++)
		if (row->last[i] < least)
			least = row->last[i];
	return least;
}

static void add_value(struct kt_looks_row *row, double value, size_t cpu, int64_t at_ns)
{
	struct kt_msg_monitor_measure *sum = &row->sum;
	double least;

	if (sum->values++ == 0 || value > sum->highest) {
		sum->highest = value;
		sum->highest_cpu = cpu;
		sum->highest_at_ns = at_ns;
	}
	row->last[row->n++ % KT_LOOKS_IN_A_ROW] = value;
	if (row->n < KT_LOOKS_IN_A_ROW)
		return;
	least = least_of(row);
	if (sum->windows++ == 0 || least > sum->sustained) {
		sum->sustained = least;
		sum->sustained_cpu = cpu;
		sum->sustained_at_ns = at_ns;
	}
}

static void break_row(struct kt_looks_row *row)
{
	row->n = 0;
}

/* ---- one look ---- */

static bool is_valid(const struct kt_looks_look *look)
{
	for (size_t i = 0; i < look->n_cpus; i++)
		if (look->cpus[i].there && look->cpus[i].local_dsq > KT_LOOKS_DSQ_MAX)
			return false;
	return true;
}

static void see_clocks(struct kt_looks *looks, const struct kt_looks_look *look)
{
	for (size_t i = 0; i < look->n_cpus; i++) {
		if (!look->cpus[i].there)
			continue;
		if (looks->n_clocks++ == 0)
			looks->first_clock = look->cpus[i].clock;
		looks->clocks_differ |= look->cpus[i].clock != looks->first_clock;
	}
}

static void add_balance(struct kt_looks *looks, const struct kt_looks_look *look)
{
	uint64_t lowest = UINT64_MAX;
	uint64_t highest = 0;
	size_t deepest = 0;

	for (size_t i = 0; i < look->n_cpus; i++) {
		const struct kt_looks_cpu *cpu = &look->cpus[i];

		if (!cpu->there)
			continue;
		if (cpu->nr_running < lowest)
			lowest = cpu->nr_running;
		if (cpu->nr_running > highest)
			highest = cpu->nr_running;
		if (!look->cpus[deepest].there || cpu->local_dsq > look->cpus[deepest].local_dsq)
			deepest = i;
	}
	if (lowest == UINT64_MAX)
		return;
	add_value(&looks->rows[KT_LOOKS_IMBALANCE], (double)highest / (double)(lowest ? lowest : 1),
		  0, look->at_ns);
	if (look->enabled)
		add_value(&looks->rows[KT_LOOKS_DSQ_DEPTH], (double)look->cpus[deepest].local_dsq,
			  deepest, look->at_ns);
	else
		break_row(&looks->rows[KT_LOOKS_DSQ_DEPTH]);
}

/* Did the host run it since the look before, or under TCG: since its clock last moved? */
static bool did_run(const struct kt_looks *looks, const struct kt_looks_look *look, size_t cpu)
{
	int64_t ran_ns = look->cpus[cpu].ran_ns;

	if (look->ran == KT_LOOKS_RAN_OWN)
		return ran_ns - looks->last.cpus[cpu].ran_ns >= KT_LOOKS_RAN_NS;
	return ran_ns - looks->cpus[cpu].ran_ns >= (int64_t)look->n_cpus * KT_LOOKS_TURN_NS;
}

/* How many looks in a row its clock stands still, while it should not. */
static uint64_t still_for(const struct kt_looks *looks, const struct kt_looks_look *look,
			  size_t cpu)
{
	const struct kt_looks_cpu *now = &look->cpus[cpu];
	const struct kt_looks_cpu *last = &looks->last.cpus[cpu];

	if (!now->there || !last->there || now->clock != last->clock || (now->idle && last->idle))
		return 0;
	return did_run(looks, look, cpu) ? looks->cpus[cpu].still + 1 : 0;
}

static void add_stuck(struct kt_looks *looks, const struct kt_looks_look *look)
{
	bool had = looks->has_last && looks->last.n_cpus == look->n_cpus &&
		   looks->last.ran == look->ran;
	size_t worst = 0;

	for (size_t i = 0; i < look->n_cpus; i++) {
		bool moved = !had || look->cpus[i].clock != looks->last.cpus[i].clock;

		looks->cpus[i].still = had ? still_for(looks, look, i) : 0;
		if (moved)
			looks->cpus[i].ran_ns = look->cpus[i].ran_ns;
		if (looks->cpus[i].still > looks->cpus[worst].still)
			worst = i;
	}
	if (look->ran == KT_LOOKS_RAN_UNKNOWN)
		return;
	looks->ran = look->ran;
	if (had && look->n_cpus)
		add_value(&looks->rows[KT_LOOKS_STUCK], (double)looks->cpus[worst].still, worst,
			  look->at_ns);
	else
		break_row(&looks->rows[KT_LOOKS_STUCK]);
}

/* ---- counters ---- */

/* Of the same scheduler as at the look before; one that is enabled anew begins at 0, maybe in the same place. */
static bool same_life(const struct kt_looks *looks, const struct kt_looks_look *look)
{
	if (!looks->has_last || !looks->last.has_events || !look->has_events ||
	    looks->last.life != look->life)
		return false;
	for (size_t i = 0; i < looks->n_events; i++)
		if (look->events[i] < looks->last.events[i])
			return false;
	return true;
}

static double rate_of(const struct kt_looks *looks, const struct kt_looks_look *look,
		      const char *event)
{
	double seconds = (double)(look->at_ns - looks->last.at_ns) / KT_NS_PER_S;

	for (size_t i = 0; i < looks->n_events; i++)
		if (strcmp(looks->names[i], event) == 0)
			return (double)(look->events[i] - looks->last.events[i]) / seconds;
	return -1;
}

static void add_events(struct kt_looks *looks, const struct kt_looks_look *look)
{
	bool same = same_life(looks, look) && look->at_ns > looks->last.at_ns;

	looks->counts |= look->has_events;
	for (size_t i = 0; i < looks->n_events; i++) {
		looks->counted[i] += same ? looks->pending[i] : 0;
		looks->pending[i] = same ? look->events[i] - looks->last.events[i] : 0;
	}
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		double rate = same ? rate_of(looks, look, rates[i].event) : -1;

		if (rate >= 0)
			add_value(&looks->rows[rates[i].measure], rate, 0, look->at_ns);
		else
			break_row(&looks->rows[rates[i].measure]);
	}
}

void kt_looks_add(struct kt_looks *looks, const struct kt_looks_look *look)
{
	kt_must(look->n_cpus <= KT_LOOKS_CPUS_MAX);
	looks->n++;
	if (!is_valid(look)) {
		looks->n_invalid++;
		looks->has_last = false;
		for (size_t i = 0; i < KT_LOOKS_MEASURES; i++)
			break_row(&looks->rows[i]);
		return;
	}
	looks->n_enabled += look->enabled;
	see_clocks(looks, look);
	add_balance(looks, look);
	add_stuck(looks, look);
	add_events(looks, look);
	looks->last = *look;
	looks->has_last = true;
}

/* ---- the report ---- */

static void report_measures(const struct kt_looks *looks, struct kt_arena *arena,
			    struct kt_msg_monitor_report *report)
{
	report->measures = kt_arena_alloc(arena, KT_LOOKS_MEASURES, sizeof(*report->measures));
	for (size_t i = 0; i < KT_LOOKS_MEASURES; i++) {
		if (looks->rows[i].sum.values == 0)
			continue;
		report->measures[report->n_measures] = looks->rows[i].sum;
		report->measures[report->n_measures++].name = names[i];
	}
}

static void report_events(const struct kt_looks *looks, struct kt_arena *arena,
			  struct kt_msg_monitor_report *report)
{
	report->events = kt_arena_alloc(arena, looks->n_events, sizeof(*report->events));
	for (size_t i = 0; i < looks->n_events; i++)
		report->events[report->n_events++] =
			(struct kt_msg_scx_event){ .name = looks->names[i],
						   .count = looks->counted[i] + looks->pending[i] };
}

void kt_looks_report(const struct kt_looks *looks, const char *error, struct kt_arena *arena,
		     struct kt_msg_monitor_report *report)
{
	static const char *const ran[] = { [KT_LOOKS_RAN_UNKNOWN] = "",
					   [KT_LOOKS_RAN_OWN] = "thread",
					   [KT_LOOKS_RAN_SHARED] = "shared" };
	bool unset = looks->n_clocks > 1 && !looks->clocks_differ;

	*report = (struct kt_msg_monitor_report){ .looks = looks->n,
						  .invalid = looks->n_invalid,
						  .enabled = looks->n_enabled,
						  .error = error,
						  .vcpu_time = ran[looks->ran] };
	if (unset && !*error)
		report->error = "all run queues' clocks are the same: memory that no kernel has "
				"set up";
	if (!unset)
		report_measures(looks, arena, report);
	if (looks->counts)
		report_events(looks, arena, report);
}
