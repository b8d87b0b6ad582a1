package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// progress draws one line on a terminal. It is written here because every library
// in the module's go.mod is a minimum version for all who import the module, and
// these few lines are not worth that. A nil *progress draws nothing.
type progress struct {
	out   io.Writer
	total int64 // bytes of the input; 0 if unknown
	now   func() time.Time

	start time.Time
	drawn time.Time
	width int // of what stands on the terminal's line
}

const (
	progressColumns  = 79 // an 80th character wraps on some terminals
	progressInterval = 100 * time.Millisecond
)

// newProgress returns nil where there is no terminal to draw on.
func newProgress(out io.Writer, total int64) *progress {
	if !isTerminal(out) {
		return nil
	}
	return &progress{out: out, total: total, now: time.Now, start: time.Now()}
}

// update draws what is done, at most ten times a second.
func (p *progress) update(bytes, records int64) {
	if p == nil || p.now().Sub(p.drawn) < progressInterval {
		return
	}
	p.drawn = p.now()
	p.draw(p.text(bytes, records, p.drawn.Sub(p.start)))
}

// clear takes the line off the terminal, so that other text can stand there.
func (p *progress) clear() {
	if p == nil || p.width == 0 {
		return
	}
	_, _ = io.WriteString(p.out, "\r"+strings.Repeat(" ", p.width)+"\r")
	p.width = 0
	p.drawn = time.Time{}
}

func (p *progress) draw(text string) {
	text = text[:min(len(text), progressColumns)]
	_, _ = io.WriteString(p.out, "\r"+text+strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}

func (p *progress) text(bytes, records int64, elapsed time.Duration) string {
	rate := grouped(int64(float64(records)/max(elapsed.Seconds(), 0.001))) + "/s"
	if p.total <= 0 {
		return fmt.Sprintf("%s lines  %s  %s", grouped(records), rate, clockTime(elapsed))
	}
	const bar = 24
	bytes = min(bytes, p.total) // the file may be growing
	full := int(bytes * bar / p.total)
	left := "?"
	if bytes > 0 {
		left = clockTime(time.Duration(float64(elapsed) * float64(p.total-bytes) / float64(bytes)))
	}
	return fmt.Sprintf("[%s%s] %3d%%  %s lines  %s  %s left",
		strings.Repeat("#", full), strings.Repeat("-", bar-full), bytes*100/p.total, grouped(records), rate, left)
}

// clockTime is m:ss, or h:mm:ss from an hour on.
func clockTime(d time.Duration) string {
	s := int64(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// grouped is a number with commas between its thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
