#include "coordinator/bundle.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT "/kt/program/p"

/* ---- programs of this machine ---- */

static const struct kt_bundle_file *find(const struct kt_bundle *bundle, const char *guest_path)
{
	for (size_t i = 0; i < bundle->n; i++)
		if (strncmp(bundle->files[i].guest_path, guest_path, strlen(guest_path)) == 0)
			return &bundle->files[i];
	return NULL;
}

Test(bundle, a_dynamic_program_brings_its_libraries_and_its_interpreter)
{
	struct kt_bundle bundle;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_bundle_collect("/proc/self/exe", ROOT, &bundle, &err), 0, "%s", err.text);
	cr_assert_str_eq(bundle.files[0].guest_path, ROOT "/bin/exe");
	cr_assert(find(&bundle, ROOT "/lib/libc.so.6"));
	cr_assert(find(&bundle, ROOT "/lib/libcriterion"));
	cr_assert(find(&bundle, ROOT "/lib/libgit2"), "what its libraries need comes too");
	cr_assert(find(&bundle, ROOT "/lib/libgcc_s.so.1"), "which nobody names, but libc opens");
	cr_assert_null(find(&bundle, ROOT "/lib/ld-linux"),
		       "libc names it, by the name that it has");
	cr_assert_str_eq(bundle.args[0], ROOT "/ld/exe", "the file whose name the task gets");
	cr_assert_str_eq(bundle.args[2], ROOT "/lib:/kt/lib");
	cr_assert_str_eq(bundle.library_path, bundle.args[2]);
	cr_assert_str_eq(bundle.args[3], ROOT "/bin/exe");
	cr_assert_eq(bundle.n_args, 4);
	kt_bundle_destroy(&bundle);
}

/* The libraries that were found really make the program run, started as the guest will start it. */
Test(bundle, the_bundle_is_complete)
{
	char dir[] = "/tmp/kt-test-bundle.XXXXXX";
	struct kt_bundle bundle;
	struct kt_err err = { 0 };
	char command[8192];
	int at;

	cr_assert(mkdtemp(dir));
	at = snprintf(command, sizeof(command), "cd %s && mkdir bin lib ld && ", dir);
	cr_assert_eq(kt_bundle_collect("/bin/ls", ROOT, &bundle, &err), 0, "%s", err.text);
	for (size_t i = 0; i < bundle.n; i++)
		at += snprintf(command + at, sizeof(command) - (size_t)at, "cp -L %s .%s && ",
			       bundle.files[i].host_path,
			       bundle.files[i].guest_path + strlen(ROOT));
	snprintf(command + at, sizeof(command) - (size_t)at,
		 "env -i .%s --inhibit-cache --library-path lib .%s . >/dev/null",
		 bundle.args[0] + strlen(ROOT), bundle.args[3] + strlen(ROOT));
	cr_assert_eq(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
	kt_bundle_destroy(&bundle);
}

/* ---- files made for the test ---- */

struct made { /* an ELF file; texts may hold "@" for the test's folder */
	const char *name;
	const char *interpreter;
	const char *soname;
	const char *rpath;
	const char *runpath;
	const char *needed[4];
	bool no_default_dirs;
	bool is_32_bit;
	const char *link_to; /* it is nothing but a symbolic link */
};

#define HEADERS        (sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr))
#define STRINGS_BYTES  4096
#define DYNAMIC_MAX    16
#define INTERP_BYTES   512
#define DYNAMIC_OFFSET (HEADERS + STRINGS_BYTES)
#define INTERP_OFFSET  (DYNAMIC_OFFSET + DYNAMIC_MAX * sizeof(Elf64_Dyn))
#define FILE_BYTES     (INTERP_OFFSET + INTERP_BYTES)
#define ADDRESS        0x400000u

static char dir[64];

static const char *in_dir(const char *text, char out[512])
{
	size_t n = 0;

	for (; *text; text++)
		n += (size_t)snprintf(out + n, 512 - n, "%.*s", *text == '@' ? (int)strlen(dir) : 1,
				      *text == '@' ? dir : text);
	return out;
}

struct file {
	uint8_t bytes[FILE_BYTES];
	size_t strings;
	size_t dynamics;
};

static void put_dynamic(struct file *file, int64_t tag, uint64_t value)
{
	Elf64_Dyn entry = { .d_tag = tag, .d_un.d_val = value };

	memcpy(file->bytes + DYNAMIC_OFFSET + file->dynamics++ * sizeof(entry), &entry,
	       sizeof(entry));
}

static void put_text(struct file *file, int64_t tag, const char *text)
{
	char whole[512];

	if (!text)
		return;
	in_dir(text, whole);
	put_dynamic(file, tag, file->strings);
	memcpy(file->bytes + HEADERS + file->strings, whole, strlen(whole) + 1);
	file->strings += strlen(whole) + 1;
}

static void make(const struct made *made)
{
	struct file file = { .strings = 1 };
	Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					   EV_CURRENT },
			      .e_type = ET_DYN,
			      .e_machine = EM_X86_64,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof(Elf64_Ehdr),
			      .e_ehsize = sizeof(Elf64_Ehdr),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = made->interpreter ? 3 : 2 };
	Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD, .p_vaddr = ADDRESS, .p_filesz = FILE_BYTES },
		{ .p_type = PT_DYNAMIC,
		  .p_offset = DYNAMIC_OFFSET,
		  .p_filesz = DYNAMIC_MAX * sizeof(Elf64_Dyn) },
		{ .p_type = PT_INTERP, .p_offset = INTERP_OFFSET, .p_filesz = INTERP_BYTES },
	};
	char path[256];
	char folder[320];
	FILE *out;

	if (made->is_32_bit)
		header.e_ident[EI_CLASS] = ELFCLASS32;
	put_dynamic(&file, DT_STRTAB, ADDRESS + HEADERS);
	put_dynamic(&file, DT_STRSZ, STRINGS_BYTES);
	put_text(&file, DT_SONAME, made->soname);
	put_text(&file, DT_RPATH, made->rpath);
	put_text(&file, DT_RUNPATH, made->runpath);
	for (size_t i = 0; i < 4; i++)
		put_text(&file, DT_NEEDED, made->needed[i]);
	if (made->no_default_dirs)
		put_dynamic(&file, DT_FLAGS_1, DF_1_NODEFLIB);
	memcpy(file.bytes, &header, sizeof(header));
	memcpy(file.bytes + sizeof(header), segments, sizeof(segments));
	if (made->interpreter)
		in_dir(made->interpreter, (char *)file.bytes + INTERP_OFFSET);
	snprintf(path, sizeof(path), "%s/%s", dir, made->name);
	snprintf(folder, sizeof(folder), "mkdir -p $(dirname %s)", path);
	cr_assert_eq(system(folder), 0);
	if (made->link_to) {
		cr_assert_eq(symlink(made->link_to, path), 0);
		return;
	}
	out = fopen(path, "wb");
	cr_assert(out && fwrite(file.bytes, sizeof(file.bytes), 1, out) == 1);
	fclose(out);
}

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kt-test-bundle.XXXXXX");
	cr_assert(mkdtemp(dir));
	make(&(struct made){ .name = "ld.so", .soname = "ld-linux-x86-64.so.2" });
	unsetenv("LD_LIBRARY_PATH");
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

struct search {
	const char *claim;
	const char *environment; /* LD_LIBRARY_PATH */
	struct made made[6]; /* the program, "p", first */
	const char *name; /* a library in the guest; and where it must come from */
	const char *from; /* NULL: it must not be there at all */
	const char *error; /* or what must be said */
};

#define NAMED(name_) .name = (name_)
#define LD           .interpreter = "@/ld.so"

static const struct search searches[] = {
	{ "a runpath",
	  NULL,
	  { { NAMED("p"), LD, .runpath = "@/no:@/a", .needed = { "x.so" } }, { NAMED("a/x.so") } },
	  "x.so",
	  "@/a/x.so",
	  NULL },
	{ "$ORIGIN is the folder of who says it",
	  NULL,
	  { { NAMED("bin/p"), LD, .runpath = "${ORIGIN}/../$LIB", .needed = { "x.so" } },
	    { NAMED("lib/x86_64-linux-gnu/x.so") } },
	  "x.so",
	  "@/bin/../lib/x86_64-linux-gnu/x.so",
	  NULL },
	{ "and of a program that is a link the folder where it really is",
	  NULL,
	  { { NAMED("p"), .link_to = "b/p" },
	    { NAMED("b/p"), LD, .runpath = "$ORIGIN/lib", .needed = { "x.so" } },
	    { NAMED("b/lib/x.so") } },
	  "x.so",
	  "@/b/lib/x.so",
	  NULL },
	{ "an rpath holds for what the libraries need too",
	  NULL,
	  { { NAMED("p"), LD, .rpath = "@/a", .needed = { "x.so" } },
	    { NAMED("a/x.so"), .needed = { "y.so" } },
	    { NAMED("a/y.so") } },
	  "y.so",
	  "@/a/y.so",
	  NULL },
	{ "a runpath does not",
	  NULL,
	  { { NAMED("p"), LD, .runpath = "@/a", .needed = { "x.so" } },
	    { NAMED("a/x.so"), .needed = { "kt-y.so" } },
	    { NAMED("a/kt-y.so") } },
	  "kt-y.so",
	  NULL,
	  "a/x.so needs kt-y.so, which the loader would not find" },
	{ "with a runpath an rpath counts for nothing",
	  NULL,
	  { { NAMED("p"), LD, .rpath = "@/a", .runpath = "@/b", .needed = { "x.so" } },
	    { NAMED("a/x.so") },
	    { NAMED("b/x.so") } },
	  "x.so",
	  "@/b/x.so",
	  NULL },
	{ "not even for its libraries",
	  NULL,
	  { { NAMED("p"), LD, .rpath = "@/a", .runpath = "@/b", .needed = { "x.so" } },
	    { NAMED("b/x.so"), .needed = { "kt-y.so" } },
	    { NAMED("a/kt-y.so") } },
	  "kt-y.so",
	  NULL,
	  "b/x.so needs kt-y.so" },
	{ "nor does the rpath of others for who has a runpath",
	  NULL,
	  { { NAMED("p"), LD, .rpath = "@/a:@/b", .needed = { "x.so" } },
	    { NAMED("b/x.so"), .runpath = "@/c", .needed = { "y.so" } },
	    { NAMED("a/y.so") },
	    { NAMED("c/y.so") } },
	  "y.so",
	  "@/c/y.so",
	  NULL },
	{ "an rpath goes before the environment",
	  "@/b",
	  { { NAMED("p"), LD, .rpath = "@/a", .needed = { "x.so" } },
	    { NAMED("a/x.so") },
	    { NAMED("b/x.so") } },
	  "x.so",
	  "@/a/x.so",
	  NULL },
	{ "a runpath goes behind it",
	  "@/no;@/b",
	  { { NAMED("p"), LD, .runpath = "@/a", .needed = { "x.so" } },
	    { NAMED("a/x.so") },
	    { NAMED("b/x.so") } },
	  "x.so",
	  "@/b/x.so",
	  NULL },
	{ "everything goes before the cache",
	  NULL,
	  { { NAMED("p"), LD, .runpath = "@/a", .needed = { "libc.so.6" } },
	    { NAMED("a/libc.so.6") } },
	  "libc.so.6",
	  "@/a/libc.so.6",
	  NULL },
	{ "the cache and the loader's own folders",
	  NULL,
	  { { NAMED("p"), LD, .needed = { "libc.so.6" } } },
	  "libc.so.6",
	  "/lib/x86_64-linux-gnu/libc.so.6",
	  NULL },
	{ "unless the program wants neither",
	  NULL,
	  { { NAMED("p"), LD, .needed = { "libc.so.6" }, .no_default_dirs = true } },
	  "libc.so.6",
	  NULL,
	  "needs libc.so.6" },
	{ "a library for another machine is passed over",
	  NULL,
	  { { NAMED("p"), LD, .runpath = "@/a:@/b", .needed = { "x.so" } },
	    { NAMED("a/x.so"), .is_32_bit = true },
	    { NAMED("b/x.so") } },
	  "x.so",
	  "@/b/x.so",
	  NULL },
	{ "what is for some CPUs only is not looked at",
	  NULL,
	  { { NAMED("p"), LD, .runpath = "@/a", .needed = { "x.so" } },
	    { NAMED("a/glibc-hwcaps/x86-64-v2/x.so") },
	    { NAMED("a/x.so") } },
	  "x.so",
	  "@/a/x.so",
	  NULL },
	{ "one name is one library",
	  NULL,
	  { { NAMED("p"), LD, .rpath = "@/a", .needed = { "x.so", "y.so" } },
	    { NAMED("a/x.so"), .runpath = "@/b", .needed = { "y.so" } },
	    { NAMED("a/y.so") },
	    { NAMED("b/y.so") } },
	  "y.so",
	  "@/a/y.so",
	  NULL },
	{ "and so is one soname",
	  NULL,
	  { { NAMED("p"), LD, .rpath = "@/a", .needed = { "x.so", "y.so" } },
	    { NAMED("a/x.so"), .soname = "x.so.1" },
	    { NAMED("a/y.so"), .needed = { "x.so.1" } } },
	  "x.so.1",
	  NULL,
	  NULL },
	{ "a library by its path",
	  NULL,
	  { { NAMED("p"), LD, .needed = { "@/a/x.so" } }, { NAMED("a/x.so") } },
	  "x.so",
	  NULL,
	  "needs @/a/x.so by this path, which the guest does not have: link it by name "
	  "(patchelf --replace-needed @/a/x.so x.so)" },
	{ "a missing library",
	  NULL,
	  { { NAMED("p"), LD, .needed = { "kt-nowhere.so.1" } } },
	  "x.so",
	  NULL,
	  "@/p needs kt-nowhere.so.1, which the loader would not find on this machine: install it, "
	  "name "
	  "its folder in LD_LIBRARY_PATH, or link the program statically" },
	{ "a missing interpreter",
	  NULL,
	  { { NAMED("p"), .interpreter = "@/nowhere.so", .needed = { "libc.so.6" } } },
	  "x.so",
	  NULL,
	  "@/p is started by @/nowhere.so, which is not on this machine" },
	{ "a library instead of a program",
	  NULL,
	  { { NAMED("p"), .soname = "p.so", .needed = { "libc.so.6" } } },
	  "x.so",
	  NULL,
	  "@/p is a library, no program" },
};

static void check(const struct search *search)
{
	struct kt_bundle bundle;
	struct kt_err err = { 0 };
	const struct kt_bundle_file *file;
	char path[512];
	char text[512];
	int status;

	begin();
	for (size_t i = 0; i < 6 && search->made[i].name; i++)
		make(&search->made[i]);
	if (search->environment)
		setenv("LD_LIBRARY_PATH", in_dir(search->environment, text), 1);
	snprintf(path, sizeof(path), "%s/%s", dir, search->made[0].name);
	status = kt_bundle_collect(path, ROOT, &bundle, &err);
	if (search->error) {
		cr_assert_lt(status, 0, "%s", search->claim);
		cr_assert(strstr(err.text, in_dir(search->error, text)), "%s: %s", search->claim,
			  err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert_eq(bundle.n, 0);
	} else {
		cr_assert_eq(status, 0, "%s: %s", search->claim, err.text);
		snprintf(text, sizeof(text), ROOT "/lib/%s", search->name);
		file = find(&bundle, text);
		cr_assert_eq(!file, !search->from, "%s", search->claim);
		if (file)
			cr_assert_str_eq(file->host_path, in_dir(search->from, text), "%s: %s",
					 search->claim, file->host_path);
		kt_bundle_destroy(&bundle);
	}
	end();
}

Test(bundle, libraries_are_found_where_the_loader_finds_them)
{
	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++)
		check(&searches[i]);
}

Test(bundle, a_static_program_is_started_itself)
{
	struct kt_bundle bundle;
	struct kt_err err = { 0 };
	char path[512];

	begin();
	make(&(struct made){ .name = "p" });
	snprintf(path, sizeof(path), "%s/p", dir);
	cr_assert_eq(kt_bundle_collect(path, ROOT, &bundle, &err), 0, "%s", err.text);
	cr_assert_eq(bundle.n, 1);
	cr_assert_eq(bundle.n_args, 1);
	cr_assert_str_eq(bundle.args[0], ROOT "/bin/p");
	cr_assert_null(bundle.library_path);
	kt_bundle_destroy(&bundle);
	end();
}

/* ---- what is no program ---- */

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	cr_assert(out && fputs(text, out) >= 0);
	fclose(out);
}

Test(bundle, what_is_no_program_is_said_to_be_none)
{
	static const struct {
		const char *text;
		const char *said;
	} files[] = {
		{ "root:x:0:0\n", "x: no program or library for x86-64" },
		{ "", "x is empty" },
		{ "#! /usr/bin/python3 -u\n",
		  "x is a script for /usr/bin/python3, and the guest has no files" },
		{ "#!", "x: no program or library" },
		{ "\x7f"
		  "ELF\2\1\1",
		  "x: no program or library" },
	};
	struct kt_bundle bundle;
	struct kt_err err = { 0 };
	char path[512];

	begin();
	snprintf(path, sizeof(path), "%s/x", dir);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		write_file(path, files[i].text);
		cr_assert_lt(kt_bundle_collect(path, ROOT, &bundle, &err), 0, "%s", files[i].text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strstr(err.text, files[i].said), "%s", err.text);
	}
	cr_assert_lt(kt_bundle_collect(dir, ROOT, &bundle, &err), 0);
	cr_assert(strstr(err.text, "is no file"), "%s", err.text);
	cr_assert_lt(kt_bundle_collect("/nonexistent", ROOT, &bundle, &err), 0);
	end();
}
