#include "worker/cache.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

#define LEN (11 * KT_CHUNK_BYTES_MAX + 5)

struct place {
	uv_loop_t loop;
	uv_timer_t timer;
	char dir[64];
	struct kt_cache *cache;
	uint8_t *bytes;
	struct kt_job_artifact artifact;
	/* requests not answered yet */
	struct kt_msg_fetch asked[64];
	size_t n_asked, n_asked_max, n_answers;
	uint64_t first_offset;
	int spoil; /* answers to spoil from here on */
	unsigned int dones;
	enum kt_cause_id cause;
	char path[256];
};

static int ask(void *arg, const struct kt_msg_fetch *fetch)
{
	struct place *p = arg;

	kt_must(p->n_asked < 64);
	if (p->n_answers == 0 && p->n_asked == 0)
		p->first_offset = fetch->offset;
	p->asked[p->n_asked++] = *fetch;
	if (p->n_asked > p->n_asked_max)
		p->n_asked_max = p->n_asked;
	return 0;
}

static void done(void *arg, const char *const *paths, size_t n_paths, enum kt_cause_id cause,
		 const struct kt_err *err)
{
	struct place *p = arg;

	p->dones++;
	p->cause = cause;
	cr_assert_eq(err == NULL, cause == KT_CAUSE_ID_N);
	snprintf(p->path, sizeof(p->path), "%s", n_paths ? paths[0] : "");
}

static void on_timer(uv_timer_t *timer)
{
}

static void answer(struct place *p)
{
	struct kt_msg_fetch fetch = p->asked[0];
	KT_AUTO_FREE uint8_t *body = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);
	struct kt_msg_chunk chunk = {
		.digest = { p->artifact.digest.bytes, KT_DIGEST_BYTES },
		.offset = fetch.offset,
		.total = LEN,
		.body = { body, fetch.len },
		.missing = "",
	};

	memmove(p->asked, p->asked + 1, --p->n_asked * sizeof(p->asked[0]));
	memcpy(body, p->bytes + fetch.offset, fetch.len);
	if (p->spoil > 0 && p->spoil--)
		body[0] ^= 0x80;
	p->n_answers++;
	kt_cache_chunk(p->cache, &chunk);
	kt_cache_chunk(p->cache, &chunk); /* a duplicate does no harm */
}

static void open_cache(struct place *p, uint64_t bytes_max)
{
	struct kt_cache_config config = {
		.dir = p->dir, .bytes_max = bytes_max, .ask = ask, .arg = p
	};
	struct kt_err err = { 0 };

	cr_assert_eq(kt_cache_open(&p->loop, &config, &p->cache, &err), 0, "%s", err.text);
	kt_cache_link(p->cache, true);
}

static struct place *begin(void)
{
	struct place *p = kt_must_calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/kt-cache-XXXXXX");
	cr_assert_not_null(mkdtemp(p->dir));
	p->bytes = kt_must_calloc(1, LEN);
	for (size_t i = 0; i < LEN; i++)
		p->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	kt_digest_of(p->bytes, LEN, &p->artifact.digest);
	p->artifact.bytes = LEN;
	uv_loop_init(&p->loop);
	uv_timer_init(&p->loop, &p->timer);
	uv_timer_start(&p->timer, on_timer, 2, 2);
	open_cache(p, 1 << 30);
	return p;
}

static void end(struct place *p)
{
	char command[96];

	kt_cache_destroy(&p->cache);
	uv_close((uv_handle_t *)&p->timer, NULL);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&p->loop), 0);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	cr_assert_eq(system(command), 0);
	free(p->bytes);
	free(p);
}

/* Turns the loop, answering at most n_answers requests, until n_dones or nothing more to answer. */
static void turn(struct place *p, size_t n_answers, unsigned int n_dones)
{
	int64_t give_up_ns = kt_clock_now_ns() + 5 * KT_NS_PER_S;

	while (p->dones < n_dones && kt_clock_now_ns() < give_up_ns) {
		if (p->n_asked > 0 && n_answers == 0)
			return;
		while (p->n_asked > 0 && n_answers > 0) {
			answer(p);
			n_answers--;
		}
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	cr_assert_eq(p->dones, n_dones, "%u of %u done, %zu asked, %zu answered", p->dones, n_dones,
		     p->n_asked, p->n_answers);
}

static void again(struct place *p, uint64_t bytes_max)
{
	kt_cache_destroy(&p->cache);
	for (int i = 0; i < 20; i++)
		uv_run(&p->loop, UV_RUN_NOWAIT);
	p->n_asked = p->n_answers = p->dones = 0;
	open_cache(p, bytes_max);
}

static void assert_good(struct place *p)
{
	struct kt_digest digest;

	cr_assert_eq(p->cause, KT_CAUSE_ID_N);
	cr_assert_eq(kt_digest_of_file(p->path, &digest, NULL, NULL), 0);
	cr_assert(kt_digest_equal(&digest, &p->artifact.digest));
}

Test(cache, two_that_want_the_same_fetch_once_within_the_window, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *a = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	struct kt_cache_want *b = kt_cache_want(p->cache, &p->artifact, 1, done, p);

	turn(p, 1000, 2);
	cr_assert_eq(p->n_answers, 12);
	cr_assert_leq(p->n_asked_max, KT_FETCH_WINDOW);
	assert_good(p);
	kt_cache_drop(&a);
	kt_cache_drop(&b);
	end(p);
}

Test(cache, a_fetch_goes_on_where_it_was_cut_also_in_the_next_life, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);

	turn(p, 3, 1);
	p->n_asked = p->n_answers = 0; /* the connection broke: nothing more is answered */
	kt_cache_link(p->cache, false);
	cr_assert_eq(p->n_asked, 0);
	kt_cache_link(p->cache, true);
	cr_assert_eq(p->first_offset, 3 * KT_CHUNK_BYTES_MAX);
	turn(p, 2, 1);
	again(p, 1 << 30);
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, 1000, 1);
	cr_assert_eq(p->first_offset, 5 * KT_CHUNK_BYTES_MAX);
	assert_good(p);
	kt_cache_drop(&want);
	end(p);
}

Test(cache, a_flipped_bit_is_fetched_anew_once_then_it_is_corrupt, .timeout = 30)
{
	for (int spoil = 1; spoil <= 2; spoil++) {
		struct place *p = begin();
		struct kt_cache_want *want;

		p->spoil = 1;
		want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
		turn(p, 12, 1);
		while (p->n_asked == 0)
			uv_run(&p->loop, UV_RUN_ONCE);
		p->spoil = spoil - 1;
		turn(p, 1000, 1);
		if (spoil == 1)
			assert_good(p);
		else
			cr_assert_eq(p->cause, KT_CAUSE_ID_artifact_corrupt);
		kt_cache_drop(&want);
		end(p);
	}
}

Test(cache, what_rotted_on_disk_is_found_at_first_use_after_a_start, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	int fd;

	turn(p, 1000, 1);
	again(p, 1 << 30);
	fd = open(p->path, O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "rot", 3, 1000), 3);
	close(fd);
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, 1000, 1);
	cr_assert_eq(p->n_answers, 12);
	assert_good(p);
	kt_cache_drop(&want);
	end(p);
}

Test(cache, two_workers_share_one_fetch, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache *first = p->cache, *second;
	struct kt_cache_want *a, *b;

	open_cache(p, 1 << 30); /* of another worker: its own locks */
	second = p->cache;
	p->cache = first; /* who asks is answered */
	a = kt_cache_want(first, &p->artifact, 1, done, p);
	turn(p, 4, 2);
	b = kt_cache_want(second, &p->artifact, 1, done, p);
	turn(p, 1000, 2);
	p->cache = second;
	cr_assert_eq(p->n_answers, 12);
	assert_good(p);
	kt_cache_drop(&a);
	kt_cache_drop(&b);
	kt_cache_destroy(&first);
	end(p);
}

static void put_other(struct place *p, char digit, int64_t used_s, char path[160])
{
	struct utimbuf times = { .actime = used_s, .modtime = used_s };
	char name[65];
	int fd;

	memset(name, digit, 64);
	name[64] = 0;
	snprintf(path, 160, "%s/%s", p->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
	utime(path, &times);
}

Test(cache, the_least_recently_used_goes_and_never_what_is_in_use, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	struct kt_cache_want *empty_want;
	struct kt_job_artifact empty = { .bytes = 0 };
	struct utimbuf long_ago = { .actime = 1, .modtime = 1 };
	char old[160], new[160], foreign[160];

	turn(p, 1000, 1);
	again(p, LEN + (1 << 20) + 4096);
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, 0, 1);
	utime(p->path, &long_ago);
	put_other(p, 'a', 1000, old);
	put_other(p, 'b', 2000, new);
	snprintf(foreign, sizeof(foreign), "%s/precious", p->dir);
	close(open(foreign, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	kt_digest_of("", 0, &empty.digest);
	empty_want = kt_cache_want(p->cache, &empty, 1, done, p);
	turn(p, 0, 2);
	cr_assert_eq(p->cause, KT_CAUSE_ID_N, "an empty artifact needs no fetch");
	cr_assert_neq(access(old, F_OK), 0, "the oldest went");
	cr_assert_eq(access(new, F_OK), 0);
	cr_assert_eq(access(foreign, F_OK), 0);
	kt_cache_drop(&want);
	kt_cache_drop(&empty_want);
	end(p);
}

Test(cache, what_the_coordinator_does_not_have_is_missing, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	struct kt_msg_chunk chunk = {
		.digest = { p->artifact.digest.bytes, KT_DIGEST_BYTES },
		.missing = "no such artifact",
	};

	turn(p, 0, 1);
	kt_cache_chunk(p->cache, &chunk);
	cr_assert_eq(p->dones, 1);
	cr_assert_eq(p->cause, KT_CAUSE_ID_artifact_missing);
	kt_cache_drop(&want);
	end(p);
}
