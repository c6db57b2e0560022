#include "coordinator/rejudge.h"
#include "assertions/group.h"
#include "coordinator/judging.h"
#include "coordinator/matrixfile.h"
#include "coordinator/view.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"
#include "proto/json/tojson.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LISTED_MAX 20 /* cells that were not judged, by name; of each kind */

struct work {
	const struct kt_rejudge *ask;
	uint64_t judgement;
	FILE *text; /* what will be printed */
	bool color;
	uint64_t n_judged;
	uint64_t n_changed; /* another outcome */
	uint64_t n_reworded; /* the same outcome, other details */
	uint64_t n_unmatched; /* cells that the other matrix does not have */
	uint64_t n_no_series;
	struct json_object *unmatched; /* names; LISTED_MAX of them for people */
	struct json_object *no_series;
	const char *comma;
	struct kt_err *err;
};

/* Beside the sweep's own "matrix" and "manifest" stand those of each judgement with another matrix. */
static void meta_key(const char *what, uint64_t judgement, char key[64])
{
	snprintf(key, 64, "%s.%" PRIu64, what, judgement);
}

/* ---- facts ---- */

static int add_fact(struct work *work, uint32_t tag, const void *fact)
{
	int status =
		kt_journal_add_fact(work->ask->journal, kt_clock_wall_ns(), tag, fact, work->err);

	return status < 0 ? status : kt_sweep_apply(work->ask->sweep, tag, fact, work->err);
}

static int begin(struct work *work)
{
	const struct kt_rejudge *ask = work->ask;
	struct kt_msg_fact_rejudging fact = { .judgement = work->judgement, .matrix_file = "" };
	KT_AUTO_BUF manifest = { 0 };
	struct kt_digest digest;
	char key[64];
	int status = 0;

	if (ask->sweep->judgements == UINT16_MAX)
		return kt_err_set(work->err, KT_FAULT_INPUT, EOVERFLOW,
				  "this sweep was judged again %d times already", UINT16_MAX);
	if (ask->text) {
		kt_digest_of(ask->text->data, ask->text->len, &digest);
		fact.matrix_file = ask->matrix->file;
		fact.matrix_digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
		meta_key("matrix", work->judgement, key);
		status = kt_journal_set_meta(ask->journal, key, ask->text->data, ask->text->len,
					     work->err);
		kt_codec_encode(&kt_schema_manifest, ask->manifest, &manifest);
		meta_key("manifest", work->judgement, key);
		if (status == 0)
			status = kt_journal_set_meta(ask->journal, key, manifest.data, manifest.len,
						     work->err);
	}
	return status < 0 ? status : add_fact(work, KT_TAG_fact_rejudging, &fact);
}

struct before {
	struct kt_buf encoded; /* the newest verdict; empty: none */
	bool of_group;
};

static int find_before(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag, const void *fact,
		       struct kt_err *err)
{
	struct before *before = arg;
	const struct kt_msg_verdict *verdict = NULL;

	if (!before->of_group && tag == KT_TAG_fact_judged)
		verdict = ((const struct kt_msg_fact_judged *)fact)->verdict;
	else if (!before->of_group && tag == KT_TAG_fact_rejudged)
		verdict = ((const struct kt_msg_fact_rejudged *)fact)->verdict;
	else if (before->of_group && tag == KT_TAG_fact_grouped)
		verdict = ((const struct kt_msg_fact_grouped *)fact)->verdict;
	else if (before->of_group && tag == KT_TAG_fact_regrouped)
		verdict = ((const struct kt_msg_fact_regrouped *)fact)->verdict;
	if (!verdict)
		return 0;
	kt_buf_reset(&before->encoded);
	kt_codec_encode(&kt_schema_verdict, verdict, &before->encoded);
	return 0;
}

/* ---- what is said ---- */

static struct json_object *json_verdict(const struct kt_msg_verdict *verdict)
{
	return verdict ? kt_tojson_struct(&kt_schema_verdict, verdict) : NULL;
}

static void print_json_row(struct work *work, const char *name, uint64_t repeats,
			   const struct kt_msg_verdict *old, const struct kt_msg_verdict *new,
			   bool same)
{
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, repeats ? "repeats_of" : "cell",
			       kt_tojson_text(name, strlen(name)));
	json_object_object_add(row, "changed", json_object_new_boolean(!same));
	json_object_object_add(row, "was", json_verdict(old));
	json_object_object_add(row, "is", json_verdict(new));
	fprintf(work->text, "%s%s", work->comma,
		json_object_to_json_string_ext(row,
					       JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	work->comma = ",\n";
	json_object_put(row);
}

/* Compares with what it was; text shows what has another outcome, JSON everything. */
static void tell(struct work *work, const char *name, uint64_t repeats, const struct kt_buf *was,
		 const struct kt_msg_verdict *verdict, const struct kt_msg_result *result)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF is = { 0 };
	struct kt_msg_verdict old = { .outcome = "none" };
	int status;
	bool same;

	if (was->len) {
		status = kt_codec_decode(&kt_schema_verdict, was->data, was->len, &arena, &old,
					 NULL);
		kt_must(status == 0);
	}
	kt_codec_encode(&kt_schema_verdict, verdict, &is);
	same = is.len == was->len && memcmp(is.data, was->data, is.len) == 0;
	if (strcmp(old.outcome, verdict->outcome) != 0)
		work->n_changed++;
	else if (!same)
		work->n_reworded++;
	if (work->ask->json) {
		print_json_row(work, name, repeats, was->len ? &old : NULL, verdict, same);
	} else if (strcmp(old.outcome, verdict->outcome) != 0 && repeats) {
		kt_view_print_group(work->text, work->color, name, repeats, verdict);
		fprintf(work->text, "       was %s\n", old.outcome);
	} else if (strcmp(old.outcome, verdict->outcome) != 0) {
		struct kt_view_cell cell = { .name = name,
					     .outcome = verdict->outcome,
					     .verdict = verdict,
					     .result = result,
					     .target = result->samples_fired,
					     .was = old.outcome };

		kt_view_print_cell(work->text, work->color, &cell);
	}
}

/* ---- one cell, one group ---- */

static void leave_out(struct json_object *names, uint64_t *n, const char *name)
{
	++*n;
	json_object_array_add(names, kt_tojson_text(name, strlen(name)));
}

/* Waits for the plug-in of the cell; false when it has none. */
static bool ask_plugin(struct work *work, const struct kt_matrix_cell *cell, uint64_t index,
		       const struct kt_stored *stored, struct kt_verdict *said)
{
	struct kt_plugin_ask ask;
	KT_AUTO_BUF series = { 0 };

	if (!kt_plugins_ask(work->ask->plugins, cell->scenario, &ask))
		return false;
	/* Too large for a file: the plug-in gets nothing, and says so. */
	(void)kt_stored_print(stored, work->ask->own, index, &series, NULL);
	kt_plugin_run(&ask, &series, said);
	return true;
}

static int rejudge_cell(struct work *work, uint64_t index)
{
	const struct kt_rejudge *ask = work->ask;
	const struct kt_cell *cell = &ask->sweep->cells[index];
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_STORED stored = { 0 };
	struct before before = { .of_group = false };
	struct kt_msg_verdict verdict;
	struct kt_msg_fact_rejudged fact = { .cell = index,
					     .epoch = cell->epoch,
					     .judgement = work->judgement,
					     .verdict = &verdict };
	char name[KT_CELL_NAME_BYTES_MAX];
	uint64_t other = index;
	struct kt_matrix_cell spec;
	struct kt_verdict said;
	bool beside;
	int status;

	kt_matrix_cell_name(ask->own, index, name);
	if (!kt_matrix_find_cell(ask->matrix, name, &other)) {
		leave_out(work->unmatched, &work->n_unmatched, name);
		return 0;
	}
	if (cell->state == KT_CELL_LEFT_OUT)
		return 0; /* the totals tell */
	if (cell->state != KT_CELL_JUDGED) {
		leave_out(work->no_series, &work->n_no_series, name);
		return 0;
	}
	status = kt_stored_load(ask->journal, index, cell->epoch, &stored, work->err);
	if (status < 0) {
		work->err->fault = KT_FAULT_HOST;
		return kt_err_wrap(work->err, "%s: nothing was judged: its series", name);
	}
	status = kt_journal_facts(ask->journal, index, find_before, &before, work->err);
	if (status == 0) {
		kt_verdict_init(&said, &arena);
		kt_matrix_cell(ask->matrix, other, &spec);
		beside = ask_plugin(work, &spec, index, &stored, &said);
		kt_judging_cell(ask->matrix, other, &stored, beside ? &said : NULL, &arena,
				&verdict);
		kt_facts_cut(KT_TAG_fact_rejudged, &fact, &fact.verdict, &arena);
		status = add_fact(work, KT_TAG_fact_rejudged, &fact);
	}
	if (status == 0) {
		tell(work, name, 0, &before.encoded, fact.verdict, stored.result);
		work->n_judged++;
	}
	kt_buf_destroy(&before.encoded);
	return status;
}

/* Nothing is asserted over them any more: an older verdict must not count on. */
static void nothing_over(struct kt_arena *arena, struct kt_msg_verdict *verdict)
{
	struct kt_verdict said;

	kt_verdict_init(&said, arena);
	kt_verdict_say(&said, KT_VERDICT_SKIP, KT_VERDICT_KIND_OVER, "",
		       "nothing is asserted over the repeats any more");
	kt_verdict_finish(&said, verdict);
}

/* The repeats of the sweep that begin at first; what is asserted stands in the other matrix' cell `other`. */
static int rejudge_group(struct work *work, uint64_t first, uint64_t repeats, uint64_t other,
			 const char *name)
{
	const struct kt_rejudge *ask = work->ask;
	KT_AUTO_ARENA arena = { 0 };
	struct before before = { .of_group = true };
	const struct kt_assertion *const *asserts;
	struct kt_msg_verdict verdict;
	struct kt_msg_fact_regrouped fact = {
		.cell = first, .repeats = repeats, .judgement = work->judgement, .verdict = &verdict
	};
	struct kt_matrix_cell spec;
	size_t n;
	bool wanted;
	int status = 0;

	kt_matrix_cell(ask->matrix, other, &spec);
	n = kt_matrix_judged(ask->matrix, &spec, &arena, &asserts);
	wanted = kt_group_wanted(asserts, n);
	if (!wanted && ask->sweep->cells[first].group == KT_OUTCOME_NONE)
		return 0;
	if (wanted)
		status = kt_judging_group(ask->journal, ask->sweep, first, repeats, asserts, n,
					  &arena, &verdict, work->err);
	else
		nothing_over(&arena, &verdict);
	if (status == 0)
		status = kt_journal_facts(ask->journal, first, find_before, &before, work->err);
	if (status == 0) {
		kt_facts_cut(KT_TAG_fact_regrouped, &fact, &fact.verdict, &arena);
		status = add_fact(work, KT_TAG_fact_regrouped, &fact);
	}
	if (status == 0)
		tell(work, name, repeats, &before.encoded, fact.verdict, NULL);
	kt_buf_destroy(&before.encoded);
	return status;
}

/* Behind the last of its repeats. */
static int rejudge_group_of(struct work *work, uint64_t last)
{
	const struct kt_rejudge *ask = work->ask;
	char name[KT_CELL_NAME_BYTES_MAX];
	struct kt_matrix_cell spec;
	uint64_t first;
	uint64_t other;

	kt_matrix_cell(ask->own, last, &spec);
	first = last - spec.repeat;
	if (spec.repeat + 1 != spec.scenario->repeats ||
	    !kt_matrix_find_cell(ask->matrix, kt_matrix_cell_name(ask->own, first, name), &other) ||
	    !kt_sweep_has_ended(ask->sweep, first, spec.scenario->repeats))
		return 0;
	return rejudge_group(work, first, spec.scenario->repeats, other, name);
}

/* ---- all of them ---- */

static void print_names(struct work *work, const char *what, struct json_object *names)
{
	size_t n = json_object_array_length(names);

	for (size_t i = 0; i < n && i < LISTED_MAX; i++)
		fprintf(work->text, "%s: %s\n",
			json_object_get_string(json_object_array_get_idx(names, i)), what);
	if (n > LISTED_MAX)
		fprintf(work->text, "... and %zu more: %s\n", n - LISTED_MAX, what);
}

static void print_text_end(struct work *work)
{
	const struct kt_rejudge *ask = work->ask;
	KT_AUTO_BUF what = { 0 };

	kt_buf_printf(&what, "not in %s, keeps its verdict", ask->matrix->file);
	print_names(work, kt_buf_text(&what), work->unmatched);
	print_names(work, "has no series that could be judged", work->no_series);
	fprintf(work->text,
		"judged again (judgement %" PRIu64 ", with %s): %" PRIu64 " cell%s, %" PRIu64
		" with another outcome",
		work->judgement, ask->text ? ask->matrix->file : "the sweep's own matrix",
		work->n_judged, work->n_judged == 1 ? "" : "s", work->n_changed);
	if (work->n_reworded)
		fprintf(work->text, ", %" PRIu64 " with the same outcome for other reasons",
			work->n_reworded);
	if (work->n_unmatched)
		fprintf(work->text, "; %" PRIu64 " not in that matrix", work->n_unmatched);
	if (work->n_no_series)
		fprintf(work->text, "; %" PRIu64 " without a series", work->n_no_series);
	fputc('\n', work->text);
}

static void print_json_end(struct work *work)
{
	fprintf(work->text, "\n],\n\"unmatched\": %s,\n\"without_series\": %s,\n",
		json_object_to_json_string(work->unmatched),
		json_object_to_json_string(work->no_series));
	fprintf(work->text,
		"\"judged\": %" PRIu64 ", \"changed\": %" PRIu64 ", \"reworded\": %" PRIu64 "\n}\n",
		work->n_judged, work->n_changed, work->n_reworded);
}

/* Cells of the other matrix that never ran are nothing to judge; none at all in common is a mistake. */
static int refuse_nothing(struct work *work)
{
	const struct kt_rejudge *ask = work->ask;
	char theirs[KT_CELL_NAME_BYTES_MAX];
	char ours[KT_CELL_NAME_BYTES_MAX];

	if (work->n_judged)
		return 0;
	if (work->n_no_series)
		return kt_err_set(work->err, KT_FAULT_INPUT, ENOENT,
				  "no cell has a series yet that could be judged");
	return kt_err_set(
		work->err, KT_FAULT_INPUT, EINVAL,
		"no cell of %s has the name of one of the sweep's: there it is for example "
		"%.200s, in the sweep %.200s",
		ask->matrix->file, kt_matrix_cell_name(ask->matrix, 0, theirs),
		kt_matrix_cell_name(ask->own, 0, ours));
}

static int rejudge_all(struct work *work)
{
	const struct kt_rejudge *ask = work->ask;
	int status = begin(work);

	if (ask->json) {
		struct json_object *with =
			ask->text ? kt_tojson_text(ask->matrix->file, strlen(ask->matrix->file))
				  : NULL;

		fprintf(work->text,
			"{\n\"sweep\": \"%s\", \"judgement\": %" PRIu64 ", \"matrix\": %s",
			ask->sweep->id, work->judgement, json_object_to_json_string(with));
		fputs(",\n\"cells\": [\n", work->text);
		json_object_put(with);
	}
	for (uint64_t i = 0; i < ask->sweep->n_cells && status == 0; i++) {
		status = rejudge_cell(work, i);
		if (status == 0)
			status = rejudge_group_of(work, i);
	}
	if (status == 0)
		status = refuse_nothing(work);
	if (status == 0)
		status = kt_journal_commit(ask->journal, work->err);
	if (status < 0)
		return status;
	if (ask->json)
		print_json_end(work);
	else
		print_text_end(work);
	return 0;
}

int kt_rejudge_run(const struct kt_rejudge *ask, FILE *out, struct kt_err *err)
{
	char *said = NULL;
	size_t len = 0;
	struct work work = { .ask = ask,
			     .judgement = ask->sweep->judgements + 1ull,
			     .text = open_memstream(&said, &len),
			     .color = kt_view_has_color(out),
			     .unmatched = json_object_new_array(),
			     .no_series = json_object_new_array(),
			     .comma = "",
			     .err = err };
	int status;

	kt_must(work.text);
	status = rejudge_all(&work);
	fclose(work.text);
	/* What a person has seen is on disk. */
	if (status == 0 && fwrite(said, 1, len, out) != len)
		status = kt_err_set(err, KT_FAULT_HOST, EIO, "writing what changed");
	json_object_put(work.unmatched);
	json_object_put(work.no_series);
	free(said);
	return status;
}

int kt_rejudge_matrix(struct kt_journal *journal, uint64_t judgement, struct kt_matrix **matrix,
		      struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_bin text;
	char key[64];
	int status;

	*matrix = NULL;
	meta_key("matrix", judgement, key);
	status = kt_journal_meta(journal, key, &arena, &text, err);
	if (status == -ENOENT)
		return 0;
	if (status < 0)
		return status;
	status = kt_matrixfile_parse(key, text.data, text.len, NULL, NULL, matrix, err);
	return status < 0 ? kt_err_wrap(err, "the matrix of judgement %" PRIu64, judgement) : 0;
}
