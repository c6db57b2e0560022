#include "assertions/quantifier.h"
#include "fixture.h"

static struct kt_quantifier quantifier_of(struct kt_arena *arena, const char *text)
{
	struct kt_value value = fixture_value(arena, text);
	struct kt_place place = { 0 };
	struct kt_quantifier quantifier;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_quantifier_read(&value, &place, &quantifier, &err), 0, "%s: %s", text,
		     err.text);
	return quantifier;
}

Test(quantifier, so_many_must_hold)
{
	static const struct {
		const char *text;
		uint64_t n;
		uint64_t needed;
		const char *printed;
	} rows[] = {
		{ "'all'", 5, 5, "all repeats" },
		{ "'any'", 5, 1, "any of the repeats" },
		{ "{at_least 3}", 5, 3, "at least 3 repeats" },
		{ "{at_least 3, of 'hosts'}", 2, 3, "at least 3 hosts" },
		{ "{fraction 0.9}", 10, 9, "a fraction of 0.9 of the repeats" },
		{ "{fraction 0.9}", 11, 10, NULL },
		{ "{fraction 0.5}", 3, 2, NULL },
		{ "{fraction 0.5, of 'repeats'}", 4, 2, NULL },
		{ "{fraction 0.1}", 10, 1, NULL },
		{ "{fraction 0.3}", 10, 3, NULL },
		{ "{fraction 0.7}", 10, 7, NULL },
		{ "{fraction 1}", 7, 7, NULL },
		{ "{fraction 1.0}", 7, 7, NULL },
		{ "{at_least 10000}", 7, 10000, NULL },
		{ "{fraction 0.0001}", 3, 1, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF printed = { 0 };
		struct kt_quantifier quantifier = quantifier_of(&arena, rows[i].text);

		cr_assert_eq(kt_quantifier_needed(&quantifier, rows[i].n), rows[i].needed,
			     "%s of %d", rows[i].text, (int)rows[i].n);
		kt_quantifier_print(&quantifier, &printed);
		if (rows[i].printed)
			cr_assert_str_eq(kt_buf_text(&printed), rows[i].printed);
	}
}

/* The definition: whatever the unknown turn out to be, is it enough, or never enough? */
Test(quantifier, the_unknown_only_matter_when_they_could_decide)
{
	static const char *const texts[] = { "'all'", "'any'", "{at_least 2}", "{fraction 0.6}" };

	for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_quantifier quantifier = quantifier_of(&arena, texts[t]);

		for (uint64_t hold = 0; hold < 5; hold++) {
			for (uint64_t fail = 0; fail < 5; fail++) {
				for (uint64_t unknown = 0; unknown < 5; unknown++) {
					uint64_t n = hold + fail + unknown;
					uint64_t needed = kt_quantifier_needed(&quantifier, n);
					enum kt_verdict_outcome outcome =
						n == 0                    ? KT_VERDICT_SKIP
						: hold >= needed          ? KT_VERDICT_PASS
						: hold + unknown < needed ? KT_VERDICT_FAIL
									  : KT_VERDICT_INCONCLUSIVE;

					cr_assert_eq(kt_quantifier_judge(&quantifier, n, hold,
									 fail),
						     outcome, "%s: %d %d %d", texts[t], (int)hold,
						     (int)fail, (int)unknown);
				}
			}
		}
	}
}
