package report

import (
	"fmt"
	"math"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// cyclesView is the preemption cycles as they are drawn.
type cyclesView struct {
	Cycles []cycleView

	// Total is how many there are, if not all are drawn.
	Total string
}

// cycleView is one cycle, drawn as a ring: the envelopes in the order of their numbers,
// clockwise, and an arrow from each one to its preemptor.
type cycleView struct {
	audit.PreemptionCycle
	Size   int // of the drawing, in both directions
	Nodes  []ringNode
	Arrows []ringArrow
}

type ringNode struct {
	Number int
	X, Y   string
	TextY  string
}

type ringArrow struct {
	Path string
	Head string

	// Level is 1 to heatLevels, by the share of the most frequent step.
	Level int
	Text  string
}

// The measures of a ring, in pixels.
const (
	ringSize   = 132
	ringRadius = 48
	nodeRadius = 12
)

func newCyclesView(found audit.PreemptionCycles) cyclesView {
	shown := found.Heaviest[:min(len(found.Heaviest), MaxCycles)]
	view := cyclesView{}
	for _, c := range shown {
		view.Cycles = append(view.Cycles, newCycleView(c))
	}
	if found.AtLeast || found.Total > int64(len(shown)) {
		view.Total = format.CycleTotal(found)
	}
	return view
}

func newCycleView(c audit.PreemptionCycle) cycleView {
	view := cycleView{PreemptionCycle: c, Size: ringSize}
	var most int64
	for _, step := range c.Steps {
		most = max(most, step.Preemptions)
	}
	for i, step := range c.Steps {
		x, y := onRing(float64(i), len(c.Steps))
		view.Nodes = append(view.Nodes, ringNode{Number: i + 1, X: pixels(x), Y: pixels(y), TextY: pixels(y + 4)})
		next := c.Steps[(i+1)%len(c.Steps)]
		arrow := arrowFrom(i, len(c.Steps))
		arrow.Level = heatLevel(step.Preemptions, most)
		arrow.Text = fmt.Sprintf("%s was preempted by %s: %s", step.EnvelopeID, next.EnvelopeID, format.Plural(step.Preemptions, "time"))
		view.Arrows = append(view.Arrows, arrow)
	}
	return view
}

// onRing is the place of a step, which may lie between two envelopes. The first one is on top.
func onRing(step float64, steps int) (x, y float64) {
	angle := 2*math.Pi*step/float64(steps) - math.Pi/2
	return ringSize/2 + ringRadius*math.Cos(angle), ringSize/2 + ringRadius*math.Sin(angle)
}

// arrowFrom draws an arc of the ring from the border of one envelope to that of the next.
func arrowFrom(i, steps int) ringArrow {
	gap := float64(nodeRadius+3) / ringRadius * float64(steps) / (2 * math.Pi) // in steps
	const head = 7.0
	back := head / ringRadius * float64(steps) / (2 * math.Pi)
	begin, end := float64(i)+gap, float64(i+1)-gap
	x1, y1 := onRing(begin, steps)
	x2, y2 := onRing(end-back, steps)
	tipX, tipY := onRing(end, steps)
	// The base of the head is across the ring's line.
	outX, outY := (x2-ringSize/2)/ringRadius*4, (y2-ringSize/2)/ringRadius*4
	return ringArrow{
		Path: fmt.Sprintf("M%s %sA%d %d 0 0 1 %s %s", pixels(x1), pixels(y1), ringRadius, ringRadius, pixels(x2), pixels(y2)),
		Head: fmt.Sprintf("M%s %sL%s %sL%s %sZ", pixels(tipX), pixels(tipY), pixels(x2+outX), pixels(y2+outY), pixels(x2-outX), pixels(y2-outY)),
	}
}
