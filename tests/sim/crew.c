#include "tests/sim/world.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LAZY_NS (500 * MS) /* before deletions alone are committed */

static void feed(struct world *w, uint32_t who, struct kt_duty_input input);

int64_t crew_clock_ns(const struct world *w, uint32_t who)
{
	const struct crew *c = &w->crews[who];

	return c->clock_offset_ns + w->now_ns + w->now_ns / 1000000 * c->drift_ppm;
}

static const char *const names[NAMES] = { "alfa", "bravo", "charlie", "delta", "stranger" };

const char *crew_name(uint32_t name)
{
	return name < NAMES ? names[name] : "nobody";
}

int64_t crew_wall_ns(const struct world *w, uint32_t who)
{
	return WALL_NS + w->now_ns + w->crews[who].wall_offset_ns;
}

static void say_later(struct crew *c, struct kt_duty_input input, const char *text)
{
	if (c->n_laters == c->cap_laters) {
		c->cap_laters = c->cap_laters ? c->cap_laters * 2 : 32;
		c->laters = kt_must_realloc(c->laters, c->cap_laters, sizeof(*c->laters));
	}
	c->laters[c->n_laters] = (struct later){ .input = input };
	snprintf(c->laters[c->n_laters++].text, sizeof(c->laters->text), "%s", text);
}

static struct hold *hold_of(struct crew *c, uint64_t lease)
{
	for (size_t i = 0; i < c->n_holds; i++)
		if (c->holds[i].lease == lease)
			return &c->holds[i];
	kt_must(!"a lease without a hold");
	return NULL;
}

static void add_hold(struct crew *c, const struct kt_duty_lease *lease)
{
	if (c->n_holds == c->cap_holds) {
		c->cap_holds = c->cap_holds ? c->cap_holds * 2 : 32;
		c->holds = kt_must_realloc(c->holds, c->cap_holds, sizeof(*c->holds));
	}
	c->holds[c->n_holds++] =
		(struct hold){ .lease = lease->id, .epoch = lease->epoch, .cell = lease->cell };
}

/* ---- the spool: now is with the open transaction, disk is without ---- */

static struct spooled *find_spooled(struct crew *c, uint64_t epoch)
{
	for (size_t i = 0; i < c->n_spooled; i++)
		if (c->now[i].epoch == epoch)
			return &c->now[i];
	return NULL;
}

static struct spooled *put_spooled(struct crew *c, const struct hold *hold)
{
	struct spooled *spooled = find_spooled(c, hold->epoch);
	size_t i = 0;

	if (spooled)
		return spooled;
	while (i < c->n_spooled && (c->now[i].epoch || c->disk[i].epoch))
		i++;
	kt_must(i < ATTEMPTS_MAX);
	if (i == c->n_spooled)
		c->n_spooled++;
	c->now[i] = (struct spooled){
		.epoch = hold->epoch, .cell = hold->cell, .order = ++c->orders, .dirty = true
	};
	return &c->now[i];
}

static void drop_spooled(struct spooled *spooled)
{
	*spooled = (struct spooled){ .dirty = true };
}

static void write_spool(struct crew *c)
{
	for (size_t i = 0; i < c->n_spooled; i++) {
		if (!c->now[i].dirty)
			continue;
		c->now[i].dirty = false;
		c->disk[i] = c->now[i];
	}
	c->spool_dirty = false;
}

static void undo_spool(struct crew *c)
{
	for (size_t i = 0; i < c->n_spooled; i++)
		if (c->now[i].dirty)
			c->now[i] = c->disk[i];
	c->spool_dirty = false;
}

static void say_lost(struct crew *c, uint64_t lease, uint64_t seq, enum kt_cause_id cause)
{
	say_later(c,
		  (struct kt_duty_input){
			  .type = KT_DUTY_IN_LOST, .lease = lease, .seq = seq, .cause = cause },
		  "the disk");
}

/* The open transaction is gone, and everything in it: each lease concerned hears it once. */
static void spool_broke(struct world *w, struct crew *c)
{
	w->hits[FAULT_WORKER_DISK]++;
	world_trace(w, "worker %u: the spool breaks", (unsigned int)(c - w->crews));
	undo_spool(c);
	for (size_t i = 0; i < c->n_pending; i++) {
		bool told = false;

		for (size_t j = 0; j < i && !told; j++)
			told = c->pending[j].lease == c->pending[i].lease;
		if (!told)
			say_lost(c, c->pending[i].lease, UINT64_MAX,
				 c->disk_full ? KT_CAUSE_ID_disk_full : KT_CAUSE_ID_host_trouble);
	}
	c->n_pending = 0;
}

static bool disk_takes(struct world *w, const struct crew *c)
{
	if (!world_has(w, FAULT_WORKER_DISK))
		return true;
	return !c->disk_full && world_draw(w, FAULT_WORKER_DISK, 300) != 0;
}

static void note_pending(struct crew *c, uint64_t lease, bool is_result)
{
	kt_must(c->n_pending < sizeof(c->pending) / sizeof(c->pending[0]));
	c->pending[c->n_pending++] = (struct pending){ lease, is_result };
}

static void spool_sample(struct world *w, struct crew *c, const struct kt_duty_effect *effect)
{
	struct hold *hold = hold_of(c, effect->lease);
	struct spooled *spooled;

	note_pending(c, effect->lease, false);
	if (!disk_takes(w, c)) {
		spool_broke(w, c);
		return;
	}
	spooled = put_spooled(c, hold);
	kt_must(effect->len == sizeof(struct reading));
	if (effect->seq >= READINGS_MAX || effect->seq != spooled->n)
		promises_broken(w, PROMISE_KEPT_FIRST,
				"worker %u spools sample %llu of epoch %llu after %llu",
				(unsigned int)(c - w->crews), (unsigned long long)effect->seq,
				(unsigned long long)hold->epoch, (unsigned long long)spooled->n);
	memcpy(&spooled->readings[effect->seq], effect->body, effect->len);
	spooled->n++;
	spooled->dirty = c->spool_dirty = true;
}

static void spool_result(struct world *w, struct crew *c, const struct kt_duty_effect *effect)
{
	struct hold *hold = hold_of(c, effect->lease);
	const struct kt_duty_lease *lease = kt_duty_lease(&c->duty, effect->lease);
	struct truth *truth = promises_truth(w, hold->epoch);
	struct outcome outcome = { .cause = KT_CAUSE_ID_host_trouble };
	struct spooled *spooled;

	if (effect->result)
		outcome = truth->outcome;
	if (effect->cause != KT_CAUSE_ID_N) {
		outcome.cause = effect->cause;
		outcome.n = lease->samples_kept;
		outcome.has_digest = false;
		truth->ours = true;
	}
	hold->has_outcome = true;
	hold->outcome = outcome;
	note_pending(c, effect->lease, true);
	if (!disk_takes(w, c)) {
		spool_broke(w, c);
		return;
	}
	spooled = put_spooled(c, hold);
	spooled->has_result = true;
	spooled->outcome = outcome;
	spooled->dirty = c->spool_dirty = true;
}

static void plan_commit(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	int64_t in_ns = world_span(w, STREAM_OTHER, 0, 3 * MS);

	if (c->n_pending == 0) {
		if (!c->spool_dirty || c->commit_at_ns)
			return;
		in_ns = LAZY_NS;
	} else if (c->commit_at_ns && c->commit_at_ns <= w->now_ns + in_ns) {
		return;
	}
	c->commit_at_ns = w->now_ns + in_ns;
	world_push(w, in_ns, (struct event){ .kind = EV_CREW_COMMIT, .who = who, .life = c->life });
	if (world_has(w, FAULT_SLOW_DISK) && world_chance(w, FAULT_SLOW_DISK, 1)) {
		w->hits[FAULT_SLOW_DISK]++;
		crew_pause(w, who, world_span(w, FAULT_SLOW_DISK, 0, 3 * S));
	}
}

/* Group commit: everything of one turn of the loop at once. */
static void commit(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];

	c->commit_at_ns = 0;
	if (!c->spool_dirty && c->n_pending == 0)
		return;
	if (world_has(w, FAULT_WORKER_CRASH) && world_draw(w, FAULT_WORKER_CRASH, 400) == 0) {
		w->hits[FAULT_WORKER_CRASH]++;
		if (world_draw(w, FAULT_WORKER_CRASH, 2))
			write_spool(c);
		crew_die(w, who, false, world_span(w, FAULT_WORKER_CRASH, 200 * MS, 20 * S));
		return;
	}
	if (!disk_takes(w, c)) {
		spool_broke(w, c);
		return;
	}
	write_spool(c);
	for (size_t i = 0; i < c->n_pending; i++)
		say_later(c,
			  (struct kt_duty_input){ .type = c->pending[i].is_result
								  ? KT_DUTY_IN_KEPT_RESULT
								  : KT_DUTY_IN_KEPT_SAMPLE,
						  .lease = c->pending[i].lease },
			  "");
	c->n_pending = 0;
}

void crew_cut_spool(struct world *w, uint32_t who, bool whole)
{
	struct crew *c = &w->crews[who];

	for (size_t i = 0; i < c->n_spooled; i++) {
		struct spooled *spooled = &c->now[i];

		if (!spooled->epoch || spooled->dirty)
			continue;
		promises_truth(w, spooled->epoch)->lost = true;
		if (whole)
			*spooled = (struct spooled){ 0 };
		else
			for (uint64_t k = 0; k < READINGS_MAX; k++)
				spooled->missing[k] |= world_chance(w, FAULT_SPOOL_CUT, 30);
		c->disk[i] = *spooled;
	}
}

/* ---- to the coordinator ---- */

static void send_hello(struct world *w, uint32_t who)
{
	static struct kt_digest digest;
	static bool has_digest;
	struct crew *c = &w->crews[who];
	struct kt_msg_machine machine = { .runner = "scripted", .accel = "none", .guest = "" };
	struct kt_msg_hello hello = {
		.version_min = KT_PROTOCOL_VERSION,
		.version_max = KT_PROTOCOL_VERSION,
		.build = KT_VERSION,
		.worker_id = names[c->name],
		.boot_id = c->boot_id,
		.slots = c->slots,
		.cpus = 4,
		.guest_cpus = c->guest_cpus,
		.mem_bytes = c->mem_bytes,
		.machine = &machine,
		.accel_reason = "",
		.wall_ns = crew_wall_ns(w, who),
	};

	if (!has_digest)
		kt_schema_digest(&kt_schema_fleet, &digest);
	has_digest = true;
	hello.schema_digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
	wires_send_up(w, who, KT_TAG_hello, &hello);
}

static void send_sync(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	uint64_t cached = c->name;
	struct kt_msg_sync sync;

	kt_arena_reset(&w->scratch);
	kt_duty_fill_sync(&c->duty, crew_clock_ns(w, who), crew_wall_ns(w, who), &w->scratch,
			  &sync);
	sync.cached = (struct kt_bin){ (const uint8_t *)&cached, sizeof(cached) };
	wires_send_up(w, who, KT_TAG_sync, &sync);
}

static void send_phase(struct world *w, uint32_t who, uint64_t lease, const char *name)
{
	struct crew *c = &w->crews[who];
	const struct hold *hold = hold_of(c, lease);
	struct kt_msg_phase phase = { .session = c->duty.session,
				      .cell = hold->cell,
				      .epoch = hold->epoch,
				      .phase = name,
				      .detail = "" };

	if (c->duty.session)
		wires_send_up(w, who, KT_TAG_phase, &phase);
}

static int send_sample(struct world *w, uint32_t who, const struct hold *hold, uint64_t seq)
{
	struct crew *c = &w->crews[who];
	struct spooled *spooled = find_spooled(c, hold->epoch);
	const struct spooled *durable = spooled ? &c->disk[spooled - c->now] : NULL;
	struct kt_msg_sample_sent sent = {
		.session = c->duty.session, .cell = hold->cell, .epoch = hold->epoch, .seq = seq
	};

	if (!spooled || seq >= spooled->n || seq < spooled->acked || spooled->missing[seq]) {
		say_lost(c, hold->lease, seq, KT_CAUSE_ID_host_trouble);
		return -EIO;
	}
	if (durable->epoch != hold->epoch || seq >= durable->n)
		promises_broken(w, PROMISE_KEPT_FIRST,
				"worker %u sends sample %llu of epoch %llu, which is not on disk",
				who, (unsigned long long)seq, (unsigned long long)hold->epoch);
	sent.body =
		(struct kt_bin){ (const uint8_t *)&spooled->readings[seq], sizeof(struct reading) };
	return wires_send_up(w, who, KT_TAG_sample_sent, &sent);
}

static int send_log(struct world *w, uint32_t who, const struct hold *hold, uint64_t seq)
{
	struct kt_msg_log_sent sent = { .session = w->crews[who].duty.session,
					.cell = hold->cell,
					.epoch = hold->epoch,
					.seq = seq,
					.stream = "console",
					.body = { (const uint8_t *)"log", 3 } };

	return wires_send_up(w, who, KT_TAG_log_sent, &sent);
}

static int send_result(struct world *w, uint32_t who, const struct hold *hold)
{
	struct crew *c = &w->crews[who];
	struct spooled *spooled = find_spooled(c, hold->epoch);
	const struct spooled *durable = spooled ? &c->disk[spooled - c->now] : NULL;
	struct outcome outcome;
	struct kt_msg_machine machine = { .runner = "scripted", .accel = "none", .guest = "" };
	struct kt_msg_result result = {
		.line = "", .evidence = "", .note = "", .machine = &machine
	};
	struct kt_msg_result_sent sent = { .session = c->duty.session,
					   .cell = hold->cell,
					   .epoch = hold->epoch,
					   .result = &result };

	if (hold->has_outcome) {
		outcome = hold->outcome;
	} else if (spooled && spooled->has_result) {
		outcome = spooled->outcome;
	} else {
		say_lost(c, hold->lease, UINT64_MAX, KT_CAUSE_ID_host_trouble);
		return -EIO;
	}
	/* That something was lost may be said without a disk. */
	if (!promises_truth(w, hold->epoch)->ours &&
	    (!durable || durable->epoch != hold->epoch || !durable->has_result))
		promises_broken(w, PROMISE_KEPT_FIRST,
				"worker %u sends the result of epoch %llu, which is not on disk",
				who, (unsigned long long)hold->epoch);
	result.cause = kt_cause(outcome.cause)->name;
	result.samples_total = outcome.n;
	result.samples_fired = outcome.n;
	if (outcome.has_digest)
		result.series_digest = (struct kt_bin){ outcome.digest.bytes, KT_DIGEST_BYTES };
	return wires_send_up(w, who, KT_TAG_result_sent, &sent);
}

/* ---- guests ---- */

static struct guest *guest_of(struct crew *c, uint64_t run)
{
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (run && c->guests[i].run == run)
			return &c->guests[i];
	return NULL;
}

static void next_act(struct world *w, uint32_t who, const struct guest *guest, int64_t in_ns)
{
	world_push(w, in_ns,
		   (struct event){ .kind = EV_GUEST,
				   .who = who,
				   .life = w->crews[who].life,
				   .number = guest->run });
}

static int64_t pace(struct world *w, const struct guest *guest)
{
	const struct plan *plan = &w->plans[guest->cell];
	int64_t span_ns = plan->takes_ns / (int64_t)(guest->n_planned + 1);

	if (world_has(w, FAULT_SLOW) && world_chance(w, FAULT_SLOW, 5)) {
		w->hits[FAULT_SLOW]++;
		span_ns += world_span(w, FAULT_SLOW, 0, 20 * S);
	}
	return span_ns;
}

static const enum kt_cause_id troubles[] = {
	KT_CAUSE_ID_boot_timeout,   KT_CAUSE_ID_boot_panic, KT_CAUSE_ID_topology_mismatch,
	KT_CAUSE_ID_guest_lost,     KT_CAUSE_ID_qemu_died,  KT_CAUSE_ID_no_kvm,
	KT_CAUSE_ID_cancelled,      KT_CAUSE_ID_no_memory,  KT_CAUSE_ID_artifact_corrupt,
	KT_CAUSE_ID_runner_crashed,
};

static void start_guest(struct world *w, uint32_t who, uint64_t lease)
{
	struct crew *c = &w->crews[who];
	const struct hold *hold = hold_of(c, lease);
	const struct plan *plan = &w->plans[hold->cell];
	struct guest *guest = NULL;

	for (size_t i = 0; i < GUESTS_MAX && !guest; i++)
		if (!c->guests[i].run)
			guest = &c->guests[i];
	kt_must(guest);
	promises_start(w, who, hold->epoch, hold->cell);
	*guest = (struct guest){ .run = ++w->runs,
				 .lease = lease,
				 .epoch = hold->epoch,
				 .cell = hold->cell,
				 .n_planned = plan->n,
				 .outcome = { .cause = plan->cause },
				 .poison = plan->poison,
				 .hangs = world_has(w, FAULT_HANG) &&
					  world_draw(w, FAULT_HANG, 60) == 0,
				 .again = promises_truth(w, hold->epoch)->run != 0 };
	if (!guest->again)
		promises_truth(w, hold->epoch)->run = guest->run;
	if (c->bad ||
	    (world_has(w, FAULT_INFRA) && world_chance(w, FAULT_INFRA, w->percent_infra))) {
		w->hits[c->bad ? FAULT_BAD_HOST : FAULT_INFRA]++;
		guest->outcome.cause = troubles[world_draw(w, FAULT_INFRA,
							   sizeof(troubles) / sizeof(troubles[0]))];
		guest->n_planned = world_draw(w, FAULT_INFRA, plan->n + 1);
	}
	next_act(w, who, guest, pace(w, guest));
}

static void end_guest(struct world *w, uint32_t who, struct guest *guest)
{
	struct truth *truth = promises_truth(w, guest->epoch);
	struct kt_digest_stream stream;
	struct kt_msg_result result = { .cause = kt_cause(guest->outcome.cause)->name };
	uint64_t lease = guest->lease;

	guest->outcome.n = guest->n;
	guest->outcome.has_digest = guest->n > 0;
	if (!guest->again) {
		kt_digest_stream_begin(&stream);
		kt_digest_stream_add(&stream, truth->recorded, guest->n * sizeof(struct reading));
		kt_digest_stream_end(&stream, &guest->outcome.digest);
		truth->outcome = guest->outcome;
		truth->has_outcome = true;
	}
	guest->run = 0;
	feed(w, who,
	     (struct kt_duty_input){ .type = KT_DUTY_IN_ENDED, .lease = lease, .result = &result });
}

static void act(struct world *w, uint32_t who, struct guest *guest)
{
	struct truth *truth = promises_truth(w, guest->epoch);
	struct kt_msg_run_phase phase = { .phase = "run", .left_ns = 1 * S, .detail = "" };
	struct reading reading = { .cell = guest->cell,
				   .epoch = guest->epoch,
				   .run = guest->run,
				   .seq = guest->n,
				   .value = world_mix(world_mix(w->seed, 1000 + guest->cell),
						      guest->n) };
	uint64_t run = guest->run;
	uint32_t life = w->crews[who].life;

	if (guest->killed && w->now_ns >= guest->kill_at_ns) {
		guest->outcome.cause = KT_CAUSE_ID_cancelled;
		end_guest(w, who, guest);
		return;
	}
	if (guest->poison && guest->n * 2 >= guest->n_planned) {
		w->hits[FAULT_POISON]++;
		world_trace(w, "worker %u: cell %llu is poison", who,
			    (unsigned long long)guest->cell);
		if (world_mix(w->seed, guest->cell) & 1) {
			guest->outcome.cause = KT_CAUSE_ID_qemu_died;
			end_guest(w, who, guest);
		} else {
			crew_die(w, who, false, world_span(w, STREAM_GUEST, 200 * MS, 3 * S));
		}
		return;
	}
	if (guest->hangs && guest->n >= guest->n_planned) {
		w->hits[FAULT_HANG]++;
		return; /* until it is killed */
	}
	if (guest->n >= guest->n_planned) {
		end_guest(w, who, guest);
		return;
	}
	if (!guest->told_phase) {
		guest->told_phase = true;
		feed(w, who,
		     (struct kt_duty_input){
			     .type = KT_DUTY_IN_PHASE, .lease = guest->lease, .phase = &phase });
		feed(w, who,
		     (struct kt_duty_input){ .type = KT_DUTY_IN_LOG,
					     .lease = guest->lease,
					     .bytes = { "console", "log", 3 } });
		if (w->crews[who].life != life || guest->run != run)
			return;
	}
	guest->n++;
	if (!guest->again) {
		truth->recorded[reading.seq] = reading;
		truth->n_recorded = guest->n;
	}
	next_act(w, who, guest, pace(w, guest));
	feed(w, who,
	     (struct kt_duty_input){ .type = KT_DUTY_IN_SAMPLE,
				     .lease = guest->lease,
				     .bytes = { NULL, &reading, sizeof(reading) } });
}

static void kill_guest(struct world *w, uint32_t who, uint64_t lease)
{
	struct crew *c = &w->crews[who];

	for (size_t i = 0; i < GUESTS_MAX; i++) {
		struct guest *guest = &c->guests[i];
		int64_t in_ns = world_span(w, STREAM_GUEST, 1 * MS, 200 * MS);

		if (!guest->run || guest->lease != lease || guest->killed)
			continue;
		if (world_has(w, FAULT_SLOW) && world_chance(w, FAULT_SLOW, 20))
			in_ns += world_span(w, FAULT_SLOW, 0, 8 * S);
		guest->killed = true;
		guest->kill_at_ns = w->now_ns + in_ns;
		next_act(w, who, guest, in_ns);
	}
}

static void fetch(struct world *w, uint32_t who, uint64_t lease)
{
	int64_t in_ns = world_span(w, STREAM_GUEST, 1 * MS, 200 * MS);

	if (world_has(w, FAULT_SLOW) && world_chance(w, FAULT_SLOW, 10))
		in_ns += world_span(w, FAULT_SLOW, 0, 20 * S);
	send_phase(w, who, lease, "fetch");
	world_push(w, in_ns,
		   (struct event){ .kind = EV_CREW_FETCHED,
				   .who = who,
				   .life = w->crews[who].life,
				   .number = lease });
}

/* ---- performing effects ---- */

static void perform(struct world *w, uint32_t who, const struct kt_duty_effect *effect)
{
	struct crew *c = &w->crews[who];
	struct kt_msg_bye bye = { .session = c->duty.session, .reason = effect->text };
	struct spooled *spooled;
	struct hold *hold;

	switch (effect->type) {
	case KT_DUTY_DO_HELLO:
		send_hello(w, who);
		break;
	case KT_DUTY_DO_SYNC:
		send_sync(w, who);
		break;
	case KT_DUTY_DO_BYE:
		wires_send_up(w, who, KT_TAG_bye, &bye);
		break;
	case KT_DUTY_DO_TELL_PHASE:
		send_phase(w, who, effect->lease, effect->phase->phase);
		break;
	case KT_DUTY_DO_RESET:
		wires_break(w, who, !c->cut.up && !c->cut.down, false);
		wires_connect(w, who, world_span(w, STREAM_NET, 10 * MS, 500 * MS));
		break;
	case KT_DUTY_DO_ACCEPT:
		add_hold(c, kt_duty_lease(&c->duty, effect->lease));
		world_trace(w, "worker %u: takes cell %llu, epoch %llu", who,
			    (unsigned long long)effect->grant->cell,
			    (unsigned long long)effect->grant->epoch);
		break;
	case KT_DUTY_DO_FETCH:
		fetch(w, who, effect->lease);
		break;
	case KT_DUTY_DO_START:
		start_guest(w, who, effect->lease);
		break;
	case KT_DUTY_DO_CANCEL:
		kill_guest(w, who, effect->lease);
		break;
	case KT_DUTY_DO_KEEP_SAMPLE:
		spool_sample(w, c, effect);
		break;
	case KT_DUTY_DO_KEEP_LOG:
		say_later(c,
			  (struct kt_duty_input){ .type = KT_DUTY_IN_KEPT_LOG,
						  .lease = effect->lease },
			  "");
		break;
	case KT_DUTY_DO_KEEP_RESULT:
		spool_result(w, c, effect);
		break;
	case KT_DUTY_DO_TRIM:
		hold = hold_of(c, effect->lease);
		promises_trim(w, hold->epoch, effect->seq);
		spooled = find_spooled(c, hold->epoch);
		if (spooled) {
			spooled->acked = effect->seq;
			spooled->dirty = c->spool_dirty = true;
		}
		break;
	case KT_DUTY_DO_FORGET:
		hold = hold_of(c, effect->lease);
		promises_forget(w, who, hold->epoch);
		spooled = find_spooled(c, hold->epoch);
		if (spooled) {
			drop_spooled(spooled);
			c->spool_dirty = true;
		}
		*hold = c->holds[--c->n_holds];
		break;
	case KT_DUTY_DO_EXIT:
		c->leaving = true;
		break;
	default:
		break;
	}
}

static void step(struct world *w, uint32_t who, struct kt_duty_input *input)
{
	struct crew *c = &w->crews[who];

	input->now_ns = crew_clock_ns(w, who);
	input->wall_ns = crew_wall_ns(w, who);
	c->effects.n = 0;
	kt_duty_step(&c->duty, input, &c->effects);
	for (size_t i = 0; i < c->effects.n; i++)
		perform(w, who, &c->effects.list[i]);
}

static void drain_laters(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];

	while (c->at_later < c->n_laters) {
		struct later later = c->laters[c->at_later++];

		later.input.text = later.text;
		step(w, who, &later.input);
	}
	c->at_later = c->n_laters = 0;
}

static void pump(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	struct kt_duty_piece piece;

	while (kt_duty_next_piece(&c->duty, &piece)) {
		const struct hold *hold = hold_of(c, piece.lease);
		int ret = piece.type == KT_DUTY_SAMPLE ? send_sample(w, who, hold, piece.seq)
			  : piece.type == KT_DUTY_LOG  ? send_log(w, who, hold, piece.seq)
						       : send_result(w, who, hold);

		if (ret == -EIO) { /* the spool no longer has it */
			drain_laters(w, who);
			continue;
		}
		if (ret < 0)
			return;
		step(w, who, &(struct kt_duty_input){ .type = KT_DUTY_IN_SENT, .piece = piece });
	}
}

static void arm(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	int64_t next_ns = kt_duty_next_ns(&c->duty);
	int64_t in_ns;

	if (next_ns == INT64_MAX)
		return;
	in_ns = next_ns - crew_clock_ns(w, who);
	in_ns = in_ns < 1 * MS ? 1 * MS : in_ns;
	if (c->tick_at_ns && c->tick_at_ns <= w->now_ns + in_ns)
		return;
	c->tick_at_ns = w->now_ns + in_ns;
	world_push(w, in_ns, (struct event){ .kind = EV_CREW_TICK, .who = who, .life = c->life });
}

static void settle(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];

	drain_laters(w, who);
	pump(w, who);
	drain_laters(w, who);
	if (c->leaving) {
		w->conns[c->conn].lingers = true;
		write_spool(c); /* kt_spool_destroy() commits what it can */
		crew_die(w, who, false,
			 c->gone ? -1 : world_span(w, STREAM_OTHER, 500 * MS, 20 * S));
		return;
	}
	plan_commit(w, who);
	arm(w, who);
}

static void feed(struct world *w, uint32_t who, struct kt_duty_input input)
{
	step(w, who, &input);
	settle(w, who);
}

void crew_input(struct world *w, uint32_t who, struct kt_duty_input input)
{
	if (w->crews[who].alive && !w->crews[who].paused && who != STRANGER)
		feed(w, who, input);
}

/* ---- events ---- */

static void on_frame(struct world *w, uint32_t who, const struct message *message)
{
	struct crew *c = &w->crews[who];
	struct kt_duty_input input = { 0 };

	world_trace(w, "worker %u: %s", who,
		    kt_codec_message(&kt_schema_fleet, message->tag)->schema->name);
	if (!kt_duty_hear(message->tag, message->body, &input))
		return;
	if (input.type == KT_DUTY_IN_REFUSE)
		world_trace(w, "worker %u: refused: %s", who, input.refuse->reason);
	feed(w, who, input);
	if (input.type == KT_DUTY_IN_STATE && c->alive && c->duty.session == input.state->session &&
	    (!input.state->seq || input.state->seq == c->duty.state_seq))
		promises_revoked(w, who, input.state);
}

static void resume(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	struct events backlog = c->backlog;

	world_trace(w, "worker %u: goes on", who);
	c->paused = false;
	c->backlog = (struct events){ 0 };
	for (size_t i = 0; i < backlog.n; i++) {
		crew_event(w, &backlog.list[i]);
		wires_release(w, backlog.list[i].message);
	}
	free(backlog.list);
}

static void snap(struct world *w, const struct event *event)
{
	struct crew *c = &w->crews[event->who];

	if (c->conn == event->number && w->conns[c->conn].up && (c->cut.up || c->cut.down))
		wires_break(w, event->who, true, true);
}

void crew_event(struct world *w, const struct event *event)
{
	uint32_t who = event->who;
	struct crew *c = &w->crews[who];
	struct guest *guest;

	if (event->kind == EV_CREW_START) {
		if (!c->alive && !c->gone)
			crew_start(w, who);
		return;
	}
	if (event->kind == EV_DOWN) {
		if (!wires_may_arrive(w, event))
			return;
	} else if (!c->alive || event->life != c->life) {
		return;
	}
	if (event->kind == EV_SNAP) {
		snap(w, event);
		return;
	}
	if (event->kind == EV_CREW_RESUME) {
		if (c->paused)
			resume(w, who);
		return;
	}
	if (c->paused) {
		if (event->message)
			event->message->refs++;
		world_keep(&c->backlog, *event);
		return;
	}
	if (who == STRANGER) {
		if (event->kind == EV_LINK_UP)
			send_hello(w, who);
		if (event->kind == EV_DOWN && event->message->tag == KT_TAG_welcome)
			c->stranger_session =
				((const struct kt_msg_welcome *)event->message->body)->session;
		return;
	}
	switch (event->kind) {
	case EV_DOWN:
		on_frame(w, who, event->message);
		break;
	case EV_LINK_UP:
		if (w->conns[event->number].up)
			feed(w, who, (struct kt_duty_input){ .type = KT_DUTY_IN_UP });
		break;
	case EV_LINK_DOWN:
		if (!w->conns[c->conn].up)
			feed(w, who, (struct kt_duty_input){ .type = KT_DUTY_IN_DOWN });
		break;
	case EV_CREW_TICK:
		if (c->tick_at_ns != event->at_ns)
			break;
		c->tick_at_ns = 0;
		feed(w, who, (struct kt_duty_input){ .type = KT_DUTY_IN_TICK });
		break;
	case EV_CREW_COMMIT:
		if (c->commit_at_ns != event->at_ns)
			break;
		commit(w, who);
		if (c->alive)
			settle(w, who);
		break;
	case EV_CREW_FETCHED:
		feed(w, who,
		     (struct kt_duty_input){ .type = KT_DUTY_IN_READY, .lease = event->number });
		break;
	case EV_GUEST:
		guest = guest_of(c, event->number);
		if (guest)
			act(w, who, guest);
		break;
	default:
		kt_must(!"an event for nobody");
	}
}

/* ---- life ---- */

void crew_init(struct world *w, uint32_t who, uint32_t name)
{
	struct crew *c = &w->crews[who];

	c->name = name;
	c->slots = 1 + world_draw(w, STREAM_PLAN, 3);
	c->mem_bytes = 64ull << 30;
	if (w->sized) { /* host 0 and its twin take whatever anybody can take */
		c->guest_cpus = name == 0 ? 8 : 4 << world_draw(w, STREAM_PLAN, 2);
		c->mem_bytes = (name == 0 ? 8ull : 4ull << world_draw(w, STREAM_PLAN, 2)) << 30;
	}
	c->clock_offset_ns = world_span(w, STREAM_PLAN, 100 * S, 100000 * S);
	c->now = kt_must_calloc(ATTEMPTS_MAX, sizeof(*c->now));
	c->disk = kt_must_calloc(ATTEMPTS_MAX, sizeof(*c->disk));
}

/* What is finished comes back, what was not is gone. */
static void restore(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	uint64_t last = 0;

	for (size_t i = 0; i < c->n_spooled; i++)
		if (c->now[i].epoch && !c->now[i].has_result)
			drop_spooled(&c->now[i]);
	write_spool(c);
	for (;;) {
		struct spooled *next = NULL;
		struct kt_duty_restored restored = { .sweep = "sweep" };

		for (size_t i = 0; i < c->n_spooled; i++)
			if (c->now[i].epoch && c->now[i].order > last &&
			    (!next || c->now[i].order < next->order))
				next = &c->now[i];
		if (!next)
			return;
		last = next->order;
		restored.cell = next->cell;
		restored.epoch = next->epoch;
		restored.samples_acked = next->acked;
		restored.samples_kept = next->n > next->acked ? next->n : next->acked;
		step(w, who,
		     &(struct kt_duty_input){ .type = KT_DUTY_IN_RESTORED, .restored = &restored });
		add_hold(c, &c->duty.leases[c->duty.n_leases - 1]);
	}
}

void crew_start(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	struct kt_duty_config config = { .slots = c->slots,
					 .guest_cpus = c->guest_cpus,
					 .guest_mem_bytes = c->mem_bytes,
					 .seed = world_mix(w->seed, 900 + who) + c->life };

	c->exists = c->alive = true;
	c->life++;
	w->hits[FAULT_LATE] += who == LATECOMER && c->life == 1;
	c->boot_id = world_mix(w->seed, who * 100000ull + c->life) | 1;
	world_trace(w, "worker %u: starts, life %u", who, c->life);
	if (who != STRANGER) {
		kt_duty_init(&c->duty, &config);
		restore(w, who);
	}
	wires_connect(w, who, world_span(w, STREAM_NET, 1 * MS, 100 * MS));
}

/* Its guests die with it; what is not in the spool was never there. back_in_ns < 0: it does not come back. */
void crew_die(struct world *w, uint32_t who, bool silently, int64_t back_in_ns)
{
	struct crew *c = &w->crews[who];

	if (!c->alive)
		return;
	world_trace(w, "worker %u: dies%s", who, silently ? " with its machine" : "");
	undo_spool(c);
	for (size_t i = 0; i < c->n_holds; i++) {
		const struct spooled *spooled = find_spooled(c, c->holds[i].epoch);

		if (!spooled || !spooled->has_result)
			promises_truth(w, c->holds[i].epoch)->lost = true;
	}
	wires_break(w, who, !silently && !c->cut.up && !c->cut.down, false);
	c->alive = c->paused = c->leaving = c->connecting = false;
	memset(c->guests, 0, sizeof(c->guests));
	kt_duty_fini(&c->duty);
	c->effects.n = 0;
	c->n_holds = c->n_pending = c->n_laters = c->at_later = 0;
	c->tick_at_ns = c->commit_at_ns = 0;
	for (size_t i = 0; i < c->backlog.n; i++)
		wires_release(w, c->backlog.list[i].message);
	c->backlog.n = 0;
	if (back_in_ns < 0)
		c->gone = true;
	else
		world_push(w, back_in_ns, (struct event){ .kind = EV_CREW_START, .who = who });
}

void crew_pause(struct world *w, uint32_t who, int64_t for_ns)
{
	struct crew *c = &w->crews[who];

	if (!c->alive || c->paused)
		return;
	world_trace(w, "worker %u: stands still for %.3f s", who, (double)for_ns / 1e9);
	c->paused = true;
	world_push(w, for_ns,
		   (struct event){ .kind = EV_CREW_RESUME, .who = who, .life = c->life });
}

void crew_free(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];

	for (size_t i = 0; i < c->backlog.n; i++)
		wires_release(w, c->backlog.list[i].message);
	kt_duty_fini(&c->duty);
	kt_duty_effects_fini(&c->effects);
	free(c->backlog.list);
	free(c->laters);
	free(c->holds);
	free(c->now);
	free(c->disk);
}
