/* vm.h - one guest: its memory, its QEMU, the four wires to it, and how it ended.
 *
 *	kt_vm_init -> kt_vm_start -> kt_vm_greet -> (kt_vm_poll -> kt_vm_digest)... -> kt_vm_kill -> kt_vm_destroy
 *	                               kt_vm_restore ^        ... -> kt_vm_save ^
 *
 * Synchronous and single-threaded; the attempt process is its only user. Nothing of a guest is a file
 * or outlives this process: RAM is a memfd, the wires are socketpairs and a pipe, QEMU dies with us.
 */
#ifndef KT_VM_H
#define KT_VM_H

#include "proto/cause.h"
#include "worker/cage.h"
#include "worker/console.h"
#include "worker/framelink.h"
#include "worker/introspect/introspect.h"
#include "worker/jail.h"
#include "worker/qemu.h"
#include "worker/qmp.h"

#include <poll.h>

#define KT_VM_POLL_FDS        5 /* monitor, channel, console, QEMU's stderr, QEMU's death */
#define KT_VM_WORDS_MAX       (8u << 10)
#define KT_VM_STATE_BYTES_MAX (64u << 20) /* 0.3 to 0.6 MB are usual */

struct kt_vm_config {
	const char *qemu;
	unsigned int qemu_major;
	const char *accel;
	const struct kt_msg_topology *topology;
	const char *ktguest; /* to boot; not used when it restores */
	const char *kernel; /* vmlinux; the same */
	/* NULL: RAM of its own. Else one memfd per NUMA node, kt_topology_node_bytes() long: to be filled
	 * by a guest that boots, or a template's, sealed against writing, when it restores.
	 */
	const int *ram_fds;
	bool restores;
};

/* What is told while bytes are digested. Borrowed for the call. */
struct kt_vm_events {
	void (*frame)(void *arg, const struct kt_message *message, void *frame);
	void (*log)(void *arg, const char *stream, const void *bytes, size_t len);
	void *arg;
};

struct kt_vm {
	struct kt_vm_events events;
	bool kvm;
	int ram_fds[KT_QEMU_NODES_MAX];
	size_t n_ram_fds;
	uint64_t node_bytes[KT_QEMU_NODES_MAX]; /* of each; 0: the node has no memory */
	bool ram_shared; /* QEMU writes into the memfds, not into a copy of its own */
	struct kt_jail_child child; /* pid 0: not started, or ended */
	struct kt_cage *cage;
	struct kt_qmp qmp;
	struct kt_framelink channel;
	struct kt_console console;
	int console_fd;
	int words_fd;
	struct kt_buf words; /* QEMU's stdout and stderr */
	bool channel_broken;
	struct kt_err channel_err; /* why */
	bool ended; /* QEMU is gone and all that it said was read */
	bool killed; /* by us */
	int status; /* of waitpid(2), once ended */
};

/* Has this host the memory that a guest of this topology can come to use? -ENOMEM, fault HOST. Starting one that
 * boots asks for itself; one that was restored uses little until it gets a job.
 */
int kt_vm_check_memory(const struct kt_msg_topology *topology, struct kt_err *err);
/* An empty memfd for the RAM of one node; it can be sealed. The caller's. */
int kt_vm_make_ram(uint64_t bytes, int *fd, struct kt_err *err);

void kt_vm_init(struct kt_vm *vm, const struct kt_vm_events *events);

/* Starts QEMU, some 10 ms. notes: a line for each thing that this host does not allow. *cause is set on
 * failure. A half-built vm may be destroyed.
 */
int kt_vm_start(struct kt_vm *vm, const struct kt_vm_config *config, struct kt_buf *notes,
		enum kt_cause_id *cause, struct kt_err *err);
/* Blocks until QEMU answers its monitor (10 s, 60 s on a loaded TCG host, at most). A guest that boots is
 * on its way by then.
 */
int kt_vm_greet(struct kt_vm *vm, enum kt_cause_id *cause, struct kt_err *err);

/* Loads the devices' state from the file, whose offset it does not touch. Afterwards the guest stands still
 * where it was saved; kt_vm_cont() lets it go. Fault HOST.
 */
int kt_vm_restore(struct kt_vm *vm, int state_fd, int64_t deadline_ns, struct kt_err *err);
/* Stops the guest for good and writes the devices' state to the end of the file, KT_VM_STATE_BYTES_MAX at
 * most. Its memory is in the RAM files once QEMU is dead. Fault HOST.
 */
int kt_vm_save(struct kt_vm *vm, int state_fd, int64_t deadline_ns, struct kt_err *err);

/* The guest's RAM, to be read and written through QEMU's memory. Where the host does not let us do that (to root
 * without CAP_SYS_PTRACE, as in many a container) RAM that is shared is mapped instead, and notes gets
 * a line. *gmem is the caller's; to be refreshed before use whenever vm was digested since.
 */
int kt_vm_open_memory(const struct kt_vm *vm, struct kt_gmem **gmem, struct kt_buf *notes,
		      struct kt_err *err);

/* Fills fds for poll(2), returns how many. */
size_t kt_vm_poll(struct kt_vm *vm, struct pollfd fds[KT_VM_POLL_FDS]);
/* Digesting has more to do although no descriptor says so. */
bool kt_vm_pending(const struct kt_vm *vm);
/* Reads and writes whatever is ready. fds need not be polled before: nothing blocks. */
void kt_vm_digest(struct kt_vm *vm);

/* Queues a frame for the guest; false when too much waits already: digest, then try again. */
bool kt_vm_send(struct kt_vm *vm, uint32_t tag, const void *from);

/* Lets a restored guest run. */
int kt_vm_cont(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err);
/* Every vCPU stands still when this returns 0. -ETIMEDOUT, -EPIPE, ...: fault HOST or PEER. */
int kt_vm_freeze(struct kt_vm *vm, int64_t deadline_ns, struct kt_err *err);
/* *frozen_ns: how long they stood, by QEMU's own two time stamps when they are plausible, else from our
 * stop to our cont.
 */
int kt_vm_thaw(struct kt_vm *vm, int64_t stop_sent_ns, int64_t deadline_ns, int64_t *frozen_ns,
	       struct kt_err *err);

/* SIGKILL, reap, read what is left on the console. */
void kt_vm_kill(struct kt_vm *vm);
void kt_vm_destroy(struct kt_vm *vm);

/* The guest went by itself (power off, reset): anything else is QEMU's or the host's doing. */
bool kt_vm_guest_ended_it(const struct kt_vm *vm);
/* "killed by signal 9 (Killed)", "exit status 1". */
void kt_vm_describe_end(const struct kt_vm *vm, struct kt_buf *out);

#endif
