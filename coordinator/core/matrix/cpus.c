#include "coordinator/core/matrix/cpus.h"
#include "proto/base/limits.h"
#include "proto/base/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define MIB (1ull << 20)

#define LLCS_MAX    64
#define THREADS_MAX 2

/* semantics.md section 7: nodes, LLCs, cores per LLC, threads per core */
const struct kt_cpus_preset kt_cpus_presets[] = {
	{ "tiny-1llc", { 1, 1, 4, 1 } },         { "tiny-2llc", { 1, 2, 2, 1 } },
	{ "odd-3llc", { 1, 3, 3, 1 } },          { "odd-5llc", { 1, 5, 3, 1 } },
	{ "odd-7llc", { 1, 7, 2, 1 } },          { "smt-2llc", { 1, 2, 2, 2 } },
	{ "smt-3llc", { 1, 3, 2, 2 } },          { "medium-4llc", { 1, 4, 4, 2 } },
	{ "medium-8llc", { 1, 8, 4, 2 } },       { "large-4llc", { 1, 4, 16, 2 } },
	{ "large-8llc", { 1, 8, 8, 2 } },        { "near-max-llc", { 1, 15, 8, 2 } },
	{ "max-cpu", { 1, 14, 9, 2 } },          { "medium-4llc-nosmt", { 1, 4, 8, 1 } },
	{ "medium-8llc-nosmt", { 1, 8, 8, 1 } }, { "large-4llc-nosmt", { 1, 4, 32, 1 } },
	{ "large-8llc-nosmt", { 1, 8, 16, 1 } }, { "near-max-llc-nosmt", { 1, 15, 16, 1 } },
	{ "max-cpu-nosmt", { 1, 14, 18, 1 } },   { "numa2-4llc", { 2, 4, 4, 1 } },
	{ "numa2-8llc", { 2, 8, 8, 2 } },        { "numa2-8llc-nosmt", { 2, 8, 16, 1 } },
	{ "numa4-8llc", { 4, 8, 4, 1 } },        { "numa4-12llc", { 4, 12, 8, 2 } },
};

#define N_PRESETS (sizeof(kt_cpus_presets) / sizeof(kt_cpus_presets[0]))

const size_t kt_cpus_n_presets = N_PRESETS;

uint32_t kt_cpus_total(const struct kt_cpus *cpus)
{
	return cpus->llcs * cpus->cores * cpus->threads;
}

uint64_t kt_cpus_mem_bytes(const struct kt_cpus *cpus, uint64_t asked_bytes)
{
	uint64_t bytes = 64 * MIB * kt_cpus_total(cpus);

	if (bytes < 256 * MIB)
		bytes = 256 * MIB;
	if (bytes < asked_bytes)
		bytes = (asked_bytes + MIB - 1) / MIB * MIB;
	return bytes;
}

/* A number of 1 to 9 digits and the letter after it; *text then stands behind the letter. */
static bool take(const char **text, char letter, uint32_t *number)
{
	size_t n_digits = 0;

	*number = 0;
	for (; isdigit((unsigned char)**text); (*text)++, n_digits++) {
		if (n_digits == 9)
			return false;
		*number = *number * 10 + (uint32_t)(**text - '0');
	}
	if (n_digits == 0 || **text != letter)
		return false;
	(*text)++;
	return true;
}

static const struct kt_cpus_preset *find_preset(const char *name)
{
	for (size_t i = 0; i < N_PRESETS; i++)
		if (strcmp(kt_cpus_presets[i].name, name) == 0)
			return &kt_cpus_presets[i];
	return NULL;
}

static const char *nearest_preset(const char *name)
{
	const char *names[N_PRESETS];

	for (size_t i = 0; i < N_PRESETS; i++)
		names[i] = kt_cpus_presets[i].name;
	return kt_suggest(name, names, N_PRESETS);
}

static int refuse_word(const char *text, struct kt_err *err)
{
	const char *near = nearest_preset(text);

	if (near)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "unknown CPUs '%.64s'; did you mean '%s'?", text, near);
	return kt_err_set(
		err, KT_FAULT_INPUT, EINVAL,
		"unknown CPUs '%.64s'; write them as nodes, LLCs in all, cores per LLC, "
		"threads per core, e.g. \"1n1l2c1t\", or name a preset, e.g. \"tiny-1llc\"",
		text);
}

int kt_cpus_parse(const char *text, struct kt_cpus *cpus, struct kt_err *err)
{
	const struct kt_cpus_preset *preset = find_preset(text);
	const char *at = text;
	struct kt_cpus parsed;
	uint64_t total;

	if (preset) {
		*cpus = preset->cpus;
		return 0;
	}
	if (!take(&at, 'n', &parsed.numa_nodes) || !take(&at, 'l', &parsed.llcs) ||
	    !take(&at, 'c', &parsed.cores) || !take(&at, 't', &parsed.threads) || *at)
		return refuse_word(text, err);
	if (!parsed.numa_nodes || !parsed.llcs || !parsed.cores || !parsed.threads)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%s' has a 0; every number is at least 1", text);
	if (parsed.threads > THREADS_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%s': 1 or 2 threads per core, not %u", text, parsed.threads);
	if (parsed.numa_nodes > KT_GUEST_NODES_MAX || parsed.llcs > LLCS_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%s': at most %d nodes and %d LLCs",
				  text, KT_GUEST_NODES_MAX, LLCS_MAX);
	if (parsed.llcs % parsed.numa_nodes)
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"'%s': %u LLCs cannot be spread evenly over %u nodes; the number before l "
			"counts all LLCs and is a multiple of the nodes, e.g. %u",
			text, parsed.llcs, parsed.numa_nodes,
			(parsed.llcs / parsed.numa_nodes + 1) * parsed.numa_nodes);
	total = (uint64_t)parsed.llcs * parsed.cores * parsed.threads;
	if (total > KT_GUEST_CPUS_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%s' has %llu CPUs; a guest has at most %d", text,
				  (unsigned long long)total, KT_GUEST_CPUS_MAX);
	*cpus = parsed;
	return 0;
}
