package expiry

import (
	"runtime"
	"sync"
)

// inOrder works on pieces on all cores, and passes them on in the order in which they were
// sent, on a goroutine of its own. After the first error nothing more is passed on.
type inOrder[P any] struct {
	todo, order chan *sent[P]
	working     sync.WaitGroup
	ended       chan struct{}
	closing     sync.Once

	mu  sync.Mutex
	err error // the first, in the order of the pieces
}

type sent[P any] struct {
	piece P
	err   error
	done  chan struct{}
}

// newInOrder begins. Some pieces may wait for a worker. Call finish in any case.
func newInOrder[P any](waiting int, work, each func(P) error) *inOrder[P] {
	workers := runtime.GOMAXPROCS(0)
	o := &inOrder[P]{todo: make(chan *sent[P], waiting), order: make(chan *sent[P], waiting+2*workers), ended: make(chan struct{})}
	for range workers {
		o.working.Go(func() {
			for s := range o.todo {
				s.err = work(s.piece)
				close(s.done)
			}
		})
	}
	go func() {
		defer close(o.ended)
		for s := range o.order {
			<-s.done
			if s.err == nil && o.failed() == nil {
				s.err = each(s.piece)
			}
			o.fail(s.err)
		}
	}()
	return o
}

// send returns the first error of the pieces before this one.
func (o *inOrder[P]) send(piece P) error {
	s := &sent[P]{piece: piece, done: make(chan struct{})}
	o.order <- s
	o.todo <- s
	return o.failed()
}

// finish waits for what was sent. It may be called again.
func (o *inOrder[P]) finish() error {
	o.closing.Do(func() {
		close(o.todo)
		close(o.order)
		o.working.Wait()
		<-o.ended
	})
	return o.failed()
}

func (o *inOrder[P]) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

func (o *inOrder[P]) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
