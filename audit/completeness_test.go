package audit_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestSourceAccountFinished(t *testing.T) {
	t.Parallel()
	missing := []audit.OrdinalRange{{First: 4, Last: 5}, {First: 9, Last: 9}}
	for name, test := range map[string]struct {
		account  audit.SourceAccount
		finished bool
	}{
		"Closed":      {audit.SourceAccount{Closed: true, Explained: audit.Explained{Dropped: 1}}, true},
		"Imported":    {audit.SourceAccount{Imported: true}, true},
		"Open":        {audit.SourceAccount{}, false},
		"Waiting":     {audit.SourceAccount{Closed: true, Waiting: 1}, false},
		"Unexplained": {audit.SourceAccount{Closed: true, Unexplained: missing}, false},
		"Finding":     {audit.SourceAccount{Imported: true, Findings: []audit.Finding{{Kind: audit.RepeatedOrdinal}}}, false},
	} {
		if got := test.account.Finished(); got != test.finished {
			t.Errorf("%s: finished is %v, want %v", name, got, test.finished)
		}
	}
	if n := (audit.SourceAccount{Unexplained: missing}).UnexplainedTotal(); n != 3 {
		t.Errorf("%d unexplained, want 3", n)
	}
}
