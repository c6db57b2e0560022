/* layer: coordinator */
/* A sweep's file as a damaged disk, or somebody, may hand it to us: byte 0 says how it is made.
 *
 *	0  the file is the rest of the input
 *	1  a good file of which bytes are changed, [offset (3 bytes), value]...
 *	2  the same, cut off at the first offset
 *	3  a good file with its WAL, of which bytes are changed; 4: and which is cut off
 *	5  a good file that rows are added to: [table, cell, epoch or tag, raw (2 bytes), length (2 bytes), bytes]...
 *
 * It is opened, folded and read through: that ends, with what was in it or with an error that says something.
 */
#include "coordinator/journal.h"
#include "coordinator/stored.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CELLS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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
	char name[112];
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
	char name[112];
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	kt_must(fd >= 0);
	kt_must(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void remove_files(void)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char name[112];

	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		unlink(name);
	}
}

static void remove_dir(void)
{
	remove_files();
	rmdir(dir);
}

static void add(struct kt_journal *journal, uint32_t tag, const void *fact)
{
	kt_must(kt_journal_add_fact(journal, 1, tag, fact, NULL) == 0);
}

static void make_images(void)
{
	struct kt_journal *journal = NULL;
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = CELLS, .attempts_max = 3, .version = "0"
	};
	struct kt_msg_fact_term term = { .term = 1 };
	struct kt_msg_fact_granted granted = { .epoch = 1, .attempt = 1, .host = "a" };
	struct kt_msg_result result = { .cause = "finished", .samples_total = 2 };
	struct kt_msg_fact_ended ended = { .epoch = 1, .result = &result };
	struct kt_msg_verdict verdict = { .outcome = "fail" };
	struct kt_msg_fact_judged judged = { .epoch = 1, .verdict = &verdict };
	static uint8_t zeros[4000];
	struct kt_msg_sample_sent sample = { .epoch = 1, .body = { zeros, sizeof(zeros) } };
	struct kt_msg_log_sent log = { .epoch = 1,
				       .stream = "console",
				       .body = { (const uint8_t *)"hi\n", 3 } };
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%.40s/fuzz-journal.XXXXXX", tmp ? tmp : "/tmp");
	kt_must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.sweep", dir);
	atexit(remove_dir);
	kt_must(kt_journal_create(path, &journal, NULL) == 0);
	kt_must(kt_journal_set_meta(journal, "matrix", "x = 1", 5, NULL) == 0);
	add(journal, KT_TAG_fact_opened, &opened);
	add(journal, KT_TAG_fact_term, &term);
	kt_must(kt_journal_commit(journal, NULL) == 0);
	add(journal, KT_TAG_fact_granted, &granted);
	kt_must(kt_journal_add_sample(journal, &sample, NULL) == 0);
	sample.seq = 1;
	sample.body = (struct kt_bin){ (const uint8_t *)"short", 5 };
	kt_must(kt_journal_add_sample(journal, &sample, NULL) == 0);
	kt_must(kt_journal_add_log(journal, &log, NULL) == 0);
	kt_must(kt_journal_commit(journal, NULL) == 0);
	add(journal, KT_TAG_fact_ended, &ended);
	add(journal, KT_TAG_fact_judged, &judged);
	kt_must(kt_journal_commit(journal, NULL) == 0);
	open_db = read_image("");
	open_wal = read_image("-wal");
	kt_journal_close(&journal);
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
		"INSERT INTO fact(cell, tag, wall_ns, body) VALUES(?1, ?2, ?3, ?4)",
		"INSERT OR REPLACE INTO sample(cell, epoch, seq, raw, body) VALUES(?1, ?2, ?5, ?3, "
		"?4)",
		"INSERT OR REPLACE INTO log(cell, epoch, seq, stream, raw, body) "
		"VALUES(?1, ?2, ?5, ?6, ?3, ?4)",
		"INSERT OR REPLACE INTO meta(key, value) VALUES('matrix', ?4)",
		"UPDATE sample SET raw = ?3, body = ?4",
		"UPDATE fact SET body = ?4 WHERE tag = ?2",
	};
	sqlite3_stmt *statement = NULL;

	kt_must(sqlite3_prepare_v2(db, sql[head[0] % 6], -1, &statement, NULL) == SQLITE_OK);
	sqlite3_bind_int64(statement, 1, head[1] % 4);
	sqlite3_bind_int64(statement, 2, head[2]);
	sqlite3_bind_int64(statement, 3, (head[0] & 64 ? -1 : 1) * (head[3] << 8 | head[4]));
	sqlite3_bind_int64(statement, 5, head[0] / 8 % 8);
	sqlite3_bind_text(statement, 6, "console", -1, SQLITE_STATIC);
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
	while (len >= 7) {
		size_t n = (size_t)data[5] << 8 | data[6];

		if (n > len - 7)
			n = len - 7;
		add_row(db, data, data + 7, n);
		data += 7 + n;
		len -= 7 + n;
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

static int on_bytes(void *arg, uint64_t seq, const char *stream, const void *bytes, size_t len,
		    struct kt_err *err)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += ((const uint8_t *)bytes)[i];
	sum += (unsigned int)strlen(stream);
	return sum == 0xdecafbad; /* so that all of it is looked at */
}

static int on_fact(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag, const void *fact,
		   struct kt_err *err)
{
	KT_AUTO_BUF bytes = { 0 };

	kt_codec_encode(kt_codec_message(&kt_facts_family, tag)->schema, fact, &bytes);
	return 0;
}

/* What is damaged is said to be so; what we cannot do for other reasons would be another error. */
static void check(int status, const struct kt_err *err)
{
	if (status == 0)
		return;
	kt_must(status == -EBADMSG || status == -EINVAL || status == -EPROTO || status == -EIO ||
		status == -ENOENT || status == -EROFS || status == -ENOSPC || status == -EBUSY ||
		status == -E2BIG);
	kt_must(status == -ENOENT || err->text[0]);
}

static void read_through(bool read_only)
{
	struct kt_journal *journal = NULL;
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_STORED stored = { 0 };
	struct kt_sweep sweep;
	struct kt_bin value;
	struct kt_err err = { 0 };
	int status = kt_journal_open(path, read_only, &journal, &err);

	check(status, &err);
	if (status < 0)
		return;
	kt_sweep_init(&sweep);
	err = (struct kt_err){ 0 };
	check(kt_journal_fold(journal, &sweep, &err), &err);
	kt_sweep_destroy(&sweep);
	for (uint64_t cell = 0; cell < CELLS; cell++) {
		err = (struct kt_err){ 0 };
		check(kt_journal_facts(journal, cell, on_fact, NULL, &err), &err);
		err = (struct kt_err){ 0 };
		check(kt_journal_samples(journal, cell, 1, on_bytes, NULL, &err), &err);
		err = (struct kt_err){ 0 };
		check(kt_journal_logs(journal, cell, 1, on_bytes, NULL, &err), &err);
	}
	err = (struct kt_err){ 0 };
	check(kt_journal_meta(journal, "matrix", &arena, &value, &err), &err);
	err = (struct kt_err){ 0 };
	check(kt_stored_load(journal, 0, 1, &stored, &err), &err);
	kt_journal_close(&journal);
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
	read_through(data[0] & 128);
	remove_files();
	return 0;
}
