#include "worker/stock.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/cause.h"
#include "worker/cache.h"
#include "proto/patience.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <uthash.h>
#include <utlist.h>

#define POLL_MS      50 /* how often the lock of another maker is tried */
#define MAKES_MAX    2 /* failures in a row, then a rest */
#define RESTORES_MAX 2 /* the same of restores, then it is thrown away */
#define MAKER_END_MS 5000 /* from its last word to SIGKILL */
#define SUFFIX       ".template"
#define PART         ".template.part"
#define LOCK_WAIT_NS \
	(240 * KT_NS_PER_S) /* for another maker: longer than any boot that ends well */
#define TOUCH_NS        (60 * KT_NS_PER_S) /* between two notes on the disk that a template is in use */
#define SWOLLEN         2 /* times its size when it was sealed: then its file is worth loading anew */
#define PACKED_ESTIMATE 4 /* a template takes a quarter of its memory on disk, at most */

/* WAITING: for the lock of another process. */
enum entry_state { IDLE, WAITING, LOADING, MAKING, HERE };

struct entry {
	struct kt_digest key;
	UT_hash_handle hh;
	struct kt_stock *stock;
	struct kt_digest place;
	char *path, *part;
	enum entry_state state;
	struct kt_template *template; /* HERE: the one that new guests get */
	int64_t used_ns;
	int64_t touched_ns; /* when the disk was told, for the eviction */
	/* to make one */
	struct kt_arena arena;
	struct kt_msg_run_guest *guest;
	struct kt_template *unfinished;
	struct kt_guestproc *maker;
	struct kt_err broke; /* what the maker said */
	bool saved;
	unsigned int failures; /* in a row */
	int64_t rest_until_ns;
	struct kt_err last_err;
	int64_t began_ns;
	int64_t waiting_since_ns;
	/* the file: the part while we make it (exclusive lock), the whole one while we load it */
	int fd;
	/* the thread's; the loop keeps its hands off meanwhile */
	uv_work_t work;
	bool working, keeping;
	int work_rc;
	struct kt_err work_err;
	struct kt_template *worked; /* what it loaded, or keeps */
};

struct kt_stock_want {
	struct kt_stock_want *prev, *next;
	struct entry *entry;
	kt_stock_told *told;
	void *arg;
	uint64_t renew;
};

struct kt_stock {
	uv_loop_t *loop;
	struct kt_stock_config config;
	char *dir;
	struct entry *entries; /* hash */
	struct kt_stock_want *wants;
	uv_timer_t timer;
	size_t works;
	struct kt_template *detached; /* thrown away, and still used */
	bool closing, timer_closed;
};

/* ---- opening, closing ---- */

/* What makers left that were killed: nobody holds its lock. */
static void sweep(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		size_t len = strlen(item->d_name);
		struct stat opened;
		struct stat named;
		KT_AUTO_FD int fd = -1;

		if (len <= strlen(PART) || strcmp(item->d_name + len - strlen(PART), PART) != 0)
			continue;
		fd = openat(dirfd(dir), item->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		/* Renamed, and another one made under the name, before we had the lock? */
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 &&
		    fstatat(dirfd(dir), item->d_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		    opened.st_ino == named.st_ino)
			unlinkat(dirfd(dir), item->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

int kt_stock_open(uv_loop_t *loop, const struct kt_stock_config *config, struct kt_stock **stock_p,
		  struct kt_err *err)
{
	struct kt_stock *stock = kt_must_calloc(1, sizeof(*stock));

	stock->loop = loop;
	stock->config = *config;
	stock->dir = kt_must_strdup(config->dir);
	sweep(stock->dir);
	uv_timer_init(loop, &stock->timer);
	stock->timer.data = stock;
	*stock_p = stock;
	return 0;
}

static void free_entry(struct entry *entry)
{
	kt_template_destroy(&entry->template);
	kt_template_destroy(&entry->unfinished);
	kt_arena_destroy(&entry->arena);
	kt_own_close(&entry->fd);
	free(entry->path);
	free(entry->part);
	free(entry);
}

static void free_stock(struct kt_stock *stock)
{
	struct entry *entry;
	struct entry *next;

	if (!stock->closing || !stock->timer_closed || stock->works > 0)
		return;
	HASH_ITER (hh, stock->entries, entry, next) {
		HASH_DEL(stock->entries, entry);
		free_entry(entry);
	}
	while (stock->detached) {
		struct kt_template *template = stock->detached;

		stock->detached = template->next;
		kt_template_destroy(&template);
	}
	free(stock->dir);
	free(stock);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct kt_stock *stock = handle->data;

	stock->timer_closed = true;
	free_stock(stock);
}

void kt_stock_destroy(struct kt_stock **stock_p)
{
	struct kt_stock *stock = kt_take(stock_p);
	struct entry *entry;
	struct entry *next;

	if (!stock)
		return;
	stock->closing = true;
	while (stock->wants) {
		struct kt_stock_want *want = stock->wants;

		kt_stock_drop(&want);
	}
	/* A half-made file is nothing; its lock goes with the descriptor. */
	HASH_ITER (hh, stock->entries, entry, next) {
		kt_guestproc_drop(&entry->maker);
		if (entry->state == MAKING && entry->fd >= 0)
			unlink(entry->part);
	}
	uv_close((uv_handle_t *)&stock->timer, on_timer_closed);
}

/* ---- telling ---- */

static void on_timer(uv_timer_t *timer);

static void soon(struct kt_stock *stock, uint64_t ms)
{
	if (!stock->closing)
		uv_timer_start(&stock->timer, on_timer, ms, 0);
}

static void let_go_of_memory(struct kt_stock *stock);

/* What is used from memory only would be the first to be evicted. */
static void touch_file(struct entry *entry)
{
	static const struct timespec used_now[2] = { { .tv_nsec = UTIME_NOW },
						     { .tv_nsec = UTIME_OMIT } };

	if (entry->touched_ns && entry->used_ns - entry->touched_ns < TOUCH_NS)
		return;
	entry->touched_ns = entry->used_ns;
	utimensat(AT_FDCWD, entry->path, used_now, AT_SYMLINK_NOFOLLOW);
}

static struct kt_template *hold(struct entry *entry)
{
	entry->used_ns = kt_clock_now_ns();
	touch_file(entry);
	entry->template->users++;
	entry->template->served++;
	return entry->template;
}

/* Has it served as many as it may? How many one from the disk has served before, nobody knows. */
static bool is_spent(const struct entry *entry, uint64_t renew)
{
	return renew > 0 && (entry->template->from_disk || entry->template->served >= renew);
}

/* told() may want or drop anything, so the list is walked anew after each call. It may let go of the template as well,
 * or even make us throw it away: held meanwhile, and those who are left then wait for another one.
 */
static void tell_all(struct entry *entry, const struct kt_err *err)
{
	struct kt_stock *stock = entry->stock;
	struct kt_template *template = err ? NULL : kt_stock_hold(entry->template);
	struct kt_stock_want *want = stock->wants;

	while (want && (err || entry->template == template)) {
		struct kt_stock_want told = *want;

		if (want->entry != entry || (!err && is_spent(entry, want->renew))) {
			want = want->next;
			continue;
		}
		DL_DELETE(stock->wants, want);
		free(want);
		told.told(told.arg, err ? NULL : hold(entry), err);
		want = stock->wants;
	}
	kt_stock_release(stock, &template);
}

static bool is_wanted(const struct entry *entry)
{
	for (const struct kt_stock_want *want = entry->stock->wants; want; want = want->next)
		if (want->entry == entry)
			return true;
	return false;
}

/* Of those who wait; 0: nobody asks for a renewal. */
static uint64_t least_renew(const struct entry *entry)
{
	uint64_t least = 0;

	for (const struct kt_stock_want *want = entry->stock->wants; want; want = want->next)
		if (want->entry == entry && want->renew > 0 && (least == 0 || want->renew < least))
			least = want->renew;
	return least;
}

/* ---- throwing away ---- */

static void free_detached(struct kt_stock *stock)
{
	struct kt_template *template;
	struct kt_template *next;

	LL_FOREACH_SAFE(stock->detached, template, next)
	{
		if (template->users > 0 || template->in_thread)
			continue;
		LL_DELETE(stock->detached, template);
		kt_template_destroy(&template);
	}
}

/* Its guests go on; nobody gets it any more, in this process or after it. */
static void detach(struct entry *entry, const char *why)
{
	struct kt_template *template = kt_take(&entry->template);

	KT_LOG("template_dropped", "template=%s kernel=%s served=%" PRIu64 " why=%s", template->id,
	       kt_log_quote(template->kernel_release), template->served, kt_log_quote(why));
	entry->state = IDLE;
	unlink(entry->path);
	LL_PREPEND(entry->stock->detached, template);
	free_detached(entry->stock);
}

static struct entry *entry_of_template(const struct kt_stock *stock,
				       const struct kt_template *template)
{
	struct entry *entry;

	HASH_FIND(hh, stock->entries, &template->key, sizeof(template->key), entry);
	return entry;
}

bool kt_stock_is_current(const struct kt_stock *stock, const struct kt_template *template)
{
	const struct entry *entry = entry_of_template(stock, template);

	return entry && entry->template == template;
}

void kt_stock_worked(struct kt_stock *stock, struct kt_template *template)
{
	template->failed_in_a_row = 0;
}

void kt_stock_failed(struct kt_stock *stock, struct kt_template *template, const char *why)
{
	KT_LOG("restore_failed", "template=%s why=%s", template->id, kt_log_quote(why));
	if (++template->failed_in_a_row >= RESTORES_MAX && kt_stock_is_current(stock, template))
		detach(entry_of_template(stock, template), "two restores in a row failed");
}

void kt_stock_release(struct kt_stock *stock, struct kt_template **template_p)
{
	struct kt_template *template = kt_take(template_p);

	if (!template)
		return;
	kt_must(template->users > 0);
	template->users--;
	free_detached(stock);
	let_go_of_memory(stock);
}

struct kt_template *kt_stock_hold(struct kt_template *template)
{
	template->users++;
	return template;
}

uint64_t kt_stock_shared_bytes(const struct kt_stock *stock)
{
	uint64_t bytes = 0;

	for (const struct kt_template *template = stock->detached; template;
	     template = template->next)
		bytes += kt_template_shared_bytes(template);
	for (const struct entry *entry = stock->entries; entry; entry = entry->hh.next)
		if (entry->template)
			bytes += kt_template_shared_bytes(entry->template);
	return bytes;
}

/* The least recently used one that nobody uses. */
static struct entry *oldest_unused(struct kt_stock *stock)
{
	struct entry *oldest = NULL;

	for (struct entry *entry = stock->entries; entry; entry = entry->hh.next)
		if (entry->template && entry->template->users == 0 && !entry->keeping &&
		    (!oldest || entry->used_ns < oldest->used_ns))
			oldest = entry;
	return oldest;
}

/* Its file stays. */
static void unload(struct entry *entry)
{
	kt_template_destroy(&entry->template);
	entry->state = IDLE;
}

static void let_go_of_memory(struct kt_stock *stock)
{
	struct entry *oldest;

	for (struct entry *entry = stock->entries; entry; entry = entry->hh.next)
		if (entry->template && entry->template->users == 0 && !entry->keeping &&
		    kt_template_shared_bytes(entry->template) >
			    SWOLLEN * entry->template->sealed_bytes)
			unload(entry);
	while (kt_stock_shared_bytes(stock) > stock->config.memory_bytes_max &&
	       (oldest = oldest_unused(stock)))
		unload(oldest);
}

void kt_stock_make_room(struct kt_stock *stock)
{
	struct entry *oldest;

	while ((oldest = oldest_unused(stock)))
		unload(oldest);
}

/* ---- keeping: to disk ---- */

/* Others for the same kernel, topology and accelerator: something they depend on has changed. */
static void remove_outdated(struct entry *entry)
{
	DIR *dir = opendir(entry->stock->dir);
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		size_t len = strlen(item->d_name);
		struct kt_digest key;
		struct kt_digest place;
		KT_AUTO_FD int fd = -1;

		if (len != KT_DIGEST_HEX_BYTES - 1 + strlen(SUFFIX) ||
		    strcmp(item->d_name + KT_DIGEST_HEX_BYTES - 1, SUFFIX) != 0)
			continue;
		fd = openat(dirfd(dir), item->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 || kt_template_peek(fd, &key, &place, NULL) < 0 ||
		    !kt_digest_equal(&place, &entry->place) || kt_digest_equal(&key, &entry->key))
			continue;
		unlinkat(dirfd(dir), item->d_name, 0);
		KT_LOG("template_outdated", "file=%s why=%s", item->d_name,
		       kt_log_quote("what it was made of has changed"));
	}
	if (dir)
		closedir(dir);
}

static void keep_run(uv_work_t *work)
{
	struct entry *entry = work->data;

	entry->work_rc = kt_template_save(entry->worked, entry->fd, &entry->work_err);
	if (entry->work_rc == 0 && rename(entry->part, entry->path) < 0)
		entry->work_rc = kt_err_sys(&entry->work_err, KT_FAULT_HOST, errno, "keeping %s",
					    entry->path);
}

static void keep_done(uv_work_t *work, int status)
{
	struct entry *entry = work->data;
	struct kt_stock *stock = entry->stock;
	struct kt_template *kept = entry->worked;
	struct stat st;

	entry->working = entry->keeping = false;
	entry->worked = NULL;
	stock->works--;
	if (entry->work_rc < 0) {
		unlink(entry->part);
		KT_LOG("template_not_kept", "template=%s why=%s", kept->id,
		       kt_log_quote(entry->work_err.text));
	} else if (fstat(entry->fd, &st) == 0) {
		KT_LOG("template_kept", "template=%s bytes=%lld", kept->id, (long long)st.st_size);
	}
	kt_own_close(&entry->fd);
	kept->in_thread = false;
	if (entry->template != kept) /* thrown away meanwhile */
		unlink(entry->path);
	free_detached(stock);
	if (stock->closing) {
		free_stock(stock);
		return;
	}
	if (entry->work_rc == 0 && entry->template)
		remove_outdated(entry);
	let_go_of_memory(stock);
	soon(stock, 0);
}

static void keep(struct entry *entry)
{
	struct kt_stock *stock = entry->stock;

	kt_cache_make_room(stock->dir, stock->config.disk_bytes_max,
			   entry->template->sealed_bytes / PACKED_ESTIMATE);
	entry->working = entry->keeping = true;
	entry->worked = entry->template;
	entry->worked->in_thread = true;
	entry->work_err = (struct kt_err){ 0 };
	entry->work.data = entry;
	stock->works++;
	uv_queue_work(stock->loop, &entry->work, keep_run, keep_done);
}

/* ---- making ---- */

static void is_here(struct entry *entry, struct kt_template *template)
{
	entry->template = template;
	entry->state = HERE;
	entry->failures = 0;
	tell_all(entry, NULL);
	let_go_of_memory(entry->stock);
}

static void not_made(struct entry *entry, const struct kt_err *why)
{
	struct kt_err err = *why;

	kt_err_wrap(&err, "making a template");
	KT_LOG("template_failed", "kernel=%s why=%s", kt_log_quote(entry->guest->kernel_name),
	       kt_log_quote(why->text));
	if (entry->fd >= 0)
		unlink(entry->part);
	kt_own_close(&entry->fd);
	kt_template_destroy(&entry->unfinished);
	entry->state = IDLE;
	entry->last_err = err;
	if (++entry->failures >= MAKES_MAX) {
		entry->failures = 0;
		entry->rest_until_ns = kt_clock_now_ns() + KT_STOCK_REST_NS;
	}
	tell_all(entry, &err);
}

static void on_frame(void *arg, struct kt_arena *arena, const struct kt_message *message,
		     void *frame)
{
	struct entry *entry = arg;

	if (message->tag == KT_TAG_run_saved) {
		const struct kt_msg_run_saved *saved = frame;

		entry->saved = true;
		snprintf(entry->unfinished->kernel_release,
			 sizeof(entry->unfinished->kernel_release), "%s", saved->kernel_release);
		snprintf(entry->unfinished->seen, sizeof(entry->unfinished->seen), "%s",
			 saved->topology_seen);
		kt_guestproc_kill_in(entry->maker, MAKER_END_MS);
	} else if (message->tag == KT_TAG_run_broke) {
		const struct kt_msg_run_broke *broke = frame;

		kt_err_set(&entry->broke, KT_FAULT_HOST, EIO, "%s: %s", broke->cause, broke->line);
		kt_guestproc_kill_in(entry->maker, MAKER_END_MS);
	}
}

/* Only now does nobody map the memory any more. */
static void on_ended(void *arg, const struct kt_guestproc_end *end)
{
	struct entry *entry = arg;
	struct kt_template *template;
	struct kt_err err = entry->broke;

	entry->maker = NULL;
	if (err.code == 0 && !entry->saved)
		kt_err_set(&err, KT_FAULT_HOST, EIO, "its process %s", end->text);
	if (err.code == 0)
		kt_template_seal(entry->unfinished, &err);
	if (err.code != 0) {
		not_made(entry, &err);
		return;
	}
	template = kt_take(&entry->unfinished);
	KT_LOG("template_made", "template=%s kernel=%s topology=%s ms=%lld shared_mib=%" PRIu64,
	       template->id, kt_log_quote(template->kernel_release),
	       kt_log_quote(entry->guest->topology->name),
	       (long long)((kt_clock_now_ns() - entry->began_ns) / KT_NS_PER_MS),
	       template->sealed_bytes >> 20);
	entry->template = template;
	if (entry->fd >= 0 && least_renew(entry) > 0) { /* for this process only */
		unlink(entry->part);
		kt_own_close(&entry->fd);
	}
	if (entry->fd >= 0)
		keep(entry);
	is_here(entry, template);
}

static const struct kt_guestproc_events maker_events = { on_frame, on_ended };

static uint64_t maker_ms_max(const struct kt_msg_run_guest *guest)
{
	bool kvm = strcmp(guest->accel, "kvm") == 0;
	uint64_t cpus = kt_qemu_cpus(guest->topology);
	int64_t ns = kt_patience_ns(KT_PATIENCE_BOOT, kvm, cpus, 0) +
		     kt_patience_ns(KT_PATIENCE_RESTORE, kvm, cpus, 0);

	return (uint64_t)(2 * ns / KT_NS_PER_MS);
}

static int spawn_maker(struct entry *entry, struct kt_err *err)
{
	struct kt_msg_run_guest guest = *entry->guest;
	int fds[1 + KT_QEMU_NODES_MAX];
	int rc = kt_template_new(guest.topology, &entry->unfinished, err);

	if (rc < 0)
		return rc;
	entry->unfinished->key = entry->key;
	entry->unfinished->place = entry->place;
	fds[0] = entry->unfinished->state_fd;
	memcpy(fds + 1, entry->unfinished->ram_fds, sizeof(entry->unfinished->ram_fds));
	rc = kt_guestproc_spawn(entry->stock->loop, entry->stock->config.procs, fds,
				1 + entry->unfinished->nodes, &maker_events, entry, &entry->maker,
				err);
	if (rc < 0)
		return rc;
	/* It has a deadline for everything; one that is stopped has none. */
	kt_guestproc_kill_in(entry->maker, maker_ms_max(&guest));
	guest.role = "template";
	kt_guestproc_tell(entry->maker, KT_TAG_run_guest, &guest);
	return 0;
}

static void make(struct entry *entry)
{
	struct kt_err err = { 0 };

	entry->state = MAKING;
	entry->saved = false;
	entry->broke = (struct kt_err){ 0 };
	entry->began_ns = kt_clock_now_ns();
	if (spawn_maker(entry, &err) < 0)
		not_made(entry, &err);
}

/* There can be no file: it is made all the same. */
static void make_unkept(struct entry *entry, const char *file, int code)
{
	KT_LOG("template_not_kept", "file=%s why=%s", kt_log_quote(file),
	       kt_log_quote(strerror(code)));
	make(entry);
}

/* False while another process makes it. */
static bool try_make(struct entry *entry)
{
	KT_AUTO_FD int fd = open(entry->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct stat open_stat;
	struct stat path_stat;

	if (fd < 0) {
		make_unkept(entry, entry->part, errno);
		return true;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	/* Finished or given up by another one in between? */
	if (fstat(fd, &open_stat) < 0 || stat(entry->part, &path_stat) < 0 ||
	    open_stat.st_ino != path_stat.st_ino)
		return false;
	if (least_renew(entry) == 0 && access(entry->path, F_OK) == 0) {
		unlink(entry->part); /* ours, and empty */
		return false;
	}
	entry->fd = kt_own_take_fd(&fd);
	make(entry);
	return true;
}

/* ---- loading: from disk ---- */

static void load_run(uv_work_t *work)
{
	struct entry *entry = work->data;

	entry->work_rc = kt_template_load(entry->fd, &entry->worked, &entry->work_err);
	if (entry->work_rc == 0 && !kt_digest_equal(&entry->worked->key, &entry->key))
		entry->work_rc = kt_err_set(&entry->work_err, KT_FAULT_HOST, EBADMSG,
					    "the template is damaged: it has another key");
	if (entry->work_rc < 0)
		kt_template_destroy(&entry->worked);
}

static void load_done(uv_work_t *work, int status)
{
	struct entry *entry = work->data;
	struct kt_stock *stock = entry->stock;
	struct kt_template *template = kt_take(&entry->worked);
	struct kt_err err = entry->work_err;

	entry->working = false;
	stock->works--;
	entry->state = IDLE;
	kt_own_close(&entry->fd);
	if (stock->closing) {
		kt_template_destroy(&template);
		free_stock(stock);
		return;
	}
	if (template) {
		template->from_disk = true;
		KT_LOG("template_loaded", "template=%s kernel=%s shared_mib=%" PRIu64, template->id,
		       kt_log_quote(template->kernel_release), template->sealed_bytes >> 20);
		is_here(entry, template);
	} else if (err.code == EBADMSG) {
		KT_LOG("template_damaged", "file=%s why=%s", kt_log_quote(entry->path),
		       kt_log_quote(err.text));
		if (unlink(entry->path) == 0 || errno == ENOENT)
			soon(stock, 0); /* made anew */
		else if (is_wanted(entry))
			make_unkept(entry, entry->path, errno);
	} else {
		KT_LOG("template_not_loaded", "file=%s why=%s", kt_log_quote(entry->path),
		       kt_log_quote(err.text));
		tell_all(entry, &err);
	}
}

/* False when there is none. */
static bool try_load(struct entry *entry)
{
	KT_AUTO_FD int fd = open(entry->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	/* A link, or another user's: it stays where it is. */
	if (fd < 0 && errno != ENOENT) {
		make_unkept(entry, entry->path, errno);
		return true;
	}
	/* The eviction takes what it can lock. */
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		return false;
	entry->fd = kt_own_take_fd(&fd);
	entry->state = LOADING;
	entry->working = true;
	entry->work_err = (struct kt_err){ 0 };
	entry->work.data = entry;
	entry->stock->works++;
	uv_queue_work(entry->stock->loop, &entry->work, load_run, load_done);
	return true;
}

/* ---- wants ---- */

struct kt_template *kt_stock_find(struct kt_stock *stock, const struct kt_digest *key,
				  uint64_t renew)
{
	struct entry *entry;

	HASH_FIND(hh, stock->entries, key, sizeof(*key), entry);
	if (!entry || !entry->template || is_spent(entry, renew))
		return NULL;
	return hold(entry);
}

static struct entry *entry_of(struct kt_stock *stock, const struct kt_digest *key)
{
	char hex[KT_DIGEST_HEX_BYTES];
	struct entry *entry;

	HASH_FIND(hh, stock->entries, key, sizeof(*key), entry);
	if (entry)
		return entry;
	entry = kt_must_calloc(1, sizeof(*entry));
	entry->key = *key;
	entry->stock = stock;
	entry->fd = -1;
	kt_digest_hex(key, hex);
	entry->path = kt_must_asprintf("%s/%s" SUFFIX, stock->dir, hex);
	entry->part = kt_must_asprintf("%s/%s" PART, stock->dir, hex);
	HASH_ADD(hh, stock->entries, key, sizeof(entry->key), entry);
	return entry;
}

/* The frame's memory is the caller's: a deep copy, by the codec. */
static void copy_guest(struct entry *entry, const struct kt_msg_run_guest *guest)
{
	KT_AUTO_BUF bytes = { 0 };

	kt_arena_reset(&entry->arena);
	entry->guest = kt_arena_alloc(&entry->arena, 1, sizeof(*entry->guest));
	kt_codec_encode(&kt_schema_run_guest, guest, &bytes);
	kt_must(kt_codec_decode(&kt_schema_run_guest, bytes.data, bytes.len, &entry->arena,
				entry->guest, NULL) == 0);
}

struct kt_stock_want *kt_stock_want(struct kt_stock *stock, const struct kt_digest *key,
				    const struct kt_digest *place, uint64_t renew,
				    const struct kt_msg_run_guest *guest, kt_stock_told *told,
				    void *arg)
{
	struct kt_stock_want *want = kt_must_calloc(1, sizeof(*want));
	struct entry *entry = entry_of(stock, key);

	want->entry = entry;
	want->told = told;
	want->arg = arg;
	want->renew = renew;
	entry->place = *place;
	if (entry->state == IDLE || entry->state == HERE)
		copy_guest(entry, guest);
	DL_APPEND(stock->wants, want);
	soon(stock, 0);
	return want;
}

void kt_stock_drop(struct kt_stock_want **want_p)
{
	struct kt_stock_want *want = kt_take(want_p);

	if (!want)
		return;
	DL_DELETE(want->entry->stock->wants, want);
	free(want);
}

static int64_t lock_wait_ns(const struct kt_stock *stock)
{
	return stock->config.lock_wait_ns ? stock->config.lock_wait_ns : LOCK_WAIT_NS;
}

static void advance(struct entry *entry)
{
	if (entry->working && !entry->keeping)
		return;
	if (entry->state == HERE && is_spent(entry, least_renew(entry)))
		detach(entry, "it has served as many guests as it may");
	if (entry->state == HERE) {
		tell_all(entry, NULL);
		return;
	}
	if (entry->state == LOADING || entry->state == MAKING || entry->keeping)
		return;
	if (kt_clock_now_ns() < entry->rest_until_ns) {
		struct kt_err err = entry->last_err;

		tell_all(entry, &err);
		return;
	}
	if (entry->state != WAITING)
		entry->waiting_since_ns = kt_clock_now_ns();
	entry->state = WAITING;
	if (least_renew(entry) > 0)
		unlink(entry->path);
	else if (try_load(entry))
		return;
	/* A maker that was stopped holds its lock for ever. */
	if (!try_make(entry) &&
	    kt_clock_now_ns() - entry->waiting_since_ns > lock_wait_ns(entry->stock))
		make_unkept(entry, entry->part, EBUSY);
}

static void on_timer(uv_timer_t *timer)
{
	struct kt_stock *stock = timer->data;
	struct entry *entry;
	struct entry *next;

	HASH_ITER (hh, stock->entries, entry, next) {
		if (is_wanted(entry))
			advance(entry);
	}
	if (stock->wants)
		soon(stock, POLL_MS);
}
