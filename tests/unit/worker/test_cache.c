#include "worker/cache.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
	size_t n_asked, n_asked_max;
	uint64_t answered; /* bytes */
	uint64_t first_offset;
	unsigned int stalls;
	int spoil; /* answers to spoil from here on */
	unsigned int dones;
	enum kt_cause_id cause;
	char path[256];
};

static int ask(void *arg, const struct kt_msg_fetch *fetch)
{
	struct place *p = arg;

	kt_must(p->n_asked < 64);
	if (p->answered == 0 && p->n_asked == 0)
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

static void stalled(void *arg)
{
	((struct place *)arg)->stalls++;
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
	p->answered += fetch.len;
	kt_cache_chunk(p->cache, &chunk);
	kt_cache_chunk(p->cache, &chunk); /* a duplicate does no harm */
}

static void open_cache(struct place *p, uint64_t bytes_max)
{
	struct kt_cache_config config = {
		.dir = p->dir, .bytes_max = bytes_max, .ask = ask, .stalled = stalled, .arg = p
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

/* Turns the loop, answering until so many bytes were said since the last restart or cut, until n_dones. */
static void turn(struct place *p, uint64_t bytes, unsigned int n_dones)
{
	int64_t give_up_ns = kt_clock_now_ns() + 5 * KT_NS_PER_S;

	while (p->dones < n_dones && kt_clock_now_ns() < give_up_ns) {
		if (p->n_asked > 0 && p->answered >= bytes)
			return;
		while (p->n_asked > 0 && p->answered < bytes)
			answer(p);
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	cr_assert_eq(p->dones, n_dones, "%u of %u done, %zu asked, %" PRIu64 " answered", p->dones,
		     n_dones, p->n_asked, p->answered);
}

static void again(struct place *p, uint64_t bytes_max)
{
	kt_cache_destroy(&p->cache);
	for (int i = 0; i < 20; i++)
		uv_run(&p->loop, UV_RUN_NOWAIT);
	p->n_asked = p->dones = 0;
	p->answered = 0;
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

	turn(p, UINT64_MAX, 2);
	cr_assert_eq(p->answered, LEN);
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
	uint64_t had;

	turn(p, LEN / 3, 1);
	had = p->answered;
	p->n_asked = 0; /* the connection broke: nothing more is answered */
	p->answered = 0;
	kt_cache_link(p->cache, false);
	cr_assert_eq(p->n_asked, 0);
	kt_cache_link(p->cache, true);
	cr_assert_eq(p->first_offset, had);
	turn(p, LEN / 3, 1);
	had += p->answered;
	again(p, 1 << 30);
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, UINT64_MAX, 1);
	cr_assert_eq(p->first_offset, had);
	cr_assert_eq(p->answered, LEN - had);
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
		turn(p, LEN, 1);
		while (p->n_asked == 0)
			uv_run(&p->loop, UV_RUN_ONCE);
		p->spoil = spoil - 1;
		turn(p, UINT64_MAX, 1);
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

	turn(p, UINT64_MAX, 1);
	again(p, 1 << 30);
	fd = open(p->path, O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "rot", 3, 1000), 3);
	close(fd);
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, UINT64_MAX, 1);
	cr_assert_eq(p->answered, LEN);
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
	turn(p, LEN / 3, 2);
	b = kt_cache_want(second, &p->artifact, 1, done, p);
	turn(p, UINT64_MAX, 2);
	p->cache = second;
	cr_assert_eq(p->answered, LEN);
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

	turn(p, UINT64_MAX, 1);
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

static bool is_told(struct place *p, const struct kt_digest *digest)
{
	struct kt_bin told = kt_cache_told(p->cache);

	for (size_t at = 0; at < told.len; at += KT_CACHED_BYTES)
		if (memcmp(told.data + at, digest->bytes, KT_CACHED_BYTES) == 0)
			return true;
	return false;
}

Test(cache, what_lies_there_is_told_as_it_comes_and_goes, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	struct kt_job_artifact empty = { .bytes = 0 };

	kt_digest_of("", 0, &empty.digest);
	turn(p, LEN / 2, 1);
	cr_assert_not(is_told(p, &p->artifact.digest), "not while it comes");
	turn(p, UINT64_MAX, 1);
	cr_assert(is_told(p, &p->artifact.digest));
	again(p, 1);
	cr_assert(is_told(p, &p->artifact.digest), "found at the start");
	cr_assert_eq(kt_cache_told(p->cache).len, KT_CACHED_BYTES);
	want = kt_cache_want(p->cache, &empty, 1, done, p); /* there is no room for both */
	turn(p, 0, 1);
	cr_assert(is_told(p, &empty.digest));
	cr_assert_not(is_told(p, &p->artifact.digest), "evicted");
	kt_cache_drop(&want);
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

/* ---- broken on purpose ---- */

static void put_part(struct place *p, const void *bytes, size_t len)
{
	char hex[KT_DIGEST_HEX_BYTES], path[160];
	FILE *file;

	kt_digest_hex(&p->artifact.digest, hex);
	snprintf(path, sizeof(path), "%s/%s.part", p->dir, hex);
	file = fopen(path, "w");
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

/* What an earlier life left costs its bytes and no more, and does not count as the line's fault. */
Test(cache, whatever_part_was_left_the_artifact_comes_out_whole, .timeout = 60)
{
	static const struct {
		size_t len;
		bool is_spoilt;
		int spoil; /* and so many answers on the line */
		uint64_t answered;
	} rows[] = {
		{ 0, false, 0, LEN },       { 1, false, 0, LEN - 1 },
		{ LEN - 1, false, 0, 1 },   { LEN, false, 0, 0 },
		{ LEN + 1, false, 0, LEN }, { LEN / 2, true, 0, LEN - LEN / 2 + LEN },
		{ LEN, true, 0, LEN },      { LEN, true, 1, 2 * LEN },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct place *p = begin();
		KT_AUTO_FREE uint8_t *left = kt_must_calloc(1, LEN + 1);
		struct kt_cache_want *want;

		memcpy(left, p->bytes, LEN);
		left[3] ^= rows[i].is_spoilt ? 1 : 0;
		put_part(p, left, rows[i].len);
		p->spoil = rows[i].spoil;
		want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
		turn(p, UINT64_MAX, 1);
		assert_good(p);
		cr_assert_eq(p->answered, rows[i].answered, "row %zu: %" PRIu64, i, p->answered);
		kt_cache_drop(&want);
		end(p);
	}
}

Test(cache, answers_to_other_questions_change_nothing, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	struct kt_digest other;
	struct kt_msg_chunk good, bad;

	turn(p, LEN / 3, 1);
	kt_digest_of("other", 5, &other);
	good = (struct kt_msg_chunk){
		.digest = { p->artifact.digest.bytes, KT_DIGEST_BYTES },
		.offset = p->asked[0].offset,
		.total = LEN,
		.body = { p->bytes, 1000 },
		.missing = "",
	};
	bad = good, bad.offset--, kt_cache_chunk(p->cache, &bad);
	bad = good, bad.offset++, kt_cache_chunk(p->cache, &bad);
	bad = good, bad.offset = 0, kt_cache_chunk(p->cache, &bad);
	bad = good, bad.digest.data = other.bytes, kt_cache_chunk(p->cache, &bad);
	bad = good, bad.digest.len = 0, kt_cache_chunk(p->cache, &bad);
	bad = good, bad.body.len = 0, kt_cache_chunk(p->cache, &bad);
	bad = good, bad.body = (struct kt_bin){ p->bytes, LEN }, kt_cache_chunk(p->cache, &bad);
	cr_assert_eq(p->dones, 0);
	/* In other pieces than those asked for: it goes on, and the digest says that all is well. */
	good.body = (struct kt_bin){ p->bytes + good.offset, 1000 };
	kt_cache_chunk(p->cache, &good);
	kt_cache_link(p->cache, false);
	p->n_asked = 0;
	kt_cache_link(p->cache, true);
	cr_assert_eq(p->asked[0].offset, good.offset + 1000);
	turn(p, UINT64_MAX, 1);
	assert_good(p);
	kt_cache_drop(&want);
	end(p);
}

Test(cache, a_lie_about_the_length_is_found_at_once, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	struct kt_msg_chunk chunk = {
		.digest = { p->artifact.digest.bytes, KT_DIGEST_BYTES },
		.total = LEN + 1,
		.body = { p->bytes, 1000 },
		.missing = "",
	};

	turn(p, 0, 1);
	kt_cache_chunk(p->cache, &chunk);
	cr_assert_eq(p->dones, 1);
	cr_assert_eq(p->cause, KT_CAUSE_ID_artifact_corrupt);
	kt_cache_drop(&want);
	end(p);
}

/* Many small files of one job: together they ask for no more than one large one does. */
Test(cache, all_artifacts_share_one_window, .timeout = 30)
{
	struct place *p = begin();
	struct kt_job_artifact many[40];
	struct kt_cache_want *want;
	uint8_t *bytes[40];
	size_t n_answers = 0;

	for (size_t i = 0; i < 40; i++) {
		bytes[i] = kt_must_calloc(1, 1000);
		memset(bytes[i], (int)i, 1000);
		kt_digest_of(bytes[i], 1000, &many[i].digest);
		many[i].bytes = 1000;
	}
	want = kt_cache_want(p->cache, many, 40, done, p);
	while (!p->dones) {
		while (p->n_asked > 0) {
			struct kt_msg_fetch fetch = p->asked[0];
			struct kt_msg_chunk chunk = { .digest = fetch.digest,
						      .offset = fetch.offset,
						      .total = 1000,
						      .missing = "" };

			for (size_t i = 0; i < 40; i++)
				if (memcmp(many[i].digest.bytes, fetch.digest.data, 32) == 0)
					chunk.body = (struct kt_bin){ bytes[i], fetch.len };
			memmove(p->asked, p->asked + 1, --p->n_asked * sizeof(p->asked[0]));
			kt_cache_chunk(p->cache, &chunk);
			n_answers++;
		}
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	cr_assert_eq(p->cause, KT_CAUSE_ID_N);
	cr_assert_eq(n_answers, 40);
	cr_assert_leq(p->n_asked_max, KT_FETCH_WINDOW);
	kt_cache_drop(&want);
	end(p);
	for (size_t i = 0; i < 40; i++)
		free(bytes[i]);
}

/* Who waits for its turn is not cut off; who hears nothing asks for a new connection. */
Test(cache, waiting_for_a_turn_is_no_stall_and_silence_is, .timeout = 60)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	int64_t until_ns = kt_clock_now_ns() + KT_CACHE_STALL_NS + KT_CACHE_STALL_NS / 2;
	struct kt_msg_chunk wait = { .digest = { p->artifact.digest.bytes, KT_DIGEST_BYTES },
				     .total = LEN,
				     .missing = "" };

	while (kt_clock_now_ns() < until_ns) {
		uv_run(&p->loop, UV_RUN_ONCE);
		kt_cache_chunk(p->cache, &wait);
	}
	cr_assert_eq(p->stalls, 0);
	while (p->stalls == 0)
		uv_run(&p->loop, UV_RUN_ONCE);
	cr_assert_eq(p->dones, 0);
	turn(p, UINT64_MAX, 1);
	assert_good(p);
	kt_cache_drop(&want);
	end(p);
}

/* On a slow line pieces get small, so that each comes within every patience; on a quick one large. */
Test(cache, a_piece_is_what_the_line_carries_in_half_a_second, .timeout = 60)
{
	struct place *p = begin();
	struct kt_cache_want *want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	uint64_t smallest = UINT64_MAX, largest = 0;

	turn(p, 0, 1);
	for (int i = 0; i < 3; i++) {
		int64_t until_ns = kt_clock_now_ns() + 2200 * KT_NS_PER_MS;

		while (kt_clock_now_ns() < until_ns)
			uv_run(&p->loop, UV_RUN_ONCE);
		answer(p);
	}
	for (size_t i = 0; i < p->n_asked; i++)
		smallest = p->asked[i].len < smallest ? p->asked[i].len : smallest;
	cr_assert_leq(smallest, 8u << 10);
	cr_assert_eq(p->stalls, 0);
	while (p->n_asked > 0) {
		for (size_t i = 0; i < p->n_asked; i++)
			largest = p->asked[i].len > largest ? p->asked[i].len : largest;
		answer(p);
	}
	cr_assert_eq(largest, KT_CHUNK_BYTES_MAX);
	turn(p, UINT64_MAX, 1);
	assert_good(p);
	kt_cache_drop(&want);
	end(p);
}

/* Both workers find the file rotten; one fetches it, and the other does not take the new one away. */
Test(cache, a_rotten_file_is_replaced_once_for_all_workers, .timeout = 30)
{
	struct place *p = begin();
	struct kt_cache *first = p->cache, *second;
	struct kt_cache_want *a, *b;
	char hex[KT_DIGEST_HEX_BYTES], path[160];
	FILE *file;

	kt_digest_hex(&p->artifact.digest, hex);
	snprintf(path, sizeof(path), "%s/%s", p->dir, hex);
	file = fopen(path, "w");
	fwrite("rot", 1, 3, file);
	fclose(file);
	open_cache(p, 1 << 30);
	second = p->cache;
	a = kt_cache_want(first, &p->artifact, 1, done, p);
	b = kt_cache_want(second, &p->artifact, 1, done, p);
	while (p->n_asked == 0)
		uv_run(&p->loop, UV_RUN_ONCE);
	/* Whoever asked has the lock; its answers go to both, who does not wait for them ignores them. */
	while (p->dones < 2) {
		while (p->n_asked > 0) {
			struct kt_msg_fetch fetch = p->asked[0];
			struct kt_msg_chunk chunk = { .digest = fetch.digest,
						      .offset = fetch.offset,
						      .total = LEN,
						      .body = { p->bytes + fetch.offset,
								fetch.len },
						      .missing = "" };

			memmove(p->asked, p->asked + 1, --p->n_asked * sizeof(p->asked[0]));
			p->answered += fetch.len;
			kt_cache_chunk(first, &chunk);
			kt_cache_chunk(second, &chunk);
		}
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	cr_assert_eq(p->answered, LEN);
	assert_good(p);
	kt_cache_drop(&a);
	kt_cache_drop(&b);
	kt_cache_destroy(&first);
	end(p);
}

/* What stands where the artifact should is no file: a link is replaced, a folder is said. */
Test(cache, what_is_no_file_is_not_followed, .timeout = 30)
{
	for (int folder = 0; folder < 2; folder++) {
		struct place *p = begin();
		struct kt_cache_want *want;
		char hex[KT_DIGEST_HEX_BYTES], path[160], precious[160];
		struct stat stat;

		kt_digest_hex(&p->artifact.digest, hex);
		snprintf(path, sizeof(path), "%s/%s", p->dir, hex);
		snprintf(precious, sizeof(precious), "%s/precious", p->dir);
		close(open(precious, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		cr_assert_eq(folder ? mkdir(path, 0755) : symlink(precious, path), 0);
		want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
		turn(p, UINT64_MAX, 1);
		if (folder)
			cr_assert_eq(p->cause, KT_CAUSE_ID_host_trouble);
		else
			assert_good(p);
		cr_assert_eq(lstat(precious, &stat), 0);
		cr_assert_eq(stat.st_size, 0);
		kt_cache_drop(&want);
		end(p);
	}
}

/* Faults 1 and 34: the worker that fetches is killed; its lock goes with it, and what it wrote is used. */
Test(cache, a_killed_worker_leaves_its_part_to_the_next, .timeout = 60)
{
	struct place *p = begin();
	struct kt_cache_want *want;
	int told[2], status;
	uint64_t had = 0;
	pid_t child;

	cr_assert_eq(pipe(told), 0);
	child = fork();
	if (child == 0) {
		uv_loop_init(&p->loop); /* a loop of our own */
		uv_timer_init(&p->loop, &p->timer);
		uv_timer_start(&p->timer, on_timer, 2, 2);
		open_cache(p, 1 << 30);
		kt_cache_want(p->cache, &p->artifact, 1, done, p);
		turn(p, LEN / 2, 1);
		status = (int)write(told[1], &p->answered, sizeof(p->answered));
		for (;;)
			pause();
	}
	cr_assert_eq(read(told[0], &had, sizeof(had)), (ssize_t)sizeof(had));
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	for (int i = 0; i < 100; i++)
		uv_run(&p->loop, UV_RUN_ONCE);
	cr_assert_eq(p->n_asked, 0, "the other one is at it");
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	turn(p, UINT64_MAX, 1);
	cr_assert_eq(p->first_offset, had);
	cr_assert_eq(p->answered, LEN - had);
	assert_good(p);
	kt_cache_drop(&want);
	end(p);
}

/* Fault 30: on a disk of 4 MiB. What nobody uses makes room; when nothing does, disk_full is said, and what had
 * come is kept for when there is room again.
 */
Test(cache, a_full_disk_is_said_and_healed, .timeout = 60)
{
	struct place *p = begin();
	struct kt_cache_want *want;
	char old[160], foreign[160];
	FILE *file;
	void *fill = kt_must_calloc(1, 1 << 20);

	if (mount("kt-test", p->dir, "tmpfs", 0, "size=4m") < 0) {
		end(p);
		free(fill);
		cr_skip_test("no tmpfs can be mounted here (needs root)");
	}
	put_other(p, 'a', 1000, old);
	file = fopen(old, "w"); /* with blocks of its own */
	fwrite(fill, 1, 1 << 20, file);
	fclose(file);
	snprintf(foreign, sizeof(foreign), "%s/foreign", p->dir);
	file = fopen(foreign, "w");
	fwrite(fill, 1, 1 << 20, file);
	fclose(file);
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, UINT64_MAX, 1);
	assert_good(p);
	cr_assert_neq(access(old, F_OK), 0, "nobody used it");
	kt_cache_drop(&want);
	kt_cache_make_room(p->dir, 0, 0);
	cr_assert_neq(access(p->path, F_OK), 0);
	file = fopen(foreign, "a");
	fwrite(fill, 1, 1 << 20, file);
	fclose(file);
	p->dones = 0;
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, UINT64_MAX, 1);
	cr_assert_eq(p->cause, KT_CAUSE_ID_disk_full);
	kt_cache_drop(&want);
	unlink(foreign);
	p->dones = 0;
	p->n_asked = 0;
	p->answered = 0;
	want = kt_cache_want(p->cache, &p->artifact, 1, done, p);
	turn(p, UINT64_MAX, 1);
	cr_assert_lt(p->answered, LEN / 2, "it went on where the disk was full");
	assert_good(p);
	kt_cache_drop(&want);
	umount2(p->dir, MNT_DETACH);
	free(fill);
	end(p);
}
