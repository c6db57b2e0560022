/* column.h - one number over time: what patterns judge.
 *
 * A column is n slots in the order of the series. A slot holds a number or a typed error, and always
 * when (workload time), in which step and under which tag it was taken. 32 bytes a slot, so that a
 * column of 10^7 slots can be judged from memory. Columns come from kt_projection_column(), or are
 * filled by hand: everything they point to is borrowed.
 */
#ifndef KT_COLUMN_H
#define KT_COLUMN_H

#include "assertions/number.h"

#include <stddef.h>
#include <stdint.h>

/* Why a slot has no value: name as shown to people, one sentence. */
#define KT_COLUMN_ERRORS(X)                                                                   \
	X(PLACEHOLDER, "Placeholder", "the capture could not be made")                        \
	X(AXIS_MISSING, "AxisMissing", "the sample was taken without this axis")              \
	X(AXIS_ERROR, "AxisError", "the axis holds a typed error instead of values")          \
	X(NOT_APPLICABLE, "NotApplicable", "the cell has nothing that could be read here")    \
	X(VAR_NOT_FOUND, "VarNotFound", "no variable or map of this name")                    \
	X(AMBIGUOUS_VAR, "AmbiguousVar", "several maps have a variable of this name")         \
	X(MEMBER_NOT_FOUND, "MemberNotFound", "no member of this name")                       \
	X(INDEX_OUT_OF_RANGE, "IndexOutOfRange", "fewer items than the index asks for")       \
	X(ENTRY_NOT_FOUND, "EntryNotFound", "no entry has this key")                          \
	X(CPU_NOT_FOUND, "CpuNotFound", "fewer CPUs than asked for")                          \
	X(NO_CPUS, "NoCpus", "the largest or smallest of no CPUs")                            \
	X(NOT_NARROWED, "NotNarrowed", "a value per CPU where one number is needed")          \
	X(NOT_A_MAP, "NotAMap", "a member is asked of something that has none")               \
	X(NOT_A_LIST, "NotAList", "an item or a CPU is asked of something that has none")     \
	X(NO_VALUE, "NoValue", "it is there but could not be read")                           \
	X(TYPE_MISMATCH, "TypeMismatch", "what is there cannot be read as what is asked for") \
	X(OVERFLOW, "Overflow", "a sum or difference needs more than 64 bits")                \
	X(ZERO_DIVISOR, "ZeroDivisor", "there is nothing to divide by")                       \
	X(NO_TIME, "NoTime", "no time passed, so that there is no rate")

enum kt_column_error_type {
#define X(id_, name_, sentence_) KT_COLUMN_ERROR_##id_,
	KT_COLUMN_ERRORS(X)
#undef X
		KT_COLUMN_ERROR_N
};

struct kt_column_error {
	enum kt_column_error_type type;
	const char *text; /* what was asked, how far the walk got, what was available there */
};

const char *kt_column_error_name(enum kt_column_error_type type);
const char *kt_column_error_sentence(enum kt_column_error_type type);

enum kt_column_slot_type {
	KT_COLUMN_SLOT_U64, /* same order as enum kt_number_type */
	KT_COLUMN_SLOT_I64,
	KT_COLUMN_SLOT_F64,
	KT_COLUMN_SLOT_BOOL,
	KT_COLUMN_SLOT_ERROR,
};

struct kt_column_slot {
	int64_t elapsed_ns; /* workload time since the scenario began */
	const char *tag;
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		bool boolean;
		const struct kt_column_error *error;
	};
	uint32_t step; /* index of the step that was running */
	uint16_t epoch; /* which life of the scheduler, from 0 */
	uint8_t type; /* enum kt_column_slot_type */
};

struct kt_column {
	const struct kt_column_slot *slots;
	size_t n;
};

void kt_column_slot_set(struct kt_column_slot *slot, const struct kt_number *number);
void kt_column_slot_fail(struct kt_column_slot *slot, const struct kt_column_error *error);
static inline bool kt_column_slot_usable(const struct kt_column_slot *slot)
{
	return slot->type != KT_COLUMN_SLOT_ERROR;
}
/* Only of a usable slot. */
struct kt_number kt_column_slot_number(const struct kt_column_slot *slot);

/* "periodic_004 (+850 ms)" and "100 at periodic_004 (+850 ms)", as in every message. */
void kt_column_slot_print_place(const struct kt_column_slot *slot, struct kt_buf *out);
void kt_column_slot_print(const struct kt_column_slot *slot, struct kt_buf *out);

size_t kt_column_usable(const struct kt_column *column); /* slots that carry a value */

#endif
