/* vmcache.h - the vmlinux of a boot image, extracted once per host.
 *
 * <cache_dir>/vmlinux-<SHA-256 of the image> is the ELF file (readable by all: QEMU boots it through PVH as
 * another user) with a trailer of 24 bytes behind it, which loaders of ELF files do not see: a magic, the
 * length and a checksum of what is before. The key is the image's digest, not the kernel's build id, because
 * the build id is only known once the image has been decompressed. A file whose trailer does not
 * fit (torn, rotten, cut) is made anew. Processes may race: each writes its own temporary file, syncs it
 * and renames it.
 *
 * An image that is an ELF file already is used where it is.
 */
#ifndef KT_VMCACHE_H
#define KT_VMCACHE_H

#include "proto/base/digest.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_vmcache {
	char *path; /* of the ELF file */
	const uint8_t *bytes; /* mapped */
	size_t len; /* without the trailer */
	void *map;
	size_t map_bytes;
};

/* digest: of the image, when the caller knows it; NULL: it is computed (35 ms and more). Fault INPUT for what
 * is wrong with the image, HOST for what is wrong with the disk. Blocks: about 10 ms when the file is there
 * already, 200 ms when not.
 */
int kt_vmcache_open(const char *image, const struct kt_digest *digest, const char *cache_dir,
		    struct kt_vmcache *vmcache, struct kt_err *err);

/* Whether a file that looks whole is there, at this moment: its checksum is not looked at. */
bool kt_vmcache_find(const struct kt_digest *digest, const char *cache_dir, char *path,
		     size_t size);
void kt_vmcache_destroy(struct kt_vmcache *vmcache); /* unmaps; the file stays */

#endif
