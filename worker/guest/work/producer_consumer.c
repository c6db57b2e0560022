#include "worker/guest/gtime.h"
#include "worker/guest/gwork.h"

#define DEPTH_MAX 4096

/* Items are numbered; place n % depth holds the moment when item n was made. */
struct queue {
	atomic_uint made;
	atomic_uint taken;
	atomic_uint hungry; /* consumers that sleep or are about to */
	atomic_uint blocked; /* the producer sleeps or is about to */
	_Atomic int64_t taken_ns; /* the last one */
	_Atomic int64_t made_ns[DEPTH_MAX];
};

static uint64_t produce(struct kt_gself *self, struct queue *queue)
{
	unsigned int depth = (unsigned int)self->params[KT_WORK_PARAM_producer_consumer_depth];
	unsigned int made = atomic_load(&queue->made);
	unsigned int taken;

	atomic_store(&queue->blocked, 1);
	taken = atomic_load(&queue->taken);
	if (made - taken >= depth) {
		enum kt_gself_waited waited = kt_gself_wait(self, &queue->taken, taken);

		if (waited == KT_GSELF_WOKEN)
			kt_gself_woken(self, atomic_load(&queue->taken_ns));
		return 0;
	}
	atomic_store(&queue->blocked, 0);
	kt_gself_run(self, self->params[KT_WORK_PARAM_producer_consumer_produce]);
	atomic_store(&queue->made_ns[made % depth], kt_gtime_now_ns());
	atomic_store(&queue->made, made + 1);
	if (atomic_load(&queue->hungry))
		kt_gself_wake(&queue->made, 1);
	return 1;
}

/* The oldest item. False when there is none: *item is then the one that is made next. */
static bool take(struct queue *queue, unsigned int *item)
{
	*item = atomic_load(&queue->taken);
	while (*item != atomic_load(&queue->made))
		if (atomic_compare_exchange_strong(&queue->taken, item, *item + 1))
			return true;
	return false;
}

static uint64_t consume(struct kt_gself *self, struct queue *queue)
{
	unsigned int depth = (unsigned int)self->params[KT_WORK_PARAM_producer_consumer_depth];
	unsigned int item;

	if (!take(queue, &item)) {
		enum kt_gself_waited waited;

		atomic_fetch_add(&queue->hungry, 1);
		waited = kt_gself_wait(self, &queue->made, item);
		atomic_fetch_sub(&queue->hungry, 1);
		if (waited == KT_GSELF_WOKEN)
			kt_gself_woken(self, atomic_load(&queue->made_ns[item % depth]));
		return 0;
	}
	atomic_store(&queue->taken_ns, kt_gtime_now_ns());
	if (atomic_load(&queue->blocked))
		kt_gself_wake(&queue->taken, 1);
	kt_gself_run(self, self->params[KT_WORK_PARAM_producer_consumer_consume]);
	return 1;
}

static uint64_t round_of(struct kt_gself *self)
{
	return self->index == 0 ? produce(self, self->team) : consume(self, self->team);
}

const struct kt_gwork kt_producer_consumer_work = {
	.team_bytes = sizeof(struct queue),
	.round = round_of,
};
