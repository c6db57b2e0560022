#include "coordinator/programs.h"
#include "coordinator/bundle.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_MODE \
	0755 /* libraries too: the loader asks for nothing less, and one rule is enough */

static bool is_taken(const struct kt_programs *programs, const char *root)
{
	for (const struct kt_program *p = programs->first; p; p = p->next)
		if (strcmp(p->root, root) == 0)
			return true;
	return false;
}

static const char *choose_root(const struct kt_programs *programs, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *root = kt_arena_printf(programs->arena, KT_PROGRAMS_ROOT "/%s", name);

	for (unsigned int i = 2; is_taken(programs, root); i++)
		root = kt_arena_printf(programs->arena, KT_PROGRAMS_ROOT "/%s.%u", name, i);
	return root;
}

int kt_programs_add_file(struct kt_programs *programs, const char *path, const char *guest_path,
			 uint64_t mode, struct kt_msg_file *file, struct kt_err *err)
{
	struct kt_digest digest;
	int status;

	file->path = kt_arena_strdup(programs->arena, guest_path);
	file->mode = mode;
	if (programs->artifacts)
		status = kt_artifacts_add(programs->artifacts, path, &digest, &file->bytes, err);
	else
		status = kt_digest_of_file(path, &digest, &file->bytes, err);
	if (status < 0)
		return status;
	file->digest =
		(struct kt_bin){ kt_arena_copy(programs->arena, digest.bytes, KT_DIGEST_BYTES),
				 KT_DIGEST_BYTES };
	return 0;
}

static int take_bundle(struct kt_programs *programs, const struct kt_bundle *bundle,
		       struct kt_program *program, struct kt_err *err)
{
	struct kt_arena *arena = programs->arena;
	int status = 0;

	program->library_path =
		kt_arena_strdup(arena, bundle->library_path ? bundle->library_path : "");
	program->args = kt_arena_alloc(arena, bundle->n_args, sizeof(*program->args));
	for (size_t i = 0; i < bundle->n_args; i++)
		program->args[program->n_args++].text = kt_arena_strdup(arena, bundle->args[i]);
	program->files = kt_arena_alloc(arena, bundle->n, sizeof(*program->files));
	for (size_t i = 0; i < bundle->n && status == 0; i++)
		status = kt_programs_add_file(programs, bundle->files[i].host_path,
					      bundle->files[i].guest_path, PROGRAM_MODE,
					      &program->files[program->n_files++], err);
	return status;
}

bool kt_programs_find(const char *name, const char *beside, const char *bin_dir,
		      char path[PATH_MAX])
{
	const char *search = getenv("PATH");

	if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
		return access(path, R_OK) == 0;
	}
	snprintf(path, PATH_MAX, "%s/%s", beside, name);
	if (access(path, R_OK) == 0)
		return true;
	if (strchr(name, '/'))
		return false;
	snprintf(path, PATH_MAX, "%s/%s", bin_dir, name);
	if (access(path, R_OK) == 0)
		return true;
	while (search && *search) {
		size_t len = strcspn(search, ":");

		snprintf(path, PATH_MAX, "%.*s/%s", (int)len, search, name);
		if (len && access(path, X_OK) == 0)
			return true;
		search += len + (search[len] == ':');
	}
	return false;
}

int kt_programs_pack(struct kt_programs *programs, const char *path,
		     const struct kt_program **program, struct kt_err *err)
{
	struct kt_bundle bundle;
	struct kt_program *packed;
	int status;

	for (struct kt_program *p = programs->first; p; p = p->next) {
		if (strcmp(p->path, path) != 0)
			continue;
		*program = p;
		return 0;
	}
	packed = kt_arena_alloc(programs->arena, 1, sizeof(*packed));
	packed->path = kt_arena_strdup(programs->arena, path);
	packed->root = choose_root(programs, path);
	status = kt_bundle_collect(path, packed->root, &bundle, err);
	if (status < 0)
		return status;
	status = take_bundle(programs, &bundle, packed, err);
	kt_bundle_destroy(&bundle);
	if (status < 0)
		return status;
	packed->next = programs->first;
	programs->first = packed;
	*program = packed;
	return 0;
}
