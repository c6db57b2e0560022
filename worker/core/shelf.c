#include "worker/core/shelf.h"

#include <string.h>

static size_t find(const struct kt_shelf *shelf, const uint8_t *begins)
{
	size_t i = 0;

	while (i < shelf->n && memcmp(shelf->told[i], begins, KT_CACHED_BYTES) != 0)
		i++;
	return i;
}

void kt_shelf_use(struct kt_shelf *shelf, const uint8_t *begins)
{
	size_t at = find(shelf, begins);

	if (at == shelf->n && shelf->n < KT_CACHED_TOLD_MAX)
		shelf->n++;
	else if (at == shelf->n)
		at--;
	memmove(shelf->told[1], shelf->told[0], at * KT_CACHED_BYTES);
	memcpy(shelf->told[0], begins, KT_CACHED_BYTES);
}

void kt_shelf_drop(struct kt_shelf *shelf, const uint8_t *begins)
{
	size_t at = find(shelf, begins);

	if (at == shelf->n)
		return;
	shelf->n--;
	memmove(shelf->told[at], shelf->told[at + 1], (shelf->n - at) * KT_CACHED_BYTES);
}

struct kt_bin kt_shelf_tell(const struct kt_shelf *shelf)
{
	return (struct kt_bin){ shelf->told[0], shelf->n * KT_CACHED_BYTES };
}
