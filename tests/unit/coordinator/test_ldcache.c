#include "coordinator/ldcache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define X86_64 0x0303
#define X32    0x0803
#define I386   0x0003

struct entry {
	int32_t flags;
	const char *key;
	const char *value;
	uint64_t hwcap;
};

static const struct entry entries[] = {
	{ I386, "libx.so.1", "/lib32/libx.so.1", 0 },
	{ X86_64, "libx.so.1", "/lib64/glibc-hwcaps/x86-64-v3/libx.so.1", 1ull << 62 | 1 },
	{ X86_64, "libx.so.1", "/lib64/haswell/libx.so.1", 4 },
	{ X86_64, "libx.so.1", "/lib64/libx.so.1", 0 },
	{ X86_64, "libx.so.1", "/opt/libx.so.1", 0 },
	{ X32, "liby.so", "/libx32/liby.so", 0 },
};
#define N (sizeof(entries) / sizeof(entries[0]))

/* As ldconfig writes it; old: entries of the older layout in front. */
static size_t make(uint8_t *bytes, size_t old, uint8_t endian)
{
	size_t start = old ? (16 + old * 12 + 7) / 8 * 8 : 0;
	uint8_t *new = bytes + start;
	size_t text = 48 + N * 24;
	uint32_t n = N;

	if (old) {
		memcpy(bytes, "ld.so-1.7.0", 11);
		memcpy(bytes + 12, &(uint32_t){ (uint32_t)old }, 4);
	}
	memcpy(new, "glibc-ld.so.cache1.1", 20);
	memcpy(new + 20, &n, 4);
	new[28] = endian;
	for (size_t i = 0; i < N; i++) {
		uint8_t *entry = new + 48 + i * 24;
		const char *texts[] = { entries[i].key, entries[i].value };

		memcpy(entry, &entries[i].flags, 4);
		for (size_t k = 0; k < 2; k++) {
			memcpy(entry + 4 + k * 4, &(uint32_t){ (uint32_t)text }, 4);
			strcpy((char *)new + text, texts[k]);
			text += strlen(texts[k]) + 1;
		}
		memcpy(entry + 16, &entries[i].hwcap, 8);
	}
	return start + text;
}

Test(ldcache, a_name_is_the_first_library_that_any_x86_64_cpu_can_run)
{
	for (size_t old = 0; old < 4; old++) {
		uint8_t bytes[2048] = { 0 };
		struct kt_ldcache cache;
		size_t len = make(bytes, old, old % 2 ? 2 : 0);

		cr_assert(kt_ldcache_open(bytes, len, &cache), "%zu older entries", old);
		cr_assert_str_eq(kt_ldcache_find(&cache, "libx.so.1"), "/lib64/libx.so.1");
		cr_assert_null(kt_ldcache_find(&cache, "liby.so"));
		cr_assert_null(kt_ldcache_find(&cache, "libz.so"));
	}
}

Test(ldcache, what_is_cut_off_or_of_another_kind_is_none)
{
	uint8_t bytes[2048] = { 0 };
	struct kt_ldcache cache;
	size_t len = make(bytes, 0, 3);

	cr_assert_not(kt_ldcache_open(bytes, len, &cache), "big endian");
	len = make(bytes, 0, 2);
	for (size_t cut = 0; cut < 48 + N * 24; cut++)
		cr_assert_not(kt_ldcache_open(bytes, cut, &cache), "%zu bytes", cut);
	for (size_t cut = 48 + N * 24; cut < len; cut++) {
		cr_assert(kt_ldcache_open(bytes, cut, &cache));
		kt_ldcache_find(&cache,
				"libz.so"); /* looks at every entry, and at no byte behind */
	}
	cr_assert_eq(kt_ldcache_find(&(struct kt_ldcache){ 0 }, "x"), NULL);
}

/* The real one, as far as a machine has it: libc is there wherever this test runs. */
Test(ldcache, this_machine_s_cache_knows_libc)
{
	static uint8_t bytes[4 << 20];
	FILE *file = fopen("/etc/ld.so.cache", "rb");
	struct kt_ldcache cache;
	size_t len;

	if (!file)
		cr_skip_test("no /etc/ld.so.cache");
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	cr_assert(kt_ldcache_open(bytes, len, &cache));
	cr_assert(kt_ldcache_find(&cache, "libc.so.6"));
}
