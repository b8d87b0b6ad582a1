package shared

import (
	"encoding/json"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// RecordObject is the JSON form of a record, with what the database added to it and the
// keys of further objects.
func RecordObject(rec audit.Record, more ...any) (json.RawMessage, error) {
	text, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	added := struct {
		Seq       int64  `json:"seq"`
		CreatedAt string `json:"created_at"`
	}{rec.Seq, format.Time(rec.CreatedAt)}
	for _, part := range append([]any{added}, more...) {
		object, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		// Two objects that are not empty become one.
		text = append(append(text[:len(text)-1], ','), object[1:]...)
	}
	return text, nil
}

// WindowJSON is a window as every command writes it. null is an open bound.
type WindowJSON struct {
	Since *string `json:"since"`
	Until *string `json:"until"`
}

// WindowObject returns the JSON form of a window.
func WindowObject(w audit.Window) WindowJSON {
	return WindowJSON{Since: TimeOrNull(w.Since), Until: TimeOrNull(w.Until)}
}

// TimeOrNull returns a time as text, or nil for none.
func TimeOrNull(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	text := format.Time(at)
	return &text
}

// OrEmpty keeps null away from scripts that look for keys.
func OrEmpty[K comparable, V any](counts map[K]V) map[K]V {
	if counts == nil {
		return make(map[K]V)
	}
	return counts
}
