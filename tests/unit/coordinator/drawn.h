/* drawn.h - matrices drawn at random, for the tests of who expands them and who chooses among their cells. */
#ifndef DRAWN_H
#define DRAWN_H

#include "proto/base/buf.h"

#include <inttypes.h>

#define DRAWN_STEP "[[scenario.step]]\nhold = \"full\"\n"

/* 0 .. n - 1. */
static inline uint64_t drawn(uint64_t *seed, uint64_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % n;
}

static const char *const drawn_shapes[] = { "1n1l1c1t", "1n1l4c1t", "1n2l2c2t", "2n4l2c1t",
					    "1n3l1c2t", "4n4l1c1t", "2n2l4c2t" };

static inline void drawn_requires(uint64_t *seed, struct kt_buf *text)
{
	static const char *const some[] = {
		"min_cpus = 4", "max_cpus = 6",  "min_llcs = 2",
		"max_llcs = 3", "min_nodes = 2", "smt = true",
		"smt = false",  "max_nodes = 1", "min_cpus = 2, max_cpus = 16, min_llcs = 2",
	};

	if (drawn(seed, 2))
		kt_buf_printf(text, "requires = { %s }\n",
			      some[drawn(seed, sizeof(some) / sizeof(some[0]))]);
}

static inline void drawn_flags(uint64_t *seed, struct kt_buf *text)
{
	uint64_t n = drawn(seed, 4);

	for (uint64_t i = 0; i < n; i++) {
		kt_buf_printf(text, "%s{ name = \"f%" PRIu64 "\", args = [\"%" PRIu64 "\"]",
			      i ? ", " : "flags = [", i, i);
		if (i > 0 && drawn(seed, 2))
			kt_buf_printf(text, ", %s = [\"f%" PRIu64 "\"]",
				      drawn(seed, 2) ? "requires" : "excludes", drawn(seed, i));
		kt_buf_puts(text, i + 1 < n ? " }" : " }]\n");
	}
}

/* Some of the n entries "<letter>0" .. as a filter; or none. */
static inline void drawn_filter(uint64_t *seed, const char *key, char letter, uint64_t n,
				struct kt_buf *text)
{
	uint64_t some = drawn(seed, 1ull << n);

	if (some == 0 || drawn(seed, 2))
		return;
	kt_buf_printf(text, "%s = [", key);
	for (uint64_t i = 0; i < n; i++)
		if (some >> i & 1)
			kt_buf_printf(text, "\"%c%" PRIu64 "\", ", letter, i);
	kt_buf_puts(text, "]\n");
}

static inline void drawn_matrix(uint64_t *seed, struct kt_buf *text)
{
	uint64_t kernels = 1 + drawn(seed, 3);
	uint64_t schedulers = 1 + drawn(seed, 4);
	uint64_t topologies = 1 + drawn(seed, 5);
	uint64_t scenarios = 1 + drawn(seed, 5);

	kt_buf_puts(text, "[sweep]\nname = \"s\"\n");
	for (uint64_t i = 0; i < kernels; i++)
		kt_buf_printf(text, "[[kernel]]\nname = \"k%" PRIu64 "\"\npath = \"p\"\n", i);
	for (uint64_t i = 0; i < schedulers; i++) {
		kt_buf_printf(text, "[[scheduler]]\nname = \"x%" PRIu64 "\"\nbinary = \"b\"\n", i);
		drawn_requires(seed, text);
		drawn_flags(seed, text);
	}
	/* A flag that every scenario may name. */
	kt_buf_puts(text, "[[scheduler]]\nname = \"y\"\nbinary = \"b\"\n"
			  "flags = [{ name = \"f0\", args = [] }]\n");
	for (uint64_t i = 0; i < topologies; i++)
		kt_buf_printf(
			text, "[[topology]]\nname = \"t%" PRIu64 "\"\ncpus = \"%s\"\n", i,
			drawn_shapes[drawn(seed, sizeof(drawn_shapes) / sizeof(drawn_shapes[0]))]);
	for (uint64_t i = 0; i < scenarios; i++) {
		kt_buf_printf(text,
			      "[[scenario]]\nname = \"s%" PRIu64
			      "\"\nduration = \"1s\"\nrepeats = %" PRIu64 "\n",
			      i, 1 + drawn(seed, 3));
		drawn_filter(seed, "kernels", 'k', kernels, text);
		drawn_filter(seed, "schedulers", 'x', schedulers, text);
		drawn_filter(seed, "topologies", 't', topologies, text);
		drawn_requires(seed, text);
		if (drawn(seed, 4) == 0)
			kt_buf_puts(text, "gauntlet = true\n");
		if (drawn(seed, 4) == 0)
			kt_buf_printf(text, "flags = { %s = [\"f0\"] }\n",
				      drawn(seed, 2) ? "required" : "excluded");
		kt_buf_puts(text, DRAWN_STEP);
	}
}

#endif
