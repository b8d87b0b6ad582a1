package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// Source numbers the records that a program stores in batches by itself, such as an import,
// and accounts for them as a Recorder does for its own. [Store.Completeness] then tells which
// of them are missing. It is safe for concurrent use. Close it when all batches are stored:
// of a source that never closed, no one knows the last ordinal.
type Source struct {
	store   *Store
	account *completeness.Account

	mu     sync.Mutex // guards given and doubted; lock stating first
	given  int64
	others map[uuid.UUID]bool // sources of a file that have a statement

	// doubted are ordinals that an attempt without an answer may have stored.
	doubted completeness.Set

	stating sync.Mutex
	unsent  []completeness.Statement
}

// sourceBlock is how many ordinals a Source reserves ahead. After a kill that many at most
// are unknown.
const sourceBlock = 100_000

// NewSource opens a source, which puts its first statement on record. label says who it is,
// in at most 200 characters; "" means host, program and process. The errors are those of
// [Store.Persist], but for [audit.ErrOutcomeUnknown]: [Source.Number] sends the statement again
// then, while another source would leave this one open for good. A store that replays decisions
// has no sources, and returns [audit.ErrNoPool] as one without a pool does.
func (s *Store) NewSource(ctx context.Context, label string) (*Source, error) {
	if s.replaying || !s.driver.HasPool() {
		return nil, fmt.Errorf("opening a source: %w", audit.ErrNoPool)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("opening a source: making its id: %w", err)
	}
	if label == "" {
		label = sourceLabel()
	}
	source := &Source{store: s, others: map[uuid.UUID]bool{}}
	source.account = completeness.NewAccount(id, clipLabel(label), sourceBlock, source.highest)
	if err := source.state(ctx, completeness.Opened); err != nil && !errors.Is(err, audit.ErrOutcomeUnknown) {
		return nil, fmt.Errorf("opening a source: %w", err)
	}
	return source, nil
}

// ID is the source's id, which its records carry.
func (s *Source) ID() uuid.UUID { return s.account.Source() }

func (s *Source) highest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// Number gives the next ordinals to those of recs that have none, and puts on record that it
// has. Records that carry an ordinal keep it: it may be this source's, of an earlier call, or
// that of another source, as in an exported file. Number returns the errors of
// [Store.Persist], and may be called again then.
func (s *Source) Number(ctx context.Context, recs []audit.Record) error {
	s.stating.Lock()
	defer s.stating.Unlock()
	s.mu.Lock()
	for i := range recs {
		if origin := &recs[i].Origin; origin.SourceSeq == 0 && origin.SourceID == uuid.Nil {
			s.given++
			origin.SourceID, origin.SourceSeq = s.account.Source(), s.given
		}
	}
	given := s.given
	s.mu.Unlock()
	var err error
	if given > s.account.Reserved() || len(s.unsent) > 0 {
		err = s.stateLocked(ctx, completeness.Periodic)
	}
	if err == nil {
		err = s.introduce(ctx, recs)
	}
	if err != nil {
		return fmt.Errorf("numbering records: %w", err)
	}
	return nil
}

// introduce states of the other sources of a file that their account is elsewhere, unless the
// trail knows them.
func (s *Source) introduce(ctx context.Context, recs []audit.Record) error {
	for i := range recs {
		source := recs[i].Origin.SourceID
		if source == uuid.Nil || recs[i].Origin.SourceSeq < 1 || source == s.account.Source() || s.others[source] {
			continue
		}
		known, err := s.knows(ctx, source)
		if err == nil && !known {
			err = s.persist(ctx, &completeness.Statement{SourceID: source, Number: 1, Kind: completeness.Imported, Label: clipLabel("imported by " + sourceLabel())})
		}
		if err != nil && !errors.Is(err, auditdriver.ErrStatementTaken) {
			return err
		}
		s.others[source] = true
	}
	return nil
}

func (s *Source) knows(ctx context.Context, source uuid.UUID) (known bool, err error) {
	err = s.store.calls.during(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.store.config.Timeout)
		defer cancel()
		_, known, err = s.store.driver.LatestStatement(ctx, source)
		return err
	})
	return known, err
}

// PersistMany is [Store.PersistMany] for records that [Source.Number] has numbered. It notes
// which of them are stored.
func (s *Source) PersistMany(ctx context.Context, recs []audit.Record) ([]audit.Result, error) {
	return s.store.persistMany(ctx, recs, s.deciding(s.store.sender(ctx, s.doubting(s.store.driver.PersistMany))))
}

// PersistManyFast is [Store.PersistManyFast] for records that [Source.Number] has numbered.
// It notes which of them are stored.
func (s *Source) PersistManyFast(ctx context.Context, recs []audit.Record) (audit.Counts, error) {
	results, err := s.store.persistMany(ctx, recs, s.deciding(s.store.sender(ctx, s.doubting(s.store.persistFast))))
	return countResults(results), err
}

// doubting notes what an attempt may have stored although it got no answer.
func (s *Source) doubting(persist attempting) attempting {
	return func(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
		items, err := persist(ctx, recs)
		unknown := errors.Is(err, audit.ErrOutcomeUnknown)
		for i := range recs {
			if unknown || i < len(items) && (items[i].InDoubt || errors.Is(items[i].Err, audit.ErrOutcomeUnknown)) {
				s.doubt(&recs[i])
			}
		}
		return items, err
	}
}

func (s *Source) doubt(rec *audit.Record) {
	if rec.Origin.SourceID == s.account.Source() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.doubted.Add(rec.Origin.SourceSeq, rec.Origin.SourceSeq)
	}
}

// deciding notes what is stored of the records that send sends.
func (s *Source) deciding(send sending) sending {
	return func(recs []audit.Record) ([]auditdriver.Item, int, error) {
		items, attempts, err := send(recs)
		for i := range items {
			switch {
			case err != nil || items[i].Err != nil:
			case items[i].Elsewhere:
				s.decide(&recs[i], completeness.AlreadyPersisted)
			default:
				s.decide(&recs[i], completeness.Present)
			}
		}
		return items, attempts, err
	}
}

// Reject notes that a record was refused for its own sake. It will not come, unless an attempt
// whose outcome is unknown has stored it.
func (s *Source) Reject(rec *audit.Record) {
	s.mu.Lock()
	inDoubt := s.doubted.Has(rec.Origin.SourceSeq)
	s.mu.Unlock()
	if inDoubt {
		s.decide(rec, completeness.RejectedInDoubt)
		return
	}
	s.decide(rec, completeness.Rejected)
}

// Drop notes that a record was given up. It will not come under its ordinal, unless an attempt
// whose outcome is unknown has stored it.
func (s *Source) Drop(rec *audit.Record) { s.decide(rec, completeness.DroppedInDoubt) }

func (s *Source) decide(rec *audit.Record, fate completeness.Fate) {
	if rec.Origin.SourceID == s.account.Source() {
		s.account.Decide(rec.Origin.SourceSeq, fate)
	}
}

// Close puts the source's last statement on record. What is neither stored, rejected nor
// dropped by then counts as unexplained. It returns the errors of [Store.Persist], and may
// be called again then.
func (s *Source) Close(ctx context.Context) error {
	if err := s.state(ctx, completeness.Closed); err != nil {
		return fmt.Errorf("closing a source: %w", err)
	}
	return nil
}

func (s *Source) state(ctx context.Context, kind completeness.Kind) error {
	s.stating.Lock()
	defer s.stating.Unlock()
	return s.stateLocked(ctx, kind)
}

// stateLocked makes a statement, unless an earlier one of its kind is unsent and says all there
// is to say, and stores what is unsent. The caller holds stating.
func (s *Source) stateLocked(ctx context.Context, kind completeness.Kind) error {
	if len(s.unsent) == 0 || s.unsent[len(s.unsent)-1].Kind != kind || s.account.Changed() {
		s.unsent = append(s.unsent, s.account.State(kind, nil)...)
	}
	for len(s.unsent) > 0 {
		if err := s.persist(ctx, &s.unsent[0]); err != nil {
			return err
		}
		s.unsent = s.unsent[1:]
	}
	return nil
}

func (s *Source) persist(ctx context.Context, statement *completeness.Statement) error {
	return s.store.calls.during(func() error {
		_, err := s.store.own(ctx, func(ctx context.Context) error { return s.store.driver.PersistStatement(ctx, statement) })
		return err
	})
}

// maxLabelCharacters bounds a source's label, as the column does.
const maxLabelCharacters = 200

// sourceLabel says who a source is: host, process, program and its version. It names no user
// and no path.
func sourceLabel() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	program := "unknown program"
	if len(os.Args) > 0 {
		program = filepath.Base(os.Args[0])
	}
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = " " + info.Main.Version
	}
	label := fmt.Sprintf("%s %s%s (process %d)", host, program, version, os.Getpid())
	return clipLabel(label)
}

// clipLabel makes a label that the database takes.
func clipLabel(label string) string {
	label = strings.ReplaceAll(strings.ToValidUTF8(label, "\uFFFD"), "\x00", "\uFFFD")
	if runes := []rune(label); len(runes) > maxLabelCharacters {
		label = string(runes[:maxLabelCharacters])
	}
	return label
}
