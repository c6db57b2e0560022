/* cache.h - the artifacts that this host has: files named by their SHA-256, fetched in pieces.
 *
 *	<dir>/<64 hex digits>         whole and verified
 *	<dir>/<64 hex digits>.part    on its way; its length is how far it came
 *
 * Several workers of one host share a folder. Who fetches holds an exclusive flock on the .part file, and names
 * change hands under that lock only; the others wait for it. Who uses an artifact holds a shared flock on it;
 * eviction (least recently used first, beyond bytes_max or when the disk is full) takes only what it can lock
 * exclusively. A .part file of an earlier life is gone on with. An artifact is verified when it arrived, and again at
 * its first use after a start; what does not match is fetched anew, and what was fetched anew and does not match
 * twice is artifact_corrupt.
 *
 * Credit: at most KT_FETCH_WINDOW pieces are asked for and not yet written, whatever number of artifacts they are of.
 * A piece is as large as the line carries in half a second, KT_CHUNK_BYTES_MAX at most: whoever has a slow line
 * still gets one within every patience. An empty piece means that we were heard and have to wait for our turn.
 *
 * Digests are computed, and files synced, in libuv's thread pool; everything else happens in the loop and does not
 * block.
 */
#ifndef KT_CACHE_H
#define KT_CACHE_H

#include "proto/cause.h"
#include "proto/job.h"

#include <uv.h>

#define KT_CACHE_STALL_NS (5 * KT_NS_PER_S) /* without a word, though asked: the line is broken */
#define KT_CACHE_GIVE_UP_NS \
	(60 * KT_NS_PER_S) /* without a word while the link is up: artifact_missing */

struct kt_cache;
struct kt_cache_want; /* artifacts of one attempt, and the right to use them */

struct kt_cache_config {
	const char *dir; /* made when it is not there */
	uint64_t bytes_max;
	/* Asks for a piece; negative when it cannot be sent now (kt_cache_link says when it can). */
	int (*ask)(void *arg, const struct kt_msg_fetch *fetch);
	/* No piece came for KT_CACHE_STALL_NS: the bulk connection should start over. May be NULL. */
	void (*stalled)(void *arg);
	void *arg;
};

/* Called from the loop, never from within kt_cache_want(). On success paths[i] belongs to artifact i
 * and is valid, and pinned, until kt_cache_drop(); else cause and err say why. Once per want.
 */
typedef void kt_cache_done(void *arg, const char *const *paths, size_t n_paths,
			   enum kt_cause_id cause, const struct kt_err *err);

int kt_cache_open(uv_loop_t *loop, const struct kt_cache_config *config, struct kt_cache **cache,
		  struct kt_err *err);
/* Lets go of every want without calling done. The loop must run on until its handles are closed. */
void kt_cache_destroy(struct kt_cache **cache_p);

struct kt_cache_want *kt_cache_want(struct kt_cache *cache, const struct kt_job_artifact *artifacts,
				    size_t n, kt_cache_done *done, void *arg);
/* Ends a want at any time, before or after done. Accepts NULL. */
void kt_cache_drop(struct kt_cache_want **want_p);

/* Evicts until bytes more fit below bytes_max, as far as nobody uses what is there. Templates (stock.h) stand in
 * the same folder, under the same limit.
 */
void kt_cache_make_room(const char *dir, uint64_t bytes_max, uint64_t bytes);

/* What lies there as far as we know, for SYNC: borrowed until the loop goes on (core/shelf.h). */
struct kt_bin kt_cache_told(const struct kt_cache *cache);

void kt_cache_chunk(struct kt_cache *cache, const struct kt_msg_chunk *chunk);
/* The bulk connection came up (also anew) or went away. */
void kt_cache_link(struct kt_cache *cache, bool is_up);

#endif
