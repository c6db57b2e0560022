#include "worker/console.h"

#include <stdio.h>
#include <string.h>

/* How the kernels 6.12 to 7.3 begin to die (kernel/panic.c, arch/x86/kernel/dumpstack.c, ...). */
static const struct {
	const char *words;
	bool panic; /* else: trouble, a panic may follow */
} signs[] = {
	{ "Kernel panic - not syncing", true },
	{ "BUG: unable to handle", false },
	{ "BUG: kernel NULL pointer dereference", false },
	{ "BUG: Bad ", false },
	{ "kernel BUG at ", false },
	{ "general protection fault", false },
	{ "Oops: ", false },
	{ "stack segment: ", false },
	{ "double fault: ", false },
	{ "divide error: ", false },
	{ "invalid opcode: ", false },
	{ "watchdog: BUG: soft lockup", false },
	{ "watchdog: Watchdog detected hard LOCKUP", false },
	{ "rcu: INFO: rcu_", false },
	{ "Out of memory: Killed process", false },
};

void kt_console_init(struct kt_console *console)
{
	memset(console, 0, sizeof(*console));
	console->evidence.max = KT_CONSOLE_EVIDENCE_BYTES;
}

void kt_console_destroy(struct kt_console *console)
{
	kt_buf_destroy(&console->evidence);
}

static char printable(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f ? ' ' : c;
}

/* "[    1.503096] text" and "[   12.3][  T17] text": where text begins. */
static const char *without_stamp(const char *line)
{
	while (*line == '[') {
		const char *end = strchr(line, ']');

		if (!end || strspn(line + 1, " .TC0123456789") != (size_t)(end - line - 1))
			break;
		line = end + 1 + strspn(end + 1, " ");
	}
	return line;
}

static void judge_line(struct kt_console *console)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (!strstr(console->line, signs[i].words))
			continue;
		console->in_trouble = true;
		if (signs[i].panic && !console->panicked) {
			console->panicked = true;
			snprintf(console->panic_line, sizeof(console->panic_line), "%s",
				 without_stamp(console->line));
		}
	}
	if (console->in_trouble && console->line_len > 0)
		kt_buf_printf(&console->evidence, "%s\n", console->line);
}

static void end_line(struct kt_console *console)
{
	console->line[console->line_len] = 0;
	judge_line(console);
	console->line_len = 0;
}

void kt_console_feed(struct kt_console *console, const void *bytes, size_t len)
{
	const char *at = bytes;

	for (size_t i = 0; i < len; i++) {
		console->ring[console->total++ % KT_CONSOLE_RING_BYTES] = at[i];
		if (at[i] == '\n')
			end_line(console);
		else if (at[i] != '\r' && console->line_len + 1 < KT_CONSOLE_LINE_BYTES)
			console->line[console->line_len++] = printable(at[i]);
	}
}

void kt_console_end(struct kt_console *console)
{
	if (console->line_len > 0)
		end_line(console);
}

void kt_console_tail(const struct kt_console *console, size_t max, struct kt_buf *out)
{
	size_t kept =
		console->total < KT_CONSOLE_RING_BYTES ? console->total : KT_CONSOLE_RING_BYTES;
	size_t want = kept < max ? kept : max;
	size_t at = console->total - want;
	bool at_line = want == console->total; /* nothing is missing in front */

	for (; at < console->total; at++) {
		char c = console->ring[at % KT_CONSOLE_RING_BYTES];
		char shown = c == '\n' ? c : printable(c);

		if (at_line && c != '\r')
			kt_buf_append(out, &shown, 1);
		at_line = at_line || c == '\n';
	}
}
