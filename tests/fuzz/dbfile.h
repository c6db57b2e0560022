/* dbfile.h - an SQLite file of ours as a damaged disk, or somebody, may hand it to us: byte 0 of an input says how it
 * is made.
 *
 *	0  the file is the rest of the input
 *	1  a good file of which bytes are changed, [offset (3 bytes), value]...; 2: and which is cut off at the first
 *	3  a good file with its WAL, of which bytes are changed; 4: and which is cut off
 *	5  a good file that rows are added to: [head, the last two bytes of it a length, bytes]...
 *
 * For one fuzz target, which includes it once.
 */
#ifndef KT_DBFILE_H
#define KT_DBFILE_H

#include "proto/base/must.h"
#include "proto/base/own.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DBFILE_KINDS 6

struct dbfile_image {
	uint8_t *bytes;
	size_t len;
};

static char dbfile_dir[64]; /* "" until dbfile_begin() */
static char dbfile_path[96];
static struct dbfile_image dbfile_closed, dbfile_open, dbfile_wal;

static struct dbfile_image dbfile_read(const char *suffix)
{
	struct dbfile_image image = { 0 };
	char name[128];
	struct stat stat;
	int fd;

	snprintf(name, sizeof(name), "%s%s", dbfile_path, suffix);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	kt_must(fd >= 0 && fstat(fd, &stat) == 0);
	image.len = (size_t)stat.st_size;
	image.bytes = kt_must_calloc(1, image.len + 1);
	kt_must(read(fd, image.bytes, image.len) == (ssize_t)image.len);
	close(fd);
	return image;
}

static void dbfile_write(const char *suffix, const void *bytes, size_t len)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "%s%s", dbfile_path, suffix);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	kt_must(fd >= 0);
	kt_must(write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void dbfile_remove(void)
{
	static const char *const suffixes[] = {
		"", "-wal", "-shm", "-journal", ".damaged-1", ".damaged-1-wal", ".damaged-1-shm"
	};
	char name[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", dbfile_path, suffixes[i]);
		unlink(name);
	}
}

static void dbfile_end(void)
{
	dbfile_remove();
	rmdir(dbfile_dir);
}

/* A folder of our own; the WAL's index on the heap, not in a file: twice as fast. */
static void dbfile_begin(const char *stem)
{
	const char *tmp = getenv("TMPDIR");

	sqlite3_initialize();
	sqlite3_vfs_register(sqlite3_vfs_find("unix-excl"), 1);
	snprintf(dbfile_dir, sizeof(dbfile_dir), "%.40s/fuzz-%.8s.XXXXXX", tmp ? tmp : "/tmp",
		 stem);
	kt_must(mkdtemp(dbfile_dir));
	snprintf(dbfile_path, sizeof(dbfile_path), "%s/db", dbfile_dir);
	atexit(dbfile_end);
}

/* While the good file is open, and once it is closed. */
static void dbfile_keep_open(void)
{
	dbfile_open = dbfile_read("");
	dbfile_wal = dbfile_read("-wal");
}

static void dbfile_keep_closed(void)
{
	dbfile_closed = dbfile_read("");
	dbfile_remove();
}

static void dbfile_write_changed(const char *suffix, const struct dbfile_image *from, bool is_cut,
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
	dbfile_write(suffix, bytes, n);
}

typedef void dbfile_row_fn(sqlite3 *db, const uint8_t *head, const uint8_t *bytes, size_t len);

/* Fills column `at` with a text or a blob. */
static void dbfile_bind(sqlite3_stmt *statement, int at, bool is_text, const uint8_t *bytes,
			size_t len)
{
	if (is_text)
		sqlite3_bind_text(statement, at, (const char *)bytes, (int)len, SQLITE_STATIC);
	else
		sqlite3_bind_blob(statement, at, len ? bytes : (const void *)"", (int)len,
				  SQLITE_STATIC);
}

static void dbfile_add_rows(dbfile_row_fn *row, size_t head_len, const uint8_t *data, size_t len)
{
	sqlite3 *db = NULL;

	kt_must(sqlite3_open(dbfile_path, &db) == SQLITE_OK);
	kt_must(sqlite3_exec(db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; BEGIN",
			     NULL, NULL, NULL) == SQLITE_OK);
	while (len >= head_len) {
		size_t n = (size_t)data[head_len - 2] << 8 | data[head_len - 1];

		if (n > len - head_len)
			n = len - head_len;
		row(db, data, data + head_len, n);
		data += head_len + n;
		len -= head_len + n;
	}
	kt_must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
}

static void dbfile_make(uint8_t kind, dbfile_row_fn *row, size_t head_len, const uint8_t *data,
			size_t len)
{
	switch (kind % DBFILE_KINDS) {
	case 0:
		return dbfile_write("", data, len);
	case 1:
	case 2:
		return dbfile_write_changed("", &dbfile_closed, kind % DBFILE_KINDS == 2, data,
					    len);
	case 3:
	case 4:
		dbfile_write("", dbfile_open.bytes, dbfile_open.len);
		return dbfile_write_changed("-wal", &dbfile_wal, kind % DBFILE_KINDS == 4, data,
					    len);
	case 5:
		dbfile_write("", dbfile_closed.bytes, dbfile_closed.len);
		return dbfile_add_rows(row, head_len, data, len);
	}
}

#endif
