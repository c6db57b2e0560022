/* bzimage.h - the ELF kernel out of a boot image.
 *
 * A bzImage is a real-mode header (Documentation/arch/x86/boot.rst: setup_sects 0x1f1, syssize 0x1f4,
 * "HdrS" 0x202, version 0x206, payload_offset 0x248, payload_length 0x24c) and a protected-mode part in
 * which the vmlinux lies compressed. Every compression that libarchive decodes without help from
 * other programs is accepted (zstd on Debian; gzip, xz, bzip2, lzma, lz4 elsewhere).
 */
#ifndef KT_BZIMAGE_H
#define KT_BZIMAGE_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#define KT_BZIMAGE_VMLINUX_BYTES_MAX (1ull << 30)

/* Is this an ELF file already? Then there is nothing to extract. */
bool kt_bzimage_is_elf(const uint8_t *image, size_t len);

/* Appends the vmlinux to `vmlinux` (its max is respected). Fault INPUT, one sentence: too short, not a
 * kernel, of another architecture, truncated, corrupt, not an ELF inside.
 */
int kt_bzimage_extract(const uint8_t *image, size_t len, struct kt_buf *vmlinux,
		       struct kt_err *err);

#endif
