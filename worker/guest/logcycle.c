#include "worker/guest/logcycle.h"

#include <ctype.h>
#include <string.h>

#define ROUND_BYTES_MAX (256u << 10) /* held back */

void kt_logcycle_init(struct kt_logcycle *cycle, kt_logcycle_sink *sink, void *arg)
{
	*cycle = (struct kt_logcycle){ .sink = sink, .arg = arg };
}

void kt_logcycle_destroy(struct kt_logcycle *cycle)
{
	kt_buf_destroy(&cycle->round);
	kt_buf_destroy(&cycle->last);
}

/* ---- when two lines are the same ---- */

/* FNV-1a */
static uint64_t hash(const char *bytes, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (uint8_t)bytes[i]) * 0x100000001b3u;
	return sum;
}

static size_t until(const char *line, size_t len, const char *mark)
{
	const char *found = memmem(line, len, mark, strlen(mark));

	return found ? (size_t)(found - line) : len;
}

/* How much of a line says which one it is, as kernel/bpf/verifier.c prints them at log level 1:
 *
 *	26: (04) w1 += 1         ; R1=2 R10=fp0     an instruction, then what is known after it
 *	26: R1=2 R10=fp0                            what is known before it
 *	from 27 to 41: R1=2 R10=fp0                 where a branch is taken up
 *
 * and of a line of our own, "[the 3 lines above 17 more times]", the block's length.
 */
static size_t key_len(const char *line, size_t len)
{
	size_t digits = 0;
	size_t cut;

	if (len > 5 && strncmp(line, "from ", 5) == 0)
		return until(line, len, ":");
	if (len > 5 && strncmp(line, "[the ", 5) == 0)
		return until(line, len, " above");
	while (digits < len && isdigit((unsigned char)line[digits]))
		digits++;
	if (digits == 0 || digits + 2 >= len || line[digits] != ':' || line[digits + 1] != ' ')
		return len;
	if (line[digits + 2] == 'R')
		return digits + 1;
	if (line[digits + 2] != '(')
		return len;
	cut = until(line, len, ";");
	while (cut > 0 && line[cut - 1] == ' ')
		cut--;
	return cut;
}

static struct kt_logcycle_line describe(const char *line, size_t len)
{
	return (struct kt_logcycle_line){ hash(line, key_len(line, len)), hash(line, len) };
}

/* The back-th newest that came out; 1 is the newest. */
static const struct kt_logcycle_line *newest(const struct kt_logcycle *cycle, size_t back)
{
	return &cycle->seen[(cycle->n_seen - back) % KT_LOGCYCLE_LINES_MAX];
}

/* ---- what comes out ---- */

static void let_out(struct kt_logcycle *cycle, const char *line, size_t len)
{
	cycle->seen[cycle->n_seen++ % KT_LOGCYCLE_LINES_MAX] = describe(line, len);
	cycle->sink(cycle->arg, line, len);
}

static void let_out_all(struct kt_logcycle *cycle, const struct kt_buf *lines)
{
	const char *at = (const char *)lines->data;
	size_t left = lines->len;

	while (left > 0) {
		size_t len = (size_t)((const char *)memchr(at, '\n', left) - at);

		let_out(cycle, at, len);
		at += len + 1;
		left -= len + 1;
	}
}

static void tell_rounds(struct kt_logcycle *cycle)
{
	KT_AUTO_BUF text = { 0 };

	if (cycle->period == 1)
		kt_buf_printf(&text, "[the line above %zu more times", cycle->rounds);
	else
		kt_buf_printf(&text, "[the %zu lines above %zu more times", cycle->period,
			      cycle->rounds);
	kt_buf_puts(&text, cycle->varies ? ", with other values; the last time:]" : "]");
	let_out(cycle, kt_buf_text(&text), text.len);
}

/* The whole rounds come out; lines of one that was begun stay in `round`. */
static void end_rounds(struct kt_logcycle *cycle)
{
	if (cycle->rounds > 1)
		tell_rounds(cycle);
	/* Twice is no cycle: nothing is gained by saying it otherwise. */
	if (cycle->rounds == 1 || (cycle->rounds > 1 && cycle->varies))
		let_out_all(cycle, &cycle->last);
	kt_buf_reset(&cycle->last);
	cycle->period = 0;
	cycle->at = 0;
	cycle->rounds = 0;
	cycle->varies = false;
}

void kt_logcycle_flush(struct kt_logcycle *cycle)
{
	end_rounds(cycle);
	let_out_all(cycle, &cycle->round);
	kt_buf_reset(&cycle->round);
}

/* ---- what goes in ---- */

/* The line came before, period lines ago, so a round of that block may have begun. The nearest is tried. */
static size_t find_period(const struct kt_logcycle *cycle, uint64_t key)
{
	for (size_t back = 1; back <= cycle->n_seen && back <= KT_LOGCYCLE_LINES_MAX; back++)
		if (newest(cycle, back)->key == key)
			return back;
	return 0;
}

static void hold_back(struct kt_logcycle *cycle, const char *line, size_t len, bool is_equal)
{
	struct kt_buf whole;

	kt_buf_append(&cycle->round, line, len);
	kt_buf_puts(&cycle->round, "\n");
	cycle->varies |= !is_equal;
	if (++cycle->at < cycle->period)
		return;
	whole = cycle->round;
	cycle->round = cycle->last;
	cycle->last = whole;
	kt_buf_reset(&cycle->round);
	cycle->at = 0;
	cycle->rounds++;
}

/* The line is another one than the block's: what was held back of this round goes in once more, before it, as it may
 * be the beginning of another block. Of a round that was the first to come again its first line is out for good.
 */
static void give_up_round(struct kt_logcycle *cycle, struct kt_buf *again)
{
	bool was_first = cycle->rounds == 0;
	KT_AUTO_BUF rest = *again;
	size_t first;

	*again = cycle->round;
	cycle->round = (struct kt_buf){ 0 };
	end_rounds(cycle);
	if (was_first && again->len > 0) {
		first = (size_t)((uint8_t *)memchr(again->data, '\n', again->len) - again->data);
		let_out(cycle, (char *)again->data, first);
		kt_buf_consume(again, first + 1);
	}
	kt_buf_append(again, rest.data, rest.len);
}

/* False when it is to go in again, behind the lines that were held back. */
static bool take_one(struct kt_logcycle *cycle, const char *line, size_t len)
{
	struct kt_logcycle_line is = describe(line, len);
	const struct kt_logcycle_line *was;

	if (cycle->period == 0)
		cycle->period = find_period(cycle, is.key);
	if (cycle->period == 0) {
		let_out(cycle, line, len);
		return true;
	}
	was = newest(cycle, cycle->period - cycle->at);
	if (was->key != is.key || (cycle->at > 0 && cycle->round.len + len > ROUND_BYTES_MAX))
		return false;
	hold_back(cycle, line, len, was->bytes == is.bytes);
	return true;
}

void kt_logcycle_take(struct kt_logcycle *cycle, const char *line, size_t len)
{
	KT_AUTO_BUF again = { 0 };

	if (take_one(cycle, line, len))
		return;
	kt_buf_append(&again, line, len);
	kt_buf_puts(&again, "\n");
	while (again.len > 0) {
		size_t n = (size_t)((uint8_t *)memchr(again.data, '\n', again.len) - again.data);

		if (take_one(cycle, (char *)again.data, n))
			kt_buf_consume(&again, n + 1);
		else
			give_up_round(cycle, &again);
	}
}
