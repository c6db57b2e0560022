#include "worker/cache.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "worker/core/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <uthash.h>
#include <utlist.h>

#define POLL_MS           50 /* how often waiting entries are looked at */
#define ENTRIES_MAX       4096 /* that are remembered although nobody uses them */
#define PIECE_BYTES_MIN   (8u << 10)
#define PIECE_BYTES_FIRST (16u << 10)
/* A piece should take a line about so long: short enough to be well within every patience, long enough to be worth its
 * question.
 */
#define PIECE_NS          (500 * KT_NS_PER_MS)

/* idle --> (waiting) --> checking ------------------------> here
 *              |             | does not match: it is rotten
 *              v             v
 *          fetching --> verifying --> here
 * failed: until nobody wants it any more, then idle again.
 */
enum entry_state { IDLE, WAITING, CHECKING, FETCHING, VERIFYING, HERE, FAILED };

struct entry {
	struct kt_digest digest; /* key */
	struct kt_cache *cache;
	UT_hash_handle hh;
	uint64_t bytes;
	char *path, *part;
	enum entry_state state;
	size_t users;
	int fd; /* of the .part file (exclusive lock) or of the artifact (shared lock) */
	uint64_t received, asked; /* bytes */
	size_t n_asked; /* pieces asked for and not here yet */
	int64_t heard_ns; /* moment of the last word about it */
	int64_t stalled_ns; /* moment of the last complaint */
	bool is_fresh; /* all of the .part file came in this life */
	bool was_spoilt; /* and did not match once */
	/* A file under the artifact's name that does not hold it: it is taken away under the fetch lock. */
	bool is_rotten;
	struct stat rotten_stat;
	/* What was verified in this life. */
	bool verified;
	struct stat verified_stat;
	enum kt_cause_id cause;
	struct kt_err err;
	/* the thread's work; the entry is not touched by the loop while it is under way */
	uv_work_t work;
	bool working;
	int work_ret;
	bool work_matches;
	struct kt_err work_err;
};

struct kt_cache_want {
	struct kt_cache *cache;
	struct kt_cache_want *prev, *next;
	struct entry **entries;
	size_t n;
	kt_cache_done *done;
	void *arg;
	bool told;
};

struct kt_cache {
	uv_loop_t *loop;
	struct kt_cache_config config;
	char *dir;
	struct entry *entries; /* hash */
	struct kt_cache_want *wants; /* in order */
	uv_timer_t timer;
	bool is_up, closing, timer_closed;
	size_t works;
	size_t n_asked; /* pieces of all entries: at most KT_FETCH_WINDOW */
	uint64_t
		piece_bytes; /* how much is asked for at once: as much as the line carries in PIECE_NS */
	struct kt_shelf shelf;
	int64_t piece_ns; /* moment of the last piece or, when nothing was asked, of the question */
};

/* ---- opening, closing ---- */

static void on_timer(uv_timer_t *timer);
static void find_all(struct kt_cache *cache);

int kt_cache_open(uv_loop_t *loop, const struct kt_cache_config *config, struct kt_cache **cache_p,
		  struct kt_err *err)
{
	struct kt_cache *cache;

	if (mkdir(config->dir, 0755) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", config->dir);
	cache = kt_must_calloc(1, sizeof(*cache));
	cache->loop = loop;
	cache->config = *config;
	cache->dir = kt_must_strdup(config->dir);
	cache->piece_bytes = PIECE_BYTES_FIRST;
	find_all(cache);
	uv_timer_init(loop, &cache->timer);
	cache->timer.data = cache;
	*cache_p = cache;
	return 0;
}

static void free_entry(struct entry *entry);

static void free_cache(struct kt_cache *cache)
{
	struct entry *entry, *next;

	if (!cache->closing || !cache->timer_closed || cache->works > 0)
		return;
	HASH_ITER (hh, cache->entries, entry, next) {
		free_entry(entry);
	}
	free(cache->dir);
	free(cache);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct kt_cache *cache = handle->data;

	cache->timer_closed = true;
	free_cache(cache);
}

void kt_cache_destroy(struct kt_cache **cache_p)
{
	struct kt_cache *cache = kt_take(cache_p);

	if (!cache)
		return;
	cache->closing = true;
	while (cache->wants) {
		struct kt_cache_want *want = cache->wants;

		kt_cache_drop(&want);
	}
	uv_close((uv_handle_t *)&cache->timer, on_timer_closed);
}

/* ---- eviction ---- */

struct old {
	char name[KT_DIGEST_HEX_BYTES + 16];
	uint64_t bytes;
	int64_t used_s;
};

static int by_use(const void *a, const void *b)
{
	const struct old *x = a, *y = b;

	return x->used_s < y->used_s ? -1 : x->used_s > y->used_s;
}

static bool try_evict(int dirfd, const struct old *old)
{
	KT_AUTO_FD int fd = openat(dirfd, old->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat opened, named;

	/* Whoever uses it, we included, holds a shared lock. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	/* Another file may have got the name before we had the lock. */
	if (fstat(fd, &opened) < 0 || fstatat(dirfd, old->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    opened.st_ino != named.st_ino)
		return false;
	return unlinkat(dirfd, old->name, 0) == 0;
}

/* An artifact, a template (worker/stock.h), or one of them on its way. */
static bool is_ours(const char *name)
{
	static const char *const suffixes[] = { "", ".part", ".template", ".template.part" };

	if (strspn(name, "0123456789abcdef") != KT_DIGEST_HEX_BYTES - 1)
		return false;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (strcmp(name + KT_DIGEST_HEX_BYTES - 1, suffixes[i]) == 0)
			return true;
	return false;
}

static size_t list_all(DIR *dir, struct old **olds_p, uint64_t *total)
{
	struct old *olds = NULL;
	size_t n = 0, cap = 0;
	struct dirent *item;

	while ((item = readdir(dir))) {
		struct stat stat;

		if (!is_ours(item->d_name) ||
		    fstatat(dirfd(dir), item->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(stat.st_mode))
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 64;
			olds = kt_must_realloc(olds, cap, sizeof(*olds));
		}
		olds[n] = (struct old){ .bytes = (uint64_t)stat.st_size,
					.used_s = stat.st_atim.tv_sec };
		memcpy(olds[n].name, item->d_name, strlen(item->d_name) + 1); /* is_ours() */
		*total += olds[n++].bytes;
	}
	if (n)
		qsort(olds, n, sizeof(*olds), by_use);
	*olds_p = olds;
	return n;
}

/* The name of an artifact that is whole begins with what SYNC tells of its digest. */
static bool begins_of(const char *name, uint8_t begins[KT_CACHED_BYTES])
{
	if (strlen(name) != KT_DIGEST_HEX_BYTES - 1)
		return false;
	for (size_t i = 0; i < KT_CACHED_BYTES; i++) {
		unsigned int byte;

		if (sscanf(name + 2 * i, "%2x", &byte) != 1)
			return false;
		begins[i] = (uint8_t)byte;
	}
	return true;
}

/* Once, at the start: from then on the shelf is kept as things come and go. */
static void find_all(struct kt_cache *cache)
{
	DIR *dir = opendir(cache->dir);
	KT_AUTO_FREE struct old *olds = NULL;
	uint8_t begins[KT_CACHED_BYTES];
	uint64_t total = 0;
	size_t n;

	if (!dir)
		return;
	n = list_all(dir, &olds, &total);
	closedir(dir);
	for (size_t i = 0; i < n; i++)
		if (begins_of(olds[i].name, begins))
			kt_shelf_use(&cache->shelf, begins);
}

struct kt_bin kt_cache_told(const struct kt_cache *cache)
{
	return kt_shelf_tell(&cache->shelf);
}

/* Makes room for bytes more, as far as that is possible; true when something went. shelf: may be NULL. */
static bool evict(const char *path, uint64_t bytes_max, uint64_t bytes, bool at_least_one,
		  struct kt_shelf *shelf)
{
	DIR *dir = opendir(path);
	KT_AUTO_FREE struct old *olds = NULL;
	uint8_t begins[KT_CACHED_BYTES];
	uint64_t total = bytes;
	bool went = false;
	size_t n;

	if (!dir)
		return false;
	n = list_all(dir, &olds, &total);
	for (size_t i = 0; i < n && (total > bytes_max || (at_least_one && !went)); i++) {
		if (!try_evict(dirfd(dir), &olds[i]))
			continue;
		total -= olds[i].bytes;
		went = true;
		if (shelf && begins_of(olds[i].name, begins))
			kt_shelf_drop(shelf, begins);
	}
	closedir(dir);
	return went;
}

void kt_cache_make_room(const char *dir, uint64_t bytes_max, uint64_t bytes)
{
	evict(dir, bytes_max, bytes, false, NULL);
}

/* ---- one entry ---- */

static void look_at(struct entry *entry);
static void tell_wants(struct kt_cache *cache);

/* What was asked is not waited for any more; its answers find nobody. */
static void forget_asked(struct entry *entry)
{
	kt_must(entry->cache->n_asked >= entry->n_asked);
	entry->cache->n_asked -= entry->n_asked;
	entry->n_asked = 0;
	entry->asked = entry->received;
}

static void fail(struct entry *entry, enum kt_cause_id cause)
{
	forget_asked(entry);
	kt_own_close(&entry->fd);
	entry->state = FAILED;
	entry->cause = cause;
}

static enum kt_cause_id cause_of(const struct kt_err *err)
{
	return err->code == ENOSPC || err->code == EDQUOT ? KT_CAUSE_ID_disk_full
							  : KT_CAUSE_ID_host_trouble;
}

/* In the thread: does the file hold what its name says? If it is complete now, give it its name. */
static void work_run(uv_work_t *work)
{
	struct entry *entry = work->data;
	struct kt_digest digest;
	uint64_t bytes = 0;
	KT_AUTO_FD int dir = -1;

	entry->work_matches = false;
	entry->work_ret = kt_digest_of_fd(entry->fd, &digest, &bytes, &entry->work_err);
	if (entry->work_ret < 0)
		return;
	entry->work_matches = bytes == entry->bytes && kt_digest_equal(&digest, &entry->digest);
	if (!entry->work_matches || entry->state == CHECKING)
		return;
	dir = open(entry->cache->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fchmod(entry->fd, 0644) < 0 || fsync(entry->fd) < 0 ||
	    rename(entry->part, entry->path) < 0 || fsync(dir) < 0) {
		entry->work_ret = kt_err_sys(&entry->work_err, KT_FAULT_HOST, errno, "keeping %s",
					     entry->path);
		/* After a failed fsync memory holds what the disk does not, and another fsync would not say so. */
		unlink(entry->part);
	}
}

static void here(struct entry *entry)
{
	static const struct timespec used_now[2] = { { .tv_nsec = UTIME_NOW },
						     { .tv_nsec = UTIME_OMIT } };

	/* An exclusive lock becomes a shared one; it was ours alone, so this cannot wait. */
	flock(entry->fd, LOCK_SH | LOCK_NB);
	futimens(entry->fd, used_now);
	fstat(entry->fd, &entry->verified_stat);
	entry->verified = true;
	entry->was_spoilt = false;
	entry->is_rotten = false;
	if (entry->state != CHECKING) {
		char hex[KT_DIGEST_HEX_BYTES];

		kt_digest_hex(&entry->digest, hex);
		KT_LOG("artifact_fetched", "digest=%s bytes=%" PRIu64, hex, entry->bytes);
	}
	entry->state = HERE;
	kt_shelf_use(&entry->cache->shelf, entry->digest.bytes);
}

/* What was lying here costs nothing: it is fetched anew. Nor does what this life fetched, once. */
static void mismatch(struct entry *entry)
{
	entry->verified = false;
	if (entry->state == CHECKING) {
		entry->is_rotten = fstat(entry->fd, &entry->rotten_stat) == 0;
		kt_own_close(&entry->fd);
		entry->state = WAITING;
		return;
	}
	unlink(entry->part);
	if (entry->is_fresh && entry->was_spoilt) {
		kt_err_set(&entry->err, KT_FAULT_HOST, EBADMSG,
			   "artifact %s: its bytes do not match its digest, twice", entry->path);
		fail(entry, KT_CAUSE_ID_artifact_corrupt);
		return;
	}
	entry->was_spoilt |= entry->is_fresh;
	kt_own_close(&entry->fd);
	entry->state = WAITING;
}

static void work_done(uv_work_t *work, int status)
{
	struct entry *entry = work->data;
	struct kt_cache *cache = entry->cache;

	entry->working = false;
	cache->works--;
	if (cache->closing) {
		free_cache(cache);
		return;
	}
	if (status < 0 || entry->work_ret < 0) {
		entry->err = entry->work_err;
		fail(entry, cause_of(&entry->err));
	} else if (entry->work_matches) {
		here(entry);
	} else {
		mismatch(entry);
	}
	if (entry->users == 0) {
		kt_own_close(&entry->fd);
		entry->state = IDLE;
		return;
	}
	look_at(entry);
	tell_wants(cache);
}

static void work(struct entry *entry, enum entry_state state)
{
	entry->state = state;
	entry->working = true;
	entry->work_err = (struct kt_err){ 0 };
	entry->work.data = entry;
	entry->cache->works++;
	uv_queue_work(entry->cache->loop, &entry->work, work_run, work_done);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Takes the artifact if somebody has put it there. */
static bool try_pin(struct entry *entry)
{
	KT_AUTO_FD int fd =
		open(entry->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat open_stat, path_stat;

	if (fd < 0 && errno != ENOENT && errno != ELOOP) {
		kt_err_sys(&entry->err, KT_FAULT_HOST, errno, "opening %s", entry->path);
		fail(entry, cause_of(&entry->err));
		return true;
	}
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		return false;
	/* Evicted between open and flock? */
	if (fstat(fd, &open_stat) < 0 || stat(entry->path, &path_stat) < 0 ||
	    open_stat.st_ino != path_stat.st_ino || !S_ISREG(open_stat.st_mode))
		return false;
	if (entry->is_rotten && same_file(&entry->rotten_stat, &open_stat))
		return false;
	entry->fd = kt_own_take_fd(&fd);
	if (entry->verified && same_file(&entry->verified_stat, &open_stat))
		here(entry);
	else
		work(entry, CHECKING);
	return true;
}

/* As far as credit goes, which all entries share. */
static void ask(struct entry *entry)
{
	struct kt_cache *cache = entry->cache;

	while (cache->is_up && entry->asked < entry->bytes && cache->n_asked < KT_FETCH_WINDOW) {
		uint64_t left = entry->bytes - entry->asked;
		struct kt_msg_fetch fetch = {
			.digest = { entry->digest.bytes, KT_DIGEST_BYTES },
			.offset = entry->asked,
			.len = left < cache->piece_bytes ? left : cache->piece_bytes,
		};

		if (cache->config.ask(cache->config.arg, &fetch) < 0)
			return;
		if (cache->n_asked == 0)
			cache->piece_ns = kt_clock_now_ns();
		if (entry->n_asked == 0)
			entry->heard_ns = entry->stalled_ns = kt_clock_now_ns();
		entry->asked += fetch.len;
		entry->n_asked++;
		cache->n_asked++;
	}
}

/* This one first, then whoever else waits for credit. */
static void ask_all(struct entry *first)
{
	struct kt_cache *cache = first->cache;
	struct entry *entry, *next;

	if (first->state == FETCHING)
		ask(first);
	HASH_ITER (hh, cache->entries, entry, next) {
		if (cache->n_asked >= KT_FETCH_WINDOW)
			return;
		if (entry->state == FETCHING)
			ask(entry);
	}
}

/* Begins to fetch unless somebody else does. */
static bool try_fetch(struct entry *entry)
{
	KT_AUTO_FD int fd = open(entry->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct stat open_stat, path_stat;

	if (fd < 0) {
		kt_err_sys(&entry->err, KT_FAULT_HOST, errno, "making %s", entry->part);
		fail(entry, cause_of(&entry->err));
		return true;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	/* Finished or given up by another one in between? */
	if (fstat(fd, &open_stat) < 0 || stat(entry->part, &path_stat) < 0 ||
	    open_stat.st_ino != path_stat.st_ino)
		return false;
	/* Names change hands under this lock only: what is rotten still is what we looked at. */
	if (lstat(entry->path, &path_stat) == 0) {
		bool is_rotten = entry->is_rotten && same_file(&entry->rotten_stat, &path_stat);

		if (S_ISREG(path_stat.st_mode) && !is_rotten)
			return false;
		unlink(entry->path); /* a folder stays, and the rename will say so */
	}
	entry->received = (uint64_t)open_stat.st_size;
	if (entry->received > entry->bytes && ftruncate(fd, 0) == 0)
		entry->received = 0;
	entry->asked = entry->received;
	entry->is_fresh = entry->received == 0;
	entry->fd = kt_own_take_fd(&fd);
	entry->state = FETCHING;
	evict(entry->cache->dir, entry->cache->config.bytes_max,
	      entry->received < entry->bytes ? entry->bytes - entry->received : 0, false,
	      &entry->cache->shelf);
	if (entry->received >= entry->bytes)
		work(entry, VERIFYING);
	else
		ask(entry);
	return true;
}

static void watch_fetch(struct entry *entry)
{
	struct kt_cache *cache = entry->cache;
	int64_t now_ns = kt_clock_now_ns();

	/* Who has asked for nothing waits for credit, and cannot be kept waiting by the other side. */
	if (!cache->is_up || entry->n_asked == 0) {
		ask(entry);
		return;
	}
	if (now_ns - entry->heard_ns > KT_CACHE_GIVE_UP_NS) {
		kt_err_set(&entry->err, KT_FAULT_PEER, ETIMEDOUT,
			   "artifact %s: no piece came for %d s", entry->path,
			   (int)(KT_CACHE_GIVE_UP_NS / KT_NS_PER_S));
		fail(entry, KT_CAUSE_ID_artifact_missing);
		return;
	}
	if (now_ns - entry->heard_ns > KT_CACHE_STALL_NS &&
	    now_ns - entry->stalled_ns > KT_CACHE_STALL_NS) {
		entry->stalled_ns = now_ns;
		if (cache->config.stalled)
			cache->config.stalled(cache->config.arg);
	}
}

static void look_at(struct entry *entry)
{
	if (entry->working)
		return;
	if (entry->state == WAITING && !try_pin(entry))
		try_fetch(entry);
	else if (entry->state == FETCHING)
		watch_fetch(entry);
}

static void free_entry(struct entry *entry)
{
	HASH_DEL(entry->cache->entries, entry);
	kt_own_close(&entry->fd);
	free(entry->path);
	free(entry->part);
	free(entry);
}

/* What was verified in this life is remembered; of a worker that lives for months not for ever. */
static void forget_one(struct kt_cache *cache)
{
	struct entry *entry, *next;

	if (HASH_COUNT(cache->entries) < ENTRIES_MAX)
		return;
	HASH_ITER (hh, cache->entries, entry, next) {
		if (entry->users > 0 || entry->working)
			continue;
		free_entry(entry);
		return;
	}
}

static struct entry *entry_of(struct kt_cache *cache, const struct kt_job_artifact *artifact)
{
	char hex[KT_DIGEST_HEX_BYTES];
	struct entry *entry;

	HASH_FIND(hh, cache->entries, &artifact->digest, sizeof(artifact->digest), entry);
	if (entry)
		return entry;
	forget_one(cache);
	entry = kt_must_calloc(1, sizeof(*entry));
	entry->digest = artifact->digest;
	entry->cache = cache;
	entry->fd = -1;
	kt_digest_hex(&entry->digest, hex);
	entry->path = kt_must_asprintf("%s/%s", cache->dir, hex);
	entry->part = kt_must_asprintf("%s/%s.part", cache->dir, hex);
	HASH_ADD(hh, cache->entries, digest, sizeof(entry->digest), entry);
	return entry;
}

static void use(struct entry *entry, uint64_t bytes)
{
	if (entry->users++ > 0)
		return;
	if (entry->working) /* somebody gave it up while the thread was at it */
		return;
	entry->bytes = bytes;
	entry->was_spoilt = false;
	entry->err = (struct kt_err){ 0 };
	entry->state = WAITING;
}

static void unuse(struct entry *entry)
{
	kt_must(entry->users > 0);
	if (--entry->users > 0 || entry->working)
		return;
	forget_asked(entry);
	kt_own_close(&entry->fd);
	entry->state = IDLE;
}

/* ---- wants ---- */

struct kt_cache_want *kt_cache_want(struct kt_cache *cache, const struct kt_job_artifact *artifacts,
				    size_t n, kt_cache_done *done, void *arg)
{
	struct kt_cache_want *want = kt_must_calloc(1, sizeof(*want));

	want->cache = cache;
	want->entries = kt_must_calloc(n + 1, sizeof(*want->entries));
	want->n = n;
	want->done = done;
	want->arg = arg;
	for (size_t i = 0; i < n; i++) {
		want->entries[i] = entry_of(cache, &artifacts[i]);
		use(want->entries[i], artifacts[i].bytes);
	}
	DL_APPEND(cache->wants, want);
	uv_timer_start(&cache->timer, on_timer, 0, POLL_MS);
	return want;
}

void kt_cache_drop(struct kt_cache_want **want_p)
{
	struct kt_cache_want *want = kt_take(want_p);

	if (!want)
		return;
	DL_DELETE(want->cache->wants, want);
	for (size_t i = 0; i < want->n; i++)
		unuse(want->entries[i]);
	free(want->entries);
	free(want);
}

static const struct entry *first_failed(const struct kt_cache_want *want, bool *all_here)
{
	*all_here = true;
	for (size_t i = 0; i < want->n; i++) {
		if (want->entries[i]->state == FAILED)
			return want->entries[i];
		*all_here = *all_here && want->entries[i]->state == HERE;
	}
	return NULL;
}

static void tell(struct kt_cache_want *want, const struct entry *failed)
{
	KT_AUTO_FREE const char **paths = kt_must_calloc(want->n + 1, sizeof(*paths));

	want->told = true;
	for (size_t i = 0; i < want->n; i++)
		paths[i] = want->entries[i]->path;
	if (failed) {
		enum kt_cause_id cause = failed->cause;
		struct kt_err err = failed->err;

		want->done(want->arg, NULL, 0, cause, &err);
	} else {
		want->done(want->arg, paths, want->n, KT_CAUSE_ID_N, NULL);
	}
}

/* done() may drop any want, so the list is walked anew after each call. */
static void tell_wants(struct kt_cache *cache)
{
	for (struct kt_cache_want *want = cache->wants; want;) {
		bool all_here;
		const struct entry *failed = first_failed(want, &all_here);

		if (want->told || (!failed && !all_here)) {
			want = want->next;
			continue;
		}
		tell(want, failed);
		want = cache->wants;
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct kt_cache *cache = timer->data;
	struct entry *entry, *next;
	bool busy = false;

	HASH_ITER (hh, cache->entries, entry, next) {
		if (entry->users > 0)
			look_at(entry);
	}
	tell_wants(cache);
	for (struct kt_cache_want *want = cache->wants; want; want = want->next)
		busy = busy || !want->told;
	if (!busy)
		uv_timer_stop(timer);
}

/* ---- the wire ---- */

void kt_cache_link(struct kt_cache *cache, bool is_up)
{
	struct entry *entry, *next;

	cache->is_up = is_up;
	cache->piece_bytes =
		PIECE_BYTES_FIRST; /* it may have broken under pieces too large for it */
	/* What was asked over the old connection is not answered any more. */
	HASH_ITER (hh, cache->entries, entry, next) {
		if (entry->state == FETCHING)
			forget_asked(entry);
	}
	HASH_ITER (hh, cache->entries, entry, next) {
		if (entry->state == FETCHING)
			ask(entry);
	}
}

static int write_all(int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Pieces come one after the other, so the time between two is what the line takes for one. */
static void size_pieces(struct kt_cache *cache, int64_t now_ns, uint64_t bytes)
{
	double took_ns = (double)(now_ns - cache->piece_ns);
	double next_ns = took_ns * (double)cache->piece_bytes / (double)bytes;

	if (next_ns > 2 * PIECE_NS && cache->piece_bytes > PIECE_BYTES_MIN)
		cache->piece_bytes /= 2;
	else if (2 * next_ns < PIECE_NS && cache->piece_bytes < KT_CHUNK_BYTES_MAX)
		cache->piece_bytes *= 2;
	cache->piece_ns = now_ns;
}

/* Credit is given when a piece is written, not when it has come. */
static void take_body(struct entry *entry, const struct kt_bin *body)
{
	int ret = write_all(entry->fd, body->data, body->len, entry->received);

	while (ret == -ENOSPC && evict(entry->cache->dir, entry->cache->config.bytes_max, 0, true,
				       &entry->cache->shelf))
		ret = write_all(entry->fd, body->data, body->len, entry->received);
	if (ret < 0) {
		kt_err_sys(&entry->err, KT_FAULT_HOST, -ret, "writing %s", entry->part);
		fail(entry, cause_of(&entry->err));
		return;
	}
	entry->received += body->len;
	entry->n_asked--;
	entry->cache->n_asked--;
	if (entry->received == entry->asked)
		forget_asked(entry); /* whatever pieces it came in */
	if (entry->received == entry->bytes)
		work(entry, VERIFYING);
	ask_all(entry);
}

void kt_cache_chunk(struct kt_cache *cache, const struct kt_msg_chunk *chunk)
{
	int64_t now_ns = kt_clock_now_ns();
	struct entry *entry = NULL;

	if (chunk->digest.len == KT_DIGEST_BYTES)
		HASH_FIND(hh, cache->entries, chunk->digest.data, KT_DIGEST_BYTES, entry);
	/* Nobody waits for it any more, or it is the answer to a question asked twice. */
	if (!entry || entry->state != FETCHING || entry->working)
		return;
	if (*chunk->missing) {
		kt_err_set(&entry->err, KT_FAULT_PEER, ENOENT, "artifact %s: %s", entry->path,
			   chunk->missing);
		fail(entry, KT_CAUSE_ID_artifact_missing);
	} else if (chunk->total != entry->bytes) {
		kt_err_set(&entry->err, KT_FAULT_PEER, EBADMSG,
			   "artifact %s: %llu bytes at the coordinator, %llu in the job",
			   entry->path, (unsigned long long)chunk->total,
			   (unsigned long long)entry->bytes);
		fail(entry, KT_CAUSE_ID_artifact_corrupt);
	} else if (!chunk->body.len) { /* "you were heard": our turn has not come yet */
		entry->heard_ns = now_ns;
		cache->piece_ns = now_ns;
	} else if (entry->n_asked > 0 && chunk->offset == entry->received &&
		   chunk->body.len <= entry->asked - entry->received) {
		entry->heard_ns = now_ns;
		size_pieces(cache, now_ns, chunk->body.len);
		take_body(entry, &chunk->body);
	}
	if (entry->state == FAILED)
		tell_wants(cache);
}
