package jsonl

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"
)

const (
	// MaxLine is the longest line that is read as a whole. The longest valid record, with
	// every character escaped, is less than half as long.
	MaxLine = 1 << 20

	// KeptOfLongLine is how much is kept of a longer line, so that a person recognizes it.
	KeptOfLongLine = 4 << 10
)

// Line is one line of the input without its end.
type Line struct {
	Number int64
	Text   []byte // valid until the next call of Next
	Size   int64  // more than len(Text) if the line is too long, and Text is its beginning
}

// TooLong reports a line longer than MaxLine.
func (l Line) TooLong() bool { return l.Size > int64(len(l.Text)) }

// Reader reads lines of any length in constant memory. Lines end in LF or CRLF. The last
// line may end with the input.
type Reader struct {
	in     *bufio.Reader
	line   []byte
	Number int64 // of the last line that was read
	Bytes  int64 // read so far
}

// NewReader reads lines from in.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 64<<10)}
}

// Next returns the next line that is not blank, or io.EOF. Before any other error it drops
// the part of a line that it has read.
func (r *Reader) Next() (Line, error) {
	for {
		line, err := r.nextOfAny()
		if err != nil || line.TooLong() || len(bytes.TrimSpace(line.Text)) > 0 {
			return line, err
		}
	}
}

func (r *Reader) nextOfAny() (Line, error) {
	const lineEnd = 2 // CR LF
	read, err := ReadBounded(r.in, r.line[:0], MaxLine+lineEnd)
	r.line = read.Text
	r.Bytes += read.Size
	if err != nil {
		return Line{}, err
	}
	r.Number++
	if read.Size > int64(len(read.Text)) {
		return r.beginning(read.Size - int64(read.End)), nil
	}
	return r.whole(), nil
}

func withoutEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// whole is the line without its end, and without the byte order mark of the first line.
func (r *Reader) whole() Line {
	text := withoutEnd(r.line)
	if r.Number == 1 {
		text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	}
	if len(text) > MaxLine {
		return r.beginning(int64(len(text)))
	}
	return Line{Number: r.Number, Text: text, Size: int64(len(text))}
}

// beginning is the start of a line that is too long, cut between two characters.
func (r *Reader) beginning(size int64) Line {
	text, end := r.line, KeptOfLongLine
	for end > KeptOfLongLine-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return Line{Number: r.Number, Text: text[:end], Size: size}
}
