#!/bin/sh
# Runs the benchmarks in rounds, one after the other, so that a slow minute of the
# machine falls on all of them, and prints their medians as a Markdown table.
# Usage: scripts/bench.sh [ROUNDS]
set -eu
rounds=${1:-5}
out=$(mktemp)
trap 'rm -f "$out" "$out.test"' EXIT
go test -c -o "$out.test" .
for round in $(seq "$rounds"); do
	echo "round $round of $rounds" >&2
	"$out.test" -test.run '^$' -test.bench . -test.benchtime 2s >>"$out"
done

printf '%s, %s cores, %s, fsync on, Unix socket; %s rounds, %s\n\n' "$(sed -n 's/^cpu: //p' "$out" | head -n 1)" "$(nproc)" \
	"$(go version | cut -d ' ' -f 3)" "$rounds" "$(date -u +%F)"
echo '| benchmark | bare pgx, µs | ours, µs | ratio | ratio, lowest to highest | allocations above bare |'
echo '|---|---|---|---|---|---|'
awk '
	/ratio/ {
		name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
		if (!(name in n)) order[++names] = name
		i = ++n[name]
		for (f = 3; f < NF; f += 2) value[name, $(f + 1), i] = $f
	}
	function sorted(name, unit, a,    i, j, t) {
		for (i = 1; i <= n[name]; i++) a[i] = value[name, unit, i]
		for (i = 2; i <= n[name]; i++) for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
	}
	function median(name, unit,    a) { sorted(name, unit, a); return a[int((n[name] + 1) / 2)] }
	END {
		for (k = 1; k <= names; k++) {
			name = order[k]
			sorted(name, "ratio", r)
			printf "| %s | %d | %d | **%.3f** | %.3f to %.3f | %+d |\n", name, median(name, "bare-µs"), median(name, "ours-µs"), \
				median(name, "ratio"), r[1], r[n[name]], median(name, "allocs-above-bare")
		}
	}' "$out"
