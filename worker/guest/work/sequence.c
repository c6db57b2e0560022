#include "worker/guest/gtime.h"
#include "worker/guest/gwork.h"

#include <errno.h>

struct phase {
	const struct kt_gwork *work;
	int64_t params[KT_WORK_PARAM_N];
	int64_t duration_ns;
};

struct sequence {
	size_t n;
	size_t now;
	int64_t until_ns; /* 0: the phase has not begun */
	struct kt_gself self; /* of the phase */
	struct phase phases[KT_PHASES_MAX];
};

static int read_phase(const struct kt_msg_phase_of_work *from, struct phase *phase,
		      struct kt_err *err)
{
	const struct kt_work *work = kt_work_by_name(from->work);

	if (!work || work->size != 1 || *work->by || work->id == KT_WORK_ID_sequence)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL,
				  "%.100s is nothing that a worker does alone", from->work);
	phase->work = kt_gwork(work->id);
	phase->duration_ns = from->duration_ns;
	return kt_gwork_params(work, from->params, from->n_params, phase->params, err);
}

static int begin_phase(struct kt_gself *self, struct kt_err *err)
{
	struct sequence *sequence = self->state;
	const struct phase *phase = &sequence->phases[sequence->now];

	sequence->self = (struct kt_gself){
		.params = phase->params,
		.group = self->group,
		.team_size = 1,
		.must_stop = self->must_stop,
		.meter = self->meter,
		.random = kt_gself_draw(self),
		.steps_per_ns = self->steps_per_ns,
	};
	return kt_gwork_begin(phase->work, &sequence->self, err);
}

static void end_phase(struct kt_gself *self)
{
	struct sequence *sequence = self->state;

	self->memory = NULL; /* was the phase's */
	self->steps_per_ns = sequence->self.steps_per_ns;
	kt_gwork_end(sequence->phases[sequence->now].work, &sequence->self);
	sequence->until_ns = 0;
}

/* Each begins once for trial: what cannot be done is told before anything runs. */
static int begin(struct kt_gself *self, struct kt_err *err)
{
	const struct kt_msg_group *group = self->group;
	struct sequence *sequence = self->state;

	if (group->n_phases == 0 || group->n_phases > KT_PHASES_MAX)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "a sequence of %zu phases",
				  group->n_phases);
	for (; sequence->n < group->n_phases; sequence->n++) {
		sequence->now = sequence->n;
		if (read_phase(&group->phases[sequence->n], &sequence->phases[sequence->n], err) <
			    0 ||
		    begin_phase(self, err) < 0)
			return kt_err_wrap(err, "phase %zu, %s", sequence->n + 1,
					   group->phases[sequence->n].work);
		end_phase(self);
	}
	sequence->now = 0;
	return 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct sequence *sequence = self->state;
	const struct phase *phase = &sequence->phases[sequence->now];
	int64_t now_ns = kt_gtime_now_ns();
	uint64_t units;

	if (!sequence->until_ns) {
		if (begin_phase(self, NULL) < 0) {
			kt_gself_sleep(self, KT_NS_PER_MS);
			return 0;
		}
		sequence->until_ns = now_ns + phase->duration_ns;
	}
	units = phase->work->round(&sequence->self);
	self->memory = sequence->self.memory; /* where its pages are counted */
	self->memory_bytes = sequence->self.memory_bytes;
	if (kt_gtime_now_ns() >= sequence->until_ns) {
		end_phase(self);
		sequence->now = (sequence->now + 1) % sequence->n;
	}
	return units;
}

static void end(struct kt_gself *self)
{
	struct sequence *sequence = self->state;

	if (sequence->until_ns)
		end_phase(self);
}

const struct kt_gwork kt_sequence_work = {
	.state_bytes = sizeof(struct sequence),
	.begin = begin,
	.round = round_of,
	.end = end,
};
