# SPDX-License-Identifier: MIT
# 100 kills of blkbackd in each of four set-ups; a hostile front end for ten minutes, to be run in trees with
# --enable-sanitizers=address,undefined and =thread
LONG_TARGETS += long-blk-kills long-blk-hostile
long-blk-kills: integ/loopback-blk-restart
	XENHOST_KILLS=100 $(abs_top_builddir)/run $(abs_builddir)/integ/loopback-blk-restart
long-blk-hostile: integ/loopback-blk
	XENHOST_HOSTILE_SECONDS=600 $(abs_top_builddir)/run $(abs_builddir)/integ/loopback-blk
