#include "proto/json/tojson.h"
#include "proto/schema.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void is_json(struct json_object *json, const char *expected)
{
	const char *text = json_object_to_json_string_ext(
		json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	cr_assert_str_eq(text, expected);
	json_object_put(json);
}

Test(tojson, a_struct_is_an_object_with_its_fields_names)
{
	struct kt_msg_arg args[] = { { "scx_kt" }, { "--slow" } };
	struct kt_msg_file file = { .path = "/kt/bin/scx_kt",
				    .mode = 0755,
				    .digest = { (const uint8_t *)"\x01\xff", 2 },
				    .bytes = UINT64_MAX };
	struct kt_msg_scheduler scheduler = { .name = "s", .args = args, .n_args = 2 };

	is_json(kt_tojson_struct(&kt_schema_file, &file),
		"{\"path\":\"/kt/bin/scx_kt\",\"mode\":493,\"digest\":\"01ff\","
		"\"bytes\":18446744073709551615}");
	is_json(kt_tojson_struct(&kt_schema_scheduler, &scheduler),
		"{\"name\":\"s\",\"args\":[{\"text\":\"scx_kt\"},{\"text\":\"--slow\"}],\"files\":["
		"]}");
}

Test(tojson, texts_of_any_bytes_become_utf8)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "a\xc3", "\"a\xef\xbf\xbd\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf0\x9f\x90\xa7", "\"\xf0\x9f\x90\xa7\"" },
		{ "</script>\x1b[2J\"", "\"</script>\\u001b[2J\\\"\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_json(kt_tojson_text(rows[i].text, strlen(rows[i].text)), rows[i].json);
}

Test(tojson, what_json_cannot_say_is_null)
{
	struct kt_value nan = kt_value_f64(NAN);
	struct kt_value inf = kt_value_f64(INFINITY);

	cr_assert_null(kt_tojson_value(&nan));
	cr_assert_null(kt_tojson_value(&inf));
}
