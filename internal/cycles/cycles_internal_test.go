package cycles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// plainly lists every path of distinct envelopes, and keeps those that end where they began.
func plainly(edges []Edge, limit int) Found {
	var all []Cycle
	var extend func(tenant string, path []string, counts []int64)
	extend = func(tenant string, path []string, counts []int64) {
		for _, e := range edges {
			if e.Tenant != tenant || e.Envelope != path[len(path)-1] || e.Envelope == e.Preemptor {
				continue
			}
			more := append(slices.Clone(counts), e.Preemptions)
			switch {
			case e.Preemptor == path[0]:
				all = append(all, Cycle{Tenant: tenant, Envelopes: slices.Clone(path), Counts: more, Turns: slices.Min(more)})
			case e.Preemptor > path[0] && len(path) < 5 && !slices.Contains(path, e.Preemptor):
				extend(tenant, append(slices.Clone(path), e.Preemptor), more)
			}
		}
	}
	begins := map[[2]string]bool{}
	for _, e := range edges {
		if begin := [2]string{e.Tenant, e.Envelope}; !begins[begin] {
			begins[begin] = true
			extend(e.Tenant, []string{e.Envelope}, nil)
		}
	}
	slices.SortFunc(all, func(a, b Cycle) int {
		return cmp.Or(cmp.Compare(b.Turns, a.Turns), cmp.Compare(len(a.Envelopes), len(b.Envelopes)),
			cmp.Compare(a.Tenant, b.Tenant), slices.Compare(a.Envelopes, b.Envelopes))
	})
	return Found{Heaviest: all[:min(len(all), limit)], Total: int64(len(all))}
}

func randomEdges(random *rand.Rand, nodes, edges, weights int) []Edge {
	var list []Edge
	seen := map[[3]string]bool{}
	for range edges {
		e := Edge{
			Tenant: fmt.Sprint("t", random.IntN(2)), Envelope: fmt.Sprint("e", random.IntN(nodes)), Preemptor: fmt.Sprint("e", random.IntN(nodes)),
			Preemptions: 1 + random.Int64N(int64(weights)),
		}
		if key := [3]string{e.Tenant, e.Envelope, e.Preemptor}; !seen[key] {
			seen[key] = true
			list = append(list, e)
		}
	}
	return list
}

func TestFindEqualsPlainSearch(t *testing.T) {
	t.Parallel()
	cyclic := 0
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 0))
		nodes := 2 + random.IntN(11)
		edges := randomEdges(random, nodes, random.IntN(nodes*6), 1+random.IntN(6))
		limit := 1 + random.IntN(200)
		found, err := Find(t.Context(), edges, limit)
		if err != nil {
			t.Fatal(err)
		}
		want := plainly(edges, limit)
		if diff := gocmp.Diff(want, found, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d, %d edges, limit %d (-plain +got):\n%s", seed, len(edges), limit, diff)
		}
		if want.Total > 0 {
			cyclic++
		}
	}
	if cyclic < 200 {
		t.Errorf("only %d graphs have a cycle", cyclic)
	}
}

// A complete graph of 80 envelopes has half a billion cycles of five.
func TestFindGivesUpInTime(t *testing.T) {
	t.Parallel()
	var edges []Edge
	for from := range 80 {
		for to := range 80 {
			edges = append(edges, Edge{Envelope: fmt.Sprintf("e%02d", from), Preemptor: fmt.Sprintf("e%02d", to), Preemptions: int64(1 + (from+to)%7)})
		}
	}
	begin := time.Now()
	found, err := Find(t.Context(), edges, 100)
	if err != nil || !found.AtLeast || found.Total < 1000 || len(found.Heaviest) != 100 {
		t.Fatalf("%d cycles, at least: %t, %v", found.Total, found.AtLeast, err)
	}
	for _, c := range found.Heaviest {
		if c.Turns != 7 {
			t.Errorf("%v turned %d times, and there are 100 that turned 7 times", c.Envelopes, c.Turns)
		}
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	// What is left out is not heavier than what was found before the end.
	short, err := find(t.Context(), randomEdges(rand.New(rand.NewPCG(1, 0)), 12, 100, 5), 1000, 500)
	if err != nil || !short.AtLeast {
		t.Fatalf("%+v, %v", short, err)
	}
	whole := plainly(randomEdges(rand.New(rand.NewPCG(1, 0)), 12, 100, 5), 1000)
	for i, c := range short.Heaviest {
		if c.Turns != whole.Heaviest[i].Turns {
			t.Errorf("cycle %d turned %d times, want %d", i, c.Turns, whole.Heaviest[i].Turns)
		}
	}
}

// A trail whose classes have ranks has preemptions and no cycle.
func TestRanksMakeNoCycle(t *testing.T) {
	t.Parallel()
	var edges []Edge
	for from := range 900 {
		for to := from + 1; to < min(from+200, 900); to++ {
			edges = append(edges, Edge{Envelope: strconv.Itoa(from), Preemptor: strconv.Itoa(to), Preemptions: 1})
		}
	}
	found, err := Find(t.Context(), edges, 100)
	if err != nil || found.Total != 0 || found.AtLeast {
		t.Errorf("%+v, %v, want none", found, err)
	}
}

func TestFindEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	edges := []Edge{{Envelope: "a", Preemptor: "b", Preemptions: 1}, {Envelope: "b", Preemptor: "a", Preemptions: 1}}
	if _, err := Find(ctx, edges, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
