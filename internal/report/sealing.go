package report

import (
	"cmp"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Sealing is what the database says about its sealed log. Only a comparison with an exported
// checkpoint is more than a claim.
type Sealing struct {
	// Size is the number of rows in the log, as of the last checkpoint. If it is 0, nothing
	// is sealed.
	Size int64

	// Origin, Epoch and Root are those of the last checkpoint. The root is written as in an
	// exported one.
	Origin string
	Epoch  int64
	Root   string

	// MadeAt is when the last checkpoint was made, by the clock of the database.
	MadeAt time.Time

	// Unsealed counts the records that no checkpoint covers. If MoreUnsealed is set, there
	// may be more.
	Unsealed     int64
	MoreUnsealed bool

	// Compared is nil if no exported checkpoint was given.
	Compared *SealComparison
}

// SealComparison compares the stored log with an exported checkpoint, whose signature was
// checked.
type SealComparison struct {
	Origin string
	Size   int64
	Root   string

	// Differences are empty if the log has the root of the checkpoint.
	Differences []string
}

// sealed is the section on sealing, and its line in the head.
type sealed struct {
	Verdict string
	Unread  string // why there is nothing else
	Counts  []tile
	*Sealing
}

func newSealed(data Data) sealed {
	found := data.Sealing
	if found == nil {
		return sealed{Verdict: "not known", Unread: cmp.Or(data.SealingUnread, "it was not read.")}
	}
	view := sealed{Verdict: "sealed, as the database says, and not verified", Sealing: found}
	switch of := found.Compared; {
	case of != nil && len(of.Differences) > 0:
		view.Verdict = "the log differs from the exported checkpoint"
	case of != nil:
		view.Verdict = "the log has the root of the exported checkpoint, and its rows were not verified"
	case found.Size == 0:
		view.Verdict = "not sealed"
	}
	if found.Size > 0 {
		unsealed := format.Thousands(found.Unsealed)
		if found.MoreUnsealed {
			unsealed = "at least " + unsealed
		}
		view.Counts = []tile{
			{Name: "epoch", Value: format.Thousands(found.Epoch)},
			{Name: "rows in the log", Value: format.Thousands(found.Size), Note: "records, gaps, statements and events"},
			{Name: "last checkpoint", Value: stamp(found.MadeAt), Note: "UTC"},
			{Name: "records not sealed yet", Value: unsealed},
		}
	}
	return view
}
