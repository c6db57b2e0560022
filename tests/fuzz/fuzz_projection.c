/* layer: assertions */
/* fuzz_projection.c - any text is refused at a place within it, or reads whole and stays what it is. */
#include "assertions/projection.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct kt_value numbers(struct kt_arena *arena)
{
	static const char *const names[] = { "maps", "a", "b", "cpu_sum" };
	struct kt_value map = kt_value_map(arena, 4);

	for (uint32_t i = 0; i < 4; i++) {
		map.pairs[i].key = names[i];
		map.pairs[i].value = kt_value_u64(i);
	}
	return map;
}

/* Enough of every shape that a path can go astray in. */
static struct kt_value tree(struct kt_arena *arena)
{
	struct kt_value root = numbers(arena);
	struct kt_value maps = kt_value_list(arena, 1);
	struct kt_value map = kt_value_map(arena, 4);
	struct kt_value entries = kt_value_list(arena, 2);

	for (uint32_t i = 0; i < 2; i++) {
		entries.items[i] = kt_value_list(arena, 3);
		entries.items[i].items[0] = numbers(arena);
	}
	map.pairs[0] = (struct kt_value_pair){ "name", kt_value_str(arena, "a.b") };
	map.pairs[1] = (struct kt_value_pair){ "type", kt_value_str(arena, "percpu_array") };
	map.pairs[2] = (struct kt_value_pair){ "running", kt_value_bool(true) };
	map.pairs[3] = (struct kt_value_pair){ "entries", entries };
	maps.items[0] = map;
	root.pairs[0].value = maps;
	root.pairs[1].value = entries;
	return root;
}

static void project(const struct kt_projection *projection, struct kt_arena *arena)
{
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_BUF body = { 0 };
	struct kt_column column;
	struct kt_msg_axis axis = { .name = kt_series_axis_name(projection->axis),
				    .value = tree(arena),
				    .error = "",
				    .text = "" };
	struct kt_msg_sample sample = { .tag = "t", .placeholder = "", .axes = &axis, .n_axes = 1 };

	kt_codec_encode(&kt_schema_sample, &sample, &body);
	kt_must(kt_series_append(&series, body.data, body.len, NULL) == 0);
	kt_projection_column(projection, &series, KT_NUMBER_WANT_ANY, arena, &column);
	kt_must(column.n == 1);
	if (!kt_column_slot_usable(&column.slots[0]))
		kt_must(strstr(column.slots[0].error->text, projection->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	const char *text = kt_arena_copy(&arena, data, len);
	struct kt_projection projection;
	struct kt_err err = { 0 };
	size_t at;

	if (kt_projection_parse(text, &arena, &projection, &at, &err) < 0) {
		kt_must(at <= strlen(text));
		kt_must(err.fault == KT_FAULT_INPUT);
		return 0;
	}
	kt_must(projection.n_steps > 0 && projection.n_steps <= KT_PROJECTION_STEPS_MAX);
	kt_must(projection.steps[projection.n_steps - 1].end == strlen(text));
	project(&projection, &arena);
	return 0;
}
