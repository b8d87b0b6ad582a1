package report

import (
	"time"
)

const (
	hour = int64(60 * 60)
	day  = 24 * hour

	// longWindow is from where on a window that is mostly empty is not drawn whole.
	longWindow = 92 * day
)

// span is the time that the charts draw, in seconds since 1970: a time.Duration
// does not hold the years that a record may have.
type span struct {
	from, to int64

	// cut says that the window is longer, and that nothing happened in the rest.
	cut bool
}

// newSpan takes the window, which ends with the report where it is open. A long
// one with most of it empty would be a chart of nothing, so that is drawn from
// the first record to the last.
func newSpan(data Data) span {
	first, last := data.Breakdown.FirstSeen, data.Breakdown.LastSeen
	if data.Breakdown.Total == 0 || first.IsZero() {
		first, last = data.Made, data.Made
	}
	s := span{from: first.Unix(), to: max(data.Made.Unix(), last.Unix()) + 1}
	if since := data.Query.Window.Since; !since.IsZero() {
		s.from = since.Unix()
	}
	if until := data.Query.Window.Until; !until.IsZero() {
		s.to = until.Unix()
	}
	seen := span{from: first.Unix(), to: last.Unix() + 1, cut: true}
	if s.to-s.from > longWindow && 2*(seen.to-seen.from) < s.to-s.from {
		s = seen
	}
	s.to = max(s.to, s.from+1)
	return s
}

// at is where a time lies in the span, 0 to 1.
func (s span) at(t time.Time) float64 {
	seconds := float64(t.Unix()-s.from) + float64(t.Nanosecond())/1e9
	return min(max(seconds/float64(s.to-s.from), 0), 1)
}

// label names a time as precisely as the span asks for.
func (s span) label(seconds int64) string {
	layout := "Jan 2"
	switch length := s.to - s.from; {
	case length < 3*day:
		layout = "Jan 2 15:04"
	case length > 300*day:
		layout = "2006-01"
	}
	return time.Unix(seconds, 0).UTC().Format(layout)
}

// tick is a mark of a time axis.
type tick struct {
	X, Text string
	Anchor  string

	// Minor ones have no text where there is little room.
	Minor bool
}

// ticks quarter the span.
func (s span) ticks() []tick {
	const parts = 4
	anchors := [parts + 1]string{"start", "middle", "middle", "middle", "end"}
	all := make([]tick, 0, len(anchors))
	for i, anchor := range anchors {
		of := float64(i) / parts
		all = append(all, tick{
			X:      length(of),
			Text:   s.label(s.from + int64(of*float64(s.to-s.from))),
			Anchor: anchor,
			Minor:  i%2 == 1,
		})
	}
	return all
}
