#!/bin/bash
# SPDX-License-Identifier: MIT
# The units: systemd finds no mistake in them, and no service may do more than it needs. The limits are
# of systemd-analyze security: 10 is a service without any confinement.
set -euo pipefail

built=${BUILDDIR:?}/systemd
if ! command -v systemd-analyze >/dev/null; then
	case ,${XENHOST_REQUIRE:-}, in
	*,units,*) echo "systemd-analyze is not installed; XENHOST_REQUIRE asks for it"; exit 1 ;;
	esac
	echo "SKIP: systemd-analyze is not installed"
	exit 77
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/xenhost-test-XXXXXX")
trap 'rm -rf "$dir"' EXIT
failed=0

fail()
{
	echo "FAILED: $*"
	failed=1
}

# exposure UNIT: as it is known to systemd, 0.0 to 10.0
limit_of()
{
	case $1 in
	xenhost-vm@*) echo 25 ;;
	# it has what the others have not
	xenhost-opend*) echo 21 ;;
	*) echo 15 ;;
	esac
}

# The programs need not be installed for this: copies of the units name some that are there.
mkdir "$dir/units"
for unit in "$built"/xenhost*.service "$built"/*.socket "${SRCDIR:?}"/systemd/*.{target,slice}; do
	sed -e 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$unit" >"$dir/units/${unit##*/}"
	case $unit in
	*@.service) cp "$dir/units/${unit##*/}" "$dir/units/$(basename "$unit" @.service)@guest.service" ;;
	esac
done
# what they refer to of the system's is left out
export SYSTEMD_UNIT_PATH=$dir/units:/lib/systemd/system:/usr/lib/systemd/system
for unit in "$dir"/units/*; do
	case $unit in *@.service) continue ;; esac
	said=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) ||
		fail "${unit##*/}: systemd-analyze verify: $said"
	[ -z "$said" ] || fail "${unit##*/}: systemd-analyze verify says: $said"
done
for unit in "$dir"/units/*.service; do
	name=${unit##*/}
	case $name in *@.service) continue ;; esac
	case $name in
	xenhost-blkbackd* | xenhost-netbackd*)
		grep -qx PrivateUsers=yes "$unit" || fail "$name has no user namespace of its own"
		;;
	esac
	said=$(systemd-analyze security --offline=yes --no-pager --threshold="$(limit_of "$name")" "$unit" 2>&1) || {
		fail "$name may do too much; systemd-analyze security --offline=yes says:"
		printf '%s\n' "$said" | grep -v '✓'
	}
	printf '%s: %s\n' "$name" "$(printf '%s\n' "$said" | tail -n 1)"
done
# systemd cancels a stop of a service when a unit that wants it is started again meanwhile; of sockets none is stopped.
# Those of one guest have no socket units.
for unit in "$dir"/units/*.service; do
	case $unit in *@*) continue ;; esac
	! grep '^\(Wants\|Requires\|BindsTo\)=.*\.service' "$unit" || fail "${unit##*/} asks for a service, not its socket"
done
# RestrictSUIDSGID= makes openat2(2) fail, by which opend finds images
[ "$(sed -n 's/^RestrictSUIDSGID=//p' "$dir/units/xenhost-opend.service" | tail -n 1)" = no ] ||
	fail "xenhost-opend could open no image"
exit $failed
