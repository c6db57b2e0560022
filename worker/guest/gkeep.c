#include "worker/guest/gkeep.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void kt_gkeep_init(struct kt_gkeep *keep, size_t head_max, size_t ring_max)
{
	*keep = (struct kt_gkeep){ .head_max = head_max, .ring_max = ring_max };
}

void kt_gkeep_put(struct kt_gkeep *keep, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	size_t room = keep->head_max - keep->head_len;
	size_t first = len < room ? len : room;

	keep->total += len;
	if (first) {
		keep->head = kt_must_realloc(keep->head, keep->head_len + first, 1);
		memcpy(keep->head + keep->head_len, from, first);
		keep->head_len += first;
		from += first;
		len -= first;
	}
	if (len && !keep->ring)
		keep->ring = kt_must_calloc(keep->ring_max, 1);
	if (len > keep->ring_max) { /* only its end will be there */
		from += len - keep->ring_max;
		len = keep->ring_max;
	}
	while (len) {
		size_t n = keep->ring_max - keep->ring_at;

		n = len < n ? len : n;
		memcpy(keep->ring + keep->ring_at, from, n);
		keep->ring_at = (keep->ring_at + n) % keep->ring_max;
		from += n;
		len -= n;
	}
}

static size_t ring_len(const struct kt_gkeep *keep)
{
	uint64_t behind = keep->total - keep->head_len;

	return behind < keep->ring_max ? (size_t)behind : keep->ring_max;
}

size_t kt_gkeep_bytes(const struct kt_gkeep *keep)
{
	return keep->head_len + ring_len(keep);
}

/* Head and ring one behind the other. */
static uint8_t *join(const struct kt_gkeep *keep)
{
	size_t n = ring_len(keep);
	uint8_t *text = kt_must_calloc(keep->head_len + n + 1, 1);
	size_t begin = n < keep->ring_max ? 0 : keep->ring_at;

	if (keep->head_len)
		memcpy(text, keep->head, keep->head_len);
	for (size_t i = 0; i < n; i++)
		text[keep->head_len + i] = keep->ring[(begin + i) % keep->ring_max];
	return text;
}

/* The whole lines among the first bytes. */
static size_t lines_of_head(const uint8_t *text, size_t len)
{
	const uint8_t *end = len ? memrchr(text, '\n', len) : NULL;

	return end ? (size_t)(end - text) + 1 : 0;
}

/* The whole lines among the last `len` bytes of a text: where they begin. */
static size_t lines_of_end(const uint8_t *text, size_t text_len, size_t len)
{
	const uint8_t *from = text + text_len - len;
	const uint8_t *end = len ? memchr(from, '\n', len) : NULL;

	return end ? (size_t)(end - text) + 1 : text_len;
}

void kt_gkeep_take(const struct kt_gkeep *keep, size_t most, struct kt_arena *arena,
		   struct kt_bin *text)
{
	KT_AUTO_FREE uint8_t *all = join(keep);
	size_t len = kt_gkeep_bytes(keep);
	char note[KT_GKEEP_NOTE_BYTES_MAX];
	size_t room;
	size_t first; /* so many are taken from the front */
	size_t behind; /* so many hang together at the end */
	size_t last; /* where what is taken of them begins */
	uint8_t *out;
	int n;

	if (len <= most && keep->total == len) {
		*text = (struct kt_bin){ kt_arena_copy(arena, all, len), len };
		return;
	}
	room = most > sizeof(note) ? most - sizeof(note) : 0;
	/* the head ends at the cut, wherever the share does */
	first = keep->head_max ? room / 2 : 0;
	first = lines_of_head(all, first < keep->head_len ? first : keep->head_len);
	behind = keep->total == len ? len - first : ring_len(keep);
	last = room - (keep->head_max ? room / 2 : 0);
	last = lines_of_end(all, len, last < behind ? last : behind);
	if (first == 0 && last == len) { /* no line of it is whole */
		first = keep->head_max ? (room < keep->head_len ? room : keep->head_len) : 0;
		last = keep->head_max ? len : room < len ? len - room : 0;
	}
	n = snprintf(note, sizeof(note), "%s[%" PRIu64 " bytes are left out]\n",
		     first && all[first - 1] != '\n' ? "\n" : "",
		     keep->total - first - (len - last));
	out = kt_arena_alloc(arena, first + (size_t)n + (len - last) + 1, 1);
	memcpy(out, all, first);
	memcpy(out + first, note, (size_t)n);
	memcpy(out + first + n, all + last, len - last);
	*text = (struct kt_bin){ out, first + (size_t)n + (len - last) };
}

void kt_gkeep_destroy(struct kt_gkeep *keep)
{
	free(keep->head);
	free(keep->ring);
	*keep = (struct kt_gkeep){ 0 };
}

size_t kt_gkeep_share(const size_t *bytes, size_t n, size_t most)
{
	size_t share = 0;
	size_t above = n; /* how many want more than the share so far */
	size_t left = most;

	/* Each round gives what is left to those that still want; it ends when nobody is satisfied by it. */
	while (above > 0 && left / above > 0) {
		size_t next = share + left / above;

		left = most;
		above = 0;
		for (size_t i = 0; i < n; i++) {
			size_t given = bytes[i] < next ? bytes[i] : next;

			left -= given < left ? given : left;
			above += bytes[i] > next;
		}
		share = next;
	}
	return share;
}
