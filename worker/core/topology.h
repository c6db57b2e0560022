/* topology.h - the machine that a job asks for, and whether the guest is that machine.
 *
 * QEMU is told the same numbers (worker/qemu.c); that the guest's kernel made of them what was meant is not taken
 * on trust: threads, last-level caches, nodes, their memory and distances are compared with what the guest reads in
 * its /sys before anything of a job runs. Pure.
 */
#ifndef KT_TOPOLOGY_H
#define KT_TOPOLOGY_H

#include "proto/base/err.h"
#include "proto/schema.h"

#define KT_TOPOLOGY_TEXT_BYTES 2048 /* of kt_topology_describe, cut when longer */

/* RAM of one node: what the topology says of it, else its share of mem_bytes; rounded up to 2 MiB. 0: none. */
uint64_t kt_topology_node_bytes(const struct kt_msg_topology *topology, size_t node);
uint64_t kt_topology_ram_bytes(const struct kt_msg_topology *topology); /* of all nodes */
/* 10 to itself; the topology's, else 20, to others. */
uint64_t kt_topology_distance(const struct kt_msg_topology *topology, size_t from, size_t to);
/* Some node says its distances: the guest gets a table of them. */
bool kt_topology_has_distances(const struct kt_msg_topology *topology);

/* 0 when the guest is the machine that was asked for. Else -EPROTO with fault HOST and the first difference:
 * "asked 2n4l2c1t: LLC 1 = CPUs 2-3; the guest sees 2-5". asked passed kt_qemu_check_topology(); seen is
 * whatever a guest says.
 *
 * Memory: MemTotal is what is left of a node's RAM after the kernel took its own (code, struct pages, per-CPU
 * areas, hash tables, bounce buffers), all of which may come from one node: see kernel_bytes().
 */
int kt_topology_check(const struct kt_msg_topology *asked, const struct kt_msg_guest_ready *seen,
		      struct kt_err *err);

/* What the guest sees, in one line: "LLCs 0-1 2-3; cores 0 1 2 3; node 0: CPUs 0-3, 209 MiB". Returns text. */
char *kt_topology_describe(const struct kt_msg_guest_ready *seen,
			   char text[KT_TOPOLOGY_TEXT_BYTES]);

#endif
