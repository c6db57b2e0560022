#include "coordinator/plugin.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct kt_plugin_ask ask = { .name = "x.so" };

/* What is said of a result; first is its first sentence. */
static enum kt_verdict_outcome told(const struct kt_plugin_result *result, struct kt_arena *arena,
				    struct kt_verdict *verdict)
{
	kt_verdict_init(verdict, arena);
	kt_plugin_tell(&ask, result, verdict);
	return kt_verdict_outcome(verdict);
}

Test(plugin, what_became_of_it_is_inconclusive_and_never_a_failure_of_the_scheduler)
{
	static const enum kt_plugin_end ends[] = { KT_PLUGIN_REFUSED,  KT_PLUGIN_GAVE_UP,
						   KT_PLUGIN_CRASHED,  KT_PLUGIN_LATE,
						   KT_PLUGIN_NONSENSE, KT_PLUGIN_UNSTARTED };
	struct kt_msg_detail detail = {
		.outcome = "fail", .kind = "Temporal", .assertion = "", .text = "half done"
	};
	struct kt_msg_verdict half = { .outcome = "fail", .details = &detail, .n_details = 1 };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_plugin_result result = {
			.end = ends[i], .text = "so", .printed = "", .verdict = &half
		};
		struct kt_verdict verdict;

		cr_expect_eq(told(&result, &arena, &verdict), KT_VERDICT_INCONCLUSIVE);
		cr_expect_eq(verdict.first->kind, KT_VERDICT_KIND_PLUGIN);
		cr_expect(strstr(verdict.first->text, "plug-in x.so "), "%s", verdict.first->text);
		cr_expect(strstr(verdict.first->text, "ktcoord judge"), "%s", verdict.first->text);
		cr_expect_str_eq(verdict.last->text, "half done");
		cr_expect_eq(verdict.last->outcome, KT_VERDICT_NOTE);
	}
}

Test(plugin, what_it_says_counts_as_it_says_it)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_detail details[] = {
		{ .outcome = "fail", .kind = "Temporal", .assertion = "a", .text = "fell" },
		{ .outcome = "what", .kind = "Nothing known", .assertion = "", .text = "odd" },
		{ .outcome = "pass", .kind = "Plugin", .assertion = "mine", .text = "well" },
	};
	struct kt_msg_verdict said = { .outcome = "pass", .details = details, .n_details = 3 };
	struct kt_plugin_result result = {
		.end = KT_PLUGIN_JUDGED, .text = "", .printed = "hello", .verdict = &said
	};
	struct kt_verdict verdict;

	/* The outcome is that of its sentences, whatever it claims. */
	cr_assert_eq(told(&result, &arena, &verdict), KT_VERDICT_FAIL);
	cr_assert_eq(verdict.n, 4);
	cr_expect_eq(verdict.first->kind, KT_VERDICT_KIND_TEMPORAL);
	cr_expect_str_eq(verdict.first->text, "fell"); /* has its label already */
	cr_expect_str_eq(verdict.first->assertion, "a");
	cr_expect_eq(verdict.first->next->outcome, KT_VERDICT_NOTE); /* no such outcome */
	cr_expect_eq(verdict.first->next->kind, KT_VERDICT_KIND_PLUGIN);
	cr_expect_str_eq(verdict.first->next->text, "odd");
	cr_expect_str_eq(verdict.first->next->next->text, "mine (plugin): well");
	cr_expect_str_eq(verdict.last->text, "plug-in x.so printed: hello");
}

Test(plugin, a_copy_cannot_be_changed_and_is_the_whole_file)
{
	int from = memfd_create("test", 0);
	char back[8] = "";
	int fd = -1;

	cr_assert_eq(write(from, "library", 7), 7);
	cr_assert_eq(kt_plugin_copy(from, &fd, NULL), 0);
	cr_assert_eq(pread(fd, back, 8, 0), 7);
	cr_assert_str_eq(back, "library");
	cr_assert_lt(pwrite(fd, "x", 1, 0), 0);
	cr_assert_lt(ftruncate(fd, 0), 0);
	close(from);
	close(fd);
}

Test(plugin, what_is_no_file_or_too_large_is_refused)
{
	int from = memfd_create("test", 0);
	int pipes[2];
	int fd = -1;
	struct kt_err err = { 0 };

	cr_assert_eq(ftruncate(from, KT_PLUGIN_BYTES_MAX + 1), 0);
	cr_assert_eq(kt_plugin_copy(from, &fd, &err), -EFBIG);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(kt_plugin_copy(pipes[0], &fd, &err), -EFBIG);
	cr_assert_eq(fd, -1);
}
