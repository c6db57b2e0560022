#include "coordinator/core/matrix/expand.h"
#include "proto/base/must.h"

bool kt_expand_count(const uint64_t *sizes, size_t n_axes, uint64_t max, uint64_t *count)
{
	unsigned __int128 product = 1;

	*count = 0;
	for (size_t i = 0; i < n_axes; i++)
		if (sizes[i] == 0)
			return true;
	for (size_t i = 0; i < n_axes; i++) {
		product *= sizes[i];
		if (product > max)
			return false;
	}
	*count = (uint64_t)product;
	return true;
}

void kt_expand_split(const uint64_t *sizes, size_t n_axes, uint64_t index, uint64_t *at)
{
	for (size_t i = n_axes; i-- > 0;) {
		kt_must(sizes[i] > 0);
		at[i] = index % sizes[i];
		index /= sizes[i];
	}
	kt_must(index == 0);
}

uint64_t kt_expand_join(const uint64_t *sizes, size_t n_axes, const uint64_t *at)
{
	uint64_t index = 0;

	for (size_t i = 0; i < n_axes; i++) {
		kt_must(at[i] < sizes[i]);
		index = index * sizes[i] + at[i];
	}
	return index;
}
