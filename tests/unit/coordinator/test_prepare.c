#include "coordinator/prepare.h"
#include "matrixtext.h"

/* What the sweep's manifest has of scx_kt, other and eevdf: how each is started, and its files. */
static struct kt_msg_arg starts[2][2] = { { { "/a/ld" }, { "/a/bin" } }, { { "/b/bin" } } };
static struct kt_msg_file files[2][2] = { { { .path = "/a/ld" }, { .path = "/a/bin" } },
					  { { .path = "/b/bin" } } };
static struct kt_msg_scheduler bundles[] = {
	{ .name = "scx_kt", .args = starts[0], .n_args = 2, .files = files[0], .n_files = 2 },
	{ .name = "other", .args = starts[1], .n_args = 1, .files = files[1], .n_files = 1 },
	{ .name = "eevdf" },
};
static struct kt_msg_kernel kernel = { .name = "k", .version = "6.12" };

/* "scx_kt: /a/ld /a/bin -x; 2 files from /a/ld" */
static void print(const struct kt_msg_scheduler *scheduler, struct kt_buf *out)
{
	kt_buf_printf(out, "%s:", scheduler->name);
	for (size_t i = 0; i < scheduler->n_args; i++)
		kt_buf_printf(out, " %s", scheduler->args[i].text);
	kt_buf_printf(out, "; %zu files from %s\n", scheduler->n_files,
		      scheduler->n_files ? scheduler->files[0].path : "nowhere");
}

Test(prepare, every_scheduler_of_a_job_is_what_was_packed)
{
	static const char text[] = "[[scenario.step]]\nhold = 'full'\n"
				   "ops = [{ replace_scheduler = 'scx_kt' }, "
				   "{ replace_scheduler = 'other' }]\n";
	static const char *const expected[] = {
		"scx_kt: /a/ld /a/bin; 2 files from /a/ld\nother: /b/bin; 1 files from /b/bin\n",
		"other: /b/bin; 1 files from /b/bin\nscx_kt: /a/ld /a/bin; 2 files from /a/ld\n",
		("eevdf:; 0 files from nowhere\nscx_kt: /a/ld /a/bin; 2 files from /a/ld\n"
		 "other: /b/bin; 1 files from /b/bin\n"),
	};
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_msg_manifest manifest = {
		.kernels = &kernel, .n_kernels = 1, .schedulers = bundles, .n_schedulers = 3
	};
	KT_AUTO_BUF problems = { 0 };

	cr_assert_eq(matrixtext_parse(text, &matrix, &problems), 0, "%s", kt_buf_text(&problems));
	for (uint64_t cell = 0; cell < 3; cell++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF said = { 0 };
		struct kt_msg_job job;

		kt_prepare_job(matrix, &manifest, cell, &arena, &job);
		cr_assert_str_eq(job.kernel->version, "6.12");
		print(job.scheduler, &said);
		for (size_t i = 0; i < job.n_schedulers; i++)
			print(&job.schedulers[i], &said);
		cr_expect_str_eq(kt_buf_text(&said), expected[cell]);
	}
}
