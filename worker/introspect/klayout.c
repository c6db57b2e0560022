#include "worker/introspect/klayout.h"

#include <errno.h>
#include <string.h>

enum need { MUST, MAY };

/* How much of a struct we are ready to read in one piece. */
#define STRUCT_BYTES_MAX 4096

static int find_symbols(const struct kt_vmlinux *vmlinux, struct kt_klayout *klayout,
			struct kt_err *err)
{
	struct kt_kallsyms kallsyms;
	struct kt_kallsyms_want wants[] = {
#define X(name_, need_) { .name = #name_ },
		KT_KLAYOUT_SYMBOLS(X)
#undef X
	};
	static const enum need needs[] = {
#define X(name_, need_) need_,
		KT_KLAYOUT_SYMBOLS(X)
#undef X
	};
	uint64_t *const into[] = {
#define X(name_, need_) &klayout->sym.name_,
		KT_KLAYOUT_SYMBOLS(X)
#undef X
	};
	size_t n = sizeof(wants) / sizeof(wants[0]);
	int rc;

	rc = kt_kallsyms_open(vmlinux, &kallsyms, err);
	if (rc)
		return rc;
	kt_kallsyms_lookup(&kallsyms, wants, n);
	for (size_t i = 0; i < n; i++) {
		if (!wants[i].va && needs[i] == MUST)
			return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
					  "its symbol table has no %s (CONFIG_KALLSYMS_ALL is "
					  "needed)",
					  wants[i].name);
		*into[i] = wants[i].va;
	}
	return 0;
}

static int find_members(struct kt_klayout *klayout, struct kt_err *err)
{
	static const struct {
		const char *path;
		enum need need;
	} rows[] = {
#define X(name_, path_, need_) { path_, need_ },
		KT_KLAYOUT_MEMBERS(X)
#undef X
	};
	struct kt_kbtf_member *const into[] = {
#define X(name_, path_, need_) &klayout->at.name_,
		KT_KLAYOUT_MEMBERS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*into[i] = (struct kt_kbtf_member){ 0 };
		if (kt_kbtf_member(klayout->btf, rows[i].path, into[i]) && rows[i].need == MUST)
			return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
					  "its type information has no %s", rows[i].path);
	}
	if (kt_kbtf_sizeof(klayout->btf, "bpf_map", &klayout->map_bytes) ||
	    kt_kbtf_sizeof(klayout->btf, "xa_node", &klayout->node_bytes) ||
	    klayout->map_bytes > STRUCT_BYTES_MAX || klayout->node_bytes > STRUCT_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "its type information has no plausible bpf_map or xa_node");
	return 0;
}

/* How long a jiffy is stands in no symbol of its own and Debian leaves CONFIG_IKCONFIG off. But every
 * kernel carries the clock source "jiffies" (kernel/time/jiffies.c) as initialised data:
 *
 *	.mult  = TICK_NSEC << JIFFIES_SHIFT
 *	.shift = JIFFIES_SHIFT
 *
 * and TICK_NSEC is 10^9 / HZ, rounded (include/linux/jiffies.h). The image, not the guest's memory,
 * is asked: nobody adjusted it there. 0 when the numbers do not fit that rule.
 */
static uint32_t find_hz(const struct kt_vmlinux *vmlinux, const struct kt_klayout *klayout)
{
	const uint8_t *mult_at, *shift_at;
	uint32_t mult, shift;
	uint64_t tick_ns, hz;

	if (!klayout->sym.clocksource_jiffies)
		return 0;
	mult_at = kt_vmlinux_at(
		vmlinux, klayout->sym.clocksource_jiffies + klayout->at.clocksource_mult.offset,
		sizeof(mult));
	shift_at = kt_vmlinux_at(
		vmlinux, klayout->sym.clocksource_jiffies + klayout->at.clocksource_shift.offset,
		sizeof(shift));
	if (!mult_at || !shift_at)
		return 0;
	memcpy(&mult, mult_at, sizeof(mult));
	memcpy(&shift, shift_at, sizeof(shift));
	if (!shift || shift > 16 || mult & ((1u << shift) - 1))
		return 0;
	tick_ns = mult >> shift;
	if (!tick_ns)
		return 0;
	hz = (1000000000 + tick_ns / 2) / tick_ns;
	if (hz < 10 || hz > 10000 || (1000000000 + hz / 2) / hz != tick_ns)
		return 0;
	return (uint32_t)hz;
}

int kt_klayout_open(const struct kt_vmlinux *vmlinux, struct kt_klayout *klayout,
		    struct kt_err *err)
{
	int rc;

	*klayout = (struct kt_klayout){ 0 };
	rc = find_symbols(vmlinux, klayout, err);
	if (!rc)
		rc = kt_kbtf_open(vmlinux->btf.bytes, vmlinux->btf.len, &klayout->btf, err);
	if (!rc)
		rc = find_members(klayout, err);
	if (rc) {
		kt_klayout_destroy(klayout);
		return rc;
	}
	klayout->map_type_enum = kt_kbtf_enum(klayout->btf, "bpf_map_type");
	klayout->scx_state_enum = kt_kbtf_enum(klayout->btf, "scx_enable_state");
	if (!klayout->scx_state_enum) /* 6.12 .. 6.15 */
		klayout->scx_state_enum = kt_kbtf_enum(klayout->btf, "scx_ops_enable_state");
	klayout->n_events = kt_kbtf_members(klayout->btf, "scx_event_stats", klayout->events,
					    KT_KLAYOUT_EVENTS_MAX);
	klayout->hz = find_hz(vmlinux, klayout);
	return 0;
}

void kt_klayout_destroy(struct kt_klayout *klayout)
{
	kt_kbtf_destroy(&klayout->btf);
}
