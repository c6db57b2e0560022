#include "proto/json/fromjson.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(fromjson, a_text_becomes_the_tree_that_it_spells)
{
	static const struct {
		const char *text;
		const char *is;
	} texts[] = {
		{ "{\"a\": [1, -2, 2.5, true, null], \"b\": {\"c\": \"x\\ny\"}}\n",
		  "{a: [1, -2, 2.5, true, nil], b: {c: \"x\\x0ay\"}}" },
		{ "18446744073709551615", "18446744073709551615" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ " 9007199254740993 ", "9007199254740993" },
		{ "{\"a\":1,\"a\":2}", "{a: 2}" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF printed = { 0 };
		struct kt_value value;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_fromjson(texts[i].text, strlen(texts[i].text), &arena, &value, NULL,
					 &err),
			     0, "%s: %s", texts[i].text, err.text);
		kt_value_print(&value, 200, &printed);
		cr_assert_str_eq(kt_buf_text(&printed), texts[i].is);
	}
}

Test(fromjson, what_stands_behind_is_left_to_the_caller)
{
	static const char text[] = "{\"a\": 1}\nand 99999999999999999999999 more";
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value value;
	struct kt_err err = { 0 };
	size_t used = 0;

	cr_assert_eq(kt_fromjson(text, strlen(text), &arena, &value, &used, &err), 0, "%s",
		     err.text);
	cr_assert_eq(used, 9, "the value and the blank behind it");
	cr_assert_eq(kt_value_get(&value, "a")->u64, 1);
	cr_assert_eq(kt_fromjson(text, strlen(text), &arena, &value, NULL, &err), -EINVAL);
}

Test(fromjson, what_is_no_json_is_said_to_be_none)
{
	static const struct {
		const char *text;
		int status;
		const char *said;
	} refused[] = {
		{ "", -EINVAL, "not JSON" },
		{ "{", -EINVAL, "not JSON" },
		{ "{\"a\": }", -EINVAL, "not JSON: " },
		{ "{a: 1}", -EINVAL, "at byte 1" },
		{ "[18446744073709551616]", -EINVAL, "64 bits" },
		{ "[-9223372036854775809]", -EINVAL, "64 bits" },
		{ "[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]", -EINVAL, "not JSON: nesting too deep" },
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_value value;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_fromjson(refused[i].text, strlen(refused[i].text), &arena, &value,
					 NULL, &err),
			     refused[i].status, "%s", refused[i].text);
		cr_assert(strstr(err.text, refused[i].said), "%s: %s", refused[i].text, err.text);
		cr_assert_eq(err.fault, KT_FAULT_GUEST);
	}
}
