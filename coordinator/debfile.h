/* debfile.h - takes the kernel out of a .deb: an ar archive that holds a compressed tar.
 *
 * libarchive reads both layers; nothing is unpacked but the two files wanted, and their names in the
 * archive never become names on this machine. The image goes to a file descriptor of the caller's.
 */
#ifndef KT_DEBFILE_H
#define KT_DEBFILE_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KT_DEBFILE_IMAGE_BYTES_MAX  (512ull << 20)
#define KT_DEBFILE_CONFIG_BYTES_MAX (4u << 20)
#define KT_DEBFILE_ENTRIES_MAX      100000

struct kt_debfile_found {
	uint64_t image_bytes; /* written to image_fd; 0: no vmlinuz inside */
	bool has_config;
	bool has_sched_ext; /* CONFIG_SCHED_CLASS_EXT=y stands in the config */
};

/* image_fd -1: only the config is looked for. Fault INPUT for an archive that cannot be read, HOST
 * for what this machine cannot do.
 */
int kt_debfile_read(const char *path, int image_fd, struct kt_debfile_found *found,
		    struct kt_err *err);

#endif
