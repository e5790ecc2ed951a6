#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as C99 and as C++11, without anything else of ours.
set -eu
cd "${SRCDIR:-$(dirname "$0")/..}/libxenhost/include"
for header in xenhost/*.h; do
	printf '#include <%s>\n' "$header" |
		${CC:-cc} -x c -std=c99 -pedantic -Wall -Wextra -Werror -I. -fsyntax-only -
	printf '#include <%s>\n' "$header" |
		${CXX:-c++} -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -I. -fsyntax-only -
done
