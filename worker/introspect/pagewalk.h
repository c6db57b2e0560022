/* pagewalk.h - guest-virtual memory through the kernel's own page tables.
 *
 * x86-64, 4 or 5 levels, pages of 4 KiB, 2 MiB and 1 GiB (Intel SDM volume 3, 4.5). Not mapped is an answer,
 * -EFAULT, never an accident: early boot, memory being freed, a guest that lies.
 */
#ifndef KT_PAGEWALK_H
#define KT_PAGEWALK_H

#include "worker/introspect/gmem.h"

#define KT_PAGEWALK_TLB 512 /* a power of two */

struct kt_pagewalk {
	struct kt_gmem *gmem; /* borrowed */
	uint64_t root_gpa; /* of the top-level table */
	unsigned int levels; /* 4 or 5 */
	struct kt_pagewalk_entry {
		uint64_t va; /* of a 4 KiB page; 1 when empty */
		uint64_t gpa;
	} tlb[KT_PAGEWALK_TLB];
};

void kt_pagewalk_init(struct kt_pagewalk *pagewalk, struct kt_gmem *gmem, uint64_t root_gpa,
		      unsigned int levels);
/* Forgets what was walked. To be called whenever the guest may have run since. */
void kt_pagewalk_flush(struct kt_pagewalk *pagewalk);

/* *gpa of va, valid to the end of va's 4 KiB page. 0 or -EFAULT. */
int kt_pagewalk_translate(struct kt_pagewalk *pagewalk, uint64_t va, uint64_t *gpa);

int kt_pagewalk_read(struct kt_pagewalk *pagewalk, uint64_t va, void *into, size_t len);
int kt_pagewalk_read_u64(struct kt_pagewalk *pagewalk, uint64_t va, uint64_t *value);
int kt_pagewalk_read_u32(struct kt_pagewalk *pagewalk, uint64_t va, uint32_t *value);

/* 8 aligned bytes. The guest should stand still: nobody promises that they are one store. */
int kt_pagewalk_write_u64(struct kt_pagewalk *pagewalk, uint64_t va, uint64_t value);

#endif
