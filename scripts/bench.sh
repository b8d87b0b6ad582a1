#!/bin/sh
# Runs the benchmarks in rounds and prints the summary of benchstat. The rounds run one after the other, so that a slow minute
# of the machine hits all benchmarks. The output stays in bin/bench.txt.
# Usage: [ROUNDS=6] scripts/bench.sh [--write]
#   --write   also puts the summary into docs/benchmarks.md, between its bench markers
#   ROUNDS    benchstat needs 6 for its confidence intervals
set -eu
cd "$(dirname "$0")/.."
benchstat=v0.0.0-20260908200009-22c9c6c9d4da
rounds=${ROUNDS:-6} doc=docs/benchmarks.md start='<!-- bench:start -->' end='<!-- bench:end -->'

case "$*" in
'' | --write) ;;
*) echo "bench.sh: unknown argument: $*; the only one is --write" >&2; exit 2 ;;
esac

mkdir -p bin
go test -c -o bin/root.test .
: >bin/bench.txt
for round in $(seq "$rounds"); do
	echo "bench.sh: round $round of $rounds" >&2
	bin/root.test -test.run '^$' -test.bench "${BENCHMARKS:-.}" -test.benchtime "${BENCHTIME:-2s}" >>bin/bench.txt
done
{
	printf '%s cores, %s, fsync on, Unix socket, %s rounds, %s\n\n```\n' "$(nproc)" "$(go version | cut -d ' ' -f 3)" "$rounds" "$(date -u +%F)"
	go run "golang.org/x/perf/cmd/benchstat@$benchstat" bin/bench.txt
	printf '```\n'
} >bin/bench.md
cat bin/bench.md

[ "${1:-}" = --write ] || exit 0
scripts/between.sh "$doc" "$start" "$end" bin/bench.md
