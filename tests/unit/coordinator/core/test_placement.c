/* Tables first: each rule of placement.h alone, on a fleet and a sweep that are real and small. */
#include "coordinator/core/placement.h"
#include "coordinator/core/backlog.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CELLS_MAX 512
#define S         KT_NS_PER_S
#define GIB       (1ull << 30)
#define GRACE_NS  (30 * S)
#define KEEP_NS   (5 * S)

struct world {
	struct kt_sweep sweep;
	struct kt_fleet fleet;
	struct kt_placement *placement;
	struct kt_placement_config config;
	struct kt_placement_demand demands[CELLS_MAX];
	uint64_t cached[KT_CACHED_TOLD_MAX];
	size_t n_cached;
	int64_t now_ns;
};

static void demand(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	*demand = ((struct world *)arg)->demands[cell];
}

static void fact(struct world *w, uint32_t tag, const void *body)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_sweep_apply(&w->sweep, tag, body, &err), 0, "%s", err.text);
}

static void open_world(struct world *w, uint64_t n)
{
	kt_sweep_init(&w->sweep);
	fact(w, KT_TAG_fact_opened,
	     &(struct kt_msg_fact_opened){
		     .sweep_id = "s", .n_cells = n, .attempts_max = 3, .version = "1" });
	w->now_ns = 1000 * S;
}

static void begin(struct world *w)
{
	fact(w, KT_TAG_fact_term, &(struct kt_msg_fact_term){ .term = w->sweep.term + 1ull });
	w->config = (struct kt_placement_config){ .demand = demand,
						  .arg = w,
						  .seed = 7,
						  .grace_ns = GRACE_NS,
						  .keep_ns = KEEP_NS,
						  .hopeless_ns = 10 * S };
	w->placement = kt_placement_new(&w->sweep, &w->fleet, &w->config, w->now_ns);
}

static void close_world(struct world *w)
{
	kt_placement_destroy(&w->placement);
	kt_fleet_destroy(&w->fleet);
	kt_sweep_destroy(&w->sweep);
}

static struct kt_host *add_host(struct world *w, const char *id, uint64_t slots, uint64_t cpus,
				uint64_t mem_bytes, const char *accel)
{
	static uint64_t peers;
	struct kt_host *host = kt_fleet_host(&w->fleet, id);

	host->boot_id = 1;
	kt_fleet_connect(&w->fleet, host, ++peers);
	host->slots = slots;
	host->guest_cpus = cpus;
	host->mem_bytes = mem_bytes;
	host->heard_at_ns = w->now_ns;
	snprintf(host->accel, sizeof(host->accel), "%s", accel);
	return host;
}

static uint64_t n_leases(const struct kt_host *host)
{
	uint64_t n = 0;

	for (const struct kt_lease *lease = host->leases; lease; lease = lease->next)
		n++;
	return n;
}

/* As one SYNC of a host that holds what it was granted. At most `most` cells; how many it got. */
static size_t ask(struct world *w, struct kt_host *host, uint64_t *cells, size_t most)
{
	struct kt_msg_sync sync = { .slots_free = host->slots };
	struct kt_msg_held held[64];
	struct kt_placement_room room;
	size_t n = 0;

	for (const struct kt_lease *lease = host->leases; lease; lease = lease->next) {
		bool done = strcmp(lease->phase, "done") == 0;

		sync.slots_free -= !done;
		held[sync.n_held++] = (struct kt_msg_held){ .cell = lease->cell,
							    .epoch = lease->epoch,
							    .phase = done ? "done" : "run" };
	}
	sync.held = held;
	sync.cached =
		(struct kt_bin){ (const uint8_t *)w->cached, w->n_cached * sizeof(*w->cached) };
	host->heard_at_ns = w->now_ns;
	kt_placement_room(w->placement, host, &sync, sync.slots_free, w->now_ns, &room);
	while (n < most && kt_placement_pick(w->placement, host, &room, w->now_ns, &cells[n])) {
		fact(w, KT_TAG_fact_granted,
		     &(struct kt_msg_fact_granted){ .cell = cells[n],
						    .epoch = w->sweep.epoch + 1,
						    .attempt = 1,
						    .host = host->id });
		kt_fleet_add_lease(&w->fleet, w->sweep.epoch, cells[n], host);
		n++;
	}
	return n;
}

/* One cell, or CELLS_MAX. */
static uint64_t ask_one(struct world *w, struct kt_host *host)
{
	uint64_t cell;

	return ask(w, host, &cell, 1) ? cell : CELLS_MAX;
}

static void end(struct world *w, uint64_t cell)
{
	uint64_t epoch = w->sweep.cells[cell].epoch;
	struct kt_msg_result result = { .cause = "finished" };
	struct kt_msg_verdict verdict = { .outcome = "pass" };

	fact(w, KT_TAG_fact_ended,
	     &(struct kt_msg_fact_ended){ .cell = cell, .epoch = epoch, .result = &result });
	fact(w, KT_TAG_fact_judged,
	     &(struct kt_msg_fact_judged){ .cell = cell, .epoch = epoch, .verdict = &verdict });
	kt_fleet_drop_lease(&w->fleet, kt_fleet_lease(&w->fleet, epoch));
}

static void fail(struct world *w, uint64_t cell, bool charged, int64_t wait_ns)
{
	uint64_t epoch = w->sweep.cells[cell].epoch;

	fact(w, KT_TAG_fact_failed,
	     &(struct kt_msg_fact_failed){
		     .cell = cell, .epoch = epoch, .cause = "qemu_died", .charged = charged });
	kt_fleet_drop_lease(&w->fleet, kt_fleet_lease(&w->fleet, epoch));
	kt_placement_return(w->placement, cell, w->now_ns + wait_ns);
}

/* ---- fits ---- */

Test(placement, a_guest_goes_where_it_fits)
{
	static const struct {
		struct kt_placement_demand demand;
		uint64_t cpus, mem_bytes;
		const char *accel;
		bool fits;
	} rows[] = {
		{ { .cpus = 4, .mem_bytes = GIB }, 4, GIB, "tcg", true },
		{ { .cpus = 5, .mem_bytes = GIB }, 4, GIB, "tcg", false },
		{ { .cpus = 4, .mem_bytes = GIB + 1 }, 4, GIB, "tcg", false },
		{ { .cpus = 255, .mem_bytes = GIB }, 0, GIB, "tcg", true }, /* --overcommit */
		{ { .cpus = 1, .mem_bytes = GIB, .accel = "kvm" }, 4, GIB, "tcg", false },
		{ { .cpus = 1, .mem_bytes = GIB, .accel = "kvm" }, 4, GIB, "kvm", true },
		{ { .cpus = 1, .mem_bytes = GIB }, 4, GIB, "kvm", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w = { 0 };
		struct kt_host *host;

		open_world(&w, 1);
		w.demands[0] = rows[i].demand;
		begin(&w);
		host = add_host(&w, "h", 4, rows[i].cpus, rows[i].mem_bytes, rows[i].accel);
		cr_assert_eq(ask_one(&w, host) == 0, rows[i].fits, "row %zu", i);
		close_world(&w);
	}
}

Test(placement, what_a_host_holds_is_not_granted_twice)
{
	struct world w = { 0 };
	struct kt_placement_room room;
	struct kt_host *host;
	uint64_t cells[16];

	open_world(&w, 16);
	for (int i = 0; i < 16; i++)
		w.demands[i] = (struct kt_placement_demand){ .cpus = 3, .mem_bytes = GIB };
	begin(&w);
	host = add_host(&w, "h", 16, 10, 100 * GIB, "tcg");
	cr_assert_eq(ask(&w, host, cells, 16), 3);
	cr_assert_eq(ask(&w, host, cells, 16), 0);
	end(&w, 0);
	cr_assert_eq(ask(&w, host, cells, 16), 1);
	host->guest_cpus = 0;
	host->mem_bytes = 5 * GIB;
	cr_assert_eq(ask(&w, host, cells, 16), 2, "memory");
	host->mem_bytes = 100 * GIB;
	host->slots = 7;
	cr_assert_eq(ask(&w, host, cells, 16), 2, "slots");
	/* One whose guest is dead, and only its result is on its way: no room, no slot. */
	snprintf(host->leases->phase, sizeof(host->leases->phase), "done");
	cr_assert_eq(ask(&w, host, cells, 16), 1);
	/* Who says that he has more slots than he has gets no more. */
	host->mem_bytes = 100 * GIB;
	kt_placement_room(w.placement, host, &(struct kt_msg_sync){ .slots_free = 16 }, 16,
			  w.now_ns, &room);
	cr_assert_eq(room.slots, 0);
	close_world(&w);
}

/* A guest that is being killed is in no list, but its slot is not free; one of a lease that expired is listed. */
Test(placement, what_is_no_lease_any_more_takes_room_until_it_is_dead)
{
	static const struct {
		uint64_t slots_free;
		bool listed;
		const char *phase;
		size_t granted;
	} rows[] = {
		{ 4, false, "", 2 },
		{ 3, false, "", 1 }, /* hidden: as large as the largest */
		{ 3, true, "run", 1 },
		{ 4, true, "done", 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w = { 0 };
		struct kt_msg_held held = { .cell = 3, .epoch = 99, .phase = rows[i].phase };
		struct kt_msg_sync sync = { .slots_free = rows[i].slots_free,
					    .held = &held,
					    .n_held = rows[i].listed };
		struct kt_placement_room room;
		struct kt_host *host;
		uint64_t cell;
		size_t n = 0;

		open_world(&w, 4);
		for (int k = 0; k < 4; k++)
			w.demands[k] = (struct kt_placement_demand){ .cpus = 4, .mem_bytes = GIB };
		begin(&w);
		host = add_host(&w, "h", 4, 8, 100 * GIB, "tcg");
		kt_placement_room(w.placement, host, &sync, sync.slots_free, w.now_ns, &room);
		while (kt_placement_pick(w.placement, host, &room, w.now_ns, &cell))
			n++;
		cr_assert_eq(n, rows[i].granted, "row %zu: %zu", i, n);
		close_world(&w);
	}
}

/* ---- order ---- */

Test(placement, the_longest_goes_first_and_of_two_the_larger)
{
	static const struct kt_placement_demand demands[] = {
		{ .cpus = 2, .expected_ns = 10 * S }, { .cpus = 2, .expected_ns = 60 * S },
		{ .cpus = 4, .expected_ns = 10 * S }, { .cpus = 2, .expected_ns = 10 * S },
		{ .cpus = 2, .expected_ns = 0 },
	};
	static const uint64_t order[] = { 1, 2, 0, 3, 4, CELLS_MAX };
	struct world w = { 0 };
	struct kt_host *host;

	open_world(&w, 5);
	memcpy(w.demands, demands, sizeof(demands));
	begin(&w);
	host = add_host(&w, "h", 1, 0, GIB, "tcg");
	for (int i = 0; i < 6; i++) {
		uint64_t cell = ask_one(&w, host);

		cr_assert_eq(cell, order[i], "%d: %d", i, (int)cell);
		if (cell < CELLS_MAX)
			end(&w, cell);
	}
	close_world(&w);
}

Test(placement, measured_times_that_differ_a_little_change_no_order)
{
	cr_assert_eq(kt_backlog_round(1000), kt_backlog_round(1023));
	cr_assert_lt(kt_backlog_round(1000), kt_backlog_round(1300));
	for (int64_t ns = 0; ns < 1 << 20; ns++)
		cr_assert(kt_backlog_round(ns) <= ns && kt_backlog_round(ns) >= ns - ns / 4);
}

Test(placement, what_was_cancelled_is_passed_over)
{
	struct world w = { 0 };
	struct kt_host *host;

	open_world(&w, 6);
	begin(&w);
	host = add_host(&w, "h", 6, 0, GIB, "tcg");
	for (uint64_t cell = 0; cell < 6; cell++)
		if (cell != 2 && cell != 4)
			fact(&w, KT_TAG_fact_cancelled,
			     &(struct kt_msg_fact_cancelled){ .cell = cell });
	cr_assert_eq(ask_one(&w, host), 2);
	cr_assert_eq(ask_one(&w, host), 4);
	cr_assert_eq(ask_one(&w, host), CELLS_MAX);
	close_world(&w);
}

/* ---- what came back ---- */

Test(placement, a_failed_cell_goes_elsewhere_when_there_is_an_elsewhere)
{
	static const struct {
		const char *what;
		bool other, other_fits, charged;
		int64_t after_ns;
		bool here;
	} rows[] = {
		{ "another host would take it", true, true, true, 0, false },
		{ "there is no other", false, false, true, 0, true },
		{ "the other is too small", true, false, true, 0, true },
		{ "it was not the host's fault", true, true, false, 0, true },
		{ "nobody took it for long", true, true, true, GRACE_NS + 1, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w = { 0 };
		struct kt_host *host;
		struct kt_host *other;

		open_world(&w, 1);
		w.demands[0].cpus = 4;
		begin(&w);
		host = add_host(&w, "h", 1, 4, GIB, "tcg");
		other = add_host(&w, "o", 1, rows[i].other_fits ? 4 : 2, GIB, "tcg");
		cr_assert_eq(ask_one(&w, host), 0);
		if (!rows[i].other)
			kt_fleet_connect(&w.fleet, other, 0);
		fail(&w, 0, rows[i].charged, 0);
		w.now_ns += rows[i].after_ns;
		cr_assert_eq(ask_one(&w, host) == 0, rows[i].here, "%s", rows[i].what);
		if (!rows[i].here)
			cr_assert_eq(ask_one(&w, other), 0, "%s", rows[i].what);
		close_world(&w);
	}
}

/* On the only host there is no elsewhere: two that always fail together would do so until both are given up. */
Test(placement, what_failed_twice_is_not_tried_beside_another_such_one)
{
	static const bool paired[] = { false, true };

	for (size_t i = 0; i < 2; i++) {
		struct world w = { 0 };
		struct kt_host *host;
		uint64_t cells[4] = { CELLS_MAX, CELLS_MAX, CELLS_MAX, CELLS_MAX };

		open_world(&w, paired[i] ? 4 : 2);
		for (uint64_t k = 0; paired[i] && k < 4; k++)
			w.demands[k].pair = 1 + k / 2;
		begin(&w);
		host = add_host(&w, "h", 2, 0, GIB, "tcg");
		cr_assert_eq(ask(&w, host, cells, 2), 2);
		if (paired[i]) { /* one of each pair has its end: the other one stays with the host */
			end(&w, cells[0]);
			end(&w, cells[1]);
			cr_assert_eq(ask(&w, host, cells, 2), 2);
		}
		for (int k = 0; k < 2; k++) {
			fail(&w, cells[0], true, 0);
			fail(&w, cells[1], true, 0);
			cr_assert_eq(ask(&w, host, cells, 4), k == 0 ? 2 : 1, "paired %d, %d",
				     paired[i], k);
		}
		end(&w, cells[0]);
		cr_assert_eq(ask(&w, host, cells, 4), 1, "then the other one");
		close_world(&w);
	}
}

Test(placement, what_came_back_waits_for_its_time_and_goes_first_then)
{
	struct world w = { 0 };
	struct kt_host *host;

	open_world(&w, 4);
	w.demands[0].cpus = 1; /* the smallest, in a queue of its own */
	for (int i = 1; i < 4; i++)
		w.demands[i] = (struct kt_placement_demand){ .cpus = 2, .expected_ns = S };
	w.demands[0].expected_ns = 2 * S;
	begin(&w);
	host = add_host(&w, "h", 4, 0, GIB, "tcg");
	cr_assert_eq(ask_one(&w, host), 0);
	fail(&w, 0, true, 1 * S);
	cr_assert_not(kt_placement_tick(w.placement, w.now_ns));
	cr_assert_eq(ask_one(&w, host), 1);
	w.now_ns += 1 * S;
	cr_assert(kt_placement_tick(w.placement, w.now_ns), "hosts should ask for it");
	cr_assert_not(kt_placement_tick(w.placement, w.now_ns), "once");
	cr_assert_eq(ask_one(&w, host), 0);
	cr_assert_eq(ask_one(&w, host), 2);
	close_world(&w);
}

/* ---- what lies in a cache ---- */

Test(placement, a_host_gets_what_it_has_the_artifacts_of)
{
	static const uint64_t a[] = { 11, 1 };
	static const uint64_t b[] = { 12, 1 };
	struct world w = { 0 };
	struct kt_host *host;

	open_world(&w, 6);
	for (int i = 0; i < 6; i++) {
		w.demands[i].artifacts = i % 2 ? b : a;
		w.demands[i].n_artifacts = 2;
		w.demands[i].expected_ns = i < 4 ? 100 * S : 10 * S;
	}
	begin(&w);
	host = add_host(&w, "h", 6, 0, GIB, "tcg");
	w.cached[0] = 12;
	w.cached[1] = 1;
	w.n_cached = 2;
	cr_assert_eq(ask_one(&w, host), 1);
	cr_assert_eq(ask_one(&w, host), 3);
	cr_assert_eq(ask_one(&w, host), 0, "one that is so much shorter is no choice");
	cr_assert_eq(ask_one(&w, host), 2, "what is fetched for a lease will be there");
	close_world(&w);
}

Test(placement, what_is_being_fetched_for_a_lease_will_be_there)
{
	static const uint64_t a[] = { 11 };
	static const uint64_t b[] = { 12 };
	struct world w = { 0 };
	struct kt_host *host;

	open_world(&w, 4);
	for (int i = 0; i < 4; i++) {
		w.demands[i].artifacts = i % 2 ? b : a;
		w.demands[i].n_artifacts = 1;
	}
	begin(&w);
	host = add_host(&w, "h", 4, 0, GIB, "tcg");
	cr_assert_eq(ask_one(&w, host), 0);
	cr_assert_eq(ask_one(&w, host), 2, "the cache is empty, but that is on its way");
	close_world(&w);
}

Test(placement, nobody_is_passed_over_for_ever)
{
	static const uint64_t a[] = { 11 };
	static const uint64_t b[] = { 12 };
	struct world w = { 0 };
	struct kt_host *host;
	int at = 0;

	open_world(&w, 300);
	for (int i = 0; i < 300; i++) {
		w.demands[i].artifacts = i ? b : a;
		w.demands[i].n_artifacts = 1;
	}
	begin(&w);
	host = add_host(&w, "h", 1, 0, GIB, "tcg");
	w.cached[0] = 12;
	w.n_cached = 1;
	for (;; at++) {
		uint64_t cell = ask_one(&w, host);

		cr_assert_lt(cell, CELLS_MAX);
		end(&w, cell);
		if (cell == 0)
			break;
	}
	cr_assert_eq(at, KT_PLACEMENT_PASSED_MAX);
	close_world(&w);
}

/* ---- large guests ---- */

/* Small ones come and go, and there is always another one: room for a large one comes only if it is kept. */
Test(placement, a_large_guest_is_not_starved_by_small_ones)
{
	struct world w = { 0 };
	struct kt_host *small;
	struct kt_host *large;
	uint64_t cells[8];
	int rounds = 0;

	open_world(&w, 400);
	for (int i = 0; i < 400; i++)
		w.demands[i] = (struct kt_placement_demand){ .cpus = 2, .expected_ns = 60 * S };
	w.demands[399] = (struct kt_placement_demand){ .cpus = 8, .expected_ns = 10 * S };
	begin(&w);
	small = add_host(&w, "small", 1, 4, GIB, "tcg");
	large = add_host(&w, "large", 8, 8, GIB, "tcg");
	cr_assert_eq(ask(&w, large, cells, 8), 4);
	for (; w.sweep.cells[399].state == KT_CELL_PENDING; rounds++) {
		cr_assert_lt(rounds, 40, "it never ran");
		w.now_ns += 1 * S;
		kt_placement_tick(w.placement, w.now_ns);
		end(&w, ask_one(&w, small)); /* who cannot take it goes on */
		if (large->leases)
			end(&w, large->leases->cell); /* the oldest */
		ask(&w, large, cells, 8);
	}
	/* keep_ns, and until the four that are there then have their end. */
	cr_assert_leq(rounds, (int)(KEEP_NS / S) + 4);
	cr_assert_eq(n_leases(large), 1);
	end(&w, 399);
	cr_assert_eq(ask(&w, large, cells, 8), 4, "and then the small ones go on");
	close_world(&w);
}

/* ---- pairs ---- */

/* Two schedulers, 8 repeats, numbered as a matrix does: the scheduler slower than the repeat. */
static void make_pairs(struct world *w)
{
	open_world(w, 16);
	for (uint64_t i = 0; i < 16; i++)
		w->demands[i] = (struct kt_placement_demand){ .cpus = 1, .pair = 1 + i % 8 };
	begin(w);
}

Test(placement, a_pair_runs_on_one_host_one_after_the_other)
{
	struct world w = { 0 };
	struct kt_host *hosts[2];
	uint64_t cells[8];
	int first_of_second = 0;
	uint64_t n;

	make_pairs(&w);
	hosts[0] = add_host(&w, "a", 2, 0, GIB, "tcg");
	hosts[1] = add_host(&w, "b", 2, 0, GIB, "tcg");
	for (int round = 0; round < 8; round++) {
		struct kt_host *host = hosts[round % 2];

		n = ask(&w, host, cells, 8);
		cr_assert_eq(n, 2, "several pairs at the same time");
		cr_assert_neq(cells[0] % 8, cells[1] % 8, "but never both of one");
		for (uint64_t i = 0; i < n; i++) {
			uint64_t other = (cells[i] + 8) % 16;
			const struct kt_cell *c = &w.sweep.cells[other];

			if (c->state == KT_CELL_JUDGED)
				cr_assert_str_eq(w.sweep.hosts[c->host].id, host->id);
			else
				first_of_second += cells[i] >= 8;
			end(&w, cells[i]);
		}
	}
	cr_assert_eq(ask_one(&w, hosts[0]), CELLS_MAX);
	cr_assert_eq(ask_one(&w, hosts[1]), CELLS_MAX);
	cr_assert(first_of_second > 0 && first_of_second < 8, "the order is drawn: %d",
		  first_of_second);
	close_world(&w);
}

static void order_of(uint64_t seed, uint64_t order[16])
{
	struct world w = { 0 };
	struct kt_host *host;

	make_pairs(&w);
	kt_placement_destroy(&w.placement);
	w.config.seed = seed;
	w.placement = kt_placement_new(&w.sweep, &w.fleet, &w.config, w.now_ns);
	host = add_host(&w, "a", 1, 0, GIB, "tcg");
	for (int i = 0; i < 16; i++) {
		order[i] = ask_one(&w, host);
		end(&w, order[i]);
		if (i % 2)
			cr_assert_eq(order[i] % 8, order[i - 1] % 8, "repeat by repeat");
	}
	close_world(&w);
}

Test(placement, the_order_in_pairs_is_of_the_seed)
{
	uint64_t a[16];
	uint64_t b[16];
	int differ = 0;

	order_of(1, a);
	order_of(1, b);
	cr_assert_eq(memcmp(a, b, sizeof(a)), 0);
	for (uint64_t seed = 2; seed < 6; seed++) {
		order_of(seed, b);
		differ += memcmp(a, b, sizeof(a)) != 0;
	}
	cr_assert_geq(differ, 3);
}

Test(placement, a_pair_that_was_begun_stays_with_its_host)
{
	static const struct {
		const char *what;
		bool second; /* the first one has its end */
		bool away;
		int64_t after_ns;
		bool on_a, on_b;
		int fails; /* of the second on its host */
	} rows[] = {
		{ "the second waits for its host", true, false, 0, true, false, 0 },
		{ "also when that is away", true, true, 10 * S, false, false, 0 },
		{ "but not for ever", true, true, GRACE_NS + S, false, true, 0 },
		{ "one that came to nothing goes elsewhere", false, false, 0, false, true, 0 },
		{ "a failure is tried again there", true, false, 0, true, false, 1 },
		{ "but not another one", true, false, 0, false, true, 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w = { 0 };
		struct kt_host *a;
		struct kt_host *b;
		uint64_t first;

		open_world(&w, 2);
		w.demands[0].pair = w.demands[1].pair = 5;
		begin(&w);
		a = add_host(&w, "a", 1, 0, GIB, "tcg");
		b = add_host(&w, "b", 1, 0, GIB, "tcg");
		first = ask_one(&w, a);
		cr_assert_eq(ask_one(&w, b), CELLS_MAX, "%s: not while the first runs",
			     rows[i].what);
		if (rows[i].second)
			end(&w, first);
		else
			fail(&w, first, true, 0);
		for (int k = 0; k < rows[i].fails; k++) {
			cr_assert_eq(ask_one(&w, a), 1 - first, "%s", rows[i].what);
			fail(&w, 1 - first, true, 0);
		}
		if (rows[i].away)
			kt_fleet_connect(&w.fleet, a, 0);
		w.now_ns += rows[i].after_ns;
		kt_placement_tick(w.placement, w.now_ns);
		ask_one(&w, b);
		cr_assert_eq(n_leases(b) == 1, rows[i].on_b, "%s", rows[i].what);
		if (!rows[i].away)
			ask_one(&w, a);
		cr_assert_eq(n_leases(a) == 1, rows[i].on_a, "%s", rows[i].what);
		close_world(&w);
	}
}

Test(placement, a_pair_outlives_the_coordinator)
{
	struct world w = { 0 };
	struct kt_host *a;
	struct kt_host *b;
	uint64_t first;

	open_world(&w, 2);
	w.demands[0].pair = w.demands[1].pair = 5;
	begin(&w);
	first = ask_one(&w, add_host(&w, "a", 1, 0, GIB, "tcg"));
	end(&w, first);
	fact(&w, KT_TAG_fact_admission,
	     &(struct kt_msg_fact_admission){ .host = "a", .admission = "drained", .why = "" });
	kt_placement_destroy(&w.placement);
	kt_fleet_destroy(&w.fleet);
	begin(&w);
	kt_placement_tick(w.placement, w.now_ns);
	cr_assert_eq(kt_fleet_find_host(&w.fleet, "a")->admission, KT_ADMISSION_DRAINED,
		     "and so does what its host may take");
	b = add_host(&w, "b", 1, 0, GIB, "tcg");
	cr_assert_eq(ask_one(&w, b), CELLS_MAX);
	a = add_host(&w, "a", 1, 0, GIB, "tcg");
	cr_assert_eq(ask_one(&w, a), 1 - first);
	close_world(&w);
}

Test(placement, a_cell_that_has_its_end_otherwise_does_not_hold_its_pair)
{
	struct world w = { 0 };
	struct kt_host *host;
	uint64_t first;

	open_world(&w, 2);
	w.demands[0].pair = w.demands[1].pair = 5;
	begin(&w);
	host = add_host(&w, "a", 1, 0, GIB, "tcg");
	first = ask_one(&w, host);
	kt_fleet_drop_lease(&w.fleet, host->leases);
	fact(&w, KT_TAG_fact_cancelled, &(struct kt_msg_fact_cancelled){ .cell = first });
	cr_assert_eq(ask_one(&w, host), 1 - first);
	close_world(&w);
}

/* ---- what no host can take ---- */

Test(placement, what_no_host_can_take_is_told_and_then_given_up)
{
	struct kt_placement_complaint complaint;
	struct world w = { 0 };
	uint64_t given_up = 0;

	open_world(&w, 8);
	for (int i = 0; i < 8; i++)
		w.demands[i].cpus = i < 5 ? 16 : 2;
	begin(&w);
	for (int i = 0; i < 3; i++, w.now_ns += 100 * S) {
		kt_placement_tick(w.placement, w.now_ns);
		cr_assert_not(kt_placement_complain(w.placement, &complaint), "nobody is there");
		cr_assert_not(kt_placement_give_up(w.placement, &complaint));
	}
	add_host(&w, "h1", 1, 4, GIB, "tcg");
	add_host(&w, "h2", 1, 8, GIB, "tcg");
	for (int i = 0; i <= 20; i++, w.now_ns += S / 2) {
		kt_placement_tick(w.placement, w.now_ns);
		if (kt_placement_complain(w.placement, &complaint)) {
			cr_assert_eq(i, 2, "told soon, and once: %d", i);
			cr_assert_str_eq(complaint.text,
					 "needs 16 CPUs, the largest host (h2) gives 8");
			cr_assert_eq(complaint.n, 5);
			cr_assert_eq(complaint.cell, 0);
			cr_assert_not(kt_placement_complain(w.placement, &complaint));
		}
		while (kt_placement_give_up(w.placement, &complaint)) {
			cr_assert_eq(i, 20);
			cr_assert_eq(complaint.cell, given_up++);
			fact(&w, KT_TAG_fact_errored,
			     &(struct kt_msg_fact_errored){ .cell = complaint.cell,
							    .cause = "unschedulable" });
		}
	}
	cr_assert_eq(given_up, 5);
	close_world(&w);
}

Test(placement, it_is_said_what_is_missing)
{
	static const struct {
		struct kt_placement_demand demand;
		const char *text;
	} rows[] = {
		{ { .cpus = 16 }, "needs 16 CPUs, the largest host (h2) gives 8" },
		{ { .mem_bytes = 64 * GIB },
		  "needs 64 GiB of memory, the largest host (h1) gives 16 GiB" },
		{ { .mem_bytes = 64 * GIB + (512 << 20) },
		  "needs 66048 MiB of memory, the largest host (h1) gives 16 GiB" },
		{ { .accel = "kvm" }, "needs kvm, and no host has it" },
		{ { .cpus = 8, .mem_bytes = 16 * GIB },
		  "needs 8 CPUs and 16 GiB of memory: some hosts have each of them, none all" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_placement_complaint complaint = { 0 };
		struct world w = { 0 };

		open_world(&w, 1);
		w.demands[0] = rows[i].demand;
		begin(&w);
		add_host(&w, "h1", 1, 4, 16 * GIB, "tcg");
		add_host(&w, "h2", 1, 8, 8 * GIB, "tcg");
		kt_placement_tick(w.placement, w.now_ns);
		kt_placement_tick(w.placement, w.now_ns + S);
		cr_assert(kt_placement_complain(w.placement, &complaint), "row %zu", i);
		cr_assert_str_eq(complaint.text, rows[i].text);
		close_world(&w);
	}
}

Test(placement, a_host_that_may_get_cells_later_is_large_enough_and_one_that_never_will_is_not)
{
	static const struct {
		bool foreign;
		enum kt_admission admission;
		bool complains;
		bool alone;
	} rows[] = {
		{ false, KT_ADMISSION_DRAINED, false, false },
		{ false, KT_ADMISSION_QUARANTINED, false, false },
		{ true, KT_ADMISSION_OPEN, true, false }, /* of another build */
		{ true, KT_ADMISSION_OPEN, false, true }, /* nobody is there, as far as cells go */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_placement_complaint complaint;
		struct world w = { 0 };
		struct kt_host *large;

		open_world(&w, 1);
		w.demands[0].cpus = 16;
		begin(&w);
		if (!rows[i].alone)
			add_host(&w, "small", 1, 4, GIB, "tcg");
		large = add_host(&w, "large", 1, 16, GIB, "tcg");
		large->foreign = rows[i].foreign;
		large->admission = rows[i].admission;
		for (int k = 0; k < 3; k++, w.now_ns += 20 * S)
			kt_placement_tick(w.placement, w.now_ns);
		cr_assert_eq(kt_placement_complain(w.placement, &complaint), rows[i].complains,
			     "row %zu", i);
		close_world(&w);
	}
}

/* The only large host may come back before long; and after a restart all have to. */
Test(placement, a_host_that_is_away_for_a_moment_is_no_reason)
{
	struct kt_placement_complaint complaint;
	struct world w = { 0 };
	struct kt_host *large;

	open_world(&w, 2);
	w.demands[0].cpus = w.demands[1].cpus = 16;
	begin(&w);
	add_host(&w, "small", 1, 4, GIB, "tcg");
	large = add_host(&w, "large", 1, 16, GIB, "tcg");
	end(&w, ask_one(&w, large));
	kt_fleet_connect(&w.fleet, large, 0);
	w.now_ns += GRACE_NS - S;
	for (int i = 0; i < 3; i++, w.now_ns += S) {
		kt_placement_tick(w.placement, w.now_ns);
		cr_assert_eq(kt_placement_complain(w.placement, &complaint), false);
	}
	w.now_ns += S;
	kt_placement_tick(w.placement, w.now_ns);
	cr_assert(kt_placement_complain(w.placement, &complaint));
	kt_placement_destroy(&w.placement);
	kt_fleet_destroy(&w.fleet);
	begin(&w);
	add_host(&w, "small", 1, 4, GIB, "tcg");
	for (int i = 0; i < 30; i++, w.now_ns += S) {
		kt_placement_tick(w.placement, w.now_ns);
		cr_assert_not(kt_placement_complain(w.placement, &complaint), "%d", i);
	}
	w.now_ns += 10 * S;
	kt_placement_tick(w.placement, w.now_ns);
	kt_placement_tick(w.placement, w.now_ns + S);
	cr_assert(kt_placement_complain(w.placement, &complaint));
	close_world(&w);
}

/* ---- size ---- */

static void alike(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	demand->cpus = 1 + cell / 100000 % 10;
}

static void apart(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	demand->cpus = 1 + cell % 10;
	demand->pair = 1 + cell % 500000;
}

Test(placement, a_million_cells_cost_little)
{
	static const struct {
		void (*demand)(void *arg, uint64_t cell, struct kt_placement_demand *demand);
		size_t bytes_max;
	} rows[] = { { alike, 1 << 16 }, { apart, 100 * 1000000 } };

	for (size_t i = 0; i < 2; i++) {
		struct world w = { 0 };

		open_world(&w, 1000000);
		w.config = (struct kt_placement_config){ .demand = rows[i].demand };
		w.placement = kt_placement_new(&w.sweep, &w.fleet, &w.config, 0);
		cr_assert_leq(kt_placement_bytes(w.placement), rows[i].bytes_max, "%zu",
			      kt_placement_bytes(w.placement));
		close_world(&w);
	}
}
