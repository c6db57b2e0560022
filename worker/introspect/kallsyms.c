#include "worker/introspect/kallsyms.h"

#include <errno.h>
#include <string.h>

#define NAME_BYTES_MAX 512 /* KSYM_NAME_LEN */
#define SYMBOLS_MAX    4000000u
#define BANNER         "Linux version "

struct span { /* .rodata, and where we are in it */
	const uint8_t *bytes;
	size_t len;
	uint64_t va;
};

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static size_t align_up(size_t at, size_t to)
{
	return (at + to - 1) & ~(to - 1);
}

/* The token table holds '0' .. '9' as tokens of their own, in order, because single characters that
 * occur in names keep their own code: "0\0" "1\0" ... is how it is found.
 */
static const uint8_t *next_digits(const struct span *ro, size_t from)
{
	static const char digits[20] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";

	return from < ro->len ? memmem(ro->bytes + from, ro->len - from, digits, sizeof(digits))
			      : NULL;
}

/* Given where token '0' is, walks back over 48 tokens and forward to 256; accepts only if the u16
 * index after the table says the same. Returns the offset behind the index, 0 when it is not one.
 */
static size_t read_tokens(const struct span *ro, size_t zero, struct kt_kallsyms *kallsyms,
			  size_t *table)
{
	size_t at = zero;

	for (unsigned int back = 0; back < '0'; back++) {
		size_t len = 0;

		if (at < 2 || ro->bytes[at - 1])
			return 0;
		at--; /* on the 0 byte that ends the token before */
		while (at > 0 && ro->bytes[at - 1]) {
			at--;
			if (++len > NAME_BYTES_MAX)
				return 0;
		}
	}
	*table = at;
	for (unsigned int i = 0; i < 256; i++) {
		const uint8_t *end = memchr(ro->bytes + at, 0, ro->len - at);

		if (!end || (size_t)(end - (ro->bytes + at)) > NAME_BYTES_MAX)
			return 0;
		kallsyms->tokens[i] = ro->bytes + at;
		at = (size_t)(end - ro->bytes) + 1;
		if (at >= ro->len)
			return 0;
	}
	for (size_t to = 4; to <= 8; to += 4) {
		size_t index = align_up(at + (size_t)ro->va, to) - (size_t)ro->va;
		bool same = true;

		if (index + 512 > ro->len)
			continue;
		for (unsigned int i = 0; i < 256 && same; i++) {
			uint16_t said;

			memcpy(&said, ro->bytes + index + 2 * i, sizeof(said));
			same = said == kallsyms->tokens[i] - (ro->bytes + *table);
		}
		if (same)
			return index + 512;
	}
	return 0;
}

/* Length of the entry at `at` with its prefix, its tokens in *tokens; 0 when it leaves the span. */
static size_t entry_bytes(const uint8_t *at, const uint8_t *end, size_t *prefix)
{
	size_t len;

	if (at >= end)
		return 0;
	len = at[0];
	*prefix = 1;
	if (len & 0x80) { /* since 6.1: long names have two bytes of length */
		if (end - at < 2)
			return 0;
		len = (len & 0x7f) | (size_t)at[1] << 7;
		*prefix = 2;
	}
	if (!len || (size_t)(end - at) < *prefix + len)
		return 0;
	return *prefix + len;
}

/* Do n names lie between `names` and the markers, and do the markers agree? */
static bool names_agree(const struct span *ro, size_t names, size_t markers, uint32_t n)
{
	const uint8_t *at = ro->bytes + names;
	const uint8_t *end = ro->bytes + markers;
	size_t prefix;

	for (uint32_t i = 0; i < n; i++) {
		size_t len = entry_bytes(at, end, &prefix);

		if (!len)
			return false;
		if (i % 256 == 0 &&
		    load32(ro->bytes + markers + i / 256 * 4) != (size_t)(at - ro->bytes) - names)
			return false;
		at += len;
	}
	return end - at < 8;
}

/* Walks back from the token table: markers (ascending, the first is 0), then the number of symbols such
 * that exactly that many names lie between it and the markers.
 */
static bool find_names(const struct span *ro, size_t table, struct kt_kallsyms *kallsyms,
		       size_t *num_syms)
{
	for (size_t pad = 0; pad < 8; pad += 4) {
		size_t end = table - (table + (size_t)ro->va) % 4;
		size_t at;
		uint32_t count = 1, above;
		uint32_t names_bytes;

		if (end < pad + 8)
			continue;
		at = end - pad - 4;
		above = load32(ro->bytes + at);
		names_bytes = above;
		while (above && at >= 4 && load32(ro->bytes + at - 4) < above &&
		       count < SYMBOLS_MAX / 256) {
			at -= 4;
			count++;
			above = load32(ro->bytes + at);
		}
		if (above || names_bytes > at)
			continue;
		/* The last marker says where the last 256 names begin: num_syms is below that. */
		for (size_t i = at - names_bytes;
		     i >= 4 && at - i < (size_t)names_bytes + 256 * 520; i--) {
			uint32_t n;

			if ((i + (size_t)ro->va) % 4)
				continue;
			n = load32(ro->bytes + i - 4);
			if (n > SYMBOLS_MAX || n <= (count - 1) * 256 || n > count * 256)
				continue;
			for (size_t names = i; names <= i + 4; names += 4) {
				if (names >= at || !names_agree(ro, names, at, n))
					continue;
				kallsyms->names = ro->bytes + names;
				kallsyms->names_bytes = at - names;
				kallsyms->n = n;
				*num_syms = i - 4;
				return true;
			}
		}
	}
	return false;
}

static uint64_t address_of(const struct kt_kallsyms *kallsyms, uint32_t i)
{
	int32_t offset = (int32_t)load32(kallsyms->offsets + (size_t)i * 4);

	switch (kallsyms->layout) {
	case KT_KALLSYMS_PC_RELATIVE:
		return kallsyms->offsets_va + (uint64_t)i * 4 + (uint64_t)(int64_t)offset;
	case KT_KALLSYMS_BASE:
		return kallsyms->base + (uint32_t)offset;
	default:
		return offset >= 0 ? (uint64_t)offset
				   : kallsyms->base - 1 - (uint64_t)(int64_t)offset;
	}
}

static bool plausible(const struct kt_vmlinux *vmlinux, const struct kt_kallsyms *kallsyms)
{
	struct kt_kallsyms_want wants[] = { { .name = "_stext" }, { .name = "linux_banner" } };
	const uint8_t *banner;

	kt_kallsyms_lookup(kallsyms, wants, 2);
	if (!wants[0].va || !kt_vmlinux_at(vmlinux, wants[0].va, 16))
		return false;
	if (!wants[1].va)
		return true; /* no KALLSYMS_ALL: said by whoever needs data symbols */
	banner = kt_vmlinux_at(vmlinux, wants[1].va, sizeof(BANNER) - 1);
	return banner && !memcmp(banner, BANNER, sizeof(BANNER) - 1);
}

/* Tries each generation's place and meaning of the offsets. */
static bool find_offsets(const struct kt_vmlinux *vmlinux, const struct span *ro, size_t index_end,
			 size_t num_syms, struct kt_kallsyms *kallsyms)
{
	size_t bytes = (size_t)kallsyms->n * 4;
	size_t va = (size_t)ro->va;

	for (size_t to = 4; to <= 8; to += 4) {
		size_t after = align_up(index_end + va, to) - va;
		size_t base_after = align_up(after + bytes + va, 8) - va;
		/* offsets, padding, base (8), padding, num_syms */
		size_t base_before = num_syms >= 8 ? ((num_syms - 8 + va) & ~(size_t)7) - va : 0;
		const struct {
			size_t offsets, base;
			bool fits;
			enum kt_kallsyms_layout layout;
		} tries[] = {
			{ after, 0, after + bytes <= ro->len, KT_KALLSYMS_PC_RELATIVE },
			{ after, base_after, base_after + 8 <= ro->len, KT_KALLSYMS_BASE },
			{ after, base_after, base_after + 8 <= ro->len, KT_KALLSYMS_BASE_PERCPU },
			{ base_before - align_up(bytes, 8), base_before,
			  base_before >= align_up(bytes, 8), KT_KALLSYMS_BASE },
			{ base_before - align_up(bytes, 8), base_before,
			  base_before >= align_up(bytes, 8), KT_KALLSYMS_BASE_PERCPU },
		};

		for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
			if (!tries[i].fits)
				continue;
			kallsyms->offsets = ro->bytes + tries[i].offsets;
			kallsyms->offsets_va = ro->va + tries[i].offsets;
			kallsyms->base = tries[i].base ? load64(ro->bytes + tries[i].base) : 0;
			kallsyms->layout = tries[i].layout;
			if (plausible(vmlinux, kallsyms))
				return true;
		}
	}
	return false;
}

int kt_kallsyms_open(const struct kt_vmlinux *vmlinux, struct kt_kallsyms *kallsyms,
		     struct kt_err *err)
{
	const struct span ro = { vmlinux->rodata.bytes, vmlinux->rodata.len, vmlinux->rodata.va };
	const uint8_t *digits;
	size_t from = 0;

	while ((digits = next_digits(&ro, from))) {
		size_t zero = (size_t)(digits - ro.bytes);
		size_t table = 0, num_syms = 0, index_end;

		*kallsyms = (struct kt_kallsyms){ 0 };
		index_end = read_tokens(&ro, zero, kallsyms, &table);
		if (index_end && find_names(&ro, table, kallsyms, &num_syms) &&
		    find_offsets(vmlinux, &ro, index_end, num_syms, kallsyms))
			return 0;
		from = zero + 1;
	}
	return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
			  "it has no kernel symbol table that can be read (CONFIG_KALLSYMS is off, "
			  "a kernel of 6.1 to 6.4, or the image is damaged)");
}

/* Is the symbol at `at` (len bytes of tokens) called name? Its first character is its type. */
static bool called(const struct kt_kallsyms *kallsyms, const uint8_t *at, size_t len,
		   const char *name)
{
	bool type = true;

	for (size_t i = 0; i < len; i++) {
		const uint8_t *token = kallsyms->tokens[at[i]];

		if (type && *token) {
			token++;
			type = false;
		}
		for (; *token; token++, name++) {
			if ((uint8_t)*name != *token)
				return false;
		}
	}
	return !*name;
}

void kt_kallsyms_lookup(const struct kt_kallsyms *kallsyms, struct kt_kallsyms_want *wants,
			size_t n)
{
	const uint8_t *at = kallsyms->names;
	const uint8_t *end = at + kallsyms->names_bytes;
	size_t prefix = 0;

	for (size_t i = 0; i < n; i++)
		wants[i].va = 0;
	for (uint32_t i = 0; i < kallsyms->n; i++) {
		size_t len = entry_bytes(at, end, &prefix);

		if (!len)
			return;
		for (size_t want = 0; want < n; want++) {
			if (!wants[want].va &&
			    called(kallsyms, at + prefix, len - prefix, wants[want].name))
				wants[want].va = address_of(kallsyms, i);
		}
		at += len;
	}
}
