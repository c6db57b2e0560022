#include "worker/spool.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SPOOL_VERSION 1
#define PAGE_BYTES    4096

enum { KIND_SAMPLE, KIND_LOG };

/* statement, its text */
#define STATEMENTS(X)                                                                          \
	X(BEGIN, "BEGIN IMMEDIATE")                                                            \
	X(COMMIT, "COMMIT")                                                                    \
	X(ROLLBACK, "ROLLBACK")                                                                \
	X(ATTEMPT, "INSERT INTO attempt (sweep, epoch, cell) VALUES (?1, ?2, ?3) "             \
		   "ON CONFLICT DO NOTHING")                                                   \
	X(PIECE, "INSERT INTO piece (sweep, epoch, kind, seq, stream, body) "                  \
		 "VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                            \
	X(RESULT, "UPDATE attempt SET result = ?3 WHERE sweep = ?1 AND epoch = ?2")            \
	X(GET_PIECE, "SELECT body, stream FROM piece "                                         \
		     "WHERE sweep = ?1 AND epoch = ?2 AND kind = ?3 AND seq = ?4")             \
	X(GET_RESULT, "SELECT result FROM attempt "                                            \
		      "WHERE sweep = ?1 AND epoch = ?2 AND result IS NOT NULL")                \
	X(TRIM, "DELETE FROM piece WHERE sweep = ?1 AND epoch = ?2 AND kind = 0 AND seq < ?3") \
	X(ACKED, "UPDATE attempt SET acked = ?3 WHERE sweep = ?1 AND epoch = ?2")              \
	X(FORGET_PIECES, "DELETE FROM piece WHERE sweep = ?1 AND epoch = ?2")                  \
	X(FORGET, "DELETE FROM attempt WHERE sweep = ?1 AND epoch = ?2")                       \
	X(LEFT, "SELECT sweep, epoch, cell, acked, "                                           \
		"(SELECT max(seq) + 1 FROM piece p WHERE p.sweep = a.sweep AND "               \
		"p.epoch = a.epoch AND p.kind = 0), "                                          \
		"(SELECT max(seq) + 1 FROM piece p WHERE p.sweep = a.sweep AND "               \
		"p.epoch = a.epoch AND p.kind = 1) FROM attempt a ORDER BY rowid")             \
	X(DROP_OLD, "DELETE FROM attempt WHERE result IS NULL OR rowid NOT IN "                \
		    "(SELECT rowid FROM attempt WHERE result IS NOT NULL ORDER BY rowid DESC " \
		    "LIMIT ?1)")                                                               \
	X(COUNT_OLD, "SELECT max(count(*) - ?1, 0) FROM attempt WHERE result IS NOT NULL")     \
	X(DROP_PIECES, "DELETE FROM piece WHERE NOT EXISTS (SELECT 1 FROM attempt a WHERE "    \
		       "a.sweep = piece.sweep AND a.epoch = piece.epoch)")

enum statement {
#define X(name_, text_) SQL_##name_,
	STATEMENTS(X)
#undef X
		SQL_N
};

static const char *const texts[SQL_N] = {
#define X(name_, text_) [SQL_##name_] = (text_),
	STATEMENTS(X)
#undef X
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS attempt (sweep TEXT NOT NULL, epoch INTEGER NOT NULL, "
	"cell INTEGER NOT NULL, acked INTEGER NOT NULL DEFAULT 0, result BLOB, "
	"UNIQUE (sweep, epoch));"
	"CREATE TABLE IF NOT EXISTS piece (sweep TEXT NOT NULL, epoch INTEGER NOT NULL, "
	"kind INTEGER NOT NULL, seq INTEGER NOT NULL, stream TEXT NOT NULL, body BLOB NOT NULL, "
	"UNIQUE (sweep, epoch, kind, seq));";

struct kt_spool {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_N];
	bool dirty; /* a transaction is open */
	char *aside;
};

static int fail(struct kt_spool *spool, struct kt_err *err, const char *doing)
{
	int rc = sqlite3_errcode(spool->db);
	int code = EIO;

	if (rc == SQLITE_FULL)
		code = ENOSPC;
	else if (rc == SQLITE_IOERR && sqlite3_system_errno(spool->db) > 0)
		code = sqlite3_system_errno(spool->db);
	return kt_err_set(err, KT_FAULT_HOST, code, "spool: %s: %s", doing,
			  sqlite3_errmsg(spool->db));
}

static sqlite3_stmt *use(struct kt_spool *spool, enum statement which,
			 const struct kt_spool_key *key)
{
	sqlite3_stmt *statement = spool->statements[which];

	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	if (key) {
		sqlite3_bind_text(statement, 1, key->sweep, -1, SQLITE_STATIC);
		sqlite3_bind_int64(statement, 2, (sqlite3_int64)key->epoch);
	}
	return statement;
}

static int run(struct kt_spool *spool, sqlite3_stmt *statement, const char *doing,
	       struct kt_err *err)
{
	int rc = sqlite3_step(statement);
	int ret = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(spool, err, doing);

	sqlite3_reset(statement);
	return ret;
}

static int undo(struct kt_spool *spool, int ret)
{
	if (!sqlite3_get_autocommit(spool->db))
		run(spool, use(spool, SQL_ROLLBACK, NULL), "giving up", NULL);
	spool->dirty = false;
	return ret;
}

/* Opens the transaction that the next commit closes. */
static int begin(struct kt_spool *spool, struct kt_err *err)
{
	int ret;

	if (spool->dirty)
		return 0;
	ret = run(spool, use(spool, SQL_BEGIN, NULL), "beginning", err);
	spool->dirty = ret == 0;
	return ret;
}

/* ---- open and close ---- */

static void close_db(struct kt_spool *spool)
{
	for (size_t i = 0; i < SQL_N; i++) {
		sqlite3_finalize(spool->statements[i]);
		spool->statements[i] = NULL;
	}
	sqlite3_close(spool->db);
	spool->db = NULL;
}

static int one_text(struct kt_spool *spool, const char *sql, char *out, size_t size)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(spool->db, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	out[0] = 0;
	if (rc == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(statement, 0);

		snprintf(out, size, "%s", text ? (const char *)text : "");
	}
	sqlite3_finalize(statement);
	return rc == SQLITE_ROW ? 0 : -EIO;
}

static int check_version(struct kt_spool *spool, struct kt_err *err)
{
	char text[128];
	int version;

	if (one_text(spool, "PRAGMA user_version", text, sizeof(text)) < 0)
		return fail(spool, err, "reading its version");
	version = atoi(text);
	if (version != 0 && version != SPOOL_VERSION)
		return kt_err_set(err, KT_FAULT_HOST, EILSEQ,
				  "spool: written by another version (%d, this is %d)", version,
				  SPOOL_VERSION);
	/* Not quick_check: an index that is not its table's would give one attempt's piece for another's. */
	if (one_text(spool, "PRAGMA integrity_check(1)", text, sizeof(text)) < 0)
		return fail(spool, err, "checking it");
	if (strcmp(text, "ok") != 0)
		return kt_err_set(err, KT_FAULT_HOST, EILSEQ, "spool: damaged: %s", text);
	return 0;
}

static int try_open(struct kt_spool *spool, const char *path, uint64_t bytes_max,
		    struct kt_err *err)
{
	char text[256];
	int ret;

	if (sqlite3_open_v2(path, &spool->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		return fail(spool, err, path);
	sqlite3_extended_result_codes(spool->db, 0);
	sqlite3_busy_timeout(spool->db, 2000);
	ret = check_version(spool, err);
	if (ret < 0)
		return ret;
	snprintf(text, sizeof(text),
		 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		 "PRAGMA journal_size_limit = 67108864; PRAGMA max_page_count = %" PRIu64 ";",
		 bytes_max ? bytes_max / PAGE_BYTES : UINT64_C(4294967294));
	if (sqlite3_exec(spool->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return fail(spool, err, "setting it up");
	if (sqlite3_exec(spool->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return fail(spool, err, "making its tables");
	snprintf(text, sizeof(text), "PRAGMA user_version = %d", SPOOL_VERSION);
	if (sqlite3_exec(spool->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return fail(spool, err, "writing its version");
	for (size_t i = 0; i < SQL_N; i++)
		if (sqlite3_prepare_v3(spool->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &spool->statements[i], NULL) != SQLITE_OK)
			return fail(spool, err, texts[i]);
	return 0;
}

/* Damage that a fresh file would heal; a full disk or missing rights are not. */
static bool is_damaged(struct kt_spool *spool, const struct kt_err *err)
{
	int rc = spool->db ? sqlite3_errcode(spool->db) : SQLITE_OK;

	return err->code == EILSEQ || rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ||
	       rc == SQLITE_ERROR;
}

static int move_aside(struct kt_spool *spool, const char *path, const char *why, struct kt_err *err)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	int64_t stamp = kt_clock_wall_ns();

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		KT_AUTO_FREE char *from = kt_must_asprintf("%s%s", path, parts[i]);
		KT_AUTO_FREE char *to =
			kt_must_asprintf("%s.damaged-%" PRId64 "%s", path, stamp, parts[i]);

		if (rename(from, to) < 0 && (i == 0 || errno != ENOENT))
			return kt_err_sys(err, KT_FAULT_HOST, errno, "setting %s aside", from);
	}
	spool->aside = kt_must_asprintf("%s.damaged-%" PRId64 ": %s", path, stamp, why);
	return 0;
}

int kt_spool_open(const char *path, uint64_t bytes_max, struct kt_spool **spool_p,
		  struct kt_err *err)
{
	KT_AUTO(kt_spool_destroy) struct kt_spool *spool = kt_must_calloc(1, sizeof(*spool));
	struct kt_err why = { 0 };
	int ret = try_open(spool, path, bytes_max, &why);

	if (ret < 0 && is_damaged(spool, &why)) {
		close_db(spool);
		ret = move_aside(spool, path, why.text, err);
		if (ret < 0)
			return ret;
		ret = try_open(spool, path, bytes_max, &why);
	}
	if (ret < 0)
		return kt_err_set(err, why.fault, why.code, "%s", why.text);
	*spool_p = kt_take(&spool);
	return 0;
}

void kt_spool_destroy(struct kt_spool **spool_p)
{
	struct kt_spool *spool = kt_take(spool_p);

	if (!spool)
		return;
	if (spool->db && spool->dirty)
		kt_spool_commit(spool, NULL);
	close_db(spool);
	free(spool->aside);
	free(spool);
}

const char *kt_spool_set_aside(const struct kt_spool *spool)
{
	return spool->aside;
}

/* ---- what an earlier life left ---- */

int kt_spool_restore(struct kt_spool *spool,
		     void (*left)(void *arg, const struct kt_spool_left *left), void *arg,
		     size_t *n_dropped, struct kt_err *err)
{
	sqlite3_stmt *statement = use(spool, SQL_COUNT_OLD, NULL);
	int rc, ret;

	sqlite3_bind_int64(statement, 1, KT_SPOOL_RESULTS_MAX);
	if (sqlite3_step(statement) != SQLITE_ROW)
		return fail(spool, err, "counting");
	*n_dropped = (size_t)sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	ret = begin(spool, err);
	if (ret < 0)
		return ret;
	statement = use(spool, SQL_DROP_OLD, NULL);
	sqlite3_bind_int64(statement, 1, KT_SPOOL_RESULTS_MAX);
	ret = run(spool, statement, "dropping what was unfinished", err);
	if (ret == 0)
		ret = run(spool, use(spool, SQL_DROP_PIECES, NULL), "dropping what was unfinished",
			  err);
	if (ret < 0)
		return undo(spool, ret);
	ret = kt_spool_commit(spool, err);
	if (ret < 0)
		return ret;
	statement = use(spool, SQL_LEFT, NULL);
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		const unsigned char *sweep = sqlite3_column_text(statement, 0);
		struct kt_spool_left one = {
			.key = {
				.sweep = sweep ? (const char *)sweep : "",
				.epoch = (uint64_t)sqlite3_column_int64(statement, 1),
				.cell = (uint64_t)sqlite3_column_int64(statement, 2),
			},
			.samples_acked = (uint64_t)sqlite3_column_int64(statement, 3),
			.samples = (uint64_t)sqlite3_column_int64(statement, 4),
			.logs = (uint64_t)sqlite3_column_int64(statement, 5),
		};

		if (one.samples < one.samples_acked)
			one.samples = one.samples_acked;
		left(arg, &one);
	}
	ret = rc == SQLITE_DONE ? 0 : fail(spool, err, "reading what is left");
	sqlite3_reset(statement);
	return ret;
}

/* ---- in ---- */

static int put_attempt(struct kt_spool *spool, const struct kt_spool_key *key, struct kt_err *err)
{
	sqlite3_stmt *statement;
	int ret = begin(spool, err);

	if (ret < 0)
		return ret;
	statement = use(spool, SQL_ATTEMPT, key);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)key->cell);
	return run(spool, statement, "noting an attempt", err);
}

static int put_piece(struct kt_spool *spool, const struct kt_spool_key *key, int kind, uint64_t seq,
		     const char *stream, const void *body, size_t len, struct kt_err *err)
{
	sqlite3_stmt *statement;
	int ret = put_attempt(spool, key, err);

	if (ret < 0)
		return undo(spool, ret);
	statement = use(spool, SQL_PIECE, key);
	sqlite3_bind_int(statement, 3, kind);
	sqlite3_bind_int64(statement, 4, (sqlite3_int64)seq);
	sqlite3_bind_text(statement, 5, stream, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(statement, 6, len ? body : "", len, SQLITE_STATIC);
	ret = run(spool, statement, "keeping a piece", err);
	return ret < 0 ? undo(spool, ret) : 0;
}

int kt_spool_put_sample(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
			const void *body, size_t len, struct kt_err *err)
{
	return put_piece(spool, key, KIND_SAMPLE, seq, "", body, len, err);
}

int kt_spool_put_log(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
		     const char *stream, const void *body, size_t len, struct kt_err *err)
{
	return put_piece(spool, key, KIND_LOG, seq, stream, body, len, err);
}

int kt_spool_put_result(struct kt_spool *spool, const struct kt_spool_key *key, const void *body,
			size_t len, struct kt_err *err)
{
	sqlite3_stmt *statement;
	int ret = put_attempt(spool, key, err);

	kt_must(len > 0);
	if (ret < 0)
		return undo(spool, ret);
	statement = use(spool, SQL_RESULT, key);
	sqlite3_bind_blob64(statement, 3, body, len, SQLITE_STATIC);
	ret = run(spool, statement, "keeping a result", err);
	return ret < 0 ? undo(spool, ret) : 0;
}

bool kt_spool_is_dirty(const struct kt_spool *spool)
{
	return spool->dirty;
}

int kt_spool_commit(struct kt_spool *spool, struct kt_err *err)
{
	int ret;

	if (!spool->dirty)
		return 0;
	ret = run(spool, use(spool, SQL_COMMIT, NULL), "writing to disk", err);
	if (ret < 0)
		return undo(spool, ret);
	spool->dirty = false;
	return 0;
}

/* ---- out ---- */

static void copy_text(char *to, size_t size, sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	snprintf(to, size, "%s", text ? (const char *)text : ""); /* NULL in a damaged file */
}

static int get(struct kt_spool *spool, sqlite3_stmt *statement, char *stream, struct kt_buf *out,
	       struct kt_err *err)
{
	int rc = sqlite3_step(statement);
	int ret = 0;

	if (rc == SQLITE_ROW) {
		const void *body = sqlite3_column_blob(statement, 0);

		kt_buf_append(out, body ? body : "", (size_t)sqlite3_column_bytes(statement, 0));
		if (stream)
			copy_text(stream, 33, statement, 1);
	} else if (rc == SQLITE_DONE) {
		ret = kt_err_set(err, KT_FAULT_HOST, ENOENT, "spool: it is not there");
	} else {
		ret = fail(spool, err, "reading");
	}
	sqlite3_reset(statement);
	return ret;
}

static int get_piece(struct kt_spool *spool, const struct kt_spool_key *key, int kind, uint64_t seq,
		     char *stream, struct kt_buf *out, struct kt_err *err)
{
	sqlite3_stmt *statement = use(spool, SQL_GET_PIECE, key);

	sqlite3_bind_int(statement, 3, kind);
	sqlite3_bind_int64(statement, 4, (sqlite3_int64)seq);
	return get(spool, statement, stream, out, err);
}

int kt_spool_get_sample(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
			struct kt_buf *out, struct kt_err *err)
{
	return get_piece(spool, key, KIND_SAMPLE, seq, NULL, out, err);
}

int kt_spool_get_log(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
		     char stream[33], struct kt_buf *out, struct kt_err *err)
{
	return get_piece(spool, key, KIND_LOG, seq, stream, out, err);
}

int kt_spool_get_result(struct kt_spool *spool, const struct kt_spool_key *key, struct kt_buf *out,
			struct kt_err *err)
{
	return get(spool, use(spool, SQL_GET_RESULT, key), NULL, out, err);
}

/* ---- away ---- */

int kt_spool_trim(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t samples,
		  struct kt_err *err)
{
	sqlite3_stmt *statement;
	int ret = begin(spool, err);

	if (ret < 0)
		return ret;
	statement = use(spool, SQL_TRIM, key);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)samples);
	ret = run(spool, statement, "letting samples go", err);
	if (ret < 0)
		return undo(spool, ret);
	statement = use(spool, SQL_ACKED, key);
	sqlite3_bind_int64(statement, 3, (sqlite3_int64)samples);
	ret = run(spool, statement, "noting an acknowledgement", err);
	return ret < 0 ? undo(spool, ret) : 0;
}

int kt_spool_forget(struct kt_spool *spool, const struct kt_spool_key *key, struct kt_err *err)
{
	int ret = begin(spool, err);

	if (ret < 0)
		return ret;
	ret = run(spool, use(spool, SQL_FORGET_PIECES, key), "forgetting", err);
	if (ret == 0)
		ret = run(spool, use(spool, SQL_FORGET, key), "forgetting", err);
	return ret < 0 ? undo(spool, ret) : 0;
}
