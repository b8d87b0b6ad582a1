package sealer

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/fence"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// session seals on one connection that holds the lock. After any error it is ended, and the
// next one starts from what is stored: its state may be ahead of the database.
type session struct {
	sealer *Sealer
	conn   *sealdriver.Conn
	log    log
	fence  fence.Fence

	through  sealdriver.Positions // everything up to there is final, but for what is awaited
	awaited  completeness.Set     // seqs of records that an open transaction may still commit
	lookedAt time.Time            // when it last read how far the trail has come
	opening  int64                // the seq of the event that opened the epoch, which is leaf 0

	cluster *cluster // nil on one server
}

// begin connects, and checks that the log is the one that was exported.
func (s *Sealer) begin(ctx context.Context) (*session, error) {
	n, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	err = n.load(ctx)
	if err == nil {
		err = n.fillLeaves(ctx)
	}
	if err != nil {
		n.end(ctx)
		return nil, err
	}
	return n, nil
}

// connect takes the lock on a connection of its own, if the trail can be sealed there.
func (s *Sealer) connect(ctx context.Context) (*session, error) {
	conn, err := sealdriver.Open(ctx, s.pool, s.config.Schema, sealdriver.Sealer)
	if err != nil {
		return nil, fmt.Errorf("connecting the sealer: %w", err)
	}
	n := &session{sealer: s, conn: conn}
	n.fence = fence.Fence{Source: conn, Patience: s.config.Patience, Report: n.blocked}
	err = n.checkFacts(ctx)
	if err == nil {
		err = n.lock(ctx)
	}
	if err != nil {
		n.end(ctx)
		return nil, err
	}
	return n, nil
}

// end also forgets who is open: no one watches any more.
func (n *session) end(ctx context.Context) {
	n.conn.Close(ctx)
	n.sealer.update(func(stats *Stats) { stats.BlockedBy, stats.BlockedSince = "", time.Time{} })
}

// lock tries for a second: a session that was cut off holds the lock until the server has
// noticed.
func (n *session) lock(ctx context.Context) error {
	for range 20 {
		locked, err := n.conn.TryLock(ctx)
		if err != nil {
			return fmt.Errorf("locking the log: %w", err)
		}
		if locked {
			return nil
		}
		if !wait.For(ctx, 50*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return n.sealedElsewhere(ctx)
}

// sealedElsewhere names who holds the lock. Every role may take an advisory lock, so its holder
// need not be a sealer.
func (n *session) sealedElsewhere(ctx context.Context) error {
	holder, err := n.conn.LockHolder(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("looking for who holds the lock of the log: %w", err)
	case holder == nil: // it has just gone
		return ErrSealedElsewhere
	case !holder.MaySeal:
		return fmt.Errorf("locking the log: process %d of role %s holds the lock and may not seal: end it with SELECT pg_terminate_backend(%d)",
			holder.Process, audit.Printable(holder.Role), holder.Process)
	}
	return fmt.Errorf("%w (process %d of role %s)", ErrSealedElsewhere, holder.Process, audit.Printable(holder.Role))
}

// checkFacts refuses what would let rows appear below the fence, or hide rows.
func (n *session) checkFacts(ctx context.Context) error {
	// Asked alone: on a cluster, the questions that follow may not be answered.
	distributed, err := n.conn.Distributed(ctx)
	if err != nil {
		return fmt.Errorf("checking whether the trail can be sealed: %w", err)
	}
	if distributed {
		return n.checkCluster(ctx)
	}
	facts, err := n.conn.Describe(ctx)
	if err != nil {
		return fmt.Errorf("checking whether the trail can be sealed: %w", err)
	}
	switch {
	case facts.InRecovery:
		return cannot("the server is a standby, whose sequences are ahead of its rows: connect to the primary")
	case facts.Isolation != "read committed":
		return cannot("the session's isolation is " + facts.Isolation + ", which does not see new rows")
	case facts.Subscribed:
		return cannot("the trail is filled by a logical subscription, so its sequences do not show how far it has come: seal the publisher")
	case !facts.ReadsSequences:
		return cannot("this role must read the sequences: migrate grants --sealer ROLE --apply")
	case facts.CachedSequences != "":
		return cannot("a sequence hands out blocks of values (" + facts.CachedSequences + "): ALTER SEQUENCE … CACHE 1, or migrate repair")
	}
	if err := mustBeTables(ctx, n.conn); err != nil {
		return cannot(err.Error())
	}
	n.sealer.warnOfUnlogged(ctx, facts.Unlogged)
	at, err := n.conn.Positions(ctx)
	if err != nil {
		return fmt.Errorf("reading the sequences: %w", err)
	}
	if last := facts.Last; last.Records > at.Records || last.Gaps > at.Gaps || last.Statements > at.Statements || last.Events > at.Events {
		return cannot("a sequence is behind the rows of its table, as after a restore of rows alone: migrate repair")
	}
	return nil
}

// warnOfUnlogged logs each table that a crash of the server empties, once. Sealing goes on: what
// is exported stays evidence.
func (s *Sealer) warnOfUnlogged(ctx context.Context, tables []string) {
	for _, table := range tables {
		s.mu.Lock()
		known := s.unlogged[table]
		s.unlogged[table] = true
		s.mu.Unlock()
		if !known {
			s.config.Logger.WarnContext(ctx, "audit_durability_reduced", slog.String("setting", table), slog.String("value", "unlogged"),
				slog.String("meaning", "a crash of the server empties the table: run ALTER TABLE "+table+" SET LOGGED"))
		}
	}
}
