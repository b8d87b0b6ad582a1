package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"unicode/utf8"
)

const (
	// maxLine bounds a line. The longest valid record takes less than half of it,
	// with every character escaped.
	maxLine = 1 << 20

	// keptOfLongLine is how much of a longer line is kept to recognise it by.
	keptOfLongLine = 4 << 10
)

// rawLine is one line of the input without its end.
type rawLine struct {
	number int64
	text   []byte // valid until the next call
	size   int64  // more than len(text) if the line is too long; text is then its beginning
}

func (l rawLine) tooLong() bool { return l.size > int64(len(l.text)) }

// lineReader reads lines in constant memory, whatever their length. Lines end
// in LF or CRLF, the last one also at the end of the input.
type lineReader struct {
	in     *bufio.Reader
	number int64
	bytes  int64 // read so far
	line   []byte
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
}

// next returns the next line that is not blank, or io.EOF. What came before any
// other error and is not a whole line is dropped.
func (r *lineReader) next() (rawLine, error) {
	for {
		line, err := r.nextOfAny()
		if err != nil || line.tooLong() || len(bytes.TrimSpace(line.text)) > 0 {
			return line, err
		}
	}
}

func (r *lineReader) nextOfAny() (rawLine, error) {
	const lineEnd = 2 // CR LF
	r.line = r.line[:0]
	var size int64
	for {
		part, err := r.in.ReadSlice('\n')
		size += int64(len(part))
		r.bytes += int64(len(part))
		r.line = append(r.line, part[:min(len(part), maxLine+lineEnd-len(r.line))]...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0:
		case err != nil:
			return rawLine{}, err
		}
		r.number++
		if size > int64(len(r.line)) {
			return r.beginning(size - int64(len(part)-len(withoutEnd(part)))), nil
		}
		return r.whole(), nil
	}
}

func withoutEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// whole is the line without what does not belong to it: its end, and a byte
// order mark before the first one.
func (r *lineReader) whole() rawLine {
	text := withoutEnd(r.line)
	if r.number == 1 {
		text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	}
	if len(text) > maxLine {
		return r.beginning(int64(len(text)))
	}
	return rawLine{number: r.number, text: text, size: int64(len(text))}
}

// beginning is a line that is too long, cut between two characters.
func (r *lineReader) beginning(size int64) rawLine {
	text, end := r.line, keptOfLongLine
	for end > keptOfLongLine-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return rawLine{number: r.number, text: text[:end], size: size}
}

// interruptible makes reads end when ctx does. A read of an idle pipe cannot be
// called off, so it happens on a goroutine, which ends with the input, with its
// first read after ctx, or with the process.
func interruptible(ctx context.Context, in io.Reader) (reader io.Reader, stop func()) {
	out, feed := io.Pipe()
	go func() {
		_, err := io.Copy(feed, in)
		_ = feed.CloseWithError(err) // nil is io.EOF
	}()
	release := context.AfterFunc(ctx, func() { _ = out.Close() })
	return out, func() {
		release()
		_ = out.Close()
	}
}
