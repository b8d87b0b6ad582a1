package importer

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Counts counts each line once, by its outcome. A record may count as already persisted
// if it was sent twice because the outcome of the first attempt was unknown.
type Counts struct {
	Read             int64 `json:"read"` // the sum of the others
	Persisted        int64 `json:"persisted"`
	AlreadyPersisted int64 `json:"already_persisted"`
	Skipped          int64 `json:"skipped"`
	Rejected         int64 `json:"rejected"`

	// Newer counts the lines that a newer release wrote. They are neither stored nor kept
	// with the refused ones: a newer program imports them from where they are.
	Newer int64 `json:"newer_format,omitempty"`
}

// String is the counts in one line.
func (c Counts) String() string {
	text := fmt.Sprintf("%s read, %s persisted, %s already persisted, %s skipped, %s rejected", format.Plural(c.Read, "line"),
		format.Thousands(c.Persisted), format.Thousands(c.AlreadyPersisted), format.Thousands(c.Skipped), format.Thousands(c.Rejected))
	if c.Newer > 0 {
		text += fmt.Sprintf(", %s of a newer format", format.Thousands(c.Newer))
	}
	return text
}
