/* stock.h - the templates of this host: found, made on first need, kept, dropped.
 *
 *	        in memory? ---------------------------------------------------> here
 *	want -> on disk?   -> loading (thread) --------------------------------> here
 *	        nobody makes it? -> making (attempt process, role template) ---> here -> kept on disk (thread)
 *	        another worker does -> waiting for its lock, then on disk?
 *
 * Whoever needs a template that is being made waits for it; nobody boots a second one. What cannot be had is
 * said to everyone who waits: they boot cold. A template that could not be made twice in a row is not tried
 * again for KT_STOCK_REST_NS. One that two restores in a row failed with, one that served its number of
 * guests and one whose file is damaged are thrown away, with one line in the log each. One that may serve only so
 * many guests is made by the process that asks for it and not kept: nobody knows how many another one served.
 *
 * The files stand beside the artifacts, under the same limit (worker/cache.h); memory has a limit of its
 * own, beyond which templates that nobody uses are let go, the least recently used first.
 * Everything happens in the loop; hashing, packing and disks in libuv's thread pool.
 */
#ifndef KT_STOCK_H
#define KT_STOCK_H

#include "worker/guestproc.h"
#include "worker/template.h"

#define KT_STOCK_REST_NS (600 * KT_NS_PER_S)

struct kt_stock;
struct kt_stock_want;

struct kt_stock_config {
	const char *dir;
	uint64_t disk_bytes_max; /* artifacts and templates */
	uint64_t memory_bytes_max; /* templates */
	struct kt_guestprocs *procs; /* where makers are listed */
	int64_t lock_wait_ns; /* for another process that makes the same; 0: 4 minutes. Then it is made here, and not kept. */
};

/* template: held for the callee until kt_stock_release(); NULL when there is none, err says why. */
typedef void kt_stock_told(void *arg, struct kt_template *template, const struct kt_err *err);

int kt_stock_open(uv_loop_t *loop, const struct kt_stock_config *config, struct kt_stock **stock_p,
		  struct kt_err *err);
/* Forgets every want. The loop must run on until its handles are closed and its threads done. */
void kt_stock_destroy(struct kt_stock **stock_p);

/* What is in memory already, held for the caller; NULL: want it. renew: after how many guests a template
 * is replaced; 0: never.
 */
struct kt_template *kt_stock_find(struct kt_stock *stock, const struct kt_digest *key,
				  uint64_t renew);
/* guest: what to boot, should it have to be made (role is not looked at; borrowed for the call). told is
 * called once, never from within.
 */
struct kt_stock_want *kt_stock_want(struct kt_stock *stock, const struct kt_digest *key,
				    const struct kt_digest *place, uint64_t renew,
				    const struct kt_msg_run_guest *guest, kt_stock_told *told,
				    void *arg);
void kt_stock_drop(struct kt_stock_want **want_p); /* before it was told; accepts NULL */

/* A guest was restored, or not. */
void kt_stock_worked(struct kt_stock *stock, struct kt_template *template);
void kt_stock_failed(struct kt_stock *stock, struct kt_template *template, const char *why);
void kt_stock_release(struct kt_stock *stock, struct kt_template **template_p); /* accepts NULL */

/* Holds it once more. */
struct kt_template *kt_stock_hold(struct kt_template *template);
/* Lets go of every template in memory that nobody uses. */
void kt_stock_make_room(struct kt_stock *stock);
/* Still the one that new guests get. */
bool kt_stock_is_current(const struct kt_stock *stock, const struct kt_template *template);
/* Memory that templates take, each counted once. */
uint64_t kt_stock_shared_bytes(const struct kt_stock *stock);

#endif
