# SPDX-License-Identifier: MIT
# make bench-boot: what the boot of a guest costs, in an emulated host that counts instructions.
EXTRA_DIST += bench/boot bench/fetch-qemu bench/vmm.mk
bench-boot:
	$(srcdir)/bench/boot $(abs_top_builddir)
.PHONY: bench-boot
