package browsertest_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// sampleAccount has sources that are closed, one that runs, one whose records wait, and one
// with missing records.
func sampleAccount(records int64, start time.Time) *audit.Completeness {
	account := &audit.Completeness{At: start.AddDate(0, 0, sampleDays), Unnumbered: 12}
	for n := range 14 {
		opened := start.AddDate(0, 0, n)
		account.Sources = append(account.Sources, audit.SourceAccount{
			SourceID: uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(n)}), Label: fmt.Sprintf("node-%d coordinator v1.%d.0 (process %d)", n%3, n/5, 4100+7*n),
			OpenedAt: opened, LastStatementAt: opened.AddDate(0, 0, 1), Closed: true,
			AcceptedThrough: records / 14, ReservedThrough: records / 14, Present: records / 14,
		})
	}
	faulty := &account.Sources[4]
	faulty.Present -= 5
	faulty.Unexplained = []audit.OrdinalRange{
		{First: 17, Last: 20, After: faulty.OpenedAt, Before: faulty.OpenedAt.Add(time.Minute)},
		{First: 41, Last: 41, After: faulty.OpenedAt.Add(time.Hour), Before: faulty.OpenedAt.Add(time.Hour + time.Minute)},
	}
	faulty.Findings = []audit.Finding{{Kind: audit.UnexpectedRow, First: 9, Last: 9}}
	waiting := &account.Sources[12]
	waiting.Present, waiting.Waiting = waiting.Present-3, 3
	running := &account.Sources[13]
	running.Closed, running.LastBlock, running.ReservedThrough = false, 8192, running.AcceptedThrough+8192
	return account
}
