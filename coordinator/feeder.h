/* feeder.h - the bulk endpoint: pieces of artifacts to the hosts that ask for them.
 *
 *	FETCH -> core/turns: whose turn is it -> pread in libuv's threads -> CHUNK
 *
 * It shares the loop with leases and samples, and keeps out of their way: it never waits for a disk (pieces
 * are read in the thread pool, at most KT_FEEDER_READS at a time) nor for a line (a peer gets its next piece
 * when the last one has left our queue; until then its FETCHes wait in core/turns as some bytes). So a host
 * whose line is slow, or that does not read, holds up itself only, and a hundred hosts that want a gigabyte
 * each take KT_FEEDER_READS pieces of memory here and KT_FEEDER_AHEAD pieces each in ZeroMQ.
 *
 * Who waits for its turn gets an empty CHUNK every KT_TURNS_PATIENCE_NS: "you were heard".
 */
#ifndef KT_FEEDER_H
#define KT_FEEDER_H

#include "coordinator/artifacts.h"
#include "proto/net/router.h"

#define KT_FEEDER_READS 4 /* pieces that are read at the same time */
#define KT_FEEDER_AHEAD 4 /* pieces of one peer that ZeroMQ holds before its queue counts as full */

struct kt_feeder;

struct kt_feeder_config {
	const char *endpoint; /* as for kt_router_open() */
	const struct kt_guard
		*guard; /* as for kt_router_open(); with keys only hosts (role work) are fed */
	uint64_t bytes_per_s; /* to all hosts together; 0: no limit */
	struct kt_artifacts *artifacts; /* borrowed; nothing is added while the feeder lives */
};

int kt_feeder_open(uv_loop_t *loop, const struct kt_feeder_config *config,
		   struct kt_feeder **feeder, struct kt_err *err);
/* The endpoint's router: for kt_router_pause() and kt_router_recheck(). Borrowed. */
struct kt_router *kt_feeder_router(const struct kt_feeder *feeder);
const char *kt_feeder_endpoint(const struct kt_feeder *feeder); /* as bound */
uint64_t kt_feeder_sent_bytes(const struct kt_feeder *feeder); /* of artifacts, so far */
/* The loop must run on until its handles are closed; artifacts may go after that. */
void kt_feeder_destroy(struct kt_feeder **feeder_p);

#endif
