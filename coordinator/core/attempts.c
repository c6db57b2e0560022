#include "coordinator/core/attempts.h"
#include "coordinator/core/endings.h"
#include "coordinator/core/overdue.h"
#include "proto/base/must.h"
#include "proto/cause.h"

#include <stdio.h>
#include <string.h>

/* So often an attempt may be told that pieces are missing; then it is given up: a worker that cannot
 * or will not send them would hold its cell for ever.
 */
#define REFUSED_MAX 16

/* Of the logs of one attempt: four streams with their markers, and as much again. */
#define LOG_BYTES_MAX (8u * KT_LOG_BYTES_MAX)

static void acknowledge(struct kt_out *out, const struct kt_host *host, uint64_t epoch,
			uint64_t n_samples, bool result)
{
	struct kt_msg_ack *ack = KT_OUT_NEW(out, ack);

	ack->session = host->session;
	ack->epoch = epoch;
	ack->samples = n_samples;
	ack->result = result;
	kt_out_send(out, host->peer, KT_TAG_ack, ack);
}

static struct kt_lease *lease_of(const struct kt_dispatch *d, const struct kt_host *host,
				 uint64_t cell, uint64_t epoch)
{
	struct kt_lease *lease = kt_fleet_lease(&d->fleet, epoch);

	return lease && lease->cell == cell && lease->host == host ? lease : NULL;
}

/* The worker is told to say HELLO and to send again what is not acknowledged: but not for ever. */
static bool told_too_often(struct kt_dispatch *d, struct kt_lease *lease, struct kt_out *out,
			   const struct kt_msg_result *result)
{
	if (++lease->n_refused <= REFUSED_MAX)
		return false;
	kt_endings_fail(d, out, lease->cell, lease->epoch, "protocol",
			"samples are missing, however often they are asked for", true, result);
	return true;
}

void kt_attempts_sample(struct kt_dispatch *d, const struct kt_host *host,
			const struct kt_msg_sample_sent *sample, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, sample->cell, sample->epoch);

	if (sample->seq >= KT_SAMPLES_PER_ATTEMPT_MAX ||
	    (lease && lease->sample_bytes + sample->body.len > KT_SERIES_BYTES_MAX)) {
		if (lease)
			kt_endings_fail(d, out, lease->cell, lease->epoch, "protocol",
					"the worker sent more samples than an attempt may have",
					true, NULL);
		return;
	}
	if (!lease) /* fenced: acknowledged so that the worker forgets it, kept nowhere */
		return acknowledge(out, host, sample->epoch, sample->seq + 1, false);
	lease->seen = true;
	if (sample->seq > lease->n_samples) {
		if (!told_too_often(d, lease, out, NULL))
			kt_out_refuse(out, host->peer, true, "sample %llu came before sample %llu",
				      (unsigned long long)sample->seq,
				      (unsigned long long)lease->n_samples);
		return;
	}
	if (sample->seq == lease->n_samples) {
		kt_out_effect(out, KT_EFFECT_KEEP_SAMPLE, sample);
		lease->n_samples++;
		if (lease->due_at_ns < d->now_ns + KT_OVERDUE_PIECE_NS)
			lease->due_at_ns = d->now_ns + KT_OVERDUE_PIECE_NS;
		lease->sample_bytes += sample->body.len;
	}
	acknowledge(out, host, sample->epoch, lease->n_samples, false);
}

bool kt_attempts_is_known_late(struct kt_dispatch *d, uint64_t epoch)
{
	struct kt_desk_late *late;

	HASH_FIND(hh, d->late, &epoch, sizeof(epoch), late);
	if (late)
		return true;
	late = kt_must_calloc(1, sizeof(*late));
	late->epoch = epoch;
	HASH_ADD(hh, d->late, epoch, sizeof(late->epoch), late);
	return false;
}

static void on_late_result(struct kt_dispatch *d, const struct kt_host *host,
			   const struct kt_msg_result_sent *msg, struct kt_out *out)
{
	const struct kt_cell *cell =
		msg->cell < d->sweep->n_cells ? &d->sweep->cells[msg->cell] : NULL;
	struct kt_msg_fact_late *late;

	/* The accepted result itself, sent again because its ack was lost, is no evidence. */
	if (cell && msg->epoch <= d->sweep->epoch &&
	    (cell->epoch != msg->epoch || cell->state == KT_CELL_PENDING ||
	     cell->state == KT_CELL_ERRORED || cell->state == KT_CELL_LEFT_OUT ||
	     cell->state == KT_CELL_CANCELLED) &&
	    !kt_attempts_is_known_late(d, msg->epoch)) {
		late = KT_OUT_NEW(out, fact_late);
		late->cell = msg->cell;
		late->epoch = msg->epoch;
		late->host = host->id;
		late->result = msg->result;
		if (!kt_facts_fits(KT_TAG_fact_late, late))
			late->result = kt_endings_cut(out, msg->result);
		kt_desk_fact(d, out, KT_TAG_fact_late, late);
	}
	acknowledge(out, host, msg->epoch, msg->result->samples_total, true);
}

/* Not for what somebody asked for: a cancel, or a drain that crossed a grant. */
static bool is_charged(const struct kt_dispatch *d, const struct kt_host *host, uint64_t cell,
		       const struct kt_cause *cause)
{
	if (kt_endings_is_worn(d, cell))
		return true;
	return cause->side != KT_CAUSE_USER &&
	       !((host->draining || host->admission == KT_ADMISSION_DRAINED) &&
		 cause == kt_cause(KT_CAUSE_ID_host_trouble));
}

/* NULL: nobody knows. */
static struct kt_msg_clock_fit *clock_of(const struct kt_dispatch *d, const struct kt_host *host,
					 struct kt_out *out)
{
	struct kt_msg_clock_fit *fit = KT_OUT_NEW(out, clock_fit);

	return kt_clockfit_tell(&host->clock, d->now_ns, fit) ? fit : NULL;
}

void kt_attempts_result(struct kt_dispatch *d, const struct kt_host *host,
			const struct kt_msg_result_sent *msg, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, msg->cell, msg->epoch);
	const struct kt_cause *cause = kt_cause_by_name(msg->result->cause);
	struct kt_msg_fact_ended *ended;

	if (!lease)
		return on_late_result(d, host, msg, out);
	lease->seen = true;
	if (cause && !kt_cause_is_infra(cause) && cause->side != KT_CAUSE_USER &&
	    msg->result->samples_total != lease->n_samples) {
		if (told_too_often(d, lease, out, msg->result))
			return acknowledge(out, host, msg->epoch, msg->result->samples_total, true);
		kt_out_refuse(out, host->peer, true,
			      "the result names %llu samples, %llu are here: send them again",
			      (unsigned long long)msg->result->samples_total,
			      (unsigned long long)lease->n_samples);
		return;
	}
	acknowledge(out, host, msg->epoch, msg->result->samples_total, true);
	if (!cause)
		return kt_endings_fail(d, out, msg->cell, msg->epoch, "protocol",
				       "the worker named a cause that this version does not know",
				       true, msg->result);
	if (kt_cause_is_infra(cause) || cause->side == KT_CAUSE_USER)
		return kt_endings_fail(d, out, msg->cell, msg->epoch, cause->name,
				       msg->result->line[0] ? msg->result->line : cause->advice,
				       is_charged(d, host, msg->cell, cause), msg->result);
	ended = KT_OUT_NEW(out, fact_ended);
	ended->cell = msg->cell;
	ended->epoch = msg->epoch;
	ended->result = msg->result;
	ended->clock = clock_of(d, host, out);
	/* It came in a frame, so it fits; with what we say beside it perhaps not. */
	if (ended->clock && !kt_facts_fits(KT_TAG_fact_ended, ended))
		ended->clock = NULL;
	kt_desk_fact(d, out, KT_TAG_fact_ended, ended);
	kt_endings_praise(d, out, lease->host, lease->canary);
	kt_fleet_drop_lease(&d->fleet, lease);
	kt_endings_ask(out, msg->cell, msg->epoch);
}

void kt_attempts_phase(struct kt_dispatch *d, const struct kt_host *host,
		       const struct kt_msg_phase *phase, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, phase->cell, phase->epoch);

	if (!lease)
		return;
	lease->seen = true;
	snprintf(lease->phase, sizeof(lease->phase), "%s", phase->phase);
	kt_out_effect(out, KT_EFFECT_PHASE, phase)->cell = phase->cell;
}

/* In their order, as every session sends them from 0 on: so they can be counted. */
void kt_attempts_log(struct kt_dispatch *d, const struct kt_host *host,
		     const struct kt_msg_log_sent *log, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, log->cell, log->epoch);

	if (!lease || log->seq != lease->n_logs || lease->log_bytes >= LOG_BYTES_MAX)
		return;
	lease->n_logs++;
	lease->log_bytes += log->body.len + sizeof(*log); /* so that empty pieces count as well */
	kt_out_effect(out, KT_EFFECT_KEEP_LOG, log);
}
