/* The relay between a guest that plays a script and an agent, which is the test. */
#include "worker/shell.h"
#include "worker/load.h"
#include "fake_guest.h"

#include <sys/wait.h>

static struct kt_msg_topology topology = { .name = "1n1l1c1t",
					   .numa_nodes = 1,
					   .llcs = 1,
					   .cores = 1,
					   .threads = 1,
					   .mem_bytes = 1 << 20 };
static struct kt_msg_run_guest guest_of_it = { .role = "cold",
					       .accel = "kvm",
					       .topology = &topology };
static struct kt_msg_arg sh = { "/kt/sh" };
static struct kt_msg_file busybox = { .path = "/kt/sh", .mode = 0755, .bytes = 1 };
static struct kt_msg_shell wanted;
static struct kt_msg_run_start order;

static struct world *looked_at(void (*plays)(struct guest *guest))
{
	struct world *world = world_of(plays);

	wanted = (struct kt_msg_shell){ .args = &sh, .n_args = 1 };
	order = (struct kt_msg_run_start){ .job = &world->job, .shell = &wanted };
	world->attempt.guest = &guest_of_it;
	world->attempt.start = &order;
	world->attempt.kernel_release = "7.2";
	return world;
}

static void tell(struct world *world, uint32_t tag, const void *message)
{
	cr_assert(kt_framelink_push(&world->agent, tag, message));
	cr_assert_eq(kt_framelink_flush(&world->agent, NULL), 0);
}

static void type(struct world *world, const char *text, bool eof)
{
	tell(world, KT_TAG_run_typed,
	     &(struct kt_msg_run_typed){ .body = { (const uint8_t *)text, strlen(text) },
					 .eof = eof });
}

/* What the agent heard, one line per message. */
static const char *heard(struct world *world)
{
	static char text[4096];
	const struct kt_message *message;
	size_t at = 0;
	void *frame;

	text[0] = 0;
	do {
		kt_framelink_flush(&world->attempt.control, NULL);
		kt_framelink_fill(&world->agent, NULL);
		while (kt_framelink_next(&world->agent, &world->arena, &message, &frame, NULL) >
		       0) {
			const struct kt_msg_run_printed *printed = frame;
			const struct kt_msg_run_took *took = frame;
			const struct kt_msg_run_told *told = frame;
			const struct kt_msg_run_phase *phase = frame;
			const struct kt_msg_run_shell_ended *ended = frame;
			size_t room = sizeof(text) - at;
			int n = 0;

			if (message->tag == KT_TAG_run_printed)
				n = snprintf(text + at, room, "%d:%.*s\n", (int)printed->stream,
					     (int)printed->body.len, printed->body.data);
			else if (message->tag == KT_TAG_run_took)
				n = snprintf(text + at, room, "took %d\n", (int)took->bytes);
			else if (message->tag == KT_TAG_run_told)
				n = snprintf(text + at, room, "told %s\n", told->line);
			else if (message->tag == KT_TAG_run_phase)
				n = snprintf(text + at, room, "%s: %s\n", phase->phase,
					     phase->detail);
			else if (message->tag == KT_TAG_run_shell_ended)
				n = snprintf(text + at, room, "ended %d %d\n", (int)ended->status,
					     (int)ended->signal);
			cr_assert_lt((size_t)n, room);
			at += (size_t)n;
		}
	} while (world->attempt.control.out.len > 0);
	return text;
}

/* ---- scripts ---- */

static void say_done(struct guest *guest)
{
	guest_say(guest, KT_TAG_guest_done, &(struct kt_msg_guest_done){ .what = "shell" });
}

static void print(struct guest *guest, uint64_t stream, const char *text)
{
	guest_say(guest, KT_TAG_guest_printed,
		  &(struct kt_msg_guest_printed){
			  .stream = stream, .body = { (const uint8_t *)text, strlen(text) } });
}

static void say_ended(struct guest *guest, uint64_t status, uint64_t signal)
{
	guest_say(guest, KT_TAG_guest_shell_ended,
		  &(struct kt_msg_guest_shell_ended){ .status = status, .signal = signal });
}

static void expect(const void *bin, const char *text)
{
	const struct kt_bin *body = bin;

	if (body->len != strlen(text) || memcmp(body->data, text, body->len) != 0)
		_exit(2);
}

/* Says back what is typed, until its end. */
static void echoes(struct guest *guest)
{
	const struct kt_msg_guest_shell *shell = guest_await(guest, KT_TAG_guest_shell);
	const struct kt_msg_guest_window *window;
	const struct kt_msg_guest_typed *typed;
	const struct kt_msg_guest_showed *showed;

	if (shell->shell->n_files || strcmp(shell->shell->args[0].text, "/kt/sh") != 0)
		_exit(2);
	say_done(guest);
	window = guest_await(guest, KT_TAG_guest_window);
	if (window->rows != 30 || window->cols != 100)
		_exit(2);
	typed = guest_await(guest, KT_TAG_guest_typed);
	expect(&typed->body, "hello");
	guest_say(guest, KT_TAG_guest_took, &(struct kt_msg_guest_took){ .bytes = 5 });
	print(guest, 1, "hello");
	print(guest, 2, "oops");
	showed = guest_await(guest, KT_TAG_guest_showed);
	if (showed->bytes != 9)
		_exit(2);
	typed = guest_await(guest, KT_TAG_guest_typed);
	if (!typed->eof)
		_exit(2);
	say_ended(guest, 7, 0);
}

static void loses_its_scheduler(struct guest *guest)
{
	guest_await(guest, KT_TAG_guest_shell);
	say_done(guest);
	guest_say(guest, KT_TAG_guest_failed,
		  &(struct kt_msg_guest_failed){ .what = "scheduler",
						 .cause = "scheduler_stalled",
						 .line = "it stalled" });
	print(guest, 1, "still here");
	say_ended(guest, 0, 15);
}

static void cannot_start(struct guest *guest)
{
	guest_await(guest, KT_TAG_guest_shell);
	guest_say(guest, KT_TAG_guest_failed,
		  &(struct kt_msg_guest_failed){
			  .what = "shell", .cause = "host_trouble", .line = "no pty" });
}

static void floods(struct guest *guest)
{
	static char bytes[KT_SHELL_PIECE_BYTES_MAX + 1];

	memset(bytes, 'x', sizeof(bytes) - 1);
	guest_await(guest, KT_TAG_guest_shell);
	say_done(guest);
	for (size_t i = 0; i < KT_SHELL_WINDOW_BYTES / KT_SHELL_PIECE_BYTES_MAX; i++)
		print(guest, 1, bytes);
	guest_await(guest, KT_TAG_guest_window); /* until then it kept to its window */
	print(guest, 1, "y");
	say_ended(guest, 0, 0);
}

static void takes_what_nobody_typed(struct guest *guest)
{
	guest_await(guest, KT_TAG_guest_shell);
	say_done(guest);
	guest_say(guest, KT_TAG_guest_took, &(struct kt_msg_guest_took){ .bytes = 1 });
	say_ended(guest, 0, 0);
}

static void says_it_too_early(struct guest *guest)
{
	print(guest, 1, "before there is a shell");
}

static void refuses_its_scheduler(struct guest *guest)
{
	guest_await(guest, KT_TAG_guest_prepare);
	guest_say(guest, KT_TAG_guest_done, &(struct kt_msg_guest_done){ .what = "prepare" });
	guest_await(guest, KT_TAG_guest_load);
	guest_say(guest, KT_TAG_guest_failed,
		  &(struct kt_msg_guest_failed){ .what = "load",
						 .cause = "scheduler_rejected",
						 .line = "the verifier refused it" });
	guest_await(guest, KT_TAG_guest_unload);
	guest_say(guest, KT_TAG_guest_done, &(struct kt_msg_guest_done){ .what = "unload" });
	guest_await(guest, KT_TAG_guest_shell);
	say_done(guest);
	say_ended(guest, 0, 0);
}

/* ---- claims ---- */

Test(shell, what_is_typed_and_printed_goes_through)
{
	struct world *world = looked_at(echoes);

	wanted.files = &busybox;
	wanted.n_files = 1;
	/* What the agent said before the shell is there waits for it. */
	kt_attempt_enter(&world->attempt, KT_ATTEMPT_SHELL, 0, "");
	heard(world);
	tell(world, KT_TAG_run_window, &(struct kt_msg_run_window){ .rows = 30, .cols = 100 });
	type(world, "hello", false);
	world->attempt.shell.printed_bytes = 9; /* the agent is quick in this test */
	tell(world, KT_TAG_run_showed, &(struct kt_msg_run_showed){ .bytes = 9 });
	type(world, "", true);
	kt_shell_run(&world->attempt);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished, "%s", world->attempt.line);
	cr_assert_str_eq(heard(world), "shell: kernel 7.2, scheduler fake, topology 1n1l1c1t, kvm\n"
				       "took 5\n1:hello\n2:oops\nended 7 0\n");
	world_destroy(world);
}

Test(shell, a_lost_scheduler_is_told_and_the_shell_goes_on)
{
	struct world *world = looked_at(loses_its_scheduler);

	kt_shell_run(&world->attempt);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished, "%s", world->attempt.line);
	cr_assert(strstr(heard(world),
			 "told the scheduler is gone, the kernel's own goes on: it stalled\n"
			 "1:still here\nended 0 15\n"));
	world_destroy(world);
}

Test(shell, a_refused_scheduler_ends_a_command_but_not_a_visit)
{
	for (int tty = 0; tty < 2; tty++) {
		struct world *world = looked_at(refuses_its_scheduler);

		wanted.tty = tty;
		kt_load(&world->attempt);
		cr_assert_eq(world->attempt.ending, !tty, "%s", world->attempt.line);
		if (!tty) {
			cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_scheduler_rejected);
			kill(world->attempt.vm.child.pid, SIGKILL);
			world_destroy(world);
			continue;
		}
		kt_shell_run(&world->attempt);
		cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished, "%s", world->attempt.line);
		cr_assert_str_eq(heard(world),
				 "load: \n"
				 "told the verifier refused it; the kernel's own schedules\n"
				 "shell: kernel 7.2, its own scheduler, topology 1n1l1c1t, kvm\n"
				 "ended 0 0\n");
		world_destroy(world);
	}
}

Test(shell, a_guest_that_breaks_the_rules_ends_it)
{
	static const struct {
		void (*plays)(struct guest *guest);
		enum kt_cause_id cause;
		const char *line;
	} rows[] = {
		{ cannot_start, KT_CAUSE_ID_guest_hung, "no pty" },
		{ floods, KT_CAUSE_ID_guest_hung, "the guest prints more than it may" },
		{ takes_what_nobody_typed, KT_CAUSE_ID_guest_hung,
		  "the guest takes more than it may" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *world = looked_at(rows[i].plays);

		kt_attempt_enter(&world->attempt, KT_ATTEMPT_SHELL, 0, "");
		if (rows[i].plays == floods)
			tell(world, KT_TAG_run_window,
			     &(struct kt_msg_run_window){ .rows = 1, .cols = 1 });
		kt_shell_run(&world->attempt);
		cr_assert_eq(world->attempt.cause, rows[i].cause, "%zu: %s", i,
			     world->attempt.line);
		cr_assert(strstr(world->attempt.line, rows[i].line), "%s", world->attempt.line);
		world_destroy(world);
	}
}

Test(shell, nothing_is_printed_before_there_is_a_shell)
{
	struct world *world = looked_at(says_it_too_early);

	while (!world->attempt.ending)
		kt_attempt_pump(&world->attempt, kt_clock_now_ns() + KT_NS_PER_S);
	cr_assert(strstr(world->attempt.line, "guest_printed"), "%s", world->attempt.line);
	cr_assert_null(strstr(heard(world), "before"));
	world_destroy(world);
}
