#include "coordinator/debfile.h"

#include "proto/base/buf.h"
#include "proto/base/own.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (64u << 10)

static void free_archive(struct archive **archive_p)
{
	if (*archive_p)
		archive_read_free(*archive_p);
	*archive_p = NULL;
}

#define AUTO_ARCHIVE KT_AUTO(free_archive) struct archive

/* Feeds the inner archive from the outer one's current entry. */
struct feed {
	struct archive *outer;
	char block[BLOCK_BYTES];
};

static ssize_t feed_block(struct archive *inner, void *arg, const void **bytes)
{
	struct feed *feed = arg;
	ssize_t n = archive_read_data(feed->outer, feed->block, sizeof feed->block);

	if (n < 0)
		archive_set_error(inner, EINVAL, "%s", archive_error_string(feed->outer));
	*bytes = feed->block;
	return n < 0 ? -1 : n;
}

static int unreadable(const char *path, struct archive *archive, struct kt_err *err)
{
	const char *why = archive_error_string(archive);

	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "reading %s: %s", path,
			  why ? why : "not an archive");
}

static int write_image(struct archive *inner, const char *path, int fd,
		       struct kt_debfile_found *found, struct kt_err *err)
{
	char block[BLOCK_BYTES];
	ssize_t n;

	while ((n = archive_read_data(inner, block, sizeof block)) > 0) {
		found->image_bytes += (uint64_t)n;
		if (found->image_bytes > KT_DEBFILE_IMAGE_BYTES_MAX)
			return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
					  "the image in %s is larger than %llu MiB", path,
					  KT_DEBFILE_IMAGE_BYTES_MAX >> 20);
		for (ssize_t done = 0; done < n;) {
			ssize_t wrote = write(fd, block + done, (size_t)(n - done));

			if (wrote < 0 && errno == EINTR)
				continue;
			if (wrote < 0)
				return kt_err_sys(err, KT_FAULT_HOST, errno, "writing the image");
			done += wrote;
		}
	}
	return n < 0 ? unreadable(path, inner, err) : 0;
}

static int read_config(struct archive *inner, const char *path, struct kt_debfile_found *found,
		       struct kt_err *err)
{
	KT_AUTO_BUF text = KT_BUF_MAX(KT_DEBFILE_CONFIG_BYTES_MAX);
	char block[BLOCK_BYTES];
	ssize_t n;

	while (!text.full && (n = archive_read_data(inner, block, sizeof block)) != 0) {
		if (n < 0)
			return unreadable(path, inner, err);
		kt_buf_append(&text, block, (size_t)n);
	}
	if (text.full)
		return 0; /* no config is that long */
	found->has_config = true;
	found->has_sched_ext = strstr(kt_buf_text(&text), "\nCONFIG_SCHED_CLASS_EXT=y\n") != NULL;
	return 0;
}

/* "./boot/vmlinuz-6.1.0-50-cloud-amd64" or "./usr/lib/modules/7.2.13+deb14-cloud-amd64/vmlinuz" */
static bool named(const char *path, const char *word)
{
	const char *base = strrchr(path, '/');
	size_t len = strlen(word);

	base = base ? base + 1 : path;
	if (strncmp(base, word, len) != 0)
		return false;
	return base[len] == '-' ? strstr(path, "boot/") != NULL
				: !base[len] && strstr(path, "lib/modules/") != NULL;
}

static int read_tar(struct archive *outer, const char *path, int image_fd,
		    struct kt_debfile_found *found, struct kt_err *err)
{
	KT_AUTO_FREE struct feed *feed = calloc(1, sizeof *feed);
	AUTO_ARCHIVE *inner = archive_read_new();
	struct archive_entry *entry;
	int r = ARCHIVE_OK;

	if (!feed || !inner)
		return kt_err_sys(err, KT_FAULT_HOST, ENOMEM, "reading %s", path);
	feed->outer = outer;
	archive_read_support_format_tar(inner);
	archive_read_support_filter_all(inner);
	if (archive_read_open(inner, feed, NULL, feed_block, NULL) != ARCHIVE_OK)
		return unreadable(path, inner, err);
	for (unsigned int i = 0; i < KT_DEBFILE_ENTRIES_MAX; i++) {
		const char *name;

		r = archive_read_next_header(inner, &entry);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r < ARCHIVE_WARN)
			return unreadable(path, inner, err);
		name = archive_entry_pathname(entry);
		if (!name || archive_entry_filetype(entry) != AE_IFREG)
			continue;
		r = 0;
		if (image_fd >= 0 && !found->image_bytes && named(name, "vmlinuz"))
			r = write_image(inner, path, image_fd, found, err);
		else if (!found->has_config && named(name, "config"))
			r = read_config(inner, path, found, err);
		if (r)
			return r;
	}
	return kt_err_set(err, KT_FAULT_INPUT, EFBIG, "%s holds more than %d files", path,
			  KT_DEBFILE_ENTRIES_MAX);
}

int kt_debfile_read(const char *path, int image_fd, struct kt_debfile_found *found,
		    struct kt_err *err)
{
	AUTO_ARCHIVE *outer = archive_read_new();
	struct archive_entry *entry;
	int r;

	*found = (struct kt_debfile_found){ 0 };
	if (!outer)
		return kt_err_sys(err, KT_FAULT_HOST, ENOMEM, "reading %s", path);
	archive_read_support_format_ar(outer);
	if (archive_read_open_filename(outer, path, BLOCK_BYTES) != ARCHIVE_OK)
		return unreadable(path, outer, err);
	while ((r = archive_read_next_header(outer, &entry)) != ARCHIVE_EOF) {
		const char *name;

		if (r < ARCHIVE_WARN)
			return unreadable(path, outer, err);
		name = archive_entry_pathname(entry);
		if (name && strncmp(name, "data.tar", strlen("data.tar")) == 0)
			return read_tar(outer, path, image_fd, found, err);
	}
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "%s is no Debian package: no data.tar inside", path);
}
