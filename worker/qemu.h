/* qemu.h - the machine a guest gets: QEMU's command line as a table, each option with its reason.
 *
 * The machine has no network, no disk, no display and no file of its own: RAM is a memfd, everything
 * else is a socketpair or a descriptor that QEMU inherits.
 * So nothing is left behind when it is killed. Measured in facts-boot.md.
 */
#ifndef KT_QEMU_H
#define KT_QEMU_H

#include "proto/base/limits.h"
#include "proto/cause.h"
#include "proto/schema.h"

#define KT_QEMU_NODES_MAX KT_GUEST_NODES_MAX

/* Descriptors are numbers as QEMU sees them: they must survive its exec. */
struct kt_qemu_spec {
	const char *binary;
	const char *accel; /* "kvm" or "tcg" */
	unsigned int version_major; /* of this QEMU */
	const struct kt_msg_topology *topology;
	uint32_t tsc_khz; /* of the host, for a kernel that boots; 0: it finds out by itself */
	int ram_fds[KT_QEMU_NODES_MAX]; /* one per NUMA node, kt_topology_node_bytes() long */
	bool restores; /* the RAM is a template's and stays as it is; there is no kernel to boot */
	int kernel_fd; /* vmlinux with a PVH note, or a bzImage */
	int initramfs_fd;
	int monitor_fd; /* QMP */
	int channel_fd; /* the guest's virtio-serial port */
	int console_fd; /* the guest's first serial port: the writing end of a pipe */
};

/* Fault INPUT when QEMU cannot make this topology. */
int kt_qemu_check_topology(const struct kt_msg_topology *topology, struct kt_err *err);
uint64_t kt_qemu_cpus(const struct kt_msg_topology *topology);
/* Host memory that a guest of this topology can use at most: its RAM and QEMU's own. */
uint64_t kt_qemu_host_bytes(const struct kt_msg_topology *topology);

/* NULL-terminated, in the arena. */
char **kt_qemu_command(const struct kt_qemu_spec *spec, struct kt_arena *arena);

/* Runs `binary --version`. *major and version ("7.2.22", size bytes) are set. -ENOENT with fault HOST
 * when there is no such program. Blocks for at most 10 s.
 */
int kt_qemu_version(const char *binary, unsigned int *major, char *version, size_t size,
		    struct kt_err *err);

/* What QEMU's last words say about why it ended before the guest ran: KT_CAUSE_ID_qemu_died when they
 * say nothing known. kvm: whether the accelerator was KVM.
 */
enum kt_cause_id kt_qemu_last_words(const char *words, bool kvm);

#endif
