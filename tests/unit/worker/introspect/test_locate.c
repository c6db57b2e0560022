#include "worker/introspect/locate.h"

#include "tests/unit/worker/introspect/toyguest.h"

#include <criterion/criterion.h>
#include <errno.h>

#define BANNER    "Linux version 9.9.9-toy (somebody@somewhere) #1\n"
#define LINK_VA   0xffffffff81000000ull
#define LINK_PA   0x1000000ull
#define BANNER_AT 0x5580ull /* within the image */
#define TOP_AT    0x8000ull
#define MIB       (1ull << 20)

static const struct kt_locate_kernel kernel = {
	.banner_va = LINK_VA + BANNER_AT,
	.banner_pa = LINK_PA + BANNER_AT,
	.top_pgt_va = LINK_VA + TOP_AT,
	.top_pgt_pa = LINK_PA + TOP_AT,
	.banner = BANNER,
	.banner_len = sizeof(BANNER),
};

struct machine {
	uint8_t *ram;
	int fd;
	struct kt_gmem *gmem;
};

static void machine_init(struct machine *machine)
{
	char path[64];

	machine->fd = memfd_create("ram", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(machine->fd, 64 * MIB), 0);
	machine->ram = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, machine->fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", machine->fd);
	cr_assert_eq(kt_gmem_open(path, 64 * MIB, 64 * MIB, &machine->gmem, NULL), 0);
}

static void machine_destroy(struct machine *machine)
{
	kt_gmem_destroy(&machine->gmem);
	munmap(machine->ram, 64 * MIB);
	close(machine->fd);
}

/* The kernel at a physical address, its page tables mapping it at va with so many levels. */
static void place(struct machine *machine, uint64_t pa, uint64_t va, unsigned int levels)
{
	uint64_t at = pa + TOP_AT;

	memcpy(machine->ram + pa + BANNER_AT, BANNER, sizeof(BANNER));
	for (unsigned int level = levels; level > 0; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		uint64_t *entry = (uint64_t *)(void *)(machine->ram + at) + (va >> shift & 511);

		at += 0x1000;
		*entry = level == 2 ? (pa | TOY_PRESENT | TOY_LARGE) : (at | TOY_PRESENT);
		if (level == 2)
			break;
	}
}

Test(locate, the_kernel_is_found_wherever_kaslr_put_it)
{
	static const struct {
		uint64_t pa, va;
		unsigned int levels;
	} cases[] = {
		{ LINK_PA, LINK_VA, 4 },
		{ LINK_PA, LINK_VA, 5 },
		{ 2 * MIB, LINK_VA + 0x2a600000, 4 },
		{ 62 * MIB, 0xffffffff80000000ull, 5 },
		{ 36 * MIB, 0xffffffffbfe00000ull, 5 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KT_AUTO(machine_destroy) struct machine machine = { 0 };
		struct kt_pagewalk pagewalk;
		struct kt_locate_found found;
		char text[sizeof(BANNER)];

		machine_init(&machine);
		cr_assert_eq(kt_locate_find(machine.gmem, &kernel, &pagewalk, &found), -EAGAIN);
		place(&machine, cases[i].pa, cases[i].va, cases[i].levels);
		cr_assert_eq(kt_locate_find(machine.gmem, &kernel, &pagewalk, &found), 0,
			     "case %zu", i);
		cr_assert_eq(found.va_slide, cases[i].va - LINK_VA);
		cr_assert_eq(found.pa_slide, cases[i].pa - LINK_PA);
		cr_assert_eq(found.levels, cases[i].levels);
		cr_assert_eq(kt_pagewalk_read(&pagewalk, kernel.banner_va + found.va_slide, text,
					      sizeof(text)),
			     0);
		cr_assert_str_eq(text, BANNER);
	}
}

Test(locate, a_banner_may_lie_across_two_pages)
{
	struct kt_locate_kernel across = kernel;
	KT_AUTO(machine_destroy) struct machine machine = { 0 };
	struct kt_pagewalk pagewalk;
	struct kt_locate_found found;

	across.banner_va = LINK_VA + 0x5ff0;
	across.banner_pa = LINK_PA + 0x5ff0;
	machine_init(&machine);
	place(&machine, 20 * MIB, LINK_VA, 4);
	memcpy(machine.ram + 20 * MIB + 0x5ff0, BANNER, sizeof(BANNER));
	cr_assert_eq(kt_locate_find(machine.gmem, &across, &pagewalk, &found), 0);
	cr_assert_eq(found.pa_slide + LINK_PA, 20 * MIB);
}

Test(locate, a_copy_of_the_image_is_not_the_kernel)
{
	KT_AUTO(machine_destroy) struct machine machine = { 0 };
	struct kt_pagewalk pagewalk;
	struct kt_locate_found found;

	machine_init(&machine);
	/* copied with page tables that lead to the original, as a page cache would hold it */
	place(&machine, 32 * MIB, LINK_VA + 0x1000000, 4);
	memcpy(machine.ram + 6 * MIB, machine.ram + 32 * MIB, 2 * MIB);
	cr_assert_eq(kt_locate_find(machine.gmem, &kernel, &pagewalk, &found), 0);
	cr_assert_eq(found.pa_slide + LINK_PA, 32 * MIB);
	memset(machine.ram + 32 * MIB, 0, 2 * MIB);
	cr_assert_eq(kt_locate_find(machine.gmem, &kernel, &pagewalk, &found), -EAGAIN);
}
