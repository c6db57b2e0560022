/* host.h - what this machine is: CPUs, memory, names. Read from /proc and /sys; never fails, says 0 or
 * "" for what it cannot find.
 */
#ifndef KT_HOST_H
#define KT_HOST_H

#include "proto/base/buf.h"

#include <stddef.h>
#include <stdint.h>

uint64_t kt_host_cpus(void); /* that we may run on (sched_getaffinity), at least 1 */
/* Memory that guests may have: MemAvailable, at most what our cgroup leaves, less 256 MiB for others. */
uint64_t kt_host_mem_bytes(void);
/* What the kernel says is available right now (MemAvailable); 0 when it does not say. */
uint64_t kt_host_available_bytes(void);
uint64_t kt_host_disk_bytes(const char *path); /* free for us below path or its nearest parent */
/* What a guest that was saved here expects of the host that restores it: CPU model, stepping, microcode, features, the
 * rate of its TSC (bogomips), the kernel. One line.
 */
void kt_host_identity(struct kt_buf *text);
uint32_t kt_host_tsc_khz(
	void); /* the rate of its time stamp counter: half of what it calls bogomips */
void kt_host_cpu_model(char *text, size_t size);
void kt_host_name(char *text, size_t size); /* uname -n */
/* The first executable file of this name in PATH; as given when it holds a '/'. "" when none. */
void kt_host_program(const char *name, char *path, size_t size);
/* A program that was installed beside this one. */
void kt_host_sibling(const char *name, char *path, size_t size);

#endif
