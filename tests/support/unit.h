/* SPDX-License-Identifier: MIT */
/* The main() of a unit test program with one suite. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

static inline int unit_run(const char *name, SFun setup, SFun teardown, const TTest *const *tests,
			   size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* UNIT_MAIN("wire", test_a, test_b, ...) */
#define UNIT_MAIN(name, ...) UNIT_MAIN_WITH(name, NULL, NULL, __VA_ARGS__)

/* setup and teardown run around each test */
#define UNIT_MAIN_WITH(name, setup, teardown, ...)                                               \
	int main(void)                                                                           \
	{                                                                                        \
		const TTest *const tests[] = { __VA_ARGS__ };                                    \
		return unit_run(name, setup, teardown, tests, sizeof(tests) / sizeof(tests[0])); \
	}

#endif
