package suppression_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// verify compares what the account says of each source with what happened to its ordinals.
func (s *scene) verify(pool *pgxpool.Pool) {
	s.t.Helper()
	result, err := coordaudit.New(pool, fixture.Quiet()).Completeness(s.t.Context(), audit.CompletenessQuery{})
	if err != nil {
		s.t.Fatal(err)
	}
	testimony, err := auditdriver.New(pool).Testify(s.t.Context(), audit.Window{})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(result.Sources) != len(s.lives) {
		s.t.Errorf("%d sources of %d processes", len(result.Sources), len(s.lives))
	}
	var given, missing int64
	for _, l := range s.lives {
		at := slices.IndexFunc(result.Sources, func(a audit.SourceAccount) bool {
			return strings.Contains(a.Label, fmt.Sprintf("(process %d)", l.command.Process.Pid))
		})
		if at < 0 {
			s.t.Errorf("%s has no account", l.name)
			continue
		}
		n, m := s.verifyLife(l, result.Sources[at], testimony.Sources[result.Sources[at].SourceID])
		given, missing = given+n, missing+m
	}
	s.t.Logf("%d ordinals of %d sources, %d missing, all of them reported", given, len(s.lives), missing)
	if missing < given/20 {
		s.t.Errorf("%d of %d are missing, which is less than a twentieth", missing, given)
	}
}

// verifyLife requires that each missing ordinal is reported, and that nothing else is.
func (s *scene) verifyLife(l *life, account audit.SourceAccount, source auditdriver.Source) (given, missing int64) {
	s.t.Helper()
	answers := l.given(s.t)
	given = int64(len(answers))
	gone := completeness.Span(1, given).Minus(source.Rows.Present)
	never, waiting := stated(source)
	var unexplained completeness.Set
	for _, r := range account.Unexplained {
		unexplained.Add(r.First, r.Last)
	}
	lastBlock := completeness.Set(nil)
	if !account.Closed {
		lastBlock = completeness.Span(account.AcceptedThrough+1, account.ReservedThrough)
	}
	if silent := gone.Minus(never, waiting, unexplained, lastBlock); len(silent) > 0 {
		s.t.Errorf("%s: no one reports %s of %d", l.name, silent, given)
	}
	if wrong := unexplained.Minus(gone, completeness.SetOf(given+1)); len(wrong) > 0 { // a killed process may have given one more
		s.t.Errorf("%s: %s are reported and not missing", l.name, wrong)
	}
	s.verifyCauses(l, account, answers)
	s.t.Logf("%-12s %6d given, %6d present, %5d dropped, %4d rejected, %4d waiting, %5d unexplained, %4d in the last block, %4d deleted; findings %v",
		l.name, given, account.Present, account.Explained.Dropped, account.Explained.Rejected, account.Waiting,
		unexplained.Count(), gone.And(lastBlock).Count(), s.hidden[account.SourceID.String()], account.Findings)
	return given, gone.Count()
}

// verifyCauses requires the cause of what is missing where only one is possible.
func (s *scene) verifyCauses(l *life, account audit.SourceAccount, answers []byte) {
	s.t.Helper()
	var unexplained int64
	for _, r := range account.Unexplained {
		unexplained += r.Last - r.First + 1
	}
	deleted := int64(s.hidden[account.SourceID.String()])
	if l.name == "killed" || l.name == "failed over" { // they have lost records in other ways, too
		return
	}
	if len(account.Findings) > 0 || unexplained != deleted || account.Waiting != 0 || !account.Closed {
		s.t.Errorf("%s: %+v, want the %d deleted rows unexplained and nothing else", l.name, account, deleted)
	}
	if refused := int64(strings.Count(string(answers), "-")); account.Explained.Dropped != refused {
		s.t.Errorf("%s: %d dropped, want the %d that Enqueue refused", l.name, account.Explained.Dropped, refused)
	}
	if poisoned := l.config.PoisonEvery > 0; poisoned != (account.Explained.Rejected > 0) {
		s.t.Errorf("%s: %d rejected", l.name, account.Explained.Rejected)
	}
}

// stated returns what the statements say of ordinals that have no row.
func stated(source auditdriver.Source) (never, waiting completeness.Set) {
	for i := range source.Statements {
		statement := &source.Statements[i]
		never.AddAll(statement.Dropped)
		never.AddAll(statement.Rejected)
		never.AddAll(statement.AlreadyPersisted)
		if i == 0 || !source.Statements[i-1].WaitingContinues {
			waiting = nil
		}
		waiting.AddAll(statement.Waiting)
	}
	return never, waiting
}
