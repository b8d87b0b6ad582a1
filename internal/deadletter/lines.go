package deadletter

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/hoc-analytics/coordaudit/audit"
)

const (
	// maxLine bounds a line as coordaudit import does. The longest valid record takes
	// less than half of it, with every character escaped.
	maxLine = 1 << 20

	// keptOfLongLine is how much of a longer line is kept to recognise it by.
	keptOfLongLine = 4 << 10
)

// line is one line of a file. It is valid until the next one is read.
type line struct {
	text []byte // without its end; the beginning of one that is too long
	size int64  // on disk, with its end
}

func (l line) tooLong() bool { return l.size > int64(len(l.text))+1 }

// lineReader reads lines in constant memory, whatever their length.
type lineReader struct {
	in   *bufio.Reader
	text []byte
	read int64 // bytes, of the last line's part as well
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
}

// next returns the next whole line. At the end it returns io.EOF, or
// io.ErrUnexpectedEOF if there is something after the last line end.
func (r *lineReader) next() (line, error) {
	r.text = r.text[:0]
	var size int64
	for {
		part, err := r.in.ReadSlice('\n')
		size += int64(len(part))
		r.read += int64(len(part))
		r.text = append(r.text, part[:min(len(part), maxLine+1-len(r.text))]...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0:
			return line{}, io.ErrUnexpectedEOF
		case err != nil:
			return line{}, err
		case size > int64(len(r.text)):
			return line{text: r.text[:keptOfLongLine], size: size}, nil
		}
		return line{text: r.text[:size-1], size: size}, nil
	}
}

// classOf counts a line without parsing it. Our lines are written by
// [audit.Record.MarshalJSON], without blanks, and what is looked for cannot occur
// inside of one of their strings, not even in an envelope's id, which comes before the
// class: there a backslash stands before each quote, so also before the second one. A
// line that does not say its class in this form, or says none of the five, counts as
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
