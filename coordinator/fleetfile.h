/* fleetfile.h - <state>/fleet.toml: where workers connect when nobody says otherwise.
 *
 *	listen = "tcp://192.0.2.1:7400"		where they get their cells
 *	bulk_listen = "tcp://192.0.2.1:7401"	where they get artifacts
 *	keys = true				hosts need a key, on this machine as well
 *	bandwidth = "100M"			bytes of artifacts a second, to all of them together
 *	unschedulable_after = "10s"		how long a cell that no host is large enough for waits for one
 *
 * All of it is optional; the command line wins. With `listen` in it a fleet is configured: `ktcoord MATRIX.toml` runs on
 * it, and not on an embedded worker.
 */
#ifndef KT_FLEETFILE_H
#define KT_FLEETFILE_H

#include "coordinator/core/matrix/doc.h"
#include "coordinator/matrixfile.h"

#define KT_FLEETFILE_NAME      "fleet.toml"
#define KT_FLEETFILE_BYTES_MAX (64u << 10)

struct kt_fleetfile { /* NULL: it does not say */
	struct kt_doc *doc; /* owns the texts */
	const char *listen;
	const char *bulk_listen;
	bool keys; /* beyond this machine they always need one */
	const char *bandwidth; /* as kt_bucket_parse() takes it */
	int64_t unschedulable_ns; /* 0: it does not say */
};

/* All NULL and 0 when there is no such file. What is wrong with it is said as of a matrix, one line each: -EINVAL, fault
 * INPUT, the first of them in err.
 */
int kt_fleetfile_load(const char *state_dir, kt_matrixfile_problem_fn *problem, void *arg,
		      struct kt_fleetfile *file, struct kt_err *err);
/* The same of a text; path: what it is called. */
int kt_fleetfile_parse(const char *path, const void *text, size_t len,
		       kt_matrixfile_problem_fn *problem, void *arg, struct kt_fleetfile *file,
		       struct kt_err *err);
void kt_fleetfile_fini(struct kt_fleetfile *file); /* frees what it holds, not the struct */

#endif
