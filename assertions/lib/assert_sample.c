#include "assertions/lib/assert_sample.h"
#include "assertions/lib/assert_inside.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <string.h>

#define PATH_DEPTH_MAX 16

struct kt_assert_sample {
	struct kt_arena arena;
	struct kt_msg_sample msg; /* axes: one for each in the order of enum kt_series_axis */
	struct kt_msg_axis axes[KT_SERIES_AXIS_N]; /* without a name: not there */
};

struct kt_assert_sample *kt_assert_sample_new(const char *tag, int64_t elapsed_ns)
{
	struct kt_assert_sample *sample = kt_must_calloc(1, sizeof(*sample));

	kt_must(*tag);
	kt_must(strlen(tag) <= KT_NAME_BYTES_MAX);
	kt_must(elapsed_ns >= 0);
	kt_must(elapsed_ns <= KT_DURATION_NS_MAX);
	sample->msg.tag = kt_arena_strdup(&sample->arena, tag);
	sample->msg.elapsed_ns = elapsed_ns;
	sample->msg.placeholder = "";
	return sample;
}

void kt_assert_sample_destroy(struct kt_assert_sample **sample_p)
{
	struct kt_assert_sample *sample = kt_take(sample_p);

	if (!sample)
		return;
	kt_arena_destroy(&sample->arena);
	free(sample);
}

void kt_assert_sample_set_step(struct kt_assert_sample *sample, uint32_t step)
{
	kt_must(step <= KT_STEPS_MAX);
	sample->msg.step = step;
}

void kt_assert_sample_set_epoch(struct kt_assert_sample *sample, uint32_t epoch)
{
	kt_must(epoch <= KT_EPOCHS_MAX);
	sample->msg.epoch = epoch;
}

void kt_assert_sample_set_placeholder(struct kt_assert_sample *sample, const char *why)
{
	sample->msg.placeholder =
		kt_arena_copy(&sample->arena, why, strnlen(why, KT_TEXT_BYTES_MAX));
}

/* White space and what cannot be printed. */
static bool is_blank(char c)
{
	return (unsigned char)c <= 0x20 || c == 0x7f;
}

static struct kt_msg_axis *axis_named(struct kt_assert_sample *sample, const char *name, size_t len,
				      struct kt_err *err)
{
	KT_AUTO_BUF text = { 0 };
	char given[KT_NAME_BYTES_MAX + 1];

	for (size_t i = 0; i < KT_SERIES_AXIS_N; i++) {
		const char *known = kt_series_axis_name((enum kt_series_axis)i);
		struct kt_msg_axis *axis = &sample->axes[i];

		if (strlen(known) != len || memcmp(known, name, len) != 0)
			continue;
		if (!axis->name)
			*axis = (struct kt_msg_axis){ .name = known,
						      .value = kt_value_map(&sample->arena, 0),
						      .error = "",
						      .text = "" };
		return axis;
	}
	snprintf(given, sizeof(given), "%.*s", (int)(len < KT_NAME_BYTES_MAX ? len : 0), name);
	kt_suggest_print(given, kt_series_axis_names(), KT_SERIES_AXIS_N, &text);
	kt_err_set(err, KT_FAULT_INPUT, EINVAL, "no axis '%s'; %s", given, kt_buf_text(&text));
	return NULL;
}

/* The member of that name; made, as nil, when it is not there; NULL: it is a value and no map. Rows of earlier lists
 * stay in the arena.
 */
static struct kt_value *member(struct kt_arena *arena, struct kt_value *map, const char *name,
			       size_t len)
{
	struct kt_value bigger;

	if (map->type == KT_VALUE_NIL)
		*map = kt_value_map(arena, 0);
	if (map->type != KT_VALUE_MAP)
		return NULL;
	for (uint32_t i = 0; i < map->n; i++)
		if (strlen(map->pairs[i].key) == len && memcmp(map->pairs[i].key, name, len) == 0)
			return &map->pairs[i].value;
	bigger = kt_value_map(arena, map->n + 1u);
	if (map->n)
		memcpy(bigger.pairs, map->pairs, map->n * sizeof(*bigger.pairs));
	bigger.pairs[map->n].key = kt_arena_copy(arena, name, len);
	*map = bigger;
	return &map->pairs[map->n - 1].value;
}

/* Only what a projection can name again (projection.h). */
static int check_path(const char *path, const char *colon, struct kt_err *err)
{
	size_t depth = 0;

	for (const char *p = colon; *p; depth++) {
		size_t len = strcspn(++p, ".");

		if (len == 0 || len > KT_NAME_BYTES_MAX || depth == PATH_DEPTH_MAX)
			return kt_err_set(
				err, KT_FAULT_INPUT, EINVAL,
				"'%.128s': names of 1 to %d bytes with dots between, at most %d",
				path, KT_NAME_BYTES_MAX, PATH_DEPTH_MAX);
		for (size_t i = 0; i < len; i++)
			if (is_blank(p[i]) || strchr("[]()=", p[i]))
				return kt_err_set(
					err, KT_FAULT_INPUT, EINVAL,
					"'%.128s': only names with dots between can be put, as in "
					"stats:a.b; a name has no white space and none of []()=",
					path);
		p += len;
	}
	return 0;
}

static int put_value(struct kt_assert_sample *sample, const char *path, struct kt_value value,
		     struct kt_err *err)
{
	const char *colon = strchr(path, ':');
	struct kt_msg_axis *axis;
	struct kt_value *at;

	if (!colon)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%.128s' is no axis:path", path);
	if (check_path(path, colon, err) < 0)
		return -EINVAL;
	axis = axis_named(sample, path, (size_t)(colon - path), err);
	if (!axis)
		return -EINVAL;
	if (*axis->error)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%.128s': the axis %s has failed (%s), it holds no values", path,
				  axis->name, axis->error);
	at = &axis->value;
	for (const char *p = colon; *p;) {
		size_t len = strcspn(++p, ".");

		at = member(&sample->arena, at, p, len);
		if (!at)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "'%.128s': there is a value at '%.*s', which has no "
					  "members",
					  path, (int)(p - 1 - path < 128 ? p - 1 - path : 128),
					  path);
		p += len;
	}
	if (at->type == KT_VALUE_MAP)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%.128s' has members: a value cannot stand there", path);
	*at = value;
	return 0;
}

static int put(struct kt_assert_sample *sample, const char *path, struct kt_value value,
	       struct kt_assert_error *error)
{
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	return put_value(sample, path, value, &err) < 0 ? assert_inside_error(&err, error) : 0;
}

int kt_assert_sample_put_u64(struct kt_assert_sample *sample, const char *path, uint64_t value,
			     struct kt_assert_error *error)
{
	return put(sample, path, kt_value_u64(value), error);
}

int kt_assert_sample_put_i64(struct kt_assert_sample *sample, const char *path, int64_t value,
			     struct kt_assert_error *error)
{
	return put(sample, path, kt_value_i64(value), error);
}

int kt_assert_sample_put_f64(struct kt_assert_sample *sample, const char *path, double value,
			     struct kt_assert_error *error)
{
	return put(sample, path, kt_value_f64(value), error);
}

int kt_assert_sample_put_bool(struct kt_assert_sample *sample, const char *path, bool value,
			      struct kt_assert_error *error)
{
	return put(sample, path, kt_value_bool(value), error);
}

static bool is_word(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (is_blank(text[i]))
			return false;
	return len >= 1 && len <= 64;
}

int kt_assert_sample_fail(struct kt_assert_sample *sample, const char *name, const char *type,
			  const char *text, struct kt_assert_error *error)
{
	struct kt_err err = { 0 };
	struct kt_msg_axis *axis;

	assert_inside_begin(error);
	if (!is_word(type)) {
		kt_err_set(&err, KT_FAULT_INPUT, EINVAL,
			   "an error's type is a word of 1 to 64 bytes, without white space");
		return assert_inside_error(&err, error);
	}
	axis = axis_named(sample, name, strlen(name), &err);
	if (!axis)
		return assert_inside_error(&err, error);
	axis->value = kt_value_nil();
	axis->error = kt_arena_strdup(&sample->arena, type);
	axis->text = kt_arena_copy(&sample->arena, text, strnlen(text, KT_TEXT_BYTES_MAX));
	return 0;
}

/* Variables stand in a map of the running scheduler (projection.h). */
static struct kt_value wrap_bpf(struct kt_arena *arena, struct kt_value vars)
{
	struct kt_value bpf = kt_value_map(arena, 1);
	struct kt_value maps = kt_value_list(arena, 1);
	struct kt_value map = kt_value_map(arena, 3);

	map.pairs[0] = (struct kt_value_pair){ "name", kt_value_str(arena, "series.bss") };
	map.pairs[1] = (struct kt_value_pair){ "running", kt_value_bool(true) };
	map.pairs[2] = (struct kt_value_pair){ "vars", vars };
	maps.items[0] = map;
	bpf.pairs[0] = (struct kt_value_pair){ "maps", maps };
	return bpf;
}

void kt_assert_sample_encode(const struct kt_assert_sample *sample, uint64_t seq,
			     struct kt_buf *body)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sample msg = sample->msg;
	struct kt_msg_axis axes[KT_SERIES_AXIS_N];

	msg.seq = seq;
	msg.axes = axes;
	for (size_t i = 0; i < KT_SERIES_AXIS_N; i++) {
		if (!sample->axes[i].name)
			continue;
		axes[msg.n_axes] = sample->axes[i];
		if (i == KT_SERIES_AXIS_BPF && !*axes[msg.n_axes].error)
			axes[msg.n_axes].value = wrap_bpf(&arena, sample->axes[i].value);
		msg.n_axes++;
	}
	kt_codec_encode(&kt_schema_sample, &msg, body);
}
