/* SPDX-License-Identifier: MIT */
/* main() of a Check program whose tests are one list: CHECK_MAIN("name", timeout, setup, teardown,
 * test, ...) */
#ifndef TESTS_SUPPORT_CHECK_MAIN_H
#define TESTS_SUPPORT_CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

static inline int check_run(const char *name, double timeout, SFun setup, SFun teardown,
			    const TTest *const *tests, size_t nr_tests)
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, timeout);
	tcase_add_checked_fixture(tc, setup, teardown);
	for (size_t i = 0; i < nr_tests; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* timeout in seconds for each test */
#define CHECK_MAIN(name, timeout, setup, teardown, ...)                                            \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *const tests[] = {__VA_ARGS__};                                        \
		return check_run(name, timeout, setup, teardown, tests,                            \
				 sizeof(tests) / sizeof(tests[0]));                                \
	}

#endif
