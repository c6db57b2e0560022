#include "coordinator/roster.h"
#include "proto/base/must.h"

#include <stdio.h>
#include <string.h>

void kt_roster_destroy(struct kt_roster *roster)
{
	struct kt_roster_host *host;
	struct kt_roster_host *next_host;
	struct kt_roster_cell *cell;
	struct kt_roster_cell *next_cell;

	HASH_ITER (hh, roster->hosts, host, next_host) {
		HASH_DEL(roster->hosts, host);
		free(host);
	}
	HASH_ITER (hh, roster->cells, cell, next_cell) {
		HASH_DEL(roster->cells, cell);
		free(cell);
	}
}

static struct kt_roster_host *find_host(const struct kt_roster *roster, const char *id)
{
	struct kt_roster_host *host;

	HASH_FIND_STR(roster->hosts, id, host);
	return host;
}

static struct kt_roster_cell *find_cell(const struct kt_roster *roster, uint64_t index)
{
	struct kt_roster_cell *cell;

	HASH_FIND(hh, roster->cells, &index, sizeof(index), cell);
	return cell;
}

const struct kt_roster_host *kt_roster_find_host(const struct kt_roster *roster, const char *id)
{
	return find_host(roster, id);
}

const struct kt_roster_cell *kt_roster_find_cell(const struct kt_roster *roster, uint64_t cell)
{
	return find_cell(roster, cell);
}

static struct kt_roster_host *host_of(struct kt_roster *roster, const char *id)
{
	struct kt_roster_host *host = find_host(roster, id);

	if (host)
		return host;
	host = kt_must_calloc(1, sizeof(*host));
	snprintf(host->id, sizeof(host->id), "%s", id);
	HASH_ADD_STR(roster->hosts, id, host);
	return host;
}

void kt_roster_hello(struct kt_roster *roster, const struct kt_msg_hello *hello, const char *id,
		     const char *address, bool by_key)
{
	struct kt_roster_host *host = host_of(roster, id);

	snprintf(host->address, sizeof(host->address), "%s", address);
	snprintf(host->build, sizeof(host->build), "%s", hello->build);
	snprintf(host->runner, sizeof(host->runner), "%s", hello->machine->runner);
	snprintf(host->accel, sizeof(host->accel), "%s", hello->machine->accel);
	snprintf(host->accel_reason, sizeof(host->accel_reason), "%s", hello->accel_reason);
	host->by_key = by_key;
	host->slots = hello->slots;
	host->cpus = hello->cpus;
	host->guest_cpus = hello->guest_cpus;
	host->mem_bytes = hello->mem_bytes;
	host->leaving = false;
	host->left_why[0] = 0;
}

void kt_roster_leaves(struct kt_roster *roster, const char *id, const char *why)
{
	struct kt_roster_host *host = host_of(roster, id);

	snprintf(host->left_why, sizeof(host->left_why), "%s", why);
}

bool kt_roster_look(struct kt_roster *roster, const char *id, bool connected)
{
	struct kt_roster_host *host = host_of(roster, id);
	bool is_news = host->connected != connected;

	host->connected = connected;
	return is_news;
}

void kt_roster_sync(struct kt_roster *roster, const char *id, const struct kt_msg_sync *sync)
{
	struct kt_roster_host *host = host_of(roster, id);

	host->cached = sync->cached.len / KT_CACHED_BYTES;
	host->leaving = sync->draining;
}

void kt_roster_phase(struct kt_roster *roster, int64_t now_ns, uint64_t index, const char *phase)
{
	struct kt_roster_cell *cell = find_cell(roster, index);

	if (!cell) {
		cell = kt_must_calloc(1, sizeof(*cell));
		cell->cell = index;
		HASH_ADD(hh, roster->cells, cell, sizeof(cell->cell), cell);
	}
	snprintf(cell->phase, sizeof(cell->phase), "%s", phase);
	cell->since_ns = now_ns;
}

static void forget_cell(struct kt_roster *roster, uint64_t index)
{
	struct kt_roster_cell *cell = find_cell(roster, index);

	if (!cell)
		return;
	HASH_DEL(roster->cells, cell);
	free(cell);
}

void kt_roster_fact(struct kt_roster *roster, int64_t now_ns, uint32_t tag, const void *fact)
{
	switch (tag) {
	case KT_TAG_fact_granted:
		kt_roster_phase(roster, now_ns, ((const struct kt_msg_fact_granted *)fact)->cell,
				"granted");
		break;
	case KT_TAG_fact_ended:
		forget_cell(roster, ((const struct kt_msg_fact_ended *)fact)->cell);
		break;
	case KT_TAG_fact_failed:
		forget_cell(roster, ((const struct kt_msg_fact_failed *)fact)->cell);
		break;
	case KT_TAG_fact_cancelled:
		forget_cell(roster, ((const struct kt_msg_fact_cancelled *)fact)->cell);
		break;
	case KT_TAG_fact_admission: {
		const struct kt_msg_fact_admission *admission = fact;
		struct kt_roster_host *host = host_of(roster, admission->host);

		snprintf(host->why, sizeof(host->why), "%s", admission->why);
		break;
	}
	}
}
