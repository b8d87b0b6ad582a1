package sealer

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

const (
	// longBlocked is how long a sealer waits before it logs that it is blocked. When its
	// patience is over, it does so in any case.
	longBlocked = 10 * time.Second

	// maxNames bounds the transactions that are named.
	maxNames = 10
)

// blocked reports the transactions that are waited for or gone around. A long wait would
// leave what was last seen of the trail out of date.
func (n *session) blocked(ctx context.Context, by []string, since time.Time) error {
	text := strings.Join(by[:min(len(by), maxNames)], ", ")
	if len(by) > maxNames {
		text += fmt.Sprintf(" and %d more", len(by)-maxNames)
	}
	n.sealer.block(ctx, text, since)
	if text != "" && time.Since(n.lookedAt) >= lookEvery {
		return n.lookAgain(ctx)
	}
	return nil
}

// block reports who blocks the sealer. It logs once when that takes long, and once when it is
// over. A session that ends in between says neither.
func (s *Sealer) block(ctx context.Context, by string, since time.Time) {
	s.mu.Lock()
	s.stats.BlockedBy, s.stats.BlockedSince = by, since
	logged := s.logged
	isLong := by != "" && time.Since(since) >= min(longBlocked, s.config.Patience)
	switch {
	case by == "":
		s.logged = time.Time{}
	case isLong && logged.IsZero():
		s.logged = since
	}
	s.mu.Unlock()
	switch {
	case by == "" && !logged.IsZero():
		s.config.Logger.InfoContext(ctx, "coordination_audit_seal_unblocked", slog.Time("since", logged), slog.Duration("blocked_for", time.Since(logged)))
	case isLong && logged.IsZero():
		s.config.Logger.WarnContext(ctx, "coordination_audit_seal_blocked", slog.String("by", by), slog.Time("since", since))
	}
}
