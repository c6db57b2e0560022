/* catalogue.h - scenarios that are ready to be used: a folder of small files, <group>/<name>.toml.
 *
 * Each has one [[scenario]] of that name, with its group and a sentence `about` what it would catch, and
 * nothing else. A matrix takes some in by name, `include = ["swapped", "wake"]` in [sweep]: their texts
 * are put behind its own, and that is the text that is read, journaled and judged again. So a stored sweep
 * needs no catalogue, and a later catalogue changes nothing about it.
 *
 * The folder is $KT_SCENARIOS_DIR, else share/ktcoord/scenarios of where the program is installed, else
 * examples/scenarios of the tree that it was built in.
 */
#ifndef KT_CATALOGUE_H
#define KT_CATALOGUE_H

#include "coordinator/core/matrix/doc.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stdio.h>

#define KT_CATALOGUE_ENTRIES_MAX    1024
#define KT_CATALOGUE_FILE_BYTES_MAX (64u << 10)

struct kt_catalogue_entry {
	const char *name; /* "swapped" */
	const char *group; /* "cpuset" */
	const char *full; /* "cpuset/swapped" */
	const char *path;
};

struct kt_catalogue { /* begins zeroed */
	struct kt_arena arena; /* owns everything below */
	const char *dir;
	struct kt_catalogue_entry *entries; /* by group, then by name */
	size_t n;
};

/* Looks at names only. -ENOENT with fault INPUT and where was looked when there is no folder. */
int kt_catalogue_open(struct kt_catalogue *catalogue, struct kt_err *err);
void kt_catalogue_close(struct kt_catalogue *catalogue);

/* Puts behind *text what [sweep] of doc, which was read from it, includes; nothing when it includes nothing.
 * -EINVAL with fault INPUT and file:line:column when there is no such scenario or its file is not one.
 */
int kt_catalogue_include(const struct kt_doc *doc, struct kt_buf *text, struct kt_err *err);

/* `ktcoord scenarios [NAME]`: all, those that a pattern chooses, or the text of the one of that name. */
int kt_catalogue_print(const char *name, bool json, FILE *out, struct kt_err *err);

#endif
