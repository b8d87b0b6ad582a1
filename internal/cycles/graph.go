package cycles

import (
	"cmp"
	"slices"
)

type node struct{ tenant, envelope string }

type edge struct {
	from, to int32
	weight   int64
}

// mark says that a node is one or two steps away from the target of a round.
type mark struct{ round, steps int }

// graph has numbers for nodes. in and out have the edges that were added.
type graph struct {
	nodes   []node
	edges   []edge // the heaviest first
	weights map[[2]int32]int64
	in, out [][]int32
	near    []mark
	round   int
}

func newGraph(edges []Edge) *graph {
	g := &graph{weights: make(map[[2]int32]int64, len(edges))}
	numbers := make(map[node]int32)
	number := func(n node) int32 {
		i, known := numbers[n]
		if !known {
			i = int32(len(g.nodes))
			numbers[n] = i
			g.nodes = append(g.nodes, n)
		}
		return i
	}
	for _, e := range edges {
		if e.Envelope == e.Preemptor {
			continue // it conflicts with itself, which is another signal
		}
		from, to := number(node{e.Tenant, e.Envelope}), number(node{e.Tenant, e.Preemptor})
		g.edges = append(g.edges, edge{from, to, e.Preemptions})
		g.weights[[2]int32{from, to}] = e.Preemptions
	}
	g.edges = peeled(g.edges, len(g.nodes))
	slices.SortFunc(g.edges, func(a, b edge) int { // of equal weight in any order, as long as it is always the same
		return cmp.Or(cmp.Compare(b.weight, a.weight), g.compare(a.from, b.from), g.compare(a.to, b.to))
	})
	g.in, g.out, g.near = make([][]int32, len(g.nodes)), make([][]int32, len(g.nodes)), make([]mark, len(g.nodes))
	return g
}

func (g *graph) compare(a, b int32) int {
	return cmp.Or(cmp.Compare(g.nodes[a].tenant, g.nodes[b].tenant), cmp.Compare(g.nodes[a].envelope, g.nodes[b].envelope))
}

func (g *graph) add(e edge) {
	g.out[e.from] = append(g.out[e.from], e.to)
	g.in[e.to] = append(g.in[e.to], e.from)
}

// peeled leaves out the edges of nodes that no edge enters or none leaves, again and again.
// They are in no cycle, and in most trails they are nearly all: classes have ranks.
func peeled(edges []edge, nodes int) []edge {
	entering, leaving := make([][]int32, nodes), make([][]int32, nodes)
	ins, outs := make([]int, nodes), make([]int, nodes)
	for _, e := range edges {
		entering[e.to], leaving[e.from] = append(entering[e.to], e.from), append(leaving[e.from], e.to)
		ins[e.to]++
		outs[e.from]++
	}
	var bare []int32
	gone := make([]bool, nodes)
	drop := func(n int32) {
		if !gone[n] && (ins[n] == 0 || outs[n] == 0) {
			gone[n] = true
			bare = append(bare, n)
		}
	}
	for n := range nodes {
		drop(int32(n))
	}
	for len(bare) > 0 {
		n := bare[len(bare)-1]
		bare = bare[:len(bare)-1]
		for _, from := range entering[n] {
			outs[from]--
			drop(from)
		}
		for _, to := range leaving[n] {
			ins[to]--
			drop(to)
		}
	}
	return slices.DeleteFunc(edges, func(e edge) bool { return gone[e.from] || gone[e.to] })
}
