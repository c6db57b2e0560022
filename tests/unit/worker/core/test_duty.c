/* Random histories against the promises of duty.h, from one seed each: a failing seed is printed. */
#include "worker/core/duty.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SLOTS      3
#define EPOCHS_MAX 512
#define LEASES_MAX 2048
#define SYNC_NS    (1000 * KT_NS_PER_MS)

/* What the hands and the coordinator of a history know of one lease. */
struct fact {
	bool accepted, restored, revoked, forgotten, released, done_acked;
	bool fetching, running, cancelled;
	uint64_t epoch, cell;
	uint64_t samples_kept, samples_received, pending_samples;
	bool result_pending, result_kept, result_received;
	unsigned int results; /* spooled by a runner's or our own word */
};

struct history {
	struct kt_duty duty;
	struct kt_duty_effects effects;
	struct fact facts[LEASES_MAX]; /* by lease id */
	uint64_t random;
	int64_t now_ns;
	uint64_t session, next_epoch;
	bool hello, exited, resets;
	bool cut; /* what is sent in this session does not arrive any more */
	unsigned int seed;
	bool full; /* the spool fails now and then */
};

static uint64_t draw(struct history *h, uint64_t below)
{
	uint64_t z = (h->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % below;
}

static struct kt_msg_topology topology = {
	.name = "t", .numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1, .mem_bytes = 1 << 30
};
static struct kt_msg_job job = { .topology = &topology };

static void step(struct history *h, struct kt_duty_input input);

static void perform(struct history *h, const struct kt_duty_effect *effect)
{
	struct fact *fact = &h->facts[effect->lease];

	switch (effect->type) {
	case KT_DUTY_DO_HELLO:
		h->hello = true;
		break;
	case KT_DUTY_DO_RESET:
		h->resets = true;
		break;
	case KT_DUTY_DO_ACCEPT:
		cr_assert_lt(effect->lease, LEASES_MAX);
		fact->accepted = true;
		fact->epoch = effect->grant->epoch;
		fact->cell = effect->grant->cell;
		break;
	case KT_DUTY_DO_FETCH:
		fact->fetching = true;
		break;
	case KT_DUTY_DO_START:
		cr_assert(fact->fetching);
		fact->fetching = false;
		fact->running = true;
		break;
	case KT_DUTY_DO_CANCEL:
		cr_assert(fact->running);
		fact->cancelled = true;
		break;
	case KT_DUTY_DO_KEEP_SAMPLE:
		fact->pending_samples++;
		break;
	case KT_DUTY_DO_KEEP_RESULT:
		cr_assert_not(fact->running, "seed %u: a result while the guest lives", h->seed);
		fact->results++;
		fact->result_pending = true;
		break;
	case KT_DUTY_DO_RELEASE:
		cr_assert_not(fact->released);
		cr_assert_not(fact->running);
		fact->fetching = false;
		fact->released = true;
		break;
	case KT_DUTY_DO_FORGET:
		cr_assert(fact->revoked || fact->done_acked,
			  "seed %u: lease %zu forgotten before its ACK", h->seed,
			  (size_t)effect->lease);
		fact->forgotten = true;
		break;
	case KT_DUTY_DO_EXIT:
		h->exited = true;
		break;
	default:
		break;
	}
}

static void check(const struct history *h)
{
	size_t running = 0;

	cr_assert_leq(kt_duty_active(&h->duty), SLOTS, "seed %u: oversubscribed", h->seed);
	for (size_t i = 1; i < h->duty.next_id; i++) {
		const struct fact *fact = &h->facts[i];

		running += fact->running;
		if ((fact->accepted || fact->restored) && !fact->forgotten)
			cr_assert_not_null(kt_duty_lease(&h->duty, i), "seed %u: lost lease %zu",
					   h->seed, i);
	}
	cr_assert_leq(running, SLOTS, "seed %u: %zu guests", h->seed, running);
}

static void step(struct history *h, struct kt_duty_input input)
{
	input.now_ns = h->now_ns;
	/* The hands say that the guest is gone before the core draws its conclusions. */
	if (input.type == KT_DUTY_IN_ENDED)
		h->facts[input.lease].running = false;
	h->effects.n = 0;
	kt_duty_step(&h->duty, &input, &h->effects);
	for (size_t i = 0; i < h->effects.n; i++)
		perform(h, &h->effects.list[i]);
	check(h);
}

static uint64_t pick(struct history *h, bool (*suits)(const struct fact *fact))
{
	uint64_t first = draw(h, h->duty.next_id);

	for (uint64_t i = 0; i < h->duty.next_id; i++) {
		uint64_t id = (first + i) % h->duty.next_id;

		if (id > 0 && suits(&h->facts[id]) && !h->facts[id].forgotten)
			return id;
	}
	return 0;
}

static bool is_fetching(const struct fact *fact)
{
	return fact->fetching;
}

static bool is_running(const struct fact *fact)
{
	return fact->running;
}

static bool is_pending(const struct fact *fact)
{
	return fact->pending_samples || fact->result_pending;
}

static bool is_held(const struct fact *fact)
{
	return fact->accepted || fact->restored;
}

static bool has_arrived(const struct fact *fact)
{
	return fact->samples_received || fact->result_received;
}

static void grant(struct history *h, uint64_t epoch, uint64_t cell)
{
	struct kt_msg_grant one = {
		.cell = cell, .epoch = epoch, .attempt = 1, .ttl_ns = 1, .job = &job
	};
	struct kt_msg_state state = { .session = h->session, .grants = &one, .n_grants = 1 };

	for (size_t i = 1; i < h->duty.next_id; i++)
		if (h->facts[i].cell == cell && h->facts[i].epoch < epoch &&
		    (h->facts[i].running || h->facts[i].fetching))
			h->facts[i].revoked = true; /* fenced */
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_STATE, .state = &state });
}

static void take_back(struct history *h, uint64_t lease)
{
	struct kt_msg_revoke one = { .epoch = h->facts[lease].epoch, .reason = "" };
	struct kt_msg_state state = { .session = h->session, .revokes = &one, .n_revokes = 1 };

	h->facts[lease].revoked = true;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_STATE, .state = &state });
}

static void ack(struct history *h, uint64_t lease)
{
	struct kt_msg_ack one = { .session = h->session,
				  .epoch = h->facts[lease].epoch,
				  .samples = h->facts[lease].samples_received,
				  .result = h->facts[lease].result_received };

	h->facts[lease].done_acked = one.result;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_ACK, .ack = &one });
}

static void welcome(struct history *h)
{
	struct kt_msg_welcome one = { .version = 1,
				      .session = ++h->session,
				      .sweep_id = "sweep",
				      .bulk_endpoint = "",
				      .sync_ns = SYNC_NS };

	h->hello = h->cut = false;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_WELCOME, .welcome = &one });
}

/* The spool's answer to the oldest thing of a lease that waits for it. */
static void spool(struct history *h, uint64_t lease)
{
	struct fact *fact = &h->facts[lease];

	if (h->full && draw(h, 4) == 0) {
		fact->pending_samples = 0;
		fact->result_pending = false;
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_LOST,
						.lease = lease,
						.seq = UINT64_MAX,
						.cause = KT_CAUSE_ID_disk_full,
						.text = "full" });
	} else if (fact->pending_samples) {
		fact->pending_samples--;
		fact->samples_kept++;
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_SAMPLE, .lease = lease });
	} else {
		fact->result_pending = false;
		fact->result_kept = true;
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_RESULT, .lease = lease });
	}
}

/* Gives the socket what it wants; what arrives at the coordinator does so in order. */
static void pump(struct history *h, size_t n, bool arrives)
{
	struct kt_duty_piece piece;

	h->cut = h->cut || !arrives;
	while (n-- > 0 && kt_duty_next_piece(&h->duty, &piece)) {
		struct fact *fact = &h->facts[piece.lease];

		if (piece.type == KT_DUTY_SAMPLE)
			cr_assert_lt(piece.seq, fact->samples_kept,
				     "seed %u: sent before it was kept", h->seed);
		if (piece.type == KT_DUTY_RESULT)
			cr_assert_eq(kt_duty_lease(&h->duty, piece.lease)->state, KT_HELD_DONE);
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_SENT, .piece = piece });
		if (h->cut)
			continue;
		if (piece.type == KT_DUTY_SAMPLE && piece.seq == fact->samples_received)
			fact->samples_received++;
		if (piece.type == KT_DUTY_RESULT) {
			cr_assert_geq(fact->samples_received,
				      kt_duty_lease(&h->duty, piece.lease)->samples_acked);
			fact->result_received = true;
		}
	}
}

static void end_run(struct history *h, uint64_t lease)
{
	struct kt_msg_result result = { .cause = "finished" };

	step(h,
	     (struct kt_duty_input){ .type = KT_DUTY_IN_ENDED, .lease = lease, .result = &result });
}

static void random_step(struct history *h)
{
	static const struct kt_msg_refuse rejoin = { .reason = "", .rejoin = true };
	struct kt_duty_input up = { .type = KT_DUTY_IN_UP };
	uint64_t lease;

	h->now_ns += (int64_t)draw(h, 300 * KT_NS_PER_MS);
	switch (draw(h, 14)) {
	case 0:
		step(h, up);
		break;
	case 1:
		if (draw(h, 4) == 0)
			step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_DOWN });
		break;
	case 2:
	case 3:
		if (h->hello)
			welcome(h);
		else if (draw(h, 8) == 0)
			step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_REFUSE,
							.refuse = &rejoin });
		break;
	case 4:
	case 5:
		if (h->session && h->duty.session == h->session && h->next_epoch < EPOCHS_MAX)
			grant(h, draw(h, 5) ? ++h->next_epoch : h->next_epoch + !h->next_epoch,
			      draw(h, 40));
		break;
	case 6:
		lease = pick(h, is_held);
		if (lease && h->duty.session == h->session && h->session && draw(h, 4) == 0)
			take_back(h, lease);
		break;
	case 7:
		lease = pick(h, is_fetching);
		if (lease)
			step(h, (struct kt_duty_input){ .type = draw(h, 5) ? KT_DUTY_IN_READY
									   : KT_DUTY_IN_FAILED,
							.lease = lease,
							.cause = KT_CAUSE_ID_artifact_missing,
							.text = "" });
		break;
	case 8:
		lease = pick(h, is_running);
		if (lease)
			step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_SAMPLE,
							.lease = lease,
							.bytes = { NULL, "x", 1 } });
		break;
	case 9:
		lease = pick(h, is_running);
		if (lease)
			end_run(h, lease);
		break;
	case 10:
	case 11:
		lease = pick(h, is_pending);
		if (lease)
			spool(h, lease);
		break;
	case 12:
		pump(h, draw(h, 4), draw(h, 12) > 0);
		lease = pick(h, has_arrived);
		if (lease && h->duty.session == h->session && h->session && draw(h, 2))
			ack(h, lease);
		break;
	default:
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
		break;
	}
	if (h->resets) {
		h->resets = false;
		step(h, up);
	}
}

/* From here on everything works: each lease must come to its end. */
static void wind_down(struct history *h)
{
	h->full = false;
	for (int round = 0; round < 2000 && h->duty.n_leases > 0; round++) {
		uint64_t lease;

		h->now_ns += 20 * KT_NS_PER_MS;
		if (!h->duty.session || h->cut) {
			step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
			welcome(h);
		}
		while ((lease = pick(h, is_fetching)))
			step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_READY, .lease = lease });
		while ((lease = pick(h, is_running)))
			end_run(h, lease);
		while ((lease = pick(h, is_pending)))
			spool(h, lease);
		pump(h, SIZE_MAX, true);
		for (lease = 1; lease < h->duty.next_id; lease++)
			if (has_arrived(&h->facts[lease]) && !h->facts[lease].forgotten)
				ack(h, lease);
	}
}

static void play(unsigned int seed, bool full)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	struct kt_duty_restored restored = {
		.sweep = "sweep", .cell = 9000, .epoch = 9000, .samples_kept = 2
	};

	h->seed = seed;
	h->random = seed;
	h->now_ns = 1;
	h->full = full;
	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = seed });
	h->facts[1] = (struct fact){
		.restored = true, .epoch = 9000, .cell = 9000, .samples_kept = 2, .results = 1
	};
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_RESTORED, .restored = &restored });
	for (int i = 0; i < 1500; i++)
		random_step(h);
	wind_down(h);
	cr_assert_eq(h->duty.n_leases, 0, "seed %u: %zu leases never end, the first is %s", seed,
		     h->duty.n_leases,
		     h->duty.n_leases ? kt_held_state_name(h->duty.leases[0].state) : "");
	for (size_t i = 1; i < h->duty.next_id; i++) {
		const struct fact *fact = &h->facts[i];

		cr_assert(fact->forgotten);
		if (fact->revoked)
			continue;
		cr_assert(fact->result_received, "seed %u: lease %zu has no result", seed, i);
		if (!full)
			cr_assert_eq(fact->results, 1, "seed %u: lease %zu has %u results", seed, i,
				     fact->results);
		if (!full)
			cr_assert_eq(fact->samples_received, fact->samples_kept);
	}
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, no_history_oversubscribes_loses_or_doubles_anything, .timeout = 60)
{
	for (unsigned int seed = 1; seed <= 200; seed++)
		play(seed, false);
}

Test(duty, a_full_disk_ends_attempts_but_loses_none_of_them, .timeout = 60)
{
	for (unsigned int seed = 1000; seed <= 1200; seed++)
		play(seed, true);
}

static size_t count(const struct kt_duty_effects *effects, enum kt_duty_effect_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < effects->n; i++)
		n += effects->list[i].type == type;
	return n;
}

Test(duty, sync_says_done_until_the_result_is_acknowledged)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sync sync;

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_HELLO), 1);
	welcome(h);
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_SYNC), 1);
	grant(h, 5, 7);
	grant(h, 5, 7);
	cr_assert_eq(h->duty.n_leases, 1, "the same grant twice is one lease");
	kt_duty_fill_sync(&h->duty, h->now_ns, 0, &arena, &sync);
	cr_assert_eq(sync.n_held, 1);
	cr_assert_eq(sync.slots_free, SLOTS - 1);
	cr_assert_str_eq(sync.held[0].phase, "fetch");
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_READY, .lease = 1 });
	end_run(h, 1);
	spool(h, 1);
	for (int i = 0; i < 3; i++) {
		pump(h, SIZE_MAX, true);
		kt_duty_fill_sync(&h->duty, h->now_ns, 0, &arena, &sync);
		cr_assert_eq(sync.n_held, 1);
		cr_assert_str_eq(sync.held[0].phase, "done");
		cr_assert_eq(sync.slots_free, SLOTS);
		welcome(h);
	}
	pump(h, SIZE_MAX, true);
	ack(h, 1);
	cr_assert_eq(h->duty.n_leases, 0);
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, a_guest_that_has_no_room_beside_the_others_is_not_run)
{
	static const struct {
		uint64_t guest_cpus, guest_mem_bytes;
		bool second;
	} rows[] = {
		{ 0, 0, true },
		{ 4, 2ull << 30, true },
		{ 3, 2ull << 30, false },
		{ 4, (2ull << 30) - 1, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct history *h = kt_must_calloc(1, sizeof(*h));

		kt_duty_init(&h->duty,
			     &(struct kt_duty_config){ .slots = SLOTS,
						       .guest_cpus = rows[i].guest_cpus,
						       .guest_mem_bytes = rows[i].guest_mem_bytes,
						       .seed = 1 });
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
		welcome(h);
		grant(h, 5, 7);
		grant(h, 6, 8);
		cr_assert_eq(kt_duty_active(&h->duty), rows[i].second ? 2 : 1, "row %zu", i);
		kt_duty_fini(&h->duty);
		kt_duty_effects_fini(&h->effects);
		free(h);
	}
}

Test(duty, a_state_that_comes_late_or_twice_grants_nothing_again)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	struct kt_msg_grant one = { .cell = 7, .epoch = 5, .attempt = 1, .ttl_ns = 1, .job = &job };
	struct kt_msg_state state = { .seq = 2, .grants = &one, .n_grants = 1 };
	struct kt_duty_input input = { .type = KT_DUTY_IN_STATE, .state = &state };

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	welcome(h);
	state.session = h->session;
	step(h, input);
	take_back(h, 1);
	cr_assert_eq(h->duty.n_leases, 0);
	step(h, input);
	cr_assert_eq(h->duty.n_leases, 0, "it came twice");
	state.seq = 1;
	step(h, input);
	cr_assert_eq(h->duty.n_leases, 0, "it was overtaken");
	one.epoch = 6;
	state.seq = 3;
	step(h, input);
	cr_assert_eq(h->duty.n_leases, 1, "the next one counts");
	welcome(h);
	state.session = h->session;
	state.seq = 1;
	one.cell = 8;
	one.epoch = 9;
	step(h, input);
	cr_assert_eq(h->duty.n_leases, 2, "each session begins anew");
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, silence_resets_the_socket_and_hello_waits_longer_each_time)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	int64_t pause_ns = 0;

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	welcome(h);
	h->now_ns = KT_DUTY_SILENT_SYNCS * SYNC_NS - 1;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_RESET), 0);
	h->now_ns = KT_DUTY_SILENT_SYNCS * SYNC_NS;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_RESET), 1);
	for (int i = 0; i < 12; i++) {
		int64_t next_ns;

		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
		cr_assert_eq(count(&h->effects, KT_DUTY_DO_HELLO), 1);
		next_ns = kt_duty_next_ns(&h->duty);
		cr_assert_gt(next_ns, h->now_ns);
		pause_ns = next_ns - h->now_ns;
		cr_assert_leq(pause_ns, KT_DUTY_HELLO_NS_MAX * 5 / 4);
		h->now_ns = next_ns;
		step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
		cr_assert_eq(count(&h->effects, KT_DUTY_DO_RESET), 1);
	}
	cr_assert_geq(pause_ns, KT_DUTY_HELLO_NS_MAX * 3 / 4);
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, what_a_state_says_holds_until_the_next_one)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_clock clock = { .wall_ns = 1000 };
	struct kt_msg_state state = {
		.seq = 1, .sync_ns = 20 * SYNC_NS, .drain = true, .note = "why", .clock = &clock
	};
	struct kt_duty_input input = { .type = KT_DUTY_IN_STATE, .state = &state, .wall_ns = 77 };
	struct kt_msg_sync sync;

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	welcome(h);
	state.session = h->session;
	step(h, input);
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_NOTE), 1);
	kt_duty_fill_sync(&h->duty, h->now_ns, 88, &arena, &sync);
	cr_assert_eq(sync.slots_free, 0, "drained");
	cr_assert_not(sync.draining, "but it stays");
	cr_assert_eq(sync.clock->wall_ns, 88);
	cr_assert_eq(sync.clock->echo_ns, 1000);
	cr_assert_eq(sync.clock->echo_heard_ns, 77);
	grant(h, 5, 7); /* crossed the drain; the STATE that it is in says nothing of a drain */
	cr_assert_eq(kt_duty_active(&h->duty), 1);
	take_back(h, 1);
	state.seq = 0; /* 0: unasked */
	step(h, input);
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_NOTE), 1, "it had gone meanwhile");
	step(h, input);
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_NOTE), 0, "the same note is said once");
	h->now_ns += 19 * SYNC_NS;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_SYNC), 0, "not before it is asked to");
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_RESET), 0, "that is no silence");
	h->now_ns += SYNC_NS;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_SYNC), 1);
	state.drain = false;
	state.sync_ns = SYNC_NS;
	state.note = "";
	step(h, input);
	h->now_ns += SYNC_NS;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_SYNC), 1, "sooner again");
	kt_duty_fill_sync(&h->duty, h->now_ns, 0, &arena, &sync);
	cr_assert_eq(sync.slots_free, SLOTS);
	cr_assert_null(sync.clock);
	state.drain = true;
	step(h, input);
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_not(h->duty.exited, "nobody leaves for it");
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, a_grant_in_a_state_that_drains_is_refused)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	struct kt_msg_grant one = { .cell = 7, .epoch = 5, .attempt = 1, .ttl_ns = 1, .job = &job };
	struct kt_msg_state state = { .seq = 1, .grants = &one, .n_grants = 1, .drain = true };

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	welcome(h);
	state.session = h->session;
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_STATE, .state = &state });
	cr_assert_eq(kt_duty_active(&h->duty), 0);
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_KEEP_RESULT), 1);
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, a_revoked_guest_is_listed_as_ending_until_it_is_dead)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sync sync;

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	welcome(h);
	grant(h, 5, 7);
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_READY, .lease = 1 });
	take_back(h, 1);
	kt_duty_fill_sync(&h->duty, h->now_ns, 0, &arena, &sync);
	cr_assert_eq(sync.n_held, 1);
	cr_assert_str_eq(sync.held[0].phase, "end");
	cr_assert_eq(sync.slots_free, SLOTS - 1, "its slot is free when it is dead");
	end_run(h, 1);
	kt_duty_fill_sync(&h->duty, h->now_ns, 0, &arena, &sync);
	cr_assert_eq(sync.n_held, 0);
	cr_assert_eq(sync.slots_free, SLOTS);
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}

Test(duty, who_is_refused_keeps_what_it_has_and_asks_again_when_it_may)
{
	struct history *h = kt_must_calloc(1, sizeof(*h));
	struct kt_msg_refuse refuse = { .reason = "another version", .retry_ns = 100 * SYNC_NS };
	struct kt_msg_welcome newer = { .version = KT_PROTOCOL_VERSION + 1,
					.session = 9,
					.sweep_id = "s",
					.bulk_endpoint = "ipc:///b",
					.sync_ns = SYNC_NS,
					.build = "t" };

	kt_duty_init(&h->duty, &(struct kt_duty_config){ .slots = SLOTS, .seed = 1 });
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
	welcome(h);
	grant(h, 5, 7);
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_REFUSE, .refuse = &refuse });
	cr_assert_eq(kt_duty_active(&h->duty), 1);
	cr_assert_geq(kt_duty_next_ns(&h->duty) - h->now_ns, 75 * SYNC_NS, "as it was told");
	cr_assert_leq(kt_duty_next_ns(&h->duty) - h->now_ns, 125 * SYNC_NS, "but for the jitter");
	h->now_ns = kt_duty_next_ns(&h->duty);
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_HELLO), 1);
	step(h, (struct kt_duty_input){ .type = KT_DUTY_IN_WELCOME, .welcome = &newer });
	cr_assert_eq(h->duty.session, 0, "a version that we do not speak");
	cr_assert_eq(count(&h->effects, KT_DUTY_DO_SYNC), 0);
	cr_assert_eq(kt_duty_active(&h->duty), 1);
	kt_duty_fini(&h->duty);
	kt_duty_effects_fini(&h->effects);
	free(h);
}
