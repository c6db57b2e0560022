#include "coordinator/trust.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/net/dealer.h"
#include "proto/net/zap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PROVED_MAX 4

struct kt_trust {
	struct kt_key key;
	struct kt_zap *zap;
	struct kt_guard guard;
	char *allow_path;
	struct stat allow_file; /* as it was when it was read; zeroes: it was not there */
	bool is_unread; /* it could not be read, perhaps for want of a descriptor: again */
	char trouble[KT_ERR_TEXT_MAX]; /* that was told of it */
	int64_t look_at_ns;
};

bool kt_trust_is_needed(const char *listen, bool asked)
{
	return asked || (listen && !kt_endpoint_is_local(listen));
}

char *kt_trust_path(const char *state_dir, const char *name)
{
	return kt_must_asprintf("%s/" KT_TRUST_FOLDER_NAME "%s%s", state_dir, name ? "/" : "",
				name ? name : "");
}

/* ---- who is let in ---- */

static void on_stranger(void *arg, const struct kt_stranger *stranger)
{
	KT_LOG("stranger_refused", "address=%s key=%s why=%s do=%s more=%" PRIu64,
	       kt_log_quote(stranger->address), kt_log_quote(stranger->key),
	       kt_log_quote(stranger->why), kt_log_quote(stranger->advice), stranger->n_untold);
}

static const struct kt_zap_events zap_events = { .stranger = on_stranger };

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void look_at_file(const struct kt_trust *trust, struct stat *file)
{
	if (stat(trust->allow_path, file) < 0)
		*file = (struct stat){ 0 };
}

static int read_list(struct kt_trust *trust, struct kt_err *err)
{
	struct kt_allow *allow = NULL;
	int status;

	/* Before it is read: what changes meanwhile is seen the next time. */
	look_at_file(trust, &trust->allow_file);
	status = kt_allow_read(trust->allow_path, &allow, err);
	if (status == 0)
		kt_zap_set(trust->zap, &allow);
	return status;
}

bool kt_trust_look(struct kt_trust *trust, int64_t now_ns, bool told)
{
	struct kt_err err = { 0 };
	struct stat file;

	if (now_ns < trust->look_at_ns && !told)
		return false;
	trust->look_at_ns = now_ns + KT_TRUST_LOOK_NS;
	look_at_file(trust, &file);
	if (is_same_file(&file, &trust->allow_file) && !trust->is_unread)
		return false;
	trust->is_unread = read_list(trust, &err) < 0;
	if (trust->is_unread) {
		if (strcmp(err.text, trust->trouble) == 0)
			return false;
		memcpy(trust->trouble, err.text, sizeof(trust->trouble));
		KT_LOG("allow_list_broken", "why=%s do=%s", kt_log_quote(err.text),
		       kt_log_quote("mend it: the list of before stays in force"));
		return false;
	}
	trust->trouble[0] = 0;
	KT_LOG("allow_list_read", "keys=%zu", kt_zap_allow(trust->zap)->n);
	return true;
}

const struct kt_guard *kt_trust_guard(const struct kt_trust *trust)
{
	return &trust->guard;
}

size_t kt_trust_n_allowed(const struct kt_trust *trust)
{
	return kt_zap_allow(trust->zap)->n;
}

/* ---- the proof ---- */

struct proof {
	const char *endpoint; /* as bound */
	struct kt_dealer *dealer;
	bool is_refused;
	bool is_open; /* it let the stranger in */
	char said[KT_ERR_TEXT_MAX]; /* any other trouble */
};

static void on_proof_frame(void *arg, const struct kt_message *message, void *body)
{
	struct proof *proof = arg;

	proof->is_open = true;
}

static void on_proof_broken(void *arg, const struct kt_err *err)
{
	struct proof *proof = arg;

	if (err->code == EACCES)
		proof->is_refused = true;
	else
		snprintf(proof->said, sizeof(proof->said), "%s", err->text);
}

static void on_proof_up(void *arg)
{
	struct proof *proof = arg;

	proof->is_open = true;
}

static void on_proof_down(void *arg, const char *why)
{
}

static const struct kt_dealer_events proof_events = {
	.frame = on_proof_frame,
	.broken = on_proof_broken,
	.up = on_proof_up,
	.down = on_proof_down,
};

/* From this machine: all addresses are also its loopback's. */
static char *reachable(const char *bound)
{
	const char *port = strrchr(bound, ':');

	if (strncmp(bound, "tcp://0.0.0.0:", 14) == 0)
		return kt_must_asprintf("tcp://127.0.0.1%s", port);
	if (strncmp(bound, "tcp://[::]:", 11) == 0)
		return kt_must_asprintf("tcp://[::1]%s", port);
	return kt_must_strdup(bound);
}

static bool is_decided(const struct proof *proofs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!proofs[i].is_refused && !proofs[i].is_open && !proofs[i].said[0])
			return false;
	return true;
}

static void on_proof_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
	*(bool *)handle->data = true;
}

/* Turns the loop until each has said something, or it takes too long. */
static void wait_for(uv_loop_t *loop, struct proof *proofs, size_t n)
{
	uv_timer_t timer;
	bool is_late = false;

	uv_timer_init(loop, &timer);
	timer.data = &is_late;
	uv_update_time(loop);
	uv_timer_start(&timer, on_proof_late, KT_TRUST_PROOF_MS, 0);
	while (!is_late && !is_decided(proofs, n))
		uv_run(loop, UV_RUN_ONCE);
	for (size_t i = 0; i < n; i++)
		kt_dealer_destroy(&proofs[i].dealer);
	is_late = false;
	uv_close((uv_handle_t *)&timer, on_timer_closed);
	while (!is_late)
		uv_run(loop, UV_RUN_ONCE);
}

static int verdict(const struct proof *proof, struct kt_err *err)
{
	static const char fallback[] = "nothing answered the stranger in time";

	if (proof->is_open)
		return kt_err_set(
			err, KT_FAULT_HOST, EACCES,
			"%s lets strangers in: a key that is in no list was taken. This "
			"libzmq does not enforce authentication (ZMQ_ZAP_ENFORCE_DOMAIN); "
			"nothing is started",
			proof->endpoint);
	if (!proof->is_refused)
		return kt_err_set(err, KT_FAULT_HOST, EACCES,
				  "%s: that strangers are refused could not be proven (%.300s); "
				  "nothing is started",
				  proof->endpoint, proof->said[0] ? proof->said : fallback);
	return 0;
}

int kt_trust_prove(struct kt_trust *trust, uv_loop_t *loop, const char *const *endpoints, size_t n,
		   struct kt_err *err)
{
	struct kt_key key = { .public_key = "" };
	struct kt_guard guard = { .key = &key, .server_key = trust->key.public_key };
	struct proof proofs[PROVED_MAX] = { 0 };
	int status = kt_key_make(&key, err);

	kt_must(n <= PROVED_MAX);
	kt_zap_expect(trust->zap, key.public_key);
	for (size_t i = 0; i < n && status == 0; i++) {
		KT_AUTO_FREE char *at = reachable(endpoints[i]);

		proofs[i].endpoint = endpoints[i];
		status = kt_dealer_open(loop, at, &kt_schema_fleet, &guard, &proof_events,
					&proofs[i], &proofs[i].dealer, err);
	}
	if (status == 0)
		wait_for(loop, proofs, n);
	for (size_t i = 0; i < n; i++) {
		kt_dealer_destroy(&proofs[i].dealer);
		if (status == 0)
			status = verdict(&proofs[i], err);
	}
	kt_key_wipe(&key);
	return status;
}

/* ---- life ---- */

static int read_key(const char *state_dir, struct kt_key *key, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_trust_path(state_dir, KT_TRUST_KEY_NAME);
	int status = kt_key_read(path, key, err);

	if (status == -ENOENT)
		return kt_err_set(
			err, KT_FAULT_INPUT, ENOENT,
			"there is no %s yet: make the coordinator's key with `ktcoord keys "
			"new`",
			path);
	return status < 0 ? kt_err_wrap(err, "the coordinator's key") : 0;
}

int kt_trust_check(const char *state_dir, struct kt_err *err)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = NULL;
	KT_AUTO_FREE char *path = kt_trust_path(state_dir, KT_TRUST_ALLOW_NAME);
	struct kt_key key;
	int status = read_key(state_dir, &key, err);

	kt_key_wipe(&key);
	if (status == 0 && (status = kt_allow_read(path, &allow, err)) < 0)
		kt_err_wrap(err, "the allow-list");
	return status;
}

int kt_trust_open(uv_loop_t *loop, const char *state_dir, struct kt_trust **trust_p,
		  struct kt_err *err)
{
	KT_AUTO(kt_trust_destroy) struct kt_trust *trust = kt_must_calloc(1, sizeof(*trust));
	int status = read_key(state_dir, &trust->key, err);

	if (status < 0)
		return status;
	trust->allow_path = kt_trust_path(state_dir, KT_TRUST_ALLOW_NAME);
	status = kt_zap_open(loop, &zap_events, NULL, &trust->zap, err);
	if (status == 0)
		status = read_list(trust, err);
	if (status < 0)
		return kt_err_wrap(err, "the allow-list");
	trust->guard = (struct kt_guard){ .key = &trust->key, .zap = trust->zap };
	*trust_p = kt_take(&trust);
	return 0;
}

void kt_trust_destroy(struct kt_trust **trust_p)
{
	struct kt_trust *trust = kt_take(trust_p);

	if (!trust)
		return;
	kt_zap_destroy(&trust->zap);
	kt_key_wipe(&trust->key);
	free(trust->allow_path);
	free(trust);
}
