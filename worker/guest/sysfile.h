/* sysfile.h - one-line files of /proc, /sys and cgroup2. */
#ifndef KT_SYSFILE_H
#define KT_SYSFILE_H

#include <stddef.h>

/* At most size - 1 bytes, the newline at the end cut off. Length, or -errno. */
int kt_sysfile_read(const char *path, char *text, size_t size);
/* 0, or -errno. Does not create. */
int kt_sysfile_write(const char *path, const char *text);

#endif
