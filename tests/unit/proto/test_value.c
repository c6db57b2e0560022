#include "proto/value.h"
#include "tests/unit/proto/fill.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(value, a_tree_comes_back_equal_and_any_change_makes_it_another)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_value value = fill_value(&arena);
	struct kt_value back;
	struct kt_err err;

	kt_value_encode(&value, &bytes);
	cr_assert(kt_value_decode(bytes.data, bytes.len, &arena, &back, &err) == 0, "%s", err.text);
	cr_assert(kt_value_equal(&value, &back));
	for (uint32_t i = 0; i < value.n; i++) {
		struct kt_value kept = back.pairs[i].value;

		back.pairs[i].value = kt_value_u64(1);
		cr_assert(!kt_value_equal(&value, &back), "%s", value.pairs[i].key);
		back.pairs[i].value = kept;
	}
	cr_assert(kt_value_get(&back, "u64")->u64 == 300);
	cr_assert(kt_value_get(&back, "i64")->i64 == INT64_MIN);
	cr_assert(kt_value_get(&back, "none") == NULL);
	cr_assert(kt_value_get(kt_value_get(&back, "u64"), "x") == NULL, "not a map");
}

Test(value, each_integer_has_one_form_and_keeps_all_its_bits)
{
	static const int64_t numbers[] = { INT64_MIN, -1, 0, 1, INT64_MAX };

	for (size_t i = 0; i < 5; i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF bytes = { 0 };
		struct kt_value value = kt_value_i64(numbers[i]);
		struct kt_value back;

		cr_assert(value.type == (numbers[i] < 0 ? KT_VALUE_I64 : KT_VALUE_U64));
		kt_value_encode(&value, &bytes);
		cr_assert(kt_value_decode(bytes.data, bytes.len, &arena, &back, NULL) == 0);
		cr_assert(kt_value_equal(&value, &back));
	}
}

Test(value, trees_that_are_not_ours_are_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *error;
	} rows[] = {
		{ "\x81\x01\x02", 3, "a map key is not a text" },
		{ "\x81\xa2k\0\x02", 5, "a map key is not a text" },
		{ "\x82\xa1k\x02\xa1k\x03", 7, "map key 'k' twice" },
		{ "\x83\xa1"
		  "a\x02\xa1k\x03\xa1"
		  "a\x04",
		  10, "map key 'a' twice" },
		{ "\xc4\x01x", 3, "no known type" }, /* binary is for fields */
		{ "\x91\x91\xc4\x01x", 5, "no known type" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_value value;
		struct kt_err err = { 0 };

		cr_assert(kt_value_decode(rows[i].bytes, rows[i].len, &arena, &value, &err) ==
				  -EPROTO,
			  "row %zu", i);
		cr_assert(err.fault == KT_FAULT_PEER);
		cr_assert(strstr(err.text, rows[i].error), "row %zu: %s", i, err.text);
	}
}

Test(value, an_arena_too_small_is_an_error_whatever_its_size)
{
	KT_AUTO_ARENA whole = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_value value = fill_value(&whole);
	size_t n_refused = 0;

	kt_value_encode(&value, &bytes);
	for (size_t max = 1; max < 4096; max += 16) {
		KT_AUTO_ARENA arena = { .max = max };
		struct kt_value back;
		struct kt_err err = { 0 };

		if (kt_value_decode(bytes.data, bytes.len, &arena, &back, &err) == 0) {
			cr_assert(kt_value_equal(&value, &back));
			continue;
		}
		n_refused++;
		cr_assert(strstr(err.text, "too large"));
	}
	cr_assert(n_refused > 10);
}

Test(value, printing_is_for_people_and_holds_no_surprise)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value hostile = kt_value_map(&arena, 2);
	struct kt_value tree = fill_value(&arena);
	KT_AUTO_BUF out = { 0 };

	kt_value_print(&tree, 1000, &out);
	cr_assert(strcmp(kt_buf_text(&out),
			 "{nil: nil, bool: true, u64: 300, i64: -9223372036854775808, f64: 0.1, "
			 "nan: nan, str: \"gr\xc3\xbc\xc3\x9f\", "
			 "list: [18446744073709551615, {}, []]}") == 0,
		  "%s", kt_buf_text(&out));
	hostile.pairs[0] = (struct kt_value_pair){ "\x1b[2J", kt_value_str(&arena, "a\n\x1b\"") };
	hostile.pairs[1] = (struct kt_value_pair){ "", kt_value_nil() };
	kt_buf_reset(&out);
	kt_value_print(&hostile, 1000, &out);
	cr_assert(strcmp(kt_buf_text(&out), "{\"\\x1b[2J\": \"a\\x0a\\x1b\\\"\", \"\": nil}") == 0,
		  "%s", kt_buf_text(&out));
	for (size_t max = 1; max < 100; max++) {
		kt_buf_reset(&out);
		kt_value_print(&tree, max, &out);
		cr_assert(out.len <= max + 3);
		cr_assert(strcmp(kt_buf_text(&out) + out.len - 3, "...") == 0);
	}
}
