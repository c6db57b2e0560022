/* cpus.h - the CPUs of a guest as people write them: "1n1l2c1t", or the name of a preset.
 *
 * NnNlNcNt: NUMA nodes, last-level caches in all (a multiple of the nodes), cores per LLC, threads per
 * core; CPUs = llcs * cores * threads (semantics.md section 7, which also lists the presets).
 */
#ifndef KT_CPUS_H
#define KT_CPUS_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

struct kt_cpus {
	uint32_t numa_nodes;
	uint32_t llcs; /* in all */
	uint32_t cores; /* per LLC */
	uint32_t threads; /* per core */
};

struct kt_cpus_preset {
	const char *name;
	struct kt_cpus cpus;
};

extern const struct kt_cpus_preset kt_cpus_presets[];
extern const size_t kt_cpus_n_presets;

/* -EINVAL with fault INPUT and a sentence that says what would be right. */
int kt_cpus_parse(const char *text, struct kt_cpus *cpus, struct kt_err *err);

uint32_t kt_cpus_total(const struct kt_cpus *cpus);

/* What a guest with so many CPUs gets when asked_bytes are asked for (0: nothing asked):
 * max(64 MiB * CPUs, 256 MiB, asked), in whole MiB.
 */
uint64_t kt_cpus_mem_bytes(const struct kt_cpus *cpus, uint64_t asked_bytes);

#endif
