package console_test

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// What watching costs the writers: rounds without and with 50 watchers in turn, and the median
// of the ratios of their rates. The console runs in the process of the writers, so its whole
// cost counts. COORDAUDIT_WATCHERS is the number of watchers. It needs a quiet machine:
//
//	go test -run '^$' -bench Watchers -benchtime 10x ./internal/console
func BenchmarkWritersNextToWatchers(b *testing.B) {
	db := testdb.New(b)
	watchers := fixture.Size(b, "COORDAUDIT_WATCHERS", 50)
	s := openOn(b, fixture.OpenPool(b, db.URL, nil), func(config *console.Config) { config.Poll, config.MaxWatchers = time.Second, watchers })
	writer := coordaudit.New(db.Pool, fixture.Quiet())
	writeFor(b, writer, time.Second) // what is cold gets warm
	var ratios, alone []float64
	for b.Loop() {
		without := writeFor(b, writer, 2*time.Second)
		leave := s.watchMany(b, watchers)
		with := writeFor(b, writer, 2*time.Second)
		leave()
		ratios, alone = append(ratios, with/without), append(alone, without)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(alone), "records/s")
	b.ReportMetric(median(ratios), "ratio")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// writeFor persists records by four callers, and returns their rate.
func writeFor(b *testing.B, store *coordaudit.Store, lasts time.Duration) (rate float64) {
	b.Helper()
	var callers sync.WaitGroup
	counts := make([]int, 4)
	begun := time.Now()
	for i := range counts {
		callers.Go(func() {
			for time.Since(begun) < lasts {
				if _, err := store.Persist(context.WithoutCancel(b.Context()), decision("acme", "envelope")); err != nil {
					b.Error(err)
					return
				}
				counts[i]++
			}
		})
	}
	callers.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(begun).Seconds()
}

// watchMany begins to watch as browsers do, and returns when all of them are connected.
func (s *site) watchMany(b *testing.B, watchers int) (leave func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var connected, all sync.WaitGroup
	for range watchers {
		connected.Add(1)
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+"/live/events?after=-0", nil)
			if err != nil {
				b.Error(err)
			}
			resp, err := http.DefaultClient.Do(req)
			connected.Done()
			if err != nil {
				b.Error(err)
				return
			}
			defer resp.Body.Close() //nolint:errcheck // it has ended
			lines := bufio.NewReader(resp.Body)
			for {
				if _, err := lines.ReadString('\n'); err != nil {
					return
				}
			}
		})
	}
	connected.Wait()
	return func() { cancel(); all.Wait() }
}
