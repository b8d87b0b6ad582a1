package recorder

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// statementStore stores statements. Each call is one attempt.
type statementStore interface {
	PersistStatement(ctx context.Context, s *completeness.Statement) error

	// LatestStatement returns the statement of a source that has the highest number.
	LatestStatement(ctx context.Context, source uuid.UUID) (s completeness.Statement, found bool, err error)
}

// statementFiles keeps statements on disk, and knows the ordinals of the records there.
type statementFiles interface {
	SaveStatements(statements []completeness.Statement) error
	ForgetStatements() error
	Ordinals() map[uuid.UUID]completeness.Set
	Empty() bool
}

// statements puts the accounts of a book on record. A statement is on record before the
// records that it reserves ordinals for: in the database before they are sent, on disk before
// they are spooled.
type statements struct {
	book     *book
	database statementStore
	files    statementFiles
	log      *slog.Logger
	timeout  time.Duration   // of one attempt
	maxDelay time.Duration   // until refused statements are tried again
	wake     <-chan struct{} // the reserved block runs short
	setShort func(from int64)

	// covered is the highest own ordinal that a stored statement reserves. It is negative
	// while a statement waits to be stored.
	covered atomic.Int64

	// sending is held while statements are sent, saving while they are written to disk, and mu
	// for a moment only. Lock them in this order.
	sending, saving sync.Mutex

	// found are the last statements of earlier sources whose accounts do not go on yet. Only
	// the goroutine of run uses it, and close after that.
	found map[uuid.UUID]completeness.Statement

	mu        sync.Mutex
	opened    bool
	pending   []completeness.Statement // made and not stored, oldest first
	stored    int                      // how many statements were pending before these
	saved     int                      // how many statements are on disk, or were, counted like stored
	lines     int                      // of the file of statements
	failing   bool                     // to save; logged
	notBefore time.Time                // refused statements are tried again
	refused   bool                     // logged
}

const uncovered = -1

func newStatements(
	config Config, book *book, queue *queue, database statementStore, dir *spool.Directory,
	found []completeness.Statement, last map[uuid.UUID]completeness.Statement, log *slog.Logger,
) *statements {
	s := &statements{
		book: book, database: database, files: dir, log: log, timeout: config.AttemptTimeout, maxDelay: config.MaxDelay,
		wake: queue.short, setShort: queue.setShort, pending: found, saved: len(found), lines: len(found),
		found: last,
	}
	s.covered.Store(uncovered)
	return s
}

// cover stores what must be on record before a batch whose highest own ordinal is through.
// In the usual case it asks nothing. It fails only if the connection does: a server that
// answers, and takes no statement, holds up no record.
func (s *statements) cover(ctx context.Context, through int64) error {
	if through <= s.covered.Load() {
		return nil
	}
	return s.storeAll(ctx, through, s.timeout/4)
}

// storeAll stores what is pending, and a new statement if through is not reserved. An attempt
// may take the given time.
func (s *statements) storeAll(ctx context.Context, through int64, patience time.Duration) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	for {
		next, ok := s.next(through)
		if !ok {
			return nil
		}
		attempt, cancel := context.WithTimeout(ctx, patience)
		err := s.database.PersistStatement(attempt, &next)
		if errors.Is(err, auditdriver.ErrStatementTaken) {
			err = s.renumber(attempt, next.SourceID)
			cancel()
			if err == nil {
				continue
			}
		}
		cancel()
		if err != nil {
			return s.failed(ctx, err)
		}
		s.pop()
	}
}

// next returns the oldest statement that waits, and makes one if it is due.
func (s *statements) next(through int64) (next completeness.Statement, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.notBefore) {
		return next, false
	}
	if !s.opened || len(s.pending) == 0 && through > s.book.own.Reserved() {
		s.state(s.book.own, completeness.Periodic)
	}
	if len(s.pending) == 0 {
		s.refused = false
		s.covered.Store(s.book.own.Reserved())
		return next, false
	}
	return s.pending[0], true
}

func (s *statements) pop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = s.pending[1:]
	s.stored++
}

// failed lets statements that the server does not take wait without the records. Their table
// may be missing, locked or full, or the right to write to it may be missing.
func (s *statements) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil || !errors.Is(err, audit.ErrRefused) && sqlState(err) == "" {
		return err
	}
	s.mu.Lock()
	s.notBefore = time.Now().Add(s.maxDelay)
	first := !s.refused
	s.refused = true
	s.mu.Unlock()
	if first {
		s.notRecorded(ctx, slog.LevelError, err)
	}
	return nil
}

// renumber gives the waiting statements of a source the numbers after the last stored one.
// Someone else has made statements for it, as a copy of the spool would.
func (s *statements) renumber(ctx context.Context, source uuid.UUID) error {
	last, _, err := s.database.LatestStatement(ctx, source)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = s.stored // what is on disk has other numbers
	for i := range s.pending {
		if s.pending[i].SourceID == source {
			last.Number++
			s.pending[i].Number = last.Number
		}
	}
	if account := s.book.account(source); account != nil {
		account.Continue(last)
	}
	return nil
}

// state makes an account's next statement. The caller holds mu.
func (s *statements) state(account *completeness.Account, kind completeness.Kind) {
	if account == s.book.own && !s.opened {
		s.opened = true
		if kind == completeness.Periodic {
			kind = completeness.Opened
		}
	}
	s.pending = append(s.pending, account.State(kind, s.files.Ordinals()[account.Source()])...)
	s.covered.Store(uncovered)
	if account == s.book.own {
		s.setShort(account.ShortFrom())
	}
}

// stateEach makes a statement for each account that has something to say.
func (s *statements) stateEach(accounts []*completeness.Account, has func(*completeness.Account) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, account := range accounts {
		if has(account) {
			s.state(account, completeness.Periodic)
		}
	}
}

func (s *statements) notRecorded(ctx context.Context, level slog.Level, err error) {
	s.log.LogAttrs(ctx, level, "audit_statement_not_recorded", slog.String("error", err.Error()))
}
