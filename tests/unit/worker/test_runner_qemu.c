#include "worker/runner.h"

#include "fake_attempt.h"

#include <sys/resource.h>

#define MUCH   (64ull << 30) /* memory for guests: never in the way */
#define LITTLE (64ull << 20) /* enough for templates, and for nobody who stands by */
#define GOOD   "up+start+run+ended"
#define BOOTED "the guest was booted, not restored: "

struct place {
	struct fake_home home;
	char cache[128], qemu[128], ktguest[128];
	struct kt_runner *runner;
};

/* A job, and all that was told of it. */
struct heard {
	struct kt_run *run;
	char phases[128];
	char log[64];
	char sample[64];
	char shell[128];
	unsigned int ends;
	char cause[64], line[256], note[1024];
	char guest[32], template[32];
	int pid; /* of the process that ran it, as it says itself */
	int maker; /* pid of the process that its memory is from */
};

static void on_phase(void *arg, const struct kt_msg_run_phase *phase)
{
	struct heard *heard = arg;

	cr_assert_eq(heard->ends, 0);
	strncat(heard->phases, phase->phase, 32);
	strncat(heard->phases, " ", 2);
}

static void on_sample(void *arg, const void *body, size_t len)
{
	struct heard *heard = arg;

	cr_assert_eq(heard->ends, 0);
	snprintf(heard->sample, sizeof(heard->sample), "%.*s", (int)len, (const char *)body);
}

static void on_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	struct heard *heard = arg;

	cr_assert_eq(heard->ends, 0);
	snprintf(heard->log, sizeof(heard->log), "%s: %.*s", stream, (int)len, (const char *)bytes);
}

static void on_ended(void *arg, const struct kt_msg_result *result)
{
	struct heard *heard = arg;

	heard->ends++;
	heard->run = NULL;
	snprintf(heard->cause, sizeof(heard->cause), "%s", result->cause);
	snprintf(heard->line, sizeof(heard->line), "%s", result->line);
	snprintf(heard->note, sizeof(heard->note), "%s", result->note ? result->note : "");
	snprintf(heard->guest, sizeof(heard->guest), "%s", result->machine->guest);
	if (result->machine->template)
		snprintf(heard->template, sizeof(heard->template), "%s", result->machine->template);
	heard->pid = atoi(result->line);
	heard->maker = result->evidence ? atoi(result->evidence) : 0;
	cr_assert_str_eq(result->machine->runner, "qemu");
	cr_assert_str_eq(result->machine->accel, "tcg");
}

static void on_shell(void *arg, uint32_t tag, const void *frame)
{
	struct heard *heard = arg;
	const struct kt_msg_run_printed *printed = frame;
	const struct kt_msg_run_took *took = frame;
	const struct kt_msg_run_told *told = frame;
	const struct kt_msg_run_shell_ended *ended = frame;
	size_t at = strlen(heard->shell);
	size_t room = sizeof(heard->shell) - at;

	cr_assert_eq(heard->ends, 0);
	if (tag == KT_TAG_run_printed)
		snprintf(heard->shell + at, room, "%d:%.*s ", (int)printed->stream,
			 (int)printed->body.len, printed->body.data);
	else if (tag == KT_TAG_run_took)
		snprintf(heard->shell + at, room, "took %d ", (int)took->bytes);
	else if (tag == KT_TAG_run_told)
		snprintf(heard->shell + at, room, "%s ", told->line);
	else if (tag == KT_TAG_run_shell_ended)
		snprintf(heard->shell + at, room, "ended %d", (int)ended->status);
}

static const struct kt_run_events events = { on_phase, on_sample, on_log, on_ended, on_shell };
static const struct kt_msg_shell *shell_wanted; /* in place of the job's scenario */
static bool is_single;

/* A program that is a QEMU as far as its version is asked for. */
static void install_qemu(const struct place *p, const char *version)
{
	char path[160];
	FILE *file;

	/* Nobody may have it open for writing when it runs: a child of another test's fork could. */
	snprintf(path, sizeof(path), "%s.new", p->qemu);
	file = fopen(path, "we");
	cr_assert_not_null(file);
	fprintf(file, "#!/bin/sh\necho \"QEMU emulator version %s\"\n", version);
	fclose(file);
	cr_assert_eq(chmod(path, 0755), 0);
	cr_assert_eq(rename(path, p->qemu), 0);
}

static void begin(struct place *p, uint64_t mem_bytes)
{
	struct kt_runner_config config = { .cache_dir = p->cache,
					   .accel = "tcg",
					   .qemu = p->qemu,
					   .ktguest = p->ktguest,
					   .cpu_model = "some CPU",
					   .slots = 4,
					   .single = is_single,
					   .mem_bytes = mem_bytes,
					   .cache_bytes_max = 1 << 30 };
	struct kt_err err = { 0 };

	*p = (struct place){ 0 };
	fake_home_open(&p->home);
	snprintf(p->cache, sizeof(p->cache), "%s/cache", p->home.dir);
	snprintf(p->qemu, sizeof(p->qemu), "%s/qemu", p->home.dir);
	snprintf(p->ktguest, sizeof(p->ktguest), "%s/ktguest", p->home.dir);
	cr_assert_eq(mkdir(p->cache, 0755), 0);
	install_qemu(p, "7.2.22");
	close(open(p->ktguest, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	fake_plays("template", "fill+saved");
	fake_plays("warm", GOOD);
	fake_plays("cold", "start+run+ended");
	cr_assert_eq(kt_runner_qemu.open(&p->home.loop, &config, &p->runner, &err), 0, "%s",
		     err.text);
}

/* When this returns, nothing of it is left. */
static void end(struct place *p)
{
	kt_runner_qemu.destroy(&p->runner);
	cr_assert(fake_is_alone(), "all processes are gone when destroy returns");
	fake_home_close(&p->home);
}

/* kernel: a letter. Another one is another template. */
static int start_job(struct place *p, struct heard *heard, char kernel_name, const char *guest,
		     uint64_t renew, struct kt_err *err)
{
	char name[2] = { kernel_name };
	struct kt_digest digest;
	struct kt_msg_kernel kernel = { .name = name };
	struct kt_msg_scheduler scheduler = { .name = "scx_none" };
	struct kt_msg_topology topology = { .name = "t",
					    .numa_nodes = 2,
					    .llcs = 2,
					    .cores = 1,
					    .threads = 1,
					    .mem_bytes = 4 << 20 };
	struct kt_msg_step step = { .hold_ns = 1 };
	struct kt_msg_scenario scenario = {
		.name = "s", .duration_ns = 1, .steps = &step, .n_steps = 1
	};
	struct kt_msg_job job = { .cell_name = "c",
				  .kernel = &kernel,
				  .scheduler = &scheduler,
				  .topology = &topology,
				  .scenario = &scenario,
				  .guest = guest,
				  .template_renew = renew };
	struct kt_msg_local_file file = { .path = "/kernel" };

	kt_digest_of(name, 1, &digest);
	kernel.digest = file.digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
	*heard = (struct heard){ 0 };
	if (shell_wanted)
		return kt_runner_qemu.start_shell(p->runner, &job, shell_wanted, &file, 1, &events,
						  heard, &heard->run, err);
	return kt_runner_qemu.start(p->runner, &job, &file, kernel_name != '-', &events, heard,
				    &heard->run, err);
}

static void start(struct place *p, struct heard *heard, char kernel, const char *guest,
		  uint64_t renew)
{
	struct kt_err err = { 0 };

	cr_assert_eq(start_job(p, heard, kernel, guest, renew, &err), 0, "%s", err.text);
	cr_assert_eq(heard->ends + strlen(heard->phases), 0, "never from inside start()");
}

static void start_warm(struct place *p, struct heard *heard)
{
	start(p, heard, 'k', "", 0);
}

static void wait_end(struct place *p, struct heard *heard)
{
	cr_assert(fake_until(&p->home, heard->ends == 1));
}

static void run_warm(struct place *p, struct heard *heard)
{
	start_warm(p, heard);
	wait_end(p, heard);
}

static void assert_finished(const struct heard *heard, const char *guest)
{
	cr_assert_str_eq(heard->cause, "finished", "%s: %s", heard->cause, heard->line);
	cr_assert_str_eq(heard->guest, guest);
	cr_assert_eq(heard->ends, 1);
}

static size_t count(const struct place *p, const char *role)
{
	return fake_count(&p->home, role);
}

static void cancel(struct heard *heard)
{
	unsigned int ends = heard->ends;

	kt_runner_qemu.cancel(heard->run, "a test");
	cr_assert_eq(heard->ends, ends, "never from inside cancel()");
}

static void assert_cancelled(const struct heard *heard)
{
	cr_assert_eq(heard->ends, 1);
	cr_assert_str_eq(heard->cause, "cancelled");
}

/* ---- a shell ---- */

Test(runner_qemu, a_shell_takes_the_scenarios_place_and_is_talked_to)
{
	static const char *const guests[] = { "cold", "" };
	struct kt_msg_arg arg = { "/kt/sh" };
	struct kt_msg_shell shell = { .args = &arg, .n_args = 1 };
	struct kt_msg_run_typed typed = { .body = { (const uint8_t *)"hello", 5 } };

	for (size_t i = 0; i < 2; i++) {
		struct place p;
		struct heard heard;

		shell_wanted = &shell;
		begin(&p, MUCH);
		fake_plays("cold", "start+shell+ended");
		fake_plays("warm", "up+start+shell+ended");
		start(&p, &heard, 'k', guests[i], 0);
		cr_assert(fake_until(&p.home, strstr(heard.phases, "shell")));
		kt_runner_qemu.tell_shell(heard.run, KT_TAG_run_typed, &typed);
		wait_end(&p, &heard);
		assert_finished(&heard, i == 0 ? "cold" : "warm");
		cr_assert_str_eq(heard.shell, "took 5 2:hello a line ended 7");
		end(&p);
		shell_wanted = NULL;
	}
}

Test(runner_qemu, nobody_stands_by_for_who_runs_one_job_only)
{
	struct place p;
	struct heard heard;

	is_single = true;
	begin(&p, MUCH);
	fake_plays("warm", "up+start+hang");
	start_warm(&p, &heard);
	cr_assert(fake_until(&p.home, count(&p, "up") == 1));
	cr_assert(fake_not(&p.home, count(&p, "warm") > 1));
	cancel(&heard);
	wait_end(&p, &heard);
	end(&p);
	is_single = false;
}

/* ---- cold and warm ---- */

Test(runner_qemu, a_cold_job_is_booted_and_all_that_is_said_of_it_is_passed_on)
{
	struct place p;
	struct heard heard;

	begin(&p, MUCH);
	start(&p, &heard, 'k', "cold", 0);
	wait_end(&p, &heard);
	assert_finished(&heard, "cold");
	cr_assert_str_eq(heard.phases, "boot load run ");
	cr_assert_str_eq(heard.log, "console: hello");
	cr_assert_str_eq(heard.sample, "sample");
	cr_assert_str_eq(heard.note, "");
	cr_assert_eq(heard.pid, fake_pid(&p.home, "cold", 0, NULL));
	cr_assert_eq(count(&p, "cold"), 1);
	cr_assert_eq(count(&p, "warm") + count(&p, "template"), 0);
	end(&p);
}

Test(runner_qemu, warm_jobs_get_guests_from_one_template)
{
	struct place p;
	struct heard heard[3];
	char template[32];

	begin(&p, 0);
	for (size_t i = 0; i < 3; i++)
		start_warm(&p, &heard[i]);
	for (size_t i = 0; i < 3; i++) {
		wait_end(&p, &heard[i]);
		assert_finished(&heard[i], "warm");
		cr_assert_str_eq(heard[i].note, "");
		cr_assert_eq(heard[i].maker, fake_pid(&p.home, "template", 0, NULL));
		fake_pid(&p.home, "warm", 0, template);
		cr_assert_str_eq(heard[i].template, template);
		cr_assert_eq(strlen(template), 16);
	}
	cr_assert_eq(count(&p, "template"), 1);
	cr_assert_eq(count(&p, "warm"), 3);
	cr_assert_eq(count(&p, "cold"), 0);
	end(&p);
}

Test(runner_qemu, a_job_whose_kernel_is_not_here_is_not_begun)
{
	struct place p;
	struct heard heard;
	struct kt_err err = { 0 };

	begin(&p, 0);
	cr_assert_eq(start_job(&p, &heard, '-', "cold", 0, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	end(&p);
}

Test(runner_qemu, a_qemu_that_is_gone_is_said_and_found_again)
{
	struct place p;
	struct heard heard;

	begin(&p, 0);
	cr_assert_eq(unlink(p.qemu), 0);
	run_warm(&p, &heard);
	cr_assert_str_eq(heard.cause, "qemu_missing");
	cr_assert_eq(count(&p, "warm") + count(&p, "template") + count(&p, "cold"), 0);
	install_qemu(&p, "7.2.22");
	run_warm(&p, &heard);
	assert_finished(&heard, "warm");
	end(&p);
}

Test(runner_qemu, another_qemu_is_another_template)
{
	struct place p;
	struct heard before;
	struct heard after;

	begin(&p, MUCH);
	run_warm(&p, &before);
	install_qemu(&p, "7.2.23");
	run_warm(&p, &after);
	assert_finished(&after, "warm");
	cr_assert_str_neq(after.template, before.template);
	cr_assert_eq(count(&p, "template"), 2);
	end(&p);
}

/* ---- when restoring does not work ---- */

static const struct {
	const char *plays;
	const char *why;
} broken[] = {
	{ "broke", "the fake broke" },
	{ "crash", "the process that restored it was killed by signal 9 (Killed)" },
	{ "fail", "the process that restored it exited with status 3" },
	{ "garbage+deaf", "the process that restored it said what cannot be: " },
};

Test(runner_qemu, a_restore_that_breaks_is_tried_again)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct place p;
		struct heard heard;
		char plays[128];

		begin(&p, 0);
		snprintf(plays, sizeof(plays), "%s " GOOD, broken[i].plays);
		fake_plays("warm", plays);
		run_warm(&p, &heard);
		assert_finished(&heard, "warm");
		cr_assert_str_eq(heard.note, "", "%s", broken[i].plays);
		cr_assert_eq(count(&p, "warm"), 2, "%s", broken[i].plays);
		run_warm(&p, &heard);
		cr_assert_eq(count(&p, "template"), 1, "once is no reason to drop it");
		end(&p);
	}
}

Test(runner_qemu, the_second_restore_that_breaks_is_a_boot_that_says_why)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct place p;
		struct heard heard;
		char plays[128];

		begin(&p, 0);
		snprintf(plays, sizeof(plays), "fail %s " GOOD, broken[i].plays);
		fake_plays("warm", plays);
		run_warm(&p, &heard);
		assert_finished(&heard, "cold");
		cr_assert_eq(strncmp(heard.note, BOOTED, strlen(BOOTED)), 0, "%s", heard.note);
		cr_assert_eq(strncmp(heard.note + strlen(BOOTED), broken[i].why,
				     strlen(broken[i].why)),
			     0, "%s", heard.note);
		cr_assert_eq(count(&p, "warm"), 2, "%s", broken[i].plays);
		cr_assert_eq(count(&p, "cold"), 1, "%s", broken[i].plays);
		run_warm(&p, &heard);
		assert_finished(&heard, "warm");
		cr_assert_eq(count(&p, "template"), 2, "that template is gone");
		end(&p);
	}
}

/* Nothing is wrong with the template, and no time is lost with more of them. */
Test(runner_qemu, a_host_that_cannot_have_restored_guests_boots_from_then_on)
{
	for (int stands_by = 0; stands_by < 2; stands_by++) {
		struct place p;
		struct heard heard;

		begin(&p, stands_by ? MUCH : 0);
		fake_plays("warm", "never");
		for (size_t i = 0; i < 3; i++) {
			run_warm(&p, &heard);
			assert_finished(&heard, "cold");
			cr_assert_str_eq(heard.note, BOOTED "not on this host");
		}
		cr_assert_eq(count(&p, "warm"), stands_by ? 2 : 1);
		cr_assert_eq(count(&p, "template"), 1);
		end(&p);
	}
}

Test(runner_qemu, a_template_that_cannot_be_made_is_a_boot_that_says_why)
{
	struct place p;
	struct heard heard[2];

	begin(&p, MUCH);
	fake_plays("template", "broke");
	start_warm(&p, &heard[0]);
	start_warm(&p, &heard[1]);
	for (size_t i = 0; i < 2; i++) {
		wait_end(&p, &heard[i]);
		assert_finished(&heard[i], "cold");
		cr_assert_str_eq(heard[i].note,
				 BOOTED "making a template: qemu_died: the fake broke");
	}
	cr_assert_eq(count(&p, "warm"), 0);
	cr_assert_eq(count(&p, "template"), 1);
	end(&p);
}

/* ---- when a job's process dies ---- */

static const struct {
	const char *role;
	const char *plays;
	const char *how;
} dying[] = {
	{ "cold", "start+run+crash", "was killed by signal 9 (Killed)" },
	{ "cold", "start+run+fail", "exited with status 3" },
	{ "cold", "start+fail", "exited with status 3" },
	{ "cold", "start+run+garbage+deaf", "said what cannot be: " },
	{ "cold", "start+run+broke", "exited with status 1" }, /* a lie: it has run */
	{ "warm", "up+start+run+crash", "was killed by signal 9 (Killed)" },
	{ "warm", "up+start+run+broke", "exited with status 1" }, /* the same */
};

Test(runner_qemu, a_process_that_dies_in_the_middle_of_a_job_is_runner_crashed)
{
	for (size_t i = 0; i < sizeof(dying) / sizeof(dying[0]); i++) {
		struct place p;
		struct heard heard;
		char line[256];

		begin(&p, 0);
		fake_plays(dying[i].role, dying[i].plays);
		start(&p, &heard, 'k', strcmp(dying[i].role, "cold") == 0 ? "cold" : "", 0);
		wait_end(&p, &heard);
		snprintf(line, sizeof(line), "the process that ran the attempt %s", dying[i].how);
		cr_assert_str_eq(heard.cause, "runner_crashed", "%s", dying[i].plays);
		cr_assert_eq(strncmp(heard.line, line, strlen(line)), 0, "%s: %s", dying[i].plays,
			     heard.line);
		cr_assert_str_eq(heard.guest, dying[i].role);
		cr_assert_eq(count(&p, "cold") + count(&p, "warm"), 1, "it is not tried again");
		end(&p);
		cr_assert_eq(heard.ends, 1);
	}
}

Test(runner_qemu, a_result_stands_whatever_its_process_does_next)
{
	static const char *const plays[] = { "start+run+ended+crash", "start+run+ended+lied",
					     "start+run+ended+broke", "start+run+ended+garbage",
					     "up+start+run+ended" };

	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		struct place p;
		struct heard heard;

		begin(&p, 0);
		fake_plays("cold", plays[i]);
		start(&p, &heard, 'k', "cold", 0);
		wait_end(&p, &heard);
		assert_finished(&heard, "cold");
		end(&p);
		cr_assert_eq(heard.ends, 1);
	}
}

/* Descriptors run out, one by one. Both templates are in memory: only the processes are missing. */
Test(runner_qemu, a_process_that_cannot_be_started_is_the_hosts_trouble)
{
	struct place p;
	struct heard heard;
	struct rlimit before;
	struct rlimit few;

	begin(&p, LITTLE);
	start(&p, &heard, 'a', "", 0);
	wait_end(&p, &heard);
	start(&p, &heard, 'b', "", 0);
	wait_end(&p, &heard);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (few = before, few.rlim_cur = fake_count_fds() + 8; few.rlim_cur > 0; few.rlim_cur--) {
		start(&p, &heard, few.rlim_cur % 2 ? 'a' : 'b', "", 0);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
		cr_assert(fake_until(&p.home, heard.ends == 1));
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
		cr_assert(strcmp(heard.cause, "finished") == 0 ||
				  strcmp(heard.cause, "host_trouble") == 0,
			  "%s: %s", heard.cause, heard.line);
	}
	cr_assert_str_eq(heard.cause, "host_trouble");
	start(&p, &heard, 'a', "", 0);
	wait_end(&p, &heard);
	assert_finished(&heard, "warm");
	end(&p);
}

/* ---- guests that stand by ---- */

Test(runner_qemu, the_next_job_finds_its_guest_standing_by)
{
	struct place p;
	struct heard first;
	struct heard second;
	pid_t pids[2];

	begin(&p, MUCH);
	run_warm(&p, &first);
	cr_assert(fake_until(&p.home, count(&p, "warm") == 2));
	for (size_t i = 0; i < 2; i++)
		pids[i] = fake_pid(&p.home, "warm", i, NULL);
	run_warm(&p, &second);
	assert_finished(&second, "warm");
	cr_assert_neq(second.pid, first.pid);
	cr_assert(second.pid == pids[0] || second.pid == pids[1]);
	cr_assert_str_eq(second.template, first.template);
	end(&p);
}

Test(runner_qemu, one_stands_by_for_each_that_runs)
{
	struct place p;
	struct heard heard[3];

	begin(&p, MUCH);
	fake_plays("warm", "up+start+run+hang");
	for (size_t i = 0; i < 3; i++)
		start_warm(&p, &heard[i]);
	cr_assert(fake_until(&p.home, count(&p, "warm") == 6));
	cr_assert(fake_not(&p.home, count(&p, "warm") > 6));
	for (size_t i = 0; i < 3; i++)
		cr_assert_str_eq(heard[i].phases, "boot boot load run ");
	end(&p);
}

Test(runner_qemu, without_memory_nobody_stands_by)
{
	struct place p;
	struct heard heard;

	begin(&p, 0);
	for (size_t i = 1; i <= 3; i++) {
		run_warm(&p, &heard);
		assert_finished(&heard, "warm");
		cr_assert(fake_not(&p.home, count(&p, "warm") > i));
	}
	cr_assert(fake_is_alone());
	end(&p);
}

Test(runner_qemu, nobody_stands_by_for_cold_jobs)
{
	struct place p;
	struct heard heard;

	begin(&p, MUCH);
	fake_plays("cold", "start+run+hang");
	start(&p, &heard, 'k', "cold", 0);
	cr_assert(fake_until(&p.home, *heard.sample));
	cr_assert(fake_not(&p.home, count(&p, "warm") > 0));
	end(&p);
}

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) < 0;
}

Test(runner_qemu, who_stands_by_for_another_kernel_is_let_go)
{
	struct place p;
	struct heard first;
	struct heard second;
	pid_t pids[2];

	begin(&p, MUCH);
	run_warm(&p, &first);
	cr_assert(fake_until(&p.home, count(&p, "warm") == 2));
	for (size_t i = 0; i < 2; i++)
		pids[i] = fake_pid(&p.home, "warm", i, NULL);
	start(&p, &second, 'x', "", 0);
	wait_end(&p, &second);
	assert_finished(&second, "warm");
	cr_assert_str_neq(second.template, first.template);
	cr_assert(fake_until_ms(&p.home, 3000, is_gone(pids[0]) && is_gone(pids[1])));
	end(&p);
}

/* Two jobs: the first and its spare were started together, the second takes that and gets a spare of its own, the
 * third of all. It plays what is asked for.
 */
static void run_two_jobs(struct place *p, const char *third)
{
	char plays[128];
	struct heard heard;

	begin(p, MUCH);
	snprintf(plays, sizeof(plays), GOOD " " GOOD " %s " GOOD, third);
	fake_plays("warm", plays);
	run_warm(p, &heard);
	cr_assert(fake_until(&p->home, count(p, "warm") == 2));
	run_warm(p, &heard);
	assert_finished(&heard, "warm");
	cr_assert(fake_until(&p->home, count(p, "warm") == 3));
	fake_turn(&p->home, 150); /* what else it says is heard */
}

static const char *const dying_idle[] = { "up+crash",
					  "crash",
					  "up+broke",
					  "broke",
					  "up+garbage+deaf",
					  "broke_and_stays+deaf",
					  "up+broke_and_stays+deaf" };

Test(runner_qemu, who_dies_while_it_stands_by_is_nobodys_result)
{
	for (size_t i = 0; i < sizeof(dying_idle) / sizeof(dying_idle[0]); i++) {
		struct place p;
		struct heard heard;

		run_two_jobs(&p, dying_idle[i]);
		run_warm(&p, &heard);
		assert_finished(&heard, "warm");
		cr_assert_str_eq(heard.note, "", "%s", dying_idle[i]);
		cr_assert_neq(heard.pid, fake_pid(&p.home, "warm", 2, NULL), "%s", dying_idle[i]);
		cr_assert_eq(count(&p, "template"), 1, "%s", dying_idle[i]);
		end(&p);
	}
}

/* It is dead when it gets the job, and the runner has not heard of it yet. */
Test(runner_qemu, who_died_unheard_while_it_stood_by_is_nobodys_result)
{
	struct place p;
	struct heard heard;
	pid_t pid;

	run_two_jobs(&p, "up+hang");
	pid = fake_pid(&p.home, "warm", 2, NULL);
	fake_kill(pid);
	run_warm(&p, &heard);
	assert_finished(&heard, "warm");
	cr_assert_neq(heard.pid, pid);
	end(&p);
}

Test(runner_qemu, what_kills_guests_that_stand_by_does_not_cost_the_template)
{
	struct place p;
	struct heard heard[2];

	begin(&p, MUCH);
	fake_plays("warm", "up+start+run+hang");
	start_warm(&p, &heard[0]);
	start_warm(&p, &heard[1]);
	cr_assert(fake_until(&p.home, *heard[0].sample && *heard[1].sample));
	cr_assert(fake_until(&p.home, count(&p, "up") == 4));
	fake_turn(&p.home, 20); /* and the runner has heard it */
	fake_plays("warm", GOOD);
	for (size_t i = 0; i < 4; i++)
		fake_kill(fake_pid(&p.home, "warm", i, NULL));
	wait_end(&p, &heard[0]);
	wait_end(&p, &heard[1]);
	run_warm(&p, &heard[0]);
	assert_finished(&heard[0], "warm");
	cr_assert_eq(count(&p, "template"), 1);
	end(&p);
}

/* ---- renewal ---- */

Test(runner_qemu, a_template_serves_as_many_jobs_as_it_may)
{
	struct place p;
	struct heard heard[5];

	begin(&p, 0);
	for (size_t i = 0; i < 5; i++) {
		start(&p, &heard[i], 'k', "", 2);
		wait_end(&p, &heard[i]);
		assert_finished(&heard[i], "warm");
		if (i > 0)
			cr_assert_eq(strcmp(heard[i].template, heard[i - 1].template) != 0,
				     i % 2 == 0, "job %zu", i);
	}
	cr_assert_eq(count(&p, "template"), 3);
	end(&p);
}

/* Those who stand by are counted, whether they get a job or not. */
Test(runner_qemu, no_template_serves_more_with_guests_that_stand_by)
{
	struct place p;
	struct heard heard[8];
	char id[32];

	begin(&p, MUCH);
	for (size_t i = 0; i < 8; i += 2) {
		start(&p, &heard[i], 'k', "", 3);
		start(&p, &heard[i + 1], 'k', "", 3);
		wait_end(&p, &heard[i]);
		wait_end(&p, &heard[i + 1]);
		assert_finished(&heard[i], "warm");
		assert_finished(&heard[i + 1], "warm");
	}
	for (size_t i = 0; i < 8; i++) {
		size_t served = 0;

		for (size_t k = 0; k < count(&p, "warm"); k++) {
			fake_pid(&p.home, "warm", k, id);
			served += strcmp(id, heard[i].template) == 0;
		}
		cr_assert_leq(served, 3);
	}
	end(&p);
}

/* ---- the end ---- */

static const struct {
	const char *stage;
	const char *guest;
	const char *template, *warm, *cold; /* what they play */
	const char *process; /* one of this role is there */
	bool runs;
} stages[] = {
	{ "just started", "", "hang", "hang", "hang", NULL, false },
	{ "waiting for a template", "", "hang", "hang", "hang", "template", false },
	{ "restoring", "", "fill+saved", "hang", "hang", "warm", false },
	{ "running, restored", "", "fill+saved", "up+start+run+hang", "hang", "warm", true },
	{ "booting", "cold", "hang", "hang", "hang", "cold", false },
	{ "running, booted", "cold", "hang", "hang", "start+run+hang", "cold", true },
};
#define N_STAGES (sizeof(stages) / sizeof(stages[0]))

static void begin_at(struct place *p, size_t stage, struct heard *heard)
{
	begin(p, MUCH);
	fake_plays("template", stages[stage].template);
	fake_plays("warm", stages[stage].warm);
	fake_plays("cold", stages[stage].cold);
	start(p, heard, 'k', stages[stage].guest, 0);
	if (stages[stage].process)
		cr_assert(fake_until(&p->home, count(p, stages[stage].process) > 0), "%s",
			  stages[stage].stage);
	if (stages[stage].runs)
		cr_assert(fake_until(&p->home, *heard->sample), "%s", stages[stage].stage);
}

Test(runner_qemu, who_is_cancelled_ends_once_at_every_stage)
{
	for (size_t i = 0; i < N_STAGES; i++) {
		struct place p;
		struct heard heard;

		begin_at(&p, i, &heard);
		cancel(&heard);
		cancel(&heard); /* twice is once */
		wait_end(&p, &heard);
		assert_cancelled(&heard);
		cr_assert(fake_not(&p.home, heard.ends > 1), "%s", stages[i].stage);
		cr_assert_eq(count(&p, "cold"), i >= 4, "%s: it is not booted instead",
			     stages[i].stage);
		end(&p);
		cr_assert_eq(heard.ends, 1);
	}
}

Test(runner_qemu, who_waits_for_the_same_template_is_not_cancelled_with_the_first)
{
	struct place p;
	struct heard first;
	struct heard second;

	begin(&p, 0);
	fake_plays("template", "gate+fill+saved");
	start_warm(&p, &first);
	start_warm(&p, &second);
	cr_assert(fake_until(&p.home, count(&p, "template") == 1));
	cancel(&first);
	wait_end(&p, &first);
	assert_cancelled(&first);
	fake_open_gate(&p.home);
	wait_end(&p, &second);
	assert_finished(&second, "warm");
	cr_assert_eq(count(&p, "template"), 1);
	end(&p);
}

/* Seconds, by the limits in runner_qemu.c: of both at the same time. */
Test(runner_qemu, who_does_not_end_when_it_should_is_killed)
{
	struct place p;
	struct heard cancelled;
	struct heard finished;

	begin(&p, 0);
	fake_plays("warm", "up+start+run+stubborn+deaf");
	fake_plays("cold", "start+run+ended+stubborn+deaf");
	start_warm(&p, &cancelled);
	start(&p, &finished, 'k', "cold", 0);
	cr_assert(fake_until(&p.home, *cancelled.sample && *finished.sample));
	cancel(&cancelled);
	wait_end(&p, &cancelled);
	wait_end(&p, &finished);
	assert_cancelled(&cancelled);
	cr_assert_str_eq(cancelled.line, "a test");
	assert_finished(&finished, "cold");
	end(&p);
}

Test(runner_qemu, destroyed_at_any_stage_it_is_gone_and_calls_nobody)
{
	for (size_t i = 0; i < N_STAGES; i++) {
		struct place p;
		struct heard heard;
		char phases[sizeof(heard.phases)];

		begin_at(&p, i, &heard);
		memcpy(phases, heard.phases, sizeof(phases));
		end(&p);
		cr_assert_eq(heard.ends, 0, "%s", stages[i].stage);
		cr_assert_str_eq(heard.phases, phases, "%s", stages[i].stage);
	}
}

/* Jobs that run, guests that stand by and are being restored, one that boots, makers: one ignores SIGTERM. */
Test(runner_qemu, destroyed_with_everything_under_way_it_leaves_no_process)
{
	struct place p;
	struct heard heard[6];

	begin(&p, MUCH);
	fake_plays("template", "fill+saved stubborn+deaf hang");
	fake_plays("warm", "up+start+run+hang up+start+run+hang hang");
	fake_plays("cold", "start+run+hang");
	start_warm(&p, &heard[0]);
	start_warm(&p, &heard[1]);
	cr_assert(fake_until(&p.home, count(&p, "warm") == 4));
	start(&p, &heard[2], 'k', "cold", 0);
	start(&p, &heard[3], 'x', "", 0);
	cr_assert(fake_until(&p.home, count(&p, "template") == 2));
	start(&p, &heard[4], 'y', "", 0);
	cr_assert(fake_until(&p.home, *heard[2].sample && count(&p, "template") == 3));
	start(&p, &heard[5], 'z', "", 0); /* and one that has not begun */
	end(&p);
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(heard[i].ends, 0);
}
