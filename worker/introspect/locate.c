#include "worker/introspect/locate.h"

#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <string.h>

/* Do the page tables at top_gpa map banner_gpa somewhere in the kernel window? */
static bool find_slide(struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
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

/* The first n of the places from *gpa on that RAM has and that may hold the banner. */
static size_t next_places(const struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
			  uint64_t *gpa, uint64_t *places, size_t n)
{
	uint64_t end = kt_gmem_end(gmem);
	size_t found = 0;

	for (; *gpa < end && found < n; *gpa += KT_LOCATE_STEP)
		if (kt_gmem_holds(gmem, *gpa, kernel->banner_len))
			places[found++] = *gpa;
	return found;
}

static bool runs_at(struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
		    uint64_t banner_gpa, struct kt_pagewalk *pagewalk,
		    struct kt_locate_found *found)
{
	found->pa_slide = banner_gpa - kernel->banner_pa;
	for (found->levels = 4; found->levels <= 5; found->levels++)
		if (find_slide(gmem, kernel, kernel->top_pgt_pa + found->pa_slide, banner_gpa,
			       found->levels, pagewalk, &found->va_slide))
			return true;
	return false;
}

int kt_locate_find(struct kt_gmem *gmem, const struct kt_locate_kernel *kernel,
		   struct kt_pagewalk *pagewalk, struct kt_locate_found *found)
{
	KT_AUTO_FREE uint8_t *seen = kt_must_calloc(KT_GMEM_GATHER_MAX, kernel->banner_len);
	uint64_t places[KT_GMEM_GATHER_MAX];
	uint64_t gpa = kernel->banner_pa % KT_LOCATE_STEP;
	size_t n;

	while ((n = next_places(gmem, kernel, &gpa, places, KT_GMEM_GATHER_MAX))) {
		kt_gmem_gather(gmem, places, n, kernel->banner_len, seen);
		for (size_t i = 0; i < n; i++)
			if (!memcmp(seen + i * kernel->banner_len, kernel->banner,
				    kernel->banner_len) &&
			    runs_at(gmem, kernel, places[i], pagewalk, found))
				return 0;
	}
	return -EAGAIN;
}
