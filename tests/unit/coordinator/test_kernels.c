#include "coordinator/kernels.h"

#include "coordinator/kernelstore.h"
#include "proto/base/clock.h"
#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char state[] = "/tmp/kt-test-kernels-XXXXXX";
static char image_path[PATH_MAX];
static uint8_t bytes[6000];

static void write_image(const char *path, size_t len, char mark)
{
	KT_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	memset(bytes, mark, sizeof bytes);
	memset(bytes, 0, 0x400);
	bytes[0x1f1] = 1;
	bytes[0x1f4] = 100; /* 1600 bytes of kernel */
	bytes[0x1fe] = 0x55;
	bytes[0x1ff] = 0xaa;
	memcpy(bytes + 0x202, "HdrS", 4);
	bytes[0x20f] = 1;
	strcpy((char *)bytes + 0x300, "7.9.1-test (x)");
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

static void setup(void)
{
	cr_assert(mkdtemp(state));
	snprintf(image_path, sizeof image_path, "%s/bzImage", state);
	write_image(image_path, 5000, 'a');
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
	return remove(path);
}

static void teardown(void)
{
	nftw(state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(kernels, .init = setup, .fini = teardown);

/* Puts an image into the store as a get of that suite did `age_ns` ago. */
static void plant(const char *name, int64_t age_ns)
{
	KT_AUTO(kt_kernelstore_close) struct kt_kernelstore store = { .lock_fd = -1 };
	struct kt_kernelstore_record record = { .sched_ext = KT_KERNELS_EXT_YES,
						.suite = "nosuch",
						.release = "7.9.1-test",
						.package = "linux-binary-x",
						.package_version = "1" };
	struct kt_kernelstore_name entry = { .resolved_at_ns = kt_clock_wall_ns() - age_ns };
	KT_AUTO_FD int fd = -1;
	char draft[PATH_MAX];
	struct kt_err err;

	cr_assert_eq(kt_kernelstore_open(state, &store, &err), 0, "%s", err.text);
	cr_assert_eq(kt_kernelstore_lock(&store, NULL, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(kt_kernelstore_draft(&store, &fd, draft, &err), 0, "%s", err.text);
	cr_assert_eq(write(fd, bytes, 5000), 5000);
	kt_digest_of(bytes, 5000, &record.digest);
	record.bytes = 5000;
	cr_assert_eq(kt_kernelstore_keep(&store, draft, fd, &record, &err), 0, "%s", err.text);
	strcpy(entry.name, name);
	entry.digest = record.digest;
	cr_assert_eq(kt_kernelstore_set_name(&store, &entry, &err), 0, "%s", err.text);
}

Test(kernels, a_path_is_checked_digested_and_named)
{
	struct kt_kernels_source source = { .path = image_path };
	struct kt_kernels_image image;
	struct kt_digest digest;
	struct kt_err err;

	kt_digest_of(bytes, 5000, &digest);
	cr_assert_eq(kt_kernels_get(state, &source, NULL, NULL, &image, &err), 0, "%s", err.text);
	cr_assert_str_eq(image.version, "7.9.1-test");
	cr_assert_eq(image.bytes, 5000);
	cr_assert(kt_digest_equal(&image.digest, &digest));
	cr_assert_eq(image.has_sched_ext, KT_KERNELS_EXT_UNKNOWN);
	cr_assert_eq(image.path[0], '/');
}

Test(kernels, a_bad_path_names_itself_and_is_the_users)
{
	static const char *const says[] = { "No such file", "truncated", "regular file" };
	char paths[3][PATH_MAX];

	snprintf(paths[0], PATH_MAX, "%s/none", state);
	snprintf(paths[1], PATH_MAX, "%s/short", state);
	snprintf(paths[2], PATH_MAX, "%s", state);
	write_image(paths[1], 1500, 'a');
	for (size_t i = 0; i < 3; i++) {
		struct kt_kernels_source source = { .path = paths[i] };
		struct kt_kernels_image image;
		struct kt_err err;

		cr_assert_lt(kt_kernels_get(state, &source, NULL, NULL, &image, &err), 0);
		cr_assert(strstr(err.text, says[i]), "%s", err.text);
		cr_assert(strstr(err.text, paths[i]), "%s", err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT, "%s", err.text);
		cr_assert_eq(image.bytes, 0);
	}
}

Test(kernels, a_fresh_resolution_is_used_without_asking_anybody)
{
	struct kt_kernels_source source = { .suite = "nosuch", .package = "linux-image-x" };
	struct kt_kernels_image image;
	struct kt_err err;

	setenv("PATH", "/nonexistent", 1); /* no apt to ask */
	plant("nosuch/linux-image-x", 3600 * KT_NS_PER_S);
	cr_assert_eq(kt_kernels_get(state, &source, NULL, NULL, &image, &err), 0, "%s", err.text);
	cr_assert_str_eq(image.version, "7.9.1-test");
	cr_assert_str_eq(image.package, "linux-binary-x=1");
	cr_assert_eq(image.has_sched_ext, KT_KERNELS_EXT_YES);
	cr_assert_not(image.offline);
}

static void keep_last(void *arg, const char *line)
{
	snprintf(arg, 600, "%s", line);
}

Test(kernels, without_apt_the_newest_cached_one_is_used_and_said_so)
{
	struct kt_kernels_source source = { .suite = "nosuch", .package = "linux-image-x" };
	struct kt_kernels_image image;
	char line[600] = "";
	struct kt_err err;

	setenv("PATH", "/nonexistent", 1);
	plant("nosuch/linux-image-x", 2 * KT_KERNELS_FRESH_NS);
	cr_assert_eq(kt_kernels_get(state, &source, keep_last, line, &image, &err), 0, "%s",
		     err.text);
	cr_assert(image.offline);
	cr_assert(strstr(line, "going on with the cached 7.9.1-test of 2 d ago"), "%s", line);
	/* and without a cached one it is the host's trouble */
	source.package = "linux-image-y";
	cr_assert_lt(kt_kernels_get(state, &source, NULL, NULL, &image, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert(strstr(err.text, "apt-get is not installed"), "%s", err.text);
}

Test(kernels, a_damaged_image_is_never_handed_out)
{
	struct kt_kernels_source source = { .suite = "nosuch", .package = "linux-image-x" };
	char hex[KT_DIGEST_HEX_BYTES], path[PATH_MAX];
	struct kt_kernels_image image;
	struct kt_digest digest;
	struct kt_err err;

	setenv("PATH", "/nonexistent", 1);
	plant("nosuch/linux-image-x", 0);
	kt_digest_of(bytes, 5000, &digest);
	kt_digest_hex(&digest, hex);
	snprintf(path, sizeof path, "%s/kernels/%s/vmlinuz", state, hex);
	cr_assert_eq(chmod(path, 0644), 0);
	write_image(path, 5000, 'b');
	cr_assert_lt(kt_kernels_get(state, &source, NULL, NULL, &image, &err), 0);
}

Test(kernels, names_that_are_no_suite_are_refused_before_anything_is_asked)
{
	static const char *const suites[] = { "", "../x", "-o", "Sid", "sid main" };

	for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
		struct kt_kernels_source source = { .suite = suites[i] };
		struct kt_kernels_image image;
		struct kt_err err;

		cr_assert_eq(kt_kernels_get(state, &source, NULL, NULL, &image, &err), -EINVAL);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
}

/* What a command printed. */
struct printed {
	char text[8192];
	int r;
	struct kt_err err;
};

static struct printed printed;

#define PRINTED(call_)                                                            \
	do {                                                                      \
		FILE *out = fmemopen(printed.text, sizeof printed.text - 1, "w"); \
		memset(printed.text, 0, sizeof printed.text);                     \
		printed.r = call_;                                                \
		fclose(out);                                                      \
	} while (0)

Test(kernels, what_is_added_is_listed_until_it_is_removed)
{
	struct kt_err *err = &printed.err;

	PRINTED(kt_kernels_command_list(state, false, out, err));
	cr_assert(strstr(printed.text, "no kernels yet"), "%s", printed.text);
	PRINTED(kt_kernels_command_add(state, "mine", image_path, false, out, err));
	cr_assert_eq(printed.r, 0, "%s", err->text);
	PRINTED(kt_kernels_command_add(state, "too", image_path, true, out, err));
	cr_assert_eq(printed.r, 0, "%s", err->text);
	PRINTED(kt_kernels_command_list(state, false, out, err));
	cr_assert(strstr(printed.text, "\nmine "), "%s", printed.text);
	cr_assert(strstr(printed.text, "\ntoo "), "%s", printed.text);
	cr_assert(strstr(printed.text, "7.9.1-test"), "%s", printed.text);
	PRINTED(kt_kernels_command_remove(state, "mine", false, out, err));
	cr_assert_eq(printed.r, 0, "%s", err->text);
	PRINTED(kt_kernels_command_list(state, true, out, err));
	cr_assert_not(strstr(printed.text, "\"mine\""), "%s", printed.text);
	cr_assert(strstr(printed.text, "\"too\""), "%s", printed.text);
	PRINTED(kt_kernels_command_remove(state, "mine", false, out, err));
	cr_assert_eq(printed.r, -ENOENT);
	PRINTED(kt_kernels_command_remove(state, "too", true, out, err));
	cr_assert_eq(printed.r, 0, "%s", err->text);
	PRINTED(kt_kernels_command_list(state, true, out, err));
	cr_assert_not(strchr(printed.text, '{'), "%s", printed.text);
}

Test(kernels, digits_of_a_digest_remove_the_image_with_all_its_names)
{
	char hex[KT_DIGEST_HEX_BYTES];
	struct kt_digest digest;

	plant("nosuch/linux-image-x", 0);
	kt_digest_of(bytes, 5000, &digest);
	kt_digest_hex(&digest, hex);
	hex[7] = 0;
	PRINTED(kt_kernels_command_remove(state, hex, false, out, &printed.err));
	cr_assert_eq(printed.r, -ENOENT); /* 7 digits are too few */
	kt_digest_hex(&digest, hex);
	hex[8] = 0;
	PRINTED(kt_kernels_command_remove(state, hex, false, out, &printed.err));
	cr_assert_eq(printed.r, 0, "%s", printed.err.text);
	PRINTED(kt_kernels_command_list(state, true, out, &printed.err));
	cr_assert_not(strchr(printed.text, '{'), "%s", printed.text);
}

Test(kernels, names_of_the_user_are_checked)
{
	PRINTED(kt_kernels_command_add(state, "../x", image_path, false, out, &printed.err));
	cr_assert_eq(printed.r, -EINVAL);
	PRINTED(kt_kernels_command_add(state, "sid/x", image_path, false, out, &printed.err));
	cr_assert_eq(printed.r, -EINVAL);
}

Test(kernels, a_typed_word_is_a_file_or_a_name_or_a_release_or_a_digest)
{
	struct kt_kernels_image image;
	char hex[KT_DIGEST_HEX_BYTES];
	struct kt_digest digest;
	struct kt_err err = { 0 };
	const char *words[5] = { image_path, "mine", "7.9.1-test", hex, "nosuch/package" };

	plant("mine", 0);
	plant("nosuch/package", 0);
	kt_digest_of(bytes, 5000, &digest);
	kt_digest_hex(&digest, hex);
	hex[10] = 0;
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(kt_kernels_find(state, words[i], NULL, NULL, &image, &err), 0,
			     "%s: %s", words[i], err.text);
		cr_assert(kt_digest_equal(&image.digest, &digest), "%s", words[i]);
		cr_assert_str_eq(image.version, "7.9.1-test", "%s", words[i]);
		cr_assert_eq(strcmp(image.path, image_path) == 0, i == 0, "%s", words[i]);
	}
	cr_assert_eq(chdir(state), 0);
	cr_assert_eq(kt_kernels_find(state, "bzImage", NULL, NULL, &image, &err), 0, "%s",
		     err.text);
	cr_assert_lt(kt_kernels_find(state, "Not a name", NULL, NULL, &image, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert(strstr(err.text, "kernels list"), "%s", err.text);
	cr_assert_lt(kt_kernels_find(state, "./nothing", NULL, NULL, &image, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
}
