#include "coordinator/view.h"
#include "proto/base/clock.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#define PHASE_LINES_CELLS_MAX 16 /* a sweep of so few cells is watched: every phase is a line */
#define STILL_NS              (2 * KT_NS_PER_S) /* nobody looks at a still screen for longer */
#define REPAINT_NS            (100 * KT_NS_PER_MS)
#define BLOCK_ROWS_MAX        8
#define LINE_BYTES            1024
#define DETAILS_MAX           6 /* lines below a failed cell; the rest is in `ktcoord show` */

struct running { /* a cell under way, or finished and not judged yet */
	uint64_t cell;
	char host[KT_NAME_BYTES_MAX + 1];
	char phase[33];
	int64_t since_ns;
	int64_t until_ns; /* expected end of the phase; 0: not known */
	char detail[120];
	void *ended; /* encoded fact_ended, for the line of the verdict */
	size_t ended_len;
};

struct kt_view {
	FILE *out;
	enum kt_view_mode mode;
	bool color;
	const struct kt_matrix *matrix;
	const struct kt_sweep *sweep;
	struct running *running;
	size_t n_running;
	size_t painted; /* rows of the block on the screen, as they were written */
	size_t widths[BLOCK_ROWS_MAX + 2]; /* their bytes: a narrower terminal folds them */
	int64_t begun_at_ns;
	int64_t said_at_ns; /* last output in PLAIN mode */
	int64_t painted_at_ns;
	int64_t now_ns;
	char wait[240];
};

enum kt_view_mode kt_view_mode_of(FILE *out)
{
	const char *term = getenv("TERM");

	return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0 ? KT_VIEW_LIVE
									: KT_VIEW_PLAIN;
}

bool kt_view_has_color(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fileno(out)) && (!no_color || !*no_color);
}

struct kt_view *kt_view_new(FILE *out, enum kt_view_mode mode, const struct kt_matrix *matrix,
			    const struct kt_sweep *sweep)
{
	struct kt_view *view = kt_must_calloc(1, sizeof(*view));

	view->out = out;
	view->mode = mode;
	view->color = kt_view_has_color(out);
	view->matrix = matrix;
	view->sweep = sweep;
	return view;
}

void kt_view_attach(struct kt_view *view, const struct kt_matrix *matrix,
		    const struct kt_sweep *sweep)
{
	view->matrix = matrix;
	view->sweep = sweep;
	view->wait[0] = 0;
	view->begun_at_ns = view->now_ns = kt_clock_now_ns();
}

static void measure(FILE *out, size_t *columns, size_t *rows)
{
	struct winsize size;
	bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0;

	*columns = known && size.ws_col >= 20 ? size.ws_col : 80;
	*rows = known && size.ws_row >= 4 ? size.ws_row : 24;
}

/* The terminal may have been made narrower meanwhile, and have folded what was painted. */
static void take_off(struct kt_view *view)
{
	size_t columns, screen_rows;
	size_t rows = 0;

	measure(view->out, &columns, &screen_rows);
	for (size_t i = 0; i < view->painted; i++)
		rows += view->widths[i] > columns ? (view->widths[i] + columns - 1) / columns : 1;
	/* Row by row: some terminals keep what a clear of the whole screen takes away. The cursor may
	 * stand behind an echoed ^C.
	 */
	if (rows)
		fputs("\r\033[K", view->out);
	for (size_t i = 0; i < rows && i < screen_rows; i++)
		fputs("\033[A\033[K", view->out);
	view->painted = 0;
}

void kt_view_destroy(struct kt_view **view_p)
{
	struct kt_view *view = kt_take(view_p);

	if (!view)
		return;
	take_off(view);
	fflush(view->out);
	for (size_t i = 0; i < view->n_running; i++)
		free(view->running[i].ended);
	free(view->running);
	free(view);
}

/* ---- one finished cell ---- */

static const struct {
	const char *outcome;
	const char *word;
	const char *color;
} words[] = {
	{ "pass", "PASS", "\033[32m" },           { "fail", "FAIL", "\033[31m" },
	{ "inconclusive", "INCO", "\033[33m" },   { "skip", "SKIP", "\033[36m" },
	{ "cancelled", "CANCELLED", "\033[35m" }, { "error", "ERROR", "\033[35m" },
};

/* Console and scheduler output can hold anything: no byte of it may move a terminal's cursor. */
static void print_clean(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, out);
}

static void print_verdict(FILE *out, const char *outcome, const struct kt_msg_verdict *verdict)
{
	bool failed = strcmp(outcome, "pass") != 0;
	size_t shown = 0;
	size_t left = 0;

	for (size_t i = 0; verdict && i < verdict->n_details; i++) {
		const struct kt_msg_detail *detail = &verdict->details[i];

		if (strcmp(detail->outcome, "fail") != 0 &&
		    strcmp(detail->outcome, "inconclusive") != 0 &&
		    (strcmp(detail->outcome, "skip") != 0 || strcmp(outcome, "skip") != 0))
			continue;
		if (!failed || shown == DETAILS_MAX) {
			left++;
			continue;
		}
		fputs("       ", out);
		print_clean(out, detail->text);
		fputc('\n', out);
		shown++;
	}
	if (left && failed)
		fprintf(out, "       ... and %zu more: ktcoord show\n", left);
}

static void print_details(FILE *out, const struct kt_view_cell *cell)
{
	print_verdict(out, cell->outcome, cell->verdict);
	if (strcmp(cell->outcome, "error") == 0) {
		fputs("       ", out);
		print_clean(out, cell->cause);
		fputs(": ", out);
		print_clean(out, cell->line);
		fputc('\n', out);
	}
	if (strcmp(cell->outcome, "cancelled") == 0 && cell->line[0]) {
		fputs("       ", out);
		print_clean(out, cell->line);
		fputc('\n', out);
	}
	if (cell->result && cell->result->note[0]) {
		fputs("       note: ", out);
		print_clean(out, cell->result->note);
		fputc('\n', out);
	}
}

static void print_word(FILE *out, bool color, const char *outcome)
{
	size_t row = 0;

	while (row + 1 < sizeof(words) / sizeof(words[0]) &&
	       strcmp(words[row].outcome, outcome) != 0)
		row++;
	fprintf(out, "%s%-5s%s  ", color ? words[row].color : "", words[row].word,
		color ? "\033[0m" : "");
}

void kt_view_print_group(FILE *out, bool color, const char *name, uint64_t repeats,
			 const struct kt_msg_verdict *verdict)
{
	print_word(out, color, verdict->outcome);
	fprintf(out, "%.*s  over %" PRIu64 " repeat%s\n", (int)strcspn(name, "#"), name, repeats,
		repeats == 1 ? "" : "s");
	print_verdict(out, verdict->outcome, verdict);
	/* One repeat that explains it stands in a note. */
	for (size_t i = 0; strcmp(verdict->outcome, "pass") != 0 && i < verdict->n_details; i++) {
		if (strcmp(verdict->details[i].outcome, "note") != 0)
			continue;
		fputs("       ", out);
		print_clean(out, verdict->details[i].text);
		fputc('\n', out);
	}
}

void kt_view_print_cell(FILE *out, bool color, const struct kt_view_cell *cell)
{
	char wall[KT_DURATION_TEXT_BYTES] = "-";
	const struct kt_msg_machine *machine = cell->result ? cell->result->machine : NULL;

	if (cell->result)
		kt_duration_format(cell->result->wall_ns, wall);
	print_word(out, color, cell->outcome);
	fprintf(out, "%s  samples %" PRIu64 "/%" PRIu64 "  wall %s  ", cell->name,
		cell->result ? cell->result->samples_fired : 0, cell->target, wall);
	if (machine && strcmp(machine->runner, "scripted") == 0)
		fputs("SCRIPTED", out);
	else
		fprintf(out, "%s%s%s", machine ? machine->accel : "-",
			machine && machine->guest[0] ? " " : "", machine ? machine->guest : "");
	if (cell->attempts > 1)
		fprintf(out, "  attempt %" PRIu64, cell->attempts);
	if (cell->was)
		fprintf(out, "  judged again, was %s", cell->was);
	fputc('\n', out);
	print_details(out, cell);
}

/* ---- painting ---- */

/* What does not fit into the columns is taken from the name's beginning: the phase is what moves. */
static void describe(const struct kt_view *view, const struct running *running, size_t columns,
		     char line[LINE_BYTES])
{
	char name[KT_CELL_NAME_BYTES_MAX];
	char took[KT_DURATION_TEXT_BYTES];
	char left[32] = "";
	int64_t left_ns = running->until_ns - view->now_ns;
	char phase[256];
	size_t room;
	size_t len;

	if (running->until_ns && left_ns > 0)
		snprintf(left, sizeof(left), ", %" PRId64 " s to go",
			 (int64_t)((left_ns + KT_NS_PER_S - 1) / KT_NS_PER_S));
	else if (view->now_ns - running->since_ns >= KT_NS_PER_S)
		snprintf(left, sizeof(left), ", %s",
			 kt_duration_format(view->now_ns - running->since_ns, took));
	snprintf(phase, sizeof(phase), "%s%s%s%s%s", running->phase, left,
		 running->detail[0] ? " (" : "", running->detail, running->detail[0] ? ")" : "");
	kt_matrix_cell_name(view->matrix, running->cell, name);
	len = strlen(name);
	room = columns > strlen(phase) + 5 ? columns - strlen(phase) - 5 : 0;
	if (room < columns / 2)
		room = columns / 2;
	if (len > room)
		snprintf(line, LINE_BYTES, "  ..%s: %s", name + len - (room - 2), phase);
	else
		snprintf(line, LINE_BYTES, "  %s: %s", name, phase);
}

/* One row of the block: cut to the terminal, between characters. */
static void put_row(struct kt_view *view, size_t columns, char *line)
{
	size_t len = strlen(line);

	if (len > columns - 1) {
		len = columns - 1;
		while (len && ((unsigned char)line[len] & 0xc0) == 0x80)
			len--;
		line[len] = 0;
	}
	print_clean(view->out, line);
	fputc('\n', view->out);
	view->widths[view->painted++] = len;
}

static void paint(struct kt_view *view)
{
	char took[KT_DURATION_TEXT_BYTES];
	char line[LINE_BYTES];
	size_t columns, rows;

	measure(view->out, &columns, &rows);
	take_off(view);
	view->painted_at_ns = view->now_ns;
	if (view->wait[0]) {
		snprintf(line, sizeof(line), "%s", view->wait);
		put_row(view, columns, line);
	}
	if (view->matrix && view->sweep && view->sweep->cells) {
		int64_t whole_s = (view->now_ns - view->begun_at_ns) / KT_NS_PER_S;

		snprintf(line, sizeof(line), "%" PRIu64 "/%" PRIu64 " cells done, %s",
			 kt_sweep_n_done(view->sweep), kt_sweep_n_to_run(view->sweep),
			 kt_duration_format(whole_s * KT_NS_PER_S, took));
		put_row(view, columns, line);
		/* The cursor stands below the block: one row of the screen more. */
		for (size_t i = 0;
		     i < view->n_running && i < BLOCK_ROWS_MAX && view->painted + 1 < rows; i++) {
			describe(view, &view->running[i], columns - 1, line);
			put_row(view, columns, line);
		}
	}
	fflush(view->out);
}

static void above_block(struct kt_view *view)
{
	if (view->mode == KT_VIEW_LIVE)
		take_off(view);
}

static void below_lines(struct kt_view *view)
{
	view->said_at_ns = view->now_ns;
	if (view->mode == KT_VIEW_LIVE)
		paint(view);
	else
		fflush(view->out);
}

void kt_view_say(struct kt_view *view, const char *format, ...)
{
	va_list args;

	KT_AUTO_FREE char *line = NULL;

	if (view->mode == KT_VIEW_QUIET)
		return;
	va_start(args, format);
	kt_must(vasprintf(&line, format, args) >= 0);
	va_end(args);
	above_block(view);
	print_clean(view->out, line); /* hosts and guests have words in it */
	fputc('\n', view->out);
	below_lines(view);
}

void kt_view_wait(struct kt_view *view, int64_t now_ns, const char *line)
{
	view->now_ns = now_ns;
	if (view->mode == KT_VIEW_QUIET)
		return;
	if (view->mode == KT_VIEW_PLAIN) {
		kt_view_say(view, "%s", line);
		return;
	}
	snprintf(view->wait, sizeof(view->wait), "%s", line);
	paint(view);
}

/* ---- readings ---- */

static struct running *find(struct kt_view *view, uint64_t cell)
{
	for (size_t i = 0; i < view->n_running; i++)
		if (view->running[i].cell == cell)
			return &view->running[i];
	return NULL;
}

static struct running *find_or_add(struct kt_view *view, uint64_t cell)
{
	struct running *running = find(view, cell);

	if (running)
		return running;
	view->running = kt_must_realloc(view->running, view->n_running + 1, sizeof(*view->running));
	running = &view->running[view->n_running++];
	memset(running, 0, sizeof(*running));
	running->cell = cell;
	running->since_ns = view->now_ns;
	return running;
}

static void drop(struct kt_view *view, uint64_t cell)
{
	struct running *running = find(view, cell);

	if (!running)
		return;
	free(running->ended);
	*running = view->running[--view->n_running];
}

static void enter(struct kt_view *view, struct running *running, const char *phase, int64_t left_ns,
		  const char *detail)
{
	char line[LINE_BYTES];

	snprintf(running->phase, sizeof(running->phase), "%s", phase);
	snprintf(running->detail, sizeof(running->detail), "%s", detail);
	running->since_ns = view->now_ns;
	running->until_ns = left_ns ? view->now_ns + left_ns : 0;
	/* In a log, phases of many cells would bury the verdicts; what runs is said every two seconds. */
	if (view->mode != KT_VIEW_PLAIN || view->sweep->n_cells > PHASE_LINES_CELLS_MAX)
		return;
	describe(view, running, SIZE_MAX, line);
	kt_view_say(view, "%s", line);
}

void kt_view_phase(struct kt_view *view, int64_t now_ns, uint64_t cell,
		   const struct kt_msg_phase *phase)
{
	view->now_ns = now_ns;
	if (view->mode == KT_VIEW_QUIET)
		return;
	enter(view, find_or_add(view, cell), phase->phase, phase->left_ns, phase->detail);
}

static void keep_result(struct running *running, const struct kt_msg_fact_ended *ended)
{
	KT_AUTO_BUF encoded = { 0 };

	kt_codec_encode(&kt_schema_fact_ended, ended, &encoded);
	free(running->ended);
	running->ended_len = encoded.len;
	running->ended = kt_take(&encoded.data);
}

static void say_cell(struct kt_view *view, struct kt_view_cell *cell, uint64_t index)
{
	struct kt_msg_fact_ended ended;
	struct running *running = find(view, index);
	KT_AUTO_ARENA arena = { 0 };
	char name[KT_CELL_NAME_BYTES_MAX];
	struct kt_matrix_cell spec;

	kt_matrix_cell(view->matrix, index, &spec);
	cell->name = kt_matrix_cell_name(view->matrix, index, name);
	cell->attempts = view->sweep->cells[index].tries;
	cell->target = spec.scenario->msg.samples;
	if (running && running->ended &&
	    kt_codec_decode(&kt_schema_fact_ended, running->ended, running->ended_len, &arena,
			    &ended, NULL) == 0)
		cell->result = ended.result;
	above_block(view);
	kt_view_print_cell(view->out, view->color, cell);
	drop(view, index);
	below_lines(view);
}

void kt_view_fact(struct kt_view *view, int64_t now_ns, uint32_t tag, const void *fact)
{
	char name[KT_CELL_NAME_BYTES_MAX];

	view->now_ns = now_ns;
	if (view->mode == KT_VIEW_QUIET || !view->matrix)
		return;
	switch (tag) {
	case KT_TAG_fact_host: {
		const struct kt_msg_fact_host *host = fact;

		kt_view_say(view, "host %s: %s, %s%s%s%s, %" PRIu64 " slot%s", host->host,
			    host->machine->runner, host->machine->accel,
			    host->accel_reason[0] ? " (no KVM: " : "", host->accel_reason,
			    host->accel_reason[0] ? ")" : "", host->slots,
			    host->slots == 1 ? "" : "s");
		break;
	}
	case KT_TAG_fact_granted: {
		const struct kt_msg_fact_granted *granted = fact;
		struct running *running = find_or_add(view, granted->cell);

		snprintf(running->host, sizeof(running->host), "%s", granted->host);
		enter(view, running, "start", 0, granted->host);
		break;
	}
	case KT_TAG_fact_ended: {
		const struct kt_msg_fact_ended *ended = fact;
		struct running *running = find_or_add(view, ended->cell);

		if (running->ended)
			break;
		keep_result(running, ended);
		enter(view, running, "judge", 0, "");
		break;
	}
	case KT_TAG_fact_failed: {
		const struct kt_msg_fact_failed *failed = fact;

		kt_matrix_cell_name(view->matrix, failed->cell, name);
		kt_view_say(view, "infra  %s: %s: %s%s", name, failed->cause, failed->line,
			    failed->charged ? "" : " (not charged)");
		drop(view, failed->cell);
		break;
	}
	case KT_TAG_fact_judged: {
		const struct kt_msg_fact_judged *judged = fact;
		struct kt_view_cell cell = { .outcome = judged->verdict->outcome,
					     .verdict = judged->verdict };

		say_cell(view, &cell, judged->cell);
		break;
	}
	case KT_TAG_fact_errored: {
		const struct kt_msg_fact_errored *errored = fact;
		struct kt_view_cell cell = { .outcome = "error",
					     .cause = errored->cause,
					     .line = errored->line };

		say_cell(view, &cell, errored->cell);
		break;
	}
	case KT_TAG_fact_cancelled: {
		const struct kt_msg_fact_cancelled *cancelled = fact;
		struct kt_view_cell cell = { .outcome = "cancelled", .line = cancelled->line };

		/* Of thousands that never began, the totals tell. */
		if (find(view, cancelled->cell) || view->sweep->n_cells <= PHASE_LINES_CELLS_MAX)
			say_cell(view, &cell, cancelled->cell);
		break;
	}
	case KT_TAG_fact_grouped: {
		const struct kt_msg_fact_grouped *grouped = fact;

		kt_matrix_cell_name(view->matrix, grouped->cell, name);
		above_block(view);
		kt_view_print_group(view->out, view->color, name, grouped->repeats,
				    grouped->verdict);
		below_lines(view);
		break;
	}
	}
}

void kt_view_tick(struct kt_view *view, int64_t now_ns)
{
	char line[LINE_BYTES];

	view->now_ns = now_ns;
	if (view->mode == KT_VIEW_LIVE && now_ns - view->painted_at_ns >= REPAINT_NS)
		paint(view);
	if (view->mode != KT_VIEW_PLAIN || now_ns - view->said_at_ns < STILL_NS)
		return;
	if (view->n_running) {
		describe(view, &view->running[0], SIZE_MAX, line);
		kt_view_say(view, "%s", line);
	} else if (view->sweep && view->sweep->cells) {
		kt_view_say(view, "  %" PRIu64 "/%" PRIu64 " cells done, waiting for a worker",
			    kt_sweep_n_done(view->sweep), kt_sweep_n_to_run(view->sweep));
	}
}
