#!/bin/sh
# SPDX-License-Identifier: MIT
# Formatting: clang-format 14 would change nothing, every file names its licence, no trailing blanks.
set -eu
cd "${SRCDIR:-$(dirname "$0")/..}"
failed=0
files=$(find common libxenhost hypercall-bridge xenstored backend blkbackd netbackd tools tests examples -name '*.[ch]' | sort)

for tool in clang-format-14 clang-format; do
	command -v $tool > /dev/null && break
	tool=
done
case $(${tool:-true} --version 2> /dev/null || :) in
*'version 14.'*)
	# shellcheck disable=SC2086
	$tool --dry-run --Werror $files || failed=1
	;;
*) echo "no clang-format 14 here: its part is left out" ;;
esac

for file in $files $(find . \( -path './build*' -o -path ./_build -o -path ./m4 \) -prune -o \
	\( -name '*.am' -o -name '*.mk' -o -name '*.sh' -o -name '*.proto' \) -print); do
	head -3 "$file" | grep -q 'SPDX-License-Identifier' || {
		echo "$file: no SPDX line"
		failed=1
	}
	if grep -n '[[:space:]]$' "$file" | head -1 | grep -q .; then
		echo "$file: trailing blanks"
		failed=1
	fi
done
exit $failed
