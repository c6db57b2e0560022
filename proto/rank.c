#include "proto/rank.h"
#include "proto/base/must.h"

size_t kt_rank_index(size_t n, uint32_t ppm)
{
	unsigned __int128 product = (unsigned __int128)n * ppm;
	size_t rank = (size_t)((product + KT_RANK_PPM - 1) / KT_RANK_PPM);

	kt_must(n > 0);
	if (rank > n)
		rank = n;
	return rank ? rank - 1 : 0;
}

static void swap(int64_t *a, int64_t *b)
{
	int64_t was = *a;

	*a = *b;
	*b = was;
}

static int64_t median(int64_t a, int64_t b, int64_t c)
{
	if (a > b)
		swap(&a, &b);
	if (b > c)
		b = c > a ? c : a;
	return b;
}

/* Hoare's: a round leaves [first, right] at most the pivot, [left, last] at least, and the pivot in between. */
int64_t kt_rank_select(int64_t *values, size_t n, size_t index)
{
	ptrdiff_t first = 0;
	ptrdiff_t last = (ptrdiff_t)n - 1;
	ptrdiff_t wanted = (ptrdiff_t)index;

	kt_must(index < n);
	while (first < last) {
		int64_t pivot =
			median(values[first], values[first + (last - first) / 2], values[last]);
		ptrdiff_t left = first;
		ptrdiff_t right = last;

		while (left <= right) {
			while (values[left] < pivot)
				left++;
			while (values[right] > pivot)
				right--;
			if (left <= right)
				swap(&values[left++], &values[right--]);
		}
		if (wanted <= right)
			last = right;
		else if (wanted >= left)
			first = left;
		else
			break;
	}
	return values[wanted];
}

int64_t kt_rank_of(int64_t *values, size_t n, uint32_t ppm)
{
	return n ? kt_rank_select(values, n, kt_rank_index(n, ppm)) : 0;
}
