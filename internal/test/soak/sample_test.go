package soak_test

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// sample compares the counts of the current life with each other, with those of the previous
// sample, and with the answers to its callers.
func (l *lives) sample() {
	life := l.now()
	known := life.accepted.Load()
	stats := life.recorder.Stats()
	begun := life.begun.Load()
	for class, now := range stats.ByClass {
		if now.Accepted != now.AccountedFor() {
			l.t.Errorf("life %d, %s does not add up: %+v", life.number, class, now)
		}
		if min(now.Queued, now.Spooled) < 0 || fell(life.before[class], now) {
			l.t.Errorf("life %d, %s: %+v follows %+v", life.number, class, now, life.before[class])
		}
	}
	life.before = stats.ByClass
	if accepted := stats.Total().Accepted - life.inherited.Accepted; accepted < known || accepted > begun {
		l.t.Errorf("life %d has accepted %d records; callers began to submit %d, and know of %d that are accepted", life.number, accepted, begun, known)
	}
}

// fell reports whether a count fell that may only rise.
func fell(before, now audit.RecorderCounts) bool {
	return min(now.Accepted-before.Accepted, now.Persisted-before.Persisted, now.AlreadyPersisted-before.AlreadyPersisted,
		now.Rejected-before.Rejected, now.Dropped-before.Dropped) < 0
}

// total returns the sum over all lives, as the identity over lives needs it: Accepted counts
// the records that were submitted and not refused.
func (l *lives) total() (total audit.RecorderCounts, givenAgain int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, life := range l.all {
		total.Add(life.recorder.Stats().Total())
		total.Accepted -= life.inherited.Accepted
	}
	total.Spooled -= l.leftBehind
	return total, l.givenAgain
}

// identity formats the sum over all lives, and fails if it does not add up.
func (l *lives) identity() string {
	total, again := l.total()
	text := fmt.Sprintf("accepted %d + given again %d = %d = persisted %d + already persisted %d + skipped %d + queued %d + spooled %d + rejected %d + dropped %d",
		total.Accepted, again, total.AccountedFor(), total.Persisted, total.AlreadyPersisted, total.Skipped, total.Queued,
		total.Spooled, total.Rejected, total.Dropped)
	if total.Accepted+again != total.AccountedFor() {
		l.t.Errorf("the counts do not add up over %d lives: %s", l.now().number, text)
	}
	return text
}
