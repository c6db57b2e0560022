#include "coordinator/reception.h"
#include "coordinator/matrixfile.h"
#include "proto/base/log.h"

#include <criterion/criterion.h>
#include <json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char text[] = "[sweep]\nname = \"s\"\n"
			   "[[kernel]]\nname = \"k\"\npath = \"a\"\n"
			   "[[scheduler]]\nname = \"eevdf\"\n"
			   "[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
			   "[[scenario]]\nname = \"a\"\nduration = \"1s\"\nrepeats = 3\n"
			   "[[scenario.step]]\nhold = \"full\"\n";
#define N_CELLS 3

struct world {
	uv_loop_t loop;
	char dir[64];
	char path[96];
	struct kt_matrix *matrix;
	struct kt_sweep sweep;
	struct kt_fleet fleet;
	struct kt_reception_config config;
	struct kt_reception *reception;
	struct kt_input last; /* that the dispatch was given */
	size_t n_keys_changed;
	bool leaves;
	int fd;
};

static void apply(struct world *world, uint32_t tag, const void *fact)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_sweep_apply(&world->sweep, tag, fact, &err), 0, "%s", err.text);
	kt_reception_fact(world->reception, tag, fact);
}

/* What the dispatch makes of an operator's word, as far as anybody here looks. */
static bool on_step(void *arg, struct kt_input *input)
{
	struct world *world = arg;

	world->last = *input;
	if (world->leaves)
		return false;
	if (input->kind == KT_INPUT_DRAIN) {
		struct kt_msg_fact_admission admission = { .host = input->host,
							   .admission =
								   input->on ? "drained" : "open",
							   .why = input->line };

		apply(world, KT_TAG_fact_admission, &admission);
		return true;
	}
	cr_assert_eq(input->kind, KT_INPUT_CANCEL);
	for (uint64_t i = input->cell; i < input->cell + input->n; i++) {
		struct kt_msg_fact_cancelled cancelled = { .cell = i, .line = input->line };
		struct kt_lease *lease = kt_fleet_lease(&world->fleet, world->sweep.cells[i].epoch);

		if (lease) {
			kt_fleet_add_dying(&world->fleet, lease->host, lease->epoch, 1);
			kt_fleet_drop_lease(&world->fleet, lease);
		}
		if (world->sweep.cells[i].state != KT_CELL_CANCELLED)
			apply(world, KT_TAG_fact_cancelled, &cancelled);
	}
	cr_expect(kt_reception_is_waited_for(world->reception), "the coordinator would leave");
	return true;
}

static void on_keys(void *arg)
{
	struct world *world = arg;

	world->n_keys_changed++;
}

static void begin(struct world *world)
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s-1-2", .n_cells = N_CELLS, .attempts_max = 3, .version = "0"
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct kt_err err = { 0 };

	signal(SIGPIPE, SIG_IGN);
	kt_log_open("test", false);
	memset(world, 0, sizeof(*world));
	snprintf(world->dir, sizeof(world->dir), "/tmp/kt-test-reception.XXXXXX");
	cr_assert(mkdtemp(world->dir));
	snprintf(world->path, sizeof(world->path), "%s/s", world->dir);
	cr_assert_eq(kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &world->matrix,
					 &err),
		     0, "%s", err.text);
	kt_sweep_init(&world->sweep);
	cr_assert_eq(kt_sweep_apply(&world->sweep, KT_TAG_fact_opened, &opened, &err), 0);
	cr_assert_eq(uv_loop_init(&world->loop), 0);
	world->config = (struct kt_reception_config){ .socket = world->path,
						      .sweep = &world->sweep,
						      .matrix = world->matrix,
						      .file = "f",
						      .endpoint = "ipc://e",
						      .fleet = &world->fleet,
						      .step = on_step,
						      .keys_changed = on_keys,
						      .arg = world };
	cr_assert_eq(kt_reception_open(&world->loop, &world->config, &world->reception, &err), 0,
		     "%s", err.text);
	world->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
	cr_assert_eq(connect(world->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void end(struct world *world)
{
	close(world->fd);
	kt_reception_destroy(&world->reception);
	while (uv_run(&world->loop, UV_RUN_DEFAULT))
		;
	cr_assert_eq(uv_loop_close(&world->loop), 0);
	kt_fleet_destroy(&world->fleet);
	kt_sweep_destroy(&world->sweep);
	kt_matrix_destroy(&world->matrix);
	rmdir(world->dir);
}

static void grant(struct world *world, uint64_t cell, struct kt_host *host)
{
	struct kt_msg_fact_granted granted = {
		.cell = cell, .epoch = cell + 1, .attempt = 1, .host = host->id
	};

	apply(world, KT_TAG_fact_granted, &granted);
	kt_fleet_add_lease(&world->fleet, cell + 1, cell, host);
}

static struct kt_host *join(struct world *world, const char *id, uint64_t peer)
{
	struct kt_host *host = kt_fleet_host(&world->fleet, id);

	kt_fleet_connect(&world->fleet, host, peer);
	return host;
}

static void ask(struct world *world, const char *line)
{
	cr_assert_eq(send(world->fd, line, strlen(line), 0), (ssize_t)strlen(line));
	for (int i = 0; i < 5; i++)
		uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* The next answer; NULL: there is none. */
static struct json_object *answer(struct world *world)
{
	static char line[65536];
	size_t n = 0;

	for (int i = 0; i < 5; i++)
		uv_run(&world->loop, UV_RUN_NOWAIT);
	while (n + 1 < sizeof(line) && recv(world->fd, line + n, 1, 0) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	return n ? json_tokener_parse(line) : NULL;
}

static void expect(struct world *world, const char *key, const char *wanted)
{
	struct json_object *json = answer(world);

	cr_assert(json, "no answer");
	cr_expect_str_eq(json_object_get_string(json_object_object_get(json, key)), wanted, "%s",
			 json_object_to_json_string(json));
	json_object_put(json);
}

Test(reception, a_drained_host_is_known_from_now_or_from_the_journal)
{
	struct kt_msg_fact_admission known = { .host = "old", .admission = "open", .why = "" };
	struct world world;

	begin(&world);
	join(&world, "h", 7);
	apply(&world, KT_TAG_fact_admission, &known);
	ask(&world, "{\"ask\":\"drain\",\"host\":\"h\"}\n");
	cr_expect(world.last.on);
	expect(&world, "admission", "drained");
	ask(&world, "{\"ask\":\"drain\",\"host\":\"h\",\"undo\":true}\n");
	cr_expect_not(world.last.on);
	expect(&world, "admission", "open");
	ask(&world, "{\"ask\":\"drain\",\"host\":\"old\"}\n");
	expect(&world, "admission", "drained");
	world.last.kind = KT_INPUT_TICK;
	ask(&world, "{\"ask\":\"drain\",\"host\":\"nobody\"}\n");
	cr_expect_eq(world.last.kind, KT_INPUT_TICK, "the dispatch was told of a stranger");
	expect(&world, "error",
	       "this sweep has seen no host 'nobody'; `ktcoord workers` lists them");
	end(&world);
}

Test(reception, who_cancels_is_answered_when_the_guest_is_dead)
{
	struct world world;
	struct kt_host *host;

	begin(&world);
	host = join(&world, "h", 7);
	grant(&world, 0, host);
	grant(&world, 1, host);
	ask(&world, "{\"ask\":\"cancel\",\"what\":\"a/k/eevdf/t#1\"}\n");
	cr_expect_eq(world.last.cell, 1);
	cr_expect_eq(world.last.n, 1);
	kt_reception_look(world.reception);
	cr_expect_null(answer(&world));
	cr_expect(kt_reception_is_waited_for(world.reception));
	kt_fleet_drop_dying(&world.fleet, host, 2);
	kt_reception_look(world.reception);
	cr_expect_not(kt_reception_is_waited_for(world.reception));
	expect(&world, "guests_dead", "1");
	end(&world);
}

Test(reception, a_host_that_does_not_answer_is_named)
{
	struct world world;
	struct kt_host *host;
	struct json_object *json;
	struct json_object *row;

	begin(&world);
	host = join(&world, "h", 7);
	grant(&world, 0, host);
	ask(&world, "{\"ask\":\"cancel\"}\n");
	cr_expect_eq(world.last.n, N_CELLS);
	cr_expect_null(answer(&world));
	kt_fleet_connect(&world.fleet, host, 0); /* silent for too long */
	kt_reception_look(world.reception);
	json = answer(&world);
	cr_assert(json);
	cr_expect_eq(json_object_get_int64(json_object_object_get(json, "cancelled")), N_CELLS);
	row = json_object_array_get_idx(json_object_object_get(json, "guests_alive"), 0);
	cr_expect_str_eq(json_object_get_string(json_object_object_get(row, "host")), "h");
	cr_expect_str_eq(json_object_get_string(json_object_object_get(row, "cell")),
			 "a/k/eevdf/t#0");
	json_object_put(json);
	end(&world);
}

/* what is said, how many cells it is; 0: refused */
static const struct {
	const char *what;
	uint64_t n;
} names[] = {
	{ "", N_CELLS },        { "last", N_CELLS }, { "s-1-2", N_CELLS }, { "s-1", N_CELLS },
	{ "s", N_CELLS },       { "s-1-", 0 },       { "s-2", 0 },         { "t#2", 1 },
	{ "a/k/eevdf/t#0", 1 }, { "eevdf", 0 },      { "b", 0 },
};

Test(reception, the_sweep_and_its_cells_have_names)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct world world;
		struct json_object *json;
		char line[128];

		begin(&world);
		snprintf(line, sizeof(line), "{\"ask\":\"cancel\",\"what\":\"%s\"}\n",
			 names[i].what);
		ask(&world, line);
		json = answer(&world);
		cr_assert(json, "%s", names[i].what);
		cr_expect_eq(json_object_get_int64(json_object_object_get(json, "cancelled")),
			     (int64_t)names[i].n, "%s: %s", names[i].what,
			     json_object_to_json_string(json));
		cr_expect_eq(json_object_object_get(json, "error") != NULL, names[i].n == 0, "%s",
			     names[i].what);
		json_object_put(json);
		end(&world);
	}
}

Test(reception, who_left_is_waited_for_no_more)
{
	struct world world;
	struct kt_host *host;

	begin(&world);
	host = join(&world, "h", 7);
	grant(&world, 0, host);
	ask(&world, "{\"ask\":\"cancel\"}\n");
	cr_expect(kt_reception_is_waited_for(world.reception));
	close(world.fd);
	/* Nothing is read of a client that waits: that it left is seen when it is told something. */
	for (int i = 0; i < 100 && kt_reception_is_waited_for(world.reception); i++) {
		kt_reception_look(world.reception);
		uv_run(&world.loop, UV_RUN_NOWAIT);
		usleep(50000);
	}
	cr_expect_not(kt_reception_is_waited_for(world.reception));
	world.fd = -1;
	end(&world);
}

Test(reception, a_coordinator_that_leaves_says_that_nothing_was_done)
{
	static const char says[] = "the coordinator is about to leave: nothing was done";
	struct world world;

	begin(&world);
	world.leaves = true;
	grant(&world, 0, join(&world, "h", 7));
	ask(&world, "{\"ask\":\"cancel\"}\n");
	expect(&world, "error", says);
	ask(&world, "{\"ask\":\"drain\",\"host\":\"h\"}\n");
	expect(&world, "error", says);
	cr_expect_not(kt_reception_is_waited_for(world.reception));
	end(&world);
}

Test(reception, changed_keys_are_told_on)
{
	struct world world;

	begin(&world);
	ask(&world, "{\"ask\":\"keys_changed\"}\n");
	expect(&world, "ask", "keys_changed");
	cr_expect_eq(world.n_keys_changed, 1);
	end(&world);
}
