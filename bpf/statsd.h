/* statsd.h - scx_stats, the server's side: a UNIX stream socket that answers one line per line.
 *
 *	{"req":"stats","args":{"target":"top"}}   {"errno":0,"args":{"resp":{...}}}
 *	{"req":"stats_meta"}                      what each number means
 *
 * Most scx_stats servers answer with the change since the previous request on the same connection;
 * this one answers totals since load, and stats_meta says so. Never blocks: a client that does not
 * read is dropped once more than one answer waits for it.
 */
#ifndef KT_STATSD_H
#define KT_STATSD_H

#include "proto/base/buf.h"

#include <poll.h>
#include <stdint.h>

#define KT_STATSD_PATH        "/var/run/scx/root/stats"
#define KT_STATSD_CLIENTS_MAX 16

struct kt_statsd_counter {
	const char *name;
	const char *sentence;
	uint64_t (*read)(size_t index);
};

/* Borrowed; outlives the server. */
struct kt_statsd_source {
	const char *scheduler;
	const struct kt_statsd_counter *counters;
	size_t n_counters;
};

/* Pure: appends the answer to one request line (without newline), with its newline. A request that is
 * no JSON object, names no known request or target gets a non-zero errno and a text.
 */
void kt_statsd_answer(const struct kt_statsd_source *source, const char *line, size_t len,
		      struct kt_buf *out);

struct kt_statsd;

/* Makes the folders of path and replaces a socket left behind. -errno when it cannot. */
int kt_statsd_open(const char *path, const struct kt_statsd_source *source,
		   struct kt_statsd **statsd);
/* Fills at most 1 + KT_STATSD_CLIENTS_MAX slots; returns how many. */
size_t kt_statsd_fds(const struct kt_statsd *statsd, struct pollfd *fds);
void kt_statsd_serve(struct kt_statsd *statsd); /* whatever is ready, without waiting */
void kt_statsd_destroy(struct kt_statsd **statsd_p); /* removes the socket */

#endif
