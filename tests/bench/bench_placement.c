/* layer: coordinator/core */
/* What placement costs: to take a sweep in, in memory, and per cell that a host asks for (room and pick, as one SYNC
 * does it; the host holds four guests). Cells that are alike in long ranges; of 10 sizes and 100 sets of artifacts
 * in ranges of 10, half of the artifacts cached; in pairs; and each unlike its neighbours.
 */
#include "coordinator/core/placement.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HELD 4

static void alike(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	demand->cpus = 2;
	demand->mem_bytes = 1 << 30;
	demand->expected_ns = KT_NS_PER_S;
}

static void mixed(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	static uint64_t artifacts[8];
	uint64_t kind = cell / 10;

	demand->cpus = 1 + (uint32_t)(kind % 10);
	demand->mem_bytes = 1 << 30;
	demand->expected_ns = KT_NS_PER_S * (1 + (int64_t)(kind % 7));
	for (uint64_t i = 0; i < 8; i++)
		artifacts[i] = i < 4 ? i : 100 * i + kind % 100;
	demand->artifacts = artifacts;
	demand->n_artifacts = 8;
}

static void paired(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	demand->cpus = 2;
	demand->pair = 1 + cell / 200 * 100 + cell % 100; /* 2 schedulers, 100 repeats */
}

static void unlike(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	demand->cpus = 1 + (uint32_t)(cell % 16);
	demand->expected_ns = KT_NS_PER_S * (1 + (int64_t)(cell * 2654435761u % 1000));
}

static const struct {
	const char *name;
	void (*demand)(void *arg, uint64_t cell, struct kt_placement_demand *demand);
} shapes[] = { { "alike", alike }, { "mixed", mixed }, { "paired", paired }, { "unlike", unlike } };

struct bench {
	struct kt_sweep sweep;
	struct kt_fleet fleet;
	struct kt_placement_config config;
	struct kt_placement *placement;
};

static void apply(struct bench *b, uint32_t tag, const void *fact)
{
	kt_must(kt_sweep_apply(&b->sweep, tag, fact, NULL) == 0);
}

static void open_bench(struct bench *b, uint64_t n_cells, uint64_t n_hosts)
{
	apply(b, KT_TAG_fact_opened,
	      &(struct kt_msg_fact_opened){
		      .sweep_id = "s", .n_cells = n_cells, .attempts_max = 3, .version = "1" });
	apply(b, KT_TAG_fact_term, &(struct kt_msg_fact_term){ .term = 1 });
	for (uint64_t i = 0; i < n_hosts; i++) {
		char id[32];
		struct kt_host *host;

		snprintf(id, sizeof(id), "h%" PRIu64, i);
		host = kt_fleet_host(&b->fleet, id);
		host->boot_id = host->peer = i + 1;
		host->slots = 2 * HELD;
		host->guest_cpus = 16 * HELD * 2;
		host->mem_bytes = 64ull << 30;
	}
}

/* One cell to each host by turns. What a host held longest has its end when it gets the next. */
static void drain(struct bench *b, int64_t *spent_ns)
{
	static uint64_t cached[32];
	uint64_t n = 0;
	uint64_t before = UINT64_MAX;

	for (uint64_t i = 0; i < 32; i++)
		cached[i] = i < 4 ? i : 100 * (4 + i % 4) + i;
	while (n < b->sweep.n_cells) {
		bool idle = n == before; /* the rest waits for those that run */

		before = n;
		for (size_t i = 0; i < b->fleet.n_hosts; i++) {
			struct kt_host *host = b->fleet.hosts[i];
			struct kt_msg_held held[HELD];
			struct kt_msg_sync sync = {
				.held = held, .cached = { (const uint8_t *)cached, sizeof(cached) }
			};
			struct kt_placement_room room;
			struct kt_lease *oldest = host->leases;
			int64_t began_ns;
			uint64_t cell;
			bool any;

			for (struct kt_lease *lease = host->leases; lease; lease = lease->next)
				sync.n_held++;
			if (oldest && (idle || sync.n_held == HELD)) {
				struct kt_msg_result result = { .cause = "finished" };
				struct kt_msg_fact_ended ended = { oldest->cell, oldest->epoch,
								   &result, NULL };

				apply(b, KT_TAG_fact_ended, &ended);
				kt_fleet_drop_lease(&b->fleet, oldest);
			}
			sync.n_held = 0;
			for (struct kt_lease *lease = host->leases; lease; lease = lease->next)
				held[sync.n_held++] = (struct kt_msg_held){ .cell = lease->cell,
									    .epoch = lease->epoch,
									    .phase = "run" };
			sync.slots_free = host->slots - sync.n_held;
			began_ns = kt_clock_now_ns();
			kt_placement_room(b->placement, host, &sync, 1, began_ns, &room);
			any = kt_placement_pick(b->placement, host, &room, began_ns, &cell);
			*spent_ns += kt_clock_now_ns() - began_ns;
			if (!any)
				continue;
			apply(b, KT_TAG_fact_granted,
			      &(struct kt_msg_fact_granted){ .cell = cell,
							     .epoch = b->sweep.epoch + 1,
							     .attempt = 1,
							     .host = host->id });
			kt_fleet_add_lease(&b->fleet, b->sweep.epoch, cell, host);
			n++;
		}
	}
}

static void measure(size_t shape, uint64_t n_cells, uint64_t n_hosts)
{
	struct bench b = { .config = { .demand = shapes[shape].demand,
				       .grace_ns = 30 * KT_NS_PER_S,
				       .keep_ns = 5 * KT_NS_PER_S,
				       .hopeless_ns = 10 * KT_NS_PER_S } };
	int64_t began_ns;
	int64_t taken_ns;
	int64_t tick_ns;
	int64_t spent_ns = 0;
	size_t bytes;

	open_bench(&b, n_cells, n_hosts);
	began_ns = kt_clock_now_ns();
	b.placement = kt_placement_new(&b.sweep, &b.fleet, &b.config, began_ns);
	taken_ns = kt_clock_now_ns() - began_ns;
	bytes = kt_placement_bytes(b.placement);
	began_ns = kt_clock_now_ns();
	for (int i = 0; i < 100; i++)
		kt_placement_tick(b.placement, began_ns);
	tick_ns = (kt_clock_now_ns() - began_ns) / 100;
	drain(&b, &spent_ns);
	printf("{\"bench\":\"placement\",\"cells_are\":\"%s\",\"cells\":%" PRIu64
	       ",\"hosts\":%" PRIu64 ",\"take_in_ns_per_cell\":%.1f,\"bytes_per_cell\":%.2f,"
	       "\"tick_ns\":%" PRId64 ",\"sync_ns\":%.0f}\n",
	       shapes[shape].name, n_cells, n_hosts, (double)taken_ns / (double)n_cells,
	       (double)bytes / (double)n_cells, tick_ns, (double)spent_ns / (double)n_cells);
	fflush(stdout);
	kt_placement_destroy(&b.placement);
	kt_fleet_destroy(&b.fleet);
	kt_sweep_destroy(&b.sweep);
}

int main(void)
{
	static const uint64_t cells[] = { 1000, 1000000 };
	static const uint64_t hosts[] = { 1, 16, 256 };

	for (size_t shape = 0; shape < sizeof(shapes) / sizeof(shapes[0]); shape++)
		for (size_t i = 0; i < 2; i++)
			for (size_t k = 0; k < 3; k++)
				measure(shape, cells[i], hosts[k]);
	return 0;
}
