#include "worker/introspect/kallsyms.h"

#include "proto/base/buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A .rodata as scripts/kallsyms.c would write it: 600 symbols, so that there are three markers and names
 * of more than 127 tokens; in every generation's order.
 */

#define RODATA_VA 0xffffffff82400000ull
#define N         600
#define LONG      300 /* the symbol with a long name */

enum generation { PC_RELATIVE, AFTER, AFTER_PERCPU, BEFORE, BEFORE_PERCPU, GENERATIONS };

static uint64_t address(uint32_t i, enum generation generation)
{
	if (i < 3 && (generation == AFTER_PERCPU || generation == BEFORE_PERCPU))
		return 0x1000 + i; /* per-CPU */
	return RODATA_VA + 0x100 * (uint64_t)i;
}

static void align(struct kt_buf *out, size_t to)
{
	while (out->len % to)
		kt_buf_append(out, "", 1);
}

static void put32(struct kt_buf *out, uint32_t value)
{
	kt_buf_append(out, &value, 4);
}

static void name_of(uint32_t i, char name[512])
{
	if (i == 10)
		strcpy(name, "D_stext");
	else if (i == 20)
		strcpy(name, "Dlinux_banner");
	else if (i == LONG)
		snprintf(name, 512, "d%0200u", i);
	else
		snprintf(name, 512, "dsymbol_%u", i);
}

/* Tokens are their own characters, but one: 200 is "symbol_". */
static void put_names(struct kt_buf *out, uint32_t markers[8])
{
	size_t begin = out->len;

	for (uint32_t i = 0; i < N; i++) {
		char name[512];
		uint8_t tokens[512];
		size_t n = 0;

		if (i % 256 == 0)
			markers[i / 256] = (uint32_t)(out->len - begin);
		name_of(i, name);
		for (const char *at = name; *at;) {
			bool symbol = !strncmp(at, "symbol_", 7);

			tokens[n++] = symbol ? 200 : (uint8_t)*at;
			at += symbol ? 7 : 1;
		}
		if (n < 128) {
			kt_buf_append(out, &(uint8_t){ (uint8_t)n }, 1);
		} else {
			kt_buf_append(out, &(uint8_t){ (uint8_t)(n & 0x7f) | 0x80 }, 1);
			kt_buf_append(out, &(uint8_t){ (uint8_t)(n >> 7) }, 1);
		}
		kt_buf_append(out, tokens, n);
	}
}

static void put_tokens(struct kt_buf *out, size_t to)
{
	uint16_t index[256];
	size_t begin = out->len;

	for (unsigned int i = 0; i < 256; i++) {
		index[i] = (uint16_t)(out->len - begin);
		if (i == 200)
			kt_buf_append(out, "symbol_", 8);
		else if (i > ' ' && i < 127)
			kt_buf_append(out, &(uint8_t[2]){ (uint8_t)i, 0 }, 2);
		else
			kt_buf_append(out, "??", 3);
	}
	align(out, to);
	kt_buf_append(out, index, sizeof(index));
}

static void put_offsets(struct kt_buf *out, enum generation generation, uint64_t base)
{
	for (uint32_t i = 0; i < N; i++) {
		uint64_t va = address(i, generation);

		if (generation == PC_RELATIVE)
			put32(out, (uint32_t)(va - (RODATA_VA + out->len)));
		else if (generation == AFTER || generation == BEFORE)
			put32(out, (uint32_t)(va - base));
		else
			put32(out, va < base ? (uint32_t)va : (uint32_t)(base - 1 - va));
	}
}

static void put_base(struct kt_buf *out, uint64_t base)
{
	align(out, 8);
	kt_buf_append(out, &base, 8);
}

static void build(struct kt_buf *out, enum generation generation, size_t to)
{
	const uint64_t base = RODATA_VA - 0x1000;
	uint32_t markers[8];

	kt_buf_append(out, "0\0001\0002\0003\0004\0005\0006\0007\0008\0009", 20); /* a decoy */
	while (out->len < 0x2000)
		kt_buf_append(out, "\x7f", 1);
	memcpy(out->data + 20 * 0x100, "Linux version 9", 15);
	align(out, 8);
	if (generation == BEFORE || generation == BEFORE_PERCPU) {
		put_offsets(out, generation, base);
		put_base(out, base);
		align(out, to);
	}
	put32(out, N);
	align(out, to);
	put_names(out, markers);
	align(out, to);
	for (int i = 0; i < 3; i++)
		put32(out, markers[i]);
	align(out, to);
	put_tokens(out, to);
	align(out, to);
	if (generation == PC_RELATIVE || generation == AFTER || generation == AFTER_PERCPU) {
		put_offsets(out, generation, base);
		if (generation != PC_RELATIVE)
			put_base(out, base);
	}
	kt_buf_append(out, "what follows", 12);
	while (out->len < (size_t)N * 0x100 + 64)
		kt_buf_append(out, "", 1);
}

static struct kt_vmlinux vmlinux_of(const struct kt_buf *rodata)
{
	struct kt_vmlinux_range range = {
		.va = RODATA_VA, .pa = 0x2400000, .bytes = rodata->data, .len = rodata->len
	};

	return (struct kt_vmlinux){
		.bytes = rodata->data,
		.len = rodata->len,
		.loads = { range },
		.n_loads = 1,
		.rodata = range,
	};
}

Test(kallsyms, every_generation_and_alignment_is_decoded)
{
	for (int generation = 0; generation < GENERATIONS; generation++) {
		for (size_t to = 4; to <= 8; to += 4) {
			KT_AUTO_BUF rodata = { 0 };
			struct kt_err err = { 0 };
			struct kt_kallsyms kallsyms;
			struct kt_kallsyms_want wants[N + 1];
			static char names[N][512];

			build(&rodata, generation, to);
			struct kt_vmlinux vmlinux = vmlinux_of(&rodata);

			cr_assert_eq(kt_kallsyms_open(&vmlinux, &kallsyms, &err), 0,
				     "generation %d, alignment %zu: %s", generation, to, err.text);
			cr_assert_eq(kallsyms.n, N);
			for (uint32_t i = 0; i < N; i++) {
				name_of(i, names[i]);
				wants[i] = (struct kt_kallsyms_want){ .name = names[i] + 1 };
			}
			wants[N] = (struct kt_kallsyms_want){ .name = "symbol_" };
			kt_kallsyms_lookup(&kallsyms, wants, N + 1);
			for (uint32_t i = 0; i < N; i++)
				cr_assert_eq(wants[i].va, address(i, generation),
					     "generation %d, symbol %u: %#llx", generation, i,
					     (unsigned long long)wants[i].va);
			cr_assert_eq(wants[N].va, 0, "a part of a name is no name");
		}
	}
}

Test(kallsyms, a_damaged_table_is_refused_or_read_within_its_bounds)
{
	KT_AUTO_BUF rodata = { 0 };
	struct kt_kallsyms_want wants[] = { { .name = "symbol_599" } };
	unsigned int refused = 0;

	build(&rodata, PC_RELATIVE, 4);
	/* every 7th byte of the tables in turn; ASan watches the rest */
	for (size_t at = 0x2000; at < 0x2000 + 12000; at += 7) {
		struct kt_vmlinux vmlinux = vmlinux_of(&rodata);
		struct kt_kallsyms kallsyms;
		struct kt_err err = { 0 };
		uint8_t was = rodata.data[at];

		rodata.data[at] ^= 0xff;
		if (kt_kallsyms_open(&vmlinux, &kallsyms, &err)) {
			cr_assert_eq(err.fault, KT_FAULT_INPUT);
			refused++;
		} else {
			kt_kallsyms_lookup(&kallsyms, wants, 1);
		}
		rodata.data[at] = was;
	}
	cr_assert_gt(refused, 50, "only %u refused", refused);
}

Test(kallsyms, a_table_cut_anywhere_is_refused)
{
	KT_AUTO_BUF rodata = { 0 };

	build(&rodata, PC_RELATIVE, 8);
	for (size_t len = 0; len < 15000; len += 97) { /* the offsets reach beyond that */
		struct kt_vmlinux vmlinux;
		struct kt_kallsyms kallsyms;

		rodata.len = len;
		vmlinux = vmlinux_of(&rodata);
		cr_assert_eq(kt_kallsyms_open(&vmlinux, &kallsyms, NULL), -ENOENT, "len %zu", len);
	}
}
