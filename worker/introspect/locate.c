#include "worker/introspect/locate.h"

#include <errno.h>
#include <string.h>

/* Do the page tables at top_gpa map banner_gpa somewhere in the kernel window? */
static bool find_slide(const struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
		       uint64_t top_gpa, uint64_t banner_gpa, unsigned int levels,
		       struct kt_pagewalk *pagewalk, uint64_t *slide)
{
	uint64_t in_step = kernel->banner_va % KT_LOCATE_STEP;
	uint64_t gpa;

	kt_pagewalk_init(pagewalk, gmem, top_gpa, levels);
	for (uint64_t at = 0; at < KT_LOCATE_WINDOW_BYTES; at += KT_LOCATE_STEP) {
		uint64_t va = KT_LOCATE_WINDOW + at + in_step;

		if (!kt_pagewalk_translate(pagewalk, va, &gpa) && gpa == banner_gpa) {
			*slide = va - kernel->banner_va;
			return true;
		}
	}
	return false;
}

int kt_locate_find(const struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
		   struct kt_pagewalk *pagewalk, struct kt_locate_found *found)
{
	uint64_t end = kt_gmem_end(gmem);

	for (uint64_t gpa = kernel->banner_pa % KT_LOCATE_STEP; gpa < end; gpa += KT_LOCATE_STEP) {
		const uint8_t *at = kt_gmem_at(gmem, gpa, kernel->banner_len);
		uint64_t top_gpa;

		if (!at || memcmp(at, kernel->banner, kernel->banner_len) != 0)
			continue;
		found->pa_slide = gpa - kernel->banner_pa;
		top_gpa = kernel->top_pgt_pa + found->pa_slide;
		for (unsigned int levels = 4; levels <= 5; levels++) {
			found->levels = levels;
			if (find_slide(gmem, kernel, top_gpa, gpa, levels, pagewalk,
				       &found->va_slide))
				return 0;
		}
	}
	return -EAGAIN;
}
