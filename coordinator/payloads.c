#include "coordinator/payloads.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ENV_MAX 3 /* of ours */
#define FILES_MAX \
	(KT_FILES_MAX - 64) /* of one scenario's: the rest is the kernel's and the schedulers' */

struct preparing {
	const struct kt_matrix *matrix;
	const struct kt_matrix_payload *from;
	const char *bin_dir;
	char dir[PATH_MAX]; /* of the matrix */
	struct kt_programs *programs;
	struct kt_msg_manifest *manifest;
};

/* The user's mistake stands somewhere in the matrix; a full disk does not. */
static int place(const struct preparing *preparing, struct kt_doc_pos pos, int status,
		 struct kt_err *err)
{
	char why[KT_ERR_TEXT_MAX];

	if (err->fault != KT_FAULT_INPUT)
		return status;
	memcpy(why, err->text, sizeof(why));
	return kt_matrix_err_at(preparing->matrix, pos, err, "payload '%s': %s",
				preparing->from->name, why);
}

static void put_env(const struct preparing *preparing, const struct kt_program *program,
		    struct kt_msg_payload *to)
{
	struct kt_arena *arena = preparing->programs->arena;

	to->env = kt_arena_alloc(arena, ENV_MAX, sizeof(*to->env));
	to->env[to->n_env++].text = "HOME=/";
	to->env[to->n_env++].text =
		kt_arena_printf(arena, "PATH=%s/bin:/usr/bin:/bin", program->root);
	if (program->library_path[0])
		to->env[to->n_env++].text =
			kt_arena_printf(arena, "LD_LIBRARY_PATH=%s", program->library_path);
}

/* What another payload sends to the same place; NULL: nothing. */
static const struct kt_msg_file *find_sent(const struct kt_msg_manifest *manifest,
					   const char *guest_path)
{
	for (size_t i = 0; i < manifest->n_payloads; i++)
		for (size_t k = 0; k < manifest->payloads[i].n_files; k++)
			if (strcmp(manifest->payloads[i].files[k].path, guest_path) == 0)
				return &manifest->payloads[i].files[k];
	return NULL;
}

static bool is_same(const struct kt_bin *a, const struct kt_bin *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static int add_file(const struct preparing *preparing, const struct kt_matrix_payload_file *file,
		    struct kt_msg_payload *to, struct kt_err *err)
{
	const struct kt_msg_file *sent = find_sent(preparing->manifest, file->to);
	struct kt_msg_file *added = &to->files[to->n_files];
	char path[PATH_MAX];
	struct stat stat_of;
	int status;

	if (snprintf(path, sizeof(path), "%s%s%s", file->path[0] == '/' ? "" : preparing->dir,
		     file->path[0] == '/' ? "" : "/", file->path) >= PATH_MAX)
		return kt_err_sys(err, KT_FAULT_INPUT, ENAMETOOLONG, "%s", file->path);
	if (stat(path, &stat_of) < 0 || access(path, R_OK) < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", path);
	if (!S_ISREG(stat_of.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s is no file", path);
	status = kt_programs_add_file(preparing->programs, path, file->to,
				      stat_of.st_mode & 0111 ? 0755 : 0644, added, err);
	if (status < 0)
		return status;
	if (sent && !is_same(&sent->digest, &added->digest))
		return kt_err_set(err, KT_FAULT_INPUT, EEXIST,
				  "another payload sends another file to %s", file->to);
	to->n_files++;
	return 0;
}

static int prepare_one(struct preparing *preparing, struct kt_msg_payload *to, struct kt_err *err)
{
	const struct kt_matrix_payload *from = preparing->from;
	struct kt_arena *arena = preparing->programs->arena;
	const struct kt_program *program;
	char path[PATH_MAX];
	int status;

	to->name = kt_arena_strdup(arena, from->name);
	to->deadline_ns = from->check.deadline_ns;
	if (!kt_programs_find(from->program, preparing->dir, preparing->bin_dir, path))
		return kt_matrix_err_at(preparing->matrix, from->program_pos, err,
					"payload '%s': no program '%s' beside the matrix or on "
					"PATH; install it, or give its path",
					from->name, from->program);
	status = kt_programs_pack(preparing->programs, path, &program, err);
	if (status < 0)
		return place(preparing, from->program_pos, status, err);
	to->args = program->args;
	to->n_args = program->n_args;
	put_env(preparing, program, to);
	to->files = kt_arena_alloc(arena, program->n_files + from->n_files, sizeof(*to->files));
	memcpy(to->files, program->files, program->n_files * sizeof(*to->files));
	to->n_files = program->n_files;
	for (size_t i = 0; i < from->n_files; i++) {
		status = add_file(preparing, &from->files[i], to, err);
		if (status < 0)
			return place(preparing, from->files[i].pos, status, err);
	}
	return 0;
}

static const struct kt_msg_payload *find_packed(const struct kt_msg_manifest *manifest,
						const char *name)
{
	for (size_t i = 0; i < manifest->n_payloads; i++)
		if (strcmp(manifest->payloads[i].name, name) == 0)
			return &manifest->payloads[i];
	return NULL;
}

/* Payloads of one program share its files. */
static size_t count_files(const struct kt_msg_manifest *manifest,
			  const struct kt_matrix_payload *const *payloads, size_t n)
{
	const struct kt_msg_file *seen[FILES_MAX + 1];
	size_t n_seen = 0;

	for (size_t i = 0; i < n; i++) {
		const struct kt_msg_payload *packed = find_packed(manifest, payloads[i]->name);

		for (size_t k = 0; k < packed->n_files && n_seen <= FILES_MAX; k++) {
			size_t at = 0;

			while (at < n_seen && strcmp(seen[at]->path, packed->files[k].path) != 0)
				at++;
			if (at == n_seen)
				seen[n_seen++] = &packed->files[k];
		}
	}
	return n_seen;
}

static int check_scenarios(const struct kt_matrix *matrix, const struct kt_msg_manifest *manifest,
			   struct kt_err *err)
{
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		const struct kt_matrix_payload **payloads;
		KT_AUTO_ARENA arena = { 0 };
		size_t n = kt_matrix_payloads(matrix, scenario, &arena, &payloads);

		if (count_files(manifest, payloads, n) > FILES_MAX)
			return kt_matrix_err_at(
				matrix, scenario->pos, err,
				"scenario '%s' starts payloads with more than %d "
				"files in all; start fewer, or link them statically",
				scenario->name, FILES_MAX);
	}
	return 0;
}

int kt_payloads_prepare(const struct kt_matrix *matrix, const char *bin_dir,
			struct kt_programs *programs, struct kt_msg_manifest *manifest,
			struct kt_err *err)
{
	struct preparing preparing = {
		.matrix = matrix, .bin_dir = bin_dir, .programs = programs, .manifest = manifest
	};
	const char *slash = strrchr(matrix->file, '/');

	snprintf(preparing.dir, sizeof(preparing.dir), "%.*s",
		 slash ? (int)(slash - matrix->file) : 1, slash ? matrix->file : ".");
	manifest->payloads =
		kt_arena_alloc(programs->arena, matrix->n_payloads, sizeof(*manifest->payloads));
	for (size_t i = 0; i < matrix->n_payloads; i++) {
		int status;

		preparing.from = &matrix->payloads[i];
		status = prepare_one(&preparing, &manifest->payloads[i], err);
		if (status < 0)
			return status;
		manifest->n_payloads++;
	}
	return check_scenarios(matrix, manifest, err);
}

/* ---- jobs ---- */

static bool has_name(const struct kt_msg_payload *payload, const char *ours)
{
	size_t len = strcspn(ours, "=") + 1;

	for (size_t i = 0; i < payload->n_env; i++)
		if (strncmp(payload->env[i].text, ours, len) == 0)
			return true;
	return false;
}

static void add_env(const struct kt_msg_payload *packed, struct kt_arena *arena,
		    struct kt_msg_payload *payload)
{
	struct kt_msg_arg *env =
		kt_arena_alloc(arena, packed->n_env + payload->n_env, sizeof(*env));
	size_t n = 0;

	for (size_t i = 0; i < packed->n_env; i++)
		if (!has_name(payload, packed->env[i].text))
			env[n++] = packed->env[i];
	for (size_t i = 0; i < payload->n_env; i++)
		env[n++] = payload->env[i];
	payload->env = env;
	payload->n_env = n;
}

/* args[0] stands for the program. */
static void add_args(const struct kt_msg_payload *packed, struct kt_arena *arena,
		     struct kt_msg_payload *payload)
{
	size_t n = packed->n_args + payload->n_args - 1;
	struct kt_msg_arg *args = kt_arena_alloc(arena, n, sizeof(*args));

	memcpy(args, packed->args, packed->n_args * sizeof(*args));
	memcpy(args + packed->n_args, payload->args + 1, (payload->n_args - 1) * sizeof(*args));
	payload->args = args;
	payload->n_args = n;
}

void kt_payloads_complete(const struct kt_msg_manifest *manifest, struct kt_arena *arena,
			  struct kt_msg_job *job)
{
	for (size_t i = 0; i < job->n_payloads; i++) {
		struct kt_msg_payload *payload = &job->payloads[i];
		const struct kt_msg_payload *packed = find_packed(manifest, payload->name);

		if (!packed) { /* scripted: nothing is started */
			payload->args[0].text = payload->name;
			continue;
		}
		add_args(packed, arena, payload);
		add_env(packed, arena, payload);
		payload->files = packed->files;
		payload->n_files = packed->n_files;
	}
}
