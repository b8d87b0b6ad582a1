// Package cycles finds the cycles of a graph of preemptions: envelopes that take each
// other's place, around and around.
package cycles

import (
	"cmp"
	"context"
	"slices"
)

// MaxLength is the number of envelopes in the longest cycle that is looked for.
const MaxLength = 5

// maxSteps bounds the search: some hundred milliseconds.
const maxSteps = 50_000_000

// Edge says that one envelope of a tenant was preempted by another one, and how often. No two
// edges have the same tenant, envelope and preemptor.
type Edge struct {
	Tenant, Envelope, Preemptor string
	Preemptions                 int64
}

// Cycle is a simple cycle of 2 to [MaxLength] envelopes of one tenant. Each was preempted by
// the next one, and the last by the first, which is the first in byte order.
type Cycle struct {
	Tenant    string
	Envelopes []string
	Counts    []int64 // how often each envelope was preempted by the next one

	// Turns is the smallest of Counts: the cycle cannot have turned more often.
	Turns int64
}

// Found is the result of a search.
type Found struct {
	// Heaviest are the cycles with the most turns. Of those with equally many the shorter ones
	// come first, then by tenant and envelopes in byte order.
	Heaviest []Cycle

	// Total is the number of cycles. If AtLeast is set, the search was given up, and there may
	// be more of them. None of those has more turns than any of Heaviest.
	Total   int64
	AtLeast bool
}

// Find finds all cycles of edges, and returns limit of them at most.
func Find(ctx context.Context, edges []Edge, limit int) (Found, error) {
	return find(ctx, edges, limit, maxSteps)
}

// find adds the edges one by one, the heaviest first. The cycles that an edge closes have as
// many turns as the edge has preemptions, since it is the lightest one so far. So each cycle
// is found once, and the heaviest ones are found first.
func find(ctx context.Context, edges []Edge, limit, steps int) (Found, error) {
	g := newGraph(edges)
	s := &search{graph: g, limit: limit, steps: steps}
	for i, e := range g.edges {
		if i > 0 && g.edges[i-1].weight != e.weight {
			s.nextWeight()
		}
		if err := ctx.Err(); err != nil {
			return Found{}, err
		}
		if !s.close(e) {
			s.found.AtLeast = true
			break
		}
		g.add(e)
	}
	s.nextWeight()
	return s.found, nil
}

// search is the state of a Find.
type search struct {
	*graph
	limit, steps int
	found        Found
	equal        []Cycle // those of the current weight
	path         [MaxLength]int32
}

// close finds the cycles that an edge closes. It reports whether it came to the end.
func (s *search) close(e edge) bool {
	s.mark(e.from)
	s.path[0], s.path[1] = e.from, e.to
	return s.walk(2, e.weight) && s.steps > 0
}

// mark marks the envelopes from which one or two steps lead to the target.
func (s *search) mark(target int32) {
	s.round++
	for _, one := range s.in[target] {
		s.near[one] = mark{s.round, 1}
		s.steps -= 1 + len(s.in[one])
		for _, two := range s.in[one] {
			if s.near[two].round != s.round {
				s.near[two] = mark{s.round, 2}
			}
		}
	}
}

// walk extends a path of length envelopes by one. It goes only where the steps that are left
// can lead back to the beginning.
func (s *search) walk(length int, weight int64) bool {
	left := MaxLength - length // steps after the next one
	for _, next := range s.out[s.path[length-1]] {
		if s.steps--; s.steps <= 0 {
			return false
		}
		switch {
		case next == s.path[0]:
			s.keep(length, weight)
			continue
		case left == 0, left <= 2 && !s.leads(next, left), slices.Contains(s.path[1:length], next):
			continue
		}
		s.path[length] = next
		if !s.walk(length+1, weight) {
			return false
		}
	}
	return true
}

func (s *search) leads(from int32, within int) bool {
	return s.near[from].round == s.round && s.near[from].steps <= within
}

// keep counts a cycle, and keeps it if it may be among the heaviest.
func (s *search) keep(length int, weight int64) {
	s.found.Total++
	room := s.limit - len(s.found.Heaviest)
	if room <= 0 {
		return
	}
	s.equal = append(s.equal, s.cycle(s.path[:length], weight))
	if len(s.equal) > 4*room+1000 {
		s.trim(room)
	}
}

func (s *search) cycle(path []int32, weight int64) Cycle {
	c := Cycle{Tenant: s.nodes[path[0]].tenant, Turns: weight}
	first := 0
	for i, node := range path {
		if s.nodes[node].envelope < s.nodes[path[first]].envelope {
			first = i
		}
	}
	for i := range path {
		from, to := path[(first+i)%len(path)], path[(first+i+1)%len(path)]
		c.Envelopes = append(c.Envelopes, s.nodes[from].envelope)
		c.Counts = append(c.Counts, s.weights[[2]int32{from, to}])
	}
	return c
}

func (s *search) trim(room int) {
	slices.SortFunc(s.equal, func(a, b Cycle) int {
		return cmp.Or(cmp.Compare(len(a.Envelopes), len(b.Envelopes)), cmp.Compare(a.Tenant, b.Tenant), slices.Compare(a.Envelopes, b.Envelopes))
	})
	s.equal = s.equal[:min(len(s.equal), room)]
}

// nextWeight puts the cycles of the current weight behind those of the weights above it.
func (s *search) nextWeight() {
	s.trim(max(0, s.limit-len(s.found.Heaviest)))
	s.found.Heaviest = append(s.found.Heaviest, s.equal...)
	s.equal = nil
}
