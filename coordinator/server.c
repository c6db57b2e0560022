#include "coordinator/server.h"
#include "assertions/group.h"
#include "coordinator/control.h"
#include "coordinator/core/dispatch.h"
#include "coordinator/core/fleet.h"
#include "coordinator/factlog.h"
#include "coordinator/feeder.h"
#include "coordinator/judging.h"
#include "coordinator/prepare.h"
#include "coordinator/trust.h"
#include "coordinator/wants.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/router.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <utlist.h>

#define TICK_MS           100
#define SYNC_NS           (1 * KT_NS_PER_S)
#define GRACE_NS          (30 * KT_NS_PER_S) /* for leases of an earlier term, on one machine */
#define GRACE_FAR_NS      (300 * KT_NS_PER_S) /* over a network, which may be down for the same reason */
#define RETRY_NS          (500 * KT_NS_PER_MS)
#define KEEP_NS           (5 * KT_NS_PER_S) /* for a large guest, among small ones */
#define UNSCHEDULABLE_NS  (10 * KT_NS_PER_S) /* for a host that is large enough to come */
#define WORKER_STARTS_MAX 5 /* of the embedded worker, in a row without a finished cell */
#define WORKER_CANNOT_MAX 3 /* ktworker's exit statuses 1 to 3: another start would end the same */
#define WORKER_LEAVE_NS   (10 * KT_NS_PER_S) /* after SIGTERM, before SIGKILL */
#define FAREWELL_NS       (300 * KT_NS_PER_MS)
#define ACKS_SEEN_MAX     8 /* messages to one peer among which its ACKs are looked for */
#define PLUGINS_MAX       2 /* that judge at the same time */
#define DESCRIPTORS_MAX \
	65536 /* two connections for each of KT_KEYS_MAX hosts, and as many for others */
#define SOCKET_PATH_MAX 100 /* sockaddr_un has 108 bytes */

struct server {
	const struct kt_server_config *config;
	const struct kt_matrix *matrix;
	const struct kt_msg_manifest *manifest;
	struct kt_artifacts *artifacts;
	const struct kt_plugins *plugins;
	struct by_plugin *by_plugin; /* cells that plug-ins judge, oldest first */
	struct kt_journal *journal;
	struct kt_sweep *sweep;
	struct kt_view *view;
	struct kt_dispatch_config dispatch_config;
	struct kt_wants *wants;
	struct kt_dispatch *dispatch;
	struct kt_reception_config reception_config;
	struct kt_reception *reception; /* NULL before the endpoints are open */
	char socket[SOCKET_PATH_MAX + 8];
	struct kt_trust *trust; /* NULL: no keys */
	struct kt_router *control;
	struct kt_feeder *feeder;
	uv_loop_t loop;
	uv_timer_t tick;
	uv_signal_t signals[2];
	size_t n_signals;
	struct kt_out out;
	struct kt_buf
		unshown; /* facts of the open transaction, for the view: [tag, length, bytes]* */
	size_t facts_taken; /* of out: written to the open transaction */
	size_t effects_taken; /* of out: kept or shown; SEND waits for the commit */
	uv_process_t *worker; /* NULL: none runs */
	unsigned int worker_starts;
	uint64_t done_at_start; /* finished cells when the worker was last started */
	bool stopping;
	bool interrupted;
	int64_t leave_by_ns;
	int64_t farewell_until_ns;
	int status;
	struct kt_err *err;
};

/* Workers of elsewhere hear that the sweep is finished, and that their last results are kept: what they have not read when the
 * connection ends, ZeroMQ throws away, and a worker would keep those results for a coordinator that never comes.
 */
static bool says_farewell(const struct server *s)
{
	return !s->worker && s->status == 0 && s->sweep->closed && !s->interrupted && s->dispatch &&
	       kt_dispatch_n_live_hosts(s->dispatch) > 0 &&
	       kt_clock_now_ns() < s->farewell_until_ns;
}

static void stop(struct server *s)
{
	int64_t now_ns = kt_clock_now_ns();

	if (s->stopping)
		return;
	s->stopping = true;
	s->leave_by_ns = kt_clock_add_ns(now_ns, WORKER_LEAVE_NS);
	s->farewell_until_ns = kt_clock_add_ns(now_ns, FAREWELL_NS);
	if (says_farewell(s))
		return;
	if (!s->worker)
		uv_stop(&s->loop);
	else if (s->interrupted || s->status < 0)
		uv_process_kill(s->worker, SIGTERM);
	/* Else the worker was told that the sweep is finished and leaves by itself. */
}

static void fail(struct server *s, int status)
{
	if (s->status == 0) {
		s->status = status;
		KT_LOG("broken", "why=%s", kt_log_quote(s->err->text));
	}
	stop(s);
}

/* ---- what the dispatch said ---- */

struct unshown {
	uint32_t tag;
	uint32_t len;
};

/* The view gets a copy, and gets it when the fact is on disk: what a person has seen must be there
 * after a crash as well.
 */
static void show_later(struct server *s, uint32_t tag)
{
	struct kt_bin encoded = kt_journal_newest_fact(s->journal);
	struct unshown head = { .tag = tag, .len = (uint32_t)encoded.len };

	kt_buf_append(&s->unshown, &head, sizeof(head));
	kt_buf_append(&s->unshown, encoded.data, encoded.len);
}

static void show(struct server *s)
{
	int64_t now_ns = kt_clock_now_ns();
	KT_AUTO_ARENA arena = { 0 };

	for (size_t at = 0; at < s->unshown.len;) {
		const struct kt_schema *schema;
		struct unshown head;
		void *fact;
		int status;

		memcpy(&head, s->unshown.data + at, sizeof(head));
		at += sizeof(head);
		schema = kt_codec_message(&kt_facts_family, head.tag)->schema;
		kt_arena_reset(&arena);
		fact = kt_arena_alloc(&arena, 1, schema->size);
		status =
			kt_codec_decode(schema, s->unshown.data + at, head.len, &arena, fact, NULL);
		kt_must(status == 0);
		kt_view_fact(s->view, now_ns, head.tag, fact);
		kt_factlog_say(s->matrix, s->sweep, head.tag, fact);
		at += head.len;
	}
	kt_buf_reset(&s->unshown);
}

static int commit(struct server *s)
{
	int status = kt_journal_commit(s->journal, s->err);

	if (status == 0)
		show(s);
	return status;
}

static void on_phase(struct server *s, int64_t now_ns, const struct kt_effect *effect)
{
	const struct kt_msg_phase *phase = effect->body;

	kt_view_phase(s->view, now_ns, effect->cell, phase);
	kt_reception_phase(s->reception, effect->cell, phase->phase);
}

/* Into the open transaction, while what the facts borrow from the input is still there. */
static void absorb(struct server *s)
{
	int64_t now_ns = kt_clock_now_ns();
	int64_t wall_ns = kt_clock_wall_ns();
	int status = 0;

	for (; s->facts_taken < s->out.n_facts && status == 0; s->facts_taken++) {
		const struct kt_fact *fact = &s->out.facts[s->facts_taken];

		status = kt_journal_add_fact(s->journal, wall_ns, fact->tag, fact->body, s->err);
		if (status == 0)
			show_later(s, fact->tag);
		kt_reception_fact(s->reception, fact->tag, fact->body);
	}
	for (; s->effects_taken < s->out.n_effects && status == 0; s->effects_taken++) {
		const struct kt_effect *effect = &s->out.effects[s->effects_taken];

		if (effect->kind == KT_EFFECT_KEEP_SAMPLE)
			status = kt_journal_add_sample(s->journal, effect->body, s->err);
		else if (effect->kind == KT_EFFECT_KEEP_LOG)
			status = kt_journal_add_log(s->journal, effect->body, s->err);
		else if (effect->kind == KT_EFFECT_PHASE)
			on_phase(s, now_ns, effect);
	}
	if (status < 0)
		fail(s, status);
}

/* ---- judging ---- */

/* A cell whose plug-in was asked, or waits for its turn. Its series is read anew for the verdict: it may be large,
 * and many may wait.
 */
struct by_plugin {
	struct server *s;
	struct by_plugin *next; /* utlist.h */
	struct by_plugin *prev;
	uint64_t cell;
	uint64_t epoch;
	struct kt_plugin_ask ask;
	struct kt_plugin_process *process; /* NULL: it waits */
};

static void on_plugin_done(void *arg, const struct kt_plugin_result *result);
static void settle(struct server *s);

/* The first word on a cell: a plug-in has to be asked before its verdict can be given. */
static bool ask_plugin(struct server *s, uint64_t index, uint64_t epoch)
{
	struct by_plugin *by;
	struct kt_matrix_cell cell;
	struct kt_plugin_ask ask;

	kt_matrix_cell(s->matrix, index, &cell);
	if (!kt_plugins_ask(s->plugins, cell.scenario, &ask))
		return false;
	by = kt_must_calloc(1, sizeof(*by));
	*by = (struct by_plugin){ .s = s, .cell = index, .epoch = epoch, .ask = ask };
	DL_APPEND(s->by_plugin, by);
	return true;
}

/* Those whose turn it is. Never while facts of an input wait to be written: series come out of the journal. */
static int start_plugins(struct server *s)
{
	size_t n = 0;

	for (struct by_plugin *by = s->by_plugin; by && n < PLUGINS_MAX; by = by->next, n++) {
		KT_AUTO_STORED stored = { 0 };
		KT_AUTO_BUF series = { 0 };
		int status;

		if (by->process)
			continue;
		status = kt_stored_load(s->journal, by->cell, by->epoch, &stored, s->err);
		if (status == 0)
			status = kt_stored_print(&stored, s->matrix, by->cell, &series, s->err);
		/* Damaged, or too large for a file: the plug-in gets nothing, and that is said with the rest. */
		if (status < 0 && status != -EBADMSG && status != -EFBIG)
			return status;
		by->process = kt_plugin_start(&s->loop, &by->ask, &series, on_plugin_done, by);
	}
	return 0;
}

static void forget_plugins(struct server *s)
{
	while (s->by_plugin) {
		struct by_plugin *by = s->by_plugin;

		DL_DELETE(s->by_plugin, by);
		kt_plugin_cancel(&by->process);
		free(by);
	}
}

/* beside: what the cell's plug-in said; NULL when it has none. */
static int give_verdict(struct server *s, uint64_t index, uint64_t epoch,
			const struct kt_verdict *beside)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_STORED stored = { 0 };
	struct kt_input input = { .cell = index, .epoch = epoch, .now_ns = kt_clock_now_ns() };
	struct kt_msg_fact_ended ended = { .cell = index, .epoch = epoch };
	struct kt_msg_verdict verdict;
	int status;

	if (s->sweep->cells[index].state != KT_CELL_ENDED)
		return 0; /* somebody ended it meanwhile: no verdict */
	status = kt_stored_load(s->journal, index, epoch, &stored, s->err);
	if (status == -EBADMSG) {
		input.kind = KT_INPUT_DAMAGED;
		input.line = s->err->text;
	} else if (status < 0) {
		return status;
	} else {
		/* What ended before a restart the view has not seen. */
		ended.result = stored.result;
		if (s->sweep->cells[index].term != s->sweep->term)
			kt_view_fact(s->view, input.now_ns, KT_TAG_fact_ended, &ended);
		kt_judging_cell(s->matrix, index, &stored, beside, &arena, &verdict);
		input.kind = KT_INPUT_JUDGED;
		input.verdict = &verdict;
	}
	kt_dispatch_step(s->dispatch, &input, &s->out);
	absorb(s);
	return 0;
}

static void on_plugin_done(void *arg, const struct kt_plugin_result *result)
{
	struct by_plugin *by = arg;
	struct server *s = by->s;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;
	int status;

	DL_DELETE(s->by_plugin, by);
	if (s->status == 0) {
		kt_verdict_init(&said, &arena);
		kt_plugin_tell(&by->ask, result, &said);
		status = give_verdict(s, by->cell, by->epoch, &said);
		if (status < 0)
			fail(s, status);
		settle(s);
	}
	free(by);
}

static int judge(struct server *s, uint64_t index, uint64_t epoch)
{
	return ask_plugin(s, index, epoch) ? 0 : give_verdict(s, index, epoch, NULL);
}

/* ---- repeats together ---- */

/* Cells are numbered repeat fastest: the repeats of one are neighbours. */
static bool group_of(void *arg, uint64_t cell, uint64_t *first, uint64_t *n)
{
	const struct server *s = arg;
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_assertion *const *asserts;
	struct kt_matrix_cell spec;
	size_t n_asserts;

	kt_matrix_cell(s->matrix, cell, &spec);
	n_asserts = kt_matrix_judged(s->matrix, &spec, &arena, &asserts);
	*first = cell - spec.repeat;
	*n = spec.scenario->repeats;
	return kt_group_wanted(asserts, n_asserts);
}

static int judge_group(struct server *s, uint64_t first, uint64_t n)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_assertion *const *asserts;
	struct kt_msg_verdict verdict;
	struct kt_matrix_cell spec;
	struct kt_input input = { .kind = KT_INPUT_GROUPED,
				  .now_ns = kt_clock_now_ns(),
				  .cell = first,
				  .repeats = n,
				  .verdict = &verdict };
	size_t n_asserts;
	int status;

	kt_matrix_cell(s->matrix, first, &spec);
	n_asserts = kt_matrix_judged(s->matrix, &spec, &arena, &asserts);
	status = kt_judging_group(s->journal, s->sweep, first, n, asserts, n_asserts, &arena,
				  &verdict, s->err);
	if (status < 0)
		return status;
	kt_dispatch_step(s->dispatch, &input, &s->out);
	absorb(s);
	return 0;
}

/* What no host can run: told when it is found, given up a little later. */
static void say_waiting(struct server *s, const struct kt_effect *effect)
{
	char name[KT_CELL_NAME_BYTES_MAX];

	kt_matrix_cell_name(s->matrix, effect->cell, name);
	KT_LOG("no_host_for", "cell=%" PRIu64 " name=%s cells=%" PRIu64 " why=%s", effect->cell,
	       kt_log_quote(name), effect->repeats, kt_log_quote(effect->body));
	kt_reception_complaint(s->reception, effect->cell, effect->repeats, effect->body);
	if (effect->repeats > 1)
		kt_view_say(s->view, "%s and %" PRIu64 " more like it: %s", name,
			    effect->repeats - 1, (const char *)effect->body);
	else
		kt_view_say(s->view, "%s: %s", name, (const char *)effect->body);
}

static void log_refusal(const struct kt_effect *effect)
{
	const struct kt_msg_refuse *refuse = effect->body;

	KT_LOG("refused", "peer=%" PRIu64 " rejoin=%s why=%s", effect->peer,
	       refuse->rejoin ? "yes" : "no", kt_log_quote(refuse->reason));
}

/* Verdicts are facts like those that they follow from, and go to the disk with them: one commit for both. */
static void judge_all(struct server *s, size_t *judged)
{
	for (; *judged < s->out.n_effects && s->status == 0; (*judged)++) {
		struct kt_effect effect = s->out.effects[*judged]; /* judging adds effects */
		int status = 0;

		if (effect.kind == KT_EFFECT_JUDGE)
			status = judge(s, effect.cell, effect.epoch);
		else if (effect.kind == KT_EFFECT_GROUP)
			status = judge_group(s, effect.cell, effect.repeats);
		if (status < 0)
			fail(s, status);
	}
}

/* An ACK says all that is kept of its lease: one that follows says this one's words as well. Only the nearest are looked
 * at: a worker's samples and result come together.
 */
static bool is_said_again(const struct kt_effect *effect, const struct kt_effect *end)
{
	const struct kt_msg_ack *ack = effect->body;
	size_t n = 0;

	if (effect->tag != KT_TAG_ack)
		return false;
	for (const struct kt_effect *later = effect + 1; later < end && n < ACKS_SEEN_MAX;
	     later++) {
		const struct kt_msg_ack *other = later->body;

		if (later->kind != KT_EFFECT_SEND || later->peer != effect->peer)
			continue;
		n++;
		if (later->tag == KT_TAG_ack && other->epoch == ack->epoch &&
		    other->session == ack->session && other->samples >= ack->samples &&
		    other->result >= ack->result)
			return true;
	}
	return false;
}

static void perform(struct server *s, const struct kt_effect *effect)
{
	int status;

	if (effect->kind == KT_EFFECT_SEND) {
		if (effect->tag == KT_TAG_refuse)
			log_refusal(effect);
		/* A full or vanished peer loses nothing: it asks again, or its leases expire. */
		status = kt_router_send(s->control, effect->peer, effect->tag, effect->body, NULL);
		kt_must(status != -EMSGSIZE); /* the dispatch bounds what it says */
		if (status == -EHOSTUNREACH) {
			struct kt_input lost = { .kind = KT_INPUT_LOST,
						 .now_ns = kt_clock_now_ns(),
						 .peer = effect->peer };

			kt_dispatch_step(s->dispatch, &lost, &s->out);
			absorb(s);
		}
	} else if (effect->kind == KT_EFFECT_SAY) {
		say_waiting(s, effect);
	}
}

/* Judge, commit, then perform; what performing brings up is committed before it is performed in turn. */
static void settle(struct server *s)
{
	size_t judged = 0;
	size_t at = 0;

	while (s->status == 0 && at < s->out.n_effects) {
		size_t end;
		int status;

		judge_all(s, &judged);
		end = s->out.n_effects;
		status = s->status == 0 ? commit(s) : s->status;
		if (status < 0)
			return fail(s, status);
		for (; at < end && s->status == 0; at++) {
			struct kt_effect effect = s->out.effects[at];

			if (!is_said_again(&s->out.effects[at], s->out.effects + end))
				perform(s, &effect);
		}
	}
	if (s->status == 0) {
		int status = commit(s);

		if (status == 0 && !s->stopping)
			status = start_plugins(s);
		if (status < 0)
			return fail(s, status);
	}
	s->facts_taken = 0;
	s->effects_taken = 0;
	kt_out_reset(&s->out);
	kt_reception_look(s->reception);
	if (s->sweep->closed && !kt_reception_is_waited_for(s->reception))
		stop(s);
}

/* ---- inputs ---- */

/* Who leaves says why; afterwards nobody knows whose connection it was. */
static void read_leaving(struct server *s, uint64_t peer, const char *why)
{
	const struct kt_fleet *fleet = kt_dispatch_fleet(s->dispatch);
	const struct kt_host *host = kt_fleet_host_by_peer((struct kt_fleet *)fleet, peer);

	if (host)
		kt_reception_leaves(s->reception, host->id, why);
}

/* Else ZeroMQ's address of a peer is a number. */
static bool is_tcp(const struct server *s)
{
	return strncmp(kt_router_endpoint(s->control), "tcp://", 6) == 0;
}

/* Of whoever the dispatch took in, for those who ask. */
static void read_frame(struct server *s, uint64_t peer, uint32_t tag, const void *body)
{
	const struct kt_fleet *fleet = kt_dispatch_fleet(s->dispatch);
	const struct kt_host *host = kt_fleet_host_by_peer((struct kt_fleet *)fleet, peer);

	struct kt_peer_id id = kt_router_who(s->control, peer);

	if (host && (tag == KT_TAG_hello || tag == KT_TAG_sync))
		kt_reception_frame(s->reception, tag, body, host->id, is_tcp(s) ? id.address : "",
				   id.name != NULL);
}

static void on_frame(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	struct server *s = arg;
	struct kt_input input = { .kind = KT_INPUT_FRAME,
				  .now_ns = kt_clock_now_ns(),
				  .wall_ns = kt_clock_wall_ns(),
				  .peer = peer,
				  .tag = message->tag,
				  .body = body };
	struct kt_peer_id id = kt_router_who(s->control, peer);

	input.who = id.name;
	input.role = id.role;
	if (s->status < 0)
		return;
	/* Who was told to leave holds nothing any more: no trouble, and nobody's attempt is charged. */
	if (s->interrupted && (message->tag == KT_TAG_sync || message->tag == KT_TAG_bye))
		return;
	if (message->tag == KT_TAG_bye)
		read_leaving(s, peer, ((const struct kt_msg_bye *)body)->reason);
	kt_dispatch_step(s->dispatch, &input, &s->out);
	absorb(s);
	read_frame(s, peer, message->tag, body);
}

static void on_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
	struct server *s = arg;
	struct kt_peer_id id = kt_router_who(s->control, peer);

	KT_LOG("peer_broken", "peer=%" PRIu64 " host=%s address=%s reason=%s", peer,
	       kt_log_quote(id.name ? id.name : ""), kt_log_quote(id.address),
	       kt_log_quote(err->text));
}

static void on_lost(void *arg, uint64_t peer, const char *why)
{
	struct server *s = arg;
	struct kt_input input = { .kind = KT_INPUT_LOST,
				  .now_ns = kt_clock_now_ns(),
				  .peer = peer };

	KT_LOG("peer_lost", "peer=%" PRIu64 " reason=%s", peer, kt_log_quote(why));
	if (s->status < 0)
		return;
	read_leaving(s, peer, why);
	kt_dispatch_step(s->dispatch, &input, &s->out);
	absorb(s);
}

/* The key of a live session was taken out of the allow-list: it is told why, and its session is over. */
static void on_revoked(void *arg, uint64_t peer, const char *why)
{
	struct server *s = arg;
	struct kt_peer_id id = kt_router_who(s->control, peer);
	struct kt_msg_refuse refuse = { .reason = why };

	KT_LOG("key_revoked", "peer=%" PRIu64 " host=%s address=%s why=%s", peer,
	       kt_log_quote(id.name ? id.name : ""), kt_log_quote(id.address), kt_log_quote(why));
	kt_router_send(s->control, peer, KT_TAG_refuse, &refuse, NULL);
	if (id.name && s->status == 0) {
		struct kt_input input = { .kind = KT_INPUT_REVOKED,
					  .now_ns = kt_clock_now_ns(),
					  .peer = peer,
					  .who = id.name };

		kt_dispatch_step(s->dispatch, &input, &s->out);
		absorb(s);
	}
	on_lost(s, peer, why);
}

static void on_batch_end(void *arg)
{
	settle(arg);
}

static const struct kt_router_events control_events = {
	.frame = on_frame,
	.broken = on_broken,
	.lost = on_lost,
	.revoked = on_revoked,
	.batch_end = on_batch_end,
};

static void look_at_keys(struct server *s, int64_t now_ns, bool told)
{
	if (!s->trust || !kt_trust_look(s->trust, now_ns, told))
		return;
	kt_router_recheck(s->control);
	kt_router_recheck(kt_feeder_router(s->feeder));
}

static void on_keys_changed(void *arg)
{
	look_at_keys(arg, kt_clock_now_ns(), true);
}

static void on_tick(uv_timer_t *timer)
{
	struct server *s = timer->data;
	struct kt_input input = { .kind = KT_INPUT_TICK,
				  .now_ns = kt_clock_now_ns(),
				  .wall_ns = kt_clock_wall_ns() };

	kt_log_flush();
	if (s->stopping) {
		kt_view_tick(s->view, input.now_ns);
		if (!s->worker && !says_farewell(s))
			uv_stop(&s->loop);
		else if (s->worker && input.now_ns > s->leave_by_ns)
			uv_process_kill(s->worker, SIGKILL);
		return;
	}
	look_at_keys(s, input.now_ns, false);
	kt_dispatch_step(s->dispatch, &input, &s->out);
	absorb(s);
	settle(s);
	kt_view_tick(s->view, input.now_ns);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;

	KT_LOG("signal", "number=%d", signum);
	if (s->interrupted && s->worker) /* asked twice: at once */
		uv_process_kill(s->worker, SIGKILL);
	if (!s->interrupted)
		kt_view_say(s->view, "stopping: guests are ended, what is finished is kept");
	s->interrupted = true;
	if (s->stopping && s->worker)
		uv_process_kill(s->worker, SIGTERM);
	stop(s);
}

/* ---- the embedded worker ---- */

static int start_worker(struct server *s, struct kt_err *err);

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void on_worker_exit(uv_process_t *process, int64_t exit_status, int term_signal)
{
	struct server *s = process->data;
	uint64_t done = kt_sweep_n_done(s->sweep);
	int status;

	s->worker = NULL;
	uv_close((uv_handle_t *)process, free_handle);
	KT_LOG("worker_ended", "status=%" PRId64 " signal=%d", exit_status, term_signal);
	if (s->stopping) {
		uv_stop(&s->loop);
		return;
	}
	if (done > s->done_at_start)
		s->worker_starts = 0;
	else if (!term_signal && exit_status >= 1 && exit_status <= WORKER_CANNOT_MAX) {
		status = kt_err_set(s->err, KT_FAULT_HOST, ECHILD,
				    "no guest can run here: ktworker says why above, and in "
				    "%s/worker/worker.log",
				    s->config->state_dir);
		return fail(s, status);
	}
	if (s->worker_starts >= WORKER_STARTS_MAX) {
		status = kt_err_set(s->err, KT_FAULT_HOST, ECHILD,
				    "the worker ended %u times in a row (last: status %" PRId64
				    ", signal %d): read %s/worker/worker.log",
				    s->worker_starts, exit_status, term_signal,
				    s->config->state_dir);
		return fail(s, status);
	}
	kt_view_say(s->view, "the worker ended (status %" PRId64 ", signal %d): starting another",
		    exit_status, term_signal);
	status = start_worker(s, s->err);
	if (status < 0)
		fail(s, status);
}

static int start_worker(struct server *s, struct kt_err *err)
{
	char program[PATH_MAX];
	char state[PATH_MAX];
	char slots[24];
	char *args[16];
	size_t n = 0;
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
					  { .flags = UV_INHERIT_FD, .data.fd = 2 },
					  { .flags = UV_INHERIT_FD, .data.fd = 2 } };
	uv_process_options_t options = { .exit_cb = on_worker_exit,
					 .file = program,
					 .args = args,
					 /* ^C is for us: we tell the worker, and it dies with us */
					 .flags = UV_PROCESS_DETACHED,
					 .stdio = stdio,
					 .stdio_count = 3 };
	int status;

	snprintf(program, sizeof(program), "%s/ktworker", s->config->bin_dir);
	snprintf(state, sizeof(state), "%s/worker", s->config->state_dir);
	snprintf(slots, sizeof(slots), "%" PRIu64, s->config->slots);
	args[n++] = program;
	args[n++] = "--embedded";
	args[n++] = "--connect";
	args[n++] = (char *)(uintptr_t)kt_router_endpoint(s->control);
	args[n++] = "--state";
	args[n++] = state;
	args[n++] = "--id";
	args[n++] = "local";
	args[n++] = "--runner";
	args[n++] = (char *)(uintptr_t)s->config->runner;
	if (s->config->slots) {
		args[n++] = "--slots";
		args[n++] = slots;
	}
	args[n] = NULL;
	s->worker = kt_must_calloc(1, sizeof(*s->worker));
	s->worker->data = s;
	s->worker_starts++;
	s->done_at_start = kt_sweep_n_done(s->sweep);
	status = uv_spawn(&s->loop, s->worker, &options);
	if (status < 0) {
		uv_close((uv_handle_t *)s->worker, free_handle);
		s->worker = NULL;
		return kt_err_set(err, KT_FAULT_HOST, -status, "starting %s: %s", program,
				  uv_strerror(status));
	}
	return 0;
}

/* ---- life ---- */

static void fill_demand(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	struct server *s = arg;

	kt_wants_demand(s->wants, cell, demand);
}

static void fill_job(void *arg, uint64_t cell, struct kt_arena *arena, struct kt_msg_job *job)
{
	struct server *s = arg;

	kt_prepare_job(s->matrix, s->manifest, cell, arena, job);
}

static int count_sample(void *arg, uint64_t seq, const char *stream, const void *bytes, size_t len,
			struct kt_err *err)
{
	uint64_t *n = arg;

	*n += seq == *n;
	return 0;
}

static int restore_samples(struct server *s)
{
	int status = 0;

	for (uint64_t i = 0; i < s->sweep->n_cells && status == 0; i++) {
		uint64_t n = 0;

		if (s->sweep->cells[i].state != KT_CELL_LEASED)
			continue;
		status = kt_journal_samples(s->journal, i, s->sweep->cells[i].epoch, count_sample,
					    &n, s->err);
		kt_dispatch_restore_samples(s->dispatch, s->sweep->cells[i].epoch, n);
	}
	return status;
}

static int open_feeder(struct server *s, const char *endpoint, const struct kt_guard *guard)
{
	struct kt_feeder_config config = { .endpoint = endpoint,
					   .guard = guard,
					   .bytes_per_s = s->config->bandwidth,
					   .artifacts = s->artifacts };

	return kt_feeder_open(&s->loop, &config, &s->feeder, s->err);
}

/* An operator's word: nothing else is under way when it comes. What did not get to the disk was not done. */
static bool on_word(void *arg, struct kt_input *input)
{
	struct server *s = arg;

	if (s->status < 0 || s->stopping)
		return false;
	input->now_ns = kt_clock_now_ns();
	input->wall_ns = kt_clock_wall_ns();
	kt_dispatch_step(s->dispatch, input, &s->out);
	absorb(s);
	settle(s);
	return s->status == 0;
}

static int open_reception(struct server *s)
{
	snprintf(s->socket, sizeof(s->socket), "%s/run/" KT_CONTROL_SOCKET, s->config->state_dir);
	s->reception_config = (struct kt_reception_config){
		.socket = s->socket,
		.sweep = s->sweep,
		.matrix = s->matrix,
		.file = kt_journal_path(s->journal),
		.endpoint = kt_router_endpoint(s->control),
		.fleet = kt_dispatch_fleet(s->dispatch),
		.step = on_word,
		.keys_changed = on_keys_changed,
		.arg = s,
	};
	return kt_reception_open(&s->loop, &s->reception_config, &s->reception, s->err);
}

/* A router replaces the socket file that it finds: that is right for one that nobody serves any more. */
static int refuse_taken(const char *endpoint, struct kt_err *err)
{
	const char *path = kt_endpoint_path(endpoint);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	KT_AUTO_FD int fd = -1;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return 0;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
		       errno != EAGAIN && errno != EINPROGRESS))
		return 0;
	return kt_err_set(err, KT_FAULT_INPUT, EADDRINUSE,
			  "another coordinator listens at %s: wait for it, or choose another "
			  "endpoint",
			  endpoint);
}

/* Nobody else is heard before it is known that strangers are not. */
static int prove_endpoints(struct server *s)
{
	const char *endpoints[] = { kt_router_endpoint(s->control), kt_feeder_endpoint(s->feeder) };
	int64_t began_ns = kt_clock_now_ns();
	int status;

	kt_router_pause(s->control, true);
	kt_router_pause(kt_feeder_router(s->feeder), true);
	status = kt_trust_prove(s->trust, &s->loop, endpoints, 2, s->err);
	kt_router_pause(s->control, false);
	kt_router_pause(kt_feeder_router(s->feeder), false);
	KT_LOG("strangers_are_refused", "proven=%s took_ms=%lld keys=%zu",
	       status == 0 ? "yes" : "no",
	       (long long)((kt_clock_now_ns() - began_ns) / KT_NS_PER_MS),
	       kt_trust_n_allowed(s->trust));
	return status;
}

static int open_endpoints(struct server *s)
{
	const struct kt_guard *guard = NULL;
	KT_AUTO_FREE char *run_dir = kt_must_asprintf("%s/run", s->config->state_dir);
	KT_AUTO_FREE char *control = NULL;
	KT_AUTO_FREE char *bulk = NULL;
	int status;

	if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
		return kt_err_sys(s->err, KT_FAULT_HOST, errno, "making %s", run_dir);
	if (strlen(run_dir) + sizeof("/control.sock") > SOCKET_PATH_MAX)
		return kt_err_set(
			s->err, KT_FAULT_INPUT, ENAMETOOLONG,
			"the state directory's path is too long for a socket (%s): choose "
			"a shorter one with --state",
			run_dir);
	if (s->config->listen) {
		control = kt_must_strdup(s->config->listen);
		bulk = s->config->bulk_listen ? kt_must_strdup(s->config->bulk_listen)
					      : kt_endpoint_beside(control, "tcp://127.0.0.1:*");
		if (!bulk)
			bulk = kt_must_asprintf("%s.bulk", control);
	} else {
		control = kt_must_asprintf("ipc://%s/control.sock", run_dir);
		bulk = kt_must_asprintf("ipc://%s/bulk.sock", run_dir);
	}
	if (kt_trust_is_needed(s->config->listen, s->config->keys)) {
		status = kt_trust_open(&s->loop, s->config->state_dir, &s->trust, s->err);
		if (status < 0)
			return status;
		guard = kt_trust_guard(s->trust);
	}
	status = refuse_taken(control, s->err);
	if (status < 0)
		return status;
	status = kt_router_open(&s->loop, control, &kt_schema_fleet, guard, &control_events, s,
				&s->control, s->err);
	if (status == 0)
		status = open_feeder(s, bulk, guard);
	return status == 0 && s->trust ? prove_endpoints(s) : status;
}

static void watch_signals(struct server *s)
{
	static const int signums[] = { SIGINT, SIGTERM };

	for (size_t i = 0; i < 2; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, signums[i]);
		s->n_signals++;
	}
}

/* Whether anything in the matrix is asserted over repeats: else nobody needs to ask of each cell. */
static bool any_over_in(const struct kt_matrix_asserts *asserts)
{
	for (size_t i = 0; i < asserts->n; i++)
		if (asserts->list[i].options[KT_ASSERTION_OVER].given)
			return true;
	return false;
}

static bool any_over(const struct kt_matrix *matrix)
{
	bool any = any_over_in(&matrix->sweep.asserts);

	for (size_t i = 0; i < matrix->n_schedulers; i++)
		any |= any_over_in(&matrix->schedulers[i].asserts);
	for (size_t i = 0; i < matrix->n_scenarios; i++)
		any |= any_over_in(&matrix->scenarios[i].asserts);
	return any;
}

/* Of the coordinator, whether it is used or not. */
static bool has_key(const struct server *s)
{
	KT_AUTO_FREE char *path = kt_trust_path(s->config->state_dir, KT_TRUST_KEY_NAME);

	return access(path, F_OK) == 0;
}

static int begin(struct server *s)
{
	int status = open_endpoints(s);

	if (status < 0)
		return status;
	s->wants = kt_wants_new(s->matrix, s->manifest, s->config->state_dir, s->config->runner);
	s->dispatch_config = (struct kt_dispatch_config){
		.runner = s->config->runner,
		.bulk_endpoint = kt_feeder_endpoint(s->feeder),
		.ttl_ns = s->config->ttl_ns,
		.sync_ns = SYNC_NS,
		.grace_ns = kt_endpoint_is_local(kt_router_endpoint(s->control)) ? GRACE_NS
										 : GRACE_FAR_NS,
		.retry_ns = RETRY_NS,
		.job = fill_job,
		.group = any_over(s->matrix) ? group_of : NULL,
		.demand = fill_demand,
		.seed = s->matrix->sweep.seed,
		.keep_ns = KEEP_NS,
		.hopeless_ns = s->config->unschedulable_ns ? s->config->unschedulable_ns
							   : UNSCHEDULABLE_NS,
		.arg = s,
	};
	randombytes_buf(&s->dispatch_config.session_seed, sizeof(uint64_t));
	s->dispatch_config.session_seed >>= 1;
	s->dispatch = kt_dispatch_new(s->sweep, &s->dispatch_config, kt_clock_now_ns());
	status = restore_samples(s);
	if (status == 0)
		status = open_reception(s);
	if (status < 0)
		return status;
	watch_signals(s);
	KT_LOG("started",
	       "pid=%d version=" KT_VERSION " sweep=%s cells=%" PRIu64 " left=%" PRIu64
	       " endpoint=%s bulk=%s",
	       (int)getpid(), kt_log_quote(s->sweep->id), s->sweep->n_cells,
	       kt_sweep_n_to_run(s->sweep) - kt_sweep_n_done(s->sweep),
	       kt_log_quote(kt_router_endpoint(s->control)),
	       kt_log_quote(kt_feeder_endpoint(s->feeder)));
	kt_dispatch_begin(s->dispatch, &s->out);
	absorb(s);
	settle(s);
	if (s->status < 0 || s->sweep->closed)
		return s->status;
	if (s->config->embedded)
		return start_worker(s, s->err);
	kt_view_say(s->view, "listening on %s for workers", kt_router_endpoint(s->control));
	if (!s->trust && strncmp(s->config->listen, "tcp://", 6) == 0 && has_key(s))
		kt_view_say(s->view, "without keys: workers with a --server-key cannot come in "
				     "(--keys lets them, and only them)");
	if (s->trust && kt_trust_n_allowed(s->trust) == 0)
		kt_view_say(
			s->view,
			"no key is allowed yet: on each host `ktworker key`, here `ktcoord keys "
			"allow NAME KEY`");
	return 0;
}

/* Every worker is two connections, and most shells and services allow 1,024 descriptors unless they are asked for more. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	rlim_t wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	wanted = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
	if (limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int kt_server_run(const struct kt_server_config *config, const struct kt_matrix *matrix,
		  const struct kt_msg_manifest *manifest, struct kt_artifacts *artifacts,
		  const struct kt_plugins *plugins, struct kt_journal *journal,
		  struct kt_sweep *sweep, struct kt_view *view, struct kt_err *err)
{
	KT_AUTO_FREE struct server *s = kt_must_calloc(1, sizeof(*s));

	s->config = config;
	s->matrix = matrix;
	s->manifest = manifest;
	s->artifacts = artifacts;
	s->plugins = plugins;
	s->journal = journal;
	s->sweep = sweep;
	s->view = view;
	s->err = err;
	raise_descriptors();
	signal(SIGPIPE, SIG_IGN); /* who asked over the local socket may be gone */
	kt_must(uv_loop_init(&s->loop) == 0);
	uv_timer_init(&s->loop, &s->tick);
	s->tick.data = s;
	s->status = begin(s);
	if (s->status == 0)
		uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
	if (s->status == 0 && !s->sweep->closed)
		uv_run(&s->loop, UV_RUN_DEFAULT);
	if (s->worker) { /* begin() failed after the worker was started, or the loop broke */
		uv_process_kill(s->worker, SIGKILL);
		uv_close((uv_handle_t *)s->worker, free_handle);
	}
	KT_LOG("stopped", "sweep=%s done=%" PRIu64 " left=%" PRIu64 " interrupted=%s",
	       kt_log_quote(sweep->id), kt_sweep_n_done(sweep),
	       kt_sweep_n_to_run(sweep) - kt_sweep_n_done(sweep), s->interrupted ? "yes" : "no");
	kt_log_flush();
	forget_plugins(s);
	kt_reception_destroy(&s->reception);
	kt_router_destroy(&s->control);
	kt_feeder_destroy(&s->feeder);
	kt_trust_destroy(&s->trust);
	for (size_t i = 0; i < s->n_signals; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	uv_close((uv_handle_t *)&s->tick, NULL);
	while (uv_run(&s->loop, UV_RUN_DEFAULT)) /* a pending uv_stop() ends the first one early */
		;
	kt_must(uv_loop_close(&s->loop) == 0);
	kt_dispatch_destroy(&s->dispatch);
	kt_wants_destroy(&s->wants);
	kt_out_destroy(&s->out);
	kt_buf_destroy(&s->unshown);
	if (s->status == 0 && s->interrupted && !sweep->closed)
		return kt_err_set(err, KT_FAULT_NONE, EINTR, "interrupted");
	return s->status;
}
