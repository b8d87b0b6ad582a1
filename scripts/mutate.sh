#!/bin/sh
# Changes a package one operator, statement or element at a time and runs its tests on each change. Prints the changes that no test notices, and the score.
# Usage: scripts/mutate.sh PACKAGE [FLAG...]       for example: scripts/mutate.sh ./audit -files validate.go -min 90
# -list shows the changes, -sample 60 -seed 7 tests a random sample, -budget 30m starts none after half an hour, -workers 4 tests four at once. -test PACKAGE=RUN replaces the tests chosen here.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
package=./${1#./}
shift
case $package in
./. | ./) package=. ;;
esac

# The package's own tests come first, since they are fast. The guarantees that depend on it follow.
case " $* " in
*' -test '*) ;;
*)
	case $package in
	.) set -- -test . "$@" ;;
	./audit) set -- -test ./audit "$@" ;;
	./internal/auditdriver) set -- -test ./internal/auditdriver -test '.=^TestConformance$' "$@" ;;
	./internal/recorder | ./internal/recorder/spool) set -- -test "$package" -test '.=^TestConformance$/Recorder|^TestConformance$/Spool|^TestConformance$/Completeness' "$@" ;;
	*) set -- -test "$package" "$@" ;;
	esac
	;;
esac

(cd tools && GOWORK=off go build -o ../bin/mutate ./mutate)
exec bin/mutate -pkg "$package" -equivalents tools/mutate/equivalent.txt "$@"
