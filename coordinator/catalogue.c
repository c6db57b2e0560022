#include "coordinator/catalogue.h"
#include "coordinator/toml.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"
#include "proto/base/wholefile.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <json.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".toml"

/* ---- the folder ---- */

static bool is_folder(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Behind the folder of our own program. */
static const char *const places[] = { "/../share/ktcoord/scenarios", "/../../examples/scenarios",
				      "/../../../examples/scenarios" };

static int find_folder(char dir[PATH_MAX], struct kt_err *err)
{
	const char *told = getenv("KT_SCENARIOS_DIR");
	char bin[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", bin, sizeof(bin) - 1);
	char *slash;

	if (told && *told) {
		snprintf(dir, PATH_MAX, "%s", told);
		if (is_folder(dir))
			return 0;
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "KT_SCENARIOS_DIR is %s, which is no folder", told);
	}
	bin[n > 0 ? n : 0] = 0;
	slash = strrchr(bin, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[PATH_MAX];

		if ((size_t)snprintf(path, sizeof(path), "%s%s", bin, places[i]) < sizeof(path) &&
		    is_folder(path) && realpath(path, dir))
			return 0;
	}
	return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
			  "there is no catalogue of scenarios: neither %s%s nor %s%s is a folder; "
			  "name one with KT_SCENARIOS_DIR",
			  bin, places[0], bin, places[1]);
}

/* ---- what is in it ---- */

/* The name without its suffix, in the arena; NULL when it is no file of ours. */
static const char *stem_of(struct kt_arena *arena, const char *file)
{
	size_t len = strlen(file);
	size_t suffix = sizeof(SUFFIX) - 1;

	if (len <= suffix || len > KT_NAME_BYTES_MAX || file[0] == '.' ||
	    strcmp(file + len - suffix, SUFFIX) != 0)
		return NULL;
	return kt_arena_printf(arena, "%.*s", (int)(len - suffix), file);
}

static void read_group(struct kt_catalogue *catalogue, const char *group)
{
	char path[PATH_MAX];
	struct dirent *file;
	DIR *dir;

	if (group[0] == '.' || strlen(group) > KT_NAME_BYTES_MAX ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", catalogue->dir, group) >= sizeof(path))
		return;
	dir = opendir(path);
	if (!dir)
		return; /* a file beside the groups */
	while ((file = readdir(dir)) != NULL && catalogue->n < KT_CATALOGUE_ENTRIES_MAX) {
		struct kt_catalogue_entry *entry = &catalogue->entries[catalogue->n];
		const char *stem = stem_of(&catalogue->arena, file->d_name);

		if (!stem)
			continue;
		entry->name = stem;
		entry->group = kt_arena_strdup(&catalogue->arena, group);
		entry->full = kt_arena_printf(&catalogue->arena, "%s/%s", group, stem);
		entry->path = kt_arena_printf(&catalogue->arena, "%s/%s/%s", catalogue->dir, group,
					      file->d_name);
		catalogue->n++;
	}
	closedir(dir);
}

static int by_full(const void *a, const void *b)
{
	const struct kt_catalogue_entry *left = a;
	const struct kt_catalogue_entry *right = b;

	return strcmp(left->full, right->full);
}

int kt_catalogue_open(struct kt_catalogue *catalogue, struct kt_err *err)
{
	char path[PATH_MAX];
	struct dirent *group;
	DIR *dir;
	int status = find_folder(path, err);

	if (status < 0)
		return status;
	dir = opendir(path);
	if (!dir)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "the catalogue of scenarios, %s",
				  path);
	catalogue->dir = kt_arena_strdup(&catalogue->arena, path);
	catalogue->entries = kt_arena_alloc(&catalogue->arena, KT_CATALOGUE_ENTRIES_MAX,
					    sizeof(*catalogue->entries));
	while ((group = readdir(dir)) != NULL)
		read_group(catalogue, group->d_name);
	closedir(dir);
	qsort(catalogue->entries, catalogue->n, sizeof(*catalogue->entries), by_full);
	return 0;
}

void kt_catalogue_close(struct kt_catalogue *catalogue)
{
	kt_arena_destroy(&catalogue->arena);
	*catalogue = (struct kt_catalogue){ 0 };
}

/* "swapped", "cpuset/swapped", "cpuset", "cpuset/" and patterns of fnmatch(3), for which '/' is nothing
 * special: "*" is all.
 */
static bool is_meant(const struct kt_catalogue_entry *entry, const char *word)
{
	size_t len = strlen(entry->group);

	return strcmp(entry->name, word) == 0 || fnmatch(word, entry->full, 0) == 0 ||
	       (strncmp(entry->group, word, len) == 0 &&
		(strcmp(word + len, "") == 0 || strcmp(word + len, "/") == 0));
}

static void suggest(const struct kt_catalogue *catalogue, const char *word, struct kt_buf *known)
{
	KT_AUTO_FREE const char **names = kt_must_calloc(2 * catalogue->n + 1, sizeof(*names));
	const char *group = "";
	size_t n = 0;

	for (size_t i = 0; i < catalogue->n; i++) {
		if (strcmp(catalogue->entries[i].group, group) != 0)
			names[n++] = catalogue->entries[i].group;
		group = catalogue->entries[i].group;
	}
	for (size_t i = 0; i < catalogue->n; i++)
		names[n++] =
			strchr(word, '/') ? catalogue->entries[i].full : catalogue->entries[i].name;
	kt_suggest_print(word, names, n, known);
}

/* ---- one file ---- */

/* Its [[scenario]]: there is one, it has the file's name, and nothing is beside it. */
static int check_entry(const struct kt_catalogue_entry *entry, const struct kt_doc *doc,
		       const struct kt_doc_node **scenario, struct kt_err *err)
{
	const struct kt_doc_node *all = kt_doc_get(doc->root, "scenario");
	const struct kt_doc_node *name;

	if (!all || all->type != KT_DOC_ARRAY || all->n != 1 || doc->root->n != 1 ||
	    all->first->type != KT_DOC_TABLE)
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"%s: a file of the catalogue has one [[scenario]] and nothing else",
			entry->path);
	*scenario = all->first;
	name = kt_doc_get(*scenario, "name");
	if (!name || name->type != KT_DOC_STRING || strcmp(name->string, entry->name) != 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: its scenario must be named as the file is, '%s'",
				  entry->path, entry->name);
	return 0;
}

static int read_entry(const struct kt_catalogue_entry *entry, struct kt_buf *text,
		      struct kt_doc **doc, const struct kt_doc_node **scenario, struct kt_err *err)
{
	int status = kt_wholefile_read(entry->path, KT_CATALOGUE_FILE_BYTES_MAX, text, err);

	if (status == 0)
		status = kt_toml_parse(entry->path, (const char *)text->data, text->len, doc, err);
	if (status == 0)
		status = check_entry(entry, *doc, scenario, err);
	return status;
}

/* ---- include ---- */

static int append(const struct kt_catalogue_entry *entry, struct kt_buf *text, struct kt_err *err)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	const struct kt_doc_node *scenario;
	KT_AUTO_BUF own = { 0 };
	int status = read_entry(entry, &own, &doc, &scenario, err);

	if (status < 0)
		return status;
	kt_buf_printf(text, "\n" KT_DOC_FROM "%s\n", entry->path);
	kt_buf_append(text, own.data, own.len);
	if (text->len > KT_MATRIX_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
				  "with what it includes the matrix is longer than %u bytes; "
				  "include less",
				  KT_MATRIX_BYTES_MAX);
	return 0;
}

static int choose(const struct kt_catalogue *catalogue, const struct kt_doc *doc,
		  const struct kt_doc_node *item, bool *chosen, struct kt_err *err)
{
	KT_AUTO_BUF known = { 0 };
	size_t n = 0;

	if (item->type != KT_DOC_STRING)
		return 0; /* the language says so */
	for (size_t i = 0; i < catalogue->n; i++) {
		if (!is_meant(&catalogue->entries[i], item->string))
			continue;
		chosen[i] = true;
		n++;
	}
	if (n)
		return 0;
	suggest(catalogue, item->string, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "%s:%u:%u: 'include' in [sweep]: no scenario '%.64s' in %s; %s",
			  doc->file, item->pos.line, item->pos.column, item->string, catalogue->dir,
			  kt_buf_text(&known));
}

int kt_catalogue_include(const struct kt_doc *doc, struct kt_buf *text, struct kt_err *err)
{
	const struct kt_doc_node *sweep = kt_doc_get(doc->root, "sweep");
	const struct kt_doc_node *include = NULL;
	struct kt_catalogue catalogue = { 0 };
	bool chosen[KT_CATALOGUE_ENTRIES_MAX] = { 0 };
	int status;

	if (sweep && sweep->type == KT_DOC_TABLE)
		include = kt_doc_get(sweep, "include");
	if (!include || include->type != KT_DOC_ARRAY || include->n == 0)
		return 0;
	status = kt_catalogue_open(&catalogue, err);
	for (const struct kt_doc_node *item = include->first; item && status == 0;
	     item = item->next)
		status = choose(&catalogue, doc, item, chosen, err);
	for (size_t i = 0; i < catalogue.n && status == 0; i++)
		if (chosen[i])
			status = append(&catalogue.entries[i], text, err);
	kt_catalogue_close(&catalogue);
	return status;
}

/* ---- ktcoord scenarios ---- */

static const char *text_of(const struct kt_doc_node *scenario, const char *key)
{
	const struct kt_doc_node *node = kt_doc_get(scenario, key);

	return node && node->type == KT_DOC_STRING ? node->string : "";
}

/* "min_llcs 2, smt" */
static void print_needs(const struct kt_doc_node *scenario, struct kt_buf *out)
{
	const struct kt_doc_node *requires = kt_doc_get(scenario, "requires");

	if (!requires || requires->type != KT_DOC_TABLE)
		return;
	for (const struct kt_doc_node *node = requires->first; node; node = node->next) {
		kt_buf_printf(out, "%s%s", out->len ? ", " : "", node->key);
		if (node->type == KT_DOC_INT)
			kt_buf_printf(out, " %lld", (long long)node->integer);
		else if (node->type == KT_DOC_BOOL && !node->boolean)
			kt_buf_puts(out, " not");
	}
}

static struct json_object *json_of(const struct kt_catalogue_entry *entry,
				   const struct kt_doc_node *scenario)
{
	struct json_object *json = json_object_new_object();
	KT_AUTO_BUF needs = { 0 };

	print_needs(scenario, &needs);
	json_object_object_add(json, "name", json_object_new_string(entry->name));
	json_object_object_add(json, "group", json_object_new_string(entry->group));
	json_object_object_add(json, "about", json_object_new_string(text_of(scenario, "about")));
	json_object_object_add(json, "duration",
			       json_object_new_string(text_of(scenario, "duration")));
	json_object_object_add(json, "requires", json_object_new_string(kt_buf_text(&needs)));
	json_object_object_add(json, "file", json_object_new_string(entry->path));
	return json;
}

static void print_line(const struct kt_catalogue_entry *entry, const struct kt_doc_node *scenario,
		       FILE *out)
{
	KT_AUTO_BUF needs = { 0 };

	print_needs(scenario, &needs);
	fprintf(out, "  %-24s %4s  %s%s%s%s\n", entry->name, text_of(scenario, "duration"),
		text_of(scenario, "about"), needs.len ? " (needs " : "", kt_buf_text(&needs),
		needs.len ? ")" : "");
}

static int print_chosen(const struct kt_catalogue *catalogue, const char *word,
			struct json_object *list, FILE *out, struct kt_err *err)
{
	const char *group = "";
	size_t n = 0;

	for (size_t i = 0; i < catalogue->n; i++) {
		const struct kt_catalogue_entry *entry = &catalogue->entries[i];
		KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
		const struct kt_doc_node *scenario;
		KT_AUTO_BUF text = { 0 };
		int status;

		if (word && !is_meant(entry, word))
			continue;
		status = read_entry(entry, &text, &doc, &scenario, err);
		if (status < 0)
			return status;
		n++;
		if (list) {
			json_object_array_add(list, json_of(entry, scenario));
			continue;
		}
		if (strcmp(group, entry->group) != 0)
			fprintf(out, "%s%s\n", *group ? "\n" : "", entry->group);
		group = entry->group;
		print_line(entry, scenario, out);
	}
	return (int)n;
}

/* The one of that very name, NULL when there is none or it is a group's or a pattern. */
static const struct kt_catalogue_entry *find_one(const struct kt_catalogue *catalogue,
						 const char *word)
{
	for (size_t i = 0; word && i < catalogue->n; i++)
		if (strcmp(catalogue->entries[i].name, word) == 0 ||
		    strcmp(catalogue->entries[i].full, word) == 0)
			return &catalogue->entries[i];
	return NULL;
}

static int print_all(const struct kt_catalogue *catalogue, const char *word, bool json, FILE *out,
		     struct kt_err *err)
{
	const struct kt_catalogue_entry *one = json ? NULL : find_one(catalogue, word);
	struct json_object *list = json ? json_object_new_array() : NULL;
	KT_AUTO_BUF text = { 0 };
	int status;

	if (one) {
		status = kt_wholefile_read(one->path, KT_CATALOGUE_FILE_BYTES_MAX, &text, err);
		if (status == 0)
			fwrite(text.data, 1, text.len, out);
		return status;
	}
	status = print_chosen(catalogue, word, list, out, err);
	if (status > 0 && json)
		fprintf(out, "%s\n",
			json_object_to_json_string_ext(
				list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					      JSON_C_TO_STRING_NOSLASHESCAPE));
	else if (status > 0 && !word)
		fputs("\ninclude = [\"NAME\", \"GROUP/*\"] in [sweep] takes them into a matrix; "
		      "`ktcoord scenarios NAME` prints one\n",
		      out);
	json_object_put(list);
	if (status == 0 && word) {
		suggest(catalogue, word, &text);
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "no scenario '%.64s' in %s; %s",
				  word, catalogue->dir, kt_buf_text(&text));
	}
	return status < 0 ? status : 0;
}

int kt_catalogue_print(const char *name, bool json, FILE *out, struct kt_err *err)
{
	struct kt_catalogue catalogue = { 0 };
	int status = kt_catalogue_open(&catalogue, err);

	if (status == 0)
		status = print_all(&catalogue, name, json, out, err);
	kt_catalogue_close(&catalogue);
	if (status == 0 && (fflush(out) != 0 || ferror(out)))
		return kt_err_set(err, KT_FAULT_HOST, EIO, "writing the scenarios failed");
	return status;
}
