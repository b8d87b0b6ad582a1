package report

import (
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

const (
	hour = int64(60 * 60)
	day  = 24 * hour

	// longWindow is the length from which a mostly empty window is not drawn whole.
	longWindow = 92 * day
)

// span is the time that the charts draw, in seconds since 1970, because a time.Duration
// cannot hold all years that a record may have.
type span struct {
	from, to int64

	// cut means that the window is longer, and that nothing happened in the rest of it.
	cut bool
}

// newSpan takes the window. An open window ends when the report was made. A long window
// that is mostly empty is drawn from the first record to the last.
func newSpan(data Data) span {
	first, last, ok := drawnTimes(data.Breakdown)
	if !ok {
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

// isDrawn leaves out what only adopted rows can have: infinite times, and years that would
// stretch the chart over all others.
func isDrawn(at time.Time) bool { return at.Year() >= 1 && at.Year() <= 9999 }

// drawnTimes returns the first and the last time that is drawn. It is not ok if there is
// none.
func drawnTimes(found audit.Breakdown) (first, last time.Time, ok bool) {
	if isDrawn(found.FirstSeen) && isDrawn(found.LastSeen) {
		return found.FirstSeen, found.LastSeen, found.Total > 0 && !found.FirstSeen.IsZero()
	}
	for _, count := range found.ByDay {
		if !isDrawn(count.Day) {
			continue
		}
		if !ok {
			first, ok = count.Day, true
		}
		last = count.Day.Add(24*time.Hour - time.Microsecond)
	}
	// A day may begin before its first record, and end after its last one.
	if isDrawn(found.FirstSeen) && found.FirstSeen.After(first) {
		first = found.FirstSeen
	}
	if isDrawn(found.LastSeen) && found.LastSeen.Before(last) {
		last = found.LastSeen
	}
	return first, last, ok
}

// at is the place of a time in the span, 0 to 1.
func (s span) at(t time.Time) float64 {
	seconds := float64(t.Unix()-s.from) + float64(t.Nanosecond())/1e9
	return min(max(seconds/float64(s.to-s.from), 0), 1)
}

// label writes a time as precisely as the span needs.
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

	// Minor ticks have no text if there is little room.
	Minor bool
}

// ticks divide the span into quarters.
func (s span) ticks() []tick {
	const parts = 4
	anchors := [parts + 1]string{"start", "middle", "middle", "middle", "end"}
	all := make([]tick, 0, len(anchors))
	for i, anchor := range anchors {
		of := float64(i) / parts
		all = append(all, tick{
			X:      format.Length(of),
			Text:   s.label(s.from + int64(of*float64(s.to-s.from))),
			Anchor: anchor,
			Minor:  i%2 == 1,
		})
	}
	return all
}
