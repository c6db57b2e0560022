#include "worker/introspect/scx.h"

#include "proto/base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NEVER UINT64_MAX /* scx_watchdog_interval when no check is scheduled */

/* "SCX_ENABLED", or "SCX_OPS_ENABLED" before 6.16, as /sys/kernel/sched_ext/state prints it. */
static void state_name(const struct kt_klayout *klayout, int64_t value, char *into, size_t size)
{
	const char *name = kt_kbtf_enum_name(klayout->btf, klayout->scx_state_enum, value);
	size_t i = 0;

	if (!name) {
		snprintf(into, size, "unknown(%lld)", (long long)value);
		return;
	}
	if (!strncmp(name, "SCX_", 4))
		name += 4;
	if (!strncmp(name, "OPS_", 4))
		name += 4;
	for (; name[i] && i + 1 < size; i++)
		into[i] = (char)tolower((unsigned char)name[i]);
	into[i] = 0;
}

int kt_scx_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		struct kt_scx *scx)
{
	uint64_t state_va = klayout->sym.scx_enable_state_var;
	uint32_t state;

	*scx = (struct kt_scx){ .state = "absent" };
	if (!state_va)
		state_va = klayout->sym.scx_ops_enable_state_var;
	if (!state_va)
		return 0;
	if (kt_pagewalk_read_u32(pagewalk, state_va + slide, &state))
		return -EFAULT;
	state_name(klayout, (int32_t)state, scx->state, sizeof(scx->state));
	scx->enabled = !strcmp(scx->state, "enabled");
	if (klayout->sym.scx_root && klayout->at.sched_ops.bytes) {
		if (kt_pagewalk_read_u64(pagewalk, klayout->sym.scx_root + slide, &scx->sched_va))
			return -EFAULT;
		if (scx->sched_va)
			scx->ops_va = scx->sched_va + klayout->at.sched_ops.offset;
	} else if (klayout->sym.scx_ops) {
		scx->ops_va = klayout->sym.scx_ops + slide;
	}
	if (scx->ops_va && klayout->at.ops_name.bytes) {
		size_t bytes = klayout->at.ops_name.bytes;

		if (bytes > sizeof(scx->name) - 1)
			bytes = sizeof(scx->name) - 1;
		if (kt_pagewalk_read(pagewalk, scx->ops_va + klayout->at.ops_name.offset, scx->name,
				     bytes))
			memset(scx->name, 0, sizeof(scx->name));
	}
	return 0;
}

/* The watchdog's work runs every `interval` jiffies (half the shortest timeout when it was enabled) and
 * notes when it ran; every tick checks that this was no longer than `timeout` ago, or calls it a stall
 * (kernel/sched/ext.c, scx_watchdog_workfn and scx_tick). The work is already queued for the old
 * interval. So a timeout below the old interval would kill a healthy scheduler before its first check:
 * the note is moved ahead to when that check is due, the interval made to fit, and only then
 * the timeout written.
 */
static int make_room(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		     uint64_t old_timeout, uint64_t timeout)
{
	uint64_t interval = old_timeout / 2, jiffies, stamp;

	if (klayout->sym.scx_watchdog_interval) {
		uint64_t va = klayout->sym.scx_watchdog_interval + slide;

		if (kt_pagewalk_read_u64(pagewalk, va, &interval))
			return -EFAULT;
		if (interval == NEVER)
			interval = old_timeout / 2;
		else if (kt_pagewalk_write_u64(pagewalk, va, timeout / 2 ? timeout / 2 : 1))
			return -EFAULT;
	}
	if (!klayout->sym.scx_watchdog_timestamp || timeout > interval + klayout->hz)
		return 0;
	if (kt_pagewalk_read_u64(pagewalk, klayout->sym.jiffies_64 + slide, &jiffies) ||
	    kt_pagewalk_read_u64(pagewalk, klayout->sym.scx_watchdog_timestamp + slide, &stamp))
		return -EFAULT;
	/* Later than now by at most one interval, whatever the guest says the interval is. */
	if (interval > (uint64_t)klayout->hz * 60)
		interval = (uint64_t)klayout->hz * 60;
	return kt_pagewalk_write_u64(pagewalk, klayout->sym.scx_watchdog_timestamp + slide,
				     jiffies + interval);
}

int kt_scx_set_watchdog(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
			uint64_t slide, int64_t ns, int64_t *now_ns, struct kt_err *err)
{
	struct kt_scx scx;
	uint64_t va, old, now;
	uint64_t jiffies;

	if (!klayout->hz)
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT,
				  "how long a jiffy of this kernel is cannot be told: its stall "
				  "watchdog stays as the scheduler set it");
	if (ns > KT_DURATION_NS_MAX || ns < 2 * KT_NS_PER_S / klayout->hz)
		return kt_err_set(err, KT_FAULT_INPUT, ERANGE,
				  "a watchdog of %lld ns is out of range", (long long)ns);
	if (kt_scx_read(pagewalk, klayout, slide, &scx))
		return kt_err_set(err, KT_FAULT_GUEST, EFAULT, "sched_ext's state is not mapped");
	if (!scx.enabled)
		return kt_err_set(err, KT_FAULT_GUEST, EAGAIN, "sched_ext is %s", scx.state);
	if (scx.sched_va && klayout->at.sched_watchdog.bytes == 8)
		va = scx.sched_va + klayout->at.sched_watchdog.offset;
	else if (klayout->sym.scx_watchdog_timeout)
		va = klayout->sym.scx_watchdog_timeout + slide;
	else
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT,
				  "this kernel's stall watchdog was not found: it stays as the "
				  "scheduler set it");
	/* Rounded up, as msecs_to_jiffies() does. */
	jiffies = (uint64_t)(((__int128)ns * klayout->hz + KT_NS_PER_S - 1) / KT_NS_PER_S);
	if (kt_pagewalk_read_u64(pagewalk, va, &old) ||
	    make_room(pagewalk, klayout, slide, old, jiffies) ||
	    kt_pagewalk_write_u64(pagewalk, va, jiffies) ||
	    kt_pagewalk_read_u64(pagewalk, va, &now))
		return kt_err_set(err, KT_FAULT_GUEST, EFAULT,
				  "the stall watchdog cannot be written: not mapped");
	if (now != jiffies)
		return kt_err_set(err, KT_FAULT_GUEST, EIO,
				  "the stall watchdog reads %llu jiffies after %llu were written",
				  (unsigned long long)now, (unsigned long long)jiffies);
	*now_ns = (int64_t)((__int128)now * KT_NS_PER_S / klayout->hz);
	return 0;
}
