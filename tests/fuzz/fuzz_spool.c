/* layer: worker */
/* A worker's spool as a damaged disk may leave it (dbfile.h).
 * A row of kind 5: [table, epoch, kind or cell, seq, length (2 bytes), bytes].
 *
 * The worker begins all the same: what is left is told and can be read, or is set aside; then it can be written to,
 * and what is written can be read.
 */
#include "proto/base/clock.h"
#include "tests/fuzz/dbfile.h"
#include "worker/spool.h"

#include <errno.h>

#define LEFT_MAX       64
#define ROW_HEAD_BYTES 6

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

static void make_images(void)
{
	struct kt_spool *spool = NULL;
	struct kt_spool_key key = { "sweep", 1, 1 };
	static uint8_t zeros[5000];

	dbfile_begin("spool");
	kt_must(kt_spool_open(dbfile_path, 0, &spool, NULL) == 0);
	for (key.epoch = 1; key.epoch <= 3; key.epoch++) {
		kt_must(kt_spool_put_sample(spool, &key, 0, zeros, sizeof(zeros), NULL) == 0);
		kt_must(kt_spool_put_sample(spool, &key, 1, "short", 5, NULL) == 0);
		kt_must(kt_spool_put_log(spool, &key, 0, "console", "hi", 2, NULL) == 0);
		if (key.epoch < 3)
			kt_must(kt_spool_put_result(spool, &key, "result", 6, NULL) == 0);
		kt_must(kt_spool_commit(spool, NULL) == 0);
	}
	dbfile_keep_open();
	kt_spool_destroy(&spool);
	dbfile_keep_closed();
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
	dbfile_bind(statement, 4, head[0] & 128, bytes, len);
	sqlite3_step(statement);
	sqlite3_finalize(statement);
}

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
	int status = kt_spool_open(dbfile_path, 0, &spool, &err);

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
	if (!dbfile_dir[0])
		make_images();
	if (len < 1)
		return 0;
	dbfile_make(data[0] & 127, add_row, ROW_HEAD_BYTES, data + 1, len - 1);
	live();
	dbfile_remove();
	return 0;
}
