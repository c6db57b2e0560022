#include "worker/statsjson.h"
#include "proto/json/fromjson.h"

#include <criterion/criterion.h>
#include <string.h>

Test(statsjson, integers_keep_all_64_bits)
{
	static const char answer[] =
		"{\"errno\":0,\"args\":{\"resp\":{\"a\":18446744073709551615,\"b\":"
		"9007199254740993,"
		"\"c\":-9223372036854775808,\"d\":1.5,\"e\":\"x\\\"99999999999999999999999\",\"f\":"
		"[0,null,true]}}}";
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_axis axis;

	kt_statsjson_axis(answer, strlen(answer), &arena, &axis);
	cr_assert_str_eq(axis.error, "", "%s", axis.text);
	cr_assert_eq(kt_value_get(&axis.value, "a")->u64, UINT64_MAX);
	cr_assert_eq(kt_value_get(&axis.value, "b")->u64, 9007199254740993);
	cr_assert_eq(kt_value_get(&axis.value, "c")->i64, INT64_MIN);
	cr_assert_eq(kt_value_get(&axis.value, "d")->f64, 1.5);
	cr_assert_str_eq(kt_value_get(&axis.value, "e")->str, "x\"99999999999999999999999");
	cr_assert_eq(kt_value_get(&axis.value, "f")->n, 3);
	cr_assert_eq(kt_value_get(&axis.value, "f")->items[0].type, KT_VALUE_U64);
	cr_assert_eq(kt_value_get(&axis.value, "f")->items[2].boolean, true);
}

static const struct {
	const char *answer;
	const char *error;
	const char *words; /* in its text */
} refused[] = {
	{ "", "not_json", "0 bytes" },
	{ "{", "not_json", "" },
	{ "nonsense", "not_json", "" },
	{ "{\"errno\":0}x", "not_json", "" },
	{ "5", "not_json", "no JSON object" },
	{ "{}", "no_resp", "" },
	{ "{\"errno\":0,\"args\":{}}", "no_resp", "" },
	{ "{\"errno\":0,\"args\":[]}", "no_resp", "" },
	{ "{\"errno\":2,\"args\":{\"resp\":{}}}", "errno", "2 (ENOENT)" },
	{ "{\"errno\":-22,\"args\":{}}", "errno", "-22 (EINVAL)" },
	{ "{\"errno\":\"x\",\"args\":{\"resp\":{}}}", "errno", "" },
	{ "{\"errno\":0,\"args\":{\"resp\":{\"x\":18446744073709551616}}}", "not_json", "64 bits" },
	{ "{\"errno\":0,\"args\":{\"resp\":{\"x\":-9223372036854775809}}}", "not_json", "64 bits" },
};

Test(statsjson, what_is_no_answer_is_a_typed_error)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_axis axis;

		kt_statsjson_axis(refused[i].answer, strlen(refused[i].answer), &arena, &axis);
		cr_assert_str_eq(axis.error, refused[i].error, "%s: %s", refused[i].answer,
				 axis.text);
		cr_assert(strstr(axis.text, refused[i].words), "%s: %s", refused[i].answer,
			  axis.text);
		cr_assert_eq(axis.value.type, KT_VALUE_NIL);
	}
}

Test(statsjson, too_many_values_are_too_large)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF answer = { 0 };
	struct kt_msg_axis axis;

	kt_buf_puts(&answer, "{\"errno\":0,\"args\":{\"resp\":[0");
	for (int i = 0; i < KT_FROMJSON_NODES_MAX; i++)
		kt_buf_puts(&answer, ",0");
	kt_buf_puts(&answer, "]}}");
	kt_statsjson_axis(answer.data, answer.len, &arena, &axis);
	cr_assert_str_eq(axis.error, "too_large");
}
