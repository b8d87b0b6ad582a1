#!/bin/sh
# Profiles the hot paths and prints the top of each profile. Each path has a process of its own, so that
# its profile holds only its own allocations.
set -eu
out=bin/profile
for path in persist persist-tx persist-many record list; do
	bin/bench profile "$path" --out "$out" --duration "${DURATION:-5s}"
	printf '\n== %s: CPU, including called functions\n' "$path"
	go tool pprof -top -cum -nodecount 25 bin/bench "$out/$path.cpu.pprof" 2>/dev/null
	printf '\n== %s: allocated bytes\n' "$path"
	go tool pprof -top -sample_index alloc_space -nodecount 15 bin/bench "$out/$path.allocs.pprof" 2>/dev/null
done
