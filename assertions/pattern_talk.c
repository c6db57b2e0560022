#include "assertions/pattern_talk.h"

void kt_pattern_talk_fail(struct kt_pattern_talk *talk, const struct kt_buf *text)
{
	if (talk->fails++ < KT_PATTERN_SAID_MAX)
		kt_verdict_say(talk->verdict, KT_VERDICT_FAIL, KT_VERDICT_KIND_TEMPORAL,
			       talk->input->assertion, "%s: %s", talk->head, kt_buf_text(text));
}

void kt_pattern_talk_unsure(struct kt_pattern_talk *talk, const struct kt_buf *text)
{
	if (talk->unsure++ < KT_PATTERN_SAID_MAX)
		kt_verdict_say(talk->verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_TEMPORAL,
			       talk->input->assertion, "%s: %s", talk->head, kt_buf_text(text));
}

void kt_pattern_talk_note(struct kt_pattern_talk *talk, const struct kt_buf *text)
{
	kt_verdict_say(talk->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_TEMPORAL,
		       talk->input->assertion, "%s: %s", talk->head, kt_buf_text(text));
}

static void say_more(struct kt_pattern_talk *talk, size_t said)
{
	if (said > KT_PATTERN_SAID_MAX)
		kt_verdict_say(talk->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_LIMIT,
			       talk->input->assertion, "%s: %zu more like these", talk->head,
			       said - KT_PATTERN_SAID_MAX);
}

void kt_pattern_talk_end(struct kt_pattern_talk *talk)
{
	say_more(talk, talk->fails);
	say_more(talk, talk->unsure);
}

void kt_pattern_talk_print_pair(const struct kt_column_slot *slot,
				const struct kt_column_slot *before, struct kt_buf *text)
{
	struct kt_number number = kt_column_slot_number(slot);
	char value[KT_NUMBER_TEXT_BYTES];

	kt_buf_puts(text, " at ");
	kt_column_slot_print_place(slot, text);
	kt_buf_printf(text, ": %s after ", kt_number_format(&number, value));
	kt_column_slot_print(before, text);
	if (slot->epoch != before->epoch)
		kt_buf_puts(text, "; the scheduler restarted in between (reset = \"epoch\" judges "
				  "each of its lives by itself)");
}

void kt_pattern_talk_mark(struct kt_pattern_talk *talk, const struct kt_column_slot *slot,
			  enum kt_pattern_mark mark)
{
	uint8_t *marks = talk->input->marks;
	size_t i = (size_t)(slot - talk->input->column->slots);

	if (marks && marks[i] < mark)
		marks[i] = (uint8_t)mark;
}

void kt_pattern_talk_fail_pair(struct kt_pattern_talk *talk, const char *what,
			       const struct kt_column_slot *slot,
			       const struct kt_column_slot *before)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, what);
	kt_pattern_talk_print_pair(slot, before, &text);
	kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_FAIL);
	kt_pattern_talk_fail(talk, &text);
}

void kt_pattern_talk_fail_slot(struct kt_pattern_talk *talk, const char *what,
			       const struct kt_column_slot *slot)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_number number = kt_column_slot_number(slot);
	char value[KT_NUMBER_TEXT_BYTES];

	kt_buf_printf(&text, "%s at ", what);
	kt_column_slot_print_place(slot, &text);
	kt_buf_printf(&text, ": %s", kt_number_format(&number, value));
	kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_FAIL);
	kt_pattern_talk_fail(talk, &text);
}

void kt_pattern_talk_fail_errored(struct kt_pattern_talk *talk, const struct kt_column_slot *slot)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, "no value at ");
	kt_column_slot_print_place(slot, &text);
	kt_buf_printf(&text, ": %s", slot->error->text);
	/* A zero below the line is the instrument's, not what is measured. */
	if (slot->error->type == KT_COLUMN_ERROR_ZERO_DIVISOR) {
		kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_UNSURE);
		kt_pattern_talk_unsure(talk, &text);
	} else {
		kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_FAIL);
		kt_pattern_talk_fail(talk, &text);
	}
}
