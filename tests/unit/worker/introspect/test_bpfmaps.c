#include "worker/introspect/bpfmaps.h"

#include "tests/unit/worker/introspect/other.h"
#include "tests/unit/worker/introspect/toyguest.h"
#include "worker/introspect/runqueue.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>

#define PLENTY                                                       \
	(struct kt_bpfval_budget)                                    \
	{                                                            \
		.bytes = 1 << 18, .values = 1 << 16, .work = 1 << 20 \
	}
#define PERCPU_DISTANCE 0x100000ull

/* A guest in which scheduler "toy" is enabled: its struct_ops map, its .bss, a per-CPU array; beside it
 * another scheduler's maps that were loaded, not enabled; and a hash of nobody.
 */
struct scene {
	struct toy toy;
	struct kt_scx scx;
	struct btf *program;
	int u64, section;
	uint64_t leaf; /* of map_idr */
	uint64_t bss, other_bss, percpu, list;
};

static uint64_t add_scheduler(struct scene *scene, const char *name, uint32_t id, uint64_t btf_va,
			      uint64_t call)
{
	struct toy *toy = &scene->toy;
	const struct toy_map map = { .name = name,
				     .type = 26,
				     .value_size = 320,
				     .max_entries = 1,
				     .id = id,
				     .vmlinux_type = (uint32_t)toy_struct_ops_type(toy),
				     .btf_va = btf_va };
	uint64_t va = toy_map(toy, &map, 320);
	uint64_t ops = va + TOY_ARRAY_VALUE + 64;

	toy_put64(toy, ops, call);
	toy_put(toy, ops + 64, "toy", 4);
	toy_slot(toy, scene->leaf, id, va);
	return ops;
}

static void make_program_btf(struct scene *scene)
{
	struct btf *btf = btf__new_empty();
	int var, big, nr;

	scene->u64 = btf__add_int(btf, "unsigned long", 8, 0);
	scene->program = btf;
	big = btf__add_array(btf, scene->u64, scene->u64, 100);
	nr = btf__add_var(btf, "nr_dispatched", 1, scene->u64);
	var = btf__add_var(btf, "big", 1, big);
	scene->section = btf__add_datasec(btf, ".bss", 816);
	btf__add_datasec_var_info(btf, var, 0, 800);
	btf__add_datasec_var_info(btf, nr, 800, 8);
}

static void scene_init(struct scene *scene)
{
	struct toy *toy = &scene->toy;
	uint64_t ours, theirs, sched, ops;

	toy_init(toy);
	make_program_btf(scene);
	ours = toy_guest_btf(toy, scene->program, 7);
	theirs = toy_guest_btf(toy, scene->program, 8);
	scene->leaf = toy_node(toy, 0);
	toy_put64(toy, toy->layout.sym.map_idr + 8, scene->leaf);
	toy_cpus(toy, PERCPU_DISTANCE);
	const struct toy_map maps[] = {
		{ "toy.bss", 2, 816, 1, 5, (uint32_t)scene->section, 0, ours },
		{ "other.bss", 2, 816, 1, 2, (uint32_t)scene->section, 0, theirs },
		{ "stats", 6, 8, 2, 6, (uint32_t)scene->u64, 0, ours },
		{ "list", 2, 4, 3, 7, 0, 0, 0 },
		{ "table", 1, 8, 16, 8, 0, 0, 0 },
	};
	uint64_t *const into[] = { &scene->bss, &scene->other_bss, &scene->percpu, &scene->list,
				   NULL };

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		uint64_t va = toy_map(toy, &maps[i], 1024);

		toy_slot(toy, scene->leaf, maps[i].id, va);
		if (into[i])
			*into[i] = va + TOY_ARRAY_VALUE;
	}
	add_scheduler(scene, "theirs", 3, theirs, 0xffffffffc0001000ull);
	ops = add_scheduler(scene, "ours", 4, ours, 0xffffffffc0002000ull);
	sched = toy_alloc(toy, 512);
	memcpy(toy->ram + (sched - TOY_BASE), toy->ram + (ops - TOY_BASE), 256);
	toy_put64(toy, toy->layout.sym.scx_root, sched);
	toy_put32(toy, toy->layout.sym.scx_enable_state_var, 1);
	toy_put64(toy, scene->bss + 800, 1000001);
	toy_put64(toy, scene->other_bss + 800, 5);
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t percpu = toy_alloc(toy, 64);

		toy_put64(toy, scene->percpu + i * 8, percpu);
		toy_put64(toy, percpu, 10 + i);
		toy_put64(toy, percpu + PERCPU_DISTANCE, 20 + i);
	}
	for (uint32_t i = 0; i < 3; i++)
		toy_put32(toy, scene->list + i * 8, i * 100);
	cr_assert_eq(kt_scx_read(&toy->pagewalk, &toy->layout, 0, &scene->scx), 0);
}

static void scene_destroy(struct scene *scene)
{
	kt_kbtf_destroy(&scene->program);
	toy_destroy(&scene->toy);
}

static struct kt_value read_tree(struct scene *scene, struct kt_bpfval_budget budget,
				 struct kt_arena *arena)
{
	KT_AUTO(kt_bpfmaps_destroy)
	struct kt_bpfmaps *maps = kt_bpfmaps_new(&scene->toy.pagewalk, &scene->toy.layout, 0);
	struct kt_value tree;

	kt_pagewalk_flush(&scene->toy.pagewalk);
	cr_assert_eq(kt_bpfmaps_read(maps, &scene->scx, arena, &budget, &tree), 0);
	return tree;
}

static const struct kt_value *find_map(const struct kt_value *tree, const char *name)
{
	const struct kt_value *list = kt_value_get(tree, "maps");

	for (uint32_t i = 0; i < list->n; i++) {
		if (!strcmp(kt_value_get(&list->items[i], "name")->str, name))
			return &list->items[i];
	}
	return NULL;
}

static const char *shown(const struct kt_value *value)
{
	static char text[8192];
	KT_AUTO_BUF out = { 0 };

	kt_value_print(value, sizeof(text) - 1, &out);
	snprintf(text, sizeof(text), "%s", kt_buf_text(&out));
	return text;
}

Test(bpfmaps, the_enabled_schedulers_maps_are_told_apart_by_its_calls)
{
	KT_AUTO(scene_destroy) struct scene scene;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value tree;
	static const struct {
		const char *name;
		bool running;
	} cases[] = { { "toy.bss", true }, { "stats", true },      { "ours", true },
		      { "theirs", false }, { "other.bss", false }, { "list", false },
		      { "table", false } };

	scene_init(&scene);
	cr_assert(scene.scx.enabled);
	cr_assert_str_eq(scene.scx.name, "toy");
	tree = read_tree(&scene, PLENTY, &arena);
	cr_assert_str_eq(kt_value_get(&tree, "scheduler")->str, "toy");
	cr_assert_eq(kt_value_get(&tree, "dropped")->u64, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_value_get(find_map(&tree, cases[i].name), "running")->boolean,
			     cases[i].running, "%s", cases[i].name);
	cr_assert_str_eq(kt_value_get(&kt_value_get(&tree, "maps")->items[0], "name")->str,
			 "toy.bss", "what is wanted most comes first");
}

Test(bpfmaps, variables_arrays_and_per_cpu_arrays_are_decoded)
{
	KT_AUTO(scene_destroy) struct scene scene;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value tree;
	const struct kt_value *vars;

	scene_init(&scene);
	tree = read_tree(&scene, PLENTY, &arena);
	vars = kt_value_get(find_map(&tree, "toy.bss"), "vars");
	cr_assert_eq(kt_value_get(vars, "nr_dispatched")->u64, 1000001);
	cr_assert_eq(kt_value_get(vars, "big")->n, 100);
	cr_assert_str_eq(shown(kt_value_get(find_map(&tree, "stats"), "entries")),
			 "[[10, 20], [11, 21]]");
	cr_assert_str_eq(shown(kt_value_get(find_map(&tree, "list"), "entries")), "[0, 100, 200]");
	cr_assert_null(kt_value_get(find_map(&tree, "table"), "entries"));
	cr_assert_str_eq(kt_value_get(find_map(&tree, "table"), "type")->str, "hash");
}

Test(bpfmaps, small_variables_survive_a_small_budget_and_losses_are_counted)
{
	KT_AUTO(scene_destroy) struct scene scene;
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF encoded = { 0 };
	struct kt_value tree;
	const struct kt_value *map;

	scene_init(&scene);
	tree = read_tree(&scene,
			 (struct kt_bpfval_budget){ .bytes = 350, .values = 999, .work = 9999 },
			 &arena);
	map = find_map(&tree, "toy.bss");
	cr_assert_eq(kt_value_get(kt_value_get(map, "vars"), "nr_dispatched")->u64, 1000001);
	cr_assert_null(kt_value_get(kt_value_get(map, "vars"), "big"));
	cr_assert_eq(kt_value_get(map, "dropped")->u64, 1);
	cr_assert_eq(kt_value_get(&tree, "dropped")->u64, 6, "the other maps");
	kt_value_encode(&tree, &encoded);
	cr_assert_leq(encoded.len, 350);
}

Test(bpfmaps, an_array_shows_as_many_entries_as_it_may_and_counts_the_rest)
{
	KT_AUTO(scene_destroy) struct scene scene;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value tree;
	const struct kt_value *map;
	uint64_t va;

	scene_init(&scene);
	va = toy_map(&scene.toy, &(struct toy_map){ "long", 2, 8, 1u << 31, 9, 0, 0, 0 }, 1 << 20);
	toy_slot(&scene.toy, scene.leaf, 9, va);
	tree = read_tree(&scene, PLENTY, &arena);
	map = find_map(&tree, "long");
	cr_assert_eq(kt_value_get(map, "entries")->n, KT_BPFMAPS_ENTRIES_MAX);
	cr_assert_eq(kt_value_get(map, "dropped")->u64, (1u << 31) - KT_BPFMAPS_ENTRIES_MAX);
}

Test(bpfmaps, what_cannot_be_read_is_said_and_spoils_nothing_else)
{
	KT_AUTO(scene_destroy) struct scene scene;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value tree;

	scene_init(&scene);
	toy_slot(&scene.toy, scene.leaf, 40, 0xffff999900000000ull); /* a map being freed */
	toy_put64(&scene.toy, scene.percpu, 0xffff999900000000ull); /* its first entry */
	tree = read_tree(&scene, PLENTY, &arena);
	cr_assert_str_eq(kt_value_get(find_map(&tree, ""), "error")->str, "unmapped");
	cr_assert_eq(kt_value_get(find_map(&tree, ""), "id")->u64, 40);
	cr_assert_str_eq(kt_value_get(find_map(&tree, "stats"), "error")->str, "unmapped");
	cr_assert_eq(kt_value_get(find_map(&tree, "stats"), "entries")->n, 0);
	cr_assert_not_null(find_map(&tree, "toy.bss"));
	toy_put64(&scene.toy, scene.toy.layout.sym.map_idr + 8, 0xffff999900000002ull);
	{
		KT_AUTO(kt_bpfmaps_destroy)
		struct kt_bpfmaps *maps = kt_bpfmaps_new(&scene.toy.pagewalk, &scene.toy.layout, 0);
		struct kt_bpfval_budget budget = PLENTY;

		cr_assert_eq(kt_bpfmaps_read(maps, &scene.scx, &arena, &budget, &tree), -EFAULT);
	}
}

Test(runqueue, every_possible_cpu_is_read)
{
	TOY_AUTO toy;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value list;
	uint64_t rq;

	toy_init(&toy);
	toy_cpus(&toy, PERCPU_DISTANCE);
	rq = toy.layout.sym.runqueues;
	toy_put32(&toy, rq, 3);
	toy_put64(&toy, rq + 8, 123456789012ull);
	toy_put64(&toy, rq + 16, 0x10);
	toy_put64(&toy, rq + 24, 0x20);
	toy_put32(&toy, rq + 40, 9);
	toy_put32(&toy, rq + PERCPU_DISTANCE + 36, 1);
	cr_assert_eq(kt_runqueue_read(&toy.pagewalk, &toy.layout, 0, &arena, &list), 0);
	cr_assert_str_eq(shown(&list),
			 "[{cpu: 0, idle: false, nr_running: 3, clock: 123456789012, "
			 "scx_nr_running: 0, scx_flags: 0, local_dsq: 9}, "
			 "{cpu: 1, idle: true, nr_running: 0, clock: 0, scx_nr_running: 0, "
			 "scx_flags: 1, local_dsq: 0}]");
	toy_put64(&toy, toy.layout.sym.__per_cpu_offset + 8, 1ull << 60);
	cr_assert_eq(kt_runqueue_read(&toy.pagewalk, &toy.layout, 0, &arena, &list), 0);
	cr_assert_eq(list.items[1].type, KT_VALUE_NIL);
}

#define ROUNDS 20000
#define WRONG  32

/* Puts wrong numbers into the guest's memory, page tables included, and after a moment the right ones back. */
static void scribble(void *arg, char letter)
{
	const struct toy *toy = arg;
	volatile uint64_t *words = (volatile uint64_t *)(void *)toy->ram;
	size_t n = toy->used / 8, at[WRONG];
	uint64_t right[WRONG];
	unsigned int seed = 1;

	for (int round = 0; round < ROUNDS && letter == 's'; round++) {
		for (int i = 0; i < WRONG; i++) {
			at[i] = (size_t)rand_r(&seed) % n;
			right[i] = words[at[i]];
			words[at[i]] = i % 3 == 0   ? UINT64_MAX
				       : i % 3 == 1 ? right[i] ^ 1ull << rand_r(&seed) % 64
						    : words[(size_t)rand_r(&seed) % n];
		}
		for (volatile int wait = 0; wait < 20000; wait++)
			;
		for (int i = WRONG; i-- > 0;)
			words[at[i]] = right[i];
	}
}

static bool read_once(struct scene *scene, struct kt_bpfmaps *maps, struct kt_arena *arena,
		      struct kt_value *tree)
{
	struct toy *toy = &scene->toy;
	struct kt_bpfval_budget budget = { 65536, 8192, 200000 };
	KT_AUTO_BUF encoded = { 0 };

	kt_pagewalk_flush(&toy->pagewalk);
	if (kt_scx_read(&toy->pagewalk, &toy->layout, 0, &scene->scx) ||
	    kt_bpfmaps_read(maps, &scene->scx, arena, &budget, tree))
		return false;
	kt_value_encode(tree, &encoded);
	cr_assert_leq(encoded.len, 65536 + 1024);
	return true;
}

Test(bpfmaps, memory_that_changes_while_it_is_read_does_no_harm)
{
	KT_AUTO(scene_destroy) struct scene scene;
	KT_AUTO(kt_bpfmaps_destroy) struct kt_bpfmaps *maps = NULL;
	KT_AUTO_ARENA right_arena = { 0 };
	struct kt_value right, tree;
	unsigned int different = 0;
	struct pollfd done = { .events = POLLIN };
	OTHER_AUTO other;
	char letter = 's';

	scene_init(&scene);
	maps = kt_bpfmaps_new(&scene.toy.pagewalk, &scene.toy.layout, 0);
	cr_assert(read_once(&scene, maps, &right_arena, &right));
	other_start(&other, scribble, &scene.toy);
	cr_assert_eq(write(other.wire, &letter, 1), 1);
	for (done.fd = other.wire; poll(&done, 1, 0) == 0;) {
		KT_AUTO_ARENA arena = { 0 };

		different +=
			!read_once(&scene, maps, &arena, &tree) || !kt_value_equal(&tree, &right);
	}
	cr_assert_eq(read(other.wire, &letter, 1), 1);
	cr_assert_gt(different, 10, "it was not disturbed");
	{
		KT_AUTO_ARENA arena = { 0 };

		tree = read_tree(&scene, PLENTY, &arena);
		cr_assert_eq(kt_value_get(kt_value_get(find_map(&tree, "toy.bss"), "vars"),
					  "nr_dispatched")
				     ->u64,
			     1000001);
	}
}
