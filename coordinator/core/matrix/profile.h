/* profile.h - a scheduler's flags, and the profiles that come of them.
 *
 *	[[scheduler]]
 *	name = "scx_x"
 *	flags = [{ name = "llc", args = ["--llc"] }, { name = "steal", args = ["--steal"], requires = ["llc"] }]
 *
 *	scx_x    scx_x+llc    scx_x+llc+steal
 *
 * A profile is a set of flags in which every one's `requires` are given and none of its `excludes`. They are
 * numbered as binary numbers whose lowest digit is the first flag: the one without flags comes first and keeps
 * the scheduler's name. At most KT_PROFILE_MAX per scheduler. To everything behind the language a profile is a
 * scheduler: its args, and a name in the cells' names.
 */
#ifndef KT_PROFILE_H
#define KT_PROFILE_H

#include "coordinator/core/matrix/grammar.h"
#include "coordinator/core/matrix/matrix.h"

#define KT_PROFILE_MAX       64
#define KT_PROFILE_FLAGS_MAX 16 /* of one scheduler */

extern const struct kt_grammar_table kt_profile_flag_table; /* struct kt_matrix_flag */
extern const struct kt_grammar_table kt_profile_filter_table; /* struct kt_matrix_flag_filter */

/* Puts every [[scheduler]]'s profiles in its place; node: their array. Names that are wrong are problems. */
void kt_profile_expand(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		       struct kt_matrix *matrix);

/* A filter that names a [[scheduler]] means all of its profiles: adds those to indexes, which stay ascending. */
void kt_profile_widen(struct kt_arena *arena, const struct kt_matrix *matrix,
		      const uint32_t **indexes, size_t *n);

/* Whether a scenario with such a filter runs with this profile. */
bool kt_profile_passes(const struct kt_matrix_flag_filter *filter,
		       const struct kt_matrix_scheduler *scheduler);

#endif
