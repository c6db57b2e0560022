/* procmaps.h - where a process maps a file, out of the text of /proc/<pid>/maps (proc(5)).
 *
 * A mapping may have been split (madvise(2), mprotect(2)): lines that continue
 * one another both in the address space and in the file are one mapping. Shared or private is all
 * the same. What is no such line is skipped.
 */
#ifndef KT_PROCMAPS_H
#define KT_PROCMAPS_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <sys/types.h>

#define KT_PROCMAPS_BYTES_MAX (4u << 20) /* some 40000 mappings */

/* Fault HOST; -EACCES when we may not look into that process. */
int kt_procmaps_read(pid_t pid, struct kt_buf *text, struct kt_err *err);

/* A pure function over text. *va: where the first `bytes` bytes of the file, as fstat(2) names it, are mapped in one readable run; the
 * first such place. -ENOENT when there is none.
 */
int kt_procmaps_find(const char *text, size_t len, dev_t dev, ino_t ino, uint64_t bytes,
		     uint64_t *va);

#endif
