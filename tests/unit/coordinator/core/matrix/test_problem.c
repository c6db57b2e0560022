#include "coordinator/core/matrix/problem.h"

#include <criterion/criterion.h>
#include <string.h>

Test(problem, the_first_of_the_file_are_kept_whatever_order_they_come_in)
{
	struct kt_problems *problems = calloc(1, sizeof(*problems));
	struct kt_err err = { 0 };

	problems->file = "m.toml";
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t line = i * 37 % 100 + 1;

		kt_problem_add(problems, (struct kt_doc_pos){ line, 3 }, "number %u", line);
	}
	cr_assert_eq(problems->n, KT_PROBLEMS_MAX);
	cr_assert_eq(problems->n_more, 100 - KT_PROBLEMS_MAX);
	for (uint32_t i = 0; i < KT_PROBLEMS_MAX; i++)
		cr_assert_eq(problems->list[i].pos.line, i + 1);
	cr_assert_lt(kt_problem_err(problems, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_str_eq(err.text, "m.toml:1:3: number 1");
	free(problems);
}

Test(problem, a_users_bytes_stay_on_one_line)
{
	struct kt_problems *problems = calloc(1, sizeof(*problems));
	char word[2 * KT_ERR_TEXT_MAX];

	problems->file = "m.toml";
	kt_problem_add(problems, (struct kt_doc_pos){ 1, 1 }, "a\nb\x1b[31mc\x7f");
	cr_assert_str_eq(problems->list[0].line, "m.toml:1:1: a?b?[31mc?");
	memset(word, 'x', sizeof(word));
	word[sizeof(word) - 1] = 0;
	kt_problem_add(problems, (struct kt_doc_pos){ 2, 1 }, "%s", word);
	cr_assert_eq(strlen(problems->list[1].line), KT_ERR_TEXT_MAX - 1);
	cr_assert(strstr(problems->list[1].line, "xxx..."));
	free(problems);
}
