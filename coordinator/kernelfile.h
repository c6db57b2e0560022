/* kernelfile.h - what the first bytes of a kernel image say, and whether the rest is there.
 *
 * Pure: bytes in, facts out. A bzImage states its own length (boot protocol, Documentation/arch/
 * x86/boot.rst: setup_sects at 0x1f1, syssize at 0x1f4 in paragraphs of 16 bytes, "HdrS" at 0x202,
 * kernel_version at 0x20e, relative to 0x200); an ELF one states where its segments and section
 * headers end. A file that ends before that is truncated. Signed images are longer than they state.
 */
#ifndef KT_KERNELFILE_H
#define KT_KERNELFILE_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define KT_KERNELFILE_HEAD_BYTES    (64u << 10) /* read this much, or the whole file when shorter */
#define KT_KERNELFILE_RELEASE_BYTES 128

enum kt_kernelfile_kind { KT_KERNELFILE_BZIMAGE, KT_KERNELFILE_ELF };

struct kt_kernelfile {
	enum kt_kernelfile_kind kind;
	uint64_t bytes_min; /* the image cannot be shorter */
	char release[KT_KERNELFILE_RELEASE_BYTES]; /* "7.2.13+deb14-cloud-amd64"; "" for an ELF */
};

/* head: the first len bytes of a file of `bytes` bytes. Fault INPUT. */
int kt_kernelfile_look(const void *head, size_t len, uint64_t bytes, struct kt_kernelfile *file,
		       struct kt_err *err);

#endif
