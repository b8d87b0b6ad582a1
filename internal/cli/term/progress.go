package term

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Progress draws one line on a terminal. It is written here because every library in
// go.mod is a minimum version for everyone who imports the module, and these few lines are
// not worth that. A nil *Progress draws nothing.
type Progress struct {
	out   io.Writer
	total int64 // bytes of the input; 0 if unknown
	now   func() time.Time

	start time.Time
	drawn time.Time
	width int // of the text on the terminal's line
}

// MaxProgressColumns is the width of the longest progress line.
const MaxProgressColumns = 79 // an 80th character wraps on some terminals

const progressInterval = 100 * time.Millisecond

// NewProgress returns nil if there is no terminal to draw on.
func NewProgress(out io.Writer, total int64) *Progress {
	if !IsTerminal(out) {
		return nil
	}
	return &Progress{out: out, total: total, now: time.Now, start: time.Now()}
}

// Update draws how much is done, at most ten times a second.
func (p *Progress) Update(bytes, records int64) {
	if p == nil || p.now().Sub(p.drawn) < progressInterval {
		return
	}
	p.drawn = p.now()
	p.draw(p.text(bytes, records, p.drawn.Sub(p.start)))
}

// Clear erases the line, so that other text can take its place.
func (p *Progress) Clear() {
	if p == nil || p.width == 0 {
		return
	}
	_, _ = io.WriteString(p.out, "\r"+strings.Repeat(" ", p.width)+"\r")
	p.width = 0
	p.drawn = time.Time{}
}

func (p *Progress) draw(text string) {
	text = Shorten(text, MaxProgressColumns)
	width := utf8.RuneCountInString(text)
	_, _ = io.WriteString(p.out, "\r"+text+strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
}

func (p *Progress) text(bytes, records int64, elapsed time.Duration) string {
	rate := format.Thousands(int64(float64(records)/max(elapsed.Seconds(), 0.001))) + "/s"
	if p.total <= 0 {
		return fmt.Sprintf("%s lines  %s  %s", format.Thousands(records), rate, format.Clock(elapsed))
	}
	const bar = 24
	bytes = min(bytes, p.total) // the file may be growing
	full := int(bytes * bar / p.total)
	left := "?"
	if bytes > 0 {
		left = format.Clock(time.Duration(float64(elapsed) * float64(p.total-bytes) / float64(bytes)))
	}
	return fmt.Sprintf("[%s%s] %3d%%  %s lines  %s  %s left",
		strings.Repeat("#", full), strings.Repeat("-", bar-full), bytes*100/p.total, format.Thousands(records), rate, left)
}
