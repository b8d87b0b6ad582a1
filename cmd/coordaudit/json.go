package main

import (
	"encoding/json"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// printJSON prints a result as one line.
func (p *program) printJSON(tried string, result any) error {
	text, err := json.Marshal(result)
	if err != nil {
		return &failure{tried: tried, cause: err}
	}
	return p.print(string(text) + "\n")
}

// recordObject is the record's own JSON form, what the database added to it, and
// the keys of further objects.
func recordObject(rec audit.Record, more ...any) (json.RawMessage, error) {
	text, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	added := struct {
		Seq       int64  `json:"seq"`
		CreatedAt string `json:"created_at"`
	}{rec.Seq, timeText(rec.CreatedAt)}
	for _, part := range append([]any{added}, more...) {
		object, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		// Two objects, neither empty, become one.
		text = append(append(text[:len(text)-1], ','), object[1:]...)
	}
	return text, nil
}

// windowJSON is a window as all commands write it: null is an open bound.
type windowJSON struct {
	Since *string `json:"since"`
	Until *string `json:"until"`
}

func windowObject(w audit.Window) windowJSON {
	return windowJSON{Since: timeOrNull(w.Since), Until: timeOrNull(w.Until)}
}

func timeOrNull(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	text := timeText(at)
	return &text
}
