/* init.c - ktguest, PID 1 of the guest: makes the machine fit to work in, serves the host, ends it.
 *
 * Whatever goes wrong is said on the console and ends in a power-off: a panic must stay the sign of a
 * kernel that died, and PID 1 that returns or is killed would be one.
 */
#include "worker/guest/guest.h"
#include "worker/guest/sysfile.h"

#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct filesystem {
	const char *type;
	const char *where;
	const char *options;
	bool must; /* without it nothing works */
	const char *sentence;
} filesystems[] = {
	{ "proc", "/proc", NULL, true, "schedstat, sysrq-trigger" },
	{ "sysfs", "/sys", NULL, true, "sched_ext's state, virtio ports" },
	{ "devtmpfs", "/dev", NULL, true, "the port, kmsg" },
	{ "tmpfs", "/dev/shm", "mode=1777", false, "shared memory of payloads" },
	{ "devpts", "/dev/pts", "mode=0620,ptmxmode=0666", false, "terminals of shells" },
	{ "cgroup2", "/sys/fs/cgroup", NULL, true, "the workload's cgroups" },
	{ "tmpfs", "/kt", "mode=0755", true, "what the host sends" },
	{ "tmpfs", "/run", "mode=0755", true, "the schedulers' sockets" },
	{ "tmpfs", "/tmp", "mode=1777", false, "for schedulers that want it" },
	{ "bpf", "/sys/fs/bpf", NULL, false, "for schedulers that pin" },
	{ "debugfs", "/sys/kernel/debug", NULL, false, "for schedulers and people that look" },
	{ "tracefs", "/sys/kernel/tracing", NULL, false, "for schedulers and people that look" },
};

/* What programs expect to be there and no kernel makes. */
static const struct {
	const char *where;
	const char *what;
} links[] = {
	{ "/var/run", "/run" },
	{ "/dev/fd", "/proc/self/fd" },
	{ "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" },
};

/* Says it, then lets the machine go down without a panic. Only calls that a signal handler may make. */
__attribute__((noreturn)) static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT); /* no ACPI: QEMU runs with -no-reboot */
	for (;;)
		pause();
}

static void on_fatal_signal(int number)
{
	static const char text[] = "ktguest: fatal signal, powering off\n";
	ssize_t ignored;

	if (getpid() != 1) { /* a worker, forked with our handlers: its own death only */
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	power_off();
}

static int mount_all(struct kt_err *err)
{
	for (size_t i = 0; i < sizeof(filesystems) / sizeof(filesystems[0]); i++) {
		const struct filesystem *fs = &filesystems[i];

		/* fails harmlessly on the kernel's own folders */
		mkdir(fs->where, 0755);
		if (mount(fs->type, fs->where, fs->type, MS_NOSUID, fs->options) < 0 &&
		    errno != EBUSY && fs->must)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "mounting %s (%s)", fs->where,
					  fs->sentence);
	}
	mkdir("/var", 0755);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i].what, links[i].where) < 0 && errno != EEXIST)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "making %s", links[i].where);
	return 0;
}

/* An initramfs without /dev/console gives PID 1 no stderr at all. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* sched_ext takes over every SCHED_NORMAL task, ktguest too: a scheduler that stalls would stall the
 * one who is to tell of it. The real-time classes stand above it and are never governed by it. Only
 * ktguest: its children start as ordinary tasks (RESET_ON_FORK). Its pages are locked so that memory
 * pressure of a workload does not stop it either.
 */
static void stand_above_sched_ext(void)
{
	struct sched_param param = { .sched_priority = 50 };

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
		fprintf(stderr, "ktguest: staying under the scheduler: %s\n", strerror(errno));
	mlockall(MCL_CURRENT | MCL_FUTURE);
	kt_sysfile_write("/proc/self/oom_score_adj", "-1000");
}

static int watch_signals(void)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction action = { .sa_handler = on_fatal_signal };
	sigset_t mask;

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &action, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	return signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(void)
{
	struct kt_err err = { 0 };
	int signal_fd;

	if (getpid() != 1) {
		fprintf(stderr, "ktguest is PID 1 of a guest and nothing else\n");
		return 2;
	}
	signal_fd = watch_signals();
	if (mount_all(&err) == 0) {
		open_console();
		stand_above_sched_ext();
		kt_guest_serve(signal_fd, &err);
	}
	if (err.code)
		fprintf(stderr, "ktguest: cannot go on: %s\n", err.text);
	power_off();
}
