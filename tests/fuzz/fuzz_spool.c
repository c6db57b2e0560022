/* layer: worker */
/* A worker's spool as a damaged disk may leave it: byte 0 says how it is made.
 *
 *	0  the file is the rest of the input
 *	1  a good file of which bytes are changed, [offset (3 bytes), value]...; 2: and which is cut off
 *	3  a good file with its WAL, of which bytes are changed; 4: and which is cut off
 *	5  a good file that rows are added to: [table, epoch, kind or cell, seq, length (2 bytes), bytes]...
 *
 * The worker begins all the same: what is left is told and can be read, or is set aside; then it can be written to,
 * and what is written can be read.
 */
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LEFT_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is set aside has the time in its name. */
int64_t kt_clock_now_ns(void)
{
	return 1;
}

int64_t kt_clock_wall_ns(void)
{
	return 1;
}

int64_t kt_clock_add_ns(int64_t at_ns, int64_t span_ns)
{
	return at_ns > INT64_MAX - span_ns ? INT64_MAX : at_ns + span_ns;
}

struct image {
	uint8_t *bytes;
	size_t len;
};

static char dir[64];
static char path[96];
static struct image closed, open_db, open_wal;

static struct image read_image(const char *suffix)
{
	struct image image = { 0 };
	char name[128];
	struct stat stat;
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	kt_must(fd >= 0 && fstat(fd, &stat) == 0);
	image.len = (size_t)stat.st_size;
	image.bytes = kt_must_calloc(1, image.len + 1);
	kt_must(read(fd, image.bytes, image.len) == (ssize_t)image.len);
	close(fd);
	return image;
}

static void write_image(const char *suffix, const void *bytes, size_t len)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	kt_must(fd >= 0);
	kt_must(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void remove_files(void)
{
	static const char *const suffixes[] = {
		"", "-wal", "-shm", "-journal", ".damaged-1", ".damaged-1-wal", ".damaged-1-shm"
	};
	char name[128];

	for (size_t i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

static void remove_dir(void)
{
	remove_files();
	rmdir(dir);
}

static void make_images(void)
{
	struct kt_spool *spool = NULL;
	struct kt_spool_key key = { "sweep", 1, 1 };
	static uint8_t zeros[5000];
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%.40s/fuzz-spool.XXXXXX", tmp ? tmp : "/tmp");
	kt_must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/spool", dir);
	atexit(remove_dir);
	kt_must(kt_spool_open(path, 0, &spool, NULL) == 0);
	for (key.epoch = 1; key.epoch <= 3; key.epoch++) {
		kt_must(kt_spool_put_sample(spool, &key, 0, zeros, sizeof(zeros), NULL) == 0);
		kt_must(kt_spool_put_sample(spool, &key, 1, "short", 5, NULL) == 0);
		kt_must(kt_spool_put_log(spool, &key, 0, "console", "hi", 2, NULL) == 0);
		if (key.epoch < 3)
			kt_must(kt_spool_put_result(spool, &key, "result", 6, NULL) == 0);
		kt_must(kt_spool_commit(spool, NULL) == 0);
	}
	open_db = read_image("");
	open_wal = read_image("-wal");
	kt_spool_destroy(&spool);
	closed = read_image("");
	remove_files();
}

/* ---- made ---- */

static void write_changed(const char *suffix, const struct image *from, bool is_cut,
			  const uint8_t *data, size_t len)
{
	KT_AUTO_FREE uint8_t *bytes = kt_must_calloc(1, from->len + 1);
	size_t n = from->len;

	memcpy(bytes, from->bytes, n);
	if (is_cut && len >= 4) {
		n = ((size_t)data[0] << 16 | data[1] << 8 | data[2]) % (from->len + 1);
		data += 4;
		len -= 4;
	}
	for (; len >= 4; data += 4, len -= 4)
		bytes[((size_t)data[0] << 16 | data[1] << 8 | data[2]) % from->len] = data[3];
	write_image(suffix, bytes, n);
}

static void add_row(sqlite3 *db, const uint8_t *head, const uint8_t *bytes, size_t len)
{
	static const char *const sql[] = {
		"INSERT OR REPLACE INTO attempt(sweep, epoch, cell, acked, result) "
		"VALUES(?4, ?1, ?2, ?3, ?4)",
		"INSERT OR REPLACE INTO piece(sweep, epoch, kind, seq, stream, body) "
		"VALUES('sweep', ?1, ?2, ?3, ?4, ?4)",
		"UPDATE attempt SET result = ?4, acked = ?3, cell = ?2 WHERE epoch = ?1",
		"UPDATE piece SET body = ?4, seq = ?3, stream = ?4 WHERE epoch = ?1",
	};
	static const int64_t odd[] = { -1, INT64_MIN, INT64_MAX, 1ll << 40 };
	sqlite3_stmt *statement = NULL;

	kt_must(sqlite3_prepare_v2(db, sql[head[0] % 4], -1, &statement, NULL) == SQLITE_OK);
	for (int i = 1; i <= 3; i++)
		sqlite3_bind_int64(statement, i, head[i] >= 252 ? odd[head[i] - 252] : head[i]);
	if (head[0] & 128)
		sqlite3_bind_text(statement, 4, (const char *)bytes, (int)len, SQLITE_STATIC);
	else
		sqlite3_bind_blob(statement, 4, len ? bytes : (const void *)"", (int)len,
				  SQLITE_STATIC);
	sqlite3_step(statement);
	sqlite3_finalize(statement);
}

static void add_rows(const uint8_t *data, size_t len)
{
	sqlite3 *db = NULL;

	kt_must(sqlite3_open(path, &db) == SQLITE_OK);
	kt_must(sqlite3_exec(db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; BEGIN",
			     NULL, NULL, NULL) == SQLITE_OK);
	while (len >= 6) {
		size_t n = (size_t)data[4] << 8 | data[5];

		if (n > len - 6)
			n = len - 6;
		add_row(db, data, data + 6, n);
		data += 6 + n;
		len -= 6 + n;
	}
	kt_must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
}

static void make(uint8_t kind, const uint8_t *data, size_t len)
{
	switch (kind % 6) {
	case 0:
		return write_image("", data, len);
	case 1:
	case 2:
		return write_changed("", &closed, kind % 6 == 2, data, len);
	case 3:
	case 4:
		write_image("", open_db.bytes, open_db.len);
		return write_changed("-wal", &open_wal, kind % 6 == 4, data, len);
	case 5:
		write_image("", closed.bytes, closed.len);
		return add_rows(data, len);
	}
}

/* ---- read ---- */

struct left {
	char sweep[200];
	struct kt_spool_left left;
};

struct lefts {
	struct left list[LEFT_MAX];
	size_t n;
};

static void on_left(void *arg, const struct kt_spool_left *left)
{
	struct lefts *lefts = arg;

	kt_must(left->samples >= left->samples_acked);
	if (lefts->n == LEFT_MAX)
		return;
	lefts->list[lefts->n].left = *left;
	snprintf(lefts->list[lefts->n].sweep, sizeof(lefts->list[0].sweep), "%s", left->key.sweep);
	lefts->n++;
}

static void read_left(struct kt_spool *spool, const struct left *left)
{
	struct kt_spool_key key = left->left.key;
	KT_AUTO_BUF out = { 0 };
	char stream[33];

	key.sweep = left->sweep;
	for (uint64_t i = 0; i < 4; i++) {
		kt_spool_get_sample(spool, &key, left->left.samples_acked + i, &out, NULL);
		kt_spool_get_log(spool, &key, i, stream, &out, NULL);
	}
	kt_spool_get_result(spool, &key, &out, NULL);
	kt_must(kt_spool_trim(spool, &key, left->left.samples, NULL) <= 0);
	kt_must(kt_spool_forget(spool, &key, NULL) <= 0);
}

/* Begins, and works: what is put in comes out. */
static void live(void)
{
	static struct lefts lefts;
	struct kt_spool_key key = { "new", 7, 77 };
	struct kt_spool *spool = NULL;
	KT_AUTO_BUF out = { 0 };
	struct kt_err err = { 0 };
	size_t n_dropped;
	int status = kt_spool_open(path, 0, &spool, &err);

	kt_must(status == 0 || err.text[0]);
	if (status < 0)
		return;
	lefts.n = 0;
	status = kt_spool_restore(spool, on_left, &lefts, &n_dropped, &err);
	kt_must(status == 0 || err.text[0]);
	for (size_t i = 0; i < lefts.n; i++)
		read_left(spool, &lefts.list[i]);
	if (status == 0 && kt_spool_put_sample(spool, &key, 0, "body", 4, &err) == 0 &&
	    kt_spool_commit(spool, &err) == 0) {
		kt_must(kt_spool_get_sample(spool, &key, 0, &out, &err) == 0);
		kt_must(out.len == 4 && memcmp(out.data, "body", 4) == 0);
	}
	kt_spool_destroy(&spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!dir[0]) {
		/* The WAL's index on the heap, not in a file: twice as fast. */
		sqlite3_initialize();
		sqlite3_vfs_register(sqlite3_vfs_find("unix-excl"), 1);
		make_images();
	}
	if (len < 1)
		return 0;
	make(data[0] & 127, data + 1, len - 1);
	live();
	remove_files();
	return 0;
}
