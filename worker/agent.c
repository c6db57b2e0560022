#include "worker/agent.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/job.h"
#include "proto/net/dealer.h"
#include "worker/cache.h"
#include "worker/core/duty.h"
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#define BLOCKED_MS      20 /* before a full socket is tried again */
#define LAZY_MS         500 /* before logs and deletions alone are committed */
#define PARENT_MS       500 /* how often an embedded worker looks for its parent */
#define LEAVING_NS_MAX  (10 * KT_NS_PER_S) /* for the embedded worker before this one */
#define LEAVING_LOOK_MS 20
#define LONELY_NS       (60 * KT_NS_PER_S) /* an embedded worker that nobody ever welcomed leaves */
#define STREAMS_MAX     8 /* logs of one attempt that are bounded each on their own */
#define RESULT_MARGIN   1024 /* bytes of a frame around its result */

struct agent;

/* What the hands hold for one lease of the core. */
struct hold {
	struct agent *agent;
	struct hold *prev, *next;
	uint64_t lease;
	char sweep[KT_NAME_BYTES_MAX + 1];
	struct kt_spool_key key;
	struct kt_arena arena; /* of the job */
	struct kt_msg_job *job; /* NULL for what an earlier life left */
	struct kt_cache_want *want;
	struct kt_msg_local_file *files;
	size_t n_files;
	struct kt_run *run;
	int64_t began_wall_ns; /* 0: it was not started */
	struct kt_buf result; /* encoded; empty for what an earlier life left */
	struct {
		char name[33];
		size_t bytes;
		bool cut;
	} streams[STREAMS_MAX];
};

/* An input that waits for the effects of the one before it. */
struct later {
	struct later *prev, *next;
	struct kt_duty_input input;
	char text[256];
};

/* In the spool's open transaction. */
struct pending {
	uint64_t lease;
	bool is_result;
};

struct agent {
	const struct kt_agent_config *config;
	uv_loop_t loop;
	struct kt_duty duty;
	struct kt_duty_effects effects;
	bool stepping;
	struct later *laters;
	struct hold *holds;
	struct pending *pending;
	size_t n_pending, cap_pending;
	struct kt_dealer *control, *bulk;
	char *bulk_endpoint; /* as in the last WELCOME */
	bool bulk_stale; /* the bulk socket must start over */
	struct kt_cache *cache;
	struct kt_spool *spool;
	struct kt_runner *runner;
	char *dir, *run_dir, *cache_dir;
	int lock_fd;
	uint64_t boot_id;
	pid_t parent;
	int64_t began_ns;
	uv_timer_t tick, lazy, watch;
	uv_prepare_t prepare;
	uv_signal_t sigint, sigterm;
	bool handles;
	bool blocked;
	unsigned int terms;
	bool leaving;
	int status;
};

static void feed(struct agent *agent, struct kt_duty_input input);

/* ---- small things ---- */

static struct hold *hold_of(struct agent *agent, uint64_t lease)
{
	for (struct hold *hold = agent->holds; hold; hold = hold->next)
		if (hold->lease == lease)
			return hold;
	return NULL;
}

static struct hold *add_hold(struct agent *agent, uint64_t lease)
{
	const struct kt_duty_lease *held = kt_duty_lease(&agent->duty, lease);
	struct hold *hold = kt_must_calloc(1, sizeof(*hold));

	kt_must(held);
	hold->agent = agent;
	hold->lease = lease;
	snprintf(hold->sweep, sizeof(hold->sweep), "%s", held->sweep);
	hold->key = (struct kt_spool_key){ hold->sweep, held->cell, held->epoch };
	hold->next = agent->holds;
	if (hold->next)
		hold->next->prev = hold;
	agent->holds = hold;
	return hold;
}

static void free_hold(struct hold *hold)
{
	if (hold->prev)
		hold->prev->next = hold->next;
	else
		hold->agent->holds = hold->next;
	if (hold->next)
		hold->next->prev = hold->prev;
	kt_cache_drop(&hold->want);
	kt_buf_destroy(&hold->result);
	kt_arena_destroy(&hold->arena);
	free(hold);
}

static void say_later(struct agent *agent, struct kt_duty_input input, const char *text)
{
	struct later *later = kt_must_calloc(1, sizeof(*later));
	struct later *tail = agent->laters;

	later->input = input;
	snprintf(later->text, sizeof(later->text), "%s", text ? text : "");
	while (tail && tail->next)
		tail = tail->next;
	later->prev = tail;
	if (tail)
		tail->next = later;
	else
		agent->laters = later;
}

/* ---- the spool ---- */

static void note_pending(struct agent *agent, uint64_t lease, bool is_result)
{
	if (agent->n_pending == agent->cap_pending) {
		agent->cap_pending = agent->cap_pending ? agent->cap_pending * 2 : 16;
		agent->pending = kt_must_realloc(agent->pending, agent->cap_pending,
						 sizeof(*agent->pending));
	}
	agent->pending[agent->n_pending++] = (struct pending){ lease, is_result };
}

static void say_lost(struct agent *agent, uint64_t lease, uint64_t seq, const struct kt_err *err)
{
	say_later(agent,
		  (struct kt_duty_input){
			  .type = KT_DUTY_IN_LOST,
			  .lease = lease,
			  .seq = seq,
			  .cause = err->code == ENOSPC ? KT_CAUSE_ID_disk_full
						       : KT_CAUSE_ID_host_trouble,
		  },
		  err->text);
}

/* The open transaction is gone, and everything in it: each lease concerned hears it once. */
static void spool_broke(struct agent *agent, const struct kt_err *err)
{
	KT_LOG("spool_failed", "why=%s", kt_log_quote(err->text));
	for (size_t i = 0; i < agent->n_pending; i++) {
		bool told = false;

		for (size_t j = 0; j < i && !told; j++)
			told = agent->pending[j].lease == agent->pending[i].lease;
		if (!told)
			say_lost(agent, agent->pending[i].lease, UINT64_MAX, err);
	}
	agent->n_pending = 0;
}

static void spool_piece(struct agent *agent, const struct kt_duty_effect *effect)
{
	struct hold *hold = hold_of(agent, effect->lease);
	struct kt_err err = { 0 };

	if (effect->type == KT_DUTY_DO_KEEP_SAMPLE) {
		note_pending(agent, effect->lease, false);
		if (kt_spool_put_sample(agent->spool, &hold->key, effect->seq, effect->body,
					effect->len, &err) < 0)
			spool_broke(agent, &err);
		return;
	}
	if (kt_spool_put_log(agent->spool, &hold->key, effect->seq, effect->stream, effect->body,
			     effect->len, &err) < 0)
		spool_broke(agent, &err);
	else
		say_later(agent,
			  (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_LOG,
						  .lease = effect->lease },
			  NULL);
}

static void encode_result(struct kt_msg_result *result, struct kt_buf *out)
{
	char note[512];

	kt_codec_encode(&kt_schema_result, result, out);
	if (out->len <= KT_FRAME_BYTES_MAX - RESULT_MARGIN)
		return;
	/* What a guest can make long is left out rather than lost with the whole. */
	snprintf(note, sizeof(note),
		 "%zu bytes were too many: reports and timeline left out; %.300s", out->len,
		 result->note);
	result->note = note;
	result->n_reports = 0;
	result->n_timeline = 0;
	result->n_wakes = 0;
	result->n_latencies = 0;
	result->n_payloads = 0;
	kt_buf_reset(out);
	kt_codec_encode(&kt_schema_result, result, out);
}

static void spool_result(struct agent *agent, const struct kt_duty_effect *effect)
{
	struct hold *hold = hold_of(agent, effect->lease);
	const struct kt_duty_lease *lease = kt_duty_lease(&agent->duty, effect->lease);
	struct kt_msg_machine machine = *agent->config->machine;
	struct kt_msg_result result = {
		.cause = "",
		.line = "",
		.evidence = "",
		.note = "",
		.machine = &machine,
	};
	struct kt_err err = { 0 };

	if (effect->result)
		result = *effect->result;
	if (effect->cause != KT_CAUSE_ID_N) {
		/* Of our own: what was kept before is sent and counted, what was lost is not. */
		result.cause = kt_cause(effect->cause)->name;
		result.line = effect->text;
		result.samples_total = lease->samples_kept;
		if (result.samples_fired > result.samples_total)
			result.samples_fired = result.samples_total;
		result.series_digest = (struct kt_bin){ 0 };
	}
	result.began_wall_ns = hold->began_wall_ns;
	kt_buf_reset(&hold->result);
	encode_result(&result, &hold->result);
	KT_LOG("attempt_ended", "cell=%" PRIu64 " epoch=%" PRIu64 " cause=%s line=%s",
	       hold->key.cell, hold->key.epoch, result.cause, kt_log_quote(result.line));
	note_pending(agent, effect->lease, true);
	if (kt_spool_put_result(agent->spool, &hold->key, hold->result.data, hold->result.len,
				&err) < 0)
		spool_broke(agent, &err);
}

static void spool_drop(struct agent *agent, const struct kt_duty_effect *effect)
{
	struct hold *hold = hold_of(agent, effect->lease);
	struct kt_err err = { 0 };
	int ret;

	if (effect->type == KT_DUTY_DO_TRIM)
		ret = kt_spool_trim(agent->spool, &hold->key, effect->seq, &err);
	else
		ret = kt_spool_forget(agent->spool, &hold->key, &err);
	if (ret < 0)
		spool_broke(agent, &err);
}

/* Group commit: everything of one turn of the loop at once. */
static void commit(struct agent *agent)
{
	struct kt_err err = { 0 };

	if (kt_spool_commit(agent->spool, &err) < 0) {
		spool_broke(agent, &err);
		return;
	}
	for (size_t i = 0; i < agent->n_pending; i++)
		say_later(agent,
			  (struct kt_duty_input){
				  .type = agent->pending[i].is_result ? KT_DUTY_IN_KEPT_RESULT
								      : KT_DUTY_IN_KEPT_SAMPLE,
				  .lease = agent->pending[i].lease,
			  },
			  NULL);
	agent->n_pending = 0;
}

/* ---- to the coordinator ---- */

/* -EAGAIN and -ENOTCONN are no events: what matters is said again. */
static int send_frame(struct agent *agent, uint32_t tag, const void *body)
{
	return kt_dealer_send(agent->control, tag, body, NULL);
}

static void send_hello(struct agent *agent)
{
	struct kt_digest digest;
	struct kt_msg_machine machine = *agent->config->machine;
	struct kt_msg_hello hello = {
		.version_min = KT_PROTOCOL_VERSION_MIN,
		.version_max = KT_PROTOCOL_VERSION,
		.schema_digest = { digest.bytes, KT_DIGEST_BYTES },
		.build = KT_VERSION,
		.worker_id = agent->config->worker_id,
		.boot_id = agent->boot_id,
		.slots = agent->config->slots,
		.cpus = agent->config->cpus,
		.mem_bytes = agent->config->mem_bytes,
		.guest_cpus = agent->config->guest_cpus,
		.machine = &machine,
		.accel_reason = agent->config->accel_reason,
		.wall_ns = kt_clock_wall_ns(),
	};

	kt_schema_digest(&kt_schema_fleet, &digest);
	send_frame(agent, KT_TAG_hello, &hello);
}

static void send_sync(struct agent *agent)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sync sync;

	kt_duty_fill_sync(&agent->duty, kt_clock_now_ns(), kt_clock_wall_ns(), &arena, &sync);
	sync.cached = kt_cache_told(agent->cache);
	send_frame(agent, KT_TAG_sync, &sync);
}

static void send_phase(struct agent *agent, uint64_t lease, const char *name, int64_t left_ns,
		       const char *detail)
{
	const struct hold *hold = hold_of(agent, lease);
	struct kt_msg_phase phase = {
		.session = agent->duty.session,
		.cell = hold->key.cell,
		.epoch = hold->key.epoch,
		.phase = name,
		.left_ns = left_ns,
		.detail = detail,
	};

	if (agent->duty.session)
		send_frame(agent, KT_TAG_phase, &phase);
}

static int send_sample(struct agent *agent, struct hold *hold, uint64_t seq)
{
	KT_AUTO_BUF body = { 0 };
	struct kt_err err = { 0 };
	struct kt_msg_sample_sent sent = {
		.session = agent->duty.session,
		.cell = hold->key.cell,
		.epoch = hold->key.epoch,
		.seq = seq,
	};

	if (kt_spool_get_sample(agent->spool, &hold->key, seq, &body, &err) < 0) {
		say_lost(agent, hold->lease, seq, &err);
		return -EIO;
	}
	sent.body = (struct kt_bin){ body.data, body.len };
	return send_frame(agent, KT_TAG_sample_sent, &sent);
}

static int send_log(struct agent *agent, struct hold *hold, uint64_t seq)
{
	KT_AUTO_BUF body = { 0 };
	char stream[33];
	struct kt_msg_log_sent sent = {
		.session = agent->duty.session,
		.cell = hold->key.cell,
		.epoch = hold->key.epoch,
		.seq = seq,
		.stream = stream,
	};

	/* A log that did not survive is a pity, no more. */
	if (kt_spool_get_log(agent->spool, &hold->key, seq, stream, &body, NULL) < 0)
		return 0;
	sent.body = (struct kt_bin){ body.data, body.len };
	return send_frame(agent, KT_TAG_log_sent, &sent);
}

static int send_result(struct agent *agent, struct hold *hold)
{
	KT_AUTO_BUF body = { 0 };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_result result;
	struct kt_err err = { 0 };
	struct kt_msg_result_sent sent = {
		.session = agent->duty.session,
		.cell = hold->key.cell,
		.epoch = hold->key.epoch,
		.result = &result,
	};
	int ret = 0;

	if (hold->result.len > 0)
		kt_buf_append(&body, hold->result.data, hold->result.len);
	else
		ret = kt_spool_get_result(agent->spool, &hold->key, &body, &err);
	if (ret == 0)
		ret = kt_codec_decode(&kt_schema_result, body.data, body.len, &arena, &result,
				      &err);
	if (ret < 0) {
		say_lost(agent, hold->lease, UINT64_MAX, &err);
		return -EIO;
	}
	return send_frame(agent, KT_TAG_result_sent, &sent);
}

/* ---- artifacts and runs ---- */

static void on_phase(void *arg, const struct kt_msg_run_phase *phase)
{
	struct hold *hold = arg;

	feed(hold->agent, (struct kt_duty_input){
				  .type = KT_DUTY_IN_PHASE, .lease = hold->lease, .phase = phase });
}

static void on_sample(void *arg, const void *body, size_t len)
{
	struct hold *hold = arg;

	feed(hold->agent, (struct kt_duty_input){ .type = KT_DUTY_IN_SAMPLE,
						  .lease = hold->lease,
						  .bytes = { NULL, body, len } });
}

static void feed_log(struct hold *hold, const char *stream, const void *bytes, size_t len)
{
	feed(hold->agent, (struct kt_duty_input){ .type = KT_DUTY_IN_LOG,
						  .lease = hold->lease,
						  .bytes = { stream, bytes, len } });
}

static void on_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	static const char cut[] = "\n[cut here: more than a log of one attempt may have]\n";
	struct hold *hold = arg;
	const uint8_t *at = bytes;
	size_t s = 0;

	while (s < STREAMS_MAX && *hold->streams[s].name &&
	       strcmp(hold->streams[s].name, stream) != 0)
		s++;
	if (s == STREAMS_MAX || hold->streams[s].cut)
		return;
	snprintf(hold->streams[s].name, sizeof(hold->streams[s].name), "%s", stream);
	if (hold->streams[s].bytes + len > KT_LOG_BYTES_MAX) {
		hold->streams[s].cut = true;
		len = KT_LOG_BYTES_MAX - hold->streams[s].bytes;
	}
	hold->streams[s].bytes += len;
	while (len > 0) {
		size_t piece = len < KT_LOG_PIECE_BYTES_MAX ? len : KT_LOG_PIECE_BYTES_MAX;

		feed_log(hold, stream, at, piece);
		at += piece;
		len -= piece;
	}
	if (hold->streams[s].cut)
		feed_log(hold, stream, cut, sizeof(cut) - 1);
}

static void on_ended(void *arg, const struct kt_msg_result *result)
{
	struct hold *hold = arg;

	hold->run = NULL;
	feed(hold->agent, (struct kt_duty_input){ .type = KT_DUTY_IN_ENDED,
						  .lease = hold->lease,
						  .result = result });
}

static const struct kt_run_events run_events = {
	.phase = on_phase,
	.sample = on_sample,
	.log = on_log,
	.ended = on_ended,
};

static void on_artifacts(void *arg, const char *const *paths, size_t n_paths,
			 enum kt_cause_id cause, const struct kt_err *err)
{
	struct hold *hold = arg;
	struct kt_duty_input input = { .type = KT_DUTY_IN_READY, .lease = hold->lease };

	if (err) {
		input.type = KT_DUTY_IN_FAILED;
		input.cause = cause;
		input.text = err->text;
	}
	for (size_t i = 0; i < n_paths; i++)
		hold->files[i].path = kt_arena_strdup(&hold->arena, paths[i]);
	feed(hold->agent, input);
}

static void say_failed(struct agent *agent, uint64_t lease, enum kt_cause_id cause,
		       const struct kt_err *err)
{
	say_later(
		agent,
		(struct kt_duty_input){ .type = KT_DUTY_IN_FAILED, .lease = lease, .cause = cause },
		err->text);
}

static void accept_grant(struct agent *agent, const struct kt_duty_effect *effect)
{
	struct hold *hold = add_hold(agent, effect->lease);
	struct kt_msg_job job = *effect->grant->job;
	KT_AUTO_BUF bytes = { 0 };
	int ret;

	job.attempt = effect->grant->attempt;
	kt_codec_encode(&kt_schema_job, &job, &bytes);
	hold->job = kt_arena_alloc(&hold->arena, 1, sizeof(*hold->job));
	ret = kt_codec_decode(&kt_schema_job, bytes.data, bytes.len, &hold->arena, hold->job, NULL);
	kt_must(ret == 0);
	KT_LOG("lease_taken", "cell=%" PRIu64 " epoch=%" PRIu64 " attempt=%" PRIu64 " name=%s",
	       hold->key.cell, hold->key.epoch, job.attempt, kt_log_quote(job.cell_name));
}

static void fetch_artifacts(struct agent *agent, uint64_t lease)
{
	struct hold *hold = hold_of(agent, lease);
	KT_AUTO_FREE struct kt_job_artifact *list = kt_must_calloc(KT_FILES_MAX, sizeof(*list));
	struct kt_err err = { 0 };
	int n = kt_job_artifacts(hold->job, list, &err);

	if (n < 0) {
		say_failed(agent, lease, KT_CAUSE_ID_protocol, &err);
		return;
	}
	hold->n_files = (size_t)n;
	hold->files = kt_arena_alloc(&hold->arena, hold->n_files + 1, sizeof(*hold->files));
	for (size_t i = 0; i < hold->n_files; i++)
		hold->files[i].digest = (struct kt_bin){
			kt_arena_copy(&hold->arena, list[i].digest.bytes, KT_DIGEST_BYTES),
			KT_DIGEST_BYTES,
		};
	hold->want = kt_cache_want(agent->cache, list, hold->n_files, on_artifacts, hold);
	send_phase(agent, lease, "fetch", 0, "");
}

static void start_run(struct agent *agent, uint64_t lease)
{
	struct hold *hold = hold_of(agent, lease);
	struct kt_err err = { 0 };

	hold->began_wall_ns = kt_clock_wall_ns();
	if (agent->config->runner->start(agent->runner, hold->job, hold->files, hold->n_files,
					 &run_events, hold, &hold->run, &err) < 0) {
		hold->run = NULL;
		say_failed(agent, lease,
			   err.code == ENOSPC   ? KT_CAUSE_ID_disk_full
			   : err.code == ENOMEM ? KT_CAUSE_ID_no_memory
						: KT_CAUSE_ID_host_trouble,
			   &err);
	}
}

/* ---- the bulk socket ---- */

static void on_bulk_frame(void *arg, const struct kt_message *message, void *body)
{
	struct agent *agent = arg;

	if (message->tag == KT_TAG_chunk)
		kt_cache_chunk(agent->cache, body);
}

static void on_bulk_broken(void *arg, const struct kt_err *err)
{
	KT_LOG("bulk_broken", "why=%s", kt_log_quote(err->text));
}

static void on_bulk_up(void *arg)
{
	struct agent *agent = arg;

	kt_cache_link(agent->cache, true);
}

static void on_bulk_down(void *arg, const char *why)
{
	struct agent *agent = arg;

	kt_cache_link(agent->cache, false);
}

static const struct kt_dealer_events bulk_events = {
	.frame = on_bulk_frame,
	.broken = on_bulk_broken,
	.up = on_bulk_up,
	.down = on_bulk_down,
};

static int ask_piece(void *arg, const struct kt_msg_fetch *fetch)
{
	struct agent *agent = arg;

	return agent->bulk ? kt_dealer_send(agent->bulk, KT_TAG_fetch, fetch, NULL) : -ENOTCONN;
}

/* Not from within the cache's own call: at the next turn of the loop. */
static void on_stalled(void *arg)
{
	struct agent *agent = arg;

	agent->bulk_stale = true;
}

static void renew_bulk(struct agent *agent)
{
	agent->bulk_stale = false;
	if (!agent->bulk)
		return;
	kt_cache_link(agent->cache, false);
	kt_dealer_reset(agent->bulk);
}

/* Over TCP only the port counts: the coordinator need not know the address or name under which it is found from here. */
static void open_bulk(struct agent *agent, const char *told)
{
	KT_AUTO_FREE char *beside = kt_endpoint_beside(agent->config->endpoint, told);
	const char *endpoint = beside ? beside : told;
	struct kt_err err = { 0 };

	if (agent->bulk && strcmp(agent->bulk_endpoint, endpoint) == 0)
		return;
	kt_cache_link(agent->cache, false);
	kt_dealer_destroy(&agent->bulk);
	free(agent->bulk_endpoint);
	agent->bulk_endpoint = kt_must_strdup(endpoint);
	if (kt_dealer_open(&agent->loop, endpoint, &kt_schema_fleet, agent->config->guard,
			   &bulk_events, agent, &agent->bulk, &err) < 0)
		KT_LOG("bulk_unusable", "endpoint=%s why=%s", kt_log_quote(endpoint),
		       kt_log_quote(err.text));
}

/* ---- performing effects ---- */

static void perform(struct agent *agent, const struct kt_duty_effect *effect,
		    const struct kt_duty_input *input)
{
	struct hold *hold = effect->lease ? hold_of(agent, effect->lease) : NULL;
	struct kt_msg_bye bye = { .session = agent->duty.session, .reason = effect->text };

	switch (effect->type) {
	case KT_DUTY_DO_HELLO:
		send_hello(agent);
		break;
	case KT_DUTY_DO_SYNC:
		send_sync(agent);
		break;
	case KT_DUTY_DO_BYE:
		send_frame(agent, KT_TAG_bye, &bye);
		break;
	case KT_DUTY_DO_TELL_PHASE:
		send_phase(agent, effect->lease, effect->phase->phase, effect->phase->left_ns,
			   effect->phase->detail);
		break;
	case KT_DUTY_DO_RESET:
		KT_LOG("coordinator_silent", "endpoint=%s", kt_log_quote(agent->config->endpoint));
		kt_dealer_reset(agent->control);
		break;
	case KT_DUTY_DO_BULK:
		open_bulk(agent, input->welcome->bulk_endpoint);
		break;
	case KT_DUTY_DO_ACCEPT:
		accept_grant(agent, effect);
		break;
	case KT_DUTY_DO_FETCH:
		fetch_artifacts(agent, effect->lease);
		break;
	case KT_DUTY_DO_START:
		start_run(agent, effect->lease);
		break;
	case KT_DUTY_DO_CANCEL:
		KT_LOG("attempt_killed", "cell=%" PRIu64 " epoch=%" PRIu64 " why=%s",
		       hold->key.cell, hold->key.epoch, kt_log_quote(effect->text));
		if (hold->run)
			agent->config->runner->cancel(hold->run, effect->text);
		break;
	case KT_DUTY_DO_KEEP_SAMPLE:
	case KT_DUTY_DO_KEEP_LOG:
		spool_piece(agent, effect);
		break;
	case KT_DUTY_DO_KEEP_RESULT:
		spool_result(agent, effect);
		break;
	case KT_DUTY_DO_TRIM:
		spool_drop(agent, effect);
		break;
	case KT_DUTY_DO_RELEASE:
		kt_cache_drop(&hold->want);
		break;
	case KT_DUTY_DO_FORGET:
		spool_drop(agent, effect);
		free_hold(hold);
		break;
	case KT_DUTY_DO_NOTE:
		KT_LOG("note", "coordinator=%s", kt_log_quote(effect->text));
		break;
	case KT_DUTY_DO_EXIT:
		KT_LOG("leaving", "status=%d why=%s", effect->status, kt_log_quote(effect->text));
		agent->leaving = true;
		agent->status = effect->status;
		uv_stop(&agent->loop);
		break;
	case KT_DUTY_DO_N:
		kt_must(effect->type != KT_DUTY_DO_N);
	}
}

static void step(struct agent *agent, struct kt_duty_input *input)
{
	kt_must(!agent->stepping);
	agent->stepping = true;
	input->now_ns = kt_clock_now_ns();
	agent->effects.n = 0;
	kt_duty_step(&agent->duty, input, &agent->effects);
	for (size_t i = 0; i < agent->effects.n; i++)
		perform(agent, &agent->effects.list[i], input);
	agent->stepping = false;
}

static void drain_laters(struct agent *agent)
{
	while (agent->laters) {
		struct later *later = agent->laters;

		agent->laters = later->next;
		if (later->next)
			later->next->prev = NULL;
		later->input.text = later->text;
		step(agent, &later->input);
		free(later);
	}
}

static int send_piece(struct agent *agent, const struct kt_duty_piece *piece)
{
	struct hold *hold = hold_of(agent, piece->lease);

	switch (piece->type) {
	case KT_DUTY_SAMPLE:
		return send_sample(agent, hold, piece->seq);
	case KT_DUTY_LOG:
		return send_log(agent, hold, piece->seq);
	case KT_DUTY_RESULT:
		return send_result(agent, hold);
	}
	return -EINVAL;
}

/* Sends what the coordinator does not have, as far as the socket takes it. */
static void pump(struct agent *agent)
{
	struct kt_duty_piece piece;

	agent->blocked = false;
	while (kt_duty_next_piece(&agent->duty, &piece)) {
		int ret = kt_dealer_queued_bytes(agent->control) > KT_AGENT_QUEUED_BYTES_MAX
				  ? -EAGAIN
				  : send_piece(agent, &piece);

		if (ret == -EIO) { /* the spool no longer has it */
			drain_laters(agent);
			continue;
		}
		if (ret < 0) {
			agent->blocked = true;
			return;
		}
		step(agent, &(struct kt_duty_input){ .type = KT_DUTY_IN_SENT, .piece = piece });
	}
}

static void on_tick(uv_timer_t *timer);
static void on_lazy(uv_timer_t *timer);

static void arm(struct agent *agent)
{
	int64_t next_ns = kt_duty_next_ns(&agent->duty);
	int64_t in_ms = -1;

	if (next_ns != INT64_MAX) {
		in_ms = (next_ns - kt_clock_now_ns() + KT_NS_PER_MS - 1) / KT_NS_PER_MS;
		in_ms = in_ms < 1 ? 1 : in_ms;
	}
	if (agent->blocked && (in_ms < 0 || in_ms > BLOCKED_MS))
		in_ms = BLOCKED_MS;
	if (in_ms < 0) {
		uv_timer_stop(&agent->tick);
	} else {
		uv_update_time(&agent->loop);
		uv_timer_start(&agent->tick, on_tick, (uint64_t)in_ms, 0);
	}
	if (kt_spool_is_dirty(agent->spool) && !uv_is_active((uv_handle_t *)&agent->lazy))
		uv_timer_start(&agent->lazy, on_lazy, LAZY_MS, 0);
}

static void settle(struct agent *agent)
{
	drain_laters(agent);
	pump(agent);
	drain_laters(agent);
	arm(agent);
}

static void feed(struct agent *agent, struct kt_duty_input input)
{
	step(agent, &input);
	settle(agent);
}

/* ---- callbacks of the loop ---- */

static void on_tick(uv_timer_t *timer)
{
	feed(timer->data, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
}

static void on_lazy(uv_timer_t *timer)
{
	struct agent *agent = timer->data;

	commit(agent);
	settle(agent);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct agent *agent = prepare->data;

	if (agent->bulk_stale)
		renew_bulk(agent);
	if (agent->n_pending == 0)
		return;
	commit(agent);
	settle(agent);
}

static void on_watch(uv_timer_t *timer)
{
	struct agent *agent = timer->data;
	bool was_orphan = !agent->duty.sweep[0] && kt_clock_now_ns() - agent->began_ns > LONELY_NS;

	if (getppid() == agent->parent && !was_orphan)
		return;
	KT_LOG("parent_gone", "pid=%d", (int)agent->parent);
	uv_timer_stop(timer);
	feed(agent, (struct kt_duty_input){ .type = KT_DUTY_IN_STOP });
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct agent *agent = signal->data;
	bool drain = number == SIGTERM && !agent->config->embedded && agent->terms++ == 0;

	KT_LOG("signal", "number=%d meaning=%s", number, drain ? "drain" : "stop");
	feed(agent, (struct kt_duty_input){ .type = drain ? KT_DUTY_IN_DRAIN : KT_DUTY_IN_STOP });
}

static void on_up(void *arg)
{
	feed(arg, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
}

static void on_down(void *arg, const char *why)
{
	KT_LOG("coordinator_gone", "why=%s", kt_log_quote(why));
	feed(arg, (struct kt_duty_input){ .type = KT_DUTY_IN_DOWN });
}

static void on_broken(void *arg, const struct kt_err *err)
{
	KT_LOG("coordinator_broken", "why=%s", kt_log_quote(err->text));
}

static void on_frame(void *arg, const struct kt_message *message, void *body)
{
	struct agent *agent = arg;
	struct kt_duty_input input = { 0 };

	if (!kt_duty_hear(message->tag, body, &input)) {
		KT_LOG("unexpected_message", "name=%s", message->schema->name);
		return;
	}
	if (input.type == KT_DUTY_IN_STATE)
		input.wall_ns = kt_clock_wall_ns();
	else if (input.type == KT_DUTY_IN_WELCOME)
		KT_LOG("welcome", "sweep=%s session=%" PRIu64 " coordinator=%s",
		       kt_log_quote(input.welcome->sweep_id), input.welcome->session,
		       kt_log_quote(input.welcome->build));
	else if (input.type == KT_DUTY_IN_REFUSE)
		KT_LOG("refused", "rejoin=%d why=%s", input.refuse->rejoin,
		       kt_log_quote(input.refuse->reason));
	feed(agent, input);
}

static const struct kt_dealer_events control_events = {
	.frame = on_frame,
	.broken = on_broken,
	.up = on_up,
	.down = on_down,
};

/* ---- opening ---- */

static int make_dir(const char *path, mode_t mode, struct kt_err *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", path);
	return 0;
}

/* Also its parents. */
static int make_dirs(const char *path, struct kt_err *err)
{
	KT_AUTO_FREE char *partial = kt_must_strdup(path);

	for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (make_dir(partial, 0755, err) < 0)
			return -err->code;
		*slash = '/';
	}
	return make_dir(partial, 0755, err);
}

/* An embedded worker's coordinator may just have been killed: the worker before this one is on its way out, with its
 * guests.
 */
static bool try_lock(int fd, bool embedded)
{
	int64_t until_ns = kt_clock_now_ns() + (embedded ? LEAVING_NS_MAX : 0);

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || kt_clock_now_ns() >= until_ns)
			return false;
		uv_sleep(LEAVING_LOOK_MS);
	}
	return true;
}

static int lock_state(struct agent *agent, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_must_asprintf("%s/lock", agent->dir);

	agent->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (agent->lock_fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	if (!try_lock(agent->lock_fd, agent->config->embedded))
		return kt_err_set(err, KT_FAULT_INPUT, EBUSY,
				  "a worker named %s already runs on %s: give this one another "
				  "--id or --state",
				  agent->config->worker_id, agent->config->state_dir);
	return 0;
}

static int remove_item(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	/* The folder itself stays. What cannot go is found again at the next start. */
	if (ftw->level > 0 && remove(path) < 0)
		KT_LOG("leftover_stays", "path=%s why=%s", kt_log_quote(path), strerror(errno));
	return 0;
}

/* The processes of an earlier life died with it (PDEATHSIG); their folders did not. */
static void sweep_leftovers(struct agent *agent)
{
	nftw(agent->run_dir, remove_item, 16, FTW_DEPTH | FTW_PHYS);
}

static int open_state(struct agent *agent, struct kt_err *err)
{
	const struct kt_agent_config *config = agent->config;
	KT_AUTO_FREE char *workers = kt_must_asprintf("%s/workers", config->state_dir);

	if (strchr(config->worker_id, '/') || config->worker_id[0] == '.' ||
	    !config->worker_id[0] || strlen(config->worker_id) > KT_NAME_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "worker id \"%s\": at most %d bytes, no '/', no '.' in front",
				  config->worker_id, KT_NAME_BYTES_MAX);
	agent->dir = kt_must_asprintf("%s/%s", workers, config->worker_id);
	agent->run_dir = kt_must_asprintf("%s/run", agent->dir);
	agent->cache_dir = kt_must_asprintf("%s/cache", config->state_dir);
	if (make_dirs(config->state_dir, err) < 0 || make_dir(workers, 0755, err) < 0 ||
	    make_dir(agent->dir, 0755, err) < 0 || lock_state(agent, err) < 0 ||
	    make_dir(agent->run_dir, 0700, err) < 0)
		return -err->code;
	sweep_leftovers(agent);
	return 0;
}

static void on_left(void *arg, const struct kt_spool_left *left)
{
	struct agent *agent = arg;
	struct kt_duty_restored restored = {
		.sweep = left->key.sweep,
		.cell = left->key.cell,
		.epoch = left->key.epoch,
		.samples_acked = left->samples_acked,
		.samples_kept = left->samples,
		.logs_kept = left->logs,
	};

	step(agent, &(struct kt_duty_input){ .type = KT_DUTY_IN_RESTORED, .restored = &restored });
	add_hold(agent, agent->duty.leases[agent->duty.n_leases - 1].id);
	KT_LOG("result_waits", "sweep=%s cell=%" PRIu64 " epoch=%" PRIu64,
	       kt_log_quote(left->key.sweep), left->key.cell, left->key.epoch);
}

static int open_spool(struct agent *agent, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_must_asprintf("%s/spool.db", agent->dir);
	size_t n_dropped = 0;

	if (kt_spool_open(path, agent->config->spool_bytes_max, &agent->spool, err) < 0)
		return -err->code;
	if (kt_spool_set_aside(agent->spool))
		KT_LOG("spool_set_aside", "to=%s", kt_log_quote(kt_spool_set_aside(agent->spool)));
	if (kt_spool_restore(agent->spool, on_left, agent, &n_dropped, err) < 0)
		return -err->code;
	if (n_dropped)
		KT_LOG("results_dropped", "n=%zu limit=%d", n_dropped, KT_SPOOL_RESULTS_MAX);
	return 0;
}

static void init_handle(struct agent *agent, uv_handle_t *handle)
{
	handle->data = agent;
}

static void open_handles(struct agent *agent)
{
	uv_timer_init(&agent->loop, &agent->tick);
	uv_timer_init(&agent->loop, &agent->lazy);
	uv_timer_init(&agent->loop, &agent->watch);
	uv_prepare_init(&agent->loop, &agent->prepare);
	uv_signal_init(&agent->loop, &agent->sigint);
	uv_signal_init(&agent->loop, &agent->sigterm);
	init_handle(agent, (uv_handle_t *)&agent->tick);
	init_handle(agent, (uv_handle_t *)&agent->lazy);
	init_handle(agent, (uv_handle_t *)&agent->watch);
	init_handle(agent, (uv_handle_t *)&agent->prepare);
	init_handle(agent, (uv_handle_t *)&agent->sigint);
	init_handle(agent, (uv_handle_t *)&agent->sigterm);
	agent->handles = true;
	uv_prepare_start(&agent->prepare, on_prepare);
	uv_signal_start(&agent->sigint, on_signal, SIGINT);
	uv_signal_start(&agent->sigterm, on_signal, SIGTERM);
	if (agent->config->embedded)
		uv_timer_start(&agent->watch, on_watch, PARENT_MS, PARENT_MS);
}

static int open_all(struct agent *agent, struct kt_err *err)
{
	const struct kt_agent_config *config = agent->config;
	struct kt_cache_config cache = {
		.bytes_max = config->cache_bytes_max,
		.ask = ask_piece,
		.stalled = on_stalled,
		.arg = agent,
	};
	struct kt_runner_config runner;
	int ret;

	if (open_state(agent, err) < 0)
		return -err->code;
	kt_duty_init(&agent->duty, &(struct kt_duty_config){
					   .slots = config->slots,
					   .guest_cpus = config->guest_cpus,
					   .guest_mem_bytes = config->mem_bytes,
					   .once = config->once || config->embedded,
					   .seed = agent->boot_id,
				   });
	open_handles(agent);
	cache.dir = agent->cache_dir;
	runner = (struct kt_runner_config){
		.cache_dir = agent->cache_dir,
		.accel = config->machine->accel,
		.qemu = config->qemu,
		.ktguest = config->ktguest,
		.cpu_model = config->machine->cpu_model,
		.slots = config->slots,
		.mem_bytes = config->mem_bytes,
		.cache_bytes_max = config->cache_bytes_max,
	};
	ret = open_spool(agent, err);
	if (ret == 0)
		ret = kt_cache_open(&agent->loop, &cache, &agent->cache, err);
	if (ret == 0)
		ret = config->runner->open(&agent->loop, &runner, &agent->runner, err);
	if (ret == 0)
		ret = kt_dealer_open(&agent->loop, config->endpoint, &kt_schema_fleet,
				     config->guard, &control_events, agent, &agent->control, err);
	return ret;
}

/* ---- closing ---- */

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void close_all(struct agent *agent)
{
	if (agent->runner)
		agent->config->runner->destroy(&agent->runner);
	while (agent->holds)
		free_hold(agent->holds);
	kt_dealer_destroy(&agent->bulk);
	kt_dealer_destroy(&agent->control);
	kt_cache_destroy(&agent->cache);
	if (agent->handles) {
		close_handle((uv_handle_t *)&agent->tick);
		close_handle((uv_handle_t *)&agent->lazy);
		close_handle((uv_handle_t *)&agent->watch);
		close_handle((uv_handle_t *)&agent->prepare);
		close_handle((uv_handle_t *)&agent->sigint);
		close_handle((uv_handle_t *)&agent->sigterm);
	}
	uv_run(&agent->loop, UV_RUN_DEFAULT);
	uv_loop_close(&agent->loop);
	kt_spool_destroy(&agent->spool);
	while (agent->laters) {
		struct later *later = agent->laters;

		agent->laters = later->next;
		free(later);
	}
	kt_duty_fini(&agent->duty);
	kt_duty_effects_fini(&agent->effects);
	free(agent->pending);
	free(agent->bulk_endpoint);
	if (agent->run_dir && agent->lock_fd >= 0)
		sweep_leftovers(agent);
	free(agent->dir);
	free(agent->run_dir);
	free(agent->cache_dir);
	kt_own_close(&agent->lock_fd);
}

/* The kernel sends SIGTERM when the parent dies, but not if it died before we asked: then getppid()
 * changed, or the one we never heard of in LONELY_NS was not our parent to begin with.
 */
static void follow_parent(struct agent *agent)
{
	agent->parent = getppid();
	if (agent->config->embedded)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
}

int kt_agent_run(const struct kt_agent_config *config, int *status, struct kt_err *err)
{
	struct agent agent = { .config = config, .lock_fd = -1, .began_ns = kt_clock_now_ns() };
	int ret;

	if (getrandom(&agent.boot_id, sizeof(agent.boot_id), 0) != sizeof(agent.boot_id))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "drawing a random number");
	agent.boot_id |= 1; /* never 0 */
	signal(SIGPIPE, SIG_IGN);
	ret = uv_loop_init(&agent.loop);
	if (ret < 0)
		return kt_err_set(err, KT_FAULT_HOST, -ret, "making an event loop: %s",
				  uv_strerror(ret));
	follow_parent(&agent);
	ret = open_all(&agent, err);
	if (ret == 0) {
		KT_LOG("started", "id=%s slots=%zu runner=%s accel=%s coordinator=%s",
		       kt_log_quote(config->worker_id), config->slots, config->runner->name,
		       config->machine->accel, kt_log_quote(config->endpoint));
		while (!agent.leaving)
			uv_run(&agent.loop, UV_RUN_DEFAULT);
	}
	close_all(&agent);
	*status = agent.status;
	return ret;
}
