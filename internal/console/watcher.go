package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// watcher is one client of the live tail.
type watcher struct {
	hub     *hub
	pages   pages
	places  places
	query   audit.Query
	at      position
	out     http.ResponseWriter
	control *http.ResponseController

	trouble string // as the client knows it
	skips   int    // likewise
}

// message is what a client gets.
type message struct {
	Rows    string `json:"rows,omitempty"`    // of the table, the newest first
	Count   int    `json:"count"`             // how many rows there are
	Left    int    `json:"left,omitempty"`    // how many more there were
	Lost    bool   `json:"lost,omitempty"`    // some were missed: load the page again
	Skipped bool   `json:"skipped,omitempty"` // the trail grows faster than the tail shows
	Trouble string `json:"trouble,omitempty"` // why there is nothing new
}

// run sends messages until the client leaves or the console ends.
func (s *watcher) run(ctx context.Context) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	if s.send("retry: 3000\n\n") != nil {
		return
	}
	for {
		b := s.hub.since(s.at, s.query.Scope)
		if s.deliver(b) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.hub.ended:
			return
		case <-b.changed:
			if !s.pause(ctx) {
				return
			}
		case <-beat.C:
			if s.send("id: "+s.places.text(s.at)+"\n\n") != nil {
				return
			}
		}
	}
}

// pause gathers what comes within the pace of messages.
func (s *watcher) pause(ctx context.Context) bool {
	timer := time.NewTimer(pace)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.hub.ended:
		return false
	case <-timer.C:
		return true
	}
}

func (s *watcher) deliver(b batch) error {
	m := message{Lost: b.lost, Skipped: b.skips != s.skips, Trouble: b.trouble}
	var shown []*event
	for _, one := range slices.Backward(b.events) {
		switch {
		case !matches(&s.query, &one.Record):
		case len(shown) == mostRows:
			m.Left++
		default:
			shown = append(shown, one)
		}
	}
	known := len(shown) == 0 && !m.Lost && !m.Skipped && b.trouble == s.trouble
	s.at, s.trouble, s.skips = b.at, b.trouble, b.skips
	if known {
		return nil
	}
	m.Count = len(shown)
	var rows strings.Builder
	for _, one := range shown {
		row, err := one.row(s.pages, s.query.Scope.IsAllTenants())
		if err != nil {
			return fmt.Errorf("making a row: %w", err)
		}
		rows.WriteString(row)
	}
	m.Rows = rows.String()
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("making a message: %w", err)
	}
	return s.send(fmt.Sprintf("id: %s\ndata: %s\n\n", s.places.text(s.at), text))
}

// rowView is a row of a table of records.
type rowView struct {
	audit.Record
	AllTenants bool
	Late       bool
}

func (s *watcher) send(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTime)) // a recorder of tests has none
	if _, err := s.out.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}
