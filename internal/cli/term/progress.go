package term

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Progress draws one line on a terminal: what a command does, how far it has come, and how
// long that takes. The line appears after two seconds, and not in a pipe or a file. It is
// written here because every library in go.mod is a minimum version for everyone who imports
// the module, and these few lines are not worth that.
//
// A nil *Progress draws nothing. The methods may be called from several goroutines.
type Progress struct {
	out     io.Writer
	columns func() int

	mu      sync.Mutex
	doing   string
	done    Done
	first   Done      // of the step: it may go on where an earlier run ended
	began   time.Time // the command
	counted time.Time // since first; zero if nothing is counted yet
	width   int       // of the text on the terminal's line, in cells
	ended   bool

	end    chan struct{}
	ending sync.WaitGroup
}

// Done is how far a command has come.
type Done struct {
	// Part of Whole is done. Whole is 0 if no one knows it.
	Part, Whole int64

	// Count things are done. It may be of another unit, such as lines where Part has bytes.
	Count int64
	Noun  string
}

const (
	// quietTime is how long a command may take before it shows what it does.
	quietTime = 2 * time.Second

	progressInterval = 200 * time.Millisecond
)

// StartProgress begins to watch a command. Stop ends it. It returns nil if there is no
// terminal to draw on.
func StartProgress(out io.Writer, doing string) *Progress {
	if !IsTerminal(out) {
		return nil
	}
	ticker := time.NewTicker(progressInterval)
	return watch(out, doing, time.Now(), ticker.C, ticker.Stop)
}

func watch(out io.Writer, doing string, now time.Time, ticks <-chan time.Time, release func()) *Progress {
	p := &Progress{out: out, doing: doing, began: now, end: make(chan struct{})}
	p.columns = func() int { return Columns(out, "") }
	p.ending.Go(func() {
		defer release()
		for {
			select {
			case <-p.end:
				return
			case now := <-ticks:
				p.draw(now)
			}
		}
	})
	return p
}

// Say names the step that begins now. Its progress is counted from zero.
func (p *Progress) Say(doing string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing, p.done, p.first, p.counted = doing, Done{}, Done{}, time.Time{}
}

// Update takes how far the step has come.
func (p *Progress) Update(done Done) {
	if p == nil {
		return
	}
	p.update(done, time.Now())
}

func (p *Progress) update(done Done, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done = done; p.counted.IsZero() {
		p.first, p.counted = done, now
	}
}

// Clear erases the line, so that other text can take its place. The line comes again.
func (p *Progress) Clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *Progress) clear() {
	if p.width > 0 {
		_, _ = io.WriteString(p.out, "\r"+strings.Repeat(" ", p.width)+"\r")
		p.width = 0
	}
}

// Stop ends the watch and erases the line. Only the first call does something.
func (p *Progress) Stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	ended := p.ended
	p.ended = true
	p.mu.Unlock()
	if ended {
		return
	}
	close(p.end)
	p.ending.Wait()
	p.Clear()
}

func (p *Progress) draw(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.began) < quietTime {
		return
	}
	text := p.text(now, p.columns()-1) // a character in the last column wraps on some terminals
	width := Cells(text)
	_, _ = io.WriteString(p.out, "\r"+text+strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
}

// text fits the terminal's line. What is done leaves the rest to what the command does, whose
// end is the least that a reader misses.
func (p *Progress) text(now time.Time, columns int) string {
	const least = 12
	var facts string
	for _, facts = range p.facts(now) {
		if Cells(facts)+len(ColumnGap)+least <= columns {
			break
		}
	}
	return Shorten(format.Folded(p.doing), columns-Cells(facts)-len(ColumnGap)) + ColumnGap + facts
}

// facts are how far the command has come, at length and shorter. The times, which change,
// come last.
func (p *Progress) facts(now time.Time) []string {
	whole := format.Clock(now.Sub(p.began))
	if p.counted.IsZero() {
		return []string{whole}
	}
	elapsed := now.Sub(p.counted)
	rate := format.Thousands(int64(float64(p.done.Count-p.first.Count)/max(elapsed.Seconds(), 0.001))) + "/s"
	count := format.Plural(p.done.Count, p.done.Noun)
	if p.done.Whole <= 0 {
		return []string{count + ColumnGap + rate + ColumnGap + whole, count + ColumnGap + whole, whole}
	}
	part := min(p.done.Part, p.done.Whole) // a file may be growing
	left := "?"
	if done := part - p.first.Part; done > 0 {
		left = format.Clock(time.Duration(float64(elapsed) * float64(p.done.Whole-part) / float64(done)))
	}
	left += " left"
	const bar = 20
	full := int(float64(part) / float64(p.done.Whole) * bar)
	percent := fmt.Sprintf("%3d%%", int(float64(part)/float64(p.done.Whole)*100))
	drawn := "[" + strings.Repeat("#", full) + strings.Repeat("-", bar-full) + "]"
	return []string{
		drawn + " " + strings.Join([]string{percent, count, rate, left}, ColumnGap),
		strings.Join([]string{percent, count, rate, left}, ColumnGap),
		strings.Join([]string{percent, left}, ColumnGap),
		percent,
	}
}
