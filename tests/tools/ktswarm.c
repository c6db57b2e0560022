/* layer: worker */
/* ktswarm.c - thousands of workers in one process, for load tests only.
 *
 *	ktswarm --sessions N [--name PREFIX] --make-keys FILE
 *	ktswarm --connect ENDPOINT [--sessions N] [--slots N] [--name PREFIX] [--hang CELLS] [--exec PROGRAM] [--seconds N]
 *	        [--keys FILE --server-key FILE]
 *
 * Each session is a worker to the coordinator: a DEALER socket, a worker id and a boot id of its own, and the real heart of
 * a worker (worker/core/duty.h), so what goes over the wire is the protocol and not an imitation of it. What a worker does
 * around its heart is left out: a cell is no guest but ends at once, "finished", with as many samples as its scenario asks
 * for, and what a worker would keep on its disk is kept in memory. So ktswarm tells what the coordinator can do, not what a
 * worker can.
 *
 * --hang CELLS   the first so many cells of each session never end: for looking at a coordinator that only waits
 * --exec PROGRAM each cell runs it, and ends when it has ended
 * --seconds N    leave after so long; without it, when the coordinator says that its sweep is finished
 * --make-keys    writes a pair for each session, prints the lines for the coordinator's allow-list, and leaves
 * --keys FILE    CURVE: each session has its own pair, of --make-keys with the same --sessions and --name
 *
 * At the end one line of JSON says what was done and what it cost this process. Status 0 when every session left because the
 * sweep was finished (or because of --seconds), else 1.
 *
 * A session looks at its socket when its fd wakes it, and again after everything that it did with it, until nothing is left:
 * the fd is edge-triggered. proto/net/zwatch.h does that for the product, with a look at every socket in each turn of the
 * loop: right for two sockets, not for a thousand.
 */
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/frame.h"
#include "proto/net/key.h"
#include "worker/core/boundary.h"
#include "worker/core/duty.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <uthash.h>
#include <utlist.h>
#include <uv.h>

#define OURS         "to worker" /* the direction that this side takes */
#define TICK_MS      50
#define SESSIONS_MAX 10000

/* What a cell says: the same for all cells that ask for the same, so that making it up costs next to nothing. */
struct recipe {
	struct recipe *next;
	char scheduler[KT_NAME_BYTES_MAX + 1];
	uint64_t n_samples;
	int64_t duration_ns;
	struct kt_buf *samples; /* n_samples, encoded */
	uint8_t digest[KT_DIGEST_BYTES];
	struct kt_msg_machine machine;
	struct kt_msg_result result;
};

struct hold { /* a lease */
	uint64_t lease;
	const struct recipe *recipe;
	struct hold *prev, *next;
};

struct later { /* an input that waits for the effects of the one before it */
	struct kt_duty_input input;
	struct later *prev, *next;
};

struct child { /* --exec */
	pid_t pid; /* key */
	struct session *session;
	uint64_t lease;
	UT_hash_handle hh;
};

struct session {
	struct swarm *swarm;
	char id[KT_NAME_BYTES_MAX + 1];
	uint64_t boot_id;
	struct kt_key key;
	struct kt_guard guard;
	struct kt_duty duty;
	zsock_t *socket;
	uv_poll_t poll;
	struct hold *holds;
	struct later *laters;
	uint64_t hangs; /* cells that will still never end */
	bool is_up;
	bool was_welcomed;
	bool sync_due; /* said once per turn, after all that it speaks of */
	bool wants_fresh; /* the socket must be thrown away */
	bool is_over;
};

struct swarm {
	uv_loop_t loop;
	uv_timer_t tick;
	uv_signal_t signals[2], child_signal;
	struct child *children;
	const char *endpoint;
	const char *prefix;
	const char *keys, *make_keys; /* files; NULL: none */
	struct kt_key server_key;
	const char *exec; /* NULL: cells run nothing */
	uint64_t n_sessions, slots, hangs;
	int64_t seconds;
	struct session *sessions;
	uint64_t n_over;
	bool interrupted;
	struct recipe *recipes;
	struct kt_duty_effects effects;
	struct kt_arena arena; /* of a received frame */
	struct kt_buf scratch;
	struct kt_digest schema;
	/* what was done */
	uint64_t n_welcomed, n_refused, n_broken, n_fresh;
	uint64_t n_granted, n_cells, n_samples, n_in, n_out;
	int64_t began_ns, welcomed_ns, granted_ns, last_ns;
	uint64_t rss_before, rss_welcomed;
};

static void service(struct session *s);

/* ---- small things ---- */

static uint64_t rss_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long pages = 0;

	kt_must(file);
	kt_must(fscanf(file, "%*u %llu", &pages) == 1);
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void say_later(struct session *s, struct kt_duty_input input)
{
	struct later *later = kt_must_calloc(1, sizeof(*later));

	later->input = input;
	DL_APPEND(s->laters, later);
}

static struct hold *hold_of(struct session *s, uint64_t lease)
{
	struct hold *hold;

	DL_FOREACH (s->holds, hold) {
		if (hold->lease == lease)
			break;
	}
	return hold;
}

/* ---- what a cell says ---- */

/* Of the shape that the scripted runner gives them: one map of the scheduler, with a counter that rises. */
static void fill_sample(const struct recipe *recipe, uint64_t i, struct kt_arena *arena,
			struct kt_msg_sample *sample)
{
	struct kt_value vars = kt_value_map(arena, 1);
	struct kt_value map = kt_value_map(arena, 5);
	struct kt_value maps = kt_value_list(arena, 1);
	struct kt_value bpf = kt_value_map(arena, 2);
	size_t n = kt_boundary_count(0, recipe->duration_ns, recipe->n_samples);

	vars.pairs[0] = (struct kt_value_pair){ "nr_dispatched", kt_value_u64(1000 * (i + 1)) };
	map.pairs[0] = (struct kt_value_pair){
		"name", kt_value_str(arena, kt_arena_printf(arena, "%s.bss", recipe->scheduler))
	};
	map.pairs[1] = (struct kt_value_pair){ "id", kt_value_u64(1) };
	map.pairs[2] = (struct kt_value_pair){ "type", kt_value_str(arena, "array") };
	map.pairs[3] = (struct kt_value_pair){ "running", kt_value_bool(true) };
	map.pairs[4] = (struct kt_value_pair){ "vars", vars };
	maps.items[0] = map;
	bpf.pairs[0] =
		(struct kt_value_pair){ "scheduler", kt_value_str(arena, recipe->scheduler) };
	bpf.pairs[1] = (struct kt_value_pair){ "maps", maps };
	*sample = (struct kt_msg_sample){
		.tag = kt_arena_printf(arena, "periodic_%03" PRIu64, i),
		.placeholder = "",
		.seq = i,
		.axes = kt_arena_alloc(arena, 1, sizeof(*sample->axes)),
		.n_axes = 1,
	};
	if (i < n)
		sample->offset_ns = kt_boundary_at_ns(0, recipe->duration_ns, n, i);
	sample->elapsed_ns = sample->offset_ns;
	sample->axes[0] =
		(struct kt_msg_axis){ .name = "bpf", .error = "", .text = "", .value = bpf };
}

static const struct recipe *recipe_of(struct swarm *swarm, const struct kt_msg_job *job)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_digest_stream stream;
	struct kt_digest digest;
	struct recipe *recipe;

	LL_FOREACH (swarm->recipes, recipe) {
		if (recipe->n_samples == job->scenario->samples &&
		    recipe->duration_ns == job->scenario->duration_ns &&
		    strcmp(recipe->scheduler, job->scheduler->name) == 0)
			return recipe;
	}
	recipe = kt_must_calloc(1, sizeof(*recipe));
	snprintf(recipe->scheduler, sizeof(recipe->scheduler), "%s", job->scheduler->name);
	recipe->n_samples = job->scenario->samples;
	recipe->duration_ns = job->scenario->duration_ns;
	recipe->samples = kt_must_calloc(recipe->n_samples + 1, sizeof(*recipe->samples));
	kt_digest_stream_begin(&stream);
	for (uint64_t i = 0; i < recipe->n_samples; i++) {
		struct kt_msg_sample sample;

		fill_sample(recipe, i, &arena, &sample);
		kt_codec_encode(&kt_schema_sample, &sample, &recipe->samples[i]);
		kt_digest_stream_add(&stream, recipe->samples[i].data, recipe->samples[i].len);
	}
	kt_digest_stream_end(&stream, &digest);
	memcpy(recipe->digest, digest.bytes, KT_DIGEST_BYTES);
	recipe->machine = (struct kt_msg_machine){
		.runner = "scripted",
		.accel = "none",
		.guest = "none",
		.qemu = "",
		.cpu_model = "",
		.kernel_release = "",
		.template = "",
		.topology = "",
	};
	recipe->result = (struct kt_msg_result){
		.cause = "finished",
		.line = "",
		.evidence = "",
		.note = "",
		.samples_fired = recipe->n_samples,
		.samples_total = recipe->n_samples,
		.series_digest = { recipe->digest, KT_DIGEST_BYTES },
		.wall_ns = 1,
		.machine = &recipe->machine,
	};
	LL_PREPEND(swarm->recipes, recipe);
	return recipe;
}

/* ---- the socket ---- */

static int events_of(const struct session *s)
{
	size_t n = sizeof(int);
	int events = 0;

	while (zmq_getsockopt(zsock_resolve(s->socket), ZMQ_EVENTS, &events, &n) < 0)
		kt_must(errno == EINTR);
	return events;
}

/* 0 or -errno; -EAGAIN when ZeroMQ takes no more for now. */
static int send_frame(struct session *s, uint32_t tag, const void *body)
{
	struct swarm *swarm = s->swarm;
	zmq_msg_t frame;
	int status;

	kt_must(kt_frame_make(&kt_schema_fleet, OURS, tag, body, &swarm->scratch, &frame, NULL) ==
		0);
	status = kt_frame_send(&frame, zsock_resolve(s->socket), 0);
	zmq_msg_close(&frame);
	swarm->n_out += status == 0;
	return status;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	service(poll->data);
}

static int connect_session(struct session *s, struct kt_err *err)
{
	int status =
		kt_endpoint_socket(ZMQ_DEALER, s->swarm->endpoint, kt_schema_fleet.frame_bytes_max,
				   s->swarm->keys ? &s->guard : NULL, &s->socket, err);

	if (status < 0)
		return status;
	if (kt_endpoint_retry(zmq_connect(zsock_resolve(s->socket), s->swarm->endpoint)) < 0)
		return kt_err_set(err, KT_FAULT_HOST, errno, "connecting to %s: %s",
				  s->swarm->endpoint, zmq_strerror(errno));
	kt_must(uv_poll_init(&s->swarm->loop, &s->poll, zsock_fd(s->socket)) == 0);
	s->poll.data = s;
	kt_must(uv_poll_start(&s->poll, UV_READABLE, on_poll) == 0);
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct session *s = handle->data;
	struct kt_err err = { 0 };

	zsock_destroy(&s->socket);
	if (s->is_over)
		return;
	s->swarm->n_fresh++;
	kt_must(connect_session(s, &err) == 0);
}

static void close_socket(struct session *s)
{
	s->is_up = false;
	if (!uv_is_closing((uv_handle_t *)&s->poll))
		uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

/* ---- performing what the heart decided ---- */

static void send_hello(struct session *s)
{
	struct swarm *swarm = s->swarm;
	struct kt_msg_machine machine = { .runner = "scripted",
					  .accel = "none",
					  .guest = "none",
					  .qemu = "",
					  .cpu_model = "",
					  .kernel_release = "",
					  .template = "",
					  .topology = "" };
	struct kt_msg_hello hello = {
		.version_min = KT_PROTOCOL_VERSION,
		.version_max = KT_PROTOCOL_VERSION,
		.schema_digest = { swarm->schema.bytes, KT_DIGEST_BYTES },
		.build = KT_VERSION,
		.worker_id = s->id,
		.boot_id = s->boot_id,
		.slots = swarm->slots,
		.cpus = 64,
		.mem_bytes = 1ull << 40,
		.machine = &machine,
		.accel_reason = "",
		.wall_ns = kt_clock_wall_ns(),
	};

	send_frame(s, KT_TAG_hello, &hello);
}

static void send_sync(struct session *s)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sync sync;

	kt_duty_fill_sync(&s->duty, kt_clock_now_ns(), kt_clock_wall_ns(), &arena, &sync);
	s->sync_due = send_frame(s, KT_TAG_sync, &sync) == -EAGAIN;
}

static void accept_grant(struct session *s, const struct kt_duty_effect *effect)
{
	struct hold *hold = kt_must_calloc(1, sizeof(*hold));

	hold->lease = effect->lease;
	hold->recipe = recipe_of(s->swarm, effect->grant->job);
	DL_APPEND(s->holds, hold);
	if (!s->swarm->n_granted++)
		s->swarm->granted_ns = kt_clock_now_ns();
}

static void end_cell(struct session *s, uint64_t lease);
static void drain_laters(struct session *s);

/* Not uv_spawn(): that forks, and a process with thousands of sockets is slow to fork. */
static void start_child(struct session *s, uint64_t lease)
{
	struct child *child = kt_must_calloc(1, sizeof(*child));
	char *args[] = { (char *)(uintptr_t)s->swarm->exec, NULL };
	int status = posix_spawn(&child->pid, s->swarm->exec, NULL, NULL, args, environ);

	if (status) {
		fprintf(stderr, "ktswarm: %s: %s\n", s->swarm->exec, strerror(status));
		exit(1);
	}
	child->session = s;
	child->lease = lease;
	HASH_ADD(hh, s->swarm->children, pid, sizeof(child->pid), child);
}

static void on_child(uv_signal_t *handle, int number)
{
	struct swarm *swarm = handle->data;
	struct child *child;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		struct session *s;

		HASH_FIND(hh, swarm->children, &pid, sizeof(pid), child);
		kt_must(child);
		s = child->session;
		if (!s->is_over && hold_of(s, child->lease)) {
			end_cell(s, child->lease);
			drain_laters(s);
			service(s);
		}
		HASH_DEL(swarm->children, child);
		free(child);
	}
}

static void play(struct session *s, uint64_t lease)
{
	if (s->hangs)
		s->hangs--;
	else if (s->swarm->exec)
		start_child(s, lease);
	else
		end_cell(s, lease);
}

static void end_cell(struct session *s, uint64_t lease)
{
	const struct recipe *recipe = hold_of(s, lease)->recipe;

	for (uint64_t i = 0; i < recipe->n_samples; i++)
		say_later(s, (struct kt_duty_input){ .type = KT_DUTY_IN_SAMPLE,
						     .lease = lease,
						     .bytes = { NULL, recipe->samples[i].data,
								recipe->samples[i].len } });
	say_later(s, (struct kt_duty_input){
			     .type = KT_DUTY_IN_ENDED, .lease = lease, .result = &recipe->result });
}

static void forget(struct session *s, uint64_t lease)
{
	struct hold *hold = hold_of(s, lease);

	DL_DELETE(s->holds, hold);
	free(hold);
	s->swarm->n_cells++;
	s->swarm->last_ns = kt_clock_now_ns();
}

static void end_session(struct session *s, int status)
{
	if (s->is_over)
		return;
	s->is_over = true;
	s->swarm->n_over++;
	s->swarm->n_refused += status != 0;
	close_socket(s);
	if (s->swarm->n_over == s->swarm->n_sessions)
		uv_stop(&s->swarm->loop);
}

static void perform(struct session *s, const struct kt_duty_effect *effect)
{
	struct kt_msg_bye bye = { .session = s->duty.session, .reason = effect->text };
	struct kt_duty_input kept = { .lease = effect->lease };

	switch (effect->type) {
	case KT_DUTY_DO_HELLO:
		send_hello(s);
		break;
	case KT_DUTY_DO_SYNC:
		s->sync_due = true;
		break;
	case KT_DUTY_DO_BYE:
		send_frame(s, KT_TAG_bye, &bye);
		break;
	case KT_DUTY_DO_RESET:
		s->wants_fresh = true;
		break;
	case KT_DUTY_DO_ACCEPT:
		accept_grant(s, effect);
		break;
	case KT_DUTY_DO_FETCH:
		kept.type = KT_DUTY_IN_READY;
		say_later(s, kept);
		break;
	case KT_DUTY_DO_START:
		play(s, effect->lease);
		break;
	case KT_DUTY_DO_CANCEL:
		kept.type = KT_DUTY_IN_ENDED;
		kept.result = &hold_of(s, effect->lease)->recipe->result;
		say_later(s, kept);
		break;
	case KT_DUTY_DO_KEEP_SAMPLE:
		kept.type = KT_DUTY_IN_KEPT_SAMPLE;
		say_later(s, kept);
		break;
	case KT_DUTY_DO_KEEP_RESULT:
		kept.type = KT_DUTY_IN_KEPT_RESULT;
		say_later(s, kept);
		break;
	case KT_DUTY_DO_FORGET:
		forget(s, effect->lease);
		break;
	case KT_DUTY_DO_EXIT:
		end_session(s, effect->status);
		break;
	default: /* no disk, no artifacts, and nobody to tell a phase */
		break;
	}
}

static void step(struct session *s, struct kt_duty_input input)
{
	struct kt_duty_effects *effects = &s->swarm->effects;

	input.now_ns = kt_clock_now_ns();
	effects->n = 0;
	kt_duty_step(&s->duty, &input, effects);
	for (size_t i = 0; i < effects->n; i++)
		perform(s, &effects->list[i]);
}

static void drain_laters(struct session *s)
{
	while (s->laters) {
		struct later *later = s->laters;

		DL_DELETE(s->laters, later);
		step(s, later->input);
		free(later);
	}
}

/* ---- one turn of a session ---- */

static int send_piece(struct session *s, const struct kt_duty_piece *piece)
{
	const struct kt_duty_lease *lease = kt_duty_lease(&s->duty, piece->lease);
	const struct recipe *recipe = hold_of(s, piece->lease)->recipe;
	struct kt_msg_sample_sent sample = { .session = s->duty.session,
					     .cell = lease->cell,
					     .epoch = lease->epoch,
					     .seq = piece->seq };
	struct kt_msg_result own = recipe->result;
	struct kt_msg_result_sent result = { .session = s->duty.session,
					     .cell = lease->cell,
					     .epoch = lease->epoch,
					     .result = &own };

	if (piece->type == KT_DUTY_SAMPLE) {
		sample.body = (struct kt_bin){ recipe->samples[piece->seq].data,
					       recipe->samples[piece->seq].len };
		return send_frame(s, KT_TAG_sample_sent, &sample);
	}
	/* A lease that was refused or spoiled: a result of the heart's own. */
	if (lease->trouble_line[0]) {
		own.cause = kt_cause(lease->trouble)->name;
		own.line = lease->trouble_line;
		own.samples_total = lease->samples_kept;
		own.samples_fired = 0;
		own.series_digest = (struct kt_bin){ 0 };
	}
	return send_frame(s, KT_TAG_result_sent, &result);
}

static void pump(struct session *s)
{
	struct kt_duty_piece piece;

	while (kt_duty_next_piece(&s->duty, &piece)) {
		if (send_piece(s, &piece) < 0)
			return;
		s->swarm->n_samples += piece.type == KT_DUTY_SAMPLE;
		step(s, (struct kt_duty_input){ .type = KT_DUTY_IN_SENT, .piece = piece });
	}
	/* They begin together: else the first ones would have done all before the last one is there. */
	if (s->sync_due && s->duty.session && s->swarm->welcomed_ns)
		send_sync(s);
}

static void on_welcome(struct session *s)
{
	struct swarm *swarm = s->swarm;

	if (s->was_welcomed)
		return;
	s->was_welcomed = true;
	if (++swarm->n_welcomed < swarm->n_sessions)
		return;
	swarm->welcomed_ns = kt_clock_now_ns();
	swarm->rss_welcomed = rss_bytes();
}

static void take_frame(struct session *s, uint32_t tag, const void *body)
{
	struct kt_duty_input input = { 0 };

	s->swarm->n_in++;
	if (!kt_duty_hear(tag, body, &input))
		return;
	if (input.type == KT_DUTY_IN_WELCOME)
		on_welcome(s);
	else if (input.type == KT_DUTY_IN_REFUSE && !input.refuse->rejoin)
		fprintf(stderr, "ktswarm: %s: refused: %s\n", s->id, input.refuse->reason);
	step(s, input);
	drain_laters(s); /* what it borrows lives until here */
}

/* False when nothing was there. */
static bool read_one(struct session *s)
{
	struct swarm *swarm = s->swarm;
	const struct kt_message *message = NULL;
	struct kt_err err = { 0 };
	void *body = NULL;
	zmq_msg_t first;
	int status;

	zmq_msg_init(&first);
	status = kt_frame_take(&kt_schema_fleet, OURS, zsock_resolve(s->socket), &swarm->arena,
			       &message, &body, &first, &err);
	zmq_msg_close(&first);
	if (status == -EAGAIN)
		return false;
	if (status == 0) {
		take_frame(s, message->tag, body);
	} else {
		swarm->n_broken++;
		fprintf(stderr, "ktswarm: %s: %s\n", s->id, err.text);
	}
	kt_arena_reset(&swarm->arena);
	return true;
}

/* With ZMQ_IMMEDIATE a socket takes messages exactly while it is connected, handshake included. */
static void look_at_link(struct session *s, bool is_up)
{
	if (s->is_up == is_up)
		return;
	s->is_up = is_up;
	step(s, (struct kt_duty_input){ .type = is_up ? KT_DUTY_IN_UP : KT_DUTY_IN_DOWN });
}

static void service(struct session *s)
{
	int events;

	while (!s->is_over && !s->wants_fresh && ((events = events_of(s)), true)) {
		/* A full pipe is no lost one: only who has nothing under way is looked at. */
		if (!s->is_up || !s->duty.session)
			look_at_link(s, events & ZMQ_POLLOUT);
		while (!s->is_over && !s->wants_fresh && read_one(s))
			;
		if (s->is_over || s->wants_fresh)
			break;
		pump(s);
		if (!(events_of(s) & ZMQ_POLLIN))
			break;
	}
	if (s->wants_fresh) {
		s->wants_fresh = false;
		close_socket(s);
	}
}

/* ---- time, and the end ---- */

static void on_tick(uv_timer_t *timer)
{
	struct swarm *swarm = timer->data;
	int64_t now_ns = kt_clock_now_ns();

	if (swarm->seconds && now_ns - swarm->began_ns > swarm->seconds * KT_NS_PER_S)
		return uv_stop(&swarm->loop);
	for (uint64_t i = 0; i < swarm->n_sessions; i++) {
		struct session *s = &swarm->sessions[i];
		struct kt_duty_piece piece;
		bool is_due = now_ns >= kt_duty_next_ns(&s->duty);

		if (s->is_over || uv_is_closing((uv_handle_t *)&s->poll))
			continue;
		if (is_due)
			step(s, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
		if (is_due || s->sync_due || kt_duty_next_piece(&s->duty, &piece))
			service(s);
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct swarm *swarm = handle->data;

	swarm->interrupted = true;
	uv_stop(&swarm->loop);
}

static void report(const struct swarm *swarm)
{
	struct rusage usage;
	double seconds = (double)(swarm->last_ns - swarm->granted_ns) / KT_NS_PER_S;
	uint64_t grown = swarm->rss_welcomed > swarm->rss_before
				 ? swarm->rss_welcomed - swarm->rss_before
				 : 0;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"sessions\": %" PRIu64 ", \"slots\": %" PRIu64 ", \"welcomed\": %" PRIu64
	       ", \"welcomed_after_s\": %.3f, \"left\": %" PRIu64 ", \"refused\": %" PRIu64
	       ", \"reconnected\": %" PRIu64 ", \"broken\": %" PRIu64 ", \"granted\": %" PRIu64
	       ", \"cells\": %" PRIu64 ", \"samples\": %" PRIu64 ", \"seconds\": %.3f"
	       ", \"cells_per_s\": %.1f, \"frames_in\": %" PRIu64 ", \"frames_out\": %" PRIu64
	       ", \"bytes_per_session\": %" PRIu64 ", \"cpu_s\": %.3f}\n",
	       swarm->n_sessions, swarm->slots, swarm->n_welcomed,
	       swarm->welcomed_ns ? (double)(swarm->welcomed_ns - swarm->began_ns) / KT_NS_PER_S
				  : -1,
	       swarm->n_over, swarm->n_refused, swarm->n_fresh, swarm->n_broken, swarm->n_granted,
	       swarm->n_cells, swarm->n_samples, seconds,
	       seconds > 0 ? (double)swarm->n_cells / seconds : 0, swarm->n_in, swarm->n_out,
	       grown / swarm->n_sessions,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

/* ---- life ---- */

/* One for the socket, one for its mailbox; what the kernel lets us have. */
static void raise_files(void)
{
	struct rlimit limit;

	kt_must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void name_session(const struct swarm *swarm, uint64_t i, char id[KT_NAME_BYTES_MAX + 1])
{
	snprintf(id, KT_NAME_BYTES_MAX + 1, "%s-%05" PRIu64, swarm->prefix, i);
}

/* A line per session: public and secret half. */
static int make_keys(const struct swarm *swarm, struct kt_err *err)
{
	int fd = open(swarm->make_keys, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int status = 0;

	if (!file)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", swarm->make_keys);
	for (uint64_t i = 0; i < swarm->n_sessions && status == 0; i++) {
		char id[KT_NAME_BYTES_MAX + 1];
		struct kt_key key;

		name_session(swarm, i, id);
		status = kt_key_make(&key, err);
		if (status == 0) {
			fprintf(file, "%s %s\n", key.public_key, key.secret_key);
			printf("%s work %s\n", key.public_key, id);
		}
	}
	fclose(file);
	return status;
}

static int read_keys(struct swarm *swarm, struct kt_err *err)
{
	FILE *file = fopen(swarm->keys, "r");

	if (!file)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", swarm->keys);
	for (uint64_t i = 0; i < swarm->n_sessions; i++) {
		struct kt_key *key = &swarm->sessions[i].key;

		if (fscanf(file, "%40s %40s", key->public_key, key->secret_key) != 2) {
			fclose(file);
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "%s has only %" PRIu64 " keys", swarm->keys, i);
		}
	}
	fclose(file);
	return 0;
}

static int open_session(struct swarm *swarm, uint64_t i, struct kt_err *err)
{
	struct session *s = &swarm->sessions[i];

	s->swarm = swarm;
	s->hangs = swarm->hangs;
	name_session(swarm, i, s->id);
	s->guard = (struct kt_guard){ .key = &s->key, .server_key = swarm->server_key.public_key };
	kt_must(getrandom(&s->boot_id, sizeof(s->boot_id), 0) == sizeof(s->boot_id));
	s->boot_id |= 1; /* never 0 */
	kt_duty_init(&s->duty, &(struct kt_duty_config){
				       .slots = swarm->slots, .once = true, .seed = s->boot_id });
	return connect_session(s, err);
}

static void close_session(struct session *s)
{
	struct hold *hold;
	struct hold *next;

	s->is_over = true;
	if (s->socket)
		close_socket(s);
	DL_FOREACH_SAFE (s->holds, hold, next) {
		free(hold);
	}
	while (s->laters) {
		struct later *later = s->laters;

		DL_DELETE(s->laters, later);
		free(later);
	}
	kt_duty_fini(&s->duty);
}

static void open_swarm(struct swarm *swarm)
{
	static const int numbers[] = { SIGINT, SIGTERM };

	raise_files();
	kt_schema_digest(&kt_schema_fleet, &swarm->schema);
	swarm->arena.max = KT_FRAME_ARENA_BYTES_MAX;
	swarm->scratch.max = kt_schema_fleet.frame_bytes_max;
	kt_must(uv_loop_init(&swarm->loop) == 0);
	uv_timer_init(&swarm->loop, &swarm->tick);
	swarm->tick.data = swarm;
	uv_timer_start(&swarm->tick, on_tick, TICK_MS, TICK_MS);
	for (size_t i = 0; i < 2; i++) {
		uv_signal_init(&swarm->loop, &swarm->signals[i]);
		swarm->signals[i].data = swarm;
		uv_signal_start(&swarm->signals[i], on_signal, numbers[i]);
	}
	uv_signal_init(&swarm->loop, &swarm->child_signal);
	swarm->child_signal.data = swarm;
	uv_signal_start(&swarm->child_signal, on_child, SIGCHLD);
	swarm->sessions = kt_must_calloc(swarm->n_sessions, sizeof(*swarm->sessions));
	swarm->began_ns = kt_clock_now_ns();
	swarm->rss_before = rss_bytes();
}

static void close_swarm(struct swarm *swarm)
{
	for (uint64_t i = 0; i < swarm->n_sessions; i++)
		if (swarm->sessions[i].swarm)
			close_session(&swarm->sessions[i]);
	uv_close((uv_handle_t *)&swarm->tick, NULL);
	uv_close((uv_handle_t *)&swarm->signals[0], NULL);
	uv_close((uv_handle_t *)&swarm->signals[1], NULL);
	uv_close((uv_handle_t *)&swarm->child_signal, NULL);
	while (uv_run(&swarm->loop, UV_RUN_DEFAULT))
		;
	kt_must(uv_loop_close(&swarm->loop) == 0);
	while (swarm->children) {
		struct child *child = swarm->children;

		HASH_DEL(swarm->children, child);
		free(child);
	}
	while (swarm->recipes) {
		struct recipe *recipe = swarm->recipes;

		swarm->recipes = recipe->next;
		for (uint64_t i = 0; i < recipe->n_samples; i++)
			kt_buf_destroy(&recipe->samples[i]);
		free(recipe->samples);
		free(recipe);
	}
	kt_duty_effects_fini(&swarm->effects);
	kt_arena_destroy(&swarm->arena);
	kt_buf_destroy(&swarm->scratch);
	free(swarm->sessions);
}

static int usage(void)
{
	fputs("usage: ktswarm --connect ENDPOINT [--sessions N] [--slots N] [--name PREFIX] "
	      "[--hang CELLS] [--exec PROGRAM] [--seconds N] [--keys FILE --server-key FILE]\n"
	      "       ktswarm --sessions N [--name PREFIX] --make-keys FILE\n",
	      stderr);
	return 2;
}

static int read_options(struct swarm *swarm, int argc, char **argv, struct kt_err *err)
{
	static const struct option options[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "sessions", required_argument, NULL, 'n' },
		{ "slots", required_argument, NULL, 's' },
		{ "name", required_argument, NULL, 'p' },
		{ "hang", required_argument, NULL, 'h' },
		{ "keys", required_argument, NULL, 'k' },
		{ "make-keys", required_argument, NULL, 'm' },
		{ "server-key", required_argument, NULL, 'S' },
		{ "exec", required_argument, NULL, 'e' },
		{ "seconds", required_argument, NULL, 't' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			swarm->endpoint = optarg;
			break;
		case 'n':
			swarm->n_sessions = strtoull(optarg, NULL, 10);
			break;
		case 's':
			swarm->slots = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			swarm->prefix = optarg;
			break;
		case 'h':
			swarm->hangs = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			swarm->keys = optarg;
			break;
		case 'm':
			swarm->make_keys = optarg;
			break;
		case 'S':
			if (kt_key_public(optarg, swarm->server_key.public_key, err) < 0)
				return -err->code;
			break;
		case 'e':
			swarm->exec = optarg;
			break;
		case 't':
			swarm->seconds = strtoll(optarg, NULL, 10);
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind != argc || swarm->n_sessions < 1 || swarm->n_sessions > SESSIONS_MAX ||
	    swarm->slots < 1 || swarm->slots > KT_SLOTS_MAX ||
	    !swarm->keys != !swarm->server_key.public_key[0])
		return -EINVAL;
	if (swarm->make_keys)
		return 0;
	return swarm->endpoint ? kt_endpoint_check(swarm->endpoint, false, swarm->keys, err)
			       : -EINVAL;
}

int main(int argc, char **argv)
{
	struct swarm swarm = { .n_sessions = 16, .slots = 4, .prefix = "swarm" };
	struct kt_err err = { 0 };
	int status = 0;

	if (read_options(&swarm, argc, argv, &err) < 0) {
		fprintf(stderr, "ktswarm: %s\n", err.text);
		return usage();
	}
	if (swarm.make_keys) {
		status = make_keys(&swarm, &err);
		if (status < 0)
			fprintf(stderr, "ktswarm: %s\n", err.text);
		return status < 0;
	}
	signal(SIGPIPE, SIG_IGN);
	open_swarm(&swarm);
	if (swarm.keys)
		status = read_keys(&swarm, &err);
	for (uint64_t i = 0; i < swarm.n_sessions && status == 0; i++)
		status = open_session(&swarm, i, &err);
	if (status == 0)
		uv_run(&swarm.loop, UV_RUN_DEFAULT);
	else
		fprintf(stderr, "ktswarm: %s\n", err.text);
	report(&swarm);
	if (status == 0 && !swarm.seconds)
		status = swarm.interrupted || swarm.n_over < swarm.n_sessions || swarm.n_refused;
	close_swarm(&swarm);
	return status ? 1 : 0;
}
