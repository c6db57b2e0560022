/* layer: worker/core */
/* The input is what a coordinator says to a worker, and what its runner, spool and clock do meanwhile: pieces
 * [kind, length (2 bytes), bytes]. Frames are the coordinator's, any of them with any content; the hands are honest,
 * as duty.h demands of the agent. Whatever is said: slots are never oversubscribed, no lease ends twice, nothing is
 * offered before it was kept, and what the duty says can be encoded.
 */
#include "proto/base/must.h"
#include "worker/core/duty.h"

#include <string.h>

#define SLOTS      3
#define PIECES_MAX 600
#define LEASES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct lease {
	bool accepted, fetching, running, released, forgotten;
	uint64_t pending_samples, pending_logs, kept_samples;
	bool pending_result;
};

struct world {
	struct kt_duty duty;
	struct kt_duty_effects effects;
	int64_t now_ns;
	struct lease leases[LEASES_MAX]; /* by lease id */
	bool is_up, has_exited;
};

static void step(struct world *w, struct kt_duty_input input);

static void perform(struct world *w, const struct kt_duty_effect *effect)
{
	struct lease *lease = &w->leases[effect->lease < LEASES_MAX ? effect->lease : 0];
	KT_AUTO_ARENA arena = { .max = 64u << 20 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_msg_sync sync;

	kt_must(effect->lease < LEASES_MAX);
	kt_must(memchr(effect->text, 0, sizeof(effect->text)));
	switch (effect->type) {
	case KT_DUTY_DO_SYNC:
		kt_duty_fill_sync(&w->duty, w->now_ns, w->now_ns, &arena, &sync);
		kt_must(kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_sync, &sync) <=
			KT_FRAME_BYTES_MAX);
		kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_sync, &sync, &bytes);
		break;
	case KT_DUTY_DO_ACCEPT:
		kt_must(!lease->accepted && effect->grant->job);
		lease->accepted = true;
		break;
	case KT_DUTY_DO_FETCH:
		kt_must(lease->accepted && !lease->fetching && !lease->running);
		lease->fetching = true;
		break;
	case KT_DUTY_DO_START:
		kt_must(lease->fetching);
		lease->fetching = false;
		lease->running = true;
		break;
	case KT_DUTY_DO_CANCEL:
		kt_must(lease->running);
		break;
	case KT_DUTY_DO_KEEP_SAMPLE:
		lease->pending_samples++;
		break;
	case KT_DUTY_DO_KEEP_LOG:
		lease->pending_logs++;
		break;
	case KT_DUTY_DO_KEEP_RESULT:
		kt_must(!lease->running && !lease->pending_result);
		lease->pending_result = true;
		break;
	case KT_DUTY_DO_RELEASE:
		kt_must(!lease->released && !lease->running);
		lease->fetching = false;
		lease->released = true;
		break;
	case KT_DUTY_DO_FORGET:
		kt_must(!lease->forgotten && !lease->running);
		lease->forgotten = true;
		lease->pending_samples = lease->pending_logs = 0;
		lease->pending_result = false;
		break;
	case KT_DUTY_DO_EXIT:
		w->has_exited = true;
		break;
	default:
		break;
	}
}

static void check(const struct world *w)
{
	size_t running = 0;

	kt_must(kt_duty_active(&w->duty) <= SLOTS);
	for (uint64_t i = 1; i < w->duty.next_id && i < LEASES_MAX; i++)
		running += w->leases[i].running;
	kt_must(running <= SLOTS);
	kt_duty_next_ns(&w->duty);
}

static void step(struct world *w, struct kt_duty_input input)
{
	if (w->has_exited)
		return;
	input.now_ns = w->now_ns;
	if (input.type == KT_DUTY_IN_ENDED)
		w->leases[input.lease].running = false;
	w->effects.n = 0;
	kt_duty_step(&w->duty, &input, &w->effects);
	for (size_t i = 0; i < w->effects.n; i++)
		perform(w, &w->effects.list[i]);
	check(w);
}

/* ---- what the coordinator says ---- */

static void frame(struct world *w, bool is_of_session, const uint8_t *bytes, size_t len)
{
	KT_AUTO_ARENA arena = { .max = 64u << 20 };
	struct kt_duty_input input = { 0 };
	const struct kt_message *message;
	uint64_t *session = NULL;
	void *body;

	if (!w->is_up ||
	    kt_codec_decode_frame(&kt_schema_fleet, bytes, len, &arena, &message, &body, NULL) < 0)
		return;
	if (!kt_duty_hear(message->tag, body, &input))
		return;
	if (input.type == KT_DUTY_IN_STATE)
		session = &((struct kt_msg_state *)body)->session;
	else if (input.type == KT_DUTY_IN_ACK)
		session = &((struct kt_msg_ack *)body)->session;
	else if (input.type == KT_DUTY_IN_NUDGE)
		session = &((struct kt_msg_nudge *)body)->session;
	if (session && is_of_session && w->duty.session)
		*session = w->duty.session;
	step(w, input);
}

/* The same with few cells and epochs, so that what is said hits what is held: [what, cell, epoch, more]... */
static void say(struct world *w, const uint8_t *bytes, size_t len)
{
	static const char *const sweeps[] = { "sweep", "sweep", "sweep", "other" };
	static const struct kt_msg_kernel kernel = { .name = "k" };
	static const struct kt_msg_scheduler scheduler = { .name = "s" };
	static const struct kt_msg_topology topology = { .name = "t" };
	static const struct kt_msg_scenario scenario = { .name = "c" };
	static const struct kt_msg_job job = { .cell_name = "c",
					       .kernel = (struct kt_msg_kernel *)&kernel,
					       .scheduler = (struct kt_msg_scheduler *)&scheduler,
					       .topology = (struct kt_msg_topology *)&topology,
					       .scenario = (struct kt_msg_scenario *)&scenario };
	struct kt_msg_grant grants[8];
	struct kt_msg_revoke revokes[8];
	struct kt_msg_welcome welcome = { .version = 1, .bulk_endpoint = "b", .build = "" };
	struct kt_msg_refuse refuse = { .reason = "no" };
	struct kt_msg_ack ack = { .session = w->duty.session };
	struct kt_msg_state state = { .session = w->duty.session,
				      .grants = grants,
				      .revokes = revokes };

	if (len < 4 || !w->is_up)
		return;
	switch (bytes[0] % 8) {
	case 0:
		welcome.session = 1 + bytes[1];
		welcome.sweep_id = sweeps[bytes[2] % 4];
		welcome.sync_ns = (1 + bytes[3] % 16) * 100 * KT_NS_PER_MS;
		return step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_WELCOME,
						       .welcome = &welcome });
	case 1:
		refuse.rejoin = bytes[1] & 1;
		return step(w,
			    (struct kt_duty_input){ .type = KT_DUTY_IN_REFUSE, .refuse = &refuse });
	case 2:
		ack.epoch = 1 + bytes[2] % 16;
		ack.samples = bytes[3] % 16;
		ack.result = bytes[3] & 16;
		return step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_ACK, .ack = &ack });
	}
	if (!w->duty.session)
		state.session = 1 + bytes[3];
	state.finished = bytes[0] == 255;
	for (; len >= 4 && state.n_grants < 8 && state.n_revokes < 8; bytes += 4, len -= 4) {
		if (bytes[0] & 64)
			revokes[state.n_revokes++] =
				(struct kt_msg_revoke){ .epoch = 1 + bytes[2] % 16, .reason = "r" };
		else
			grants[state.n_grants++] =
				(struct kt_msg_grant){ .cell = bytes[1] % 8,
						       .epoch = 1 + bytes[2] % 16,
						       .attempt = 1,
						       .ttl_ns = 1,
						       .job = (struct kt_msg_job *)&job };
	}
	step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_STATE, .state = &state });
}

/* ---- what the hands do ---- */

/* The n-th lease, around, that suits; 0: none does. */
static uint64_t nth(const struct world *w, unsigned int n, bool (*suits)(const struct lease *lease))
{
	uint64_t ids = w->duty.next_id < LEASES_MAX ? w->duty.next_id : LEASES_MAX;

	for (uint64_t i = 0; i < ids; i++) {
		uint64_t id = (n + i) % ids;

		if (id && suits(&w->leases[id]))
			return id;
	}
	return 0;
}

static bool is_fetching(const struct lease *lease)
{
	return lease->fetching;
}

static bool is_running(const struct lease *lease)
{
	return lease->running;
}

static bool is_pending(const struct lease *lease)
{
	return lease->pending_samples || lease->pending_logs || lease->pending_result;
}

static bool is_held(const struct lease *lease)
{
	return lease->accepted && !lease->forgotten;
}

static void keep(struct world *w, uint64_t id)
{
	struct lease *lease = &w->leases[id];

	if (lease->pending_samples) {
		lease->pending_samples--;
		lease->kept_samples++;
		step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_SAMPLE, .lease = id });
	} else if (lease->pending_logs) {
		lease->pending_logs--;
		step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_LOG, .lease = id });
	} else {
		lease->pending_result = false;
		step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_RESULT, .lease = id });
	}
}

static void lose(struct world *w, uint64_t id, uint64_t seq)
{
	w->leases[id].pending_samples = 0;
	w->leases[id].pending_result = false;
	step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_LOST,
					.lease = id,
					.seq = seq,
					.cause = KT_CAUSE_ID_disk_full,
					.text = "full" });
}

static void pump(struct world *w, size_t n)
{
	struct kt_duty_piece piece;

	while (n-- > 0 && kt_duty_next_piece(&w->duty, &piece)) {
		if (piece.type == KT_DUTY_SAMPLE)
			kt_must(piece.seq < w->leases[piece.lease].kept_samples);
		step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_SENT, .piece = piece });
		if (w->has_exited)
			return;
	}
}

static void restore(struct world *w, const uint8_t *bytes, size_t len)
{
	struct kt_duty_restored restored = { .sweep = len > 3 && bytes[3] & 1 ? "other" : "sweep" };

	if (len < 3 || w->duty.next_id > 1 || w->duty.session)
		return;
	restored.cell = bytes[0];
	restored.epoch = 1 + bytes[1];
	restored.samples_kept = bytes[2] % 16;
	restored.samples_acked = bytes[2] / 16 < restored.samples_kept ? bytes[2] / 16 : 0;
	w->leases[w->duty.next_id].kept_samples = restored.samples_kept;
	w->leases[w->duty.next_id].accepted = true;
	step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_RESTORED, .restored = &restored });
}

static void take(struct world *w, uint8_t kind, const uint8_t *bytes, size_t len)
{
	static const struct kt_msg_result result = { .cause = "finished" };
	static const struct kt_msg_run_phase phase = { .phase = "boot", .detail = "" };
	unsigned int n = len ? bytes[0] : 0;
	uint64_t id;

	switch (kind % 16) {
	case 0:
		return frame(w, kind & 16, bytes, len);
	case 1:
	case 2:
		return say(w, bytes, len);
	case 3:
		w->is_up = !w->is_up;
		return step(w, (struct kt_duty_input){ .type = w->is_up ? KT_DUTY_IN_UP
									: KT_DUTY_IN_DOWN });
	case 4:
		w->now_ns += (int64_t)(len % 64) * 200 * KT_NS_PER_MS;
		return step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	case 5:
		if ((id = nth(w, n, is_fetching)))
			step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_READY, .lease = id });
		return;
	case 6:
		if ((id = nth(w, n, is_fetching)))
			step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_FAILED,
							.lease = id,
							.cause = KT_CAUSE_ID_artifact_missing,
							.text = "" });
		return;
	case 7:
		if ((id = nth(w, n, is_running)))
			step(w, (struct kt_duty_input){
					.type = KT_DUTY_IN_PHASE, .lease = id, .phase = &phase });
		return;
	case 8:
		if ((id = nth(w, n, is_running)))
			step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_SAMPLE,
							.lease = id,
							.bytes = { NULL, bytes, len } });
		return;
	case 9:
		if ((id = nth(w, n, is_running)))
			step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_LOG,
							.lease = id,
							.bytes = { "console", bytes, len } });
		return;
	case 10:
		if ((id = nth(w, n, is_running)))
			step(w, (struct kt_duty_input){
					.type = KT_DUTY_IN_ENDED, .lease = id, .result = &result });
		return;
	case 11:
		if ((id = nth(w, n, is_pending)))
			keep(w, id);
		return;
	case 12:
		if ((id = nth(w, n, is_held)))
			lose(w, id, len > 1 ? bytes[1] : UINT64_MAX);
		return;
	case 13:
		return pump(w, n);
	case 14:
		return restore(w, bytes, len);
	case 15:
		if (n % 64 == 63)
			step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_STOP });
		else if (n % 64 == 62)
			step(w, (struct kt_duty_input){ .type = KT_DUTY_IN_DRAIN });
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world w;
	struct kt_duty_config config = { .slots = SLOTS, .seed = 1 };

	if (len < 1)
		return 0;
	config.once = data[0] & 1;
	memset(&w, 0, sizeof(w));
	w.now_ns = KT_NS_PER_S;
	kt_duty_init(&w.duty, &config);
	data++;
	len--;
	for (size_t i = 0; len >= 3 && i < PIECES_MAX && w.duty.next_id < LEASES_MAX - 200; i++) {
		size_t n = (size_t)data[1] << 8 | data[2];

		if (n > len - 3)
			n = len - 3;
		take(&w, data[0], data + 3, n);
		data += 3 + n;
		len -= 3 + n;
	}
	kt_duty_effects_fini(&w.effects);
	kt_duty_fini(&w.duty);
	return 0;
}
