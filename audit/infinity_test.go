package audit_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestFormatTime(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]time.Time{
		"-infinity":                     audit.InfinitePast(),
		"-4713-11-24T00:00:00.000000Z":  time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC),
		"-0043-03-15T12:00:00.000001Z":  time.Date(-43, 3, 15, 12, 0, 0, 1000, time.UTC),
		"0001-01-01T00:00:00.000000Z":   {},
		"2026-01-02T03:04:05.678901Z":   time.Date(2026, 1, 2, 4, 4, 5, 678901000, time.FixedZone("", 3600)),
		"294276-12-31T23:59:59.999999Z": audit.InfiniteFuture().Add(-time.Microsecond),
		"infinity":                      audit.InfiniteFuture(),
	} {
		if got := audit.FormatTime(at); got != want || audit.IsInfinite(at) != strings.Contains(want, "infinity") {
			t.Errorf("%v is written as %s, infinite %v; want %s", at, got, audit.IsInfinite(at), want)
		}
	}
}

// What is written of such a time is not read back: no caller could have persisted it.
// Every text that is refused says what is wrong with it.
func TestYearOutOfRangeIsNamed(t *testing.T) {
	t.Parallel()
	const years, form = "must lie in the years 1 to 9999 (UTC)", "must be an RFC 3339 time with an offset"
	for text, want := range map[string]string{
		"infinity":                      years,
		"-infinity":                     years,
		"-4713-11-24T00:00:00.000000Z":  years,
		"0000-12-31T23:59:59Z":          years,
		"10000-01-01T00:00:00.000000Z":  years,
		"294276-12-31T23:59:59.999999Z": years,
		"12024-02-29T00:00:00Z":         years,
		"2025-02-29T00:00:00Z":          form,
		"-2026-13-01T00:00:00Z":         form,
		"1000000-01-01T00:00:00Z":       form,
		"+12026-01-01T00:00:00Z":        form,
		"Infinity":                      form,
		"-":                             form,
		"":                              form,
	} {
		_, _, err := audit.ParseRecord([]byte(`{"audit_id":"` + uuid.NewString() + `","envelope_id":"e","envelope_class":"cost",` +
			`"decision":"applied","reason":"r","decision_timestamp":"` + text + `"}`))
		if !errors.Is(err, audit.ErrInvalidRecord) || !strings.Contains(err.Error(), "decision_timestamp "+want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestGapTotalDoesNotWrap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dropped map[audit.EnvelopeClass]int64
		want    int64
	}{
		{nil, 0},
		{map[audit.EnvelopeClass]int64{audit.Cost: 3, audit.Unknown: 1}, 4},
		{map[audit.EnvelopeClass]int64{audit.Safety: math.MaxInt64, audit.Cost: math.MaxInt64}, math.MaxInt64},
		{map[audit.EnvelopeClass]int64{audit.Safety: math.MinInt64, audit.Cost: -1}, math.MinInt64},
		{map[audit.EnvelopeClass]int64{audit.Safety: -5, audit.Cost: 7}, 2},
	} {
		if got := (audit.Gap{Dropped: test.dropped}).Total(); got != test.want {
			t.Errorf("%v: %d, want %d", test.dropped, got, test.want)
		}
	}
}
