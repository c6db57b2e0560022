/* kept.h - files in the tree that are made from the schema: golden frames, docs/wire.md, the fuzz
 * dictionary and corpus. A test compares each with what the code makes now; KT_KEEP=1 writes them.
 */
#ifndef KEPT_H
#define KEPT_H

#include "proto/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void kept_read(const char *path, struct kt_buf *out)
{
	FILE *file = fopen(path, "rb");
	char piece[4096];
	size_t n;

	if (!file)
		return;
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		kt_buf_append(out, piece, n);
	fclose(file);
}

/* name: below the source tree; what: why a difference matters. */
static inline void kept_check(const char *name, const struct kt_buf *now, const char *what)
{
	KT_AUTO_BUF kept = { 0 };
	char path[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", KT_SOURCE_DIR, name);
	if (getenv("KT_KEEP")) {
		file = fopen(path, "wb");
		cr_assert(file, "cannot write %s", path);
		cr_assert(fwrite(now->data, 1, now->len, file) == now->len);
		cr_assert(fclose(file) == 0);
		return;
	}
	kept_read(path, &kept);
	cr_expect(kept.len == now->len &&
			  memcmp(kt_buf_text(&kept), kt_buf_text(now), now->len) == 0,
		  "%s is not what the code makes now.\n%s\n"
		  "When the change is meant: KT_KEEP=1 ctest --preset release -R "
		  "'test_golden|test_catalog|test_worktypes', "
		  "read the difference in git, commit it with the change.",
		  name, what);
}

#endif
