/* control.h - commands that ask the running coordinator, over the local socket of its state folder (present.h).
 *
 * They block until they have their answer, 30 s without a word at most: cancel hears of its guests every 2 s.
 */
#ifndef KT_CONTROL_H
#define KT_CONTROL_H

#include "coordinator/present.h"

#include <stdio.h>

#define KT_CONTROL_SOCKET "ktcoord.sock" /* in <state>/run */

/* The final answer in *answer, owned by the caller (json_object_put). progress: of the answers before it; may be NULL.
 * -ENOENT, fault HOST: no coordinator runs on that state folder, or it prepares its sweep: the text says which.
 * -EREMOTEIO, fault INPUT: it refused, in its words.
 */
int kt_control_ask(const char *state_dir, const struct kt_present_ask *ask,
		   void (*progress)(void *arg, struct json_object *answer), void *arg,
		   struct json_object **answer, struct kt_err *err);

/* For whoever changed something that a running coordinator reads. 0 as well when none runs. */
int kt_control_tell(const char *state_dir, enum kt_present_kind kind, struct kt_err *err);

/* Answers for people. */
void kt_control_print_workers(struct json_object *answer, FILE *out);
void kt_control_print_status(struct json_object *answer, FILE *out);
void kt_control_print_drain(struct json_object *answer, FILE *out);
void kt_control_print_cancel(struct json_object *answer, FILE *out);
/* While it waits: one line. */
void kt_control_print_waiting(struct json_object *answer, FILE *out);

#endif
