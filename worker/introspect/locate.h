/* locate.h - where in guest memory the kernel is.
 *
 * The kernel lies at a physical address of its own choice (KASLR; 2 MiB steps) and at a virtual one of its own
 * choice (2 MiB steps above __START_KERNEL_map). Its banner is looked for in every 2 MiB of RAM; a hit counts
 * only when the page tables at init_top_pgt's place beside it map the banner's page from
 * the kernel window, with 4 or with 5 levels: so a second copy of the image in RAM is no kernel.
 */
#ifndef KT_LOCATE_H
#define KT_LOCATE_H

#include "worker/introspect/pagewalk.h"

#define KT_LOCATE_WINDOW       0xffffffff80000000ull /* __START_KERNEL_map */
#define KT_LOCATE_WINDOW_BYTES (1ull << 30) /* KERNEL_IMAGE_SIZE */
#define KT_LOCATE_STEP         (2ull << 20)

struct kt_locate_kernel { /* link-time, of the image */
	uint64_t banner_va, banner_pa;
	uint64_t top_pgt_va, top_pgt_pa;
	const char *banner;
	size_t banner_len;
};

struct kt_locate_found {
	uint64_t va_slide; /* run-time = link-time + slide */
	uint64_t pa_slide;
	unsigned int levels;
};

/* -EAGAIN when no such kernel runs there (yet). */
int kt_locate_find(struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
		   struct kt_pagewalk *pagewalk, struct kt_locate_found *found);

#endif
