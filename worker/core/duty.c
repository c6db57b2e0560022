#include "worker/core/duty.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <stdio.h>
#include <string.h>

/* ---- small things ---- */

void kt_duty_init(struct kt_duty *duty, const struct kt_duty_config *config)
{
	kt_must(config->slots >= 1);
	kt_must(config->slots <= KT_SLOTS_MAX);
	*duty = (struct kt_duty){
		.config = *config,
		.next_id = 1,
		.hello_pause_ns = KT_DUTY_HELLO_NS_MIN,
		.random = config->seed | 1,
	};
}

void kt_duty_fini(struct kt_duty *duty)
{
	free(duty->leases);
	*duty = (struct kt_duty){ 0 };
}

void kt_duty_effects_fini(struct kt_duty_effects *effects)
{
	free(effects->list);
	*effects = (struct kt_duty_effects){ 0 };
}

static struct kt_duty_effect *emit(struct kt_duty_effects *effects, enum kt_duty_effect_type type,
				   uint64_t lease)
{
	if (effects->n == effects->cap) {
		effects->cap = effects->cap ? effects->cap * 2 : 16;
		effects->list =
			kt_must_realloc(effects->list, effects->cap, sizeof(*effects->list));
	}
	effects->list[effects->n] = (struct kt_duty_effect){
		.type = type,
		.lease = lease,
		.cause = KT_CAUSE_ID_N,
	};
	return &effects->list[effects->n++];
}

static void emit_text(struct kt_duty_effects *effects, enum kt_duty_effect_type type,
		      uint64_t lease, const char *text)
{
	struct kt_duty_effect *effect = emit(effects, type, lease);

	snprintf(effect->text, sizeof(effect->text), "%s", text ? text : "");
}

static struct kt_duty_lease *find(const struct kt_duty *duty, uint64_t id)
{
	for (size_t i = 0; i < duty->n_leases; i++)
		if (duty->leases[i].id == id)
			return &duty->leases[i];
	return NULL;
}

const struct kt_duty_lease *kt_duty_lease(const struct kt_duty *duty, uint64_t id)
{
	return find(duty, id);
}

static bool is_ours(const struct kt_duty *duty, const struct kt_duty_lease *lease)
{
	return strcmp(lease->sweep, duty->sweep) == 0;
}

static struct kt_duty_lease *find_epoch(const struct kt_duty *duty, uint64_t epoch)
{
	for (size_t i = 0; i < duty->n_leases; i++)
		if (duty->leases[i].epoch == epoch && is_ours(duty, &duty->leases[i]))
			return &duty->leases[i];
	return NULL;
}

size_t kt_duty_active(const struct kt_duty *duty)
{
	size_t n = 0;

	for (size_t i = 0; i < duty->n_leases; i++)
		n += kt_held_is_active(duty->leases[i].state);
	return n;
}

/* Leases of the session's sweep that are not over. */
static size_t count_ours(const struct kt_duty *duty)
{
	size_t n = 0;

	for (size_t i = 0; i < duty->n_leases; i++)
		n += is_ours(duty, &duty->leases[i]);
	return n;
}

/* xorshift64*; the jitter needs no better. */
static int64_t jitter(struct kt_duty *duty, int64_t span_ns)
{
	uint64_t x = duty->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	duty->random = x;
	/* 75 % to 125 % of the span */
	return span_ns - span_ns / 4 +
	       (int64_t)(x * 0x2545f4914f6cdd1dull % (uint64_t)(span_ns / 2 + 1));
}

/* ---- leases ---- */

static struct kt_duty_lease *add_lease(struct kt_duty *duty, const char *sweep, uint64_t cell,
				       uint64_t epoch, enum kt_held_state state)
{
	struct kt_duty_lease *lease;

	if (duty->n_leases == duty->cap_leases) {
		duty->cap_leases = duty->cap_leases ? duty->cap_leases * 2 : 16;
		duty->leases =
			kt_must_realloc(duty->leases, duty->cap_leases, sizeof(*duty->leases));
	}
	lease = &duty->leases[duty->n_leases++];
	*lease = (struct kt_duty_lease){
		.id = duty->next_id++,
		.cell = cell,
		.epoch = epoch,
		.state = state,
	};
	snprintf(lease->sweep, sizeof(lease->sweep), "%s", sweep);
	snprintf(lease->phase, sizeof(lease->phase), "fetch");
	return lease;
}

/* The one place where a lease changes: the table decides, this turns its word into effects. */
static void move(struct kt_duty *duty, struct kt_duty_lease *lease, enum kt_held_event event,
		 const struct kt_duty_input *input, const char *text,
		 struct kt_duty_effects *effects)
{
	bool was_active = kt_held_is_active(lease->state);
	enum kt_held_action action;
	struct kt_duty_effect *effect;

	if (!kt_held_move(&lease->state, event, &action))
		return;
	if (was_active && !kt_held_is_active(lease->state)) {
		emit(effects, KT_DUTY_DO_RELEASE, lease->id);
		duty->want_sync = true;
	}
	switch (action) {
	case KT_HELD_DO_NOTHING:
		break;
	case KT_HELD_DO_START:
		snprintf(lease->phase, sizeof(lease->phase), "boot");
		lease->phase_ends_ns = 0;
		emit(effects, KT_DUTY_DO_START, lease->id);
		break;
	case KT_HELD_DO_CANCEL:
		emit_text(effects, KT_DUTY_DO_CANCEL, lease->id, text);
		break;
	case KT_HELD_DO_RESULT:
		effect = emit(effects, KT_DUTY_DO_KEEP_RESULT, lease->id);
		effect->result = input->result;
		break;
	case KT_HELD_DO_TROUBLE:
		emit_text(effects, KT_DUTY_DO_KEEP_RESULT, lease->id, lease->trouble_line);
		effect = &effects->list[effects->n - 1];
		effect->cause = lease->trouble;
		effect->result = event == KT_HELD_ON_ENDED ? input->result : NULL;
		lease->result_sent = false;
		break;
	case KT_HELD_DO_FORGET:
		emit(effects, KT_DUTY_DO_FORGET, lease->id);
		break;
	case KT_HELD_ACTION_N:
		kt_must(action != KT_HELD_ACTION_N);
	}
	if (lease->state == KT_HELD_DONE || lease->state == KT_HELD_GONE)
		duty->want_sync = true;
}

static void remove_gone(struct kt_duty *duty)
{
	size_t kept = 0;

	for (size_t i = 0; i < duty->n_leases; i++)
		if (duty->leases[i].state != KT_HELD_GONE)
			duty->leases[kept++] = duty->leases[i];
	duty->n_leases = kept;
}

static void set_trouble(struct kt_duty_lease *lease, enum kt_cause_id cause, const char *line)
{
	lease->trouble = cause;
	snprintf(lease->trouble_line, sizeof(lease->trouble_line), "%s", line ? line : "");
}

static void revoke_active(struct kt_duty *duty, bool only_foreign, const char *why,
			  const struct kt_duty_input *input, struct kt_duty_effects *effects)
{
	for (size_t i = 0; i < duty->n_leases; i++) {
		struct kt_duty_lease *lease = &duty->leases[i];

		if (kt_held_is_active(lease->state) && (!only_foreign || !is_ours(duty, lease)))
			move(duty, lease, KT_HELD_ON_REVOKED, input, why, effects);
	}
}

/* ---- the session ---- */

static void say_hello(struct kt_duty *duty, int64_t now_ns, struct kt_duty_effects *effects)
{
	int64_t wait_ns =
		duty->hello_pause_ns > KT_DUTY_ANSWER_NS ? duty->hello_pause_ns : KT_DUTY_ANSWER_NS;

	duty->session = 0;
	duty->hello_out = true;
	duty->hello_at_ns = kt_clock_add_ns(now_ns, jitter(duty, wait_ns));
	duty->hello_pause_ns *= 2;
	if (duty->hello_pause_ns > KT_DUTY_HELLO_NS_MAX)
		duty->hello_pause_ns = KT_DUTY_HELLO_NS_MAX;
	emit(effects, KT_DUTY_DO_HELLO, 0);
}

static void on_up(struct kt_duty *duty, const struct kt_duty_input *input,
		  struct kt_duty_effects *effects)
{
	duty->is_up = true;
	if (!duty->stopping)
		say_hello(duty, input->now_ns, effects);
}

/* Everything that is not acknowledged wants to be sent again. */
static void rewind_sent(struct kt_duty_lease *lease)
{
	lease->samples_sent = lease->samples_acked;
	lease->logs_sent = 0;
	lease->result_sent = false;
}

static void lose_session(struct kt_duty *duty, int64_t now_ns)
{
	if (duty->session)
		duty->heard_ns = now_ns;
	duty->session = 0;
	duty->hello_out = false;
}

static void leave(struct kt_duty *duty, int status, const char *text,
		  struct kt_duty_effects *effects);

/* Nobody is served here, for now. retry_ns 0: our own pause. */
static void refused(struct kt_duty *duty, int64_t now_ns, int64_t retry_ns, const char *why,
		    struct kt_duty_effects *effects)
{
	lose_session(duty, now_ns);
	if (duty->config.once) {
		leave(duty, 1, why, effects);
		return;
	}
	duty->hello_pause_ns = KT_DUTY_HELLO_NS_MAX;
	duty->hello_at_ns =
		kt_clock_add_ns(now_ns, jitter(duty, retry_ns > 0 ? retry_ns : KT_DUTY_REFUSED_NS));
}

static void on_welcome(struct kt_duty *duty, const struct kt_duty_input *input,
		       struct kt_duty_effects *effects)
{
	const struct kt_msg_welcome *welcome = input->welcome;

	if (welcome->version < KT_PROTOCOL_VERSION_MIN || welcome->version > KT_PROTOCOL_VERSION) {
		refused(duty, input->now_ns, 0,
			"the coordinator speaks a protocol version that is unknown here: install "
			"the "
			"same ktcoord version on both",
			effects);
		return;
	}
	duty->drained = false;
	duty->note[0] = '\0';
	duty->their_wall_ns = 0;
	duty->session = welcome->session;
	duty->state_seq = 0;
	duty->hello_out = false;
	duty->hello_at_ns = 0;
	duty->sync_ns = welcome->sync_ns;
	duty->heard_ns = input->now_ns;
	duty->want_sync = true;
	duty->finished = false;
	if (strcmp(duty->sweep, welcome->sweep_id) != 0) {
		snprintf(duty->sweep, sizeof(duty->sweep), "%s", welcome->sweep_id);
		revoke_active(duty, true, "the coordinator serves another sweep now", input,
			      effects);
	}
	for (size_t i = 0; i < duty->n_leases; i++)
		rewind_sent(&duty->leases[i]);
	emit_text(effects, KT_DUTY_DO_BULK, 0, "");
}

static void leave(struct kt_duty *duty, int status, const char *text,
		  struct kt_duty_effects *effects)
{
	struct kt_duty_effect *effect;

	if (duty->exited)
		return;
	duty->exited = true;
	duty->want_sync = false;
	if (duty->session)
		emit_text(effects, KT_DUTY_DO_BYE, 0, text);
	effect = emit(effects, KT_DUTY_DO_EXIT, 0);
	effect->status = status;
	snprintf(effect->text, sizeof(effect->text), "%s", text);
}

static void on_refuse(struct kt_duty *duty, const struct kt_duty_input *input,
		      struct kt_duty_effects *effects)
{
	/* Refusals of several messages of one dead session: the first one is enough. */
	if (input->refuse->rejoin && duty->hello_out)
		return;
	if (!input->refuse->rejoin) {
		refused(duty, input->now_ns, input->refuse->retry_ns, input->refuse->reason,
			effects);
		return;
	}
	lose_session(duty, input->now_ns);
	/* At once, but not in circles: the pause grows until a STATE came. */
	if (duty->hello_pause_ns == KT_DUTY_HELLO_NS_MIN)
		say_hello(duty, input->now_ns, effects);
	else
		duty->hello_at_ns =
			kt_clock_add_ns(input->now_ns, jitter(duty, duty->hello_pause_ns));
}

static uint64_t topology_cpus(const struct kt_msg_topology *topology)
{
	return topology->llcs * topology->cores * topology->threads;
}

/* The coordinator counts what it has granted. But a STATE may come late, when it has given that up and counts on the
 * room again.
 */
static bool has_room(const struct kt_duty *duty, const struct kt_msg_topology *topology)
{
	uint64_t cpus = topology_cpus(topology);
	uint64_t mem_bytes = topology->mem_bytes;

	for (size_t i = 0; i < duty->n_leases; i++) {
		if (!kt_held_is_active(duty->leases[i].state))
			continue;
		cpus += duty->leases[i].cpus;
		mem_bytes += duty->leases[i].mem_bytes;
	}
	return (!duty->config.guest_cpus || cpus <= duty->config.guest_cpus) &&
	       (!duty->config.guest_mem_bytes || mem_bytes <= duty->config.guest_mem_bytes);
}

static void take_grant(struct kt_duty *duty, const struct kt_msg_grant *grant,
		       const struct kt_duty_input *input, struct kt_duty_effects *effects)
{
	struct kt_duty_lease *lease;
	struct kt_duty_effect *effect;
	const char *why = NULL;

	if (find_epoch(duty, grant->epoch))
		return;
	for (size_t i = 0; i < duty->n_leases; i++) {
		lease = &duty->leases[i];
		if (is_ours(duty, lease) && lease->cell == grant->cell &&
		    lease->epoch < grant->epoch && kt_held_is_active(lease->state))
			move(duty, lease, KT_HELD_ON_REVOKED, input, "the cell was granted anew",
			     effects);
	}
	if (duty->draining || duty->stopping || duty->drained)
		why = "the worker is being drained and takes no more cells";
	else if (kt_duty_active(duty) >= duty->config.slots)
		why = "the worker has no free slot";
	else if (!has_room(duty, grant->job->topology))
		why = "the worker has no room for this guest beside those that it runs";
	lease = add_lease(duty, duty->sweep, grant->cell, grant->epoch, KT_HELD_FETCHING);
	lease->cpus = topology_cpus(grant->job->topology);
	lease->mem_bytes = grant->job->topology->mem_bytes;
	effect = emit(effects, KT_DUTY_DO_ACCEPT, lease->id);
	effect->grant = grant;
	duty->want_sync = true;
	if (!why) {
		emit(effects, KT_DUTY_DO_FETCH, lease->id);
		return;
	}
	set_trouble(lease, KT_CAUSE_ID_host_trouble, why);
	move(duty, lease, KT_HELD_ON_FAILED, input, NULL, effects);
}

static void take_note(struct kt_duty *duty, const char *note, struct kt_duty_effects *effects)
{
	char cut[sizeof(duty->note)];

	snprintf(cut, sizeof(cut), "%s", note);
	if (strcmp(cut, duty->note) == 0)
		return;
	memcpy(duty->note, cut, sizeof(cut));
	if (cut[0])
		emit_text(effects, KT_DUTY_DO_NOTE, 0, cut);
}

static void on_state(struct kt_duty *duty, const struct kt_duty_input *input,
		     struct kt_duty_effects *effects)
{
	const struct kt_msg_state *state = input->state;

	/* Those that nobody asked for (seq 0) have no place in the order, and grant nothing. */
	if (state->seq > 0 && state->seq <= duty->state_seq)
		return;
	if (state->seq > 0)
		duty->state_seq = state->seq;
	for (size_t i = 0; i < state->n_revokes; i++) {
		struct kt_duty_lease *lease = find_epoch(duty, state->revokes[i].epoch);

		if (lease)
			move(duty, lease, KT_HELD_ON_REVOKED, input, state->revokes[i].reason,
			     effects);
	}
	remove_gone(duty);
	duty->drained = state->drain;
	for (size_t i = 0; i < state->n_grants; i++)
		take_grant(duty, &state->grants[i], input, effects);
	duty->finished = state->finished;
	if (state->sync_ns > 0) {
		int64_t by_ns = kt_clock_add_ns(input->now_ns, state->sync_ns);

		duty->sync_ns = state->sync_ns;
		if (duty->next_sync_ns > by_ns)
			duty->next_sync_ns = by_ns;
	}
	if (state->clock && input->wall_ns > 0) {
		duty->their_wall_ns = state->clock->wall_ns;
		duty->heard_wall_ns = input->wall_ns;
	}
	take_note(duty, state->note ? state->note : "", effects);
}

static void on_ack(struct kt_duty *duty, const struct kt_duty_input *input,
		   struct kt_duty_effects *effects)
{
	const struct kt_msg_ack *ack = input->ack;
	struct kt_duty_lease *lease = find_epoch(duty, ack->epoch);
	uint64_t durable;

	if (!lease)
		return;
	/* Nothing that was not sent can be durable there. */
	durable = ack->samples < lease->samples_sent ? ack->samples : lease->samples_sent;
	if (durable > lease->samples_acked) {
		lease->samples_acked = durable;
		emit(effects, KT_DUTY_DO_TRIM, lease->id)->seq = durable;
	}
	if (ack->result && lease->result_sent)
		move(duty, lease, KT_HELD_ON_ACKED, input, NULL, effects);
}

/* ---- what the runner and the spool say ---- */

static void on_piece(struct kt_duty *duty, struct kt_duty_lease *lease,
		     const struct kt_duty_input *input, struct kt_duty_effects *effects)
{
	bool is_sample = input->type == KT_DUTY_IN_SAMPLE;
	struct kt_duty_effect *effect;

	/* What a dying guest still says belongs to nobody. */
	if (lease->state != KT_HELD_RUNNING)
		return;
	if (is_sample && lease->samples_seen == KT_SAMPLES_PER_ATTEMPT_MAX) {
		set_trouble(lease, KT_CAUSE_ID_host_trouble,
			    "the attempt took more samples than an attempt may have");
		move(duty, lease, KT_HELD_ON_LOST, input, lease->trouble_line, effects);
		return;
	}
	effect = emit(effects, is_sample ? KT_DUTY_DO_KEEP_SAMPLE : KT_DUTY_DO_KEEP_LOG, lease->id);
	effect->seq = is_sample ? lease->samples_seen++ : lease->logs_kept;
	effect->stream = input->bytes.stream;
	effect->body = input->bytes.body;
	effect->len = input->bytes.len;
}

static void on_phase(struct kt_duty *duty, struct kt_duty_lease *lease,
		     const struct kt_duty_input *input, struct kt_duty_effects *effects)
{
	if (lease->state != KT_HELD_RUNNING)
		return;
	snprintf(lease->phase, sizeof(lease->phase), "%s", input->phase->phase);
	lease->phase_ends_ns = input->phase->left_ns > 0
				       ? kt_clock_add_ns(input->now_ns, input->phase->left_ns)
				       : 0;
	if (duty->session && is_ours(duty, lease))
		emit(effects, KT_DUTY_DO_TELL_PHASE, lease->id)->phase = input->phase;
}

static void on_lost(struct kt_duty *duty, struct kt_duty_lease *lease,
		    const struct kt_duty_input *input, struct kt_duty_effects *effects)
{
	if (lease->samples_kept > input->seq)
		lease->samples_kept = input->seq;
	if (lease->samples_sent > lease->samples_kept)
		lease->samples_sent = lease->samples_kept;
	set_trouble(lease, input->cause, input->text);
	move(duty, lease, KT_HELD_ON_LOST, input, lease->trouble_line, effects);
}

static void on_sent(struct kt_duty_lease *lease, const struct kt_duty_piece *piece, int64_t now_ns)
{
	switch (piece->type) {
	case KT_DUTY_SAMPLE:
		if (lease->samples_sent == piece->seq && piece->seq < lease->samples_kept)
			lease->samples_sent++;
		break;
	case KT_DUTY_LOG:
		if (lease->logs_sent == piece->seq && piece->seq < lease->logs_kept)
			lease->logs_sent++;
		break;
	case KT_DUTY_RESULT:
		lease->result_sent = lease->state == KT_HELD_DONE;
		lease->result_sent_ns = now_ns;
		break;
	}
}

static void on_lease(struct kt_duty *duty, const struct kt_duty_input *input,
		     struct kt_duty_effects *effects)
{
	struct kt_duty_lease *lease =
		find(duty, input->type == KT_DUTY_IN_SENT ? input->piece.lease : input->lease);

	if (!lease)
		return;
	switch (input->type) {
	case KT_DUTY_IN_READY:
		move(duty, lease, KT_HELD_ON_READY, input, NULL, effects);
		break;
	case KT_DUTY_IN_FAILED:
		set_trouble(lease, input->cause, input->text);
		move(duty, lease, KT_HELD_ON_FAILED, input, NULL, effects);
		break;
	case KT_DUTY_IN_PHASE:
		on_phase(duty, lease, input, effects);
		break;
	case KT_DUTY_IN_SAMPLE:
	case KT_DUTY_IN_LOG:
		on_piece(duty, lease, input, effects);
		break;
	case KT_DUTY_IN_ENDED:
		move(duty, lease, KT_HELD_ON_ENDED, input, NULL, effects);
		break;
	case KT_DUTY_IN_KEPT_SAMPLE:
		if (lease->samples_kept < lease->samples_seen)
			lease->samples_kept++;
		break;
	case KT_DUTY_IN_KEPT_LOG:
		lease->logs_kept++;
		break;
	case KT_DUTY_IN_KEPT_RESULT:
		move(duty, lease, KT_HELD_ON_KEPT, input, NULL, effects);
		break;
	case KT_DUTY_IN_LOST:
		on_lost(duty, lease, input, effects);
		break;
	case KT_DUTY_IN_SENT:
		on_sent(lease, &input->piece, input->now_ns);
		break;
	default:
		kt_must(input->type < KT_DUTY_IN_N);
	}
}

static void on_restored(struct kt_duty *duty, const struct kt_duty_restored *restored)
{
	struct kt_duty_lease *lease =
		add_lease(duty, restored->sweep, restored->cell, restored->epoch, KT_HELD_DONE);

	lease->samples_seen = lease->samples_kept = restored->samples_kept;
	lease->samples_sent = lease->samples_acked = restored->samples_acked;
	lease->logs_kept = restored->logs_kept;
}

/* ---- time, and the end ---- */

static void on_tick(struct kt_duty *duty, const struct kt_duty_input *input,
		    struct kt_duty_effects *effects)
{
	int64_t now_ns = input->now_ns;

	if (duty->session && now_ns - duty->heard_ns >= KT_DUTY_SILENT_SYNCS * duty->sync_ns) {
		lose_session(duty, now_ns);
		duty->is_up = false;
		duty->hello_at_ns = 0;
		emit(effects, KT_DUTY_DO_RESET, 0);
	} else if (duty->session && now_ns >= duty->next_sync_ns) {
		duty->want_sync = true;
		for (size_t i = 0; i < duty->n_leases; i++)
			if (duty->leases[i].result_sent &&
			    now_ns - duty->leases[i].result_sent_ns >= KT_DUTY_RESEND_NS)
				rewind_sent(&duty->leases[i]);
	} else if (!duty->session && duty->is_up && duty->hello_at_ns &&
		   now_ns >= duty->hello_at_ns && !duty->stopping) {
		/* HELLO went unanswered: perhaps the socket is a black hole. UP says HELLO again. */
		if (duty->hello_out) {
			duty->hello_out = false;
			duty->is_up = false;
			duty->hello_at_ns = 0;
			emit(effects, KT_DUTY_DO_RESET, 0);
		} else {
			say_hello(duty, now_ns, effects);
		}
	}
}

static void on_stop(struct kt_duty *duty, const struct kt_duty_input *input,
		    struct kt_duty_effects *effects)
{
	if (duty->stopping)
		return;
	duty->stopping = true;
	duty->stop_by_ns = kt_clock_add_ns(input->now_ns, KT_DUTY_STOP_NS);
	revoke_active(duty, false, "the worker is being stopped", input, effects);
}

static void maybe_leave(struct kt_duty *duty, int64_t now_ns, struct kt_duty_effects *effects)
{
	size_t active = kt_duty_active(duty);

	if (duty->stopping) {
		if (active == 0 || now_ns >= duty->stop_by_ns)
			leave(duty, 0, "stopped", effects);
		return;
	}
	if (duty->draining && active == 0) {
		if (count_ours(duty) == 0)
			leave(duty, 0, "drained", effects);
		else if (!duty->session && now_ns - duty->heard_ns >= KT_DUTY_DRAIN_SILENT_NS)
			leave(duty, 0, "drained; results wait in the spool", effects);
		return;
	}
	if (duty->config.once && duty->finished && count_ours(duty) == 0)
		leave(duty, 0, "the sweep is finished", effects);
}

bool kt_duty_hear(uint32_t tag, const void *body, struct kt_duty_input *input)
{
	switch (tag) {
	case KT_TAG_welcome:
		input->type = KT_DUTY_IN_WELCOME;
		input->welcome = body;
		return true;
	case KT_TAG_refuse:
		input->type = KT_DUTY_IN_REFUSE;
		input->refuse = body;
		return true;
	case KT_TAG_state:
		input->type = KT_DUTY_IN_STATE;
		input->state = body;
		return true;
	case KT_TAG_ack:
		input->type = KT_DUTY_IN_ACK;
		input->ack = body;
		return true;
	case KT_TAG_nudge:
		input->type = KT_DUTY_IN_NUDGE;
		input->nudge = body;
		return true;
	}
	return false;
}

void kt_duty_step(struct kt_duty *duty, const struct kt_duty_input *input,
		  struct kt_duty_effects *effects)
{
	uint64_t session = 0;

	if (duty->exited)
		return;
	switch (input->type) {
	case KT_DUTY_IN_UP:
		on_up(duty, input, effects);
		break;
	case KT_DUTY_IN_DOWN:
		lose_session(duty, input->now_ns);
		duty->is_up = false;
		break;
	case KT_DUTY_IN_WELCOME:
		on_welcome(duty, input, effects);
		break;
	case KT_DUTY_IN_REFUSE:
		on_refuse(duty, input, effects);
		break;
	case KT_DUTY_IN_STATE:
		session = input->state->session;
		if (session == duty->session) {
			duty->heard_ns = input->now_ns;
			duty->hello_pause_ns = KT_DUTY_HELLO_NS_MIN;
			on_state(duty, input, effects);
		}
		break;
	case KT_DUTY_IN_ACK:
		session = input->ack->session;
		if (session == duty->session) {
			duty->heard_ns = input->now_ns;
			on_ack(duty, input, effects);
		}
		break;
	case KT_DUTY_IN_NUDGE:
		session = input->nudge->session;
		if (session == duty->session) {
			duty->heard_ns = input->now_ns;
			duty->want_sync = true;
		}
		break;
	case KT_DUTY_IN_RESTORED:
		on_restored(duty, input->restored);
		break;
	case KT_DUTY_IN_TICK:
		on_tick(duty, input, effects);
		break;
	case KT_DUTY_IN_DRAIN:
		if (!duty->draining) {
			duty->draining = true;
			duty->want_sync = true;
			if (!duty->session)
				duty->heard_ns = input->now_ns;
		}
		break;
	case KT_DUTY_IN_STOP:
		on_stop(duty, input, effects);
		break;
	default:
		on_lease(duty, input, effects);
		break;
	}
	remove_gone(duty);
	maybe_leave(duty, input->now_ns, effects);
	if (duty->want_sync && duty->session && !duty->exited) {
		emit(effects, KT_DUTY_DO_SYNC, 0)->seq = ++duty->sync_seq;
		duty->next_sync_ns = kt_clock_add_ns(input->now_ns, duty->sync_ns);
		duty->want_sync = false;
	}
}

/* ---- questions ---- */

bool kt_duty_next_piece(const struct kt_duty *duty, struct kt_duty_piece *piece)
{
	if (!duty->session || duty->exited)
		return false;
	for (size_t i = 0; i < duty->n_leases; i++) {
		const struct kt_duty_lease *lease = &duty->leases[i];

		if (!is_ours(duty, lease) || lease->state == KT_HELD_ENDING)
			continue;
		*piece = (struct kt_duty_piece){ .lease = lease->id };
		if (lease->samples_sent < lease->samples_kept) {
			piece->type = KT_DUTY_SAMPLE;
			piece->seq = lease->samples_sent;
			return true;
		}
		if (lease->logs_sent < lease->logs_kept) {
			piece->type = KT_DUTY_LOG;
			piece->seq = lease->logs_sent;
			return true;
		}
		if (lease->state == KT_HELD_DONE && !lease->result_sent) {
			piece->type = KT_DUTY_RESULT;
			return true;
		}
	}
	return false;
}

static int64_t sooner(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

int64_t kt_duty_next_ns(const struct kt_duty *duty)
{
	int64_t next_ns = INT64_MAX;

	if (duty->stopping)
		next_ns = sooner(next_ns, duty->stop_by_ns);
	if (duty->session) {
		next_ns = sooner(next_ns, duty->next_sync_ns);
		next_ns = sooner(next_ns, kt_clock_add_ns(duty->heard_ns,
							  KT_DUTY_SILENT_SYNCS * duty->sync_ns));
	} else {
		if (duty->is_up && duty->hello_at_ns)
			next_ns = sooner(next_ns, duty->hello_at_ns);
		if (duty->draining && kt_duty_active(duty) == 0)
			next_ns = sooner(next_ns,
					 kt_clock_add_ns(duty->heard_ns, KT_DUTY_DRAIN_SILENT_NS));
	}
	return next_ns;
}

void kt_duty_fill_sync(const struct kt_duty *duty, int64_t now_ns, int64_t wall_ns,
		       struct kt_arena *arena, struct kt_msg_sync *sync)
{
	size_t active = kt_duty_active(duty);
	size_t ours = count_ours(duty);
	size_t room = ours < KT_SLOTS_MAX ? KT_SLOTS_MAX - ours : 0;
	size_t free_slots = duty->config.slots > active ? duty->config.slots - active : 0;

	*sync = (struct kt_msg_sync){
		.session = duty->session,
		.seq = duty->sync_seq,
		.slots_free = duty->draining || duty->stopping || duty->drained ? 0
			      : free_slots < room                               ? free_slots
										: room,
		.draining = duty->draining || duty->stopping,
		.held = kt_arena_alloc(arena, KT_SLOTS_MAX, sizeof(*sync->held)),
	};
	if (wall_ns > 0) {
		sync->clock = kt_arena_alloc(arena, 1, sizeof(*sync->clock));
		sync->clock->wall_ns = wall_ns;
		sync->clock->echo_ns = duty->their_wall_ns;
		sync->clock->echo_heard_ns = duty->their_wall_ns ? duty->heard_wall_ns : 0;
	}
	/* What does not fit stays for a later SYNC; there are no free slots until then. */
	for (size_t i = 0; i < duty->n_leases && sync->n_held < KT_SLOTS_MAX; i++) {
		const struct kt_duty_lease *lease = &duty->leases[i];
		struct kt_msg_held *held = &sync->held[sync->n_held];

		if (!is_ours(duty, lease))
			continue;
		held->cell = lease->cell;
		held->epoch = lease->epoch;
		if (lease->state == KT_HELD_ENDING) {
			held->phase = "end";
		} else if (kt_held_is_active(lease->state)) {
			held->phase = kt_arena_strdup(arena, lease->phase);
			if (lease->phase_ends_ns > now_ns)
				held->left_ns = lease->phase_ends_ns - now_ns;
		} else {
			held->phase = "done";
		}
		sync->n_held++;
	}
}
