#!/bin/sh
# Runs the benchmarks in rounds, one after the other, so that a slow minute of the
# machine falls on all of them, and prints their medians as Markdown tables.
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
library='
	{
		name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
	}
	function note(    f, i) {
		if (!(name in n)) order[++names] = name
		i = ++n[name]
		for (f = 3; f < NF; f += 2) value[name, $(f + 1), i] = $f
	}
	function sorted(name, unit, a,    i, j, t) {
		for (i = 1; i <= n[name]; i++) a[i] = value[name, unit, i]
		for (i = 2; i <= n[name]; i++) for (j = i; j > 1 && a[j] + 0 < a[j - 1] + 0; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
	}
	function median(name, unit,    a) { sorted(name, unit, a); return a[int((n[name] + 1) / 2)] }
	function spread(name, unit, form,    a) { sorted(name, unit, a); return sprintf(form " to " form, a[1], a[n[name]]) }
'

echo '| benchmark | bare pgx, µs | ours, µs | ratio | ratio, lowest to highest | allocations above bare |'
echo '|---|---|---|---|---|---|'
awk "$library"'
	/ratio/ { note() }
	END {
		for (k = 1; k <= names; k++) {
			name = order[k]
			printf "| %s | %d | %d | **%.3f** | %s | %+d |\n", name, median(name, "bare-µs"), median(name, "ours-µs"), \
				median(name, "ratio"), spread(name, "ratio", "%.3f"), median(name, "allocs-above-bare")
		}
	}' "$out"

printf '\n| callers | Persist, rows/s | Record, rows/s | times Persist | lowest to highest | records a batch | bare INSERT of such batches, rows/s | times bare | lowest to highest |\n'
echo '|---|---|---|---|---|---|---|---|---|'
awk "$library"'
	/times-persist/ { note() }
	END {
		for (k = 1; k <= names; k++) {
			name = order[k]
			callers = name; sub(/.*\//, "", callers)
			printf "| %s | %d | %d | **%.2f** | %s | %d | %d | **%.2f** | %s |\n", callers, median(name, "persist-rows/s"), median(name, "record-rows/s"), \
				median(name, "times-persist"), spread(name, "times-persist", "%.2f"), median(name, "batch"), \
				median(name, "bare-rows/s"), median(name, "times-bare"), spread(name, "times-bare", "%.2f")
		}
	}' "$out"

printf '\n| Enqueue, database | p50, µs | p99, µs | p99, lowest to highest | p99.9, µs |\n'
echo '|---|---|---|---|---|'
awk "$library"'
	/p99-µs/ { note() }
	END {
		for (k = 1; k <= names; k++) {
			name = order[k]
			database = name; sub(/.*\//, "", database)
			printf "| %s | %.1f | **%.1f** | %s | %.1f |\n", tolower(database), median(name, "p50-µs"), median(name, "p99-µs"), \
				spread(name, "p99-µs", "%.1f"), median(name, "p99.9-µs")
		}
	}' "$out"
