/* layer: worker */
/* The input is what a coordinator and a disk do to a worker's cache: steps [what, argument], in which questions are
 * answered truly, falsely, twice or never, the connection goes and comes, wants come and go, the worker starts anew
 * and finds its files spoilt. Whatever happens: what the cache says is here holds what it should, and when
 * everybody behaves again, everything comes.
 *
 * libuv's threads and timers, and the clock, are played here: the same input does the same each time.
 */
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "worker/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ARTIFACTS   3
#define WANTS       4
#define ASKS_MAX    64
#define STEPS_MAX   400
#define BYTES_MAX   40000
#define ROUNDS_MAX  3000
#define CACHE_BYTES 60000 /* so that there is something to evict */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const size_t sizes[ARTIFACTS] = { 0, 700, BYTES_MAX };

struct want {
	struct kt_cache_want *want;
	unsigned int mask;
	bool is_done;
	bool is_good;
};

struct world {
	char dir[64];
	uint8_t *bytes[ARTIFACTS];
	struct kt_job_artifact artifacts[ARTIFACTS];
	struct kt_cache *cache;
	struct want wants[WANTS];
	struct {
		struct kt_msg_fetch fetch;
		size_t artifact;
	} asks[ASKS_MAX];
	size_t n_asks;
	bool is_up;
	int64_t now_ns;
};

static struct world world;

/* ---- played: the clock, libuv's timers and threads ---- */

int64_t kt_clock_now_ns(void)
{
	return world.now_ns;
}

int64_t kt_clock_wall_ns(void)
{
	return world.now_ns;
}

int64_t kt_clock_add_ns(int64_t at_ns, int64_t span_ns)
{
	return at_ns > INT64_MAX - span_ns ? INT64_MAX : at_ns + span_ns;
}

static uv_timer_t *timer;
static uv_timer_cb timer_cb;

int uv_timer_init(uv_loop_t *loop, uv_timer_t *handle)
{
	return 0;
}

int uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	timer = handle;
	timer_cb = cb;
	return 0;
}

int uv_timer_stop(uv_timer_t *handle)
{
	timer_cb = NULL;
	return 0;
}

static struct {
	uv_work_t *work;
	uv_after_work_cb after;
} works[ARTIFACTS * 2];
static size_t n_works;

/* Done at once, told later. */
int uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb after)
{
	kt_must(n_works < sizeof(works) / sizeof(works[0]));
	run(work);
	works[n_works].work = work;
	works[n_works++].after = after;
	return 0;
}

static void finish_work(void)
{
	uv_work_t *work = works[0].work;
	uv_after_work_cb after = works[0].after;

	if (!n_works)
		return;
	memmove(works, works + 1, --n_works * sizeof(works[0]));
	after(work, 0);
}

void uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	timer_cb = NULL;
	cb(handle);
}

/* ---- the cache and its owner ---- */

static int ask(void *arg, const struct kt_msg_fetch *fetch)
{
	size_t i = 0;

	kt_must(world.is_up);
	if (world.n_asks == ASKS_MAX)
		return -1;
	while (memcmp(world.artifacts[i].digest.bytes, fetch->digest.data, KT_DIGEST_BYTES) != 0)
		kt_must(++i < ARTIFACTS);
	kt_must(fetch->len > 0 && fetch->len <= KT_CHUNK_BYTES_MAX);
	kt_must(fetch->offset + fetch->len <= sizes[i]);
	world.asks[world.n_asks].fetch = *fetch;
	world.asks[world.n_asks].fetch.digest.data = world.artifacts[i].digest.bytes;
	world.asks[world.n_asks++].artifact = i;
	return 0;
}

static void done(void *arg, const char *const *paths, size_t n_paths, enum kt_cause_id cause,
		 const struct kt_err *err)
{
	struct want *want = arg;
	size_t n = 0;

	kt_must(!want->is_done);
	want->is_done = true;
	want->is_good = !err;
	for (size_t i = 0; i < ARTIFACTS && !err; i++) {
		struct kt_digest digest;

		if (!(want->mask >> i & 1))
			continue;
		kt_must(kt_digest_of_file(paths[n++], &digest, NULL, NULL) == 0);
		kt_must(kt_digest_equal(&digest, &world.artifacts[i].digest));
	}
	kt_must(err || n == n_paths);
}

static void open_cache(void)
{
	struct kt_cache_config config = { .dir = world.dir, .bytes_max = CACHE_BYTES, .ask = ask };

	kt_must(kt_cache_open(NULL, &config, &world.cache, NULL) == 0);
	if (world.is_up)
		kt_cache_link(world.cache, true);
}

static void close_cache(void)
{
	for (size_t i = 0; i < WANTS; i++)
		kt_cache_drop(&world.wants[i].want);
	kt_cache_destroy(&world.cache);
	while (n_works)
		finish_work();
	world.n_asks = 0;
}

static void want(size_t slot, unsigned int mask)
{
	struct kt_job_artifact list[ARTIFACTS];
	size_t n = 0;

	kt_cache_drop(&world.wants[slot].want);
	for (size_t i = 0; i < ARTIFACTS; i++)
		if (mask >> i & 1)
			list[n++] = world.artifacts[i];
	world.wants[slot] = (struct want){ .mask = mask };
	world.wants[slot].want = kt_cache_want(world.cache, list, n, done, &world.wants[slot]);
}

/* ---- answers ---- */

enum lie { TRUTH, FLIPPED, SHIFTED, SHORTER, LONGER, TOTAL, MISSING, EMPTY, OTHER };

static void answer(size_t i, enum lie lie, unsigned int argument)
{
	static uint8_t body[KT_CHUNK_BYTES_MAX];
	const struct kt_msg_fetch *fetch = &world.asks[i].fetch;
	size_t artifact = world.asks[i].artifact;
	struct kt_msg_chunk chunk = { .digest = fetch->digest,
				      .offset = fetch->offset,
				      .total = sizes[artifact],
				      .body = { body, fetch->len },
				      .missing = "" };

	memcpy(body, world.bytes[artifact] + fetch->offset, fetch->len);
	if (lie == FLIPPED)
		body[argument % fetch->len] ^= 1;
	else if (lie == SHIFTED)
		chunk.offset += argument - 128;
	else if (lie == SHORTER)
		chunk.body.len = argument % (fetch->len + 1);
	else if (lie == LONGER)
		chunk.body.len += argument * 300;
	else if (lie == TOTAL)
		chunk.total = argument & 1 ? UINT64_MAX : chunk.total + argument - 128;
	else if (lie == MISSING)
		chunk.missing = "gone";
	else if (lie == EMPTY)
		chunk.body.len = 0;
	else if (lie == OTHER)
		chunk.digest = (struct kt_bin){ world.artifacts[argument % ARTIFACTS].digest.bytes,
						argument % 40 };
	kt_cache_chunk(world.cache, &chunk);
}

static void answer_and_forget(size_t i, enum lie lie, unsigned int argument)
{
	if (i >= world.n_asks)
		return;
	answer(i, lie, argument);
	if (world.n_asks <= i) /* the link went meanwhile */
		return;
	memmove(&world.asks[i], &world.asks[i + 1], (--world.n_asks - i) * sizeof(world.asks[0]));
}

static void spoil(unsigned int argument)
{
	char hex[KT_DIGEST_HEX_BYTES];
	char path[192];
	size_t i = argument % ARTIFACTS;
	int fd;

	kt_digest_hex(&world.artifacts[i].digest, hex);
	snprintf(path, sizeof(path), "%s/%s%s", world.dir, hex, argument & 4 ? ".part" : "");
	if (argument & 8) {
		unlink(path);
		return;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	kt_must(fd >= 0);
	kt_must(pwrite(fd, "spoilt", 6, (argument >> 4) * 2000) == 6);
	kt_must(ftruncate(fd, (argument >> 4) * 3000) == 0);
	close(fd);
}

static void link_to(bool is_up)
{
	world.is_up = is_up;
	world.n_asks = 0;
	kt_cache_link(world.cache, is_up);
}

static void raw(const uint8_t *bytes, size_t len)
{
	KT_AUTO_ARENA arena = { .max = 4u << 20 };
	const struct kt_message *message;
	void *body;

	if (kt_codec_decode_frame(&kt_schema_fleet, bytes, len, &arena, &message, &body, NULL) < 0)
		return;
	if (message->tag == KT_TAG_chunk)
		kt_cache_chunk(world.cache, body);
}

static void step(unsigned int what, unsigned int argument)
{
	switch (what % 16) {
	case 0:
	case 1:
		answer_and_forget(0, TRUTH, 0);
		break;
	case 2:
		answer_and_forget(argument % ASKS_MAX, TRUTH, 0);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		answer_and_forget(0, FLIPPED + (what % 16 - 3), argument);
		break;
	case 10:
		if (argument & 1)
			link_to(argument & 2);
		else if (world.n_asks)
			answer(0, OTHER, argument);
		break;
	case 11:
		want(argument % WANTS, argument / WANTS % (1 << ARTIFACTS));
		break;
	case 12:
		kt_cache_drop(&world.wants[argument % WANTS].want);
		break;
	case 13:
		close_cache();
		spoil(argument);
		open_cache();
		break;
	case 14:
		world.now_ns += (int64_t)argument * argument * KT_NS_PER_MS;
		if (timer_cb)
			timer_cb(timer);
		break;
	case 15:
		finish_work();
	}
}

/* ---- a life ---- */

static void remove_files(void)
{
	for (size_t i = 0; i < ARTIFACTS; i++) {
		char hex[KT_DIGEST_HEX_BYTES];
		char path[192];

		kt_digest_hex(&world.artifacts[i].digest, hex);
		snprintf(path, sizeof(path), "%s/%s", world.dir, hex);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s.part", world.dir, hex);
		unlink(path);
	}
}

static void remove_dir(void)
{
	remove_files();
	rmdir(world.dir);
}

static void begin_world(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(world.dir, sizeof(world.dir), "%.40s/fuzz-cache.XXXXXX", tmp ? tmp : "/tmp");
	kt_must(mkdtemp(world.dir));
	atexit(remove_dir);
	for (size_t i = 0; i < ARTIFACTS; i++) {
		world.bytes[i] = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);
		for (size_t k = 0; k < sizes[i]; k++)
			world.bytes[i][k] = (uint8_t)((k + i) * 2654435761u >> 13);
		kt_digest_of(world.bytes[i], sizes[i], &world.artifacts[i].digest);
		world.artifacts[i].bytes = sizes[i];
	}
}

/* From whatever state the disk is in: with a coordinator that tells the truth everything comes. */
static void behave(void)
{
	close_cache();
	world.is_up = true;
	open_cache();
	want(0, (1 << ARTIFACTS) - 1);
	for (int i = 0; !world.wants[0].is_done; i++) {
		kt_must(i < ROUNDS_MAX);
		world.now_ns += KT_NS_PER_MS;
		if (world.n_asks)
			answer_and_forget(0, TRUTH, 0);
		if (timer_cb)
			timer_cb(timer);
		finish_work();
	}
	kt_must(world.wants[0].is_good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!world.dir[0])
		begin_world();
	world.now_ns = KT_NS_PER_S;
	world.is_up = true;
	open_cache();
	for (size_t n = 0; len >= 2 && n < STEPS_MAX; n++) {
		if (data[0] == 255) { /* a frame as it came: its length, its bytes */
			size_t piece = data[1] < len - 2 ? data[1] : len - 2;

			raw(data + 2, piece);
			data += piece;
			len -= piece;
		} else {
			step(data[0], data[1]);
		}
		data += 2;
		len -= 2;
	}
	behave();
	close_cache();
	remove_files();
	return 0;
}
