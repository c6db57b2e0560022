#include "worker/guest/logtail.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define AUTO_TAIL KT_AUTO(kt_logtail_destroy) struct kt_logtail

Test(logtail, repeated_lines_are_said_once_with_their_number)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "", "" },
		{ "a\n", "a\n" },
		{ "a", "a\n" },
		{ "a\na\n", "a\na\n" },
		{ "a\na\na\nb\na\n", "a\n[the line above 2 more times]\nb\na\n" },
		{ "\n\n\nx\n", "\n[the line above 2 more times]\nx\n" },
		{ "a\nab\n", "a\nab\n" },
		{ "a\nb\na\nb\na\nb\na\nc\n", "a\nb\n[the 2 lines above 2 more times]\na\nc\n" },
		/* a line that comes twice within the block */
		{ "x\na\nx\nb\nx\na\nx\nb\nx\na\nx\nb\nx\na\nx\nb\nx\na\nx\nb\n.\n",
		  "x\na\nx\nb\nx\n[the 4 lines above 3 more times]\na\nx\nb\n.\n" },
		/* other numbers are other lines, where it is not the verifier that speaks */
		{ "stat 1\nstat 2\nstat 3\nstat 4\n", "stat 1\nstat 2\nstat 3\nstat 4\n" },
		/* loops in a loop */
		{ "o\ni\ni\ni\no\ni\ni\ni\no\ni\ni\ni\n!\n",
		  "o\ni\n[the line above 2 more times]\n[the 3 lines above 2 more times]\n!\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_TAIL tail;
		KT_AUTO_BUF out = { 0 };

		kt_logtail_init(&tail);
		/* however it comes in */
		for (const char *c = cases[i].in; *c; c++)
			kt_logtail_append(&tail, c, 1);
		kt_logtail_collapse(&tail, 1000, &out);
		cr_assert_str_eq(kt_buf_text(&out), cases[i].out, "case %zu: %s", i,
				 kt_buf_text(&out));
	}
}

static void append_text(struct kt_logtail *tail, const char *text)
{
	kt_logtail_append(tail, text, strlen(text));
}

/* As 7.2 prints it of scx_kt --fail-verify-late: two thousand rounds of two kinds, then the reason. */
static void append_loop(struct kt_logtail *tail, int rounds)
{
	char text[1024];

	for (int i = 0; i < rounds; i++) {
		snprintf(text, sizeof(text),
			 "; for (u32 i = 0; i < WALK_ROUNDS; i++) @ scx_kt.bpf.c:284\n"
			 "26: (04) w1 += 1                      ; R1=%d\n"
			 "27: (56) if w1 != 0x7d0 goto pc+13    ; R1=%d\n"
			 "; sum += i & 1 ? 3 : sum >> 1; @ scx_kt.bpf.c:285\n"
			 "42: (bc) w3 = w1                      ; R1=%d R3=%d\n"
			 "44: (56) if w3 != 0x0 goto pc-22      ; R3=%d\n",
			 i, i, i, i, i & 1);
		append_text(tail, text);
		if (i % 2 == 0)
			append_text(tail, "45: (61) r2 = *(u32 *)(r10 -12)       ; "
					  "R2=scalar(smin=0) R10=fp0\n"
					  "47: (05) goto pc-25\n");
		snprintf(text, sizeof(text),
			 "23: (61) r3 = *(u32 *)(r10 -12)       ; R3=scalar(%d)\n", i);
		append_text(tail, text);
	}
}

Test(logtail, a_loop_that_the_verifier_walks_is_two_rounds_and_a_number)
{
	AUTO_TAIL tail;
	KT_AUTO_BUF out = { 0 };
	const char *text;

	kt_logtail_init(&tail);
	append_text(&tail,
		    "libbpf: prog 'kt_init': -- BEGIN PROG LOAD LOG --\n0: R1=ctx() R10=fp0\n");
	append_loop(&tail, 20000); /* 7 MiB */
	append_text(&tail, "36: (71) r1 = *(u8 *)(r2 +0)\n"
			   "invalid unbounded variable-offset read from stack R2\n"
			   "processed 21018 insns (limit 1000000)\n"
			   "-- END PROG LOAD LOG --\n");
	kt_logtail_collapse(&tail, KT_LOGTAIL_BYTES_MAX, &out);
	text = kt_buf_text(&out);
	cr_assert_lt(out.len, 6000, "%s", text);
	cr_assert(strstr(text, "BEGIN PROG LOAD LOG"));
	cr_assert(strstr(text, "; R1=0\n"), "the first round");
	cr_assert(strstr(text, "lines above 9998 more times, with other values; the last time:]") ||
			  strstr(text, "lines above 9997 more times, with other values"),
		  "%s", text);
	cr_assert(strstr(text, "R1=19999\n"), "the last round");
	cr_assert(strstr(text, "invalid unbounded variable-offset"));
}

/* An outer loop of 300 rounds, each with an inner one of 40. */
Test(logtail, loops_within_loops_collapse_too)
{
	AUTO_TAIL tail;
	KT_AUTO_BUF out = { 0 };
	char text[128];

	kt_logtail_init(&tail);
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "10: (b7) r1 = 0   ; R1=0 R2=%d\n", i);
		append_text(&tail, text);
		for (int k = 0; k < 40; k++) {
			snprintf(text, sizeof(text),
				 "11: (07) r1 += 1   ; R1=%d\n12: (a5) if r1 < 0x28 goto pc-2   ; "
				 "R1=%d\n",
				 k, k);
			append_text(&tail, text);
		}
		snprintf(text, sizeof(text), "13: (07) r2 += 1   ; R2=%d\n", i);
		append_text(&tail, text);
	}
	append_text(&tail, "math between fp pointer and register is not allowed\n");
	kt_logtail_collapse(&tail, KT_LOGTAIL_BYTES_MAX, &out);
	cr_assert_lt(out.len, 2000, "%s", kt_buf_text(&out));
	cr_assert(strstr(kt_buf_text(&out), "R2=299"), "%s", kt_buf_text(&out));
	cr_assert(strstr(kt_buf_text(&out), "not allowed\n"));
}

/* Blocks of a dump that differ in numbers are all there. */
Test(logtail, a_dump_stays_whole)
{
	AUTO_TAIL tail;
	KT_AUTO_BUF in = { 0 };
	KT_AUTO_BUF out = { 0 };

	kt_logtail_init(&tail);
	for (int i = 0; i < 300; i++)
		kt_buf_printf(&in,
			      "  R spin[%d] *root -28ms\n      scx_state/flags=4/0x3\n"
			      "      dsq_vtime=0 slice=20000000 weight=100\n\n"
			      "    asm_sysvec_apic_timer_interrupt+0x1a/0x20\n\n",
			      100 + i);
	kt_logtail_append(&tail, in.data, in.len);
	kt_logtail_collapse(&tail, KT_LOGTAIL_BYTES_MAX, &out);
	cr_assert_str_eq(kt_buf_text(&out), kt_buf_text(&in));
}

Test(logtail, the_newest_lines_stay_within_the_limit)
{
	AUTO_TAIL tail;
	KT_AUTO_BUF out = { 0 };
	char line[32];

	kt_logtail_init(&tail);
	for (int i = 0; i < 100000; i++) {
		int n = snprintf(line, sizeof(line), "line %d\n", i);

		kt_logtail_append(&tail, line, (size_t)n);
		cr_assert_leq(tail.text.len, 2 * KT_LOGTAIL_BYTES_MAX);
	}
	kt_logtail_collapse(&tail, 25, &out);
	cr_assert_str_eq(kt_buf_text(&out), "line 99998\nline 99999\n");
}

Test(logtail, one_piece_larger_than_everything_leaves_its_end)
{
	AUTO_TAIL tail;
	KT_AUTO_BUF piece = { 0 };
	char last[64];

	kt_logtail_init(&tail);
	for (int i = 0; piece.len < 3 * KT_LOGTAIL_BYTES_MAX; i++)
		kt_buf_printf(&piece, "0123456789abcdef %d\n", i);
	kt_buf_puts(&piece, "the end\n \n");
	kt_logtail_append(&tail, piece.data, piece.len);
	kt_logtail_last_line(&tail, last, sizeof(last));
	cr_assert_str_eq(last, "the end");
	kt_logtail_last_line(&tail, last, 4);
	cr_assert_str_eq(last, "the");
	cr_assert_leq(tail.text.len, 2 * KT_LOGTAIL_BYTES_MAX);
}

Test(logtail, a_line_without_end_is_broken)
{
	enum { MAX = KT_LOGTAIL_LINE_BYTES_MAX };
	static const size_t lens[] = { MAX - 1, MAX, MAX + 1, 2 * MAX };
	static char line[2 * MAX + 1];

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		AUTO_TAIL tail;
		KT_AUTO_BUF out = { 0 };
		size_t breaks = (lens[i] - 1) / MAX;

		kt_logtail_init(&tail);
		for (size_t k = 0; k < lens[i]; k++)
			line[k] = (char)('a' + (k / 7 + k / MAX) % 26);
		line[lens[i]] = '\n';
		kt_logtail_append(&tail, line, lens[i] + 1);
		kt_logtail_collapse(&tail, 4 * MAX, &out);
		cr_assert_eq(out.len, lens[i] + 1 + breaks, "%zu bytes give %zu", lens[i], out.len);
	}
}

Test(logtail, a_zero_byte_never_ends_a_text)
{
	AUTO_TAIL tail;
	KT_AUTO_BUF out = { 0 };

	kt_logtail_init(&tail);
	kt_logtail_append(&tail, "a\0b\nc", 5);
	kt_logtail_collapse(&tail, 100, &out);
	cr_assert_str_eq(kt_buf_text(&out), "a?b\nc\n");
}

static void count_words(void *arg, const char *line)
{
	size_t *n = arg;

	*n += strstr(line, "needle") != NULL;
}

/* Whatever is collapsed or left out later. */
Test(logtail, every_line_is_seen_as_it_came)
{
	AUTO_TAIL tail;
	size_t n = 0;

	kt_logtail_init(&tail);
	tail.look = count_words;
	tail.arg = &n;
	for (int i = 0; i < 50000; i++) {
		append_text(&tail, i == 3 ? "a nee" : "hay\n");
		if (i == 3)
			append_text(&tail, "dle\n");
	}
	cr_assert_eq(n, 1);
}
