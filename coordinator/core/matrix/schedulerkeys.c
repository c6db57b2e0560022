#include "coordinator/core/matrix/schedulerkeys.h"
#include "coordinator/core/matrix/asserts.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/matrix/profile.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/requires.h"
#include "coordinator/core/matrix/rows.h"

#include <string.h>

KT_AXIS_CHECK_HEAD(struct kt_matrix_scheduler);

static void set_binary(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_scheduler *scheduler = into;

	scheduler->binary_pos = node->pos;
	kt_grammar_text(reader, key, node, into);
}

static void check_scheduler(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			    void *into)
{
	const struct kt_matrix_scheduler *scheduler = into;
	const struct kt_doc_node *binary = kt_doc_get(node, "binary");
	const struct kt_doc_node *args = kt_doc_get(node, "args");
	const struct kt_doc_node *flags = kt_doc_get(node, "flags");
	size_t bytes = 0;

	if (!scheduler->name)
		return;
	if (strcmp(scheduler->name, KT_MATRIX_EEVDF) == 0) {
		const struct kt_doc_node *wrong = binary ? binary : args ? args : flags;

		if (wrong)
			kt_problem_add(reader->problems, wrong->key_pos,
				       "scheduler 'eevdf' is the kernel's own and has no '%s'; "
				       "leave it out, or choose another name",
				       wrong->key);
		return;
	}
	if (!binary)
		kt_problem_add(reader->problems, node->pos,
			       "[[scheduler]] '%s' needs 'binary': the program that loads it; e.g. "
			       "binary = \"scx_kt\" (only 'eevdf', the kernel's own, has none)",
			       scheduler->name);
	for (size_t i = 0; i < scheduler->n_args; i++)
		bytes += strlen(scheduler->args[i]) + 8;
	if (bytes > KT_JOB_BYTES_MAX)
		kt_problem_add(reader->problems, args->key_pos,
			       "'args' in [[scheduler]]: %zu bytes in all; at most %u", bytes,
			       KT_JOB_BYTES_MAX);
}

/* clang-format off */

static const struct kt_grammar_key scheduler_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"scx_kt\"", "its part of the cells' names, or \"eevdf\" for the kernel's own scheduler", kt_axis_set_head, kt_matrix_scheduler, name),
	ROW(binary, STRING, MAY,  1, KT_PATH_BYTES_MAX, "binary = \"scx_kt\"", "the program that loads it", set_binary, kt_matrix_scheduler, binary),
	LIST(args,          MAY,  0, KT_TEXT_BYTES_MAX, "args = [\"--stall-after\", \"4\"]", "its arguments", kt_grammar_texts, kt_matrix_scheduler, args, NULL),
	NEST(requires, MAY, "requires = { min_llcs = 2 }", "what it needs of a topology", kt_matrix_scheduler, requires, &kt_requires_table),
	LIST(flags,         MAY,  1, KT_PROFILE_FLAGS_MAX, "flags = [{ name = \"llc\", args = [\"--llc\"] }]", "what it can be told beside its args: every set of them is a scheduler of its own", kt_grammar_tables, kt_matrix_scheduler, flags, &kt_profile_flag_table),
	ROW(assert, ARRAY,  MAY,  0, KT_ASSERTS_MAX, "[[scheduler.assert]]", "what must hold of a series wherever it runs", kt_asserts_set, kt_matrix_scheduler, asserts),
};
const struct kt_grammar_table kt_schedulerkeys_table = TABLE("[[scheduler]]", scheduler_keys, check_scheduler);

/* clang-format on */
