#!/bin/bash
# SPDX-License-Identifier: MIT
# migrate-xenstored.sh VERSION DIR RUN PROGRAM OPTION...: what the daemon of DIR/pid has goes as a migration
# stream into another one, which is started in its place (restart-xenstored.sh) and finds nothing else of it.
set -eu
version=$1 dir=$2 run=$3
shift
"$run" xenhost store --rundir "$dir" --stream-version "$version" export "$dir/stream"
kill -KILL "$(cat "$dir/pid")"
rm -f "$dir"/rings/keep.*
exec "$(dirname "$0")/restart-xenstored.sh" "$@" --import "$dir/stream"
