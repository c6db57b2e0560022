#include "worker/statsjson.h"
#include "proto/json/fromjson.h"

#include <errno.h>
#include <string.h>

const char kt_statsjson_request[] = "{\"req\":\"stats\",\"args\":{\"target\":\"top\"}}";

void kt_statsjson_error(const char *error, const char *text, struct kt_arena *arena,
			struct kt_msg_axis *axis)
{
	*axis = (struct kt_msg_axis){ .name = "stats",
				      .value = kt_value_nil(),
				      .error = kt_arena_strdup(arena, error),
				      .text = kt_arena_strdup(arena, text) };
}

/* Who answers with an errno says little else; its name helps. */
static void axis_of_errno(const struct kt_value *code, struct kt_arena *arena,
			  struct kt_msg_axis *axis)
{
	KT_AUTO_BUF said = { 0 };
	const char *name = NULL;

	if (code->type == KT_VALUE_U64 && code->u64 < 4096)
		name = strerrorname_np((int)code->u64);
	else if (code->type == KT_VALUE_I64 && code->i64 > -4096)
		name = strerrorname_np((int)-code->i64);
	kt_value_print(code, 64, &said);
	kt_statsjson_error("errno",
			   kt_arena_printf(arena, "the scheduler answered errno %s%s%s%s",
					   kt_buf_text(&said), name ? " (" : "", name ? name : "",
					   name ? ")" : ""),
			   arena, axis);
}

static void axis_of_answer(const struct kt_value *answer, struct kt_arena *arena,
			   struct kt_msg_axis *axis)
{
	const struct kt_value *code = kt_value_get(answer, "errno");
	const struct kt_value *args = kt_value_get(answer, "args");
	const struct kt_value *resp = args ? kt_value_get(args, "resp") : NULL;

	if (answer->type != KT_VALUE_MAP)
		kt_statsjson_error("not_json", "the answer is no JSON object", arena, axis);
	else if (code && !(code->type == KT_VALUE_U64 && code->u64 == 0))
		axis_of_errno(code, arena, axis);
	else if (!resp)
		kt_statsjson_error("no_resp", "the answer has no args.resp", arena, axis);
	else
		*axis = (struct kt_msg_axis){
			.name = "stats", .value = *resp, .error = "", .text = ""
		};
}

void kt_statsjson_axis(const void *body, size_t len, struct kt_arena *arena,
		       struct kt_msg_axis *axis)
{
	struct kt_value answer;
	struct kt_err err = { 0 };

	if (len == 0 || len > KT_STATS_BYTES_MAX)
		kt_statsjson_error(len ? "too_large" : "not_json",
				   kt_arena_printf(arena, "an answer of %zu bytes", len), arena,
				   axis);
	else if (kt_fromjson(body, len, arena, &answer, NULL, &err) < 0)
		kt_statsjson_error(err.code == E2BIG ? "too_large" : "not_json",
				   kt_arena_printf(arena, "the answer: %s", err.text), arena, axis);
	else
		axis_of_answer(&answer, arena, axis);
}
