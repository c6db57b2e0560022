#include "coordinator/prepare.h"
#include "coordinator/kernels.h"
#include "coordinator/payloads.h"
#include "coordinator/programs.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"
#include "proto/job.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What the matrix names by a path is named from its folder on. */
static void folder_of(const struct kt_matrix *matrix, char dir[PATH_MAX])
{
	const char *slash = strrchr(matrix->file, '/');

	snprintf(dir, PATH_MAX, "%.*s", slash ? (int)(slash - matrix->file) : 1,
		 slash ? matrix->file : ".");
}

static struct kt_bin digest_bin(struct kt_arena *arena, const struct kt_digest *digest)
{
	return (struct kt_bin){ kt_arena_copy(arena, digest->bytes, KT_DIGEST_BYTES),
				KT_DIGEST_BYTES };
}

/* For tests of the fleet: scripted cells boot nothing and need no file, so KT_TEST_SHIP names one that every
 * scheduler brings along; workers fetch it before they play the script.
 */
static int ship_for_test(struct kt_programs *programs, struct kt_msg_scheduler *to,
			 struct kt_err *err)
{
	const char *path = getenv("KT_TEST_SHIP");
	struct kt_digest digest;
	int status;

	if (!path || !programs->artifacts)
		return 0;
	to->files = kt_arena_alloc(programs->arena, 1, sizeof(*to->files));
	status = kt_artifacts_add(programs->artifacts, path, &digest, &to->files[0].bytes, err);
	if (status < 0)
		return status;
	to->n_files = 1;
	to->files[0].path = "/kt/shipped";
	to->files[0].digest = digest_bin(programs->arena, &digest);
	return 0;
}

static int prepare_scheduler(const struct kt_prepare *prepare, const struct kt_matrix *matrix,
			     const struct kt_matrix_scheduler *from, struct kt_programs *programs,
			     struct kt_msg_scheduler *to, struct kt_err *err)
{
	const struct kt_program *program;
	char dir[PATH_MAX];
	char path[PATH_MAX];
	int status;

	to->name = kt_arena_strdup(programs->arena, from->name);
	if (prepare->scripted)
		return ship_for_test(programs, to, err);
	if (!from->binary)
		return 0;
	folder_of(matrix, dir);
	if (!kt_programs_find(from->binary, dir, prepare->bin_dir, path))
		return kt_matrix_err_at(matrix, from->binary_pos, err,
					"scheduler '%s': no program '%s' beside the matrix, in %s "
					"or on PATH; build it or give its path",
					from->name, from->binary, prepare->bin_dir);
	status = kt_programs_pack(programs, path, &program, err);
	if (status < 0 && err->fault == KT_FAULT_INPUT) {
		char why[KT_ERR_TEXT_MAX];

		snprintf(why, sizeof(why), "%s", err->text);
		return kt_matrix_err_at(matrix, from->binary_pos, err, "scheduler '%s': %s",
					from->name, why);
	}
	if (status < 0)
		return status;
	to->args = program->args;
	to->n_args = program->n_args;
	to->files = program->files;
	to->n_files = program->n_files;
	return 0;
}

static int prepare_kernel(const struct kt_prepare *prepare, const struct kt_matrix *matrix,
			  const struct kt_matrix_kernel *from, struct kt_artifacts *artifacts,
			  struct kt_arena *arena, struct kt_msg_kernel *to, struct kt_err *err)
{
	struct kt_kernels_source source = { .suite = from->debian_suite,
					    .package = from->debian_package };
	struct kt_kernels_image image;
	struct kt_digest digest;
	char path[PATH_MAX];
	char why[KT_ERR_TEXT_MAX];
	int status;

	to->name = kt_arena_strdup(arena, from->name);
	to->version = "";
	if (prepare->scripted)
		return 0;
	if (from->path) {
		const char *slash = strrchr(matrix->file, '/');

		if (from->path[0] == '/' || !slash)
			snprintf(path, sizeof(path), "%s", from->path);
		else
			snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - matrix->file),
				 matrix->file, from->path);
		source.path = path;
	}
	status = kt_kernels_get(prepare->state_dir, &source, prepare->progress, prepare->arg,
				&image, err);
	if (status < 0) {
		enum kt_fault fault = err->fault;

		snprintf(why, sizeof(why), "%s", err->text);
		kt_matrix_err_at(matrix, from->from_pos, err, "kernel '%s': %s", from->name, why);
		/* The network's trouble is not the matrix's, nor is a file that is damaged. */
		err->fault = status == -EBADMSG ? KT_FAULT_HOST : fault;
		return status;
	}
	if (image.has_sched_ext == KT_KERNELS_EXT_NO) {
		for (size_t i = 0; i < matrix->n_schedulers; i++)
			if (matrix->schedulers[i].binary)
				return kt_matrix_err_at(
					matrix, from->from_pos, err,
					"kernel '%s' (%s) was built without sched_ext, which "
					"scheduler '%s' needs; sid and forky have it",
					from->name, image.version, matrix->schedulers[i].name);
	}
	status = kt_artifacts_add(artifacts, image.path, &digest, &to->bytes, err);
	if (status < 0)
		return status;
	to->version = kt_arena_strdup(arena, image.version);
	to->digest = digest_bin(arena, &digest);
	return 0;
}

/* With every scheduler that it runs with: an artifact that two of its programs share is one. */
static int check_files(const struct kt_matrix *matrix, const struct kt_msg_manifest *manifest,
		       const struct kt_matrix_scenario *scenario, struct kt_err *err)
{
	struct kt_job_artifact artifacts[KT_FILES_MAX];
	char why[KT_ERR_TEXT_MAX];

	for (size_t i = 0; i < scenario->n_schedulers; i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_job job;
		uint64_t cell;

		if (!kt_matrix_first_cell_with(scenario, i, &cell))
			continue;
		kt_prepare_job(matrix, manifest, cell, &arena, &job);
		if (kt_job_artifacts(&job, artifacts, err) >= 0)
			continue;
		snprintf(why, sizeof(why), "%s", err->text);
		return kt_matrix_err_at(matrix, scenario->pos, err, "scenario '%s': %s",
					scenario->name, why);
	}
	return 0;
}

int kt_prepare_manifest(const struct kt_prepare *prepare, const struct kt_matrix *matrix,
			struct kt_artifacts *artifacts, struct kt_arena *arena,
			struct kt_msg_manifest *manifest, struct kt_err *err)
{
	struct kt_programs programs = { .artifacts = artifacts, .arena = arena };
	int status = 0;

	manifest->n_schedulers = matrix->n_schedulers;
	manifest->schedulers =
		kt_arena_alloc(arena, matrix->n_schedulers, sizeof(*manifest->schedulers));
	manifest->n_kernels = matrix->n_kernels;
	manifest->kernels = kt_arena_alloc(arena, matrix->n_kernels, sizeof(*manifest->kernels));
	for (size_t i = 0; i < matrix->n_schedulers && status == 0; i++)
		status = prepare_scheduler(prepare, matrix, &matrix->schedulers[i], &programs,
					   &manifest->schedulers[i], err);
	if (status == 0 && !prepare->scripted)
		status = kt_payloads_prepare(matrix, prepare->bin_dir, &programs, manifest, err);
	for (size_t i = 0; i < matrix->n_kernels && status == 0; i++)
		status = prepare_kernel(prepare, matrix, &matrix->kernels[i], artifacts, arena,
					&manifest->kernels[i], err);
	for (size_t i = 0; i < matrix->n_scenarios && status == 0; i++)
		status = check_files(matrix, manifest, &matrix->scenarios[i], err);
	return status;
}

int kt_prepare_check(const struct kt_prepare *prepare, const struct kt_matrix *matrix,
		     struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_programs programs = { .arena = &arena };
	struct kt_msg_manifest manifest = { 0 };

	return kt_payloads_prepare(matrix, prepare->bin_dir, &programs, &manifest, err);
}

static int add_known(struct kt_artifacts *artifacts, const struct kt_msg_file *files, size_t n,
		     struct kt_err *err)
{
	int status = 0;

	for (size_t i = 0; i < n && status == 0; i++)
		status = kt_artifacts_add_known(artifacts, (const void *)files[i].digest.data, err);
	return status;
}

int kt_prepare_again(const struct kt_msg_manifest *manifest, struct kt_artifacts *artifacts,
		     struct kt_err *err)
{
	int status = 0;

	for (size_t i = 0; i < manifest->n_kernels && status == 0; i++)
		if (manifest->kernels[i].digest.len == KT_DIGEST_BYTES)
			status = kt_artifacts_add_known(
				artifacts, (const void *)manifest->kernels[i].digest.data, err);
	for (size_t i = 0; i < manifest->n_schedulers && status == 0; i++)
		status = add_known(artifacts, manifest->schedulers[i].files,
				   manifest->schedulers[i].n_files, err);
	for (size_t i = 0; i < manifest->n_payloads && status == 0; i++)
		status = add_known(artifacts, manifest->payloads[i].files,
				   manifest->payloads[i].n_files, err);
	return status;
}

/* The matrix's args[0] stands for the program: it becomes what the bundle needs to be started. */
static void put_program(const struct kt_msg_scheduler *bundle, struct kt_arena *arena,
			struct kt_msg_scheduler *scheduler)
{
	size_t n = bundle->n_args + scheduler->n_args - 1;
	struct kt_msg_arg *args = kt_arena_alloc(arena, n, sizeof(*args));

	memcpy(args, bundle->args, bundle->n_args * sizeof(*args));
	memcpy(args + bundle->n_args, scheduler->args + 1, (scheduler->n_args - 1) * sizeof(*args));
	scheduler->args = args;
	scheduler->n_args = n;
}

static void complete(const struct kt_msg_scheduler *bundle, struct kt_arena *arena,
		     struct kt_msg_scheduler *scheduler)
{
	scheduler->files = bundle->files;
	scheduler->n_files = bundle->n_files;
	if (bundle->n_args && scheduler->n_args)
		put_program(bundle, arena, scheduler);
	else if (scheduler->n_args) /* scripted: nothing is started */
		scheduler->args[0].text = scheduler->name;
}

static const struct kt_msg_scheduler *bundle_of(const struct kt_msg_manifest *manifest,
						const char *name)
{
	size_t i = 0;

	while (strcmp(manifest->schedulers[i].name, name) != 0)
		kt_must(++i < manifest->n_schedulers);
	return &manifest->schedulers[i];
}

void kt_prepare_job(const struct kt_matrix *matrix, const struct kt_msg_manifest *manifest,
		    uint64_t index, struct kt_arena *arena, struct kt_msg_job *job)
{
	struct kt_matrix_cell cell;

	kt_matrix_job(matrix, index, arena, job);
	kt_matrix_cell(matrix, index, &cell);
	*job->kernel = manifest->kernels[cell.kernel - matrix->kernels];
	complete(&manifest->schedulers[cell.scheduler - matrix->schedulers], arena, job->scheduler);
	for (size_t i = 0; i < job->n_schedulers; i++)
		complete(bundle_of(manifest, job->schedulers[i].name), arena, &job->schedulers[i]);
	kt_payloads_complete(manifest, arena, job);
}
