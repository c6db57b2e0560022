/* aptparse.h - reads what apt prints and how its source files are written.
 *
 * Pure: texts in, facts out; nothing is trusted to be short or whole. Longer values than the fields
 * hold make a line count as not there.
 */
#ifndef KT_APTPARSE_H
#define KT_APTPARSE_H

#include "proto/base/limits.h"

#include <stdbool.h>
#include <stddef.h>

#define KT_APTPARSE_URI_BYTES     1024
#define KT_APTPARSE_SIGNERS_BYTES (64u << 10) /* a Signed-By field may hold whole keys */
#define KT_APTPARSE_VALUE_BYTES   512

/* One line of `apt-get indextargets --format KT_APTPARSE_TARGET_FORMAT`. */
#define KT_APTPARSE_TARGET_FORMAT                                                           \
	"$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(CREATED_BY)|$(TARGET_OF)|$(SITE)|$(REPO_URI)|$(" \
	"SOURCESENTRY)"

struct kt_aptparse_target {
	char uri[KT_APTPARSE_URI_BYTES]; /* of the repository, as the machine's sources give it */
	char entry_file[KT_PATH_BYTES_MAX]; /* where it is configured */
	unsigned int entry; /* .sources: number of the stanza, .list: number of the line; from 1 */
};

/* The first target that is Debian's own main (not security, not backports' label). */
bool kt_aptparse_target(const char *text, struct kt_aptparse_target *target);

/* The Signed-By of one entry of a source file, ready to stand in a deb822 stanza: a path, a
 * fingerprint, or a key with its continuation lines. "" when the entry has none (then apt's default
 * keys count). False when the entry is not there.
 */
bool kt_aptparse_signers(const char *text, bool deb822, unsigned int entry,
			 char signers[KT_APTPARSE_SIGNERS_BYTES]);

/* What `apt-cache show` says of one package: its first stanza. */
struct kt_aptparse_package {
	char name[KT_NAME_BYTES_MAX];
	char version[KT_NAME_BYTES_MAX];
	char sha256[65]; /* of the .deb */
	unsigned long long bytes; /* of the .deb */
	char image[KT_NAME_BYTES_MAX]; /* the dependency that leads to the kernel's image, or "" */
	char base[KT_NAME_BYTES_MAX]; /* linux-base-<release>, which may hold the config, or "" */
};

/* image is linux-binary-* before linux-image-*; linux-image's own helpers are never taken for it. */
bool kt_aptparse_package(const char *text, struct kt_aptparse_package *package);

/* "dlstatus:1:20.5:Retrieving file 1 of 2" on APT::Status-Fd: percent, 0..100; false: another line. */
bool kt_aptparse_status(const char *line, unsigned int *percent);

/* May name stand in a file name and in apt's files? Suites and packages: [a-z0-9][a-z0-9.+-]*. */
bool kt_aptparse_word(const char *name);

#endif
