package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLineReaderReadsEveryLine(t *testing.T) {
	t.Parallel()
	type got struct {
		Number int64
		Text   string
		Size   int64
	}
	full := strings.Repeat("x", maxLine)
	tests := map[string]struct {
		input string
		want  []got
	}{
		"Empty":                     {"", nil},
		"OnlyBlankLines":            {"\n\r\n \t\n", nil},
		"NoLineEndAtTheEnd":         {"a\nb", []got{{1, "a", 1}, {2, "b", 1}}},
		"CRLF":                      {"a\r\nb\r\n", []got{{1, "a", 1}, {2, "b", 1}}},
		"CarriageReturnInside":      {"a\rb\n", []got{{1, "a\rb", 3}}},
		"ByteOrderMark":             {"\uFEFFa\n\uFEFFb\n", []got{{1, "a", 1}, {2, "\uFEFFb", 4}}},
		"OnlyAByteOrderMark":        {"\uFEFF\na", []got{{2, "a", 1}}},
		"BlankLinesCountAsLines":    {"\n\na\n\nb\n", []got{{3, "a", 1}, {5, "b", 1}}},
		"ExactlyTheLimit":           {full + "\n", []got{{1, full, maxLine}}},
		"ExactlyTheLimitCRLF":       {full + "\r\nb", []got{{1, full, maxLine}, {2, "b", 1}}},
		"ExactlyTheLimitAfterABOM":  {"\uFEFF" + full[3:] + "\n", []got{{1, full[3:], maxLine - 3}}},
		"OneTooMany":                {full + "x\nb\n", []got{{1, full[:keptOfLongLine], maxLine + 1}, {2, "b", 1}}},
		"OneTooManyCRLF":            {full + "x\r\nb\n", []got{{1, full[:keptOfLongLine], maxLine + 1}, {2, "b", 1}}},
		"TooLongAtTheEnd":           {full + full, []got{{1, full[:keptOfLongLine], 2 * maxLine}}},
		"TooLongAndBlank":           {strings.Repeat(" ", maxLine+1) + "\nb", []got{{1, strings.Repeat(" ", keptOfLongLine), maxLine + 1}, {2, "b", 1}}},
		"CutBetweenCharacters":      {strings.Repeat("€", maxLine), []got{{1, strings.Repeat("€", keptOfLongLine/3), 3 * maxLine}}},
		"CutWhereNoCharacterBegins": {strings.Repeat("\x80", maxLine+1), []got{{1, strings.Repeat("\x80", keptOfLongLine-4), maxLine + 1}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []io.Reader{strings.NewReader(test.input), iotest.HalfReader(strings.NewReader(test.input)), iotest.DataErrReader(strings.NewReader(test.input))} {
				reader := newLineReader(in)
				var all []got
				for {
					line, err := reader.next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, got{line.number, string(line.text), line.size})
				}
				if !cmp.Equal(test.want, all) {
					t.Errorf("got %d lines; the first: %.60v", len(all), all)
				}
				if reader.bytes != int64(len(test.input)) {
					t.Errorf("%d bytes counted of %d", reader.bytes, len(test.input))
				}
			}
		})
	}
}

func TestLineReaderDropsAHalfLineOnAnError(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk")
	reader := newLineReader(io.MultiReader(strings.NewReader("a\n{\"half"), iotest.ErrReader(cause)))
	if line, err := reader.next(); string(line.text) != "a" || err != nil {
		t.Errorf("%q, %v", line.text, err)
	}
	if line, err := reader.next(); !errors.Is(err, cause) {
		t.Errorf("%q, %v; want the error", line.text, err)
	}
}

func TestInterruptibleReadOfAnIdlePipeEnds(t *testing.T) {
	t.Parallel()
	idle, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	in, stop := interruptible(ctx, idle)
	defer stop()
	if _, err := newLineReader(in).next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v; want an error that is not the end of the input", err)
	}
}
