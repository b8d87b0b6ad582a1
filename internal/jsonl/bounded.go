package jsonl

import (
	"bufio"
	"errors"
	"io"
)

// Bounded is a line of which only a bounded part is in memory.
type Bounded struct {
	Text []byte // the beginning of the line, and its end if all of it fits
	Size int64  // of the whole line with its end
	End  int    // the length of the line's end: 2 for CR LF, 1 for LF, 0 at the end of the input
}

// ReadBounded reads the next line in constant memory and appends up to limit bytes of it
// to text. It returns io.EOF only if no byte is left. The caller decides what a line
// means. An import accepts a last line without an end. A Recorder's spool does not.
func ReadBounded(in *bufio.Reader, text []byte, limit int) (Bounded, error) {
	line := Bounded{Text: text}
	carriageReturn := false // is the last byte before part
	for {
		part, err := in.ReadSlice('\n')
		line.Size += int64(len(part))
		line.Text = append(line.Text, part[:min(len(part), limit-len(line.Text))]...)
		switch n := len(part); {
		case errors.Is(err, bufio.ErrBufferFull):
			carriageReturn = part[n-1] == '\r'
			continue
		case errors.Is(err, io.EOF) && line.Size > 0:
			return line, nil
		case err != nil:
			return line, err
		case n > 1 && part[n-2] == '\r' || n == 1 && carriageReturn:
			line.End = 2
		default:
			line.End = 1
		}
		return line, nil
	}
}
