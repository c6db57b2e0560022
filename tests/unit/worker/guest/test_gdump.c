#include "worker/guest/gdump.h"

#include <criterion/criterion.h>

Test(gdump, only_lines_of_the_dump_are_taken)
{
	static const struct {
		const char *line;
		const char *text; /* NULL: none */
	} rows[] = {
		{ "            init-1       [000] d..2.    12.345678: sched_ext_dump: CPU 0   : "
		  "nr_run=2\n",
		  "CPU 0   : nr_run=2\n" },
		{ "  kworker/0:1-20 [001] d..2. 1.2: sched_ext_dump:   R spin[101] *root -3692ms\n",
		  "  R spin[101] *root -3692ms\n" },
		{ "# tracer: nop\n", NULL },
		{ "  spin-9 [000] d..2. 1.2: sched_switch: prev_comm=spin\n", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = kt_gdump_text(rows[i].line);

		if (rows[i].text)
			cr_assert_str_eq(text, rows[i].text, "row %zu", i);
		else
			cr_assert_null(text, "row %zu", i);
	}
}
