#include "worker/spool.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct kt_spool_key key = { "sweep", 7, 3 };
static char dir[64];
static char path[96];

static void make_place(void)
{
	strcpy(dir, "/tmp/kt-spool-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/spool.db", dir);
}

static void drop_place(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(spool, .init = make_place, .fini = drop_place);

static struct kt_spool *reopen(struct kt_spool *old)
{
	struct kt_spool *spool = NULL;
	struct kt_err err = { 0 };

	kt_spool_destroy(&old);
	cr_assert_eq(kt_spool_open(path, 0, &spool, &err), 0, "%s", err.text);
	return spool;
}

struct lefts {
	size_t n;
	struct kt_spool_left last;
	char sweep[64];
};

static void on_left(void *arg, const struct kt_spool_left *left)
{
	struct lefts *lefts = arg;

	lefts->n++;
	lefts->last = *left;
	snprintf(lefts->sweep, sizeof(lefts->sweep), "%s", left->key.sweep);
}

static struct lefts restore(struct kt_spool *spool)
{
	struct lefts lefts = { 0 };
	struct kt_err err = { 0 };
	size_t n_dropped;

	cr_assert_eq(kt_spool_restore(spool, on_left, &lefts, &n_dropped, &err), 0, "%s", err.text);
	return lefts;
}

static void put(struct kt_spool *spool, uint64_t samples, bool result)
{
	struct kt_err err = { 0 };

	for (uint64_t seq = 0; seq < samples; seq++)
		cr_assert_eq(kt_spool_put_sample(spool, &key, seq, &seq, sizeof(seq), &err), 0,
			     "%s", err.text);
	cr_assert_eq(kt_spool_put_log(spool, &key, 0, "console", "hello", 5, &err), 0);
	if (result)
		cr_assert_eq(kt_spool_put_result(spool, &key, "result", 6, &err), 0);
	cr_assert_eq(kt_spool_commit(spool, &err), 0);
}

Test(spool, what_was_committed_survives_a_kill)
{
	struct kt_spool *spool;
	struct lefts lefts;
	KT_AUTO_BUF out = { 0 };
	char stream[33];
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		spool = reopen(NULL);
		put(spool, 3, true);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	spool = reopen(NULL);
	lefts = restore(spool);
	cr_assert_eq(lefts.n, 1);
	cr_assert_str_eq(lefts.sweep, "sweep");
	cr_assert_eq(lefts.last.key.cell, 7);
	cr_assert_eq(lefts.last.key.epoch, 3);
	cr_assert_eq(lefts.last.samples, 3);
	cr_assert_eq(lefts.last.logs, 1);
	for (uint64_t seq = 0; seq < 3; seq++) {
		kt_buf_reset(&out);
		cr_assert_eq(kt_spool_get_sample(spool, &key, seq, &out, NULL), 0);
		cr_assert_eq(out.len, sizeof(seq));
		cr_assert_eq(memcmp(out.data, &seq, sizeof(seq)), 0);
	}
	kt_buf_reset(&out);
	cr_assert_eq(kt_spool_get_log(spool, &key, 0, stream, &out, NULL), 0);
	cr_assert_str_eq(stream, "console");
	kt_buf_reset(&out);
	cr_assert_eq(kt_spool_get_result(spool, &key, &out, NULL), 0);
	cr_assert_eq(memcmp(out.data, "result", 6), 0);
	kt_spool_destroy(&spool);
}

Test(spool, an_attempt_without_a_result_is_not_held_after_a_restart)
{
	struct kt_spool *spool = reopen(NULL);
	KT_AUTO_BUF out = { 0 };

	put(spool, 2, false);
	spool = reopen(spool);
	cr_assert_eq(restore(spool).n, 0);
	cr_assert_eq(kt_spool_get_sample(spool, &key, 0, &out, NULL), -ENOENT);
	kt_spool_destroy(&spool);
}

Test(spool, acknowledged_samples_go_and_the_rest_stays)
{
	struct kt_spool *spool = reopen(NULL);
	KT_AUTO_BUF out = { 0 };
	struct lefts lefts;

	put(spool, 4, true);
	cr_assert_eq(kt_spool_trim(spool, &key, 2, NULL), 0);
	spool = reopen(spool);
	lefts = restore(spool);
	cr_assert_eq(lefts.last.samples_acked, 2);
	cr_assert_eq(lefts.last.samples, 4);
	cr_assert_eq(kt_spool_get_sample(spool, &key, 1, &out, NULL), -ENOENT);
	cr_assert_eq(kt_spool_get_sample(spool, &key, 2, &out, NULL), 0);
	cr_assert_eq(kt_spool_trim(spool, &key, 4, NULL), 0);
	spool = reopen(spool);
	cr_assert_eq(restore(spool).last.samples, 4, "the count outlives the samples");
	cr_assert_eq(kt_spool_forget(spool, &key, NULL), 0);
	spool = reopen(spool);
	cr_assert_eq(restore(spool).n, 0);
	kt_spool_destroy(&spool);
}

static size_t count_damaged(void)
{
	DIR *open_dir = opendir(dir);
	struct dirent *item;
	size_t n = 0;

	while ((item = readdir(open_dir)))
		n += strstr(item->d_name, "spool.db.damaged-") == item->d_name;
	closedir(open_dir);
	return n;
}

Test(spool, a_damaged_file_is_set_aside_and_the_spool_starts_empty)
{
	static const struct {
		off_t cut; /* the file is this long afterwards; 0: as it was */
		off_t scribble; /* and overwritten from here */
	} damages[] = { { 100, 0 }, { 5000, 0 }, { 0, 1 }, { 0, 4096 } };

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct kt_spool *spool = reopen(NULL);
		char noise[4000];
		int fd;

		put(spool, 40, true);
		kt_spool_destroy(&spool);
		fd = open(path, O_RDWR | O_CLOEXEC);
		memset(noise, 0xa5, sizeof(noise));
		if (damages[i].cut)
			cr_assert_eq(ftruncate(fd, damages[i].cut), 0);
		else
			cr_assert_eq(pwrite(fd, noise, sizeof(noise), damages[i].scribble),
				     (ssize_t)sizeof(noise));
		close(fd);
		spool = reopen(NULL);
		cr_assert_not_null(kt_spool_set_aside(spool), "damage %zu", i);
		cr_assert_eq(restore(spool).n, 0);
		cr_assert_eq(count_damaged(), i + 1, "damage %zu", i);
		put(spool, 1, true);
		cr_assert_eq(restore(spool).n, 1);
		cr_assert_eq(kt_spool_forget(spool, &key, NULL), 0);
		kt_spool_destroy(&spool);
	}
}

Test(spool, a_full_disk_is_said_and_loses_only_what_was_not_committed)
{
	struct kt_spool *spool = NULL;
	struct kt_err err = { 0 };
	char body[8192] = { 0 };
	KT_AUTO_BUF out = { 0 };
	uint64_t seq = 0;
	int ret = 0;

	cr_assert_eq(kt_spool_open(path, 256 << 10, &spool, &err), 0);
	for (; ret == 0 && seq < 1000; seq++) {
		ret = kt_spool_put_sample(spool, &key, seq, body, sizeof(body), &err);
		if (ret == 0)
			ret = kt_spool_commit(spool, &err);
	}
	cr_assert_eq(ret, -ENOSPC, "%s", err.text);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_gt(seq, 5);
	cr_assert_eq(kt_spool_get_sample(spool, &key, seq - 2, &out, NULL), 0);
	cr_assert_eq(kt_spool_get_sample(spool, &key, seq - 1, &out, NULL), -ENOENT);
	cr_assert_not(kt_spool_is_dirty(spool));
	cr_assert_eq(kt_spool_trim(spool, &key, seq, NULL), 0, "room can be made");
	cr_assert_eq(kt_spool_put_result(spool, &key, "r", 1, &err), 0, "%s", err.text);
	cr_assert_eq(kt_spool_commit(spool, &err), 0);
	kt_spool_destroy(&spool);
}
