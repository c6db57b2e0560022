/* fake_attempt.h - an attempt process without a guest, for the tests of those who keep some: guestproc.c, stock.c,
 * runner_qemu.c.
 *
 * guestproc.c starts /proc/self/exe as "ktworker attempt". In a test that is the test's own program: a
 * constructor sees the words before main() does and plays the process. It speaks runner.def over descriptor 3
 * and fills or reads a template's memory from descriptor 4 on, as worker/attempt_main.h says it.
 *
 *	fake_plays("template", "fill+saved");
 *	fake_plays("warm", "broke up+start+run+ended");
 *
 * What a process of a role plays are steps (fake_steps below), one after the other. The second one of a role plays
 * the second word, and so on; the last word is for all that follow. A home is where each of them leaves its
 * pid (in a file named by its role; once it was up, in "up"), and the loop that a test turns.
 */
#ifndef FAKE_ATTEMPT_H
#define FAKE_ATTEMPT_H

#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/attempt_main.h"
#include "worker/framelink.h"
#include "worker/core/topology.h"
#include "worker/qemu.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <uv.h>

#define FAKE_STATE_FD (KT_ATTEMPT_MAIN_FD + 1)
#define FAKE_RAM_FD   (KT_ATTEMPT_MAIN_FD + 2) /* and on, one per NUMA node */
#define FAKE_PAGE     4096
#define FAKE_RELEASE  "7.2.13-fake"

/* ---- the process ---- */

struct fake {
	struct kt_framelink link;
	struct kt_arena arena;
	const struct kt_msg_run_guest *guest;
	const struct kt_msg_run_start *start;
	bool is_up; /* it has said so */
	struct kt_buf typed; /* to its shell */
	char maker[16]; /* pid of the process that the template's memory is from */
};

static inline void fake_say(struct fake *fake, uint32_t tag, const void *message)
{
	kt_must(kt_framelink_push(&fake->link, tag, message));
	while (fake->link.out.len > 0) {
		struct pollfd fd = { .fd = fake->link.fd, .events = POLLOUT };

		poll(&fd, 1, -1);
		if (kt_framelink_flush(&fake->link, NULL) < 0)
			_exit(1);
	}
}

/* Adds a line with its pid to the file in the home; returns how many there were before. */
static inline size_t fake_sign(const struct fake *fake, const char *name)
{
	char path[256];
	char text[4096];
	size_t before = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", getenv("FAKE_HOME"), name);
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	kt_must(fd >= 0);
	flock(fd, LOCK_EX);
	n = pread(fd, text, sizeof(text), 0);
	for (ssize_t i = 0; i < n; i++)
		before += text[i] == '\n';
	dprintf(fd, "%d %s\n", (int)getpid(), fake->guest->template);
	close(fd);
	return before;
}

static inline void fake_end(struct fake *fake, const char *cause, const char *evidence)
{
	const struct kt_msg_run_guest *guest = fake->guest;
	char line[64];
	struct kt_msg_machine machine = { .runner = "qemu",
					  .accel = guest->accel,
					  .guest = guest->role,
					  .qemu = guest->qemu_version,
					  .kernel_release = guest->kernel_release,
					  .template = guest->template };
	struct kt_msg_result result = { .cause = cause,
					.line = line,
					.evidence = evidence,
					.note = fake->start->note,
					.machine = &machine };
	struct kt_msg_run_ended ended = { .result = &result };

	snprintf(line, sizeof(line), "%d", (int)getpid());
	fake_say(fake, KT_TAG_run_ended, &ended);
}

static inline void fake_break(struct fake *fake, const char *cause, const char *line)
{
	struct kt_msg_run_broke broke = { .cause = cause, .line = line };

	fake_say(fake, KT_TAG_run_broke, &broke);
	_exit(1);
}

/* As the real one: who has no job says that there is no guest, the others how the job ended. */
static inline void fake_be_cancelled(struct fake *fake, const char *reason)
{
	if (!fake->start || (strcmp(fake->guest->role, "warm") == 0 && !fake->is_up))
		fake_break(fake, "cancelled", reason);
	fake_end(fake, "cancelled", "");
	_exit(0);
}

/* Takes in what the agent says, for so long at most. Does not return when it is gone. */
static inline void fake_listen(struct fake *fake, int ms)
{
	struct pollfd fd = { .fd = fake->link.fd, .events = POLLIN };
	const struct kt_message *message;
	void *frame;

	poll(&fd, 1, ms);
	if (kt_framelink_fill(&fake->link, NULL) < 0 || fake->link.eof)
		_exit(1);
	while (kt_framelink_next(&fake->link, &fake->arena, &message, &frame, NULL) > 0) {
		if (message->tag == KT_TAG_run_guest)
			fake->guest = frame;
		else if (message->tag == KT_TAG_run_start)
			fake->start = frame;
		else if (message->tag == KT_TAG_run_typed)
			kt_buf_append(&fake->typed, ((struct kt_msg_run_typed *)frame)->body.data,
				      ((struct kt_msg_run_typed *)frame)->body.len);
		else if (message->tag == KT_TAG_run_cancel)
			fake_be_cancelled(fake, ((struct kt_msg_run_cancel *)frame)->reason);
	}
}

static inline void fake_gate(struct fake *fake)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/gate", getenv("FAKE_HOME"));
	while (access(path, F_OK) < 0)
		fake_listen(fake, 2);
}

static inline void fake_fill(struct fake *fake)
{
	char page[FAKE_PAGE] = "";
	int len = snprintf(page, sizeof(page), "made by %d", (int)getpid());

	kt_must(pwrite(FAKE_STATE_FD, page, (size_t)len, 0) == len);
	for (int i = 0; i < (int)fake->guest->topology->numa_nodes; i++) {
		snprintf(page, sizeof(page), "node %d by %d", i, (int)getpid());
		kt_must(pwrite(FAKE_RAM_FD + i, page, sizeof(page), 0) == sizeof(page));
	}
}

static inline void fake_noise(struct fake *fake)
{
	uint64_t bytes = kt_topology_node_bytes(fake->guest->topology, 0);
	uint64_t x = 88172645463325252u;
	uint64_t page[FAKE_PAGE / 8];

	fake_fill(fake);
	for (int i = 0; i < (int)fake->guest->topology->numa_nodes; i++) {
		for (uint64_t at = FAKE_PAGE; at < bytes; at += FAKE_PAGE) {
			for (size_t k = 0; k < FAKE_PAGE / 8; k++) {
				x ^= x << 13;
				x ^= x >> 7;
				x ^= x << 17;
				page[k] = x;
			}
			kt_must(pwrite(FAKE_RAM_FD + i, page, sizeof(page), (off_t)at) ==
				sizeof(page));
		}
	}
}

static inline void fake_shrunk(struct fake *fake)
{
	kt_must(ftruncate(FAKE_RAM_FD, FAKE_PAGE) == 0);
}

static inline void fake_saved(struct fake *fake)
{
	struct kt_msg_run_saved saved = { .kernel_release = FAKE_RELEASE };

	fake_say(fake, KT_TAG_run_saved, &saved);
}

/* The memory is whole, of one maker, and nobody can write it. */
static inline void fake_check_memory(struct fake *fake)
{
	char text[64] = "";
	char wanted[64];

	if (pread(FAKE_STATE_FD, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "made by %15s", fake->maker) != 1)
		fake_break(fake, "host_trouble", "the state is not what a maker wrote");
	for (int i = 0; i < (int)fake->guest->topology->numa_nodes; i++) {
		snprintf(wanted, sizeof(wanted), "node %d by %s", i, fake->maker);
		if (pread(FAKE_RAM_FD + i, text, sizeof(text) - 1, 0) <= 0 ||
		    strcmp(text, wanted) != 0)
			fake_break(fake, "host_trouble", "the memory is not what a maker wrote");
		if (pwrite(FAKE_RAM_FD + i, "x", 1, 0) >= 0)
			fake_break(fake, "host_trouble", "a guest could change the template");
	}
}

static inline void fake_up(struct fake *fake)
{
	struct kt_msg_run_up up = { .took_ns = 1 };

	if (strcmp(fake->guest->role, "warm") == 0)
		fake_check_memory(fake);
	fake->is_up = true;
	fake_say(fake, KT_TAG_run_up, &up);
	fake_sign(fake, "up");
}

static inline void fake_start(struct fake *fake)
{
	while (!fake->start)
		fake_listen(fake, -1);
}

static inline void fake_run(struct fake *fake)
{
	static const char *const phases[] = { "boot", "load", "run" };
	struct kt_msg_run_log log = { .stream = "console", .body = { (uint8_t *)"hello", 5 } };
	struct kt_msg_run_sample sample = { .body = { (uint8_t *)"sample", 6 } };

	for (size_t i = 0; i < 3; i++) {
		struct kt_msg_run_phase phase = { .phase = phases[i] };

		fake_say(fake, KT_TAG_run_phase, &phase);
	}
	fake_say(fake, KT_TAG_run_log, &log);
	fake_say(fake, KT_TAG_run_sample, &sample);
}

static inline void fake_shell(struct fake *fake)
{
	struct kt_msg_run_phase phase = { .phase = "shell" };
	struct kt_msg_run_printed printed = { .stream = 2 };
	struct kt_msg_run_took took = { 0 };
	struct kt_msg_run_shell_ended ended = { .status = 7 };

	kt_must(fake->start->shell != NULL);
	fake_say(fake, KT_TAG_run_phase, &phase);
	while (fake->typed.len < 5)
		fake_listen(fake, -1);
	took.bytes = fake->typed.len;
	printed.body = (struct kt_bin){ fake->typed.data, fake->typed.len };
	fake_say(fake, KT_TAG_run_took, &took);
	fake_say(fake, KT_TAG_run_printed, &printed);
	fake_say(fake, KT_TAG_run_told, &(struct kt_msg_run_told){ .line = "a line" });
	fake_say(fake, KT_TAG_run_shell_ended, &ended);
}

static inline void fake_ended(struct fake *fake)
{
	fake_end(fake, "finished", fake->maker);
}

static inline void fake_lied(struct fake *fake)
{
	fake_end(fake, "host_trouble", "");
}

static inline void fake_broke(struct fake *fake)
{
	fake_break(fake, "qemu_died", "the fake broke");
}

static inline void fake_never(struct fake *fake)
{
	struct kt_msg_run_broke broke = { .cause = "host_trouble",
					  .line = "not on this host",
					  .always = true };

	fake_say(fake, KT_TAG_run_broke, &broke);
	_exit(1);
}

static inline void fake_broke_and_stays(struct fake *fake)
{
	struct kt_msg_run_broke broke = { .cause = "qemu_died", .line = "the fake broke" };

	fake_say(fake, KT_TAG_run_broke, &broke);
}

static inline void fake_hang(struct fake *fake)
{
	for (;;)
		fake_listen(fake, -1);
}

static inline void fake_deaf(struct fake *fake)
{
	for (;;)
		pause();
}

static inline void fake_stubborn(struct fake *fake)
{
	signal(SIGTERM, SIG_IGN);
}

static inline void fake_crash(struct fake *fake)
{
	raise(SIGKILL);
}

static inline void fake_fail(struct fake *fake)
{
	_exit(3);
}

static inline void fake_garbage(struct fake *fake)
{
	static const uint8_t bytes[] = { 1, 0, 0, 0, 0xc0 };

	kt_must(write(fake->link.fd, bytes, sizeof(bytes)) == sizeof(bytes));
}

static inline void fake_crumbs(struct fake *fake)
{
	static const char *const phases[] = { "boot", "load", "run" };
	struct kt_buf *out = &fake->link.out;

	for (size_t i = 0; i < 3; i++) {
		struct kt_msg_run_phase phase = { .phase = phases[i] };

		kt_must(kt_framelink_push(&fake->link, KT_TAG_run_phase, &phase));
	}
	for (size_t i = 0; i < out->len; i++) {
		kt_must(write(fake->link.fd, out->data + i, 1) == 1);
		usleep(1000);
	}
	kt_buf_reset(out);
}

static inline void fake_descriptors(struct fake *fake)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_msg_run_log log = { .stream = "worker" };
	char bytes[16];
	ssize_t n;

	for (int fd = FAKE_STATE_FD; (n = pread(fd, bytes, sizeof(bytes), 0)) >= 0; fd++)
		kt_buf_printf(&text, "%d=%.*s ", fd, (int)n, bytes);
	log.body = (struct kt_bin){ text.data, text.len };
	fake_say(fake, KT_TAG_run_log, &log);
}

static inline void fake_flood(struct fake *fake)
{
	static uint8_t bytes[32 << 10];
	struct kt_msg_run_log log = { .stream = "console", .body = { bytes, sizeof(bytes) } };

	for (;;)
		fake_say(fake, KT_TAG_run_log, &log);
}

static const struct fake_step {
	const char *name;
	void (*play)(struct fake *fake);
	const char *sentence;
} fake_steps[] = {
	{ "gate", fake_gate, "waits until the test opens it (fake_open_gate())" },
	{ "fill", fake_fill, "writes a template: state, and a page of each node" },
	{ "noise", fake_noise, "the same, and all the memory with what cannot be packed" },
	{ "shrunk", fake_shrunk, "makes the first node shorter than it may be" },
	{ "saved", fake_saved, "says that the template is whole" },
	{ "up", fake_up, "says that the guest is restored, if its memory is whole and sealed" },
	{ "start", fake_start, "waits for its job" },
	{ "run", fake_run, "says what a job says: phases, a log, a sample" },
	{ "shell", fake_shell, "is a shell that prints the first five bytes that are typed" },
	{ "ended", fake_ended, "says the result" },
	{ "lied", fake_lied, "says another result" },
	{ "broke", fake_broke, "says that there is no guest, and ends" },
	{ "never", fake_never, "the same, and that there will never be one" },
	{ "broke_and_stays", fake_broke_and_stays, "says that there is no guest, and goes on" },
	{ "hang", fake_hang, "until it is cancelled, a signal comes, or the agent is gone" },
	{ "deaf", fake_deaf, "until a signal comes" },
	{ "stubborn", fake_stubborn, "ignores SIGTERM from here on" },
	{ "crash", fake_crash, "dies of SIGKILL" },
	{ "fail", fake_fail, "exits with status 3" },
	{ "garbage", fake_garbage, "says what is no frame" },
	{ "crumbs", fake_crumbs, "says three phases, a byte at a time" },
	{ "descriptors", fake_descriptors,
	  "says what each descriptor from 4 on begins with, as a log" },
	{ "flood", fake_flood, "says more than anybody can take, without end" },
};

static inline void fake_play_step(struct fake *fake, const char *name)
{
	for (size_t i = 0; i < sizeof(fake_steps) / sizeof(fake_steps[0]); i++) {
		if (strcmp(fake_steps[i].name, name) == 0) {
			fake_steps[i].play(fake);
			return;
		}
	}
	kt_must(!"a step that the fake knows");
}

static inline int fake_main(void)
{
	static struct fake fake;
	char name[64];
	char *word;
	char *plays;
	size_t nth;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	kt_framelink_init(&fake.link, &kt_schema_runner, KT_ATTEMPT_MAIN_FD, 1 << 20);
	while (!fake.guest)
		fake_listen(&fake, -1);
	snprintf(name, sizeof(name), "FAKE_%s", fake.guest->role);
	plays = getenv(name);
	kt_must(plays != NULL); /* no process of this role was expected */
	for (nth = fake_sign(&fake, fake.guest->role); nth > 0 && strchr(plays, ' '); nth--)
		plays = strchr(plays, ' ') + 1;
	plays[strcspn(plays, " ")] = 0;
	for (word = strtok(plays, "+"); word; word = strtok(NULL, "+"))
		fake_play_step(&fake, word);
	return 0;
}

__attribute__((constructor)) static void fake_attempt(int argc, char **argv, char **envp)
{
	if (argc == 2 && strcmp(argv[0], "ktworker") == 0 && strcmp(argv[1], "attempt") == 0)
		_exit(fake_main());
}

/* ---- the test's side ---- */

struct fake_home {
	char dir[64];
	uv_loop_t loop;
	uv_timer_t tick; /* so that a turn of the loop has an end */
	size_t n_fds;
};

static inline void fake_plays(const char *role, const char *plays)
{
	char name[64];

	snprintf(name, sizeof(name), "FAKE_%s", role);
	setenv(name, plays, 1);
}

/* The lines of a role's file: its processes so far. */
static inline size_t fake_count(const struct fake_home *home, const char *role)
{
	char path[256];
	char line[128];
	size_t n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", home->dir, role);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		n++;
	if (file)
		fclose(file);
	return n;
}

/* From 0. template (32 bytes) may be NULL: which it was given. */
static inline pid_t fake_pid(const struct fake_home *home, const char *role, size_t nth,
			     char *template)
{
	char path[256];
	char line[128] = "";
	char id[32] = "";
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", home->dir, role);
	file = fopen(path, "re");
	cr_assert_not_null(file, "there was no %s process", role);
	for (size_t i = 0; i <= nth; i++)
		cr_assert_not_null(fgets(line, sizeof(line), file), "%s %zu", role, nth);
	fclose(file);
	cr_assert_geq(sscanf(line, "%d %31s", &pid, id), 1);
	if (template)
		strcpy(template, id);
	return pid;
}

static inline void fake_open_gate(const struct fake_home *home)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/gate", home->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
}

/* Kills it and waits until it is dead. The loop has not heard of it then. */
static inline void fake_kill(pid_t pid)
{
	siginfo_t info;

	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* No child is left, not even one that nobody has waited for. */
static inline bool fake_is_alone(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

static inline size_t fake_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline void fake_on_tick(uv_timer_t *timer)
{
}

static inline void fake_home_open(struct fake_home *home)
{
	*home = (struct fake_home){ .dir = "/tmp/kt-fake-XXXXXX" };
	cr_assert_not_null(mkdtemp(home->dir));
	setenv("FAKE_HOME", home->dir, 1);
	signal(SIGPIPE, SIG_IGN); /* as the agent does */
	/* What libuv opens once and for all is no leak. */
	cr_assert_eq(uv_loop_init(&home->loop), 0);
	cr_assert_eq(uv_loop_close(&home->loop), 0);
	home->n_fds = fake_count_fds();
	cr_assert_eq(uv_loop_init(&home->loop), 0);
	uv_timer_init(&home->loop, &home->tick);
	uv_timer_start(&home->tick, fake_on_tick, 2, 2);
}

/* When all that a test opened was destroyed. Nothing may be left: no handle, no process, no descriptor. */
static inline void fake_home_close(struct fake_home *home)
{
	char command[96];

	uv_close((uv_handle_t *)&home->tick, NULL);
	uv_run(&home->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&home->loop), 0);
	cr_assert(fake_is_alone());
	cr_assert_eq(fake_count_fds(), home->n_fds, "%zu descriptors, and %zu before",
		     fake_count_fds(), home->n_fds);
	snprintf(command, sizeof(command), "rm -rf %s", home->dir);
	cr_assert_eq(system(command), 0);
}

static inline void fake_turn(struct fake_home *home, int64_t ms)
{
	int64_t until_ns = kt_clock_now_ns() + ms * KT_NS_PER_MS;

	while (kt_clock_now_ns() < until_ns)
		uv_run(&home->loop, UV_RUN_ONCE);
}

/* Turns the loop until cond_ holds; false after ms_ milliseconds. */
#define fake_until_ms(home_, ms_, cond_)                                      \
	({                                                                    \
		int64_t give_up_ns_ = kt_clock_now_ns() + (ms_)*KT_NS_PER_MS; \
		while (!(cond_) && kt_clock_now_ns() < give_up_ns_)           \
			uv_run(&(home_)->loop, UV_RUN_ONCE);                  \
		(cond_);                                                      \
	})
/* Longer than it takes on any host. */
#define fake_until(home_, cond_) fake_until_ms(home_, 20000, cond_)
/* For what must not happen: not within the time of some turns of the stock's timer. */
#define fake_not(home_, cond_)   (!fake_until_ms(home_, 250, cond_))

#endif
