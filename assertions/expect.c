#include "assertions/expect.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"
#include "proto/cause.h"

#include <errno.h>
#include <string.h>

/* ---- reading ---- */

static int wrong_outcome(struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "what can be expected is \"fail\": a pass is expected without it");
}

static bool is_result(const struct kt_cause *cause)
{
	return cause->side == KT_CAUSE_NONE || cause->side == KT_CAUSE_GUEST;
}

static int read_cause(const struct kt_value *value, struct kt_expect *expect, struct kt_err *err)
{
	const struct kt_cause *cause = NULL;
	const char *names[KT_CAUSE_ID_N];
	size_t n = 0;
	KT_AUTO_BUF known = { 0 };

	if (value->type == KT_VALUE_STR)
		cause = kt_cause_by_name(value->str);
	if (cause && is_result(cause)) {
		expect->cause = cause->name;
		return 0;
	}
	if (cause && cause->side == KT_CAUSE_LACK)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "cause '%s' is no failure: the cell is skipped", cause->name);
	if (cause)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "cause '%s' is trouble of the host or the user, never a result",
				  cause->name);
	for (int i = 0; i < KT_CAUSE_ID_N; i++)
		if (is_result(kt_cause((enum kt_cause_id)i)))
			names[n++] = kt_cause((enum kt_cause_id)i)->name;
	if (value->type != KT_VALUE_STR)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "cause must be a text, not %s",
				  kt_value_type_name(value->type));
	kt_suggest_print(value->str, names, n, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "unknown cause '%.*s'; %s",
			  KT_NAME_BYTES_MAX, value->str, kt_buf_text(&known));
}

static int read_log(const struct kt_value *value, struct kt_arena *arena, struct kt_expect *expect,
		    struct kt_err *err)
{
	if (value->type != KT_VALUE_STR || value->n == 0 || value->n > KT_NAME_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "log must be a text of 1 to %d bytes: a piece of a line",
				  KT_NAME_BYTES_MAX);
	for (uint32_t i = 0; i < value->n; i++)
		if ((unsigned char)value->str[i] < 0x20)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "log must be without control characters: a piece of one "
					  "line");
	expect->log = kt_arena_copy(arena, value->str, value->n);
	return 0;
}

static int read_key(const char *key, const struct kt_value *value, struct kt_arena *arena,
		    struct kt_place *place, struct kt_expect *expect, struct kt_err *err)
{
	static const char *const names[] = { "outcome", "cause", "log" };
	KT_AUTO_BUF known = { 0 };

	if (strcmp(key, "cause") == 0)
		return read_cause(value, expect, err);
	if (strcmp(key, "log") == 0)
		return read_log(value, arena, expect, err);
	if (strcmp(key, "outcome") == 0)
		return value->type == KT_VALUE_STR && strcmp(value->str, "fail") == 0
			       ? 0
			       : wrong_outcome(err);
	place->at_key = true;
	kt_suggest_print(key, names, 3, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "unknown key '%.*s' of expect; %s",
			  KT_NAME_BYTES_MAX, key, kt_buf_text(&known));
}

int kt_expect_read(const struct kt_value *value, struct kt_arena *arena, struct kt_place *place,
		   struct kt_expect *expect, struct kt_err *err)
{
	*expect = (struct kt_expect){ 0 };
	if (value->type == KT_VALUE_STR && strcmp(value->str, "fail") == 0)
		return 0;
	if (value->type != KT_VALUE_MAP)
		return wrong_outcome(err);
	for (uint32_t i = 0; i < value->n; i++) {
		size_t mark = kt_place_enter(place, value->pairs[i].key);
		int status = read_key(value->pairs[i].key, &value->pairs[i].value, arena, place,
				      expect, err);

		if (status < 0)
			return status;
		kt_place_leave(place, mark);
	}
	return 0;
}

/* ---- judging ---- */

/* The usual walk with one way back: to the last '*', which then takes one character more. */
bool kt_expect_matches(const char *pattern, const char *line, size_t len)
{
	const char *star = pattern; /* what follows the last '*'; the whole may begin anywhere */
	const char *p = pattern;
	size_t from = 0; /* where what follows the last '*' was tried */
	size_t i = 0;

	while (*p) {
		if (*p == '*') {
			star = ++p;
			from = i;
		} else if (i < len && *p == line[i]) {
			p++;
			i++;
		} else if (from < len) {
			p = star;
			i = ++from;
		} else {
			return false;
		}
	}
	return true;
}

static bool any_line_matches(const char *pattern, const char *text)
{
	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");

		if (kt_expect_matches(pattern, at, len))
			return true;
		at += len + (at[len] == '\n');
	}
	return false;
}

static bool log_matches(const struct kt_expect *expect, const struct kt_msg_result *result)
{
	return any_line_matches(expect->log, result->line) ||
	       any_line_matches(expect->log, result->evidence);
}

static void say(struct kt_verdict *verdict, enum kt_verdict_outcome outcome, const char *text)
{
	kt_verdict_say(verdict, outcome, KT_VERDICT_KIND_EXPECT, "", "%s", text);
}

void kt_expect_judge(const struct kt_expect *expect, const struct kt_msg_result *result,
		     const struct kt_verdict *found, struct kt_verdict *verdict)
{
	const struct kt_verdict_detail *first = kt_verdict_headline(found);
	const char *said = first ? first->text : "nothing was asserted";
	enum kt_verdict_outcome outcome = kt_verdict_outcome(found);
	KT_AUTO_BUF text = { 0 };

	if (outcome != KT_VERDICT_FAIL) {
		kt_buf_printf(&text, "expected to fail%s%s, but the outcome is %s: %s",
			      expect->cause ? " as " : "", expect->cause ? expect->cause : "",
			      kt_verdict_outcome_name(outcome), said);
		say(verdict, KT_VERDICT_FAIL, kt_buf_text(&text));
	} else if (expect->cause && strcmp(expect->cause, result->cause) != 0) {
		kt_buf_printf(&text, "expected to fail as %s, but the cause is %s: %s",
			      expect->cause, result->cause, said);
		say(verdict, KT_VERDICT_FAIL, kt_buf_text(&text));
	} else if (expect->log && !log_matches(expect, result)) {
		kt_buf_printf(&text, "failed as expected, but no line says '%s': %s", expect->log,
			      said);
		say(verdict, KT_VERDICT_FAIL, kt_buf_text(&text));
	} else {
		kt_buf_printf(&text, "failed as expected: %s", said);
		say(verdict, KT_VERDICT_PASS, kt_buf_text(&text));
	}
	kt_verdict_merge_notes(verdict, found);
}
