#include "worker/jail.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY      65534
#define KVM_MAJOR   10
#define KVM_MINOR   232
#define FILES_MAX   256 /* descriptors QEMU may have open: event fds, KVM vCPUs */
#define OPEN_FD_MAX 1024

/* What the child tells the parent about a stage that did not work; the pipe closes at exec. */
struct report {
	int stage; /* index of stages[] */
	int code; /* errno */
};

struct child {
	const struct kt_jail_spec *spec;
	int report_fd;
	int go_fd; /* readable when the parent has put us into the cage */
	bool own_mounts;
};

/* ---- stages, in the child, in this order ---- */

static int wait_for_go(struct child *child)
{
	char go;

	if (read(child->go_fd, &go, 1) != 1)
		_exit(1); /* the parent is gone */
	return 0;
}

static int own_session(struct child *child)
{
	return setsid() < 0 ? -errno : 0;
}

static int private_mounts(struct child *child)
{
	if (!child->own_mounts)
		return 0; /* said already: there is no namespace */
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

/* Empty in QEMU's view: nothing of a user, of the worker or of other services. */
static int masked_folders(struct child *child)
{
	static const char *const folders[] = { "/home", "/root", "/run", "/tmp", "/var" };
	const char *program = child->spec->argv[0];
	int rc = 0;

	for (size_t i = 0; child->own_mounts && i < sizeof(folders) / sizeof(folders[0]); i++) {
		size_t len = strlen(folders[i]);
		struct stat st;

		/* A QEMU of one's own may live there. */
		if (strncmp(program, folders[i], len) == 0 && program[len] == '/')
			continue;
		if (lstat(folders[i], &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (mount("none", folders[i], "tmpfs", MS_NOSUID | MS_NOEXEC,
			  "size=64k,nr_inodes=16,mode=755") < 0)
			rc = -errno;
	}
	return rc;
}

/* nobody may not open the host's /dev/kvm: our mount namespace gets a node that it may open. */
static int kvm_node(struct child *child)
{
	const char *node = "/tmp/kvm";

	if (!child->spec->kvm || access("/dev/kvm", R_OK | W_OK) < 0)
		return 0;
	if (!child->own_mounts)
		return -EPERM;
	if (mknod(node, S_IFCHR | 0666, makedev(KVM_MAJOR, KVM_MINOR)) < 0 ||
	    chmod(node, 0666) < 0 || mount(node, "/dev/kvm", NULL, MS_BIND, NULL) < 0)
		return -errno;
	return 0;
}

static int read_only_root(struct child *child)
{
	if (!child->own_mounts)
		return 0;
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 ? -errno : 0;
}

static int resource_limits(struct child *child)
{
	const struct {
		int which;
		rlim_t max;
	} limits[] = {
		{ RLIMIT_CORE, 0 }, /* a core would hold the guest's RAM */
		{ RLIMIT_FSIZE, 0 }, /* it writes no file */
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_NOFILE, FILES_MAX },
		{ RLIMIT_AS, child->spec->address_bytes_max },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit = { limits[i].max, limits[i].max };

		if (limits[i].max == 0 && limits[i].which == RLIMIT_AS)
			continue;
		if (setrlimit((__rlimit_resource_t)limits[i].which, &limit) < 0)
			rc = -errno;
	}
	return rc;
}

static int no_bounding_capabilities(struct child *child)
{
	if (geteuid() != 0)
		return 0; /* it has none to lose */
	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
		/* EINVAL: an older kernel does not know the last ones. */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return -errno;
	return 0;
}

static int user_nobody(struct child *child)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return -errno;
	return 0;
}

static int no_new_privileges(struct child *child)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* After the change of user, which clears it. The parent may have died before: then nobody holds the
 * other end of alive_fd.
 */
static int dies_with_parent(struct child *child)
{
	struct pollfd alive = { .fd = child->spec->alive_fd, .events = 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	if (poll(&alive, 1, 0) > 0 && (alive.revents & (POLLHUP | POLLERR)))
		_exit(1);
	return 0;
}

static int only_its_descriptors(struct child *child)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(child->spec->stderr_fd, STDOUT_FILENO) < 0 ||
	    dup2(child->spec->stderr_fd, STDERR_FILENO) < 0)
		return -errno;
	if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		for (int fd = 3; fd < OPEN_FD_MAX; fd++)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < child->spec->n_fds; i++)
		if (fcntl(child->spec->fds[i], F_SETFD, 0) < 0)
			return -errno;
	return 0;
}

static int default_signals(struct child *child)
{
	sigset_t none;

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	umask(077);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int execute(struct child *child)
{
	execvp(child->spec->argv[0], child->spec->argv);
	return -errno;
}

static const struct stage {
	int (*run)(struct child *child);
	bool must; /* without it nothing is started */
	const char *what;
} stages[] = {
	{ wait_for_go, true, "waiting for its cgroup" },
	{ own_session, false, "a session of its own" },
	{ private_mounts, false, "mounts of its own" },
	{ masked_folders, false, "hiding /home, /root, /run, /tmp and /var" },
	{ kvm_node, true, "giving it /dev/kvm" },
	{ read_only_root, false, "a read-only file system" },
	{ resource_limits, false, "resource limits" },
	{ no_bounding_capabilities, false, "an empty capability bounding set" },
	{ user_nobody, true, "changing to user nobody" },
	{ no_new_privileges, false, "no new privileges" },
	{ only_its_descriptors, true, "handing over its descriptors" },
	{ default_signals, false, "default signals" },
	{ dies_with_parent, true, "dying with its parent" },
	{ execute, true, "executing it" },
};
#define N_STAGES ((int)(sizeof(stages) / sizeof(stages[0])))

__attribute__((noreturn)) static void run_child(struct child *child)
{
	for (int i = 0; i < N_STAGES; i++) {
		int rc = stages[i].run(child);
		struct report report = { i, -rc };

		if (rc == 0)
			continue;
		if (write(child->report_fd, &report, sizeof(report)) < 0 || stages[i].must)
			_exit(1);
	}
	_exit(1);
}

/* ---- the parent ---- */

/* Tried in this order; what is taken away is said. */
static const struct {
	unsigned long flags;
	const char *lost;
} namespaces[] = {
	{ CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, NULL },
	{ CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
	  NULL },
	{ CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, "a pid namespace" },
	{ CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, "pid and mount namespaces" },
	{ 0, "any namespace" },
};

/* As fork(): the child returns 0 here. No thread but ours runs in this process. */
static pid_t fork_into_namespaces(int *pid_fd, bool *own_mounts, struct kt_buf *notes)
{
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		unsigned long flags = namespaces[i].flags;
		long pid;

		/* A user namespace of one's own is for those who are not root. */
		if ((flags & CLONE_NEWUSER) && geteuid() == 0)
			continue;
		*own_mounts = flags & CLONE_NEWNS;
		pid = syscall(SYS_clone, SIGCHLD | CLONE_PIDFD | flags, NULL, pid_fd, NULL, 0);
		if (pid > 0 && namespaces[i].lost)
			kt_buf_printf(notes, "this host does not allow %s for QEMU\n",
				      namespaces[i].lost);
		if (pid >= 0)
			return (pid_t)pid;
	}
	return -1;
}

/* Until the pipe closes: at exec or at the child's death. */
static int read_reports(int fd, const char *program, struct kt_buf *notes, struct kt_err *err)
{
	struct report report;
	ssize_t n;

	while ((n = read(fd, &report, sizeof(report))) == sizeof(report)) {
		kt_must(report.stage >= 0 && report.stage < N_STAGES);
		if (stages[report.stage].must)
			return kt_err_sys(err, KT_FAULT_HOST, report.code, "starting %s: %s",
					  program, stages[report.stage].what);
		kt_buf_printf(notes, "this host does not allow %s for QEMU: %s\n",
			      stages[report.stage].what, strerror(report.code));
	}
	return 0;
}

static int start(const struct kt_jail_spec *spec, struct kt_jail_child *child, int report[2],
		 int go[2], struct kt_buf *notes, struct kt_err *err)
{
	struct child inside = { .spec = spec, .report_fd = report[1], .go_fd = go[0] };
	pid_t pid = fork_into_namespaces(&child->pid_fd, &inside.own_mounts, notes);

	if (pid == 0) {
		/* The only writers left must be the child's report and the parent's go. */
		close(go[1]);
		close(report[0]);
		run_child(&inside);
	}
	kt_own_close(&report[1]);
	kt_own_close(&go[0]);
	if (pid < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "starting %s", spec->argv[0]);
	child->pid = pid;
	if (spec->cage)
		kt_cage_join(spec->cage, pid, notes);
	if (write(go[1], "g", 1) != 1)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "starting %s", spec->argv[0]);
	return read_reports(report[0], spec->argv[0], notes, err);
}

int kt_jail_spawn(const struct kt_jail_spec *spec, struct kt_jail_child *child,
		  struct kt_buf *notes, struct kt_err *err)
{
	int report[2] = { -1, -1 };
	int go[2] = { -1, -1 };
	int rc;

	*child = (struct kt_jail_child){ .pid = 0, .pid_fd = -1 };
	/* A socket for "go": a write to a dead child must not raise SIGPIPE. */
	if (pipe2(report, O_CLOEXEC) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		rc = kt_err_sys(err, KT_FAULT_HOST, errno, "making a pipe");
	else
		rc = start(spec, child, report, go, notes, err);
	for (int i = 0; i < 2; i++) {
		kt_own_close(&report[i]);
		kt_own_close(&go[i]);
	}
	if (rc < 0)
		kt_jail_kill(child, NULL);
	return rc;
}

void kt_jail_kill(struct kt_jail_child *child, int *status)
{
	int ignored;

	if (child->pid > 0) {
		/* By pid_fd: it can never hit another process. */
		syscall(SYS_pidfd_send_signal, child->pid_fd, SIGKILL, NULL, 0);
		while (waitpid(child->pid, status ? status : &ignored, 0) < 0 && errno == EINTR)
			;
	}
	child->pid = 0;
	kt_own_close(&child->pid_fd);
}
