#include "coordinator/ldcache.h"
#include "proto/base/limits.h"

#include <string.h>

#define OLD_MAGIC        "ld.so-1.7.0"
#define OLD_HEADER_BYTES 16 /* magic, padded, and u32 nlibs */
#define OLD_ENTRY_BYTES  12
#define MAGIC            "glibc-ld.so.cache1.1"
#define HEADER_BYTES     48
#define N_LIBS           20 /* u32 */
#define FLAGS            28 /* u8 */
#define ENTRY_BYTES      24
#define ENTRY_FLAGS      0 /* i32 */
#define ENTRY_KEY        4 /* u32: where its name stands, from the header on */
#define ENTRY_VALUE      8 /* u32: where its path stands */
#define ENTRY_HWCAP      16 /* u64: CPUs that it is for; 0: any */

#define FLAGS_ENDIAN  0x3 /* 0: not said, 2: little */
#define LIBC6_X86_64  0x0303 /* FLAG_ELF_LIBC6 | FLAG_X8664_LIB64 */
#define ENTRY_ALIGNED 8 /* the newer header stands at such an offset behind the older entries */

static uint32_t u32(const uint8_t *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof(number)); /* it was written by a machine like this one */
	return number;
}

static uint64_t u64(const uint8_t *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

bool kt_ldcache_open(const void *bytes, size_t len, struct kt_ldcache *cache)
{
	const uint8_t *at = bytes;
	uint64_t skip = 0;
	uint8_t endian;

	*cache = (struct kt_ldcache){ 0 };
	if (len >= OLD_HEADER_BYTES && memcmp(at, OLD_MAGIC, strlen(OLD_MAGIC)) == 0) {
		skip = OLD_HEADER_BYTES +
		       (uint64_t)u32(at + OLD_HEADER_BYTES - 4) * OLD_ENTRY_BYTES;
		skip = (skip + ENTRY_ALIGNED - 1) / ENTRY_ALIGNED * ENTRY_ALIGNED;
	}
	if (skip > len || len - skip < HEADER_BYTES || memcmp(at + skip, MAGIC, strlen(MAGIC)) != 0)
		return false;
	at += skip;
	len -= (size_t)skip;
	endian = at[FLAGS] & FLAGS_ENDIAN;
	if ((endian != 0 && endian != 2) || u32(at + N_LIBS) > (len - HEADER_BYTES) / ENTRY_BYTES)
		return false;
	*cache = (struct kt_ldcache){ .bytes = at, .len = len, .n = u32(at + N_LIBS) };
	return true;
}

static const char *text_at(const struct kt_ldcache *cache, uint32_t at)
{
	size_t most;

	if (at >= cache->len)
		return NULL;
	most = cache->len - at < KT_PATH_BYTES_MAX ? cache->len - at : KT_PATH_BYTES_MAX;
	return memchr(cache->bytes + at, 0, most) ? (const char *)cache->bytes + at : NULL;
}

const char *kt_ldcache_find(const struct kt_ldcache *cache, const char *name)
{
	for (size_t i = 0; i < cache->n; i++) {
		const uint8_t *entry = cache->bytes + HEADER_BYTES + i * ENTRY_BYTES;
		const char *key = text_at(cache, u32(entry + ENTRY_KEY));

		if (u32(entry + ENTRY_FLAGS) == LIBC6_X86_64 && u64(entry + ENTRY_HWCAP) == 0 &&
		    key && strcmp(key, name) == 0)
			return text_at(cache, u32(entry + ENTRY_VALUE));
	}
	return NULL;
}
