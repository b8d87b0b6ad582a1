package auditotel

import (
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// budgetParents is the number of parents in one generation of a budget.
const budgetParents = 1024

// budget bounds the spans of one parent. It remembers only the last parents, at least
// [budgetParents] and at most twice as many. The count of a forgotten parent starts
// again.
type budget struct {
	most int

	mu               sync.Mutex
	current, earlier map[parentID]spent
}

type parentID struct {
	trace trace.TraceID
	span  trace.SpanID
}

// spent counts the spans of one parent.
type spent struct {
	stored, failed int
}

func newBudget(most int) *budget {
	return &budget{most: most, current: map[parentID]spent{}}
}

// take reports whether the parent may get one more span. Stored and failed records
// have separate budgets, because the one failure of a large batch must show.
func (b *budget) take(parent trace.SpanContext, failed bool) bool {
	if b.most <= 0 {
		return false
	}
	id := parentID{parent.TraceID(), parent.SpanID()}
	b.mu.Lock()
	defer b.mu.Unlock()
	of, known := b.current[id]
	if !known {
		of = b.earlier[id]
	}
	taken := &of.stored
	if failed {
		taken = &of.failed
	}
	allowed := *taken < b.most
	if allowed {
		*taken++
	}
	if !known && len(b.current) >= budgetParents {
		b.earlier, b.current = b.current, make(map[parentID]spent, budgetParents)
	}
	if allowed || !known {
		b.current[id] = of
	}
	return allowed
}
