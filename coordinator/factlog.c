#include "coordinator/factlog.h"
#include "proto/base/log.h"

#include <inttypes.h>

#define YES_NO(is_) ((is_) ? "yes" : "no")

/* Of the cell, as every line about one begins: its number for machines, its name for people. */
#define CELL "cell=%" PRIu64 " name=%s "

static const char *name_of(const struct kt_matrix *matrix, uint64_t cell)
{
	static char name[KT_CELL_NAME_BYTES_MAX];

	return kt_log_quote(kt_matrix_cell_name(matrix, cell, name));
}

static void say_host(const struct kt_msg_fact_host *host)
{
	KT_LOG("host_joined",
	       "host=%s slots=%" PRIu64 " runner=%s accel=%s build=%s guest_cpus=%" PRIu64
	       " mem_bytes=%" PRIu64,
	       kt_log_quote(host->host), host->slots, kt_log_quote(host->machine->runner),
	       kt_log_quote(host->machine->accel), kt_log_quote(host->build), host->guest_cpus,
	       host->mem_bytes);
}

static void say_closed(const struct kt_msg_fact_closed *closed)
{
	KT_LOG("sweep_closed",
	       "judged=%" PRIu64 " errored=%" PRIu64 " cancelled=%" PRIu64 " left_out=%" PRIu64,
	       closed->judged, closed->errored, closed->cancelled, closed->left_out);
}

void kt_factlog_say(const struct kt_matrix *matrix, const struct kt_sweep *sweep, uint32_t tag,
		    const void *fact)
{
	switch (tag) {
	case KT_TAG_fact_term:
		KT_LOG("term_begun", "term=%" PRIu64,
		       ((const struct kt_msg_fact_term *)fact)->term);
		break;
	case KT_TAG_fact_host:
		say_host(fact);
		break;
	case KT_TAG_fact_admission: {
		const struct kt_msg_fact_admission *admission = fact;

		KT_LOG("host_admission", "host=%s admission=%s why=%s",
		       kt_log_quote(admission->host), kt_log_quote(admission->admission),
		       kt_log_quote(admission->why));
		break;
	}
	case KT_TAG_fact_granted: {
		const struct kt_msg_fact_granted *granted = fact;

		KT_LOG("granted", CELL "epoch=%" PRIu64 " attempt=%" PRIu64 " host=%s",
		       granted->cell, name_of(matrix, granted->cell), granted->epoch,
		       granted->attempt, kt_log_quote(granted->host));
		break;
	}
	case KT_TAG_fact_ended: {
		const struct kt_msg_fact_ended *ended = fact;

		KT_LOG("ended", CELL "epoch=%" PRIu64 " cause=%s wall_ms=%" PRId64, ended->cell,
		       name_of(matrix, ended->cell), ended->epoch,
		       kt_log_quote(ended->result->cause),
		       (int64_t)(ended->result->wall_ns / KT_NS_PER_MS));
		break;
	}
	case KT_TAG_fact_failed: {
		const struct kt_msg_fact_failed *failed = fact;

		KT_LOG("failed", CELL "epoch=%" PRIu64 " cause=%s charged=%s why=%s", failed->cell,
		       name_of(matrix, failed->cell), failed->epoch, kt_log_quote(failed->cause),
		       YES_NO(failed->charged), kt_log_quote(failed->line));
		break;
	}
	case KT_TAG_fact_judged: {
		const struct kt_msg_fact_judged *judged = fact;

		KT_LOG("judged", CELL "epoch=%" PRIu64 " outcome=%s", judged->cell,
		       name_of(matrix, judged->cell), judged->epoch,
		       kt_log_quote(judged->verdict->outcome));
		break;
	}
	case KT_TAG_fact_grouped: {
		const struct kt_msg_fact_grouped *grouped = fact;

		KT_LOG("group_judged", CELL "repeats=%" PRIu64 " outcome=%s", grouped->cell,
		       name_of(matrix, grouped->cell), grouped->repeats,
		       kt_log_quote(grouped->verdict->outcome));
		break;
	}
	case KT_TAG_fact_errored: {
		const struct kt_msg_fact_errored *errored = fact;

		KT_LOG("given_up", CELL "cause=%s why=%s", errored->cell,
		       name_of(matrix, errored->cell), kt_log_quote(errored->cause),
		       kt_log_quote(errored->line));
		break;
	}
	case KT_TAG_fact_cancelled: {
		const struct kt_msg_fact_cancelled *cancelled = fact;

		if (sweep->n_cells > KT_FACTLOG_CELLS_MAX && !sweep->cells[cancelled->cell].epoch)
			break;
		KT_LOG("cancelled", CELL "why=%s", cancelled->cell,
		       name_of(matrix, cancelled->cell), kt_log_quote(cancelled->line));
		break;
	}
	case KT_TAG_fact_late: {
		const struct kt_msg_fact_late *late = fact;

		KT_LOG("late_result", CELL "epoch=%" PRIu64 " host=%s cause=%s", late->cell,
		       name_of(matrix, late->cell), late->epoch, kt_log_quote(late->host),
		       kt_log_quote(late->result->cause));
		break;
	}
	case KT_TAG_fact_closed:
		say_closed(fact);
		break;
	}
}
