#include "coordinator/journal.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <zstd.h>

#define APPLICATION_ID 0x6b74636f /* "ktco", for file(1) */
#define FORMAT         1

enum statement {
	BEGIN,
	COMMIT,
	SET_META,
	GET_META,
	ADD_FACT,
	ADD_SAMPLE,
	ADD_LOG,
	ALL_FACTS,
	CELL_FACTS,
	SAMPLES,
	LOGS,
	STATEMENT_N
};

static const char *const statement_sql[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[SET_META] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)",
	[GET_META] = "SELECT value FROM meta WHERE key = ?",
	[ADD_FACT] = "INSERT INTO fact(wall_ns, tag, cell, body) VALUES(?, ?, ?, ?)",
	[ADD_SAMPLE] = "INSERT INTO sample(cell, epoch, seq, raw, body) VALUES(?, ?, ?, ?, ?)",
	[ADD_LOG] = ("INSERT OR IGNORE INTO log(cell, epoch, seq, stream, raw, body) "
		     "VALUES(?, ?, ?, ?, ?, ?)"),
	[ALL_FACTS] = "SELECT seq, wall_ns, tag, body FROM fact ORDER BY seq",
	[CELL_FACTS] = "SELECT seq, wall_ns, tag, body FROM fact WHERE cell = ? ORDER BY seq",
	[SAMPLES] = "SELECT seq, raw, body FROM sample WHERE cell = ? AND epoch = ? ORDER BY seq",
	[LOGS] = "SELECT seq, stream, raw, body FROM log WHERE cell = ? AND epoch = ? ORDER BY seq",
};

static const char schema_sql[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	/* cell is only there to find the facts of one cell */
	"CREATE TABLE fact(seq INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, tag INTEGER NOT NULL,"
	" cell INTEGER, body BLOB NOT NULL);"
	"CREATE INDEX fact_cell ON fact(cell) WHERE cell IS NOT NULL;"
	/* raw: length before zstd; 0 when body is stored as it is */
	"CREATE TABLE sample(cell INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" raw INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(cell, epoch, seq)) WITHOUT ROWID;"
	"CREATE TABLE log(cell INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" stream TEXT NOT NULL, raw INTEGER NOT NULL, body BLOB NOT NULL,"
	" PRIMARY KEY(cell, epoch, seq)) WITHOUT ROWID;";

struct kt_journal {
	char *path;
	sqlite3 *db;
	int lock; /* the file once more, under flock(2): closed after db, whose POSIX locks it would take along */
	sqlite3_stmt *statements[STATEMENT_N];
	bool in_transaction;
	bool broken;
	ZSTD_CCtx *zstd;
	struct kt_buf encoded;
	struct kt_buf packed;
	/* For tests: dies by SIGKILL right before or after the k-th commit (KT_TEST_KILL_AT). */
	int64_t kill_at;
	int64_t commits;
};

/* ---- SQLite's errors in our words ---- */

__attribute__((cold)) static int db_err(struct kt_journal *j, struct kt_err *err, const char *doing)
{
	int code = sqlite3_extended_errcode(j->db);
	int primary = code & 0xff;
	int no = primary == SQLITE_FULL                                  ? ENOSPC
		 : primary == SQLITE_BUSY                                ? EBUSY
		 : primary == SQLITE_READONLY                            ? EROFS
		 : primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ? EBADMSG
									 : EIO;
	enum kt_fault fault = no == EBADMSG ? KT_FAULT_INPUT : KT_FAULT_HOST;

	/* SQLite's own words for it hide the reason. */
	if (primary == SQLITE_CANTOPEN && sqlite3_system_errno(j->db))
		return kt_err_sys(err, fault, sqlite3_system_errno(j->db), "%s: %s", j->path,
				  doing);
	return kt_err_set(err, fault, no, "%s: %s: %s%s", j->path, doing, sqlite3_errmsg(j->db),
			  no == ENOSPC ? ": make room on this disk" : "");
}

static int run(struct kt_journal *j, const char *sql, struct kt_err *err, const char *doing)
{
	return sqlite3_exec(j->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_err(j, err, doing);
}

static sqlite3_stmt *prepared(struct kt_journal *j, enum statement which, struct kt_err *err)
{
	if (!j->statements[which] &&
	    sqlite3_prepare_v3(j->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
			       &j->statements[which], NULL) != SQLITE_OK) {
		db_err(j, err, "preparing");
		return NULL;
	}
	sqlite3_reset(j->statements[which]);
	sqlite3_clear_bindings(j->statements[which]);
	return j->statements[which];
}

/* ---- life ---- */

/* SQLite would let two coordinators write in turns, and neither would know of the other's facts. */
static int lock_out_others(struct kt_journal *j, struct kt_err *err)
{
	j->lock = open(j->path, O_RDONLY | O_CLOEXEC);
	if (j->lock < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", j->path);
	if (flock(j->lock, LOCK_EX | LOCK_NB) < 0)
		return kt_err_set(err, KT_FAULT_INPUT, EBUSY,
				  "%s: another ktcoord works on this sweep", j->path);
	return 0;
}

static int open_db(const char *path, int flags, struct kt_journal **journal, struct kt_err *err)
{
	KT_AUTO(kt_journal_close) struct kt_journal *j = kt_must_calloc(1, sizeof(*j));
	const char *kill_at = getenv("KT_TEST_KILL_AT");

	j->path = kt_must_strdup(path);
	j->lock = -1;
	j->kill_at = kill_at ? atoll(kill_at) : -1;
	/* One thread uses it: no locks around every call. */
	if (sqlite3_open_v2(path, &j->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return db_err(j, err, "opening");
	sqlite3_busy_timeout(j->db, 2000);
	*journal = kt_take(&j);
	return 0;
}

int kt_journal_create(const char *path, struct kt_journal **journal, struct kt_err *err)
{
	KT_AUTO(kt_journal_close) struct kt_journal *j = NULL;
	char pragma[96];
	int status;

	if (access(path, F_OK) == 0)
		return kt_err_set(err, KT_FAULT_INPUT, EEXIST, "%s exists already", path);
	status = open_db(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &j, err);
	if (status == -ENOENT || status == -ENOTDIR)
		err->fault = KT_FAULT_INPUT; /* the folder that was named is not there */
	if (status < 0)
		return status;
	status = lock_out_others(j, err);
	if (status < 0)
		return status;
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		 APPLICATION_ID, FORMAT);
	if ((status = run(j,
			  "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;"
			  "PRAGMA synchronous = FULL;",
			  err, "opening")) < 0 ||
	    (status = run(j, pragma, err, "opening")) < 0 ||
	    (status = run(j, schema_sql, err, "making tables")) < 0)
		return status;
	*journal = kt_take(&j);
	return 0;
}

static int pragma_value(struct kt_journal *j, const char *pragma, int64_t *value,
			struct kt_err *err)
{
	sqlite3_stmt *row = NULL;
	int status = 0;

	if (sqlite3_prepare_v2(j->db, pragma, -1, &row, NULL) != SQLITE_OK ||
	    sqlite3_step(row) != SQLITE_ROW)
		status = db_err(j, err, "reading its header");
	else
		*value = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	return status;
}

/* A file from elsewhere may say that `fact` is a view of endlessly many rows, or have a trigger. */
static int check_tables(struct kt_journal *j, struct kt_err *err)
{
	int64_t tables = 0;
	int64_t others = 0;
	int status =
		run(j, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;", err, "opening");

	if (status == 0)
		status = pragma_value(j,
				      "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND "
				      "name IN ('meta', 'fact', 'sample', 'log')",
				      &tables, err);
	if (status == 0)
		status = pragma_value(j,
				      "SELECT count(*) FROM sqlite_schema WHERE type NOT IN "
				      "('table', 'index')",
				      &others, err);
	if (status == 0 && tables < 4 && !others)
		return kt_err_set(
			err, KT_FAULT_INPUT, EBADMSG,
			"%s: ktcoord was ended before this sweep began; nothing of it was "
			"run: start it again",
			j->path);
	if (status == 0 && (tables != 4 || others))
		status = kt_err_set(err, KT_FAULT_INPUT, EBADMSG,
				    "%s: its tables are not those of a sweep", j->path);
	return status;
}

/* A folder that cannot be written has no room for what readers of a WAL database share. Without a WAL
 * nobody writes there either, and the file alone is the whole sweep.
 */
static int open_unshared(const char *path, struct kt_journal **journal, struct kt_err *err)
{
	KT_AUTO_FREE char *wal = kt_must_asprintf("%s-wal", path);
	KT_AUTO_BUF uri = { 0 };
	int status;

	if (access(wal, F_OK) == 0)
		return kt_err_set(err, KT_FAULT_HOST, EROFS,
				  "%s: this folder cannot be written, and the sweep was not "
				  "closed: copy it with "
				  "its -wal to another folder",
				  path);
	kt_buf_puts(&uri, "file:");
	for (const char *at = path; *at; at++)
		kt_buf_printf(&uri, strchr("?#%", *at) ? "%%%02x" : "%c", (unsigned char)*at);
	kt_buf_puts(&uri, "?immutable=1");
	status = open_db(kt_buf_text(&uri), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, journal, err);
	if (status < 0)
		return status;
	free((*journal)->path);
	(*journal)->path = kt_must_strdup(path);
	return 0;
}

int kt_journal_open(const char *path, bool read_only, struct kt_journal **journal,
		    struct kt_err *err)
{
	KT_AUTO(kt_journal_close) struct kt_journal *j = NULL;
	int64_t id = 0;
	int64_t format = 0;
	int status;

	if (access(path, F_OK) < 0)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT, "%s: no such sweep", path);
	status = open_db(path, read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, &j, err);
	if (status == 0 && !read_only)
		status = lock_out_others(j, err);
	if (status == 0)
		status = pragma_value(j, "PRAGMA application_id", &id, err);
	if (read_only && j &&
	    (status == -EROFS || (status < 0 && sqlite3_errcode(j->db) == SQLITE_CANTOPEN))) {
		kt_journal_close(&j);
		status = open_unshared(path, &j, err);
		if (status == 0)
			status = pragma_value(j, "PRAGMA application_id", &id, err);
	}
	if (status == 0)
		status = pragma_value(j, "PRAGMA user_version", &format, err);
	if (status < 0)
		return status;
	if (id != APPLICATION_ID)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s is not a sweep", path);
	if (format != FORMAT)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s has format %" PRId64 ", this ktcoord reads %d: use the "
				  "ktcoord that wrote it",
				  path, format, FORMAT);
	if ((status = check_tables(j, err)) < 0)
		return status;
	if (!read_only && (status = run(j, "PRAGMA synchronous = FULL;", err, "opening")) < 0)
		return status;
	*journal = kt_take(&j);
	return 0;
}

void kt_journal_close(struct kt_journal **journal_p)
{
	struct kt_journal *j = kt_take(journal_p);

	if (!j)
		return;
	for (int i = 0; i < STATEMENT_N; i++)
		sqlite3_finalize(j->statements[i]);
	sqlite3_close(j->db);
	kt_own_close(&j->lock);
	ZSTD_freeCCtx(j->zstd);
	kt_buf_destroy(&j->encoded);
	kt_buf_destroy(&j->packed);
	free(j->path);
	free(j);
}

const char *kt_journal_path(const struct kt_journal *j)
{
	return j->path;
}

/* ---- writing ---- */

static int begin(struct kt_journal *j, struct kt_err *err)
{
	sqlite3_stmt *statement;

	if (j->broken)
		return kt_err_set(err, KT_FAULT_HOST, EIO, "%s: an earlier write failed", j->path);
	if (j->in_transaction)
		return 0;
	statement = prepared(j, BEGIN, err);
	if (!statement)
		return -EIO;
	if (sqlite3_step(statement) != SQLITE_DONE)
		return db_err(j, err, "beginning to write");
	sqlite3_reset(statement);
	j->in_transaction = true;
	return 0;
}

static int finish(struct kt_journal *j, sqlite3_stmt *statement, struct kt_err *err)
{
	int status = 0;

	if (sqlite3_step(statement) != SQLITE_DONE) {
		j->broken = true;
		status = db_err(j, err, "writing");
	}
	sqlite3_reset(statement);
	return status;
}

int kt_journal_set_meta(struct kt_journal *j, const char *key, const void *bytes, size_t len,
			struct kt_err *err)
{
	int status = begin(j, err);
	sqlite3_stmt *statement = status == 0 ? prepared(j, SET_META, err) : NULL;

	if (!statement)
		return status ? status : -EIO;
	sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(statement, 2, len ? bytes : "", len, SQLITE_STATIC);
	return finish(j, statement, err);
}

/* Facts that speak of a cell have it as their first field, with key 1. */
static bool fact_cell(uint32_t tag, const void *fact, uint64_t *cell)
{
	const struct kt_field *first = &kt_codec_message(&kt_facts_family, tag)->schema->fields[0];

	if (strcmp(first->name, "cell") != 0)
		return false;
	memcpy(cell, (const char *)fact + first->offset, sizeof(*cell));
	return true;
}

int kt_journal_add_fact(struct kt_journal *j, int64_t wall_ns, uint32_t tag, const void *fact,
			struct kt_err *err)
{
	int status = begin(j, err);
	sqlite3_stmt *statement = status == 0 ? prepared(j, ADD_FACT, err) : NULL;
	uint64_t cell;

	if (!statement)
		return status ? status : -EIO;
	kt_buf_reset(&j->encoded);
	kt_codec_encode(kt_codec_message(&kt_facts_family, tag)->schema, fact, &j->encoded);
	kt_must(j->encoded.len <= KT_FRAME_BYTES_MAX); /* else no one could read it back */
	sqlite3_bind_int64(statement, 1, wall_ns);
	sqlite3_bind_int64(statement, 2, tag);
	if (fact_cell(tag, fact, &cell))
		sqlite3_bind_int64(statement, 3, (int64_t)cell);
	sqlite3_bind_blob64(statement, 4, j->encoded.data, j->encoded.len, SQLITE_STATIC);
	return finish(j, statement, err);
}

struct kt_bin kt_journal_newest_fact(const struct kt_journal *j)
{
	return (struct kt_bin){ j->encoded.data, j->encoded.len };
}

/* Compressed into j->packed when that is smaller: returns the length before, else 0. */
static size_t pack(struct kt_journal *j, const struct kt_bin *body, struct kt_bin *stored)
{
	size_t bound = ZSTD_compressBound(body->len);
	uint8_t *room;
	size_t n;

	*stored = *body;
	if (body->len < 128)
		return 0;
	if (!j->zstd) {
		j->zstd = ZSTD_createCCtx();
		kt_must(j->zstd);
	}
	kt_buf_reset(&j->packed);
	room = kt_buf_reserve(&j->packed, bound);
	n = ZSTD_compressCCtx(j->zstd, room, bound, body->data, body->len, 3);
	if (ZSTD_isError(n) || n >= body->len)
		return 0;
	*stored = (struct kt_bin){ room, n };
	return body->len;
}

int kt_journal_add_sample(struct kt_journal *j, const struct kt_msg_sample_sent *sample,
			  struct kt_err *err)
{
	int status = begin(j, err);
	sqlite3_stmt *statement = status == 0 ? prepared(j, ADD_SAMPLE, err) : NULL;
	struct kt_bin stored;

	if (!statement)
		return status ? status : -EIO;
	sqlite3_bind_int64(statement, 1, (int64_t)sample->cell);
	sqlite3_bind_int64(statement, 2, (int64_t)sample->epoch);
	sqlite3_bind_int64(statement, 3, (int64_t)sample->seq);
	sqlite3_bind_int64(statement, 4, (int64_t)pack(j, &sample->body, &stored));
	sqlite3_bind_blob64(statement, 5, stored.data, stored.len, SQLITE_STATIC);
	return finish(j, statement, err);
}

int kt_journal_add_log(struct kt_journal *j, const struct kt_msg_log_sent *log, struct kt_err *err)
{
	int status = begin(j, err);
	sqlite3_stmt *statement = status == 0 ? prepared(j, ADD_LOG, err) : NULL;
	struct kt_bin stored;

	if (!statement)
		return status ? status : -EIO;
	sqlite3_bind_int64(statement, 1, (int64_t)log->cell);
	sqlite3_bind_int64(statement, 2, (int64_t)log->epoch);
	sqlite3_bind_int64(statement, 3, (int64_t)log->seq);
	sqlite3_bind_text(statement, 4, log->stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 5, (int64_t)pack(j, &log->body, &stored));
	sqlite3_bind_blob64(statement, 6, stored.data ? stored.data : (const void *)"", stored.len,
			    SQLITE_STATIC);
	return finish(j, statement, err);
}

/* Counts commits for the test that kills us at each of them: 2k is before commit k, 2k + 1 after. */
static void die_when_told(const struct kt_journal *j, int after)
{
	if (j->kill_at == j->commits * 2 + after)
		raise(SIGKILL);
}

int kt_journal_commit(struct kt_journal *j, struct kt_err *err)
{
	sqlite3_stmt *statement;
	int status;

	if (!j->in_transaction)
		return 0;
	statement = prepared(j, COMMIT, err);
	if (!statement)
		return -EIO;
	die_when_told(j, 0);
	status = finish(j, statement, err);
	if (status < 0)
		return status;
	die_when_told(j, 1);
	j->commits++;
	j->in_transaction = false;
	return 0;
}

bool kt_journal_is_dirty(const struct kt_journal *j)
{
	return j->in_transaction;
}

/* ---- reading ---- */

int kt_journal_meta(struct kt_journal *j, const char *key, struct kt_arena *arena,
		    struct kt_bin *value, struct kt_err *err)
{
	sqlite3_stmt *statement = prepared(j, GET_META, err);
	int status = -ENOENT;
	int step;

	if (!statement)
		return -EIO;
	sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	step = sqlite3_step(statement);
	if (step == SQLITE_ROW) {
		value->len = (size_t)sqlite3_column_bytes(statement, 0);
		value->data = kt_arena_copy(arena, sqlite3_column_blob(statement, 0), value->len);
		status = 0;
	} else if (step != SQLITE_DONE) {
		status = db_err(j, err, "reading");
	}
	sqlite3_reset(statement);
	return status;
}

int kt_journal_facts(struct kt_journal *j, uint64_t cell, kt_journal_fact_fn *fn, void *arg,
		     struct kt_err *err)
{
	sqlite3_stmt *statement = prepared(j, cell == UINT64_MAX ? ALL_FACTS : CELL_FACTS, err);
	KT_AUTO_ARENA arena = { 0 };
	int status = 0;
	int step = SQLITE_DONE;

	if (!statement)
		return -EIO;
	if (cell != UINT64_MAX)
		sqlite3_bind_int64(statement, 1, (int64_t)cell);
	while (status == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
		uint32_t tag = (uint32_t)sqlite3_column_int64(statement, 2);
		const struct kt_message *message = kt_codec_message(&kt_facts_family, tag);
		void *fact;

		kt_arena_reset(&arena);
		if (!message) {
			status = kt_err_set(err, KT_FAULT_INPUT, EBADMSG,
					    "%s: row %" PRIu64 " has the unknown tag %" PRIu32
					    ": it was written by a newer ktcoord, or is damaged",
					    j->path, seq, tag);
			break;
		}
		fact = kt_arena_alloc(&arena, 1, message->schema->size);
		status = kt_codec_decode(message->schema, sqlite3_column_blob(statement, 3),
					 (size_t)sqlite3_column_bytes(statement, 3), &arena, fact,
					 err);
		if (status < 0) {
			kt_err_wrap(err, "%s: row %" PRIu64, j->path, seq);
			break;
		}
		status = fn(arg, seq, sqlite3_column_int64(statement, 1), tag, fact, err);
	}
	if (status == 0 && step != SQLITE_DONE)
		status = db_err(j, err, "reading facts");
	sqlite3_reset(statement);
	return status;
}

/* Body column i, with its raw length in column i - 1. */
static int unpack(struct kt_journal *j, sqlite3_stmt *row, int i, size_t max, struct kt_bin *body,
		  struct kt_err *err)
{
	size_t raw = (size_t)sqlite3_column_int64(row, i - 1);
	size_t n;
	uint8_t *room;

	body->data = sqlite3_column_blob(row, i);
	body->len = (size_t)sqlite3_column_bytes(row, i);
	if (!body->data) /* of no bytes: some readers take NULL for none */
		body->data = (const uint8_t *)"";
	if (!raw && body->len <= max)
		return 0;
	if (raw > max || !raw)
		return kt_err_set(err, KT_FAULT_INPUT, EBADMSG, "%s: a row is too large", j->path);
	kt_buf_reset(&j->packed);
	room = kt_buf_reserve(&j->packed, raw);
	n = ZSTD_decompress(room, raw, body->data, body->len);
	if (ZSTD_isError(n) || n != raw)
		return kt_err_set(err, KT_FAULT_INPUT, EBADMSG, "%s: a row is damaged: %s", j->path,
				  ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong length");
	*body = (struct kt_bin){ room, raw };
	return 0;
}

static int walk_bytes(struct kt_journal *j, enum statement which, uint64_t cell, uint64_t epoch,
		      kt_journal_bytes_fn *fn, void *arg, struct kt_err *err)
{
	sqlite3_stmt *statement = prepared(j, which, err);
	int with_stream = which == LOGS;
	int status = 0;
	int step = SQLITE_DONE;

	if (!statement)
		return -EIO;
	sqlite3_bind_int64(statement, 1, (int64_t)cell);
	sqlite3_bind_int64(statement, 2, (int64_t)epoch);
	while (status == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		struct kt_bin body;
		const char *stream =
			with_stream ? (const char *)sqlite3_column_text(statement, 1) : "";

		status = unpack(j, statement, 2 + with_stream,
				which == LOGS ? KT_LOG_PIECE_BYTES_MAX : KT_SAMPLE_BYTES_MAX, &body,
				err);
		if (status == 0)
			status = fn(arg, (uint64_t)sqlite3_column_int64(statement, 0),
				    stream ? stream : "", body.data, body.len, err);
	}
	if (status == 0 && step != SQLITE_DONE)
		status = db_err(j, err, "reading");
	sqlite3_reset(statement);
	return status;
}

int kt_journal_samples(struct kt_journal *j, uint64_t cell, uint64_t epoch, kt_journal_bytes_fn *fn,
		       void *arg, struct kt_err *err)
{
	return walk_bytes(j, SAMPLES, cell, epoch, fn, arg, err);
}

int kt_journal_logs(struct kt_journal *j, uint64_t cell, uint64_t epoch, kt_journal_bytes_fn *fn,
		    void *arg, struct kt_err *err)
{
	return walk_bytes(j, LOGS, cell, epoch, fn, arg, err);
}

static int fold_fact(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag, const void *fact,
		     struct kt_err *err)
{
	if (kt_sweep_apply(arg, tag, fact, err) == 0)
		return 0;
	err->fault = KT_FAULT_INPUT; /* read from disk: the file is damaged, not we */
	return kt_err_wrap(err, "row %" PRIu64, seq);
}

int kt_journal_fold(struct kt_journal *j, struct kt_sweep *sweep, struct kt_err *err)
{
	int status = kt_journal_facts(j, UINT64_MAX, fold_fact, sweep, err);

	if (status == 0 && !sweep->cells)
		return kt_err_set(err, KT_FAULT_INPUT, EBADMSG,
				  "%s: no sweep was ever opened in it", j->path);
	return status;
}
