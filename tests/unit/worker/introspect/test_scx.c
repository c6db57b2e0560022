#include "worker/introspect/scx.h"

#include "tests/unit/worker/introspect/toyguest.h"

#include <criterion/criterion.h>
#include <errno.h>

#define SECOND 1000000000LL
#define HZ     250

static uint64_t get64(const struct toy *toy, uint64_t va)
{
	uint64_t value;

	memcpy(&value, toy->ram + (va - TOY_BASE), 8);
	return value;
}

static uint64_t enable(struct toy *toy, uint64_t timeout)
{
	uint64_t sched = toy_alloc(toy, 512);

	toy_put64(toy, sched + 256, timeout);
	toy_put64(toy, toy->layout.sym.scx_root, sched);
	toy_put32(toy, toy->layout.sym.scx_enable_state_var, 1);
	toy_put64(toy, toy->layout.sym.jiffies_64, 10000);
	toy_put64(toy, toy->layout.sym.scx_watchdog_timestamp, 9900);
	toy_put64(toy, toy->layout.sym.scx_watchdog_interval, timeout / 2);
	return sched;
}

Test(scx, the_state_is_the_kernels_word_for_it)
{
	TOY_AUTO toy;
	struct kt_scx scx;
	static const struct {
		uint32_t value;
		const char *is;
	} cases[] = {
		{ 0, "enabling" }, { 1, "enabled" }, { 3, "disabled" }, { 77, "unknown(77)" }
	};

	toy_init(&toy);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		toy_put32(&toy, toy.layout.sym.scx_enable_state_var, cases[i].value);
		cr_assert_eq(kt_scx_read(&toy.pagewalk, &toy.layout, 0, &scx), 0);
		cr_assert_str_eq(scx.state, cases[i].is);
		cr_assert_eq(scx.enabled, cases[i].value == 1);
	}
	toy.layout.sym.scx_enable_state_var = 0;
	cr_assert_eq(kt_scx_read(&toy.pagewalk, &toy.layout, 0, &scx), 0);
	cr_assert_str_eq(scx.state, "absent");
}

Test(scx, the_watchdog_is_written_in_jiffies_and_read_back)
{
	TOY_AUTO toy;
	uint64_t sched;
	int64_t now = 0;

	toy_init(&toy);
	sched = enable(&toy, 30 * HZ);
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, 20 * SECOND, &now, NULL),
		     0);
	cr_assert_eq(get64(&toy, sched + 256), 20 * HZ);
	cr_assert_eq(now, 20 * SECOND);
	cr_assert_eq(get64(&toy, toy.layout.sym.scx_watchdog_interval), 10 * HZ);
	cr_assert_eq(get64(&toy, toy.layout.sym.scx_watchdog_timestamp), 9900,
		     "the next check comes in time by itself");
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, 1000000001, &now, NULL), 0);
	cr_assert_eq(now, 251 * SECOND / HZ, "rounded up to a jiffy");
}

Test(scx, a_watchdog_below_the_pending_check_does_not_kill_a_healthy_scheduler)
{
	TOY_AUTO toy;
	uint64_t timeout = 5 * HZ;
	int64_t now;

	toy_init(&toy);
	enable(&toy, 30 * HZ); /* the next check is due at most 15 s from now */
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, 5 * SECOND, &now, NULL), 0);
	cr_assert_geq(get64(&toy, toy.layout.sym.scx_watchdog_timestamp) + timeout, 10000 + 15 * HZ,
		      "scx_tick() sees no stall before that check");
}

Test(scx, what_cannot_be_set_is_said)
{
	TOY_AUTO toy;
	struct kt_err err = { 0 };
	int64_t now;

	toy_init(&toy);
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, SECOND, &now, &err),
		     -EAGAIN, "nothing is enabled");
	enable(&toy, 30 * HZ);
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, 1000, &now, &err), -ERANGE);
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, INT64_MAX, &now, &err),
		     -ERANGE);
	toy.layout.at.sched_watchdog.bytes = 0;
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, SECOND, &now, &err),
		     -ENOENT, "no such member, no such symbol");
	toy.layout.sym.scx_watchdog_timeout = toy_alloc(&toy, 8);
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, SECOND, &now, &err), 0);
	cr_assert_eq(get64(&toy, toy.layout.sym.scx_watchdog_timeout), HZ);
	toy.layout.hz = 0;
	cr_assert_eq(kt_scx_set_watchdog(&toy.pagewalk, &toy.layout, 0, SECOND, &now, &err),
		     -ENOENT, "never a guess");
}
