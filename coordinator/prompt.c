#include "coordinator/prompt.h"
#include "coordinator/core/matrix/cpus.h"
#include "coordinator/core/matrix/grammar.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/foreground.h"
#include "coordinator/kernels.h"
#include "coordinator/programs.h"
#include "coordinator/words.h"
#include "proto/base/must.h"
#include "proto/job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KERNEL_DEFAULT   "sid"
#define TOPOLOGY_DEFAULT "1n1l2c1t"
#define BUSYBOX          "busybox"
#define BUSYBOX_PLACE    "/bin/busybox" /* of Debian's busybox-static */
#define SYSTEM_PLACES    "/usr/sbin" /* not on everybody's PATH: bpftool is there */
/* Expanded for every prompt: what schedules by then, which may not be what was loaded. */
#define PROMPT                                                                    \
	"$KT_KERNEL $({ read -r s </sys/kernel/sched_ext/root/ops && echo $s || " \
	"echo " KT_MATRIX_EEVDF "; } 2>/dev/null) \\w # "
#define ENV_MAX 8

/* ---- the guest ---- */

static int take_kernel(const struct kt_prompt *prompt, const struct kt_prompt_guest *guest,
		       struct kt_artifacts *artifacts, struct kt_arena *arena,
		       struct kt_msg_kernel *to, struct kt_err *err)
{
	const char *word = guest->kernel ? guest->kernel : KERNEL_DEFAULT;
	struct kt_kernels_image image;
	struct kt_digest digest;
	int status = kt_kernels_find(prompt->state_dir, word, prompt->progress, prompt->arg, &image,
				     err);

	if (status < 0)
		return status;
	if (image.has_sched_ext == KT_KERNELS_EXT_NO && guest->scheduler &&
	    strcmp(guest->scheduler, KT_MATRIX_EEVDF) != 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "kernel '%s' (%s) was built without sched_ext, which '%s' needs; "
				  "sid and forky have it",
				  word, image.version, guest->scheduler);
	status = kt_artifacts_add(artifacts, image.path, &digest, &to->bytes, err);
	if (status < 0)
		return status;
	to->name = kt_arena_strdup(arena, word);
	to->version = kt_arena_strdup(arena, image.version);
	to->digest = (struct kt_bin){ kt_arena_copy(arena, digest.bytes, KT_DIGEST_BYTES),
				      KT_DIGEST_BYTES };
	return 0;
}

static int find(const struct kt_prompt *prompt, const char *name, char path[PATH_MAX],
		struct kt_err *err)
{
	if (kt_programs_find(name, ".", prompt->bin_dir, path))
		return 0;
	snprintf(path, PATH_MAX, SYSTEM_PLACES "/%s", name);
	if (!strchr(name, '/') && access(path, R_OK) == 0)
		return 0;
	return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
			  "no program '%s' here, in %s or on PATH; build it or give its path", name,
			  prompt->bin_dir);
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int take_scheduler(const struct kt_prompt *prompt, const char *line,
			  struct kt_programs *programs, struct kt_msg_scheduler *to,
			  struct kt_err *err)
{
	const struct kt_program *program;
	char path[PATH_MAX];
	const char **words;
	size_t n;
	int status;

	to->name = (char *)KT_MATRIX_EEVDF;
	if (!line || strcmp(line, KT_MATRIX_EEVDF) == 0)
		return 0;
	if ((status = kt_words_split(line, programs->arena, KT_ARGS_MAX / 2, &words, &n, err)) <
		    0 ||
	    (status = find(prompt, words[0], path, err)) < 0 ||
	    (status = kt_programs_pack(programs, path, &program, err)) < 0)
		return kt_err_wrap(err, "--scheduler");
	to->name = kt_arena_strdup(programs->arena, file_name(path));
	to->files = program->files;
	to->n_files = program->n_files;
	to->n_args = program->n_args + n - 1;
	to->args = kt_arena_alloc(programs->arena, to->n_args, sizeof(*to->args));
	memcpy(to->args, program->args, program->n_args * sizeof(*to->args));
	for (size_t i = 1; i < n; i++)
		to->args[program->n_args + i - 1].text = (char *)words[i];
	return 0;
}

static int take_topology(const char *word, struct kt_msg_topology *to, struct kt_err *err)
{
	struct kt_cpus cpus;
	int status;

	to->name = (char *)(word ? word : TOPOLOGY_DEFAULT);
	status = kt_cpus_parse(to->name, &cpus, err);
	if (status < 0)
		return kt_err_wrap(err, "--topology");
	to->numa_nodes = cpus.numa_nodes;
	to->llcs = cpus.llcs;
	to->cores = cpus.cores;
	to->threads = cpus.threads;
	to->mem_bytes = kt_cpus_mem_bytes(&cpus, 0);
	return 0;
}

int kt_prompt_job(const struct kt_prompt *prompt, const struct kt_prompt_guest *guest,
		  struct kt_artifacts *artifacts, struct kt_arena *arena, struct kt_msg_job *job,
		  struct kt_err *err)
{
	struct kt_programs programs = { .artifacts = artifacts, .arena = arena };
	struct kt_msg_step *step = kt_arena_alloc(arena, 1, sizeof(*step));
	int status;

	*job = (struct kt_msg_job){
		.cell_name = (char *)"shell",
		.kernel = kt_arena_alloc(arena, 1, sizeof(*job->kernel)),
		.scheduler = kt_arena_alloc(arena, 1, sizeof(*job->scheduler)),
		.topology = kt_arena_alloc(arena, 1, sizeof(*job->topology)),
		.scenario = kt_arena_alloc(arena, 1, sizeof(*job->scenario)),
	};
	step->hold_ns = 1;
	*job->scenario = (struct kt_msg_scenario){
		.name = (char *)"shell", .duration_ns = 1, .steps = step, .n_steps = 1
	};
	if ((status = take_topology(guest->topology, job->topology, err)) < 0 ||
	    (status = take_scheduler(prompt, guest->scheduler, &programs, job->scheduler, err)) < 0)
		return status;
	return take_kernel(prompt, guest, artifacts, arena, job->kernel, err);
}

int kt_prompt_again(const struct kt_msg_job *job, struct kt_artifacts *artifacts,
		    struct kt_err *err)
{
	struct kt_job_artifact list[KT_FILES_MAX];
	int n;
	int status = 0;

	if (job->kernel->digest.len != KT_DIGEST_BYTES)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "%s was played from a script: there is no guest to look at",
				  job->cell_name);
	n = kt_job_artifacts(job, list, err);
	for (int i = 0; i < n && status == 0; i++)
		status = kt_artifacts_add_known(artifacts, &list[i].digest, err);
	return n < 0 ? n : status;
}

/* ---- what the user gets in it ---- */

/* One word of a shell's, whatever is in it. */
static void quote(struct kt_buf *out, const char *text)
{
	kt_buf_puts(out, "'");
	for (; *text; text++)
		if (*text == '\'')
			kt_buf_puts(out, "'\\''");
		else
			kt_buf_append(out, text, 1);
	kt_buf_puts(out, "'");
}

/* A program of several files is started by several words: a script by its name stands for them. */
static void add_wrapper(struct kt_buf *script, const struct kt_program *program)
{
	KT_AUTO_BUF line = { 0 };
	KT_AUTO_BUF place = { 0 };

	kt_buf_puts(&line, "exec");
	for (size_t i = 0; i < program->n_args; i++) {
		kt_buf_puts(&line, " ");
		quote(&line, program->args[i].text);
	}
	kt_buf_puts(&line, " \"$@\"");
	kt_buf_printf(&place, "/kt/bin/%s", file_name(program->path));
	kt_buf_puts(script, KT_PROMPT_APPLETS "/printf '#!" KT_PROMPT_APPLETS "/sh\\n%s\\n' ");
	quote(script, kt_buf_text(&line));
	kt_buf_puts(script, " >");
	quote(script, kt_buf_text(&place));
	kt_buf_puts(script, "; " KT_PROMPT_APPLETS "/chmod 755 ");
	quote(script, kt_buf_text(&place));
	kt_buf_puts(script, "\n");
}

/* The first words that run in the guest. $0 is busybox, $1 the command. */
static void begin_script(struct kt_buf *script)
{
	kt_buf_puts(script, "\"$0\" mkdir -p " KT_PROMPT_APPLETS " /kt/bin\n"
			    "\"$0\" --install -s " KT_PROMPT_APPLETS "\n");
}

static int pack_busybox(const struct kt_prompt *prompt, struct kt_programs *programs,
			const struct kt_program **busybox, struct kt_err *err)
{
	char path[PATH_MAX] = BUSYBOX_PLACE;
	int status;

	if (access(path, R_OK) < 0 && !kt_programs_find(BUSYBOX, ".", prompt->bin_dir, path))
		return kt_err_set(err, KT_FAULT_HOST, ENOENT,
				  "no busybox for the guest: apt-get install busybox-static");
	status = kt_programs_pack(programs, path, busybox, err);
	if (status == 0 && (*busybox)->n_files != 1)
		status =
			kt_err_set(err, KT_FAULT_HOST, EINVAL,
				   "%s is not static, the guest needs one that is: apt-get install "
				   "busybox-static",
				   path);
	return status;
}

static void add_files(const struct kt_program *program, struct kt_arena *arena,
		      struct kt_msg_shell *shell)
{
	struct kt_msg_file *all =
		kt_arena_alloc(arena, shell->n_files + program->n_files, sizeof(*all));

	if (shell->n_files)
		memcpy(all, shell->files, shell->n_files * sizeof(*all));
	memcpy(all + shell->n_files, program->files, program->n_files * sizeof(*all));
	shell->files = all;
	shell->n_files += program->n_files;
}

static int add_with(const struct kt_prompt *prompt, struct kt_programs *programs,
		    struct kt_buf *script, struct kt_msg_shell *shell, struct kt_err *err)
{
	for (size_t i = 0; i < prompt->n_with; i++) {
		const struct kt_program *program;
		char path[PATH_MAX];

		if (find(prompt, prompt->with[i], path, err) < 0 ||
		    kt_programs_pack(programs, path, &program, err) < 0)
			return kt_err_wrap(err, "--with");
		add_files(program, programs->arena, shell);
		add_wrapper(script, program);
	}
	return 0;
}

__attribute__((format(printf, 3, 4))) static void add_env(struct kt_arena *arena,
							  struct kt_msg_shell *shell,
							  const char *format, ...)
{
	va_list args;
	char text[KT_TEXT_BYTES_MAX];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	kt_must(shell->n_env < ENV_MAX);
	shell->env[shell->n_env++].text = kt_arena_strdup(arena, text);
}

static void fill_env(const struct kt_msg_job *job, struct kt_arena *arena,
		     struct kt_msg_shell *shell)
{
	const char *term = getenv("TERM");
	const char *kernel = job->kernel->version[0] ? job->kernel->version : job->kernel->name;

	shell->env = kt_arena_alloc(arena, ENV_MAX, sizeof(*shell->env));
	add_env(arena, shell, "PATH=/kt/bin:" KT_PROMPT_APPLETS);
	add_env(arena, shell, "HOME=/");
	add_env(arena, shell, "TERM=%.100s", term ? term : "dumb");
	add_env(arena, shell, "PS1=" PROMPT);
	add_env(arena, shell, "KT_KERNEL=%s", kernel);
	add_env(arena, shell, "KT_SCHEDULER=%s", job->scheduler->name);
	add_env(arena, shell, "KT_SEED=%llu", (unsigned long long)job->seed);
}

/* busybox sh -c SCRIPT busybox [COMMAND] */
static int fill_args(const struct kt_prompt *prompt, const char *busybox,
		     const struct kt_buf *script, struct kt_arena *arena,
		     struct kt_msg_shell *shell, struct kt_err *err)
{
	const char *const args[] = { busybox, "sh",         "-c", kt_buf_text(script),
				     busybox, prompt->exec, NULL };

	shell->args = kt_arena_alloc(arena, sizeof(args) / sizeof(args[0]), sizeof(*shell->args));
	for (; args[shell->n_args]; shell->n_args++) {
		if (strlen(args[shell->n_args]) > KT_TEXT_BYTES_MAX)
			return kt_err_set(err, KT_FAULT_INPUT, E2BIG,
					  "the command is longer than %d bytes: send it through "
					  "standard input",
					  KT_TEXT_BYTES_MAX);
		shell->args[shell->n_args].text = kt_arena_strdup(arena, args[shell->n_args]);
	}
	return 0;
}

static int fill_shell(const struct kt_prompt *prompt, const struct kt_msg_job *job,
		      struct kt_artifacts *artifacts, struct kt_arena *arena,
		      struct kt_msg_shell *shell, struct kt_err *err)
{
	struct kt_programs programs = { .artifacts = artifacts, .arena = arena };
	const struct kt_program *busybox;
	KT_AUTO_BUF script = { 0 };
	int status;

	begin_script(&script);
	if ((status = pack_busybox(prompt, &programs, &busybox, err)) < 0)
		return status;
	add_files(busybox, arena, shell);
	if ((status = add_with(prompt, &programs, &script, shell, err)) < 0)
		return status;
	kt_buf_puts(&script, prompt->exec ? "exec " KT_PROMPT_APPLETS "/sh -c \"$1\"\n"
					  : "exec " KT_PROMPT_APPLETS "/sh\n");
	shell->tty = !prompt->exec && isatty(STDIN_FILENO);
	fill_env(job, arena, shell);
	return fill_args(prompt, busybox->args[0].text, &script, arena, shell, err);
}

/* ---- the order ---- */

static int take_memory(const struct kt_prompt *prompt, struct kt_msg_topology *topology,
		       struct kt_err *err)
{
	uint64_t bytes;

	if (!prompt->memory)
		return 0;
	if (!kt_grammar_parse_size(prompt->memory, &bytes) || bytes > KT_GUEST_MEM_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--memory: '%s' is no size; a whole number and K, M or G, e.g. "
				  "512M, at most %lluG",
				  prompt->memory, KT_GUEST_MEM_BYTES_MAX >> 30);
	if (topology->n_nodes)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--memory: the cell's topology says what each node has");
	if (bytes > topology->mem_bytes)
		topology->mem_bytes = (bytes + (1u << 20) - 1) >> 20 << 20;
	return 0;
}

/* Every artifact by its path on this machine. */
static void add_local(const struct kt_artifacts *artifacts, const struct kt_bin *digest,
		      struct kt_arena *arena, struct kt_msg_run_start *order)
{
	struct kt_msg_local_file *file = &order->files[order->n_files];
	char path[PATH_MAX];

	for (size_t i = 0; i < order->n_files; i++)
		if (memcmp(order->files[i].digest.data, digest->data, KT_DIGEST_BYTES) == 0)
			return;
	kt_artifacts_path(artifacts, (const void *)digest->data, path);
	file->digest = *digest;
	file->path = kt_arena_strdup(arena, path);
	order->n_files++;
}

static int fill_order(const struct kt_msg_job *job, struct kt_msg_shell *shell,
		      const struct kt_artifacts *artifacts, struct kt_arena *arena,
		      struct kt_msg_run_start *order, struct kt_err *err)
{
	struct kt_job_artifact list[KT_FILES_MAX];
	int n = kt_job_artifacts(job, list, err);

	if (n < 0)
		return n;
	*order = (struct kt_msg_run_start){ .job = (struct kt_msg_job *)job, .shell = shell };
	order->files = kt_arena_alloc(arena, (size_t)n + shell->n_files, sizeof(*order->files));
	for (int i = 0; i < n; i++) {
		struct kt_bin digest = {
			kt_arena_copy(arena, list[i].digest.bytes, KT_DIGEST_BYTES), KT_DIGEST_BYTES
		};

		add_local(artifacts, &digest, arena, order);
	}
	for (size_t i = 0; i < shell->n_files; i++)
		add_local(artifacts, &shell->files[i].digest, arena, order);
	if (order->n_files > KT_FILES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "%zu files for the guest; at most %d",
				  order->n_files, KT_FILES_MAX);
	return 0;
}

static int write_order(const struct kt_msg_run_start *order, int *fd, struct kt_err *err)
{
	KT_AUTO_BUF bytes = { 0 };
	size_t done = 0;

	kt_codec_encode(&kt_schema_run_start, order, &bytes);
	*fd = memfd_create("ktcoord-order", MFD_CLOEXEC);
	while (*fd >= 0 && done < bytes.len) {
		ssize_t n = write(*fd, bytes.data + done, bytes.len - done);

		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (*fd < 0 || done < bytes.len)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "writing what the guest is to be");
	return 0;
}

/* ---- the run ---- */

static int status_of(int wait_status, struct kt_err *err)
{
	int number = WTERMSIG(wait_status);
	bool bug = number == SIGABRT || number == SIGSEGV || number == SIGBUS || number == SIGILL;

	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	return kt_err_set(err, bug ? KT_FAULT_BUG : KT_FAULT_HOST, ECHILD,
			  "ktworker was ended by signal %d (%s); its guest is gone", number,
			  strsignal(number));
}

int kt_prompt_run(const struct kt_prompt *prompt, const struct kt_msg_job *job,
		  struct kt_artifacts *artifacts, struct kt_arena *arena, struct kt_err *err)
{
	KT_AUTO_FREE char *worker = kt_must_asprintf("%s/ktworker", prompt->bin_dir);
	KT_AUTO_FREE char *state = kt_must_asprintf("%s/worker", prompt->state_dir);
	const char *const argv[] = { worker, "shell", "--state", state, "--quiet", NULL };
	const char *const verbose_argv[] = { worker, "shell", "--state", state, NULL };
	struct kt_msg_topology topology = *job->topology;
	struct kt_msg_job own = *job;
	struct kt_msg_shell shell = { 0 };
	struct kt_msg_run_start order;
	KT_AUTO_FD int fd = -1;
	int wait_status;
	int status;

	own.topology = &topology;
	own.template_renew = 0;
	if (prompt->cold)
		own.guest = (char *)KT_JOB_GUEST_COLD;
	if ((status = take_memory(prompt, &topology, err)) < 0 ||
	    (status = fill_shell(prompt, &own, artifacts, arena, &shell, err)) < 0 ||
	    (status = fill_order(&own, &shell, artifacts, arena, &order, err)) < 0 ||
	    (status = write_order(&order, &fd, err)) < 0 ||
	    (status = kt_foreground_run(prompt->verbose ? verbose_argv : argv, fd, &wait_status,
					err)) < 0)
		return status;
	return status_of(wait_status, err);
}
