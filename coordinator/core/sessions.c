#include "coordinator/core/sessions.h"
#include "coordinator/core/endings.h"
#include "coordinator/core/leases.h"
#include "proto/base/must.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* A worker that was silent for so many sync intervals is taken for gone: its name may come back from
 * elsewhere. Its leases expire by their own time.
 */
#define SILENT_SYNCS 3

void kt_sessions_forget(struct kt_dispatch *d, uint64_t peer)
{
	struct kt_host *host = kt_fleet_host_by_peer(&d->fleet, peer);

	if (!host)
		return;
	kt_fleet_connect(&d->fleet, host, 0);
	host->session = 0;
	host->room = 0;
}

/* The longest pause between SYNCs that the host may make, for all that it was told. */
static int64_t pause_ns(const struct kt_dispatch *d, const struct kt_host *host)
{
	return host->sync_ns > d->config->sync_ns ? host->sync_ns : d->config->sync_ns;
}

void kt_sessions_forget_silent(struct kt_dispatch *d)
{
	for (size_t i = 0; i < d->fleet.n_hosts; i++)
		if (d->fleet.hosts[i]->peer &&
		    d->now_ns - d->fleet.hosts[i]->heard_at_ns >
			    SILENT_SYNCS * pause_ns(d, d->fleet.hosts[i]))
			kt_sessions_forget(d, d->fleet.hosts[i]->peer);
}

/* A name that is in use may be that of a worker that was just killed: the newcomer is told to ask
 * again, and gets in when the other has missed a SYNC.
 */
static bool is_taken(const struct kt_dispatch *d, const struct kt_msg_hello *hello,
		     const struct kt_host *host)
{
	return host->peer && host->boot_id != hello->boot_id &&
	       d->now_ns - host->heard_at_ns < pause_ns(d, host) * 3 / 2;
}

static const char *refuse_reason(const struct kt_dispatch *d, const struct kt_msg_hello *hello)
{
	static char text[256];

	if (hello->version_min > KT_PROTOCOL_VERSION ||
	    hello->version_max < KT_PROTOCOL_VERSION_MIN) {
		snprintf(text, sizeof(text),
			 "protocol versions %d to %d are spoken here, %llu to %llu there: install "
			 "the "
			 "same ktcoord version on both",
			 KT_PROTOCOL_VERSION_MIN, KT_PROTOCOL_VERSION,
			 (unsigned long long)hello->version_min,
			 (unsigned long long)hello->version_max);
		return text;
	}
	if (strcmp(hello->machine->runner, d->config->runner) != 0) {
		snprintf(text, sizeof(text),
			 "this sweep wants the %s runner, the worker has %.32s: start it with "
			 "--runner %s",
			 d->config->runner, hello->machine->runner, d->config->runner);
		return text;
	}
	return NULL;
}

/* Fields are only ever added, and unknown ones skipped: what such a worker has can be read. What it would
 * make of a job that it knows half of, nobody can tell: it gets none.
 */
static bool is_foreign(const struct kt_msg_hello *hello)
{
	struct kt_digest digest;

	kt_schema_digest(&kt_schema_fleet, &digest);
	return hello->schema_digest.len != KT_DIGEST_BYTES ||
	       memcmp(hello->schema_digest.data, digest.bytes, KT_DIGEST_BYTES) != 0;
}

/* Another process under the same name: the former one may have them, so this one must not. */
static void drop_unseen(struct kt_dispatch *d, struct kt_host *host, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	DL_FOREACH_SAFE (host->leases, lease, next)
		if (!lease->seen)
			kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
					"the worker was restarted before it began",
					kt_endings_is_worn(d, lease->cell), NULL);
}

/* A key is who its line in the allow-list says, and nobody else. */
static bool is_entitled(const struct kt_input *in, const struct kt_msg_hello *hello,
			struct kt_out *out)
{
	if (in->role != KT_ROLE_WORK) {
		kt_out_refuse(out, in->peer, false,
			      "the key of this host ('%.64s') has the role %s, which gets no work: "
			      "revoke it and allow it again with --role work",
			      in->who ? in->who : hello->worker_id, kt_role_name(in->role));
		return false;
	}
	if (in->who && strcmp(in->who, hello->worker_id) != 0) {
		kt_out_refuse(out, in->peer, false,
			      "the key of this host is that of '%.64s', but it calls itself "
			      "'%.64s': start it with --id %.64s",
			      in->who, hello->worker_id, in->who);
		return false;
	}
	return true;
}

void kt_sessions_hello(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	const struct kt_msg_hello *hello = in->body;
	uint64_t peer = in->peer;
	struct kt_host *host = kt_fleet_find_host(&d->fleet, hello->worker_id);
	struct kt_host *former = kt_fleet_host_by_peer(&d->fleet, peer);
	const char *reason = refuse_reason(d, hello);
	struct kt_msg_welcome *welcome;

	if (!is_entitled(in, hello, out))
		return;
	if (reason) {
		kt_out_refuse(out, peer, false, "%s", reason);
		return;
	}
	if (!host && d->fleet.n_hosts + d->sweep->n_hosts >= KT_FLEET_HOSTS_MAX) {
		kt_out_refuse(out, peer, false,
			      "this sweep has seen %d workers: it takes no other name",
			      KT_FLEET_HOSTS_MAX);
		return;
	}
	if (!host)
		host = kt_desk_host(d, hello->worker_id);
	if (is_taken(d, hello, host)) {
		kt_out_refuse(
			out, peer, true,
			"a worker named %.64s is connected already: give this one another --id",
			hello->worker_id);
		return;
	}
	if (host->boot_id != hello->boot_id) {
		struct kt_msg_fact_host *fact = KT_OUT_NEW(out, fact_host);

		drop_unseen(d, host, out);
		/* No guest outlives its worker. One that only an earlier term knew may be the same process. */
		if (host->boot_id)
			kt_fleet_drop_dying(&d->fleet, host, 0);
		fact->host = hello->worker_id;
		fact->boot_id = hello->boot_id;
		fact->machine = hello->machine;
		fact->accel_reason = hello->accel_reason;
		fact->slots = hello->slots;
		fact->guest_cpus = hello->guest_cpus;
		fact->mem_bytes = hello->mem_bytes;
		fact->build = hello->build;
		kt_desk_fact(d, out, KT_TAG_fact_host, fact);
	}
	if (former && former != host) /* one connection speaks for one worker */
		kt_sessions_forget(d, peer);
	host->boot_id = hello->boot_id;
	host->session = d->config->session_seed + ++d->sessions;
	host->slots = hello->slots;
	host->guest_cpus = hello->guest_cpus;
	host->mem_bytes = hello->mem_bytes;
	snprintf(host->accel, sizeof(host->accel), "%s", hello->machine->accel);
	host->heard_at_ns = d->now_ns;
	host->sync_seq = 0;
	host->synced_at_ns = 0;
	host->room = 0;
	host->draining = false;
	host->foreign = is_foreign(hello);
	snprintf(host->build, sizeof(host->build), "%s", hello->build);
	kt_fleet_connect(&d->fleet, host, peer);
	host->sync_ns = kt_leases_sync_ns(d);
	welcome = KT_OUT_NEW(out, welcome);
	welcome->version =
		hello->version_max < KT_PROTOCOL_VERSION ? hello->version_max : KT_PROTOCOL_VERSION;
	welcome->session = host->session;
	welcome->sweep_id = d->sweep->id;
	welcome->bulk_endpoint = d->config->bulk_endpoint;
	welcome->sync_ns = host->sync_ns;
	welcome->build = KT_VERSION;
	welcome->host = in->who ? kt_arena_strdup(&out->arena, in->who) : "";
	kt_out_send(out, peer, KT_TAG_welcome, welcome);
}

/* Who leaves on purpose has given up what it did not finish: that can go elsewhere at once. */
void kt_sessions_bye(struct kt_dispatch *d, struct kt_host *host, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	kt_sessions_forget(d, host->peer);
	kt_fleet_drop_dying(&d->fleet, host, 0);
	DL_FOREACH_SAFE (host->leases, lease, next) {
		if (strcmp(lease->phase, "done") != 0)
			kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
					"the worker left and gave it up",
					kt_endings_is_worn(d, lease->cell), NULL);
	}
}
