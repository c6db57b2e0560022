#include "worker/guest/ghotplug.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void drop(struct kt_cpuset *set, uint32_t cpu)
{
	set->words[cpu / 64] &= ~(1ull << cpu % 64);
}

__attribute__((noreturn)) static void write_and_exit(const struct kt_ghotplug *plug)
{
	char path[128];
	int status;

	snprintf(path, sizeof(path), "%s/cpu%u/online", plug->root, plug->cpu);
	status = kt_sysfile_write(path, plug->online ? "1" : "0");
	_exit(-status);
}

int kt_ghotplug_begin(struct kt_ghotplug *plug, uint32_t cpu, bool online, struct kt_err *err)
{
	kt_must(!plug->pid && cpu <= KT_GUEST_CPUS_MAX);
	plug->cpu = cpu;
	plug->online = online;
	plug->status = 0;
	/* also when the kernel should refuse: to bring one back that never went does no harm */
	if (!online)
		kt_cpuset_add(&plug->offline, cpu);
	plug->pid = fork();
	if (plug->pid == 0)
		write_and_exit(plug);
	if (plug->pid > 0)
		return 0;
	plug->pid = 0;
	return kt_err_sys(err, KT_FAULT_GUEST, errno, "forking");
}

int kt_ghotplug_restore(struct kt_ghotplug *plug, struct kt_err *err)
{
	for (uint32_t cpu = 0; cpu <= KT_GUEST_CPUS_MAX; cpu++) {
		int status;

		if (!kt_cpuset_has(&plug->offline, cpu))
			continue;
		drop(&plug->offline, cpu); /* once only, however it goes */
		status = kt_ghotplug_begin(plug, cpu, true, err);
		return status < 0 ? status : 1;
	}
	return 0;
}

bool kt_ghotplug_reaped(struct kt_ghotplug *plug, pid_t pid, int wait_status)
{
	if (!plug->pid || plug->pid != pid)
		return false;
	plug->pid = 0;
	plug->status = WIFEXITED(wait_status) ? -WEXITSTATUS(wait_status) : -EINTR;
	if (plug->status == 0 && plug->online)
		drop(&plug->offline, plug->cpu);
	return true;
}

int kt_ghotplug_look(const struct kt_ghotplug *plug, struct kt_err *err)
{
	if (plug->pid)
		return 0;
	if (plug->status == 0)
		return 1;
	if (plug->status == -ENOENT)
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT,
				  "CPU %u cannot be plugged: it has no file 'online'", plug->cpu);
	return kt_err_sys(err, KT_FAULT_GUEST, -plug->status, "taking CPU %u %s", plug->cpu,
			  plug->online ? "online" : "offline");
}
