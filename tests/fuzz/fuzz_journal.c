/* layer: coordinator */
/* A sweep's file as a damaged disk, or somebody, may hand it to us (dbfile.h).
 * A row of kind 5: [table, cell, epoch or tag, raw (2 bytes), length (2 bytes), bytes].
 *
 * It is opened, folded and read through: that ends, with what was in it or with an error that says something.
 */
#include "coordinator/journal.h"
#include "coordinator/stored.h"
#include "tests/fuzz/dbfile.h"

#include <errno.h>

#define CELLS          3
#define ROW_HEAD_BYTES 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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

	dbfile_begin("journal");
	kt_must(kt_journal_create(dbfile_path, &journal, NULL) == 0);
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
	dbfile_keep_open();
	kt_journal_close(&journal);
	dbfile_keep_closed();
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
	dbfile_bind(statement, 4, head[0] & 128, bytes, len);
	sqlite3_step(statement);
	sqlite3_finalize(statement);
}

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
	int status = kt_journal_open(dbfile_path, read_only, &journal, &err);

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
	if (!dbfile_dir[0])
		make_images();
	if (len < 1)
		return 0;
	dbfile_make(data[0] & 127, add_row, ROW_HEAD_BYTES, data + 1, len - 1);
	read_through(data[0] & 128);
	dbfile_remove();
	return 0;
}
