package soak_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/load"
)

// way is how a producer hands in its records.
type way int

const (
	byRecord way = iota
	byEnqueue
	byEmit
	ways
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

// producer hands in records, now and then by the thousand. Calls that wait are made
// side by side, as a service's requests do.
type producer struct {
	lives   *lives
	way     way
	rng     *rand.Rand
	calling sync.WaitGroup
	room    chan struct{}
}

// poisonShare of the records are refused while the constraint against them stands.
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
	rec := load.NewRecord()
	if p.rng.Float64() < poisonShare {
		rec.EnvelopeID = poison
	}
	if p.way == byEnqueue {
		p.handIn(rec)
		return
	}
	p.room <- struct{}{}
	p.calling.Go(func() {
		p.handIn(rec)
		<-p.room
	})
}

func (p *producer) handIn(rec audit.Record) {
	life := p.lives.now()
	life.begun.Add(1)
	p.lives.journal.begin(&rec)
	what := p.lives.journal.end(rec.AuditID, p.call(life, rec))
	if what == toldClosed {
		life.turnedAway.Add(1)
	} else {
		life.taken.Add(1)
	}
}

func (p *producer) call(life *life, rec audit.Record) told {
	var err error
	success := toldAccepted
	switch p.way {
	case byRecord:
		success = toldStored
		_, err = life.recorder.Record(context.Background(), rec)
	case byEnqueue:
		err = life.recorder.Enqueue(rec)
	default:
		if !life.recorder.Emit(context.Background(), rec) {
			return toldNo
		}
	}
	switch {
	case err == nil:
		return success
	case errors.Is(err, audit.ErrPending):
		return toldAccepted
	case errors.Is(err, audit.ErrDropped):
		return toldDropped
	case errors.Is(err, audit.ErrRefused):
		return toldRefused
	case errors.Is(err, audit.ErrClosed):
		return toldClosed
	}
	p.lives.t.Errorf("handing in: %v", err)
	return toldNo
}
