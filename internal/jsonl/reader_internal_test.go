package jsonl

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

func TestReader(t *testing.T) {
	t.Parallel()
	type got struct {
		Number int64
		Text   string
		Size   int64
	}
	full := strings.Repeat("x", MaxLine)
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
		"ExactlyTheLimit":           {full + "\n", []got{{1, full, MaxLine}}},
		"ExactlyTheLimitCRLF":       {full + "\r\nb", []got{{1, full, MaxLine}, {2, "b", 1}}},
		"ExactlyTheLimitAfterABOM":  {"\uFEFF" + full[3:] + "\n", []got{{1, full[3:], MaxLine - 3}}},
		"OneTooMany":                {full + "x\nb\n", []got{{1, full[:KeptOfLongLine], MaxLine + 1}, {2, "b", 1}}},
		"OneTooManyCRLF":            {full + "x\r\nb\n", []got{{1, full[:KeptOfLongLine], MaxLine + 1}, {2, "b", 1}}},
		"TooLongAtTheEnd":           {full + full, []got{{1, full[:KeptOfLongLine], 2 * MaxLine}}},
		"TooLongAndBlank":           {strings.Repeat(" ", MaxLine+1) + "\nb", []got{{1, strings.Repeat(" ", KeptOfLongLine), MaxLine + 1}, {2, "b", 1}}},
		"CutBetweenCharacters":      {strings.Repeat("€", MaxLine), []got{{1, strings.Repeat("€", KeptOfLongLine/3), 3 * MaxLine}}},
		"CutWhereNoCharacterBegins": {strings.Repeat("\x80", MaxLine+1), []got{{1, strings.Repeat("\x80", KeptOfLongLine-4), MaxLine + 1}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []io.Reader{strings.NewReader(test.input), iotest.HalfReader(strings.NewReader(test.input)), iotest.DataErrReader(strings.NewReader(test.input))} {
				reader := NewReader(in)
				var all []got
				for {
					line, err := reader.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, got{line.Number, string(line.Text), line.Size})
				}
				if !cmp.Equal(test.want, all) {
					t.Errorf("got %d lines; the first: %.60v", len(all), all)
				}
				if reader.Bytes != int64(len(test.input)) {
					t.Errorf("%d bytes counted of %d", reader.Bytes, len(test.input))
				}
			}
		})
	}
}

func TestReaderDropsHalfALine(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk")
	reader := NewReader(io.MultiReader(strings.NewReader("a\n{\"half"), iotest.ErrReader(cause)))
	if line, err := reader.Next(); string(line.Text) != "a" || err != nil {
		t.Errorf("%q, %v", line.Text, err)
	}
	if line, err := reader.Next(); !errors.Is(err, cause) {
		t.Errorf("%q, %v; want the error", line.Text, err)
	}
}

// All that export writes, import reads as a whole.
func TestLongestRecordFitsALine(t *testing.T) {
	t.Parallel()
	const astral = "\U000E0001" // which export escapes in twelve bytes
	id := strings.Repeat(astral, audit.MaxIDCharacters)
	details := `{"a": "` + strings.Repeat("<", audit.MaxDetailsBytes-len(`{"a": ""}`)) + `"}`
	rec := audit.Record{
		AuditID: uuid.Max, EnvelopeID: id, EnvelopeClass: audit.Performance, Decision: audit.Preempted,
		Reason: strings.Repeat("\x01", audit.MaxReasonBytes), DecisionTimestamp: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		ConflictingEnvelopeID: id, PreemptingEnvelopeID: id, ActiveEnvelopesCount: 1 << 30, TenantID: id,
		TargetSubsystem: id, TargetParameter: id, CounterpartClass: audit.Performance,
		ReasonCode: id, PolicyVersion: id, Actor: id,
		Links:   audit.Links{CausedBy: uuid.New(), Corrects: uuid.New(), CorrelationID: id},
		Details: audit.Details(details),
		Origin:  audit.Origin{TraceID: audit.TraceID{1}, SpanID: audit.SpanID{1}, SourceID: uuid.Max, SourceSeq: 1 << 60},
	}
	if err := rec.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(format.EscapeJSON(text)); n > MaxLine/2 {
		t.Errorf("it has %d bytes, a line has at most %d", n, MaxLine)
	}
}
