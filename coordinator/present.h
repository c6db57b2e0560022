/* present.h - the local socket of the running coordinator: who is here may ask, and is answered.
 *
 *	<state>/run/ktcoord.sock, mode 0600	one JSON object per line, each way
 *
 *	> {"ask": "drain", "host": "lab3"}
 *	< {"ask": "drain", "final": true, "host": "lab3", "running": 2}
 *
 * A client asks one thing at a time: until the answer with "final" is there, nothing more is read of it. What it
 * sends is bounded in length, depth and number, what it does not read as well: a slow reader is dropped, and nobody
 * waits for one. Served are the coordinator's own user and root, as the kernel says who is at the other end.
 *
 * What an ask means is the owner's: this file moves lines.
 */
#ifndef KT_PRESENT_H
#define KT_PRESENT_H

#include "proto/base/err.h"
#include "proto/base/limits.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define KT_PRESENT_LINE_BYTES_MAX   4096 /* of an ask */
#define KT_PRESENT_DEPTH_MAX        2 /* an ask is one flat object */
#define KT_PRESENT_CLIENTS_MAX      32 /* then the one that has been idle longest goes */
#define KT_PRESENT_UNREAD_BYTES_MAX (32u << 20) /* of answers that wait for one client */
#define KT_PRESENT_UNREAD_NS_MAX    (10 * KT_NS_PER_S) /* that they wait */

/* kind, word, what it takes */
#define KT_PRESENT_ASKS(X)                                                                 \
	X(WORKERS, "workers", "every host and what it does")                               \
	X(STATUS, "status", "how far the sweep is, what waits and why")                    \
	X(DRAIN, "drain", "host, undo: it finishes what it holds, and is given no more")   \
	X(CANCEL, "cancel", "what: the sweep or a cell by name; absent: all of the sweep") \
	X(KEYS_CHANGED, "keys_changed", "the allow-list is another one: read it")

enum kt_present_kind {
#define X(name_, word_, what_) KT_PRESENT_##name_,
	KT_PRESENT_ASKS(X)
#undef X
		KT_PRESENT_KIND_N
};

struct kt_present_ask {
	enum kt_present_kind kind;
	char host[KT_NAME_BYTES_MAX + 1]; /* DRAIN */
	char what[KT_CELL_NAME_BYTES_MAX + 1]; /* CANCEL; empty: absent */
	bool undo; /* DRAIN */
	unsigned int uid; /* of who asks */
};

const char *kt_present_word(enum kt_present_kind kind);

/* One line without its newline. Members that the ask does not take are skipped: a newer client may have more
 * to say. -EINVAL, fault PEER.
 */
int kt_present_parse(const void *line, size_t len, struct kt_present_ask *ask, struct kt_err *err);

struct kt_present;

/* Called from the loop only, never from within a kt_present_ function. They may call kt_present_answer(). */
struct kt_present_events {
	/* client is a number, never reused; ask lives until the callback returns. */
	void (*ask)(void *arg, uint64_t client, const struct kt_present_ask *ask);
	/* It left, or was dropped, before its final answer. */
	void (*gone)(void *arg, uint64_t client);
};

/* Whoever calls holds the lock of the state folder: a socket that is there already is nobody's. */
int kt_present_open(uv_loop_t *loop, const char *path, const struct kt_present_events *events,
		    void *arg, struct kt_present **present, struct kt_err *err);
/* Takes json, an object; adds "ask" and "final". Without final the client waits for more. A client that is gone
 * is no error.
 */
void kt_present_answer(struct kt_present *present, uint64_t client, struct json_object *json,
		       bool final);
/* The same for what cannot be done: {"error": text}. */
void kt_present_refuse(struct kt_present *present, uint64_t client, const char *text);
/* What was answered and fits the kernel's buffers is delivered; the socket file is gone on return. The loop needs
 * one more turn to free the handles.
 */
void kt_present_destroy(struct kt_present **present_p);

#endif
