/* remote.h - memory of another process, as of one moment.
 *
 * Pages are read with process_vm_readv(2) and kept: until the next refresh a byte reads the same however
 * often it is looked at. A refresh forgets what was read, and fetches, in one system call per 1024 pages,
 * of every page what was looked at lately: whoever looks at the same places after each refresh, as a
 * capture does, costs one or two system calls and no more.
 *
 * What cannot be read is NULL. A process that has ended has no memory: that is an answer, too, and after its
 * number went to another process, a refresh still knows that it has ended.
 */
#ifndef KT_REMOTE_H
#define KT_REMOTE_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KT_REMOTE_PAGE        4096u
#define KT_REMOTE_GATHER_MAX  1024 /* pieces of one system call: IOV_MAX */
#define KT_REMOTE_PAGES_MAX   2048 /* kept; one more, and all are forgotten */
#define KT_REMOTE_FETCHES_MAX 16384 /* between two refreshes, one by one; what is beyond is NULL */
#define KT_REMOTE_KEEP        4 /* refreshes for which a page is fetched that nobody looks at */

struct kt_remote;

/* What has been asked of the host so far. */
struct kt_remote_cost {
	uint64_t calls; /* process_vm_readv(2) and process_vm_writev(2) */
	uint64_t pages; /* read */
};

/* Fault HOST. -EPERM: we may not look into that process. That needs the same user as ours, or CAP_SYS_PTRACE in
 * its user namespace (which whoever made that namespace has), and kernel.yama.ptrace_scope 0, or 1 for a
 * process that descends from us: ptrace(2), "Ptrace access mode checking".
 */
int kt_remote_open(pid_t pid, struct kt_remote **remote, struct kt_err *err);
void kt_remote_destroy(struct kt_remote **remote_p);

/* From here on memory is as of now. -ESRCH when the process has ended: nothing can be read any more. */
int kt_remote_refresh(struct kt_remote *remote);

/* len bytes, which must lie within one page; NULL when they cannot be read. Valid until the next call. */
const uint8_t *kt_remote_at(struct kt_remote *remote, uint64_t va, size_t len);

/* Reads len bytes at each of n addresses as they are now, one behind the other into `into`, in one system
 * call; keeps nothing. Zeroes where they cannot be read. n: KT_REMOTE_GATHER_MAX at most.
 */
void kt_remote_gather(struct kt_remote *remote, const uint64_t *vas, size_t n, size_t len,
		      uint8_t *into);

/* Writes len bytes within one page, seen by reads at once. The kernel copies as it likes, so only a process
 * that does not look meanwhile never sees half of it. 0 or -EFAULT.
 */
int kt_remote_write(struct kt_remote *remote, uint64_t va, const void *from, size_t len);

void kt_remote_cost(const struct kt_remote *remote, struct kt_remote_cost *cost);

#endif
