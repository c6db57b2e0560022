#include "coordinator/bundle.h"
#include "coordinator/elfneeds.h"
#include "coordinator/ldcache.h"
#include "coordinator/ldpath.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CACHE_FILE "/etc/ld.so.cache"
#define LIBC       "libc.so.6"
#define LIBGCC     "libgcc_s.so.1"

/* The loader's own folders: those of Debian amd64, then those of others. */
static const char own_folders[] = "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:"
				  "/usr/lib64:/lib:/usr/lib";

struct file_bytes { /* a file of the host, mapped */
	void *bytes; /* NULL: none */
	size_t len;
};

struct object { /* beside bundle->files of the same number */
	struct file_bytes file;
	struct kt_elfneeds needs; /* borrows from file */
	const char *name; /* as it was needed; the program's: NULL */
	size_t loader; /* who needed it first */
};

struct walk {
	struct kt_bundle *bundle;
	const char *root;
	struct object *objects[KT_FILES_MAX];
	size_t interpreter; /* its number; 0: there is none */
	struct file_bytes cache_file;
	struct kt_ldcache cache;
};

/* ---- files ---- */

static void unmap(struct file_bytes *file)
{
	if (file->bytes)
		munmap(file->bytes, file->len);
	*file = (struct file_bytes){ 0 };
}

static int map(const char *path, struct file_bytes *file, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;

	*file = (struct file_bytes){ 0 };
	if (fd < 0 || fstat(fd, &stat) < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", path);
	if (!S_ISREG(stat.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s is no file", path);
	if ((uint64_t)stat.st_size > KT_FILE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG, "%s is longer than %llu bytes", path,
				  KT_FILE_BYTES_MAX);
	if (stat.st_size == 0)
		return kt_err_set(err, KT_FAULT_INPUT, ENOEXEC, "%s is empty", path);
	file->bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file->bytes == MAP_FAILED) {
		file->bytes = NULL;
		return kt_err_sys(err, KT_FAULT_HOST, errno, "mapping %s", path);
	}
	file->len = (size_t)stat.st_size;
	return 0;
}

/* The loader passes over what stands in its way: files for another machine, texts, folders. */
static bool is_library(const char *path)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;

	return fd >= 0 && pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
	       memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
	       header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- where the loader looks ---- */

static bool look_in(const char *list, const char *separators, const char *origin, const char *name,
		    char found[PATH_MAX])
{
	if (!list || !*list)
		return false;
	while (kt_ldpath_next(&list, separators, origin, name, found))
		if (is_library(found))
			return true;
	return false;
}

/* DT_RPATH of who needs it, of who needed that one, and so on up to the program. */
static bool look_in_rpaths(const struct walk *walk, size_t loader, const char *name,
			   char found[PATH_MAX])
{
	if (walk->objects[loader]->needs.runpath)
		return false;
	for (;;) {
		if (look_in(walk->objects[loader]->needs.rpath, ":",
			    walk->bundle->files[loader].host_path, name, found))
			return true;
		if (loader == 0)
			return false;
		loader = walk->objects[loader]->loader;
	}
}

static bool look_in_cache(const struct walk *walk, const char *name, char found[PATH_MAX])
{
	const char *path = kt_ldcache_find(&walk->cache, name);

	return path && snprintf(found, PATH_MAX, "%s", path) < PATH_MAX && is_library(found);
}

static bool find_library(const struct walk *walk, size_t loader, const char *name,
			 char found[PATH_MAX])
{
	const struct kt_elfneeds *needs = &walk->objects[loader]->needs;
	const char *origin = walk->bundle->files[loader].host_path;

	return look_in_rpaths(walk, loader, name, found) ||
	       look_in(getenv("LD_LIBRARY_PATH"), ":;", "", name, found) ||
	       look_in(needs->runpath, ":", origin, name, found) ||
	       (!needs->no_default_dirs &&
		(look_in_cache(walk, name, found) || look_in(own_folders, ":", "", name, found)));
}

/* ---- the walk ---- */

/* What the loader takes for the same library. */
static bool is_known(const struct walk *walk, const char *name)
{
	for (size_t i = 1; i < walk->bundle->n; i++) {
		const struct object *object = walk->objects[i];

		if (strcmp(object->name, name) == 0 ||
		    (object->needs.soname && strcmp(object->needs.soname, name) == 0))
			return true;
	}
	return false;
}

static bool is_script(const struct file_bytes *file, char interpreter[64])
{
	char line[128] = "";

	memcpy(line, file->bytes, file->len < sizeof(line) ? file->len : sizeof(line) - 1);
	return sscanf(line, "#! %63s", interpreter) == 1;
}

static int read_object(const char *path, struct object *object, struct kt_err *err)
{
	int status = map(path, &object->file, err);
	char interpreter[64];

	if (status < 0)
		return status;
	if (is_script(&object->file, interpreter))
		return kt_err_set(
			err, KT_FAULT_INPUT, ENOEXEC,
			"%s is a script for %s, and the guest has no files but those that "
			"are sent: let the interpreter be the program, and the script an "
			"argument that 'files' sends",
			path, interpreter);
	status = kt_elfneeds_read(object->file.bytes, object->file.len, &object->needs, err);
	return status < 0 ? kt_err_wrap(err, "%s", path) : 0;
}

/* Takes in a file of the host; name: as it was needed. */
static int add(struct walk *walk, const char *folder, const char *guest_name, const char *name,
	       const char *host_path, size_t loader, struct kt_err *err)
{
	struct kt_bundle *bundle = walk->bundle;
	struct object *object;
	size_t at = bundle->n;

	if (at == KT_FILES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "%s needs more than %d files",
				  bundle->files[0].host_path, KT_FILES_MAX);
	object = kt_must_calloc(1, sizeof(*object));
	object->loader = loader;
	bundle->files = kt_must_realloc(bundle->files, at + 1, sizeof(*bundle->files));
	bundle->files[at] = (struct kt_bundle_file){
		.host_path = kt_must_strdup(host_path),
		.guest_path = kt_must_asprintf("%s/%s/%s", walk->root, folder, guest_name),
	};
	object->name = name;
	walk->objects[at] = object;
	bundle->n++;
	return read_object(bundle->files[at].host_path, object, err);
}

static int add_library(struct walk *walk, size_t loader, const char *name, struct kt_err *err)
{
	const char *who = walk->bundle->files[loader].host_path;
	char found[PATH_MAX];

	if (is_known(walk, name))
		return 0;
	if (strchr(name, '/'))
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"%s needs %s by this path, which the guest does not have: link it by "
			"name (patchelf --replace-needed %s %s)",
			who, name, name, base_name(name));
	if (!find_library(walk, loader, name, found))
		return kt_err_set(
			err, KT_FAULT_INPUT, ENOENT,
			"%s needs %s, which the loader would not find on this machine: install it, "
			"name its folder in LD_LIBRARY_PATH, or link the program "
			"statically",
			who, name);
	return add(walk, "lib", name, name, found, loader, err);
}

static int add_program(struct walk *walk, const char *program, struct kt_err *err)
{
	const struct kt_elfneeds *needs;
	char real[PATH_MAX]; /* what the kernel starts, and $ORIGIN's: no symbolic link */
	int status;

	if (!realpath(program, real))
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", program);
	status = add(walk, "bin", base_name(program), NULL, real, 0, err);
	if (status < 0)
		return status;
	needs = &walk->objects[0]->needs;
	if (!needs->interpreter && (needs->n_needed || needs->soname))
		return kt_err_set(err, KT_FAULT_INPUT, ENOEXEC, "%s is a library, no program",
				  program);
	if (!needs->interpreter)
		return 0;
	walk->interpreter = walk->bundle->n;
	if (access(needs->interpreter, R_OK) < 0)
		return kt_err_set(
			err, KT_FAULT_INPUT, ENOENT,
			"%s is started by %s, which is not on this machine: install it, or "
			"link the program statically",
			program, needs->interpreter);
	return add(walk, "ld", base_name(program), base_name(needs->interpreter),
		   needs->interpreter, 0, err);
}

/* Breadth first, as the loader does it: of one name the first that is met is the one. */
static int add_needs(struct walk *walk, size_t from, struct kt_err *err)
{
	int status = 0;

	for (size_t i = from; i < walk->bundle->n && status == 0; i++) {
		const struct kt_elfneeds *needs = &walk->objects[i]->needs;

		for (size_t k = 0; k < needs->n_needed && status == 0; k++)
			status = add_library(walk, i, needs->needed[k], err);
	}
	return status;
}

/* Nobody names it, and without it a program that ends a thread is aborted. Where it is missing, it is so here too. */
static int add_libgcc(struct walk *walk, struct kt_err *err)
{
	size_t from = walk->bundle->n;
	char found[PATH_MAX];
	int status;

	if (!is_known(walk, LIBC) || is_known(walk, LIBGCC) ||
	    !find_library(walk, 0, LIBGCC, found))
		return 0;
	status = add(walk, "lib", LIBGCC, LIBGCC, found, 0, err);
	return status < 0 ? status : add_needs(walk, from, err);
}

static void put_args(struct walk *walk)
{
	struct kt_bundle *bundle = walk->bundle;

	if (walk->interpreter) {
		bundle->library_path = kt_must_asprintf("%s/lib:" KT_BUNDLE_EXTRA, walk->root);
		bundle->args[bundle->n_args++] =
			kt_must_strdup(bundle->files[walk->interpreter].guest_path);
		bundle->args[bundle->n_args++] = kt_must_strdup("--library-path");
		bundle->args[bundle->n_args++] = kt_must_strdup(bundle->library_path);
	}
	bundle->args[bundle->n_args++] = kt_must_strdup(bundle->files[0].guest_path);
}

int kt_bundle_collect(const char *program, const char *root, struct kt_bundle *bundle,
		      struct kt_err *err)
{
	KT_AUTO_FREE struct walk *walk = kt_must_calloc(1, sizeof(*walk));
	int status;

	memset(bundle, 0, sizeof(*bundle));
	walk->bundle = bundle;
	walk->root = root;
	/* Without a cache the loader has its folders only, and so have we. */
	if (map(CACHE_FILE, &walk->cache_file, NULL) == 0)
		kt_ldcache_open(walk->cache_file.bytes, walk->cache_file.len, &walk->cache);
	status = add_program(walk, program, err);
	if (status == 0)
		status = add_needs(walk, 0, err);
	if (status == 0)
		status = add_libgcc(walk, err);
	if (status == 0)
		put_args(walk);
	unmap(&walk->cache_file);
	for (size_t i = 0; i < bundle->n; i++) {
		unmap(&walk->objects[i]->file);
		free(walk->objects[i]);
	}
	if (status < 0)
		kt_bundle_destroy(bundle);
	return status;
}

void kt_bundle_destroy(struct kt_bundle *bundle)
{
	for (size_t i = 0; i < bundle->n; i++) {
		free(bundle->files[i].host_path);
		free(bundle->files[i].guest_path);
	}
	for (size_t i = 0; i < bundle->n_args; i++)
		free(bundle->args[i]);
	free(bundle->files);
	free(bundle->library_path);
	memset(bundle, 0, sizeof(*bundle));
}
