/* qmp.h - QEMU's monitor: one command in flight, every reply bounded in time and size.
 *
 * QEMU has its own process and may be compromised by its guest: what it says is parsed with limits
 * (one line of at most KT_QMP_LINE_BYTES_MAX, json-c's depth) and never trusted for more than its
 * words. Replies are matched by id, so that an answer that comes after its deadline is dropped.
 *
 * Protocol: docs/interop/qmp-spec.rst and qapi/ of QEMU 7.2.
 */
#ifndef KT_QMP_H
#define KT_QMP_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KT_QMP_LINE_BYTES_MAX (64u << 10)
#define KT_QMP_DEPTH_MAX      16
#define KT_QMP_WORD_BYTES_MAX 48

/* What one line of QEMU was. */
enum kt_qmp_kind {
	KT_QMP_GREETING, /* word: QEMU's version, "7.2.22" */
	KT_QMP_RETURN, /* id; word: "status" of query-status, else empty */
	KT_QMP_ERROR, /* id (0 when there is none); word: its class; text: its desc */
	KT_QMP_EVENT, /* word: its name; text: data.reason, else empty; at_us */
};

struct kt_qmp_line {
	enum kt_qmp_kind kind;
	uint64_t id;
	int64_t at_us; /* events: QEMU's wall clock, microseconds since 1970; 0 when it gave none */
	char word[KT_QMP_WORD_BYTES_MAX]; /* cut when longer */
	char text[256]; /* cut when longer */
};

/* Parses one line (no newline needed). -EPROTO, fault PEER, when it is none of the above. */
int kt_qmp_parse(const char *line, size_t len, struct kt_qmp_line *parsed, struct kt_err *err);

struct kt_qmp {
	int fd;
	struct kt_buf in;
	uint64_t last_id;
	bool greeted;
	bool eof;
	/* What the events told, for the whole life of the guest. */
	char version[KT_QMP_WORD_BYTES_MAX];
	char shutdown_reason[KT_QMP_WORD_BYTES_MAX]; /* "guest-reset", "host-signal", ... */
	bool shutdown_seen;
	bool guest_panicked; /* GUEST_PANICKED, by a pvpanic device */
	int64_t stopped_at_us; /* of the last STOP and RESUME event */
	int64_t resumed_at_us;
	/* The last reply. */
	struct kt_qmp_line reply;
	bool has_reply;
};

/* Takes ownership of the fd and makes it non-blocking. */
void kt_qmp_init(struct kt_qmp *qmp, int fd);
void kt_qmp_destroy(struct kt_qmp *qmp);

/* Reads what is there and digests whole lines. 0, or -errno (fault PEER); eof is no error. */
int kt_qmp_fill(struct kt_qmp *qmp, struct kt_err *err);

struct kt_qmp_command {
	const char *name; /* ours, as is: nothing is quoted */
	const char *arguments; /* a JSON object, some 400 bytes at most; NULL: none */
	bool has_fd;
	int fd; /* sent along (for getfd); stays the caller's */
};

/* Sends a command and returns its id; its reply arrives in `reply` with that id after some later
 * fill. -errno when the socket does not take the few bytes (QEMU hangs or is gone).
 */
int kt_qmp_send(struct kt_qmp *qmp, const struct kt_qmp_command *command, uint64_t *id,
		struct kt_err *err);

/* The whole exchange: sends, polls, waits for the reply or the deadline (CLOCK_BOOTTIME ns).
 * -ETIMEDOUT, -EPIPE (QEMU is gone), -EPROTO, or -EIO when QEMU answered with an error.
 * Blocks at most until the deadline.
 */
int kt_qmp_exchange(struct kt_qmp *qmp, const struct kt_qmp_command *command, int64_t deadline_ns,
		    struct kt_err *err);
int kt_qmp_call(struct kt_qmp *qmp, const char *name, int64_t deadline_ns, struct kt_err *err);
/* Waits for the greeting and negotiates. */
int kt_qmp_open(struct kt_qmp *qmp, int64_t deadline_ns, struct kt_err *err);

#endif
