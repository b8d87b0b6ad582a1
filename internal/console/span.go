package console

import (
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// span is the time that is drawn, in seconds, because a time.Duration cannot hold all years
// that a record may have.
type span struct{ from, to float64 }

// spanOf leaves out infinite times and those that would stretch the drawing over all others.
func spanOf(entries []audit.TimelineEntry) span {
	s := span{}
	for i := range entries {
		at := entries[i].DecisionTimestamp
		if audit.IsInfinite(at) || at.Year() < 1 || at.Year() > 9999 {
			continue
		}
		if s == (span{}) {
			s.from = seconds(at)
		}
		s.to = seconds(at)
	}
	room := max((s.to-s.from)*0.01, 0.5) // so that the first and the last mark are whole
	return span{s.from - room, s.to + 2*room}
}

func seconds(at time.Time) float64 { return float64(at.Unix()) + float64(at.Nanosecond())/1e9 }

// at is the place of a time, 0 to 1.
func (s span) at(t time.Time) float64 {
	return min(max((seconds(t)-s.from)/(s.to-s.from), 0), 1)
}

// ticks divide the time into quarters.
func (s span) ticks() []tick {
	layout := "Jan 2 15:04"
	switch length := s.to - s.from; {
	case length < 120:
		layout = "15:04:05.00"
	case length < 12*3600:
		layout = "15:04:05"
	case length > 300*24*3600:
		layout = "2006-01-02"
	}
	var all []tick
	for i, anchor := range []string{"start", "middle", "end"} {
		of := float64(i) / 2
		at := s.from + of*(s.to-s.from)
		whole := int64(at)
		all = append(all, tick{format.Length(of), time.Unix(whole, int64((at-float64(whole))*1e9)).UTC().Format(layout), anchor})
	}
	return all
}
