#include "proto/base/err.h"
#include "proto/base/must.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const fault_names[] = {
#define X(name_, text_, what_) [KT_FAULT_##name_] = text_,
	KT_FAULTS(X)
#undef X
};

const char *kt_err_fault_name(enum kt_fault fault)
{
	kt_must(fault >= 0 && fault < KT_FAULT_N);
	return fault_names[fault];
}

/* Cuts with "..." so that a reader sees that something is missing. */
static void mark_cut(char *text, int wanted)
{
	if (wanted >= KT_ERR_TEXT_MAX)
		memcpy(text + KT_ERR_TEXT_MAX - 4, "...", 4);
}

static int set_v(struct kt_err *err, enum kt_fault fault, int code, const char *format,
		 va_list args)
{
	kt_must(code > 0);
	if (!err)
		return -code;
	err->code = code;
	err->fault = fault;
	mark_cut(err->text, vsnprintf(err->text, sizeof(err->text), format, args));
	return -code;
}

int kt_err_set(struct kt_err *err, enum kt_fault fault, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_v(err, fault, code, format, args);
	va_end(args);
	return -code;
}

int kt_err_sys(struct kt_err *err, enum kt_fault fault, int code, const char *format, ...)
{
	va_list args;
	size_t used;

	va_start(args, format);
	set_v(err, fault, code, format, args);
	va_end(args);
	if (err) {
		used = strlen(err->text);
		mark_cut(err->text, (int)used + snprintf(err->text + used, sizeof(err->text) - used,
							 ": %s", strerror(code)));
	}
	return -code;
}

int kt_err_wrap(struct kt_err *err, const char *format, ...)
{
	char inner[KT_ERR_TEXT_MAX];
	va_list args;
	int used;

	if (!err)
		return -EIO;
	memcpy(inner, err->text, sizeof(inner));
	va_start(args, format);
	used = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (used < KT_ERR_TEXT_MAX)
		used += snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %s", inner);
	mark_cut(err->text, used);
	return err->code ? -err->code : -EIO;
}
