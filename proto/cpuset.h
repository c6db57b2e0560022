/* cpuset.h - sets of CPUs: as masks, as lists ("0-3,5"), and as a scenario means them ("llc 1").
 *
 * semantics.md section 6: usable CPUs are all but the last when there are more than 2 (that one is kept for
 * the agent). llc, numa and exact name CPUs themselves; range, disjoint and overlap cut the usable ones:
 *
 *	range(a, b)          usable[floor(len * a) .. floor(len * b))
 *	disjoint(i, of)      usable[i * chunk .. (i + 1) * chunk), chunk = len / of; the last takes the rest
 *	overlap(i, of, f)    the same, with floor(chunk * f) more CPUs at each end that has a neighbour
 *
 * Shares are integers (millionths): the same CPUs everywhere. Pure: the coordinator asks for the machine
 * that it will build, the guest for the one that it sees.
 */
#ifndef KT_CPUSET_H
#define KT_CPUSET_H

#include "proto/base/err.h"
#include "proto/schema.h"

#define KT_CPUSET_WORDS      4
#define KT_CPUSET_PPM        1000000u
#define KT_CPUSET_TEXT_BYTES 1100 /* of the longest list: every other one of 256 CPUs */

struct kt_cpuset {
	uint64_t words[KT_CPUSET_WORDS]; /* bit cpu % 64 of word cpu / 64 */
};

struct kt_cpuset_machine {
	uint32_t n_cpus;
	uint32_t n_llcs;
	uint32_t n_nodes;
	uint8_t llc_of[KT_GUEST_CPUS_MAX + 1];
	uint8_t node_of[KT_GUEST_CPUS_MAX + 1];
};

void kt_cpuset_add(struct kt_cpuset *set, uint32_t cpu);
bool kt_cpuset_has(const struct kt_cpuset *set, uint32_t cpu);
uint32_t kt_cpuset_count(const struct kt_cpuset *set);
bool kt_cpuset_is_subset(const struct kt_cpuset *set, const struct kt_cpuset *of);

/* "0-3,5" or "" -> the mask; -EINVAL when it is no list or names a CPU beyond KT_GUEST_CPUS_MAX. Blanks and a
 * newline at the end are the kernel's.
 */
int kt_cpuset_parse(const char *list, struct kt_cpuset *set);
/* The shortest such list; returns text. */
char *kt_cpuset_print(const struct kt_cpuset *set, char text[KT_CPUSET_TEXT_BYTES]);

/* CPUs are numbered node by node, LLC by LLC, core by core, as QEMU is told to (worker/qemu.c). */
void kt_cpuset_machine_of(const struct kt_msg_topology *topology,
			  struct kt_cpuset_machine *machine);
uint32_t kt_cpuset_usable(const struct kt_cpuset_machine *machine); /* how many: 0 .. this - 1 */

/* Never empty. -EINVAL with fault INPUT and a sentence when the spec names what this machine has not, or
 * comes out empty.
 */
int kt_cpuset_resolve(const struct kt_msg_cpuset *spec, const struct kt_cpuset_machine *machine,
		      struct kt_cpuset *set, struct kt_err *err);

/* "llc(1)", "disjoint(0, 2)", "0-3": as a matrix writes it. Returns text. */
char *kt_cpuset_describe(const struct kt_msg_cpuset *spec, char *text, size_t size);

#endif
