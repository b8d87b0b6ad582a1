package soak_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

// mood is how a producer behaves for a while.
type mood struct {
	rate  int // records a second
	lasts time.Duration
}

func moodOf(rng *rand.Rand) mood {
	longer := time.Duration(rng.Int64N(int64(2500 * time.Millisecond)))
	switch dice := rng.IntN(10); {
	case dice < 3:
		return mood{0, longer}
	case dice < 6:
		return mood{20, longer}
	case dice < 9:
		return mood{200, longer}
	default:
		return mood{4000, longer / 8}
	}
}

// producer submits records, at times thousands a second. Calls that wait run concurrently,
// like the requests of a service.
type producer struct {
	lives   *lives
	way     loadgen.Way
	rng     *rand.Rand
	calling sync.WaitGroup
	room    chan struct{}
}

// poisonShare of the records are refused while a constraint against them exists.
const (
	poison      = "poison"
	poisonShare = 0.02
)

func (p *producer) run(ctx context.Context) {
	defer p.calling.Wait()
	p.room = make(chan struct{}, 64)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		mood, start, n := moodOf(p.rng), time.Now(), 0
		for time.Since(start) < mood.lasts {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for due := int(time.Since(start).Seconds() * float64(mood.rate)); n < due; n++ {
				p.produce()
			}
		}
	}
}

func (p *producer) produce() {
	rec := loadgen.NewRecord()
	if p.rng.Float64() < poisonShare {
		rec.EnvelopeID = poison
	}
	if p.way == loadgen.ByEnqueue {
		p.submit(rec)
		return
	}
	p.room <- struct{}{}
	p.calling.Go(func() {
		p.submit(rec)
		<-p.room
	})
}

func (p *producer) submit(rec audit.Record) {
	life := p.lives.now()
	life.begun.Add(1)
	p.lives.journal.begin(&rec)
	answer, err := loadgen.Submit(context.Background(), life.recorder, p.way, rec)
	if err != nil {
		p.lives.t.Errorf("submitting a record: %v", err)
	}
	if answer == loadgen.No {
		p.lives.journal.awaitReason(rec.AuditID)
	}
	if p.lives.journal.end(rec.AuditID, answer) == loadgen.Closed {
		life.refused.Add(1)
	} else {
		life.accepted.Add(1)
	}
}
