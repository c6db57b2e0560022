/* wire.h - one allocation-free pass over msgpack bytes before anything parses them.
 *
 * msgpack-c trusts announced lengths (a 5-byte frame can ask for 137 GB), accepts duplicate keys and
 * trailing bytes. kt_wire_check() accepts bytes only when exactly one value is there, every announced
 * container and string fits in the bytes present, and depth, node count and size are within limits.
 * Claim that tests/fuzz/fuzz_wire.c holds: what it accepts, msgpack-c parses whole.
 */
#ifndef KT_WIRE_H
#define KT_WIRE_H

#include "proto/base/err.h"

#include <stddef.h>

struct kt_wire_limits {
	size_t bytes_max;
	size_t depth_max; /* containers within containers, at most KT_WIRE_DEPTH_MAX */
	size_t nodes_max;
};

extern const struct kt_wire_limits kt_wire_limits_default;

/* 0, or -EPROTO (fault PEER) with the offset and what is wrong there. */
int kt_wire_check(const void *bytes, size_t len, const struct kt_wire_limits *limits,
		  struct kt_err *err);

#endif
