/* ldcache.h - /etc/ld.so.cache, in which the loader looks a library up by its name.
 *
 * The layout is glibc's (sysdeps/generic/dl-cache.h): a header "glibc-ld.so.cache" "1.1", entries, texts. One of
 * the older layout ("ld.so-1.7.0") may stand in front of it and is passed over; a file that is nothing but that has not been
 * written since glibc 2.2. Pure: bytes in, names out.
 *
 * Libraries that are for some CPUs only (glibc-hwcaps, platform folders) are passed over: the guest, or
 * the host it runs on, need not have the CPU of this machine.
 */
#ifndef KT_LDCACHE_H
#define KT_LDCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_ldcache {
	const uint8_t *bytes; /* from the header that counts on; borrowed */
	size_t len;
	size_t n; /* entries */
};

/* False when it is no such file, or is cut off. */
bool kt_ldcache_open(const void *bytes, size_t len, struct kt_ldcache *cache);

/* The first x86-64 library of this name that any CPU can run: its path, borrowed. NULL: there is none. */
const char *kt_ldcache_find(const struct kt_ldcache *cache, const char *name);

#endif
