#include "coordinator/bundle.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The loader's defaults on Debian amd64 (ld.so(8)), after those of /etc/ld.so.conf.d. */
static const char *const default_dirs[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
};

struct object { /* what one ELF file says about what it needs */
	char interpreter[PATH_MAX];
	char search[PATH_MAX]; /* DT_RUNPATH, else DT_RPATH */
	char needed[64][256];
	size_t n_needed;
};

static int read_dynamic(Elf *elf, const char *path, struct object *object, struct kt_err *err)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data;
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNAMIC ||
		    !header.sh_entsize || !(data = elf_getdata(section, NULL)))
			continue;
		for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
			GElf_Dyn entry;
			const char *text;

			if (!gelf_getdyn(data, (int)i, &entry))
				break;
			if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_RPATH &&
			    entry.d_tag != DT_RUNPATH)
				continue;
			text = elf_strptr(elf, header.sh_link, entry.d_un.d_val);
			if (!text)
				return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
						  "%s: its dynamic section is damaged", path);
			if (entry.d_tag != DT_NEEDED) {
				if (entry.d_tag == DT_RUNPATH || !object->search[0])
					snprintf(object->search, sizeof(object->search), "%s",
						 text);
				continue;
			}
			if (object->n_needed == 64 || strlen(text) >= sizeof(object->needed[0]))
				return kt_err_set(err, KT_FAULT_INPUT, E2BIG,
						  "%s needs too many libraries", path);
			snprintf(object->needed[object->n_needed++], sizeof(object->needed[0]),
				 "%s", text);
		}
	}
	return 0;
}

static int read_object(const char *path, struct object *object, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	GElf_Ehdr header;
	size_t n_segments = 0;
	Elf *elf;
	int status;

	memset(object, 0, sizeof(*object));
	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", path);
	kt_must(elf_version(EV_CURRENT) != EV_NONE);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
	    header.e_machine != EM_X86_64 || elf_getphdrnum(elf, &n_segments) < 0) {
		elf_end(elf);
		return kt_err_set(err, KT_FAULT_INPUT, ENOEXEC, "%s is no x86-64 ELF program",
				  path);
	}
	for (size_t i = 0; i < n_segments; i++) {
		GElf_Phdr segment;
		ssize_t n;

		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_INTERP)
			continue;
		n = pread(fd, object->interpreter,
			  segment.p_filesz < PATH_MAX ? segment.p_filesz : PATH_MAX - 1,
			  (off_t)segment.p_offset);
		object->interpreter[n > 0 ? n : 0] = 0;
	}
	status = read_dynamic(elf, path, object, err);
	elf_end(elf);
	return status;
}

static bool look_in(const char *dir, size_t dir_len, const char *origin, const char *name,
		    char found[PATH_MAX])
{
	static const char *const origins[] = { "$ORIGIN", "${ORIGIN}" };
	const char *slash = strrchr(origin, '/');

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(origins[i]);

		if (dir_len < len || strncmp(dir, origins[i], len) != 0)
			continue;
		snprintf(found, PATH_MAX, "%.*s%.*s/%s", slash ? (int)(slash - origin) : 1,
			 slash ? origin : ".", (int)(dir_len - len), dir + len, name);
		return access(found, R_OK) == 0;
	}
	snprintf(found, PATH_MAX, "%.*s/%s", (int)dir_len, dir, name);
	return dir_len && access(found, R_OK) == 0;
}

static bool look_in_conf(const char *name, char found[PATH_MAX])
{
	glob_t confs;
	bool is_found = false;

	if (glob("/etc/ld.so.conf.d/*.conf", 0, NULL, &confs) != 0)
		return false;
	for (size_t i = 0; i < confs.gl_pathc && !is_found; i++) {
		FILE *conf = fopen(confs.gl_pathv[i], "re");
		char line[PATH_MAX];

		while (conf && !is_found && fgets(line, sizeof(line), conf))
			if (line[0] == '/')
				is_found = look_in(line, strcspn(line, " \t\n"), "", name, found);
		if (conf)
			fclose(conf);
	}
	globfree(&confs);
	return is_found;
}

static bool find_library(const struct object *object, const char *origin, const char *name,
			 char found[PATH_MAX])
{
	const char *dir = object->search;

	if (name[0] == '/') {
		snprintf(found, PATH_MAX, "%s", name);
		return access(found, R_OK) == 0;
	}
	while (*dir) {
		size_t len = strcspn(dir, ":");

		if (look_in(dir, len, origin, name, found))
			return true;
		dir += len + (dir[len] == ':');
	}
	if (look_in_conf(name, found))
		return true;
	for (size_t i = 0; i < sizeof(default_dirs) / sizeof(default_dirs[0]); i++)
		if (look_in(default_dirs[i], strlen(default_dirs[i]), "", name, found))
			return true;
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* One name stands for one file, as in the loader. */
static int add(struct kt_bundle *bundle, const char *dir, const char *name, const char *host_path,
	       struct kt_err *err)
{
	for (size_t i = 1; i < bundle->n; i++)
		if (strcmp(base_name(bundle->files[i].guest_path), name) == 0)
			return 0;
	if (bundle->n == KT_FILES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "%s needs too many libraries",
				  bundle->files[0].host_path);
	bundle->files = kt_must_realloc(bundle->files, bundle->n + 1, sizeof(*bundle->files));
	bundle->files[bundle->n++] = (struct kt_bundle_file){
		.host_path = kt_must_strdup(host_path),
		.guest_path = kt_must_asprintf("%s/%s", dir, name),
	};
	return 0;
}

static int collect(const char *program, struct kt_bundle *bundle, struct kt_err *err)
{
	KT_AUTO_FREE struct object *object = kt_must_calloc(1, sizeof(*object));
	char found[PATH_MAX];
	size_t interpreter = 0;
	int status = add(bundle, "/kt/bin", base_name(program), program, err);

	for (size_t i = 0; i < bundle->n && status == 0; i++) {
		status = read_object(bundle->files[i].host_path, object, err);
		if (status == 0 && i == 0 && object->interpreter[0]) {
			interpreter = bundle->n;
			status = add(bundle, "/kt/lib", base_name(object->interpreter),
				     object->interpreter, err);
		}
		for (size_t k = 0; k < object->n_needed && status == 0; k++) {
			if (!find_library(object, bundle->files[i].host_path, object->needed[k],
					  found))
				return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
						  "%s needs %s, which is not on this machine: "
						  "install it here, or link the program statically",
						  bundle->files[i].host_path, object->needed[k]);
			status = add(bundle, "/kt/lib", base_name(object->needed[k]), found, err);
		}
	}
	if (status < 0)
		return status;
	if (interpreter) {
		bundle->args[bundle->n_args++] = bundle->files[interpreter].guest_path;
		bundle->args[bundle->n_args++] = "--library-path";
		bundle->args[bundle->n_args++] = "/kt/lib";
	}
	bundle->args[bundle->n_args++] = bundle->files[0].guest_path;
	return 0;
}

int kt_bundle_collect(const char *program, struct kt_bundle *bundle, struct kt_err *err)
{
	int status;

	memset(bundle, 0, sizeof(*bundle));
	status = collect(program, bundle, err);
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
	free(bundle->files);
	memset(bundle, 0, sizeof(*bundle));
}
