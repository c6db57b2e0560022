#include "coordinator/payloads.h"
#include "coordinator/matrixfile.h"
#include "coordinator/prepare.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "w");
	cr_assert(out && fputs(text, out) >= 0);
	fclose(out);
	cr_assert_eq(chmod(path, mode), 0);
}

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kt-test-payloads.XXXXXX");
	cr_assert(mkdtemp(dir));
	write_file("one.txt", "1", 0600);
	write_file("two.txt", "2", 0600);
	write_file("run.sh", "#!/bin/sh\n", 0700);
	unsetenv("LD_LIBRARY_PATH");
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

/* payloads: TOML; %s in it is the folder */
static struct kt_matrix *read_matrix(const char *payloads)
{
	struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };
	char file[128];
	KT_AUTO_BUF text = { 0 };

	kt_buf_printf(&text,
		      "[sweep]\nname = \"s\"\n[[kernel]]\nname = \"k\"\npath = \"/k\"\n"
		      "[[scheduler]]\nname = \"eevdf\"\n[[topology]]\nname = \"t\"\ncpus = "
		      "\"1n1l2c1t\"\n%s"
		      "[[scenario]]\nname = \"a\"\nduration = \"10s\"\n[[scenario.step]]\nhold = "
		      "\"full\"\n"
		      "ops = [{ run_payload = \"ls\" }, { run_payload = \"again\" }]\n",
		      payloads);
	snprintf(file, sizeof(file), "%s/m.toml", dir);
	kt_matrixfile_parse(file, text.data, text.len, NULL, NULL, &matrix, &err);
	cr_assert(matrix, "%s", err.text);
	return matrix;
}

#define LS    "[[payload]]\nname = \"ls\"\nprogram = \"/bin/ls\"\n"
#define AGAIN "[[payload]]\nname = \"again\"\nprogram = \"/bin/ls\"\n"

static const char *find_env(const struct kt_msg_payload *payload, const char *name)
{
	for (size_t i = 0; i < payload->n_env; i++)
		if (strncmp(payload->env[i].text, name, strlen(name)) == 0)
			return payload->env[i].text;
	return NULL;
}

static const struct kt_msg_file *find_file(const struct kt_msg_payload *payload, const char *path)
{
	for (size_t i = 0; i < payload->n_files; i++)
		if (strcmp(payload->files[i].path, path) == 0)
			return &payload->files[i];
	return NULL;
}

Test(payloads, a_job_has_everything_that_its_payloads_need)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO(kt_artifacts_destroy) struct kt_artifacts *artifacts = NULL;
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_programs programs = { .arena = &arena };
	struct kt_msg_manifest manifest = { 0 };
	const struct kt_msg_payload *payloads;
	struct kt_err err = { 0 };
	struct kt_msg_job job;

	begin();
	matrix = read_matrix(
		LS "args = [\"-l\"]\nenv = { PATH = \"/mine\", A = \"b\" }\ndeadline = \"3s\"\n"
		   "files = [{ path = \"one.txt\", to = \"/kt/data/x\" }, { path = \"run.sh\", to "
		   "= \"/kt/run\" }]\n" AGAIN
		   "files = [{ path = \"one.txt\", to = \"/kt/data/x\" }]\n"
		   "[[payload]]\nname = \"unused\"\nprogram = \"/bin/cat\"\n");
	cr_assert_eq(kt_artifacts_open(dir, &artifacts, &err), 0, "%s", err.text);
	programs.artifacts = artifacts;
	cr_assert_eq(kt_payloads_prepare(matrix, "/nowhere", &programs, &manifest, &err), 0, "%s",
		     err.text);
	cr_assert_eq(manifest.n_payloads, 3);
	kt_matrix_job(matrix, 0, &arena, &job);
	kt_payloads_complete(&manifest, &arena, &job);
	cr_assert_eq(job.n_payloads, 2, "only those that the scenario starts");
	payloads = job.payloads;
	cr_assert_str_eq(payloads[0].name, "ls");
	cr_assert_eq(payloads[0].deadline_ns, 3000000000);
	cr_assert_str_eq(payloads[0].args[0].text, "/kt/program/ls/ld/ls");
	cr_assert_str_eq(payloads[0].args[3].text, "/kt/program/ls/bin/ls");
	cr_assert_str_eq(payloads[0].args[4].text, "-l");
	cr_assert_eq(payloads[0].n_args, 5);
	cr_assert_str_eq(find_env(&payloads[0], "PATH="), "PATH=/mine", "the user's own wins");
	cr_assert_str_eq(find_env(&payloads[0], "LD_LIBRARY_PATH="),
			 "LD_LIBRARY_PATH=/kt/program/ls/lib:/kt/lib");
	cr_assert_str_eq(find_env(&payloads[0], "A="), "A=b");
	cr_assert_eq(payloads[0].n_env, 4);
	cr_assert_eq(find_file(&payloads[0], "/kt/data/x")->mode, 0644);
	cr_assert_eq(find_file(&payloads[0], "/kt/data/x")->bytes, 1);
	cr_assert_eq(find_file(&payloads[0], "/kt/run")->mode, 0755);
	cr_assert_eq(find_file(&payloads[0], "/kt/program/ls/bin/ls")->digest.len, KT_DIGEST_BYTES);
	cr_assert_str_eq(find_env(&payloads[1], "PATH="), "PATH=/kt/program/ls/bin:/usr/bin:/bin");
	cr_assert_str_eq(payloads[1].args[3].text, "/kt/program/ls/bin/ls",
			 "one program, one folder");
	cr_assert_null(find_file(&payloads[1], "/kt/run"));
	end();
}

/* A resume runs the same bytes, or says that they are gone. */
Test(payloads, what_a_sweep_sends_is_found_again)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_msg_manifest manifest = { 0 };
	struct kt_err err = { 0 };
	char hex[KT_DIGEST_HEX_BYTES];
	char path[256];

	begin();
	matrix = read_matrix(LS "files = [{ path = \"one.txt\", to = \"/kt/x\" }]\n" AGAIN);
	for (int i = 0; i < 3; i++) {
		KT_AUTO(kt_artifacts_destroy) struct kt_artifacts *artifacts = NULL;
		struct kt_programs programs = { .arena = &arena };
		int status;

		cr_assert_eq(kt_artifacts_open(dir, &artifacts, &err), 0, "%s", err.text);
		programs.artifacts = artifacts;
		if (i == 0)
			status = kt_payloads_prepare(matrix, "", &programs, &manifest, &err);
		else
			status = kt_prepare_again(&manifest, artifacts, &err);
		cr_assert_eq(status < 0, i == 2, "%d: %s", i, err.text);
		kt_digest_hex((const void *)find_file(&manifest.payloads[0], "/kt/x")->digest.data,
			      hex);
		snprintf(path, sizeof(path), "%s/artifacts/%s", dir, hex);
		cr_assert_eq(i == 1 ? unlink(path) : 0, 0, "%s", path);
	}
	end();
}

/* Two programs of one name never meet. */
Test(payloads, programs_of_one_name_have_folders_of_their_own)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_programs programs = { .arena = &arena };
	const struct kt_program *one;
	const struct kt_program *two;
	const struct kt_program *again;
	struct kt_err err = { 0 };
	char path[128];

	begin();
	snprintf(path, sizeof(path), "%s/ls", dir);
	cr_assert_eq(symlink("/bin/cat", path), 0);
	cr_assert_eq(kt_programs_pack(&programs, "/bin/ls", &one, &err), 0, "%s", err.text);
	cr_assert_eq(kt_programs_pack(&programs, path, &two, &err), 0, "%s", err.text);
	cr_assert_eq(kt_programs_pack(&programs, "/bin/ls", &again, &err), 0);
	cr_assert_str_eq(one->root, "/kt/program/ls");
	cr_assert_str_eq(two->root, "/kt/program/ls.2");
	cr_assert_eq(one, again);
	end();
}

static const struct {
	const char *payloads;
	const char *said; /* %s: the folder */
} refusals[] = {
	{ AGAIN "[[payload]]\nname = \"ls\"\nprogram = \"kt-nowhere\"\n",
	  "%s/m.toml:16:11: payload 'ls': no program 'kt-nowhere' beside the matrix or on PATH; "
	  "install it, or give its "
	  "path" },
	{ AGAIN "[[payload]]\nname = \"ls\"\nprogram = \"run.sh\"\n",
	  "%s/m.toml:16:11: payload 'ls': %s/run.sh is a script for /bin/sh" },
	{ LS "files = [{ path = \"nothing.txt\", to = \"/kt/x\" }]\n" AGAIN,
	  "%s/m.toml:14:19: payload 'ls': %s/nothing.txt: No such file or directory" },
	{ LS "files = [{ path = \"/tmp\", to = \"/kt/x\" }]\n" AGAIN,
	  "%s/m.toml:14:19: payload 'ls': /tmp is no file" },
	{ LS "files = [{ path = \"one.txt\", to = \"/kt/x\" }]\n" AGAIN
	     "files = [{ path = \"two.txt\", to = \"/kt/x\" }]\n",
	  "%s/m.toml:18:19: payload 'again': another payload sends another file to /kt/x" },
};

Test(payloads, what_cannot_be_packed_is_refused_where_it_stands)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		struct kt_prepare prepare = { .bin_dir = "/nowhere" };
		struct kt_err err = { 0 };
		char said[512];

		begin();
		matrix = read_matrix(refusals[i].payloads);
		cr_assert_lt(kt_prepare_check(&prepare, matrix, &err), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(said, sizeof(said), refusals[i].said, dir, dir);
#pragma GCC diagnostic pop
		cr_assert_eq(strncmp(err.text, said, strlen(said)), 0, "%s", err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		end();
	}
}
