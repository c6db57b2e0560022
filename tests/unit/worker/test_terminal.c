/* Standard descriptors are a pty, pipes and files of the test. */
#include "worker/terminal.h"
#include "proto/base/limits.h"
#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int master, slave;

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	setenv("TERM", "xterm", 1);
	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(dup2(slave, i), i);
}

/* What stands on the screen, as it came. */
static const char *screen(void)
{
	static char text[4096];
	struct pollfd fd = { master, POLLIN, 0 };
	size_t at = 0;

	while (poll(&fd, 1, 50) > 0) {
		ssize_t n = read(master, text + at, sizeof(text) - 1 - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	text[at] = 0;
	return text;
}

Test(terminal, raw_mode_gives_every_key_and_is_left, .init = setup)
{
	struct kt_terminal terminal;
	struct termios before = { 0 }, now = { 0 };
	char bytes[8] = "";

	tcgetattr(slave, &before);
	kt_terminal_open(&terminal);
	cr_assert(terminal.in_is_tty);
	cr_assert_eq(write(master, "ab", 2), 2); /* typed ahead, without a newline */
	kt_terminal_raw(&terminal);
	cr_assert_eq(write(master, "\x03\x1d\r", 3), 3);
	for (ssize_t at = 0; at < 5;) {
		struct pollfd fd = { 0, POLLIN, 0 };
		ssize_t n;

		cr_assert_eq(poll(&fd, 1, 5000), 1);
		n = kt_terminal_read(&terminal, bytes + at, sizeof(bytes) - (size_t)at);
		cr_assert_gt(n, 0);
		at += n;
	}
	cr_assert_str_eq(bytes, "ab\x03\x1d\r");
	kt_terminal_close(&terminal);
	tcgetattr(slave, &now);
	cr_assert_eq(memcmp(&before, &now, sizeof(now)), 0);
}

Test(terminal, its_size_is_the_terminals, .init = setup)
{
	struct winsize size = { .ws_row = 44, .ws_col = 120 };
	struct kt_terminal terminal;
	uint64_t rows, cols;

	kt_terminal_open(&terminal);
	cr_assert_not(kt_terminal_size(&terminal, &rows, &cols), "nobody said any");
	ioctl(master, TIOCSWINSZ, &size);
	cr_assert(kt_terminal_size(&terminal, &rows, &cols));
	cr_assert(rows == 44 && cols == 120);
	kt_terminal_close(&terminal);
}

Test(terminal, a_full_pipe_makes_nobody_wait_and_stays_as_it_is, .init = setup)
{
	static const char bytes[8192];
	struct kt_terminal terminal;
	size_t written = 0;
	int pair[2];
	ssize_t n;

	cr_assert_eq(pipe(pair), 0);
	dup2(pair[1], 1);
	kt_terminal_open(&terminal);
	cr_assert_not(fcntl(1, F_GETFL) & O_NONBLOCK, "others have this descriptor too");
	while ((n = kt_terminal_write(&terminal, 1, bytes, sizeof(bytes))) > 0)
		written += (size_t)n;
	cr_assert_eq(n, 0);
	cr_assert_eq(written, 65536);
	close(pair[0]);
	cr_assert_eq(kt_terminal_write(&terminal, 1, bytes, sizeof(bytes)), -EPIPE);
	kt_terminal_close(&terminal);
	close(pair[1]);
}

Test(terminal, a_file_is_written_where_it_stands, .init = setup)
{
	int fd = memfd_create("out", 0);
	struct kt_terminal terminal;
	char text[16] = "";

	cr_assert_eq(write(fd, "one ", 4), 4);
	dup2(fd, 1);
	kt_terminal_open(&terminal);
	cr_assert_eq(kt_terminal_write(&terminal, 1, "two ", 4), 4);
	kt_terminal_close(&terminal);
	cr_assert_eq(write(fd, "three", 5), 5);
	cr_assert_eq(pread(fd, text, sizeof(text), 0), 13);
	cr_assert_str_eq(text, "one two three");
}

Test(terminal, what_goes_on_is_taken_back, .init = setup)
{
	struct kt_terminal terminal;

	kt_terminal_open(&terminal);
	kt_terminal_status(&terminal, "boot\x1b[2J, 1 s", KT_NS_PER_S);
	cr_assert_str_eq(screen(), "\rboot [2J, 1 s\033[K");
	kt_terminal_status(&terminal, "too soon", KT_NS_PER_S + KT_NS_PER_MS);
	kt_terminal_status(&terminal, "load", 2 * KT_NS_PER_S);
	cr_assert_str_eq(screen(), "\rload\033[K");
	kt_terminal_say(&terminal, "a line\nof %s", "mine\x07");
	cr_assert_str_eq(screen(), "\r\033[Kktcoord: a line of mine \r\n");
	kt_terminal_clear_status(&terminal);
	cr_assert_str_eq(screen(), "");
	kt_terminal_raw(&terminal);
	kt_terminal_say(&terminal, "in raw mode");
	cr_assert_str_eq(screen(), "\r\nktcoord: in raw mode\r\n");
	kt_terminal_quote(&terminal, "one\ntwo\x1b\nthree", 14);
	cr_assert_str_eq(screen(), "  one\r\n  two \r\n  three\r\n");
	kt_terminal_close(&terminal);
}

Test(terminal, where_nothing_can_be_taken_back_a_line_comes_every_two_seconds, .init = setup)
{
	struct kt_terminal terminal;

	setenv("TERM", "dumb", 1);
	kt_terminal_open(&terminal);
	for (int i = 0; i <= 40; i++)
		kt_terminal_status(&terminal, "booting", (100 + i) * 100 * KT_NS_PER_MS);
	cr_assert_str_eq(screen(), "booting\r\nbooting\r\nbooting\r\n");
	kt_terminal_clear_status(&terminal);
	cr_assert_str_eq(screen(), "");
	kt_terminal_close(&terminal);
}

Test(terminal, standard_error_that_is_no_terminal_is_the_programs, .init = setup)
{
	int fd = memfd_create("err", 0);
	struct kt_terminal terminal;
	char text[64] = "";

	dup2(fd, 2);
	kt_terminal_open(&terminal);
	kt_terminal_status(&terminal, "booting", KT_NS_PER_S);
	kt_terminal_clear_status(&terminal);
	kt_terminal_say(&terminal, "but this is said");
	kt_terminal_close(&terminal);
	cr_assert_gt(pread(fd, text, sizeof(text), 0), 0);
	cr_assert_str_eq(text, "ktcoord: but this is said\n");
}
