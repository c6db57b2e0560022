/* The real ktworker process against a coordinator of a few lines: grant -> samples -> result -> ack, and
 * what happens when either side dies in between.
 */
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/net/router.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WORKER     KT_BINARY_DIR "/bin/ktworker"
#define EPOCHS_MAX 16
#define SYNC_NS    (100 * KT_NS_PER_MS)

struct seen { /* of one epoch */
	uint64_t samples; /* in a row from 0 */
	uint64_t results;
	char cause[64];
	char line[256];
	struct kt_digest digest; /* as the result says */
	struct kt_buf series;
	uint64_t logs;
	char phase[33]; /* in the last SYNC; "" when not listed */
};

/* The coordinator. What it should do is in the upper half, what it saw in the lower. */
struct coord {
	uv_loop_t loop;
	uv_timer_t timer;
	struct kt_router *control, *bulk;
	char dir[64], endpoint[128], bulk_endpoint[128];
	const char *sweep;
	bool ack, mute, refuse_sync, finished;
	struct kt_msg_grant grants[EPOCHS_MAX]; /* offered in every STATE */
	size_t n_grants;
	struct kt_msg_revoke revokes[EPOCHS_MAX];
	size_t n_revokes;
	const uint8_t *artifact;
	size_t artifact_len;
	bool spoil_artifact; /* the first time */

	struct kt_arena arena; /* of the jobs */
	uint64_t session, peer;
	char worker_id[64];
	unsigned int hellos, syncs, byes;
	uint64_t fetched; /* bytes */
	uint64_t boot_id, slots_free;
	size_t n_held;
	bool draining;
	struct seen seen[EPOCHS_MAX];
};

static struct kt_msg_kernel kernel = { .name = "none", .version = "7.2.0" };
static struct kt_msg_topology topology = {
	.name = "small", .numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1, .mem_bytes = 1 << 28
};
static struct kt_msg_step one_step = { .hold_ns = 10 * KT_NS_PER_S };
static struct kt_msg_scenario scenario = {
	.name = "s", .duration_ns = 10 * KT_NS_PER_S, .samples = 3, .steps = &one_step, .n_steps = 1
};
static struct kt_msg_scheduler scheduler = { .name = "scx_kt" };

static void offer(struct coord *c, uint64_t epoch, uint64_t attempt, const char *script)
{
	struct kt_msg_job *job = kt_arena_alloc(&c->arena, 1, sizeof(*job));

	*job = (struct kt_msg_job){ .cell_name = "s/none/scx_kt/small#0",
				    .kernel = &kernel,
				    .scheduler = &scheduler,
				    .topology = &topology,
				    .scenario = &scenario,
				    .seed = epoch,
				    .script = script };
	kt_must(c->n_grants < EPOCHS_MAX);
	c->grants[c->n_grants++] = (struct kt_msg_grant){ .cell = epoch + 100,
							  .epoch = epoch,
							  .attempt = attempt,
							  .ttl_ns = KT_NS_PER_S,
							  .job = job };
}

static void say_state(struct coord *c, uint64_t seq)
{
	struct kt_msg_state state = {
		.session = c->session,
		.seq = seq,
		.grants = c->grants,
		.n_grants = c->n_grants,
		.revokes = c->revokes,
		.n_revokes = c->n_revokes,
		.finished = c->finished,
	};

	kt_router_send(c->control, c->peer, KT_TAG_state, &state, NULL);
}

static void say_ack(struct coord *c, uint64_t epoch)
{
	struct kt_msg_ack ack = {
		.session = c->session,
		.epoch = epoch,
		.samples = c->seen[epoch].samples,
		.result = c->seen[epoch].results > 0,
	};

	if (!c->ack)
		return;
	/* A judged cell is not offered again. */
	for (size_t i = 0; i < c->n_grants && ack.result; i++)
		if (c->grants[i].epoch == epoch)
			c->grants[i] = c->grants[--c->n_grants];
	kt_router_send(c->control, c->peer, KT_TAG_ack, &ack, NULL);
}

static void on_hello(struct coord *c, uint64_t peer, const struct kt_msg_hello *hello)
{
	struct kt_msg_welcome welcome = {
		.version = KT_PROTOCOL_VERSION,
		.session = ++c->session,
		.sweep_id = c->sweep,
		.bulk_endpoint = c->bulk_endpoint,
		.sync_ns = SYNC_NS,
		.build = "test",
	};

	c->hellos++;
	c->peer = peer;
	c->boot_id = hello->boot_id;
	snprintf(c->worker_id, sizeof(c->worker_id), "%s", hello->worker_id);
	if (!c->mute)
		kt_router_send(c->control, peer, KT_TAG_welcome, &welcome, NULL);
}

static void on_sync(struct coord *c, const struct kt_msg_sync *sync)
{
	static const struct kt_msg_refuse rejoin = { .reason = "who are you?", .rejoin = true };

	if (c->refuse_sync) {
		c->refuse_sync = false;
		kt_router_send(c->control, c->peer, KT_TAG_refuse, &rejoin, NULL);
		return;
	}
	c->syncs++;
	c->slots_free = sync->slots_free;
	c->draining = sync->draining;
	c->n_held = sync->n_held;
	for (size_t e = 0; e < EPOCHS_MAX; e++)
		c->seen[e].phase[0] = 0;
	for (size_t i = 0; i < sync->n_held; i++)
		snprintf(c->seen[sync->held[i].epoch].phase, 33, "%s", sync->held[i].phase);
	if (!c->mute)
		say_state(c, sync->seq);
}

static void on_sample(struct coord *c, const struct kt_msg_sample_sent *sent)
{
	struct seen *seen = &c->seen[sent->epoch];

	cr_assert_leq(sent->seq, seen->samples, "sample %zu came before %zu", (size_t)sent->seq,
		      (size_t)seen->samples);
	if (sent->seq == seen->samples) {
		kt_buf_append(&seen->series, sent->body.data, sent->body.len);
		seen->samples++;
	}
	say_ack(c, sent->epoch);
}

static void on_result(struct coord *c, const struct kt_msg_result_sent *sent)
{
	struct seen *seen = &c->seen[sent->epoch];

	seen->results++;
	snprintf(seen->cause, sizeof(seen->cause), "%s", sent->result->cause);
	snprintf(seen->line, sizeof(seen->line), "%s", sent->result->line);
	if (sent->result->series_digest.len == KT_DIGEST_BYTES)
		memcpy(seen->digest.bytes, sent->result->series_digest.data, KT_DIGEST_BYTES);
	cr_assert_str_eq(sent->result->machine->runner, "scripted");
	cr_assert_str_eq(sent->result->machine->accel, "none");
	cr_assert_eq(sent->result->samples_total, seen->samples);
	say_ack(c, sent->epoch);
}

static void on_frame(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	struct coord *c = arg;

	switch (message->tag) {
	case KT_TAG_hello:
		on_hello(c, peer, body);
		break;
	case KT_TAG_sync:
		on_sync(c, body);
		break;
	case KT_TAG_sample_sent:
		on_sample(c, body);
		break;
	case KT_TAG_log_sent:
		c->seen[((struct kt_msg_log_sent *)body)->epoch].logs++;
		break;
	case KT_TAG_result_sent:
		on_result(c, body);
		break;
	case KT_TAG_bye:
		c->byes++;
		break;
	case KT_TAG_phase:
		break;
	default:
		cr_assert_fail("unexpected %s", message->schema->name);
	}
}

static void on_bulk_frame(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	struct coord *c = arg;
	const struct kt_msg_fetch *fetch = body;
	KT_AUTO_FREE uint8_t *bytes = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);
	struct kt_msg_chunk chunk = {
		.digest = fetch->digest,
		.offset = fetch->offset,
		.total = c->artifact_len,
		.body = { bytes, fetch->len },
		.missing = "",
	};

	cr_assert_leq(fetch->offset + fetch->len, c->artifact_len);
	memcpy(bytes, c->artifact + fetch->offset, fetch->len);
	if (c->spoil_artifact) {
		c->spoil_artifact = false;
		bytes[0] ^= 1;
	}
	c->fetched += fetch->len;
	kt_router_send(c->bulk, peer, KT_TAG_chunk, &chunk, NULL);
}

static void on_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
	cr_assert_fail("broken: %s", err->text);
}

static const struct kt_router_events events = { .frame = on_frame, .broken = on_broken };
static const struct kt_router_events bulk_events = { .frame = on_bulk_frame, .broken = on_broken };

static void listen_again(struct coord *c)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_router_open(&c->loop, c->endpoint, &kt_schema_fleet, NULL, &events, c,
				    &c->control, &err),
		     0, "%s", err.text);
	cr_assert_eq(kt_router_open(&c->loop, c->bulk_endpoint, &kt_schema_fleet, NULL,
				    &bulk_events, c, &c->bulk, &err),
		     0, "%s", err.text);
}

static void on_timer(uv_timer_t *timer)
{
}

static struct coord *begin(void)
{
	struct coord *c = kt_must_calloc(1, sizeof(*c));

	strcpy(c->dir, "/tmp/kt-agent-XXXXXX");
	cr_assert_not_null(mkdtemp(c->dir));
	snprintf(c->endpoint, sizeof(c->endpoint), "ipc://%s/control", c->dir);
	snprintf(c->bulk_endpoint, sizeof(c->bulk_endpoint), "ipc://%s/bulk", c->dir);
	c->sweep = "sweep-1";
	c->ack = true;
	uv_loop_init(&c->loop);
	uv_timer_init(&c->loop, &c->timer);
	uv_timer_start(&c->timer, on_timer, 5, 5);
	listen_again(c);
	return c;
}

static void end(struct coord *c)
{
	char command[128];

	kt_router_destroy(&c->control);
	kt_router_destroy(&c->bulk);
	uv_close((uv_handle_t *)&c->timer, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&c->loop), 0);
	for (size_t e = 0; e < EPOCHS_MAX; e++)
		kt_buf_destroy(&c->seen[e].series);
	/* Our own temporary folder, of a test. */
	snprintf(command, sizeof(command), "rm -rf %s", c->dir);
	cr_expect_eq(system(command), 0);
	kt_arena_destroy(&c->arena);
	free(c);
}

static pid_t start(struct coord *c, const char *slots, const char *mode)
{
	pid_t pid = fork();
	char state[80], log[96];

	snprintf(state, sizeof(state), "%s/state", c->dir);
	snprintf(log, sizeof(log), "%s/log", c->dir);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no worker */
		dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
		execl(WORKER, WORKER, "--connect", c->endpoint, "--state", state, "--id", "w1",
		      "--slots", slots, "--runner", "scripted", "--log", log, mode, NULL);
		_exit(127);
	}
	return pid;
}

/* Runs the coordinator until cond holds; it must within 10 s. */
#define UNTIL(c_, cond_)                                                   \
	do {                                                               \
		int64_t give_up_ns = kt_clock_now_ns() + 10 * KT_NS_PER_S; \
                                                                           \
		while (!(cond_) && kt_clock_now_ns() < give_up_ns)         \
			uv_run(&(c_)->loop, UV_RUN_ONCE);                  \
		cr_assert(cond_, "not within 10 s: %s", #cond_);           \
	} while (0)

static void pass_time(struct coord *c, int64_t span_ns)
{
	int64_t until_ns = kt_clock_now_ns() + span_ns;

	while (kt_clock_now_ns() < until_ns)
		uv_run(&c->loop, UV_RUN_ONCE);
}

static bool is_over(pid_t pid, int *status, bool *over)
{
	*over = *over || waitpid(pid, status, WNOHANG) == pid;
	return *over;
}

static int reap(struct coord *c, pid_t pid)
{
	int status = -1;
	bool over = false;

	UNTIL(c, is_over(pid, &status, &over));
	cr_assert(WIFEXITED(status), "it died of signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void slay(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static void assert_series_whole(const struct seen *seen)
{
	struct kt_digest digest;

	kt_digest_of(seen->series.data ? seen->series.data : (const uint8_t *)"", seen->series.len,
		     &digest);
	cr_assert(kt_digest_equal(&digest, &seen->digest), "what arrived is not what was recorded");
}

Test(agent, a_grant_becomes_samples_and_one_result_and_the_worker_leaves, .timeout = 60)
{
	struct coord *c = begin();
	pid_t pid;

	offer(c, 1, 1, "");
	pid = start(c, "2", "--once");
	UNTIL(c, c->seen[1].results == 1);
	cr_assert_str_eq(c->worker_id, "w1");
	cr_assert_str_eq(c->seen[1].cause, "finished");
	cr_assert_eq(c->seen[1].samples, 3);
	assert_series_whole(&c->seen[1]);
	UNTIL(c, c->n_held == 0 && c->slots_free == 2);
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	UNTIL(c, c->byes == 1);
	end(c);
}

static uint64_t count_results(const struct coord *c)
{
	uint64_t n = 0;

	for (size_t e = 0; e < EPOCHS_MAX; e++)
		n += c->seen[e].results;
	return n;
}

Test(agent, many_cells_on_few_slots_each_end_once, .timeout = 60)
{
	struct coord *c = begin();
	pid_t pid = start(c, "2", "--once");

	for (uint64_t epoch = 1; epoch < 13; epoch++) {
		/* A SYNC may be older than the grant: what was granted and not answered counts. */
		UNTIL(c, c->syncs > 0 && epoch - 1 - count_results(c) < 2);
		offer(c, epoch, epoch % 3 + 1,
		      "die qemu_died \"flaky\" x2; sample; log console \"hello\"; wait 3ms; "
		      "sample");
		say_state(c, 0);
	}
	for (uint64_t epoch = 1; epoch < 13; epoch++) {
		UNTIL(c, c->seen[epoch].results == 1);
		cr_assert_str_eq(c->seen[epoch].cause, epoch % 3 + 1 > 2 ? "finished" : "qemu_died",
				 "%s", c->seen[epoch].line);
		cr_assert_eq(c->seen[epoch].samples, epoch % 3 + 1 > 2 ? 2 : 0);
		cr_assert_eq(c->seen[epoch].logs, epoch % 3 + 1 > 2 ? 1 : 0);
	}
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	end(c);
}

Test(agent, what_is_not_acknowledged_comes_again_after_the_coordinator_restarted, .timeout = 60)
{
	struct coord *c = begin();
	pid_t pid;

	c->ack = false;
	offer(c, 1, 1, "sample; wait 300ms; sample; end");
	pid = start(c, "1", "--once");
	UNTIL(c, c->seen[1].samples == 1);
	kt_router_destroy(&c->control);
	kt_router_destroy(&c->bulk);
	pass_time(c, 100 * KT_NS_PER_MS);
	c->session = 1000;
	c->hellos = c->syncs = 0;
	listen_again(c);
	UNTIL(c, c->hellos > 0 && c->seen[1].results == 1);
	cr_assert_eq(c->seen[1].samples, 2);
	UNTIL(c, strcmp(c->seen[1].phase, "done") == 0);
	/* Again, because nothing was acknowledged. */
	c->refuse_sync = true;
	UNTIL(c, c->seen[1].results == 2);
	c->ack = true;
	c->refuse_sync = true;
	UNTIL(c, c->seen[1].results == 3 && c->n_held == 0);
	assert_series_whole(&c->seen[1]);
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	end(c);
}

Test(agent, a_killed_worker_delivers_its_result_in_its_next_life, .timeout = 60)
{
	struct coord *c = begin();
	uint64_t boot_id;
	pid_t pid;

	c->ack = false;
	offer(c, 1, 1, "log console \"last words\"; sample; sample; sample; end");
	offer(c, 2, 1, "sample; hang");
	pid = start(c, "2", "--once");
	UNTIL(c, c->seen[1].results == 1 && c->seen[2].samples == 1);
	boot_id = c->boot_id;
	slay(pid);
	kt_buf_reset(&c->seen[1].series);
	memset(&c->seen[1], 0, offsetof(struct seen, series));
	c->seen[1].logs = 0;
	c->n_grants = 0;
	c->syncs = c->hellos = 0;
	pid = start(c, "2", "--once");
	UNTIL(c, c->seen[1].results == 1);
	cr_assert_neq(c->boot_id, boot_id);
	cr_assert_eq(c->seen[1].samples, 3);
	cr_assert_eq(c->seen[1].logs, 1);
	cr_assert_str_eq(c->seen[1].cause, "finished");
	assert_series_whole(&c->seen[1]);
	UNTIL(c, c->syncs > 0);
	cr_assert_str_eq(c->seen[1].phase, "done");
	cr_assert_str_eq(c->seen[2].phase, "", "what ran when it died is not held any more");
	c->ack = true;
	c->refuse_sync = true;
	UNTIL(c, c->seen[1].results == 2 && c->n_held == 0);
	pass_time(c, KT_NS_PER_S); /* forgetting is lazy: losing it would only send again */
	slay(pid);
	c->syncs = 0;
	pid = start(c, "2", "--once");
	UNTIL(c, c->syncs > 0);
	cr_assert_eq(c->n_held, 0, "what was acknowledged is forgotten for good");
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	end(c);
}

Test(agent, a_revoked_lease_frees_its_slot_and_says_nothing, .timeout = 60)
{
	struct coord *c = begin();
	pid_t pid;

	offer(c, 1, 1, "sample; hang");
	pid = start(c, "1", "--once");
	UNTIL(c, c->seen[1].samples == 1 && c->slots_free == 0);
	c->n_grants = 0;
	c->revokes[c->n_revokes++] =
		(struct kt_msg_revoke){ .epoch = 1, .reason = "no longer wanted" };
	say_state(c, 0);
	UNTIL(c, c->slots_free == 1 && c->n_held == 0);
	cr_assert_eq(c->seen[1].results, 0);
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	end(c);
}

Test(agent, a_silent_coordinator_is_greeted_anew_and_the_run_goes_on, .timeout = 60)
{
	struct coord *c = begin();
	pid_t pid;

	offer(c, 1, 1, "sample; wait 1500ms; sample; end");
	pid = start(c, "1", "--once");
	UNTIL(c, c->seen[1].samples == 1);
	c->mute = true;
	c->ack = false;
	c->hellos = 0;
	UNTIL(c, c->hellos >= 2);
	c->mute = false;
	c->ack = true;
	UNTIL(c, c->seen[1].results == 1);
	cr_assert_eq(c->seen[1].samples, 2);
	assert_series_whole(&c->seen[1]);
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	end(c);
}

Test(agent, artifacts_are_fetched_once_and_verified, .timeout = 60)
{
	enum { LEN = 5 * KT_CHUNK_BYTES_MAX + 17 };
	struct coord *c = begin();
	uint8_t *bytes = kt_must_calloc(1, LEN);
	struct kt_digest digest;
	struct kt_msg_file file = { .path = "/kt/bin/x", .mode = 0755, .bytes = LEN };
	pid_t pid;

	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 16);
	kt_digest_of(bytes, LEN, &digest);
	file.digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
	scheduler.files = &file;
	scheduler.n_files = 1;
	c->artifact = bytes;
	c->artifact_len = LEN;
	c->spoil_artifact = true;
	offer(c, 1, 1, "end");
	offer(c, 2, 1, "end");
	pid = start(c, "2", "--once");
	UNTIL(c, c->seen[1].results == 1 && c->seen[2].results == 1);
	cr_assert_str_eq(c->seen[1].cause, "finished");
	cr_assert_str_eq(c->seen[2].cause, "finished");
	cr_assert_eq(c->fetched, 2 * LEN, "once for both, and once more because of a flipped bit");
	slay(pid);
	offer(c, 3, 1, "end");
	pid = start(c, "2", "--once");
	UNTIL(c, c->seen[3].results == 1);
	cr_assert_eq(c->fetched, 2 * LEN, "the next life has it already");
	c->finished = true;
	cr_assert_eq(reap(c, pid), 0);
	free(bytes);
	end(c);
}

Test(agent, sigint_leaves_within_seconds_and_sigterm_drains, .timeout = 60)
{
	struct coord *c = begin();
	int64_t began_ns;
	pid_t pid;

	offer(c, 1, 1, "hang");
	pid = start(c, "1", "--quiet");
	UNTIL(c, strcmp(c->seen[1].phase, "boot") == 0);
	began_ns = kt_clock_now_ns();
	kill(pid, SIGINT);
	cr_assert_eq(reap(c, pid), 0);
	cr_assert_lt(kt_clock_now_ns() - began_ns, 5 * KT_NS_PER_S);
	UNTIL(c, c->byes == 1);

	c->n_grants = 0;
	offer(c, 2, 1, "sample; wait 400ms; sample; end");
	pid = start(c, "1", "--quiet");
	UNTIL(c, c->seen[2].samples == 1);
	kill(pid, SIGTERM);
	UNTIL(c, c->draining && c->slots_free == 0);
	cr_assert_eq(reap(c, pid), 0);
	UNTIL(c, c->seen[2].results == 1 && c->byes == 2);
	cr_assert_str_eq(c->seen[2].cause, "finished");
	end(c);
}

Test(agent, a_second_worker_of_the_same_name_on_the_same_state_is_refused, .timeout = 60)
{
	struct coord *c = begin();
	pid_t first = start(c, "1", "--quiet");
	pid_t second;

	UNTIL(c, c->syncs > 0);
	second = start(c, "1", "--quiet");
	cr_assert_eq(reap(c, second), 2);
	slay(first);
	end(c);
}

Test(agent, another_sweep_gets_nothing_of_the_first_until_that_is_back, .timeout = 60)
{
	struct coord *c = begin();
	pid_t pid;

	c->ack = false;
	offer(c, 1, 1, "sample; end");
	pid = start(c, "2", "--quiet");
	UNTIL(c, c->seen[1].results == 1);
	offer(c, 2, 1, "hang");
	UNTIL(c, strcmp(c->seen[2].phase, "boot") == 0);
	c->n_grants = 0;
	c->sweep = "sweep-2";
	c->seen[1].results = 0;
	c->refuse_sync = true;
	c->hellos = c->syncs = 0;
	UNTIL(c, c->hellos == 1 && c->syncs > 1 && c->slots_free == 2);
	cr_assert_eq(c->n_held, 0);
	cr_assert_eq(c->seen[1].results, 0);
	c->sweep = "sweep-1";
	c->ack = true;
	c->refuse_sync = true;
	UNTIL(c, c->seen[1].results == 1);
	slay(pid);
	end(c);
}
