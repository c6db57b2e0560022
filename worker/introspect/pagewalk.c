#include "worker/introspect/pagewalk.h"

#include "proto/base/must.h"

#include <errno.h>

#define PAGE         4096ull
#define PRESENT      (1ull << 0)
#define LARGE        (1ull << 7)
#define ADDRESS_MASK 0x000ffffffffff000ull
#define INDEX_BITS   9
#define EMPTY        1 /* no page begins there */

void kt_pagewalk_init(struct kt_pagewalk *pagewalk, struct kt_gmem *gmem, uint64_t root_gpa,
		      unsigned int levels)
{
	kt_must(levels == 4 || levels == 5);
	pagewalk->gmem = gmem;
	pagewalk->root_gpa = root_gpa;
	pagewalk->levels = levels;
	kt_pagewalk_flush(pagewalk);
}

void kt_pagewalk_flush(struct kt_pagewalk *pagewalk)
{
	for (size_t i = 0; i < KT_PAGEWALK_TLB; i++)
		pagewalk->tlb[i].va = EMPTY;
}

static int walk(const struct kt_pagewalk *pagewalk, uint64_t va, uint64_t *gpa)
{
	uint64_t table = pagewalk->root_gpa;
	unsigned int bits = 12 + INDEX_BITS * pagewalk->levels;

	/* canonical: the bits above are copies of the highest one used */
	if ((uint64_t)((int64_t)(va << (64 - bits)) >> (64 - bits)) != va)
		return -EFAULT;
	for (unsigned int level = pagewalk->levels; level > 0; level--) {
		unsigned int shift = 12 + INDEX_BITS * (level - 1);
		uint64_t at_gpa = table + ((va >> shift) & 511) * 8;
		const uint8_t *at = kt_gmem_at(pagewalk->gmem, at_gpa, 8);
		uint64_t entry;

		if (!at)
			return -EFAULT;
		/* once: what is behind a file may change */
		entry = __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
		if (!(entry & PRESENT))
			return -EFAULT;
		if (level > 1 && level < 4 && (entry & LARGE)) {
			uint64_t in_page = (1ull << shift) - 1;

			*gpa = (entry & ADDRESS_MASK & ~in_page) | (va & in_page);
			return 0;
		}
		table = entry & ADDRESS_MASK;
	}
	*gpa = table | (va & (PAGE - 1));
	return 0;
}

int kt_pagewalk_translate(struct kt_pagewalk *pagewalk, uint64_t va, uint64_t *gpa)
{
	uint64_t page = va & ~(PAGE - 1);
	struct kt_pagewalk_entry *entry = &pagewalk->tlb[(va / PAGE) % KT_PAGEWALK_TLB];
	uint64_t found;

	if (entry->va != page) {
		int rc = walk(pagewalk, page, &found);

		if (rc)
			return rc;
		*entry = (struct kt_pagewalk_entry){ page, found };
	}
	*gpa = entry->gpa | (va & (PAGE - 1));
	return 0;
}

int kt_pagewalk_read(struct kt_pagewalk *pagewalk, uint64_t va, void *into, size_t len)
{
	uint8_t *to = into;

	while (len) {
		size_t piece = PAGE - (va & (PAGE - 1));
		uint64_t gpa;

		if (piece > len)
			piece = len;
		if (kt_pagewalk_translate(pagewalk, va, &gpa) ||
		    kt_gmem_read(pagewalk->gmem, gpa, to, piece))
			return -EFAULT;
		to += piece;
		va += piece;
		len -= piece;
	}
	return 0;
}

int kt_pagewalk_read_u64(struct kt_pagewalk *pagewalk, uint64_t va, uint64_t *value)
{
	return kt_pagewalk_read(pagewalk, va, value, sizeof(*value));
}

int kt_pagewalk_read_u32(struct kt_pagewalk *pagewalk, uint64_t va, uint32_t *value)
{
	return kt_pagewalk_read(pagewalk, va, value, sizeof(*value));
}

int kt_pagewalk_write_u64(struct kt_pagewalk *pagewalk, uint64_t va, uint64_t value)
{
	uint64_t gpa;

	if (va % 8 || kt_pagewalk_translate(pagewalk, va, &gpa))
		return -EFAULT;
	return kt_gmem_write(pagewalk->gmem, gpa, &value, sizeof(value));
}
