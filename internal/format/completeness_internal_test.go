package format

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestFinding(t *testing.T) {
	t.Parallel()
	for want, finding := range map[string]audit.Finding{
		"more than one row carries ordinal 2":                                       {Kind: audit.RepeatedOrdinal, First: 2, Last: 2},
		"more than one row carries each of the ordinals 2 to 1,000":                 {Kind: audit.RepeatedOrdinal, First: 2, Last: 1000},
		"a row carries ordinal 3, and a statement says that it never comes":         {Kind: audit.UnexpectedRow, First: 3, Last: 3},
		"rows carry the ordinals 3 to 4, and a statement says that they never come": {Kind: audit.UnexpectedRow, First: 3, Last: 4},
		"a row carries ordinal 4,000, and no statement has reserved that":           {Kind: audit.UnreservedRow, First: 4000, Last: 4000},
		"statement 1 is missing, and later ones are there":                          {Kind: audit.MissingStatement, First: 1, Last: 1},
		"the statements 1 to 3 are missing, and later ones are there":               {Kind: audit.MissingStatement, First: 1, Last: 3},
		"rows carry the id of this source, and it has made no statement":            {Kind: audit.NoStatements},
		"of a kind that only a later release knows: ordinal 7":                      {Kind: "of a kind that only a later release knows", First: 7, Last: 7},
	} {
		if got := Finding(finding); got != want {
			t.Errorf("%+v became %q, want %q", finding, got, want)
		}
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for want, account := range map[string]audit.SourceAccount{
		"at least 9 accepted: 8 present, 1 waiting; 3 more in the last block, not closed": {OpenedAt: at, AcceptedThrough: 5, Present: 8, Waiting: 1, LastBlock: 3},
		"5 accepted: 5 present, closed": {OpenedAt: at, Closed: true, AcceptedThrough: 5, Present: 5},
		"1,015 accepted: 1,000 present, 1 dropped, 2 rejected, 3 already persisted, 4 waiting, 5 unexplained; 8,192 more in the last block, not closed": {
			OpenedAt: at, AcceptedThrough: 1015, Present: 1000, Explained: audit.Explained{Dropped: 1, Rejected: 2, AlreadyPersisted: 3},
			Waiting: 4, LastBlock: 8192, Unexplained: []audit.OrdinalRange{{First: 7, Last: 11}},
		},
		"1 record present, without statements": {Present: 1},
		"2 records of a file; the account of this source is in the trail that the file was exported from, of a file": {OpenedAt: at, Imported: true, Present: 2},
	} {
		if got := Account(account) + ", " + SourceState(account); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for want, times := range map[string][2]time.Time{
		"accepted at an unknown time":                                              {},
		"accepted before 2026-01-05T12:00:00.000000Z":                              {{}, at},
		"accepted after 2026-01-05T12:00:00.000000Z":                               {at, {}},
		"accepted from 2026-01-05T12:00:00.000000Z to 2026-01-05T12:00:01.000000Z": {at, at.Add(time.Second)},
	} {
		if got := Accepted(times[0], times[1]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
