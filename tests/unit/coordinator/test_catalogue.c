#include "coordinator/catalogue.h"
#include "coordinator/matrixfile.h"
#include "coordinator/toml.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EXAMPLES KT_SOURCE_DIR "/examples/scenarios"

/* A scenario of the matrix's own. */
#define OWN "\n[[scenario]]\nname = \"own\"\nduration = \"1s\"\n[[scenario.step]]\nhold = \"full\""

/* A machine that every scenario of the catalogue fits on. */
#define AXES                                                                                      \
	"[[kernel]]\nname = \"k\"\npath = \"/boot/k\"\n[[scheduler]]\nname = \"eevdf\"\n"         \
	"[[scheduler]]\nname = \"scx\"\nbinary = \"scx_kt\"\n[[topology]]\nname = \"t\"\ncpus = " \
	"\"2n4l2c1t\"\n"

struct said {
	size_t n;
	char first[1024];
};

static void keep(void *arg, const char *line)
{
	struct said *said = arg;

	if (said->n++ == 0)
		snprintf(said->first, sizeof(said->first), "%s", line);
}

/* Written where the matrix is read from: a folder of this test's process. */
static char folder[64];

static const char *put(const char *name, const char *text)
{
	static char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	cr_assert(file);
	fputs(text, file);
	fclose(file);
	return path;
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/kt-test-catalogue-XXXXXX");
	cr_assert(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	return remove(path);
}

static void remove_folder(void)
{
	cr_assert_eq(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(catalogue, .init = make_folder, .fini = remove_folder);

static int load(const char *sweep, struct kt_buf *text, struct said *said,
		struct kt_matrix **matrix)
{
	char whole[4096];
	struct kt_err err = { 0 };

	snprintf(whole, sizeof(whole), "[sweep]\nname = \"n\"\n%s\n" AXES, sweep);
	return kt_matrixfile_load(put("m.toml", whole), text, keep, said, matrix, &err);
}

Test(catalogue, all_of_it_can_be_included_at_once)
{
	struct kt_catalogue catalogue = { 0 };
	struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };
	struct said said = { 0 };
	KT_AUTO_BUF text = { 0 };

	setenv("KT_SCENARIOS_DIR", EXAMPLES, 1);
	cr_assert_eq(kt_catalogue_open(&catalogue, &err), 0, "%s", err.text);
	cr_assert_geq(catalogue.n, 40);
	cr_assert_eq(load("include = [\"*\"]", &text, &said, &matrix), 0, "%s", said.first);
	cr_assert_eq(matrix->n_scenarios, catalogue.n);
	for (size_t i = 0; i < catalogue.n; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];

		cr_expect_str_eq(scenario->name, catalogue.entries[i].name);
		cr_expect_str_eq(scenario->group, catalogue.entries[i].group);
		cr_expect(scenario->about && strlen(scenario->about) > 20, "%s", scenario->name);
		cr_expect_geq(scenario->n_cells, 1, "%s fits nowhere", scenario->name);
	}
	kt_matrix_destroy(&matrix);
	kt_catalogue_close(&catalogue);
}

Test(catalogue, what_is_meant_by_a_word)
{
	static const struct {
		const char *include;
		size_t n;
	} words[] = {
		{ "[\"swapped\"]", 1 },
		{ "[\"cpuset/swapped\"]", 1 },
		{ "[\"swapped\", \"cpuset/swapped\", \"cpuset/sw*\"]", 1 }, /* each once */
		{ "[\"cpuset\"]", 6 },
		{ "[\"cpuset/\"]", 6 },
		{ "[\"cpuset/*\"]", 6 },
		{ "[\"swapped\", \"ping_pong\"]", 2 },
	};

	setenv("KT_SCENARIOS_DIR", EXAMPLES, 1);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct kt_matrix *matrix = NULL;
		struct said said = { 0 };
		char sweep[256];

		snprintf(sweep, sizeof(sweep), "include = %s", words[i].include);
		cr_assert_eq(load(sweep, NULL, &said, &matrix), 0, "%s", said.first);
		cr_expect_eq(matrix->n_scenarios, words[i].n, "%s: %zu", words[i].include,
			     matrix->n_scenarios);
		kt_matrix_destroy(&matrix);
	}
}

Test(catalogue, a_stored_text_needs_no_catalogue)
{
	struct kt_matrix *matrix = NULL;
	struct kt_matrix *again = NULL;
	struct kt_err err = { 0 };
	struct said said = { 0 };
	KT_AUTO_BUF text = { 0 };

	setenv("KT_SCENARIOS_DIR", EXAMPLES, 1);
	cr_assert_eq(load("include = [\"wake\"]", &text, &said, &matrix), 0, "%s", said.first);
	setenv("KT_SCENARIOS_DIR", "/nonexistent", 1);
	cr_assert_eq(kt_matrixfile_parse("stored", text.data, text.len, keep, &said, &again, &err),
		     0, "%s", err.text);
	cr_assert_eq(again->n_cells, matrix->n_cells);
	cr_assert_gt(matrix->n_scenarios, 4);
	/* a place in it is one of the file that it came from */
	kt_matrix_err_at(again, again->scenarios[1].pos, &err, "here");
	cr_assert(strstr(err.text, "/wake/"), "%s", err.text);
	cr_assert(strstr(err.text, ".toml:2:8: here"), "%s", err.text);
	kt_matrix_err_at(again, again->sweep.pos, &err, "here");
	cr_assert_str_eq(err.text, "stored:2:8: here");
	kt_matrix_destroy(&matrix);
	kt_matrix_destroy(&again);
}

static void make_entry(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/c", folder);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/c/g", folder);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "c/g/%s.toml", name);
	put(path, text);
}

Test(catalogue, what_is_wrong_is_said_with_its_place)
{
	static const struct {
		const char *sweep;
		const char *says; /* behind the folder */
	} wrong[] = {
		{ "include = [\"good\", \"gud\"]",
		  "/m.toml:3:20: 'include' in [sweep]: no scenario 'gud' in " },
		{ "include = [\"g/god\"]", "did you mean 'g/good'? known: g, " },
		{ "include = [\"gg/*\"]", "/c; known: g, g/good, " },
		{ "include = [\"two\"]",
		  "/c/g/two.toml: a file of the catalogue has one [[scenario]] and nothing else" },
		{ "include = [\"more\"]",
		  "/c/g/more.toml: a file of the catalogue has one [[scenario]] and nothing else" },
		{ "include = [\"other\"]",
		  "/c/g/other.toml: its scenario must be named as the file is, 'other'" },
		{ "include = [\"torn\"]", "/c/g/torn.toml:1:" },
		{ "include = [\"odd\"]", "/c/g/odd.toml:3:1: unknown key 'samplse' in "
					 "[[scenario]]; did you mean 'samples'?" },
		{ "include = [7]" OWN,
		  "/m.toml:3:12: 'include' in [sweep] takes strings, not an integer" },
		{ "include = \"good\"" OWN, "/m.toml:3:11: 'include' in [sweep] must be an array" },
		{ "include = [\"good\"]\n[[scenario]]\nname = \"good\"\nduration = "
		  "\"1s\"\n[[scenario.step]]\nhold = \"full\"",
		  "/c/g/good.toml:2:8: a second scenario named 'good'; the first is in line 5" },
	};
	const char *good = "[[scenario]]\nname = \"good\"\nduration = "
			   "\"1s\"\n[[scenario.step]]\nhold = \"full\"\n";
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/c", folder);
	setenv("KT_SCENARIOS_DIR", dir, 1);
	make_entry("good", good);
	make_entry("two", "[[scenario]]\nname = \"two\"\n[[scenario]]\nname = \"too\"\n");
	make_entry("more", "[sweep]\nname = \"x\"\n[[scenario]]\nname = \"more\"\n");
	make_entry("other", good);
	make_entry("torn", "[[scenario\n");
	make_entry("odd", "[[scenario]]\nname = \"odd\"\nsamplse = 3\nduration = "
			  "\"1s\"\n[[scenario.step]]\nhold = \"full\"\n");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct kt_matrix *matrix = NULL;
		struct said said = { 0 };

		cr_expect_eq(load(wrong[i].sweep, NULL, &said, &matrix), -EINVAL, "%s",
			     wrong[i].sweep);
		cr_expect(strstr(said.first, wrong[i].says), "%s\nsaid: %s", wrong[i].sweep,
			  said.first);
	}
}

Test(catalogue, without_a_folder_it_says_where_it_looked)
{
	struct kt_catalogue catalogue = { 0 };
	struct kt_err err = { 0 };

	setenv("KT_SCENARIOS_DIR", "/nonexistent", 1);
	cr_assert_eq(kt_catalogue_open(&catalogue, &err), -ENOENT);
	cr_assert_str_eq(err.text, "KT_SCENARIOS_DIR is /nonexistent, which is no folder");
	/* in a build tree it is that of the source */
	unsetenv("KT_SCENARIOS_DIR");
	cr_assert_eq(kt_catalogue_open(&catalogue, &err), 0);
	cr_assert(strstr(catalogue.dir, "/examples/scenarios"));
	kt_catalogue_close(&catalogue);
}
