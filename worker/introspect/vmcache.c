#include "worker/introspect/vmcache.h"

#include "proto/base/digest.h"
#include "proto/base/must.h"
#include "proto/base/own.h"
#include "worker/introspect/bzimage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define TRAILER_MAGIC  "KTVMLNX2"
#define LANES          8
#define ODD            0x9fb21c651e98df25ull /* any odd number: times it is a permutation */
#define STALE_SECONDS  600 /* a temporary file this old has lost its writer */
#define TEMP_NAME_PART ".tmp-"

struct trailer {
	char magic[8];
	uint64_t len;
	uint64_t sum;
};

static void mix(uint64_t *lane, const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	*lane = (*lane ^ word) * ODD;
	*lane = *lane << 29 | *lane >> 35; /* what a product moves up comes down again */
}

/* Against chance, not against an enemy, and over 60 MB at every attempt: 5 ms, as fast as memory is read.
 * Each step is a permutation of its lane, so one changed word always changes the sum. Eight lanes do not
 * wait for each other's products.
 */
static uint64_t checksum(const uint8_t *bytes, size_t len)
{
	uint64_t lanes[LANES] = { 0 };
	uint8_t last[sizeof(uint64_t)] = { 0 };
	uint64_t sum = len;
	size_t at = 0;

	for (; len - at >= sizeof(lanes); at += sizeof(lanes))
		for (size_t i = 0; i < LANES; i++)
			mix(&lanes[i], bytes + at + i * sizeof(lanes[i]));
	for (; len - at >= sizeof(last); at += sizeof(last))
		mix(&sum, bytes + at);
	memcpy(last, bytes + at, len - at);
	mix(&sum, last);
	for (size_t i = 0; i < LANES; i++)
		mix(&sum, (const uint8_t *)&lanes[i]);
	return sum;
}

static int map_file(const char *path, void **map, size_t *bytes, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	if (!S_ISREG(st.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "not a regular file");
	*bytes = (size_t)st.st_size;
	if (!*bytes)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "the file is empty");
	*map = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*map == MAP_FAILED) {
		*map = NULL;
		return kt_err_sys(err, KT_FAULT_HOST, errno, "mapping %s", path);
	}
	return 0;
}

/* Maps path and checks its trailer; -ENOENT when it is not there or not whole. */
static int open_cached(const char *path, struct kt_vmcache *vmcache)
{
	struct trailer trailer;

	if (map_file(path, &vmcache->map, &vmcache->map_bytes, NULL))
		return -ENOENT;
	vmcache->bytes = vmcache->map;
	if (vmcache->map_bytes > sizeof(trailer)) {
		vmcache->len = vmcache->map_bytes - sizeof(trailer);
		memcpy(&trailer, vmcache->bytes + vmcache->len, sizeof(trailer));
		if (!memcmp(trailer.magic, TRAILER_MAGIC, sizeof(trailer.magic)) &&
		    trailer.len == vmcache->len &&
		    trailer.sum == checksum(vmcache->bytes, vmcache->len))
			return 0;
	}
	munmap(vmcache->map, vmcache->map_bytes);
	vmcache->map = NULL;
	return -ENOENT;
}

static void dir_destroy(DIR **dir_p)
{
	if (*dir_p)
		closedir(*dir_p);
}

/* Writers that were killed leave temporary files behind; the next writer takes them away. */
static void sweep(const char *cache_dir)
{
	KT_AUTO(dir_destroy) DIR *dir = opendir(cache_dir);
	struct dirent *entry;
	struct stat st;

	while (dir && (entry = readdir(dir))) {
		if (!strncmp(entry->d_name, "vmlinux-", 8) &&
		    strstr(entry->d_name, TEMP_NAME_PART) &&
		    !fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    st.st_mtime < time(NULL) - STALE_SECONDS)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

static int write_all(int fd, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len) {
		ssize_t put = write(fd, at, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

static int sync_dir(const char *path)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

static int store(const char *cache_dir, const char *path, const struct kt_buf *vmlinux,
		 struct kt_err *err)
{
	KT_AUTO_FREE char *temp = kt_must_asprintf("%s" TEMP_NAME_PART "%d-%08x", path,
						   (int)getpid(), randombytes_random());
	KT_AUTO_FD int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct trailer trailer = { .magic = TRAILER_MAGIC, .len = vmlinux->len };
	int rc;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "creating %s", temp);
	trailer.sum = checksum(vmlinux->data, vmlinux->len);
	rc = write_all(fd, vmlinux->data, vmlinux->len);
	if (!rc)
		rc = write_all(fd, &trailer, sizeof(trailer));
	if (!rc && (fchmod(fd, 0644) || fsync(fd) || rename(temp, path)))
		rc = -errno;
	if (!rc)
		rc = sync_dir(cache_dir);
	if (rc) {
		unlink(temp);
		return kt_err_sys(err, KT_FAULT_HOST, -rc, "writing %s", path);
	}
	return 0;
}

static char *path_of(const struct kt_digest *digest, const char *cache_dir)
{
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(digest, hex);
	return kt_must_asprintf("%s/vmlinux-%s", cache_dir, hex);
}

bool kt_vmcache_find(const struct kt_digest *digest, const char *cache_dir, char *path, size_t size)
{
	KT_AUTO_FREE char *name = path_of(digest, cache_dir);
	KT_AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct trailer trailer;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= (off_t)sizeof(trailer) ||
	    strlen(name) >= size)
		return false;
	if (pread(fd, &trailer, sizeof(trailer), st.st_size - (off_t)sizeof(trailer)) !=
		    sizeof(trailer) ||
	    memcmp(trailer.magic, TRAILER_MAGIC, sizeof(trailer.magic)) != 0 ||
	    trailer.len != (uint64_t)st.st_size - sizeof(trailer))
		return false;
	strcpy(path, name);
	return true;
}

static int fill(const struct kt_vmcache *image, const struct kt_digest *known,
		const char *cache_dir, struct kt_vmcache *vmcache, struct kt_err *err)
{
	KT_AUTO_BUF vmlinux = { .max = KT_BZIMAGE_VMLINUX_BYTES_MAX };
	struct kt_digest digest;
	int rc;

	if (!known)
		kt_digest_of(image->bytes, image->len, &digest);
	vmcache->path = path_of(known ? known : &digest, cache_dir);
	if (!open_cached(vmcache->path, vmcache))
		return 0;
	rc = kt_bzimage_extract(image->bytes, image->len, &vmlinux, err);
	if (rc)
		return rc;
	if (mkdir(cache_dir, 0755) && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", cache_dir);
	sweep(cache_dir);
	rc = store(cache_dir, vmcache->path, &vmlinux, err);
	if (rc)
		return rc;
	if (open_cached(vmcache->path, vmcache))
		return kt_err_set(err, KT_FAULT_HOST, EIO, "%s does not read back as written",
				  vmcache->path);
	return 0;
}

int kt_vmcache_open(const char *image, const struct kt_digest *digest, const char *cache_dir,
		    struct kt_vmcache *vmcache, struct kt_err *err)
{
	struct kt_vmcache mapped = { 0 };
	int rc;

	*vmcache = (struct kt_vmcache){ 0 };
	kt_must(sodium_init() >= 0);
	rc = map_file(image, &mapped.map, &mapped.map_bytes, err);
	if (rc)
		return rc;
	mapped.bytes = mapped.map;
	mapped.len = mapped.map_bytes;
	if (kt_bzimage_is_elf(mapped.bytes, mapped.len)) {
		mapped.path = kt_must_strdup(image);
		*vmcache = mapped;
		return 0;
	}
	rc = fill(&mapped, digest, cache_dir, vmcache, err);
	kt_vmcache_destroy(&mapped);
	if (rc)
		kt_vmcache_destroy(vmcache);
	return rc;
}

void kt_vmcache_destroy(struct kt_vmcache *vmcache)
{
	if (vmcache->map)
		munmap(vmcache->map, vmcache->map_bytes);
	free(vmcache->path);
	*vmcache = (struct kt_vmcache){ 0 };
}
