/* jail.h - starts a program that may be taken over by what it runs: QEMU.
 *
 * The child gets its own session, pid, mount, network, ipc and uts namespaces, a read-only view of the
 * file system with empty /home, /root, /run, /tmp and /var, user nobody, no capabilities, no new privileges,
 * resource limits and only the descriptors it is given. It dies with its parent (PDEATHSIG), however
 * that ends. What a host does not allow is left out and said: one note per thing.
 *
 * See prctl(2), namespaces(7), capabilities(7), mount_namespaces(7).
 */
#ifndef KT_JAIL_H
#define KT_JAIL_H

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "worker/cage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kt_jail_spec {
	char *const *argv; /* argv[0] is looked up in PATH */
	const int *fds; /* keep their numbers */
	size_t n_fds;
	int stderr_fd; /* its stdout and stderr */
	int alive_fd; /* one of fds: a socket whose other end only the parent holds */
	bool kvm; /* it needs /dev/kvm */
	uint64_t address_bytes_max; /* RLIMIT_AS */
	struct kt_cage *cage; /* joined before it runs anything; NULL: none */
};

struct kt_jail_child {
	pid_t pid;
	int pid_fd; /* readable when it has ended; owned by the caller */
};

/* Returns after the exec succeeded. notes: a line per thing that this host did not allow. -ENOENT: no
 * such program. Fault HOST. The caller ends it with kt_jail_kill().
 */
int kt_jail_spawn(const struct kt_jail_spec *spec, struct kt_jail_child *child,
		  struct kt_buf *notes, struct kt_err *err);

/* Kills and reaps. *status as of waitpid(2), of an end before the kill too; may be NULL. Accepts a
 * child that was never started (pid 0).
 */
void kt_jail_kill(struct kt_jail_child *child, int *status);

#endif
