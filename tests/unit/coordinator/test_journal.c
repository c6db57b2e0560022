#include "coordinator/journal.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];
static char path[96];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/kt-test-journal.XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.sweep", dir);
}

static void teardown(void)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char file[128];

	for (size_t i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		unlink(file);
	}
	rmdir(dir);
}

TestSuite(journal, .init = setup, .fini = teardown);

static void add(struct kt_journal *journal, struct kt_sweep *sweep, uint32_t tag, const void *fact)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_sweep_apply(sweep, tag, fact, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_add_fact(journal, 1, tag, fact, &err), 0, "%s", err.text);
}

/* Two cells, one judged, one leased; a sample that compresses and one that does not. */
static void write_sweep(struct kt_sweep *sweep)
{
	KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = 2, .attempts_max = 3, .version = "0"
	};
	struct kt_msg_fact_granted granted = { .epoch = 1, .attempt = 1, .host = "a" };
	struct kt_msg_result result = { .cause = "finished" };
	struct kt_msg_fact_ended ended = { .epoch = 1, .result = &result };
	struct kt_msg_verdict verdict = { .outcome = "fail" };
	struct kt_msg_fact_judged judged = { .epoch = 1, .verdict = &verdict };
	static const uint8_t zeros[4000];
	struct kt_msg_sample_sent sample = { .epoch = 1, .body = { zeros, sizeof(zeros) } };
	struct kt_msg_log_sent log = { .epoch = 1,
				       .stream = "console",
				       .body = { (const uint8_t *)"hi\n", 3 } };
	struct kt_err err = { 0 };

	cr_assert_eq(kt_journal_create(path, &journal, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_set_meta(journal, "matrix", "x = 1", 5, &err), 0);
	add(journal, sweep, KT_TAG_fact_opened, &opened);
	add(journal, sweep, KT_TAG_fact_granted, &granted);
	cr_assert_eq(kt_journal_add_sample(journal, &sample, &err), 0, "%s", err.text);
	sample.seq = 1;
	sample.body = (struct kt_bin){ (const uint8_t *)"short", 5 };
	cr_assert_eq(kt_journal_add_sample(journal, &sample, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_add_log(journal, &log, &err), 0, "%s", err.text);
	add(journal, sweep, KT_TAG_fact_ended, &ended);
	add(journal, sweep, KT_TAG_fact_judged, &judged);
	granted.cell = 1;
	granted.epoch = 2;
	add(journal, sweep, KT_TAG_fact_granted, &granted);
	cr_assert_eq(kt_journal_commit(journal, &err), 0, "%s", err.text);
}

static int check_sample(void *arg, uint64_t seq, const char *stream, const void *bytes, size_t len,
			struct kt_err *err)
{
	uint64_t *n = arg;

	cr_assert_eq(seq, *n);
	cr_assert_eq(len, seq == 0 ? 4000u : 5u);
	cr_assert_eq(memcmp(bytes, seq == 0 ? "\0\0\0" : "short", 3), 0);
	++*n;
	return 0;
}

static int check_log(void *arg, uint64_t seq, const char *stream, const void *bytes, size_t len,
		     struct kt_err *err)
{
	cr_assert_str_eq(stream, "console");
	cr_assert_eq(len, 3);
	return 7;
}

Test(journal, what_was_committed_folds_to_the_same_state)
{
	KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_sweep before;
	struct kt_sweep after;
	struct kt_bin meta;
	struct kt_err err = { 0 };
	uint64_t n = 0;

	kt_sweep_init(&before);
	kt_sweep_init(&after);
	write_sweep(&before);
	cr_assert_eq(kt_journal_open(path, true, &journal, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_fold(journal, &after, &err), 0, "%s", err.text);
	cr_assert(kt_sweep_equal(&before, &after));
	cr_assert_eq(after.outcomes[KT_OUTCOME_FAIL], 1);
	cr_assert_eq(kt_journal_meta(journal, "matrix", &arena, &meta, &err), 0);
	cr_assert_str_eq((const char *)meta.data, "x = 1");
	cr_assert_eq(kt_journal_meta(journal, "nothing", &arena, &meta, &err), -ENOENT);
	cr_assert_eq(kt_journal_samples(journal, 0, 1, check_sample, &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 2);
	cr_assert_eq(kt_journal_logs(journal, 0, 1, check_log, NULL, &err), 7, "stops the walk");
	kt_sweep_destroy(&before);
	kt_sweep_destroy(&after);
}

Test(journal, what_was_not_committed_is_gone_whole)
{
	KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
	struct kt_msg_fact_term term = { .term = 1 };
	struct kt_sweep before;
	struct kt_sweep after;
	struct kt_err err = { 0 };

	kt_sweep_init(&before);
	kt_sweep_init(&after);
	write_sweep(&before);
	cr_assert_eq(kt_journal_open(path, false, &journal, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_add_fact(journal, 2, KT_TAG_fact_term, &term, &err), 0);
	cr_assert(kt_journal_is_dirty(journal));
	kt_journal_close(&journal);
	cr_assert_eq(kt_journal_open(path, true, &journal, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_fold(journal, &after, &err), 0, "%s", err.text);
	cr_assert(kt_sweep_equal(&before, &after));
	kt_sweep_destroy(&before);
	kt_sweep_destroy(&after);
}

Test(journal, what_is_no_sweep_is_said_to_be_none)
{
	struct kt_journal *journal = NULL;
	struct kt_err err = { 0 };
	FILE *file;

	cr_assert_eq(kt_journal_open(path, true, &journal, &err), -ENOENT);
	file = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	cr_assert_lt(kt_journal_open(path, true, &journal, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_INPUT, "%s", err.text);
	cr_assert_eq(kt_journal_create(path, &journal, &err), -EEXIST);
}

/* A cut or flipped file may lose the sweep, and is then said to be damaged; it never gives another one,
 * and never a crash.
 */
Test(journal, a_damaged_file_is_refused_or_whole, .timeout = 60)
{
	struct kt_sweep whole;
	struct stat st;

	kt_sweep_init(&whole);
	write_sweep(&whole);
	cr_assert_eq(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += 509) {
		KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
		KT_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
		struct kt_sweep sweep;
		struct kt_err err = { 0 };
		uint8_t byte;
		uint8_t flipped;

		cr_assert_eq(pread(fd, &byte, 1, at), 1);
		flipped = byte ^ 0x40;
		cr_assert_eq(pwrite(fd, &flipped, 1, at), 1);
		kt_sweep_init(&sweep);
		if (kt_journal_open(path, true, &journal, &err) == 0 &&
		    kt_journal_fold(journal, &sweep, &err) == 0 && sweep.n_cells == 2)
			cr_assert_leq(sweep.epoch, whole.epoch);
		kt_sweep_destroy(&sweep);
		cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	}
	kt_sweep_destroy(&whole);
}

Test(journal, has_one_writer_and_readers_besides)
{
	KT_AUTO(kt_journal_close) struct kt_journal *writer = NULL;
	KT_AUTO(kt_journal_close) struct kt_journal *reader = NULL;
	KT_AUTO(kt_journal_close) struct kt_journal *other = NULL;
	struct kt_err err = { 0 };
	struct kt_sweep sweep;

	kt_sweep_init(&sweep);
	write_sweep(&sweep);
	cr_assert_eq(kt_journal_open(path, false, &writer, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_open(path, false, &other, &err), -EBUSY);
	cr_assert_eq(kt_journal_open(path, true, &reader, &err), 0, "%s", err.text);
	kt_journal_close(&writer);
	cr_assert_eq(kt_journal_open(path, false, &writer, &err), 0, "%s", err.text);
	kt_sweep_destroy(&sweep);
}

/* ---- damaged files ---- */

#define COMMITS 4

/* Commit by commit; sweeps[k] is the state after k of them, wal_bytes[k] how long the WAL is then. */
static void write_by_commits(struct kt_journal **journal, struct kt_sweep sweeps[COMMITS + 1],
			     off_t wal_bytes[COMMITS + 1])
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = COMMITS, .attempts_max = 3, .version = "0"
	};
	struct kt_err err = { 0 };
	char wal[112];
	struct stat stat;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	cr_assert_eq(kt_journal_create(path, journal, &err), 0, "%s", err.text);
	for (size_t k = 0; k <= COMMITS; k++) {
		kt_sweep_init(&sweeps[k]);
		for (uint64_t epoch = 0; epoch <= k; epoch++) {
			struct kt_msg_fact_granted granted = {
				.cell = epoch - 1, .epoch = epoch, .attempt = 1, .host = "a"
			};

			kt_sweep_apply(&sweeps[k], epoch ? KT_TAG_fact_granted : KT_TAG_fact_opened,
				       epoch ? (void *)&granted : (void *)&opened, NULL);
			if (epoch < k)
				continue;
			cr_assert_eq(kt_journal_add_fact(
					     *journal, 1,
					     epoch ? KT_TAG_fact_granted : KT_TAG_fact_opened,
					     epoch ? (void *)&granted : (void *)&opened, &err),
				     0);
		}
		cr_assert_eq(kt_journal_commit(*journal, &err), 0);
		cr_assert_eq(lstat(wal, &stat), 0);
		wal_bytes[k] = stat.st_size;
	}
}

static void copy_cut(const char *from, const char *to, off_t len)
{
	KT_AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC);
	KT_AUTO_FD int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	static char bytes[1 << 20];
	ssize_t n = pread(in, bytes, sizeof(bytes), 0);

	cr_assert(n >= 0 && n < (ssize_t)sizeof(bytes));
	if (len >= 0 && len < n)
		n = len;
	cr_assert_eq(write(out, bytes, (size_t)n), n);
}

static int fold_of(const char *file, struct kt_sweep *sweep, struct kt_err *err)
{
	KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
	int status = kt_journal_open(file, true, &journal, err);

	kt_sweep_init(sweep);
	return status < 0 ? status : kt_journal_fold(journal, sweep, err);
}

static void remove_cut(const char *cut)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	char file[128];

	for (size_t i = 0; i < 3; i++) {
		snprintf(file, sizeof(file), "%s%s", cut, suffixes[i]);
		unlink(file);
	}
}

/* Fault 32: the power goes while the WAL is written. Whatever part of the last commit reached the disk: it is
 * there as a whole or not at all, and the file is never refused.
 */
Test(journal, a_wal_torn_at_any_byte_is_the_commits_before_it, .timeout = 110)
{
	KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
	struct kt_sweep sweeps[COMMITS + 1];
	off_t wal_bytes[COMMITS + 1];
	char wal[112], cut[112], cut_wal[128], shm[128];

	write_by_commits(&journal, sweeps, wal_bytes);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(cut, sizeof(cut), "%s/cut.sweep", dir);
	snprintf(cut_wal, sizeof(cut_wal), "%s-wal", cut);
	copy_cut(path, cut, -1);
	copy_cut(wal, cut_wal, -1);
	/* Readers change neither, so each cut is made from the one before. */
	for (off_t len = wal_bytes[COMMITS]; len >= wal_bytes[COMMITS - 1]; len--) {
		size_t whole = COMMITS - 1;
		struct kt_err err = { 0 };
		struct kt_sweep sweep;

		while (whole < COMMITS && wal_bytes[whole + 1] <= len)
			whole++;
		cr_assert_eq(truncate(cut_wal, len), 0);
		snprintf(shm, sizeof(shm), "%s-shm", cut);
		unlink(shm);
		cr_assert_eq(fold_of(cut, &sweep, &err), 0, "cut at %ld: %s", (long)len, err.text);
		cr_assert(kt_sweep_equal(&sweep, &sweeps[whole]), "cut at %ld", (long)len);
		kt_sweep_destroy(&sweep);
	}
	remove_cut(cut);
	for (size_t k = 0; k <= COMMITS; k++)
		kt_sweep_destroy(&sweeps[k]);
}

/* The file itself is never cut by a crash of ours. If something else cuts it, that is said, unless what is gone holds
 * no facts.
 */
Test(journal, a_file_cut_anywhere_is_never_another_history, .timeout = 110)
{
	struct kt_journal *journal = NULL;
	struct kt_sweep sweeps[COMMITS + 1];
	off_t wal_bytes[COMMITS + 1];
	char cut[112];
	struct stat stat;

	write_by_commits(&journal, sweeps, wal_bytes);
	kt_journal_close(&journal);
	cr_assert_eq(lstat(path, &stat), 0);
	snprintf(cut, sizeof(cut), "%s/cut.sweep", dir);
	for (off_t len = 0; len < stat.st_size; len += len < 4096 ? 1 : 61) {
		struct kt_err err = { 0 };
		struct kt_sweep sweep;
		int status;

		copy_cut(path, cut, len);
		status = fold_of(cut, &sweep, &err);
		if (status == 0)
			cr_assert(kt_sweep_equal(&sweep, &sweeps[COMMITS]), "cut at %ld",
				  (long)len);
		else
			cr_assert(status == -EBADMSG || status == -EINVAL, "cut at %ld: %d %s",
				  (long)len, status, err.text);
		cr_assert_eq(err.fault, status ? KT_FAULT_INPUT : KT_FAULT_NONE);
		kt_sweep_destroy(&sweep);
		remove_cut(cut);
	}
	for (size_t k = 0; k <= COMMITS; k++)
		kt_sweep_destroy(&sweeps[k]);
}

/* A file that somebody hands us may be made to keep us busy for ever. */
Test(journal, tables_that_are_none_are_refused, .timeout = 30)
{
	static const char *const hostile[] = {
		"DROP TABLE fact; CREATE VIEW fact AS WITH RECURSIVE r(seq) AS (SELECT 1 UNION ALL "
		"SELECT seq + 1 FROM r) SELECT seq, 1 AS wall_ns, 1 AS tag, x'80' AS body, 0 AS "
		"cell FROM r",
		"CREATE TRIGGER t AFTER INSERT ON fact BEGIN DELETE FROM fact; END",
		"DROP TABLE log",
	};

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct kt_journal *journal = NULL;
		struct kt_sweep sweep;
		struct kt_err err = { 0 };
		sqlite3 *db = NULL;

		kt_sweep_init(&sweep);
		write_sweep(&sweep);
		kt_sweep_destroy(&sweep);
		cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
		cr_assert_eq(sqlite3_exec(db, hostile[i], NULL, NULL, NULL), SQLITE_OK, "%s",
			     sqlite3_errmsg(db));
		sqlite3_close(db);
		cr_assert_eq(kt_journal_open(path, i % 2, &journal, &err), -EBADMSG);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		remove_cut(path);
	}
}
