#include "worker/guestproc.h"

#include "fake_attempt.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* One process, and what was heard of it. */
struct ear {
	struct fake_home home;
	struct kt_guestprocs procs;
	struct kt_guestproc *proc;
	char heard[256]; /* names of messages; of phases their name */
	size_t frames;
	char log[256];
	unsigned int ends;
	char text[1024];
	bool broke_format;
};

static void on_frame(void *arg, struct kt_arena *arena, const struct kt_message *message,
		     void *frame)
{
	struct ear *ear = arg;
	const struct kt_msg_run_phase *phase = frame;
	const struct kt_msg_run_log *log = frame;

	ear->frames++;
	if (strlen(ear->heard) + 64 < sizeof(ear->heard)) {
		strcat(ear->heard,
		       message->tag == KT_TAG_run_phase ? phase->phase : message->schema->name);
		strcat(ear->heard, " ");
	}
	if (message->tag == KT_TAG_run_log)
		snprintf(ear->log, sizeof(ear->log), "%.*s", (int)log->body.len,
			 (const char *)log->body.data);
}

static void on_ended(void *arg, const struct kt_guestproc_end *end)
{
	struct ear *ear = arg;

	ear->ends++;
	ear->broke_format = end->broke_format;
	snprintf(ear->text, sizeof(ear->text), "%s", end->text);
}

static const struct kt_guestproc_events events = { on_frame, on_ended };

static struct kt_guestproc *spawned(struct ear *ear, const int *fds, size_t n_fds)
{
	struct kt_msg_topology topology = { .name = "t",
					    .numa_nodes = 1,
					    .llcs = 1,
					    .cores = 1,
					    .threads = 1,
					    .mem_bytes = 2 << 20 };
	struct kt_digest kernel = { { 0 } };
	struct kt_msg_run_guest guest = { .role = "cold",
					  .kernel_name = "k",
					  .kernel_path = "/k",
					  .kernel_digest = { kernel.bytes, KT_DIGEST_BYTES },
					  .topology = &topology,
					  .cache_dir = "/",
					  .accel = "tcg",
					  .qemu = "q",
					  .qemu_version = "7",
					  .ktguest = "g" };
	struct kt_guestproc *proc = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_guestproc_spawn(&ear->home.loop, &ear->procs, fds, n_fds, &events, ear,
					&proc, &err),
		     0, "%s", err.text);
	kt_guestproc_tell(proc, KT_TAG_run_guest, &guest);
	return proc;
}

static void begin(struct ear *ear, const char *plays)
{
	*ear = (struct ear){ 0 };
	fake_home_open(&ear->home);
	fake_plays("cold", plays);
	ear->proc = spawned(ear, NULL, 0);
}

static void end(struct ear *ear)
{
	fake_home_close(&ear->home);
	cr_assert_null(ear->procs.first);
}

Test(guestproc, frames_in_pieces_are_heard_whole)
{
	struct ear ear;

	begin(&ear, "crumbs");
	cr_assert(fake_until(&ear.home, ear.ends == 1));
	cr_assert_str_eq(ear.heard, "boot load run ");
	cr_assert_str_eq(ear.text, "exited with status 0");
	end(&ear);
}

static const struct {
	const char *plays;
	const char *text; /* how its description begins */
	bool broke_format;
} ends[] = {
	{ "run+fail", "exited with status 3", false },
	{ "run+crash", "was killed by signal 9 (Killed)", false },
	{ "run+garbage+deaf", "said what cannot be: ", true },
};

Test(guestproc, all_it_said_is_heard_before_its_end_is_told_in_words)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct ear ear;

		begin(&ear, ends[i].plays);
		cr_assert(fake_until(&ear.home, ear.ends == 1), "%s", ends[i].plays);
		cr_assert_str_eq(ear.heard, "boot load run run_log run_sample ", "%s",
				 ends[i].plays);
		cr_assert_eq(strncmp(ear.text, ends[i].text, strlen(ends[i].text)), 0, "%s: %s",
			     ends[i].plays, ear.text);
		cr_assert_eq(ear.broke_format, ends[i].broke_format, "%s", ends[i].plays);
		end(&ear);
		cr_assert_eq(ear.ends, 1);
	}
}

Test(guestproc, nothing_is_heard_behind_what_broke_the_format)
{
	struct ear ear;

	begin(&ear, "garbage+run+deaf");
	cr_assert(fake_until(&ear.home, ear.ends == 1));
	cr_assert_str_eq(ear.heard, "");
	cr_assert(ear.broke_format);
	end(&ear);
}

Test(guestproc, descriptors_arrive_at_4_and_up_in_order)
{
	static const char *const texts[] = { "first", "second", "third" };
	struct ear ear = { 0 };
	int made[3];
	int fds[3];

	fake_home_open(&ear.home);
	fake_plays("cold", "descriptors");
	/* Their own numbers descend. */
	for (int i = 0; i < 3; i++)
		made[i] = memfd_create("given", MFD_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		fds[i] = made[2 - i];
		cr_assert_eq(write(fds[i], texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
	}
	spawned(&ear, fds, 3);
	cr_assert(fake_until(&ear.home, ear.ends == 1));
	cr_assert_eq(strncmp(ear.log, "4=first 5=second 6=third ", 25), 0, "%s", ear.log);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(fcntl(made[i], F_GETFD), FD_CLOEXEC, "still ours, and only ours");
		close(made[i]);
	}
	end(&ear);
}

Test(guestproc, another_one_hears_after_it_was_handed_over)
{
	struct ear first;
	struct ear second = { 0 };
	struct kt_msg_run_phase unused = { .phase = "boot" };

	begin(&first, "up+gate+run");
	cr_assert(fake_until(&first.home, first.frames == 1));
	kt_guestproc_hand_over(first.proc, &events, &second);
	/* What is told goes on as before; that it is not for the process hurts nobody. */
	kt_guestproc_tell(first.proc, KT_TAG_run_phase, &unused);
	fake_open_gate(&first.home);
	cr_assert(fake_until(&first.home, second.ends == 1));
	cr_assert_str_eq(first.heard, "run_up ");
	cr_assert_str_eq(second.heard, "boot load run run_log run_sample ");
	cr_assert_eq(first.ends, 0);
	end(&first);
}

Test(guestproc, who_was_dropped_ends_unheard)
{
	struct ear ear;

	begin(&ear, "up+hang");
	cr_assert(fake_until(&ear.home, ear.frames == 1));
	kt_guestproc_drop(&ear.proc);
	cr_assert_null(ear.proc);
	kt_guestproc_drop(&ear.proc); /* accepts NULL */
	cr_assert(fake_until_ms(&ear.home, 1500, fake_is_alone()), "SIGTERM is enough");
	end(&ear);
	cr_assert_eq(ear.ends, 0);
}

/* Also when what it says fills every buffer on the way. */
Test(guestproc, drop_ends_a_process_that_ignores_SIGTERM)
{
	static const char *const plays[] = { "stubborn+up+deaf", "stubborn+up+flood" };

	for (size_t i = 0; i < 2; i++) {
		struct ear ear;

		begin(&ear, plays[i]);
		cr_assert(fake_until(&ear.home, ear.frames > 0));
		kt_guestproc_drop(&ear.proc);
		cr_assert_not(fake_until_ms(&ear.home, 100, fake_is_alone()), "%s", plays[i]);
		cr_assert(fake_until(&ear.home, fake_is_alone()), "%s", plays[i]);
		end(&ear);
		cr_assert_eq(ear.ends, 0);
	}
}

Test(guestproc, who_is_to_be_killed_soon_is_unless_it_ends_before)
{
	struct ear ear;

	begin(&ear, "deaf");
	kt_guestproc_kill_in(ear.proc, 20);
	cr_assert(fake_until(&ear.home, ear.ends == 1));
	cr_assert_str_eq(ear.text, "was killed by signal 9 (Killed)");
	end(&ear);
	begin(&ear, "fail");
	kt_guestproc_kill_in(ear.proc, 20000);
	cr_assert(fake_until(&ear.home, ear.ends == 1));
	cr_assert_str_eq(ear.text, "exited with status 3");
	end(&ear);
}

Test(guestproc, all_are_gone_when_end_all_returns)
{
	struct ear ear;
	struct kt_guestproc *dropped;
	int64_t before_ns;

	begin(&ear, "stubborn+up+deaf hang flood");
	cr_assert(fake_until(&ear.home, ear.frames == 1));
	spawned(&ear, NULL, 0);
	spawned(&ear, NULL, 0);
	dropped = spawned(&ear, NULL, 0);
	cr_assert(fake_until(&ear.home, fake_count(&ear.home, "cold") == 4));
	kt_guestproc_drop(&dropped);
	before_ns = kt_clock_now_ns();
	kt_guestproc_end_all(&ear.procs, before_ns + 200 * KT_NS_PER_MS);
	cr_assert(fake_is_alone());
	cr_assert_geq(kt_clock_now_ns(), before_ns + 200 * KT_NS_PER_MS,
		      "the stubborn one has until the deadline");
	cr_assert_null(ear.procs.first);
	end(&ear);
	cr_assert_eq(ear.ends, 0);
}

/* No descriptor is free: as on a host that is at its end. */
Test(guestproc, what_cannot_be_started_is_an_error_and_leaves_nothing)
{
	struct ear ear = { 0 };
	struct kt_guestproc *proc = NULL;
	struct kt_err err = { 0 };
	struct rlimit before;
	struct rlimit none;

	fake_home_open(&ear.home);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_assert_lt(kt_guestproc_spawn(&ear.home.loop, &ear.procs, NULL, 0, &events, &ear, &proc,
					&err),
		     0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_eq(strncmp(err.text, "starting the attempt process: ", 30), 0, "%s", err.text);
	cr_assert_null(proc);
	end(&ear);
	cr_assert_eq(ear.ends, 0);
}
