/* vmlinux.h - an x86-64 ELF kernel, seen by link-time address.
 *
 * The file may be a user's own and is checked: every range handed out lies inside its bytes.
 */
#ifndef KT_VMLINUX_H
#define KT_VMLINUX_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_VMLINUX_LOADS_MAX 16

struct kt_vmlinux_range {
	uint64_t va; /* link-time virtual address */
	uint64_t pa; /* link-time physical address; segments only */
	const uint8_t *bytes; /* NULL when there is none */
	size_t len; /* bytes in the file */
};

/* Borrows the file's bytes. */
struct kt_vmlinux {
	const uint8_t *bytes;
	size_t len;
	struct kt_vmlinux_range loads[KT_VMLINUX_LOADS_MAX];
	size_t n_loads;
	struct kt_vmlinux_range rodata;
	struct kt_vmlinux_range btf;
};

/* Fault INPUT: no ELF, another architecture, truncated, no .rodata, no .BTF. */
int kt_vmlinux_open(const void *bytes, size_t len, struct kt_vmlinux *vmlinux, struct kt_err *err);

/* len bytes at a link-time address, as the file has them; NULL when the file does not cover them. */
const uint8_t *kt_vmlinux_at(const struct kt_vmlinux *vmlinux, uint64_t va, size_t len);

/* The link-time physical address of a virtual one. False when no segment holds it. */
bool kt_vmlinux_pa(const struct kt_vmlinux *vmlinux, uint64_t va, uint64_t *pa);

#endif
