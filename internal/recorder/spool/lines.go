package spool

import (
	"bufio"
	"bytes"
	"io"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

const (
	// maxLine is the longest line, as in coordaudit import. The longest valid record takes
	// less than half of it, even with every character escaped.
	maxLine = 1 << 20

	// keptOfLongLine is how much of a longer line is kept, so that it can be recognized.
	keptOfLongLine = 4 << 10
)

// line is one line of a file. It is valid until the next line is read.
type line struct {
	text []byte // without the line end; only the beginning if the line is too long
	size int64  // on disk, with the line end
}

func (l line) tooLong() bool { return l.size > int64(len(l.text))+1 }

// lineReader reads lines of any length in constant memory.
type lineReader struct {
	in   *bufio.Reader
	text []byte
	read int64 // bytes, with an incomplete last line
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
}

// next returns the next whole line. At the end it returns io.EOF, or io.ErrUnexpectedEOF if
// any byte follows the last line end.
func (r *lineReader) next() (line, error) {
	read, err := jsonl.ReadBounded(r.in, r.text[:0], maxLine+1)
	r.text = read.Text
	r.read += read.Size
	switch {
	case err != nil:
		return line{}, err
	case read.End == 0:
		return line{}, io.ErrUnexpectedEOF
	case read.Size > int64(len(r.text)):
		return line{text: r.text[:keptOfLongLine], size: read.Size}, nil
	}
	return line{text: r.text[:read.Size-1], size: read.Size}, nil
}

// classOf returns the class of a line without parsing it. [audit.Record.MarshalJSON] writes
// our lines without blanks. The text that classOf looks for cannot occur inside a string, not
// even in an envelope's id, which comes before the class: inside a string a backslash precedes
// each quote. A line without a class in this form, or with none of the five classes, counts as
// [audit.Unknown].
func classOf(line []byte) audit.EnvelopeClass {
	_, after, _ := bytes.Cut(line, []byte(`"envelope_class":"`))
	word, _, _ := bytes.Cut(after, []byte(`"`))
	for _, class := range audit.EnvelopeClasses() {
		if string(word) == string(class) {
			return class
		}
	}
	return audit.Unknown
}
