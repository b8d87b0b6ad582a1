package frame

import (
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// NewStatement returns the first statement of a source of its own.
func NewStatement() completeness.Statement {
	return completeness.Statement{
		SourceID: uuid.New(), Number: 1, Kind: completeness.Opened, AcceptedThrough: 3, ReservedThrough: 20,
		Dropped: completeness.SetOf(1), Waiting: completeness.SetOf(2, 3), Label: "coordinator-1",
	}
}
