package main

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// sample returns n of the mutants, in their order. The same seed gives the same sample. It
// depends on each mutant's own text only, so that a change to the package replaces few of them.
func sample(mutants []*mutant, n int, seed uint64) []*mutant {
	if n <= 0 || n >= len(mutants) {
		return mutants
	}
	type ranked struct {
		mutant *mutant
		rank   uint64
	}
	seen := map[string]int{}
	all := make([]ranked, len(mutants))
	for i, m := range mutants {
		all[i] = ranked{m, rank(m.key(), seen[m.key()], seed)}
		seen[m.key()]++
	}
	byRank := slices.Clone(all)
	slices.SortFunc(byRank, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	last := byRank[n-1].rank
	var chosen []*mutant
	for _, r := range all {
		if r.rank <= last {
			chosen = append(chosen, r.mutant)
		}
	}
	return chosen
}

// rank is a hash. again counts the earlier mutants with the same key.
func rank(key string, again int, seed uint64) uint64 {
	hash := fnv.New64a()
	_ = binary.Write(hash, binary.LittleEndian, seed) // a hash does not fail
	_, _ = hash.Write([]byte(key))
	_ = binary.Write(hash, binary.LittleEndian, uint64(again))
	mixed := hash.Sum64() // FNV's high bits follow the last bytes too little
	mixed ^= mixed >> 33
	mixed *= 0xff51afd7ed558ccd
	return mixed ^ mixed>>33
}
