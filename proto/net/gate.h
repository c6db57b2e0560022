/* gate.h - connections to a CURVE endpoint that never became a peer. Private to proto/net.
 *
 * Who speaks no CURVE, or to another server's key, or repeats what it overheard, ZAP is never asked
 * about, and ZeroMQ drops it without a word. The socket's monitor knows; what it knows is told by
 * kt_zap_tell(), with an address as far as one was to be had.
 */
#ifndef KT_GATE_H
#define KT_GATE_H

#include "proto/net/zap.h"

#include <czmq.h>

struct kt_gate;

/* Borrows socket and zap, which outlive kt_gate_destroy(). -errno, fault HOST. */
int kt_gate_open(uv_loop_t *loop, zsock_t *socket, struct kt_zap *zap, struct kt_gate **gate,
		 struct kt_err *err);
/* Before the socket is closed. The loop needs one more turn. */
void kt_gate_destroy(struct kt_gate **gate_p);

#endif
