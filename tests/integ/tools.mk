# SPDX-License-Identifier: MIT
TESTS += integ/tool-domain.sh integ/tool-store.sh integ/vmm-errors.sh
EXTRA_DIST += integ/tool-domain.sh integ/tool-store.sh integ/vmm-errors.sh
