package term

import (
	"io"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

const (
	// quietTime is how long a command may take before it shows that it waits.
	quietTime = 2 * time.Second

	waitingInterval = time.Second
)

// Waiting shows on a terminal that a command waits for the database, and for how long. A
// nil *Waiting shows nothing.
type Waiting struct {
	line   *Progress
	doing  string
	ended  chan struct{}
	ending sync.WaitGroup
}

// StartWaiting begins to watch. Stop ends it.
func StartWaiting(out io.Writer, doing string) *Waiting {
	line := NewProgress(out, 0)
	if line == nil {
		return nil
	}
	ticker := time.NewTicker(waitingInterval)
	return watch(line, doing, ticker.C, ticker.Stop)
}

func watch(line *Progress, doing string, ticks <-chan time.Time, release func()) *Waiting {
	w := &Waiting{line: line, doing: doing, ended: make(chan struct{})}
	w.ending.Go(func() {
		defer release()
		for {
			select {
			case <-w.ended:
				return
			case now := <-ticks:
				if took := now.Sub(line.start); took >= quietTime {
					line.draw(waitingText(doing, took))
				}
			}
		}
	})
	return w
}

// Stop ends the watch and erases the line.
func (w *Waiting) Stop() {
	if w == nil {
		return
	}
	close(w.ended)
	w.ending.Wait()
	w.line.Clear()
}

// waitingText fits the terminal's line. The time, which changes, comes last.
func waitingText(doing string, took time.Duration) string {
	clock := "  " + format.Clock(took)
	return Shorten(format.Folded(doing), MaxProgressColumns-len(clock)) + clock
}
