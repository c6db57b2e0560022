/* cgroupkeys.h - what a cgroup may say: its name, its CPUs, its limits, who works in it. */
#ifndef KT_CGROUPKEYS_H
#define KT_CGROUPKEYS_H

#include "coordinator/core/matrix/grammar.h"

/* A name, or names with '/' between: at most so many. */
#define KT_CGROUPKEYS_DEPTH_MAX 8

extern const struct kt_grammar_table kt_cgroupkeys_table; /* struct kt_msg_cgroup */

/* A cgroup's name as the guest takes it; NULL (and a problem at node) when it is none. */
const char *kt_cgroupkeys_check_name(struct kt_grammar_reader *reader,
				     const struct kt_grammar_key *key,
				     const struct kt_doc_node *node);

#endif
