#include "fixture.h"

#include <errno.h>

/* ---- trees out of texts: {name: value, ...}, [value, ...], numbers, words; ~ is nil ---- */

struct reader {
	struct kt_arena *arena;
	const char *at;
};

static void skip(struct reader *reader)
{
	reader->at += strspn(reader->at, " ,\n\t");
}

static struct kt_value read_tree(struct reader *reader);

/* Trees of the tests are a few levels deep. */
static struct kt_value read_items(struct reader *reader, bool map)
{
	struct kt_value value =
		map ? kt_value_map(reader->arena, 16) : kt_value_list(reader->arena, 16);

	value.n = 0;
	reader->at++;
	for (skip(reader); *reader->at != ']' && *reader->at != '}'; skip(reader)) {
		kt_must(value.n < 16);
		if (map) {
			size_t len = strcspn(reader->at, ":");

			value.pairs[value.n].key = kt_arena_copy(reader->arena, reader->at, len);
			reader->at += len + 1;
			skip(reader);
			value.pairs[value.n].value = read_tree(reader);
		} else {
			value.items[value.n] = read_tree(reader);
		}
		value.n++;
	}
	reader->at++;
	return value;
}

static struct kt_value read_tree(struct reader *reader)
{
	struct kt_value value = { .type = KT_VALUE_STR };
	struct kt_number number;

	if (*reader->at == '{' || *reader->at == '[')
		return read_items(reader, *reader->at == '{');
	value.n = (uint32_t)strcspn(reader->at, " ,]}");
	value.str = kt_arena_copy(reader->arena, reader->at, value.n);
	reader->at += value.n;
	if (strcmp(value.str, "~") == 0)
		return kt_value_nil();
	if (strcmp(value.str, "nan") == 0)
		return kt_value_f64(NAN);
	if (strcmp(value.str, "true") == 0 || strcmp(value.str, "false") == 0)
		return kt_value_bool(value.str[0] == 't');
	if (!kt_number_from_value(&value, KT_NUMBER_WANT_ANY, &number))
		return value;
	return number.type == KT_NUMBER_F64   ? kt_value_f64(number.f64)
	       : number.type == KT_NUMBER_U64 ? kt_value_u64(number.u64)
					      : kt_value_i64(number.i64);
}

static struct kt_value tree(struct kt_arena *arena, const char *text)
{
	struct reader reader = { .arena = arena, .at = text };

	return read_tree(&reader);
}

/* ---- reading projections ---- */

Test(projection, mistakes_are_refused_at_their_character)
{
	static const struct {
		const char *text;
		size_t at;
		const char *says;
	} rows[] = {
		{ "", 0, "an axis and ':' belong before the path" },
		{ "nr_dispatched", 0, "for example bpf:nr_dispatched" },
		{ "bfp:x", 0, "unknown axis 'bfp'; did you mean 'bpf'? known: bpf, stats," },
		{ ":x", 0, "unknown axis ''" },
		{ "bpf:", 4, "a name belongs here" },
		{ "bpf:a.", 6, "a name belongs here" },
		{ "bpf:a..b", 6, "a name belongs here" },
		{ "bpf:.a", 4, "a name belongs here" },
		{ "bpf:[1]", 4, "a name belongs here" },
		{ "bpf:a[", 6, "a whole number and ']' belong here" },
		{ "bpf:a[]", 6, "a whole number and ']' belong here" },
		{ "bpf:a[1", 7, "a whole number and ']' belong here" },
		{ "bpf:a[1x]", 7, "a whole number and ']' belong here" },
		{ "bpf:a[x]", 6, "an entry is [member=value]" },
		{ "bpf:a[-1]", 6, "an index is a whole number" },
		{ "bpf:a[18446744073709551616]", 6, "too large" },
		{ "bpf:a[=1]", 6, "a member's name belongs before '='" },
		{ "bpf:a[k=]", 8, "a value belongs behind '='" },
		{ "bpf:a[k=1", 9, "']' is missing" },
		{ "bpf:a[1]b", 8, "'.' or '[' belongs here" },
		{ "bpf:a]", 5, "unexpected ']'" },
		{ "bpf:cpu(1)", 4, "a name belongs before cpu()" },
		{ "bpf:a.cpu()", 10, "a whole number and ')' belong here" },
		{ "bpf:a.cpu(1", 11, "a whole number and ')' belong here" },
		{ "bpf:a.gpu(1)", 9, "items are name, [index], [member=value], cpu(n)" },
		{ "bpf:a b", 5, "a space or control character" },
		{ "bpf:a\nb", 5, "'bpf:a?b'" },
		{ "bpf:a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a", 69,
		  "more than 32 steps" },
		{ "bpf:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  128, "longer than 128 bytes" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_projection projection;
		struct kt_err err = { 0 };
		size_t at = 99999;

		cr_assert_eq(kt_projection_parse(rows[i].text, &arena, &projection, &at, &err),
			     -EINVAL, "%s", rows[i].text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert_eq(at, rows[i].at, "%s: %zu: %s", rows[i].text, at, err.text);
		cr_assert(strstr(err.text, rows[i].says), "%s: %s", rows[i].text, err.text);
	}
}

/* ---- projecting ---- */

/* One sample with this tree on this axis, projected: a value as text or an error's. */
static const char *project(struct kt_arena *arena, const char *text, const char *values,
			   enum kt_number_want want)
{
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_BUF body = { 0 };
	struct kt_projection projection;
	struct kt_column column;
	struct kt_err err = { 0 };
	struct kt_value value = tree(arena, values);
	struct kt_number number;

	cr_assert_eq(kt_projection_parse(text, arena, &projection, NULL, &err), 0, "%s", err.text);
	fixture_body(4, 850, "", kt_series_axis_name(projection.axis), &value, "", &body);
	cr_assert_eq(kt_series_append(&series, body.data, body.len, &err), 0, "%s", err.text);
	kt_projection_column(&projection, &series, want, arena, &column);
	cr_assert_eq(column.n, 1);
	cr_assert_eq(column.slots[0].elapsed_ns, 850 * KT_NS_PER_MS);
	cr_assert_str_eq(column.slots[0].tag, "periodic_004");
	if (!kt_column_slot_usable(&column.slots[0])) {
		const struct kt_column_error *error = column.slots[0].error;
		const char *name = kt_column_error_name(error->type);

		cr_assert_eq(strncmp(error->text, name, strlen(name)), 0, "%s", error->text);
		return error->text;
	}
	number = kt_column_slot_number(&column.slots[0]);
	return kt_number_format(&number, kt_arena_alloc(arena, 1, KT_NUMBER_TEXT_BYTES));
}

struct row {
	const char *text;
	const char *result; /* the value; an error's begin */
};

static void check(const char *values, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		KT_AUTO_ARENA arena = { 0 };
		const char *result = project(&arena, rows[i].text, values, KT_NUMBER_WANT_ANY);

		cr_assert_eq(strncmp(result, rows[i].result, strlen(rows[i].result)), 0, "%s: %s",
			     rows[i].text, result);
		if (strlen(rows[i].result) < 6) /* values whole */
			cr_assert_str_eq(result, rows[i].result);
	}
}

#define CHECK(values_, rows_) check(values_, rows_, sizeof(rows_) / sizeof(rows_[0]))

Test(projection, walks_the_tree_of_the_stats_axis)
{
	static const struct row rows[] = {
		{ "stats:nr", "7" },
		{ "stats:a.b[2]", "30" },
		{ "stats:a.b[0]", "10" },
		{ "stats:a.c", "-1" },
		{ "stats:text", "12" },
		{ "stats:yes", "true" },
		{ "stats:layers[name=fast].util", "50" },
		{ "stats:layers[id=2].util", "60" },
		{ "stats:a.cpu_sum", "5" },
		{ "stats:a.b.cpu_sum", "60" },
		{ "stats:big", "18446744073709551615" },
		{ "stats:nrr", "MemberNotFound: stats:nrr: no member 'nrr'; did you mean 'nr'? "
			       "known: nr, a, text, yes, word, layers, none, big" },
		{ "stats:a.x.y",
		  "MemberNotFound: stats:a.x.y: at stats:a: no member 'x'; known: b" },
		{ "stats:a.b[3]", "IndexOutOfRange: stats:a.b[3]: at stats:a.b: [3] of 3 items" },
		{ "stats:nr.x", "NotAMap: stats:nr.x: at stats:nr: 'x' is asked of the integer 7" },
		{ "stats:nr[0]", "NotAList: stats:nr[0]: at stats:nr: an item is asked of the" },
		{ "stats:a[0]",
		  "NotAList: stats:a[0]: at stats:a: an item is asked of a map of 3" },
		{ "stats:a.b.x",
		  "NotAMap: stats:a.b.x: at stats:a.b: 'x' is asked of a list of 3" },
		{ "stats:a", "TypeMismatch: stats:a: a map of 3 is no number" },
		{ "stats:a.b", "TypeMismatch: stats:a.b: a list of 3 is no number" },
		{ "stats:word", "TypeMismatch: stats:word: the string \"hello\" is no number" },
		{ "stats:none", "NoValue: stats:none: nothing could be read there" },
		{ "stats:none.x", "NoValue: stats:none.x: at stats:none: nothing could be read" },
		{ "stats:layers[name=best].util", "EntryNotFound: stats:layers[name=best].util: at "
						  "stats:layers: none of 2 entries has "
						  "name = best; there is: \"fast\", \"slow\"" },
		{ "stats:layers[nme=fast].util", "EntryNotFound: " },
	};

	CHECK("{nr: 7, a: {b: [10, 20, 30], c: -1, cpu_sum: 5}, text: 12, yes: true, word: hello,"
	      " layers: [{name: fast, id: 1, util: 50}, {name: slow, id: 2, util: 60}], none: ~,"
	      " big: 18446744073709551615}",
	      rows);
}

Test(projection, reads_maps_and_cpus_of_the_bpf_axis)
{
	static const struct row rows[] = {
		{ "bpf:nr_dispatched", "100" },
		{ "bpf:scx_kt.bss.nr_dispatched", "100" },
		{ "bpf:hist[1]", "8" },
		{ "bpf:pair.lo", "3" },
		{ "bpf:slice", "20" },
		{ "bpf:map[3].member", "44" },
		{ "bpf:tasks[key=17].value.runs", "9" },
		/* per CPU */
		{ "bpf:stats[0].cpu_sum", "6" },
		{ "bpf:stats[0].cpu_max", "3" },
		{ "bpf:stats[0].cpu_min", "1" },
		{ "bpf:stats[0].cpu(2)", "3" },
		{ "bpf:pcs[0].local.cpu_sum", "30" },
		{ "bpf:pcs[0].cpu_sum.local", "30" },
		{ "bpf:pcs[0].cpu(1).local", "20" },
		{ "bpf:pcs[0].local.cpu(1)", "20" },
		{ "bpf:pcs[0].q[1].cpu_max", "4" },
		{ "bpf:empty[0].cpu_sum", "0" },
		{ "bpf:over[0].cpu_max", "18446744073709551615" },
		{ "bpf:nans[0].cpu_max", "NaN" },
		{ "bpf:empty[0].cpu_max", "NoCpus: bpf:empty[0].cpu_max: cpu_max of no CPUs" },
		{ "bpf:empty[0].cpu_min", "NoCpus: " },
		{ "bpf:over[0].cpu_sum", "Overflow: bpf:over[0].cpu_sum: the sum over 2 CPUs" },
		{ "bpf:holes[0].cpu_sum",
		  "NoValue: bpf:holes[0].cpu_sum: nothing could be read there "
		  "of CPU 1" },
		{ "bpf:stats[0].cpu(3)",
		  "CpuNotFound: bpf:stats[0].cpu(3): at bpf:stats[0]: CPU 3 of 3" },
		{ "bpf:stats[0]",
		  "NotNarrowed: bpf:stats[0]: a value for each of 3 CPUs: add .cpu(n)" },
		{ "bpf:stats.cpu_sum", "NotNarrowed: bpf:stats.cpu_sum: at bpf:stats: choose one" },
		{ "bpf:stats[1].cpu_sum", "IndexOutOfRange: " },
		{ "bpf:stats[0].cpu_sum.cpu_max", "NotAList: " },
		{ "bpf:nr_dispatched.cpu_sum",
		  "NotAList: bpf:nr_dispatched.cpu_sum: at "
		  "bpf:nr_dispatched: CPUs are asked of the integer 100" },
		{ "bpf:pcs[0].nope.cpu_sum", "MemberNotFound: " },
		{ "bpf:unread[0]",
		  "NoValue: bpf:unread[0]: at bpf:unread: maps of type 'ringbuf' are" },
	};

	CHECK("{scheduler: kt, maps: ["
	      " {name: scx_kt.bss, type: array, running: true,"
	      "  vars: {nr_dispatched: 100, hist: [7, 8], pair: {lo: 3, hi: 4}}},"
	      " {name: scx_kt.rodata, type: array, running: true, vars: {slice: 20}},"
	      " {name: map, type: array, running: true, entries: [0, 0, 0, {member: 44}]},"
	      " {name: tasks, type: hash, running: true,"
	      "  entries: [{key: 16, value: {runs: 8}}, {key: 17, value: {runs: 9}}]},"
	      " {name: stats, type: percpu_array, running: true, entries: [[1, 2, 3]]},"
	      " {name: pcs, type: percpu_array, running: true,"
	      "  entries: [[{local: 10, q: [1, 2]}, {local: 20, q: [3, 4]}]]},"
	      " {name: empty, type: percpu_array, running: true, entries: [[]]},"
	      " {name: over, type: percpu_array, running: true,"
	      "  entries: [[18446744073709551615, 1]]},"
	      " {name: nans, type: percpu_array, running: true, entries: [[1, nan, 3]]},"
	      " {name: holes, type: percpu_array, running: true, entries: [[1, ~, 3]]},"
	      " {name: unread, type: ringbuf, running: true}"
	      "]}",
	      rows);
}

Test(projection, a_bare_name_finds_the_running_schedulers_own)
{
	static const struct row rows[] = {
		{ "bpf:only_old", "1" }, /* one hit is the value */
		{ "bpf:both", "22" }, /* the running one's */
		{ "bpf:old.bss.both", "11" }, /* unless its map is named */
		{ "bpf:twice", "AmbiguousVar: bpf:twice: 'twice' is in 2 maps: new.bss (running), "
			       "new.data (running); write the map's name before it" },
		{ "bpf:new.data.twice", "6" },
		{ "bpf:stale",
		  "AmbiguousVar: bpf:stale: 'stale' is in 2 maps: old.bss, older.bss" },
		{ "bpf:bth", "VarNotFound: bpf:bth: no variable or map 'bth'; did you mean 'both'? "
			     "known: both, twice, twice, arr, only_old, both, stale, stale" },
		{ "bpf:new.bss.bth", "MemberNotFound: bpf:new.bss.bth: at bpf:new.bss: no member" },
		{ "bpf:both.x", "NotAMap: bpf:both.x: at bpf:both: " },
	};

	CHECK("{maps: ["
	      " {name: old.bss, type: array, running: false, vars: {only_old: 1, both: 11, stale: "
	      "3}},"
	      " {name: new.bss, type: array, running: true, vars: {both: 22, twice: 5}},"
	      " {name: new.data, type: array, running: true, vars: {twice: 6}},"
	      " {name: older.bss, type: array, running: false, vars: {stale: 4}},"
	      " {name: arr, type: array, running: true, entries: [1]}"
	      "]}",
	      rows);
}

/* What the guest says is not trusted to have the right shape. */
Test(projection, a_tree_of_the_wrong_shape_is_an_error_value)
{
	static const char *const trees[] = {
		"5",
		"~",
		"[]",
		"{}",
		"{maps: 5}",
		"{maps: [5, ~, [], {}, {name: 5}]}",
		"{maps: {}}",
		"{maps: [{vars: 5}]}",
		"{maps: [{name: x, vars: ~}]}",
		"{maps: []}",
		"{maps: [{name: x, entries: 5, type: [], running: 3}]}",
	};
	static const char *const texts[] = { "bpf:x", "bpf:x[0].cpu_sum", "bpf:x.y", "bpf:x[k=1]",
					     "bpf:x.cpu_sum" };

	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
			KT_AUTO_ARENA arena = { 0 };
			const char *result =
				project(&arena, texts[j], trees[i], KT_NUMBER_WANT_ANY);

			cr_assert(strchr(result, ':'), "%s in %s: %s", texts[j], trees[i], result);
		}
}

Test(projection, reads_a_column_as_what_is_wanted)
{
	static const struct {
		enum kt_number_want want;
		const char *value;
		const char *result;
	} rows[] = {
		{ KT_NUMBER_WANT_U64, "{x: true}", "1" },
		{ KT_NUMBER_WANT_U64, "{x: -1}",
		  "TypeMismatch: stats:x: the integer -1 is no u64" },
		{ KT_NUMBER_WANT_BOOL, "{x: true}", "true" },
		{ KT_NUMBER_WANT_BOOL, "{x: 1}",
		  "TypeMismatch: stats:x: the integer 1 is no bool" },
		{ KT_NUMBER_WANT_F64, "{x: 2.5}", "2.5" },
		{ KT_NUMBER_WANT_I64, "{x: 2.5}",
		  "TypeMismatch: stats:x: the float 2.5 is no i64" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };

		cr_assert_str_eq(project(&arena, "stats:x", rows[i].value, rows[i].want),
				 rows[i].result);
	}
}

Test(projection, what_was_not_captured_is_an_error_value)
{
	static const struct {
		const char *placeholder;
		const char *axis;
		const char *error;
		const char *says;
	} rows[] = {
		{ "the guest did not freeze in 200 ms", NULL, "",
		  "Placeholder: bpf:x: the guest did not freeze in 200 ms" },
		{ "", NULL, "",
		  "AxisMissing: bpf:x: the sample has no axis 'bpf'; there is: none" },
		{ "", "stats", "",
		  "AxisMissing: bpf:x: the sample has no axis 'bpf'; there is: stats" },
		{ "", "bpf", "unmapped", "AxisError: bpf:x: unmapped" },
		{ "", "bpf", "not_applicable",
		  "NotApplicable: bpf:x: the cell has nothing to read there" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_SERIES series = { 0 };
		KT_AUTO_BUF body = { 0 };
		struct kt_projection projection;
		struct kt_column column;

		fixture_body(0, 1, rows[i].placeholder, rows[i].axis, NULL, rows[i].error, &body);
		cr_assert_eq(kt_series_append(&series, body.data, body.len, NULL), 0);
		cr_assert_eq(kt_projection_parse("bpf:x", &arena, &projection, NULL, NULL), 0);
		kt_projection_column(&projection, &series, KT_NUMBER_WANT_ANY, &arena, &column);
		cr_assert_not(kt_column_slot_usable(&column.slots[0]));
		cr_assert_str_eq(column.slots[0].error->text, rows[i].says);
	}
}
