#include "coordinator/muster.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NOW_NS (1000 * KT_NS_PER_S)

static const char text[] = "[sweep]\nname = \"s\"\n"
			   "[[kernel]]\nname = \"k\"\npath = \"a\"\n"
			   "[[scheduler]]\nname = \"eevdf\"\n"
			   "[[topology]]\nname = \"t\"\ncpus = \"1n1l4c1t\"\n"
			   "[[scenario]]\nname = \"a\"\nduration = \"1s\"\nrepeats = 6\n"
			   "[[scenario.step]]\nhold = \"full\"\n";
#define N_CELLS 6

struct world {
	struct kt_matrix *matrix;
	struct kt_sweep sweep;
	struct kt_fleet fleet;
	struct kt_roster roster;
	struct kt_muster_pace pace;
	struct kt_muster muster;
};

static void apply(struct world *world, uint32_t tag, const void *fact)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_sweep_apply(&world->sweep, tag, fact, &err), 0, "%s", err.text);
	kt_roster_fact(&world->roster, NOW_NS - 3 * KT_NS_PER_S, tag, fact);
}

static void begin(struct world *world)
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s-1", .n_cells = N_CELLS, .attempts_max = 3, .version = "0"
	};
	struct kt_err err = { 0 };

	memset(world, 0, sizeof(*world));
	cr_assert_eq(kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &world->matrix,
					 &err),
		     0, "%s", err.text);
	kt_sweep_init(&world->sweep);
	apply(world, KT_TAG_fact_opened, &opened);
	world->muster = (struct kt_muster){ .sweep = &world->sweep,
					    .matrix = world->matrix,
					    .file = "f",
					    .fleet = &world->fleet,
					    .roster = &world->roster,
					    .pace = &world->pace,
					    .endpoint = "ipc://e",
					    .now_ns = NOW_NS,
					    .begun_at_ns = NOW_NS - 60 * KT_NS_PER_S };
}

static void end(struct world *world)
{
	kt_fleet_destroy(&world->fleet);
	kt_roster_destroy(&world->roster);
	kt_sweep_destroy(&world->sweep);
	kt_matrix_destroy(&world->matrix);
}

static struct kt_host *join_with(struct world *world, const char *id, uint64_t peer,
				 uint64_t guest_cpus)
{
	struct kt_msg_machine machine = { .runner = "qemu", .accel = "kvm" };
	struct kt_msg_hello hello = { .worker_id = id,
				      .build = "1.2",
				      .accel_reason = "",
				      .slots = 4,
				      .cpus = 16,
				      .guest_cpus = guest_cpus,
				      .mem_bytes = 8ull << 30,
				      .machine = &machine };
	struct kt_host *host = kt_fleet_host(&world->fleet, id);

	host->peer = peer;
	host->boot_id = 1;
	host->heard_at_ns = NOW_NS - KT_NS_PER_S / 2;
	kt_roster_hello(&world->roster, &hello, id, "192.0.2.1", true);
	return host;
}

static struct kt_host *join(struct world *world, const char *id, uint64_t peer)
{
	return join_with(world, id, peer, 12);
}

static void grant(struct world *world, uint64_t cell, const char *id, uint64_t epoch)
{
	struct kt_msg_fact_granted granted = {
		.cell = cell, .epoch = epoch, .attempt = 1, .host = id
	};

	apply(world, KT_TAG_fact_granted, &granted);
	kt_fleet_add_lease(&world->fleet, epoch, cell, kt_fleet_host(&world->fleet, id));
}

static struct json_object *at(struct json_object *json, const char *path)
{
	char words[128];
	char *rest = words;
	char *word;

	snprintf(words, sizeof(words), "%s", path);
	while ((word = strsep(&rest, ".")) != NULL) {
		if (*word >= '0' && *word <= '9')
			json = json_object_array_get_idx(json, (size_t)atoi(word));
		else
			json = json_object_object_get(json, word);
	}
	return json;
}

/* path, what stands there */
static void expect(struct json_object *json, const char *path, const char *wanted)
{
	struct json_object *there = at(json, path);
	const char *is = there ? json_object_get_string(there) : "null";

	cr_expect_str_eq(is, wanted, "%s is %s, not %s", path, is, wanted);
}

Test(muster, a_host_is_told_with_its_room_and_what_it_runs)
{
	struct kt_msg_fact_admission drained = { .host = "h1",
						 .admission = "drained",
						 .why = "uid 0 asked" };
	struct world world;
	struct json_object *json;

	begin(&world);
	join(&world, "h1", 7);
	join(&world, "h2", 0);
	grant(&world, 0, "h1", 1);
	grant(&world, 1, "h1", 2);
	kt_roster_phase(&world.roster, NOW_NS - 2 * KT_NS_PER_S, 1, "run");
	apply(&world, KT_TAG_fact_admission, &drained);
	json = kt_muster_workers(&world.muster);
	expect(json, "workers.0.host", "h1");
	expect(json, "workers.0.connected", "true");
	expect(json, "workers.0.trust", "key");
	expect(json, "workers.0.address", "192.0.2.1");
	expect(json, "workers.0.build", "1.2");
	expect(json, "workers.0.accel", "kvm");
	expect(json, "workers.0.slots.used", "2");
	expect(json, "workers.0.slots.total", "4");
	expect(json, "workers.0.cpus.given", "8");
	expect(json, "workers.0.cpus.total", "12");
	expect(json, "workers.0.admission", "drained");
	expect(json, "workers.0.why", "uid 0 asked");
	expect(json, "workers.0.heard_s", "0.500");
	expect(json, "workers.0.running.0.cell", "a/k/eevdf/t#0");
	expect(json, "workers.0.running.0.phase", "granted");
	expect(json, "workers.0.running.0.since_s", "3.000");
	expect(json, "workers.0.running.1.phase", "run");
	expect(json, "workers.0.running.1.since_s", "2.000");
	expect(json, "workers.1.host", "h2");
	expect(json, "workers.1.connected", "false");
	cr_expect_eq(json_object_array_length(at(json, "workers.1.running")), 0);
	json_object_put(json);
	end(&world);
}

/* hosts, what is said of cells that wait */
static const struct {
	bool is_there;
	uint64_t peer;
	const char *admission;
	const char *why;
} waits[] = {
	{ false, 0, NULL, "no host is connected: ktworker --connect" },
	{ true, 0, NULL, "no host is connected: every one that was here is away" },
	{ true, 7, "drained",
	  "no host takes cells: drained or quarantined (ktcoord workers; ktcoord drain HOST "
	  "--undo)" },
	{ true, 7, "quarantined", "no host takes cells: quarantined, each tries one at a time" },
	{ true, 7, "open",
	  "no host with a free slot can take them: no room, or not the host of their pair" },
};

Test(muster, cells_that_wait_are_told_with_the_reason)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct kt_msg_fact_admission admission = { .host = "h",
							   .admission = waits[i].admission,
							   .why = "" };
		struct world world;
		struct json_object *json;

		begin(&world);
		if (waits[i].is_there)
			join(&world, "h", waits[i].peer);
		if (waits[i].admission)
			apply(&world, KT_TAG_fact_admission, &admission);
		json = kt_muster_status(&world.muster);
		expect(json, "waits.0.cells", "6");
		expect(json, "waits.0.first", "a/k/eevdf/t#0");
		expect(json, "waits.0.why", waits[i].why);
		json_object_put(json);
		end(&world);
	}
}

Test(muster, full_slots_and_hosts_without_room_are_told_apart)
{
	struct world world;
	struct json_object *json;

	begin(&world);
	join(&world, "full", 7);
	for (uint64_t i = 0; i < 4; i++)
		grant(&world, i, "full", i + 1);
	json = kt_muster_status(&world.muster);
	expect(json, "waits.0.why", "every slot is taken");
	json_object_put(json);
	join_with(&world, "small", 8, 1);
	json = kt_muster_status(&world.muster);
	expect(json, "waits.0.why",
	       "no host with a free slot can take them: no room, or not the host of their pair");
	json_object_put(json);
	json = kt_muster_workers(&world.muster);
	expect(json, "workers.0.too_small", "");
	expect(json, "workers.1.host", "small");
	expect(json, "workers.1.too_small", "the smallest guest of this sweep has 4 CPUs and 256M");
	json_object_put(json);
	end(&world);
}

Test(muster, what_came_back_what_is_judged_and_what_fits_nowhere_wait_for_other_things)
{
	struct kt_msg_fact_failed failed = {
		.cell = 0, .epoch = 1, .cause = "qemu_died", .line = "", .charged = true
	};
	struct kt_msg_result result = { .cause = "finished" };
	struct kt_msg_fact_ended ended = { .cell = 1, .epoch = 2, .result = &result };
	struct kt_muster_complaint complaints[] = { { .cell = 3, .n = 2, .why = "needs 99 CPUs" },
						    { .cell = 1, .n = 9, .why = "gone" } };
	struct world world;
	struct json_object *json;

	begin(&world);
	join(&world, "h", 7);
	grant(&world, 0, "h", 1);
	grant(&world, 1, "h", 2);
	apply(&world, KT_TAG_fact_failed, &failed);
	apply(&world, KT_TAG_fact_ended, &ended);
	world.muster.complaints = complaints;
	world.muster.n_complaints = 2;
	json = kt_muster_status(&world.muster);
	cr_expect_eq(json_object_array_length(at(json, "waits")), 4);
	expect(json, "waits.0.cells", "2");
	expect(json, "waits.0.why", "needs 99 CPUs");
	expect(json, "waits.1.cells", "2"); /* #2, and of #3 to #5 one */
	expect(json, "waits.1.why",
	       "no host with a free slot can take them: no room, or not the host of their pair");
	expect(json, "waits.2.cells", "1");
	expect(json, "waits.2.first", "a/k/eevdf/t#0");
	expect(json, "waits.3.cells", "1");
	expect(json, "waits.3.why", "has run: waits for its verdict");
	expect(json, "states.ended", "1");
	expect(json, "states.pending", "5");
	json_object_put(json);
	end(&world);
}

Test(muster, the_pace_is_that_of_the_last_minutes)
{
	struct world world;
	struct json_object *json;
	int64_t at_ns = NOW_NS - 1000 * KT_NS_PER_S;

	begin(&world);
	json = kt_muster_status(&world.muster);
	expect(json, "cells_per_s", "0.000");
	expect(json, "left_s", "null");
	json_object_put(json);
	/* Fast at first, then one cell in ten minutes: the ring has forgotten how it was. */
	for (size_t i = 0; i <= 100; i++)
		kt_muster_note(&world.pace, at_ns + (int64_t)i * 10 * KT_NS_PER_S, 0);
	kt_muster_note(&world.pace, NOW_NS + 1, 4000); /* too soon: not noted */
	world.sweep.counts[KT_CELL_JUDGED] = 3;
	world.sweep.counts[KT_CELL_PENDING] = 3;
	json = kt_muster_status(&world.muster);
	expect(json, "cells_per_s", "0.009"); /* 3 in 310 s */
	expect(json, "left_s", "310.000");
	expect(json, "runs_s", "60.000");
	json_object_put(json);
	end(&world);
}

Test(muster, a_sweep_that_nobody_runs_says_so)
{
	struct world world;
	struct json_object *json;

	begin(&world);
	world.muster.fleet = NULL;
	world.muster.roster = NULL;
	world.muster.pace = NULL;
	json = kt_muster_status(&world.muster);
	expect(json, "running", "false");
	expect(json, "closed", "false");
	expect(json, "waits.0.why", "nobody runs this sweep: ktcoord resume");
	cr_expect_null(at(json, "hosts"));
	json_object_put(json);
	end(&world);
}
