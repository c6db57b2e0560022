/* plugins.h - the verdict plug-ins of a matrix: found beside it, kept by content, at hand for plugin.h.
 *
 *	matrix -> kt_plugins_prepare -> artifacts, and a list of path and digest for the journal
 *	journal's list, artifacts -> kt_plugins_open -> kt_plugins_ask for each cell
 *
 * A sweep is judged by the bytes that lay there when it began: a plug-in that is built anew meanwhile changes
 * nothing, until somebody judges again with a matrix that names it.
 */
#ifndef KT_PLUGINS_H
#define KT_PLUGINS_H

#include "coordinator/artifacts.h"
#include "coordinator/core/facts.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/plugin.h"

/* Each plug-in of the matrix is there, is of our version and can be loaded; else the error names
 * file:line:column. Blocks. For `plan`.
 */
int kt_plugins_check(const struct kt_matrix *matrix, struct kt_err *err);

/* The same, and copies them to the artifacts: fills manifest->plugins (in the arena). */
int kt_plugins_prepare(const struct kt_matrix *matrix, struct kt_artifacts *artifacts,
		       struct kt_arena *arena, struct kt_msg_manifest *manifest,
		       struct kt_err *err);

struct kt_plugins;

/* -ENOENT, -EBADMSG with fault HOST: one is no longer among the artifacts, or is damaged. */
int kt_plugins_open(const struct kt_msg_manifest *manifest, struct kt_artifacts *artifacts,
		    struct kt_plugins **plugins, struct kt_err *err);
void kt_plugins_destroy(struct kt_plugins **plugins_p);

/* False when the scenario has none. *ask borrows from both. */
bool kt_plugins_ask(const struct kt_plugins *plugins, const struct kt_matrix_scenario *scenario,
		    struct kt_plugin_ask *ask);

#endif
