#include "assertions/checks.h"
#include "fixture.h"
#include "proto/base/limits.h"

#include <errno.h>

Test(checks, a_value_is_taken_or_refused_in_words)
{
	static const struct {
		const char *name;
		const char *value;
		const char *prints; /* NULL: it is refused */
		const char *says;
	} rows[] = {
		{ "not_stuck", "true", "not_stuck", NULL },
		{ "not_stuck", "1", NULL, "not_stuck takes true or false" },
		{ "gap", "true", "gap (at most 2000 ms)", NULL },
		{ "gap", "'3s'", "gap (at most 3000 ms)", NULL },
		{ "gap", "'1ns'", "gap (at most 0.000001 ms)", NULL },
		{ "gap", "'24h'", "gap (at most 86400000 ms)", NULL },
		{ "gap", "'0s'", NULL,
		  "gap takes a time of more than 0, e.g. \"2s\", true for 2000 ms or false" },
		{ "gap", "'25h'", NULL, "gap takes a time" },
		{ "gap", "3", NULL, "gap takes a time" },
		{ "gap", "'3'", NULL, "gap takes a time" },
		{ "spread", "true", "spread (at most 15%)", NULL },
		{ "spread", "0", "spread (at most 0%)", NULL },
		{ "spread", "100", "spread (at most 100%)", NULL },
		{ "spread", "12.5", "spread (at most 12.5%)", NULL },
		{ "spread", "100.5", NULL,
		  "spread takes a number from 0 to 100%, true for 15% or false" },
		{ "spread", "-1", NULL, "spread takes a number from 0" },
		{ "spread", "'15'", NULL, "spread takes a number from 0" },
		{ "spread", "nan", NULL, "spread takes a number from 0" },
		{ "spread", "inf", NULL, "spread takes a number from 0" },
		{ "spread", "[1; 2]", NULL, "spread takes a number from 0" },
		{ "isolation", "true", "isolation", NULL },
		{ "isolation", "0.5", NULL, "isolation takes true or false" },
		{ "max_throughput_cv", "0.3", "max_throughput_cv (at most 0.3)", NULL },
		{ "max_throughput_cv", "true", NULL,
		  "max_throughput_cv takes a number from 0 to 1e+06, or false" },
		{ "min_work_rate", "100", "min_work_rate (at least 100/s)", NULL },
		{ "min_work_rate", "0", NULL, /* it would always hold */
		  "min_work_rate takes a number of more than 0 and at most 1e+18/s, or false" },
		{ "max_p99_wake_latency", "'5ms'", "max_p99_wake_latency (at most 5 ms)", NULL },
		{ "max_p99_wake_latency", "'1234567ns'",
		  "max_p99_wake_latency (at most 1.234567 ms)", NULL },
		{ "max_p99_wake_latency", "true", NULL,
		  "max_p99_wake_latency takes a time of more than 0, e.g. \"2s\", or false" },
		{ "max_wake_latency_cv", "2.0", "max_wake_latency_cv (at most 2)", NULL },
		{ "min_iteration_rate", "10.0", "min_iteration_rate (at least 10/s)", NULL },
		{ "max_migration_ratio", "0", "max_migration_ratio (at most 0)", NULL },
		{ "min_page_locality", "1", "min_page_locality (at least 1)", NULL },
		{ "min_page_locality", "1.01", NULL,
		  "min_page_locality takes a number of more than 0 and at most 1, or false" },
		{ "max_cross_node_ratio", "0.1", "max_cross_node_ratio (at most 0.1)", NULL },
		{ "events_clean", "true", "events_clean", NULL },
		{ "imbalance", "true", "imbalance (at most 4)", NULL },
		{ "dsq_depth", "true", "dsq_depth (at most 50)", NULL },
		{ "stuck", "true", "stuck", NULL },
		{ "fallback", "true", "fallback (at most 200/s)", NULL },
		{ "keep_last", "true", "keep_last (at most 100/s)", NULL },
		{ "keep_last", "99.5", "keep_last (at most 99.5/s)", NULL },
		{ "not_starved", "true", NULL, "unknown check 'not_starved'; " },
		{ "gaps", "true", NULL, "did you mean 'gap'?" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF text = { 0 };
		struct kt_value value = fixture_value(&arena, rows[i].value);
		struct kt_checks checks = { 0 };
		struct kt_err err = { 0 };
		int status = kt_checks_set(&checks, rows[i].name, &value, &err);
		size_t id = 0;

		if (!rows[i].prints) {
			cr_assert_eq(status, -EINVAL, "%s = %s", rows[i].name, rows[i].value);
			cr_assert(strstr(err.text, rows[i].says), "%s", err.text);
			cr_assert_eq(err.fault, KT_FAULT_INPUT);
			cr_assert_eq(kt_checks_n_on(&checks), 0);
			continue;
		}
		cr_assert_eq(status, 0, "%s = %s: %s", rows[i].name, rows[i].value, err.text);
		cr_assert_eq(kt_checks_n_on(&checks), 1);
		while (strcmp(kt_checks_table[id].name, rows[i].name) != 0)
			id++;
		kt_checks_print(&checks, (enum kt_checks_id)id, &text);
		cr_assert_str_eq(kt_buf_text(&text), rows[i].prints);
	}
}

/* checks: names, "!name" for false. Prints what is on. */
static void set_all(struct kt_checks *checks, const char *names)
{
	char copy[200];
	char *rest = NULL;

	snprintf(copy, sizeof(copy), "%s", names);
	for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		bool off = *name == '!';
		char *value = strchr(name, '=');
		struct kt_value flag = kt_value_bool(!off);
		struct kt_err err = { 0 };

		if (value) {
			*value++ = 0;
			flag = (struct kt_value){ .type = KT_VALUE_STR,
						  .n = (uint32_t)strlen(value),
						  .str = value };
		}
		cr_assert_eq(kt_checks_set(checks, name + off, &flag, &err), 0, "%s", err.text);
	}
}

Test(checks, the_inner_word_counts_and_not_stuck_turns_on_two)
{
	static const struct {
		const char *sweep;
		const char *scenario;
		const char *on;
	} rows[] = {
		{ "", "", "" },
		{ "isolation", "", "isolation" },
		{ "", "isolation", "isolation" },
		{ "isolation", "!isolation", "" },
		{ "!isolation", "isolation", "isolation" },
		{ "", "not_stuck", "not_stuck, gap (at most 2000 ms), spread (at most 15%)" },
		{ "not_stuck", "", "not_stuck, gap (at most 2000 ms), spread (at most 15%)" },
		{ "not_stuck", "!spread", "not_stuck, gap (at most 2000 ms)" },
		{ "not_stuck", "!not_stuck", "" },
		{ "not_stuck", "!not_stuck gap", "gap (at most 2000 ms)" },
		{ "gap=1s", "not_stuck", "not_stuck, gap (at most 1000 ms), spread (at most 15%)" },
		{ "gap=1s", "not_stuck gap=5s",
		  "not_stuck, gap (at most 5000 ms), spread (at most 15%)" },
		{ "!gap", "not_stuck", "not_stuck, spread (at most 15%)" },
		{ "gap=1s", "gap", "gap (at most 2000 ms)" },
		{ "gap=1s", "", "gap (at most 1000 ms)" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_checks sweep = { 0 };
		struct kt_checks scenario = { 0 };
		struct kt_checks all;
		KT_AUTO_BUF text = { 0 };

		set_all(&sweep, rows[i].sweep);
		set_all(&scenario, rows[i].scenario);
		kt_checks_merge(&sweep, &scenario, &all);
		for (size_t id = 0; id < KT_CHECKS_N; id++) {
			if (all.of[id].state != KT_CHECKS_ON)
				continue;
			kt_buf_puts(&text, text.len ? ", " : "");
			kt_checks_print(&all, (enum kt_checks_id)id, &text);
		}
		cr_assert_str_eq(kt_buf_text(&text), rows[i].on, "row %zu: %s", i,
				 kt_buf_text(&text));
	}
}

Test(checks, what_was_measured_is_printed_to_a_microsecond_unless_that_hides_the_failure)
{
	static const struct {
		int64_t ns;
		double limit_ns;
		const char *text;
	} rows[] = {
		{ 97885917, 0, "97.886 ms" },
		{ 97885499, 0, "97.885 ms" },
		{ 499, 1000, "0 ms" },
		{ 500, 2000, "0.001 ms" },
		{ 2000000001, 2e9, "2000.000001 ms" },
		{ 1999999999, 2e9, "1999.999999 ms" },
		{ 2000000000, 2e9, "2000 ms" },
		{ 2000000001, 3e9, "2000 ms" },
		{ INT64_MAX, 0, "9223372036854.775 ms" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_BUF text = { 0 };

		kt_checks_print_about_ms(rows[i].ns, rows[i].limit_ns, &text);
		cr_assert_str_eq(kt_buf_text(&text), rows[i].text, "%s", kt_buf_text(&text));
	}
}

Test(checks, times_are_printed_exactly)
{
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "0 ms" },
		{ 1, "0.000001 ms" },
		{ 250000, "0.25 ms" },
		{ 1000000, "1 ms" },
		{ 10000000, "10 ms" },
		{ 5000001, "5.000001 ms" },
		{ 2000000000, "2000 ms" },
		{ INT64_MAX, "9223372036854.775807 ms" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_BUF text = { 0 };

		kt_checks_print_ms(rows[i].ns, &text);
		cr_assert_str_eq(kt_buf_text(&text), rows[i].text);
	}
}
