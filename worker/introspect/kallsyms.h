/* kallsyms.h - the kernel's own symbol table, decoded from its .rodata.
 *
 * A boot image's vmlinux carries no ELF symbols, but it carries what /proc/kallsyms prints
 * (scripts/kallsyms.c, kernel/kallsyms.c): names as length-prefixed strings of tokens, one marker per 256
 * names, a table of 256 tokens with its u16 index, and one 32-bit offset per symbol. Three generations of
 * order and meaning are known:
 *
 *	7.x           num_syms names markers token_table token_index offsets        PC-relative
 *	6.5 .. 7.0    num_syms names markers token_table token_index offsets base   relative to base
 *	up to 6.0     offsets base num_syms names markers token_table token_index   relative to base
 *
 * Those between (6.2 .. 6.4, late 6.1.y) have another table, seqs_of_names, amid it and are refused: none of
 * them has sched_ext (6.12).
 *
 * Labels are aligned to 4 or 8 bytes. Which one it is, is found by trying: accepted is only what puts _stext
 * into the segment that it must lie in and linux_banner where "Linux version " stands.
 */
#ifndef KT_KALLSYMS_H
#define KT_KALLSYMS_H

#include "worker/introspect/vmlinux.h"

enum kt_kallsyms_layout {
	KT_KALLSYMS_PC_RELATIVE, /* addr = &offsets[i] + (s32)offset */
	KT_KALLSYMS_BASE, /* addr = base + (u32)offset */
	KT_KALLSYMS_BASE_PERCPU, /* offset >= 0: itself, a per-CPU offset; else base - 1 - offset */
	KT_KALLSYMS_LAYOUTS
};

/* Borrows the vmlinux's bytes. */
struct kt_kallsyms {
	const uint8_t *names;
	size_t names_bytes;
	const uint8_t *tokens[256]; /* each ends with a 0 byte inside the table */
	const uint8_t *offsets;
	uint64_t offsets_va;
	uint64_t base;
	uint32_t n;
	enum kt_kallsyms_layout layout;
};

/* Fault INPUT when there is no table that passes its checks (CONFIG_KALLSYMS or KALLSYMS_ALL is off). */
int kt_kallsyms_open(const struct kt_vmlinux *vmlinux, struct kt_kallsyms *kallsyms,
		     struct kt_err *err);

struct kt_kallsyms_want {
	const char *name;
	uint64_t va; /* link-time address; 0 when there is no such symbol */
};

/* Looks all of them up in one pass over the table (about 5 ms); the first of equal names wins. */
void kt_kallsyms_lookup(const struct kt_kallsyms *kallsyms, struct kt_kallsyms_want *wants,
			size_t n);

#endif
