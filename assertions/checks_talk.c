#include "assertions/checks_talk.h"
#include "proto/base/must.h"

void kt_checks_talk_begin(struct kt_checks_talk *talk, const struct kt_checks *checks,
			  enum kt_checks_id id, const char *thing, struct kt_verdict *verdict)
{
	*talk = (struct kt_checks_talk){ .row = &kt_checks_table[id],
					 .limit = checks->of[id].value,
					 .thing = thing,
					 .verdict = verdict };
	kt_checks_print(checks, id, &talk->label);
}

static void say(struct kt_checks_talk *talk, enum kt_verdict_outcome outcome,
		enum kt_verdict_kind kind, const struct kt_buf *text)
{
	kt_verdict_say(talk->verdict, outcome, kind, talk->row->name, "%s: %s",
		       kt_buf_text(&talk->label), kt_buf_text(text));
}

static void fail(struct kt_checks_talk *talk, const struct kt_buf *text)
{
	if (talk->failed++ < KT_CHECKS_TALK_SAID_MAX)
		say(talk, KT_VERDICT_FAIL, talk->row->kind, text);
}

void kt_checks_talk_value(struct kt_checks_talk *talk, double value, const struct kt_buf *text)
{
	bool at_most = talk->row->limit == KT_CHECKS_AT_MOST;

	kt_must(talk->row->limit != KT_CHECKS_NONE);
	if (at_most ? value > talk->limit : value < talk->limit) {
		fail(talk, text);
		return;
	}
	if (talk->held++ == 0 || (at_most ? value > talk->nearest : value < talk->nearest)) {
		talk->nearest = value;
		kt_buf_reset(&talk->nearest_text);
		kt_buf_puts(&talk->nearest_text, kt_buf_text(text));
	}
}

void kt_checks_talk_flag(struct kt_checks_talk *talk, bool holds, const struct kt_buf *text)
{
	if (holds)
		talk->held++;
	else
		fail(talk, text);
}

static void list(struct kt_checks_talk_list *list, const struct kt_buf *text)
{
	if (list->n++ < KT_CHECKS_TALK_SAID_MAX)
		kt_buf_printf(&list->text, "%s%s", list->text.len ? ", " : "", kt_buf_text(text));
}

void kt_checks_talk_unsure(struct kt_checks_talk *talk, const struct kt_buf *text)
{
	list(&talk->unsure, text);
}

void kt_checks_talk_skip(struct kt_checks_talk *talk, const struct kt_buf *text)
{
	list(&talk->skipped, text);
}

static void say_list(struct kt_checks_talk *talk, enum kt_verdict_outcome outcome, const char *what,
		     const struct kt_checks_talk_list *list)
{
	KT_AUTO_BUF text = { 0 };

	if (list->n == 0)
		return;
	kt_buf_printf(&text, "%s: %s", what, kt_buf_text(&list->text));
	if (list->n > KT_CHECKS_TALK_SAID_MAX)
		kt_buf_printf(&text, " and %zu more", list->n - KT_CHECKS_TALK_SAID_MAX);
	say(talk, outcome, talk->row->kind, &text);
}

static void say_held(struct kt_checks_talk *talk)
{
	KT_AUTO_BUF text = { 0 };

	if (talk->held == 0)
		return;
	kt_buf_puts(&text, "holds");
	if (talk->thing)
		kt_buf_printf(&text, " for %zu %s%s", talk->held, talk->thing,
			      talk->held == 1 ? "" : "s");
	if (talk->nearest_text.len)
		kt_buf_printf(&text, "%s%s", talk->held == 1 ? ": " : "; the nearest: ",
			      kt_buf_text(&talk->nearest_text));
	say(talk, talk->failed ? KT_VERDICT_NOTE : KT_VERDICT_PASS, talk->row->kind, &text);
}

void kt_checks_talk_end(struct kt_checks_talk *talk)
{
	bool applied = talk->held + talk->failed + talk->unsure.n > 0;
	KT_AUTO_BUF more = { 0 };

	say_list(talk, KT_VERDICT_INCONCLUSIVE, "cannot be told", &talk->unsure);
	if (talk->must_apply && !applied)
		say_list(talk, KT_VERDICT_INCONCLUSIVE, "cannot be told", &talk->skipped);
	else
		say_list(talk, KT_VERDICT_SKIP, "does not apply", &talk->skipped);
	say_held(talk);
	if (talk->failed > KT_CHECKS_TALK_SAID_MAX) {
		kt_buf_printf(&more, "%zu more like these", talk->failed - KT_CHECKS_TALK_SAID_MAX);
		say(talk, KT_VERDICT_NOTE, KT_VERDICT_KIND_LIMIT, &more);
	}
	kt_buf_destroy(&talk->label);
	kt_buf_destroy(&talk->nearest_text);
	kt_buf_destroy(&talk->unsure.text);
	kt_buf_destroy(&talk->skipped.text);
}
