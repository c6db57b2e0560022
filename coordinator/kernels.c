#include "coordinator/kernels.h"

#include "coordinator/aptroot.h"
#include "coordinator/debfile.h"
#include "coordinator/kernelfile.h"
#include "coordinator/kernelstore.h"
#include "proto/base/clock.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKAGE_DEFAULT   "linux-image-cloud-amd64"
#define DIGEST_SHOWN      12 /* hex digits in a list */
#define DIGEST_DIGITS_MIN 8 /* of a digest that a user types */

struct progress {
	kt_kernels_progress *say;
	void *arg;
};

__attribute__((format(printf, 2, 3))) static void say(const struct progress *progress,
						      const char *format, ...)
{
	char line[512];
	va_list args;

	if (!progress->say)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	progress->say(progress->arg, line);
}

const char *kt_kernels_ext_name(enum kt_kernels_ext ext)
{
	static const char *const names[] = { [KT_KERNELS_EXT_UNKNOWN] = "unknown",
					     [KT_KERNELS_EXT_NO] = "no",
					     [KT_KERNELS_EXT_YES] = "yes" };

	kt_must(ext <= KT_KERNELS_EXT_YES);
	return names[ext];
}

static const char *age(int64_t at_ns, char text[KT_DURATION_TEXT_BYTES])
{
	static const struct {
		int64_t ns;
		const char *unit;
	} units[] = { { 24 * 3600 * KT_NS_PER_S, "d" },
		      { 3600 * KT_NS_PER_S, "h" },
		      { 60 * KT_NS_PER_S, "min" },
		      { KT_NS_PER_S, "s" } };
	int64_t old_ns = kt_clock_wall_ns() - at_ns;

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (old_ns >= units[i].ns) {
			snprintf(text, KT_DURATION_TEXT_BYTES, "%" PRId64 " %s",
				 old_ns / units[i].ns, units[i].unit);
			return text;
		}
	return strcpy(text, "0 s");
}

/* Opens, checks and digests an image of any origin; image->path is not set. */
static int look_at(int fd, struct kt_kernels_image *image, struct kt_err *err)
{
	KT_AUTO_FREE uint8_t *head = kt_must_calloc(1, KT_KERNELFILE_HEAD_BYTES);
	struct kt_kernelfile file;
	struct stat st;
	size_t len = 0;
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "looking at it");
	if (!S_ISREG(st.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "not a kernel image: not a regular file");
	if ((uint64_t)st.st_size > KT_KERNELS_IMAGE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
				  "not a kernel image: %lld bytes, the limit is %llu",
				  (long long)st.st_size, KT_KERNELS_IMAGE_BYTES_MAX);
	while (len < KT_KERNELFILE_HEAD_BYTES &&
	       (n = pread(fd, head + len, KT_KERNELFILE_HEAD_BYTES - len, (off_t)len)) > 0)
		len += (size_t)n;
	r = kt_kernelfile_look(head, len, (uint64_t)st.st_size, &file, err);
	if (r)
		return r;
	snprintf(image->version, sizeof image->version, "%s", file.release);
	return kt_digest_of_fd(fd, &image->digest, &image->bytes, err);
}

static int get_path(const char *path, struct kt_kernels_image *image, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "opening the kernel %s", path);
	if (look_at(fd, image, err))
		return kt_err_wrap(err, "%s", path);
	if (!realpath(path, image->path))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "finding %s", path);
	return 0;
}

static void fill(const struct kt_kernelstore_record *record, int64_t resolved_at_ns,
		 struct kt_kernels_image *image)
{
	snprintf(image->version, sizeof image->version, "%s", record->release);
	if (record->package[0] &&
	    snprintf(image->package, sizeof image->package, "%s=%s", record->package,
		     record->package_version) >= (int)sizeof image->package)
		snprintf(image->package, sizeof image->package, "%s", record->package);
	image->digest = record->digest;
	image->bytes = record->bytes;
	image->has_sched_ext = (enum kt_kernels_ext)record->sched_ext;
	image->resolved_at_ns = resolved_at_ns;
}

/* What an earlier get left under this name. False when nothing, or when it is damaged. */
static bool find_cached(const struct kt_kernelstore *store, const char *name,
			struct kt_kernels_image *image)
{
	struct kt_kernelstore_record record;
	struct kt_kernelstore_name found;

	if (kt_kernelstore_find_name(store, name, &found, NULL) ||
	    kt_kernelstore_find_image(store, &found.digest, &record, image->path, NULL))
		return false;
	fill(&record, found.resolved_at_ns, image);
	return true;
}

static bool is_fresh(const struct kt_kernels_image *image)
{
	int64_t old_ns = kt_clock_wall_ns() - image->resolved_at_ns;

	return old_ns >= 0 && old_ns < KT_KERNELS_FRESH_NS; /* a clock that went back: ask again */
}

/* The package's image into the store. */
static int fetch(struct kt_aptroot *root, const struct kt_kernelstore *store,
		 const struct kt_aptparse_package *package, const struct kt_aptparse_package *base,
		 const char *suite, const struct progress *progress,
		 struct kt_kernelstore_record *record, struct kt_err *err)
{
	struct kt_kernels_image image = { 0 };
	struct kt_debfile_found found, found_base = { 0 };
	char deb[PATH_MAX], draft[PATH_MAX];
	KT_AUTO_FD int fd = -1;
	int r;

	r = kt_aptroot_download(root, package, deb, err);
	if (!r)
		r = kt_kernelstore_draft(store, &fd, draft, err);
	if (r)
		return r;
	say(progress, "extracting the image of %s", package->name);
	r = kt_debfile_read(deb, fd, &found, err);
	if (!r && !found.image_bytes)
		r = kt_err_set(err, KT_FAULT_INPUT, ENOENT, "the package %s holds no vmlinuz",
			       package->name);
	if (!r && look_at(fd, &image, err))
		r = kt_err_wrap(err, "the vmlinuz of %s", package->name);
	if (r) {
		unlink(draft);
		return r;
	}
	/* without the config the image is as good; only the answer about sched_ext is missing */
	if (!found.has_config && base->name[0] && kt_aptroot_download(root, base, deb, NULL) == 0 &&
	    kt_debfile_read(deb, -1, &found_base, NULL) == 0)
		found = found_base;
	*record = (struct kt_kernelstore_record){ .digest = image.digest,
						  .bytes = image.bytes,
						  .sched_ext =
							  !found.has_config ? KT_KERNELS_EXT_UNKNOWN
							  : found.has_sched_ext ? KT_KERNELS_EXT_YES
										: KT_KERNELS_EXT_NO,
						  .fetched_at_ns = kt_clock_wall_ns() };
	snprintf(record->release, sizeof record->release, "%s", image.version);
	snprintf(record->suite, sizeof record->suite, "%s", suite);
	snprintf(record->package, sizeof record->package, "%s", package->name);
	snprintf(record->package_version, sizeof record->package_version, "%s", package->version);
	if (strlen(package->sha256) == KT_DIGEST_HEX_BYTES - 1)
		memcpy(record->deb_sha256, package->sha256, KT_DIGEST_HEX_BYTES);
	return kt_kernelstore_keep(store, draft, fd, record, err);
}

/* Asks apt. The caller holds the lock. */
static int resolve(const struct kt_kernelstore *store, const char *suite, const char *package,
		   const struct progress *progress, struct kt_kernelstore_name *name,
		   struct kt_err *err)
{
	KT_AUTO_APTROOT *root = NULL;
	struct kt_aptparse_package deb, base;
	struct kt_kernelstore_record record;
	char folder[PATH_MAX], path[PATH_MAX];
	int r;

	snprintf(folder, sizeof folder, "%s/apt", store->folder);
	r = kt_aptroot_open(folder, suite, progress->say, progress->arg, &root, err);
	if (!r)
		r = kt_aptroot_resolve(root, package, &deb, &base, err);
	if (r)
		return r;
	if (kt_kernelstore_find_deb(store, deb.sha256, &record, NULL) == 0 &&
	    kt_kernelstore_find_image(store, &record.digest, &record, path, NULL) == 0)
		say(progress, "%s %s is the newest, and is here already", deb.name, deb.version);
	else
		r = fetch(root, store, &deb, &base, suite, progress, &record, err);
	if (r)
		return r;
	name->digest = record.digest;
	name->resolved_at_ns = kt_clock_wall_ns();
	return kt_kernelstore_set_name(store, name, err);
}

static void waiting(void *arg)
{
	say(arg, "waiting for another ktcoord that is fetching a kernel");
}

static int get_debian(const char *state_dir, const struct kt_kernels_source *source,
		      const struct progress *progress, struct kt_kernels_image *image,
		      struct kt_err *err)
{
	const char *package = source->package ? source->package : PACKAGE_DEFAULT;
	KT_AUTO(kt_kernelstore_close) struct kt_kernelstore store = { .lock_fd = -1 };
	struct kt_kernelstore_name name = { 0 };
	struct kt_kernelstore_record record;
	struct kt_err why = { 0 };
	char text[KT_DURATION_TEXT_BYTES];
	bool cached;
	int r;

	if (!kt_aptparse_word(source->suite) || !kt_aptparse_word(package))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "\"%.60s/%.60s\" is no Debian suite and package", source->suite,
				  package);
	snprintf(name.name, sizeof name.name, "%s/%s", source->suite, package);
	r = kt_kernelstore_open(state_dir, &store, err);
	if (r)
		return r;
	if (!source->refresh && find_cached(&store, name.name, image) && is_fresh(image))
		return 0;
	*image = (struct kt_kernels_image){ 0 };
	r = kt_kernelstore_lock(&store, waiting, (void *)(uintptr_t)progress, err);
	if (r)
		return r;
	/* whoever held the lock may have fetched it */
	cached = find_cached(&store, name.name, image);
	if (cached && !source->refresh && is_fresh(image))
		return 0;
	r = resolve(&store, source->suite, package, progress, &name, &why);
	if (!r) {
		r = kt_kernelstore_find_image(&store, &name.digest, &record, image->path, err);
		fill(&record, name.resolved_at_ns, image);
		return r;
	}
	if (cached && why.fault == KT_FAULT_HOST) {
		image->offline = true;
		say(progress, "going on with the cached %s of %s ago: %s", image->version,
		    age(image->resolved_at_ns, text), why.text);
		return 0;
	}
	if (err)
		*err = why;
	return kt_err_wrap(err, "kernel %s", name.name);
}

int kt_kernels_get(const char *state_dir, const struct kt_kernels_source *source,
		   kt_kernels_progress *progress, void *arg, struct kt_kernels_image *image,
		   struct kt_err *err)
{
	struct progress to = { progress, arg };
	struct kt_err unheard;
	int r;

	kt_must(!source->path != !source->suite);
	if (!err)
		err = &unheard;
	*err = (struct kt_err){ 0 };
	*image = (struct kt_kernels_image){ 0 };
	r = source->path ? get_path(source->path, image, err)
			 : get_debian(state_dir, source, &to, image, err);
	if (r)
		*image = (struct kt_kernels_image){ 0 };
	return r;
}

/* ---- what somebody types ---- */

static bool is_hex(const char *text)
{
	size_t len = strlen(text);

	return len >= DIGEST_DIGITS_MIN && len < KT_DIGEST_HEX_BYTES &&
	       strspn(text, "0123456789abcdef") == len;
}

/* -ENOENT: no digest of the store begins so. */
static int find_by_digits(const struct kt_kernelstore *store, const char *digits,
			  struct kt_digest *digest, struct kt_err *err)
{
	KT_AUTO_FREE struct kt_kernelstore_name *names = NULL;
	const struct kt_kernelstore_name *hit = NULL;
	size_t n = 0;
	int r = kt_kernelstore_list(store, &names, &n, err);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		char hex[KT_DIGEST_HEX_BYTES];

		kt_digest_hex(&names[i].digest, hex);
		if (strncmp(hex, digits, strlen(digits)) != 0)
			continue;
		if (hit && !kt_digest_equal(&hit->digest, &names[i].digest))
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "%s begins more than one digest: give more digits",
					  digits);
		hit = &names[i];
	}
	if (!hit)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT, "no digest begins with %s", digits);
	*digest = hit->digest;
	return 0;
}

/* The first one, in the order of the names. */
static int find_by_release(const struct kt_kernelstore *store, const char *release,
			   struct kt_digest *digest, struct kt_err *err)
{
	KT_AUTO_FREE struct kt_kernelstore_name *names = NULL;
	struct kt_kernelstore_record record;
	char path[PATH_MAX];
	size_t n = 0;
	int r = kt_kernelstore_list(store, &names, &n, err);

	for (size_t i = 0; i < n && !r; i++) {
		if (kt_kernelstore_find_image(store, &names[i].digest, &record, path, NULL) ||
		    strcmp(record.release, release) != 0)
			continue;
		*digest = names[i].digest;
		return 0;
	}
	return r ? r : kt_err_set(err, KT_FAULT_INPUT, ENOENT, "no release %s", release);
}

/* What is here already and has no name of Debian's, which may be out of date. */
static int find_stored(const char *state_dir, const char *word, struct kt_kernels_image *image,
		       struct kt_err *err)
{
	KT_AUTO(kt_kernelstore_close) struct kt_kernelstore store = { .lock_fd = -1 };
	struct kt_kernelstore_name name = { 0 };
	struct kt_kernelstore_record record;
	int r = kt_kernelstore_open(state_dir, &store, err);

	if (r)
		return r;
	r = -ENOENT;
	if (kt_kernelstore_check_name(word, NULL) == 0 && !strchr(word, '/'))
		r = kt_kernelstore_find_name(&store, word, &name, err);
	if (r == -ENOENT && is_hex(word))
		r = find_by_digits(&store, word, &name.digest, err);
	if (r == -ENOENT)
		r = find_by_release(&store, word, &name.digest, err);
	if (!r)
		r = kt_kernelstore_find_image(&store, &name.digest, &record, image->path, err);
	if (!r)
		fill(&record, name.resolved_at_ns, image);
	return r;
}

int kt_kernels_find(const char *state_dir, const char *word, kt_kernels_progress *progress,
		    void *arg, struct kt_kernels_image *image, struct kt_err *err)
{
	struct kt_kernels_source source = { 0 };
	char words[2 * KT_NAME_BYTES_MAX];
	char *slash;
	int r;

	*image = (struct kt_kernels_image){ 0 };
	if (*word == '/' || *word == '.' || access(word, F_OK) == 0) {
		source.path = word;
		return kt_kernels_get(state_dir, &source, progress, arg, image, err);
	}
	r = find_stored(state_dir, word, image, err);
	if (r != -ENOENT)
		return r;
	if (kt_kernelstore_check_name(word, NULL))
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "no kernel '%.100s': it is no file, nothing that `ktcoord "
				  "kernels list` shows, and no name of a Debian suite",
				  word);
	snprintf(words, sizeof words, "%s", word);
	slash = strchr(words, '/');
	if (slash)
		*slash = 0;
	source.suite = words;
	source.package = slash ? slash + 1 : NULL;
	return kt_kernels_get(state_dir, &source, progress, arg, image, err);
}

/* ---- the commands ---- */

static int flushed(FILE *out, struct kt_err *err)
{
	if (fflush(out) != 0 || ferror(out))
		return kt_err_sys(err, KT_FAULT_HOST, errno ? errno : EIO, "writing the result");
	return 0;
}

static struct json_object *image_json(const char *name, const struct kt_kernels_image *image)
{
	struct json_object *object = json_object_new_object();
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(&image->digest, hex);
	if (name[0])
		json_object_object_add(object, "name", json_object_new_string(name));
	json_object_object_add(object, "version", json_object_new_string(image->version));
	json_object_object_add(object, "package", json_object_new_string(image->package));
	json_object_object_add(object, "digest", json_object_new_string(hex));
	json_object_object_add(object, "bytes", json_object_new_int64((int64_t)image->bytes));
	json_object_object_add(object, "sched_ext",
			       json_object_new_string(kt_kernels_ext_name(image->has_sched_ext)));
	json_object_object_add(object, "resolved_at_ns",
			       json_object_new_int64(image->resolved_at_ns));
	json_object_object_add(object, "path", json_object_new_string(image->path));
	if (image->offline)
		json_object_object_add(object, "offline", json_object_new_boolean(true));
	return object;
}

static void print_json(FILE *out, struct json_object *object)
{
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void print_image(FILE *out, bool json, const char *name,
			const struct kt_kernels_image *image)
{
	char hex[KT_DIGEST_HEX_BYTES];

	if (json) {
		print_json(out, image_json(name, image));
		return;
	}
	kt_digest_hex(&image->digest, hex);
	fprintf(out, "%s %s\n  digest    %s\n  size      %.1f MB\n  sched_ext %s\n  path      %s\n",
		name, image->version[0] ? image->version : "(release unknown)", hex,
		(double)image->bytes / 1e6, kt_kernels_ext_name(image->has_sched_ext), image->path);
	if (image->package[0])
		fprintf(out, "  package   %s\n", image->package);
}

int kt_kernels_command_get(const char *state_dir, const struct kt_kernels_source *source, bool json,
			   kt_kernels_progress *progress, void *arg, FILE *out, struct kt_err *err)
{
	struct kt_kernels_image image;
	char name[2 * KT_NAME_BYTES_MAX] = "";
	int r = kt_kernels_get(state_dir, source, progress, arg, &image, err);

	if (r)
		return r;
	if (source->suite)
		snprintf(name, sizeof name, "%s/%s", source->suite,
			 source->package ? source->package : PACKAGE_DEFAULT);
	else
		snprintf(name, sizeof name, "%s", source->path);
	print_image(out, json, name, &image);
	return flushed(out, err);
}

int kt_kernels_command_list(const char *state_dir, bool json, FILE *out, struct kt_err *err)
{
	KT_AUTO(kt_kernelstore_close) struct kt_kernelstore store = { .lock_fd = -1 };
	KT_AUTO_FREE struct kt_kernelstore_name *names = NULL;
	struct json_object *array;
	size_t n = 0, shown = 0;
	int r = kt_kernelstore_open(state_dir, &store, err);

	if (!r)
		r = kt_kernelstore_list(&store, &names, &n, err);
	if (r)
		return r;
	array = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		char hex[KT_DIGEST_HEX_BYTES], old[KT_DURATION_TEXT_BYTES];
		struct kt_kernels_image image = { 0 };
		struct kt_kernelstore_record record;
		struct kt_err why;

		kt_digest_hex(&names[i].digest, hex);
		if (kt_kernelstore_find_image(&store, &names[i].digest, &record, image.path,
					      &why)) {
			if (!json)
				fprintf(out, "%-44s damaged: %s\n", names[i].name, why.text);
			continue;
		}
		fill(&record, names[i].resolved_at_ns, &image);
		if (json) {
			json_object_array_add(array, image_json(names[i].name, &image));
			continue;
		}
		if (shown++ == 0)
			fprintf(out, "%-44s %-28s %-12s %9s %-9s %s\n", "NAME", "VERSION", "DIGEST",
				"SIZE", "SCHED_EXT", "AGE");
		fprintf(out, "%-44s %-28s %.*s %6.1f MB %-9s %s\n",
			names[i].name[0] ? names[i].name : "-",
			image.version[0] ? image.version : "?", DIGEST_SHOWN, hex,
			(double)image.bytes / 1e6, kt_kernels_ext_name(image.has_sched_ext),
			age(image.resolved_at_ns, old));
	}
	if (json)
		print_json(out, kt_take(&array));
	else if (n == 0)
		fprintf(out, "no kernels yet: ktcoord kernels get --suite sid\n");
	json_object_put(array);
	return flushed(out, err);
}

static int copy_image(int from, int to, struct kt_err *err)
{
	char block[64 << 10];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, block, sizeof block, at)) != 0) {
		if (n < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "reading the image");
		for (ssize_t done = 0; done < n;) {
			ssize_t wrote = write(to, block + done, (size_t)(n - done));

			if (wrote < 0)
				return kt_err_sys(err, KT_FAULT_HOST, errno, "copying the image");
			done += wrote;
		}
		at += n;
	}
	return 0;
}

int kt_kernels_command_add(const char *state_dir, const char *name, const char *path, bool json,
			   FILE *out, struct kt_err *err)
{
	KT_AUTO(kt_kernelstore_close) struct kt_kernelstore store = { .lock_fd = -1 };
	struct kt_kernelstore_name entry = { .resolved_at_ns = kt_clock_wall_ns() };
	struct kt_kernelstore_record record = { 0 };
	struct kt_kernels_image image = { 0 };
	KT_AUTO_FD int from = -1;
	KT_AUTO_FD int fd = -1;
	char draft[PATH_MAX];
	int r = kt_kernelstore_check_name(name, err);

	if (r)
		return r;
	if (strchr(name, '/'))
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"\"%.100s\" looks like suite/package: an added kernel has a name without /",
			name);
	from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (from < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "opening the kernel %s", path);
	if (look_at(from, &image, err))
		return kt_err_wrap(err, "%s", path);
	r = kt_kernelstore_open(state_dir, &store, err);
	if (!r)
		r = kt_kernelstore_lock(&store, NULL, NULL, err);
	if (r)
		return r;
	/* an image that is known keeps its record: it says more */
	if (kt_kernelstore_find_image(&store, &image.digest, &record, image.path, NULL)) {
		r = kt_kernelstore_draft(&store, &fd, draft, err);
		if (!r)
			r = copy_image(from, fd, err);
		if (!r && look_at(fd, &image, err)) /* of the copy: the file may have changed */
			r = kt_err_wrap(err, "%s", path);
		record = (struct kt_kernelstore_record){ .digest = image.digest,
							 .bytes = image.bytes,
							 .fetched_at_ns = entry.resolved_at_ns };
		snprintf(record.release, sizeof record.release, "%s", image.version);
		if (!r)
			r = kt_kernelstore_keep(&store, draft, fd, &record, err);
		if (!r)
			r = kt_kernelstore_find_image(&store, &record.digest, &record, image.path,
						      err);
		if (r) {
			if (fd >= 0)
				unlink(draft);
			return r;
		}
	}
	fill(&record, entry.resolved_at_ns, &image);
	snprintf(entry.name, sizeof entry.name, "%s", name);
	entry.digest = record.digest;
	r = kt_kernelstore_set_name(&store, &entry, err);
	if (r)
		return r;
	print_image(out, json, name, &image);
	return flushed(out, err);
}

/* By name first; then digits, which must mean one image only. */
static int remove_which(const struct kt_kernelstore *store, const char *which,
			struct kt_digest *digest, struct kt_err *err)
{
	struct kt_kernelstore_name name;
	int r = -ENOENT;

	if (kt_kernelstore_check_name(which, NULL) == 0 &&
	    kt_kernelstore_find_name(store, which, &name, NULL) == 0) {
		*digest = name.digest;
		return kt_kernelstore_remove_name(store, which, err);
	}
	if (is_hex(which))
		r = find_by_digits(store, which, digest, err);
	if (r == -ENOENT)
		return kt_err_set(
			err, KT_FAULT_INPUT, ENOENT,
			"no kernel here is called \"%.100s\" (ktcoord kernels list shows them)",
			which);
	return r ? r : kt_kernelstore_remove_image(store, digest, err);
}

int kt_kernels_command_remove(const char *state_dir, const char *which, bool json, FILE *out,
			      struct kt_err *err)
{
	KT_AUTO(kt_kernelstore_close) struct kt_kernelstore store = { .lock_fd = -1 };
	char hex[KT_DIGEST_HEX_BYTES];
	struct kt_digest digest;
	int r = kt_kernelstore_open(state_dir, &store, err);

	if (!r)
		r = kt_kernelstore_lock(&store, NULL, NULL, err);
	if (!r)
		r = remove_which(&store, which, &digest, err);
	if (r)
		return r;
	kt_digest_hex(&digest, hex);
	if (json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "removed", json_object_new_string(which));
		json_object_object_add(object, "digest", json_object_new_string(hex));
		print_json(out, object);
	} else {
		fprintf(out, "removed %s (%.*s)\n", which, DIGEST_SHOWN, hex);
	}
	return flushed(out, err);
}
