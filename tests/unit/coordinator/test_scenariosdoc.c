/* docs/scenarios.md: what stands between its marks is made from the language's own tables. */
#include "coordinator/core/matrix/cgroupkeys.h"
#include "coordinator/core/matrix/groupkeys.h"
#include "coordinator/core/matrix/opkeys.h"
#include "coordinator/core/matrix/payloadkeys.h"
#include "coordinator/core/matrix/scenariokeys.h"
#include "coordinator/core/matrix/stepkeys.h"
#include "matrixtext.h"
#include "tests/unit/proto/kept.h"

#define LENGTH(list_) (sizeof(list_) / sizeof((list_)[0]))

#define DOCUMENT "docs/scenarios.md"
#define MADE     "<!-- made: "
#define MADE_END " -->\n"
#define END      "<!-- end -->\n"

static void print_keys(const struct kt_grammar_table *table, struct kt_buf *out)
{
	kt_buf_puts(out, "| key | what | as in |\n|---|---|---|\n");
	for (size_t i = 0; i < table->n_keys; i++) {
		const struct kt_grammar_key *key = &table->keys[i];

		cr_assert_null(strchr(key->sentence, '|'), "%s", key->name);
		kt_buf_printf(out, "| `%s`%s | %s | `%s` |\n", key->name,
			      key->need == KT_GRAMMAR_MUST ? " *" : "", key->sentence,
			      key->example);
	}
	kt_buf_puts(out, "\n\\* must be there\n");
}

static void print_ops(struct kt_buf *out)
{
	kt_buf_puts(out, "| op | does |\n|---|---|\n");
	for (size_t i = 0; i < KT_OPS_N; i++) {
		kt_buf_puts(out, "| `");
		kt_opkeys_example(&kt_ops[i], out);
		kt_buf_printf(out, "` | %s |\n", kt_ops[i].sentence);
	}
}

/* The table that the key of another has for its items. */
static const struct kt_grammar_table *of(const struct kt_grammar_table *table, const char *name)
{
	for (size_t i = 0; i < table->n_keys; i++)
		if (strcmp(table->keys[i].name, name) == 0)
			return table->keys[i].of;
	return NULL;
}

/* What stands behind the mark of that name. */
static void print_made(const char *name, struct kt_buf *out)
{
	const struct {
		const char *name;
		const struct kt_grammar_table *table;
	} tables[] = {
		{ "scenario", &kt_scenariokeys_table },
		{ "backdrop", &kt_stepkeys_backdrop_table },
		{ "step", &kt_stepkeys_table },
		{ "cgroup", &kt_cgroupkeys_table },
		{ "group", &kt_groupkeys_table },
		{ "payload", &kt_payloadkeys_table },
		{ "metric", of(&kt_payloadkeys_table, "metric") },
	};

	if (strcmp(name, "ops") == 0) {
		print_ops(out);
		return;
	}
	for (size_t i = 0; i < LENGTH(tables); i++) {
		if (strcmp(name, tables[i].name) != 0)
			continue;
		print_keys(tables[i].table, out);
		return;
	}
	cr_assert_fail("nothing is made of '%s'", name);
}

Test(scenariosdoc, its_tables_are_those_of_the_language)
{
	KT_AUTO_BUF kept = { 0 };
	KT_AUTO_BUF now = { 0 };
	const char *at;
	size_t n = 0;

	kept_read(KT_SOURCE_DIR "/" DOCUMENT, &kept);
	at = kt_buf_text(&kept);
	for (const char *mark; (mark = strstr(at, MADE)) != NULL; n++) {
		const char *name_end = strstr(mark, MADE_END);
		char name[64];

		cr_assert(name_end);
		snprintf(name, sizeof(name), "%.*s", (int)(name_end - mark - strlen(MADE)),
			 mark + strlen(MADE));
		kt_buf_append(&now, at, (size_t)(name_end - at) + strlen(MADE_END));
		print_made(name, &now);
		kt_buf_puts(&now, END);
		at = strstr(name_end, END);
		cr_assert(at, "'%s' has no end", name);
		at += strlen(END);
	}
	kt_buf_puts(&now, at);
	cr_assert_eq(n, 8);
	kept_check(DOCUMENT, &now, "Whoever reads it would be misled.");
}

/* "    key = ..." lines behind a heading's sentence are a scenario within a matrix. */
static void take_indented(const char *text, struct kt_buf *out)
{
	const char *from = strstr(text, "\n    ");

	while (*from == '\n' && (strncmp(from + 1, "    ", 4) == 0 || from[1] == '\n')) {
		size_t len = strcspn(from + 1, "\n");

		kt_buf_printf(out, "%.*s\n", len > 4 ? (int)(len - 4) : 0, from + 5);
		from += 1 + len;
	}
}

Test(scenariosdoc, its_example_is_right)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF document = { 0 };
	KT_AUTO_BUF problems = { 0 };
	KT_AUTO_BUF text = { 0 };

	kept_read(KT_SOURCE_DIR "/" DOCUMENT, &document);
	kt_buf_puts(&text, MATRIXTEXT_HEAD "[[scenario.step]]\nhold = 'full'\n");
	take_indented(kt_buf_text(&document), &text);
	cr_assert_eq(kt_matrixfile_parse("m", text.data, text.len, matrixtext_keep, &problems,
					 &matrix, NULL),
		     0, "%s", kt_buf_text(&problems));
	cr_assert_eq(matrix->n_scenarios, 2);
	cr_assert_eq(matrix->scenarios[1].msg.steps[1].n_ops, 1);
}

/* Each, where there are two cgroups with cpusets: it reads, though maybe not at that moment. */
Test(scenariosdoc, an_ops_example_can_be_written_so)
{
	for (size_t i = 0; i < KT_OPS_N; i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF problems = { 0 };
		KT_AUTO_BUF example = { 0 };
		KT_AUTO_BUF text = { 0 };

		kt_opkeys_example(&kt_ops[i], &example);
		kt_buf_printf(&text,
			      "[scenario.backdrop]\ncgroup = [{ name = 'cg_0', cpuset = '0-1' }, "
			      "{ name = 'cg_1', cpuset = '0' }]\n[[scenario.step]]\nhold = '1s'\n"
			      "ops = [%s]\n[[scheduler]]\nname = 'scx_other'\nbinary = 'x'\n",
			      kt_buf_text(&example));
		if (matrixtext_parse(kt_buf_text(&text), &matrix, &problems) == 0)
			continue;
		cr_expect(strstr(kt_buf_text(&problems), "at this moment") ||
				  strstr(kt_buf_text(&problems), "there is a cgroup") ||
				  strstr(kt_buf_text(&problems), "unknown payload"),
			  "%s: %s", kt_ops[i].name, kt_buf_text(&problems));
	}
}
