#include "coordinator/fleetfile.h"
#include "coordinator/core/bucket.h"
#include "coordinator/core/matrix/rows.h"
#include "coordinator/toml.h"
#include "proto/base/must.h"
#include "proto/base/wholefile.h"
#include "proto/net/endpoint.h"

#include <string.h>

/* Whether it can be listened on is said here, with its line, not when a sweep has been prepared. */
static void set_endpoint(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			 const struct kt_doc_node *node, void *into)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	struct kt_err err = { 0 };

	if (!text)
		return;
	if (kt_endpoint_check(text, true, true, &err) < 0) {
		kt_problem_add(reader->problems, node->pos, "'%s': %s", key->name, err.text);
		return;
	}
	*(const char **)(void *)((char *)into + key->offset) = text;
}

static void set_bandwidth(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			  const struct kt_doc_node *node, void *into)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	struct kt_fleetfile *file = into;
	struct kt_err err = { 0 };
	uint64_t rate;

	if (!text)
		return;
	if (kt_bucket_parse(text, &rate, &err) < 0) {
		kt_problem_add(reader->problems, node->pos, "'%s': %s", key->name, err.text);
		return;
	}
	file->bandwidth = text;
}

static void check_file(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into)
{
	const struct kt_fleetfile *file = into;

	if (file->bulk_listen && !kt_doc_get(node, "listen"))
		kt_problem_add(reader->problems, kt_doc_get(node, "bulk_listen")->pos,
			       "'bulk_listen' without 'listen': nobody would ask there");
	if (file->keys && !kt_doc_get(node, "listen"))
		kt_problem_add(reader->problems, kt_doc_get(node, "keys")->pos,
			       "'keys' without 'listen': they are for workers elsewhere");
}

static const struct kt_grammar_key keys[] = {
	ROW(listen, STRING, MAY, 1, KT_PATH_BYTES_MAX, "listen = \"tcp://127.0.0.1:7400\"",
	    "where workers get their cells", set_endpoint, kt_fleetfile, listen),
	ROW(bulk_listen, STRING, MAY, 1, KT_PATH_BYTES_MAX,
	    "bulk_listen = \"tcp://127.0.0.1:7401\"", "where workers get artifacts", set_endpoint,
	    kt_fleetfile, bulk_listen),
	ROW(keys, BOOL, MAY, 0, 0, "keys = true",
	    "whether hosts need a key on this machine as well", kt_grammar_bool, kt_fleetfile,
	    keys),
	ROW(bandwidth, STRING, MAY, 1, 32, "bandwidth = \"100M\"",
	    "how many bytes of artifacts a second all workers together may get", set_bandwidth,
	    kt_fleetfile, bandwidth),
	ROW(unschedulable_after, STRING, MAY, 100 * KT_NS_PER_MS, KT_DURATION_NS_MAX,
	    "unschedulable_after = \"10s\"",
	    "how long a cell that no host is large enough for waits for one", kt_grammar_span,
	    kt_fleetfile, unschedulable_ns),
};

static const struct kt_grammar_table table = TABLE(KT_FLEETFILE_NAME, keys, check_file);

void kt_fleetfile_fini(struct kt_fleetfile *file)
{
	kt_doc_destroy(&file->doc);
	memset(file, 0, sizeof(*file));
}

int kt_fleetfile_parse(const char *path, const void *text, size_t len,
		       kt_matrixfile_problem_fn *problem, void *arg, struct kt_fleetfile *file,
		       struct kt_err *err)
{
	KT_AUTO_FREE struct kt_problems *problems = kt_must_calloc(1, sizeof(*problems));
	struct kt_grammar_reader reader = { .problems = problems };
	int status;

	memset(file, 0, sizeof(*file));
	status = kt_toml_parse(path, text, len, &file->doc, err);
	if (status < 0) {
		kt_problem_one_line(err->text);
		if (problem)
			problem(arg, err->text);
		return status;
	}
	*problems = (struct kt_problems){ .file = file->doc->file, .doc = file->doc };
	reader.arena = &file->doc->arena;
	kt_grammar_read(&reader, &table, file->doc->root, file);
	for (size_t i = 0; problem && i < problems->n; i++)
		problem(arg, problems->list[i].line);
	if (problems->n == 0)
		return 0;
	status = kt_problem_err(problems, err);
	kt_fleetfile_fini(file);
	return status;
}

int kt_fleetfile_load(const char *state_dir, kt_matrixfile_problem_fn *problem, void *arg,
		      struct kt_fleetfile *file, struct kt_err *err)
{
	KT_AUTO_FREE char *path = kt_must_asprintf("%s/" KT_FLEETFILE_NAME, state_dir);
	KT_AUTO_BUF text = { 0 };
	int status;

	memset(file, 0, sizeof(*file));
	if (access(path, F_OK) < 0)
		return 0;
	status = kt_wholefile_read(path, KT_FLEETFILE_BYTES_MAX, &text, err);
	return status < 0 ? status
			  : kt_fleetfile_parse(path, text.data, text.len, problem, arg, file, err);
}
