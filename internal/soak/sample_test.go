package soak_test

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// sample holds the present life's counts against each other, against those of the
// sample before and against what its callers know.
func (l *lives) sample() {
	life := l.now()
	taken := life.taken.Load()
	stats := life.recorder.Stats()
	begun := life.begun.Load()
	for class, now := range stats.ByClass {
		if now.Accepted != now.AccountedFor() {
			l.t.Errorf("life %d, %s does not add up: %+v", life.number, class, now)
		}
		if min(now.Queued, now.DeadLettered) < 0 || fell(life.before[class], now) {
			l.t.Errorf("life %d, %s: %+v follows %+v", life.number, class, now, life.before[class])
		}
	}
	life.before = stats.ByClass
	if accepted := stats.Total().Accepted - life.inherited.Accepted; accepted < taken || accepted > begun {
		l.t.Errorf("life %d has accepted %d; callers began to hand in %d, and of %d they know that they are", life.number, accepted, begun, taken)
	}
}

// fell reports that a count fell that only rises.
func fell(before, now audit.RecorderCounts) bool {
	return min(now.Accepted-before.Accepted, now.Persisted-before.Persisted, now.AlreadyPersisted-before.AlreadyPersisted,
		now.Rejected-before.Rejected, now.Dropped-before.Dropped) < 0
}

// total returns the sum over all lives, as the identity over lives has it: Accepted
// is what was handed in and not turned away.
func (l *lives) total() (total audit.RecorderCounts, givenAgain int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, life := range l.all {
		total.Add(life.recorder.Stats().Total())
		total.Accepted -= life.inherited.Accepted
	}
	total.DeadLettered -= l.leftBehind
	return total, l.givenAgain
}

// identity says how the counts add up over all lives, and holds them to it.
func (l *lives) identity() string {
	total, again := l.total()
	text := fmt.Sprintf("accepted %d + given again %d = %d = persisted %d + already persisted %d + skipped %d + queued %d + dead-lettered %d + rejected %d + dropped %d",
		total.Accepted, again, total.AccountedFor(), total.Persisted, total.AlreadyPersisted, total.Skipped, total.Queued,
		total.DeadLettered, total.Rejected, total.Dropped)
	if total.Accepted+again != total.AccountedFor() {
		l.t.Errorf("it does not add up over %d lives: %s", l.now().number, text)
	}
	return text
}
