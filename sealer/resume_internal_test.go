package sealer

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/seal"
)

// Only what a verification can be resumed from is saved: not what lies behind the last part, which
// may be shorter than the others.
func TestOnlyWholePartsAreSaved(t *testing.T) {
	t.Parallel()
	saved := 0
	v := &verifier{config: VerifyConfig{Save: func([]byte) error { saved++; return nil }}}
	for leaves := range partLeaves + 1 {
		if err := v.saveNowAndThen(); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 1, false: 0}[leaves%partLeaves == 0]; saved != want {
			t.Fatalf("with %d leaves it was saved %d times, want %d", leaves, saved, want)
		}
		saved, v.savedAt = 0, time.Time{}
		v.tree.Append(seal.Hash{})
	}
}
