#include "coordinator/artifacts.h"
#include "proto/base/digest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kt-test-artifacts.XXXXXX");
	cr_assert(mkdtemp(dir));
}

TestSuite(artifacts, .init = setup);

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file);
	fputs(text, file);
	fclose(file);
}

static void fetch(struct kt_artifacts *artifacts, const struct kt_digest *digest, uint64_t offset,
		  uint64_t len, uint8_t *room, struct kt_msg_chunk *chunk)
{
	struct kt_msg_fetch msg = { .digest = { digest->bytes, KT_DIGEST_BYTES },
				    .offset = offset,
				    .len = len };

	kt_artifacts_fetch(artifacts, &msg, room, chunk);
}

Test(artifacts, what_is_added_is_served_whatever_happens_to_the_original)
{
	struct kt_artifacts *artifacts = NULL;
	struct kt_msg_chunk chunk;
	struct kt_digest digest;
	struct kt_err err = { 0 };
	uint8_t room[64];
	char path[96];
	uint64_t bytes;

	snprintf(path, sizeof(path), "%s/program", dir);
	write_file(path, "0123456789");
	cr_assert_eq(kt_artifacts_open(dir, &artifacts, &err), 0, "%s", err.text);
	cr_assert_eq(kt_artifacts_add(artifacts, path, &digest, &bytes, &err), 0, "%s", err.text);
	cr_assert_eq(bytes, 10);
	write_file(path, "rebuilt");
	fetch(artifacts, &digest, 4, 64, room, &chunk);
	cr_assert_eq(chunk.total, 10);
	cr_assert_eq(chunk.body.len, 6);
	cr_assert_eq(memcmp(chunk.body.data, "456789", 6), 0);
	fetch(artifacts, &digest, 1 << 20, 64, room, &chunk);
	cr_assert_eq(chunk.body.len, 0, "beyond the end there is nothing");
	digest.bytes[0] ^= 1;
	fetch(artifacts, &digest, 0, 64, room, &chunk);
	cr_assert(chunk.missing[0], "only what was added is served");
	kt_artifacts_destroy(&artifacts);
}

Test(artifacts, a_damaged_copy_is_found_and_replaced)
{
	struct kt_artifacts *artifacts = NULL;
	struct kt_digest digest;
	struct kt_err err = { 0 };
	char hex[KT_DIGEST_HEX_BYTES];
	char path[96];
	char kept[192];
	uint64_t bytes;

	snprintf(path, sizeof(path), "%s/program", dir);
	write_file(path, "0123456789");
	cr_assert_eq(kt_artifacts_open(dir, &artifacts, &err), 0, "%s", err.text);
	cr_assert_eq(kt_artifacts_add(artifacts, path, &digest, &bytes, &err), 0, "%s", err.text);
	kt_artifacts_destroy(&artifacts);
	kt_digest_hex(&digest, hex);
	snprintf(kept, sizeof(kept), "%s/artifacts/%s", dir, hex);
	cr_assert_eq(chmod(kept, 0644), 0);
	write_file(kept, "0123456780");
	cr_assert_eq(kt_artifacts_open(dir, &artifacts, &err), 0, "%s", err.text);
	cr_assert_eq(kt_artifacts_add(artifacts, path, &digest, &bytes, &err), 0, "%s", err.text);
	cr_assert_eq(kt_artifacts_add_known(artifacts, &digest, &err), 0, "%s", err.text);
	kt_artifacts_destroy(&artifacts);
	write_file(kept, "damaged again");
	cr_assert_eq(kt_artifacts_open(dir, &artifacts, &err), 0, "%s", err.text);
	cr_assert_eq(kt_artifacts_add_known(artifacts, &digest, &err), -EBADMSG);
	kt_artifacts_destroy(&artifacts);
}
