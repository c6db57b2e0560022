#include "coordinator/trust.h"
#include "coordinator/keys.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/net/router.h"
#include "proto/net/zap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct site {
	char state[64];
	uv_loop_t loop;
	struct kt_trust *trust;
	struct kt_router *routers[2];
	FILE *null;
};

static void on_frame(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	cr_assert_fail("nobody is heard during the proof");
}

static void on_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
}

static const struct kt_router_events events = { .frame = on_frame, .broken = on_broken };

static void site_open(struct site *s)
{
	struct kt_err err = { 0 };

	*s = (struct site){ .state = "/tmp/kt-trust-XXXXXX" };
	kt_log_open("test", false);
	cr_assert(mkdtemp(s->state));
	cr_assert(uv_loop_init(&s->loop) == 0);
	s->null = fopen("/dev/null", "we");
	cr_assert(kt_keys_command_new(s->state, NULL, s->null, &err) == 0, "%s", err.text);
	cr_assert(kt_trust_check(s->state, &err) == 0, "%s", err.text);
	cr_assert(kt_trust_open(&s->loop, s->state, &s->trust, &err) == 0, "%s", err.text);
}

static void listen_at(struct site *s, int i, bool has_keys)
{
	struct kt_err err = { 0 };

	cr_assert(kt_router_open(&s->loop, "tcp://127.0.0.1:*", &kt_schema_fleet,
				 has_keys ? kt_trust_guard(s->trust) : NULL, &events, s,
				 &s->routers[i], &err) == 0,
		  "%s", err.text);
	kt_router_pause(s->routers[i], true);
}

static int prove(struct site *s, struct kt_err *err)
{
	const char *endpoints[] = { kt_router_endpoint(s->routers[0]),
				    kt_router_endpoint(s->routers[1]) };

	return kt_trust_prove(s->trust, &s->loop, endpoints, 2, err);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	return remove(path);
}

static void site_close(struct site *s)
{
	kt_router_destroy(&s->routers[0]);
	kt_router_destroy(&s->routers[1]);
	kt_trust_destroy(&s->trust);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	cr_assert(uv_loop_close(&s->loop) == 0);
	fclose(s->null);
	nftw(s->state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

Test(trust, it_is_proven_that_strangers_are_refused)
{
	struct kt_err err = { 0 };
	struct site s;

	site_open(&s);
	listen_at(&s, 0, true);
	listen_at(&s, 1, true);
	cr_assert(prove(&s, &err) == 0, "%s", err.text);
	cr_assert(prove(&s, &err) == 0, "and again: %s", err.text);
	site_close(&s);
}

Test(trust, one_endpoint_without_keys_is_found_whichever_it_is)
{
	for (int open = 0; open < 2; open++) {
		struct kt_err err = { 0 };
		struct site s;

		site_open(&s);
		listen_at(&s, open, false);
		listen_at(&s, !open, true);
		cr_assert(prove(&s, &err) == -EACCES, "endpoint %d", open);
		cr_assert(err.fault == KT_FAULT_HOST);
		cr_assert(strstr(err.text, kt_router_endpoint(s.routers[open])), "%s", err.text);
		cr_assert(strstr(err.text, "nothing is started"), "%s", err.text);
		site_close(&s);
	}
}

Test(trust, a_libzmq_that_does_not_enforce_is_found)
{
	struct kt_err err = { 0 };
	struct site s;

	setenv("KTCOORD_TEST_LETS_STRANGERS_IN", "1", 1);
	site_open(&s);
	listen_at(&s, 0, true);
	listen_at(&s, 1, true);
	cr_assert(prove(&s, &err) == -EACCES);
	cr_assert(strstr(err.text, "lets strangers in"), "%s", err.text);
	site_close(&s);
	unsetenv("KTCOORD_TEST_LETS_STRANGERS_IN");
}

Test(trust, a_list_that_changed_is_read_and_one_that_is_broken_changes_nothing)
{
	static const char key[] = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
	KT_AUTO_FREE char *path = NULL;
	struct kt_err err = { 0 };
	struct site s;
	FILE *file;

	site_open(&s);
	path = kt_trust_path(s.state, KT_TRUST_ALLOW_NAME);
	cr_assert(kt_trust_n_allowed(s.trust) == 0);
	cr_assert(!kt_trust_look(s.trust, 0, true), "nothing changed");
	cr_assert(kt_keys_command_allow(s.state, "lab1", key, NULL, s.null, &err) == 0, "%s",
		  err.text);
	cr_assert(!kt_trust_look(s.trust, KT_TRUST_LOOK_NS / 2, false), "not so often");
	cr_assert(kt_trust_look(s.trust, KT_TRUST_LOOK_NS, false));
	cr_assert(kt_trust_n_allowed(s.trust) == 1);
	cr_assert(!kt_trust_look(s.trust, 2 * KT_TRUST_LOOK_NS, false));

	file = fopen(path, "we");
	fputs("what is this\n", file);
	fclose(file);
	cr_assert(!kt_trust_look(s.trust, 0, true));
	cr_assert(kt_trust_n_allowed(s.trust) == 1, "the list of before stays in force");
	cr_assert(kt_trust_check(s.state, &err) == -EINVAL);
	cr_assert(strstr(err.text, "allowed:1: "), "%s", err.text);

	cr_assert(unlink(path) == 0);
	cr_assert(kt_trust_look(s.trust, 0, true), "no list is nobody");
	cr_assert(kt_trust_n_allowed(s.trust) == 0);
	site_close(&s);
}

Test(trust, a_list_that_could_not_be_read_for_a_moment_counts_a_moment_later)
{
	static const char key[] = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
	struct kt_err err = { 0 };
	struct rlimit limit;
	struct rlimit none;
	struct site s;

	site_open(&s);
	cr_assert(kt_keys_command_allow(s.state, "lab1", key, NULL, s.null, &err) == 0, "%s",
		  err.text);
	cr_assert(kt_trust_look(s.trust, 0, true));
	cr_assert(kt_keys_command_revoke(s.state, "lab1", s.null, &err) == 0, "%s", err.text);
	cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
	cr_assert(!kt_trust_look(s.trust, KT_TRUST_LOOK_NS, false));
	cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	cr_assert(kt_trust_n_allowed(s.trust) == 1, "else this shows nothing");
	cr_assert(kt_trust_look(s.trust, 2 * KT_TRUST_LOOK_NS, false));
	cr_assert(kt_trust_n_allowed(s.trust) == 0, "who was revoked is out");
	site_close(&s);
}

Test(trust, without_a_key_of_its_own_no_coordinator_listens_beyond_this_machine)
{
	struct kt_err err = { 0 };

	cr_assert(kt_trust_check("/nonexistent", &err) == -ENOENT);
	cr_assert(strstr(err.text, "ktcoord keys new"), "%s", err.text);
	cr_assert(err.fault == KT_FAULT_INPUT);
	cr_assert(!kt_trust_is_needed(NULL, false) && !kt_trust_is_needed("ipc://x", false));
	cr_assert(!kt_trust_is_needed("tcp://127.0.0.1:1", false));
	cr_assert(kt_trust_is_needed("tcp://127.0.0.1:1", true));
	cr_assert(kt_trust_is_needed("tcp://*:1", false) &&
		  kt_trust_is_needed("tcp://192.0.2.1:1", false));
}
