#include "coordinator/pluginhost.h"
#include "coordinator/plugin.h"

#include <ktassert_plugin.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY     65534
#define SERIES_MAX (160u << 20) /* more than any series file: the reader knows the exact limit */

/* ---- fewer rights ---- */

/* What a function over numbers has no use for. Answered with EPERM: who asks may go on. */
static const unsigned int refused_calls[] = {
	__NR_execve,
	__NR_execveat,
	__NR_fork,
	__NR_vfork,
	__NR_clone,
	__NR_clone3,
	__NR_socket,
	__NR_connect,
	__NR_bind,
	__NR_kill,
	__NR_ptrace,
	__NR_unlink,
	__NR_unlinkat,
	__NR_rename,
	__NR_renameat,
	__NR_mkdir,
	__NR_mkdirat,
	__NR_creat,
	__NR_renameat2,
	__NR_openat2,
	__NR_link,
	__NR_linkat,
	__NR_symlink,
	__NR_symlinkat,
	__NR_truncate,
	__NR_chmod,
	__NR_fchmodat,
	__NR_mknod,
	__NR_mknodat,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
};

/* Reading a file is no harm (libraries are loaded so), anything else is: which argument has the flags. */
static const struct {
	unsigned int call;
	unsigned int flags;
} opening_calls[] = { { __NR_open, 1 }, { __NR_openat, 2 } };

#define LENGTH(array_) (sizeof(array_) / sizeof((array_)[0]))
#define RULES_MAX      (8 + 2 * LENGTH(refused_calls) + 5 * LENGTH(opening_calls))

static size_t add_load(struct sock_filter *code, size_t n, size_t offset)
{
	code[n] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset);
	return n + 1;
}

static size_t add_return(struct sock_filter *code, size_t n, unsigned int what)
{
	code[n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what);
	return n + 1;
}

/* When the test `kind` of what was loaded does not hold, so many instructions are skipped. */
static size_t add_unless(struct sock_filter *code, size_t n, unsigned int kind, unsigned int value,
			 uint8_t skipped)
{
	code[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | kind | BPF_K, value, 0, skipped);
	return n + 1;
}

static void refuse_calls(void)
{
	const unsigned int refused = SECCOMP_RET_ERRNO | EPERM;
	struct sock_filter code[RULES_MAX];
	struct sock_fprog program = { .filter = code };
	size_t n = 0;

	n = add_load(code, n, offsetof(struct seccomp_data, arch));
	code[n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	n = add_return(code, n, SECCOMP_RET_KILL_PROCESS);
	n = add_load(code, n, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < LENGTH(refused_calls); i++) {
		n = add_unless(code, n, BPF_JEQ, refused_calls[i], 1);
		n = add_return(code, n, refused);
	}
	for (size_t i = 0; i < LENGTH(opening_calls); i++) {
		n = add_unless(code, n, BPF_JEQ, opening_calls[i].call, 4);
		n = add_load(code, n,
			     offsetof(struct seccomp_data, args) +
				     opening_calls[i].flags * sizeof(uint64_t));
		n = add_unless(code, n, BPF_JSET, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1);
		n = add_return(code, n, refused);
		n = add_return(code, n, SECCOMP_RET_ALLOW);
	}
	n = add_return(code, n, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void limit(int which, rlim_t most)
{
	struct rlimit both = { most, most };

	setrlimit(which, &both);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	syscall(SYS_capset, &head, none);
}

/* Whatever cannot be given up is not ours in the first place. */
static void give_up_rights(rlim_t address_bytes, rlim_t cpu_s)
{
	close_range(KT_PLUGINHOST_LIBRARY_FD + 1, ~0u, 0);
	if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0 || chdir("/") < 0)
		_exit(1);
	if (geteuid() == 0) {
		unshare(CLONE_NEWNET | CLONE_NEWIPC);
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
	}
	drop_capabilities();
	/* Of a new user: a change of user takes both away. */
	prctl(PR_SET_DUMPABLE,
	      1); /* else /proc/self is root's, and the library is opened through it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_NOFILE, 32);
	limit(RLIMIT_CPU, cpu_s);
	if (address_bytes)
		limit(RLIMIT_AS, address_bytes);
	signal(SIGXFSZ, SIG_IGN); /* a write to a file fails instead */
	refuse_calls();
}

/* ---- what is said ---- */

/* One frame, and the end: nothing of the plug-in's runs any more, not even what it left for exit. */
__attribute__((noreturn)) static void say(uint32_t tag, const void *body)
{
	KT_AUTO_BUF frame = { 0 };
	size_t at = 0;

	kt_codec_encode_frame(&kt_plugin_family, tag, body, &frame);
	while (at < frame.len) {
		ssize_t n = write(KT_PLUGINHOST_SAID_FD, frame.data + at, frame.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	_exit(0);
}

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
	char text[1024];
	struct kt_msg_plugin_refused refused = { .text = text };
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say(KT_TAG_plugin_refused, &refused);
}

/* Out of the library's handle, sentence by sentence: what is inside of it is the library's own business. */
__attribute__((noreturn)) static void say_verdict(int returned,
						  const struct kt_assert_verdict *verdict)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;
	struct kt_msg_verdict msg;
	struct kt_msg_plugin_said body = { .returned = returned, .verdict = &msg };

	kt_verdict_init(&said, &arena);
	for (size_t i = 0; verdict && i < kt_assert_verdict_size(verdict); i++) {
		enum kt_verdict_kind kind = 0;

		while (kind < KT_VERDICT_KIND_PLUGIN &&
		       strcmp(kt_verdict_kind_name(kind), kt_assert_verdict_kind(verdict, i)) != 0)
			kind++;
		kt_verdict_say(&said,
			       (enum kt_verdict_outcome)kt_assert_verdict_outcome_of(verdict, i),
			       kind, kt_assert_verdict_name(verdict, i), "%s",
			       kt_assert_verdict_text(verdict, i));
	}
	kt_verdict_finish(&said, &msg);
	/* The worst stand first. */
	while (kt_codec_frame_bytes(&kt_plugin_family, KT_TAG_plugin_said, &body) >
	       KT_PLUGIN_SAID_BYTES_MAX)
		msg.n_details /= 2;
	say(KT_TAG_plugin_said, &body);
}

/* ---- the plug-in ---- */

static kt_assert_plugin_fn *load(void)
{
	char path[64];
	kt_assert_plugin_fn *judge;
	void *library;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", KT_PLUGINHOST_LIBRARY_FD);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		const char *why = dlerror();
		size_t len = strlen(path);

		/* The name that we opened it by says nothing to anybody. */
		if (why && strncmp(why, path, len) == 0 && strncmp(why + len, ": ", 2) == 0)
			why += len + 2;
		refuse("it cannot be loaded: %s", why ? why : "no reason given");
	}
	judge = (kt_assert_plugin_fn *)(uintptr_t)dlsym(library, KT_ASSERT_PLUGIN_SYMBOL);
	if (!judge)
		refuse("it has no function %s: it is no verdict plug-in, or one of another "
		       "version (ktassert_plugin.h)",
		       KT_ASSERT_PLUGIN_SYMBOL);
	return judge;
}

static void read_series(struct kt_buf *series)
{
	for (;;) {
		uint8_t *room = kt_buf_reserve(series, 256 << 10);
		ssize_t n = room ? read(STDIN_FILENO, room, 256 << 10) : -1;

		if (n < 0 && room && errno == EINTR)
			continue;
		if (n < 0)
			refuse("the series did not come through: %s",
			       room ? strerror(errno) : "it is too large");
		if (n == 0)
			return;
		series->len += (size_t)n;
	}
}

int kt_pluginhost_main(int argc, char **argv)
{
	KT_AUTO_BUF file = KT_BUF_MAX(SERIES_MAX);
	struct kt_assert_series *series = NULL;
	struct kt_assert_verdict *verdict;
	struct kt_assert_error error;
	kt_assert_plugin_fn *judge;
	int returned;

	if (argc != 5 || fcntl(KT_PLUGINHOST_SAID_FD, F_GETFD) < 0 ||
	    fcntl(KT_PLUGINHOST_LIBRARY_FD, F_GETFD) < 0) {
		fputs("ktcoord: " KT_PLUGINHOST_OPTION " is not for people\n", stderr);
		return 2;
	}
	give_up_rights(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	judge = load();
	if (strcmp(argv[2], KT_PLUGINHOST_CHECK) == 0)
		say_verdict(0, NULL);
	read_series(&file);
	if (kt_assert_series_parse(file.data, file.len, &series, &error) < 0)
		refuse("libktassert does not read the series: %s", error.text);
	kt_buf_destroy(&file);
	verdict = kt_assert_verdict_new();
	returned = judge(series, verdict);
	fflush(NULL); /* say() leaves without what exit() would do */
	say_verdict(returned, verdict);
}
