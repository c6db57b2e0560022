/* terminal.h - the standard descriptors of whoever sits at `ktworker shell`, a terminal or not.
 *
 * Nothing here blocks, and nothing changes for others who have the same descriptors: outputs are opened anew
 * through /proc/self/fd, so that O_NONBLOCK is ours alone, and input is read only after poll(2). What a guest
 * printed is written as it is, as by any serial console; our own lines are made plain.
 * Raw mode ends with kt_terminal_close(). When this process is killed, its parent puts the terminal right
 * (coordinator/prompt.c).
 */
#ifndef KT_TERMINAL_H
#define KT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#define KT_TERMINAL_ESCAPE 0x1d /* Ctrl-], as in telnet and virsh */

struct kt_terminal {
	int in_fd;
	int out_fds[2]; /* of streams 1 and 2 */
	bool in_is_tty;
	bool is_raw;
	struct termios before;
	bool shows_status; /* standard error is a terminal */
	bool paints; /* and can take a line back */
	bool has_status; /* a line stands there */
	int64_t status_ns; /* when it was written */
};

void kt_terminal_open(struct kt_terminal *terminal);
void kt_terminal_close(struct kt_terminal *terminal);

/* False: it has none. */
bool kt_terminal_size(const struct kt_terminal *terminal, uint64_t *rows, uint64_t *cols);
/* Every key goes to the guest from now on. What was typed before is not lost. */
void kt_terminal_raw(struct kt_terminal *terminal);

/* After poll(2). 0: its end. -EAGAIN: nothing yet; other errors: nothing will ever come. */
ssize_t kt_terminal_read(struct kt_terminal *terminal, void *bytes, size_t size);
/* How many of them; 0: none now. -EPIPE when nobody reads, or another -errno. */
ssize_t kt_terminal_write(struct kt_terminal *terminal, int stream, const void *bytes, size_t len);

/* What goes on, on standard error when it is a terminal; each line takes the place of the one before. */
void kt_terminal_status(struct kt_terminal *terminal, const char *line, int64_t now_ns);
void kt_terminal_clear_status(struct kt_terminal *terminal);
/* A line of our own on standard error, "ktcoord: " before it. */
__attribute__((format(printf, 2, 3))) void kt_terminal_say(struct kt_terminal *terminal,
							   const char *format, ...);
/* Lines of others below it. */
void kt_terminal_quote(struct kt_terminal *terminal, const char *text, size_t len);

#endif
