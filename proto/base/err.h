/* err.h - an error names who must act.
 *
 * Functions that can fail return 0 or a negative errno and fill a caller-owned struct kt_err, always
 * the last argument (NULL when the caller does not care for the text). The fault decides what
 * happens next: retry, fence, report or stop. Texts read from the outside in; each layer adds its
 * own words in front on the way up: "booting cell 7: opening /dev/kvm: Permission denied".
 */
#ifndef KT_ERR_H
#define KT_ERR_H

#include <stdarg.h>

/* fault, who must act, what we do */
#define KT_FAULTS(X)                                                                           \
	X(NONE, "none", "nothing is wrong")                                                    \
	X(INPUT, "input", "the user's matrix, flag or artifact: never retried")                \
	X(HOST, "host", "this machine cannot do it now: retried elsewhere")                    \
	X(PEER, "peer", "the other side vanished or broke the protocol: fenced, then retried") \
	X(GUEST, "guest", "the guest did it: a result, not an error of ours")                  \
	X(BUG, "bug", "ours: stop and say so")

enum kt_fault {
#define X(name_, text_, what_) KT_FAULT_##name_,
	KT_FAULTS(X)
#undef X
		KT_FAULT_N
};

#define KT_ERR_TEXT_MAX 768

struct kt_err {
	int code; /* positive errno, 0 when nothing was set */
	enum kt_fault fault;
	char text[KT_ERR_TEXT_MAX]; /* one line, no newline at its end, cut with "..." when long */
};

const char *kt_err_fault_name(enum kt_fault fault);

/* Fills err (unless NULL) and returns -code. code is a positive errno. */
__attribute__((format(printf, 4, 5), cold)) int kt_err_set(struct kt_err *err, enum kt_fault fault,
							   int code, const char *format, ...);

/* As kt_err_set, with ": " and strerror(code) at the end. For failed system calls. */
__attribute__((format(printf, 4, 5), cold)) int kt_err_sys(struct kt_err *err, enum kt_fault fault,
							   int code, const char *format, ...);

/* Puts "<words>: " in front of the text; returns -err->code, so `return kt_err_wrap(...)` works. */
__attribute__((format(printf, 2, 3), cold)) int kt_err_wrap(struct kt_err *err, const char *format,
							    ...);

#endif
