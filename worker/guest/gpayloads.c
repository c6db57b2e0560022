#include "worker/guest/gpayloads.h"
#include "proto/base/must.h"
#include "worker/guest/gcgroup.h"

#include <errno.h>
#include <string.h>

#define WORDS_BYTES_MAX    (24u << 10) /* of all payloads, in a failure's evidence */
#define WORDS_OF_ONE_MAX   (4u << 10)
#define REPORT_BYTES_FIXED (2 * KT_NAME_BYTES_MAX + 128) /* of one without its outputs */

/* ---- who is meant ---- */

static bool is_named(const struct kt_gpayloads_one *one, const char *name)
{
	return !name || strcmp(one->payload->spec.what->name, name) == 0;
}

static bool is_in(const struct kt_gpayloads_one *one, const char *cgroup)
{
	return strcmp(one->where, cgroup) == 0 || kt_gcgroup_is_below(one->where, cgroup);
}

static bool is_alive(const struct kt_gpayloads_one *one)
{
	return one->payload->state != KT_GPAYLOAD_OVER;
}

/* ---- start ---- */

static const struct kt_msg_payload *find_spec(const struct kt_gpayloads *payloads, const char *name)
{
	for (size_t i = 0; i < payloads->run->n_payloads; i++)
		if (strcmp(payloads->run->payloads[i].name, name) == 0)
			return &payloads->run->payloads[i];
	return NULL;
}

int kt_gpayloads_start(struct kt_gpayloads *payloads, const char *name, const char *cgroup,
		       size_t owner, uint64_t step, struct kt_err *err)
{
	struct kt_gpayload_spec spec = {
		.what = find_spec(payloads, name),
		.cgroup = cgroup,
		.number = payloads->n_started,
		.step = step,
		.poll_fd = payloads->poll_fd,
	};
	struct kt_gpayloads_one **at;
	struct kt_gpayload *payload;
	int status;

	if (!spec.what)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no payload %.100s", name);
	if (payloads->n_started == KT_PAYLOADS_MAX)
		return kt_err_set(err, KT_FAULT_GUEST, E2BIG,
				  "an attempt has at most %d starts of payloads", KT_PAYLOADS_MAX);
	status = kt_gpayload_start(&spec, &payload, err);
	if (status < 0)
		return status;
	payloads->n_started++;
	for (at = &payloads->list; *at; at = &(*at)->next)
		;
	*at = kt_must_calloc(1, sizeof(**at));
	**at = (struct kt_gpayloads_one){ .payload = payload, .where = cgroup, .owner = owner };
	return 0;
}

void kt_gpayloads_go(struct kt_gpayloads *payloads, const char *name, int64_t now_ns)
{
	for (struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		if (is_named(one, name))
			kt_gpayload_go(one->payload, now_ns);
}

int kt_gpayloads_move(struct kt_gpayloads_one *one, const char *to, struct kt_err *err)
{
	int status = kt_gpayload_move(one->payload, to, err);

	if (status == 0)
		one->where = to;
	return status;
}

bool kt_gpayloads_reaped(struct kt_gpayloads *payloads, pid_t pid, int wait_status)
{
	for (struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		if (kt_gpayload_reaped(one->payload, pid, wait_status))
			return true;
	return false;
}

void kt_gpayloads_step(struct kt_gpayloads *payloads, int64_t now_ns)
{
	for (struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		kt_gpayload_step(one->payload, now_ns);
}

int64_t kt_gpayloads_due_ns(const struct kt_gpayloads *payloads, int64_t now_ns)
{
	int64_t due_ns = INT64_MAX;

	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next) {
		int64_t next_ns = kt_gpayload_due_ns(one->payload, now_ns);

		due_ns = next_ns < due_ns ? next_ns : due_ns;
	}
	return due_ns;
}

/* ---- end ---- */

size_t kt_gpayloads_stop(struct kt_gpayloads *payloads, const char *name, int64_t now_ns)
{
	size_t n = 0;

	for (struct kt_gpayloads_one *one = payloads->list; one; one = one->next) {
		if (!is_alive(one) || !is_named(one, name))
			continue;
		kt_gpayload_stop(one->payload, now_ns);
		n++;
	}
	return n;
}

size_t kt_gpayloads_stop_in(struct kt_gpayloads *payloads, const char *cgroup, int64_t now_ns)
{
	size_t n = 0;

	for (struct kt_gpayloads_one *one = payloads->list; one; one = one->next) {
		if (!is_alive(one) || !is_in(one, cgroup))
			continue;
		kt_gpayload_stop(one->payload, now_ns);
		n++;
	}
	return n;
}

size_t kt_gpayloads_alive(const struct kt_gpayloads *payloads, const char *name)
{
	size_t n = 0;

	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		n += is_alive(one) && is_named(one, name);
	return n;
}

size_t kt_gpayloads_leaving(const struct kt_gpayloads *payloads)
{
	size_t n = 0;

	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		n += is_alive(one) && one->payload->state >= KT_GPAYLOAD_STOPPING;
	return n;
}

bool kt_gpayloads_is_in(const struct kt_gpayloads *payloads, const char *cgroup)
{
	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		if (is_alive(one) && is_in(one, cgroup))
			return true;
	return false;
}

const struct kt_gpayload *kt_gpayloads_find(const struct kt_gpayloads *payloads, const char *name)
{
	const struct kt_gpayload *found = NULL;

	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		if (is_named(one, name))
			found = one->payload;
	return found;
}

/* ---- what they were ---- */

const struct kt_gpayload *kt_gpayloads_next_end(struct kt_gpayloads *payloads)
{
	for (struct kt_gpayloads_one *one = payloads->list; one; one = one->next) {
		if (is_alive(one) || one->is_told)
			continue;
		one->is_told = true;
		return one->payload;
	}
	return NULL;
}

int kt_gpayloads_trouble(const struct kt_gpayloads *payloads, struct kt_err *err)
{
	int status = 0;

	for (const struct kt_gpayloads_one *one = payloads->list; one && status == 0;
	     one = one->next)
		status = kt_gpayload_trouble(one->payload, err);
	return status;
}

const char *kt_gpayloads_words(const struct kt_gpayloads *payloads, struct kt_arena *arena)
{
	static const char *const streams[] = { "standard output", "standard error" };
	KT_AUTO_BUF words = KT_BUF_MAX(WORDS_BYTES_MAX);

	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next) {
		for (size_t i = 0; i < 2; i++) {
			const struct kt_gkeep *kept = &one->payload->kept[i];
			struct kt_bin text;

			if (kept->total == 0)
				continue;
			kt_gkeep_take(kept, WORDS_OF_ONE_MAX, arena, &text);
			kt_buf_printf(&words, "--- payload %s, %s\n", one->payload->spec.what->name,
				      streams[i]);
			kt_buf_append(&words, text.data, text.len);
			if (text.data[text.len - 1] != '\n')
				kt_buf_puts(&words, "\n");
		}
	}
	for (size_t i = 0; i < words.len; i++)
		if (words.data[i] == 0)
			words.data[i] = ' ';
	return kt_arena_strdup(arena, kt_buf_text(&words));
}

size_t kt_gpayloads_report(const struct kt_gpayloads *payloads, size_t most, struct kt_arena *arena,
			   struct kt_msg_payload_report **reports)
{
	size_t *bytes = kt_arena_alloc(arena, 2 * (size_t)payloads->n_started, sizeof(*bytes));
	size_t fixed = payloads->n_started * (size_t)REPORT_BYTES_FIXED;
	size_t n_bytes = 0;
	size_t share;
	size_t n = 0;

	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next)
		for (size_t i = 0; i < 2 && !is_alive(one); i++)
			bytes[n_bytes++] =
				kt_gkeep_bytes(&one->payload->kept[i]) + KT_GKEEP_NOTE_BYTES_MAX;
	share = kt_gkeep_share(bytes, n_bytes, most > fixed ? most - fixed : 0);
	*reports = kt_arena_alloc(arena, payloads->n_started, sizeof(**reports));
	for (const struct kt_gpayloads_one *one = payloads->list; one; one = one->next) {
		if (is_alive(one))
			continue;
		kt_gpayload_report(
			one->payload,
			share < KT_PAYLOAD_OUT_BYTES_MAX ? share : KT_PAYLOAD_OUT_BYTES_MAX,
			share < KT_PAYLOAD_ERRORS_BYTES_MAX ? share : KT_PAYLOAD_ERRORS_BYTES_MAX,
			arena, &(*reports)[n++]);
	}
	return n;
}

void kt_gpayloads_close(struct kt_gpayloads *payloads)
{
	while (payloads->list) {
		struct kt_gpayloads_one *one = payloads->list;

		payloads->list = one->next;
		kt_gpayload_destroy(&one->payload);
		free(one);
	}
}
