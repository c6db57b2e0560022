#include "proto/cpuset.h"
#include "proto/base/must.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- masks and lists ---- */

void kt_cpuset_add(struct kt_cpuset *set, uint32_t cpu)
{
	kt_must(cpu <= KT_GUEST_CPUS_MAX);
	set->words[cpu / 64] |= 1ull << cpu % 64;
}

bool kt_cpuset_has(const struct kt_cpuset *set, uint32_t cpu)
{
	return cpu <= KT_GUEST_CPUS_MAX && set->words[cpu / 64] >> cpu % 64 & 1;
}

uint32_t kt_cpuset_count(const struct kt_cpuset *set)
{
	uint32_t n = 0;

	for (size_t i = 0; i < KT_CPUSET_WORDS; i++)
		n += (uint32_t)__builtin_popcountll(set->words[i]);
	return n;
}

bool kt_cpuset_is_subset(const struct kt_cpuset *set, const struct kt_cpuset *of)
{
	for (size_t i = 0; i < KT_CPUSET_WORDS; i++)
		if (set->words[i] & ~of->words[i])
			return false;
	return true;
}

/* 1 to 3 digits; *text then stands behind them. */
static bool take_cpu(const char **text, uint32_t *cpu)
{
	size_t n_digits = 0;

	*cpu = 0;
	for (; isdigit((unsigned char)**text); (*text)++) {
		if (++n_digits > 3)
			return false;
		*cpu = *cpu * 10 + (uint32_t)(**text - '0');
	}
	return n_digits > 0 && *cpu <= KT_GUEST_CPUS_MAX;
}

int kt_cpuset_parse(const char *list, struct kt_cpuset *set)
{
	const char *at = list;

	*set = (struct kt_cpuset){ 0 };
	while (*at && !isspace((unsigned char)*at)) {
		uint32_t first;
		uint32_t last;

		if (!take_cpu(&at, &first))
			return -EINVAL;
		last = first;
		if (*at == '-') {
			at++;
			if (!take_cpu(&at, &last) || last < first)
				return -EINVAL;
		}
		for (uint32_t cpu = first; cpu <= last; cpu++)
			kt_cpuset_add(set, cpu);
		if (*at != ',')
			break;
		at++;
		if (!isdigit((unsigned char)*at))
			return -EINVAL;
	}
	while (isspace((unsigned char)*at))
		at++;
	return *at ? -EINVAL : 0;
}

char *kt_cpuset_print(const struct kt_cpuset *set, char text[KT_CPUSET_TEXT_BYTES])
{
	size_t len = 0;

	text[0] = 0;
	for (uint32_t cpu = 0; cpu <= KT_GUEST_CPUS_MAX; cpu++) {
		uint32_t last = cpu;

		if (!kt_cpuset_has(set, cpu))
			continue;
		while (kt_cpuset_has(set, last + 1))
			last++;
		len += (size_t)snprintf(text + len, KT_CPUSET_TEXT_BYTES - len,
					last > cpu ? "%s%u-%u" : "%s%u", len ? "," : "", cpu, last);
		cpu = last;
	}
	return text;
}

/* ---- what a scenario means ---- */

void kt_cpuset_machine_of(const struct kt_msg_topology *topology, struct kt_cpuset_machine *machine)
{
	uint64_t per_llc = topology->cores * topology->threads;
	uint64_t llcs_per_node = topology->llcs / topology->numa_nodes;

	*machine = (struct kt_cpuset_machine){
		.n_cpus = (uint32_t)(topology->llcs * per_llc),
		.n_llcs = (uint32_t)topology->llcs,
		.n_nodes = (uint32_t)topology->numa_nodes,
	};
	kt_must(machine->n_cpus <= KT_GUEST_CPUS_MAX && per_llc > 0 && llcs_per_node > 0);
	for (uint32_t cpu = 0; cpu < machine->n_cpus; cpu++) {
		machine->llc_of[cpu] = (uint8_t)(cpu / per_llc);
		machine->node_of[cpu] = (uint8_t)(cpu / per_llc / llcs_per_node);
	}
}

uint32_t kt_cpuset_usable(const struct kt_cpuset_machine *machine)
{
	return machine->n_cpus > 2 ? machine->n_cpus - 1 : machine->n_cpus;
}

static void add_range(struct kt_cpuset *set, uint64_t first, uint64_t end)
{
	for (uint64_t cpu = first; cpu < end; cpu++)
		kt_cpuset_add(set, (uint32_t)cpu);
}

static int resolve_place(const struct kt_msg_cpuset *spec, const struct kt_cpuset_machine *machine,
			 struct kt_cpuset *set, struct kt_err *err)
{
	bool is_llc = strcmp(spec->kind, "llc") == 0;
	const uint8_t *place_of = is_llc ? machine->llc_of : machine->node_of;
	uint32_t n = is_llc ? machine->n_llcs : machine->n_nodes;

	if (spec->index >= n)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s(%llu): the guest has %u %s%s, counted from 0", spec->kind,
				  (unsigned long long)spec->index, n, is_llc ? "LLC" : "NUMA node",
				  n == 1 ? "" : "s");
	for (uint32_t cpu = 0; cpu < machine->n_cpus; cpu++)
		if (place_of[cpu] == spec->index)
			kt_cpuset_add(set, cpu);
	return 0;
}

static int resolve_exact(const struct kt_msg_cpuset *spec, const struct kt_cpuset_machine *machine,
			 struct kt_cpuset *set, struct kt_err *err)
{
	if (kt_cpuset_parse(spec->list, set) < 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%.64s' is no list of CPUs; e.g. \"0-3,5\"", spec->list);
	for (uint32_t cpu = machine->n_cpus; cpu <= KT_GUEST_CPUS_MAX; cpu++)
		if (kt_cpuset_has(set, cpu))
			return kt_err_set(
				err, KT_FAULT_INPUT, EINVAL,
				"%.64s: there is no CPU %u; the guest has %u, counted from 0",
				spec->list, cpu, machine->n_cpus);
	return 0;
}

static int resolve_part(const struct kt_msg_cpuset *spec, uint64_t len, struct kt_cpuset *set,
			struct kt_err *err)
{
	uint64_t chunk;
	uint64_t more = 0;
	bool is_last = spec->index + 1 == spec->of;
	uint64_t first;
	uint64_t end;

	if (spec->of == 0 || spec->index >= spec->of || spec->of > len)
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"%s: there is no part %llu of %llu of %llu usable CPUs, counted from 0",
			spec->kind, (unsigned long long)spec->index, (unsigned long long)spec->of,
			(unsigned long long)len);
	chunk = len / spec->of;
	if (strcmp(spec->kind, "overlap") == 0)
		more = chunk * spec->from_ppm / KT_CPUSET_PPM;
	first = spec->index == 0 ? 0 : spec->index * chunk - more;
	end = (spec->index + 1) * chunk + more;
	add_range(set, first, is_last || end > len ? len : end);
	return 0;
}

int kt_cpuset_resolve(const struct kt_msg_cpuset *spec, const struct kt_cpuset_machine *machine,
		      struct kt_cpuset *set, struct kt_err *err)
{
	uint64_t len = kt_cpuset_usable(machine);
	int status = 0;

	*set = (struct kt_cpuset){ 0 };
	if (strcmp(spec->kind, "llc") == 0 || strcmp(spec->kind, "numa") == 0)
		status = resolve_place(spec, machine, set, err);
	else if (strcmp(spec->kind, "exact") == 0)
		status = resolve_exact(spec, machine, set, err);
	else if (strcmp(spec->kind, "range") == 0)
		add_range(set, len * spec->from_ppm / KT_CPUSET_PPM,
			  len * spec->to_ppm / KT_CPUSET_PPM);
	else if (strcmp(spec->kind, "disjoint") == 0 || strcmp(spec->kind, "overlap") == 0)
		status = resolve_part(spec, len, set, err);
	else
		status =
			kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				   "%.64s is no kind of cpuset; there are llc, numa, exact, range, "
				   "disjoint and overlap",
				   spec->kind);
	if (status == 0 && kt_cpuset_count(set) == 0) {
		char text[128];

		status = kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				    "%s comes out empty with %llu usable CPUs",
				    kt_cpuset_describe(spec, text, sizeof(text)),
				    (unsigned long long)len);
	}
	return status;
}

/* Millionths as a decimal number: "0.5", "1", "0.000001". */
static const char *print_share(uint64_t ppm, char text[32])
{
	size_t len =
		(size_t)snprintf(text, 32, "%llu.%06llu", (unsigned long long)(ppm / KT_CPUSET_PPM),
				 (unsigned long long)(ppm % KT_CPUSET_PPM));

	while (text[len - 1] == '0')
		text[--len] = 0;
	if (text[len - 1] == '.')
		text[--len] = 0;
	return text;
}

char *kt_cpuset_describe(const struct kt_msg_cpuset *spec, char *text, size_t size)
{
	char from[32];
	char to[32];
	unsigned long long index = spec->index;
	unsigned long long of = spec->of;

	if (strcmp(spec->kind, "exact") == 0)
		snprintf(text, size, "%s", spec->list);
	else if (strcmp(spec->kind, "range") == 0)
		snprintf(text, size, "range(%s, %s)", print_share(spec->from_ppm, from),
			 print_share(spec->to_ppm, to));
	else if (strcmp(spec->kind, "disjoint") == 0)
		snprintf(text, size, "disjoint(%llu, %llu)", index, of);
	else if (strcmp(spec->kind, "overlap") == 0)
		snprintf(text, size, "overlap(%llu, %llu, %s)", index, of,
			 print_share(spec->from_ppm, from));
	else
		snprintf(text, size, "%s(%llu)", spec->kind, index);
	return text;
}
