#include "coordinator/wants.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <string.h>

/* 2 kernels, 3 schedulers, 2 topologies. `a` is as the sweep says; `b` is not, and changes to another scheduler. */
static const char text[] =
	"[sweep]\nname = \"s\"\nrepeats = 4\npaired = true\naccel = \"kvm\"\n"
	"[[kernel]]\nname = \"k0\"\npath = \"a\"\n[[kernel]]\nname = \"k1\"\npath = \"b\"\n"
	"[[scheduler]]\nname = \"eevdf\"\n"
	"[[scheduler]]\nname = \"x\"\nbinary = \"x\"\n[[scheduler]]\nname = \"y\"\nbinary = \"y\"\n"
	"[[topology]]\nname = \"t2\"\ncpus = \"1n1l2c1t\"\nmemory = \"512M\"\n"
	"[[topology]]\nname = \"t8\"\ncpus = \"1n1l4c2t\"\nmemory = \"2G\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
	"[[scenario]]\nname = \"b\"\nduration = \"20s\"\npaired = false\nschedulers = [\"x\"]\n"
	"[[scenario.step]]\nhold = \"full\"\nops = [{ replace_scheduler = \"y\" }]\n";

static struct kt_matrix *matrix_of(const char *whole)
{
	struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_matrixfile_parse("m", whole, strlen(whole), NULL, NULL, &matrix, &err), 0,
		     "%s", err.text);
	return matrix;
}

/* Files are named by the first letter of their digests, kernels by digits. */
static void make_manifest(struct kt_msg_manifest *manifest)
{
	static uint8_t digests[5][KT_DIGEST_BYTES];
	static struct kt_msg_kernel kernels[2];
	static struct kt_msg_file files[2][2];
	static struct kt_msg_scheduler schedulers[3];
	static const char *const names[] = { "eevdf", "x", "y" };
	static struct kt_msg_arg arg = { .text = "program" };

	for (int i = 0; i < 5; i++)
		digests[i][0] = (uint8_t) "01xyl"[i];
	for (int i = 0; i < 2; i++) {
		kernels[i].digest = (struct kt_bin){ digests[i], KT_DIGEST_BYTES };
		files[i][0].digest = (struct kt_bin){ digests[2 + i], KT_DIGEST_BYTES };
		files[i][1].digest = (struct kt_bin){ digests[4], KT_DIGEST_BYTES };
	}
	for (int i = 0; i < 3; i++) {
		schedulers[i] = (struct kt_msg_scheduler){ .name = names[i] };
		if (i == 0)
			continue;
		schedulers[i].files = files[i - 1];
		schedulers[i].n_files = 2;
		schedulers[i].args = &arg;
		schedulers[i].n_args = 1;
	}
	*manifest = (struct kt_msg_manifest){
		.kernels = kernels, .n_kernels = 2, .schedulers = schedulers, .n_schedulers = 3
	};
}

static uint64_t find(const struct kt_matrix *matrix, const char *name)
{
	uint64_t index = 0;

	cr_assert(kt_matrix_find_cell(matrix, name, &index), "%s", name);
	return index;
}

Test(wants, a_cell_wants_what_its_matrix_and_manifest_say)
{
	static const struct {
		const char *cell;
		uint32_t cpus;
		uint64_t mem_bytes;
		const char *artifacts;
		bool paired;
	} rows[] = {
		{ "a/k0/eevdf/t2#0", 2, 512ull << 20, "0", true },
		{ "a/k1/x/t8#3", 8, 2ull << 30, "1xl", true },
		{ "b/k0/x/t2#1", 2, 512ull << 20, "0xlyl", false },
	};
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of(text);
	struct kt_msg_manifest manifest;
	struct kt_wants *wants;

	make_manifest(&manifest);
	wants = kt_wants_new(matrix, &manifest, "/nonexistent", "qemu");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_placement_demand demand = { 0 };
		char artifacts[8] = "";

		kt_wants_demand(wants, find(matrix, rows[i].cell), &demand);
		cr_assert_eq(demand.cpus, rows[i].cpus);
		cr_assert_eq(demand.mem_bytes, rows[i].mem_bytes);
		cr_assert_str_eq(demand.accel, "kvm");
		cr_assert_eq(demand.pair != 0, rows[i].paired, "%s", rows[i].cell);
		cr_assert_lt(demand.n_artifacts, sizeof(artifacts));
		for (size_t k = 0; k < demand.n_artifacts; k++)
			artifacts[k] = (char)demand.artifacts[k];
		cr_assert_str_eq(artifacts, rows[i].artifacts);
		cr_assert_gt(demand.expected_ns,
			     i < 2 ? 10 * KT_NS_PER_S : 20 * KT_NS_PER_S); /* and its guest */
		cr_assert_lt(demand.expected_ns, 40 * KT_NS_PER_S);
	}
	kt_wants_destroy(&wants);
}

Test(wants, those_that_differ_in_their_scheduler_alone_are_a_pair)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of(text);
	struct kt_msg_manifest manifest;
	struct kt_wants *wants;

	make_manifest(&manifest);
	wants = kt_wants_new(matrix, &manifest, "/nonexistent", "qemu");
	for (uint64_t i = 0; i < matrix->n_cells; i++)
		for (uint64_t k = 0; k < matrix->n_cells; k++) {
			struct kt_placement_demand x = { 0 };
			struct kt_placement_demand y = { 0 };
			struct kt_matrix_cell a;
			struct kt_matrix_cell b;
			bool alike;

			kt_matrix_cell(matrix, i, &a);
			kt_matrix_cell(matrix, k, &b);
			kt_wants_demand(wants, i, &x);
			kt_wants_demand(wants, k, &y);
			alike = a.scenario == b.scenario && a.kernel == b.kernel &&
				a.topology == b.topology && a.repeat == b.repeat;
			if (x.pair && y.pair)
				cr_assert_eq(x.pair == y.pair, alike, "%d %d", (int)i, (int)k);
		}
	kt_wants_destroy(&wants);
}

Test(wants, paired_and_accel_are_words_of_the_language)
{
	static const struct {
		const char *lines;
		const char *said; /* NULL: it is right */
	} rows[] = {
		{ "paired = true\n", NULL },
		{ "accel = \"kvm\"\n", NULL },
		{ "paired = 1\n", "'paired' in [sweep]" },
		{ "paird = true\n", "did you mean 'paired'" },
		{ "accel = \"vkm\"\n", "unknown accel 'vkm' in [sweep]; did you mean 'kvm'?" },
		{ "accel = \"tcg\"\n", "unknown accel 'tcg' in [sweep]" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF whole = { 0 };
		struct kt_err err = { 0 };

		kt_buf_printf(&whole, "[sweep]\nname = \"s\"\n%s%s", rows[i].lines,
			      strstr(text, "[[kernel]]"));
		kt_matrixfile_parse("m", whole.data, whole.len, NULL, NULL, &matrix, &err);
		cr_assert_eq(matrix != NULL, rows[i].said == NULL, "%s: %s", rows[i].lines,
			     err.text);
		if (rows[i].said)
			cr_assert(strstr(err.text, rows[i].said), "%s: %s", rows[i].lines,
				  err.text);
	}
}
