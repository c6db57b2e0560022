#include "worker/console.h"

#include <criterion/criterion.h>
#include <string.h>

static struct kt_console console;

static void feed(const char *text)
{
	kt_console_feed(&console, text, strlen(text));
}

Test(console, a_panic_is_seen_and_kept_from_its_first_line_on)
{
	kt_console_init(&console);
	feed("[    0.1] all is well\r\n[    1.2] BUG: kernel NULL pointer dereference\r\n");
	cr_assert(console.in_trouble);
	cr_assert(!console.panicked);
	feed("[    1.3] Call Trace:\r\n[   12.345][  T17] Kernel panic - not syncing: Fatal\r\n");
	cr_assert(console.panicked);
	cr_assert_str_eq(console.panic_line, "Kernel panic - not syncing: Fatal");
	cr_assert(!strstr(kt_buf_text(&console.evidence), "all is well"));
	cr_assert(strstr(kt_buf_text(&console.evidence), "Call Trace"));
	kt_console_destroy(&console);
}

Test(console, a_panic_cut_in_the_middle_of_its_line_is_seen_at_the_end)
{
	kt_console_init(&console);
	feed("Kernel panic - not syn");
	feed("cing: half a li");
	cr_assert(!console.panicked);
	kt_console_end(&console);
	cr_assert(console.panicked);
	kt_console_destroy(&console);
}

Test(console, a_flood_is_bounded_and_the_tail_is_its_end)
{
	KT_AUTO_BUF tail = { 0 };

	kt_console_init(&console);
	for (int i = 0; i < 100000; i++)
		feed("Oops: again and again, a line of some length\n");
	feed("the very last line\n");
	cr_assert_leq(console.evidence.len, KT_CONSOLE_EVIDENCE_BYTES);
	kt_console_tail(&console, 60, &tail);
	cr_assert_leq(tail.len, 60);
	cr_assert_str_eq(kt_buf_text(&tail), "the very last line\n");
	kt_console_destroy(&console);
}

Test(console, what_is_shown_has_no_control_characters)
{
	KT_AUTO_BUF tail = { 0 };

	kt_console_init(&console);
	feed("\033[2J\001x\177\r\n");
	kt_console_tail(&console, 100, &tail);
	cr_assert_str_eq(kt_buf_text(&tail), " [2J x \n");
	kt_console_destroy(&console);
}
