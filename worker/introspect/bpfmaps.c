#include "worker/introspect/bpfmaps.h"

#include "proto/base/must.h"
#include "worker/introspect/ktext.h"
#include "worker/introspect/runqueue.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define MAP_TYPE_ARRAY        2 /* include/uapi/linux/bpf.h: fixed for ever */
#define MAP_TYPE_PERCPU_ARRAY 6
#define MAP_TYPE_STRUCT_OPS   26
#define NAME_BYTES            16 /* BPF_OBJ_NAME_LEN */
#define VALUE_BYTES_MAX       (1u << 20) /* of one array entry or variable */
#define CALLS_BYTES_MAX       1024 /* function pointers at the head of sched_ext_ops */
#define MAP_PAIRS_MAX         10
#define MAP_HEAD_BYTES        256 /* what a map costs in the tree besides its contents, at most */

struct map { /* struct bpf_map, as read */
	uint64_t va;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t max_entries;
	uint32_t id;
	uint32_t value_type; /* in its own BTF */
	uint32_t vmlinux_type; /* in the kernel's: struct_ops */
	uint64_t btf_va;
	char name[NAME_BYTES + 1];
	bool readable;
	bool running;
	const struct btf *btf; /* of an array's values; NULL: there is none */
	bool section; /* value type is a DATASEC */
};

struct parsed {
	uint64_t va; /* struct btf */
	uint32_t id;
	uint32_t bytes;
	struct btf *btf; /* NULL: it was looked at and is no BTF */
};

struct kt_bpfmaps {
	struct kt_pagewalk *pagewalk;
	const struct kt_klayout *klayout;
	uint64_t slide;
	struct parsed parsed[KT_BPFMAPS_BTFS_MAX];
	size_t n_parsed;
	size_t parsed_bytes;
	struct kt_runqueue_cpus cpus; /* as of this read */
	uint8_t *bytes; /* VALUE_BYTES_MAX of scratch */
};

/* One read in progress. */
struct reader {
	struct kt_bpfmaps *maps;
	struct kt_arena *arena;
	struct kt_bpfval_budget budget;
};

struct kt_bpfmaps *kt_bpfmaps_new(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
				  uint64_t slide)
{
	struct kt_bpfmaps *maps = kt_must_calloc(1, sizeof(*maps));

	maps->pagewalk = pagewalk;
	maps->klayout = klayout;
	maps->slide = slide;
	maps->bytes = kt_must_calloc(VALUE_BYTES_MAX, 1);
	return maps;
}

static void forget_parsed(struct kt_bpfmaps *maps)
{
	for (size_t i = 0; i < maps->n_parsed; i++)
		kt_kbtf_destroy(&maps->parsed[i].btf);
	maps->n_parsed = 0;
	maps->parsed_bytes = 0;
}

void kt_bpfmaps_destroy(struct kt_bpfmaps **bpfmaps_p)
{
	struct kt_bpfmaps *maps = *bpfmaps_p;

	if (!maps)
		return;
	forget_parsed(maps);
	free(maps->bytes);
	free(maps);
	*bpfmaps_p = NULL;
}

static uint64_t number(const uint8_t *bytes, const struct kt_kbtf_member *member)
{
	uint64_t value = 0;

	memcpy(&value, bytes + member->offset, member->bytes < 8 ? member->bytes : 8);
	return value;
}

static void read_map(struct kt_bpfmaps *maps, uint64_t va, struct map *map)
{
	const struct kt_klayout *layout = maps->klayout;
	size_t name_bytes = layout->at.map_name.bytes;

	*map = (struct map){ .va = va };
	if (kt_pagewalk_read(maps->pagewalk, va, maps->bytes, layout->map_bytes))
		return;
	map->type = (uint32_t)number(maps->bytes, &layout->at.map_type);
	map->key_size = (uint32_t)number(maps->bytes, &layout->at.map_key_size);
	map->value_size = (uint32_t)number(maps->bytes, &layout->at.map_value_size);
	map->max_entries = (uint32_t)number(maps->bytes, &layout->at.map_max_entries);
	map->id = (uint32_t)number(maps->bytes, &layout->at.map_id);
	map->value_type = (uint32_t)number(maps->bytes, &layout->at.map_value_type);
	map->vmlinux_type = (uint32_t)number(maps->bytes, &layout->at.map_vmlinux_type);
	map->btf_va = number(maps->bytes, &layout->at.map_btf);
	memcpy(map->name, maps->bytes + layout->at.map_name.offset,
	       name_bytes < NAME_BYTES ? name_bytes : NAME_BYTES);
	map->readable = true;
}

/* Reads and parses a struct btf of the guest; BTF ids are never used twice in one boot. */
static struct btf *find_btf(struct kt_bpfmaps *maps, uint64_t va)
{
	const struct kt_klayout *layout = maps->klayout;
	KT_AUTO_FREE uint8_t *raw = NULL;
	struct parsed *parsed;
	uint64_t data_va;
	uint32_t id, bytes;

	if (!va || kt_pagewalk_read_u32(maps->pagewalk, va + layout->at.btf_id.offset, &id) ||
	    kt_pagewalk_read_u32(maps->pagewalk, va + layout->at.btf_data_size.offset, &bytes) ||
	    kt_pagewalk_read_u64(maps->pagewalk, va + layout->at.btf_data.offset, &data_va) ||
	    !bytes || bytes > KT_BPFMAPS_BTF_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < maps->n_parsed; i++) {
		parsed = &maps->parsed[i];
		if (parsed->va == va && parsed->id == id && parsed->bytes == bytes)
			return parsed->btf;
	}
	if (maps->n_parsed == KT_BPFMAPS_BTFS_MAX ||
	    maps->parsed_bytes + bytes > 4 * (size_t)KT_BPFMAPS_BTF_BYTES_MAX)
		return NULL;
	raw = kt_must_calloc(bytes, 1);
	if (kt_pagewalk_read(maps->pagewalk, data_va, raw, bytes))
		return NULL; /* not kept: it may be there next time */
	parsed = &maps->parsed[maps->n_parsed++];
	*parsed = (struct parsed){ .va = va, .id = id, .bytes = bytes };
	kt_kbtf_open(raw, bytes, &parsed->btf, NULL);
	maps->parsed_bytes += bytes;
	return parsed->btf;
}

/* Is it the struct_ops map that the enabled scheduler was registered from? Its function pointers lead to
 * trampolines of its own, so they are the same as in the kernel's copy of the ops, and in no other's.
 */
static bool is_enabled_ops(struct kt_bpfmaps *maps, const struct kt_scx *scx, const struct map *map,
			   bool compare_calls)
{
	const struct kt_klayout *layout = maps->klayout;
	const struct btf_type *type = btf__type_by_id(layout->btf, map->vmlinux_type);
	const char *type_name = type ? btf__name_by_offset(layout->btf, type->name_off) : NULL;
	uint32_t calls = layout->at.ops_after_calls.offset;
	uint8_t ours[CALLS_BYTES_MAX], theirs[CALLS_BYTES_MAX];
	char name[KT_SCX_NAME_BYTES] = "";
	uint32_t name_bytes = layout->at.ops_name.bytes;
	uint64_t ops_va;

	if (map->type != MAP_TYPE_STRUCT_OPS || !scx->ops_va || !type_name ||
	    strncmp(type_name, "bpf_struct_ops_sched_ext_ops", 28) != 0 || !btf_is_struct(type) ||
	    btf_vlen(type) < 2)
		return false;
	/* struct bpf_struct_ops_<ops> { common; <ops> data; } */
	ops_va = map->va + layout->at.struct_ops_data.offset +
		 btf_member_bit_offset(type, btf_vlen(type) - 1) / 8;
	if (name_bytes >= sizeof(name))
		name_bytes = sizeof(name) - 1;
	if (!name_bytes ||
	    kt_pagewalk_read(maps->pagewalk, ops_va + layout->at.ops_name.offset, name,
			     name_bytes) ||
	    memcmp(name, scx->name, name_bytes) != 0)
		return false;
	if (!compare_calls)
		return true;
	return calls && calls <= CALLS_BYTES_MAX &&
	       !kt_pagewalk_read(maps->pagewalk, scx->ops_va, ours, calls) &&
	       !kt_pagewalk_read(maps->pagewalk, ops_va, theirs, calls) &&
	       !memcmp(ours, theirs, calls);
}

/* The maps of the enabled scheduler share its struct_ops map's BTF. */
static void mark_running(struct kt_bpfmaps *maps, const struct kt_scx *scx, struct map *all,
			 size_t n)
{
	uint64_t btf_va = 0;

	for (int pass = 0; pass < 2 && !btf_va; pass++) {
		for (size_t i = 0; i < n && !btf_va; i++) {
			if (all[i].readable && is_enabled_ops(maps, scx, &all[i], pass == 0))
				btf_va = all[i].btf_va;
		}
	}
	for (size_t i = 0; i < n; i++)
		all[i].running = btf_va && all[i].readable && all[i].btf_va == btf_va;
}

static bool is_array(const struct map *map)
{
	return map->type == MAP_TYPE_ARRAY || map->type == MAP_TYPE_PERCPU_ARRAY;
}

/* Once for all: asked a second time, memory may say something else. */
static void find_types(struct kt_bpfmaps *maps, struct map *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct btf_type *type;

		if (!all[i].readable || !is_array(&all[i]) || !all[i].value_type)
			continue;
		all[i].btf = find_btf(maps, all[i].btf_va);
		type = all[i].btf ? btf__type_by_id(all[i].btf, all[i].value_type) : NULL;
		all[i].section = all[i].type == MAP_TYPE_ARRAY && type && btf_is_datasec(type);
	}
}

/* What is wanted least comes last: constants after variables, arrays after both. */
static int rank(const struct map *map)
{
	bool constants = map->section && strstr(map->name, ".rodata");

	return (map->running ? 0 : 8) + (map->readable ? 0 : 4) + (map->section ? constants : 2);
}

static int by_rank(const void *a_, const void *b_)
{
	const struct map *a = a_, *b = b_;
	int by = rank(a) - rank(b);

	return by ? by : (a->id > b->id) - (a->id < b->id);
}

static int decode_at(struct reader *reader, const struct btf *btf, uint32_t type_id, uint64_t va,
		     uint32_t bytes, struct kt_value *value)
{
	struct kt_bpfmaps *maps = reader->maps;

	*value = kt_value_nil();
	if (bytes > VALUE_BYTES_MAX || reader->budget.work < bytes / 64)
		return -ENOSPC;
	reader->budget.work -= bytes / 64;
	if (kt_pagewalk_read(maps->pagewalk, va, maps->bytes, bytes))
		return -EFAULT;
	if (!btf || !type_id)
		return kt_bpfval_raw(maps->bytes, bytes, reader->arena, &reader->budget, value);
	return kt_bpfval_decode(btf, type_id, maps->bytes, bytes, reader->arena, &reader->budget,
				value);
}

struct var {
	uint32_t order; /* in the section */
	uint32_t offset;
	uint32_t bytes;
	uint32_t type;
	const char *name;
	bool present;
	struct kt_value value;
};

static int by_size(const void *a_, const void *b_)
{
	const struct var *a = a_, *b = b_;

	return a->bytes != b->bytes ? (a->bytes > b->bytes) - (a->bytes < b->bytes)
				    : (a->order > b->order) - (a->order < b->order);
}

static int by_name(const void *a_, const void *b_)
{
	const struct var *a = a_, *b = b_;
	int by = strcmp(a->name, b->name);

	return by ? by : (a->order > b->order) - (a->order < b->order);
}

static int by_order(const void *a_, const void *b_)
{
	const struct var *a = a_, *b = b_;

	return (a->order > b->order) - (a->order < b->order);
}

/* The variables that make sense, no name twice; *dropped counts the others. */
static uint32_t list_vars(struct reader *reader, const struct btf *btf,
			  const struct btf_type *section, uint32_t value_size, struct var *vars,
			  uint32_t *dropped)
{
	const struct btf_var_secinfo *info = btf_var_secinfos(section);
	uint32_t n = 0, kept = 0, total = btf_vlen(section);

	for (uint32_t i = 0; i < total && n < KT_BPFMAPS_VARS_MAX; i++, info++) {
		const struct btf_type *type = btf__type_by_id(btf, info->type);
		const char *name;

		if (!type || !btf_is_var(type) || info->offset > value_size ||
		    info->size > value_size - info->offset)
			continue;
		name = btf__name_by_offset(btf, type->name_off);
		if (!name || !*name)
			continue;
		vars[n++] = (struct var){ .order = i,
					  .offset = info->offset,
					  .bytes = info->size,
					  .type = type->type,
					  .name = kt_ktext_clean(reader->arena, name, strlen(name),
								 KT_BPFVAL_NAME_BYTES_MAX) };
	}
	qsort(vars, n, sizeof(*vars), by_name);
	for (uint32_t i = 0; i < n; i++) {
		if (!kept || strcmp(vars[kept - 1].name, vars[i].name) != 0)
			vars[kept++] = vars[i];
	}
	*dropped = total - kept;
	return kept;
}

static struct kt_value read_section(struct reader *reader, const struct map *map, uint32_t *dropped,
				    const char **error)
{
	const struct btf_type *section = btf__type_by_id(map->btf, map->value_type);
	uint64_t value_va = map->va + reader->maps->klayout->at.array_value.offset;
	uint32_t n_vars =
		btf_vlen(section) < KT_BPFMAPS_VARS_MAX ? btf_vlen(section) : KT_BPFMAPS_VARS_MAX;
	KT_AUTO_FREE struct var *vars = kt_must_calloc(n_vars, sizeof(*vars));
	uint32_t n = list_vars(reader, map->btf, section, map->value_size, vars, dropped);
	uint32_t present = 0;
	struct kt_value tree;

	qsort(vars, n, sizeof(*vars), by_size);
	for (uint32_t i = 0; i < n; i++) {
		struct kt_bpfval_budget before = reader->budget;
		int rc = -ENOSPC;

		if (kt_bpfval_charge(&reader->budget, strlen(vars[i].name) + 5, 0))
			rc = decode_at(reader, map->btf, vars[i].type, value_va + vars[i].offset,
				       vars[i].bytes, &vars[i].value);
		if (rc == -EFAULT)
			*error = "unmapped";
		if (rc) {
			reader->budget.bytes = before.bytes;
			reader->budget.values = before.values;
			++*dropped;
			continue;
		}
		vars[i].present = true;
		present++;
	}
	qsort(vars, n, sizeof(*vars), by_order);
	tree = kt_value_map(reader->arena, present);
	present = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (vars[i].present)
			tree.pairs[present++] =
				(struct kt_value_pair){ vars[i].name, vars[i].value };
	}
	return tree;
}

static int read_percpu_entry(struct reader *reader, const struct map *map, uint32_t i,
			     struct kt_value *value)
{
	struct kt_bpfmaps *maps = reader->maps;
	uint32_t bytes = map->value_size;
	uint64_t percpu;

	if (kt_pagewalk_read_u64(maps->pagewalk,
				 map->va + maps->klayout->at.array_pptrs.offset + (uint64_t)i * 8,
				 &percpu))
		return -EFAULT;
	if (!kt_bpfval_charge(&reader->budget, 5, 1 + maps->cpus.n))
		return -ENOSPC;
	*value = kt_value_list(reader->arena, maps->cpus.n);
	for (uint32_t cpu = 0; cpu < maps->cpus.n; cpu++) {
		int rc;

		if (!maps->cpus.possible[cpu])
			continue; /* nil */
		rc = decode_at(reader, map->btf, map->value_type, percpu + maps->cpus.offset[cpu],
			       bytes, &value->items[cpu]);
		if (rc)
			return rc;
	}
	return 0;
}

static struct kt_value read_entries(struct reader *reader, const struct map *map, uint32_t *dropped,
				    const char **error)
{
	struct kt_bpfmaps *maps = reader->maps;
	const struct kt_klayout *layout = maps->klayout;
	uint32_t n = map->max_entries < KT_BPFMAPS_ENTRIES_MAX ? map->max_entries
							       : KT_BPFMAPS_ENTRIES_MAX;
	struct kt_value tree = kt_value_list(reader->arena, n);
	uint32_t elem_size = 0, done = 0;
	int rc = 0;

	if (kt_pagewalk_read_u32(maps->pagewalk, map->va + layout->at.array_elem_size.offset,
				 &elem_size))
		rc = -EFAULT;
	for (; !rc && done < n; done++) {
		struct kt_bpfval_budget before = reader->budget;

		if (map->type == MAP_TYPE_PERCPU_ARRAY)
			rc = read_percpu_entry(reader, map, done, &tree.items[done]);
		else
			rc = decode_at(reader, map->btf, map->value_type,
				       map->va + layout->at.array_value.offset +
					       (uint64_t)done * elem_size,
				       map->value_size, &tree.items[done]);
		if (rc) {
			reader->budget.bytes = before.bytes;
			reader->budget.values = before.values;
			break;
		}
	}
	if (rc == -EFAULT)
		*error = "unmapped";
	else if (rc == -EINVAL)
		*error = "bad_type";
	tree.n = done; /* a list never holds made-up entries */
	*dropped = map->max_entries - done;
	return tree;
}

static const char *type_name(struct reader *reader, uint32_t type)
{
	const struct kt_klayout *layout = reader->maps->klayout;
	const char *name = kt_kbtf_enum_name(layout->btf, layout->map_type_enum, type);
	char *lower;

	if (!name)
		return kt_arena_printf(reader->arena, "type_%u", type);
	if (!strncmp(name, "BPF_MAP_TYPE_", 13))
		name += 13;
	lower = kt_arena_strdup(reader->arena, name);
	for (char *at = lower; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return lower;
}

static void add(struct kt_value *map, const char *key, struct kt_value value)
{
	kt_must(map->n < MAP_PAIRS_MAX);
	map->pairs[map->n++] = (struct kt_value_pair){ key, value };
}

static struct kt_value read_contents(struct reader *reader, const struct map *map)
{
	struct kt_value tree = kt_value_map(reader->arena, MAP_PAIRS_MAX);
	const char *error = NULL;
	uint32_t dropped = 0;

	tree.n = 0;
	add(&tree, "name",
	    kt_value_str(reader->arena,
			 kt_ktext_clean(reader->arena, map->name, NAME_BYTES, 4 * NAME_BYTES)));
	add(&tree, "id", kt_value_u64(map->id));
	if (!map->readable) {
		add(&tree, "error", kt_value_str(reader->arena, "unmapped"));
		return tree;
	}
	add(&tree, "type", kt_value_str(reader->arena, type_name(reader, map->type)));
	add(&tree, "running", kt_value_bool(map->running));
	add(&tree, "value_size", kt_value_u64(map->value_size));
	add(&tree, "max_entries", kt_value_u64(map->max_entries));
	if (map->section)
		add(&tree, "vars", read_section(reader, map, &dropped, &error));
	else if (is_array(map))
		add(&tree, "entries", read_entries(reader, map, &dropped, &error));
	if (error)
		add(&tree, "error", kt_value_str(reader->arena, error));
	if (dropped)
		add(&tree, "dropped", kt_value_u64(dropped));
	return tree;
}

/* Everything under map_idr, ids included: one whose struct cannot be read is still listed. */
static int collect_maps(struct kt_bpfmaps *maps, struct map *all, size_t *n, bool *more)
{
	const struct kt_klayout *layout = maps->klayout;
	uint64_t idr = layout->sym.map_idr + maps->slide;
	struct kt_xarray_entry entries[KT_BPFMAPS_MAX];
	uint32_t base;

	if (kt_pagewalk_read_u32(maps->pagewalk, idr + layout->at.idr_base.offset, &base) ||
	    kt_xarray_collect(maps->pagewalk, layout, idr + layout->at.idr_head.offset, entries,
			      KT_BPFMAPS_MAX, n, more))
		return -EFAULT;
	for (size_t i = 0; i < *n; i++) {
		read_map(maps, entries[i].pointer, &all[i]);
		if (!all[i].readable)
			all[i].id = (uint32_t)(entries[i].index + base);
	}
	return 0;
}

int kt_bpfmaps_read(struct kt_bpfmaps *bpfmaps, const struct kt_scx *scx, struct kt_arena *arena,
		    const struct kt_bpfval_budget *budget, struct kt_value *tree)
{
	struct reader reader = { .maps = bpfmaps, .arena = arena, .budget = *budget };
	KT_AUTO_FREE struct map *all = kt_must_calloc(KT_BPFMAPS_MAX, sizeof(*all));
	struct kt_value list;
	size_t n = 0, done = 0;
	bool more = false;

	kt_must(!arena->max);
	if (collect_maps(bpfmaps, all, &n, &more))
		return -EFAULT;
	/* Full of BTF of maps that are long gone: begin anew. */
	if (bpfmaps->n_parsed == KT_BPFMAPS_BTFS_MAX ||
	    bpfmaps->parsed_bytes > 2 * (size_t)KT_BPFMAPS_BTF_BYTES_MAX)
		forget_parsed(bpfmaps);
	kt_runqueue_cpus(bpfmaps->pagewalk, bpfmaps->klayout, bpfmaps->slide, &bpfmaps->cpus);
	mark_running(bpfmaps, scx, all, n);
	find_types(bpfmaps, all, n);
	qsort(all, n, sizeof(*all), by_rank);
	list = kt_value_list(arena, n);
	for (; done < n; done++) {
		if (!kt_bpfval_charge(&reader.budget, MAP_HEAD_BYTES, MAP_PAIRS_MAX))
			break;
		list.items[done] = read_contents(&reader, &all[done]);
	}
	list.n = (uint32_t)done;
	*tree = kt_value_map(arena, 3);
	tree->pairs[0] = (struct kt_value_pair){ "scheduler", kt_value_nil() };
	if (scx->enabled && scx->name[0])
		tree->pairs[0].value =
			kt_value_str(arena, kt_ktext_clean(arena, scx->name, sizeof(scx->name),
							   4 * sizeof(scx->name)));
	tree->pairs[1] = (struct kt_value_pair){ "maps", list };
	tree->pairs[2] =
		(struct kt_value_pair){ "dropped", kt_value_u64(n - done + (more ? 1 : 0)) };
	return 0;
}
