#include "worker/guest/gswitch.h"
#include "worker/guest/gtime.h"

#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

#define NO_DEADLINE_NS (60 * KT_NS_PER_S) /* for a host that names none */

void kt_gswitch_init(struct kt_gswitch *change, const struct kt_gswitch_calls *calls,
		     struct kt_gask *ask, const struct kt_msg_guest_run *run, bool is_loaded)
{
	*change = (struct kt_gswitch){
		.calls = *calls,
		.ask = ask,
		.run = run,
		.loaded = is_loaded ? 0 : KT_GSWITCH_NONE,
	};
}

static const char *name_of(const struct kt_gswitch *change, size_t which)
{
	if (which == KT_GSWITCH_NONE || which >= change->run->n_schedulers)
		return "";
	return change->run->schedulers[which].name;
}

static bool has_program(const struct kt_gswitch *change, size_t which)
{
	return which < change->run->n_schedulers && change->run->schedulers[which].n_args > 0;
}

static int64_t or_default(int64_t span_ns)
{
	return span_ns > 0 ? span_ns : NO_DEADLINE_NS;
}

/* ---- moves ---- */

static void load(struct kt_gswitch *change, int64_t now_ns)
{
	const struct kt_msg_scheduler *scheduler;
	struct kt_msg_guest_load message;
	enum kt_gsched_event event;

	if (change->wanted == KT_GSWITCH_NONE) {
		change->state = KT_GSWITCH_RESTING;
		return;
	}
	scheduler = &change->run->schedulers[change->wanted];
	message = (struct kt_msg_guest_load){
		.args = scheduler->args,
		.n_args = scheduler->n_args,
		.deadline_ns = or_default(change->run->load_ns),
	};
	change->state = KT_GSWITCH_LOADING;
	event = change->calls.load(change->calls.arg, &message);
	if (event != KT_GSCHED_NOTHING)
		kt_gswitch_take(change, event, now_ns);
}

static void begin(struct kt_gswitch *change, size_t wanted)
{
	kt_must(change->state == KT_GSWITCH_RESTING);
	change->wanted = has_program(change, wanted) ? wanted : KT_GSWITCH_NONE;
	change->failed = KT_GSCHED_NOTHING;
	change->is_back = false; /* it leaves before the host heard of it */
	if (change->loaded == KT_GSWITCH_NONE) {
		load(change, kt_gtime_now_ns());
		return;
	}
	change->state = KT_GSWITCH_UNLOADING;
	change->calls.unload(change->calls.arg, or_default(change->run->unload_ns));
}

bool kt_gswitch_take(struct kt_gswitch *change, enum kt_gsched_event event, int64_t now_ns)
{
	bool is_mine = (change->state == KT_GSWITCH_UNLOADING &&
			(event == KT_GSCHED_UNLOADED || event == KT_GSCHED_FORCED)) ||
		       (change->state == KT_GSWITCH_LOADING &&
			(event == KT_GSCHED_LOADED || event == KT_GSCHED_REFUSED));

	if (event == KT_GSCHED_RELOADED && change->loaded != KT_GSWITCH_NONE) {
		change->is_back = true;
		return true;
	}
	if (!is_mine)
		return false;
	if (event == KT_GSCHED_FORCED || event == KT_GSCHED_REFUSED) {
		change->state = KT_GSWITCH_RESTING;
		change->failed = event;
		return true;
	}
	if (event == KT_GSCHED_UNLOADED) {
		change->loaded = KT_GSWITCH_NONE;
		change->state = KT_GSWITCH_TELLING_OUT;
	} else {
		change->loaded = change->wanted;
		change->last = change->wanted;
		change->epoch++;
		change->state = KT_GSWITCH_TELLING_IN;
	}
	kt_gask_scheduler(change->ask, change->epoch, name_of(change, change->loaded), now_ns);
	return true;
}

void kt_gswitch_tell(struct kt_gswitch *change, int64_t now_ns)
{
	if (!change->is_back || change->ask->is_open || change->state != KT_GSWITCH_RESTING)
		return;
	change->is_back = false;
	change->epoch++;
	kt_gask_scheduler(change->ask, change->epoch, name_of(change, change->loaded), now_ns);
}

int kt_gswitch_look(struct kt_gswitch *change, int64_t now_ns, struct kt_err *err)
{
	if (change->state == KT_GSWITCH_TELLING_OUT || change->state == KT_GSWITCH_TELLING_IN) {
		int status = kt_gask_look(change->ask, now_ns, err);

		if (status <= 0)
			return status;
		if (change->state == KT_GSWITCH_TELLING_OUT)
			load(change, now_ns);
		else
			change->state = KT_GSWITCH_RESTING;
	}
	if (change->failed != KT_GSCHED_NOTHING)
		return kt_err_set(err, KT_FAULT_GUEST, ECANCELED, "%s",
				  change->calls.failure->line);
	return change->state == KT_GSWITCH_RESTING;
}

/* ---- the ops ---- */

/* A scenario about restarts says nothing of the kernel's own scheduler, and is no failure of it. */
static bool is_kernels_own(const struct kt_gswitch *change, size_t which, struct kt_buf *text)
{
	if (change->loaded != KT_GSWITCH_NONE || has_program(change, which))
		return false;
	kt_buf_puts(text, ": the kernel's own scheduler stays");
	return true;
}

int kt_gswitch_detach(struct kt_gswitch *change, struct kt_buf *text, struct kt_err *err)
{
	if (is_kernels_own(change, change->last, text))
		return 0;
	if (change->loaded == KT_GSWITCH_NONE)
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT, "no scheduler is loaded");
	kt_buf_printf(text, " %s", name_of(change, change->loaded));
	begin(change, KT_GSWITCH_NONE);
	return 0;
}

int kt_gswitch_attach(struct kt_gswitch *change, struct kt_buf *text, struct kt_err *err)
{
	if (is_kernels_own(change, 0, text))
		return 0;
	if (change->loaded != KT_GSWITCH_NONE)
		return kt_err_set(err, KT_FAULT_GUEST, EBUSY, "%s is loaded: detach it first",
				  name_of(change, change->loaded));
	kt_buf_printf(text, " %s", name_of(change, 0));
	begin(change, 0);
	return 0;
}

int kt_gswitch_restart(struct kt_gswitch *change, struct kt_buf *text, struct kt_err *err)
{
	if (is_kernels_own(change, change->last, text))
		return 0;
	if (change->loaded == KT_GSWITCH_NONE)
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT, "no scheduler is loaded");
	kt_buf_printf(text, " %s", name_of(change, change->loaded));
	begin(change, change->loaded);
	return 0;
}

int kt_gswitch_replace(struct kt_gswitch *change, const char *name, struct kt_buf *text,
		       struct kt_err *err)
{
	for (size_t i = 0; i < change->run->n_schedulers; i++) {
		if (strcmp(change->run->schedulers[i].name, name) != 0)
			continue;
		kt_buf_printf(text, " %s by %s",
			      change->loaded == KT_GSWITCH_NONE ? "the kernel's own"
								: name_of(change, change->loaded),
			      name);
		change->last = i;
		if (!is_kernels_own(change, i, text))
			begin(change, i);
		return 0;
	}
	return kt_err_set(err, KT_FAULT_GUEST, ENOENT, "the job has no scheduler %s", name);
}
