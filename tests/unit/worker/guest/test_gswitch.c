/* The scheduler and the host are played by hand: what is asked of them is noted, what they say is said. */
#include "worker/guest/gswitch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static char done[1024]; /* what was asked of scheduler and host, in order */
static struct kt_gsched_failure failure;
static struct kt_gask ask;
static struct kt_gswitch change;
static struct kt_buf text;
static struct kt_err err;

static struct kt_msg_arg programs[] = { { "/kt/bin/one" }, { "/kt/bin/two" } };
static struct kt_msg_scheduler schedulers[] = {
	{ .name = "one", .args = &programs[0], .n_args = 1 },
	{ .name = "two", .args = &programs[1], .n_args = 1 },
	{ .name = "eevdf" },
};
static struct kt_msg_guest_run run = {
	.schedulers = schedulers, .n_schedulers = 3, .load_ns = 5, .unload_ns = 7
};

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	size_t at = strlen(done);
	va_list args;

	va_start(args, format);
	vsnprintf(done + at, sizeof(done) - at, format, args);
	va_end(args);
}

static enum kt_gsched_event load(void *arg, const struct kt_msg_guest_load *message)
{
	note("load %s %d; ", message->args[0].text, (int)message->deadline_ns);
	return KT_GSCHED_NOTHING;
}

static void unload(void *arg, int64_t deadline_ns)
{
	note("unload %d; ", (int)deadline_ns);
}

static void send(void *arg, uint32_t tag, const void *message)
{
	const struct kt_msg_guest_scheduler *scheduler = message;

	if (tag == KT_TAG_guest_capture)
		return;
	cr_assert_eq(tag, KT_TAG_guest_scheduler);
	note("tell %d '%s'; ", (int)scheduler->epoch, scheduler->name);
}

static const struct kt_gswitch_calls calls = { load, unload, NULL, &failure };

static void begin(bool is_loaded)
{
	done[0] = 0;
	kt_buf_reset(&text);
	err = (struct kt_err){ 0 };
	ask = (struct kt_gask){ .send = send };
	kt_gswitch_init(&change, &calls, &ask, &run, is_loaded);
}

static void teardown(void)
{
	kt_buf_destroy(&text);
}

static void seen(void)
{
	kt_gask_seen(&ask, ask.id);
}

Test(gswitch, a_restart_is_out_and_in_and_the_host_is_asked_between, .fini = teardown)
{
	begin(true);
	cr_assert_eq(kt_gswitch_restart(&change, &text, &err), 0);
	cr_assert_str_eq(kt_buf_text(&text), " one");
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 0);
	cr_assert_str_eq(done, "unload 7; ");
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_UNLOADED, 0));
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 0, "before the host has seen it");
	cr_assert_str_eq(done, "unload 7; tell 0 ''; ");
	seen();
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 0);
	cr_assert_str_eq(done, "unload 7; tell 0 ''; load /kt/bin/one 5; ");
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_LOADED, 0));
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 0);
	seen();
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1);
	cr_assert_str_eq(done, "unload 7; tell 0 ''; load /kt/bin/one 5; tell 1 'one'; ");
	cr_assert_eq(change.epoch, 1);
	cr_assert_eq(change.loaded, 0);
}

static void let_out(void)
{
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_UNLOADED, 0));
	seen();
	kt_gswitch_look(&change, 0, &err);
}

static void let_in(void)
{
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_LOADED, 0));
	seen();
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1);
}

Test(gswitch, each_op_means_its_own_scheduler, .fini = teardown)
{
	begin(true);
	cr_assert_eq(kt_gswitch_replace(&change, "two", &text, &err), 0);
	cr_assert_str_eq(kt_buf_text(&text), " one by two");
	let_out();
	let_in();
	cr_assert_eq(change.loaded, 1);
	cr_assert_eq(kt_gswitch_restart(&change, &text, &err), 0, "the one that runs now");
	let_out();
	let_in();
	cr_assert_eq(change.loaded, 1);
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), 0);
	let_out();
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1);
	cr_assert_eq(change.loaded, KT_GSWITCH_NONE);
	cr_assert_eq(kt_gswitch_attach(&change, &text, &err), 0, "the cell's own");
	let_in();
	cr_assert_eq(change.loaded, 0);
	cr_assert_eq(change.epoch, 3, "one more for every one that was attached");
	cr_assert_eq(kt_gswitch_replace(&change, "eevdf", &text, &err), 0);
	let_out();
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1, "the kernel's own needs no program");
	cr_assert_eq(change.loaded, KT_GSWITCH_NONE);
	cr_assert_eq(change.epoch, 3);
}

Test(gswitch, what_cannot_be_changed_is_refused, .fini = teardown)
{
	begin(true);
	cr_assert_eq(kt_gswitch_attach(&change, &text, &err), -EBUSY);
	cr_assert_eq(kt_gswitch_replace(&change, "three", &text, &err), -ENOENT);
	cr_assert_str_eq(err.text, "the job has no scheduler three");
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), 0);
	let_out();
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), -ENOENT);
	cr_assert_eq(kt_gswitch_restart(&change, &text, &err), -ENOENT);
	cr_assert_str_eq(err.text, "no scheduler is loaded");
}

/* The same scenario runs on the kernel's own scheduler too, to compare with. */
Test(gswitch, the_kernels_own_scheduler_stays, .fini = teardown)
{
	static struct kt_msg_guest_run own = { .schedulers = &schedulers[2], .n_schedulers = 1 };

	begin(false);
	change.run = &own;
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), 0);
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1);
	cr_assert_eq(kt_gswitch_attach(&change, &text, &err), 0);
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1);
	cr_assert_eq(kt_gswitch_restart(&change, &text, &err), 0);
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1);
	cr_assert_str_eq(done, "");
	cr_assert_eq(change.epoch, 0);
}

Test(gswitch, a_scheduler_that_fails_is_told_in_its_own_words, .fini = teardown)
{
	static const struct {
		enum kt_gsched_event event;
		bool loads;
	} cases[] = { { KT_GSCHED_FORCED, false }, { KT_GSCHED_REFUSED, true } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(true);
		snprintf(failure.line, sizeof(failure.line), "the verifier said no");
		cr_assert_eq(kt_gswitch_restart(&change, &text, &err), 0);
		if (cases[i].loads)
			let_out();
		cr_assert(kt_gswitch_take(&change, cases[i].event, 0));
		cr_assert_eq(kt_gswitch_look(&change, 0, &err), -ECANCELED);
		cr_assert_str_eq(err.text, "the verifier said no");
		cr_assert_eq(change.failed, cases[i].event);
	}
}

Test(gswitch, what_nobody_waits_for_is_not_taken, .fini = teardown)
{
	static const enum kt_gsched_event events[] = { KT_GSCHED_LOADED, KT_GSCHED_REFUSED,
						       KT_GSCHED_LOST, KT_GSCHED_UNLOADED,
						       KT_GSCHED_FORCED };

	begin(true);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		cr_assert_not(kt_gswitch_take(&change, events[i], 0));
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), 0);
	cr_assert_not(kt_gswitch_take(&change, KT_GSCHED_LOST, 0), "it broke: that is a failure");
	cr_assert_not(kt_gswitch_take(&change, KT_GSCHED_LOADED, 0));
}

/* As the kernel asks for when a CPU comes or goes. */
Test(gswitch, one_that_comes_back_by_itself_begins_an_epoch, .fini = teardown)
{
	begin(true);
	kt_gask_capture(&ask, "open", 0);
	done[0] = 0;
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_RELOADED, 0));
	kt_gswitch_tell(&change, 0);
	cr_assert_str_eq(done, "", "the host is asked one thing at a time");
	cr_assert_eq(change.epoch, 0);
	seen();
	kt_gswitch_tell(&change, 0);
	kt_gswitch_tell(&change, 0);
	cr_assert_str_eq(done, "tell 1 'one'; ", "once");
	cr_assert_eq(change.epoch, 1);
	cr_assert_eq(kt_gswitch_look(&change, 0, &err), 1, "nobody waits for it");
}

/* It came back while the host was busy with a capture, and the next op of the scenario takes it out. */
Test(gswitch, one_that_came_back_and_leaves_again_is_not_told_of, .fini = teardown)
{
	begin(true);
	kt_gask_capture(&ask, "open", 0);
	done[0] = 0;
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_RELOADED, 0));
	seen();
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), 0);
	kt_gswitch_tell(&change, 0);
	cr_assert_str_eq(done, "unload 7; ", "else the next question would meet an open one");
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_UNLOADED, 0));
	cr_assert_str_eq(done, "unload 7; tell 0 ''; ");
}

Test(gswitch, a_host_that_does_not_answer_ends_the_wait, .fini = teardown)
{
	begin(true);
	cr_assert_eq(kt_gswitch_detach(&change, &text, &err), 0);
	cr_assert(kt_gswitch_take(&change, KT_GSCHED_UNLOADED, 10));
	cr_assert_eq(kt_gswitch_look(&change, 10 + KT_GASK_WAIT_NS - 1, &err), 0);
	cr_assert_eq(kt_gswitch_look(&change, 10 + KT_GASK_WAIT_NS, &err), -ETIMEDOUT);
	cr_assert_eq(err.fault, KT_FAULT_PEER);
	kt_gask_seen(&ask, ask.id + 1);
	cr_assert_eq(kt_gswitch_look(&change, 10, &err), 0, "somebody else's answer is none");
}
