# SPDX-License-Identifier: MIT
TESTS += integ/tool-domain.sh
EXTRA_DIST += integ/tool-domain.sh
